//! RESHAPE and TRANSPOSE: the same elements in another shape or order.

use alloc::vec::Vec;

use burnlite_tflite::ReshapeOptions;

use crate::error::OperatorFault;
use crate::frame::{Inputs, Writable};
use crate::plan::{Kernel, Node, Planned};

/// RESHAPE: the operand's memory under another shape.
pub(crate) fn plan_reshape(node: &Node<'_>, options: &ReshapeOptions) -> Result<Planned, OperatorFault> {
    let (input, output) = (node.input(0)?, node.output(0)?);
    if input.element_type() != output.element_type() {
        return Err(node.types_fault());
    }
    let asked = match node.optional_input(1) {
        Some(shape) => shape.constant::<i32>()?,
        None => options.new_shape.clone(),
    };
    Ok(Planned::alias(resolve(&asked, input.elements())?))
}

/// The shape with its one free extent (-1) set so that it has `elements` elements.
fn resolve(asked: &[i32], elements: usize) -> Result<Vec<usize>, OperatorFault> {
    let fault = || OperatorFault::Shape {
        what: alloc::format!("{elements} elements cannot be reshaped to {asked:?}"),
        found: [elements].into(),
    };
    let mut known = 1usize;
    let mut free = None;
    let mut shape = Vec::with_capacity(asked.len());
    for (dimension, &extent) in asked.iter().enumerate() {
        let extent = match usize::try_from(extent) {
            Ok(extent) => extent,
            Err(_) if extent == -1 && free.is_none() => {
                free = Some(dimension);
                1
            }
            Err(_) => return Err(fault()),
        };
        known = known.checked_mul(extent).ok_or_else(fault)?;
        shape.push(extent);
    }
    if let Some(dimension) = free {
        shape[dimension] = elements.checked_div(known).unwrap_or(0);
        known *= shape[dimension];
    }
    if known == elements { Ok(shape) } else { Err(fault()) }
}

/// TRANSPOSE: the second operand lists, for each dimension of the result, the input's dimension.
pub(crate) fn plan_transpose(node: &Node<'_>) -> Result<Planned, OperatorFault> {
    let (input, order, output) = (node.input(0)?, node.input(1)?, node.output(0)?);
    let element_bits = input.element_type().bits().filter(|bits| bits.is_multiple_of(8));
    let (true, Some(bits)) = (input.element_type() == output.element_type(), element_bits) else {
        return Err(node.types_fault());
    };
    let order = order.constant::<i32>()?;
    let rank = input.shape.len();
    let fault = || OperatorFault::Shape {
        what: alloc::format!("{order:?} is not an order of the dimensions"),
        found: input.shape.into(),
    };
    let mut dimensions = Vec::with_capacity(rank);
    for &dimension in &order {
        let dimension = if dimension < 0 { i64::from(dimension) + rank as i64 } else { dimension.into() };
        match usize::try_from(dimension) {
            Ok(dimension) if dimension < rank && !dimensions.contains(&dimension) => {
                dimensions.push(dimension)
            }
            _ => return Err(fault()),
        }
    }
    if dimensions.len() != rank {
        return Err(fault());
    }
    let mut strides = alloc::vec![1usize; rank];
    for dimension in (1..rank).rev() {
        strides[dimension - 1] = strides[dimension] * input.shape[dimension];
    }
    let shape: Vec<usize> = dimensions.iter().map(|&dimension| input.shape[dimension]).collect();
    let axes = dimensions.iter().map(|&dimension| (input.shape[dimension], strides[dimension])).collect();
    Ok(Planned::new(shape, Transpose { axes, element_bytes: bits / 8 }))
}

#[derive(Debug)]
struct Transpose {
    /// Extent of each of the result's dimensions, and the step in the input that belongs to it.
    axes: Vec<(usize, usize)>,
    element_bytes: usize,
}

impl Kernel for Transpose {
    fn run(&self, inputs: &Inputs<'_>, [output, ..]: &mut Writable<'_>) -> Result<(), OperatorFault> {
        let (input, bytes) = (inputs.bytes(0), self.element_bytes);
        for (index, element) in output.chunks_exact_mut(bytes).enumerate() {
            let (mut rest, mut position) = (index, 0);
            for &(extent, step) in self.axes.iter().rev() {
                position += rest % extent * step;
                rest /= extent;
            }
            element.copy_from_slice(&input[position * bytes..][..bytes]);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_free_extent_is_what_is_left() {
        assert_eq!(resolve(&[-1, 4], 12).unwrap(), [3, 4]);
        assert_eq!(resolve(&[], 1).unwrap(), [0usize; 0]);
        assert_eq!(resolve(&[0, -1], 0).unwrap(), [0, 0]);
        for (asked, elements) in
            [(&[-1, -1][..], 4), (&[5], 4), (&[-2], 4), (&[-1, 3], 4), (&[i32::MAX; 3], 4)]
        {
            assert!(resolve(asked, elements).is_err(), "{asked:?}");
        }
    }
}
