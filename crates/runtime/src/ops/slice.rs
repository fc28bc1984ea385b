//! SLICE, STRIDED_SLICE, SPLIT, SPLIT_V and UNPACK: parts of the operand.

use alloc::vec::Vec;
use core::ops::Range;

use burnlite_tflite::{SplitOptions, SplitVOptions, StridedSliceOptions, UnpackOptions};

use crate::error::OperatorFault;
use crate::ops::strided::{Copies, View, dimension, element_bytes, from_the_end, require_same_quantization};
use crate::plan::{Node, Operand, Planned};

/// SLICE: `begin` and `size` select from each dimension; a size of -1 is all the rest.
pub(crate) fn plan_slice(node: &Node<'_>) -> Result<Planned, OperatorFault> {
    let input = node.input(0)?;
    let (begin, size) = (node.input(1)?.indices()?, node.input(2)?.indices()?);
    require_an_entry_for_each_dimension(&input, &[begin.len(), size.len()])?;
    let bytes = element_bytes(node, &input)?;
    let mut view = View::whole(input.shape, bytes)?;
    let mut shape = Vec::with_capacity(begin.len());
    for (dimension, (&extent, (&begin, &size))) in input.shape.iter().zip(begin.iter().zip(&size)).enumerate()
    {
        let range = slice_range(extent, begin, size)?;
        shape.push(range.len());
        view = view.narrowed(dimension, range);
    }
    let copies = Copies::of_operand(0, &view, &View::whole(&shape, bytes)?);
    Ok(Planned::new(shape, copies))
}

fn slice_range(extent: usize, begin: i64, size: i64) -> Result<Range<usize>, OperatorFault> {
    let fault = |option, found| OperatorFault::Option { option, expected: "within the dimension", found };
    let start = usize::try_from(begin).ok().filter(|&start| start <= extent);
    let start = start.ok_or_else(|| fault("begin", begin))?;
    let rest = extent - start;
    let taken = if size == -1 { Some(rest) } else { usize::try_from(size).ok() };
    let taken = taken.filter(|&taken| taken <= rest).ok_or_else(|| fault("the size", size))?;
    Ok(start..start + taken)
}

/// STRIDED_SLICE: `begin`, `end` and `strides` select from each dimension, as the options' masks modify them.
pub(crate) fn plan_strided_slice(
    node: &Node<'_>,
    options: &StridedSliceOptions,
) -> Result<Planned, OperatorFault> {
    let input = node.input(0)?;
    let selections = selections(node, options, input.shape.len())?;
    let bytes = element_bytes(node, &input)?;
    let mut view = View::whole(input.shape, bytes)?;
    // What is copied still has the dimensions that are dropped, and not yet the new ones.
    let (mut taken, mut shape) = (input.shape.to_vec(), Vec::new());
    let mut dimension = 0;
    for selection in selections {
        let (first, stride) = match selection {
            Selection::NewAxis => {
                shape.push(1);
                continue;
            }
            Selection::All => (0, 1),
            Selection::Range(slice) => {
                let (first, count) = slice.range(taken[dimension])?;
                taken[dimension] = count;
                (first, slice.stride)
            }
            Selection::One(slice) => {
                let first = slice.one(taken[dimension])?;
                taken[dimension] = 1;
                (first, 1)
            }
        };
        if !matches!(selection, Selection::One(_)) {
            shape.push(taken[dimension]);
        }
        view = view.strided(dimension, first, taken[dimension], stride as isize);
        dimension += 1;
    }
    Ok(Planned::new(shape, Copies::of_operand(0, &view, &View::whole(&taken, bytes)?)))
}

/// What one entry of `begin`, `end` and `strides` does.
#[derive(Debug, Clone, Copy)]
enum Selection {
    /// Takes all of a dimension.
    All,
    /// Takes a range of a dimension.
    Range(Slice),
    /// Takes one element of a dimension, and drops the dimension.
    One(Slice),
    /// Inserts a dimension of extent 1.
    NewAxis,
}

