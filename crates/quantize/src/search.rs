//! The search for a recipe: which layers need more than int8, and how much more.

mod cost;
mod layers;
mod proposal;
mod trial;

use burnlite_runtime::InterpreterOptions;
use burnlite_tflite::{Graph, Model};

pub use cost::Cost;
use cost::{BY_WIDTH, Pace};
use layers::{Layer, recipe};
pub use proposal::{LayerSensitivity, Outcome, Proposal};
use trial::Trials;

use crate::calibrate::{Sample, float_graph};
use crate::{Calibration, Error, Precision, Quantizer};

/// A search for the [recipe](crate::Recipe) that errs no more than it may, at the least cost.
///
/// It first measures how sensitive each layer is: what the model's outputs lose on samples when this layer alone is int8,
/// or 16x8, and everything else float. A layer is an operator that computes new numbers, with those behind it that only
/// move them. Then everything becomes int8, and as long as the outputs err too much, the layer is made more exact whose
/// error falls most for what that costs; the whole model is quantized and measured each time. What turns out not to be
/// needed is taken back at the end.
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
    /// everything but the recipe; its scheme is that of inputs and outputs.
    pub const fn new(quantizer: Quantizer, snr_db: f64) -> Self {
        Self { quantizer, snr_db, cost: Cost::Time, at_most: None, pace: BY_WIDTH }
    }

    /// The same with another cost that is to be small.
    pub const fn cost(mut self, cost: Cost) -> Self {
        self.cost = cost;
        self
    }

    /// The same with a budget: no recipe that costs more, in bytes or in the time of int8, is proposed, even if its
    /// outputs then err more than they may. Where int8 everywhere costs more, that is proposed.
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
        mut progress: impl FnMut(usize, usize),
    ) -> Result<Proposal, Error> {
        let graph = float_graph(model)?;
        let layers = Layer::all(graph);
        // Two for the sensitivity of each layer and two to improve it, one to take that back, and three for everything.
        let at_most = 5 * layers.len() + 3;
        let mut trials = Trials::new(self, model, calibration, options, samples)?;
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
        let noise = sensitivities.iter().map(|[int8, int16x8]| [int8.noise(), int16x8.noise(), 0.0]);
        let mut choice = Choice {
            search: self,
            graph,
            layers: &layers,
            noise: noise.collect(),
            precisions: vec![Precision::Int8; layers.len()],
            outcome: int8,
            unit: int8.time,
        };
        choice.improve(&mut measure)?;
        choice.take_back(&mut measure)?;
        let Choice { precisions, outcome, .. } = choice;
        let chosen = layers.iter().zip(precisions.iter().copied());
        Ok(Proposal {
            recipe: recipe(graph, Precision::Int8, chosen),
            layers: LayerSensitivity::all(graph, &layers, &sensitivities, &precisions),
            int8: int8.relative_to(int8.time),
            int16x8: int16x8.relative_to(int8.time),
            float32: float32.relative_to(int8.time),
            proposed: outcome.relative_to(int8.time),
            is_reached: self.is_reached(outcome),
        })
    }

    fn is_reached(&self, outcome: Outcome) -> bool {
        outcome.snr() >= self.snr_db
    }

    /// What is kept small, in its unit.
    fn cost_of(&self, outcome: Outcome, unit: f64) -> f64 {
        match self.cost {
            Cost::Time => outcome.time / unit,
            Cost::Bytes => outcome.constant_bytes as f64,
        }
    }
}

/// The precisions that the layers have so far.
struct Choice<'s, 'a> {
    search: &'s Search,
    graph: &'s Graph<'a>,
    layers: &'s [Layer],
    /// The share of noise in the outputs that each layer alone brings, by precision.
    noise: Vec<[f64; 3]>,
    precisions: Vec<Precision>,
    outcome: Outcome,
    /// The time of int8.
    unit: f64,
}

/// The precisions of a layer, from the cheapest to the most exact.
const LADDER: [Precision; 3] = [Precision::Int8, Precision::Int16x8, Precision::Float32];

impl Choice<'_, '_> {
    /// Makes layers more exact until the outputs err no more than they may, or nothing is left that would help.
    fn improve(
        &mut self,
        measure: &mut impl FnMut(crate::Recipe) -> Result<Outcome, Error>,
    ) -> Result<(), Error> {
        let mut steps = self.steps();
        while !self.search.is_reached(self.outcome) {
            let best =
                (0..steps.len()).max_by(|&a, &b| self.worth(steps[a]).total_cmp(&self.worth(steps[b])));
            let Some((layer, precision)) = best.map(|best| steps.swap_remove(best)) else { break };
            if self.gain((layer, precision)) > 0.0 {
                let outcome = self.tried(layer, precision, measure)?;
                if self.search.at_most.is_none_or(|most| self.search.cost_of(outcome, self.unit) <= most) {
                    (self.precisions[layer], self.outcome) = (precision, outcome);
                }
            }
        }
        Ok(())
    }

    /// Makes layers less exact again, the costliest first, where that does no harm.
    fn take_back(
        &mut self,
        measure: &mut impl FnMut(crate::Recipe) -> Result<Outcome, Error>,
    ) -> Result<(), Error> {
        if !self.search.is_reached(self.outcome) {
            return Ok(());
        }
        let mut improved: Vec<usize> =
            (0..self.layers.len()).filter(|&layer| self.precisions[layer] != LADDER[0]).collect();
        improved.sort_by(|&a, &b| self.extra(b).total_cmp(&self.extra(a)));
        for layer in improved {
            let outcome = self.tried(layer, LADDER[0], measure)?;
            let saves =
                self.search.cost_of(outcome, self.unit) <= self.search.cost_of(self.outcome, self.unit);
            if self.search.is_reached(outcome) && saves {
                (self.precisions[layer], self.outcome) = (LADDER[0], outcome);
            }
        }
        Ok(())
    }

    /// The outcome if a layer had another precision.
    fn tried(
        &self,
        layer: usize,
        precision: Precision,
        measure: &mut impl FnMut(crate::Recipe) -> Result<Outcome, Error>,
    ) -> Result<Outcome, Error> {
        let precisions = self.precisions.iter().copied().enumerate();
        let tried = precisions.map(|(index, other)| if index == layer { precision } else { other });
        measure(recipe(self.graph, LADDER[0], self.layers.iter().zip(tried)))
    }

    /// Every layer in every precision that it does not have yet.
    fn steps(&self) -> Vec<(usize, Precision)> {
        let of_layer = |layer| LADDER[1..].iter().map(move |&precision| (layer, precision));
        (0..self.layers.len()).flat_map(of_layer).collect()
    }

    /// What a step gains for what it costs.
    fn worth(&self, (layer, precision): (usize, Precision)) -> f64 {
        let cost = self.cost(layer, precision) - self.cost(layer, self.precisions[layer]);
        self.gain((layer, precision)) / cost.max(1.0)
    }

    /// By how much the share of noise falls, if those of the layers add up.
    fn gain(&self, (layer, precision): (usize, Precision)) -> f64 {
        let noise = |precision: Precision| self.noise[layer][precision as usize];
        noise(self.precisions[layer]) - noise(precision)
    }

    /// What a layer costs more than it could.
    fn extra(&self, layer: usize) -> f64 {
        self.cost(layer, self.precisions[layer]) - self.cost(layer, LADDER[0])
    }

    fn cost(&self, layer: usize, precision: Precision) -> f64 {
        cost::of_layer(self.graph, &self.layers[layer], precision, self.search.cost, self.search.pace)
    }
}
