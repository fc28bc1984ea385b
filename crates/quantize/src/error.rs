//! What can go wrong in calibration and quantization.

use burnlite_tflite::{Activation, ElementType, Obstacle, Target};

use crate::{FloatOperator, IoType, Scheme};

/// Why a model cannot be calibrated or quantized.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There was not a single sample to calibrate with.
    #[error("calibration needs at least one sample, but there was none")]
    NoSamples,

    /// A sample cannot be used.
    #[error("sample {sample}: {fault}")]
    Sample {
        /// Which sample, from 0.
        sample: usize,
        /// What is wrong.
        fault: SampleFault,
    },

    /// Calibrations of more samples than can be summed without rounding were to be merged.
    #[error("a calibration can hold no more than 2^38 samples")]
    TooManySamples,

    /// A text is not what [`Calibration::to_json`](crate::Calibration::to_json) writes.
    #[error("these are no calibration statistics: {reason}")]
    Statistics {
        /// What is wrong, and where.
        reason: String,
    },

    /// The model was expected to carry ranges from a calibration, but it has none.
    #[error("the model carries no ranges (`quantization.min` and `max`): calibrate it with samples")]
    NotCalibrated,

    /// A range in the file is not a pair of finite numbers in order.
    #[error("tensor '{tensor}': the range from {min:?} to {max:?} is not a pair of finite numbers in order")]
    InvalidRange {
        /// The tensor's name.
        tensor: String,
        /// Smallest values in the file.
        min: Vec<f32>,
        /// Largest values in the file.
        max: Vec<f32>,
    },

    /// A calibration belongs to another model.
    #[error(
        "the calibration is of another model: tensor {index} is {} there and {} here",
        quoted(.found),
        quoted(.expected)
    )]
    OtherModel {
        /// The first tensor that differs.
        index: usize,
        /// Its name here, if there is one.
        expected: Option<String>,
        /// Its name in the calibration, if there is one.
        found: Option<String>,
    },

    /// A calibration belongs to a model whose tensors have the same names, but other types or constants, or that other
    /// operators compute.
    #[error(
        "the calibration is of another model: the tensors have the same names, but the types, constants or operators differ"
    )]
    OtherContents,

    /// A calibration has not as many means of a layer's input as the layer has weights.
    #[error(
        "the calibration is of another model: the weights of operator {operator} meet another input there"
    )]
    OtherLayer {
        /// Index of the first layer that differs.
        operator: usize,
    },

    /// The model was quantized before.
    #[error("tensor '{tensor}' ({element_type}) is quantized already: start from the float model")]
    AlreadyQuantized {
        /// The first quantized tensor.
        tensor: String,
        /// Its element type.
        element_type: ElementType,
    },

    /// The model has further graphs: control flow, or several signatures.
    #[error("the model has {count} graphs, but only models of one graph can be quantized")]
    SeveralGraphs {
        /// Number of graphs.
        count: usize,
    },

    /// A rule of a recipe fits no operator of the model.
    #[error("rule {index} of the recipe ({rule}) fits no operator of the model")]
    UnusedRule {
        /// Which rule, from 0.
        index: usize,
        /// What it says.
        rule: String,
    },

    /// A recipe was given with a scheme of float activations.
    #[error("a recipe goes with 16x8 or int8, not with {scheme}")]
    RecipeOfWeights {
        /// The scheme.
        scheme: Scheme,
    },

    /// Operators would stay float, where [every one had to be integer](crate::Quantizer::integer_only).
    #[error("{} of the model's operators cannot be integer: {}", operators.len(), listed(operators))]
    NotIntegerOnly {
        /// All of them, with the reasons.
        operators: Vec<FloatOperator>,
    },

    /// The quantized model would not run where it [shall](crate::Quantizer::target).
    #[error("{target} would refuse the model: {}", listed(obstacles))]
    Target {
        /// The runtime.
        target: Target,
        /// All that is in the way; indices are those of the quantized model.
        obstacles: Vec<Obstacle>,
    },

    /// No kernel can compute what the integer model's scales ask for.
    #[error(
        "the quantized model could not run: {fault}; calibrate with other samples, or with another scheme"
    )]
    CannotRun {
        /// The operator and the tensor, and what is wrong.
        fault: burnlite_runtime::Error,
    },

    /// Inputs or outputs were to have a type that no kernel converts to the scheme's activations.
    #[error("inputs and outputs of {scheme} cannot be {io_type:?}")]
    IoType {
        /// The scheme.
        scheme: Scheme,
        /// What was asked for.
        io_type: IoType,
    },

    /// Bias correction was asked for, but the calibration has no means of a layer's input.
    #[error(
        "operator {index} ({name}): bias correction needs the means of its input: calibrate with samples"
    )]
    NoInputMeans {
        /// The operator's index in its graph.
        index: usize,
        /// Its kind.
        name: String,
    },

    /// A [method of calibration](crate::CalibrationMethod) needs more than the extremes that were remembered.
    #[error(
        "tensor '{tensor}': the calibration has its extremes alone, and ranges of another kind need its distribution: calibrate with distributions"
    )]
    NoDistribution {
        /// The tensor's name.
        tensor: String,
    },

    /// Weights were to be rounded by [GPTQ](crate::WeightRounding::Gptq) without the moments that it needs.
    #[error("GPTQ needs second moments: measure them with samples and quantize with them")]
    NoMoments,

    /// Calibration saw no values of an activation.
    #[error("tensor '{tensor}' has no range: calibration saw no values of it")]
    NoRange {
        /// The tensor's name.
        tensor: String,
    },

    /// A constant holds NaN or an infinity, in the file or after its correction.
    #[error("constant '{tensor}' holds {value} at position {position}")]
    ConstantNotFinite {
        /// The constant's name.
        tensor: String,
        /// Where in the constant.
        position: usize,
        /// NaN or an infinity.
        value: f32,
    },

    /// A tensor's values are so large or so small that its scale is not a finite float32.
    #[error("tensor '{tensor}' would need the scale {scale}: its values are out of range")]
    Scale {
        /// The tensor's name.
        tensor: String,
        /// The scale.
        scale: f32,
    },

    /// Two models were to be compared that compute nothing of the same name and shape.
    #[error(
        "the models cannot be compared: no float tensor of the first has a counterpart of its name in the second"
    )]
    Incomparable,

    /// The model contradicts itself or the format.
    #[error(transparent)]
    Model(#[from] burnlite_tflite::Error),

    /// The float model does not run.
    #[error("the float model does not run: {0}")]
    Runtime(#[from] burnlite_runtime::Error),

    /// The quantized model does not run.
    #[error("the quantized model does not run: {0}")]
    QuantizedRuntime(burnlite_runtime::Error),
}

/// What is wrong with a sample.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SampleFault {
    /// It has too few or too many inputs.
    #[error("it has {found} inputs, but the model takes {expected}")]
    InputCount {
        /// Inputs of the model.
        expected: usize,
        /// Inputs in the sample.
        found: usize,
    },

    /// An input holds NaN or an infinity.
    #[error("input '{tensor}' holds {value} at position {position}")]
    InputNotFinite {
        /// The input's name.
        tensor: String,
        /// Where in the input.
        position: usize,
        /// NaN or an infinity.
        value: f32,
    },

    /// Finite inputs made the float model compute NaN or an infinity.
    #[error(
        "the float model computes {value} in tensor '{tensor}' at position {position}; its weights or the sample are out of range"
    )]
    ActivationNotFinite {
        /// The first tensor in which it appears.
        tensor: String,
        /// Where in the tensor.
        position: usize,
        /// NaN or an infinity.
        value: f32,
    },

    /// It does not fit the model's inputs, or makes no sense to an operator.
    #[error(transparent)]
    Runtime(#[from] burnlite_runtime::Error),
}