/// A selection for each dimension of the operand, in order, and new axes between them.
fn selections(
    node: &Node<'_>,
    options: &StridedSliceOptions,
    rank: usize,
) -> Result<Vec<Selection>, OperatorFault> {
    let entries = |position| node.input(position).and_then(|operand| operand.constant::<i32>());
    let (begin, end, strides) = (entries(1)?, entries(2)?, entries(3)?);
    let count = begin.len();
    let is_set = |mask: i32, entry: usize| entry < 32 && mask & (1 << entry) != 0;
    let is_ellipsis = |entry| is_set(options.ellipsis_mask, entry);
    let is_new_axis = |entry| is_set(options.new_axis_mask, entry) && !is_ellipsis(entry);
    let taking = (0..count).filter(|&entry| !is_ellipsis(entry) && !is_new_axis(entry)).count();
    let ellipses = (0..count).filter(|&entry| is_ellipsis(entry)).count();
    if end.len() != count || strides.len() != count || taking > rank || ellipses > 1 {
        let what = "begin, end and strides must have at most one element for each dimension".into();
        return Err(OperatorFault::Shape { what, found: [count, end.len(), strides.len()].into() });
    }
    let rest = core::iter::repeat_n(Selection::All, rank - taking);
    let mut selections = Vec::with_capacity(rank + count);
    for entry in 0..count {
        let slice = Slice {
            begin: Some(begin[entry]).filter(|_| !is_set(options.begin_mask, entry)),
            end: Some(end[entry]).filter(|_| !is_set(options.end_mask, entry)),
            stride: strides[entry],
            is_end_from_begin: options.offset,
        };
        match () {
            () if is_ellipsis(entry) => selections.extend(rest.clone()),
            () if is_new_axis(entry) => selections.push(Selection::NewAxis),
            () if is_set(options.shrink_axis_mask, entry) => selections.push(Selection::One(slice)),
            () => selections.push(Selection::Range(slice)),
        }
    }
    if ellipses == 0 {
        selections.extend(rest);
    }
    Ok(selections)
}

/// What is taken from one dimension; bounds may be negative (from the end) or left out (the border).
#[derive(Debug, Clone, Copy)]
struct Slice {
    begin: Option<i32>,
    end: Option<i32>,
    stride: i32,
    is_end_from_begin: bool,
}

impl Slice {
    /// First element and number of elements.
    fn range(&self, extent: usize) -> Result<(usize, usize), OperatorFault> {
        if self.stride == 0 {
            return Err(OperatorFault::Option { option: "the stride", expected: "not 0", found: 0 });
        }
        let (extent, stride) = (extent as i64, i64::from(self.stride));
        // Backwards, the element before the first one ends the slice.
        let (low, high) = if stride > 0 { (0, extent) } else { (-1, extent - 1) };
        let place = |bound: i64| (bound + if bound < 0 { extent } else { 0 }).clamp(low, high);
        let begin = self.begin.map_or(if stride > 0 { low } else { high }, |begin| place(begin.into()));
        let base = if self.is_end_from_begin { begin } else { 0 };
        let end = self.end.map_or(if stride > 0 { high } else { low }, |end| place(base + i64::from(end)));
        let span = if stride > 0 { end - begin } else { begin - end };
        let taken = usize::try_from(span).unwrap_or(0).div_ceil(self.stride.unsigned_abs() as usize);
        // A slice without elements may begin beside the dimension.
        Ok((if taken == 0 { 0 } else { begin as usize }, taken))
    }

    /// The one element at `begin`.
    fn one(&self, extent: usize) -> Result<usize, OperatorFault> {
        let begin = self.begin.unwrap_or(if self.stride < 0 { -1 } else { 0 });
        let fault =
            OperatorFault::Option { option: "begin", expected: "within the dimension", found: begin.into() };
        from_the_end(begin, extent).ok_or(fault)
    }
}

/// SPLIT: equal parts along the dimension that the first operand names.
pub(crate) fn plan_split(node: &Node<'_>, options: &SplitOptions) -> Result<Planned, OperatorFault> {
    let input = node.input(1)?;
    let axis = dimension(node.input(0)?.index()?, input.shape.len())?;
    let count = require_number_of_results(node, options.num_splits)?;
    let extent = input.shape[axis];
    if !extent.is_multiple_of(count) {
        let what = alloc::format!("dimension {axis} must be divisible into {count} equal parts");
        return Err(OperatorFault::Shape { what, found: input.shape.into() });
    }
    plan_parts(node, 1, axis, core::iter::repeat_n(extent / count, count))
}

/// SPLIT_V: parts of the extents in the second operand, one of which may be -1: what is left.
pub(crate) fn plan_split_v(node: &Node<'_>, options: &SplitVOptions) -> Result<Planned, OperatorFault> {
    let input = node.input(0)?;
    let axis = dimension(node.input(2)?.index()?, input.shape.len())?;
    let sizes = node.input(1)?.indices()?;
    let count = require_number_of_results(node, options.num_splits)?;
    let extents = (sizes.len() == count).then(|| split_extents(&sizes, input.shape[axis])).flatten();
    let extents = extents.ok_or_else(|| OperatorFault::Shape {
        what: alloc::format!("dimension {axis} cannot be divided into {count} parts of {sizes:?}"),
        found: input.shape.into(),
    })?;
    plan_parts(node, 0, axis, extents)
}

/// The extents that add up to `extent`; `None` where they do not.
fn split_extents(sizes: &[i64], extent: usize) -> Option<Vec<usize>> {
    let mut rest = extent;
    for &size in sizes.iter().filter(|&&size| size != -1) {
        rest = rest.checked_sub(usize::try_from(size).ok()?)?;
    }
    match sizes.iter().filter(|&&size| size == -1).count() {
        0 if rest == 0 => {}
        1 => {}
        _ => return None,
    }
    Some(sizes.iter().map(|&size| usize::try_from(size).unwrap_or(rest)).collect())
}

