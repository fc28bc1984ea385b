//! The layers of a float model, each of which gets one precision.

use burnlite_tflite::{Graph, Operator, TensorId};

use crate::rules::{Rule, computes_reals, real_results, reals, rule};
use crate::{Precision, Recipe, RecipeRule};

/// An operator that computes new numbers, with those behind it that only move or choose them: what these are given as
/// integers has lost already what they could keep.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Layer {
    /// The indices of its operators; the first one is its own.
    pub(super) operators: Vec<usize>,
}

impl Layer {
    /// The layers in the order in which they are computed. Operators that have to stay float are in none.
    ///
    /// What moves the values of an input belongs to the first layer that reads them.
    pub(super) fn all(graph: &Graph<'_>) -> Vec<Self> {
        let mut layers: Vec<Self> = Vec::new();
        let mut layer_of: Vec<Option<usize>> = vec![None; graph.operators.len()];
        let mut before = Vec::new();
        for (index, operator) in graph.operators.iter().enumerate() {
            let Some(rule) = rule(&operator.op).filter(|_| computes_reals(graph, operator)) else { continue };
            let is_moving = matches!(rule, Rule::SameScale | Rule::Passthrough);
            match joined(graph, operator, &layer_of).filter(|_| is_moving) {
                Some(layer) => {
                    layers[layer].operators.push(index);
                    layer_of[index] = Some(layer);
                }
                None if is_moving => before.push(index),
                None => {
                    layer_of[index] = Some(layers.len());
                    layers.push(Self { operators: vec![index] });
                }
            }
        }
        // From the last to the first, so that what reads is known.
        for &index in before.iter().rev() {
            let layer = reader(graph, index).and_then(|reader| layer_of[reader]);
            let layer = layer.unwrap_or_else(|| {
                layers.push(Self { operators: Vec::new() });
                layers.len() - 1
            });
            layers[layer].operators.push(index);
            layer_of[index] = Some(layer);
        }
        layers
    }

    /// The rules that give the layer a precision. They fit no other model, or hardly.
    pub(super) fn rules(&self, graph: &Graph<'_>, precision: Precision) -> impl Iterator<Item = RecipeRule> {
        self.operators.iter().map(move |&index| {
            let rule = RecipeRule::new(precision).operator(index);
            let result = graph.operators[index].outputs.first();
            match result.map(|id| &graph.tensors[id.index()].name) {
                Some(name) if !name.is_empty() => rule.tensor(name),
                _ => rule,
            }
        })
    }
}

/// The recipe that gives everything one precision, but some layers others.
pub(super) fn recipe<'l>(
    graph: &Graph<'_>,
    general: Precision,
    others: impl IntoIterator<Item = (&'l Layer, Precision)>,
) -> Recipe {
    let others = others.into_iter().filter(|&(_, precision)| precision != general);
    let rules = others.flat_map(|(layer, precision)| layer.rules(graph, precision));
    [RecipeRule::new(general)].into_iter().chain(rules).collect()
}

/// The layer that computes the first operand of an operator that moves values.
fn joined(graph: &Graph<'_>, operator: &Operator, layer_of: &[Option<usize>]) -> Option<usize> {
    let computed = |id: TensorId| {
        let producer = graph.operators.iter().position(|operator| operator.outputs.contains(&id))?;
        layer_of[producer]
    };
    reals(graph, operator).find_map(|(_, id)| computed(id))
}

/// The first operator that reads a result of another.
fn reader(graph: &Graph<'_>, index: usize) -> Option<usize> {
    let results: Vec<TensorId> = real_results(graph, &graph.operators[index]).map(|(_, id)| id).collect();
    graph.operators.iter().position(|operator| reals(graph, operator).any(|(_, id)| results.contains(&id)))
}
