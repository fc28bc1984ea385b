//! The interpreter: a planned model with memory of its own.

use alloc::collections::BTreeSet;
// Not every processor can count references atomically; where it cannot, an interpreter stays on its thread.
#[cfg(not(target_has_atomic = "ptr"))]
use alloc::rc::Rc as Arc;
use alloc::string::String;
#[cfg(target_has_atomic = "ptr")]
use alloc::sync::Arc;
use alloc::vec::Vec;

use burnlite_tflite::{Element, ElementType, Graph, Model, Quantization, TensorId};

use crate::arena::{AlignedBytes, Arena};
use crate::error::Error;
use crate::frame::{Place, elements, elements_mut};
use crate::kernels::Kernels;
use crate::ops::{Implementation, operators};
use crate::plan::{ArenaRegion, Plan, PlannedTensor};
use crate::signature::{self, SignatureTensors};

/// Whose arithmetic is reproduced, where the two reference implementations of TensorFlow Lite differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Numerics {
    /// LiteRT's reference kernels (`BUILTIN_REF`).
    #[default]
    LiteRt,
    /// The reference kernels of tflite-micro. They requantize FULLY_CONNECTED in fixed point, not in double precision, form
    /// products of scales in double precision where LiteRT does so in single, and compute some activations without tables;
    /// `docs/numerics.md` lists every operator that differs.
    TfLiteMicro,
}

/// How a model is planned.
///
/// Some operators are computed at once with a neighbour, where nothing else sees the tensor between them, and where the
/// kernels are not plain loops: MAX_POOL_2D with the CONV_2D or DEPTHWISE_CONV_2D before it, and PAD around the
/// images of the CONV_2D or DEPTHWISE_CONV_2D behind it. The results are the same; the tensor between takes no memory.
/// A QUANTIZE is never one with the operator before it: what is rounded twice differs from what is rounded once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InterpreterOptions {
    /// Whose arithmetic is reproduced.
    pub numerics: Numerics,
    /// Which kernels run. They all give the same integers.
    pub kernels: Kernels,
    /// The operators that may run: [all](operators::ALL) by default. A program that names those of its models has no others
    /// linked.
    pub operators: &'static [Implementation],
    /// Keeps every tensor's value until the next run, for [`Interpreter::tensor`]: no operators are computed at once, and the
    /// tensors take more memory.
    pub keep_intermediates: bool,
    /// Keeps the values of inputs for the next runs, as is the default. Otherwise their memory is used again by tensors that are
    /// computed later: inputs must be set before each run, and setting one may change the outputs of the last.
    pub keep_inputs: bool,
    /// Threads that share the work of a large layer (1 by default, and 0 is 1): one of millions of products, whose rows of
    /// windows they divide. The results have the same bits.
    ///
    /// With one thread, [`invoke`](Interpreter::invoke) allocates nothing. With more it starts threads for each large layer,
    /// and allocates what that takes.
    #[cfg(feature = "std")]
    pub threads: usize,
    /// The signature whose graph is run; by default it is the model's first graph.
    pub signature: Option<String>,
    /// The most memory that tensors may take, in bytes (1 GiB by default): a bound on what a hostile file can ask for. As much
    /// again may be taken by constants that are computed in advance, and by tables of kernels; by the latter at least 16 MiB.
    pub max_arena_bytes: usize,
    /// The most memory that packed weights may take, in bytes (1 GiB by default). They are counted after each operator, so one
    /// more may be packed before the model is refused.
    pub max_packed_bytes: usize,
}

impl Default for InterpreterOptions {
    // Inlined, so that operators that nobody asks for are not linked.
    #[inline]
    fn default() -> Self {
        Self {
            numerics: Numerics::default(),
            kernels: Kernels::default(),
            operators: operators::ALL,
            keep_intermediates: false,
            keep_inputs: true,
            #[cfg(feature = "std")]
            threads: 1,
            signature: None,
            max_arena_bytes: 1 << 30,
            max_packed_bytes: 1 << 30,
        }
    }
}

impl InterpreterOptions {
    /// How many threads may work at a layer: 1 or more.
    pub(crate) fn layer_threads(&self) -> usize {
        #[cfg(feature = "std")]
        let threads = self.threads.max(1);
        #[cfg(not(feature = "std"))]
        let threads = 1;
        threads
    }

