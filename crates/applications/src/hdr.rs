//! The light that a camera cut off: radiance from one 8-bit picture, by a small U-Net.

use burn::module::Module;
use burn::nn::conv::{Conv2d, ConvTranspose2d, ConvTranspose2dConfig};
use burn::nn::pool::{MaxPool2d, MaxPool2dConfig};
use burn::tensor::activation::relu;
use burn::tensor::{Device, Tensor};

use crate::application::{Application, Content, Data, Effort, Sample};
use crate::fit::{Restorer, fit};
use crate::layers::{conv, image, pixels};
use crate::quality::{MU, Quality};
use crate::random::Random;

pub(crate) const APPLICATION: Application = Application {
    name: "hdr",
    title: "HDR from a single picture",
    about: "an 8-bit picture whose lights are cut off in, the radiance of the scene out",
    baseline: "the picture, linear",
    quality: Quality::PsnrMu { peak: PEAK },
    content: Content::Radiance,
    effort: Effort { train: 2_400, test: 100, epochs: 12 },
    learning_rate: 0.002,
    draw: |seed, effort| {
        Data::draw([SIDE, SIDE, 3], [SIDE, SIDE, 3], effort, |index| sample(&mut Random::new(seed, index)))
    },
    train: |data, training, on_step| fit(data, training, Network::new, on_step),
};

/// Height and width.
const SIDE: usize = 32;

/// The largest radiance; the camera writes 255 for everything from 1 on.
const PEAK: f32 = 16.0;

/// The exponent of the camera's curve.
const GAMMA: f32 = 2.2;

#[derive(Module, Debug)]
struct Network {
    down: Vec<Conv2d>,
    pool: MaxPool2d,
    middle: Vec<Conv2d>,
    up: ConvTranspose2d,
    join: Conv2d,
    last: Conv2d,
}

impl Network {
    fn new(device: &Device) -> Self {
        Self {
            down: vec![conv([3, 16], 3, device), conv([16, 16], 3, device)],
            pool: MaxPool2dConfig::new([2, 2]).with_strides([2, 2]).init(),
            middle: vec![conv([16, 32], 3, device), conv([32, 32], 5, device)],
            up: ConvTranspose2dConfig::new([32, 16], [2, 2]).with_stride([2, 2]).init(device),
            join: conv([32, 16], 3, device),
            last: conv([16, 3], 3, device),
        }
    }
}

impl Restorer for Network {
    /// The network adds to the square of the picture, which is nearly linear.
    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let picture = image(x);
        let layers = |convs: &[Conv2d], x| convs.iter().fold(x, |x, conv| relu(conv.forward(x)));
        let fine = layers(&self.down, picture.clone());
        let coarse = layers(&self.middle, self.pool.forward(fine.clone()));
        let joined = Tensor::cat(vec![self.up.forward(coarse), fine], 1);
        let missing = self.last.forward(relu(self.join.forward(joined)));
        pixels(relu(picture.clone() * picture + missing))
    }

    /// The mean squared error on the μ-law curve.
    fn loss(output: Tensor<4>, truth: Tensor<4>) -> Tensor<1> {
        let curve = |x: Tensor<4>| x.mul_scalar(MU / PEAK).log1p().div_scalar(libm::log1pf(MU));
        (curve(output) - curve(truth)).powi_scalar(2).mean()
    }
}

/// A scene, and what a camera makes of it.
fn sample(random: &mut Random) -> Sample {
    let truth = scene(random);
    let input: Vec<f32> = truth.iter().map(|&radiance| camera(radiance)).collect();
    let baseline = input.iter().map(|&value| libm::powf(value, GAMMA)).collect();
    Sample { input, truth, baseline }
}

/// The 8 bits that a camera writes, 0 to 1.
fn camera(radiance: f32) -> f32 {
    libm::roundf(255.0 * libm::powf(radiance.clamp(0.0, 1.0), 1.0 / GAMMA)) / 255.0
}

/// A room in the dark with a window and lamps, whose light falls off around them: `[32, 32, 3]`.
fn scene(random: &mut Random) -> Vec<f32> {
    let mut colour = |low: f32, high: f32| {
        let level = random.logarithmic(low, high);
        [0; 3].map(|_| level * random.uniform(0.75, 1.25))
    };
    let (dark, wall, window) = (colour(0.005, 0.05), colour(0.05, 0.4), colour(0.5, 6.0));
    let lamps: Vec<[f32; 3]> = (0..3).map(|_| colour(2.0, 14.0)).collect();
    let mut place = |low, high| random.uniform(low, high);
    let horizon = place(8.0, 24.0);
    let (left, top) = (place(2.0, 20.0), place(2.0, 16.0));
    let (right, bottom) = (left + place(4.0, 10.0), top + place(4.0, 12.0));
    let lamps: Vec<([f32; 3], [f32; 3])> = lamps
        .iter()
        .take(1 + usize::from(horizon > 16.0) + usize::from(left > 11.0))
        .map(|&light| ([place(2.0, 30.0), place(2.0, 30.0), place(1.0, 3.0)], light))
        .collect();
    let texture = [place(0.2, 1.2), place(0.2, 1.2)];
    let radiance = |index: usize| {
        let (y, x, channel) = ((index / 3 / SIDE) as f32, (index / 3 % SIDE) as f32, index % 3);
        let grain = 1.0 + 0.2 * libm::sinf(x * texture[0]) * libm::sinf(y * texture[1]);
        let shade = (y - horizon).clamp(0.0, 1.0);
        let mut sum = grain * (wall[channel] * (1.0 - shade) + dark[channel] * shade);
        if (left..right).contains(&x) && (top..bottom).contains(&y) {
            sum = window[channel] * (1.0 - 0.4 * (y - top) / (bottom - top));
        }
        for ([lamp_x, lamp_y, radius], light) in &lamps {
            let distance = libm::hypotf(x - lamp_x, y - lamp_y) / radius;
            // A disk with a halo.
            sum += light[channel] * libm::expf(-distance * distance)
                + 0.02 * light[channel] / (1.0 + distance * distance);
        }
        sum.min(PEAK)
    };
    (0..SIDE * SIDE * 3).map(radiance).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_are_of_8_bits_and_some_of_their_light_is_cut_off() {
        let samples: Vec<Sample> = (0..50).map(|index| sample(&mut Random::new(1, index))).collect();
        let count = |holds: fn(&f32) -> bool, part: fn(&Sample) -> &[f32]| {
            samples.iter().flat_map(part).filter(|value| holds(value)).count() as f64 / (50.0 * 3072.0)
        };
        let cut_off = count(|&value| value == 1.0, |sample| &sample.input);
        assert!((0.03..0.3).contains(&cut_off), "{cut_off}");
        let dark = count(|&value| value < 0.05, |sample| &sample.truth);
        assert!((0.15..0.7).contains(&dark), "{dark}");
        let whole = |value: &f32| libm::fabsf(value * 255.0 - libm::roundf(value * 255.0)) < 1e-3;
        assert!(samples.iter().flat_map(|sample| &sample.input).all(whole));
    }
}
