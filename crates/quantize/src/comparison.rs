//! What quantization costs, layer by layer: the integer model against the float one, on samples.

mod difference;
mod layer;

use core::fmt;

use burnlite_runtime::{Interpreter, InterpreterOptions, Kernels};
use burnlite_tflite::{ElementType, Graph, Model, Operator, Tensor};
use serde::Serialize;

pub use difference::{Difference, Measures};
use layer::{Layer, is_quantized};

use crate::calibrate::{Sample, float_graph, run_sample};
use crate::report::{constant_bytes, text};
use crate::rules::{real_results, reals, rule_of};
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

/// The operators of an integer graph that compute on floats, and why; none where all activations are float.
fn float_operators(graph: &Graph<'_>) -> Vec<FloatOperator> {
    let is_activation = |tensor: &&Tensor<'_>| tensor.data.is_none() && is_quantized(tensor);
    let types: Vec<_> =
        graph.tensors.iter().filter(is_activation).map(|tensor| tensor.element_type).collect();
    let has_16_bits = types.contains(&ElementType::Int16);
    let has_8_bits = types.iter().any(|&found| found != ElementType::Int16);
    let schemes: Vec<_> = [(Scheme::Int16x8, has_16_bits), (Scheme::Int8, has_8_bits)]
        .into_iter()
        .filter_map(|(scheme, is_there)| is_there.then_some(scheme))
        .collect();
    if schemes.is_empty() {
        return Vec::new();
    }
    let operators = graph.operators.iter().enumerate();
    let is_float = |(_, operator): &(usize, &Operator)| {
        reals(graph, operator).any(|(_, id)| graph.tensors[id.index()].data.is_none())
            && real_results(graph, operator).next().is_some()
    };
    let reason = |(index, operator): (usize, &Operator)| FloatOperator {
        index,
        name: operator.op.name().to_string(),
        reason: fault(graph, operator, &schemes).unwrap_or(OperatorFault::Choice),
    };
    operators.filter(is_float).map(reason).collect()
}

/// Why an operator can have none of the schemes.
fn fault(graph: &Graph<'_>, operator: &Operator, schemes: &[Scheme]) -> Option<OperatorFault> {
    let fault = |&scheme: &Scheme| rule_of(graph, operator, &Quantizer::new(scheme), scheme).err();
    let faults: Option<Vec<_>> = schemes.iter().map(fault).collect();
    faults?.into_iter().next()
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
