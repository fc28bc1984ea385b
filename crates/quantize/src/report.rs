//! What quantization did.

use core::fmt;

use burnlite_tflite::{ElementType, Tensor};
use serde::{Serialize, Serializer};

use crate::{OperatorFault, Precision, Scheme};

/// What was done to a model. [`Display`](fmt::Display) gives a text of one line per fact.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Report {
    /// The scheme.
    #[serde(serialize_with = "text")]
    pub scheme: Scheme,
    /// Bytes of all constants before.
    pub constant_bytes_before: usize,
    /// Bytes of all constants after.
    pub constant_bytes_after: usize,
    /// The operators of the float model on real numbers, where the scheme has integer activations.
    pub operators: Vec<OperatorPrecision>,
    /// The tensors that became integers, in the order in which they were reached.
    pub tensors: Vec<QuantizedTensor>,
    /// Number of layers whose bias makes up for the rounding of the weights.
    pub corrected_biases: usize,
    /// The inputs and outputs that stayed float.
    pub kept_float: Vec<KeptFloat>,
    /// The operators that stayed float, between DEQUANTIZE and QUANTIZE operators.
    pub float_operators: Vec<FloatOperator>,
    /// What to look at if results are not as expected.
    pub remarks: Vec<Remark>,
}

/// With which numbers an operator computes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct OperatorPrecision {
    /// Its index in the float model.
    pub index: usize,
    /// Its kind.
    pub name: String,
    /// Its precision.
    pub precision: Precision,
}

/// A tensor that became integers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct QuantizedTensor {
    /// Its name.
    pub name: String,
    /// What it is in its graph.
    pub role: Role,
    /// Its new element type.
    #[serde(serialize_with = "text")]
    pub element_type: ElementType,
    /// Number of scales: 1, or one for each channel.
    pub scales: usize,
}

/// What a quantized tensor is in its graph.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Role {
    /// Depends on the inputs.
    Activation,
    /// Constant weights of a layer.
    Weights,
    /// Constant bias of a layer.
    Bias,
    /// Any other constant operand.
    Constant,
}

/// A tensor that stayed float.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct KeptFloat {
    /// Its name.
    pub name: String,
    /// Why.
    pub reason: FloatReason,
}

/// Why a tensor stayed float.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum FloatReason {
    /// It is an input of the model, which was to be float.
    Input,
    /// It is an output of the model, which was to be float.
    Output,
}

/// An operator that stayed float.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct FloatOperator {
    /// Its index in the float model.
    pub index: usize,
    /// Its kind.
    pub name: String,
    /// Why.
    #[serde(serialize_with = "text")]
    pub reason: OperatorFault,
}

/// Something that is right but may surprise.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Remark {
    /// An activation was zero in every sample: any other value will be cut off.
    AlwaysZero {
        /// The activation's name.
        tensor: String,
    },
    /// Weights were made coarser because their biases are large against the activation's scale.
    WidenedWeights {
        /// The weights' name.
        tensor: String,
        /// Number of channels that are coarser.
        channels: usize,
        /// Number of all channels.
        of: usize,
    },
    /// Bias correction was asked for, but a layer has no bias to correct.
    NoBias {
        /// The name of the layer's weights.
        weights: String,
    },
    /// Biases were to be corrected, but calibration did not see what the weights of a layer meet.
    NoMeans {
        /// The name of the layer's weights.
        weights: String,
    },
    /// Weights were to be rounded by GPTQ, but there are [no moments](crate::SecondMoments) of what they meet: a channel
    /// has too many weights. They are rounded to the nearest.
    NoMoments {
        /// The name of the layer's weights.
        weights: String,
    },
}

impl Report {
    pub(crate) fn new(scheme: Scheme, tensors: &[Tensor<'_>]) -> Self {
        Self {
            scheme,
            constant_bytes_before: constant_bytes(tensors),
            constant_bytes_after: 0,
            operators: Vec::new(),
            tensors: Vec::new(),
            corrected_biases: 0,
            kept_float: Vec::new(),
            float_operators: Vec::new(),
            remarks: Vec::new(),
        }
    }

    /// The number of tensors of the given role.
    pub fn count(&self, role: Role) -> usize {
        self.tensors.iter().filter(|tensor| tensor.role == role).count()
    }

    pub(crate) fn add(&mut self, role: Role, tensor: &Tensor<'_>) {
        self.tensors.push(QuantizedTensor {
            name: tensor.name.clone(),
            role,
            element_type: tensor.element_type,
            scales: tensor.quantization.as_ref().map_or(0, |quantization| quantization.scale.len()),
        });
    }
}

/// Writes a value into JSON as its text.
pub(crate) fn text<S: Serializer>(value: &impl fmt::Display, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}

impl Serialize for Remark {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        text(self, serializer)
    }
}

/// Bytes of the data of all constants.
pub(crate) fn constant_bytes(tensors: &[Tensor<'_>]) -> usize {
    tensors.iter().filter_map(|tensor| tensor.data.as_deref()).map(<[u8]>::len).sum()
}

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = |role| self.count(role);
        writeln!(
            formatter,
            "{}: {} activations, {} weights, {} biases; {} bytes of constants, before {}",
            self.scheme,
            count(Role::Activation),
            count(Role::Weights),
            count(Role::Bias),
            self.constant_bytes_after,
            self.constant_bytes_before,
        )?;
        if self.corrected_biases > 0 {
            let count = self.corrected_biases;
            writeln!(formatter, "the biases of {count} layers make up for the rounding of their weights")?;
        }
        self.kept_float.iter().try_for_each(|tensor| writeln!(formatter, "{tensor}"))?;
        let usual = [Precision::of(self.scheme), Precision::Float32];
        let unusual = self.operators.iter().filter(|operator| !usual.contains(&operator.precision));
        unusual.into_iter().try_for_each(|operator| writeln!(formatter, "{operator}"))?;
        self.float_operators
            .iter()
            .try_for_each(|operator| writeln!(formatter, "stays float32: {operator}"))?;
        self.remarks.iter().try_for_each(|remark| writeln!(formatter, "{remark}"))
    }
}

impl fmt::Display for KeptFloat {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let reason = match self.reason {
            FloatReason::Input => "an input of the model",
            FloatReason::Output => "an output of the model",
        };
        write!(formatter, "'{}' stays float32: {reason}", self.name)
    }
}

impl fmt::Display for OperatorPrecision {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "operator {} ({}): {}", self.index, self.name, self.precision)
    }
}

impl fmt::Display for FloatOperator {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "operator {} ({}): {}", self.index, self.name, self.reason)
    }
}

impl fmt::Display for Remark {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AlwaysZero { tensor } => {
                write!(formatter, "'{tensor}' was zero in every sample: other values will be cut off")
            }
            Self::WidenedWeights { tensor, channels, of } => write!(
                formatter,
                "'{tensor}': the weights of {channels} of {of} channels are coarser, so that large biases fit"
            ),
            Self::NoMeans { weights } => {
                write!(
                    formatter,
                    "'{weights}': the rounding stays uncorrected, for the weights' input is not seen"
                )
            }
            Self::NoMoments { weights } => write!(
                formatter,
                "'{weights}': rounded to the nearest, for there are no moments of the weights' input"
            ),
            Self::NoBias { weights } => {
                write!(formatter, "'{weights}': the rounding stays uncorrected, for the layer has no bias")
            }
        }
    }
}
