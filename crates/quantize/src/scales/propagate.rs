//! Ranges travel in both directions, as TensorFlow's int8 quantizer (`quantization_driver.cc`) propagates them.
//!
//! First, the ranges that follow from others are dropped: those of fixed results; those behind an operator that moves the
//! values of a single operand; and those before an operator that joins several. What remains holds. Then operators pass
//! scales on to neighbours that have none; where two of them want different scales of the same tensor, the later one has
//! its operand rescaled.

use std::collections::BTreeSet;

use burnlite_tflite::{Graph, Operator, TensorId};

use super::{Place, Scales, Source};
use crate::Error;
use crate::parameters::Parameters;
use crate::rules::{ResultScale, Rule, real_results, reals};

pub(super) fn scales(source: Source<'_, '_>) -> Result<Scales, Error> {
    let neighbours = Neighbours::new(source.graph);
    let redundant = redundant_ranges(source, &neighbours);
    let mut tensors = vec![None; source.graph.tensors.len()];
    for id in ranged(source) {
        if !redundant.contains(&id) {
            tensors[id.index()] = Some(source.own(id)?);
        }
    }
    let held = tensors.iter().map(Option::is_some).collect();
    let scales = Scales { tensors, ..Scales::default() };
    let (visited, untried) = (BTreeSet::new(), (0..source.graph.operators.len()).collect());
    let mut propagation = Propagation { source, neighbours, held, scales, visited, untried };
    propagation.run();
    let mut scales = propagation.scales;
    source.complete(&mut scales.tensors)?;
    Ok(scales)
}

/// Who computes and who reads each tensor.
struct Neighbours {
    producer: Vec<Option<usize>>,
    users: Vec<Vec<usize>>,
}

impl Neighbours {
    fn new(graph: &Graph<'_>) -> Self {
        let count = graph.tensors.len();
        let mut neighbours = Self { producer: vec![None; count], users: vec![Vec::new(); count] };
        for (index, operator) in graph.operators.iter().enumerate() {
            reals(graph, operator).for_each(|(_, id)| neighbours.users[id.index()].push(index));
            real_results(graph, operator).for_each(|(_, id)| neighbours.producer[id.index()] = Some(index));
        }
        neighbours
    }
}

/// The activations of which calibration saw a range.
fn ranged(source: Source<'_, '_>) -> impl Iterator<Item = TensorId> {
    let results = source.graph.operators.iter().flat_map(|operator| &operator.outputs);
    let all = source.graph.inputs.iter().chain(results).copied();
    all.filter(move |&id| source.range(id).is_some())
}

/// The tensors whose own range shall not count.
fn redundant_ranges(source: Source<'_, '_>, neighbours: &Neighbours) -> BTreeSet<TensorId> {
    let graph = source.graph;
    let joins: Vec<bool> =
        graph.operators.iter().map(|operator| reals(graph, operator).nth(1).is_some()).collect();
    let mut redundant: BTreeSet<TensorId> = BTreeSet::new();
    for id in ranged(source) {
        let producer = neighbours.producer[id.index()].and_then(|index| source.rules[index]);
        if let Some(Rule::Computed(ResultScale::Fixed(_))) = producer {
            redundant.insert(id);
        }
        for &user in &neighbours.users[id.index()] {
            if source.rules[user] == Some(Rule::SameScale) && !joins[user] {
                redundant.extend(real_results(graph, &graph.operators[user]).map(|(_, id)| id));
            }
        }
    }
    let mut seen = BTreeSet::new();
    let mut pending: Vec<TensorId> = ranged(source).filter(|id| !redundant.contains(id)).collect();
    while let Some(id) = pending.pop() {
        let producer =
            neighbours.producer[id.index()].filter(|&index| source.rules[index] == Some(Rule::SameScale));
        let Some(index) = producer.filter(|_| seen.insert(id)) else { continue };
        for (_, operand) in reals(graph, &graph.operators[index]) {
            redundant.insert(operand);
            pending.push(operand);
        }
    }
    redundant
}

