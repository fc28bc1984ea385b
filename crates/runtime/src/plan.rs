//! From a model to steps: everything that can fail on a file's content fails here, so that running cannot.

mod node;

use alloc::boxed::Box;
use alloc::string::ToString;
use alloc::vec;
use alloc::vec::Vec;
use core::fmt::Debug;

use burnlite_tflite::{Graph, Model, Operator, Tensor, TensorId};

use crate::arena::{AlignedBytes, ArenaPlan, Lifetime};
use crate::error::{Error, OperatorFault};
use crate::frame::{Constant, Inputs, MAX_WRITABLE, Place, Region, Writable, frame};
use crate::interpreter::InterpreterOptions;
use crate::ops;

pub(crate) use node::{Node, Operand};

/// What an operator does when it runs. Parameters were derived, and operands checked, when it was planned.
pub(crate) trait Kernel: Debug + Send + Sync {
    /// Reads the operands and writes the results. Allocates nothing.
    ///
    /// # Errors
    /// Where the operands' values, not only their shapes, make no sense (an index outside, say).
    fn run(&self, inputs: &Inputs<'_>, writable: &mut Writable<'_>) -> Result<(), OperatorFault>;
}

/// What an operator's planning gives.
#[derive(Debug)]
pub(crate) struct Planned {
    /// Shapes of the results.
    pub(crate) shapes: Vec<Vec<usize>>,
    /// Bytes of scratch memory that the kernel writes, after the results.
    pub(crate) scratch_bytes: Vec<usize>,
    /// Where the results come from.
    pub(crate) source: Source,
}

/// Where an operator's results come from.
#[derive(Debug)]
pub(crate) enum Source {
    /// A kernel that writes all of them.
    Kernel(Box<dyn Kernel>),
    /// A kernel for each of them.
    Each(Vec<Box<dyn Kernel>>),
    /// The result is the first operand's memory under another shape.
    FirstOperand,
    /// The result's bytes are known already.
    Known(Vec<u8>),
}

impl Planned {
    /// One result and no scratch.
    pub(crate) fn new(shape: impl Into<Vec<usize>>, kernel: impl Kernel + 'static) -> Self {
        Self {
            shapes: vec![shape.into()],
            scratch_bytes: Vec::new(),
            source: Source::Kernel(Box::new(kernel)),
        }
    }

    /// Any number of results, each of a kernel of its own; no scratch.
    pub(crate) fn each<K: Kernel + 'static>(results: impl IntoIterator<Item = (Vec<usize>, K)>) -> Self {
        let boxed = |(shape, kernel): (_, K)| (shape, Box::new(kernel) as Box<dyn Kernel>);
        let (shapes, kernels) = results.into_iter().map(boxed).unzip();
        Self { shapes, scratch_bytes: Vec::new(), source: Source::Each(kernels) }
    }

    /// The first operand's memory under another shape.
    pub(crate) fn alias(shape: impl Into<Vec<usize>>) -> Self {
        Self { shapes: vec![shape.into()], scratch_bytes: Vec::new(), source: Source::FirstOperand }
    }

    /// A result that is known already.
    pub(crate) fn known(shape: impl Into<Vec<usize>>, bytes: Vec<u8>) -> Self {
        Self { shapes: vec![shape.into()], scratch_bytes: Vec::new(), source: Source::Known(bytes) }
    }
}

/// A model made ready to run: steps in order, and a place for every tensor.
#[derive(Debug)]
pub(crate) struct Plan<'m> {
    pub(crate) graph: &'m Graph<'m>,
    pub(crate) tensors: Vec<PlannedTensor>,
    pub(crate) constants: Vec<Constant<'m>>,
    pub(crate) arena_bytes: usize,
    steps: Vec<Step>,
}

/// A tensor's shape and memory.
#[derive(Debug, Clone)]
pub(crate) struct PlannedTensor {
    pub(crate) shape: Vec<usize>,
    pub(crate) place: Place,
}

fn operator_error(graph: &Graph<'_>, index: usize, fault: OperatorFault) -> Error {
    Error::Operator { index, name: graph.operators[index].op.name().to_string(), fault }
}

