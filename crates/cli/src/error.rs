//! What can go wrong.

use std::fmt;
use std::io;
use std::path::PathBuf;

use burnlite_quantize::Scheme;
use burnlite_runtime::OperatorFault;
use burnlite_tflite::ElementType;

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file cannot be read.
    #[error("cannot read '{}': {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },

    /// A file or folder cannot be written.
    #[error(transparent)]
    Write(#[from] burnlite_files::WriteError),

    /// There is no model to work on.
    #[error("no model: only --kernels list does without one")]
    NoModel,

    /// What the command prints cannot be written.
    #[error("cannot write the output: {0}")]
    Output(#[source] io::Error),

    /// A file is not a usable model.
    #[error("'{}': {source}", path.display())]
    Model {
        /// The file.
        path: PathBuf,
        /// Why.
        source: burnlite_tflite::Error,
    },

    /// An operator cannot be planned or run.
    #[error("'{}': operator {index} ({name}) of tensor '{tensor}': {fault}", path.display())]
    Operator {
        /// The file.
        path: PathBuf,
        /// The operator's index.
        index: usize,
        /// Its name.
        name: String,
        /// The tensor that it computes.
        tensor: String,
        /// What is wrong.
        fault: Box<OperatorFault>,
    },

    /// A model cannot be planned or run.
    #[error("'{}': {source}", path.display())]
    Runtime {
        /// The file.
        path: PathBuf,
        /// Why.
        source: Box<burnlite_runtime::Error>,
    },

    /// A model cannot be calibrated, quantized or compared with its float model, or statistics cannot be used.
    #[error("'{}': {source}", path.display())]
    Quantizer {
        /// The file.
        path: PathBuf,
        /// Why.
        source: Box<burnlite_quantize::Error>,
    },

    /// A file is no recipe.
    #[error("'{}': {source}", path.display())]
    Recipe {
        /// The file.
        path: PathBuf,
        /// What is wrong, and where.
        source: Box<toml::de::Error>,
    },

    /// A model is to be quantized, and nothing says in which ranges its activations are.
    #[error("'{}': the model carries no ranges: give --calibration or --statistics", path.display())]
    NoRanges {
        /// The file.
        path: PathBuf,
    },

    /// Inputs or outputs were to have a type that the scheme has not.
    #[error("inputs and outputs of {scheme} cannot be {io_type}")]
    IoType {
        /// The scheme.
        scheme: Scheme,
        /// The type.
        io_type: &'static str,
    },

    /// An array cannot be read.
    #[error("'{array}': {fault}")]
    Array {
        /// The file, and the array's name where it lies in an `.npz` file.
        array: String,
        /// What is wrong with it.
        fault: ArrayFault,
    },

    /// An array is for an input that the model does not have.
    #[error("'{}': there is no input '{name}': the model has {}", model.display(), Names(known))]
    NoSuchInput {
        /// The file.
        model: PathBuf,
        /// The name that was given.
        name: String,
        /// The names of the inputs.
        known: Vec<String>,
    },

    /// An input has no array.
    #[error("'{}': no array for input {}", model.display(), Names(missing))]
    MissingInput {
        /// The file.
        model: PathBuf,
        /// The inputs without an array.
        missing: Vec<String>,
    },

    /// An input has two arrays, or there are more arrays than inputs.
    #[error("'{}': {array} is one too many: {reason}", model.display())]
    SurplusInput {
        /// The file.
        model: PathBuf,
        /// The array.
        array: String,
        /// Which inputs there are, or which has an array already.
        reason: String,
    },

    /// No array of an `.npz` file has the name of an input.
    #[error("'{}': '{array}' has {}, none of which is the name of an input: {}, or input_0, input_1, ...",
        model.display(), Names(found), Names(known))]
    NoneNamed {
        /// The file.
        model: PathBuf,
        /// The `.npz` file.
        array: String,
        /// The names of its arrays.
        found: Vec<String>,
        /// The names of the inputs.
        known: Vec<String>,
    },

    /// An array holds another type than the input takes.
    #[error("'{}': input '{input}' takes {expected}, but '{array}' holds {found}{advice}", model.display())]
    InputType {
        /// The file.
        model: PathBuf,
        /// The input.
        input: String,
        /// What the input takes.
        expected: ElementType,
        /// The array.
        array: String,
        /// What the array holds.
        found: ElementType,
        /// What can be done about it.
        advice: String,
    },

    /// An array has a shape that the input cannot take.
    #[error("'{}': input '{input}' cannot take '{array}' of shape {found:?}: {reason}", model.display())]
    InputShape {
        /// The file.
        model: PathBuf,
        /// The input.
        input: String,
        /// The array.
        array: String,
        /// The array's shape.
        found: Vec<usize>,
        /// What is wrong with it.
        reason: String,
    },

    /// A model has a type of output that arrays cannot hold.
    #[error("'{}': output {index} '{name}' holds {found}, which .npy files cannot", model.display())]
    OutputType {
        /// The file.
        model: PathBuf,
        /// The output's position.
        index: usize,
        /// The output's name.
        name: String,
        /// Its type.
        found: ElementType,
    },

    /// No Rust type holds the elements of an input or output.
    #[error("'{}': {what} {index} '{name}' holds {found}, which no Rust type does", model.display())]
    NoRustType {
        /// The file.
        model: PathBuf,
        /// `input` or `output`.
        what: &'static str,
        /// Its position.
        index: usize,
        /// Its name.
        name: String,
        /// Its type.
        found: ElementType,
    },

    /// A crate cannot be called as its folder is.
    #[error("'{}' is no name for a crate: it takes ASCII letters, digits, - and _, a letter first", path.display())]
    CrateName {
        /// The folder.
        path: PathBuf,
    },

    /// A folder is to be written that is there already.
    #[error("'{}' exists: remove it, or name another folder", path.display())]
    Exists {
        /// The folder.
        path: PathBuf,
    },

    /// Two models cannot be compared.
    #[error("'{}' and '{}' cannot be compared: {reason}", a.display(), b.display())]
    Incomparable {
        /// One file.
        a: PathBuf,
        /// The other.
        b: PathBuf,
        /// Why.
        reason: String,
    },
}

