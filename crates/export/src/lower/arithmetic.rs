//! Arithmetic of two tensors, or of a tensor and a number.

use burn::backend::ir::{ActivationOperationIr, BinaryOpIr, OperationIr, ScalarIr, ScalarOpIr, TensorIr};
use burnlite_tflite::{AddOptions, DivOptions, ElementType, MulOptions, Op, SubOptions};

use super::elementwise::{elementwise, lower, lower_scalar};
use super::math::converted;
use crate::builder::{Builder, Value};
use crate::constant::{Constant, element_type};
use crate::error::Refusal;
use crate::fold;

/// ADD as it is written today: without the arithmetic of shifts.
pub(super) fn add_op() -> Op {
    Op::Add(AddOptions { pot_scale_int16: false, ..AddOptions::default() })
}

/// SUB as it is written today.
pub(super) fn sub_op() -> Op {
    Op::Sub(SubOptions { pot_scale_int16: false, ..SubOptions::default() })
}

/// MUL.
pub(super) fn mul_op() -> Op {
    Op::Mul(MulOptions::default())
}

/// DIV.
pub(super) fn div_op() -> Op {
    Op::Div(DivOptions::default())
}

/// A sum; with a constant that is a bias, part of the operator before it.
pub(super) fn add(builder: &mut Builder<'_>, op: &BinaryOpIr) -> Result<(), Refusal> {
    for (operand, addend) in [(&op.lhs, &op.rhs), (&op.rhs, &op.lhs)] {
        if let Value::Constant(addend) = builder.value(addend)? {
            let operand = builder.value(operand)?;
            let value = sum(builder, operand, addend)?;
            return builder.bind(&op.out, value);
        }
    }
    lower(builder, add_op(), &[&op.lhs, &op.rhs], &op.out)
}

/// A difference; without a constant, part of the operator before it.
pub(super) fn sub(builder: &mut Builder<'_>, op: &BinaryOpIr) -> Result<(), Refusal> {
    if let (Value::Constant(subtrahend), Ok(true)) = (builder.value(&op.rhs)?, is_float(&op.rhs)) {
        let negated = subtrahend.to_floats()?.into_iter().map(|element| -element).collect();
        let addend = Constant::floats(&subtrahend.shape, negated);
        if let Some(stored) = fold::bias(builder, &builder.value(&op.lhs)?, &addend)? {
            return builder.bind(&op.out, Value::Computed(stored));
        }
    }
    lower(builder, sub_op(), &[&op.lhs, &op.rhs], &op.out)
}

/// A product; with a constant for each channel, part of the operator before it.
pub(super) fn mul(builder: &mut Builder<'_>, op: &BinaryOpIr) -> Result<(), Refusal> {
    for (operand, factor) in [(&op.lhs, &op.rhs), (&op.rhs, &op.lhs)] {
        if let Value::Constant(factor) = builder.value(factor)? {
            let operand = builder.value(operand)?;
            let value = product(builder, operand, factor)?;
            return builder.bind(&op.out, value);
        }
        if is_hard_swish(builder, operand, factor) {
            return lower(builder, Op::HardSwish, &[operand], &op.out);
        }
    }
    lower(builder, mul_op(), &[&op.lhs, &op.rhs], &op.out)
}

/// A quotient.
pub(super) fn div(builder: &mut Builder<'_>, op: &BinaryOpIr) -> Result<(), Refusal> {
    let divisor = builder.value(&op.rhs)?;
    if let (Value::Constant(divisor), Ok(true)) = (&divisor, is_float(&op.rhs)) {
        let inverse = divisor.to_floats()?.into_iter().map(f32::recip).collect();
        let factor = Constant::floats(&divisor.shape, inverse);
        let dividend = builder.value(&op.lhs)?;
        let value = product(builder, dividend, factor)?;
        return builder.bind(&op.out, value);
    }
    lower(builder, div_op(), &[&op.lhs, &op.rhs], &op.out)
}

/// A tensor plus a number.
pub(super) fn add_scalar(builder: &mut Builder<'_>, op: &ScalarOpIr) -> Result<(), Refusal> {
    let addend = Constant::scalar(op.rhs, element_type(op.lhs.dtype)?)?;
    let operand = builder.value(&op.lhs)?;
    let value = sum(builder, operand, addend)?;
    builder.bind(&op.out, value)
}

