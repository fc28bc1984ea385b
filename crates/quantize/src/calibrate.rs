//! Calibration: the ranges of a float model's activations, from samples or from the file.

mod distribution;
mod exact_sum;
mod file;
mod fingerprint;
mod means;
mod method;
mod moments;
mod observer;
mod sample;
mod windows;

use std::borrow::Cow;

use burnlite_runtime::{Interpreter, InterpreterOptions, Kernels};
use burnlite_tflite::{ElementType, Graph, Model, Tensor, TensorId};
use serde::{Deserialize, Serialize};

use exact_sum::MOST_SAMPLES;
use fingerprint::Fingerprint;
use means::InputMeans;
pub use method::CalibrationMethod;
pub use moments::SecondMoments;
pub use observer::Bounds;
use observer::Observer;
pub use sample::Sample;

use crate::{Error, SampleFault, Scheme};

/// What calibration knows of a model: the ranges of its activations and, where it ran on samples, the means of its layers'
/// inputs.
///
/// One calibration serves every [`Scheme`](crate::Scheme). Calibrations of the same model over different samples
/// [merge](Self::merge) into exactly the calibration over all of them, whatever the order: samples can be divided among
/// machines, and what they saw travels as [JSON](Self::to_json).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Calibration {
    model: Fingerprint,
    samples: usize,
    tensors: Vec<Statistics>,
    inputs: InputMeans,
}

/// What is known of one tensor.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Statistics {
    name: String,
    #[serde(default, skip_serializing_if = "Observer::is_blank")]
    observer: Observer,
}

impl Calibration {
    /// Runs the float model on every sample and takes note of the values of its activations.
    ///
    /// A [sample](Sample) has one slice for each input, or sets them in any other way. Samples are taken one at a time.
    /// After each, `progress` gets the number of samples done.
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
    /// use burnlite_quantize::Calibration;
    ///
    /// let samples = [[0.5, -1.0], [0.25, 2.0]];
    /// let calibration = Calibration::run(&model, samples.iter().map(|sample| [sample]), |_| ())?;
    /// assert_eq!(calibration.range(x).map(|range| (range.min, range.max)), Some((-1.0, 2.0)));
    /// # Ok::<(), burnlite_quantize::Error>(())
    /// ```
    ///
    /// The model runs with [`portable`](Self::portable) kernels; [`extend`](Self::extend) lets the caller choose.
    ///
    /// # Errors
    /// [`Error::NoSamples`]; [`Error::Sample`] for a sample that does not fit, or that makes the model compute NaN or an
    /// infinity; [`Error::AlreadyQuantized`], [`Error::SeveralGraphs`] for a model that is not a plain float model;
    /// [`Error::Runtime`] where the model does not run.
    pub fn run<S: Sample>(
        model: &Model<'_>,
        samples: impl IntoIterator<Item = S>,
        progress: impl FnMut(usize),
    ) -> Result<Self, Error> {
        let mut calibration = Self::empty(model)?;
        calibration.extend(model, &Self::portable(), samples, progress)?;
        if calibration.samples == 0 { Err(Error::NoSamples) } else { Ok(calibration) }
    }

    /// How [`run`](Self::run) runs the model: with the kernels that every machine has, so that every machine sees the
    /// same ranges to the last bit and writes the same file.
    ///
    /// The kernels of an instruction set sum floats in orders of their own, and with fused multiplication: they are
    /// faster, and differ in the last places.
    pub fn portable() -> InterpreterOptions {
        InterpreterOptions { kernels: Kernels::Named("generic"), ..InterpreterOptions::default() }
    }

    /// Runs the float model on further samples, as [`run`](Self::run) does, with the given options.
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
    /// use burnlite_quantize::Calibration;
    ///
    /// // Yesterday's samples, then today's.
    /// let saved = Calibration::run(&model, [[[0.5, -1.0]]], |_| ())?.to_json();
    /// let mut calibration = Calibration::from_json(&saved)?;
    /// calibration.extend(&model, &Calibration::portable(), [[[0.25, 2.0]]], |_| ())?;
    /// assert_eq!(calibration.samples(), 2);
    /// assert_eq!(calibration.range(x).map(|range| (range.min, range.max)), Some((-1.0, 2.0)));
    /// # Ok::<(), burnlite_quantize::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`run`](Self::run), but that there may be no samples; [`Error::OtherModel`], [`Error::OtherContents`] where the
    /// calibration is of another model. Then `self` is as before.
    pub fn extend<S: Sample>(
        &mut self,
        model: &Model<'_>,
        options: &InterpreterOptions,
        samples: impl IntoIterator<Item = S>,
        progress: impl FnMut(usize),
    ) -> Result<(), Error> {
        let graph = float_graph(model)?;
        self.check_graph(graph)?;
        let mut seen = self.blank();
        let observe = |interpreter: &Interpreter<'_>| seen.observe(interpreter, graph);
        for_each_sample(model, options, samples, progress, observe)?;
        self.absorb(seen)
    }

