//! What lies where in the arena, and when.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use burnlite_tflite::TensorId;

use super::{Plan, Step};
use crate::frame::Region;
use crate::interpreter::InterpreterOptions;

/// A part of the arena, and what it holds from one operator to another. Operators go by their index in the graph.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ArenaRegion {
    /// The tensor that it holds; none for what an operator notes while it works, and for a variable that no tensor names.
    pub tensor: Option<TensorId>,
    /// Bytes from the beginning of the arena: a multiple of 16.
    pub offset: usize,
    /// Its bytes.
    pub bytes: usize,
    /// The operator that writes it; none for inputs and variables, which are there before.
    pub first: Option<usize>,
    /// The operator that needs it last; none for what is kept behind all of them: inputs, outputs and variables.
    pub last: Option<usize>,
}

impl Plan<'_> {
    /// What the arena holds while the steps run, in the order in which it is written. Tensors that share memory under several
    /// shapes are one of them.
    pub(crate) fn arena_map(&self, options: &InterpreterOptions) -> Vec<ArenaRegion> {
        let last = if options.keeps_inputs() { None } else { Some(0) };
        let mut map = Map::default();
        for (id, region) in self.graph.inputs.iter().filter_map(|&id| Some((id, self.region(id)?))) {
            map.write(Some(id), region, (None, last));
        }
        let (variables, results) = (self.variables(), self.results());
        for &(region, _) in &self.states {
            map.write(variables.get(&region).copied(), region, (None, None));
        }
        let states: BTreeSet<Region> = self.states.iter().map(|&(region, _)| region).collect();
        for step in &self.steps {
            let reads = step.inputs.iter().filter_map(|place| place.region());
            reads.for_each(|region| map.keep(region, Some(step.operator)));
            for &(region, position) in step.writable.iter().filter(|(region, _)| !states.contains(region)) {
                // The result of the step's operator or, where that is computed at once with one behind it, of that one.
                let tensor = results.range((region, step.operator)..).next();
                let tensor =
                    tensor.filter(|((found, _), _)| *found == region && self.is_result(step, position));
                let tensor = tensor.map(|(_, &id)| id);
                let first = Some(step.operator);
                let is_kept = options.keep_intermediates && tensor.is_some();
                map.write(tensor, region, (first, if is_kept { None } else { first }));
            }
        }
        for region in self.graph.outputs.iter().filter_map(|&id| self.region(id)) {
            map.keep(region, None);
        }
        map.regions.retain(|region| region.bytes > 0);
        map.regions
    }

    fn region(&self, id: TensorId) -> Option<Region> {
        self.tensors[id.index()].place.region()
    }

    /// The first of the tensors that are the variable in each region.
    fn variables(&self) -> BTreeMap<Region, TensorId> {
        let mut variables = BTreeMap::new();
        for (tensor, id) in self.graph.tensors.iter().zip((0..).map(TensorId)) {
            if let (true, Some(region)) = (tensor.is_variable, self.region(id)) {
                variables.entry(region).or_insert(id);
            }
        }
        variables
    }

    /// The tensor that each operator computes into each region.
    fn results(&self) -> BTreeMap<(Region, usize), TensorId> {
        let mut results = BTreeMap::new();
        for (index, operator) in self.graph.operators.iter().enumerate() {
            for &id in &operator.outputs {
                if let Some(region) = self.region(id) {
                    results.entry((region, index)).or_insert(id);
                }
            }
        }
        results
    }

    /// Whether what a step writes at a position is a result, not scratch memory.
    fn is_result(&self, step: &Step, position: usize) -> bool {
        position < self.graph.operators[step.operator].outputs.len()
    }
}

/// A map that is being drawn.
#[derive(Default)]
struct Map {
    regions: Vec<ArenaRegion>,
    /// What was written last into each part of the arena.
    latest: BTreeMap<Region, usize>,
}

impl Map {
    fn write(
        &mut self,
        tensor: Option<TensorId>,
        region: Region,
        (first, last): (Option<usize>, Option<usize>),
    ) {
        let Region { offset, bytes } = region;
        self.latest.insert(region, self.regions.len());
        self.regions.push(ArenaRegion { tensor, offset, bytes, first, last });
    }

    /// Keeps what was written last into a region until the operator, or for ever. What is kept already stays so.
    fn keep(&mut self, region: Region, until: Option<usize>) {
        if let Some(&latest) = self.latest.get(&region) {
            let region = &mut self.regions[latest];
            region.last = region.last.and(until);
        }
    }
}

#[cfg(test)]
mod tests {
    use burnlite_tflite::{ElementType, Graph, Model, Op, Operator, Tensor};

    use super::*;
    use crate::{Interpreter, InterpreterOptions};

    /// Three operators in a row: the first result's memory is that of the third.
    #[test]
    fn regions_last_from_the_operator_that_writes_them_to_the_last_that_reads_them() {
        let mut graph = Graph::default();
        let ids =
            ["a", "b", "c", "d"].map(|name| graph.add_tensor(Tensor::new(name, ElementType::Float32, [5])));
        let operator = |pair: &[TensorId]| Operator::new(Op::Relu, [pair[0]], [pair[1]]);
        graph.operators = ids.windows(2).map(operator).collect();
        (graph.inputs, graph.outputs) = ([ids[0]].into(), [ids[3]].into());
        let model = Model::new(graph);
        let map = |keep_intermediates, keep_inputs| {
            let options = InterpreterOptions { keep_intermediates, keep_inputs, ..Default::default() };
            Interpreter::with_options(&model, &options).unwrap().arena_map()
        };
        let region = |tensor, offset, first, last| ArenaRegion {
            tensor: Some(TensorId(tensor)),
            offset,
            bytes: 20,
            first,
            last,
        };
        let expected = [
            region(0, 0, None, None),
            region(1, 32, Some(0), Some(1)),
            region(2, 64, Some(1), Some(2)),
            region(3, 32, Some(2), None),
        ];
        assert_eq!(map(false, true), expected);
        let expected = [
            region(0, 0, None, Some(0)),
            region(1, 32, Some(0), Some(1)),
            region(2, 0, Some(1), Some(2)),
            region(3, 32, Some(2), None),
        ];
        assert_eq!(map(false, false), expected);
        let kept = map(true, false);
        assert_eq!(kept.iter().map(|region| region.offset).collect::<Vec<_>>(), [0, 32, 64, 96]);
        assert!(kept.iter().all(|region| region.last.is_none()));
    }
}
