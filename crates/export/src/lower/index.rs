//! Parts of tensors, and tensors put together.

use burn::backend::ir::{
    BaseOperationIr, CatOpIr, EmbeddingOpIr, FlipOpIr, GatherOpIr, OperationIr, PadModeIr, PadOpIr,
    RepeatDimOpIr, SelectOpIr, ShapeOpIr, SliceAssignOpIr, SliceOpIr, TensorIr,
};
use burn::tensor::Slice;
use burnlite_tflite::{
    ConcatenationOptions, GatherOptions, MirrorPadMode, MirrorPadOptions, Op, StridedSliceOptions,
};

use super::reduce::place;
use super::window::integer;
use crate::builder::{Builder, Stored, Value};
use crate::constant::{Constant, element_type};
use crate::error::Refusal;
use crate::shape::{Extent, Shape};

/// Tensors one after the other along a dimension: CONCATENATION in the order in which the largest is stored.
pub(super) fn cat(builder: &mut Builder<'_>, op: &CatOpIr) -> Result<(), Refusal> {
    let computed: Result<Vec<Value>, Refusal> =
        op.tensors.iter().map(|tensor| builder.value(tensor)).collect();
    let computed = computed?.into_iter().filter_map(|value| match value {
        Value::Computed(stored) => Some(stored),
        Value::Constant(_) => None,
    });
    let leader = computed.max_by_key(|stored| {
        (stored.layout.is_permuted(), stored.layout.shape().sizes().iter().product::<usize>())
    });
    let Some(leader) = leader else { return super::unsupported() };
    let order = leader.layout.natural_order(builder.shape(leader.tensor));
    let inputs: Result<Vec<_>, Refusal> =
        op.tensors.iter().map(|tensor| builder.operand(tensor, &order).map(Some)).collect();
    let options = ConcatenationOptions { axis: place(&order, op.dim), ..ConcatenationOptions::default() };
    builder.stored_operator(Op::Concatenation(options), &inputs?, &op.out, &order)
}

/// A part of a tensor: STRIDED_SLICE, or nothing where it is all of it.
pub(super) fn slice(builder: &mut Builder<'_>, op: &SliceOpIr) -> Result<(), Refusal> {
    let stored = builder.stored(&op.tensor)?;
    let sizes = op.tensor.shape.as_slice().to_vec();
    let ranges: Vec<Range> = (0..sizes.len())
        .map(|dim| op.ranges.get(dim).map_or(Range::WHOLE, |slice| Range::new(slice, sizes[dim])))
        .collect();
    if ranges.iter().all(|range| *range == Range::WHOLE) {
        return builder.bind(&op.out, stored.into());
    }
    let shape = stored.layout.shape();
    if ranges.iter().zip(&shape.0).any(|(range, extent)| extent.batched && *range != Range::WHOLE) {
        return Err(Refusal::new(
            "it takes a part of the batch: export for one batch with dynamic_batch(false)",
        ));
    }
    let order = stored.layout.natural_order(builder.shape(stored.tensor));
    let x = builder.arrange(&stored, &stored.layout.groups(&order));
    let ranges: Vec<Range> = order.iter().map(|&dim| ranges[dim]).collect();
    let mask = |is_open: fn(&Range) -> bool| {
        ranges.iter().enumerate().filter(|(_, range)| is_open(range)).map(|(dim, _)| 1 << dim).sum()
    };
    let options = StridedSliceOptions {
        begin_mask: mask(|range| *range == Range::WHOLE),
        end_mask: mask(|range| range.end.is_none()),
        ..StridedSliceOptions::default()
    };
    let part = |of: fn(&Range) -> i32| ranges.iter().map(of).collect::<Vec<i32>>();
    let begin = builder.add_integers("begin", &part(|range| range.begin));
    let end = builder.add_integers("end", &part(|range| range.end.unwrap_or(0)));
    let strides = builder.add_integers("strides", &part(|range| range.stride));
    let inputs = [Some(x), Some(begin), Some(end), Some(strides)];
    builder.stored_operator(Op::StridedSlice(options), &inputs, &op.out, &order)
}

/// What STRIDED_SLICE takes of a dimension.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Range {
    begin: i32,
    /// `None`: to the border.
    end: Option<i32>,
    stride: i32,
}

