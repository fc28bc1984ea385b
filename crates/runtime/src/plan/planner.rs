//! One graph's operators in order: checked, folded where their operands are known, turned into steps otherwise.

use alloc::boxed::Box;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use burnlite_tflite::{Graph, Model, Op, Operator, Tensor, TensorId};

use super::memory::{END, Memory, UnplacedStep, Value};
use super::node::Reader;
use super::variable::Copy;
use super::{Kernel, Node, Planned, Source, operator_error};
use crate::arena::AlignedBytes;
use crate::error::{Error, OperatorFault};
use crate::frame::{Constant, MAX_WRITABLE, Place, frame};
use crate::interpreter::InterpreterOptions;
use crate::ops;

pub(super) struct Planner<'p, 'm> {
    pub(super) model: &'m Model<'m>,
    pub(super) graph: &'m Graph<'m>,
    pub(super) options: &'p InterpreterOptions,
    pub(super) memory: &'p mut Memory<'m>,
    pub(super) shapes: Vec<Vec<usize>>,
    pub(super) values: Vec<Value>,
    pub(super) readers: Vec<Reader>,
    pub(super) steps: Vec<UnplacedStep>,
    /// Whether CALL_ONCE of another graph asks for this one.
    pub(super) is_called: bool,
}

/// What planning a graph gives.
pub(super) struct PlannedGraph {
    pub(super) shapes: Vec<Vec<usize>>,
    pub(super) values: Vec<Value>,
    pub(super) steps: Vec<UnplacedStep>,
}

impl<'p, 'm> Planner<'p, 'm> {
    /// Knows the graph's constants and variables, and that it has no operator of a kind that is refused.
    pub(super) fn new(
        model: &'m Model<'m>,
        graph: &'m Graph<'m>,
        options: &'p InterpreterOptions,
        memory: &'p mut Memory<'m>,
    ) -> Result<Self, Error> {
        for (index, operator) in graph.operators.iter().enumerate() {
            refuse(graph, operator).map_err(|fault| operator_error(graph, index, fault))?;
        }
        let constant = |tensor: &'m Tensor<'m>| match tensor.data.as_deref() {
            Some(data) => memory.constant_of(tensor, data),
            None => Ok(Value::Unknown),
        };
        let values = graph.tensors.iter().map(constant).collect::<Result<_, _>>()?;
        Ok(Self {
            model,
            graph,
            options,
            shapes: graph.tensors.iter().map(|tensor| tensor.shape.clone()).collect(),
            values,
            readers: Reader::all(graph),
            memory,
            steps: Vec::new(),
            is_called: false,
        })
    }

    /// Gives the graph's inputs the given shapes.
    pub(super) fn inputs(&mut self, shapes: &[Vec<usize>]) -> Result<(), Error> {
        for (index, (&id, shape)) in self.graph.inputs.iter().zip(shapes).enumerate() {
            if self.value(id) != Value::Unknown {
                return Err(Error::NotAnInput { index, name: self.tensor(id).name.clone() });
            }
            self.shapes[id.index()].clone_from(shape);
            let last = if self.options.keeps_inputs() { END } else { 0 };
            self.values[id.index()] = self.new_buffer(id, 0, last)?;
        }
        Ok(())
    }

    /// Plans every operator, and keeps the graph's outputs until the caller reads them.
    pub(super) fn finish(mut self) -> Result<PlannedGraph, Error> {
        self.variables()?;
        for (index, operator) in self.graph.operators.iter().enumerate() {
            self.operator(index, operator)?;
        }
        for &id in &self.graph.outputs {
            match self.value(id) {
                Value::Unknown => return Err(self.not_computed("the graph's output".to_string(), id)),
                Value::Handle(_) => {
                    let Tensor { name, element_type, .. } = self.tensor(id);
                    return Err(Error::Unsized { name: name.clone(), element_type: *element_type });
                }
                value => self.memory.keep(value, END),
            }
        }
        Ok(PlannedGraph { shapes: self.shapes, values: self.values, steps: self.steps })
    }

