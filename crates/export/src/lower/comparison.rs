//! Comparisons, and what is done with their results.

use burn::backend::ir::{BinaryOpIr, MaskFillOpIr, MaskWhereOpIr, ScalarOpIr};
use burnlite_tflite::Op;

use super::elementwise::{elementwise, lower, lower_scalar};
use crate::builder::Builder;
use crate::constant::{Constant, element_type};
use crate::error::Refusal;

/// A comparison of two tensors.
pub(super) fn compare(builder: &mut Builder<'_>, comparison: Op, op: &BinaryOpIr) -> Result<(), Refusal> {
    lower(builder, comparison, &[&op.lhs, &op.rhs], &op.out)
}

/// A comparison of a tensor with a number.
pub(super) fn compare_scalar(
    builder: &mut Builder<'_>,
    comparison: Op,
    op: &ScalarOpIr,
) -> Result<(), Refusal> {
    lower_scalar(builder, comparison, &op.lhs, op.rhs, &op.out)
}

/// `value` where the mask is true, `tensor` elsewhere.
pub(super) fn mask_where(builder: &mut Builder<'_>, op: &MaskWhereOpIr) -> Result<(), Refusal> {
    lower(builder, Op::SelectV2, &[&op.mask, &op.value, &op.tensor], &op.out)
}

/// A number where the mask is true, `tensor` elsewhere.
pub(super) fn mask_fill(builder: &mut Builder<'_>, op: &MaskFillOpIr) -> Result<(), Refusal> {
    let element_type = element_type(op.out.dtype)?;
    let number = Constant::scalar(op.value, element_type)?;
    let (mask, tensor) = (builder.value(&op.mask)?, builder.value(&op.tensor)?);
    let value = elementwise(builder, Op::SelectV2, &[mask, number.into(), tensor], element_type)?;
    builder.bind(&op.out, value)
}

#[cfg(test)]
mod tests {
    use burn::tensor::Tensor;

    use crate::lower::testing::{FUNCTION, numbers, operators};

    #[test]
    fn masks_choose_between_tensors_and_numbers() {
        let found = operators(&FUNCTION, numbers([2, 5]), |_, x: Tensor<2>| {
            let mask = x.clone().greater_elem(0.1);
            x.clone().mask_where(mask.clone(), x.clone() * 2.0).mask_fill(mask.bool_not(), -3.0)
        });
        assert_eq!(found, ["GREATER", "MUL", "SELECT_V2", "LOGICAL_NOT", "SELECT_V2"]);
    }

    #[test]
    fn every_comparison_is_burns() {
        let found = operators(&FUNCTION, numbers([2, 5]), |_, x: Tensor<2>| {
            let y = x.clone().square();
            let ordered = x.clone().lower(y.clone()).bool_or(x.clone().lower_equal_elem(-0.5));
            let larger = x.clone().greater_equal(y.clone()).bool_and(x.clone().not_equal_elem(0.25));
            let equal = x.clone().equal(y).bool_xor(ordered.clone());
            ordered.float() + larger.int().float() * 2.0 + equal.float() * 4.0
        });
        assert!(found.contains(&"LESS".into()) && found.contains(&"CAST".into()), "{found:?}");
    }
}