impl Range {
    const WHOLE: Self = Self { begin: 0, end: None, stride: 1 };

    /// Burn's slice of a dimension; a negative step goes through the same elements from the last one.
    fn new(slice: &Slice, size: usize) -> Self {
        let range = slice.to_range(size);
        let (begin, end) = (range.start as i32, range.end as i32);
        let stride = slice.step as i32;
        if stride < 0 {
            Self { begin: end - 1, end: (begin > 0).then_some(begin - 1), stride }
        } else if begin == 0 && range.end == size && stride == 1 {
            Self::WHOLE
        } else {
            Self { begin, end: Some(end), stride }
        }
    }
}

/// A tensor with a part replaced: what is before it, the replacement, what is behind it.
///
/// Replacements that follow one another, as a recurrent layer collects its steps, are put together at once.
pub(super) fn slice_assign(builder: &mut Builder<'_>, op: &SliceAssignOpIr) -> Result<(), Refusal> {
    let Some((dim, begin, end)) = replaced(op)? else {
        let value = builder.value(&op.value)?;
        return builder.bind(&op.out, value);
    };
    let mut parts = vec![(begin, end, op.value.clone())];
    let mut base = &op.tensor;
    while let Some(OperationIr::BaseFloat(BaseOperationIr::SliceAssign(earlier))) =
        builder.program.producer(base.id)
    {
        match replaced(earlier) {
            Ok(Some((other, begin, end)))
                if other == dim && parts.iter().all(|part| end <= part.0 || part.1 <= begin) =>
            {
                parts.push((begin, end, earlier.value.clone()));
                base = &earlier.tensor;
            }
            _ => break,
        }
    }
    parts.sort_by_key(|part| part.0);
    joined(builder, base, dim, &parts, &op.out)
}

/// The dimension of which a part is replaced, and the part; `None` if all of the tensor is.
fn replaced(op: &SliceAssignOpIr) -> Result<Option<(usize, i32, i32)>, Refusal> {
    let sizes = op.tensor.shape.as_slice();
    let ranges: Vec<Range> =
        op.ranges.iter().zip(sizes).map(|(slice, &size)| Range::new(slice, size)).collect();
    let partial: Vec<usize> = (0..ranges.len()).filter(|&dim| ranges[dim] != Range::WHOLE).collect();
    match partial[..] {
        [] => Ok(None),
        [dim] if ranges[dim].stride == 1 => {
            Ok(Some((dim, ranges[dim].begin, ranges[dim].end.unwrap_or(sizes[dim] as i32))))
        }
        _ => {
            let reason = "it replaces a part of several dimensions: put the tensor together with Tensor::cat";
            Err(Refusal::new(reason))
        }
    }
}

/// `parts` of a dimension, each with its range, and `base` between them.
fn joined(
    builder: &mut Builder<'_>,
    base: &TensorIr,
    dim: usize,
    parts: &[(i32, i32, TensorIr)],
    out: &TensorIr,
) -> Result<(), Refusal> {
    let Some((_, _, first)) = parts.first() else { return super::unsupported() };
    let leader = builder.stored(first)?;
    let order = leader.layout.natural_order(builder.shape(leader.tensor));
    let size = base.shape.as_slice()[dim] as i32;
    let mut inputs = Vec::new();
    let mut next = 0;
    for part in parts.iter().map(Some).chain([None]) {
        let begin = part.map_or(size, |part| part.0);
        if next < begin {
            let base = builder.stored(base)?;
            inputs.push(Some(narrowed(builder, &base, dim, (next, begin), &order)));
        }
        if let Some((_, end, value)) = part {
            inputs.push(Some(builder.operand(value, &order)?));
            next = *end;
        }
    }
    let options = ConcatenationOptions { axis: place(&order, dim), ..ConcatenationOptions::default() };
    builder.stored_operator(Op::Concatenation(options), &inputs, out, &order)
}

