//! Quantizes float `.tflite` models: to 16x8 (16-bit activations, 8-bit weights), to int8, or their weights alone.
//!
//! [`Calibration`] runs the float model on samples and takes note of the range of each activation; [`Quantizer`] rewrites
//! the model to integers with them. The model may come from anywhere: it is a plain `burnlite_tflite::Model` before and
//! after.
//!
//! ```
//! use burnlite_quantize::{Calibration, Quantizer, Scheme};
//! use burnlite_tflite::{ElementType, FullyConnectedOptions, Graph, Model, Op, Operator, Tensor};
//!
//! // A float model of one dense layer: two inputs, one output.
//! let mut graph = Graph::default();
//! let x = graph.add_tensor(Tensor::new("x", ElementType::Float32, [1, 2]));
//! let weights = graph.add_tensor(Tensor::constant("weights", [1, 2], &[0.5f32, -1.0]));
//! let bias = graph.add_tensor(Tensor::constant("bias", [1], &[0.25f32]));
//! let y = graph.add_tensor(Tensor::new("y", ElementType::Float32, [1, 1]));
//! let dense = Op::FullyConnected(FullyConnectedOptions::default());
//! graph.operators.push(Operator::new(dense, [x, weights, bias], [y]));
//! graph.inputs.push(x);
//! graph.outputs.push(y);
//! let model = Model::new(graph);
//!
//! // A sample holds one slice for each input of the model.
//! let samples = [[0.0, 1.0], [1.0, 0.5], [-1.0, 0.25]];
//! let calibration = Calibration::run(&model, samples.iter().map(|sample| [sample]), |_| ())?;
//! let (quantized, report) = Quantizer::new(Scheme::Int16x8).quantize(&model, &calibration)?;
//!
//! let weights = &quantized.main()?.tensors[weights.index()];
//! assert_eq!(*weights.elements_of::<i8>()?, [64, -127]);
//! assert!(report.constant_bytes_after < report.constant_bytes_before);
//! let file = quantized.to_bytes()?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! [`compare`] then runs both on further samples, and tells layer by layer what the integers cost. Where a few layers lose
//! too much, a [`Recipe`] gives them another [`Precision`], and a [`Search`] finds out which.
//!
//! # Operators
//! Every operator that has an integer kernel becomes integer; values are rescaled by QUANTIZE operators where an operator
//! wants one scale for all that it moves. What the kernels of the scheme lack on the [target](Quantizer::target) is written with
//! others first: NEG, SQUARE, SQUARED_DIFFERENCE, HARD_SWISH, RELU_N1_TO_1 and DIV by a constant as sums and products;
//! DEPTH_TO_SPACE, SPACE_TO_DEPTH and TILE as RESHAPE, TRANSPOSE and CONCATENATION. What is left stays float between DEQUANTIZE
//! and QUANTIZE operators: [`Report::float_operators`] says which and why, and [`Quantizer::integer_only`] makes that an
//! error. A file that the target is known to refuse is [never returned](Error::Target).
//!
//! # Numbers
//! Those of [`Compat::Best`], the default, err less: on samples that calibration did not see by 10 dB and more in 16x8.
//! Activations have [headroom](Quantizer::headroom) there, biases are exact, and in every scheme
//! [they make up](Quantizer::bias_correction) for the rounding of the weights, which can be chosen to err least
//! ([`WeightRounding`]).
//!
//! With the same ranges every scale, zero point and integer of [`Compat::TensorFlow`] is TensorFlow 2.21's, bit for bit.
//! These cases differ, because there TensorFlow's file is wrong, or because there is no rule here yet:
//! - an activation that was zero in every sample (below 1e-30): TensorFlow gives it a scale of nearly 0, which makes the
//!   next layer's scales infinite in 16x8, and which LiteRT refuses in int8; here it gets the range from -1 to 1.
//! - 16x8, a bias that several layers share: TensorFlow writes it once, with the scale of the first layer; here each
//!   layer gets its own.
//! - 16x8: SQUARED_DIFFERENCE and PADV2 with a float value, which LiteRT refuses, are a SUB and a MUL, and a PADV2 with an
//!   integer value.
//! - 16x8 with 32-bit biases: those of DEPTHWISE_CONV_2D stay at 64 bits, as LiteRT takes no others.
//! - int8 recurrent layers (UNIDIRECTIONAL_SEQUENCE_LSTM, SVDF) stay float.
//! - int8 DIV stays float, because a divisor may round to 0; and ONE_HOT, whose result has two scales in TensorFlow's file.
//! - operators that TensorFlow leaves float although kernels compute them (ELU in int8; SPLIT and UNPACK with results that
//!   nobody uses; CONCATENATION of what float operators compute) become integer.
//! - operators have the versions that their types and options need; those of TensorFlow's 16x8 are lower.
//!
//! The tests `tensorflow_networks` and `tensorflow_zoo` compare some 20 networks and 140 small models, and hold this list.
//!
//! There a channel of zeros keeps TensorFlow's scale of 0 in 16x8: the runtimes multiply with 0, which is right.

#![forbid(unsafe_code)]

mod calibrate;
mod comparison;
mod error;
mod lower;
mod parameters;
mod parts;
mod recipe;
mod report;
mod rewrite;
mod rules;
mod scales;
mod scheme;
mod search;
mod triangle;

pub use burnlite_tflite::{Obstacle, Target};
pub use calibrate::{Bounds, Calibration, CalibrationMethod, Sample, SecondMoments};
pub use comparison::{Comparison, Difference, LayerComparison, Measures, compare};
pub use error::{Error, OperatorFault, SampleFault};
pub use recipe::{Precision, Recipe, RecipeRule};
pub use report::{
    FloatOperator, FloatReason, KeptFloat, OperatorPrecision, QuantizedTensor, Remark, Report, Role,
};
pub use scheme::{Compat, IoType, Quantizer, Scheme, WeightRounding};
pub use search::{Cost, LayerSensitivity, Outcome, Proposal, Search};
