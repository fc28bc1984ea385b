//! Training, the same for all four: Adam with a learning rate that falls to nothing.

use std::sync::{Mutex, PoisonError};

use burn::module::Module;
use burn::optim::{AdamConfig, GradientsAccumulator, GradientsParams};
use burn::tensor::{Device, Tensor, TensorData};
use burnlite_export::Exporter;
use burnlite_tflite::Model;
use rayon::prelude::*;

use crate::application::{Data, Sample};
use crate::error::Error;
use crate::random::Random;

/// Samples in a step.
const BATCH: usize = 20;

/// Samples whose gradients one thread computes at a time: half a batch for each of two cores. Below 9 burn-flex takes a slow
/// path for the gradient of a convolution's weights.
const SHARD: usize = 10;

/// Held while a network's weights are drawn: Burn has one generator for the whole process, and two trainings at once would
/// take numbers from each other.
static DRAWING: Mutex<()> = Mutex::new(());

/// Where training stands after a step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Progress {
    /// The step, counted from 1.
    pub step: usize,
    /// Steps in all.
    pub steps: usize,
    /// The loss of the step's samples.
    pub loss: f32,
}

/// A network that gives back what a sample has lost.
pub(crate) trait Restorer: Module + Sync {
    /// From `[N, H, W, C]` to `[N, H, W, C]`.
    fn forward(&self, x: Tensor<4>) -> Tensor<4>;

    /// What training makes small: the mean squared error.
    fn loss(output: Tensor<4>, truth: Tensor<4>) -> Tensor<1> {
        (output - truth).powi_scalar(2).mean()
    }
}

/// How to train.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Training {
    /// The name for errors.
    pub(crate) application: &'static str,
    /// Seed of the weights and of the order of the samples.
    pub(crate) seed: u64,
    /// Passes over the samples.
    pub(crate) epochs: usize,
    /// Adam's step size at the start.
    pub(crate) learning_rate: f64,
}

/// Trains a network on the training samples, and exports it.
pub(crate) fn fit<R: Restorer>(
    data: &Data,
    training: &Training,
    network: impl FnOnce(&Device) -> R,
    on_step: &mut dyn FnMut(&Progress),
) -> Result<Model<'static>, Error> {
    let &Training { application, seed, epochs, learning_rate } = training;
    if data.train.is_empty() {
        return Err(Error::NoSamples);
    }
    let device = Device::flex();
    let mut network = drawn(seed, &device, network).train();
    let mut adam = AdamConfig::new().init();
    let steps = data.train.len().div_ceil(BATCH) * epochs;
    let mut step = 0;
    for epoch in 0..epochs {
        let order = shuffled(data.train.len(), seed, epoch as u64);
        for indices in order.chunks(BATCH) {
            // A quarter of a cosine, from the full rate to 0.
            let turn = core::f64::consts::FRAC_PI_2 * step as f64 / steps as f64;
            let (loss, gradients) = gradients(&network, data, indices);
            step += 1;
            if !loss.is_finite() {
                return Err(Error::Diverged { application, step });
            }
            network = adam.step(learning_rate * libm::cos(turn), network, gradients);
            on_step(&Progress { step, steps, loss });
        }
    }
    let [height, width, channels] = data.input_shape;
    let sample = Tensor::zeros([1, height, width, channels], &device);
    Ok(Exporter::new().input("input").output("output").export(&network.valid(), sample, R::forward)?)
}

/// A network with the weights that a seed means, whatever other threads draw with this function.
fn drawn<R: Restorer>(seed: u64, device: &Device, network: impl FnOnce(&Device) -> R) -> R {
    let _alone = DRAWING.lock().unwrap_or_else(PoisonError::into_inner);
    device.seed(seed);
    // Weights are drawn when they are first read, and this reads them all.
    network(device).valid()
}

/// The mean loss of a batch, and its gradients: computed shard by shard, and added in order whatever the threads.
fn gradients<R: Restorer>(network: &R, data: &Data, indices: &[usize]) -> (f32, GradientsParams) {
    let plain = network.valid();
    let shards: Vec<_> = indices
        .par_chunks(SHARD)
        .map(|shard| {
            // A graph of the shard's own: threads on one graph would wait for each other.
            let network = plain.clone().train();
            let share = shard.len() as f64 / indices.len() as f64;
            let batch = |part: fn(&Sample) -> &[f32], shape| batch(&data.train, shard, part, shape);
            let output = network.forward(batch(|sample| &sample.input, data.input_shape));
            let loss = R::loss(output, batch(|sample| &sample.truth, data.output_shape)).mul_scalar(share);
            let value: f32 = loss.clone().detach().into_scalar();
            (value, GradientsParams::from_grads(loss.backward(), &network))
        })
        .collect();
    let mut sum = GradientsAccumulator::new();
    let mut loss = 0.0;
    for (share, gradients) in shards {
        loss += share;
        sum.accumulate(network, gradients);
    }
    (loss, sum.grads())
}

/// A part of the samples with the given indices: `[N, H, W, C]`.
fn batch(
    samples: &[Sample],
    indices: &[usize],
    part: fn(&Sample) -> &[f32],
    [h, w, c]: [usize; 3],
) -> Tensor<4> {
    let values: Vec<f32> = indices.iter().flat_map(|&index| part(&samples[index])).copied().collect();
    Tensor::from_data(TensorData::new(values, [indices.len(), h, w, c]), &Device::flex())
}

/// The indices below `len` in an order of their own for each seed and epoch (Fisher and Yates).
fn shuffled(len: usize, seed: u64, epoch: u64) -> Vec<usize> {
    let mut random = Random::new(seed, u64::MAX - epoch);
    let mut order: Vec<usize> = (0..len).collect();
    for end in (1..len).rev() {
        order.swap(end, random.below(end + 1));
    }
    order
}

#[cfg(test)]
mod tests {
    use burn::module::Param;

    use super::*;

    #[derive(Module, Debug)]
    struct Gain {
        gain: Param<Tensor<1>>,
    }

    impl Restorer for Gain {
        fn forward(&self, x: Tensor<4>) -> Tensor<4> {
            x * self.gain.val().reshape([1, 1, 1, -1])
        }
    }

    #[test]
    fn a_seed_means_the_same_weights_while_others_draw() {
        let gains = |seed: u64| {
            let uniform = burn::module::Initializer::Uniform { min: 0.0, max: 1.0 };
            let network = drawn(seed, &Device::flex(), |device| Gain { gain: uniform.init([9_999], device) });
            network.gain.val().into_data()
        };
        let alone: Vec<_> = (0..64).map(gains).collect();
        let at_once: Vec<_> = (0..64).into_par_iter().map(gains).collect();
        assert!(alone == at_once);
        assert_ne!(alone[0], alone[1]);
    }
}
