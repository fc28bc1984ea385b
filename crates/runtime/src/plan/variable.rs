//! Variables that graphs share by name: VAR_HANDLE, READ_VARIABLE, ASSIGN_VARIABLE, and CALL_ONCE, which sets them up.
//!
//! A variable is a buffer of the arena that keeps its content. Its type and shape are those of the first tensor that is
//! assigned to it or read from it, in the order of planning, in which a graph of CALL_ONCE comes at its operator.

use alloc::boxed::Box;
use alloc::vec::Vec;

use burnlite_tflite::{CallOnceOptions, ElementType, Operator, TensorId, VarHandleOptions};

use super::memory::{UnplacedInitialization, Value};
use super::planner::Planner;
use super::{Kernel, operator_error};
use crate::error::{Error, OperatorFault};
use crate::frame::{Inputs, Writable};

#[derive(Default)]
pub(super) struct Variable {
    /// Unknown before the first tensor that is read or assigned.
    content: Option<Content>,
}

#[derive(Clone)]
struct Content {
    element_type: ElementType,
    shape: Vec<usize>,
    buffer: usize,
}

impl<'m> Planner<'_, 'm> {
    /// VAR_HANDLE: the variable of the given name, which is made where it is met first.
    pub(super) fn var_handle(
        &mut self,
        index: usize,
        operator: &Operator,
        name: &'m VarHandleOptions,
    ) -> Result<(), Error> {
        let handle = operator.outputs[0];
        let element_type = self.tensor(handle).element_type;
        if element_type != ElementType::Resource {
            let types = [element_type].into();
            return Err(operator_error(self.graph, index, OperatorFault::Types { types }));
        }
        let variables = &mut self.memory.variables;
        let variable =
            *self.memory.variable_of.entry((&name.container, &name.shared_name)).or_insert_with(|| {
                variables.push(Variable::default());
                variables.len() - 1
            });
        self.values[handle.index()] = Value::Handle(variable);
        Ok(())
    }

    /// READ_VARIABLE: a copy, which a later assignment does not change.
    pub(super) fn read_variable(&mut self, index: usize, operator: &Operator) -> Result<(), Error> {
        let result = operator.outputs[0];
        let content = self.content(index, operator, result)?;
        self.shapes[result.index()] = content.shape;
        let writable = self.new_results(&operator.outputs)?;
        self.step(index, Box::new(Copy), [Value::Buffer(content.buffer)].into(), writable);
        Ok(())
    }

    /// ASSIGN_VARIABLE: the second operand becomes the variable's value.
    pub(super) fn assign_variable(&mut self, index: usize, operator: &Operator) -> Result<(), Error> {
        let fault = |fault| operator_error(self.graph, index, fault);
        let missing = || fault(OperatorFault::Missing { what: "input", position: 1 });
        let id = operator.inputs[1].ok_or_else(missing)?;
        let content = self.content(index, operator, id)?;
        let shape = &self.shapes[id.index()];
        if *shape != content.shape {
            let what = alloc::format!("the variable's shape is {:?} and cannot change", content.shape);
            return Err(operator_error(
                self.graph,
                index,
                OperatorFault::Shape { what, found: shape.clone() },
            ));
        }
        self.step(index, Box::new(Copy), [self.value(id)].into(), [content.buffer].into());
        Ok(())
    }

    /// The content of the variable of the operator's first operand. The tensor's type must be the variable's; where
    /// nothing is known of the variable yet, it becomes one like the tensor.
    fn content(&mut self, index: usize, operator: &Operator, like: TensorId) -> Result<Content, Error> {
        let tensor = self.tensor(like);
        let Some(handle) = operator.inputs[0] else {
            let missing = OperatorFault::Missing { what: "input", position: 0 };
            return Err(operator_error(self.graph, index, missing));
        };
        let Value::Handle(variable) = self.value(handle) else {
            let tensor = self.tensor(handle).name.clone();
            return Err(operator_error(self.graph, index, OperatorFault::NotVariable { tensor }));
        };
        if let Some(content) = &self.memory.variables[variable].content {
            if content.element_type != tensor.element_type {
                let types = [content.element_type, tensor.element_type].into();
                return Err(operator_error(self.graph, index, OperatorFault::Types { types }));
            }
            return Ok(content.clone());
        }
        let shape = self.shapes[like.index()].clone();
        let bytes = self.memory.bytes(tensor, &shape)?;
        let buffer = self.memory.state(tensor, bytes);
        let content = Content { element_type: tensor.element_type, shape, buffer };
        self.memory.variables[variable].content = Some(content.clone());
        Ok(content)
    }

    /// CALL_ONCE: another graph's steps, to be run before the first of this one's. It has neither inputs nor outputs: all
    /// that it does is to assign variables.
    pub(super) fn call_once(&mut self, index: usize, options: &CallOnceOptions) -> Result<(), Error> {
        let called = usize::try_from(options.init_subgraph_index).ok();
        let called = called.and_then(|called| Some((called, self.model.graphs.get(called)?)));
        let Some((graph_index, graph)) = called else {
            let fault = OperatorFault::Option {
                option: "init_subgraph_index",
                expected: "the index of a graph",
                found: options.init_subgraph_index.into(),
            };
            return Err(operator_error(self.graph, index, fault));
        };
        let unsupported =
            |what: &str| operator_error(self.graph, index, OperatorFault::Unsupported { what: what.into() });
        if self.is_called {
            return Err(unsupported("CALL_ONCE in a graph that CALL_ONCE runs"));
        }
        if !graph.inputs.is_empty() || !graph.outputs.is_empty() {
            return Err(unsupported("CALL_ONCE of a graph with inputs or outputs"));
        }
        if !self.memory.called.insert(graph_index) {
            return Ok(());
        }
        let steps = Planner::new(self.model, graph, self.options, self.memory)
            .and_then(|mut planner| {
                planner.is_called = true;
                planner.finish()
            })
            .map_err(|error| {
                let fault = OperatorFault::Graph { graph: graph_index, error: Box::new(error) };
                operator_error(self.graph, index, fault)
            })?
            .steps;
        self.memory.initializations.push(UnplacedInitialization {
            caller: index,
            index: graph_index,
            graph,
            steps,
        });
        Ok(())
    }
}

