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
    builder.bind(&op.out, value)
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
    builder.bind(out, value)
}

#[cfg(test)]
mod tests {
    use burn::module::Param;
    use burn::tensor::Tensor;
    use burn::tensor::activation::relu;

    use crate::lower::testing::{FUNCTION, numbers, operators, parameter};

    #[test]
    fn reshapes_in_a_row_are_one() {
        let found = operators(&FUNCTION, numbers([2, 6, 4]), |_, x: Tensor<3>| {
            relu(x.reshape([-1, 24])).reshape([-1, 2, 12]).reshape([-1, 2, 3, 4])
        });
        assert_eq!(found, ["RELU", "RESHAPE"]);
    }

    #[test]
    fn a_reshape_across_a_permutation_moves_the_elements_first() {
        let found =
            operators(&FUNCTION, numbers([2, 4, 6]), |_, x: Tensor<3>| x.swap_dims(1, 2).reshape([-1, 3, 8]));
        assert_eq!(found.iter().filter(|name| *name == "TRANSPOSE").count(), 1, "{found:?}");
    }

    #[test]
    fn a_reshape_without_a_common_cut_is_an_operator_of_its_own() {
        let found = operators(&FUNCTION, numbers([2, 4, 9]), |_, x: Tensor<3>| relu(x.reshape([-1, 6, 6])));
        assert_eq!(found, ["RESHAPE", "RELU"]);
    }

    #[test]
    fn constants_are_reshaped_and_permuted_when_the_module_is_exported() {
        let found = operators(&parameter([2, 3, 4]), numbers([3, 8]), |weights: &Param<Tensor<3>>, x| {
            x.matmul(weights.val().permute([2, 0, 1]).reshape([8, 3]))
        });
        assert_eq!(found, ["FULLY_CONNECTED"]);
    }
}
