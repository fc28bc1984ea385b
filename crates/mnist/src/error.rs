use std::io;
use std::path::{Path, PathBuf};

use burn::store::RecordError;
use burnlite_files::WriteError;

use crate::Backend;

/// What can go wrong with the digits.
///
/// Messages are one line, name the file with what was expected and found, and say what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The folder somebody named for MNIST is not there.
    #[error(
        "no folder {folder}: name the one that holds the four MNIST files, or none to have them downloaded"
    )]
    MissingFolder {
        /// The folder that was named.
        folder: PathBuf,
    },

    /// A folder lacks one of the four files.
    #[error(
        "{folder} holds neither {name} nor {name}.gz: add it, or name no folder to have MNIST downloaded"
    )]
    MissingFile {
        /// The folder that was searched.
        folder: PathBuf,
        /// The published name of the file, without `.gz`.
        name: &'static str,
    },

    /// A file is not the one that MNIST has under its name.
    #[error("{path} {flaw}; replace it, or name no folder to have MNIST downloaded")]
    BadFile {
        /// The file that was read.
        path: PathBuf,
        /// What is wrong with it.
        flaw: Flaw,
    },

    /// No mirror served a file of MNIST.
    #[error(
        "cannot download {name} ({}): connect to the network, or put the four MNIST files into {folder}, \
         or name their folder in MNIST_DIR",
        reasons(.attempts)
    )]
    Unavailable {
        /// The published name of the file.
        name: &'static str,
        /// The cache that the file was meant for.
        folder: PathBuf,
        /// The mirrors in the order they were asked.
        attempts: Vec<Attempt>,
    },

    /// A list of mirrors and files is not usable.
    #[error("the list of MNIST files is not usable: {reason}")]
    Manifest {
        /// What is wrong, and where.
        reason: String,
    },

    /// No dataset has this name.
    #[error("unknown dataset \"{name}\": choose auto, mnist or digits")]
    UnknownDataset {
        /// The name that was asked for.
        name: String,
    },

    /// Images and labels do not belong together.
    #[error("{images} images with {labels} labels: give one label per image")]
    LabelCount {
        /// The number of images.
        images: usize,
        /// The number of labels.
        labels: usize,
    },

    /// A label is not a digit.
    #[error("the label of image {index} is {label}: a label is a digit from 0 to 9")]
    LabelRange {
        /// The position of the image.
        index: usize,
        /// The label found.
        label: u8,
    },

    /// There is nothing to train on or to evaluate.
    #[error("the dataset is empty: training and evaluation need at least one image")]
    EmptyDataset,

    /// A training option is out of its range.
    #[error("the training option {option} is {found}: give {expected}")]
    TrainingOption {
        /// The option's name.
        option: &'static str,
        /// Its value.
        found: String,
        /// The values it may have.
        expected: &'static str,
    },

    /// Training went astray.
    #[error("the loss is no longer finite in epoch {epoch}, step {step}: lower the learning rate")]
    Diverged {
        /// The epoch, counted from 1.
        epoch: usize,
        /// The step within the epoch, counted from 1.
        step: usize,
    },

    /// A file does not hold the network's weights.
    #[error("{path} does not hold this network's weights: {reason}; train the network again")]
    Record {
        /// The file that was read.
        path: PathBuf,
        /// What Burn, or this crate, found.
        reason: String,
    },

    /// A file is not a checkpoint that this version wrote.
    #[error("{path} is damaged, or a checkpoint of another version: remove it, and train from the start")]
    BrokenCheckpoint {
        /// The file that was read.
        path: PathBuf,
    },

    /// A checkpoint is of another training than the one that is to go on.
    #[error(
        "{path} is a checkpoint of another training: its {what} is {found}, not {expected}; go on with that one, or train from the start"
    )]
    ForeignCheckpoint {
        /// The file that was read.
        path: PathBuf,
        /// What differs.
        what: String,
        /// That of the checkpoint.
        found: String,
        /// That of the training that is to go on.
        expected: String,
    },

    /// No backend has this name.
    #[error("unknown backend \"{name}\": choose flex or ndarray")]
    UnknownBackend {
        /// The name that was asked for.
        name: String,
    },

    /// The backend was left out when this program was built.
    #[error("the backend {backend} is not in this build: build with the cargo feature \"{feature}\"")]
    BackendNotBuilt {
        /// The backend that was asked for.
        backend: Backend,
        /// The cargo feature that adds it.
        feature: &'static str,
    },

    /// Burn could not hand out what a tensor holds.
    #[error("burn cannot read a tensor back: {0}")]
    Tensor(#[from] burn::tensor::TensorReadError),

    /// The folder for temporary files has a name that the `mnist` crate cannot take.
    #[error("the folder for temporary files, {path}, is not valid Unicode: set TMPDIR to another one")]
    TemporaryFolder {
        /// The folder.
        path: PathBuf,
    },

    /// A file cannot be written.
    #[error(transparent)]
    Write(#[from] WriteError),

    /// The file system refused.
    #[error("cannot {action} {path}: {source}")]
    Io {
        /// What was tried: a verb.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The reason of the operating system.
        source: io::Error,
    },
}

/// What is wrong with a file of MNIST; sizes and checksums are of the raw, decompressed content.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Flaw {
    /// It is another one of the four files.
    #[error("holds {found} in place of {expected}")]
    Swapped {
        /// The published name of the file that belongs here.
        expected: &'static str,
        /// The published name of the file that the header announces.
        found: &'static str,
    },

    /// It is not an idx file of the right kind.
    #[error("starts with the magic number {found:#010x}, expected {expected:#010x}")]
    WrongMagic {
        /// The magic number of this kind of idx file.
        expected: u32,
        /// The first four bytes, big endian.
        found: u32,
    },

    /// It is an idx file of other dimensions.
    #[error("announces the dimensions {found:?}, expected {expected:?}")]
    WrongDimensions {
        /// MNIST's dimensions: `[N, 28, 28]` for images, `[N]` for labels.
        expected: Vec<u32>,
        /// The dimensions in the header.
        found: Vec<u32>,
    },

    /// It ends early.
    #[error("is truncated: it has {found} bytes, expected {expected}")]
    Truncated {
        /// The published size, in bytes.
        expected: u64,
        /// The size found, in bytes.
        found: u64,
    },

    /// It goes on after its end.
    #[error("is too long: it has more than the expected {expected} bytes")]
    TooLong {
        /// The published size, in bytes.
        expected: u64,
    },

    /// It has the right form and other content.
    #[error("is corrupted: its SHA-256 is {found}, expected {expected}")]
    Corrupted {
        /// The published SHA-256, in hexadecimal.
        expected: String,
        /// The SHA-256 found, in hexadecimal.
        found: String,
    },

    /// It is compressed and cannot be decompressed.
    #[error("is truncated or corrupted: gzip finds \"{reason}\"")]
    BrokenGzip {
        /// What the decompressor found.
        reason: String,
    },
}

/// A mirror that did not serve a file.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Attempt {
    /// The address that was asked.
    pub url: String,
    /// Why it did not serve the file.
    pub reason: String,
}

impl Error {
    /// For `map_err`: names what was tried on which path.
    pub(crate) fn io(action: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { action, path, source }
    }

    /// For `map_err`: names the file that cannot be written.
    pub(crate) fn write(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |fault| Self::Write(WriteError { path, fault })
    }

    /// For `map_err`: names the file whose record Burn does not take or give.
    pub(crate) fn record(path: &Path) -> impl FnOnce(RecordError) -> Self {
        move |error| {
            let (RecordError::Io(reason) | RecordError::Validation(reason)) = error;
            Self::Record { path: path.into(), reason }
        }
    }
}

fn reasons(attempts: &[Attempt]) -> String {
    if attempts.is_empty() {
        return "no mirror is listed".to_owned();
    }
    let reasons: Vec<String> =
        attempts.iter().map(|attempt| format!("{}: {}", attempt.url, attempt.reason)).collect();
    reasons.join("; ")
}
