//! Operators, their results and constants, as they are added to the graph.

use burn::backend::ir::TensorIr;
use burnlite_tflite::{ElementType, Op, Operator, ReshapeOptions, Tensor, TensorId};

use super::{Builder, Stored, Value};
use crate::constant::{Constant, element_type};
use crate::error::Refusal;
use crate::fold;
use crate::layout::{Layout, Move};
use crate::shape::Shape;

impl Builder<'_> {
    /// Adds an operator and returns its result, a new tensor of the given shape, of the type of the first operand.
    pub(crate) fn operator(&mut self, op: Op, inputs: &[Option<TensorId>], shape: Shape) -> TensorId {
        let first = inputs.iter().flatten().next();
        let element_type = first.map_or(ElementType::Float32, |&input| self.element_type(input));
        self.typed_operator(op, inputs, element_type, shape)
    }

    /// Adds an operator and returns its result, a new tensor of the given type and shape.
    pub(crate) fn typed_operator(
        &mut self,
        op: Op,
        inputs: &[Option<TensorId>],
        element_type: ElementType,
        shape: Shape,
    ) -> TensorId {
        let name = self.unique(&format!("{}{}", self.scope, op.name().to_lowercase()));
        let output = self.add_computed(name, element_type, shape);
        self.graph.operators.push(Operator { inputs: inputs.to_vec(), ..Operator::new(op, [], [output]) });
        output
    }

    /// Adds an operator whose result is the captured tensor `result`, its dimensions stored in the given order.
    pub(crate) fn stored_operator(
        &mut self,
        op: Op,
        inputs: &[Option<TensorId>],
        result: &TensorIr,
        order: &[usize],
    ) -> Result<(), Refusal> {
        let shape = self.program.shape(result.id).clone();
        let element_type = element_type(result.dtype)?;
        let stored = self.stored_result(op, inputs, element_type, &shape, order);
        self.bind(result, Value::Computed(stored))
    }

    /// Adds an operator whose result is of Burn's shape `shape`, its dimensions stored in the given order.
    pub(crate) fn stored_result(
        &mut self,
        op: Op,
        inputs: &[Option<TensorId>],
        element_type: ElementType,
        shape: &Shape,
        order: &[usize],
    ) -> Stored {
        let layout = Layout::stored(shape, order);
        let stored = Shape(order.iter().map(|&dim| shape.0[dim]).collect());
        Stored { tensor: self.typed_operator(op, inputs, element_type, stored), layout }
    }

    /// One more result of the last operator, of Burn's shape `shape`, its dimensions stored in the given order.
    pub(crate) fn further_result(
        &mut self,
        element_type: ElementType,
        shape: &Shape,
        order: &[usize],
    ) -> Stored {
        let stored = Shape(order.iter().map(|&dim| shape.0[dim]).collect());
        let name = self.unique(&format!("{}result", self.scope));
        let tensor = self.add_computed(name, element_type, stored);
        if let Some(operator) = self.graph.operators.last_mut() {
            operator.outputs.push(tensor);
        }
        Stored { tensor, layout: Layout::stored(shape, order) }
    }

    /// Adds a constant, under its own name or, if it has none, that of its role; one that is there already is shared.
    pub(crate) fn add_constant(&mut self, constant: Constant, role: &str) -> TensorId {
        let anonymous = constant.clone().named(None);
        if let Some(&tensor) = self.shared.get(&anonymous) {
            return tensor;
        }
        let name = constant.name.clone().unwrap_or_else(|| format!("{}{role}", self.scope));
        let name = self.unique(&name);
        self.shapes.push(Shape::fixed(&constant.shape));
        let tensor = self.graph.add_tensor(constant.into_tensor(name));
        self.shared.insert(anonymous, tensor);
        tensor
    }

    /// Adds a tensor of floats that outlives a run, zeros at first.
    pub(crate) fn add_variable(&mut self, role: &str, shape: Shape) -> TensorId {
        let name = self.unique(&format!("{}{role}", self.scope));
        let variable = self.add_computed(name, ElementType::Float32, shape);
        self.graph.tensors[variable.index()].is_variable = true;
        variable
    }

    /// Adds a vector of integers, as operators take their parameters.
    pub(crate) fn add_integers(&mut self, role: &str, values: &[i32]) -> TensorId {
        self.add_constant(Constant::integers(values), role)
    }

    /// The same elements under another shape: RESHAPE.
    pub(crate) fn reshape(&mut self, tensor: TensorId, shape: Shape) -> TensorId {
        let new_shape = shape.reshape_target();
        let target = self.add_integers("reshape/shape", &new_shape);
        self.operator(Op::Reshape(ReshapeOptions { new_shape }), &[Some(tensor), Some(target)], shape)
    }

    /// Names a tensor after the current operation, whose work it has taken over.
    pub(crate) fn rename(&mut self, tensor: TensorId, op: &str) {
        let tensor_name = &self.graph.tensors[tensor.index()].name;
        let scope = tensor_name.rsplit_once('/').map_or(String::new(), |(scope, _)| format!("{scope}/"));
        let name = self.unique(&format!("{scope}{op}"));
        self.graph.tensors[tensor.index()].name = name;
    }

    pub(super) fn apply(&mut self, tensor: TensorId, step: &Move) -> TensorId {
        match step {
            Move::Reshape(shape) => {
                let reduced = fold::reduced_dims(self, tensor, shape);
                reduced.unwrap_or_else(|| self.reshape(tensor, shape.clone()))
            }
            Move::Transpose(order, shape) => {
                let order: Vec<i32> = order.iter().map(|&dim| dim as i32).collect();
                let order = self.add_integers("transpose/order", &order);
                self.operator(Op::Transpose, &[Some(tensor), Some(order)], shape.clone())
            }
        }
    }

    pub(super) fn add_computed(&mut self, name: String, element_type: ElementType, shape: Shape) -> TensorId {
        let tensor = Tensor::new(name, element_type, shape.sizes());
        let tensor = Tensor { shape_signature: shape.signature(), ..tensor };
        self.shapes.push(shape);
        self.graph.add_tensor(tensor)
    }

    /// Gives a computed tensor another shape of as many elements.
    pub(crate) fn set_shape(&mut self, tensor: TensorId, shape: Shape) {
        let stored = &mut self.graph.tensors[tensor.index()];
        (stored.shape, stored.shape_signature) = (shape.sizes(), shape.signature());
        self.shapes[tensor.index()] = shape;
    }

    /// `name`, or `name_1`, `name_2`, … if it is taken.
    fn unique(&mut self, name: &str) -> String {
        let mut candidate = name.to_owned();
        for count in 1.. {
            if self.names.insert(candidate.clone()) {
                break;
            }
            candidate = format!("{name}_{count}");
        }
        candidate
    }
}
