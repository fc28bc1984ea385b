//! Tensors with a border, several times, or backwards.

use burn::backend::ir::{FlipOpIr, PadModeIr, PadOpIr, RepeatDimOpIr, ShapeOpIr, TensorIr};
use burnlite_tflite::{MirrorPadMode, MirrorPadOptions, Op, TensorId};

use super::index::gathered;
use super::reduce::place;
use super::window::integer;
use crate::builder::{Builder, Stored};
use crate::constant::{Constant, element_type};
use crate::error::Refusal;
use crate::layout::Layout;
use crate::shape::Extent;

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
        PadModeIr::Edge => edge(builder, x, &order, op),
    }
}

/// A border that repeats the edge: GATHER along each dimension that has one.
fn edge(builder: &mut Builder<'_>, x: TensorId, order: &[usize], op: &PadOpIr) -> Result<(), Refusal> {
    let mut shape = builder.program.shape(op.input.id).clone();
    let mut stored = Stored { tensor: x, layout: Layout::stored(&shape, order) };
    for (dim, &(before, after)) in op.padding.iter().enumerate().filter(|(_, border)| **border != (0, 0)) {
        let last = integer(shape.0[dim].size.saturating_sub(1))?;
        let (before, after) = (integer(before)?, integer(after)?);
        let indices: Vec<i32> = (-before..=last + after).map(|at| at.clamp(0, last)).collect();
        shape.0[dim] = Extent::fixed(indices.len());
        stored = gathered(builder, &stored, dim, &Constant::integers(&indices), order);
    }
    builder.bind(&op.out, stored.into())
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

/// A tensor backwards along dimensions: REVERSE_V2, which takes one at a time.
pub(super) fn flip(builder: &mut Builder<'_>, op: &FlipOpIr) -> Result<(), Refusal> {
    let (mut x, order) = builder.in_pieces(&op.input)?;
    for &dim in &op.axes {
        x = reversed(builder, x, place(&order, dim));
    }
    let layout = Layout::stored(builder.program.shape(op.out.id), &order);
    builder.bind(&op.out, Stored { tensor: x, layout }.into())
}

/// A tensor backwards along an axis: REVERSE_V2.
pub(super) fn reversed(builder: &mut Builder<'_>, tensor: TensorId, axis: i32) -> TensorId {
    let shape = builder.shape(tensor).clone();
    let axis = builder.add_integers("axis", &[axis]);
    builder.operator(Op::ReverseV2, &[Some(tensor), Some(axis)], shape)
}

#[cfg(test)]
mod tests {
    use burn::module::Param;
    use burn::tensor::Tensor;
    use burn::tensor::ops::PadMode;

    use crate::lower::testing::{FUNCTION, numbers, operators, parameter};

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
    fn an_edge_is_repeated_as_often_as_the_border_is_wide() {
        let found =
            operators(&FUNCTION, numbers([2, 3, 6, 5]), |_, x: Tensor<4>| x.pad((2, 0, 1, 3), PadMode::Edge));
        assert_eq!(found, ["GATHER", "GATHER"]);
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
}
