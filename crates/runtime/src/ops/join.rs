//! CONCATENATION and PACK: operands one after the other, along one of their dimensions or along a new one.

use alloc::vec::Vec;

use burnlite_tflite::{Activation, ConcatenationOptions, ElementType, PackOptions};

use crate::error::OperatorFault;
use crate::ops::strided::{
    Copies, Part, StridedCopy, View, dimension, element_bytes, require_same_quantization,
};
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
    for tensor in operands.iter().chain([&output]) {
        // Of int16 the reference looks at the zero points alone, and leaves values of other scales as they are.
        if tensor.element_type() == ElementType::Int16 {
            tensor.require_zero_points_of_zero()?;
        } else {
            tensor.require_quantization_of(&output)?;
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
        require_same_quantization(node, operand, &output)?;
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
        let start = joined[axis];
        let is_alike = shape.len() == joined.len()
            && (0..)
                .zip(shape.iter().zip(&joined))
                .all(|(at, (extent, other))| at == axis || extent == other);
        let end = if is_alike { start.checked_add(shape[axis]) } else { None };
        let Some(end) = end else { return Err(unequal(&first, &node.input(position)?)) };
        ranges.push(start..end);
        joined[axis] = end;
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

#[cfg(test)]
mod tests {
    use burnlite_tflite::{Graph, Model, Op, Operator, Quantization, Tensor};

    use super::*;
    use crate::{Error, Interpreter, InterpreterOptions, Numerics};

    /// Plans an operator with two operands of shape `[2]`, with the scales 0.5 and 0.25, and a result with 0.5.
    fn plan(op: Op, element_type: ElementType, numerics: Numerics) -> Result<(), Error> {
        let tensor = |scale| Tensor::new("", element_type, [2]).quantized(Quantization::per_tensor(scale, 0));
        let mut graph = Graph::default();
        let [x, y, joined] = [0.5, 0.25, 0.5].map(|scale| graph.add_tensor(tensor(scale)));
        graph.operators.push(Operator::new(op, [x, y], [joined]));
        (graph.inputs, graph.outputs) = ([x, y].into(), [joined].into());
        let options = InterpreterOptions { numerics, ..InterpreterOptions::default() };
        Interpreter::with_options(&Model::new(graph), &options).map(drop)
    }

    #[test]
    fn only_litert_refuses_to_pack_other_scales() {
        let pack = || Op::Pack(PackOptions { values_count: 2, axis: 0 });
        for element_type in [ElementType::Int8, ElementType::Int16] {
            let refused = plan(pack(), element_type, Numerics::LiteRt).unwrap_err();
            assert!(matches!(refused, Error::Operator { fault: OperatorFault::Quantization { .. }, .. }));
            plan(pack(), element_type, Numerics::TfLiteMicro).unwrap();
        }
    }

    #[test]
    fn both_refuse_to_concatenate_other_scales_of_int8_but_not_of_int16() {
        for numerics in [Numerics::LiteRt, Numerics::TfLiteMicro] {
            let concatenation = || Op::Concatenation(ConcatenationOptions::default());
            assert!(plan(concatenation(), ElementType::Int8, numerics).is_err());
            plan(concatenation(), ElementType::Int16, numerics).unwrap();
        }
    }
}
