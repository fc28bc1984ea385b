//! The graph in the making.

use std::collections::{HashMap, HashSet};

use burn::backend::DType;
use burn::backend::capture::TensorId as CapturedId;
use burn::backend::ir::TensorIr;
use burnlite_tflite::{ElementType, Graph, Op, Operator, ReshapeOptions, Tensor, TensorId};

use crate::constant::{Constant, element_type};
use crate::error::Refusal;
use crate::layout::{Layout, Move};
use crate::program::Program;
use crate::shape::Shape;

/// What a captured tensor has become.
#[derive(Debug, Clone)]
pub(crate) enum Value {
    /// Elements that are known now.
    Constant(Constant),
    /// Elements that are computed when the model runs.
    Computed(Stored),
}

/// A tensor of the file, and how the captured tensor is found in it.
#[derive(Debug, Clone)]
pub(crate) struct Stored {
    pub(crate) tensor: TensorId,
    pub(crate) layout: Layout,
}

/// Builds the graph: lowerings ask it for operands in the order they want, and give it operators.
#[derive(Debug)]
pub(crate) struct Builder<'a> {
    pub(crate) program: &'a Program,
    pub(crate) graph: Graph<'static>,
    /// The shapes of the graph's tensors, with the batch.
    shapes: Vec<Shape>,
    values: HashMap<CapturedId, Value>,
    /// How often each captured tensor is still to be read; the caller reads outputs once.
    readers: HashMap<CapturedId, usize>,
    /// Results of moves, by what was moved and how.
    moved: HashMap<(TensorId, Vec<Move>), TensorId>,
    names: HashSet<String>,
    /// The part of the module whose parameters the current operation uses, with a slash: `conv/`.
    scope: String,
}

impl<'a> Builder<'a> {
    /// An empty graph. `reserved` are the names of inputs and outputs, which nothing else gets.
    pub(crate) fn new(program: &'a Program, reserved: &[String]) -> Self {
        let mut readers: HashMap<CapturedId, usize> = HashMap::new();
        let operands = program.operations.iter().flat_map(|(_, operation)| operation.inputs());
        for id in operands.map(|tensor| tensor.id).chain(program.outputs.iter().copied()) {
            *readers.entry(id).or_default() += 1;
        }
        Self {
            program,
            graph: Graph { name: "main".into(), ..Graph::default() },
            shapes: Vec::new(),
            values: HashMap::new(),
            readers,
            moved: HashMap::new(),
            names: reserved.iter().cloned().collect(),
            scope: String::new(),
        }
    }

    /// Makes the captured tensor `id` an input of that name, as Burn has it.
    pub(crate) fn input(&mut self, id: CapturedId, dtype: DType, name: &str) -> Result<(), Refusal> {
        let shape = self.program.shape(id).clone();
        let layout = Layout::row_major(&shape);
        let tensor = self.add_computed(name.into(), element_type(dtype)?, shape);
        self.graph.inputs.push(tensor);
        self.values.insert(id, Value::Computed(Stored { tensor, layout }));
        Ok(())
    }

