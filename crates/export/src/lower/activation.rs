//! Activations.

use std::slice;

use burn::backend::ir::{ClampOpIr, DimOpIr, HardSigmoidOpIr, ScalarIr, ScalarOpIr, TensorIr, UnaryOpIr};
use burnlite_tflite::{Activation, ElementType, GeluOptions, LeakyReluOptions, Op, SoftmaxOptions};

use super::arithmetic::{add_op, clamp, mul_op};
use super::elementwise::{elementwise, lower};
use crate::builder::{Builder, Stored, Value};
use crate::constant::Constant;
use crate::error::Refusal;
use crate::fold;

/// `max(x, 0)`: part of the operator before it where that can be, RELU otherwise.
pub(super) fn relu(builder: &mut Builder<'_>, input: &TensorIr, out: &TensorIr) -> Result<(), Refusal> {
    fusible(builder, input, Activation::Relu, Op::Relu, out)
}

/// A tensor clamped to an interval; an activation where it is one of TensorFlow Lite's.
pub(super) fn clamp_both(builder: &mut Builder<'_>, op: &ClampOpIr) -> Result<(), Refusal> {
    let bounds = (op.min.elem::<f64>(), op.max.elem::<f64>());
    if element_is_float(&op.tensor) {
        if bounds == (0.0, 6.0) {
            return fusible(builder, &op.tensor, Activation::Relu6, Op::Relu6, &op.out);
        }
        if bounds == (-1.0, 1.0) {
            return fusible(builder, &op.tensor, Activation::ReluN1To1, Op::ReluN1To1, &op.out);
        }
    }
    clamp(builder, &op.tensor, (Some(op.min), Some(op.max)), &op.out)
}

/// `max(x, bound)`.
pub(super) fn clamp_min(builder: &mut Builder<'_>, op: &ScalarOpIr) -> Result<(), Refusal> {
    if element_is_float(&op.lhs) && op.rhs.elem::<f64>() == 0.0 {
        return relu(builder, &op.lhs, &op.out);
    }
    clamp(builder, &op.lhs, (Some(op.rhs), None), &op.out)
}

fn element_is_float(tensor: &TensorIr) -> bool {
    tensor.dtype == burn::backend::DType::F32
}

/// An activation that is part of the operator before it where that can be, an operator of its own otherwise.
fn fusible(
    builder: &mut Builder<'_>,
    input: &TensorIr,
    activation: Activation,
    op: Op,
    out: &TensorIr,
) -> Result<(), Refusal> {
    let name = op.name().to_lowercase();
    let operand = builder.value(input)?;
    match fold::activation(builder, &operand, activation, &name) {
        Some(stored) => builder.bind(out, stored.into()),
        None => lower(builder, op, &[input], out),
    }
}

/// `x` where it is positive, a part of it elsewhere.
pub(super) fn leaky_relu(builder: &mut Builder<'_>, op: &ScalarOpIr) -> Result<(), Refusal> {
    let options = LeakyReluOptions { alpha: op.rhs.elem() };
    lower(builder, Op::LeakyRelu(options), &[&op.lhs], &op.out)
}

/// GELU.
pub(super) fn gelu(builder: &mut Builder<'_>, op: &UnaryOpIr) -> Result<(), Refusal> {
    lower(builder, Op::Gelu(GeluOptions::default()), &[&op.input], &op.out)
}

/// `clamp(alpha * x + beta, 0, 1)`.
pub(super) fn hard_sigmoid(builder: &mut Builder<'_>, op: &HardSigmoidOpIr) -> Result<(), Refusal> {
    let number = |number: ScalarIr| Constant::scalar(number, ElementType::Float32).map(Value::Constant);
    let (alpha, beta) = (number(op.alpha)?, number(op.beta)?);
    let x = builder.value(&op.tensor)?;
    let scaled = elementwise(builder, mul_op(), &[x, alpha], ElementType::Float32)?;
    let shifted = elementwise(builder, add_op(), &[scaled, beta], ElementType::Float32)?;
    let value = elementwise(builder, Op::Relu0To1, &[shifted], ElementType::Float32)?;
    builder.bind(&op.out, value)
}

/// `-log(1 + exp(-x))` as `min(x, 0) - log(1 + exp(-|x|))`, which never overflows.
pub(super) fn log_sigmoid(builder: &mut Builder<'_>, op: &UnaryOpIr) -> Result<(), Refusal> {
    let x = builder.value(&op.input)?;
    let float = ElementType::Float32;
    let zero = || Constant::floats(&[], vec![0.0]).into();
    let one = || Constant::floats(&[], vec![1.0]).into();
    let magnitude = elementwise(builder, Op::Abs, slice::from_ref(&x), float)?;
    let negated = elementwise(builder, Op::Neg, &[magnitude], float)?;
    let power = elementwise(builder, Op::Exp, &[negated], float)?;
    let sum = elementwise(builder, add_op(), &[power, one()], float)?;
    let log = elementwise(builder, Op::Log, &[sum], float)?;
    let low = elementwise(builder, Op::Minimum, &[x, zero()], float)?;
    let value = elementwise(builder, super::arithmetic::sub_op(), &[low, log], float)?;
    builder.bind(&op.out, value)
}