    /// Gives the tensors that operators update their buffers. An input is its caller's, whatever the file says.
    fn variables(&mut self) -> Result<(), Error> {
        for (tensor, value) in self.graph.tensors.iter().zip(&mut self.values) {
            if tensor.is_variable && *value == Value::Unknown {
                let bytes = self.memory.bytes(tensor, &tensor.shape)?;
                *value = Value::Buffer(self.memory.state(tensor, bytes));
            }
        }
        Ok(())
    }

    fn operator(&mut self, index: usize, operator: &'m Operator) -> Result<(), Error> {
        self.memory.now += 1;
        self.check_operands(index, operator)?;
        match &operator.op {
            Op::CallOnce(options) => self.call_once(index, options),
            Op::VarHandle(options) => self.var_handle(index, operator, options),
            Op::ReadVariable => self.read_variable(index, operator),
            Op::AssignVariable => self.assign_variable(index, operator),
            _ => self.computation(index, operator),
        }
    }

    fn check_operands(&self, index: usize, operator: &Operator) -> Result<(), Error> {
        let fault = |fault| operator_error(self.graph, index, fault);
        if let Some(info) = operator.op.info() {
            let counts = [
                ("inputs", info.min_inputs, info.max_inputs, operator.inputs.len()),
                ("outputs", info.min_outputs, info.max_outputs, operator.outputs.len()),
            ];
            if let Some(&(what, min, max, found)) =
                counts.iter().find(|(_, min, max, found)| found < min || found > max)
            {
                return Err(fault(OperatorFault::Count { what, min, max, found }));
            }
        }
        for &id in operator.inputs.iter().flatten() {
            if self.value(id) == Value::Unknown {
                return Err(self.not_computed(self.graph.operator_label(index), id));
            }
        }
        match operator.outputs.iter().find(|&&id| self.value(id) != Value::Unknown) {
            Some(&id) => Err(fault(OperatorFault::Overwrites { tensor: self.tensor(id).name.clone() })),
            None => Ok(()),
        }
    }

    /// Plans an operator that computes its results from its operands.
    fn computation(&mut self, index: usize, operator: &'m Operator) -> Result<(), Error> {
        let node = Node {
            graph: self.graph,
            operator,
            shapes: &self.shapes,
            readers: &self.readers,
            constants: &|id| match self.value(id) {
                Value::Constant(constant) => Some(self.memory.constants[constant].bytes()),
                _ => None,
            },
            options: self.options,
        };
        let mut planned = ops::plan(&node).map_err(|fault| operator_error(self.graph, index, fault))?;
        for (&id, shape) in operator.outputs.iter().zip(&planned.shapes) {
            if shape.len() > Tensor::MOST_DIMENSIONS {
                let what = alloc::format!("a result has more than {} dimensions", Tensor::MOST_DIMENSIONS);
                let fault = OperatorFault::Shape { what, found: shape.clone() };
                return Err(operator_error(self.graph, index, fault));
            }
            self.shapes[id.index()].clone_from(shape);
        }
        if self.fuse(operator, &planned)? {
            return Ok(());
        }
        let is_padded = self.pad(operator, &mut planned);
        self.results(index, operator, planned)?;
        if let (true, Some(&Some(operand))) = (is_padded, operator.inputs.first()) {
            self.values[operand.index()] = Value::Unknown;
        }
        Ok(())
    }