    /// The ranges that a calibration by TensorFlow (or another tool) left in the file: `quantization.min` and `max`.
    ///
    /// # Errors
    /// [`Error::NotCalibrated`] where no activation has a range, [`Error::InvalidRange`] where one makes no sense;
    /// [`Error::AlreadyQuantized`], [`Error::SeveralGraphs`] for a model that is not a plain float model.
    pub fn from_model(model: &Model<'_>) -> Result<Self, Error> {
        let graph = float_graph(model)?;
        let mut calibration = Self::of_graph(graph);
        for id in activations(graph) {
            let tensor = &graph.tensors[id.index()];
            if let Some(bounds) = range_in_file(tensor)? {
                calibration.tensors[id.index()].observer = Observer::of(bounds);
            }
        }
        let is_blank = calibration.tensors.iter().all(|tensor| tensor.observer.bounds().is_none());
        if is_blank { Err(Error::NotCalibrated) } else { Ok(calibration) }
    }

    /// A calibration that saw nothing: enough for schemes whose activations stay float.
    ///
    /// ```
    /// # use burnlite_tflite::{ElementType, FullyConnectedOptions, Graph, Model, Op, Operator, Tensor};
    /// use burnlite_quantize::{Calibration, Quantizer, Scheme};
    ///
    /// # let mut graph = Graph::default();
    /// # let x = graph.add_tensor(Tensor::new("x", ElementType::Float32, [1, 64]));
    /// # let weights = graph.add_tensor(Tensor::constant("weights", [32, 64], &[0.5f32; 2048]));
    /// # let y = graph.add_tensor(Tensor::new("y", ElementType::Float32, [1, 32]));
    /// # let dense = Op::FullyConnected(FullyConnectedOptions::default());
    /// # graph.operators.push(Operator::new(dense, [x, weights], [y]));
    /// # graph.inputs.push(x);
    /// # graph.outputs.push(y);
    /// # let model = Model::new(graph);
    /// let calibration = Calibration::empty(&model)?;
    /// let (_, report) = Quantizer::new(Scheme::DynamicRange).quantize(&model, &calibration)?;
    /// assert!(report.constant_bytes_after < report.constant_bytes_before);
    /// # Ok::<(), burnlite_quantize::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::AlreadyQuantized`], [`Error::SeveralGraphs`] for a model that is not a plain float model.
    pub fn empty(model: &Model<'_>) -> Result<Self, Error> {
        Ok(Self::of_graph(float_graph(model)?))
    }

    /// The same as [`empty`](Self::empty), but it also remembers how values are distributed, for other
    /// [methods](CalibrationMethod) than the extremes: 2,048 numbers for each activation.
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
    /// use burnlite_quantize::{Calibration, CalibrationMethod, Quantizer, Scheme};
    ///
    /// let mut calibration = Calibration::with_distributions(&model)?;
    /// calibration.extend(&model, &Calibration::portable(), [[[0.5, -1.0]], [[0.25, 90.0]]], |_| ())?;
    /// let quantizer = Quantizer::new(Scheme::Int8).calibration_method(CalibrationMethod::Mse);
    /// let (quantized, _) = quantizer.quantize(&model, &calibration)?;
    /// # Ok::<(), burnlite_quantize::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`empty`](Self::empty).
    pub fn with_distributions(model: &Model<'_>) -> Result<Self, Error> {
        let mut calibration = Self::empty(model)?;
        let observers = calibration.tensors.iter_mut().map(|tensor| &mut tensor.observer);
        observers.for_each(|observer| *observer = Observer::with_distribution());
        Ok(calibration)
    }