#[derive(Debug)]
struct Step {
    /// Index of the operator in the graph.
    operator: usize,
    kernel: Box<dyn Kernel>,
    inputs: Vec<Place>,
    /// Results and scratch with their positions, by offset.
    writable: Vec<(Region, usize)>,
}

impl<'m> Plan<'m> {
    /// Plans the model's first graph with the given input shapes.
    pub(crate) fn new(
        model: &'m Model<'m>,
        input_shapes: &[Vec<usize>],
        options: &InterpreterOptions,
    ) -> Result<Self, Error> {
        let graph = model.main()?;
        let mut planner = Planner::new(graph, input_shapes, options)?;
        for (index, operator) in graph.operators.iter().enumerate() {
            planner.operator(index, operator)?;
        }
        planner.finish()
    }

    /// Runs every step.
    pub(crate) fn run(&self, arena: &mut [u8]) -> Result<(), Error> {
        for step in &self.steps {
            let (inputs, mut writable) = frame(arena, &step.writable, &step.inputs, &self.constants);
            let fault = |fault| operator_error(self.graph, step.operator, fault);
            step.kernel.run(&inputs, &mut writable).map_err(fault)?;
        }
        Ok(())
    }
}

/// What is known of a tensor while planning.
#[derive(Debug, Clone, PartialEq)]
enum Value {
    /// Nothing has written it yet.
    Unknown,
    /// A constant, by index.
    Constant(usize),
    /// Computed at run time, in the given buffer.
    Buffer(usize),
}

struct Planner<'p, 'm> {
    graph: &'m Graph<'m>,
    options: &'p InterpreterOptions,
    shapes: Vec<Vec<usize>>,
    values: Vec<Value>,
    constants: Vec<Constant<'m>>,
    folded_bytes: usize,
    buffers: Vec<Lifetime>,
    steps: Vec<UnplacedStep>,
}

struct UnplacedStep {
    operator: usize,
    kernel: Box<dyn Kernel>,
    inputs: Vec<Option<TensorId>>,
    writable: Vec<usize>,
}

impl<'p, 'm> Planner<'p, 'm> {
    fn new(
        graph: &'m Graph<'m>,
        input_shapes: &[Vec<usize>],
        options: &'p InterpreterOptions,
    ) -> Result<Self, Error> {
        let mut planner = Self {
            graph,
            options,
            shapes: graph.tensors.iter().map(|tensor| tensor.shape.clone()).collect(),
            values: vec![Value::Unknown; graph.tensors.len()],
            constants: Vec::new(),
            folded_bytes: 0,
            buffers: Vec::new(),
            steps: Vec::new(),
        };
        for (index, tensor) in graph.tensors.iter().enumerate() {
            if let Some(data) = tensor.data.as_deref() {
                let alignment = tensor.element_type.bits().unwrap_or(8) / 8;
                let id = TensorId(u32::try_from(index).expect("tensor indices have 32 bits"));
                planner.new_constant(id, Constant::aligned(data, alignment));
            }
        }
        for (index, (id, shape)) in graph.inputs.iter().zip(input_shapes).enumerate() {
            if planner.values[id.index()] != Value::Unknown {
                return Err(Error::NotAnInput { index, name: graph.tensors[id.index()].name.clone() });
            }
            planner.shapes[id.index()].clone_from(shape);
            // Inputs are kept, so that a second run without setting them again sees the same values.
            let last = planner.end();
            planner.values[id.index()] = planner.new_buffer(*id, 0, last)?;
        }
        Ok(planner)
    }

    /// The moment after the last step, when the caller reads the outputs.
    fn end(&self) -> usize {
        self.graph.operators.len() + 1
    }

