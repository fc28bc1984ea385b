//! The arguments of the commands that quantize.

use std::path::PathBuf;

use burnlite_quantize::CalibrationMethod;
use burnlite_runtime::{InterpreterOptions, Kernels};
use clap::Args;

use super::values::{
    CompatArgument, IoArgument, KernelsArgument, Pace, Requirement, RoundingArgument, SchemeArgument,
    decibels, factor, headroom, kernels, method, pace,
};
use super::{EXIT_CODES, ModelArguments};
use crate::check::Runtime;
use crate::shard::Shard;

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
  burnlite quantize float.tflite --scheme int8 --recipe recipe.toml --calibration samples.npz -o mixed.tflite
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
    #[arg(long, value_name = "[NAME=]FILE", required_if_eq("weight_rounding", "gptq"))]
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
    /// The ranges of activations: `extremes`, `average`, `mse`, `entropy`, or `percentile=SHARE` without that share of the
    /// values at each end.
    #[arg(long, value_name = "METHOD", value_parser = method, default_value = "extremes")]
    pub(crate) ranges: CalibrationMethod,
    /// A recipe in TOML: operators of other precisions than the scheme's.
    #[arg(long, value_name = "FILE")]
    pub recipe: Option<PathBuf>,
    /// How weights become integers.
    #[arg(long, value_enum, default_value_t)]
    pub(crate) weight_rounding: RoundingArgument,
    /// One scale for all weights of a dense layer, not one for each output.
    #[arg(long)]
    pub per_tensor_dense: bool,
    /// Biases of 16x8 in 32 bits, not 64.
    #[arg(long)]
    pub int32_bias: bool,
    /// The runtime that shall run the model; what it would refuse is not written.
    #[arg(long, value_enum, value_name = "RUNTIME", default_value_t)]
    pub(crate) target: Runtime,
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

/// The arguments of `burnlite recipe`.
#[derive(Debug, Args)]
#[command(after_help = format!("\
A layer is an operator that computes new numbers, with those behind it that only move them. The table shows the SNR of the
outputs where a layer alone is int8, or 16x8, and everything else float; then what becomes of the model. Time is estimated,
in that of int8 everywhere.

Examples:
  burnlite recipe float.tflite --calibration a.npz --samples b.npz --snr 40 -o recipe.toml
  burnlite recipe float.tflite --calibration a.npz --samples b.npz --snr 40 --bytes 100000 -o recipe.toml
  burnlite quantize float.tflite --scheme int8 --recipe recipe.toml --calibration a.npz -o mixed.tflite

{EXIT_CODES}"))]
pub struct RecipeArguments {
    /// The float .tflite file.
    pub model: PathBuf,
    /// Samples over which the ranges of activations are found.
    #[arg(long, value_name = "[NAME=]FILE", required_unless_present = "statistics")]
    pub calibration: Vec<String>,
    /// What `burnlite calibrate` found, all of it together, and with that of --calibration.
    #[arg(long, value_name = "FILE", num_args = 1..)]
    pub statistics: Vec<PathBuf>,
    /// Fresh samples, on which errors are measured.
    #[arg(long, value_name = "[NAME=]FILE", required = true)]
    pub samples: Vec<String>,
    /// The SNR in dB that each output shall have.
    #[arg(long, value_name = "DB", value_parser = decibels)]
    pub snr: f64,
    /// Keeps bytes of constants small, not time, and at N at most.
    #[arg(long, value_name = "N", conflicts_with = "time")]
    pub bytes: Option<u32>,
    /// Keeps the estimated time at FACTOR times that of int8 at most.
    #[arg(long, value_name = "FACTOR", value_parser = factor)]
    pub time: Option<f64>,
    /// The time of a multiply-accumulate in int8, 16x8 and float32, as `burnlite bench` measures it on the device; only the
    /// ratios count.
    #[arg(long, value_name = "A,B,C", value_parser = pace, default_value = "1,2,4")]
    pub(crate) pace: Pace,
    /// The file to be written, for `burnlite quantize --recipe`.
    #[arg(long, short, value_name = "FILE")]
    pub output: PathBuf,
    /// Writes what was found as JSON, too.
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
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
    /// Finds how values are distributed, too: other `--ranges` than extremes need it.
    #[arg(long)]
    pub distributions: bool,
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

/// How a float model is run whose integers are to be found.
#[derive(Debug, Args)]
pub struct FloatArguments {
    /// Which kernels run the float model; `generic` ones run alike everywhere, so that every machine writes the same file.
    #[arg(long, default_value_t = KernelsArgument::Run(Kernels::Named("generic")), value_parser = kernels())]
    pub(crate) kernels: KernelsArgument,
    #[expect(missing_docs, reason = "documentation here would become the command's")]
    #[command(flatten)]
    pub model: ModelArguments,
}

impl FloatArguments {
    pub(crate) fn options(&self) -> InterpreterOptions {
        InterpreterOptions { kernels: self.kernels.into(), ..self.model.options() }
    }
}
