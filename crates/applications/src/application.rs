//! The applications as a table.

use burnlite_tflite::Model;
use rayon::prelude::*;

use crate::error::Error;
use crate::fit::{Progress, Training};
use crate::quality::Quality;
use crate::{audio, denoise, hdr, super_resolution};

/// One of the four tasks: its data, its network, and how well it is done.
#[derive(Debug, Clone, Copy)]
pub struct Application {
    /// The name in commands and files.
    pub name: &'static str,
    /// The name for people.
    pub title: &'static str,
    /// What goes in and what comes out, in a sentence.
    pub about: &'static str,
    /// What can be done without a network: [`Sample::baseline`].
    pub baseline: &'static str,
    /// How outputs are measured.
    pub quality: Quality,
    /// What the numbers are.
    pub content: Content,
    /// Samples and epochs of a full run.
    pub effort: Effort,
    pub(crate) learning_rate: f64,
    pub(crate) draw: fn(u64, Effort) -> Data,
    pub(crate) train: Train,
}

/// Trains a network, and says how it gets on.
pub(crate) type Train = fn(&Data, &Training, &mut dyn FnMut(&Progress)) -> Result<Model<'static>, Error>;

/// What an application's numbers are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Content {
    /// Brightness, 0 to 1: `[H, W, 1]`.
    Grey,
    /// Radiance of red, green and blue, 0 and above: `[H, W, 3]`. Inputs are what a camera writes, 0 to 1.
    Radiance,
    /// Sound pressure, -1 to 1, at 16 kHz: `[1, T, 1]`.
    Sound,
}

/// How much data and training.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Effort {
    /// Samples to train on.
    pub train: usize,
    /// Samples to measure with.
    pub test: usize,
    /// Passes over the training samples.
    pub epochs: usize,
}

/// What goes in, and what should come out.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// The network's input: [`Data::input_shape`].
    pub input: Vec<f32>,
    /// What a perfect network gives: [`Data::output_shape`].
    pub truth: Vec<f32>,
    /// What can be had without a network: [`Data::output_shape`].
    pub baseline: Vec<f32>,
}

/// Samples to train on and others to measure with.
#[derive(Debug, Clone, PartialEq)]
pub struct Data {
    /// The shape of an input: `[H, W, C]`.
    pub input_shape: [usize; 3],
    /// The shape of an output: `[H, W, C]`.
    pub output_shape: [usize; 3],
    /// What the network is trained on.
    pub train: Vec<Sample>,
    /// What it has not seen.
    pub test: Vec<Sample>,
}

/// All of them.
pub static APPLICATIONS: [Application; 4] =
    [super_resolution::APPLICATION, audio::APPLICATION, denoise::APPLICATION, hdr::APPLICATION];

impl Application {
    /// The application of that name.
    pub fn by_name(name: &str) -> Option<&'static Self> {
        APPLICATIONS.iter().find(|application| application.name == name)
    }

    /// The samples that a seed means; the same ones on every machine.
    pub fn data(&self, seed: u64, effort: Effort) -> Data {
        (self.draw)(seed, effort)
    }

    /// Trains the network on the training samples, that many times over, and exports it: float32, input `[N, H, W, C]`,
    /// output likewise.
    ///
    /// The same data and seed give the same model on one machine, however many threads it has.
    ///
    /// # Errors
    /// [`Error::NoSamples`], [`Error::Diverged`], and the exporter's.
    pub fn train(
        &self,
        data: &Data,
        seed: u64,
        epochs: usize,
        mut on_step: impl FnMut(&Progress),
    ) -> Result<Model<'static>, Error> {
        let training = Training { application: self.name, seed, epochs, learning_rate: self.learning_rate };
        let mut model = (self.train)(data, &training, &mut on_step)?;
        model.description = format!("Burnlite's {}", self.title);
        Ok(model)
    }
}

impl Data {
    /// Draws the samples, each from its own number: first those to train on, then the others.
    pub(crate) fn draw(
        input_shape: [usize; 3],
        output_shape: [usize; 3],
        effort: Effort,
        sample: impl Fn(u64) -> Sample + Sync + Send,
    ) -> Self {
        let numbers = 0..(effort.train + effort.test) as u64;
        let mut train: Vec<Sample> = numbers.into_par_iter().map(sample).collect();
        let test = train.split_off(effort.train);
        Self { input_shape, output_shape, train, test }
    }
}
