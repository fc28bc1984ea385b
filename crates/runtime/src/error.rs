//! What can go wrong when a model is planned or run.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use burnlite_tflite::ElementType;

/// Why a model cannot be planned, or a call cannot be served.
///
/// Everything that depends on a file's content is found when the [`Interpreter`](crate::Interpreter) is made.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The model contradicts itself or the format.
    #[error(transparent)]
    Model(#[from] burnlite_tflite::Error),

    /// An operator cannot be run.
    #[error("operator {index} ({name}): {fault}")]
    Operator {
        /// Its index in the graph.
        index: usize,
        /// Its name, for example `CONV_2D`.
        name: String,
        /// What is wrong.
        fault: OperatorFault,
    },

    /// A tensor is read before anything wrote it: the operators are out of order, or nothing computes it.
    #[error("{place} reads tensor {tensor} '{name}', but no earlier operator computes it")]
    NotComputed {
        /// Who reads it.
        place: String,
        /// The tensor's index.
        tensor: usize,
        /// The tensor's name.
        name: String,
    },

    /// There are no kernels of the name that the options ask for, or this machine cannot run them.
    #[error("there are no kernels '{name}' for this machine, which has {}",
        if available.is_empty() { "none".into() } else { available.join(", ") })]
    NoKernels {
        /// The name.
        name: &'static str,
        /// The names of those that there are.
        available: Vec<&'static str>,
    },

    /// An input of the model is a constant, or is listed twice.
    #[error("input {index} '{name}' is a constant or an input already")]
    NotAnInput {
        /// Its position.
        index: usize,
        /// The tensor's name.
        name: String,
    },

    /// There is no input or output with the given position, or no tensor with the given index.
    #[error("there is no {what} {index}: the model has {count}")]
    NoSuchTensor {
        /// `input`, `output` or `tensor`.
        what: &'static str,
        /// The position asked for.
        index: usize,
        /// How many there are.
        count: usize,
    },

    /// Values of another type than the tensor's were given or asked for.
    #[error("tensor '{name}' holds {expected}, not {found}")]
    ElementType {
        /// The tensor's name.
        name: String,
        /// The tensor's type.
        expected: ElementType,
        /// The type that was given or asked for.
        found: ElementType,
    },

    /// An input has another number of values than its tensor.
    #[error("input '{name}' of shape {shape:?} takes {expected} values, not {found}")]
    InputLength {
        /// The tensor's name.
        name: String,
        /// The tensor's shape.
        shape: Vec<usize>,
        /// The number of values it takes.
        expected: usize,
        /// The number of values that were given.
        found: usize,
    },

    /// An input cannot take the given shape.
    #[error("input '{name}' cannot take the shape {found:?}: the model fixes {expected:?} (-1 is free)")]
    InputShape {
        /// The tensor's name.
        name: String,
        /// The shape's signature in the model.
        expected: Vec<i32>,
        /// The shape that was asked for.
        found: Vec<usize>,
    },

    /// An inner tensor was asked for, but its memory is used again by others.
    #[error("tensor '{name}' is not kept: make the interpreter with `keep_intermediates`")]
    NotKept {
        /// The tensor's name.
        name: String,
    },

    /// A tensor holds values that have no fixed size, such as strings: the runtime has no memory for them.
    #[error("tensor '{name}' holds values of the type {element_type}, which is not supported")]
    Unsized {
        /// The tensor's name.
        name: String,
        /// The type of its values.
        element_type: ElementType,
    },

    /// The model has no signature of the given name.
    #[error("there is no signature '{name}': the model has {}", Names(known))]
    NoSuchSignature {
        /// The name asked for.
        name: String,
        /// The names that there are.
        known: Vec<String>,
    },

    /// The interpreter runs another graph than the signature's.
    #[error(
        "the interpreter runs another graph than that of signature '{name}': make it with that signature"
    )]
    OtherGraph {
        /// The signature's name.
        name: String,
    },

    /// A signature has no input or output of the given name.
    #[error("signature '{signature}' has no {what} '{name}', but {}", Names(known))]
    NoSuchName {
        /// The signature's name.
        signature: String,
        /// `input` or `output`.
        what: &'static str,
        /// The name asked for.
        name: String,
        /// The names that there are.
        known: Vec<String>,
    },

    /// The model asks for more memory than the options allow.
    #[error("the model's {what} need {bytes} bytes, more than the limit of {limit}")]
    TooLarge {
        /// `tensors`, `packed weights` or `the kernels' tables`.
        what: &'static str,
        /// Bytes needed.
        bytes: usize,
        /// The limit.
        limit: usize,
    },

    /// The caller's arena has no room for the model's tensors.
    #[error("the arena needs {needed} bytes from a multiple of 16 on, but has {found}")]
    ArenaTooSmall {
        /// Bytes needed.
        needed: usize,
        /// Bytes from the first multiple of 16 on.
        found: usize,
    },
}

