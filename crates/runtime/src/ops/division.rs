//! DIV, FLOOR_DIV, FLOOR_MOD and POW, of numbers without scales.

use burnlite_tflite::{DivOptions, ElementType};

use crate::error::OperatorFault;
use crate::ops::activation::clamp;
use crate::ops::binary::{common_type, plan, plan_checked, plan_plain};
use crate::ops::number::Number;
use crate::plan::{Node, Planned};

/// DIV: integers' quotients are cut towards zero.
///
/// There is none of int8: with ordinary scales the reference's kernel shifts by more bits than its integers have.
pub(crate) fn plan_div(node: &Node<'_>, options: &DivOptions) -> Result<Planned, OperatorFault> {
    match common_type(node)? {
        ElementType::Float32 => plan_plain(node, options.activation, |a: f32, b| a / b),
        ElementType::Int32 => {
            let range = i32::range(options.activation)?;
            plan_checked(node, refuse_zeros, move |a: i32, b| clamp(a.wrapping_div(b), range))
        }
        _ => Err(node.types_fault()),
    }
}

/// FLOOR_DIV: a float's divisor must not be 0 either.
pub(crate) fn plan_floor_div(node: &Node<'_>) -> Result<Planned, OperatorFault> {
    match common_type(node)? {
        ElementType::Float32 => plan_checked(node, refuse_zeros, f32::floor_divided_by),
        ElementType::Int8 => plan_checked(node, refuse_zeros, i8::floor_divided_by),
        ElementType::Int16 => plan_checked(node, refuse_zeros, i16::floor_divided_by),
        ElementType::Int32 => plan_checked(node, refuse_zeros, i32::floor_divided_by),
        _ => Err(node.types_fault()),
    }
}

/// FLOOR_MOD.
pub(crate) fn plan_floor_mod(node: &Node<'_>) -> Result<Planned, OperatorFault> {
    match common_type(node)? {
        ElementType::Float32 => plan(node, f32::modulo),
        ElementType::Int8 => plan_checked(node, refuse_zeros, i8::modulo),
        ElementType::Int16 => plan_checked(node, refuse_zeros, i16::modulo),
        ElementType::Int32 => plan_checked(node, refuse_zeros, i32::modulo),
        ElementType::Int64 => plan_checked(node, refuse_zeros, i64::modulo),
        _ => Err(node.types_fault()),
    }
}

/// POW: an integer's exponent must not be negative.
pub(crate) fn plan_pow(node: &Node<'_>) -> Result<Planned, OperatorFault> {
    match common_type(node)? {
        ElementType::Float32 => plan(node, libm::powf),
        ElementType::Int32 => plan_checked(node, refuse_negatives, |base: i32, exponent: i32| {
            base.wrapping_pow(exponent.unsigned_abs())
        }),
        _ => Err(node.types_fault()),
    }
}

fn refuse_zeros<T: Number>(divisors: &[T]) -> Result<(), OperatorFault> {
    if divisors.contains(&T::zeroed()) {
        return Err(OperatorFault::Option { option: "a divisor", expected: "other than 0", found: 0 });
    }
    Ok(())
}

fn refuse_negatives(exponents: &[i32]) -> Result<(), OperatorFault> {
    match exponents.iter().find(|&&exponent| exponent < 0) {
        Some(&exponent) => Err(OperatorFault::Option {
            option: "an integer's exponent",
            expected: "at least 0",
            found: exponent.into(),
        }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;
    use alloc::vec::Vec;

    use burnlite_tflite::Op;

    use super::*;
    use crate::Error;
    use crate::ops::binary::testing::Case;

    fn int32(op: Op, left: &[i32], right: &[i32]) -> Result<Vec<i32>, Error> {
        Case::new(op, None, ElementType::Int32).run(left, right)
    }

    #[test]
    fn integers_that_overflow_wrap() {
        let div = Op::Div(DivOptions::default());
        assert_eq!(int32(div, &[i32::MIN, 7, -7], &[-1, 2, 2]).unwrap(), [i32::MIN, 3, -3]);
        assert_eq!(int32(Op::FloorDiv, &[i32::MIN, -7], &[-1, 2]).unwrap(), [i32::MIN, -4]);
        assert_eq!(int32(Op::Pow, &[-2, 10], &[33, 10]).unwrap(), [0, 1_410_065_408]);
    }

    #[test]
    fn zero_divisors_and_negative_exponents_are_refused() {
        for op in [Op::Div(DivOptions::default()), Op::FloorDiv, Op::FloorMod] {
            let error = int32(op, &[1, 2], &[1, 0]).unwrap_err().to_string();
            assert!(error.ends_with("a divisor is 0, but must be other than 0"), "{error}");
        }
        assert!(int32(Op::Pow, &[1, 2], &[1, -1]).is_err());
    }

    #[test]
    fn floats_refuse_a_zero_divisor_in_floor_div_alone() {
        let float = |op| Case::new(op, None, ElementType::Float32).run::<f32, f32, f32>(&[1.0], &[-0.0]);
        assert!(float(Op::FloorDiv).is_err());
        assert!(float(Op::FloorMod).unwrap()[0].is_nan());
        // A fused activation, even none, cuts infinity.
        assert_eq!(float(Op::Div(DivOptions::default())).unwrap(), [f32::MIN]);
    }
}
