//! Parts of tensors, and tensors with a part replaced.

use burn::backend::ir::{BaseOperationIr, OperationIr, SliceAssignOpIr, SliceOpIr, TensorIr};
use burn::tensor::Slice;
use burnlite_tflite::{ConcatenationOptions, Op, StridedSliceOptions, TensorId};

use super::reduce::place;
use crate::builder::{Builder, Stored};
use crate::error::Refusal;
use crate::layout::Layout;
use crate::shape::{Extent, Shape};

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

/// The indices `from..to` of a dimension.
pub(super) fn narrowed(
    builder: &mut Builder<'_>,
    stored: &Stored,
    dim: usize,
    (from, to): (i32, i32),
    order: &[usize],
) -> TensorId {
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

/// A tensor with a part replaced: what is before it, the replacement, what is behind it.
///
/// Replacements that follow one another, as a recurrent layer collects its steps, are put together at once.
pub(super) fn slice_assign(builder: &mut Builder<'_>, op: &SliceAssignOpIr) -> Result<(), Refusal> {
    let ranges = replaced(op)?;
    let (dim, begin, end) = match ranges[..] {
        [] => {
            let value = builder.value(&op.value)?;
            return builder.bind(&op.out, value);
        }
        [range] => range,
        _ => return replace_block(builder, op, &ranges),
    };
    let mut parts = vec![(begin, end, op.value.clone())];
    let mut base = &op.tensor;
    while let Some(OperationIr::BaseFloat(BaseOperationIr::SliceAssign(earlier))) =
        builder.program.producer(base.id)
    {
        match replaced(earlier)?[..] {
            [(other, begin, end)]
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

/// The dimensions of which a part is replaced, each with the part.
fn replaced(op: &SliceAssignOpIr) -> Result<Vec<(usize, i32, i32)>, Refusal> {
    let sizes = op.tensor.shape.as_slice();
    let ranges = op.ranges.iter().zip(sizes).map(|(slice, &size)| (Range::new(slice, size), size));
    let partial = ranges.enumerate().filter(|(_, (range, _))| *range != Range::WHOLE);
    partial
        .map(|(dim, (range, size))| match range.stride {
            1 => Ok((dim, range.begin, range.end.unwrap_or(size as i32))),
            _ => {
                Err(Refusal::new("it replaces every other element: put the tensor together with Tensor::cat"))
            }
        })
        .collect()
}

/// A tensor with a block replaced: in each dimension, what is before it, a slab with the block, what is behind it.
fn replace_block(
    builder: &mut Builder<'_>,
    op: &SliceAssignOpIr,
    ranges: &[(usize, i32, i32)],
) -> Result<(), Refusal> {
    let base = builder.stored(&op.tensor)?;
    let order = base.layout.natural_order(builder.shape(base.tensor));
    let block = builder.operand(&op.value, &order)?;
    let tensor = block_in(builder, &base, block, ranges, &order);
    let layout = Layout::stored(builder.program.shape(op.out.id), &order);
    builder.bind(&op.out, Stored { tensor, layout }.into())
}

fn block_in(
    builder: &mut Builder<'_>,
    base: &Stored,
    block: TensorId,
    ranges: &[(usize, i32, i32)],
    order: &[usize],
) -> TensorId {
    let [(dim, begin, end), rest @ ..] = ranges else { return block };
    let mut shape = base.layout.shape();
    let size = shape.0[*dim].size as i32;
    let mut slab = block;
    if !rest.is_empty() {
        let tensor = narrowed(builder, base, *dim, (*begin, *end), order);
        shape.0[*dim] = Extent::fixed((end - begin) as usize);
        slab =
            block_in(builder, &Stored { tensor, layout: Layout::stored(&shape, order) }, block, rest, order);
    }
    let mut inputs = Vec::new();
    if *begin > 0 {
        inputs.push(Some(narrowed(builder, base, *dim, (0, *begin), order)));
    }
    inputs.push(Some(slab));
    if *end < size {
        inputs.push(Some(narrowed(builder, base, *dim, (*end, size), order)));
    }
    let options = ConcatenationOptions { axis: place(order, *dim), ..ConcatenationOptions::default() };
    let full = base.layout.shape();
    let full = Shape(order.iter().map(|&dim| full.0[dim]).collect());
    builder.operator(Op::Concatenation(options), &inputs, full)
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

#[cfg(test)]
mod tests {
    use burn::tensor::{Tensor, s};

    use crate::lower::testing::{FUNCTION, numbers, operators};

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
    fn a_replaced_block_stays_between_what_is_around_it() {
        let found = operators(&FUNCTION, numbers([2, 6, 5]), |_, x: Tensor<3>| {
            let [batch, ..] = x.dims();
            let block = x.clone().slice([0..batch, 0..2, 0..3]) * 2.0;
            x.slice_assign([0..batch, 3..5, 2..5], block)
        });
        assert_eq!(found.iter().filter(|name| *name == "CONCATENATION").count(), 2, "{found:?}");
    }
}
