//! Sums of two tensors.

use burn::backend::ir::BinaryOpIr;

use crate::builder::{Builder, Value};
use crate::error::Refusal;
use crate::fold;

/// A sum with a constant that is a bias: part of the operator before it.
pub(super) fn add(builder: &mut Builder<'_>, op: &BinaryOpIr) -> Result<(), Refusal> {
    for (operand, addend) in [(&op.lhs, &op.rhs), (&op.rhs, &op.lhs)] {
        let Value::Constant(addend) = builder.value(addend)? else { continue };
        if let Some(stored) = fold::bias(builder, operand, &addend)? {
            builder.bind(&op.out, Value::Computed(stored));
            return Ok(());
        }
    }
    Err(Refusal::new("a sum is supported only as the bias of a convolution or a dense layer before it"))
}

#[cfg(test)]
mod tests {
    use burn::module::Param;
    use burn::tensor::Tensor;
    use burn::tensor::activation::relu;
    use burn::tensor::module::conv2d;
    use burn::tensor::ops::ConvOptions;

    use crate::lower::testing::{FUNCTION, numbers, operators, parameter, refusal};

    #[test]
    fn a_sum_with_one_number_per_channel_is_a_bias() {
        let module = (parameter([3, 1, 2, 2]), parameter([3]));
        let forward = |module: &(Param<Tensor<4>>, Param<Tensor<1>>), x: Tensor<4>| {
            let y = conv2d(x, module.0.val(), None, ConvOptions::new([1, 1], [0, 0], [1, 1], 1));
            relu(module.1.val().reshape([1, 3, 1, 1]) + y).permute([0, 2, 3, 1])
        };
        assert_eq!(operators(&module, numbers([2, 1, 4, 5]), forward), ["RESHAPE", "CONV_2D"]);
    }

    #[test]
    fn biases_add_up_in_the_order_of_the_stored_channels() {
        let module = (parameter([4, 6]), parameter([6]), parameter([3, 2]));
        type Layer = (Param<Tensor<2>>, Param<Tensor<1>>, Param<Tensor<2>>);
        let forward = |module: &Layer, x: Tensor<2>| {
            let y = x.matmul(module.0.val()) + module.1.val().reshape([1, 6]);
            y.reshape([-1, 2, 3]).swap_dims(1, 2) + module.2.val().reshape([1, 3, 2])
        };
        let found = operators(&module, numbers([2, 4]), forward);
        assert_eq!(found, ["FULLY_CONNECTED", "RESHAPE", "TRANSPOSE"]);
    }

    #[test]
    fn other_sums_are_refused() {
        let message = refusal(&FUNCTION, numbers([2, 4]), |_, x: Tensor<2>| x.clone() + x);
        assert!(message.contains("(NumericFloat.Add) from [N, 4] and [N, 4] to [N, 4]"), "{message}");
        let after_relu = refusal(&parameter([4, 4]), numbers([2, 4]), |weights: &Param<Tensor<2>>, x| {
            relu(x.matmul(weights.val())) + numbers([1, 4]).to_device(&weights.val().device())
        });
        assert!(after_relu.contains("only as the bias"), "{after_relu}");
    }
}