/// The operand's bytes.
#[derive(Debug)]
pub(super) struct Copy;

impl Kernel for Copy {
    fn run(&self, inputs: &Inputs<'_>, [output, ..]: &mut Writable<'_>) -> Result<(), OperatorFault> {
        output.copy_from_slice(inputs.bytes(0));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use burnlite_tflite::{Graph, Model, Op, Tensor};

    use super::*;
    use crate::Interpreter;

    /// A graph that gives what the variable `last` was, and then assigns its input.
    fn delay() -> Graph<'static> {
        let mut graph = Graph::default();
        let handle = graph.add_tensor(Tensor::new("handle", ElementType::Resource, []));
        let [new, last] = ["new", "last"].map(|name| Tensor::new(name, ElementType::Int32, [2]));
        let [new, last] = [new, last].map(|tensor| graph.add_tensor(tensor));
        graph.operators = [
            Operator::new(Op::CallOnce(CallOnceOptions { init_subgraph_index: 1 }), [], []),
            Operator::new(Op::VarHandle(named("last")), [], [handle]),
            Operator::new(Op::ReadVariable, [handle], [last]),
            Operator::new(Op::AssignVariable, [handle, new], []),
        ]
        .into();
        (graph.inputs, graph.outputs) = ([new].into(), [last].into());
        graph
    }