/// A tensor minus a number.
pub(super) fn sub_scalar(builder: &mut Builder<'_>, op: &ScalarOpIr) -> Result<(), Refusal> {
    if is_float(&op.lhs)? {
        let addend = Constant::floats(&[], vec![-op.rhs.elem::<f32>()]);
        if let Some(stored) = fold::bias(builder, &builder.value(&op.lhs)?, &addend)? {
            return builder.bind(&op.out, stored.into());
        }
    }
    lower_scalar(builder, sub_op(), &op.lhs, op.rhs, &op.out)
}

/// A tensor times a number.
pub(super) fn mul_scalar(builder: &mut Builder<'_>, op: &ScalarOpIr) -> Result<(), Refusal> {
    times(builder, op, op.rhs)
}

/// A tensor divided by a number: times its inverse, which integer kernels have too.
pub(super) fn div_scalar(builder: &mut Builder<'_>, op: &ScalarOpIr) -> Result<(), Refusal> {
    if is_float(&op.lhs)? {
        return times(builder, op, ScalarIr::Float(1.0 / op.rhs.elem::<f64>()));
    }
    lower_scalar(builder, div_op(), &op.lhs, op.rhs, &op.out)
}

fn times(builder: &mut Builder<'_>, op: &ScalarOpIr, factor: ScalarIr) -> Result<(), Refusal> {
    let factor = Constant::scalar(factor, element_type(op.lhs.dtype)?)?;
    let operand = builder.value(&op.lhs)?;
    let value = product(builder, operand, factor)?;
    builder.bind(&op.out, value)
}

/// A power.
pub(super) fn pow(builder: &mut Builder<'_>, op: &BinaryOpIr) -> Result<(), Refusal> {
    let exponent = builder.value(&op.rhs)?;
    let exponent = converted(builder, exponent, element_type(op.rhs.dtype)?, power_type(&op.lhs)?)?;
    power(builder, &op.lhs, exponent, &op.out)
}

/// A power with a number as the exponent.
pub(super) fn pow_scalar(builder: &mut Builder<'_>, op: &ScalarOpIr) -> Result<(), Refusal> {
    let exponent = op.rhs.elem::<f64>();
    if exponent == 2.0 {
        lower(builder, mul_op(), &[&op.lhs, &op.lhs], &op.out)
    } else if exponent == 0.5 {
        lower(builder, Op::Sqrt, &[&op.lhs], &op.out)
    } else if exponent == -0.5 {
        lower(builder, Op::Rsqrt, &[&op.lhs], &op.out)
    } else {
        let exponent = Constant::scalar(op.rhs, power_type(&op.lhs)?)?;
        power(builder, &op.lhs, exponent.into(), &op.out)
    }
}

/// A power of the type of `base`: POW.
fn power(builder: &mut Builder<'_>, base: &TensorIr, exponent: Value, out: &TensorIr) -> Result<(), Refusal> {
    let (result_type, power_type) = (element_type(base.dtype)?, power_type(base)?);
    let value = builder.value(base)?;
    let value = converted(builder, value, result_type, power_type)?;
    let value = elementwise(builder, Op::Pow, &[value, exponent], power_type)?;
    let value = converted(builder, value, power_type, result_type)?;
    builder.bind(out, value)
}

/// The type in which POW computes: floats, or integers of 32 bits.
fn power_type(base: &TensorIr) -> Result<ElementType, Refusal> {
    Ok(match element_type(base.dtype)? {
        ElementType::Int64 | ElementType::Int16 | ElementType::Int8 | ElementType::UInt8 => {
            ElementType::Int32
        }
        other => other,
    })
}

/// A tensor clamped to an interval.
pub(super) fn clamp(
    builder: &mut Builder<'_>,
    operand: &TensorIr,
    (min, max): (Option<ScalarIr>, Option<ScalarIr>),
    out: &TensorIr,
) -> Result<(), Refusal> {
    let element_type = element_type(operand.dtype)?;
    let mut value = builder.value(operand)?;
    for (bound, op) in [(min, Op::Maximum), (max, Op::Minimum)] {
        if let Some(bound) = bound {
            let bound = Constant::scalar(bound, element_type)?;
            value = elementwise(builder, op, &[value, bound.into()], element_type)?;
        }
    }
    builder.bind(out, value)
}