struct Propagation<'s, 'a> {
    source: Source<'s, 'a>,
    neighbours: Neighbours,
    /// The tensors whose own range counts.
    held: Vec<bool>,
    scales: Scales,
    /// The operators that passed their scale on.
    visited: BTreeSet<usize>,
    /// The operators that may know their scale by now.
    untried: BTreeSet<usize>,
}

impl<'s> Propagation<'s, '_> {
    /// Visits operators from the last to the first, again as long as more of them learn their scale; one that sets a
    /// tensor has its neighbours visited next.
    ///
    /// An operator that did not know its scale learns it where a tensor of its own was set since: no other is visited again.
    fn run(&mut self) {
        let mut end = self.source.graph.operators.len();
        while let Some(index) = self.untried.range(..end).next_back().copied() {
            end = index;
            let mut pending = vec![index];
            while let Some(index) = pending.pop() {
                self.untried.remove(&index);
                if self.visited.insert(index) && !self.visit(index, &mut pending) {
                    self.visited.remove(&index);
                }
            }
            if self.untried.range(..end).next().is_none() {
                end = self.source.graph.operators.len();
            }
        }
    }

    /// Whether the operator knows its scale.
    fn visit(&mut self, index: usize, pending: &mut Vec<usize>) -> bool {
        let operator = &self.source.graph.operators[index];
        match self.source.rules[index] {
            Some(Rule::SameScale) => {
                let Some(parameters) = self.common(index, operator) else { return false };
                for (position, id) in reals(self.source.graph, operator) {
                    self.set_operand((index, position), id, parameters, pending);
                }
                self.set_results(index, operator, parameters, pending);
            }
            Some(Rule::Computed(ResultScale::Fixed(range))) => {
                self.set_results(index, operator, self.source.arithmetic.fixed(range), pending);
            }
            _ => {}
        }
        true
    }

    /// The scale that all operands and results of an operator shall have.
    fn common(&self, index: usize, operator: &'s Operator) -> Option<Parameters> {
        let operands: Vec<_> = reals(self.source.graph, operator)
            .map(|(position, id)| match self.source.is_constant(id) {
                true => (self.scales.operands.get(&(index, position)).copied(), false),
                false => (self.scales.tensors[id.index()], self.held[id.index()]),
            })
            .collect();
        let results: Vec<_> = real_results(self.source.graph, operator)
            .map(|(_, id)| (self.scales.tensors[id.index()], self.held[id.index()]))
            .collect();
        for must_hold in [true, false] {
            let known = |list: &[(Option<Parameters>, bool)]| {
                let of_kind = list.iter().filter(|(_, held)| *held == must_hold);
                of_kind.filter_map(|(parameters, _)| *parameters).next()
            };
            let (operand, result) = (known(&operands), known(&results));
            let alone = if operator.inputs.len() == 1 { operand } else { None };
            let single_result = result.filter(|_| operator.outputs.len() == 1);
            if let Some(parameters) = alone.or(single_result).or(operand).or(result) {
                return Some(parameters);
            }
        }
        None
    }

    fn set_operand(&mut self, place: Place, id: TensorId, parameters: Parameters, pending: &mut Vec<usize>) {
        if self.source.is_constant(id) {
            self.scales.operands.insert(place, parameters);
            return;
        }
        match &mut self.scales.tensors[id.index()] {
            Some(found) if *found == parameters => {}
            Some(_) => {
                self.scales.operands.insert(place, parameters);
            }
            unknown => {
                *unknown = Some(parameters);
                pending.extend(self.neighbours.producer[id.index()]);
                self.untried.extend(&self.neighbours.users[id.index()]);
            }
        }
    }

    fn set_results(
        &mut self,
        index: usize,
        operator: &Operator,
        parameters: Parameters,
        pending: &mut Vec<usize>,
    ) {
        for (position, id) in real_results(self.source.graph, operator) {
            match &mut self.scales.tensors[id.index()] {
                Some(found) if *found == parameters => {}
                Some(_) => {
                    self.scales.results.insert((index, position), parameters);
                }
                unknown => {
                    *unknown = Some(parameters);
                    pending.extend(&self.neighbours.users[id.index()]);
                }
            }
        }
    }
}
