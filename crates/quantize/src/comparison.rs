//! What quantization costs, layer by layer: the integer model against the float one, on samples.

mod difference;

use core::fmt;
use std::collections::HashMap;

use burnlite_runtime::{Error as RuntimeError, Interpreter, InterpreterOptions, Kernels};
use burnlite_tflite::{Element, ElementType, Graph, Model, Operator, Tensor, TensorId};
use serde::Serialize;

pub use difference::{Difference, Measures};

use crate::calibrate::{Sample, float_graph, run_sample};
use crate::report::{constant_bytes, text};
use crate::rules::{Rule, is_real, real_results, reals, rule, rule_of};
use crate::{Error, FloatOperator, OperatorFault, Quantizer, Scheme};

/// How far a quantized model is from its float model, on samples that both ran on. [`Display`](fmt::Display) gives a table.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Comparison {
    /// Number of samples.
    pub samples: usize,
    /// Bytes of all constants of the float model.
    pub constant_bytes_before: usize,
    /// Bytes of all constants of the quantized model.
    pub constant_bytes_after: usize,
    /// The float model's tensors that the quantized model has too, inputs first, in the order in which they are computed.
    pub layers: Vec<LayerComparison>,
    /// The operators of the quantized model that compute on floats where others compute on integers, by their indices
    /// there.
    pub float_operators: Vec<FloatOperator>,
}

/// How far a tensor of a quantized model is from that of the float model.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct LayerComparison {
    /// The tensor's name in the float model.
    pub name: String,
    /// Whether it is an output of the model.
    pub is_output: bool,
    /// Its type in the quantized model.
    #[serde(serialize_with = "text")]
    pub element_type: ElementType,
    /// The quantized model's real numbers against those of the float model.
    #[serde(flatten)]
    pub measures: Measures,
    /// Number of values at the end of the integers' range whose float values lie beyond it, by more than half a step.
    pub saturated: usize,
    /// Number of all values.
    pub values: usize,
    /// Binary logarithm of the number of integers from the smallest to the largest that was reached; `None` for floats.
    pub bits_used: Option<f64>,
    /// SNR in dB of the weights of the layer that computes it, as their integers stand for them; `None` where there are
    /// none, or no error.
    pub weight_snr_db: Option<f64>,
}

/// Runs both models on every sample and measures how far their tensors are apart.
///
/// A tensor's counterpart has its name, or that name with the suffix under which an integer tensor stands beside a float
/// one (`_int16`, `_int8`). The float model runs with the given options: with [portable](crate::Calibration::portable) kernels
/// the measures are the same on every machine. The quantized model runs with the fastest kernels, for all of them give
/// the same integers. A [sample](Sample) sets the inputs of either model. After each, `progress` gets the number of
/// samples done.
///
/// ```
/// # use burnlite_tflite::{ElementType, Graph, Model, Op, Operator, Tensor};
/// # let mut graph = Graph::default();
/// # let x = graph.add_tensor(Tensor::new("x", ElementType::Float32, [1, 2]));
/// # let y = graph.add_tensor(Tensor::new("y", ElementType::Float32, [1, 2]));
/// # graph.operators.push(Operator::new(Op::Relu, [x], [y]));
/// # graph.inputs.push(x);
/// # graph.outputs.push(y);
/// # let model = Model::new(graph);
/// use burnlite_quantize::{Calibration, Quantizer, Scheme, compare};
///
/// let calibration = Calibration::run(&model, [[[0.5, -1.0]]], |_| ())?;
/// let (quantized, _) = Quantizer::new(Scheme::Int8).quantize(&model, &calibration)?;
/// let comparison = compare(&model, &quantized, &Calibration::portable(), [[[0.25, 2.0]]], |_| ())?;
/// let output = &comparison.layers[1];
/// assert_eq!((&output.name[..], output.saturated), ("y", 1));
/// println!("{comparison}");
/// # Ok::<(), burnlite_quantize::Error>(())
/// ```
///
/// # Errors
/// [`Error::NoSamples`]; [`Error::Sample`] for a sample that does not fit either model; [`Error::Incomparable`] where the
/// models have no tensor in common; [`Error::AlreadyQuantized`], [`Error::SeveralGraphs`] where the first is not a plain
/// float model; [`Error::Runtime`], [`Error::QuantizedRuntime`] where one does not run.
pub fn compare<S: Sample>(
    float: &Model<'_>,
    quantized: &Model<'_>,
    options: &InterpreterOptions,
    samples: impl IntoIterator<Item = S>,
    mut progress: impl FnMut(usize),
) -> Result<Comparison, Error> {
    let (graph, quantized_graph) = (float_graph(float)?, quantized.main()?);
    let options = InterpreterOptions { keep_intermediates: true, ..options.clone() };
    let mut floats = Interpreter::with_options(float, &options)?;
    let options = InterpreterOptions { kernels: Kernels::Auto, ..options };
    let mut integers = Interpreter::with_options(quantized, &options).map_err(Error::QuantizedRuntime)?;
    let mut layers = Layer::all(graph, quantized_graph);
    layers.retain(|layer| layer.values(&floats, &integers).is_ok());
    if layers.is_empty() {
        return Err(Error::Incomparable);
    }
    let mut count = 0;
    for sample in samples {
        let in_sample = |fault| Error::Sample { sample: count, fault };
        run_sample(&mut floats, &sample).map_err(in_sample)?;
        run_sample(&mut integers, &sample).map_err(in_sample)?;
        for layer in &mut layers {
            layer.observe(&floats, &integers).map_err(|fault| in_sample(fault.into()))?;
        }
        count += 1;
        progress(count);
    }
    if count == 0 {
        return Err(Error::NoSamples);
    }
    Ok(Comparison {
        samples: count,
        constant_bytes_before: constant_bytes(&graph.tensors),
        constant_bytes_after: constant_bytes(&quantized_graph.tensors),
        layers: layers.iter().map(|layer| layer.comparison(graph)).collect(),
        float_operators: float_operators(quantized_graph),
    })
}

