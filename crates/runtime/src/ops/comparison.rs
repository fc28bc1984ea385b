//! EQUAL, NOT_EQUAL, LESS, LESS_EQUAL, GREATER and GREATER_EQUAL, and the logic of what they tell: LOGICAL_AND and
//! LOGICAL_OR.

use core::cmp::Ordering;

use burnlite_tflite::{Element, ElementType};

use crate::error::OperatorFault;
use crate::ops::binary::{self, common_type, operand_type};
use crate::ops::integer::{InputRescale, Integer};
use crate::plan::{Node, Operand, Planned};

/// EQUAL.
pub(crate) fn plan_equal(node: &Node<'_>) -> Result<Planned, OperatorFault> {
    plan_equality(node, |order| order == Some(Ordering::Equal))
}

/// NOT_EQUAL.
pub(crate) fn plan_not_equal(node: &Node<'_>) -> Result<Planned, OperatorFault> {
    plan_equality(node, |order| order != Some(Ordering::Equal))
}

/// LESS.
pub(crate) fn plan_less(node: &Node<'_>) -> Result<Planned, OperatorFault> {
    plan_ordering(node, |order| order.is_some_and(Ordering::is_lt))
}

/// LESS_EQUAL.
pub(crate) fn plan_less_equal(node: &Node<'_>) -> Result<Planned, OperatorFault> {
    plan_ordering(node, |order| order.is_some_and(Ordering::is_le))
}

/// GREATER.
pub(crate) fn plan_greater(node: &Node<'_>) -> Result<Planned, OperatorFault> {
    plan_ordering(node, |order| order.is_some_and(Ordering::is_gt))
}

/// GREATER_EQUAL.
pub(crate) fn plan_greater_equal(node: &Node<'_>) -> Result<Planned, OperatorFault> {
    plan_ordering(node, |order| order.is_some_and(Ordering::is_ge))
}

/// LOGICAL_AND.
pub(crate) fn plan_and(node: &Node<'_>) -> Result<Planned, OperatorFault> {
    plan_logical(node, |a, b| a && b)
}

/// LOGICAL_OR.
pub(crate) fn plan_or(node: &Node<'_>) -> Result<Planned, OperatorFault> {
    plan_logical(node, |a, b| a || b)
}

fn plan_logical(
    node: &Node<'_>,
    function: impl Fn(bool, bool) -> bool + Send + Sync + 'static,
) -> Result<Planned, OperatorFault> {
    match common_type(node)? {
        ElementType::Bool => {
            binary::plan(node, move |a: u8, b: u8| -> u8 { function(a != 0, b != 0).into() })
        }
        _ => Err(node.types_fault()),
    }
}

/// What a comparison makes of the order of two values; there is none beside NaN.
trait Verdict: Fn(Option<Ordering>) -> bool + Send + Sync + 'static {}
impl<F: Fn(Option<Ordering>) -> bool + Send + Sync + 'static> Verdict for F {}

fn plan_equality(node: &Node<'_>, verdict: impl Verdict) -> Result<Planned, OperatorFault> {
    let is_quantized = node.input(0)?.tensor.quantization.is_some();
    match operand_type(node)? {
        ElementType::Bool => plan_values(node, |a: u8, b: u8| (a != 0).partial_cmp(&(b != 0)), verdict),
        ElementType::Int16 if is_quantized => plan_scaled::<i16>(node, verdict),
        _ => plan_ordering(node, verdict),
    }
}

/// 16-bit integers are ordered as they are stored, whatever their scales.
fn plan_ordering(node: &Node<'_>, verdict: impl Verdict) -> Result<Planned, OperatorFault> {
    match operand_type(node)? {
        ElementType::Float32 => plan_values(node, |a: f32, b: f32| a.partial_cmp(&b), verdict),
        ElementType::Int8 => plan_scaled::<i8>(node, verdict),
        ElementType::Int16 => plan_values(node, |a: i16, b: i16| a.partial_cmp(&b), verdict),
        ElementType::Int32 => plan_values(node, |a: i32, b: i32| a.partial_cmp(&b), verdict),
        ElementType::Int64 => plan_values(node, |a: i64, b: i64| a.partial_cmp(&b), verdict),
        _ => Err(node.types_fault()),
    }
}

/// Integers brought to a scale of 2^-8, to the nearest integer of it (`ComparisonWithScaling`): on a fine scale several
/// of them are equal.
fn plan_scaled<T: Integer>(node: &Node<'_>, verdict: impl Verdict) -> Result<Planned, OperatorFault> {
    let rescale = |operand: Operand<'_>| {
        let (scale, _) = operand.scale_and_zero_point()?;
        InputRescale::new(&operand, scale.into(), 8)
    };
    let (left, right) = (rescale(node.input(0)?)?, rescale(node.input(1)?)?);
    plan_values(node, move |a: T, b: T| left.rescale(a).partial_cmp(&right.rescale(b)), verdict)
}

fn plan_values<T: Element>(
    node: &Node<'_>,
    order: impl Fn(T, T) -> Option<Ordering> + Send + Sync + 'static,
    verdict: impl Verdict,
) -> Result<Planned, OperatorFault> {
    if node.output(0)?.element_type() != ElementType::Bool {
        return Err(node.types_fault());
    }
    binary::plan(node, move |a, b| -> u8 { verdict(order(a, b)).into() })
}

#[cfg(test)]
mod tests {
    use burnlite_tflite::Op;

    use super::*;
    use crate::ops::binary::testing::Case;

    #[test]
    fn scales_tell_which_16_bit_integers_are_equal_but_not_which_is_less() {
        let scaled = |op| Case::new(op, Some([(0.5, 0), (0.25, 0), (1.0, 0)]), ElementType::Bool);
        assert_eq!(scaled(Op::Equal).run::<i16, i16, u8>(&[1, 2], &[2, 2]).unwrap(), [1, 0]);
        assert_eq!(scaled(Op::Less).run::<i16, i16, u8>(&[1, 2], &[2, 2]).unwrap(), [1, 0]);
        assert_eq!(scaled(Op::Less).run::<i8, i8, u8>(&[1, 1], &[2, 3]).unwrap(), [0, 1]);
    }

    #[test]
    fn results_are_truth_values() {
        let case = Case::new(Op::Equal, None, ElementType::Int32);
        assert!(case.run::<i32, i32, i32>(&[1], &[1]).is_err());
        let case = Case::new(Op::NotEqual, None, ElementType::Bool);
        assert_eq!(case.run::<f32, f32, u8>(&[f32::NAN, 0.0], &[f32::NAN, -0.0]).unwrap(), [1, 0]);
    }
}
