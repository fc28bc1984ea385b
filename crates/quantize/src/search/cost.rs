//! What models and layers cost: bytes of constants, and time by a model of costs.
//!
//! Time counts multiply-accumulates, and the elements that operators write, by how long each takes in its precision. It is no
//! forecast in seconds: it says which of two recipes is the faster one, and about how much.

use burnlite_tflite::{ElementType, Graph, Op, Operator, TensorId};
use serde::Serialize;

use super::layers::Layer;
use crate::Precision;
use crate::rules::{Rule, is_real, reals, rule};

/// What is to be kept small.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Default)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Cost {
    /// The estimated time of a run, in that of the model which is int8 everywhere.
    #[default]
    Time,
    /// Bytes of constants.
    Bytes,
}

/// The time of a multiply-accumulate in each precision, in the order of [`Precision`].
pub(super) type Pace = [f64; 3];

/// A vector instruction takes twice as many numbers of 8 bits as of 16, and of these twice as many as floats.
pub(super) const BY_WIDTH: Pace = [1.0, 2.0, 4.0];

/// An element that is written takes as long as so many multiply-accumulates: between the 11 of QUANTIZE and the 14 of
/// MAX_POOL_2D in the profile of the tutorial's 16x8 network in `docs/cli.md`, against its CONV_2D.
const PRODUCTS_PER_ELEMENT: f64 = 12.0;

/// What an operator has to do, whatever its numbers are, in multiply-accumulates.
fn work(graph: &Graph<'_>, operator: &Operator) -> f64 {
    let shape = |id: TensorId| graph.tensors[id.index()].shape.as_slice();
    // Only the shape changes: memory stays where it is.
    let is_free = matches!(operator.op, Op::Reshape(_) | Op::Squeeze(_) | Op::ExpandDims);
    let results = operator.outputs.iter().map(|id| graph.tensors[id.index()].elements());
    let elements: usize = if is_free { 0 } else { results.sum() };
    operator.multiply_accumulates(shape) as f64 + PRODUCTS_PER_ELEMENT * elements as f64
}

/// The estimated time of a quantized graph.
pub(super) fn time(graph: &Graph<'_>, pace: Pace) -> f64 {
    let precision = |operator: &Operator| {
        let operands = operator.inputs.iter().copied().flatten().chain(operator.outputs.iter().copied());
        let mut activations =
            operands.map(|id| &graph.tensors[id.index()]).filter(|tensor| tensor.data.is_none());
        activations.find_map(|tensor| match tensor.element_type {
            ElementType::Int8 | ElementType::UInt8 => Some(Precision::Int8),
            ElementType::Int16 => Some(Precision::Int16x8),
            ElementType::Float32 => Some(Precision::Float32),
            _ => None,
        })
    };
    let time = |operator| Some(pace[precision(operator)? as usize] * work(graph, operator));
    graph.operators.iter().filter_map(time).sum()
}

/// What a layer of a float graph costs in a precision, without what stands at its borders: to compare precisions with.
pub(super) fn of_layer(
    graph: &Graph<'_>,
    layer: &Layer,
    precision: Precision,
    cost: Cost,
    pace: Pace,
) -> f64 {
    let operators = layer.operators.iter().map(|&index| &graph.operators[index]);
    match cost {
        Cost::Time => operators.map(|operator| pace[precision as usize] * work(graph, operator)).sum(),
        Cost::Bytes => operators.map(|operator| bytes(graph, operator, precision)).sum(),
    }
}

/// Bytes of an operator's real constants in a precision.
fn bytes(graph: &Graph<'_>, operator: &Operator, precision: Precision) -> f64 {
    let weighted = match rule(&operator.op) {
        Some(Rule::Weighted(operands)) => Some(operands),
        _ => None,
    };
    let of_element = |position: usize| match (precision, weighted) {
        (Precision::Float32, _) => 4.0,
        (_, Some(operands)) if position == operands.weights => 1.0,
        (Precision::Int8, Some(operands)) if position == operands.bias => 4.0,
        (Precision::Int16x8, Some(operands)) if position == operands.bias => 8.0,
        (Precision::Int8, _) => 1.0,
        (Precision::Int16x8, _) => 2.0,
    };
    let constants = reals(graph, operator)
        .filter(|&(_, id)| is_real(graph, id) && graph.tensors[id.index()].data.is_some());
    constants.map(|(position, id)| of_element(position) * graph.tensors[id.index()].elements() as f64).sum()
}