/// `softmax(beta * x)` along a dimension.
pub(super) fn softmax(builder: &mut Builder<'_>, op: &DimOpIr, beta: f32) -> Result<(), Refusal> {
    along(builder, op, Op::Softmax(SoftmaxOptions { beta }))
}

/// An operator that works along the last dimension, applied along another one.
pub(super) fn along(builder: &mut Builder<'_>, op: &DimOpIr, operator: Op) -> Result<(), Refusal> {
    let stored = builder.stored(&op.input)?;
    let value = along_dim(builder, &stored, op.axis, operator);
    builder.bind(&op.out, value.into())
}

/// The result of an operator that works along the last dimension, applied along `dim`.
pub(super) fn along_dim(builder: &mut Builder<'_>, stored: &Stored, dim: usize, op: Op) -> Stored {
    let mut order = stored.layout.natural_order(builder.shape(stored.tensor));
    order.retain(|&other| other != dim);
    order.push(dim);
    let x = builder.arrange(stored, &stored.layout.groups(&order));
    let (element_type, shape) = (builder.element_type(x), stored.layout.shape());
    builder.stored_result(op, &[Some(x)], element_type, &shape, &order)
}

#[cfg(test)]
mod tests {
    use burn::module::Param;
    use burn::tensor::Tensor;
    use burn::tensor::activation::*;

    use crate::Exporter;
    use crate::lower::testing::{FUNCTION, numbers, operators, parameter};

    #[test]
    fn relu_alone_works_on_the_order_in_which_its_operand_is_stored() {
        let found = operators(&FUNCTION, numbers([2, 3, 4]), |_, x: Tensor<3>| {
            relu(x.swap_dims(1, 2)).swap_dims(1, 2)
        });
        assert_eq!(found, ["RELU"]);
    }

    #[test]
    fn relu_becomes_part_of_the_layer_before_it_through_a_reshape() {
        let found = operators(&parameter([4, 6]), numbers([2, 4]), |weights: &Param<Tensor<2>>, x| {
            relu(x.matmul(weights.val()).reshape([-1, 2, 3]))
        });
        assert_eq!(found, ["FULLY_CONNECTED", "RESHAPE"]);
    }

    #[test]
    fn relu_stays_alone_where_its_operand_is_wanted_too() {
        let forward = |weights: &Param<Tensor<2>>, x: Tensor<2>| {
            let y = x.matmul(weights.val());
            (relu(y.clone()), y)
        };
        let model = Exporter::new().export(&parameter([4, 6]), numbers([2, 4]), forward).unwrap();
        let names: Vec<&str> = model.graphs[0].operators.iter().map(|operator| operator.op.name()).collect();
        assert_eq!(names, ["FULLY_CONNECTED", "RELU"]);
    }

    #[test]
    fn every_activation_is_burns() {
        type Function = fn(Tensor<3>) -> Tensor<3>;
        let cases: [(&str, Function); 24] = [
            ("relu6", |x| relu6(x * 10.0)),
            ("leaky_relu", |x| leaky_relu(x, 0.1)),
            ("gelu", gelu),
            ("gelu_approximate", gelu_approximate),
            ("sigmoid", sigmoid),
            ("hard_sigmoid", |x| hard_sigmoid(x, 0.3, 0.4)),
            ("log_sigmoid", |x| log_sigmoid(x * 30.0)),
            ("softmax", |x| softmax(x, 2)),
            ("softmax_1", |x| softmax(x, 1)),
            ("softmin", |x| softmin(x, 2)),
            ("log_softmax", |x| log_softmax(x, 2)),
            ("quiet_softmax", |x| quiet_softmax(x, 2)),
            ("softplus", |x| softplus(x * 30.0, 1.0)),
            ("silu", silu),
            ("hard_swish", hard_swish),
            ("mish", mish),
            ("tanh", tanh),
            ("elu", |x| elu(x, 0.7)),
            ("celu", |x| celu(x, 0.7)),
            ("selu", selu),
            ("softsign", softsign),
            ("hard_tanh", |x| hardtanh(x, -0.5, 0.5)),
            ("tanhshrink", tanhshrink),
            ("glu", |x| glu(Tensor::cat(vec![x.clone(), x], 2), 2)),
        ];
        for (name, function) in cases {
            let found = operators(&FUNCTION, numbers([2, 3, 4]), |_, x| function(x));
            assert!(!found.is_empty(), "{name}");
        }
    }

    #[test]
    fn slopes_of_channels_are_an_operand() {
        let found =
            operators(&parameter([3]), numbers([2, 3, 4]), |slopes: &Param<Tensor<1>>, x: Tensor<3>| {
                prelu(x, slopes.val())
            });
        assert_eq!(found, ["PRELU"]);
    }
}
