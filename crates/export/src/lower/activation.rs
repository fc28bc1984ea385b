//! Functions of each element.

use burn::backend::ir::UnaryOpIr;
use burnlite_tflite::{Activation, Op};

use crate::builder::{Builder, Stored, Value};
use crate::error::Refusal;
use crate::fold;

/// `max(x, 0)`: part of the operator before it where that can be, RELU otherwise.
pub(super) fn relu(builder: &mut Builder<'_>, op: &UnaryOpIr) -> Result<(), Refusal> {
    match fold::activation(builder, &op.input, Activation::Relu, "relu")? {
        Some(stored) => {
            builder.bind(&op.out, Value::Computed(stored));
            Ok(())
        }
        None => elementwise(builder, Op::Relu, op),
    }
}

/// An operator that does the same to every element, in whatever order they are stored.
fn elementwise(builder: &mut Builder<'_>, operator: Op, op: &UnaryOpIr) -> Result<(), Refusal> {
    let Stored { tensor, layout } = builder.stored(&op.input)?;
    let shape = builder.shape(tensor).clone();
    let tensor = builder.operator(operator, &[Some(tensor)], shape);
    builder.bind(&op.out, Value::Computed(Stored { tensor, layout }));
    Ok(())
}
