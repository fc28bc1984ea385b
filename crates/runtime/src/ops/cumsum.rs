//! CUMSUM: sums of all elements up to each one along an axis.

use core::marker::PhantomData;

use burnlite_tflite::{CumsumOptions, ElementType};

use crate::error::OperatorFault;
use crate::frame::{Inputs, Writable, elements_mut};
use crate::ops::index::Along;
use crate::ops::number::Number;
use crate::ops::strided::dimension;
use crate::plan::{Kernel, Node, Planned};

pub(crate) fn plan(node: &Node<'_>, options: &CumsumOptions) -> Result<Planned, OperatorFault> {
    let (input, output) = (node.input(0)?, node.output(0)?);
    match (input.element_type(), output.element_type()) {
        (ElementType::Float32, ElementType::Float32) => cumsum::<f32>(node, options),
        (ElementType::Int32, ElementType::Int32) => cumsum::<i32>(node, options),
        (ElementType::Int64, ElementType::Int64) => cumsum::<i64>(node, options),
        _ => Err(node.types_fault()),
    }
}

fn cumsum<T: Number>(node: &Node<'_>, options: &CumsumOptions) -> Result<Planned, OperatorFault> {
    let shape = node.input(0)?.shape;
    let axis = dimension(node.input(1)?.index()?, shape.len())?;
    let kernel = Cumsum::<T> {
        along: Along::new(shape, axis),
        is_exclusive: options.exclusive,
        is_reverse: options.reverse,
        element: PhantomData,
    };
    Ok(Planned::new(shape, kernel))
}

#[derive(Debug)]
struct Cumsum<T> {
    along: Along,
    /// Whether an element's sum leaves the element itself out.
    is_exclusive: bool,
    /// Whether sums run from the end.
    is_reverse: bool,
    element: PhantomData<T>,
}

impl<T: Number> Kernel for Cumsum<T> {
    fn run(&self, inputs: &Inputs<'_>, [output, ..]: &mut Writable<'_>) -> Result<(), OperatorFault> {
        let (input, output) = (inputs.get::<T>(0), elements_mut::<T>(output));
        let Along { extent, inner, .. } = self.along;
        for line in 0..self.along.lines() {
            let start = self.along.start(line);
            let mut sum = T::zeroed();
            for step in 0..extent {
                let step = if self.is_reverse { extent - 1 - step } else { step };
                let position = start + step * inner;
                let before = sum;
                sum = sum.plus(input[position]);
                output[position] = if self.is_exclusive { before } else { sum };
            }
        }
        Ok(())
    }
}