    /// The most memory that kernels' tables may take, such as multipliers of channels: a small part of what tensors take in
    /// honest models, so only a bound.
    pub(crate) fn max_table_bytes(&self) -> usize {
        self.max_arena_bytes.max(1 << 24)
    }

    /// Whether inputs last until the next run.
    pub(crate) fn keeps_inputs(&self) -> bool {
        self.keep_inputs || self.keep_intermediates
    }
}

/// Runs a model.
///
/// What a file can get wrong is found by [`new`](Self::new); [`invoke`](Self::invoke) then allocates nothing. A clone
/// shares the plan and has memory of its own, so that several threads can run the same model.
///
/// The state of a streaming model (variables, the cells of recurrent layers) lasts from one run to the next.
/// [`reset_variables`](Self::reset_variables) lets a new stream begin. A clone starts with the state of the original;
/// from then on each has its own.
#[derive(Debug, Clone)]
pub struct Interpreter<'m> {
    model: &'m Model<'m>,
    options: InterpreterOptions,
    plan: Arc<Plan<'m>>,
    arena: Arena<'m>,
}

/// What an [observer](Interpreter::invoke_observed) of a run is told. Operators go by their index in the graph.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StepEvent {
    /// The operator starts to work.
    Starts(usize),
    /// The operator has done its work.
    Ended(usize),
}

/// A step of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StepInfo {
    /// The operator that it belongs to, by its index in the graph.
    pub operator: usize,
    /// The kernels that do its work: the plain loops, or those of a name.
    pub kernels: Kernels,
}

/// What a tensor looks like.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TensorInfo<'a> {
    /// Its name in the file.
    pub name: &'a str,
    /// The type of its elements.
    pub element_type: ElementType,
    /// Its shape as planned.
    pub shape: &'a [usize],
    /// How its integers stand for real numbers, where they do.
    pub quantization: Option<&'a Quantization>,
}

impl<'m> Interpreter<'m> {
    /// Plans the model with the input shapes of its file.
    ///
    /// # Errors
    /// [`Error::Operator`] names an operator that cannot be run and says why; [`Error::NotComputed`] if operators are out
    /// of order; [`Error::Unsized`] if inputs or outputs are strings; [`Error::TooLarge`] if tensors or packed weights need
    /// too much memory.
    pub fn new(model: &'m Model<'_>) -> Result<Self, Error> {
        Self::with_options(model, &InterpreterOptions::default())
    }

    /// As [`new`](Self::new), with options.
    ///
    /// # Errors
    /// As [`new`](Self::new); [`Error::NoSuchSignature`].
    pub fn with_options(model: &'m Model<'_>, options: &InterpreterOptions) -> Result<Self, Error> {
        Self::with_memory(model, options, Arena::Owned(AlignedBytes::zeroed(0)))
    }

    /// As [`with_options`](Self::with_options), with the tensors in the caller's memory: [`arena_bytes`](Self::arena_bytes)
    /// from the first multiple of 16 on. With the same options a model needs as many on every machine.
    ///
    /// # Errors
    /// As [`with_options`](Self::with_options); [`Error::ArenaTooSmall`].
    ///
    /// # Example
    /// ```
    /// # use burnlite_runtime::{Error, Interpreter, InterpreterOptions, Kernels};
    /// # use burnlite_tflite::{ElementType, Graph, Model, Op, Operator, Tensor};
    /// # let mut graph = Graph::default();
    /// # let x = graph.add_tensor(Tensor::new("x", ElementType::Float32, [3]));
    /// # let y = graph.add_tensor(Tensor::new("y", ElementType::Float32, [3]));
    /// # graph.operators.push(Operator::new(Op::Relu, [x], [y]));
    /// # (graph.inputs, graph.outputs) = (vec![x], vec![y]);
    /// # let model = Model::new(graph);
    /// let options = InterpreterOptions { kernels: Kernels::InPlace, ..InterpreterOptions::default() };
    /// let mut small = [0; 16];
    /// let error = Interpreter::with_arena(&model, &options, &mut small).unwrap_err();
    /// assert!(matches!(error, Error::ArenaTooSmall { needed: 28, .. }));
    /// let mut arena = [0; 28 + 15];
    /// let interpreter = Interpreter::with_arena(&model, &options, &mut arena)?;
    /// assert_eq!(interpreter.arena_bytes(), 28);
    /// # Ok::<(), Error>(())
    /// ```
    pub fn with_arena(
        model: &'m Model<'_>,
        options: &InterpreterOptions,
        arena: &'m mut [u8],
    ) -> Result<Self, Error> {
        Self::with_memory(model, options, Arena::borrowed(arena))
    }

