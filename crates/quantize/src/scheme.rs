//! What to quantize to.

use core::fmt;

use burnlite_tflite::{ElementType, Model, Target};

use crate::{Calibration, CalibrationMethod, Error, Recipe, Report, SecondMoments};

/// Which integers take the place of floats.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Scheme {
    /// "16x8": 16-bit activations with zero point 0, 8-bit weights per channel, 64-bit biases.
    Int16x8,
    /// 8-bit activations with a zero point, 8-bit weights per channel, 32-bit biases.
    Int8,
    /// "Dynamic range": float activations, 8-bit weights per channel in layers of at least 1024 weights. Kernels quantize
    /// the activations when they run. Needs no calibration.
    DynamicRange,
    /// Float activations, 16-bit floats as constants, which DEQUANTIZE operators widen. Needs no calibration.
    Float16,
}

impl Scheme {
    /// The element type of activations.
    pub const fn activation_type(self) -> ElementType {
        match self {
            Self::Int16x8 => ElementType::Int16,
            Self::Int8 => ElementType::Int8,
            Self::DynamicRange | Self::Float16 => ElementType::Float32,
        }
    }

    /// The element type of biases.
    pub const fn bias_type(self) -> ElementType {
        match self {
            Self::Int16x8 => ElementType::Int64,
            Self::Int8 => ElementType::Int32,
            Self::DynamicRange => ElementType::Float32,
            Self::Float16 => ElementType::Float16,
        }
    }
}

impl fmt::Display for Scheme {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Int16x8 => "16x8",
            Self::Int8 => "int8",
            Self::DynamicRange => "dynamic range",
            Self::Float16 => "float16",
        })
    }
}

/// Whose numbers a quantized model has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Compat {
    /// TensorFlow 2.21's, bit for bit, where its files can run.
    TensorFlow,
    /// Those with less error. 16x8: activations have [headroom](Quantizer::headroom), biases are exact and leave their
    /// weights alone. Everywhere: biases are [corrected](Quantizer::bias_correction); sums have the scale of their own
    /// range; NEG and SQUARE become products.
    #[default]
    Best,
}

/// How a layer's weights become integers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum WeightRounding {
    /// Each to the nearest, the largest of a channel to 127.
    #[default]
    Nearest,
    /// Each to the nearest, with the scale that leaves the least square error in its channel: the largest weights may be
    /// cut off. Of use where few weights of a channel are far larger than the others.
    Mse,
    /// Up or down as the layer's results err least on the samples, with the scales of `Mse`: GPTQ (Frantar et al. 2022,
    /// "GPTQ: Accurate Post-Training Quantization for Generative Pre-trained Transformers"). Needs the
    /// [`SecondMoments`](crate::SecondMoments) of what the weights meet, see
    /// [`Quantizer::quantize_with_moments`].
    Gptq,
}

/// The type in which the caller of a quantized model passes inputs or takes outputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum IoType {
    /// Floats, as before: QUANTIZE operators stand behind the inputs, DEQUANTIZE operators before the outputs.
    #[default]
    Float32,
    /// The integers of the scheme's activations: the caller applies the tensor's scale and zero point.
    Integer,
    /// Unsigned bytes, with int8 activations: QUANTIZE operators move the zero point by 128.
    UInt8,
}

/// Turns a float model into an integer one.
///
/// Where [TensorFlow's numbers](Compat::TensorFlow) are asked for, they are those of TensorFlow 2.21's converter, bit for
/// bit, when the ranges are the same; where it would write a file that cannot run, this crate says what it does instead
/// (see the [crate's documentation](crate#numbers)).
///
/// ```no_run
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use burnlite_quantize::{Calibration, Compat, IoType, Quantizer, Scheme};
/// use burnlite_tflite::Model;
///
/// // A float model in which TensorFlow's calibration left its ranges.
/// let bytes = std::fs::read("calibrated.tflite")?;
/// let model = Model::from_bytes(&bytes)?;
/// let quantizer = Quantizer::new(Scheme::Int8).compat(Compat::TensorFlow).input_type(IoType::Integer);
/// let (quantized, _) = quantizer.quantize(&model, &Calibration::from_model(&model)?)?;
/// std::fs::write("int8.tflite", quantized.to_bytes()?)?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Quantizer {
    pub(crate) scheme: Scheme,
    pub(crate) recipe: Recipe,
    pub(crate) compat: Compat,
    pub(crate) target: Target,
    pub(crate) calibration_method: CalibrationMethod,
    pub(crate) headroom: f32,
    pub(crate) input_type: IoType,
    pub(crate) output_type: IoType,
    /// `None`: as the numbers' origin has it.
    pub(crate) bias_correction: Option<bool>,
    pub(crate) weight_rounding: WeightRounding,
    pub(crate) integer_only: bool,
    pub(crate) per_channel_dense: bool,
    pub(crate) int32_bias: bool,
}

