//! Burn's LSTM among the captured operations, where it stands step by step.

use std::collections::{BTreeSet, HashMap};

use burn::backend::capture::TensorId;
use burn::backend::ir::{
    ActivationOperationIr, BaseOperationIr, FloatOperationIr, NumericOperationIr, OperationIr, TensorIr,
};
use burn::tensor::Slice;

use crate::constant::Constant;
use crate::program::Program;

/// A sequence on its way through an LSTM.
#[derive(Debug)]
pub(crate) struct Lstm {
    /// What goes through it, `[N, L, I]`.
    pub(crate) sequence: TensorIr,
    /// Whether its first step is the sequence's last.
    pub(crate) is_reversed: bool,
    /// The gates in TensorFlow Lite's order: input, forget, cell, output.
    pub(crate) gates: [Gate; 4],
    /// The bound on the cells; 0 is none.
    pub(crate) clip: f32,
    /// Outputs `[N, H]` that are read one by one, each with its step.
    pub(crate) outputs: Vec<(usize, TensorIr)>,
    /// All outputs in the order of the sequence, `[N, L, H]`, if they are put together.
    pub(crate) collected: Option<TensorIr>,
    /// The places in the program of the operations that it consists of.
    places: BTreeSet<usize>,
}

/// The parameters of a gate, constants all.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Gate {
    /// What the sequence is multiplied with, `[I, H]`.
    pub(crate) weights: TensorId,
    /// What the last output is multiplied with, `[H, H]`; `None` in a first step, where that is zeros.
    pub(crate) recurrent: Option<TensorId>,
    /// The sum of both biases, `[H]`.
    pub(crate) bias: Constant,
}

impl Lstm {
    /// Whether the operation at a place of the program belongs to it.
    pub(crate) fn covers(&self, place: usize) -> bool {
        self.places.contains(&place)
    }

    /// Whether the operation at a place of the program is its first.
    pub(crate) fn begins_at(&self, place: usize) -> bool {
        self.places.first() == Some(&place)
    }
}

/// The LSTMs in a program for one batch, as `burn::nn::Lstm` writes them, that one operator can stand for.
///
/// Their gates are logistic and not coupled, candidates and cells go through tanh, the first state is zeros, they take all
/// of the sequence, from the first step or from the last, and nothing but their outputs is read.
pub(crate) fn layers(program: &Program) -> Vec<Lstm> {
    let uses = Uses::new(program);
    let mut chains: Vec<Vec<Step<'_>>> = Vec::new();
    for (_, operation) in &program.operations {
        let OperationIr::NumericFloat(_, NumericOperationIr::Mul(op)) = operation else { continue };
        let Some(step) = Steps { uses: &uses, places: BTreeSet::new() }.step(&op.out) else { continue };
        let Some(before) = step.before else {
            chains.push(vec![step]);
            continue;
        };
        let is_before = |last: &Step<'_>| (last.output.id, last.cells) == before;
        if let Some(chain) = chains.iter_mut().find(|chain| chain.last().is_some_and(is_before)) {
            chain.push(step);
        }
    }
    chains.iter().filter_map(|steps| layer(&uses, steps)).collect()
}