/// UNPACK: the slices along a dimension, each without it.
pub(crate) fn plan_unpack(node: &Node<'_>, options: &UnpackOptions) -> Result<Planned, OperatorFault> {
    let input = node.input(0)?;
    let axis = dimension(options.axis, input.shape.len())?;
    let count = require_number_of_results(node, options.num)?;
    if input.shape[axis] != count {
        let what = alloc::format!("dimension {axis} must have the extent {count}, one for each result");
        return Err(OperatorFault::Shape { what, found: input.shape.into() });
    }
    for position in 0..count {
        require_same_quantization(node, &node.output(position)?, &input)?;
    }
    let mut planned = plan_parts(node, 0, axis, core::iter::repeat_n(1, count))?;
    for shape in &mut planned.shapes {
        shape.remove(axis);
    }
    Ok(planned)
}

/// Parts of an operand that follow each other along a dimension. The extents add up to the dimension's.
fn plan_parts(
    node: &Node<'_>,
    position: usize,
    axis: usize,
    extents: impl IntoIterator<Item = usize>,
) -> Result<Planned, OperatorFault> {
    let input = node.input(position)?;
    let bytes = element_bytes(node, &input)?;
    let whole = View::whole(input.shape, bytes)?;
    let mut start = 0;
    let mut parts = Vec::new();
    for extent in extents {
        let mut shape = input.shape.to_vec();
        shape[axis] = extent;
        let part = whole.clone().narrowed(axis, start..start + extent);
        start += extent;
        let copies = Copies::of_operand(position, &part, &View::whole(&shape, bytes)?);
        parts.push((shape, copies));
    }
    Ok(Planned::each(parts))
}

/// The number of results, which the options must tell, too.
fn require_number_of_results(node: &Node<'_>, found: i32) -> Result<usize, OperatorFault> {
    let count = node.operator.outputs.len();
    if usize::try_from(found) == Ok(count) {
        return Ok(count);
    }
    let (option, expected) = ("the number of parts", "the number of results");
    Err(OperatorFault::Option { option, expected, found: found.into() })
}

fn require_an_entry_for_each_dimension(input: &Operand<'_>, counts: &[usize]) -> Result<(), OperatorFault> {
    if counts.iter().all(|&count| count == input.shape.len()) {
        return Ok(());
    }
    let what = alloc::format!("each of {} dimensions needs one element", input.shape.len());
    Err(OperatorFault::Shape { what, found: counts.into() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slices_follow_python() {
        let slice = |begin, end, stride| Slice { begin, end, stride, is_end_from_begin: false };
        let range = |begin, end, stride| slice(begin, end, stride).range(10).unwrap();
        assert_eq!(range(None, None, 1), (0, 10));
        assert_eq!(range(Some(2), Some(7), 2), (2, 3));
        assert_eq!(range(Some(-3), None, 1), (7, 3));
        assert_eq!(range(None, None, -1), (9, 10));
        assert_eq!(range(Some(8), Some(2), -3), (8, 2));
        assert_eq!(range(Some(7), Some(2), 1), (0, 0));
        assert_eq!(range(Some(-100), Some(100), 1), (0, 10));
        assert!(slice(None, None, 0).range(10).is_err());
        assert_eq!(slice(Some(-1), None, 1).one(10).unwrap(), 9);
        assert!(slice(Some(10), None, 1).one(10).is_err());
    }

    #[test]
    fn an_offset_counts_from_where_the_slice_begins() {
        let range = |begin, end| {
            Slice { begin: Some(begin), end: Some(end), stride: 1, is_end_from_begin: true }.range(10)
        };
        assert_eq!(range(2, 3).unwrap(), (2, 3));
        assert_eq!(range(-4, 2).unwrap(), (6, 2));
        assert_eq!(range(8, i32::MAX).unwrap(), (8, 2));
    }

    #[test]
    fn a_slice_lies_within_the_dimension() {
        assert_eq!(slice_range(5, 2, -1).unwrap(), 2..5);
        assert_eq!(slice_range(5, 5, 0).unwrap(), 5..5);
        for (begin, size) in [(-1, 1), (6, 0), (2, 4), (0, -2), (1, i64::MAX), (i64::MIN, 0)] {
            assert!(slice_range(5, begin, size).is_err(), "{begin} {size}");
        }
    }

    #[test]
    fn one_part_may_be_what_is_left() {
        assert_eq!(split_extents(&[2, -1, 4], 9), Some([2, 3, 4].into()));
        assert_eq!(split_extents(&[4, 5, -1], 9), Some([4, 5, 0].into()));
        for sizes in [&[4, 4][..], &[-1, -1], &[-2, 11], &[10, -1], &[i64::MAX, i64::MAX]] {
            assert_eq!(split_extents(sizes, 9), None, "{sizes:?}");
        }
    }
}