impl Quantizer {
    /// A quantizer whose models have float inputs and outputs, and the numbers of [`Compat::Best`].
    pub const fn new(scheme: Scheme) -> Self {
        Self {
            scheme,
            recipe: Recipe::EMPTY,
            compat: Compat::Best,
            target: Target::TfLite,
            calibration_method: CalibrationMethod::MinMax,
            headroom: 2.0,
            input_type: IoType::Float32,
            output_type: IoType::Float32,
            bias_correction: None,
            weight_rounding: WeightRounding::Nearest,
            integer_only: false,
            per_channel_dense: true,
            int32_bias: false,
        }
    }

    /// The same with the numbers of another tool, or with those of least error, which is the default.
    ///
    /// ```
    /// use burnlite_quantize::{Compat, Quantizer, Scheme};
    ///
    /// let quantizer = Quantizer::new(Scheme::Int16x8).compat(Compat::TensorFlow);
    /// ```
    pub const fn compat(mut self, compat: Compat) -> Self {
        self.compat = compat;
        self
    }

    /// The same with other ranges of the activations than their extremes. Headroom comes on top of them.
    ///
    /// ```
    /// use burnlite_quantize::{CalibrationMethod, Quantizer, Scheme};
    ///
    /// let method = CalibrationMethod::Percentile(0.0001);
    /// let quantizer = Quantizer::new(Scheme::Int8).calibration_method(method);
    /// ```
    pub const fn calibration_method(mut self, calibration_method: CalibrationMethod) -> Self {
        self.calibration_method = calibration_method;
        self
    }

    /// The same with another headroom: in 16x8 of [`Compat::Best`], the ranges of activations are so many times those that
    /// calibration saw. 2 by default, which costs one bit of 16; values beyond a range are cut off, which costs more.
    ///
    /// ```
    /// use burnlite_quantize::{Quantizer, Scheme};
    ///
    /// // Calibrated with every sample that there is: nothing lies beyond.
    /// let quantizer = Quantizer::new(Scheme::Int16x8).headroom(1.0);
    /// ```
    pub const fn headroom(mut self, headroom: f32) -> Self {
        self.headroom = headroom;
        self
    }

    /// The same for another runtime; LiteRT by default. What its kernels lack is written with others or stays float, and
    /// a model that it would refuse is an error. For an Ethos-U, dense layers have one scale for all weights.
    ///
    /// ```
    /// use burnlite_quantize::{Quantizer, Scheme, Target};
    ///
    /// let quantizer = Quantizer::new(Scheme::Int16x8).target(Target::TfLiteMicro);
    /// ```
    pub const fn target(mut self, target: Target) -> Self {
        self.target = target;
        self
    }

    /// The same with inputs of the given type.
    pub const fn input_type(mut self, input_type: IoType) -> Self {
        self.input_type = input_type;
        self
    }

    /// The same with outputs of the given type.
    pub const fn output_type(mut self, output_type: IoType) -> Self {
        self.output_type = output_type;
        self
    }

    /// The same with or without bias correction. The default is with in [`Compat::Best`] where the calibration ran on
    /// samples, and without in [`Compat::TensorFlow`].
    ///
    /// Rounding the weights `w` to `w'` moves the mean of a layer's results by the sum of `(w' - w) * E[x]`, with the
    /// means `E[x]` of what the weights meet in the calibration's samples. Bias correction takes this from the float bias
    /// before that is quantized (Nagel et al. 2019, "Data-Free Quantization Through Weight Equalization and Bias
    /// Correction", section 4.2, with measured means). It costs nothing at run time. Layers without a bias stay as
    /// they are; where the correction was asked for, the report names them.
    pub const fn bias_correction(mut self, bias_correction: bool) -> Self {
        self.bias_correction = Some(bias_correction);
        self
    }

