//! PACK: operands of the same shape, stacked along a new dimension.

use burnlite_tflite::PackOptions;

use crate::error::OperatorFault;
use crate::frame::{Inputs, Writable};
use crate::ops::strided::{element_bytes, from_the_end};
use crate::plan::{Kernel, Node, Planned};

pub(crate) fn plan(node: &Node<'_>, options: &PackOptions) -> Result<Planned, OperatorFault> {
    let first = node.input(0)?;
    let count = node.operator.inputs.len();
    for position in 1..count {
        let input = node.input(position)?;
        if input.element_type() != first.element_type() {
            return Err(node.types_fault());
        }
        if input.shape != first.shape {
            let what = alloc::format!("all operands must have the shape {:?}", first.shape);
            return Err(OperatorFault::Shape { what, found: input.shape.into() });
        }
    }
    let fault = OperatorFault::Option {
        option: "the axis",
        expected: "a dimension of the result",
        found: options.axis.into(),
    };
    let axis = from_the_end(options.axis, first.shape.len() + 1).ok_or(fault)?;
    let mut shape = first.shape.to_vec();
    shape.insert(axis, count);
    let run_bytes = first.shape[axis..].iter().product::<usize>() * element_bytes(node, &first)?;
    Ok(Planned::new(shape, Pack { count, run_bytes }))
}

/// Takes a run of bytes from each operand in turn.
#[derive(Debug)]
struct Pack {
    count: usize,
    run_bytes: usize,
}

impl Kernel for Pack {
    fn run(&self, inputs: &Inputs<'_>, [output, ..]: &mut Writable<'_>) -> Result<(), OperatorFault> {
        for (index, run) in output.chunks_exact_mut(self.run_bytes.max(1)).enumerate() {
            let start = index / self.count * self.run_bytes;
            run.copy_from_slice(&inputs.bytes(index % self.count)[start..][..self.run_bytes]);
        }
        Ok(())
    }
}
