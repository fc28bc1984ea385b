//! An application's models: the float one, and what quantization makes of it.

use anyhow::Result;
use burnlite_applications::{Application, Data, Quality, Sample};
use burnlite_quantize::{
    Calibration, Precision, Proposal, Quantizer, Scheme, Search, SecondMoments, WeightRounding,
};
use burnlite_runtime::Interpreter;
use burnlite_tflite::Model;

use super::measure::{outputs, pairs};

/// Training samples over which a float model is calibrated.
const CALIBRATION_SAMPLES: usize = 100;
/// Training samples on which a search measures recipes.
const SEARCH_SAMPLES: usize = 20;
/// What mixed precision may take from the quality of training samples, in dB: half of what is to be kept to on others.
const MAY_LOSE: f64 = 0.05;
/// Searches for a mixture at most.
const SEARCHES: usize = 4;

/// The models by their names, the float one first; inputs and outputs are float.
pub(super) struct Variants<'m> {
    pub(super) models: Vec<(&'static str, Model<'m>)>,
    /// Where one of them is `mixed`, the search's proposal that it follows.
    pub(super) proposal: Option<Proposal>,
}

impl<'m> Variants<'m> {
    /// Quantizes a model to 16x8, to int8 and, where a search proposes layers of both, to a mixture.
    pub(super) fn new(application: &Application, model: &Model<'m>, data: &Data) -> Result<Self> {
        let (seen, fresh) = data.train.split_at(data.train.len() * 4 / 5);
        let samples = spread(seen, CALIBRATION_SAMPLES).map(input);
        let source = Source {
            model,
            calibration: Calibration::run(model, samples.clone(), |_| ())?,
            moments: SecondMoments::run(model, &Calibration::portable(), samples, |_| ())?,
        };
        let int16x8 = source.quantized(&quantizer(Scheme::Int16x8))?;
        let int8 = source.quantized(&quantizer(Scheme::Int8))?;
        let mixture = Trials::new(application.quality, &source, fresh)?.mixture(&int8, &int16x8)?;
        let mut models = vec![("float32", model.clone()), ("16x8", int16x8), ("int8", int8)];
        let proposal = mixture.map(|(model, proposal)| {
            models.push(("mixed", model));
            proposal
        });
        Ok(Self { models, proposal })
    }
}

/// A float model, and what was seen of it.
struct Source<'s, 'm> {
    model: &'s Model<'m>,
    calibration: Calibration,
    moments: SecondMoments,
}

impl<'m> Source<'_, 'm> {
    fn quantized(&self, quantizer: &Quantizer) -> Result<Model<'m>> {
        Ok(quantizer.quantize_with_moments(self.model, &self.calibration, &self.moments)?.0)
    }
}

/// Mixtures, tried on fresh samples.
struct Trials<'s, 'm> {
    source: &'s Source<'s, 'm>,
    quality: Quality,
    samples: &'s [Sample],
    /// The float model's outputs.
    floats: Vec<Vec<f32>>,
}

/// How good a model is.
#[derive(Debug, Clone, Copy)]
struct Trial {
    /// What it takes from the float model's quality, in dB.
    lost: f64,
    /// Its quality against the float model's outputs, as searches see it.
    to_float: f64,
}

impl<'s, 'm> Trials<'s, 'm> {
    fn new(quality: Quality, source: &'s Source<'s, 'm>, samples: &'s [Sample]) -> Result<Self> {
        let floats = outputs(&Interpreter::new(source.model)?, samples)?;
        Ok(Self { source, quality, samples, floats })
    }

    /// The fastest mixture of int8 and 16x8 that loses no more than it may; `None` where int8 does not either, or nothing
    /// but 16x8.
    ///
    /// A search knows the float model's outputs and not the truth: it is asked for as much more as the last model lacked, but
    /// for no more than half the way to 16x8.
    fn mixture(&self, int8: &Model<'m>, int16x8: &Model<'m>) -> Result<Option<(Model<'m>, Proposal)>> {
        let most = self.trial(int16x8)?.to_float;
        let mut last = self.trial(int8)?;
        if last.lost <= MAY_LOSE {
            return Ok(None);
        }
        for _ in 0..SEARCHES {
            let proposal =
                self.proposal((last.to_float + last.lacking()).min((last.to_float + most) / 2.0))?;
            let model = self.source.quantized(&quantizer(Scheme::Int8).recipe(proposal.recipe.clone()))?;
            last = self.trial(&model)?;
            if last.lost <= MAY_LOSE {
                return Ok(is_mixture(&proposal).then_some((model, proposal)));
            }
        }
        Ok(None)
    }

    fn proposal(&self, least: f64) -> Result<Proposal> {
        let Source { model, calibration, moments } = self.source;
        let samples = spread(self.samples, SEARCH_SAMPLES).map(input);
        let measure = |floats: &[Vec<Vec<f32>>], found: &[Vec<Vec<f32>>]| {
            self.mean(floats.iter().flatten().zip(found.iter().flatten()))
        };
        let search = Search::new(quantizer(Scheme::Int8), least);
        Ok(search.run_measured(model, calibration, moments, samples, measure, |_, _| ())?)
    }

    fn trial(&self, model: &Model<'_>) -> Result<Trial> {
        let found = outputs(&Interpreter::new(model)?, self.samples)?;
        let quality = |found| self.quality.of(pairs(self.samples.iter().map(|sample| &sample.truth), found));
        let searched = spread(&self.floats, SEARCH_SAMPLES).zip(spread(&found, SEARCH_SAMPLES));
        Ok(Trial { lost: quality(&self.floats) - quality(&found), to_float: self.mean(searched) })
    }

    /// The mean quality of outputs, each by itself: the quiet and the dark count as much as the loud and the light. What no
    /// one would see or hear counts as 100 dB.
    fn mean<'v>(&self, outputs: impl Iterator<Item = (&'v Vec<f32>, &'v Vec<f32>)>) -> f64 {
        let quality = |(expected, found): (&'v Vec<f32>, &'v Vec<f32>)| {
            let quality = self.quality.of([(&expected[..], &found[..])]);
            // Of silence it is not a number.
            if quality > 0.0 { quality.min(100.0) } else { 0.0 }
        };
        let qualities: Vec<f64> = outputs.map(quality).collect();
        qualities.iter().sum::<f64>() / qualities.len() as f64
    }
}

impl Trial {
    /// By how many dB its errors have to be less, if they have nothing to do with the float model's own: then their powers add.
    fn lacking(self) -> f64 {
        let share = |lost: f64| 10f64.powf(lost / 10.0) - 1.0;
        10.0 * (share(self.lost) / share(MAY_LOSE)).log10()
    }
}

fn quantizer(scheme: Scheme) -> Quantizer {
    Quantizer::new(scheme).integer_only(true).weight_rounding(WeightRounding::Gptq)
}

/// About so many of the samples, from the first to the last. The step is odd: windows of sound are taken from the beginnings,
/// the middles and the ends of their recordings.
fn spread<T>(samples: &[T], count: usize) -> impl Iterator<Item = &T> + Clone {
    samples.iter().step_by((samples.len() / count).saturating_sub(1) | 1)
}

fn input(sample: &Sample) -> [&[f32]; 1] {
    [&sample.input]
}

/// Whether layers have either precision.
fn is_mixture(proposal: &Proposal) -> bool {
    let has = |precision: Precision| proposal.layers.iter().any(|layer| layer.precision == precision);
    has(Precision::Int8) && has(Precision::Int16x8)
}