    /// The same with operators of other precisions than the scheme's. Where they meet, QUANTIZE and DEQUANTIZE operators
    /// turn the numbers of one into those of the other; inputs and outputs are those of the scheme.
    ///
    /// ```
    /// # use burnlite_tflite::{ElementType, Graph, Model, Op, Operator, SoftmaxOptions, Tensor};
    /// use burnlite_quantize::{Calibration, Precision, Quantizer, Recipe, RecipeRule, Scheme};
    ///
    /// # let mut graph = Graph::default();
    /// # let [x, y, z] = ["x", "y", "z"].map(|name| graph.add_tensor(Tensor::new(name, ElementType::Float32, [1, 2])));
    /// # graph.operators.push(Operator::new(Op::Relu, [x], [y]));
    /// # graph.operators.push(Operator::new(Op::Softmax(SoftmaxOptions { beta: 1.0 }), [y], [z]));
    /// # graph.inputs.push(x);
    /// # graph.outputs.push(z);
    /// # let model = Model::new(graph);
    /// // A model of RELU and SOFTMAX.
    /// let calibration = Calibration::run(&model, [[[0.5, 1.0]]], |_| ())?;
    /// let recipe = Recipe::from_iter([RecipeRule::new(Precision::Int16x8).kind("SOFTMAX")]);
    /// let (quantized, report) = Quantizer::new(Scheme::Int8).recipe(recipe).quantize(&model, &calibration)?;
    /// let precisions: Vec<_> = report.operators.iter().map(|operator| operator.precision).collect();
    /// assert_eq!(precisions, [Precision::Int8, Precision::Int16x8]);
    /// # Ok::<(), burnlite_quantize::Error>(())
    /// ```
    pub fn recipe(mut self, recipe: Recipe) -> Self {
        self.recipe = recipe;
        self
    }

    /// The same with another rounding of the weights of layers; [`WeightRounding::Nearest`] by default.
    ///
    /// ```
    /// use burnlite_quantize::{Quantizer, Scheme, WeightRounding};
    ///
    /// let quantizer = Quantizer::new(Scheme::Int16x8).weight_rounding(WeightRounding::Mse);
    /// ```
    pub const fn weight_rounding(mut self, weight_rounding: WeightRounding) -> Self {
        self.weight_rounding = weight_rounding;
        self
    }

    /// The same with or without the demand that every operator on real numbers be integer.
    ///
    /// Without it, which is the default, operators that no integer kernel computes stay float between DEQUANTIZE and
    /// QUANTIZE operators, and the report says why. Inputs and outputs have the types that were asked for in any case.
    ///
    /// ```
    /// # use burnlite_tflite::{ElementType, Graph, Model, Op, Operator, Tensor};
    /// use burnlite_quantize::{Calibration, Error, Quantizer, Scheme};
    ///
    /// # let mut graph = Graph::default();
    /// # let x = graph.add_tensor(Tensor::new("x", ElementType::Float32, [1, 2]));
    /// # let y = graph.add_tensor(Tensor::new("y", ElementType::Float32, [1, 2]));
    /// # graph.operators.push(Operator::new(Op::Sin, [x], [y]));
    /// # graph.inputs.push(x);
    /// # graph.outputs.push(y);
    /// # let model = Model::new(graph);
    /// // A model of a single SIN.
    /// let calibration = Calibration::run(&model, [[[0.5, -1.0]]], |_| ())?;
    /// let quantizer = Quantizer::new(Scheme::Int8);
    /// let (_, report) = quantizer.quantize(&model, &calibration)?;
    /// assert_eq!(report.float_operators[0].name, "SIN");
    ///
    /// let refused = quantizer.integer_only(true).quantize(&model, &calibration);
    /// assert!(matches!(refused, Err(Error::NotIntegerOnly { operators }) if operators.len() == 1));
    /// # Ok::<(), Error>(())
    /// ```
    pub const fn integer_only(mut self, integer_only: bool) -> Self {
        self.integer_only = integer_only;
        self
    }

    /// The same with or without a scale for each output of dense layers (FULLY_CONNECTED). With, which is the default, they
    /// are more exact; some accelerators want one scale for all. Convolutions keep theirs.
    ///
    /// ```
    /// use burnlite_quantize::{Quantizer, Scheme};
    ///
    /// let quantizer = Quantizer::new(Scheme::Int16x8).per_channel_dense(false);
    /// ```
    pub const fn per_channel_dense(mut self, per_channel_dense: bool) -> Self {
        self.per_channel_dense = per_channel_dense;
        self
    }

    /// The same with the biases of 16x8 in 32 bits instead of 64, and accumulators alike (`quantized_bias_type`). Biases
    /// of int8 have 32 bits anyway.
    ///
    /// ```
    /// use burnlite_quantize::{Quantizer, Scheme};
    ///
    /// let quantizer = Quantizer::new(Scheme::Int16x8).int32_bias(true);
    /// ```
    pub const fn int32_bias(mut self, int32_bias: bool) -> Self {
        self.int32_bias = int32_bias;
        self
    }

    /// Whether biases are corrected where they can be.
    pub(crate) fn corrects_biases(&self) -> bool {
        self.bias_correction.unwrap_or(self.compat == Compat::Best)
    }

    pub(crate) const fn bias_type(&self, scheme: Scheme) -> ElementType {
        if self.int32_bias { ElementType::Int32 } else { scheme.bias_type() }
    }

