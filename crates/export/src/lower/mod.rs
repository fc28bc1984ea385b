//! Captured operations → operators: one function for each operation, one file for each family.
//!
//! A lowering takes the [`Builder`] and Burn's description of the operation. It asks the builder for its operands in the
//! order of dimensions that its operator wants, adds the operator, and says which tensor the result has become and how
//! its dimensions are stored. It never thinks about where the operands come from.

mod activation;
mod arithmetic;
mod attention;
mod bits;
mod border;
mod comparison;
mod conv;
mod dense;
mod elementwise;
mod index;
mod lstm;
mod math;
mod norm;
mod operations;
mod pool;
mod reduce;
mod resize;
mod running;
mod scatter;
mod shape;
mod slice;
#[cfg(test)]
pub(crate) mod testing;
mod transpose_conv;
mod window;

use burn::backend::ir::TensorIr;
use burnlite_tflite::ElementType;

pub use operations::{Operation, Support, operations};

use crate::Error;
use crate::builder::Builder;
use crate::error::Refusal;
use crate::lstm::Lstm;
use crate::program::kind;

/// What an operation of the forward pass has become.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Lowering {
    /// The operation's position among the captured ones.
    pub index: usize,
    /// What Burn calls it: `Module.Conv2d`.
    pub operation: String,
    /// The operators that were added for it; none where it is part of an operator before it, or moves nothing.
    pub operators: Vec<String>,
}

/// Adds the operators that do what the program's operations do, one for each of the `fused` layers, and says which they are.
pub(crate) fn lower(builder: &mut Builder<'_>, fused: &[Lstm]) -> Result<Vec<Lowering>, Error> {
    let program = builder.program;
    let mut lowerings = Vec::with_capacity(program.operations.len());
    for (place, (index, operation)) in program.operations.iter().enumerate() {
        builder.begin(operation.inputs());
        let before = builder.graph.operators.len();
        let lowered = match fused.iter().find(|layer| layer.covers(place)) {
            None => operations::operation(builder, operation),
            Some(layer) if layer.begins_at(place) => lstm::lower(builder, layer),
            Some(_) => Ok(()),
        };
        lowered.map_err(|Refusal(reason)| Error::UnsupportedOperation {
            index: *index,
            kind: kind(operation),
            place: builder.place(),
            shapes: format!(
                "{} to {}",
                program.shapes(operation.inputs()),
                program.shapes(operation.outputs())
            ),
            reason,
        })?;
        let added = &builder.graph.operators[before..];
        let operators = added.iter().map(|operator| operator.op.name().into()).collect();
        lowerings.push(Lowering { index: *index, operation: kind(operation), operators });
    }
    Ok(lowerings)
}

/// The type in the file of a captured tensor's elements.
fn element_type(tensor: &TensorIr) -> Result<ElementType, Refusal> {
    crate::constant::element_type(tensor.dtype)
}

/// The refusal of what cannot be: a list without entries, a computed result of constants.
fn unsupported() -> Result<(), Refusal> {
    Err(Refusal::new("it has no operand that is computed: this is a fault of the exporter"))
}
