//! What lies where in the arena, and when.

use alloc::vec::Vec;

use burnlite_tflite::TensorId;

use super::{Plan, Step};
use crate::frame::Region;

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
    pub(crate) fn arena_map(&self) -> Vec<ArenaRegion> {
        let inputs = self.graph.inputs.iter().filter_map(|&id| Some((Some(id), self.region(id)?)));
        let states = self.states.iter().map(|&(region, _)| (self.variable_in(region), region));
        let is_there = |(tensor, region)| entry(tensor, region, None);
        let mut map: Vec<_> = inputs.chain(states).map(is_there).collect();
        for step in &self.steps {
            let reads = step.inputs.iter().filter_map(|place| place.region());
            reads.for_each(|region| keep(&mut map, region, Some(step.operator)));
            for &(region, position) in &step.writable {
                if !self.states.iter().any(|&(state, _)| state == region) {
                    map.push(entry(self.result_in(step, region, position), region, Some(step.operator)));
                }
            }
        }
        for region in self.graph.outputs.iter().filter_map(|&id| self.region(id)) {
            keep(&mut map, region, None);
        }
        map.retain(|region| region.bytes > 0);
        map
    }

    fn region(&self, id: TensorId) -> Option<Region> {
        self.tensors[id.index()].place.region()
    }

    /// The tensor that is the variable in the region.
    fn variable_in(&self, region: Region) -> Option<TensorId> {
        let ids = (0..).map(TensorId).zip(&self.graph.tensors);
        let mut variables = ids.filter(|(_, tensor)| tensor.is_variable).map(|(id, _)| id);
        variables.find(|&id| self.region(id) == Some(region))
    }

    /// The tensor that a step writes into a region; none where it is scratch memory.
    ///
    /// It is the result of the step's operator, or, where that is computed at once with one behind it, of that one.
    fn result_in(&self, step: &Step, region: Region, position: usize) -> Option<TensorId> {
        let operators = &self.graph.operators[step.operator..];
        let is_result = position < operators[0].outputs.len();
        let mut results = operators.iter().flat_map(|operator| &operator.outputs).copied();
        results.find(|&id| is_result && self.region(id) == Some(region))
    }
}

fn entry(tensor: Option<TensorId>, Region { offset, bytes }: Region, operator: Option<usize>) -> ArenaRegion {
    ArenaRegion { tensor, offset, bytes, first: operator, last: operator }
}

/// Keeps what was written last into a region until the operator, or for ever. What is there from the beginning stays.
fn keep(map: &mut [ArenaRegion], Region { offset, bytes }: Region, until: Option<usize>) {
    let mut written = map.iter_mut().rev();
    if let Some(region) = written.find(|region| (region.offset, region.bytes) == (offset, bytes)) {
        region.last = region.last.and(until);
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
        let ids = ["a", "b", "c", "d"].map(|name| graph.add_tensor(Tensor::new(name, ElementType::Float32, [5])));
        let operator = |pair: &[TensorId]| Operator::new(Op::Relu, [pair[0]], [pair[1]]);
        graph.operators = ids.windows(2).map(operator).collect();
        (graph.inputs, graph.outputs) = ([ids[0]].into(), [ids[3]].into());
        let model = Model::new(graph);
        let map = |keep_intermediates| {
            let options = InterpreterOptions { keep_intermediates, ..Default::default() };
            Interpreter::with_options(&model, &options).unwrap().arena_map()
        };
        let region = |tensor, offset, first, last| {
            ArenaRegion { tensor: Some(TensorId(tensor)), offset, bytes: 20, first, last }
        };
        let expected = [
            region(0, 0, None, None),
            region(1, 32, Some(0), Some(1)),
            region(2, 64, Some(1), Some(2)),
            region(3, 32, Some(2), None),
        ];
        assert_eq!(map(false), expected);
        let kept = map(true);
        assert_eq!(kept.iter().map(|region| region.offset).collect::<Vec<_>>(), [0, 32, 64, 96]);
        assert!(kept.iter().all(|region| region.last.is_none()));
    }
}