/// `operand + addend`, the addend in the bias of the operator before it where that can be.
pub(super) fn sum(builder: &mut Builder<'_>, operand: Value, addend: Constant) -> Result<Value, Refusal> {
    if let Some(stored) = fold::bias(builder, &operand, &addend)? {
        return Ok(stored.into());
    }
    let element_type = addend.element_type;
    elementwise(builder, add_op(), &[operand, addend.into()], element_type)
}

/// `operand * factor`, the factor in the weights of the operator before it where that can be.
pub(super) fn product(builder: &mut Builder<'_>, operand: Value, factor: Constant) -> Result<Value, Refusal> {
    if let Some(stored) = fold::scale(builder, &operand, &factor)? {
        return Ok(stored.into());
    }
    let element_type = factor.element_type;
    elementwise(builder, mul_op(), &[operand, factor.into()], element_type)
}

fn is_float(tensor: &TensorIr) -> Result<bool, Refusal> {
    Ok(element_type(tensor.dtype)? == burnlite_tflite::ElementType::Float32)
}

/// Whether `factor` is the hard sigmoid of `operand`, with the slope of HARD_SWISH.
fn is_hard_swish(builder: &Builder<'_>, operand: &TensorIr, factor: &TensorIr) -> bool {
    let Some(OperationIr::Activation(ActivationOperationIr::HardSigmoid(gate))) =
        builder.program.producer(factor.id)
    else {
        return false;
    };
    let is = |number: ScalarIr, expected: f64| (number.elem::<f64>() - expected).abs() < 1e-6;
    gate.tensor.id == operand.id && is(gate.alpha, 1.0 / 6.0) && is(gate.beta, 0.5)
}

#[cfg(test)]
mod tests {
    use burn::module::Param;
    use burn::tensor::Tensor;
    use burn::tensor::activation::{hard_swish, relu};
    use burn::tensor::module::conv2d;
    use burn::tensor::ops::ConvOptions;

    use crate::lower::testing::{FUNCTION, numbers, operators, parameter};

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
    fn factors_and_biases_of_each_channel_are_part_of_the_convolution() {
        let module = (parameter([3, 1, 2, 2]), parameter([3]));
        let forward = |module: &(Param<Tensor<4>>, Param<Tensor<1>>), x: Tensor<4>| {
            let y =
                conv2d(x, module.0.val(), Some(module.1.val()), ConvOptions::new([1, 1], [0, 0], [1, 1], 1));
            let channels = module.1.val().reshape([1, 3, 1, 1]);
            relu((y - channels.clone()) / channels.clone() * channels.clone() + channels)
                .permute([0, 2, 3, 1])
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
    fn numbers_are_part_of_the_layer_before_them() {
        let found = operators(&parameter([4, 4]), numbers([2, 4]), |weights: &Param<Tensor<2>>, x| {
            relu(((x.matmul(weights.val()) + 1.0) * 2.0 - 0.5) / 4.0)
        });
        assert_eq!(found, ["FULLY_CONNECTED"]);
    }

    #[test]
    fn a_bias_after_an_activation_is_a_sum_of_its_own() {
        let found = operators(&parameter([4, 4]), numbers([2, 4]), |weights: &Param<Tensor<2>>, x| {
            relu(x.matmul(weights.val())) + numbers([1, 4]).to_device(&weights.val().device())
        });
        assert_eq!(found, ["FULLY_CONNECTED", "ADD"]);
    }

    #[test]
    fn numbers_are_constants_without_dimensions() {
        let found = operators(&FUNCTION, numbers([2, 4]), |_, x: Tensor<2>| {
            (((x + 3.0) * 2.0 - 0.5) / 4.0).powf_scalar(1.5).powi_scalar(2).clamp(0.1, 0.9)
        });
        assert_eq!(found, ["ADD", "MUL", "SUB", "MUL", "POW", "MUL", "MAXIMUM", "MINIMUM"]);
    }

    #[test]
    fn quotients_and_differences_of_tensors_are_operators() {
        let found = operators(&FUNCTION, numbers([2, 4]), |_, x: Tensor<2>| {
            (x.clone() - x.clone().exp()) / (x.exp() + 1.0)
        });
        assert_eq!(found, ["EXP", "SUB", "EXP", "ADD", "DIV"]);
    }

    #[test]
    fn a_hard_swish_is_one_operator() {
        let found = operators(&FUNCTION, numbers([2, 4]), |_, x: Tensor<2>| hard_swish(x * 6.0));
        assert_eq!(found, ["MUL", "HARD_SWISH"]);
    }
}