/// Names in a message.
struct Names<'a>(&'a [String]);

impl fmt::Display for Names<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some((first, others)) = self.0.split_first() else { return formatter.write_str("none") };
        write!(formatter, "'{first}'")?;
        others.iter().try_for_each(|name| write!(formatter, ", '{name}'"))
    }
}

/// What is wrong with one operator.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum OperatorFault {
    /// There is no such operator in this runtime.
    #[error("this runtime does not have the operator")]
    Unknown,
    /// The operator does not have this variant.
    #[error("{what} is not supported")]
    Unsupported {
        /// The variant, in words.
        what: String,
    },
    /// The element types of the operands do not go together.
    #[error("the element types {types:?} do not go together or are not supported")]
    Types {
        /// The element types, inputs first.
        types: Vec<ElementType>,
    },
    /// An operand that must be there is missing.
    #[error("{what} {position} is missing")]
    Missing {
        /// `input`, `output` or `intermediate`.
        what: &'static str,
        /// Its position.
        position: usize,
    },
    /// The operator has too few or too many operands or results.
    #[error("there are {found} {what}, but the operator takes {min} to {max}")]
    Count {
        /// `inputs` or `outputs`.
        what: &'static str,
        /// Fewest.
        min: usize,
        /// Most.
        max: usize,
        /// How many there are.
        found: usize,
    },
    /// A result is a constant, an input of the model, or another operator's result.
    #[error("the result '{tensor}' has a value already")]
    Overwrites {
        /// The tensor's name.
        tensor: String,
    },
    /// Shapes do not go together.
    #[error("{what}: the shape is {found:?}")]
    Shape {
        /// What should hold.
        what: String,
        /// The shape that contradicts it.
        found: Vec<usize>,
    },
    /// An option has a value that makes no sense.
    #[error("{option} is {found}, but must be {expected}")]
    Option {
        /// The option.
        option: &'static str,
        /// What it may be.
        expected: &'static str,
        /// What it is.
        found: i64,
    },
    /// A tensor's scale or zero point is missing, not finite, negative, or not what the operator demands.
    #[error("the quantization of tensor '{tensor}' is not usable: {reason}")]
    Quantization {
        /// The tensor's name.
        tensor: String,
        /// What is wrong with it.
        reason: String,
    },
    /// An operand that the operator changes is no variable, or several operands are the same one.
    #[error("tensor '{tensor}' must be a variable of its own: the operator changes it")]
    NotVariable {
        /// The tensor's name.
        tensor: String,
    },
    /// The graph that the operator runs has a fault of its own.
    #[error("in graph {graph}: {error}")]
    Graph {
        /// The graph's index in the model.
        graph: usize,
        /// What is wrong there.
        error: Box<Error>,
    },
    /// An operand that must be known when the model is planned depends on data.
    #[error("tensor '{tensor}' must be a constant: shapes and axes cannot depend on data of the run")]
    NotConstant {
        /// The tensor's name.
        tensor: String,
    },
    /// An index that the operator met when it ran is negative or not less than what it counts.
    #[error("index {found} is outside a dimension of {extent} elements")]
    Index {
        /// The index.
        found: i64,
        /// How many elements there are.
        extent: usize,
    },
}
