//! CONCATENATION and PACK: operands one after the other, along one of their dimensions or along a new one.

use alloc::vec::Vec;

use burnlite_tflite::{Activation, ConcatenationOptions, ElementType, PackOptions};

use crate::error::OperatorFault;
use crate::ops::strided::{Copies, Part, StridedCopy, View, dimension, element_bytes};
use crate::plan::{Node, Operand, Planned};

/// CONCATENATION. All extents but those along the axis are equal.
pub(crate) fn plan_concatenation(
    node: &Node<'_>,
    options: &ConcatenationOptions,
) -> Result<Planned, OperatorFault> {
    if options.activation != Activation::None {
        let what = alloc::format!("the fused activation {:?}", options.activation);
        return Err(OperatorFault::Unsupported { what });
    }
    let (operands, output) = (operands(node)?, node.output(0)?);
    for operand in &operands {
        // Of int16 LiteRT looks at the zero points alone, and leaves values of other scales as they are.
        if operand.element_type() == ElementType::Int16 {
            operand.require_zero_points_of_zero()?;
        } else {
            operand.require_quantization_of(&output)?;
        }
    }
    let axis = dimension(options.axis, operands[0].shape.len())?;
    plan_join(node, axis, operands.iter().map(|operand| operand.shape.to_vec()).collect())
}

/// PACK. All extents are equal.
pub(crate) fn plan_pack(node: &Node<'_>, options: &PackOptions) -> Result<Planned, OperatorFault> {
    let (operands, output) = (operands(node)?, node.output(0)?);
    let axis = dimension(options.axis, operands[0].shape.len() + 1)?;
    let mut shapes = Vec::with_capacity(operands.len());
    for operand in &operands {
        operand.require_quantization_of(&output)?;
        let mut shape = operand.shape.to_vec();
        if axis > shape.len() {
            return Err(unequal(&operands[0], operand));
        }
        shape.insert(axis, 1);
        shapes.push(shape);
    }
    plan_join(node, axis, shapes)
}

/// The operands, all of the same type.
fn operands<'p>(node: &Node<'p>) -> Result<Vec<Operand<'p>>, OperatorFault> {
    let operands: Vec<_> =
        (0..node.operator.inputs.len()).map(|position| node.input(position)).collect::<Result<_, _>>()?;
    match operands.iter().any(|operand| operand.element_type() != operands[0].element_type()) {
        true => Err(node.types_fault()),
        false => Ok(operands),
    }
}

/// Joins the operands, seen under the given shapes, along a dimension.
fn plan_join(node: &Node<'_>, axis: usize, shapes: Vec<Vec<usize>>) -> Result<Planned, OperatorFault> {
    let first = node.input(0)?;
    let bytes = element_bytes(node, &first)?;
    let mut joined = shapes[0].clone();
    joined[axis] = 0;
    let mut ranges = Vec::with_capacity(shapes.len());
    for (position, shape) in shapes.iter().enumerate() {
        let mut others = shape.clone();
        let extent = others.get_mut(axis).map(|extent| core::mem::replace(extent, joined[axis]));
        let (Some(extent), true) = (extent, others == joined) else {
            return Err(unequal(&first, &node.input(position)?));
        };
        let start = joined[axis];
        joined[axis] = start.checked_add(extent).ok_or_else(|| unequal(&first, &first))?;
        ranges.push(start..joined[axis]);
    }
    let target = View::whole(&joined, bytes)?;
    let mut parts = Vec::with_capacity(shapes.len());
    for (position, (shape, range)) in shapes.iter().zip(ranges).enumerate() {
        let copy = StridedCopy::new(&View::whole(shape, bytes)?, &target.clone().narrowed(axis, range));
        parts.push(Part::of_operand(position, copy));
    }
    Ok(Planned::new(joined, Copies::new(parts)))
}

fn unequal(first: &Operand<'_>, other: &Operand<'_>) -> OperatorFault {
    let what = alloc::format!("all operands must have a shape that goes with {:?}", first.shape);
    OperatorFault::Shape { what, found: other.shape.into() }
}
