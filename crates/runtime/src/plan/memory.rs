//! What the graphs of a model share while they are planned: one arena, constants, and the variables that keep their values.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use burnlite_tflite::{ElementType, Graph, Tensor};

use super::variable::Variable;
use super::{Initialization, Kernel, Step};
use crate::arena::{ArenaPlan, Lifetime};
use crate::error::Error;
use crate::frame::{Constant, Place, Region};
use crate::interpreter::InterpreterOptions;

/// The last moment: after every step.
pub(super) const END: usize = usize::MAX;

/// Memory that is being planned.
pub(super) struct Memory<'m> {
    /// The most bytes that the arena, and that constants which planning computes, may take.
    limit: usize,
    /// The most bytes that packed weights may take.
    packed_limit: usize,
    /// The most bytes that tables may take.
    table_limit: usize,
    /// The moment of the operator that is being planned; 0 is before the first one.
    pub(super) now: usize,
    pub(super) buffers: Vec<Lifetime>,
    pub(super) constants: Vec<Constant<'m>>,
    computed_bytes: usize,
    packed_bytes: usize,
    table_bytes: usize,
    /// In the order of their buffers.
    pub(super) states: Vec<State>,
    pub(super) variables: Vec<Variable>,
    /// The variables by container and name.
    pub(super) variable_of: BTreeMap<(&'m str, &'m str), usize>,
    /// The graphs that CALL_ONCE asked for, by their index in the model.
    pub(super) called: BTreeSet<usize>,
    pub(super) initializations: Vec<UnplacedInitialization<'m>>,
}

/// A buffer whose content outlives a run.
pub(super) struct State {
    pub(super) buffer: usize,
    /// What every byte of it is before the first run.
    pub(super) first_byte: u8,
}

/// Where a tensor's value comes from.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Value {
    /// Nothing has written it yet.
    Unknown,
    /// A constant, by index.
    Constant(usize),
    /// Computed at run time, in the given buffer.
    Buffer(usize),
    /// It stands for a variable, by index.
    Handle(usize),
}

pub(super) struct UnplacedStep {
    pub(super) operator: usize,
    pub(super) kernel: Box<dyn Kernel>,
    pub(super) inputs: Vec<Value>,
    /// Buffers of results, variables and scratch.
    pub(super) writable: Vec<usize>,
}

pub(super) struct UnplacedInitialization<'m> {
    pub(super) caller: usize,
    pub(super) index: usize,
    pub(super) graph: &'m Graph<'m>,
    pub(super) steps: Vec<UnplacedStep>,
}

impl<'m> Memory<'m> {
    pub(super) fn new(options: &InterpreterOptions) -> Self {
        Self {
            limit: options.max_arena_bytes,
            packed_limit: options.max_packed_bytes,
            table_limit: options.max_table_bytes(),
            now: 0,
            buffers: Vec::new(),
            constants: Vec::new(),
            computed_bytes: 0,
            packed_bytes: 0,
            table_bytes: 0,
            states: Vec::new(),
            variables: Vec::new(),
            variable_of: BTreeMap::new(),
            called: BTreeSet::new(),
            initializations: Vec::new(),
        }
    }

    /// Bytes of a tensor of the given shape; an error beyond the limit.
    pub(super) fn bytes(&self, tensor: &Tensor<'_>, shape: &[usize]) -> Result<usize, Error> {
        if tensor.element_type.bits().is_none() {
            return Err(Error::Unsized { name: tensor.name.clone(), element_type: tensor.element_type });
        }
        // With extents of 0 taken as 1 no part of the product is too large either: operators multiply parts of shapes, and
        // note something for each channel.
        let bound = shape.iter().try_fold(1usize, |product, &extent| product.checked_mul(extent.max(1)));
        let bytes = bound.and_then(|elements| tensor.element_type.bytes_for(elements)).unwrap_or(usize::MAX);
        match bytes {
            bytes if bytes > self.limit => Err(too_large(bytes, self.limit)),
            _ if shape.contains(&0) => Ok(0),
            bytes => Ok(bytes),
        }
    }

    /// A new buffer for the time from `first` to `last`.
    pub(super) fn buffer(&mut self, bytes: usize, first: usize, last: usize) -> usize {
        self.buffers.push(Lifetime { bytes, first, last });
        self.buffers.len() - 1
    }

    /// A new buffer that keeps its content from run to run. Like the official runtimes, int8 starts at the zero point of
    /// the tensor, every other type with bytes of 0.
    pub(super) fn state(&mut self, tensor: &Tensor<'_>, bytes: usize) -> usize {
        let zero_point =
            tensor.quantization.as_ref().and_then(|quantization| quantization.zero_point.first());
        let first_byte = match (tensor.element_type, zero_point) {
            (ElementType::Int8, Some(&zero_point)) => zero_point as u8,
            _ => 0,
        };
        let buffer = self.buffer(bytes, 0, END);
        self.states.push(State { buffer, first_byte });
        buffer
    }