fn quoted(name: &Option<String>) -> String {
    name.as_ref().map_or_else(|| "missing".into(), |name| format!("'{name}'"))
}

fn listed(items: &[impl ToString]) -> String {
    items.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

/// Why an operator stays float.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum OperatorFault {
    /// No integer kernel computes this kind of operator.
    #[error("no integer kernel computes it")]
    NoRule,

    /// A divisor that the model computes may be rounded to zero, by which integer kernels fail.
    #[error("its divisor may be rounded to zero")]
    Divisor,

    /// The operator's scales follow from ranges inside of it.
    #[error("its integers follow from ranges inside of it, which calibration does not see")]
    InnerState,

    /// The kernels that compute this kind of operator take other integers.
    #[error("no kernel computes it on {0}")]
    NoKernel(ElementType),

    /// The [recipe](crate::Recipe) says float32.
    #[error("the recipe says float32")]
    Recipe,

    /// Nothing keeps it from being integer, but whoever quantized the model left it float.
    #[error("whoever quantized the model left it float")]
    Choice,

    /// A fused activation that integer kernels do not apply.
    #[error("integer kernels do not apply the fused activation {0:?}")]
    FusedActivation(Activation),

    /// An operand that must be there is missing.
    #[error("operand {operand} is missing")]
    MissingOperand {
        /// Its position.
        operand: usize,
    },

    /// Weights or a bias are computed by the model instead of constant.
    #[error("'{tensor}' (operand {operand}) must be a constant")]
    NotConstant {
        /// The operand's position.
        operand: usize,
        /// The operand's name.
        tensor: String,
    },

    /// An activation is a constant.
    #[error("'{tensor}' (operand {operand}) is a constant: fold the operator into its result first")]
    ConstantActivation {
        /// The operand's position.
        operand: usize,
        /// The operand's name.
        tensor: String,
    },

    /// Weights are not stored as rows of one output each.
    #[error("the weights '{tensor}' of shape {shape:?} are stored in an order that has no output channels")]
    WeightsOrder {
        /// The weights' name.
        tensor: String,
        /// Their shape.
        shape: Vec<usize>,
    },

    /// A bias has not one value for each output channel.
    #[error("the bias '{tensor}' has {found} values for {expected} output channels")]
    BiasLength {
        /// The bias's name.
        tensor: String,
        /// Output channels of the weights.
        expected: usize,
        /// Values of the bias.
        found: usize,
    },
}