    /// A graph that gives the variable `last` a first value.
    fn first<const N: usize>(value: [i32; N]) -> Graph<'static> {
        let mut graph = Graph::default();
        let handle = graph.add_tensor(Tensor::new("handle", ElementType::Resource, []));
        let value = graph.add_tensor(Tensor::constant("value", [N], &value));
        graph.operators = [
            Operator::new(Op::VarHandle(named("last")), [], [handle]),
            Operator::new(Op::AssignVariable, [handle, value], []),
        ]
        .into();
        graph
    }

    fn named(name: &str) -> VarHandleOptions {
        VarHandleOptions { shared_name: name.into(), ..VarHandleOptions::default() }
    }

    fn model(graphs: [Graph<'static>; 2]) -> Model<'static> {
        Model { graphs: graphs.into(), ..Model::default() }
    }

    /// What the interpreter gives for the next input.
    fn next(interpreter: &mut Interpreter<'_>, input: [i32; 2]) -> [i32; 2] {
        interpreter.set_input(0, &input).unwrap();
        interpreter.invoke().unwrap();
        interpreter.output(0).unwrap().try_into().unwrap()
    }

    fn refusal(graphs: [Graph<'static>; 2]) -> alloc::string::String {
        Interpreter::new(&model(graphs)).unwrap_err().to_string()
    }

    #[test]
    fn a_variable_starts_with_what_call_once_assigns_and_starts_again_when_reset() {
        let model = model([delay(), first([5, -7])]);
        let mut interpreter = Interpreter::new(&model).unwrap();
        assert_eq!(next(&mut interpreter, [1, 2]), [5, -7]);
        assert_eq!(next(&mut interpreter, [3, 4]), [1, 2]);
        interpreter.reset_variables().unwrap();
        assert_eq!(next(&mut interpreter, [8, 9]), [5, -7]);
    }

    #[test]
    fn a_clone_goes_on_from_the_same_state_on_its_own() {
        let model = model([delay(), first([5, -7])]);
        let mut original = Interpreter::new(&model).unwrap();
        next(&mut original, [1, 2]);
        let mut clone = original.clone();
        assert_eq!(next(&mut original, [3, 4]), [1, 2]);
        assert_eq!(next(&mut clone, [5, 6]), [1, 2]);
        assert_eq!(next(&mut original, [0, 0]), [3, 4]);
    }

    #[test]
    fn a_variable_that_nothing_sets_up_starts_at_zero() {
        let mut graph = delay();
        graph.operators.remove(0);
        let model = Model::new(graph);
        assert_eq!(next(&mut Interpreter::new(&model).unwrap(), [1, 2]), [0, 0]);
    }

    #[test]
    fn variables_of_other_names_are_others() {
        let mut other = first([5, -7]);
        other.operators[0].op = Op::VarHandle(VarHandleOptions { container: "c".into(), ..named("last") });
        let model = model([delay(), other]);
        assert_eq!(next(&mut Interpreter::new(&model).unwrap(), [1, 2]), [0, 0]);
    }

    #[test]
    fn a_variable_keeps_its_shape() {
        let refusal = refusal([delay(), first([1, 2, 3])]);
        let expected =
            "operator 3 (ASSIGN_VARIABLE): the variable's shape is [3] and cannot change: the shape is [2]";
        assert_eq!(refusal, expected);
    }

    #[test]
    fn a_fault_in_a_called_graph_says_where_it_is() {
        let mut broken = first([1, 2]);
        broken.operators.swap(0, 1);
        let place =
            "operator 0 (CALL_ONCE): in graph 1: operator 0 (ASSIGN_VARIABLE) reads tensor 0 'handle'";
        assert!(refusal([delay(), broken]).starts_with(place));
    }

    #[test]
    fn call_once_runs_no_graph_with_outputs_and_none_that_calls_again() {
        let mut with_output = first([1, 2]);
        with_output.outputs = [TensorId(1)].into();
        assert!(refusal([delay(), with_output]).contains("with inputs or outputs is not supported"));
        let mut calling = first([1, 2]);
        calling.operators.insert(0, delay().operators.swap_remove(0));
        assert!(refusal([delay(), calling]).contains("CALL_ONCE in a graph that CALL_ONCE runs"));
    }

    #[test]
    fn a_handle_is_nothing_but_a_handle() {
        let mut read = delay();
        read.outputs = [TensorId(0)].into();
        assert!(refusal([read, first([1, 2])]).contains("'handle' holds values of the type resource"));
        let mut computed = delay();
        computed.operators[3] = Operator::new(Op::Shape(Default::default()), [TensorId(0)], [TensorId(1)]);
        assert!(refusal([computed, first([1, 2])]).contains("element type resource of tensor 'handle'"));
        let mut untyped = delay();
        untyped.tensors[0].element_type = ElementType::Int32;
        assert!(refusal([untyped, first([1, 2])]).contains("operator 1 (VAR_HANDLE)"));
        let mut constant = delay();
        constant.operators.remove(1);
        constant.inputs.push(TensorId(0));
        assert!(refusal([constant, first([1, 2])]).contains("'handle' holds values of the type resource"));
    }
}
