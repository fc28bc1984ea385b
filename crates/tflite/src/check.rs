//! What must hold in every model, whether it was read or built.

use alloc::format;
use alloc::string::String;

use crate::error::TensorFault;
use crate::{Error, Graph, Signature, Tensor, TensorId};

/// Checks the graph's tensors and the indices of its operators.
pub(crate) fn graph(graph: &Graph<'_>) -> Result<(), Error> {
    for (index, found) in graph.tensors.iter().enumerate() {
        tensor(found).map_err(|reason| Error::Tensor { index, name: found.name.clone(), reason })?;
    }
    tensors_exist(graph, &graph.inputs, || "the graph's inputs".into())?;
    tensors_exist(graph, &graph.outputs, || "the graph's outputs".into())?;
    for (index, operator) in graph.operators.iter().enumerate() {
        let tensors =
            operator.inputs.iter().flatten().chain(&operator.outputs).chain(&operator.intermediates);
        tensors_exist(graph, tensors, || graph.operator_label(index))?;
    }
    Ok(())
}

/// Checks that the signature names tensors of one of the graphs.
pub(crate) fn signature(signature: &Signature, graphs: &[Graph<'_>]) -> Result<(), Error> {
    let place = || format!("signature '{}'", signature.key);
    let Some(graph) = graphs.get(signature.graph) else {
        let index = i64::try_from(signature.graph).unwrap_or(i64::MAX);
        return Err(Error::Index { place: place(), what: "graph", index, count: graphs.len() });
    };
    tensors_exist(graph, signature.inputs.iter().chain(&signature.outputs).map(|(_, id)| id), place)
}

fn tensors_exist<'i>(
    graph: &Graph<'_>,
    ids: impl IntoIterator<Item = &'i TensorId>,
    place: impl FnOnce() -> String,
) -> Result<(), Error> {
    let count = graph.tensors.len();
    match ids.into_iter().find(|id| id.index() >= count) {
        Some(id) => Err(Error::Index { place: place(), what: "tensor", index: id.0.into(), count }),
        None => Ok(()),
    }
}

fn tensor(tensor: &Tensor<'_>) -> Result<(), TensorFault> {
    if tensor.shape.len() > Tensor::MOST_DIMENSIONS {
        return Err(TensorFault::Dimensions { found: tensor.shape.len() });
    }
    let elements = tensor.checked_elements().ok_or(TensorFault::ShapeOverflow)?;
    if tensor.shape.iter().any(|&extent| i32::try_from(extent).is_err()) {
        return Err(TensorFault::ShapeOverflow);
    }
    if let Some(data) = &tensor.data {
        if tensor.is_variable {
            return Err(TensorFault::VariableWithData);
        }
        if tensor.element_type.bits().is_some() {
            let expected = tensor.element_type.bytes_for(elements).ok_or(TensorFault::ShapeOverflow)?;
            if data.len() != expected {
                return Err(TensorFault::DataLength { expected, found: data.len() });
            }
        }
    }
    match &tensor.shape_signature {
        Some(signature) if signature.len() != tensor.shape.len() => {
            return Err(TensorFault::SignatureRank { rank: tensor.shape.len(), found: signature.len() });
        }
        _ => {}
    }
    quantization(tensor)
}

fn quantization(tensor: &Tensor<'_>) -> Result<(), TensorFault> {
    let Some(quantization) = &tensor.quantization else { return Ok(()) };
    let scales = quantization.scale.len();
    if scales == 0 || quantization.zero_point.len() != scales {
        return Err(TensorFault::ScaleCount { scales, zero_points: quantization.zero_point.len() });
    }
    if let Some(&zero_point) =
        quantization.zero_point.iter().find(|&&zero_point| i32::try_from(zero_point).is_err())
    {
        return Err(TensorFault::ZeroPoint { zero_point });
    }
    let is_beyond = quantization.dimension != 0 && quantization.dimension >= tensor.shape.len();
    if is_beyond || scales > 1 && tensor.shape.get(quantization.dimension) != Some(&scales) {
        let dimension = i32::try_from(quantization.dimension).unwrap_or(i32::MAX);
        return Err(TensorFault::QuantizedDimension { scales, dimension, shape: tensor.shape.clone() });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ElementType, Model};

    #[test]
    fn a_tensor_has_32_dimensions_at_most() {
        let with_dimensions = |count: usize| {
            let mut model = Model::new(Graph::default());
            model.graphs[0].add_tensor(Tensor::new("x", ElementType::Int8, alloc::vec![1; count]));
            model.check()
        };
        assert_eq!(with_dimensions(32), Ok(()));
        let expected = "tensor 0 'x': the shape has 33 dimensions, more than 32";
        assert_eq!(alloc::string::ToString::to_string(&with_dimensions(33).unwrap_err()), expected);
    }
}
