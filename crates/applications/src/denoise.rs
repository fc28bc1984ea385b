//! Pictures of a sensor in the dark: a network that finds the noise (DnCNN: Zhang and others, 2017).

use burn::module::Module;
use burn::nn::conv::Conv2d;
use burn::tensor::activation::relu;
use burn::tensor::{Device, Tensor};

use crate::application::{Application, Content, Data, Effort, Sample};
use crate::fit::{Restorer, fit};
use crate::layers::{conv, image, pixels};
use crate::quality::Quality;
use crate::random::Random;

pub(crate) const APPLICATION: Application = Application {
    name: "denoise",
    title: "image de-noising",
    about: "a texture with a sensor's noise in, the texture out",
    baseline: "the noisy image",
    quality: Quality::Psnr,
    content: Content::Grey,
    effort: Effort { train: 2_400, test: 100, epochs: 10 },
    learning_rate: 0.002,
    draw: |seed, effort| {
        Data::draw([SIDE, SIDE, 1], [SIDE, SIDE, 1], effort, |index| sample(&mut Random::new(seed, index)))
    },
    train: |data, training, on_step| fit(data, training, Network::new, on_step),
};

/// Height and width.
const SIDE: usize = 32;

/// The standard deviation of the noise, for brightness of 0 to 1.
const NOISE: f32 = 0.02;

#[derive(Module, Debug)]
struct Network {
    convs: Vec<Conv2d>,
}

impl Network {
    fn new(device: &Device) -> Self {
        const CHANNELS: usize = 20;
        let mut convs = vec![conv([1, CHANNELS], 3, device)];
        convs.extend((0..4).map(|_| conv([CHANNELS, CHANNELS], 3, device)));
        convs.push(conv([CHANNELS, 1], 3, device));
        Self { convs }
    }
}

impl Restorer for Network {
    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let noisy = image(x);
        let (last, first) = self.convs.split_last().expect("there are six");
        let x = first.iter().fold(noisy.clone(), |x, conv| relu(conv.forward(x)));
        pixels(noisy - last.forward(x))
    }
}

/// A texture and the same with noise.
fn sample(random: &mut Random) -> Sample {
    let truth = texture(random);
    let input: Vec<f32> = truth.iter().map(|value| value + NOISE * random.normal()).collect();
    Sample { baseline: input.clone(), input, truth }
}

/// Waves, an edge and a disk, of any brightness between 0.05 and 0.95.
fn texture(random: &mut Random) -> Vec<f32> {
    let waves: Vec<[f32; 4]> = (0..1 + random.below(3))
        .map(|_| {
            let (angle, period) = (random.uniform(0.0, core::f32::consts::PI), random.logarithmic(4.0, 40.0));
            let [x, y] =
                [libm::cosf(angle), libm::sinf(angle)].map(|part| part * core::f32::consts::TAU / period);
            [x, y, random.uniform(0.0, core::f32::consts::TAU), random.uniform(0.05, 0.4)]
        })
        .collect();
    let edge = [
        random.uniform(-1.0, 1.0),
        random.uniform(-1.0, 1.0),
        random.uniform(-12.0, 12.0),
        random.uniform(-0.5, 0.5),
    ];
    let disk = [
        random.uniform(0.0, 32.0),
        random.uniform(0.0, 32.0),
        random.uniform(3.0, 10.0),
        random.uniform(-0.5, 0.5),
    ];
    let values: Vec<f32> = (0..SIDE * SIDE)
        .map(|index| {
            let (y, x) = ((index / SIDE) as f32, (index % SIDE) as f32);
            let wave: f32 = waves
                .iter()
                .map(|[kx, ky, phase, height]| height * libm::sinf(kx * x + ky * y + phase))
                .sum();
            // Both borders are a pixel wide.
            let beyond = (edge[0] * (x - 16.0) + edge[1] * (y - 16.0) - edge[2] + 0.5).clamp(0.0, 1.0);
            let inside = (disk[2] - libm::hypotf(x - disk[0], y - disk[1]) + 0.5).clamp(0.0, 1.0);
            wave + edge[3] * beyond + disk[3] * inside
        })
        .collect();
    let (low, high) = values.iter().fold((f32::MAX, f32::MIN), |(low, high), &v| (low.min(v), high.max(v)));
    let (from, to) = (random.uniform(0.05, 0.4), random.uniform(0.5, 0.95));
    values.iter().map(|value| from + (to - from) * (value - low) / (high - low).max(1e-3)).collect()
}
