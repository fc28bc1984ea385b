//! SCATTER_ND: slices put into zeros at points; those at one point are added.

use core::marker::PhantomData;

use burnlite_tflite::ElementType;

use crate::error::OperatorFault;
use crate::frame::{Inputs, Writable, elements_mut};
use crate::ops::index::Points;
use crate::ops::number::Number;
use crate::plan::{Kernel, Node, Planned};

pub(crate) fn plan(node: &Node<'_>) -> Result<Planned, OperatorFault> {
    let (updates, output) = (node.input(1)?, node.output(0)?);
    if updates.element_type() != output.element_type() {
        return Err(node.types_fault());
    }
    match updates.element_type() {
        ElementType::Float32 => scatter::<f32>(node),
        ElementType::Int8 => scatter::<i8>(node),
        ElementType::Int32 => scatter::<i32>(node),
        ElementType::Int64 => scatter::<i64>(node),
        _ => Err(node.types_fault()),
    }
}

fn scatter<T: Number>(node: &Node<'_>) -> Result<Planned, OperatorFault> {
    let (indices, updates, shape) = (node.input(0)?, node.input(1)?, node.input(2)?.extents()?);
    let points = Points::new(node, 0, &shape)?;
    let (outer, slice) = (&indices.shape[..indices.shape.len() - 1], &shape[points.depth()..]);
    let expected = [outer, slice].concat();
    if updates.shape != expected {
        let what = alloc::format!("the updates must have the shape {expected:?}");
        return Err(OperatorFault::Shape { what, found: updates.shape.into() });
    }
    // The updates end in the same extents, so the product does not overflow.
    let elements = slice.iter().product();
    Ok(Planned::new(shape, ScatterNd::<T> { points, elements, element: PhantomData }))
}

#[derive(Debug)]
struct ScatterNd<T> {
    points: Points,
    /// Elements of a slice.
    elements: usize,
    element: PhantomData<T>,
}

impl<T: Number> Kernel for ScatterNd<T> {
    fn run(&self, inputs: &Inputs<'_>, [output, ..]: &mut Writable<'_>) -> Result<(), OperatorFault> {
        let output = elements_mut::<T>(output);
        output.fill(T::zeroed());
        let updates = inputs.get::<T>(1).chunks_exact(self.elements.max(1));
        for (update, index) in updates.zip(self.points.slices(inputs)) {
            let slice = &mut output[index? * self.elements..][..self.elements];
            for (y, &x) in slice.iter_mut().zip(update) {
                *y = y.plus(x);
            }
        }
        Ok(())
    }
}
