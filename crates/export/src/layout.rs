//! Where the elements of a value are stored.
//!
//! Burn's images are `[N, C, H, W]`, TensorFlow Lite's operators want `[N, H, W, C]`. Between operators it does not matter
//! in which order a value is stored, as long as everybody knows it: so a value keeps its [`Layout`], permuting and
//! reshaping it only changes the layout, and data are moved when an operator asks for an order that the stored one is
//! not. Most permutations cancel out that way, or end up in the weights of a dense layer.

use crate::shape::{Extent, Shape};

/// In which order an image, or a sequence, stands in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ImageLayout {
    /// As in Burn: channels before rows and columns, `[N, C, H, W]`.
    #[default]
    Nchw,
    /// As TensorFlow Lite's operators take it: channels last, `[N, H, W, C]`.
    Nhwc,
}

/// Burn's dimensions of an image of `rank` dimensions in the order that has the channels last.
pub(crate) fn channels_last(rank: usize) -> Vec<usize> {
    match rank {
        0..=2 => (0..rank).collect(),
        _ => [0].into_iter().chain(2..rank).chain([1]).collect(),
    }
}

/// How the dimensions of a value, as Burn knows them, are found in a stored tensor.
///
/// The stored tensor is cut into *axes*, outermost first. A dimension is a product of axes: none for an extent of 1, one
/// usually, several after a reshape that joined dimensions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Layout {
    /// Extents in the order in which they are stored, none of them 1.
    axes: Vec<Extent>,
    /// The axes of each dimension, outermost first.
    dims: Vec<Vec<usize>>,
}

/// Something to be done to a stored tensor.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Move {
    /// The same elements under another shape.
    Reshape(Shape),
    /// The dimensions in the given order, and the shape that comes of it.
    Transpose(Vec<usize>, Shape),
}

impl Layout {
    /// The layout of a value that is stored as Burn has it.
    pub(crate) fn row_major(shape: &Shape) -> Self {
        let order: Vec<usize> = (0..shape.0.len()).collect();
        Self::stored(shape, &order)
    }

    /// The layout of a value of the given shape whose dimensions are stored in the given order.
    pub(crate) fn stored(shape: &Shape, order: &[usize]) -> Self {
        let mut layout = Self { axes: Vec::new(), dims: vec![Vec::new(); order.len()] };
        for &dim in order {
            if shape.0[dim] != Extent::ONE {
                layout.dims[dim].push(layout.axes.len());
                layout.axes.push(shape.0[dim]);
            }
        }
        layout
    }

    /// The layout of a value that is stored as the given pieces, each a cut of a dimension with its extent.
    pub(crate) fn of_pieces(pieces: impl Iterator<Item = ((usize, usize), Extent)>, rank: usize) -> Self {
        let mut layout = Self { axes: Vec::new(), dims: vec![Vec::new(); rank] };
        let mut cuts = vec![Vec::new(); rank];
        for ((dim, cut), extent) in pieces {
            cuts[dim].push((cut, layout.axes.len()));
            layout.axes.push(extent);
        }
        for (dim, mut cuts) in cuts.into_iter().enumerate() {
            cuts.sort_unstable();
            layout.dims[dim] = cuts.into_iter().map(|(_, axis)| axis).collect();
        }
        layout
    }

    /// The layout after Burn put the dimensions in another order: the elements stay where they are.
    pub(crate) fn permuted(&self, order: &[usize]) -> Self {
        Self { axes: self.axes.clone(), dims: order.iter().map(|&dim| self.dims[dim].clone()).collect() }
    }

    /// The layout after Burn's reshape to `shape`, if the elements can stay where they are.
    pub(crate) fn reshaped(&self, shape: &Shape) -> Option<Self> {
        let mut axes = self.axes.clone();
        let mut queue = self.dims.concat();
        let mut dims = Vec::with_capacity(shape.0.len());
        let mut next = 0;
        for &extent in &shape.0 {
            let mut rest = extent;
            let start = next;
            while rest != Extent::ONE {
                let axis = *queue.get(next)?;
                rest = match rest.divided_by(axes[axis]) {
                    Some(rest) => rest,
                    None => {
                        let inner = axes[axis].divided_by(rest)?;
                        split(&mut axes, &mut queue, next, rest, inner);
                        Extent::ONE
                    }
                };
                next += 1;
            }
            dims.push(start..next);
        }
        let dims = dims.into_iter().map(|range| queue[range].to_vec()).collect();
        (next == queue.len()).then_some(Self { axes, dims })
    }