    fn operator(&mut self, index: usize, operator: &'m Operator) -> Result<(), Error> {
        self.check_operands(index, operator)?;
        let node = Node {
            graph: self.graph,
            operator,
            shapes: &self.shapes,
            constants: &|id| match self.values[id.index()] {
                Value::Constant(constant) => Some(self.constants[constant].bytes()),
                _ => None,
            },
            options: self.options,
        };
        let planned = ops::plan(&node).map_err(|fault| operator_error(self.graph, index, fault))?;
        for (&id, shape) in operator.outputs.iter().zip(&planned.shapes) {
            self.shapes[id.index()].clone_from(shape);
        }
        self.step(index, operator, planned)
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
        for id in operator.inputs.iter().flatten() {
            if self.values[id.index()] == Value::Unknown {
                return Err(self.not_computed(self.graph.operator_label(index), *id));
            }
        }
        match operator.outputs.iter().find(|id| self.values[id.index()] != Value::Unknown) {
            Some(id) => Err(fault(OperatorFault::Overwrites { tensor: self.tensor(*id).name.clone() })),
            None => Ok(()),
        }
    }

    /// Gives the results their values: another name for the operand's memory, constants, or the results of a step.
    fn step(&mut self, index: usize, operator: &'m Operator, planned: Planned) -> Result<(), Error> {
        let now = index + 1;
        self.extend_lifetimes(operator, now);
        let kernels: Vec<(Box<dyn Kernel>, &[TensorId])> = match planned.source {
            Source::Kernel(kernel) => [(kernel, &operator.outputs[..])].into(),
            Source::Each(kernels) => kernels.into_iter().zip(operator.outputs.chunks(1)).collect(),
            Source::FirstOperand => {
                let operand = operator.inputs[0].expect("the operator has a first operand");
                // It takes no memory of its own, but operators that read it multiply parts of its shape.
                self.bytes(operator.outputs[0])?;
                self.values[operator.outputs[0].index()] = self.values[operand.index()].clone();
                return Ok(());
            }
            Source::Known(bytes) => {
                self.spend(bytes.len())?;
                self.new_constant(operator.outputs[0], Constant::Owned(bytes.as_slice().into()));
                return Ok(());
            }
        };
        let is_constant =
            operator.inputs.iter().flatten().all(|id| matches!(self.values[id.index()], Value::Constant(_)));
        for (kernel, results) in kernels {
            if is_constant && planned.scratch_bytes.is_empty() {
                self.fold(index, &operator.inputs, results, kernel.as_ref())?;
                continue;
            }
            let mut writable = self.new_results(results, now)?;
            for &bytes in &planned.scratch_bytes {
                writable.push(self.buffers.len());
                self.buffers.push(Lifetime { bytes, first: now, last: now });
            }
            assert!(writable.len() <= MAX_WRITABLE, "results beyond that have kernels of their own");
            let inputs = operator.inputs.clone();
            self.steps.push(UnplacedStep { operator: index, kernel, inputs, writable });
        }
        Ok(())
    }

    /// Buffers for results of the operator that runs at the moment `now`.
    fn new_results(&mut self, results: &[TensorId], now: usize) -> Result<Vec<usize>, Error> {
        let last = if self.options.keep_intermediates { self.end() } else { now };
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
        inputs: &[Option<TensorId>],
        outputs: &[TensorId],
        kernel: &dyn Kernel,
    ) -> Result<(), Error> {
        let places: Vec<Place> =
            inputs.iter().map(|id| id.map_or(Place::Absent, |id| self.place(id, &[]))).collect();
        let mut results = Vec::new();
        for &id in outputs {
            let bytes = self.bytes(id)?;
            self.spend(bytes)?;
            results.push(AlignedBytes::zeroed(bytes));
        }
        {
            let (inputs, mut writable) = frame(&mut [], &[], &places, &self.constants);
            for (region, result) in writable.iter_mut().zip(&mut results) {
                *region = result.as_mut_slice();
            }
            kernel.run(&inputs, &mut writable).map_err(|fault| operator_error(self.graph, index, fault))?;
        }
        for (id, result) in outputs.iter().zip(results) {
            self.new_constant(*id, Constant::Owned(result));
        }
        Ok(())
    }

    /// Counts bytes of constants that planning computes; together they stay within the limit, too.
    fn spend(&mut self, bytes: usize) -> Result<(), Error> {
        self.folded_bytes = self.folded_bytes.saturating_add(bytes);
        let limit = self.options.max_arena_bytes;
        if self.folded_bytes > limit {
            Err(Error::TooLarge { bytes: self.folded_bytes, limit })
        } else {
            Ok(())
        }
    }