    fn with_memory(
        model: &'m Model<'m>,
        options: &InterpreterOptions,
        mut arena: Arena<'m>,
    ) -> Result<Self, Error> {
        options.kernels.check()?;
        model.check()?;
        let graph = match &options.signature {
            Some(name) => &model.graphs[signature::find(model, name)?.graph],
            None => model.main()?,
        };
        let shapes: Vec<_> = graph.inputs.iter().map(|id| graph.tensors[id.index()].shape.clone()).collect();
        let plan = Plan::new(model, graph, &shapes, options)?;
        arena.make_room(plan.arena_bytes)?;
        plan.reset(arena.as_mut_slice())?;
        Ok(Self { model, options: options.clone(), plan: Arc::new(plan), arena })
    }

    /// Plans the model again with another shape of the given input, usually another batch. Inputs must be set again, and
    /// variables have their first values.
    ///
    /// # Errors
    /// [`Error::InputShape`] where the shape contradicts the file: another rank, or another extent where the file does not
    /// leave it open; then as [`new`](Self::new); [`Error::ArenaTooSmall`]. After an error the interpreter is as before.
    pub fn resize_input(&mut self, index: usize, shape: &[usize]) -> Result<(), Error> {
        let id = self.input_id(index)?;
        let tensor = &self.plan.graph.tensors[id.index()];
        let fixed = |(dimension, extent): (usize, &usize)| match &tensor.shape_signature {
            Some(signature) => {
                signature[dimension] >= 0 && usize::try_from(signature[dimension]) != Ok(*extent)
            }
            // Without a signature nothing is said to be fixed; the plan tells whether the shapes go together.
            None => false,
        };
        if shape.len() != tensor.shape.len() || shape.iter().enumerate().any(fixed) {
            let signature =
                || tensor.shape.iter().map(|&extent| i32::try_from(extent).unwrap_or(i32::MAX)).collect();
            return Err(Error::InputShape {
                name: tensor.name.clone(),
                expected: tensor.shape_signature.clone().unwrap_or_else(signature),
                found: shape.into(),
            });
        }
        let mut shapes: Vec<_> = self.inputs().map(|input| input.shape.to_vec()).collect();
        shapes[index] = shape.into();
        let plan = Plan::new(self.model, self.plan.graph, &shapes, &self.options)?;
        self.arena.make_room(plan.arena_bytes)?;
        self.plan = Arc::new(plan);
        // What sets variables up has no inputs: it has done so before.
        self.reset_variables()
    }

