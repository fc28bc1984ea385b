//! What nobody reads is left out.

use std::collections::{HashMap, HashSet};

use burnlite_tflite::{Graph, TensorId};

/// The graph without operators and tensors on which no output depends; inputs stay.
pub(super) fn without_unread(mut graph: Graph<'static>) -> Graph<'static> {
    let mut wanted: HashSet<TensorId> = graph.outputs.iter().chain(&graph.inputs).copied().collect();
    let mut operators = Vec::with_capacity(graph.operators.len());
    for operator in graph.operators.drain(..).rev() {
        if operator.outputs.iter().any(|output| wanted.contains(output)) {
            wanted.extend(operator.inputs.iter().flatten().chain(&operator.outputs));
            operators.push(operator);
        }
    }
    operators.reverse();
    graph.operators = operators;
    let mut places = HashMap::new();
    let mut tensors = Vec::new();
    for (index, tensor) in std::mem::take(&mut graph.tensors).into_iter().enumerate() {
        let id = TensorId(index as u32);
        if wanted.contains(&id) {
            places.insert(id, TensorId(tensors.len() as u32));
            tensors.push(tensor);
        }
    }
    graph.tensors = tensors;
    let operands = graph
        .operators
        .iter_mut()
        .flat_map(|operator| operator.inputs.iter_mut().flatten().chain(&mut operator.outputs));
    for id in operands.chain(&mut graph.inputs).chain(&mut graph.outputs) {
        *id = places[id];
    }
    graph
}
