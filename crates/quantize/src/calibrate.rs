//! Calibration: the ranges of a float model's activations, from samples or from the file.

mod exact_sum;
mod means;
mod observer;

use burnlite_runtime::{Interpreter, InterpreterOptions};
use burnlite_tflite::{ElementType, Graph, Model, Tensor, TensorId};

use means::InputMeans;
pub use observer::Bounds;
use observer::MinMax;

use crate::Error;

/// The ranges of a model's activations and, where it ran on samples, the means of its layers' inputs.
///
/// One calibration serves every [`Scheme`](crate::Scheme). Calibrations of the same model over different samples
/// [merge](Self::merge) into exactly the calibration over all of them.
#[derive(Debug, Clone, PartialEq)]
pub struct Calibration {
    tensors: Vec<Statistics>,
    inputs: InputMeans,
    samples: usize,
}

/// What is known of one tensor.
#[derive(Debug, Clone, PartialEq)]
struct Statistics {
    name: String,
    observer: MinMax,
}

impl Calibration {
    /// Runs the float model on every sample and takes note of the values of its activations.
    ///
    /// A sample has one slice for each input, in the graph's order, in the layout of the input's shape (batch
    /// included). Samples are taken one at a time. After each, `progress` gets the number of samples done.
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
    /// # Errors
    /// [`Error::NoSamples`]; [`Error::InputCount`], [`Error::InputLength`], [`Error::InputNotFinite`] for a sample that
    /// does not fit; [`Error::ActivationNotFinite`] where the model computes NaN or an infinity;
    /// [`Error::AlreadyQuantized`], [`Error::SeveralGraphs`], [`Error::InputType`] for a model that is not a plain
    /// float model; [`Error::Runtime`] where the model does not run.
    pub fn run<S, V>(
        model: &Model<'_>,
        samples: impl IntoIterator<Item = S>,
        mut progress: impl FnMut(usize),
    ) -> Result<Self, Error>
    where
        S: AsRef<[V]>,
        V: AsRef<[f32]>,
    {
        let graph = float_graph(model)?;
        let options = InterpreterOptions { keep_intermediates: true, ..InterpreterOptions::default() };
        let mut interpreter = Interpreter::with_options(model, &options)?;
        let mut calibration = Self::blank(graph);
        for sample in samples {
            let number = calibration.samples;
            set_inputs(&mut interpreter, graph, number, sample.as_ref())?;
            interpreter.invoke()?;
            calibration.observe(&interpreter, graph)?;
            calibration.samples += 1;
            progress(calibration.samples);
        }
        if calibration.samples == 0 { Err(Error::NoSamples) } else { Ok(calibration) }
    }

    /// The ranges that a calibration by TensorFlow (or another tool) left in the file: `quantization.min` and `max`.
    ///
    /// # Errors
    /// [`Error::NotCalibrated`] where no activation has a range, [`Error::InvalidRange`] where one makes no sense;
    /// [`Error::AlreadyQuantized`], [`Error::SeveralGraphs`] for a model that is not a plain float model.
    pub fn from_model(model: &Model<'_>) -> Result<Self, Error> {
        let graph = float_graph(model)?;
        let mut calibration = Self::blank(graph);
        for id in activations(graph) {
            let tensor = &graph.tensors[id.index()];
            if let Some(bounds) = range_in_file(tensor)? {
                calibration.tensors[id.index()].observer = MinMax::of(bounds);
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
        Ok(Self::blank(float_graph(model)?))
    }

    /// The range of a tensor; `None` where nothing was seen of it (constants, integers, tensors of another model).
    pub fn range(&self, tensor: TensorId) -> Option<Bounds> {
        self.tensors.get(tensor.index())?.observer.bounds()
    }

    /// Number of samples; 0 where the ranges came with the file.
    pub const fn samples(&self) -> usize {
        self.samples
    }

    /// Adds what another calibration of the same model saw.
    ///
    /// # Errors
    /// [`Error::OtherModel`] where the tensors' names differ, [`Error::OtherLayer`] where the layers do; `self` is as
    /// before.
    pub fn merge(&mut self, other: &Self) -> Result<(), Error> {
        self.check_names(other.tensors.iter().map(|tensor| tensor.name.as_str()))?;
        if self.samples > 0 && other.samples > 0 {
            self.inputs.check(&other.inputs)?;
        }
        for (mine, theirs) in self.tensors.iter_mut().zip(&other.tensors) {
            mine.observer.merge(theirs.observer);
        }
        self.inputs.merge(&other.inputs);
        self.samples += other.samples;
        Ok(())
    }

    /// The mean over the samples of what each weight of a layer meets, `[groups, weights of a channel]`, for the
    /// operator of the given index; `None` where no sample was seen.
    pub(crate) fn input_means(&self, operator: usize) -> Option<Vec<f64>> {
        self.inputs.of(operator, self.samples)
    }

    /// Checks that the calibration is of this graph.
    pub(crate) fn check_graph(&self, graph: &Graph<'_>) -> Result<(), Error> {
        self.check_names(graph.tensors.iter().map(|tensor| tensor.name.as_str()))
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

    fn blank(graph: &Graph<'_>) -> Self {
        let blank =
            |tensor: &Tensor<'_>| Statistics { name: tensor.name.clone(), observer: MinMax::default() };
        let tensors = graph.tensors.iter().map(blank).collect();
        Self { tensors, inputs: InputMeans::default(), samples: 0 }
    }

    /// Observes the activations of the sample that was run last.
    fn observe(&mut self, interpreter: &Interpreter<'_>, graph: &Graph<'_>) -> Result<(), Error> {
        for id in activations(graph) {
            let values = interpreter.tensor::<f32>(id)?;
            let statistics = &mut self.tensors[id.index()];
            if let Some((position, value)) = first_not_finite(values) {
                let tensor = statistics.name.clone();
                return Err(Error::ActivationNotFinite { sample: self.samples, tensor, position, value });
            }
            statistics.observer.observe(values);
        }
        self.inputs.observe(interpreter, graph)
    }
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

fn set_inputs<V: AsRef<[f32]>>(
    interpreter: &mut Interpreter<'_>,
    graph: &Graph<'_>,
    sample: usize,
    inputs: &[V],
) -> Result<(), Error> {
    let (expected, found) = (graph.inputs.len(), inputs.len());
    if expected != found {
        return Err(Error::InputCount { sample, expected, found });
    }
    for (position, (id, values)) in graph.inputs.iter().zip(inputs).enumerate() {
        let (tensor, values) = (&graph.tensors[id.index()], values.as_ref());
        check_input(sample, tensor, values)?;
        interpreter.set_input(position, values)?;
    }
    Ok(())
}

fn check_input(sample: usize, tensor: &Tensor<'_>, values: &[f32]) -> Result<(), Error> {
    let name = || tensor.name.clone();
    if tensor.element_type != ElementType::Float32 {
        return Err(Error::InputType { tensor: name(), found: tensor.element_type });
    }
    let (expected, found) = (tensor.elements(), values.len());
    if expected != found {
        return Err(Error::InputLength {
            sample,
            tensor: name(),
            shape: tensor.shape.clone(),
            expected,
            found,
        });
    }
    match first_not_finite(values) {
        Some((position, value)) => Err(Error::InputNotFinite { sample, tensor: name(), position, value }),
        None => Ok(()),
    }
}
