//! The command line.

use std::path::PathBuf;

use burnlite_quantize::{Compat, IoType, Scheme};
use burnlite_runtime::{InterpreterOptions, KERNELS, Kernels, Numerics};
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

use crate::check::Runtime;
use crate::shard::Shard;

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
  burnlite bench model.tflite --threads 4 --seconds 5 --json

{EXIT_CODES}"))]
pub struct BenchArguments {
    /// The .tflite file.
    pub model: PathBuf,
    /// Arrays for the inputs, as for `burnlite run`.
    #[arg(long, short, value_name = "[NAME=]FILE")]
    pub input: Vec<String>,
    /// Every array has one more axis, the first, of samples: the first sample is run.
    #[arg(long, requires = "input")]
    pub samples: bool,
    /// How many threads run the model at the same time, each for itself.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub threads: u16,
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

/// The arguments of `burnlite quantize`.
#[derive(Debug, Args)]
#[command(after_help = format!("\
Arrays of samples are given as to `burnlite run --samples`: the first axis counts the samples, and a sample has the
input's shape, or that shape without its batch of 1. Without --calibration and --statistics, the ranges are those that a
calibration by TensorFlow left in the file.

Examples:
  burnlite quantize float.tflite --scheme 16x8 --calibration samples.npz -o 16x8.tflite
  burnlite quantize float.tflite --scheme int8 --calibration samples.npy -o int8.tflite --input-type int8 --require integer-only
  burnlite quantize float.tflite --scheme 16x8 --statistics a.json b.json -o 16x8.tflite --samples test.npz --report report.json
  burnlite quantize float.tflite --scheme float16 -o float16.tflite

{EXIT_CODES}"))]
pub struct QuantizeArguments {
    /// The float .tflite file.
    pub model: PathBuf,
    /// What takes the place of floats.
    #[arg(long, value_enum)]
    pub(crate) scheme: SchemeArgument,
    /// The .tflite file to be written.
    #[arg(long, short, value_name = "FILE")]
    pub output: PathBuf,
    /// Samples over which the ranges of activations are found.
    #[arg(long, value_name = "[NAME=]FILE")]
    pub calibration: Vec<String>,
    /// What `burnlite calibrate` found, all of it together, and with that of --calibration.
    #[arg(long, value_name = "FILE", num_args = 1..)]
    pub statistics: Vec<PathBuf>,
    /// The type in which inputs are taken.
    #[arg(long, value_enum, default_value_t)]
    pub(crate) input_type: IoArgument,
    /// The type in which outputs are given.
    #[arg(long, value_enum, default_value_t)]
    pub(crate) output_type: IoArgument,
    /// Whose numbers scales, weights and biases have.
    #[arg(long, value_enum, default_value_t)]
    pub(crate) compat: CompatArgument,
    /// How far beyond the ranges that were seen 16-bit activations reach, with --compat best.
    #[arg(long, value_name = "FACTOR", value_parser = headroom)]
    pub headroom: Option<f32>,
    /// Whether biases make up for the rounding of the weights; they do with --compat best, where samples were seen.
    #[arg(long, value_name = "BOOL")]
    pub bias_correction: Option<bool>,
    /// One scale for all weights of a dense layer, not one for each output.
    #[arg(long)]
    pub per_tensor_dense: bool,
    /// Biases of 16x8 in 32 bits, not 64.
    #[arg(long)]
    pub int32_bias: bool,
    /// Fails, with a list, where operators would stay float.
    #[arg(long, value_enum, value_name = "WHAT")]
    pub(crate) require: Option<Requirement>,
    /// Fresh samples on which both models run, for a table of what quantization cost.
    #[arg(long, value_name = "[NAME=]FILE")]
    pub samples: Vec<String>,
    /// Writes what was done, and what it cost, as JSON.
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
    #[expect(missing_docs, reason = "documentation here would become the command's")]
    #[command(flatten)]
    pub float: FloatArguments,
}

/// The arguments of `burnlite calibrate`.
#[derive(Debug, Args)]
#[command(after_help = format!("\
Shards are parts of the samples, for as many machines: together they make exactly the statistics of one pass.

Examples:
  burnlite calibrate float.tflite --samples samples.npz -o statistics.json
  burnlite calibrate float.tflite --samples samples.npz --shard 3/8 -o 3.json
  burnlite calibrate float.tflite --samples more.npz --statistics statistics.json -o statistics.json

{EXIT_CODES}"))]
pub struct CalibrateArguments {
    /// The float .tflite file.
    pub model: PathBuf,
    /// Samples over which the ranges of activations are found.
    #[arg(long, value_name = "[NAME=]FILE", required = true)]
    pub samples: Vec<String>,
    /// The file to be written.
    #[arg(long, short, value_name = "FILE")]
    pub output: PathBuf,
    /// Which part of the samples, from 1/N to N/N.
    #[arg(long, value_name = "I/N", default_value_t)]
    pub(crate) shard: Shard,
    /// What was found before, to go on with.
    #[arg(long, value_name = "FILE", num_args = 1..)]
    pub statistics: Vec<PathBuf>,
    #[expect(missing_docs, reason = "documentation here would become the command's")]
    #[command(flatten)]
    pub float: FloatArguments,
}

/// The arguments of `burnlite debug`.
#[derive(Debug, Args)]
#[command(after_help = format!("\
A layer is a tensor of the float model whose name the quantized model has, too. SNR is the power of the float values over
that of the difference, in dB. Saturated are values at the end of the integers' range whose float values lie beyond it.
Bits used are those of the integers from the smallest to the largest that was reached. Weights dB is the SNR of the layer's
weights.

Examples:
  burnlite debug float.tflite int8.tflite --samples test.npz
  burnlite debug float.tflite int8.tflite --samples test.npz --json layers.json

{EXIT_CODES}"))]
pub struct DebugArguments {
    /// The float .tflite file.
    pub model: PathBuf,
    /// The .tflite file that was made of it.
    pub quantized: PathBuf,
    /// Samples on which both models run, as for `burnlite run --samples`.
    #[arg(long, value_name = "[NAME=]FILE", required = true)]
    pub samples: Vec<String>,
    /// Writes the table as JSON, too.
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    #[expect(missing_docs, reason = "documentation here would become the command's")]
    #[command(flatten)]
    pub float: FloatArguments,
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
    #[arg(long, default_value_t = Kernels::Auto, value_parser = kernels())]
    pub kernels: Kernels,
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
    /// The most memory for tensors that a model may ask for, in MiB.
    #[arg(long, value_name = "MIB", default_value_t = 1024, value_parser = clap::value_parser!(u32).range(1..=1 << 20))]
    pub max_memory: u32,
}

impl ModelArguments {
    fn options(&self) -> InterpreterOptions {
        InterpreterOptions {
            signature: self.signature.clone(),
            max_arena_bytes: usize::try_from(u64::from(self.max_memory) << 20).unwrap_or(usize::MAX),
            ..InterpreterOptions::default()
        }
    }
}

impl PlanArguments {
    pub(crate) fn options(&self) -> InterpreterOptions {
        InterpreterOptions { numerics: self.numerics.into(), kernels: self.kernels, ..self.model.options() }
    }
}

/// How a float model is run whose integers are to be found.
#[derive(Debug, Args)]
pub struct FloatArguments {
    /// Which kernels run the float model; `generic` ones run alike everywhere, so that every machine writes the same file.
    #[arg(long, default_value_t = Kernels::Named("generic"), value_parser = kernels())]
    pub kernels: Kernels,
    #[expect(missing_docs, reason = "documentation here would become the command's")]
    #[command(flatten)]
    pub model: ModelArguments,
}

impl FloatArguments {
    pub(crate) fn options(&self) -> InterpreterOptions {
        InterpreterOptions { kernels: self.kernels, ..self.model.options() }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum NumericsArgument {
    /// LiteRT's reference kernels.
    #[default]
    Litert,
    /// The reference kernels of tflite-micro.
    TfliteMicro,
}

impl From<NumericsArgument> for Numerics {
    fn from(argument: NumericsArgument) -> Self {
        match argument {
            NumericsArgument::Litert => Self::LiteRt,
            NumericsArgument::TfliteMicro => Self::TfLiteMicro,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum SchemeArgument {
    /// 16-bit activations, 8-bit weights.
    #[value(name = "16x8")]
    Int16x8,
    /// 8-bit activations and weights.
    Int8,
    /// Float activations, 8-bit weights.
    DynamicRange,
    /// Float activations, 16-bit float weights.
    Float16,
}

impl From<SchemeArgument> for Scheme {
    fn from(argument: SchemeArgument) -> Self {
        match argument {
            SchemeArgument::Int16x8 => Self::Int16x8,
            SchemeArgument::Int8 => Self::Int8,
            SchemeArgument::DynamicRange => Self::DynamicRange,
            SchemeArgument::Float16 => Self::Float16,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum CompatArgument {
    /// Those with the least error.
    #[default]
    Best,
    /// TensorFlow 2.21's, bit for bit.
    Tensorflow,
}

impl From<CompatArgument> for Compat {
    fn from(argument: CompatArgument) -> Self {
        match argument {
            CompatArgument::Best => Self::Best,
            CompatArgument::Tensorflow => Self::TensorFlow,
        }
    }
}

/// A type of inputs and outputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum IoArgument {
    #[default]
    Float32,
    Int16,
    Int8,
    Uint8,
}

impl IoArgument {
    /// `None` where the scheme has no such inputs and outputs.
    pub(crate) fn of(self, scheme: Scheme) -> Option<IoType> {
        match (self, scheme) {
            (Self::Float32, _) => Some(IoType::Float32),
            (Self::Int16, Scheme::Int16x8) | (Self::Int8, Scheme::Int8) => Some(IoType::Integer),
            (Self::Uint8, Scheme::Int8) => Some(IoType::UInt8),
            _ => None,
        }
    }

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Float32 => "float32",
            Self::Int16 => "int16",
            Self::Int8 => "int8",
            Self::Uint8 => "uint8",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Requirement {
    /// Every operator on real numbers computes on integers.
    IntegerOnly,
}

/// `auto`, `reference`, and every name in [`KERNELS`] that this machine can run.
fn kernels() -> impl TypedValueParser<Value = Kernels> {
    let of_everywhere = [
        PossibleValue::new("auto").help("The fastest that this machine can run"),
        PossibleValue::new("reference").help("The plain loops that define the results"),
    ];
    let named = KERNELS.iter().map(|kernels| PossibleValue::new(kernels.name).help(kernels.description));
    PossibleValuesParser::new(of_everywhere.into_iter().chain(named)).try_map(|name| {
        let named = KERNELS.iter().find(|kernels| kernels.name == name);
        match named {
            Some(kernels) if kernels.is_available() => Ok(Kernels::Named(kernels.name)),
            Some(_) => Err(format!("this machine cannot run the kernels '{name}'")),
            None if name == "reference" => Ok(Kernels::Reference),
            None => Ok(Kernels::Auto),
        }
    })
}

fn headroom(text: &str) -> Result<f32, String> {
    match text.parse() {
        Ok(factor) if (1.0..=256.0).contains(&factor) => Ok(factor),
        _ => Err("must be a factor from 1 to 256".into()),
    }
}

fn seconds(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(seconds) if (0.001..=3600.0).contains(&seconds) => Ok(seconds),
        _ => Err("must be a number of seconds from 0.001 to 3600".into()),
    }
}
