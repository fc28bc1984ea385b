//! What this runtime cannot run of a model, and why: not only the first reason.

use std::collections::HashSet;

use burnlite_runtime::{Error as RuntimeError, Interpreter, InterpreterOptions, OperatorFault};
use burnlite_tflite::{Graph, Model, Operator};
use serde::Serialize;

use crate::model_file::result_name;

/// So many reasons are enough.
const MAX_REASONS: usize = 100;

/// A reason why a model cannot be run.
#[derive(Debug, Serialize)]
pub(crate) struct Unsupported {
    /// The operator that is at fault, where it is one.
    pub(crate) operator: Option<usize>,
    /// Its name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) name: Option<String>,
    /// The tensor that it computes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) tensor: Option<String>,
    pub(crate) reason: String,
}

/// The reasons why the graph of the given index cannot be run.
///
/// The planner stops at the first operator that it cannot plan. That one is taken out, what it computes becomes an input
/// of the graph, and the planner tries again.
pub(crate) fn unsupported(model: &Model<'_>, graph: usize, options: &InterpreterOptions) -> Vec<Unsupported> {
    let original = &model.graphs[graph];
    let mut model = model.clone();
    // The operators that are left, by their index in the original.
    let mut left: Vec<usize> = (0..original.operators.len()).collect();
    let mut reasons = Vec::new();
    while reasons.len() < MAX_REASONS {
        let (index, name, fault) = match Interpreter::with_options(&model, options) {
            Err(RuntimeError::Operator { index, name, fault }) => (index, name, fault),
            // What else there is may come from what was taken out.
            Err(error) if reasons.is_empty() => {
                let reason = error.to_string();
                return vec![Unsupported { operator: None, name: None, tensor: None, reason }];
            }
            _ => break,
        };
        // An operator that the runtime does not have is missing everywhere.
        let everywhere = fault == OperatorFault::Unknown;
        let is_at_fault = |position: usize, operator: &Operator| {
            position == index || everywhere && operator.op.name() == name
        };
        let graph = &mut model.graphs[graph];
        let at_fault: Vec<bool> = graph
            .operators
            .iter()
            .enumerate()
            .map(|(position, operator)| is_at_fault(position, operator))
            .collect();
        for (&operator, _) in left.iter().zip(&at_fault).filter(|(_, at_fault)| **at_fault) {
            reasons.push(Unsupported {
                operator: Some(operator),
                name: Some(name.clone()),
                tensor: Some(result_name(original, operator).into()),
                reason: fault.to_string(),
            });
        }
        take_out(graph, &at_fault);
        let mut flags = at_fault.iter();
        left.retain(|_| flags.next() == Some(&false));
    }
    reasons.sort_by_key(|reason| reason.operator);
    reasons
}

/// Takes operators out of the graph, and makes their results inputs.
fn take_out(graph: &mut Graph<'_>, flags: &[bool]) {
    let mut position = 0;
    let taken: Vec<Operator> = graph
        .operators
        .extract_if(.., |_| {
            position += 1;
            flags[position - 1]
        })
        .collect();
    let computed: HashSet<_> = graph.operators.iter().flat_map(|operator| operator.outputs.clone()).collect();
    let mut known: HashSet<_> = graph.inputs.iter().copied().chain(computed).collect();
    for &id in taken.iter().flat_map(|operator| &operator.outputs) {
        if graph.tensors[id.index()].data.is_none() && known.insert(id) {
            graph.inputs.push(id);
        }
    }
}