    /// The axes of the given dimensions, in this order.
    pub(crate) fn groups(&self, order: &[usize]) -> Vec<Vec<usize>> {
        order.iter().map(|&dim| self.dims[dim].clone()).collect()
    }

    /// The axes of a dimension, outermost first.
    pub(crate) fn dim(&self, dim: usize) -> &[usize] {
        &self.dims[dim]
    }

    /// Number of dimensions that Burn knows.
    pub(crate) fn rank(&self) -> usize {
        self.dims.len()
    }

    /// The extent of an axis.
    pub(crate) fn extent(&self, axis: usize) -> Extent {
        self.axes[axis]
    }

    /// The axes of each dimension of the stored tensor, whose shape is `stored`.
    pub(crate) fn stored_groups(&self, stored: &Shape) -> Vec<Vec<usize>> {
        let axes: Vec<usize> = (0..self.axes.len()).collect();
        let contiguous = Self { axes: self.axes.clone(), dims: vec![axes] };
        contiguous.reshaped(stored).map_or_else(Vec::new, |layout| layout.dims)
    }

    /// The value's shape, as Burn knows it.
    pub(crate) fn shape(&self) -> Shape {
        self.shape_of(&self.dims)
    }

    /// The same layout with every dimension in one axis for each of its `cuts`; `None` if its axes do not line up.
    ///
    /// A dimension of extent 1 has no axes, whatever its cuts: it is broadcast.
    pub(crate) fn cut(&self, cuts: &[Vec<Extent>]) -> Option<Self> {
        let is_present = |dim: usize| !self.dims[dim].is_empty();
        let pieces = (0..self.rank()).filter(|&dim| is_present(dim)).flat_map(|dim| cuts[dim].clone());
        let flat = self.reshaped(&Shape(pieces.collect()))?;
        let mut axes = flat.dims.concat().into_iter();
        let dims = (0..self.rank())
            .map(|dim| axes.by_ref().take(if is_present(dim) { cuts[dim].len() } else { 0 }).collect())
            .collect();
        Some(Self { axes: flat.axes, dims })
    }

    /// The extents of a dimension's axes, outermost first.
    pub(crate) fn cuts(&self, dim: usize) -> Vec<Extent> {
        self.dims[dim].iter().map(|&axis| self.axes[axis]).collect()
    }

    /// The dimensions in an order in which the stored tensor, of shape `stored`, has each in one piece, without a move
    /// where that can be.
    pub(crate) fn natural_order(&self, stored: &Shape) -> Vec<usize> {
        let row_major: Vec<usize> = (0..self.rank()).collect();
        let channels_last = channels_last(self.rank());
        let mut nearest = row_major.clone();
        nearest.sort_by_key(|&dim| self.dims[dim].first().copied());
        let is_in_place = |order: &&Vec<usize>| self.moves(stored, &self.groups(order)).is_empty();
        let is_in_order = |order: &&Vec<usize>| self.groups(order).concat().is_sorted();
        let orders = [&row_major, &channels_last, &nearest];
        let found = orders.into_iter().find(is_in_place).or_else(|| orders.into_iter().find(is_in_order));
        found.unwrap_or(&row_major).clone()
    }

    /// Whether the elements are stored in another order than Burn's.
    pub(crate) fn is_permuted(&self) -> bool {
        !self.dims.concat().is_sorted()
    }

