//! Operations that compute nothing: other shapes, other orders of dimensions.

use burn::backend::ir::{PermuteOpIr, ShapeOpIr, SwapDimsOpIr, TensorIr};

use crate::builder::{Builder, Stored, Value};
use crate::error::Refusal;
use crate::layout::Layout;

/// Burn's reshape: another layout of the same stored tensor where that can be.
pub(super) fn reshape(builder: &mut Builder<'_>, op: &ShapeOpIr) -> Result<(), Refusal> {
    let shape = builder.program.shape(op.out.id).clone();
    let value = match builder.value(&op.input)? {
        Value::Constant(constant) => Value::Constant(constant.reshaped(&shape.sizes())),
        Value::Computed(stored) => Value::Computed(match stored.layout.reshaped(&shape) {
            Some(layout) => Stored { layout, ..stored },
            None => {
                let order: Vec<usize> = (0..stored.layout.rank()).collect();
                let tensor = builder.operand(&op.input, &order)?;
                let layout = Layout::row_major(&shape);
                Stored { tensor: builder.reshape(tensor, shape), layout }
            }
        }),
    };
    builder.bind(&op.out, value);
    Ok(())
}

/// Burn's permute: the same stored tensor, looked at in another order.
pub(super) fn permute(builder: &mut Builder<'_>, op: &PermuteOpIr) -> Result<(), Refusal> {
    reorder(builder, &op.input, &op.axes, &op.out)
}

/// Burn's transpose of two dimensions.
pub(super) fn swap_dims(builder: &mut Builder<'_>, op: &SwapDimsOpIr) -> Result<(), Refusal> {
    let mut order: Vec<usize> = (0..builder.program.shape(op.input.id).0.len()).collect();
    order.swap(op.dim1, op.dim2);
    reorder(builder, &op.input, &order, &op.out)
}

fn reorder(
    builder: &mut Builder<'_>,
    input: &TensorIr,
    order: &[usize],
    out: &TensorIr,
) -> Result<(), Refusal> {
    let value = match builder.value(input)? {
        Value::Constant(constant) => Value::Constant(constant.permuted(order)),
        Value::Computed(stored) => {
            Value::Computed(Stored { layout: stored.layout.permuted(order), ..stored })
        }
    };
    builder.bind(out, value);
    Ok(())
}
