//! What options take, besides numbers and text.

use std::fmt;

use burnlite_quantize::{CalibrationMethod, Compat, IoType, Scheme, WeightRounding};
use burnlite_runtime::{KERNELS, Kernels, Numerics};
use clap::ValueEnum;
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};

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

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum RoundingArgument {
    /// Each to the nearest.
    #[default]
    Nearest,
    /// Each to the nearest, with scales of the least square error.
    Mse,
    /// As the results err least on the samples of --calibration: GPTQ.
    Gptq,
}

impl From<RoundingArgument> for WeightRounding {
    fn from(argument: RoundingArgument) -> Self {
        match argument {
            RoundingArgument::Nearest => Self::Nearest,
            RoundingArgument::Mse => Self::Mse,
            RoundingArgument::Gptq => Self::Gptq,
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

/// What `--kernels` asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum KernelsArgument {
    /// To be told which there are.
    List,
    /// That they run.
    Run(Kernels),
}

impl Default for KernelsArgument {
    fn default() -> Self {
        Self::Run(Kernels::Auto)
    }
}

impl From<KernelsArgument> for Kernels {
    fn from(argument: KernelsArgument) -> Self {
        match argument {
            KernelsArgument::List => Self::Auto,
            KernelsArgument::Run(kernels) => kernels,
        }
    }
}

impl fmt::Display for KernelsArgument {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::List => formatter.write_str("list"),
            Self::Run(kernels) => kernels.fmt(formatter),
        }
    }
}

/// `auto`, `reference`, `in-place`, every name in [`KERNELS`] that this machine can run, and `list`.
pub(super) fn kernels() -> impl TypedValueParser<Value = KernelsArgument> {
    let of_everywhere = [
        PossibleValue::new("auto").help("The fastest that this machine can run"),
        PossibleValue::new("reference").help("The plain loops that define the results"),
        PossibleValue::new("in-place")
            .help("The fastest that read weights where they are, in no memory of their own"),
        PossibleValue::new("list").help("None: shows which there are, and ends"),
    ];
    let named = KERNELS.iter().map(|kernels| PossibleValue::new(kernels.name).help(kernels.description));
    PossibleValuesParser::new(of_everywhere.into_iter().chain(named)).try_map(|name| {
        let named = KERNELS.iter().find(|kernels| kernels.name == name);
        match named {
            Some(kernels) if kernels.is_available() => Ok(KernelsArgument::Run(Kernels::Named(kernels.name))),
            Some(_) => Err(format!("this machine cannot run the kernels '{name}'")),
            None if name == "reference" => Ok(KernelsArgument::Run(Kernels::Reference)),
            None if name == "in-place" => Ok(KernelsArgument::Run(Kernels::InPlace)),
            None if name == "list" => Ok(KernelsArgument::List),
            None => Ok(KernelsArgument::default()),
        }
    })
}

pub(super) fn headroom(text: &str) -> Result<f32, String> {
    match text.parse() {
        Ok(factor) if (1.0..=256.0).contains(&factor) => Ok(factor),
        _ => Err("must be a factor from 1 to 256".into()),
    }
}

pub(super) fn decibels(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(decibels) if (-200.0..=400.0).contains(&decibels) => Ok(decibels),
        _ => Err("must be a number of dB from -200 to 400".into()),
    }
}

pub(super) fn factor(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(factor) if (0.0..=1000.0).contains(&factor) => Ok(factor),
        _ => Err("must be a factor from 0 to 1000".into()),
    }
}

/// The time of a multiply-accumulate in int8, 16x8 and float32.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pace(pub(crate) [f64; 3]);

pub(super) fn pace(text: &str) -> Result<Pace, String> {
    let times: Option<Vec<f64>> = text.split(',').map(|time| time.parse().ok()).collect();
    let times = times.filter(|times| times.iter().all(|time| (1e-6..=1e6).contains(time)));
    let times = times.and_then(|times| times.try_into().ok());
    times.map(Pace).ok_or_else(|| "must be three times, of int8, 16x8 and float32".into())
}

pub(super) fn method(text: &str) -> Result<CalibrationMethod, String> {
    let share = text.strip_prefix("percentile=").and_then(|share| share.parse().ok());
    match (text, share) {
        ("extremes", _) => Ok(CalibrationMethod::MinMax),
        ("average", _) => Ok(CalibrationMethod::Average),
        ("mse", _) => Ok(CalibrationMethod::Mse),
        ("entropy", _) => Ok(CalibrationMethod::Entropy),
        (_, Some(share)) if (0.0..0.5).contains(&share) => Ok(CalibrationMethod::Percentile(share)),
        _ => Err("must be extremes, average, mse, entropy or percentile=SHARE, a share from 0 to 0.5".into()),
    }
}

pub(super) fn seconds(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(seconds) if (0.001..=3600.0).contains(&seconds) => Ok(seconds),
        _ => Err("must be a number of seconds from 0.001 to 3600".into()),
    }
}