/// The layer that `steps` are, if they are one.
fn layer(uses: &Uses<'_>, steps: &[Step<'_>]) -> Option<Lstm> {
    let [first, second, ..] = steps else { return None };
    let (sequence, at) = first.input;
    let is_reversed = at != 0;
    let length = steps.len();
    let is_in_order = steps.iter().enumerate().all(|(index, step)| {
        let place = if is_reversed { length - 1 - index } else { index };
        (step.input.0.id, step.input.1) == (sequence.id, place)
    });
    let is_same = first.begins(second) && steps[1..].iter().all(|step| step.gates == second.gates);
    let is_clipped_alike = steps.iter().all(|step| step.clip == first.clip);
    if sequence.shape.as_slice()[1] != length || !is_in_order || !is_same || !is_clipped_alike {
        return None;
    }
    let mut places: BTreeSet<usize> = steps.iter().flat_map(|step| step.places.iter().copied()).collect();
    let collected = collected(uses, steps, &mut places);
    let outputs: Vec<&TensorIr> = steps.iter().map(|step| step.output).collect();
    let is_result = |id: TensorId| outputs.iter().copied().chain(&collected).any(|result| result.id == id);
    if !places.iter().all(|&place| uses.made_at(place).all(|id| is_result(id) || uses.stay_in(id, &places))) {
        return None;
    }
    let read = outputs.into_iter().cloned().enumerate();
    Some(Lstm {
        sequence: sequence.clone(),
        is_reversed,
        gates: second.gates.clone(),
        clip: first.clip,
        outputs: read.filter(|(_, output)| !uses.stay_in(output.id, &places)).collect(),
        collected,
        places,
    })
}

/// The tensor into which the output of each step is put, at its place in the sequence; `places` gains the operations that
/// put them there.
fn collected(uses: &Uses<'_>, steps: &[Step<'_>], places: &mut BTreeSet<usize>) -> Option<TensorIr> {
    let mut whole: Option<&TensorIr> = None;
    let mut found = Vec::new();
    for step in steps {
        let is_base = |tensor: &TensorIr| match whole {
            Some(whole) => whole.id == tensor.id,
            None => tensor.shape.as_slice().get(1) == Some(&steps.len()) && uses.is_constant(tensor.id),
        };
        whole = Some(uses.readers(step.output.id).iter().find_map(|&reshape| {
            let OperationIr::BaseFloat(BaseOperationIr::Reshape(row)) = uses.operation(reshape) else {
                return None;
            };
            uses.readers(row.out.id).iter().find_map(|&assignment| match uses.operation(assignment) {
                OperationIr::BaseFloat(BaseOperationIr::SliceAssign(op))
                    if op.value.id == row.out.id
                        && is_base(&op.tensor)
                        && step_of(&op.ranges, &op.tensor) == Some(step.input.1) =>
                {
                    found.extend([reshape, assignment]);
                    Some(&op.out)
                }
                _ => None,
            })
        })?);
    }
    places.extend(found);
    whole.cloned()
}

/// The one step of a sequence `[N, L, I]` that ranges take.
fn step_of(ranges: &[Slice], sequence: &TensorIr) -> Option<usize> {
    let sizes = sequence.shape.as_slice();
    let range = |dim: usize| ranges.get(dim).map_or(0..sizes[dim], |range| range.to_range(sizes[dim]));
    let is_row = sizes.len() == 3 && [0, 2].iter().all(|&dim| range(dim) == (0..sizes[dim]));
    (is_row && range(1).len() == 1 && ranges.iter().all(|range| range.step == 1)).then(|| range(1).start)
}

/// Who makes the tensors of a program, and who reads them.
struct Uses<'p> {
    program: &'p Program,
    makers: HashMap<TensorId, usize>,
    readers: HashMap<TensorId, Vec<usize>>,
}

impl<'p> Uses<'p> {
    fn new(program: &'p Program) -> Self {
        let (mut makers, mut readers) = (HashMap::new(), HashMap::<_, Vec<usize>>::new());
        for (place, (_, operation)) in program.operations.iter().enumerate() {
            makers.extend(operation.outputs().map(|tensor| (tensor.id, place)));
            for tensor in operation.inputs() {
                readers.entry(tensor.id).or_default().push(place);
            }
        }
        Self { program, makers, readers }
    }

