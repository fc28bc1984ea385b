//! The graph in the making.

mod emit;
mod extents;
mod prune;

use std::collections::{HashMap, HashSet};

use burn::backend::DType;
use burn::backend::capture::TensorId as CapturedId;
use burn::backend::ir::TensorIr;
use burnlite_tflite::{DepthToSpaceOptions, ElementType, Graph, Op, TensorId};

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
    /// The constants that are there, without their names.
    shared: HashMap<Constant, TensorId>,
    /// The batch as a number, once somebody has asked for it.
    batch: Option<TensorId>,
    names: HashSet<String>,
    /// The part of the module whose parameters the current operation uses, with a slash: `conv/`.
    scope: String,
    /// The last such part.
    last_scope: String,
}

impl Value {
    /// How the value is found in its tensor; a constant is stored as Burn has it.
    pub(crate) fn layout(&self) -> Layout {
        match self {
            Self::Constant(constant) => Layout::row_major(&Shape::fixed(&constant.shape)),
            Self::Computed(stored) => stored.layout.clone(),
        }
    }
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
            shared: HashMap::new(),
            batch: None,
            names: reserved.iter().cloned().collect(),
            scope: String::new(),
            last_scope: String::new(),
        }
    }

    /// Makes the captured tensor `id` an input of that name, its dimensions in the given order.
    pub(crate) fn input(
        &mut self,
        id: CapturedId,
        dtype: DType,
        name: &str,
        order: &[usize],
    ) -> Result<(), Refusal> {
        let shape = self.program.shape(id).clone();
        let layout = Layout::stored(&shape, order);
        let shape = Shape(order.iter().map(|&dim| shape.0[dim]).collect());
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
                self.last_scope.clone_from(&self.scope);
            }
        }
    }

    /// Where in the module the current operation is, as far as its parameters tell: `in 'conv'`, or `after 'conv'`.
    pub(crate) fn place(&self) -> Option<String> {
        let preposition = if self.scope.is_empty() { "after" } else { "in" };
        let module = self.last_scope.strip_suffix('/')?;
        Some(format!("{preposition} '{module}'"))
    }

    /// Whether another operation or the caller reads a captured tensor.
    pub(crate) fn is_wanted(&self, tensor: &TensorIr) -> bool {
        self.readers.get(&tensor.id).is_some_and(|&readers| readers > 0)
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

    /// A value as a tensor of the file; a constant goes by the name of its role.
    pub(crate) fn stored_value(&mut self, value: Value, role: &str) -> Stored {
        match value {
            Value::Computed(stored) => stored,
            Value::Constant(constant) => {
                let layout = Layout::row_major(&Shape::fixed(&constant.shape));
                Stored { tensor: self.add_constant(constant, role), layout }
            }
        }
    }

    /// An operand as a tensor in which each of Burn's dimensions is in one piece, and their order.
    pub(crate) fn in_pieces(&mut self, operand: &TensorIr) -> Result<(TensorId, Vec<usize>), Refusal> {
        let stored = self.stored(operand)?;
        let order = stored.layout.natural_order(self.shape(stored.tensor));
        Ok((self.arrange(&stored, &stored.layout.groups(&order)), order))
    }

    /// An operand as a tensor whose dimensions are Burn's in the given order.
    pub(crate) fn operand(&mut self, operand: &TensorIr, order: &[usize]) -> Result<TensorId, Refusal> {
        let stored = self.stored(operand)?;
        let groups = stored.layout.groups(order);
        Ok(self.arrange(&stored, &groups))
    }

    /// `stored` as a tensor whose dimensions are the given axes, moved only if it is not that already.
    pub(crate) fn arrange(&mut self, stored: &Stored, groups: &[Vec<usize>]) -> TensorId {
        if let Some((block, shape)) = stored.layout.depth_to_space(self.shape(stored.tensor), groups) {
            let options = DepthToSpaceOptions { block_size: block as i32 };
            return self.operator(Op::DepthToSpace(options), &[Some(stored.tensor)], shape);
        }
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

    /// A value as a tensor whose dimensions are the given axes, moved only if it is not that already.
    pub(crate) fn arrange_value(
        &mut self,
        value: &Value,
        layout: &Layout,
        groups: &[Vec<usize>],
    ) -> TensorId {
        match value {
            Value::Computed(stored) => {
                self.arrange(&Stored { tensor: stored.tensor, layout: layout.clone() }, groups)
            }
            Value::Constant(constant) => {
                let moves = layout.moves(&Shape::fixed(&constant.shape), groups);
                let constant = moves.iter().fold(constant.clone(), Constant::moved);
                self.add_constant(constant.without_leading_ones(), "constant")
            }
        }
    }

    /// The type of a tensor's elements.
    pub(crate) fn element_type(&self, tensor: TensorId) -> ElementType {
        self.graph.tensors[tensor.index()].element_type
    }

    /// Says what a captured tensor has become.
    pub(crate) fn bind(&mut self, result: &TensorIr, value: Value) -> Result<(), Refusal> {
        let expected = self.program.shape(result.id);
        if let Value::Computed(stored) = &value {
            let found = stored.layout.shape();
            if found != *expected {
                return Err(Refusal::new(format!(
                    "its result would be {found}, not {expected}: give the operation an operand that has the batch"
                )));
            }
        }
        self.values.insert(result.id, value);
        Ok(())
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
        !is_waited_for && !is_read && !self.graph.outputs.contains(&tensor)
    }

    /// Makes the captured tensor `id` an output of that name, its dimensions in the given order.
    pub(crate) fn output(&mut self, id: CapturedId, name: &str, order: &[usize]) -> Result<(), Refusal> {
        if let Some(readers) = self.readers.get_mut(&id) {
            *readers -= 1;
        }
        let stored = self.stored_id(id)?;
        let mut tensor = self.arrange(&stored, &stored.layout.groups(order));
        let is_taken = self.graph.inputs.contains(&tensor) || self.graph.outputs.contains(&tensor);
        if is_taken || self.graph.tensors[tensor.index()].data.is_some() {
            tensor = self.reshape(tensor, self.shape(tensor).clone());
        }
        self.graph.tensors[tensor.index()].name = name.into();
        self.graph.outputs.push(tensor);
        Ok(())
    }

    /// The graph without what nobody reads.
    pub(crate) fn finish(self) -> Graph<'static> {
        prune::without_unread(self.graph)
    }

    fn value_of(&self, id: CapturedId) -> Result<Value, Refusal> {
        if let Some(value) = self.values.get(&id) {
            return Ok(value.clone());
        }
        let constant = self.program.constant(id).ok_or_else(|| {
            Refusal::new("an operand was made neither by an operation nor from a value: this is a fault of the exporter")
        })?;
        constant.map(Value::Constant)
    }

    fn stored_id(&mut self, id: CapturedId) -> Result<Stored, Refusal> {
        match self.value_of(id)? {
            Value::Computed(stored) => Ok(stored),
            Value::Constant(constant) => {
                let shape = self.program.shape(id).clone();
                let stored = self.stored_value(Value::Constant(constant), "constant");
                self.broadcast(&stored, &shape)
            }
        }
    }
}