    /// Gives the results their values: another name for the operand's memory, constants, or the results of a step.
    fn results(&mut self, index: usize, operator: &'m Operator, planned: Planned) -> Result<(), Error> {
        let inputs: Vec<Value> =
            operator.inputs.iter().map(|id| id.map_or(Value::Unknown, |id| self.value(id))).collect();
        let kernels: Vec<(Box<dyn Kernel>, &[TensorId])> = match planned.source {
            Source::Kernel(kernel) => [(kernel, &operator.outputs[..])].into(),
            Source::Each(kernels) => kernels.into_iter().zip(operator.outputs.chunks(1)).collect(),
            // The result must not change with the variable.
            Source::FirstOperand if self.memory.is_state(inputs[0]) => {
                [(Box::new(Copy) as Box<dyn Kernel>, &operator.outputs[..])].into()
            }
            Source::FirstOperand => {
                let result = operator.outputs[0];
                // It takes no memory of its own, but operators that read it multiply parts of its shape.
                self.memory.bytes(self.tensor(result), &self.shapes[result.index()])?;
                self.values[result.index()] = inputs[0];
                return Ok(());
            }
            Source::Known(bytes) => {
                self.memory.spend(bytes.len())?;
                let constant = Constant::Owned(bytes.as_slice().into());
                self.values[operator.outputs[0].index()] = self.memory.constant(constant);
                return Ok(());
            }
        };
        let is_constant = inputs.iter().all(|value| matches!(value, Value::Constant(_) | Value::Unknown));
        let updated = self.updated(operator, &inputs, &planned.updates);
        let updated = updated.map_err(|fault| operator_error(self.graph, index, fault))?;
        for (kernel, results) in kernels {
            if is_constant && planned.scratch_bytes.is_empty() {
                self.fold(index, &inputs, results, kernel.as_ref())?;
                continue;
            }
            self.memory.pack(kernel.packed_bytes())?;
            self.memory.tabulate(kernel.table_bytes())?;
            let mut writable = self.new_results(results)?;
            writable.extend(&updated);
            let now = self.memory.now;
            for &bytes in &planned.scratch_bytes {
                writable.push(self.memory.buffer(bytes, now, now));
            }
            self.step(index, kernel, inputs.clone(), writable);
        }
        Ok(())
    }

    /// The buffers of the operands at the given positions: variables, each of them no other operand of the operator.
    fn updated(
        &self,
        operator: &Operator,
        inputs: &[Value],
        positions: &[usize],
    ) -> Result<Vec<usize>, OperatorFault> {
        let buffer = |&position: &usize| {
            let value = inputs.get(position).copied().unwrap_or(Value::Unknown);
            let shared = inputs.iter().filter(|&&other| other == value).count() > 1;
            match value {
                Value::Buffer(buffer) if self.memory.is_state(value) && !shared => Ok(buffer),
                _ => Err(match operator.inputs.get(position).copied().flatten() {
                    Some(id) => OperatorFault::NotVariable { tensor: self.tensor(id).name.clone() },
                    None => OperatorFault::Missing { what: "input", position },
                }),
            }
        };
        positions.iter().map(buffer).collect()
    }

    /// Adds a step for the operator that is being planned.
    pub(super) fn step(
        &mut self,
        operator: usize,
        kernel: Box<dyn Kernel>,
        inputs: Vec<Value>,
        writable: Vec<usize>,
    ) {
        assert!(writable.len() <= MAX_WRITABLE, "results beyond that have kernels of their own");
        for &value in &inputs {
            self.memory.keep(value, self.memory.now);
        }
        self.steps.push(UnplacedStep { operator, kernel, inputs, writable });
    }

    /// Buffers for results of the operator that is being planned.
    pub(super) fn new_results(&mut self, results: &[TensorId]) -> Result<Vec<usize>, Error> {
        let now = self.memory.now;
        let last = if self.options.keep_intermediates { END } else { now };
        let mut buffers = Vec::new();
        for &id in results {
            let value = self.new_buffer(id, now, last)?;
            if let Value::Buffer(buffer) = value {
                buffers.push(buffer);
            }
            self.values[id.index()] = value;
        }
        Ok(buffers)
    }

