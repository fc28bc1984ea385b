//! Voices and music out of noise: a network that hides parts of a learned spectrum (Conv-TasNet: Luo and Mesgarani, 2019),
//! of gated, dilated convolutions (WaveNet: van den Oord and others, 2016).

mod signals;

use burn::module::Module;
use burn::nn::PaddingConfig2d;
use burn::nn::conv::{Conv2d, Conv2dConfig, ConvTranspose2d, ConvTranspose2dConfig};
use burn::tensor::activation::{relu, sigmoid, tanh};
use burn::tensor::{Device, Tensor};
use rayon::prelude::*;

use crate::application::{Application, Content, Data, Effort, Sample};
use crate::fit::{Restorer, fit};
use crate::layers::{image, pixels};
use crate::quality::Quality;
use crate::random::Random;

/// Samples of a second.
pub(crate) const RATE: usize = 16_000;

pub(crate) const APPLICATION: Application = Application {
    name: "audio",
    title: "noise cancelling",
    about: "a quarter of a second of a voice or music in noise in, the voice or the music out",
    baseline: "the noisy sound",
    quality: Quality::SiSdr { recording: WINDOWS },
    content: Content::Sound,
    effort: Effort { train: 3_200, test: 256, epochs: 10 },
    learning_rate: 0.002,
    draw: |seed, effort| Data {
        input_shape: [1, LENGTH, 1],
        output_shape: [1, LENGTH, 1],
        train: windows(seed, 0, effort.train),
        test: windows(seed, effort.train.div_ceil(WINDOWS), effort.test),
    },
    train: |data, training, on_step| fit(data, training, Network::new, on_step),
};

/// Samples of a window: 256 ms.
const LENGTH: usize = 4096;

/// Windows that follow each other in one recording: 4.1 s.
const WINDOWS: usize = 16;

/// Samples that become a frame, and samples from one frame to the next.
const FRAME: usize = 32;
const HOP: usize = FRAME / 2;

#[derive(Module, Debug)]
struct Network {
    encoder: Conv2d,
    blocks: Vec<Conv2d>,
    mask: Conv2d,
    decoder: ConvTranspose2d,
}

impl Network {
    fn new(device: &Device) -> Self {
        const CHANNELS: usize = 32;
        let side = HOP / 2;
        let block = |dilation| {
            Conv2dConfig::new([CHANNELS, 2 * CHANNELS], [1, 3])
                .with_dilation([1, dilation])
                .with_padding(PaddingConfig2d::Explicit(0, dilation, 0, dilation))
                .init(device)
        };
        Self {
            encoder: Conv2dConfig::new([1, CHANNELS], [1, FRAME])
                .with_stride([1, HOP])
                .with_padding(PaddingConfig2d::Explicit(0, side, 0, side))
                .init(device),
            blocks: [1, 2, 4, 8, 1, 2].map(block).into(),
            mask: Conv2dConfig::new([CHANNELS, CHANNELS], [1, 1]).init(device),
            decoder: ConvTranspose2dConfig::new([CHANNELS, 1], [1, FRAME])
                .with_stride([1, HOP])
                .with_padding([0, side])
                .init(device),
        }
    }
}

impl Restorer for Network {
    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let frames = relu(self.encoder.forward(image(x)));
        let mut x = frames.clone();
        for block in &self.blocks {
            let both = block.forward(x.clone());
            let half = both.dims()[1] / 2;
            x = x + tanh(both.clone().narrow(1, 0, half)) * sigmoid(both.narrow(1, half, half));
        }
        pixels(self.decoder.forward(frames * sigmoid(self.mask.forward(x))))
    }

    /// The logarithm of the error's share of the signal's power, so that what is quiet counts as much as what is loud.
    fn loss(output: Tensor<4>, truth: Tensor<4>) -> Tensor<1> {
        let power = |x: Tensor<4>| x.powi_scalar(2).mean_dim(2).add_scalar(1e-6);
        (power(output - truth.clone()) / power(truth)).log().mean()
    }
}

/// So many windows of the recordings from the number `first` on.
fn windows(seed: u64, first: usize, count: usize) -> Vec<Sample> {
    let recordings = first..first + count.div_ceil(WINDOWS);
    let samples = recordings.into_par_iter().flat_map_iter(|number| recording(seed, number as u64));
    let mut samples: Vec<Sample> = samples.collect();
    samples.truncate(count);
    samples
}

/// The windows of a recording, and the same with noise.
fn recording(seed: u64, number: u64) -> Vec<Sample> {
    let recording = signals::recording(&mut Random::new(seed, number), WINDOWS * LENGTH);
    let pairs = recording.clean.chunks_exact(LENGTH).zip(recording.noisy.chunks_exact(LENGTH));
    let sample = |(clean, noisy): (&[f32], &[f32])| Sample {
        input: noisy.to_vec(),
        truth: clean.to_vec(),
        baseline: noisy.to_vec(),
    };
    pairs.map(sample).collect()
}