    /// What has to be done to the stored tensor, of shape `stored`, so that each of its dimensions is one of `groups`.
    pub(crate) fn moves(&self, stored: &Shape, groups: &[Vec<usize>]) -> Vec<Move> {
        let target = self.shape_of(groups);
        let order = groups.concat();
        if order.is_sorted() {
            return if *stored == target { vec![] } else { vec![Move::Reshape(target)] };
        }
        if let Some(order) = dims_in_order(&self.stored_groups(stored), groups) {
            return vec![Move::Transpose(order, target)];
        }
        let single = |axis: usize| vec![axis];
        let cut = self.shape_of(&(0..self.axes.len()).map(single).collect::<Vec<_>>());
        let turned = self.shape_of(&order.iter().copied().map(single).collect::<Vec<_>>());
        let mut moves = Vec::new();
        if *stored != cut {
            moves.push(Move::Reshape(cut));
        }
        moves.push(Move::Transpose(order, turned.clone()));
        if turned != target {
            moves.push(Move::Reshape(target));
        }
        moves
    }

    /// The block and the result of the DEPTH_TO_SPACE that makes `groups` of the stored tensor, if there is one: channels
    /// whose outer parts are the rows and the columns of a block.
    pub(crate) fn depth_to_space(&self, stored: &Shape, groups: &[Vec<usize>]) -> Option<(usize, Shape)> {
        let [batch, rows, columns, channels] = &self.stored_groups(stored)[..] else { return None };
        let ([down, right, rest @ ..], [first, [row @ .., low], [column @ .., left], last]) =
            (&channels[..], [&groups.first()?[..], groups.get(1)?, groups.get(2)?, groups.get(3)?])
        else {
            return None;
        };
        let block = self.axes[*down];
        let is_block = block == self.axes[*right] && !block.batched && (down, right) == (low, left);
        let is_image = (first, row, column) == (&batch[..], &rows[..], &columns[..]) && last == rest;
        (groups.len() == 4 && is_block && is_image).then(|| (block.size, self.shape_of(groups)))
    }

    /// The shape whose dimensions are products of the given axes.
    pub(crate) fn shape_of(&self, groups: &[Vec<usize>]) -> Shape {
        let product = |group: &Vec<usize>| Extent {
            size: group.iter().map(|&axis| self.axes[axis].size).product(),
            batched: group.iter().any(|&axis| self.axes[axis].batched),
        };
        Shape(groups.iter().map(product).collect())
    }
}

/// The coarsest extents into which both `first` and `second`, of the same product, can be cut; `None` if there are none.
pub(crate) fn common_cuts(first: &[Extent], second: &[Extent]) -> Option<Vec<Extent>> {
    let mut cuts = Vec::new();
    let (mut first, mut second) = (first.iter().copied(), second.iter().copied());
    let (mut mine, mut theirs) = (first.next(), second.next());
    while let (Some(left), Some(right)) = (mine, theirs) {
        let (cut, left, right) = match (left.divided_by(right), right.divided_by(left)) {
            (Some(rest), _) => (right, rest, Extent::ONE),
            (None, Some(rest)) => (left, Extent::ONE, rest),
            (None, None) => return None,
        };
        cuts.push(cut);
        mine = if left == Extent::ONE { first.next() } else { Some(left) };
        theirs = if right == Extent::ONE { second.next() } else { Some(right) };
    }
    (mine.is_none() && theirs.is_none()).then_some(cuts)
}

/// Cuts the axis at `queue[position]` in two: `outer` before `inner`.
fn split(axes: &mut Vec<Extent>, queue: &mut Vec<usize>, position: usize, outer: Extent, inner: Extent) {
    let axis = queue[position];
    axes[axis] = outer;
    axes.insert(axis + 1, inner);
    for later in queue.iter_mut().filter(|later| **later > axis) {
        *later += 1;
    }
    queue.insert(position + 1, axis + 1);
}