/// The indices `from..to` of a dimension.
fn narrowed(
    builder: &mut Builder<'_>,
    stored: &Stored,
    dim: usize,
    (from, to): (i32, i32),
    order: &[usize],
) -> burnlite_tflite::TensorId {
    let x = builder.arrange(stored, &stored.layout.groups(order));
    let at = order.iter().map(|&other| other == dim);
    let numbers =
        |number: i32| at.clone().map(|is_dim| if is_dim { number } else { 0 }).collect::<Vec<i32>>();
    let mask = at.clone().enumerate().filter(|(_, is_dim)| !is_dim).map(|(place, _)| 1 << place).sum();
    let options = StridedSliceOptions { begin_mask: mask, end_mask: mask, ..StridedSliceOptions::default() };
    let begin = builder.add_integers("begin", &numbers(from));
    let end = builder.add_integers("end", &numbers(to));
    let strides = builder.add_integers("strides", &vec![1; order.len()]);
    let mut shape = stored.layout.shape();
    shape.0[dim] = Extent::fixed((to - from) as usize);
    let shape = Shape(order.iter().map(|&dim| shape.0[dim]).collect());
    builder.operator(Op::StridedSlice(options), &[Some(x), Some(begin), Some(end), Some(strides)], shape)
}

/// A tensor backwards along dimensions: REVERSE_V2, which takes one at a time.
pub(super) fn flip(builder: &mut Builder<'_>, op: &FlipOpIr) -> Result<(), Refusal> {
    let (mut x, order) = builder.in_pieces(&op.input)?;
    let shape = builder.shape(x).clone();
    for &dim in &op.axes {
        let axis = builder.add_integers("axis", &[place(&order, dim)]);
        x = builder.operator(Op::ReverseV2, &[Some(x), Some(axis)], shape.clone());
    }
    let layout = crate::layout::Layout::stored(builder.program.shape(op.out.id), &order);
    builder.bind(&op.out, Value::Computed(Stored { tensor: x, layout }))
}

/// A tensor with a border: PAD, PADV2 or MIRROR_PAD.
pub(super) fn pad(builder: &mut Builder<'_>, op: &PadOpIr) -> Result<(), Refusal> {
    let (x, order) = builder.in_pieces(&op.input)?;
    let mut paddings = Vec::with_capacity(2 * order.len());
    for &dim in &order {
        let (before, after) = op.padding[dim];
        paddings.extend([integer(before)?, integer(after)?]);
    }
    let paddings = Constant::integers(&paddings).reshaped(&[order.len(), 2]);
    let paddings = Some(builder.add_constant(paddings, "paddings"));
    match op.mode {
        PadModeIr::Constant(value) if value.elem::<f64>() == 0.0 => {
            builder.stored_operator(Op::Pad, &[Some(x), paddings], &op.out, &order)
        }
        PadModeIr::Constant(value) => {
            let value = Constant::scalar(value, element_type(op.out.dtype)?)?;
            let value = builder.add_constant(value, "value");
            builder.stored_operator(Op::PadV2, &[Some(x), paddings, Some(value)], &op.out, &order)
        }
        PadModeIr::Reflect => {
            let options = MirrorPadOptions { mode: MirrorPadMode::Reflect };
            builder.stored_operator(Op::MirrorPad(options), &[Some(x), paddings], &op.out, &order)
        }
        // Mirrored around the border, a border of one pixel is the edge's.
        PadModeIr::Edge if op.padding.iter().all(|&(before, after)| before <= 1 && after <= 1) => {
            let options = MirrorPadOptions { mode: MirrorPadMode::Symmetric };
            builder.stored_operator(Op::MirrorPad(options), &[Some(x), paddings], &op.out, &order)
        }
        PadModeIr::Edge => Err(Refusal::new(
            "TensorFlow Lite repeats the edge for a border of one only: pad several times, or pad with a constant",
        )),
    }
}

/// A tensor several times along a dimension: TILE.
pub(super) fn repeat(builder: &mut Builder<'_>, op: &RepeatDimOpIr) -> Result<(), Refusal> {
    let (from, to) =
        (builder.program.shape(op.tensor.id).0[op.dim], builder.program.shape(op.out.id).0[op.dim]);
    if from == to {
        let value = builder.value(&op.tensor)?;
        return builder.bind(&op.out, value);
    }
    if from == Extent::ONE {
        return expanded(builder, &op.tensor, &op.out);
    }
    let (x, order) = builder.in_pieces(&op.tensor)?;
    let times = to.size / from.size.max(1);
    let multiples: Result<Vec<i32>, Refusal> =
        order.iter().map(|&dim| if dim == op.dim { integer(times) } else { Ok(1) }).collect();
    let multiples = builder.add_integers("multiples", &multiples?);
    builder.stored_operator(Op::Tile, &[Some(x), Some(multiples)], &op.out, &order)
}