    fn new_constant(&mut self, id: TensorId, constant: Constant<'m>) {
        self.values[id.index()] = Value::Constant(self.constants.len());
        self.constants.push(constant);
    }

    fn extend_lifetimes(&mut self, operator: &Operator, now: usize) {
        for id in operator.inputs.iter().flatten() {
            self.extend_lifetime(*id, now);
        }
    }

    fn extend_lifetime(&mut self, id: TensorId, now: usize) {
        if let Value::Buffer(buffer) = self.values[id.index()] {
            let lifetime = &mut self.buffers[buffer];
            lifetime.last = lifetime.last.max(now);
        }
    }

    fn finish(mut self) -> Result<Plan<'m>, Error> {
        for &id in &self.graph.outputs {
            if self.values[id.index()] == Value::Unknown {
                return Err(self.not_computed("the graph's output".to_string(), id));
            }
            self.extend_lifetime(id, self.end());
        }
        let limit = self.options.max_arena_bytes;
        let arena =
            ArenaPlan::new(&self.buffers).unwrap_or(ArenaPlan { offsets: Vec::new(), bytes: usize::MAX });
        if arena.bytes > limit {
            return Err(Error::TooLarge { bytes: arena.bytes, limit });
        }
        let regions: Vec<Region> = self
            .buffers
            .iter()
            .zip(&arena.offsets)
            .map(|(buffer, &offset)| Region { offset, bytes: buffer.bytes })
            .collect();
        let places: Vec<Place> =
            (0..).map(TensorId).take(self.graph.tensors.len()).map(|id| self.place(id, &regions)).collect();
        let steps = self.steps.into_iter().map(|step| step.placed(&places, &regions)).collect();
        let tensors = self
            .shapes
            .into_iter()
            .zip(places)
            .map(|(shape, place)| PlannedTensor { shape, place })
            .collect();
        Ok(Plan { graph: self.graph, tensors, constants: self.constants, arena_bytes: arena.bytes, steps })
    }

    fn place(&self, id: TensorId, regions: &[Region]) -> Place {
        match self.values[id.index()] {
            Value::Unknown => Place::Absent,
            Value::Constant(constant) => Place::Constant(constant),
            Value::Buffer(buffer) => Place::Arena(regions[buffer]),
        }
    }

    fn new_buffer(&mut self, id: TensorId, first: usize, last: usize) -> Result<Value, Error> {
        let bytes = self.bytes(id)?;
        self.buffers.push(Lifetime { bytes, first, last });
        Ok(Value::Buffer(self.buffers.len() - 1))
    }

    fn bytes(&self, id: TensorId) -> Result<usize, Error> {
        let limit = self.options.max_arena_bytes;
        let shape = &self.shapes[id.index()];
        // With extents of 0 taken as 1 no part of the product overflows either: operators multiply parts of shapes.
        let bound = shape.iter().try_fold(1usize, |product, &extent| product.checked_mul(extent.max(1)));
        let elements = bound.map(|_| shape.iter().product());
        let bytes = elements.and_then(|elements| self.tensor(id).element_type.bytes_for(elements));
        match bytes {
            Some(bytes) if bytes <= limit => Ok(bytes),
            _ => Err(Error::TooLarge { bytes: bytes.unwrap_or(usize::MAX), limit }),
        }
    }

    fn tensor(&self, id: TensorId) -> &'m Tensor<'m> {
        &self.graph.tensors[id.index()]
    }

    fn not_computed(&self, place: alloc::string::String, id: TensorId) -> Error {
        Error::NotComputed { place, tensor: id.index(), name: self.tensor(id).name.clone() }
    }
}

impl UnplacedStep {
    fn placed(self, places: &[Place], regions: &[Region]) -> Step {
        let inputs = self.inputs.iter().map(|id| id.map_or(Place::Absent, |id| places[id.index()])).collect();
        let mut writable: Vec<_> = self.writable.iter().map(|&buffer| regions[buffer]).zip(0..).collect();
        writable.sort_by_key(|(region, _)| (region.offset, region.bytes));
        Step { operator: self.operator, kernel: self.kernel, inputs, writable }
    }
}