    /// Runs an operator over constants now; its results are constants too.
    fn fold(
        &mut self,
        index: usize,
        inputs: &[Value],
        outputs: &[TensorId],
        kernel: &dyn Kernel,
    ) -> Result<(), Error> {
        let places: Vec<Place> = inputs.iter().map(|value| value.place(&[])).collect();
        let mut results = Vec::new();
        for &id in outputs {
            let bytes = self.memory.bytes(self.tensor(id), &self.shapes[id.index()])?;
            self.memory.spend(bytes)?;
            results.push(AlignedBytes::zeroed(bytes));
        }
        {
            let (inputs, mut writable) = frame(&mut [], &[], &places, &self.memory.constants);
            for (region, result) in writable.iter_mut().zip(&mut results) {
                *region = result.as_mut_slice();
            }
            kernel.run(&inputs, &mut writable).map_err(|fault| operator_error(self.graph, index, fault))?;
        }
        for (id, result) in outputs.iter().zip(results) {
            self.values[id.index()] = self.memory.constant(Constant::Owned(result));
        }
        Ok(())
    }

    fn new_buffer(&mut self, id: TensorId, first: usize, last: usize) -> Result<Value, Error> {
        let bytes = self.memory.bytes(self.tensor(id), &self.shapes[id.index()])?;
        Ok(Value::Buffer(self.memory.buffer(bytes, first, last)))
    }

    pub(super) fn value(&self, id: TensorId) -> Value {
        self.values[id.index()]
    }

    pub(super) fn tensor(&self, id: TensorId) -> &'m Tensor<'m> {
        &self.graph.tensors[id.index()]
    }

    fn not_computed(&self, place: String, id: TensorId) -> Error {
        Error::NotComputed { place, tensor: id.index(), name: self.tensor(id).name.clone() }
    }
}

/// The code of operators that are not builtin.
const CUSTOM: i32 = 32;