    fn operation(&self, place: usize) -> &'p OperationIr {
        &self.program.operations[place].1
    }

    fn made_at(&self, place: usize) -> impl Iterator<Item = TensorId> {
        self.operation(place).outputs().map(|tensor| tensor.id)
    }

    fn readers(&self, tensor: TensorId) -> &[usize] {
        self.readers.get(&tensor).map_or(&[], Vec::as_slice)
    }

    /// Whether the operations at `places` alone read a tensor.
    fn stay_in(&self, tensor: TensorId, places: &BTreeSet<usize>) -> bool {
        let is_read_inside = self.readers(tensor).iter().all(|reader| places.contains(reader));
        is_read_inside && !self.program.outputs.contains(&tensor)
    }

    fn is_constant(&self, tensor: TensorId) -> bool {
        self.program.constants.contains_key(&tensor)
    }

    /// A constant of floats, and its elements.
    fn floats(&self, tensor: TensorId) -> Option<(Constant, Vec<f32>)> {
        let constant = self.program.constant(tensor)?.ok()?;
        let elements = constant.to_floats().ok()?;
        Some((constant, elements))
    }
}

/// One step: `cells = forget · cells + enter · candidates`, `output = leave · tanh(cells)`.
struct Step<'p> {
    /// The sequence, and which of its steps is taken.
    input: (&'p TensorIr, usize),
    /// The output and the cells of the step before; `None` for zeros.
    before: Option<(TensorId, TensorId)>,
    gates: [Gate; 4],
    clip: f32,
    output: &'p TensorIr,
    cells: TensorId,
    places: BTreeSet<usize>,
}

impl Step<'_> {
    /// Whether a layer with the gates of `next` does this from a state of zeros.
    fn begins(&self, next: &Self) -> bool {
        let mut gates = self.gates.iter().zip(&next.gates);
        gates.all(|(gate, next)| (gate.weights, &gate.bias) == (next.weights, &next.bias))
    }
}

/// A gate in one step: `input · weights + bias + before · recurrent + bias`, before its activation.
struct StepGate<'p> {
    input: &'p TensorIr,
    before: Option<TensorId>,
    parameters: Gate,
}

/// Reads a step backwards from its output.
struct Steps<'u, 'p> {
    uses: &'u Uses<'p>,
    /// The operations that have been read.
    places: BTreeSet<usize>,
}

