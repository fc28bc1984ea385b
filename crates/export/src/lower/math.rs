//! Functions of each element.

use std::slice;

use burn::backend::ir::{BinaryOpIr, CastOpIr, TensorIr, UnaryOpIr};
use burnlite_tflite::{CastOptions, ElementType, Op};

use super::arithmetic::{add_op, div_op, mul_op, sub_op};
use super::elementwise::{elementwise, lower};
use super::unsupported;
use crate::builder::{Builder, Value};
use crate::constant::{Constant, element_type};
use crate::error::Refusal;

/// An operator on floats of one operand.
pub(super) fn unary(builder: &mut Builder<'_>, operator: Op, op: &UnaryOpIr) -> Result<(), Refusal> {
    lower(builder, operator, &[&op.input], &op.out)
}

/// Elements as another type.
pub(super) fn cast(builder: &mut Builder<'_>, op: &CastOpIr) -> Result<(), Refusal> {
    let value = builder.value(&op.input)?;
    let value = converted(builder, value, element_type(op.input.dtype)?, element_type(op.out.dtype)?)?;
    builder.bind(&op.out, value)
}

/// Elements as another type: CAST, or nothing where the types are the same.
pub(super) fn converted(
    builder: &mut Builder<'_>,
    value: Value,
    from: ElementType,
    to: ElementType,
) -> Result<Value, Refusal> {
    if from == to {
        return Ok(value);
    }
    elementwise(builder, Op::Cast(CastOptions { in_data_type: from, out_data_type: to }), &[value], to)
}

/// The sign: -1, 0 or 1.
pub(super) fn sign(builder: &mut Builder<'_>, op: &UnaryOpIr) -> Result<(), Refusal> {
    let element_type = element_type(op.out.dtype)?;
    let mut result = None;
    for (comparison, number) in [(Op::Greater, 1), (Op::Less, -1)] {
        let (x, zero) = (builder.value(&op.input)?, number_of(0, element_type)?);
        let mask = elementwise(builder, comparison, &[x, zero.clone()], ElementType::Bool)?;
        let (number, other) = (number_of(number, element_type)?, result.unwrap_or(zero));
        result = Some(elementwise(builder, Op::SelectV2, &[mask, number, other], element_type)?);
    }
    match result {
        Some(value) => builder.bind(&op.out, value),
        None => unsupported(),
    }
}

fn number_of(number: i64, element_type: ElementType) -> Result<Value, Refusal> {
    Constant::scalar(burn::backend::ir::ScalarIr::Int(number), element_type).map(Value::Constant)
}

fn float_of(number: f32) -> Value {
    Constant::floats(&[], vec![number]).into()
}

/// The result of an operator on floats.
fn floats(builder: &mut Builder<'_>, op: Op, operands: &[Value]) -> Result<Value, Refusal> {
    elementwise(builder, op, operands, ElementType::Float32)
}

/// `log(1 + x)`.
pub(super) fn log1p(builder: &mut Builder<'_>, op: &UnaryOpIr) -> Result<(), Refusal> {
    let x = builder.value(&op.input)?;
    let sum = floats(builder, add_op(), &[x, float_of(1.0)])?;
    let value = floats(builder, Op::Log, &[sum])?;
    builder.bind(&op.out, value)
}

/// `sin(x) / cos(x)`.
pub(super) fn tan(builder: &mut Builder<'_>, op: &UnaryOpIr) -> Result<(), Refusal> {
    let x = builder.value(&op.input)?;
    let (sine, cosine) = (floats(builder, Op::Sin, slice::from_ref(&x))?, floats(builder, Op::Cos, &[x])?);
    let value = floats(builder, div_op(), &[sine, cosine])?;
    builder.bind(&op.out, value)
}

/// `(e^x ± e^-x) / 2`.
pub(super) fn hyperbolic(builder: &mut Builder<'_>, op: &UnaryOpIr, join: Op) -> Result<(), Refusal> {
    let x = builder.value(&op.input)?;
    let negated = floats(builder, Op::Neg, slice::from_ref(&x))?;
    let (rising, falling) = (floats(builder, Op::Exp, &[x])?, floats(builder, Op::Exp, &[negated])?);
    let joined = floats(builder, join, &[rising, falling])?;
    let value = floats(builder, mul_op(), &[joined, float_of(0.5)])?;
    builder.bind(&op.out, value)
}

/// The integer part.
pub(super) fn trunc(builder: &mut Builder<'_>, op: &UnaryOpIr) -> Result<(), Refusal> {
    let x = builder.value(&op.input)?;
    let (down, up) =
        (floats(builder, Op::Floor, slice::from_ref(&x))?, floats(builder, Op::Ceil, slice::from_ref(&x))?);
    let is_negative = elementwise(builder, Op::Less, &[x, float_of(0.0)], ElementType::Bool)?;
    let value = floats(builder, Op::SelectV2, &[is_negative, up, down])?;
    builder.bind(&op.out, value)
}

