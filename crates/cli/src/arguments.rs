//! The command line.

mod quantize;
mod values;

use std::path::PathBuf;

use burnlite_runtime::{InterpreterOptions, Kernels};
use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;

use crate::check::Runtime;
pub use quantize::{CalibrateArguments, DebugArguments, FloatArguments, QuantizeArguments, RecipeArguments};
pub(crate) use values::{IoArgument, Requirement, RoundingArgument};
use values::{KernelsArgument, NumericsArgument, kernels, seconds};

/// What every command's help ends with.
const EXIT_CODES: &str = "\
Exit codes:
  0  done
  1  failed; the message names the file, and the operator and tensor where there is one
  2  the command line makes no sense
  3  `inspect --check`: that runtime cannot run the model, or it is not known whether it can";

/// Inspects, runs, compares, times and quantizes .tflite models, without TensorFlow.
#[derive(Debug, Parser)]
#[command(name = "burnlite", version, after_help = format!("\
Examples:
  burnlite inspect model.tflite
  burnlite run model.tflite --input image.npy --output-dir out
  burnlite compare float.tflite int8.tflite --input test.npz --samples
  burnlite bench model.tflite --profile
  burnlite quantize float.tflite --scheme 16x8 --calibration samples.npz -o 16x8.tflite
  burnlite firmware 16x8.tflite -o digits

{EXIT_CODES}"))]
pub struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Shows what is in a model: inputs, outputs, operators, sizes, and what cannot be run.
    Inspect(InspectArguments),
    /// Runs a model on arrays and writes its outputs.
    Run(RunArguments),
    /// Runs two models on the same arrays and shows how far their outputs and layers are apart.
    Compare(CompareArguments),
    /// Measures how long a model takes.
    Bench(BenchArguments),
    /// Quantizes a float model: to 16x8, int8, int8 weights or float16 weights.
    Quantize(QuantizeArguments),
    /// Runs a float model on samples and saves what `quantize` needs to know of its activations.
    Calibrate(CalibrateArguments),
    /// Shows, layer by layer, what quantization cost.
    Debug(DebugArguments),
    /// Finds out which layers need more than int8, and writes a recipe for `quantize`.
    Recipe(RecipeArguments),
    /// Writes a crate without std that has the model in it, for machines without an operating system.
    Firmware(FirmwareArguments),
    /// Prints the completions for a shell.
    #[command(after_help = "\
Example:
  burnlite completions bash > ~/.local/share/bash-completion/completions/burnlite")]
    Completions {
        /// The shell.
        shell: Shell,
    },
}

/// The arguments of `burnlite inspect`.
#[derive(Debug, Args)]
#[command(after_help = format!("\
Examples:
  burnlite inspect model.tflite
  burnlite inspect model.tflite --json | jq .arena_bytes
  burnlite inspect model.tflite --check tflite-micro
  burnlite inspect model.tflite --arena --small

{EXIT_CODES}"))]
pub struct InspectArguments {
    /// The .tflite file.
    pub model: PathBuf,
    /// Prints JSON.
    #[arg(long)]
    pub json: bool,
    /// Says whether another runtime can run the model: by operators, their versions and types.
    #[arg(long, value_name = "RUNTIME")]
    pub(crate) check: Option<Runtime>,
    /// Shows what the arena holds: each tensor's place, and the operators from which and to which it is needed.
    #[arg(long, conflicts_with = "check")]
    pub arena: bool,
    /// Plans as `burnlite firmware` does, for the least memory: weights stay as they are in the file, and inputs last for one run.
    #[arg(long)]
    pub small: bool,
    #[expect(missing_docs, reason = "documentation here would become the command's")]
    #[command(flatten)]
    pub plan: PlanArguments,
}

/// The arguments of `burnlite run`.
#[derive(Debug, Args)]
#[command(after_help = format!("\
Outputs are D/output_0.npy, D/output_1.npy, ... in the model's order.

Examples:
  burnlite run model.tflite --input image.npy --output-dir out
  burnlite run model.tflite -i left=a.npy -i right=b.npy --output-dir out
  burnlite run model.tflite --input test.npz --samples --output-dir out
  burnlite run int8.tflite --input codes.npy --raw --output-dir out

