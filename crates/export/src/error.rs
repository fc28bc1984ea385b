//! Why a module cannot be exported.

/// Why a module cannot be exported.
///
/// The caller is at fault in [`NameCount`](Self::NameCount), [`DuplicateName`](Self::DuplicateName),
/// [`EmptySample`](Self::EmptySample), [`UnknownName`](Self::UnknownName) and [`NotComputed`](Self::NotComputed); the others say what the module does that
/// has no counterpart in TensorFlow Lite or in this crate.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There are more or fewer names than tensors.
    #[error("there are {names} names for {tensors} {boundary}s: name all of them or none")]
    NameCount {
        /// `input` or `output`.
        boundary: &'static str,
        /// Number of names.
        names: usize,
        /// Number of tensors.
        tensors: usize,
    },

    /// Two tensors have the same name.
    #[error("two {boundary}s are named '{name}': give each its own name")]
    DuplicateName {
        /// `input` or `output`.
        boundary: &'static str,
        /// The name.
        name: String,
    },

    /// A layout was chosen for something that is not there.
    #[error("no input or output is named '{name}', whose layout was chosen")]
    UnknownName {
        /// The name.
        name: String,
    },

    /// A sample has no rows that could stand for a batch.
    #[error("the sample for input {position} is empty: give one of at least one row")]
    EmptySample {
        /// The input's position.
        position: usize,
    },

    /// An output does not come out of the capture.
    #[error(
        "output {position} was not computed on the capture device: return what the module made of the inputs it was given"
    )]
    NotComputed {
        /// The output's position.
        position: usize,
    },

    /// Burn cannot make a graph of what was captured.
    #[error("burn cannot capture the forward pass: {reason}")]
    Capture {
        /// What Burn reports.
        reason: String,
    },

    /// The forward pass for one batch is not that for another batch.
    #[error(
        "{place} depends on the batch in a way that the file cannot express: {reason}; \
         change the forward pass, or export for one batch with dynamic_batch(false)"
    )]
    BatchDependence {
        /// Where: an operation or a constant.
        place: String,
        /// What differs.
        reason: String,
    },

    /// An input or output is of a type that the file does not know.
    #[error("{boundary} '{name}' cannot be exported: {reason}")]
    UnsupportedBoundary {
        /// `input` or `output`.
        boundary: &'static str,
        /// Its name.
        name: String,
        /// Why, and what to do instead.
        reason: String,
    },

    /// An operation cannot be written as operators of TensorFlow Lite.
    #[error(
        "operation {index} ({kind}){} from {shapes} cannot be exported: {reason}",
        .place.as_ref().map(|place| format!(" {place}")).unwrap_or_default()
    )]
    UnsupportedOperation {
        /// Its position among the captured operations.
        index: usize,
        /// What Burn calls it.
        kind: String,
        /// Where it is, as far as the module's parameters tell: `in 'encoder/dense'` or `after 'encoder/dense'`.
        place: Option<String>,
        /// Shapes of its operands and of its results, with the batch as `N`: `[N, 5] to [N, 5]`.
        shapes: String,
        /// Why, and what to do instead.
        reason: String,
    },

    /// The exported model does not compute what Burn computes.
    #[error(
        "output '{output}' differs from Burn's by up to {difference:e}, {allowed:e} allowed: at {index} it is {found}, \
         Burn's {expected}; this is a fault of the exporter, unless the forward pass depends on more than its inputs: \
         check(false) leaves the comparison out"
    )]
    Deviation {
        /// The output's name.
        output: String,
        /// The largest difference.
        difference: f64,
        /// The largest difference that is allowed.
        allowed: f64,
        /// The position of the element with the largest difference, row-major.
        index: usize,
        /// What the exported model computes there.
        found: f64,
        /// What Burn computes there.
        expected: f64,
    },

    /// The runtime cannot run the exported model, to compare it with Burn.
    #[error("the exported model cannot be compared with Burn, check(false) leaves that out: {reason}")]
    NotRun {
        /// What the runtime says.
        reason: String,
    },

    /// A file cannot be written.
    #[error("cannot write '{path}': {reason}")]
    File {
        /// The file.
        path: String,
        /// What the system says, and what to do.
        reason: String,
    },

    /// The model does not hold together; this is a fault of this crate.
    #[error(transparent)]
    Model(#[from] burnlite_tflite::Error),
}

impl From<burnlite_files::WriteError> for Error {
    fn from(error: burnlite_files::WriteError) -> Self {
        Self::File { path: error.path.display().to_string(), reason: error.reason() }
    }
}

/// Why one operation cannot be lowered, in words that complete the sentence "… cannot be exported: …".
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal(pub(crate) String);

impl Refusal {
    /// A refusal with the given reason.
    pub(crate) fn new(reason: impl Into<String>) -> Self {
        Self(reason.into())
    }

    /// The error of an input or output that was refused.
    pub(crate) fn of_boundary(self, boundary: &'static str, name: &str) -> Error {
        Error::UnsupportedBoundary { boundary, name: name.into(), reason: self.0 }
    }
}