    /// Tells the builder which operands the next operation reads.
    pub(crate) fn begin<'i>(&mut self, operands: impl Iterator<Item = &'i TensorIr>) {
        self.scope.clear();
        for operand in operands {
            if let Some(readers) = self.readers.get_mut(&operand.id) {
                *readers -= 1;
            }
            let parameter = match self.values.get(&operand.id) {
                Some(Value::Constant(constant)) => constant.name.as_ref(),
                _ => self.program.parameters.get(&operand.id),
            };
            let module = parameter.and_then(|name| name.rsplit_once('/')).map(|(module, _)| module);
            if let Some(module) = module.filter(|_| self.scope.is_empty()) {
                self.scope = format!("{module}/");
            }
        }
    }

    /// What a captured tensor has become.
    pub(crate) fn value(&self, operand: &TensorIr) -> Result<Value, Refusal> {
        self.value_of(operand.id)
    }

    /// The constant that an operand is; `role` names it in the refusal of an operand that is computed.
    pub(crate) fn constant(&self, operand: &TensorIr, role: &str) -> Result<Constant, Refusal> {
        match self.value(operand)? {
            Value::Constant(constant) => Ok(constant),
            Value::Computed(_) => {
                Err(Refusal::new(format!("the {role} is computed, TensorFlow Lite wants it constant")))
            }
        }
    }

    /// An operand as a tensor of the file, wherever its elements are stored.
    pub(crate) fn stored(&mut self, operand: &TensorIr) -> Result<Stored, Refusal> {
        self.stored_id(operand.id)
    }

    /// An operand as a tensor whose dimensions are Burn's in the given order.
    pub(crate) fn operand(&mut self, operand: &TensorIr, order: &[usize]) -> Result<TensorId, Refusal> {
        let stored = self.stored(operand)?;
        let groups = stored.layout.groups(order);
        Ok(self.arrange(&stored, &groups))
    }

    /// `stored` as a tensor whose dimensions are the given axes, moved only if it is not that already.
    pub(crate) fn arrange(&mut self, stored: &Stored, groups: &[Vec<usize>]) -> TensorId {
        let moves = stored.layout.moves(self.shape(stored.tensor), groups);
        let mut tensor = stored.tensor;
        for count in 1..=moves.len() {
            let key = (stored.tensor, moves[..count].to_vec());
            tensor = match self.moved.get(&key) {
                Some(&tensor) => tensor,
                None => {
                    let next = self.apply(tensor, &moves[count - 1]);
                    self.moved.insert(key, next);
                    next
                }
            };
        }
        tensor
    }

    /// Adds an operator and returns its result, a new tensor of the given shape.
    pub(crate) fn operator(&mut self, op: Op, inputs: &[Option<TensorId>], shape: Shape) -> TensorId {
        let element_type = inputs
            .iter()
            .flatten()
            .find_map(|&input| self.graph.tensor(input))
            .map_or(ElementType::Float32, |tensor| tensor.element_type);
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
    ) {
        let shape = self.program.shape(result.id);
        let layout = Layout::stored(shape, order);
        let stored = Shape(order.iter().map(|&dim| shape.0[dim]).collect());
        let tensor = self.operator(op, inputs, stored);
        self.bind(result, Value::Computed(Stored { tensor, layout }));
    }

    /// Adds a constant, under its own name or, if it has none, that of its role.
    pub(crate) fn add_constant(&mut self, constant: Constant, role: &str) -> TensorId {
        let name = constant.name.clone().unwrap_or_else(|| format!("{}{role}", self.scope));
        let name = self.unique(&name);
        self.shapes.push(Shape::fixed(&constant.shape));
        self.graph.add_tensor(constant.into_tensor(name))
    }

    /// Says what a captured tensor has become.
    pub(crate) fn bind(&mut self, result: &TensorIr, value: Value) {
        self.values.insert(result.id, value);
    }

    /// The shape of a tensor of the file.
    pub(crate) fn shape(&self, tensor: TensorId) -> &Shape {
        &self.shapes[tensor.index()]
    }

    /// Whether nothing but the current operation reads the elements of `tensor`.
    pub(crate) fn is_read_here_only(&self, tensor: TensorId) -> bool {
        let is_waited_for = self.values.iter().any(|(id, value)| {
            let is_stored_there = matches!(value, Value::Computed(stored) if stored.tensor == tensor);
            is_stored_there && self.readers.get(id).is_some_and(|&readers| readers > 0)
        });
        let is_read = self.graph.operators.iter().any(|operator| operator.inputs.contains(&Some(tensor)));
        !is_waited_for && !is_read
    }

    /// Names a tensor after the current operation, whose work it has taken over.
    pub(crate) fn rename(&mut self, tensor: TensorId, op: &str) {
        let tensor_name = &self.graph.tensors[tensor.index()].name;
        let scope = tensor_name.rsplit_once('/').map_or(String::new(), |(scope, _)| format!("{scope}/"));
        let name = self.unique(&format!("{scope}{op}"));
        self.graph.tensors[tensor.index()].name = name;
    }

    /// Makes the captured tensor `id` an output of that name, in Burn's order.
    pub(crate) fn output(&mut self, id: CapturedId, name: &str) -> Result<(), Refusal> {
        let stored = self.stored_id(id)?;
        let order: Vec<usize> = (0..stored.layout.rank()).collect();
        let mut tensor = self.arrange(&stored, &stored.layout.groups(&order));
        let is_taken = self.graph.inputs.contains(&tensor) || self.graph.outputs.contains(&tensor);
        if is_taken || self.graph.tensors[tensor.index()].data.is_some() {
            tensor = self.reshape(tensor, self.shape(tensor).clone());
        }
        self.graph.tensors[tensor.index()].name = name.into();
        self.graph.outputs.push(tensor);
        Ok(())
    }

    fn value_of(&self, id: CapturedId) -> Result<Value, Refusal> {
        if let Some(value) = self.values.get(&id) {
            return Ok(value.clone());
        }
        let data = self.program.constants.get(&id).ok_or_else(|| {
            Refusal::new("an operand was made neither by an operation nor from a value: this is a fault of the exporter")
        })?;
        Constant::captured(data, self.program.parameters.get(&id).cloned()).map(Value::Constant)
    }

    fn stored_id(&mut self, id: CapturedId) -> Result<Stored, Refusal> {
        match self.value_of(id)? {
            Value::Computed(stored) => Ok(stored),
            Value::Constant(constant) => {
                let layout = Layout::row_major(&Shape::fixed(&constant.shape));
                let tensor = self.add_constant(constant, "constant");
                let stored = Stored { tensor, layout };
                self.values.insert(id, Value::Computed(stored.clone()));
                Ok(stored)
            }
        }
    }

    fn apply(&mut self, tensor: TensorId, step: &Move) -> TensorId {
        match step {
            Move::Reshape(shape) => self.reshape(tensor, shape.clone()),
            Move::Transpose(order, shape) => {
                let order: Vec<i32> = order.iter().map(|&dim| dim as i32).collect();
                let order = self.add_integers("transpose/order", &order);
                self.operator(Op::Transpose, &[Some(tensor), Some(order)], shape.clone())
            }
        }
    }

    /// The same elements under another shape: RESHAPE.
    pub(crate) fn reshape(&mut self, tensor: TensorId, shape: Shape) -> TensorId {
        let new_shape = shape.reshape_target();
        let target = self.add_integers("reshape/shape", &new_shape);
        self.operator(Op::Reshape(ReshapeOptions { new_shape }), &[Some(tensor), Some(target)], shape)
    }

    fn add_integers(&mut self, role: &str, values: &[i32]) -> TensorId {
        let name = self.unique(&format!("{}{role}", self.scope));
        self.shapes.push(Shape::fixed(&[values.len()]));
        self.graph.add_tensor(Tensor::constant(name, [values.len()], values))
    }

    fn add_computed(&mut self, name: String, element_type: ElementType, shape: Shape) -> TensorId {
        let tensor = Tensor::new(name, element_type, shape.sizes());
        let tensor = Tensor { shape_signature: shape.signature(), ..tensor };
        self.shapes.push(shape);
        self.graph.add_tensor(tensor)
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
