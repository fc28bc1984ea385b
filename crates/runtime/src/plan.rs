//! From a model to steps: everything that can fail on a file's content fails here, so that running cannot.

mod fuse;
mod map;
mod memory;
mod node;
mod planner;
mod variable;

use alloc::boxed::Box;
use alloc::string::ToString;
use alloc::vec::Vec;
use core::fmt::Debug;

use burnlite_tflite::{Graph, Model};

use crate::error::{Error, OperatorFault};
use crate::frame::{Constant, Inputs, Place, Region, Writable, frame};
use crate::interpreter::{InterpreterOptions, StepEvent, StepInfo};
use crate::kernels::Kernels;
use crate::kernels::vectorized::Vectorized;
use memory::Memory;
use planner::Planner;

pub(crate) use fuse::{ImagePadding, MaxPooling};
pub use map::ArenaRegion;
pub(crate) use node::{Node, Operand};

/// What an operator does when it runs. Parameters were derived, and operands checked, when it was planned.
pub(crate) trait Kernel: Debug + Send + Sync {
    /// Reads the operands and writes the results. Allocates nothing.
    ///
    /// # Errors
    /// Where the operands' values, not only their shapes, make no sense (an index outside, say).
    fn run(&self, inputs: &Inputs<'_>, writable: &mut Writable<'_>) -> Result<(), OperatorFault>;

    /// Which kernels do the work.
    fn kernels(&self) -> Kernels {
        Kernels::Reference
    }

    /// Bytes of weights that are packed for the kernel.
    fn packed_bytes(&self) -> usize {
        0
    }

    /// Bytes of what the kernel computed in advance beside packed weights, where these grow with a file's extents or the
    /// number of its dimensions.
    fn table_bytes(&self) -> usize {
        0
    }

    /// What the kernel does, if it is something that the kernel before it could do at once.
    fn pooling(&self) -> Option<MaxPooling> {
        None
    }

    /// Does what would follow at once; whether it can.
    fn fuse(&mut self, _pooling: &MaxPooling) -> bool {
        false
    }

    /// What the kernel does, if it is something that the kernel behind it could do at once.
    fn padding(&self) -> Option<ImagePadding> {
        None
    }

    /// Takes an operand without its padding; whether it can.
    fn pad(&mut self, _padding: &ImagePadding) -> bool {
        false
    }
}

/// What an operator's planning gives.
#[derive(Debug)]
pub(crate) struct Planned {
    /// Shapes of the results.
    pub(crate) shapes: Vec<Vec<usize>>,
    /// Positions of the operands that the kernel updates, which must be variables: it writes them after the results, and
    /// does not read them as operands.
    pub(crate) updates: Vec<usize>,
    /// Bytes of scratch memory that the kernel writes, after the results and the variables.
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
        Self::of([shape.into()], Source::Kernel(Box::new(kernel)))
    }

    /// As [`new`](Self::new), with a kernel whose plain loop is compiled for the instruction set of the options.
    pub(crate) fn vectorized(
        node: &Node<'_>,
        shape: impl Into<Vec<usize>>,
        kernel: impl Kernel + 'static,
    ) -> Self {
        Self::new(shape, Vectorized::new(node.options.kernels, kernel))
    }

    /// Any number of results, each of a kernel of its own; no scratch.
    pub(crate) fn each<K: Kernel + 'static>(results: impl IntoIterator<Item = (Vec<usize>, K)>) -> Self {
        let boxed = |(shape, kernel): (_, K)| (shape, Box::new(kernel) as Box<dyn Kernel>);
        let (shapes, kernels): (Vec<_>, _) = results.into_iter().map(boxed).unzip();
        Self::of(shapes, Source::Each(kernels))
    }

    /// The first operand's memory under another shape.
    pub(crate) fn alias(shape: impl Into<Vec<usize>>) -> Self {
        Self::of([shape.into()], Source::FirstOperand)
    }

    /// A result that is known already.
    pub(crate) fn known(shape: impl Into<Vec<usize>>, bytes: Vec<u8>) -> Self {
        Self::of([shape.into()], Source::Known(bytes))
    }

    fn of(shapes: impl Into<Vec<Vec<usize>>>, source: Source) -> Self {
        Self { shapes: shapes.into(), updates: Vec::new(), scratch_bytes: Vec::new(), source }
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
    /// Memory that keeps its content from run to run, with the byte that fills it before the first.
    states: Vec<(Region, u8)>,
    /// What gives variables their first values.
    initializations: Vec<Initialization<'m>>,
}