{EXIT_CODES}"))]
pub struct RunArguments {
    /// The .tflite file.
    pub model: PathBuf,
    #[expect(missing_docs, reason = "documentation here would become the command's")]
    #[command(flatten)]
    pub feed: FeedArguments,
    /// The folder for the outputs; made if there is none.
    #[arg(long, short, value_name = "D")]
    pub output_dir: PathBuf,
    /// Takes and gives the model's own types: nothing is quantized at inputs or dequantized at outputs.
    #[arg(long)]
    pub raw: bool,
    #[expect(missing_docs, reason = "documentation here would become the command's")]
    #[command(flatten)]
    pub plan: PlanArguments,
}

/// The arguments of `burnlite compare`.
#[derive(Debug, Args)]
#[command(after_help = format!("\
Outputs are compared by position, layers by the names of their tensors; quantized values as the real numbers that they
stand for. SNR is the power of A's values over that of the difference, in dB. Agreement is how many rows along the last
axis have their greatest value at the same index.

Examples:
  burnlite compare float.tflite int8.tflite --input image.npy
  burnlite compare float.tflite int8.tflite --input test.npz --samples --json

{EXIT_CODES}"))]
pub struct CompareArguments {
    /// The .tflite file that is taken to be right.
    pub a: PathBuf,
    /// The .tflite file that is compared with it.
    pub b: PathBuf,
    #[expect(missing_docs, reason = "documentation here would become the command's")]
    #[command(flatten)]
    pub feed: FeedArguments,
    /// Prints JSON.
    #[arg(long)]
    pub json: bool,
    #[expect(missing_docs, reason = "documentation here would become the command's")]
    #[command(flatten)]
    pub plan: PlanArguments,
}

/// The arguments of `burnlite bench`.
#[derive(Debug, Args)]
#[command(after_help = format!("\
Without --input, floats and quantized integers are random, with a fixed seed; other integers are 0. Setting inputs is
not measured.

Examples:
  burnlite bench model.tflite
  burnlite bench model.tflite --profile
  burnlite bench model.tflite --threads 2 --seconds 5 --json
  burnlite bench model.tflite --copies 4
  burnlite bench --kernels list

{EXIT_CODES}"))]
pub struct BenchArguments {
    /// The .tflite file; `--kernels list` does without it.
    #[arg(required_unless_present = "kernels")]
    pub model: Option<PathBuf>,
    /// Arrays for the inputs, as for `burnlite run`.
    #[arg(long, short, value_name = "[NAME=]FILE")]
    pub input: Vec<String>,
    /// Every array has one more axis, the first, of samples: the first sample is run.
    #[arg(long, requires = "input")]
    pub samples: bool,
    /// How many threads share the work of a large layer; small ones stay on one.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub threads: u16,
    /// How many copies of the model run at the same time, each for itself.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub copies: u16,
    /// How long to measure, after a warm-up of a fifth of that.
    #[arg(long, default_value_t = 1.0, value_parser = seconds)]
    pub seconds: f64,
    /// Shows the time of each operator.
    #[arg(long)]
    pub profile: bool,
    /// Prints JSON.
    #[arg(long)]
    pub json: bool,
    #[expect(missing_docs, reason = "documentation here would become the command's")]
    #[command(flatten)]
    pub plan: PlanArguments,
}

/// The arguments of `burnlite firmware`.
#[derive(Debug, Args)]
#[command(after_help = format!("\
The crate has the model's file, the number of bytes of its arena, and types, shapes, scales and zero points of inputs and
outputs as constants. docs/embedded.md says what a program adds to it.

Examples:
  burnlite firmware model.tflite -o digits
  burnlite firmware model.tflite -o digits --runtime ../burnlite/crates/runtime