/// A tensor of the float model and its counterpart.
struct Layer {
    float: TensorId,
    counterpart: TensorId,
    element_type: ElementType,
    /// `None` where the counterpart is float.
    integers: Option<Integers>,
    difference: Difference,
    values: usize,
    weight_snr_db: Option<f64>,
}

/// The integers of a counterpart.
struct Integers {
    scale: f64,
    zero_point: f64,
    /// The limits of their type.
    limits: [f64; 2],
    /// The smallest and the largest that was seen.
    reached: Option<[f64; 2]>,
    saturated: usize,
}

impl Integers {
    fn of(tensor: &Tensor<'_>) -> Option<Self> {
        let limits = match tensor.element_type {
            ElementType::Int8 => [i8::MIN.into(), i8::MAX.into()],
            ElementType::UInt8 => [u8::MIN.into(), u8::MAX.into()],
            ElementType::Int16 => [i16::MIN.into(), i16::MAX.into()],
            _ => return None,
        };
        let quantization =
            tensor.quantization.as_ref().filter(|quantization| !quantization.is_per_channel())?;
        let (scale, zero_point) = (f64::from(quantization.scale[0]), quantization.zero_point[0] as f64);
        Some(Self { scale, zero_point, limits, reached: None, saturated: 0 })
    }

    /// Takes note of the integers that stand for the given floats, and turns them into what they stand for.
    fn observe(&mut self, floats: &[f64], integers: &mut [f64]) {
        let [lowest, highest] = self.limits;
        for (&float, integer) in floats.iter().zip(integers) {
            let [least, greatest] = self.reached.unwrap_or([*integer; 2]);
            self.reached = Some([least.min(*integer), greatest.max(*integer)]);
            let beyond = float / self.scale + self.zero_point;
            let is_below = *integer == lowest && beyond < lowest - 0.5;
            let is_above = *integer == highest && beyond > highest + 0.5;
            self.saturated += usize::from(is_below || is_above);
            *integer = (*integer - self.zero_point) * self.scale;
        }
    }

    fn bits_used(&self) -> Option<f64> {
        self.reached.map(|[least, greatest]| (greatest - least + 1.0).log2())
    }
}