/// A tensor repeated along dimensions of extent 1, and along new ones in front: BROADCAST_TO.
pub(super) fn expand(builder: &mut Builder<'_>, op: &ShapeOpIr) -> Result<(), Refusal> {
    expanded(builder, &op.input, &op.out)
}

fn expanded(builder: &mut Builder<'_>, input: &TensorIr, out: &TensorIr) -> Result<(), Refusal> {
    let shape = builder.program.shape(out.id).clone();
    let stored = builder.stored(input)?;
    let mut full = stored.layout.shape();
    let leading = shape.0.len().saturating_sub(full.0.len());
    full.0.splice(0..0, vec![Extent::ONE; leading]);
    let layout =
        stored.layout.reshaped(&full).ok_or_else(|| Refusal::new("its dimensions cannot be told apart"))?;
    let value = builder.broadcast(&Stored { layout, ..stored }, &shape)?;
    builder.bind(out, value.into())
}

/// Slices of a tensor along a dimension, by constant or computed indices: GATHER.
pub(super) fn select(builder: &mut Builder<'_>, op: &SelectOpIr) -> Result<(), Refusal> {
    let (x, order) = builder.in_pieces(&op.tensor)?;
    let indices = indices(builder, &op.indices)?;
    let options = GatherOptions { axis: place(&order, op.dim), batch_dims: 0 };
    builder.stored_operator(Op::Gather(options), &[Some(x), Some(indices)], &op.out, &order)
}

/// Rows of a table, by indices: GATHER.
pub(super) fn embedding(builder: &mut Builder<'_>, op: &EmbeddingOpIr) -> Result<(), Refusal> {
    let weights = builder.operand(&op.weights, &[0, 1])?;
    let indices = indices(builder, &op.indices)?;
    let order: Vec<usize> = (0..builder.program.shape(op.out.id).0.len()).collect();
    let inputs = [Some(weights), Some(indices)];
    builder.stored_operator(Op::Gather(GatherOptions::default()), &inputs, &op.out, &order)
}

/// An element for each index, along a dimension: GATHER with all other dimensions as its batch.
pub(super) fn gather(builder: &mut Builder<'_>, op: &GatherOpIr) -> Result<(), Refusal> {
    let (tensor, indices) = (builder.program.shape(op.tensor.id), builder.program.shape(op.indices.id));
    let rank = tensor.0.len();
    if (0..rank).any(|dim| dim != op.dim && tensor.0[dim] != indices.0[dim]) {
        return Err(Refusal::new(
            "the indices leave out a part of another dimension: slice the tensor before",
        ));
    }
    let order: Vec<usize> = (0..rank).filter(|&dim| dim != op.dim).chain([op.dim]).collect();
    let inputs = [Some(builder.operand(&op.tensor, &order)?), Some(builder.operand(&op.indices, &order)?)];
    let last = integer(rank - 1)?;
    let options = GatherOptions { axis: last, batch_dims: last };
    builder.stored_operator(Op::Gather(options), &inputs, &op.out, &order)
}

/// Indices in Burn's order; constants as 32-bit integers.
fn indices(builder: &mut Builder<'_>, indices: &TensorIr) -> Result<burnlite_tflite::TensorId, Refusal> {
    if let Value::Constant(constant) = builder.value(indices)? {
        return Ok(builder.add_constant(constant.narrowed(), "indices"));
    }
    let order: Vec<usize> = (0..builder.program.shape(indices.id).0.len()).collect();
    builder.operand(indices, &order)
}

#[cfg(test)]
mod tests {
    use burn::module::Param;
    use burn::nn::{Embedding, EmbeddingConfig};
    use burn::tensor::ops::PadMode;
    use burn::tensor::{Device, Int, Tensor, s};

    use crate::lower::testing::{FUNCTION, numbers, operators, parameter};

    #[test]
    fn slices_of_any_step_are_burns() {
        let found = operators(&FUNCTION, numbers([2, 6, 5]), |_, x: Tensor<3>| {
            let [batch, ..] = x.dims();
            Tensor::cat(
                vec![
                    x.clone().slice([0..batch, 1..3]),
                    x.clone().slice(s![.., 0..6;3, ..]),
                    x.clone().slice(s![.., 1..5;-2, ..]),
                    x.clone().slice(s![.., ..;-3, ..]),
                    x.narrow(1, 5, 1),
                ],
                1,
            )
        });
        assert_eq!(found.len(), 6);
    }