impl<'p> Steps<'_, 'p> {
    fn step(mut self, output: &'p TensorIr) -> Option<Step<'p>> {
        let (leave, activated) = self.product(output)?;
        let cells = self.tanh(activated)?;
        let (unclipped, clip) = self.clipped(cells)?;
        let (kept, entered) = self.sum(unclipped)?;
        let (forget, cells_before) = self.product(kept)?;
        let (enter, candidates) = self.product(entered)?;
        let sums =
            [self.sigmoid(enter)?, self.sigmoid(forget)?, self.tanh(candidates)?, self.sigmoid(leave)?];
        let [first, forget, cell, leave] = sums.map(|sum| self.gate(sum));
        let gates = [first?, forget?, cell?, leave?];
        let (input, output_before) = (gates[0].input, gates[0].before);
        if gates.iter().any(|gate| (gate.input.id, gate.before) != (input.id, output_before)) {
            return None;
        }
        let before = match output_before {
            Some(output) => Some((output, cells_before.id)),
            None if self.uses.floats(cells_before.id)?.1.iter().all(|&cell| cell == 0.0) => None,
            None => return None,
        };
        let input = self.part(input)?;
        let gates = gates.map(|gate| gate.parameters);
        Some(Step { input, before, gates, clip, output, cells: cells.id, places: self.places })
    }

    /// The operation that makes a tensor, which is read with it.
    fn operation(&mut self, tensor: &TensorIr) -> Option<&'p OperationIr> {
        let place = *self.uses.makers.get(&tensor.id)?;
        self.places.insert(place);
        Some(self.uses.operation(place))
    }

    fn product(&mut self, tensor: &TensorIr) -> Option<(&'p TensorIr, &'p TensorIr)> {
        match self.operation(tensor)? {
            OperationIr::NumericFloat(_, NumericOperationIr::Mul(op)) => Some((&op.lhs, &op.rhs)),
            _ => None,
        }
    }

    fn sum(&mut self, tensor: &TensorIr) -> Option<(&'p TensorIr, &'p TensorIr)> {
        match self.operation(tensor)? {
            OperationIr::NumericFloat(_, NumericOperationIr::Add(op)) => Some((&op.lhs, &op.rhs)),
            _ => None,
        }
    }

    fn tanh(&mut self, tensor: &TensorIr) -> Option<&'p TensorIr> {
        match self.operation(tensor)? {
            OperationIr::Float(_, FloatOperationIr::Tanh(op)) => Some(&op.input),
            _ => None,
        }
    }

    fn sigmoid(&mut self, tensor: &TensorIr) -> Option<&'p TensorIr> {
        match self.operation(tensor)? {
            OperationIr::Activation(ActivationOperationIr::Sigmoid(op)) => Some(&op.input),
            _ => None,
        }
    }

    /// What is clamped to an interval around 0, and its bound; 0 where nothing is clamped.
    fn clipped(&mut self, tensor: &'p TensorIr) -> Option<(&'p TensorIr, f32)> {
        match self.operation(tensor)? {
            OperationIr::NumericFloat(_, NumericOperationIr::Clamp(op)) => {
                let (min, max) = (op.min.elem::<f32>(), op.max.elem::<f32>());
                (max > 0.0 && min == -max).then_some((&op.tensor, max))
            }
            _ => Some((tensor, 0.0)),
        }
    }

    fn gate(&mut self, sum: &TensorIr) -> Option<StepGate<'p>> {
        let (of_input, of_output) = self.sum(sum)?;
        let (input, weights, bias) = self.affine(of_input)?;
        let (before, recurrent, addend) = match self.uses.floats(of_output.id) {
            Some((_, rows)) => (None, None, once(rows, *sum.shape.as_slice().last()?)?),
            None => {
                let (output, weights, bias) = self.affine(of_output)?;
                (Some(output.id), Some(weights), bias.to_floats().ok()?)
            }
        };
        let sums = bias.to_floats().ok()?.iter().zip(&addend).map(|(bias, addend)| bias + addend).collect();
        let bias = Constant::floats(&[addend.len()], sums).named(bias.name);
        Some(StepGate { input, before, parameters: Gate { weights, recurrent, bias } })
    }

    /// `x · weights + bias`: x, the weights and the bias, zeros where there is none.
    fn affine(&mut self, tensor: &'p TensorIr) -> Option<(&'p TensorIr, TensorId, Constant)> {
        let (product, bias) = match self.operation(tensor)? {
            OperationIr::NumericFloat(_, NumericOperationIr::Add(op)) => {
                (&op.lhs, self.uses.floats(op.rhs.id)?.0)
            }
            _ => (tensor, Constant::zeros(*tensor.shape.as_slice().last()?)),
        };
        match self.operation(product)? {
            OperationIr::Float(_, FloatOperationIr::Matmul(op)) if self.uses.is_constant(op.rhs.id) => {
                Some((&op.lhs, op.rhs.id, bias))
            }
            _ => None,
        }
    }

    /// The sequence of which a tensor is one step, and which one it is.
    fn part(&mut self, tensor: &TensorIr) -> Option<(&'p TensorIr, usize)> {
        let OperationIr::BaseFloat(BaseOperationIr::Reshape(row)) = self.operation(tensor)? else {
            return None;
        };
        match self.operation(&row.input)? {
            OperationIr::BaseFloat(BaseOperationIr::Slice(op)) => {
                Some((&op.tensor, step_of(&op.ranges, &op.tensor)?))
            }
            _ => None,
        }
    }
}

/// The first of `rows`, each of so many elements, if all are the same.
fn once(mut rows: Vec<f32>, len: usize) -> Option<Vec<f32>> {
    let first = rows.get(..len).filter(|_| len > 0)?;
    let is_same = rows.chunks(len).all(|row| row == first);
    rows.truncate(len);
    is_same.then_some(rows)
}