impl Layer {
    /// The float graph's real tensors that depend on the inputs and have a counterpart.
    fn all(float: &Graph<'_>, quantized: &Graph<'_>) -> Vec<Self> {
        let mut by_name: HashMap<&str, TensorId> = HashMap::new();
        for (tensor, index) in quantized.tensors.iter().zip(0..) {
            by_name.entry(&tensor.name).or_insert(TensorId(index));
        }
        let counterpart = |id: TensorId| {
            let name = &float.tensors[id.index()].name;
            let twin = |suffix| by_name.get(&format!("{name}{suffix}")[..]).copied();
            let is_quantized = |id: &TensorId| Integers::of(&quantized.tensors[id.index()]).is_some();
            let twin = twin("_int16").or_else(|| twin("_int8")).filter(is_quantized);
            twin.or_else(|| by_name.get(&name[..]).copied())
        };
        let inputs = float.inputs.iter().map(|&id| (id, None));
        let results = float
            .operators
            .iter()
            .flat_map(|operator| operator.outputs.iter().map(move |&id| (id, Some(operator))));
        let layer = |(id, operator): (TensorId, Option<&Operator>)| {
            let counterpart = counterpart(id)?;
            let tensor = &quantized.tensors[counterpart.index()];
            Some(Self {
                float: id,
                counterpart,
                element_type: tensor.element_type,
                integers: Integers::of(tensor),
                difference: Difference::default(),
                values: 0,
                weight_snr_db: operator.and_then(|operator| {
                    let weights = weights_of(float, operator)?;
                    snr_of_weights(weights, &quantized.tensors[by_name.get(&weights.name[..])?.index()])
                }),
            })
        };
        inputs.chain(results).filter(|&(id, _)| is_real(float, id)).filter_map(layer).collect()
    }

    /// The values of both tensors, integers as they are; an error also where their shapes differ.
    fn values(
        &self,
        floats: &Interpreter<'_>,
        integers: &Interpreter<'_>,
    ) -> Result<[Vec<f64>; 2], RuntimeError> {
        let (expected, found) = (floats.tensor_info(self.float)?, integers.tensor_info(self.counterpart)?);
        if expected.shape != found.shape {
            let (name, shape) = (expected.name.into(), found.shape.into());
            let [expected, found] = [expected.shape, found.shape].map(|shape| shape.iter().product());
            return Err(RuntimeError::InputLength { name, shape, expected, found });
        }
        let counterpart = match self.element_type {
            ElementType::Int8 => numbers::<i8>(integers, self.counterpart),
            ElementType::UInt8 => numbers::<u8>(integers, self.counterpart),
            ElementType::Int16 => numbers::<i16>(integers, self.counterpart),
            _ => numbers::<f32>(integers, self.counterpart),
        };
        Ok([numbers::<f32>(floats, self.float)?, counterpart?])
    }

    /// Takes note of the sample that was run last.
    fn observe(&mut self, floats: &Interpreter<'_>, integers: &Interpreter<'_>) -> Result<(), RuntimeError> {
        let [floats_seen, mut seen] = self.values(floats, integers)?;
        if let Some(integers) = &mut self.integers {
            integers.observe(&floats_seen, &mut seen);
        }
        let row = floats.tensor_info(self.float)?.shape.last().copied().unwrap_or(1);
        self.difference.add(&floats_seen, &seen, row);
        self.values += seen.len();
        Ok(())
    }

    fn comparison(&self, graph: &Graph<'_>) -> LayerComparison {
        LayerComparison {
            name: graph.tensors[self.float.index()].name.clone(),
            is_output: graph.outputs.contains(&self.float),
            element_type: self.element_type,
            measures: self.difference.measures(),
            saturated: self.integers.as_ref().map_or(0, |integers| integers.saturated),
            values: self.values,
            bits_used: self.integers.as_ref().and_then(Integers::bits_used),
            weight_snr_db: self.weight_snr_db,
        }
    }
}

fn numbers<T: Element + Into<f64>>(
    interpreter: &Interpreter<'_>,
    id: TensorId,
) -> Result<Vec<f64>, RuntimeError> {
    Ok(interpreter.tensor::<T>(id)?.iter().map(|&value| value.into()).collect())
}

/// The constant weights of a layer.
fn weights_of<'g, 'a>(graph: &'g Graph<'a>, operator: &Operator) -> Option<&'g Tensor<'a>> {
    let Some(Rule::Weighted(operands)) = rule(&operator.op) else { return None };
    let id = operator.inputs.get(operands.weights).copied()??;
    Some(&graph.tensors[id.index()])
}

