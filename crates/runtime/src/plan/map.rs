//! What lies where in the arena, and when.

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
        let input = |&id: &TensorId| Some(entry(Some(id), self.region(id)?, (None, last)));
        let state = |&(region, _): &(Region, u8)| entry(self.variable_in(region), region, (None, None));
        let mut map: Vec<_> = self.graph.inputs.iter().filter_map(input).collect();
        map.extend(self.states.iter().map(state));
        for step in &self.steps {
            let reads = step.inputs.iter().filter_map(|place| place.region());
            reads.for_each(|region| keep(&mut map, region, Some(step.operator)));
            for &(region, position) in &step.writable {
                if self.states.iter().any(|&(state, _)| state == region) {
                    continue;
                }
                let tensor = self.result_in(step, region, position);
                let first = Some(step.operator);
                let is_kept = options.keep_intermediates && tensor.is_some();
                map.push(entry(tensor, region, (first, if is_kept { None } else { first })));
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

fn entry(
    tensor: Option<TensorId>,
    Region { offset, bytes }: Region,
    (first, last): (Option<usize>, Option<usize>),
) -> ArenaRegion {
    ArenaRegion { tensor, offset, bytes, first, last }
}

/// Keeps what was written last into a region until the operator, or for ever. What is kept already stays so.
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
