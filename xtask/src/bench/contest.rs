//! The contest: our interpreter and LiteRT's, over one network after another, in all its schemes at once.

use std::fs;

use anyhow::{Context, Result, ensure};
use burnlite_tflite::Model;

use super::BenchOptions;
use super::litert::LiteRt;
use super::networks::{Files, Network, Scheme};
use super::ours::{Ours, sample, with_batch};
use super::race::{Runner, Times, race};
use super::summary::{Absence, Engine, Timing};

/// Samples of a batch, for the time of one among many.
pub(super) const BATCH: usize = 32;

/// How far our outputs may be from LiteRT's, as a share of the greatest: XNNPACK rounds int8 otherwise than the reference.
const TOLERANCE: f32 = 0.05;

/// The times, and what could not be timed.
#[derive(Debug, Default)]
pub(super) struct Contest {
    pub(super) results: Vec<Timing>,
    pub(super) absent: Vec<Absence>,
}

/// A file that is there and can be read.
struct Entry {
    scheme: Scheme,
    model: Model<'static>,
    batch: Model<'static>,
    sample: Vec<f32>,
}

/// What takes part in the race.
struct Contestant<'a> {
    engine: Engine,
    scheme: Scheme,
    batch: usize,
    runner: Box<dyn Runner + 'a>,
}

impl Contest {
    /// Times a network in all its schemes.
    ///
    /// # Errors
    /// Where LiteRT's process ends, or a model that ran once runs no more.
    pub(super) fn run(
        &mut self,
        network: &Network,
        files: &Files,
        litert: &LiteRt,
        options: &BenchOptions,
        progress: impl FnMut(),
    ) -> Result<()> {
        let mut entries = Vec::new();
        for scheme in network.schemes() {
            match Entry::read(network, scheme, files) {
                Ok(entry) => entries.push(entry),
                Err(error) => {
                    if scheme.is_ours() {
                        self.note_absence(network, Engine::Burnlite, scheme, &error);
                    }
                    self.note_absence(network, Engine::LiteRt, scheme, &error);
                }
            }
        }
        let mut contestants = Vec::new();
        for entry in &entries {
            self.enter(network, entry, files, litert, options, &mut contestants);
        }
        let labels: Vec<_> = contestants.iter().map(|it| (it.engine, it.scheme, it.batch)).collect();
        let runners = contestants.into_iter().map(|contestant| contestant.runner).collect();
        for ((engine, scheme, batch), times) in
            labels.into_iter().zip(race(runners, options.rounds, progress)?)
        {
            self.record(network, engine, scheme, batch, times);
        }
        Ok(())
    }

    /// Adds what runs a file.
    fn enter<'a>(
        &mut self,
        network: &Network,
        entry: &'a Entry,
        files: &Files,
        litert: &'a LiteRt,
        options: &BenchOptions,
        contestants: &mut Vec<Contestant<'a>>,
    ) {
        let scheme = entry.scheme;
        let theirs = litert.load(&files.path(network, scheme), &entry.sample);
        if scheme.is_ours() {
            let expected = theirs.as_ref().ok().map(|theirs| theirs.output());
            match entry.ours(options, expected) {
                Ok(ours) => contestants.extend(ours),
                Err(error) => self.note_absence(network, Engine::Burnlite, scheme, &error),
            }
        }
        match theirs {
            Ok(theirs) => {
                let runner = Box::new(theirs);
                contestants.push(Contestant { engine: Engine::LiteRt, scheme, batch: 1, runner });
            }
            Err(error) => self.note_absence(network, Engine::LiteRt, scheme, &error),
        }
    }

    /// Notes a time; that of a batch beside the one of a single sample.
    fn record(&mut self, network: &Network, engine: Engine, scheme: Scheme, batch: usize, times: Times) {
        let same = |timing: &&mut Timing| {
            (timing.network.as_str(), timing.engine, timing.scheme) == (network.name, engine, scheme)
        };
        match self.results.iter_mut().find(same) {
            Some(timing) if batch == BATCH => {
                timing.batch32_median_us = Some(times.median);
                timing.batch32_min_us = Some(times.least);
            }
            _ => self.results.push(Timing {
                network: network.name.into(),
                engine,
                scheme,
                median_us: times.median,
                min_us: times.least,
                batch32_median_us: None,
                batch32_min_us: None,
            }),
        }
    }

    fn note_absence(&mut self, network: &Network, engine: Engine, scheme: Scheme, error: &anyhow::Error) {
        let reason = format!("{error:#}");
        self.absent.push(Absence { network: network.name.into(), engine, scheme, reason });
    }
}

impl Entry {
    fn read(network: &Network, scheme: Scheme, files: &Files) -> Result<Self> {
        let path = files.path(network, scheme);
        let advice = || format!("cannot read '{}': run `{}` first", path.display(), files.maker(&path));
        let bytes = fs::read(&path).with_context(advice)?;
        let model = Model::from_bytes(&bytes)?.into_owned();
        let batch = with_batch(&model, BATCH)?;
        let sample = sample(&model)?;
        Ok(Self { scheme, model, batch, sample })
    }

    /// Our interpreter, for one sample and for a batch.
    fn ours(&self, options: &BenchOptions, expected: Option<&[f32]>) -> Result<[Contestant<'_>; 2]> {
        let contestant = |model, batch| -> Result<Contestant<'_>> {
            let runner = Box::new(checked(model, &self.sample, batch, options, expected)?);
            Ok(Contestant { engine: Engine::Burnlite, scheme: self.scheme, batch, runner })
        };
        let batch = || format!("in a batch of {BATCH}");
        Ok([contestant(&self.model, 1)?, contestant(&self.batch, BATCH).with_context(batch)?])
    }
}

/// Our interpreter, once its outputs are known to be what LiteRT computes.
fn checked<'m>(
    model: &'m Model<'_>,
    sample: &[f32],
    batch: usize,
    options: &BenchOptions,
    expected: Option<&[f32]>,
) -> Result<Ours<'m>> {
    let mut ours = Ours::new(model, sample, batch, options.kernels)?;
    let output = ours.output()?;
    if let Some(expected) = expected {
        ensure!(output.len() == expected.len() * batch, "it has another number of outputs than LiteRT's");
        let greatest = expected.iter().fold(0.0, |greatest: f32, value| greatest.max(value.abs()));
        let differences =
            output.iter().zip(expected.iter().cycle()).map(|(ours, theirs)| (ours - theirs).abs());
        let difference = differences.fold(0.0, f32::max);
        ensure!(
            difference <= TOLERANCE * greatest,
            "its outputs are up to {difference} from LiteRT's, whose greatest is {greatest}"
        );
    }
    Ok(ours)
}
