//! The graph in the making.

use std::collections::{HashMap, HashSet};

use burn::backend::DType;
use burn::backend::capture::TensorId as CapturedId;
use burn::backend::ir::{ScalarIr, TensorIr};
use burnlite_tflite::{
    DepthToSpaceOptions, ElementType, Graph, Op, Operator, PackOptions, ReshapeOptions, ShapeOptions,
    StridedSliceOptions, Tensor, TensorId,
};

use crate::constant::{Constant, element_type};
use crate::error::Refusal;
use crate::layout::{Layout, Move};
use crate::program::Program;
use crate::shape::{Extent, Shape};

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
        !is_waited_for && !is_read
    }

    /// Names a tensor after the current operation, whose work it has taken over.
    pub(crate) fn rename(&mut self, tensor: TensorId, op: &str) {
        let tensor_name = &self.graph.tensors[tensor.index()].name;
        let scope = tensor_name.rsplit_once('/').map_or(String::new(), |(scope, _)| format!("{scope}/"));
        let name = self.unique(&format!("{scope}{op}"));
        self.graph.tensors[tensor.index()].name = name;
    }

    /// Makes the captured tensor `id` an output of that name, its dimensions in the given order.
    pub(crate) fn output(&mut self, id: CapturedId, name: &str, order: &[usize]) -> Result<(), Refusal> {
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
    pub(crate) fn finish(mut self) -> Graph<'static> {
        let mut wanted: HashSet<TensorId> =
            self.graph.outputs.iter().chain(&self.graph.inputs).copied().collect();
        let mut operators = Vec::with_capacity(self.graph.operators.len());
        for operator in self.graph.operators.drain(..).rev() {
            if operator.outputs.iter().any(|output| wanted.contains(output)) {
                wanted.extend(operator.inputs.iter().flatten().chain(&operator.outputs));
                operators.push(operator);
            }
        }
        operators.reverse();
        let mut graph = Graph { operators, ..self.graph };
        let mut places = HashMap::new();
        let mut tensors = Vec::new();
        for (index, tensor) in std::mem::take(&mut graph.tensors).into_iter().enumerate() {
            let id = TensorId(index as u32);
            if wanted.contains(&id) {
                places.insert(id, TensorId(tensors.len() as u32));
                tensors.push(tensor);
            }
        }
        graph.tensors = tensors;
        let operands = graph
            .operators
            .iter_mut()
            .flat_map(|operator| operator.inputs.iter_mut().flatten().chain(&mut operator.outputs));
        for id in operands.chain(&mut graph.inputs).chain(&mut graph.outputs) {
            *id = places[id];
        }
        graph
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

    /// `stored` repeated along dimensions of extent 1 to the given shape: BROADCAST_TO, if there is anything to repeat.
    pub(crate) fn broadcast(&mut self, stored: &Stored, shape: &Shape) -> Result<Stored, Refusal> {
        if stored.layout.shape() == *shape {
            return Ok(stored.clone());
        }
        let order = stored.layout.natural_order(self.shape(stored.tensor));
        let tensor = self.arrange(stored, &stored.layout.groups(&order));
        let target = Shape(order.iter().map(|&dim| shape.0[dim]).collect());
        let target = self.shape_operand(&target)?;
        let element_type = self.element_type(tensor);
        let inputs = [Some(tensor), Some(target)];
        Ok(self.stored_result(Op::BroadcastTo, &inputs, element_type, shape, &order))
    }

    /// A shape as an operand: a constant, or put together when the model runs if it has the batch.
    pub(crate) fn shape_operand(&mut self, shape: &Shape) -> Result<TensorId, Refusal> {
        if !shape.0.iter().any(|extent| extent.batched) {
            return Ok(self.add_integers("shape", &shape.reshape_target()));
        }
        let mut extents = Vec::with_capacity(shape.0.len());
        for extent in &shape.0 {
            extents.push(match extent {
                Extent { batched: false, size } => {
                    let size = ScalarIr::UInt(*size as u64);
                    Some(self.add_constant(Constant::scalar(size, ElementType::Int32)?, "extent"))
                }
                Extent { size: 1, .. } => Some(self.batch()?),
                _ => return Err(Refusal::new(format!("{extent} rows cannot be asked for: reshape later"))),
            });
        }
        let options = PackOptions { values_count: extents.len() as i32, axis: 0 };
        Ok(self.typed_operator(
            Op::Pack(options),
            &extents,
            ElementType::Int32,
            Shape::fixed(&[extents.len()]),
        ))
    }

    /// The batch as a number, taken from the shape of an input.
    fn batch(&mut self) -> Result<TensorId, Refusal> {
        if let Some(batch) = self.batch {
            return Ok(batch);
        }
        let batched = Extent { size: 1, batched: true };
        let inputs = self.graph.inputs.iter().copied();
        let input = inputs.into_iter().find(|&input| self.shape(input).0.first() == Some(&batched));
        let input = input.ok_or_else(|| Refusal::new("no input says how large the batch is"))?;
        let rank = Shape::fixed(&[self.shape(input).0.len()]);
        let options = ShapeOptions { out_type: ElementType::Int32 };
        let shape = self.typed_operator(Op::Shape(options), &[Some(input)], ElementType::Int32, rank);
        let [zero, one] = [[0], [1]].map(|number| Some(self.add_integers("index", &number)));
        let options = StridedSliceOptions { shrink_axis_mask: 1, ..StridedSliceOptions::default() };
        let inputs = [Some(shape), zero, one, one];
        let batch =
            self.typed_operator(Op::StridedSlice(options), &inputs, ElementType::Int32, Shape::fixed(&[]));
        self.batch = Some(batch);
        Ok(batch)
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

    /// Adds a vector of integers, as operators take their parameters.
    pub(crate) fn add_integers(&mut self, role: &str, values: &[i32]) -> TensorId {
        self.add_constant(Constant::integers(values), role)
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