/// Refuses what the runtime leaves out on purpose: control flow, custom operators, and operators on values without a
/// fixed size, but for the handles of variables.
fn refuse(graph: &Graph<'_>, operator: &Operator) -> Result<(), OperatorFault> {
    let unsupported = |what: &str| Err(OperatorFault::Unsupported { what: what.into() });
    let handle = match &operator.op {
        Op::Unsupported { code: CUSTOM, .. } => return unsupported("a custom operator"),
        Op::Unsupported { name, .. } if matches!(name.as_str(), "IF" | "WHILE" | "CALL") => {
            return unsupported("control flow");
        }
        Op::Unsupported { .. } => return Err(OperatorFault::Unknown),
        Op::VarHandle(_) => operator.outputs.first(),
        Op::ReadVariable | Op::AssignVariable => operator.inputs.first().and_then(Option::as_ref),
        _ => None,
    };
    let operands = operator.inputs.iter().flatten().chain(&operator.outputs);
    for id in operands.filter(|&id| Some(id) != handle) {
        let Tensor { name, element_type, .. } = &graph.tensors[id.index()];
        if element_type.bits().is_none() {
            return unsupported(&alloc::format!("the element type {element_type} of tensor '{name}'"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use alloc::string::String;

    use burnlite_tflite::{Activation, ElementType, ReshapeOptions, SvdfOptions};

    use super::*;
    use crate::Interpreter;

    /// A filter that remembers its last two results and gives the older one, with the operands in the given order: 0 is
    /// the input, 1 its weights, 2 those over time, 3 what it remembers.
    fn filter(operands: [u32; 4]) -> Graph<'static> {
        let mut graph = Graph::default();
        let input = graph.add_tensor(Tensor::new("input", ElementType::Float32, [1, 2]));
        graph.add_tensor(Tensor::constant("features", [1, 2], &[1.0f32, 0.0]));
        graph.add_tensor(Tensor::constant("times", [1, 2], &[1.0f32, 0.0]));
        let state = Tensor::new("state", ElementType::Float32, [1, 2]);
        graph.add_tensor(Tensor { is_variable: true, ..state });
        let output = graph.add_tensor(Tensor::new("output", ElementType::Float32, [1, 1]));
        let options = SvdfOptions { rank: 1, activation: Activation::None, ..SvdfOptions::default() };
        let mut operator = Operator::new(Op::Svdf(options), operands.map(TensorId), [output]);
        operator.inputs.insert(3, None);
        graph.operators.push(operator);
        (graph.inputs, graph.outputs) = ([input].into(), [output].into());
        graph
    }

    fn refusal(graph: Graph<'static>) -> String {
        Interpreter::new(&Model::new(graph)).unwrap_err().to_string()
    }

    #[test]
    fn a_variable_that_an_operator_updates_is_no_other_operand_of_it() {
        for operands in [[3, 1, 2, 3], [0, 1, 3, 3]] {
            assert!(refusal(filter(operands)).contains("tensor 'state' must be a variable of its own"));
        }
        for operands in [[0, 1, 2, 0], [0, 1, 2, 1]] {
            assert!(refusal(filter(operands)).contains("must be a variable of its own"));
        }
    }

    #[test]
    fn a_reshaped_variable_is_what_it_was_before_the_update() {
        let mut graph = filter([0, 1, 2, 3]);
        let before = graph.add_tensor(Tensor::new("before", ElementType::Float32, [2]));
        let options = ReshapeOptions { new_shape: [2].into() };
        graph.operators.insert(0, Operator::new(Op::Reshape(options), [TensorId(3)], [before]));
        graph.outputs.extend([before, TensorId(3)]);
        let model = Model::new(graph);
        let mut interpreter = Interpreter::new(&model).unwrap();
        for (input, [before, after]) in [(5.0, [[0.0, 0.0], [0.0, 5.0]]), (6.0, [[0.0, 5.0], [5.0, 6.0]])] {
            interpreter.set_input(0, &[input, 9.0f32]).unwrap();
            interpreter.invoke().unwrap();
            assert_eq!(interpreter.output::<f32>(0).unwrap(), &after[..1]);
            assert_eq!(interpreter.output::<f32>(1).unwrap(), before);
            assert_eq!(interpreter.output::<f32>(2).unwrap(), after);
        }
        interpreter.reset_variables().unwrap();
        assert_eq!(interpreter.tensor::<f32>(TensorId(3)).unwrap(), [0.0, 0.0]);
    }

    #[test]
    fn a_result_has_32_dimensions_at_most() {
        let mut graph = Graph::default();
        let x = graph.add_tensor(Tensor::new("x", ElementType::Int8, [1; 32]));
        let axis = graph.add_tensor(Tensor::constant("axis", [], &[0]));
        let y = graph.add_tensor(Tensor::new("y", ElementType::Int8, [1]));
        graph.operators.push(Operator::new(Op::ExpandDims, [x, axis], [y]));
        (graph.inputs, graph.outputs) = ([x].into(), [y].into());
        assert!(refusal(graph).contains("a result has more than 32 dimensions"));
    }

    #[test]
    fn what_is_left_out_on_purpose_is_refused_by_name() {
        let unsupported = |code: i32, name: &str| Op::Unsupported { code, name: name.into() };
        let cases = [
            (unsupported(CUSTOM, "Whistle"), "operator 0 (Whistle): a custom operator is not supported"),
            (unsupported(119, "WHILE"), "operator 0 (WHILE): control flow is not supported"),
            (unsupported(118, "IF"), "operator 0 (IF): control flow is not supported"),
            (unsupported(98_765, "?"), "operator 0 (?): this runtime does not have the operator"),
        ];
        for (op, expected) in cases {
            let mut graph = filter([0, 1, 2, 3]);
            graph.operators[0].op = op;
            assert_eq!(refusal(graph), expected);
        }
        let mut strings = filter([0, 1, 2, 3]);
        strings.tensors[0].element_type = ElementType::String;
        let expected = "operator 0 (SVDF): the element type string of tensor 'input' is not supported";
        assert_eq!(refusal(strings.clone()), expected);
        strings.operators.clear();
        let expected = "tensor 'input' holds values of the type string, which is not supported";
        assert_eq!(refusal(strings), expected);
    }
}