    /// Whether the value is in a buffer that keeps its content from run to run.
    pub(super) fn is_state(&self, value: Value) -> bool {
        let is_found = |buffer| self.states.binary_search_by_key(&buffer, |state| state.buffer).is_ok();
        matches!(value, Value::Buffer(buffer) if is_found(buffer))
    }

    /// A constant of the file. Where it is not aligned for its elements it is copied, which counts as computing it.
    pub(super) fn constant_of(&mut self, tensor: &Tensor<'_>, data: &'m [u8]) -> Result<Value, Error> {
        let bits = tensor.element_type.bits();
        if let (Some(_), []) = (bits, data) {
            // What a 0 among its extents hides is not bounded by the file.
            self.bytes(tensor, &tensor.shape)?;
        }
        let constant = Constant::aligned(data, bits.unwrap_or(8) / 8);
        if let Constant::Owned(_) = constant {
            self.spend(data.len())?;
        }
        Ok(self.constant(constant))
    }

    pub(super) fn constant(&mut self, constant: Constant<'m>) -> Value {
        self.constants.push(constant);
        Value::Constant(self.constants.len() - 1)
    }

    /// Counts bytes of constants that planning computes or copies; together they stay within the limit, too.
    pub(super) fn spend(&mut self, bytes: usize) -> Result<(), Error> {
        self.computed_bytes = self.computed_bytes.saturating_add(bytes);
        if self.computed_bytes > self.limit {
            Err(too_large(self.computed_bytes, self.limit))
        } else {
            Ok(())
        }
    }

    /// Counts bytes of weights that are packed.
    pub(super) fn pack(&mut self, bytes: usize) -> Result<(), Error> {
        self.packed_bytes = self.packed_bytes.saturating_add(bytes);
        if self.packed_bytes > self.packed_limit {
            let (what, bytes) = ("packed weights", self.packed_bytes);
            return Err(Error::TooLarge { what, bytes, limit: self.packed_limit });
        }
        Ok(())
    }

    /// Counts bytes of tables that kernels compute in advance.
    pub(super) fn tabulate(&mut self, bytes: usize) -> Result<(), Error> {
        self.table_bytes = self.table_bytes.saturating_add(bytes);
        if self.table_bytes > self.table_limit {
            let (what, bytes) = ("the kernels' tables", self.table_bytes);
            return Err(Error::TooLarge { what, bytes, limit: self.table_limit });
        }
        Ok(())
    }

    /// Keeps the value's buffer until the given moment.
    pub(super) fn keep(&mut self, value: Value, until: usize) {
        if let Value::Buffer(buffer) = value {
            let lifetime = &mut self.buffers[buffer];
            lifetime.last = lifetime.last.max(until);
        }
    }

    /// Where each buffer lies in the arena, and the arena's bytes.
    pub(super) fn regions(&self) -> Result<(Vec<Region>, usize), Error> {
        let arena =
            ArenaPlan::new(&self.buffers).unwrap_or(ArenaPlan { offsets: Vec::new(), bytes: usize::MAX });
        if arena.bytes > self.limit {
            return Err(too_large(arena.bytes, self.limit));
        }
        let placed = self.buffers.iter().zip(&arena.offsets);
        let regions = placed.map(|(buffer, &offset)| Region { offset, bytes: buffer.bytes }).collect();
        Ok((regions, arena.bytes))
    }
}

fn too_large(bytes: usize, limit: usize) -> Error {
    Error::TooLarge { what: "tensors", bytes, limit }
}

impl Value {
    pub(super) fn place(self, regions: &[Region]) -> Place {
        match self {
            Self::Unknown | Self::Handle(_) => Place::Absent,
            Self::Constant(constant) => Place::Constant(constant),
            Self::Buffer(buffer) => Place::Arena(regions[buffer]),
        }
    }
}

impl UnplacedStep {
    pub(super) fn placed(self, regions: &[Region]) -> Step {
        let inputs = self.inputs.iter().map(|value| value.place(regions)).collect();
        let mut writable: Vec<_> = self.writable.iter().map(|&buffer| regions[buffer]).zip(0..).collect();
        writable.sort_by_key(|(region, _)| (region.offset, region.bytes));
        Step { operator: self.operator, kernel: self.kernel, inputs, writable }
    }
}

impl<'m> UnplacedInitialization<'m> {
    pub(super) fn placed(self, regions: &[Region]) -> Initialization<'m> {
        let steps = self.steps.into_iter().map(|step| step.placed(regions)).collect();
        Initialization { caller: self.caller, index: self.index, graph: self.graph, steps }
    }
}
