//! Functions of each element.

use std::slice;

use burn::backend::ir::{BinaryOpIr, CastOpIr, FloatOperationIr, TensorIr, UnaryOpIr};
use burnlite_tflite::{CastOptions, ElementType, Op};

use super::arithmetic::{add_op, div_op, mul_op, pow_scalar, sub_op};
use super::elementwise::{elementwise, lower};
use super::{dense, unsupported};
use crate::builder::{Builder, Value};
use crate::constant::{Constant, element_type};
use crate::error::Refusal;

/// Burn's operations on floats.
pub(super) fn float(builder: &mut Builder<'_>, operation: &FloatOperationIr) -> Result<(), Refusal> {
    let mut unary = |op: Op, ir: &UnaryOpIr| lower(builder, op, &[&ir.input], &ir.out);
    match operation {
        FloatOperationIr::Exp(op) => unary(Op::Exp, op),
        FloatOperationIr::Log(op) => unary(Op::Log, op),
        FloatOperationIr::Sqrt(op) => unary(Op::Sqrt, op),
        FloatOperationIr::Cos(op) => unary(Op::Cos, op),
        FloatOperationIr::Sin(op) => unary(Op::Sin, op),
        FloatOperationIr::Tanh(op) => unary(Op::Tanh, op),
        FloatOperationIr::Round(op) => unary(Op::Round, op),
        FloatOperationIr::Floor(op) => unary(Op::Floor, op),
        FloatOperationIr::Ceil(op) => unary(Op::Ceil, op),
        FloatOperationIr::Log1p(op) => log1p(builder, op),
        FloatOperationIr::Tan(op) => tan(builder, op),
        FloatOperationIr::Sinh(op) => hyperbolic(builder, op, sub_op()),
        FloatOperationIr::Cosh(op) => hyperbolic(builder, op, add_op()),
        FloatOperationIr::Trunc(op) => trunc(builder, op),
        FloatOperationIr::Recip(op) => recip(builder, op),
        FloatOperationIr::PowfScalar(op) => pow_scalar(builder, op),
        FloatOperationIr::Powf(op) => lower(builder, Op::Pow, &[&op.lhs, &op.rhs], &op.out),
        FloatOperationIr::Hypot(op) => hypot(builder, op),
        FloatOperationIr::IntoInt(op) => cast(builder, op),
        FloatOperationIr::IsNan(op) => lower(builder, Op::NotEqual, &[&op.input, &op.input], &op.out),
        FloatOperationIr::IsInf(op) => is_inf(builder, op),
        FloatOperationIr::Matmul(op) => dense::matmul(builder, op),
        FloatOperationIr::Erf(_) => Err(Refusal::new(
            "TensorFlow Lite has no error function: use burn::tensor::activation::gelu, which has an operator",
        )),
        FloatOperationIr::Random(_) => {
            Err(Refusal::new("a model gives the same result each time: pass the random numbers as an input"))
        }
        FloatOperationIr::GridSample2d(_) => {
            Err(Refusal::new("TensorFlow Lite has no sampling at computed positions: use interpolate"))
        }
        _ => unsupported(),
    }
}

/// Elements as another type: CAST, or nothing where the types are the same.
pub(super) fn cast(builder: &mut Builder<'_>, op: &CastOpIr) -> Result<(), Refusal> {
    let (from, to) = (element_type(op.input.dtype)?, element_type(op.out.dtype)?);
    if from == to {
        let value = builder.value(&op.input)?;
        return builder.bind(&op.out, value);
    }
    let options = CastOptions { in_data_type: from, out_data_type: to };
    lower(builder, Op::Cast(options), &[&op.input], &op.out)
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

fn log1p(builder: &mut Builder<'_>, op: &UnaryOpIr) -> Result<(), Refusal> {
    let x = builder.value(&op.input)?;
    let sum = floats(builder, add_op(), &[x, float_of(1.0)])?;
    let value = floats(builder, Op::Log, &[sum])?;
    builder.bind(&op.out, value)
}

fn tan(builder: &mut Builder<'_>, op: &UnaryOpIr) -> Result<(), Refusal> {
    let x = builder.value(&op.input)?;
    let (sine, cosine) = (floats(builder, Op::Sin, slice::from_ref(&x))?, floats(builder, Op::Cos, &[x])?);
    let value = floats(builder, div_op(), &[sine, cosine])?;
    builder.bind(&op.out, value)
}

/// `(e^x ± e^-x) / 2`.
fn hyperbolic(builder: &mut Builder<'_>, op: &UnaryOpIr, join: Op) -> Result<(), Refusal> {
    let x = builder.value(&op.input)?;
    let negated = floats(builder, Op::Neg, slice::from_ref(&x))?;
    let (rising, falling) = (floats(builder, Op::Exp, &[x])?, floats(builder, Op::Exp, &[negated])?);
    let joined = floats(builder, join, &[rising, falling])?;
    let value = floats(builder, mul_op(), &[joined, float_of(0.5)])?;
    builder.bind(&op.out, value)
}

fn trunc(builder: &mut Builder<'_>, op: &UnaryOpIr) -> Result<(), Refusal> {
    let x = builder.value(&op.input)?;
    let (down, up) =
        (floats(builder, Op::Floor, slice::from_ref(&x))?, floats(builder, Op::Ceil, slice::from_ref(&x))?);
    let is_negative = elementwise(builder, Op::Less, &[x, float_of(0.0)], ElementType::Bool)?;
    let value = floats(builder, Op::SelectV2, &[is_negative, up, down])?;
    builder.bind(&op.out, value)
}

fn recip(builder: &mut Builder<'_>, op: &UnaryOpIr) -> Result<(), Refusal> {
    let x = builder.value(&op.input)?;
    let value = floats(builder, div_op(), &[float_of(1.0), x])?;
    builder.bind(&op.out, value)
}

fn hypot(builder: &mut Builder<'_>, op: &BinaryOpIr) -> Result<(), Refusal> {
    let mut square = |operand: &TensorIr| {
        let x = builder.value(operand)?;
        floats(builder, mul_op(), &[x.clone(), x])
    };
    let squares = [square(&op.lhs)?, square(&op.rhs)?];
    let sum = floats(builder, add_op(), &squares)?;
    let value = floats(builder, Op::Sqrt, &[sum])?;
    builder.bind(&op.out, value)
}

fn is_inf(builder: &mut Builder<'_>, op: &UnaryOpIr) -> Result<(), Refusal> {
    let x = builder.value(&op.input)?;
    let magnitude = floats(builder, Op::Abs, &[x])?;
    let value = elementwise(builder, Op::Equal, &[magnitude, float_of(f32::INFINITY)], ElementType::Bool)?;
    builder.bind(&op.out, value)
}

#[cfg(test)]
mod tests {
    use burn::tensor::Tensor;

    use crate::lower::testing::{FUNCTION, numbers, operators, refusal};

    #[test]
    fn every_function_is_burns() {
        type Function = fn(Tensor<2>) -> Tensor<2>;
        let cases: [Function; 21] = [
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