    #[test]
    fn parts_are_put_together_without_a_transpose() {
        let found = operators(&FUNCTION, numbers([2, 6, 5, 4]), |_, x: Tensor<4>| {
            let x = x.permute([0, 3, 1, 2]);
            let [first, second] = x.clone().chunk(2, 1).try_into().unwrap();
            Tensor::cat(vec![second, x, first], 1).permute([0, 2, 3, 1])
        });
        assert_eq!(found, ["STRIDED_SLICE", "STRIDED_SLICE", "CONCATENATION"]);
    }

    #[test]
    fn stacks_splits_flips_and_repetitions_are_burns() {
        let found = operators(&FUNCTION, numbers([2, 6, 5]), |_, x: Tensor<3>| {
            let parts = x.clone().split(4, 1);
            let stacked: Tensor<4> = Tensor::stack(vec![x.clone(), x.clone().flip([1, 2])], 1);
            let repeated = x.repeat_dim(1, 2).narrow(1, 3, 6);
            stacked.sum_dim(1).squeeze_dim::<3>(1) + Tensor::cat(parts, 1) + repeated
        });
        assert!(found.contains(&"REVERSE_V2".into()) && found.contains(&"TILE".into()), "{found:?}");
    }

    #[test]
    fn borders_of_every_mode_are_burns() {
        let found = operators(&FUNCTION, numbers([2, 3, 6, 5]), |_, x: Tensor<4>| {
            let pad = |mode: PadMode| x.clone().pad((1, 1, 1, 1), mode);
            pad(PadMode::Constant(0.0))
                + pad(PadMode::Constant(1.5))
                + pad(PadMode::Reflect)
                + pad(PadMode::Edge)
        });
        assert!(found.contains(&"PAD".into()) && found.contains(&"PADV2".into()), "{found:?}");
        assert_eq!(found.iter().filter(|name| *name == "MIRROR_PAD").count(), 2);
    }

    #[test]
    fn expanded_dimensions_are_repeated_even_along_the_batch() {
        let found = operators(&parameter([1, 3, 4]), numbers([2, 3, 1]), |weights: &Param<Tensor<3>>, x| {
            let x: Tensor<3> = x;
            let [batch, ..] = x.dims();
            Tensor::cat(vec![x.expand([-1, 3, 4]), weights.val().expand([batch as i64, 3, 4])], 1)
        });
        assert!(found.contains(&"BROADCAST_TO".into()), "{found:?}");
    }

    #[test]
    fn constant_and_computed_indices_gather() {
        let found = operators(&FUNCTION, numbers([2, 6, 5]), |_, x: Tensor<3>| {
            let constant = Tensor::<1, Int>::from_data([4, 0, 0, 2], &x.device());
            let computed = x.clone().argmax(1).repeat_dim(1, 4);
            x.clone().select(1, constant) + x.gather(1, computed)
        });
        assert_eq!(found.iter().filter(|name| *name == "GATHER").count(), 2, "{found:?}");
    }

    #[test]
    fn a_replaced_part_is_between_what_stays() {
        let found = operators(&FUNCTION, numbers([2, 6, 5]), |_, x: Tensor<3>| {
            let [batch, ..] = x.dims();
            let part = x.clone().narrow(1, 0, 2) * 2.0;
            let x = x.slice_assign([0..batch, 3..5, 0..5], part.clone());
            x.slice_assign([0..batch, 0..2, 0..5], part)
        });
        assert_eq!(found.iter().filter(|name| *name == "CONCATENATION").count(), 1, "{found:?}");
        assert_eq!(found.last().unwrap(), "CONCATENATION");
    }

    #[test]
    fn an_embedding_takes_rows_of_its_table() {
        let device = Device::flex();
        let module: Embedding = EmbeddingConfig::new(10, 4).init(&device);
        let found = operators(&module, numbers([2, 6]), |module, x: Tensor<2>| {
            module.forward(((x + 1.0) * 4.5).int())
        });
        assert_eq!(found.last().unwrap(), "GATHER");
    }
}
