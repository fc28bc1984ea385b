//! The search for a recipe: which layers need more than int8, and how much more.

mod choice;
mod cost;
mod layers;
mod proposal;
mod trial;

use burnlite_runtime::InterpreterOptions;
use burnlite_tflite::Model;

use choice::Choice;
pub use cost::Cost;
use cost::{BY_WIDTH, Pace};
use layers::{Layer, recipe};
pub use proposal::{LayerSensitivity, Outcome, Proposal};
use trial::{Measure, Source, Trials, worst_snr};

use crate::calibrate::{Sample, float_graph};
use crate::{Calibration, Error, Precision, Quantizer, SecondMoments};

/// A search for the [recipe](crate::Recipe) that errs no more than it may, at the least cost.
///
/// It first measures how sensitive each layer is: what the model's outputs lose on samples when this layer alone is int8,
/// or 16x8, and everything else float. A layer is an operator that computes new numbers, with those behind it that only
/// move them. Then every layer gets the precision that costs it least, and as long as the outputs err too much, the layer
/// is made more exact whose error falls most for what that costs; the whole model is quantized and measured each time. What
/// turns out not to be needed is taken back at the end.
///
/// The outputs' error is that of the worst of them, as [`compare`](crate::compare) measures it. [`Cost`] says what is
/// kept small.
///
/// ```
/// # use burnlite_tflite::{ElementType, FullyConnectedOptions, Graph, Model, Op, Operator, Tensor};
/// use burnlite_quantize::{Calibration, Precision, Quantizer, Scheme, Search};
///
/// # let mut graph = Graph::default();
/// # let x = graph.add_tensor(Tensor::new("x", ElementType::Float32, [1, 2]));
/// # let weights = graph.add_tensor(Tensor::constant("weights", [1, 2], &[100.0f32, 0.3]));
/// # let y = graph.add_tensor(Tensor::new("y", ElementType::Float32, [1, 1]));
/// # let dense = Op::FullyConnected(FullyConnectedOptions::default());
/// # graph.operators.push(Operator::new(dense, [x, weights], [y]));
/// # graph.inputs.push(x);
/// # graph.outputs.push(y);
/// # let model = Model::new(graph);
/// // A dense layer with a weight that hides the other one, and an input that does the opposite.
/// let samples = [[0.001, 1.0], [0.002, -2.0]];
/// let samples = samples.iter().map(|sample| [sample]);
/// let calibration = Calibration::run(&model, samples.clone(), |_| ())?;
/// let search = Search::new(Quantizer::new(Scheme::Int8), 60.0);
/// let options = Calibration::portable();
/// let proposal = search.run(&model, &calibration, &options, samples, |_, _| ())?;
/// assert!(proposal.is_reached);
/// assert_eq!(proposal.layers[0].precision, Precision::Float32);
/// # Ok::<(), burnlite_quantize::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Search {
    quantizer: Quantizer,
    snr_db: f64,
    cost: Cost,
    at_most: Option<f64>,
    pace: Pace,
}

impl Search {
    /// A search for the recipe whose outputs have an SNR of so many dB at least, at the least time. The quantizer says
    /// everything but the recipe; its scheme is that of inputs and outputs. Where every operator
    /// [has to be integer](Quantizer::integer_only), no layer is proposed to be float.
    pub const fn new(quantizer: Quantizer, snr_db: f64) -> Self {
        Self { quantizer, snr_db, cost: Cost::Time, at_most: None, pace: BY_WIDTH }
    }

    /// The same with another cost that is to be small.
    pub const fn cost(mut self, cost: Cost) -> Self {
        self.cost = cost;
        self
    }

    /// The same with a budget: no recipe that costs more, in bytes or in the time of int8, is proposed, even if its
    /// outputs then err more than they may. Where the cheapest one costs more, that is proposed.
    pub const fn at_most(mut self, budget: f64) -> Self {
        self.at_most = Some(budget);
        self
    }

    /// The same for a device on which a multiply-accumulate takes other times in int8, 16x8 and float32 than 1, 2 and 4, by
    /// the width of vectors. Only their ratios count. `burnlite bench` measures them: with AVX2 on an AMD EPYC they were 1,
    /// 0.9 and 2.0 for the dense layers of MLPerf Tiny's autoencoder, 1, 0.7 and 0.6 for its MobileNet.
    pub const fn pace(mut self, pace: [f64; 3]) -> Self {
        self.pace = pace;
        self
    }