/// A tensor's shape and memory.
#[derive(Debug, Clone)]
pub(crate) struct PlannedTensor {
    pub(crate) shape: Vec<usize>,
    pub(crate) place: Place,
    /// Whether its value is there after a run.
    pub(crate) is_kept: bool,
}

/// A graph that runs once, before the first run of the graph that asks for it.
#[derive(Debug)]
struct Initialization<'m> {
    /// Index of the operator that asks for it.
    caller: usize,
    /// Index of the graph in the model.
    index: usize,
    graph: &'m Graph<'m>,
    steps: Vec<Step>,
}

#[derive(Debug)]
struct Step {
    /// Index of the operator in the graph.
    operator: usize,
    kernel: Box<dyn Kernel>,
    inputs: Vec<Place>,
    /// Results, variables and scratch with their positions, by offset.
    writable: Vec<(Region, usize)>,
}

impl Step {
    /// Whether all that it writes is empty. Its kernel could still take long, walking along the extents beside a 0.
    fn is_idle(&self) -> bool {
        !self.writable.is_empty() && self.writable.iter().all(|(region, _)| region.bytes == 0)
    }
}

impl<'m> Plan<'m> {
    /// Plans one of the model's graphs with the given input shapes.
    pub(crate) fn new(
        model: &'m Model<'m>,
        graph: &'m Graph<'m>,
        input_shapes: &[Vec<usize>],
        options: &InterpreterOptions,
    ) -> Result<Self, Error> {
        let mut memory = Memory::new(options);
        let mut planner = Planner::new(model, graph, options, &mut memory)?;
        planner.inputs(input_shapes)?;
        let planned = planner.finish()?;
        let (regions, arena_bytes) = memory.regions()?;
        let placed = planned.shapes.into_iter().zip(&planned.values).zip(&graph.tensors);
        let mut tensors: Vec<_> = placed
            .map(|((shape, value), tensor)| {
                let is_kept = options.keep_intermediates || tensor.is_variable;
                PlannedTensor { shape, place: value.place(&regions), is_kept }
            })
            .collect();
        graph.inputs.iter().chain(&graph.outputs).for_each(|id| tensors[id.index()].is_kept = true);
        Ok(Self {
            graph,
            tensors,
            arena_bytes,
            steps: planned.steps.into_iter().map(|step| step.placed(&regions)).collect(),
            states: memory.states.iter().map(|state| (regions[state.buffer], state.first_byte)).collect(),
            initializations: memory
                .initializations
                .into_iter()
                .map(|initialization| initialization.placed(&regions))
                .collect(),
            constants: memory.constants,
        })
    }

    /// What the steps are, in order.
    pub(crate) fn steps(&self) -> impl ExactSizeIterator<Item = StepInfo> + '_ {
        self.steps.iter().map(|step| StepInfo { operator: step.operator, kernels: step.kernel.kernels() })
    }

    /// Runs every step; tells the observer before and after each.
    pub(crate) fn run(&self, arena: &mut [u8], observer: impl FnMut(StepEvent)) -> Result<(), Error> {
        run_steps(self.graph, &self.steps, &self.constants, arena, observer)
    }

    /// Bytes of weights that are packed for kernels.
    pub(crate) fn packed_bytes(&self) -> usize {
        self.steps.iter().map(|step| step.kernel.packed_bytes()).sum()
    }

    /// Gives variables the values that they have before the first run.
    pub(crate) fn reset(&self, arena: &mut [u8]) -> Result<(), Error> {
        for &(region, byte) in &self.states {
            arena[region.offset..][..region.bytes].fill(byte);
        }
        for Initialization { caller, index, graph, steps } in &self.initializations {
            run_steps(graph, steps, &self.constants, arena, |_| ()).map_err(|error| {
                let fault = OperatorFault::Graph { graph: *index, error: Box::new(error) };
                operator_error(self.graph, *caller, fault)
            })?;
        }
        Ok(())
    }
}

fn run_steps(
    graph: &Graph<'_>,
    steps: &[Step],
    constants: &[Constant<'_>],
    arena: &mut [u8],
    mut observer: impl FnMut(StepEvent),
) -> Result<(), Error> {
    for step in steps {
        observer(StepEvent::Starts(step.operator));
        let (inputs, mut writable) = frame(arena, &step.writable, &step.inputs, constants);
        let fault = |fault| operator_error(graph, step.operator, fault);
        if !step.is_idle() {
            step.kernel.run(&inputs, &mut writable).map_err(fault)?;
        }
        observer(StepEvent::Ended(step.operator));
    }
    Ok(())
}

fn operator_error(graph: &Graph<'_>, index: usize, fault: OperatorFault) -> Error {
    Error::Operator { index, name: graph.operators[index].op.name().to_string(), fault }
}