/// The SNR of weights, as their integers stand for them.
fn snr_of_weights(float: &Tensor<'_>, quantized: &Tensor<'_>) -> Option<f64> {
    let quantization = quantized.quantization.as_ref()?;
    let floats = float.elements_of::<f32>().ok()?;
    let integers = quantized.elements_of::<i8>().ok()?;
    // One scale is that of a single channel, in which every element lies.
    let stride: usize = match quantization.is_per_channel() {
        true => quantized.shape.get(quantization.dimension + 1..)?.iter().product(),
        false => integers.len(),
    };
    let channels = (0..quantization.scale.len()).cycle();
    let channels = channels.flat_map(|channel| core::iter::repeat_n(channel, stride.max(1)));
    let real = |(&integer, channel): (&i8, usize)| {
        let zero_point = quantization.zero_point.get(channel).map_or(0.0, |&zero_point| zero_point as f64);
        f64::from(quantization.scale[channel]) * (f64::from(integer) - zero_point)
    };
    let reals: Vec<f64> = integers.iter().zip(channels).map(real).collect();
    let floats: Vec<f64> = floats.iter().map(|&value| value.into()).collect();
    let mut difference = Difference::default();
    difference.add(&floats, &reals, 1);
    difference.measures().snr_db.filter(|_| reals.len() == floats.len())
}

/// The operators of an integer graph that compute on floats, and why; none where all activations are float.
fn float_operators(graph: &Graph<'_>) -> Vec<FloatOperator> {
    let is_activation = |tensor: &&Tensor<'_>| tensor.data.is_none() && Integers::of(tensor).is_some();
    let types = graph.tensors.iter().filter(is_activation).map(|tensor| tensor.element_type);
    let scheme = types.fold(None, |scheme, found| match found {
        ElementType::Int16 => Some(Scheme::Int16x8),
        _ => scheme.or(Some(Scheme::Int8)),
    });
    let Some(scheme) = scheme else { return Vec::new() };
    let quantizer = Quantizer::new(scheme);
    let operators = graph.operators.iter().enumerate();
    let is_float = |(_, operator): &(usize, &Operator)| {
        reals(graph, operator).any(|(_, id)| graph.tensors[id.index()].data.is_none())
            && real_results(graph, operator).next().is_some()
    };
    let reason = |(index, operator): (usize, &Operator)| FloatOperator {
        index,
        name: operator.op.name().to_string(),
        reason: rule_of(graph, operator, &quantizer).err().unwrap_or(OperatorFault::Choice),
    };
    operators.filter(is_float).map(reason).collect()
}

impl fmt::Display for Comparison {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { samples, constant_bytes_before, constant_bytes_after, .. } = self;
        let plural = if *samples == 1 { "" } else { "s" };
        writeln!(
            formatter,
            "{samples} sample{plural}; {constant_bytes_after} bytes of constants, before {constant_bytes_before}\n"
        )?;
        writeln!(
            formatter,
            " SNR dB       MSE    cosine  max error  saturated  bits used  weights dB     type  layer"
        )?;
        self.layers.iter().try_for_each(|layer| writeln!(formatter, "{layer}"))?;
        self.float_operators.iter().try_for_each(|operator| writeln!(formatter, "stays float32: {operator}"))
    }
}

impl fmt::Display for LayerComparison {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let decibels = |snr: Option<f64>| snr.map_or("-".into(), |snr| format!("{snr:.1}"));
        let scientific = |value: Option<f64>| value.map_or("-".into(), |value| format!("{value:.2e}"));
        write!(
            formatter,
            "{:>7}  {:>8}  {:>8}  {:>9}  {:>9}  {:>9}  {:>10}  {:>7}  {}{}",
            decibels(self.measures.snr_db),
            scientific(self.measures.mse),
            self.measures.cosine.map_or("-".into(), |cosine| format!("{cosine:.6}")),
            scientific(self.measures.max_error),
            self.saturated,
            self.bits_used.map_or("-".into(), |bits| format!("{bits:.1}")),
            decibels(self.weight_snr_db),
            self.element_type.name(),
            self.name,
            if self.is_output { " (output)" } else { "" },
        )
    }
}