    /// Searches. Models run with the given options: with [portable](Calibration::portable) kernels the proposal is the
    /// same on every machine. The samples should be others than those of the calibration; they are gone through once for
    /// each quantization. After each, `progress` gets the number of those done, and of those that there will be at most.
    ///
    /// # Errors
    /// Those of [`Quantizer::quantize`]; [`Error::NoSamples`]; [`Error::Sample`] for a sample that does not fit;
    /// [`Error::Incomparable`] for a model without float outputs; [`Error::Runtime`], [`Error::QuantizedRuntime`] where a
    /// model does not run.
    pub fn run<S: Sample>(
        &self,
        model: &Model<'_>,
        calibration: &Calibration,
        options: &InterpreterOptions,
        samples: impl IntoIterator<Item = S> + Clone,
        progress: impl FnMut(usize, usize),
    ) -> Result<Proposal, Error> {
        let source = Source { model, calibration, moments: None, options };
        self.of(source, samples, &worst_snr, progress)
    }

    /// The same as [`run`](Self::run) where the quantizer rounds the weights by GPTQ, with the moments of the model's inputs,
    /// and where SNR does not tell how good outputs are. What stands for it, in the proposal too, is `measure`: the dB of what
    /// a model gives against the float model's outputs, both for each sample a slice for each output. Infinity is for what is
    /// the same. Models run with [portable](Calibration::portable) kernels.
    ///
    /// # Errors
    /// Those of [`run`](Self::run) and of [`Quantizer::quantize_with_moments`].
    pub fn run_measured<S: Sample>(
        &self,
        model: &Model<'_>,
        calibration: &Calibration,
        moments: &SecondMoments,
        samples: impl IntoIterator<Item = S> + Clone,
        measure: impl Fn(&[Vec<Vec<f32>>], &[Vec<Vec<f32>>]) -> f64,
        progress: impl FnMut(usize, usize),
    ) -> Result<Proposal, Error> {
        let options = Calibration::portable();
        let source = Source { model, calibration, moments: Some(moments), options: &options };
        self.of(source, samples, &measure, progress)
    }

    fn of<S: Sample>(
        &self,
        source: Source<'_, '_>,
        samples: impl IntoIterator<Item = S> + Clone,
        measure: &Measure<'_>,
        mut progress: impl FnMut(usize, usize),
    ) -> Result<Proposal, Error> {
        let model = source.model;
        let graph = float_graph(model)?;
        let layers = Layer::all(graph);
        // Two for the sensitivity of each layer, two to improve it and one to take that back; and four for all together.
        let at_most = 5 * layers.len() + 4;
        let mut trials = Trials::new(self, source, samples, measure)?;
        let mut done = 0;
        let mut measure = |recipe| {
            let outcome = trials.outcome(recipe);
            done += 1;
            progress(done, at_most);
            outcome
        };
        let mut sensitivities = Vec::new();
        for layer in &layers {
            let mut alone = |precision| measure(recipe(graph, Precision::Float32, [(layer, precision)]));
            sensitivities.push([alone(Precision::Int8)?, alone(Precision::Int16x8)?]);
        }
        let mut everywhere = |precision| measure(recipe(graph, precision, []));
        let [int8, int16x8, float32] =
            [everywhere(Precision::Int8)?, everywhere(Precision::Int16x8)?, everywhere(Precision::Float32)?];
        let noise = |[int8, int16x8]: &[Outcome; 2]| [int8.noise(), int16x8.noise(), 0.0];
        let noise = sensitivities.iter().map(noise).collect();
        let goal = Goal { search: self, unit: int8.time };
        let mut choice = Choice::cheapest(goal, graph, &layers, noise, &mut measure)?;
        choice.improve()?;
        choice.take_back()?;
        let Choice { precisions, outcome, .. } = choice;
        let chosen = layers.iter().zip(precisions.iter().copied());
        Ok(Proposal {
            recipe: recipe(graph, Precision::Int8, chosen),
            layers: LayerSensitivity::all(graph, &layers, &sensitivities, &precisions),
            int8: int8.relative_to(int8.time),
            int16x8: int16x8.relative_to(int8.time),
            float32: float32.relative_to(int8.time),
            proposed: outcome.relative_to(int8.time),
            is_reached: goal.is_reached(outcome),
        })
    }
}

/// What a search is to reach.
#[derive(Clone, Copy)]
struct Goal<'s> {
    search: &'s Search,
    /// The estimated time of int8 everywhere.
    unit: f64,
}

impl Goal<'_> {
    fn is_reached(self, outcome: Outcome) -> bool {
        outcome.snr() >= self.search.snr_db
    }

    /// Those that layers may have; of those that cost the same, the first is chosen.
    fn precisions(self) -> &'static [Precision] {
        match self.search.quantizer.integer_only {
            true => &[Precision::Int8, Precision::Int16x8],
            false => &[Precision::Int8, Precision::Int16x8, Precision::Float32],
        }
    }

    fn is_affordable(self, outcome: Outcome) -> bool {
        self.search.at_most.is_none_or(|most| self.cost(outcome) <= most)
    }

    /// What is kept small.
    fn cost(self, outcome: Outcome) -> f64 {
        match self.search.cost {
            Cost::Time => outcome.time / self.unit,
            Cost::Bytes => outcome.constant_bytes as f64,
        }
    }
}
