//! Digits of 14x14 pixels to 28x28: an efficient sub-pixel network (ESPCN: Shi and others, 2016).

use burn::module::Module;
use burn::nn::conv::Conv2d;
use burn::nn::{PixelShuffle, PixelShuffleConfig};
use burn::tensor::activation::relu;
use burn::tensor::{Device, Tensor};
use burnlite_mnist::{Digits, SIDE};

use crate::application::{Application, Content, Data, Effort, Sample};
use crate::fit::{Restorer, fit};
use crate::layers::{conv, image, pixels};
use crate::quality::Quality;

pub(crate) const APPLICATION: Application = Application {
    name: "super-resolution",
    title: "2x super-resolution",
    about: "a digit of 14x14 pixels in, the 28x28 pixels that it was made from out",
    baseline: "bicubic",
    quality: Quality::Psnr,
    content: Content::Grey,
    effort: Effort { train: 6_000, test: 200, epochs: 12 },
    learning_rate: 0.002,
    draw: |seed, effort| {
        let digits = Digits::generate(seed, effort.train, effort.test);
        Data::draw([LOW, LOW, 1], [SIDE, SIDE, 1], effort, |index| {
            let index = index as usize;
            sample(match index.checked_sub(effort.train) {
                None => digits.train.normalized(index).to_vec(),
                Some(index) => digits.test.normalized(index).to_vec(),
            })
        })
    },
    train: |data, training, on_step| fit(data, training, Network::new, on_step),
};

/// Height and width of an input.
const LOW: usize = SIDE / 2;

/// Convolutions at the low resolution; the last one gives the four pixels of each pixel.
#[derive(Module, Debug)]
struct Network {
    convs: Vec<Conv2d>,
    shuffle: PixelShuffle,
}

impl Network {
    fn new(device: &Device) -> Self {
        let convs = vec![
            conv([1, 32], 5, device),
            conv([32, 32], 3, device),
            conv([32, 32], 3, device),
            conv([32, 4], 3, device),
        ];
        Self { convs, shuffle: PixelShuffleConfig::new(2).init() }
    }
}

impl Restorer for Network {
    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let (last, first) = self.convs.split_last().expect("there are four");
        let x = first.iter().fold(image(x), |x, conv| relu(conv.forward(x)));
        pixels(self.shuffle.forward(last.forward(x)))
    }
}

/// A digit, its means over 2x2 pixels, and what bicubic interpolation makes of them.
fn sample(truth: Vec<f32>) -> Sample {
    let at = |y: usize, x: usize| truth[y * SIDE + x];
    let mean = |index: usize| {
        let (y, x) = (index / LOW * 2, index % LOW * 2);
        (at(y, x) + at(y, x + 1) + at(y + 1, x) + at(y + 1, x + 1)) / 4.0
    };
    let input: Vec<f32> = (0..LOW * LOW).map(mean).collect();
    let baseline = bicubic(&input);
    Sample { input, truth, baseline }
}

/// Interpolation by Keys' cubic (1981, a = -1/2), rows and then columns; the edge goes on beyond the image.
fn bicubic(input: &[f32]) -> Vec<f32> {
    let rows: Vec<f32> =
        (0..SIDE * LOW).map(|index| between(index / LOW, |y| input[y * LOW + index % LOW])).collect();
    (0..SIDE * SIDE)
        .map(|index| between(index % SIDE, |x| rows[index / SIDE * LOW + x]).clamp(0.0, 1.0))
        .collect()
}

/// The value at a position of the fine grid, whose pixels lie a quarter of a coarse pixel beside the coarse ones.
fn between(fine: usize, at: impl Fn(usize) -> f32) -> f32 {
    /// Keys' kernel at the distances 1.25, 0.25, 0.75 and 1.75.
    const WEIGHTS: [f32; 4] = [-0.070_312_5, 0.867_187_5, 0.226_562_5, -0.023_437_5];
    let (coarse, direction) = ((fine / 2) as isize, if fine.is_multiple_of(2) { -1 } else { 1 });
    let value = |offset: isize| at((coarse + direction * offset).clamp(0, LOW as isize - 1) as usize);
    WEIGHTS.iter().zip(-1..).map(|(weight, offset)| weight * value(offset)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bicubic_interpolation_keeps_planes_away_from_the_edge() {
        let plane: Vec<f32> =
            (0..LOW * LOW).map(|i| 0.2 + 0.02 * (i % LOW) as f32 + 0.01 * (i / LOW) as f32).collect();
        let fine = bicubic(&plane);
        for y in 4..SIDE - 4 {
            for x in 4..SIDE - 4 {
                let expected = 0.2 + 0.02 * (x as f32 / 2.0 - 0.25) + 0.01 * (y as f32 / 2.0 - 0.25);
                assert!((fine[y * SIDE + x] - expected).abs() < 1e-5, "{y}, {x}");
            }
        }
    }
}