{EXIT_CODES}"))]
pub struct FirmwareArguments {
    /// The .tflite file.
    pub model: PathBuf,
    /// The crate's folder, which is made; the crate is called as it is.
    #[arg(long, short, value_name = "DIR")]
    pub output: PathBuf,
    /// Where burnlite-runtime's sources are, seen from the crate's folder; otherwise they come from crates.io.
    #[arg(long, value_name = "DIR")]
    pub runtime: Option<PathBuf>,
    /// Whose arithmetic is reproduced, where the reference implementations differ.
    #[arg(long, value_enum, default_value_t)]
    pub(crate) numerics: NumericsArgument,
    #[expect(missing_docs, reason = "documentation here would become the command's")]
    #[command(flatten)]
    pub limits: ModelArguments,
}

/// What goes into a model, and how.
#[derive(Debug, Args)]
pub struct FeedArguments {
    /// An array for an input: .npy in the model's order, NAME=FILE.npy by name, or an .npz file whose arrays are called
    /// input_0, input_1, ... in the model's order, or as the inputs are.
    #[arg(long, short, value_name = "[NAME=]FILE")]
    pub input: Vec<String>,
    /// Every array has one more axis, the first, of samples: they run one after the other, and outputs have that axis, too.
    #[arg(long)]
    pub samples: bool,
    /// A sample starts with the state (of variables) that the one before left.
    #[arg(long, requires = "samples")]
    pub keep_state: bool,
}

/// How a model is planned.
#[derive(Debug, Args)]
pub struct PlanArguments {
    /// Whose arithmetic is reproduced, where the reference implementations differ.
    #[arg(long, value_enum, default_value_t)]
    pub(crate) numerics: NumericsArgument,
    /// Which kernels run; all of them give the same integers.
    #[arg(long, default_value_t, value_parser = kernels())]
    pub(crate) kernels: KernelsArgument,
    #[expect(missing_docs, reason = "documentation here would become the command's")]
    #[command(flatten)]
    pub model: ModelArguments,
}

/// What of a model is run, and what it may ask for.
#[derive(Debug, Args)]
pub struct ModelArguments {
    /// The signature whose graph is run and whose names inputs have; otherwise it is the first graph.
    #[arg(long, value_name = "S")]
    pub signature: Option<String>,
    /// The most memory for tensors that a model may ask for, and for packed weights as much again, in MiB.
    #[arg(long, value_name = "MIB", default_value_t = 1024, value_parser = clap::value_parser!(u32).range(1..=1 << 20))]
    pub max_memory: u32,
}

impl ModelArguments {
    fn options(&self) -> InterpreterOptions {
        let max_bytes = usize::try_from(u64::from(self.max_memory) << 20).unwrap_or(usize::MAX);
        InterpreterOptions {
            signature: self.signature.clone(),
            max_arena_bytes: max_bytes,
            max_packed_bytes: max_bytes,
            ..InterpreterOptions::default()
        }
    }
}

impl Command {
    /// Whether all that is asked for is which kernels there are.
    pub(crate) fn lists_kernels(&self) -> bool {
        let kernels = match self {
            Self::Inspect(arguments) => arguments.plan.kernels,
            Self::Run(arguments) => arguments.plan.kernels,
            Self::Compare(arguments) => arguments.plan.kernels,
            Self::Bench(arguments) => arguments.plan.kernels,
            Self::Quantize(arguments) => arguments.float.kernels,
            Self::Calibrate(arguments) => arguments.float.kernels,
            Self::Debug(arguments) => arguments.float.kernels,
            Self::Recipe(arguments) => arguments.float.kernels,
            Self::Firmware(_) | Self::Completions { .. } => return false,
        };
        kernels == KernelsArgument::List
    }
}

impl InspectArguments {
    pub(crate) fn options(&self) -> InterpreterOptions {
        if self.small { small(self.plan.options()) } else { self.plan.options() }
    }
}

impl FirmwareArguments {
    pub(crate) fn options(&self) -> InterpreterOptions {
        small(InterpreterOptions { numerics: self.numerics.into(), ..self.limits.options() })
    }
}

/// The same with the least memory.
fn small(options: InterpreterOptions) -> InterpreterOptions {
    InterpreterOptions { kernels: Kernels::InPlace, keep_inputs: false, ..options }
}

impl PlanArguments {
    pub(crate) fn options(&self) -> InterpreterOptions {
        InterpreterOptions {
            numerics: self.numerics.into(),
            kernels: self.kernels.into(),
            ..self.model.options()
        }
    }
}
