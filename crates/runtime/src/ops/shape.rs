//! RESHAPE, SQUEEZE, EXPAND_DIMS and SHAPE: shapes set, and shapes told.

use alloc::vec::Vec;

use burnlite_tflite::{ElementType, ReshapeOptions, ShapeOptions, SqueezeOptions};

use crate::error::OperatorFault;
use crate::ops::strided::{dimension, require_same_quantization};
use crate::plan::{Node, Planned};

/// RESHAPE: the operand's memory under another shape.
pub(crate) fn plan_reshape(node: &Node<'_>, options: &ReshapeOptions) -> Result<Planned, OperatorFault> {
    let asked = match node.optional_input(1) {
        // As in LiteRT, other second operands do not count.
        Some(shape) if shape.element_type() == ElementType::Int32 && shape.shape.len() == 1 => {
            shape.constant::<i32>()?
        }
        // Old files say so that the result is a scalar.
        _ if options.new_shape == [0] => Vec::new(),
        _ => options.new_shape.clone(),
    };
    plan_alias(node, resolve(&asked, node.input(0)?.elements())?)
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

/// SQUEEZE: without dimensions of extent 1, those that the options list or all of them.
pub(crate) fn plan_squeeze(node: &Node<'_>, options: &SqueezeOptions) -> Result<Planned, OperatorFault> {
    let input = node.input(0)?;
    let mut is_dropped: Vec<bool> =
        input.shape.iter().map(|&extent| extent == 1 && options.squeeze_dims.is_empty()).collect();
    for &axis in &options.squeeze_dims {
        let dimension = dimension(axis, input.shape.len())?;
        if input.shape[dimension] != 1 {
            let what = alloc::format!("dimension {dimension}, which is dropped, must have the extent 1");
            return Err(OperatorFault::Shape { what, found: input.shape.into() });
        }
        is_dropped[dimension] = true;
    }
    let kept = input.shape.iter().zip(is_dropped).filter(|&(_, is_dropped)| !is_dropped);
    plan_alias(node, kept.map(|(&extent, _)| extent).collect())
}

/// EXPAND_DIMS: with a dimension of extent 1 more.
pub(crate) fn plan_expand_dims(node: &Node<'_>) -> Result<Planned, OperatorFault> {
    let input = node.input(0)?;
    require_same_quantization(node, &input, &node.output(0)?)?;
    let mut shape = input.shape.to_vec();
    shape.insert(dimension(node.input(1)?.index()?, shape.len() + 1)?, 1);
    plan_alias(node, shape)
}

/// The first operand under another shape of as many elements.
fn plan_alias(node: &Node<'_>, shape: Vec<usize>) -> Result<Planned, OperatorFault> {
    match node.input(0)?.element_type() == node.output(0)?.element_type() {
        true => Ok(Planned::alias(shape)),
        false => Err(node.types_fault()),
    }
}

/// SHAPE: known when the model is planned, so what is computed from it alone is a constant too.
pub(crate) fn plan_shape(node: &Node<'_>, options: &ShapeOptions) -> Result<Planned, OperatorFault> {
    let (input, output) = (node.input(0)?, node.output(0)?);
    let said = options.out_type;
    if said != ElementType::Float32 && said != output.element_type() {
        return Err(node.types_fault());
    }
    let extents = input.shape.iter().map(|&extent| extent as u64);
    let bytes = match output.element_type() {
        ElementType::Int32 => extents.flat_map(|extent| (extent as u32).to_le_bytes()).collect(),
        ElementType::Int64 => extents.flat_map(u64::to_le_bytes).collect(),
        _ => return Err(node.types_fault()),
    };
    Ok(Planned::known([input.shape.len()], bytes))
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