/// What is wrong with an array.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ArrayFault {
    /// The file does not start as one of numpy's does.
    #[error("not an .npy file: it does not start with \"\\x93NUMPY\"")]
    NotNpy,
    /// The version of the format is not known.
    #[error("version {major} of the .npy format is not known")]
    Version {
        /// Its first number.
        major: u8,
    },
    /// The header is not what numpy writes.
    #[error("the .npy header is damaged: {what}")]
    Header {
        /// What is wrong.
        what: &'static str,
    },
    /// The elements are in column-major order.
    #[error("the array is in Fortran order: save numpy.ascontiguousarray(array)")]
    FortranOrder,
    /// The elements are big-endian.
    #[error("the elements are big-endian ('{descr}'): save array.astype(array.dtype.newbyteorder('<'))")]
    BigEndian {
        /// The type as numpy writes it.
        descr: String,
    },
    /// The elements are Python objects.
    #[error("the elements are Python objects: save an array of numbers")]
    Objects,
    /// The elements are of a type that no model takes.
    #[error(
        "the elements are of type '{descr}', which models do not take: save numbers, for example as float32"
    )]
    Type {
        /// The type as numpy writes it.
        descr: String,
    },
    /// There are more or fewer bytes than the shape says.
    #[error("the shape {shape:?} needs {expected} bytes, but there are {found}")]
    Length {
        /// The shape.
        shape: Vec<usize>,
        /// Bytes that it needs.
        expected: usize,
        /// Bytes that there are.
        found: usize,
    },
    /// The shape is larger than memory.
    #[error("the shape {shape:?} has more elements than memory can hold")]
    TooLarge {
        /// The shape.
        shape: Vec<usize>,
    },
    /// An `.npz` file cannot be read.
    #[error("not an .npz file that can be read: {0}")]
    Npz(#[source] zip::result::ZipError),
    /// An entry of an `.npz` file cannot be unpacked.
    #[error("cannot be unpacked: {0}")]
    Unpack(#[source] io::Error),
}

/// Names in a message: `'a', 'b'`, or `none`.
struct Names<'a>(&'a [String]);

impl fmt::Display for Names<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return formatter.write_str("none");
        }
        for (index, name) in self.0.iter().enumerate() {
            write!(formatter, "{}'{name}'", if index == 0 { "" } else { ", " })?;
        }
        Ok(())
    }
}