    /// Whether dense layers have a scale for each output.
    pub(crate) fn has_channels_in_dense(&self) -> bool {
        self.per_channel_dense && self.target != Target::EthosU
    }

    /// Checks that kernels convert inputs and outputs to the activations, and that those can be of several precisions.
    pub(crate) fn check_scheme(&self) -> Result<(), Error> {
        if self.scheme.activation_type() == ElementType::Float32 && !self.recipe.rules().is_empty() {
            return Err(Error::RecipeOfWeights { scheme: self.scheme });
        }
        let fits = |io_type| {
            matches!(
                (self.scheme, io_type),
                (_, IoType::Float32) | (Scheme::Int8, _) | (Scheme::Int16x8, IoType::Integer)
            )
        };
        match [self.input_type, self.output_type].into_iter().find(|&io_type| !fits(io_type)) {
            Some(io_type) => Err(Error::IoType { scheme: self.scheme, io_type }),
            None => Ok(()),
        }
    }

    /// The quantized model, and what was done.
    ///
    /// Names, shapes (free extents too), signatures and metadata stay; a float input or output keeps its name, and its
    /// integer twin behind it gets the suffix `_int16` or `_int8`. The metadata entry `min_runtime_version` speaks of the
    /// new operators. Ranges left in the file by a calibration are dropped.
    ///
    /// # Errors
    /// [`Error::AlreadyQuantized`], [`Error::SeveralGraphs`] for a model that is not a plain float model;
    /// [`Error::UnusedRule`], [`Error::RecipeOfWeights`] for a recipe of another model or scheme;
    /// [`Error::NotIntegerOnly`] where operators would stay float against the demand; [`Error::NoMoments`] where GPTQ was
    /// asked for; [`Error::NoDistribution`] where the calibration does not remember what its method needs; [`Error::NoInputMeans`] where bias correction was asked for and misses the means of a layer's input (of
    /// ranges alone there are none); [`Error::OtherModel`], [`Error::OtherContents`] for a calibration of another model;
    /// [`Error::NoRange`] for an activation it did not see; [`Error::Target`] where the target would refuse the model;
    /// [`Error::ConstantNotFinite`] for NaN or infinity among the weights; [`Error::Scale`] where a scale would leave the
    /// range of float32.
    pub fn quantize<'a>(
        &self,
        model: &Model<'a>,
        calibration: &Calibration,
    ) -> Result<(Model<'a>, Report), Error> {
        crate::rewrite::quantize(self, model, calibration, None)
    }

    /// The same as [`quantize`](Self::quantize) where the weights are rounded by GPTQ, with the moments of the model's
    /// inputs; other roundings do without.
    ///
    /// ```
    /// # use burnlite_tflite::{ElementType, FullyConnectedOptions, Graph, Model, Op, Operator, Tensor};
    /// use burnlite_quantize::{Calibration, Quantizer, Scheme, SecondMoments, WeightRounding};
    ///
    /// # let mut graph = Graph::default();
    /// # let x = graph.add_tensor(Tensor::new("x", ElementType::Float32, [1, 2]));
    /// # let weights = graph.add_tensor(Tensor::constant("weights", [1, 2], &[1.0f32, 0.3]));
    /// # let y = graph.add_tensor(Tensor::new("y", ElementType::Float32, [1, 1]));
    /// # let dense = Op::FullyConnected(FullyConnectedOptions::default());
    /// # graph.operators.push(Operator::new(dense, [x, weights], [y]));
    /// # graph.inputs.push(x);
    /// # graph.outputs.push(y);
    /// # let model = Model::new(graph);
    /// let samples = [[0.5, -1.0], [0.25, 2.0]];
    /// let samples = || samples.iter().map(|sample| [sample]);
    /// let calibration = Calibration::run(&model, samples(), |_| ())?;
    /// let moments = SecondMoments::run(&model, &Calibration::portable(), samples(), |_| ())?;
    /// let quantizer = Quantizer::new(Scheme::Int16x8).weight_rounding(WeightRounding::Gptq);
    /// let (quantized, _) = quantizer.quantize_with_moments(&model, &calibration, &moments)?;
    /// # Ok::<(), burnlite_quantize::Error>(())
    /// ```
    ///
    /// # Errors
    /// Those of [`quantize`](Self::quantize); [`Error::OtherModel`], [`Error::OtherContents`] for the moments of another
    /// model.
    pub fn quantize_with_moments<'a>(
        &self,
        model: &Model<'a>,
        calibration: &Calibration,
        moments: &SecondMoments,
    ) -> Result<(Model<'a>, Report), Error> {
        crate::rewrite::quantize(self, model, calibration, Some(moments))
    }
}