/// The order that makes `groups` out of `stored`, if they are the same groups.
fn dims_in_order(stored: &[Vec<usize>], groups: &[Vec<usize>]) -> Option<Vec<usize>> {
    let mut free: Vec<Option<&Vec<usize>>> = stored.iter().map(Some).collect();
    let order: Option<Vec<usize>> = groups
        .iter()
        .map(|group| {
            let dim = free.iter().position(|stored| *stored == Some(group))?;
            free[dim] = None;
            Some(dim)
        })
        .collect();
    order.filter(|order| order.len() == stored.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shape::tests::{N, batched};

    const NHWC: [usize; 4] = [0, 2, 3, 1];

    #[test]
    fn an_image_with_a_new_unit_channel_is_nhwc_already() {
        let image = Layout::row_major(&batched(&[28, 28]));
        let image = image.reshaped(&batched(&[1, 28, 28])).unwrap();
        let moves = image.moves(&batched(&[28, 28]), &image.groups(&NHWC));
        assert_eq!(moves, [Move::Reshape(batched(&[28, 28, 1]))]);
    }

    #[test]
    fn flattened_features_keep_the_order_in_which_they_are_stored() {
        let stored = batched(&[13, 13, 12]);
        let features = Layout::stored(&batched(&[12, 13, 13]), &NHWC).reshaped(&batched(&[2028])).unwrap();
        assert_eq!(features.dim(1), [3, 1, 2], "channel, row, column");
        assert_eq!(features.moves(&stored, &[vec![0], vec![1, 2, 3]]), [Move::Reshape(batched(&[2028]))]);
    }

    #[test]
    fn opposite_permutations_cancel() {
        let value = Layout::stored(&batched(&[3, 4, 5]), &NHWC);
        let there = value.permuted(&NHWC);
        assert_eq!(there.moves(&batched(&[4, 5, 3]), &there.groups(&[0, 1, 2, 3])), []);
        assert_eq!(there.permuted(&[0, 3, 1, 2]), value);
    }

    #[test]
    fn a_permutation_that_is_asked_for_is_one_transpose() {
        let value = Layout::stored(&batched(&[3, 4, 5]), &NHWC);
        let moves = value.moves(&batched(&[4, 5, 3]), &value.groups(&[0, 1, 2, 3]));
        assert_eq!(moves, [Move::Transpose(vec![0, 3, 1, 2], batched(&[3, 4, 5]))]);
    }

    #[test]
    fn joined_dimensions_are_cut_moved_and_joined_again() {
        let value = Layout::stored(&batched(&[3, 4, 5]), &NHWC).reshaped(&batched(&[60])).unwrap();
        let moves = value.moves(&batched(&[20, 3]), &value.groups(&[0, 1]));
        assert_eq!(
            moves,
            [
                Move::Reshape(batched(&[4, 5, 3])),
                Move::Transpose(vec![0, 3, 1, 2], batched(&[3, 4, 5])),
                Move::Reshape(batched(&[60])),
            ]
        );
    }

    #[test]
    fn dimensions_split_and_join_across_the_batch() {
        let value = Layout::row_major(&batched(&[4, 6]));
        let joined =
            value.reshaped(&Shape(vec![Extent { size: 8, batched: true }, Extent::fixed(3)])).unwrap();
        assert_eq!(joined.groups(&[0, 1]), [vec![0, 1, 2], vec![3]]);
        assert_eq!(
            joined.reshaped(&batched(&[4, 6])).unwrap().groups(&[0, 1, 2]),
            [vec![0], vec![1], vec![2, 3]]
        );
        assert_eq!(joined.extent(0), N);
    }

    #[test]
    fn common_cuts_are_the_coarsest() {
        let fixed = |sizes: &[usize]| Shape::fixed(sizes).0;
        assert_eq!(common_cuts(&fixed(&[6, 4]), &fixed(&[2, 12])), Some(fixed(&[2, 3, 4])));
        assert_eq!(common_cuts(&fixed(&[24]), &fixed(&[24])), Some(fixed(&[24])));
        assert_eq!(common_cuts(&fixed(&[4, 6]), &fixed(&[3, 8])), None);
    }

    #[test]
    fn shapes_without_a_common_cut_cannot_stay() {
        let value = Layout::row_major(&Shape::fixed(&[4, 6]));
        assert_eq!(value.reshaped(&Shape::fixed(&[3, 8])), None);
        assert_eq!(value.reshaped(&Shape::fixed(&[24, 2])), None);
        assert_eq!(value.reshaped(&Shape::fixed(&[4, 3])), None);
    }
}