/// `1 / x`.
pub(super) fn recip(builder: &mut Builder<'_>, op: &UnaryOpIr) -> Result<(), Refusal> {
    let x = builder.value(&op.input)?;
    let value = floats(builder, div_op(), &[float_of(1.0), x])?;
    builder.bind(&op.out, value)
}

/// `sqrt(x * x + y * y)`.
pub(super) fn hypot(builder: &mut Builder<'_>, op: &BinaryOpIr) -> Result<(), Refusal> {
    let mut square = |operand: &TensorIr| {
        let x = builder.value(operand)?;
        floats(builder, mul_op(), &[x.clone(), x])
    };
    let squares = [square(&op.lhs)?, square(&op.rhs)?];
    let sum = floats(builder, add_op(), &squares)?;
    let value = floats(builder, Op::Sqrt, &[sum])?;
    builder.bind(&op.out, value)
}

/// `log(x + sqrt(x² + 1))`, of the magnitude and with the sign put back, for else the sum of a negative number cancels out.
pub(super) fn arc_sinh(builder: &mut Builder<'_>, op: &UnaryOpIr) -> Result<(), Refusal> {
    let x = builder.value(&op.input)?;
    let magnitude = floats(builder, Op::Abs, slice::from_ref(&x))?;
    let square = floats(builder, mul_op(), &[x.clone(), x.clone()])?;
    let log = log_of_sum_with_root(builder, magnitude, square, 1.0)?;
    let negated = floats(builder, Op::Neg, slice::from_ref(&log))?;
    let is_negative = elementwise(builder, Op::Less, &[x, float_of(0.0)], ElementType::Bool)?;
    let value = floats(builder, Op::SelectV2, &[is_negative, negated, log])?;
    builder.bind(&op.out, value)
}

/// `log(x + sqrt(x² - 1))`.
pub(super) fn arc_cosh(builder: &mut Builder<'_>, op: &UnaryOpIr) -> Result<(), Refusal> {
    let x = builder.value(&op.input)?;
    let square = floats(builder, mul_op(), &[x.clone(), x.clone()])?;
    let value = log_of_sum_with_root(builder, x, square, -1.0)?;
    builder.bind(&op.out, value)
}

/// `log(x + sqrt(square + addend))`.
fn log_of_sum_with_root(
    builder: &mut Builder<'_>,
    x: Value,
    square: Value,
    addend: f32,
) -> Result<Value, Refusal> {
    let shifted = floats(builder, add_op(), &[square, float_of(addend)])?;
    let root = floats(builder, Op::Sqrt, &[shifted])?;
    let sum = floats(builder, add_op(), &[x, root])?;
    floats(builder, Op::Log, &[sum])
}

/// `(log(1 + x) - log(1 - x)) / 2`.
pub(super) fn arc_tanh(builder: &mut Builder<'_>, op: &UnaryOpIr) -> Result<(), Refusal> {
    let x = builder.value(&op.input)?;
    let above = floats(builder, add_op(), &[x.clone(), float_of(1.0)])?;
    let below = floats(builder, sub_op(), &[float_of(1.0), x])?;
    let (above, below) = (floats(builder, Op::Log, &[above])?, floats(builder, Op::Log, &[below])?);
    let difference = floats(builder, sub_op(), &[above, below])?;
    let value = floats(builder, mul_op(), &[difference, float_of(0.5)])?;
    builder.bind(&op.out, value)
}

#[cfg(test)]
mod tests {
    use burn::tensor::Tensor;

    use crate::lower::testing::{FUNCTION, numbers, operators, refusal};

    #[test]
    fn every_function_is_burns() {
        type Function = fn(Tensor<2>) -> Tensor<2>;
        let cases: [Function; 24] = [
            |x| x.exp(),
            |x| (x + 2.0).log(),
            |x| (x + 2.0).sqrt(),
            |x| x.cos(),
            |x| x.sin(),
            |x| x.tan(),
            |x| x.tanh(),
            |x| x.sinh(),
            |x| x.cosh(),
            |x| x.log1p(),
            |x| (x * 5.0).round(),
            |x| (x * 5.0).floor(),
            |x| (x * 5.0).ceil(),
            |x| (x * 5.0).trunc(),
            |x| (x + 2.0).recip(),
            |x| x.abs(),
            |x| x.neg(),
            |x| x.sign(),
            |x| (x + 2.0).powf_scalar(-0.5),
            |x| (x.clone() + 2.0).powf(x),
            |x| x.square(),
            |x| x.asinh(),
            |x| (x + 2.0).acosh(),
            |x| (x * 0.9).atanh(),
        ];
        for function in cases {
            assert!(!operators(&FUNCTION, numbers([2, 5]), |_, x| function(x)).is_empty());
        }
    }

    #[test]
    fn a_function_without_an_operator_is_refused_with_a_hint() {
        let message = refusal(&FUNCTION, numbers([2, 5]), |_, x: Tensor<2>| x.erf());
        assert!(message.contains("(Float.Erf) from [N, 5] to [N, 5]"), "{message}");
        assert!(message.contains("use burn::tensor::activation::gelu"), "{message}");
    }
}
