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