    /// The model's inputs, in order.
    pub fn inputs(&self) -> impl ExactSizeIterator<Item = TensorInfo<'_>> {
        self.plan.graph.inputs.iter().map(|&id| self.info(id))
    }

    /// The model's outputs, in order.
    pub fn outputs(&self) -> impl ExactSizeIterator<Item = TensorInfo<'_>> {
        self.plan.graph.outputs.iter().map(|&id| self.info(id))
    }

    /// The graph that is run: its operators with their names, its tensors.
    pub fn graph(&self) -> &'m Graph<'m> {
        self.plan.graph
    }

    /// Any tensor's type, quantization, and shape as planned.
    ///
    /// # Errors
    /// [`Error::NoSuchTensor`].
    pub fn tensor_info(&self, id: TensorId) -> Result<TensorInfo<'_>, Error> {
        self.check_tensor(id)?;
        Ok(self.info(id))
    }

    /// The inputs and outputs of the signature with the given name.
    ///
    /// # Errors
    /// [`Error::NoSuchSignature`]; [`Error::OtherGraph`] where the signature is that of another graph: an interpreter for
    /// it is made with [`InterpreterOptions::signature`].
    pub fn signature(&self, name: &str) -> Result<SignatureTensors<'m>, Error> {
        SignatureTensors::new(self.model, self.plan.graph, name)
    }

    /// What a run does, in order. An operator without a step costs nothing: its results are known in advance, or are its
    /// operand's memory under another shape, or the operator before or behind it computes them at once. One with many results may have several steps.
    pub fn steps(&self) -> impl ExactSizeIterator<Item = StepInfo> + '_ {
        self.plan.steps()
    }

    /// Bytes of memory for the tensors that are computed, exactly.
    pub fn arena_bytes(&self) -> usize {
        self.plan.arena_bytes
    }

    /// What the arena holds and when, in the order in which it is written. What CALL_ONCE's graphs hold is left out.
    pub fn arena_map(&self) -> Vec<ArenaRegion> {
        self.plan.arena_map(&self.options)
    }

    /// Bytes of weights that kernels read in an order of their own, beside [those in the file](Self::weight_bytes).
    pub fn packed_bytes(&self) -> usize {
        self.plan.packed_bytes()
    }

    /// Bytes of the graph's constants as they are in the file; what several tensors share counts once.
    pub fn weight_bytes(&self) -> usize {
        let data = self.plan.graph.tensors.iter().filter_map(|tensor| tensor.data.as_deref());
        let places: BTreeSet<_> = data.map(|data| (data.as_ptr(), data.len())).collect();
        places.iter().map(|(_, length)| length).sum()
    }

    /// The elements of an input, to be written.
    ///
    /// # Errors
    /// [`Error::NoSuchTensor`]; [`Error::ElementType`] where the input holds another type.
    pub fn input_mut<T: Element>(&mut self, index: usize) -> Result<&mut [T], Error> {
        let id = self.input_id(index)?;
        self.check_type::<T>(id)?;
        match self.plan.tensors[id.index()].place {
            Place::Arena(region) => {
                Ok(elements_mut(&mut self.arena.as_mut_slice()[region.offset..][..region.bytes]))
            }
            _ => Err(Error::NoSuchTensor { what: "writable input", index, count: 0 }),
        }
    }

    /// Sets an input. Its value stays for the next runs, unless [`keep_inputs`](InterpreterOptions::keep_inputs) is off.
    ///
    /// # Errors
    /// As [`input_mut`](Self::input_mut); [`Error::InputLength`] where the number of values is not the tensor's.
    pub fn set_input<T: Element>(&mut self, index: usize, values: &[T]) -> Result<(), Error> {
        self.check_input_length(index, values.len())?;
        self.input_mut::<T>(index)?.copy_from_slice(values);
        Ok(())
    }

    /// Runs the model.
    ///
    /// Results are in the outputs until the next run. Nothing is allocated, unless
    /// [several threads](InterpreterOptions#structfield.threads) share the work.
    ///
    /// # Errors
    /// [`Error::Operator`] where the values that an operator meets make no sense to it, such as an index outside a tensor;
    /// everything else was checked when the model was planned.
    pub fn invoke(&mut self) -> Result<(), Error> {
        self.invoke_observed(|_| ())
    }

    /// As [`invoke`](Self::invoke), and tells the observer when each operator starts and ends, so that it can take the
    /// time with whatever clock there is.
    ///
    /// An operator whose results are known in advance is not run; one with many results may be told of several times.
    ///
    /// # Errors
    /// As [`invoke`](Self::invoke).
    pub fn invoke_observed(&mut self, observer: impl FnMut(StepEvent)) -> Result<(), Error> {
        self.plan.run(self.arena.as_mut_slice(), observer)
    }

    /// Gives everything that outlives a run its first value: the variables of recurrent layers are zero, and those of
    /// VAR_HANDLE what the model's CALL_ONCE makes them. Inputs stay; outputs are lost.
    ///
    /// # Errors
    /// As [`invoke`](Self::invoke), of the graphs of CALL_ONCE.
    pub fn reset_variables(&mut self) -> Result<(), Error> {
        self.plan.reset(self.arena.as_mut_slice())
    }

    /// The elements of an output.
    ///
    /// # Errors
    /// [`Error::NoSuchTensor`]; [`Error::ElementType`] where the output holds another type.
    pub fn output<T: Element>(&self, index: usize) -> Result<&[T], Error> {
        let outputs = &self.plan.graph.outputs;
        let id = outputs.get(index).copied();
        let id = id.ok_or(Error::NoSuchTensor { what: "output", index, count: outputs.len() })?;
        self.check_type::<T>(id)?;
        Ok(self.elements(id).expect("outputs are kept"))
    }

    /// The elements of any tensor: a constant, an input, an output, a variable, or, with
    /// [`keep_intermediates`](InterpreterOptions::keep_intermediates), what lies between.
    ///
    /// # Errors
    /// [`Error::NoSuchTensor`]; [`Error::ElementType`] where the tensor holds another type; [`Error::NotKept`] where its
    /// memory is used again.
    pub fn tensor<T: Element>(&self, id: TensorId) -> Result<&[T], Error> {
        self.check_tensor(id)?;
        self.check_type::<T>(id)?;
        let PlannedTensor { place, is_kept, .. } = self.plan.tensors[id.index()];
        let not_kept = || Error::NotKept { name: self.plan.graph.tensors[id.index()].name.clone() };
        match place {
            Place::Arena(_) if !is_kept => Err(not_kept()),
            _ => self.elements(id).ok_or_else(not_kept),
        }
    }

    fn elements<T: Element>(&self, id: TensorId) -> Option<&[T]> {
        let bytes = match self.plan.tensors[id.index()].place {
            Place::Arena(region) => &self.arena.as_slice()[region.offset..][..region.bytes],
            Place::Constant(index) => self.plan.constants[index].bytes(),
            Place::Absent => return None,
        };
        Some(elements(bytes))
    }

    fn info(&self, id: TensorId) -> TensorInfo<'_> {
        let tensor = &self.plan.graph.tensors[id.index()];
        TensorInfo {
            name: &tensor.name,
            element_type: tensor.element_type,
            shape: &self.plan.tensors[id.index()].shape,
            quantization: tensor.quantization.as_ref(),
        }
    }

    fn input_id(&self, index: usize) -> Result<TensorId, Error> {
        let inputs = &self.plan.graph.inputs;
        inputs.get(index).copied().ok_or(Error::NoSuchTensor { what: "input", index, count: inputs.len() })
    }

    pub(crate) fn check_input_length(&self, index: usize, found: usize) -> Result<(), Error> {
        let info = self.info(self.input_id(index)?);
        let expected = info.shape.iter().product();
        if found == expected {
            return Ok(());
        }
        Err(Error::InputLength { name: info.name.into(), shape: info.shape.into(), expected, found })
    }

    fn check_tensor(&self, id: TensorId) -> Result<(), Error> {
        let (index, count) = (id.index(), self.plan.graph.tensors.len());
        if index < count { Ok(()) } else { Err(Error::NoSuchTensor { what: "tensor", index, count }) }
    }

    fn check_type<T: Element>(&self, id: TensorId) -> Result<(), Error> {
        let tensor = &self.plan.graph.tensors[id.index()];
        if tensor.element_type.storage() == T::TYPE {
            return Ok(());
        }
        Err(Error::ElementType { name: tensor.name.clone(), expected: tensor.element_type, found: T::TYPE })
    }
}

#[cfg(test)]
mod tests {
    use burnlite_tflite::{Op, Operator, Tensor};

    use super::*;

    #[test]
    fn an_observer_sees_every_operator_start_and_end() {
        let mut graph = Graph::default();
        let tensors = ["x", "y", "z"].map(|name| Tensor::new(name, ElementType::Float32, [2]));
        let [x, y, z] = tensors.map(|tensor| graph.add_tensor(tensor));
        graph.operators = [(x, y), (y, z)].map(|(x, y)| Operator::new(Op::Relu, [x], [y])).into();
        (graph.inputs, graph.outputs) = ([x].into(), [z].into());
        let model = Model::new(graph);
        let mut interpreter = Interpreter::new(&model).unwrap();
        let mut events = Vec::new();
        interpreter.invoke_observed(|event| events.push(event)).unwrap();
        assert_eq!(
            events,
            [StepEvent::Starts(0), StepEvent::Ended(0), StepEvent::Starts(1), StepEvent::Ended(1)]
        );
        assert_eq!(interpreter.tensor_info(y).unwrap().name, "y");
        assert!(matches!(interpreter.tensor_info(TensorId(3)), Err(Error::NoSuchTensor { index: 3, .. })));
    }
}
