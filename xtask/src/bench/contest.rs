//! The contest: our interpreter and its rivals, over one network after another, in all its schemes at once.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use burnlite_runtime::Kernels;
use burnlite_tflite::Model;

use super::networks::{Files, Network, Scheme};
use super::ours::{Ours, sample, with_batch};
use super::race::{Runner, Times, race};
use super::rival::Rival;
use super::summary::{Absence, Engine, Timing};
use crate::files::Folder;

/// Samples of a batch, for the time of one among many.
pub(super) const BATCH: usize = 32;

/// How far outputs may be from LiteRT's, as a share of the greatest: XNNPACK rounds int8 otherwise than the reference.
const TOLERANCE: f32 = 0.05;

/// Who takes part, and how long; then the times, and what could not be timed.
pub(super) struct Contest<'c> {
    pub(super) files: &'c Files,
    /// The first is LiteRT: what it computes is what all others must compute.
    pub(super) rivals: &'c [Rival],
    pub(super) kernels: Kernels,
    pub(super) rounds: usize,
    pub(super) results: Vec<Timing>,
    pub(super) absent: Vec<Absence>,
}

/// A file that is there and can be read, with its input.
struct Entry {
    scheme: Scheme,
    batch: usize,
    path: PathBuf,
    model: Model<'static>,
    input: Vec<f32>,
}

/// What takes part in the race.
struct Contestant<'a> {
    engine: Engine,
    scheme: Scheme,
    batch: usize,
    runner: Box<dyn Runner + 'a>,
}

impl Contest<'_> {
    /// Times a network in all its schemes.
    ///
    /// # Errors
    /// Where a rival's process ends, or a model that ran once runs no more.
    pub(super) fn run(&mut self, network: &Network, progress: impl FnMut()) -> Result<()> {
        let mut entries = Vec::new();
        for &scheme in network.schemes {
            match Entry::read(network, scheme, self.files) {
                Ok(both) => entries.extend(both),
                Err(error) => self.engines(scheme).into_iter().for_each(|engine| {
                    self.note_absence(network, engine, scheme, &error);
                }),
            }
        }
        let mut contestants = Vec::new();
        for entry in &entries {
            self.enter(network, entry, &mut contestants);
        }
        let labels: Vec<_> = contestants.iter().map(|it| (it.engine, it.scheme, it.batch)).collect();
        let runners = contestants.into_iter().map(|contestant| contestant.runner).collect();
        for ((engine, scheme, batch), times) in labels.into_iter().zip(race(runners, self.rounds, progress)?)
        {
            self.record(network, engine, scheme, batch, times);
        }
        Ok(())
    }

    /// Everyone who is to run files of a scheme.
    fn engines(&self, scheme: Scheme) -> Vec<Engine> {
        let rivals = self.rivals.iter().map(Rival::engine);
        rivals.chain([Engine::Burnlite]).filter(|&engine| scheme.is_for(engine)).collect()
    }
}

impl<'c> Contest<'c> {
    /// Adds everyone who can run a file and computes what LiteRT does.
    fn enter<'a>(&mut self, network: &Network, entry: &'a Entry, contestants: &mut Vec<Contestant<'a>>)
    where
        'c: 'a,
    {
        let Entry { scheme, batch, .. } = *entry;
        let rivals = self.rivals;
        let mut expected = None;
        for engine in self.engines(scheme) {
            let rival = rivals.iter().find(|rival| rival.engine() == engine);
            match entry.load(rival, self.kernels, expected.as_deref()) {
                Ok((runner, output)) => {
                    contestants.push(Contestant { engine, scheme, batch, runner });
                    if engine == Engine::LiteRt {
                        expected = Some(output);
                    }
                }
                // What cannot run one sample needs no second reason for a batch.
                Err(_) if self.is_absent(network, engine, scheme) => {}
                Err(error) if batch == 1 => self.note_absence(network, engine, scheme, &error),
                Err(error) => {
                    let error = error.context(format!("in a batch of {batch}"));
                    self.note_absence(network, engine, scheme, &error);
                }
            }
        }
    }

    /// Notes a time; that of a batch beside the one of a single sample.
    fn record(&mut self, network: &Network, engine: Engine, scheme: Scheme, batch: usize, times: Times) {
        let (median, least) = (times.median / batch as f64, times.least / batch as f64);
        if batch == 1 {
            self.results.push(Timing {
                network: network.name.into(),
                engine,
                scheme,
                median_us: median,
                min_us: least,
                batch32_median_us: None,
                batch32_min_us: None,
            });
        } else if let Some(timing) = self.results.iter_mut().find(|it| it.is_of(network.name, engine, scheme))
        {
            timing.batch32_median_us = Some(median);
            timing.batch32_min_us = Some(least);
        }
    }

    fn is_absent(&self, network: &Network, engine: Engine, scheme: Scheme) -> bool {
        self.absent
            .iter()
            .any(|it| (it.network.as_str(), it.engine, it.scheme) == (network.name, engine, scheme))
    }

    fn note_absence(&mut self, network: &Network, engine: Engine, scheme: Scheme, error: &anyhow::Error) {
        let reason = format!("{error:#}");
        self.absent.push(Absence { network: network.name.into(), engine, scheme, reason });
    }
}

impl Entry {
    /// The file of a network, and beside it a file of the same model for a batch.
    fn read(network: &Network, scheme: Scheme, files: &Files) -> Result<[Self; 2]> {
        let path = files.path(network, scheme);
        let advice = || format!("cannot read '{}': run `{}` first", path.display(), files.maker(&path));
        let bytes = fs::read(&path).with_context(advice)?;
        let model = Model::from_bytes(&bytes)?.into_owned();
        let input = sample(&model)?;
        let folder = Folder::open(files.models.join(format!("batch{BATCH}")))?;
        let name = format!("{}_{scheme:?}.tflite", network.name);
        let batch = with_batch(&model, BATCH)?;
        folder.write(&name, &batch.to_bytes()?)?;
        Ok([
            Self { scheme, batch: 1, path, model, input: input.clone() },
            Self { scheme, batch: BATCH, path: folder.join(&name), model: batch, input: input.repeat(BATCH) },
        ])
    }

    /// The model in a rival, or in our interpreter, and its outputs, which have to be near what is expected.
    fn load<'a>(
        &'a self,
        rival: Option<&'a Rival>,
        kernels: Kernels,
        expected: Option<&[f32]>,
    ) -> Result<(Box<dyn Runner + 'a>, Vec<f32>)> {
        let (runner, output): (Box<dyn Runner>, _) = match rival {
            Some(rival) => {
                let (theirs, output) = rival.load(&self.path, &self.input)?;
                (Box::new(theirs), output)
            }
            None => {
                let mut ours = Ours::new(&self.model, &self.input, kernels)?;
                let output = ours.output()?;
                (Box::new(ours), output)
            }
        };
        expected.map_or(Ok(()), |expected| compare(&output, expected))?;
        Ok((runner, output))
    }
}

/// Refuses outputs that are not near what is expected.
fn compare(output: &[f32], expected: &[f32]) -> Result<()> {
    ensure!(output.len() == expected.len(), "it has another number of outputs than LiteRT");
    let greatest = expected.iter().fold(0.0, |greatest: f32, value| greatest.max(value.abs()));
    let differences = output.iter().zip(expected).map(|(ours, theirs)| (ours - theirs).abs());
    let difference = differences.fold(0.0, f32::max);
    ensure!(
        difference <= TOLERANCE * greatest,
        "its outputs are up to {difference} from LiteRT's, whose greatest is {greatest}"
    );
    Ok(())
}