    /// The same with the ranges that a method gives.
    pub(crate) fn by(&self, method: CalibrationMethod, scheme: Scheme) -> Result<Cow<'_, Self>, Error> {
        let is_by_extremes = matches!(method, CalibrationMethod::MinMax);
        if is_by_extremes || scheme.activation_type() == ElementType::Float32 {
            return Ok(Cow::Borrowed(self));
        }
        let mut calibration = self.clone();
        for Statistics { name, observer } in &mut calibration.tensors {
            let Some(seen) = observer.bounds() else { continue };
            let no_distribution = || Error::NoDistribution { tensor: name.clone() };
            let distribution = observer.distribution().ok_or_else(no_distribution)?;
            *observer = Observer::of(method.range(seen, distribution, scheme));
        }
        Ok(Cow::Owned(calibration))
    }

    /// The range of a tensor; `None` where nothing was seen of it (constants, integers, tensors of another model).
    pub fn range(&self, tensor: TensorId) -> Option<Bounds> {
        self.tensors.get(tensor.index())?.observer.bounds()
    }

    /// How the values of a tensor are distributed: the bins that are not empty, from the lowest on, and the number of
    /// values in each; `None` where nothing was seen of it, or not its [distribution](Self::with_distributions).
    pub fn histogram(&self, tensor: TensorId) -> Option<Vec<(Bounds, u64)>> {
        let histogram = &self.tensors.get(tensor.index())?.observer.distribution()?.histogram;
        let end = |bin: i64| (bin as f64 * histogram.width()) as f32;
        let bins = histogram.bins().map(|(bin, count)| (Bounds { min: end(bin), max: end(bin + 1) }, count));
        Some(bins.collect())
    }

    /// Number of samples; 0 where the ranges came with the file.
    pub const fn samples(&self) -> usize {
        self.samples
    }

    /// Adds what another calibration of the same model saw.
    ///
    /// # Errors
    /// [`Error::OtherModel`] where the tensors' names differ, [`Error::OtherContents`] where the models do otherwise;
    /// [`Error::TooManySamples`]. Then `self` is as before.
    pub fn merge(&mut self, other: &Self) -> Result<(), Error> {
        self.absorb(other.clone())
    }

    /// The same, without a copy of what this calibration has not seen.
    fn absorb(&mut self, other: Self) -> Result<(), Error> {
        other.check_names(self.tensors.iter().map(|tensor| tensor.name.as_str()))?;
        other.check_fingerprint(self.model)?;
        self.inputs.check(&other.inputs)?;
        let samples =
            self.samples.checked_add(other.samples).filter(|&samples| samples as u64 <= MOST_SAMPLES);
        self.samples = samples.ok_or(Error::TooManySamples)?;
        for (mine, theirs) in self.tensors.iter_mut().zip(&other.tensors) {
            mine.observer.merge(&theirs.observer);
        }
        self.inputs.merge(other.inputs);
        Ok(())
    }

    /// The mean over the samples of what each weight of a layer meets, `[groups, weights of a channel]`, for the
    /// operator of the given index; `None` where no sample was seen.
    pub(crate) fn input_means(&self, operator: usize) -> Option<Vec<f64>> {
        self.inputs.of(operator)
    }

    /// Checks that the calibration is of this graph.
    pub(crate) fn check_graph(&self, graph: &Graph<'_>) -> Result<(), Error> {
        self.check_names(graph.tensors.iter().map(|tensor| tensor.name.as_str()))?;
        self.check_fingerprint(Fingerprint::of(graph))
    }

    fn check_fingerprint(&self, fingerprint: Fingerprint) -> Result<(), Error> {
        if self.model == fingerprint { Ok(()) } else { Err(Error::OtherContents) }
    }

    fn check_names<'n>(&self, names: impl Iterator<Item = &'n str>) -> Result<(), Error> {
        let mut expected = names.map(str::to_owned);
        let mut found = self.tensors.iter().map(|tensor| tensor.name.clone());
        for index in 0.. {
            match (expected.next(), found.next()) {
                (None, None) => break,
                (expected, found) if expected != found => {
                    return Err(Error::OtherModel { index, expected, found });
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// What is known of a graph before the first sample.
    fn of_graph(graph: &Graph<'_>) -> Self {
        let blank =
            |tensor: &Tensor<'_>| Statistics { name: tensor.name.clone(), observer: Observer::default() };
        let tensors = graph.tensors.iter().map(blank).collect();
        Self { model: Fingerprint::of(graph), samples: 0, tensors, inputs: InputMeans::default() }
    }

    /// The same before the first sample.
    fn blank(&self) -> Self {
        let blank =
            |tensor: &Statistics| Statistics { name: tensor.name.clone(), observer: tensor.observer.blank() };
        let tensors = self.tensors.iter().map(blank).collect();
        Self { model: self.model, samples: 0, tensors, inputs: InputMeans::default() }
    }

    /// Observes the activations of the sample that was run last.
    fn observe(&mut self, interpreter: &Interpreter<'_>, graph: &Graph<'_>) -> Result<(), SampleFault> {
        for id in activations(graph) {
            let values = interpreter.tensor::<f32>(id)?;
            let statistics = &mut self.tensors[id.index()];
            if let Some((position, value)) = first_not_finite(values) {
                let tensor = statistics.name.clone();
                return Err(SampleFault::ActivationNotFinite { tensor, position, value });
            }
            statistics.observer.observe(values);
        }
        self.inputs.observe(interpreter, graph)?;
        self.samples += 1;
        Ok(())
    }
}

/// Runs a model on every sample, one at a time, for `observe` to look at all of its tensors.
pub(crate) fn for_each_sample<S: Sample>(
    model: &Model<'_>,
    options: &InterpreterOptions,
    samples: impl IntoIterator<Item = S>,
    mut progress: impl FnMut(usize),
    mut observe: impl FnMut(&Interpreter<'_>) -> Result<(), SampleFault>,
) -> Result<(), Error> {
    let options = InterpreterOptions { keep_intermediates: true, ..options.clone() };
    let mut interpreter = Interpreter::with_options(model, &options)?;
    for (number, sample) in samples.into_iter().enumerate() {
        let in_sample = |fault| Error::Sample { sample: number, fault };
        run_sample(&mut interpreter, &sample).map_err(in_sample)?;
        observe(&interpreter).map_err(in_sample)?;
        progress(number + 1);
    }
    Ok(())
}

/// Runs a model on one sample, whose floats must be finite.
pub(crate) fn run_sample(interpreter: &mut Interpreter<'_>, sample: &impl Sample) -> Result<(), SampleFault> {
    sample.set_inputs(interpreter)?;
    let graph = interpreter.graph();
    for (id, input) in graph.inputs.iter().zip(interpreter.inputs()) {
        if input.element_type != ElementType::Float32 {
            continue;
        }
        if let Some((position, value)) = first_not_finite(interpreter.tensor(*id)?) {
            let tensor = input.name.to_owned();
            return Err(SampleFault::InputNotFinite { tensor, position, value });
        }
    }
    Ok(interpreter.invoke()?)
}

/// The graph of a plain float model: a single graph, checked, nothing quantized.
pub(crate) fn float_graph<'m, 'a>(model: &'m Model<'a>) -> Result<&'m Graph<'a>, Error> {
    model.check()?;
    let graph = model.main()?;
    if model.graphs.len() > 1 {
        return Err(Error::SeveralGraphs { count: model.graphs.len() });
    }
    match graph.tensors.iter().find(|tensor| tensor.quantization.is_some()) {
        Some(Tensor { name, element_type, .. }) => {
            Err(Error::AlreadyQuantized { tensor: name.clone(), element_type: *element_type })
        }
        None => Ok(graph),
    }
}

/// The first value that is NaN or infinite, and where it stands.
pub(crate) fn first_not_finite(values: &[f32]) -> Option<(usize, f32)> {
    values.iter().copied().enumerate().find(|(_, value)| !value.is_finite())
}

/// The float tensors whose values depend on the inputs, in the order in which they are computed.
fn activations<'g>(graph: &'g Graph<'_>) -> impl Iterator<Item = TensorId> + 'g {
    let outputs = graph.operators.iter().flat_map(|operator| &operator.outputs);
    graph
        .inputs
        .iter()
        .chain(outputs)
        .copied()
        .filter(|id| graph.tensors[id.index()].element_type == ElementType::Float32)
}

fn range_in_file(tensor: &Tensor<'_>) -> Result<Option<Bounds>, Error> {
    let Some(range) = &tensor.range else { return Ok(None) };
    match (range.min.as_slice(), range.max.as_slice()) {
        (&[min], &[max]) if min.is_finite() && max.is_finite() && min <= max => Ok(Some(Bounds { min, max })),
        _ => Err(Error::InvalidRange {
            tensor: tensor.name.clone(),
            min: range.min.clone(),
            max: range.max.clone(),
        }),
    }
}
