//! Bits of integers, in two's complement, as the arithmetic that they are.

use burn::backend::ir::{ScalarIr, ScalarOpIr, UnaryOpIr};
use burnlite_tflite::Op;

use super::arithmetic::{mul_op, sub_op};
use super::element_type;
use super::elementwise::{elementwise, lower_scalar};
use crate::builder::Builder;
use crate::constant::Constant;
use crate::error::Refusal;

/// Every bit inverted: `-1 - x`.
pub(super) fn not(builder: &mut Builder<'_>, op: &UnaryOpIr) -> Result<(), Refusal> {
    let element_type = element_type(&op.out)?;
    let ones = Constant::scalar(ScalarIr::Int(-1), element_type)?;
    let x = builder.value(&op.input)?;
    let value = elementwise(builder, sub_op(), &[ones.into(), x], element_type)?;
    builder.bind(&op.out, value)
}

/// The lowest bits: the remainder of a power of two, never negative.
pub(super) fn and_scalar(builder: &mut Builder<'_>, op: &ScalarOpIr) -> Result<(), Refusal> {
    let mask = op.rhs.elem::<i64>();
    let modulus = mask.checked_add(1).filter(|modulus| mask >= 0 && modulus & mask == 0);
    let modulus = modulus.ok_or_else(|| {
        Refusal::new(
            "TensorFlow Lite has no operators on bits: a mask of the lowest bits alone is a remainder",
        )
    })?;
    lower_scalar(builder, Op::FloorMod, &op.lhs, ScalarIr::Int(modulus), &op.out)
}

/// A product with a power of two.
pub(super) fn left_shift_scalar(builder: &mut Builder<'_>, op: &ScalarOpIr) -> Result<(), Refusal> {
    let factor = power_of_two(op.rhs)?;
    lower_scalar(builder, mul_op(), &op.lhs, factor, &op.out)
}

/// A quotient with a power of two, rounded down.
pub(super) fn right_shift_scalar(builder: &mut Builder<'_>, op: &ScalarOpIr) -> Result<(), Refusal> {
    let divisor = power_of_two(op.rhs)?;
    lower_scalar(builder, Op::FloorDiv, &op.lhs, divisor, &op.out)
}

fn power_of_two(exponent: ScalarIr) -> Result<ScalarIr, Refusal> {
    let exponent = exponent.elem::<i64>();
    let power = u32::try_from(exponent).ok().filter(|&exponent| exponent < 31).map(|exponent| 1 << exponent);
    power
        .map(ScalarIr::Int)
        .ok_or_else(|| Refusal::new(format!("it shifts by {exponent} bits: shift by 0 to 30")))
}

#[cfg(test)]
mod tests {
    use burn::tensor::Tensor;

    use crate::lower::testing::{FUNCTION, numbers, operators, refusal};

    #[test]
    fn bits_are_burns_even_of_negative_numbers() {
        let found = operators(&FUNCTION, numbers([2, 6]), |_, x: Tensor<2>| {
            let x = (x * 100.0).int();
            let parts = x.clone().bitwise_and_scalar(15) + x.clone().bitwise_left_shift_scalar(2);
            (parts + x.clone().bitwise_right_shift_scalar(3) + x.bitwise_not()).float()
        });
        assert!(found.contains(&"FLOOR_DIV".into()) && found.contains(&"FLOOR_MOD".into()), "{found:?}");
    }

    #[test]
    fn a_mask_of_other_bits_is_refused() {
        let message =
            refusal(&FUNCTION, numbers([2, 6]), |_, x: Tensor<2>| x.int().bitwise_and_scalar(10).float());
        assert!(message.contains("a mask of the lowest bits"), "{message}");
    }
}
