//! Training the network on Burn, with the tutorial's hyperparameters.

use burn::module::Module;
use burn::nn::loss::{CrossEntropyLoss, CrossEntropyLossConfig};
use burn::optim::{AdamConfig, GradientsAccumulator, GradientsParams, ModuleOptimizer};
use burn::tensor::{Device, Tensor};
use rand_pcg::Pcg32;
use rand_pcg::rand_core::Rng;
use rayon::prelude::*;

use crate::batch;
use crate::score::{Score, Tally};
use crate::{Dataset, Error, Network};

/// Images whose gradients one thread computes at a time.
///
/// Measured, one epoch on two cores: 4 images 12.1 s, 8 7.2 s, 11 7.1 s, 16 6.4 s, 32 (one thread) 9.4 s. Below 9 images
/// burn-flex takes a slow path for the gradient of the convolution's weights.
const SHARD: usize = 16;

/// How to train; the default is the tutorial: one epoch, batches of 32, a learning rate of 0.001.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TrainingOptions {
    /// Passes over the images, at least 1.
    pub epochs: usize,
    /// Seed of the initial weights and of the order of the images.
    pub seed: u64,
    /// Images in a step, at least 1; the last step of an epoch takes what is left.
    pub batch_size: usize,
    /// Adam's step size, above 0.
    pub learning_rate: f64,
}

impl Default for TrainingOptions {
    fn default() -> Self {
        Self { epochs: 1, seed: 1, batch_size: 32, learning_rate: 0.001 }
    }
}

/// Where training stands after a step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TrainingProgress {
    /// The epoch, counted from 1.
    pub epoch: usize,
    /// Epochs in all.
    pub epochs: usize,
    /// The step within the epoch, counted from 1.
    pub step: usize,
    /// Steps in an epoch.
    pub steps: usize,
    /// The score on this epoch's images so far, each as the network was when it came to it.
    pub score: Score,
}

/// A trained network and how it came about.
#[derive(Debug, Clone)]
pub struct Trained {
    /// The network, without gradients, on the device that trained it.
    pub network: Network,
    /// The score of each epoch, at its end.
    pub epochs: Vec<Score>,
}

/// Trains a new network on the images of `dataset`, calling `on_step` after every step.
///
/// Each step is one of Adam's (β₁ 0.9, β₂ 0.999, ε 1e-7) on the mean cross-entropy of a batch; every epoch takes the
/// images in a new order. The same images, options and backend give the same network, bit for bit.
///
/// Burn adds ε to the bias-corrected `√v̂` (Kingma and Ba 2015, algorithm 1), Keras adds it to `√v` (section 2 of that
/// paper). Seen from Keras, Burn's ε is `1e-7·√(1 - β₂ᵗ)`: 3e-9 in the first step, 0.9e-7 at the end of the tutorial's
/// epoch. Only weights whose gradients are as small as that can tell.
///
/// # Errors
/// [`Error::EmptyDataset`] if `dataset` is empty, [`Error::TrainingOption`] if an option is out of its range,
/// [`Error::Diverged`] once the loss is not finite.
pub fn train(
    dataset: &Dataset,
    options: &TrainingOptions,
    device: &Device,
    mut on_step: impl FnMut(&TrainingProgress),
) -> Result<Trained, Error> {
    options.check()?;
    if dataset.is_empty() {
        return Err(Error::EmptyDataset);
    }
    let mut trainer = Trainer {
        network: Network::new(options.seed, device).train(),
        loss: CrossEntropyLossConfig::new().init(device),
        adam: AdamConfig::new().with_beta_1(0.9).with_beta_2(0.999).with_epsilon(1e-7).init(),
        learning_rate: options.learning_rate,
    };
    let mut epochs = Vec::with_capacity(options.epochs);
    for epoch in 1..=options.epochs {
        let order = shuffled(dataset.len(), options.seed, epoch as u64);
        let steps = order.len().div_ceil(options.batch_size);
        let mut tally = Tally::default();
        for (step, indices) in (1..).zip(order.chunks(options.batch_size)) {
            trainer = trainer.step(dataset, indices, &mut tally)?;
            let score = tally.score();
            if !score.loss.is_finite() {
                return Err(Error::Diverged { epoch, step });
            }
            on_step(&TrainingProgress { epoch, epochs: options.epochs, step, steps, score });
        }
        epochs.push(tally.score());
    }
    Ok(Trained { network: trainer.network.valid(), epochs })
}

impl TrainingOptions {
    fn check(&self) -> Result<(), Error> {
        let fault = |option, found: &dyn ToString, expected| {
            Err(Error::TrainingOption { option, found: found.to_string(), expected })
        };
        match self {
            Self { epochs: 0, .. } => fault("epochs", &0, "at least 1"),
            Self { batch_size: 0, .. } => fault("batch_size", &0, "at least 1"),
            Self { learning_rate, .. } if !(learning_rate.is_finite() && *learning_rate > 0.0) => {
                fault("learning_rate", learning_rate, "a finite number above 0")
            }
            _ => Ok(()),
        }
    }
}

/// What a step changes, and what it needs to.
struct Trainer {
    network: Network,
    loss: CrossEntropyLoss,
    adam: ModuleOptimizer,
    learning_rate: f64,
}

impl Trainer {
    /// One step on the images with the given indices; they are counted in `tally` as the network was before it.
    ///
    /// The gradients of a batch's shards are computed side by side and added in order, so the number of threads
    /// changes nothing.
    fn step(mut self, dataset: &Dataset, indices: &[usize], tally: &mut Tally) -> Result<Self, Error> {
        let network = self.network.valid();
        let shards: Vec<_> = indices
            .par_chunks(SHARD)
            .map(|shard| {
                // A graph of the shard's own: threads on one graph would wait for each other.
                let network = network.clone().train();
                let share = shard.len() as f64 / indices.len() as f64;
                let (logits, gradients) = self.gradients(&network, dataset, shard, share);
                (shard, logits, gradients)
            })
            .collect();
        let mut sum = GradientsAccumulator::new();
        for (shard, logits, gradients) in shards {
            tally.add(logits, shard.iter().map(|&index| dataset.label(index)))?;
            sum.accumulate(&self.network, gradients);
        }
        self.network = self.adam.step(self.learning_rate, self.network, sum.grads());
        Ok(self)
    }

    /// The logits of the images with the given indices, and the gradients of `share` times their mean loss.
    fn gradients(
        &self,
        network: &Network,
        dataset: &Dataset,
        indices: &[usize],
        share: f64,
    ) -> (Tensor<2>, GradientsParams) {
        let device = network.device();
        let logits = network.forward(batch::images(dataset, indices, &device));
        let loss =
            self.loss.forward(logits.clone(), batch::labels(dataset, indices, &device)).mul_scalar(share);
        (logits.detach(), GradientsParams::from_grads(loss.backward(), network))
    }
}

/// The indices below `len` in an order of their own for each seed and epoch (Fisher and Yates).
fn shuffled(len: usize, seed: u64, epoch: u64) -> Vec<usize> {
    let mut rng = Pcg32::new(seed, epoch);
    let mut order: Vec<usize> = (0..len).collect();
    for end in (1..len).rev() {
        // Scaling 32 random bits to 0..=end favours no index by more than len / 2^32.
        let other = (u64::from(rng.next_u32()) * (end as u64 + 1)) >> 32;
        order.swap(end, other as usize);
    }
    order
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Backend, Digits, evaluate};

    fn train_on(images: usize, options: &TrainingOptions) -> Result<Trained, Error> {
        train(&Digits::generate(1, images, 0).train, options, &Device::flex(), |_| ())
    }

    #[test]
    fn the_same_seed_and_backend_give_the_same_bytes_and_another_seed_others() {
        let digits = Digits::generate(1, 200, 0);
        for device in Backend::ALL.iter().flat_map(|backend| backend.device()) {
            let record = |seed| {
                let options = TrainingOptions { seed, ..Default::default() };
                let trained = train(&digits.train, &options, &device, |_| ()).unwrap();
                trained.network.into_record().into_bytes().unwrap().to_vec()
            };
            assert_eq!(record(3), record(3));
            assert_ne!(record(3), record(4));
        }
    }

    #[test]
    fn the_last_batch_of_an_epoch_takes_what_is_left() {
        let digits = Digits::generate(1, 70, 0);
        let mut seen = Vec::new();
        let options = TrainingOptions { epochs: 2, ..Default::default() };
        train(&digits.train, &options, &Device::flex(), |progress| {
            seen.push((progress.epoch, progress.step, progress.steps));
        })
        .unwrap();
        assert_eq!(seen, [(1, 1, 3), (1, 2, 3), (1, 3, 3), (2, 1, 3), (2, 2, 3), (2, 3, 3)]);
    }

    #[test]
    fn training_lowers_the_loss() {
        let digits = Digits::generate(1, 2_000, 500);
        let options = TrainingOptions { epochs: 2, ..Default::default() };
        let trained = train(&digits.train, &options, &Device::flex(), |_| ()).unwrap();
        let untrained = evaluate(&Network::new(options.seed, &Device::flex()), &digits.test).unwrap();
        let score = evaluate(&trained.network, &digits.test).unwrap();
        assert!(trained.epochs[1].loss < trained.epochs[0].loss, "{:?}", trained.epochs);
        assert!(score.loss < 0.6 * untrained.loss, "{untrained:?} → {score:?}");
    }

    #[test]
    fn an_epoch_sees_every_image_once_in_an_order_of_its_own() {
        let first = shuffled(1_000, 1, 1);
        assert_ne!(first, shuffled(1_000, 1, 2));
        assert_ne!(first, shuffled(1_000, 2, 1));
        let mut sorted = first;
        sorted.sort_unstable();
        assert!(sorted.into_iter().eq(0..1_000));
    }

    #[test]
    fn options_out_of_range_and_empty_datasets_are_errors() {
        let refused = |options| train_on(1, &options).unwrap_err().to_string();
        let options = TrainingOptions::default();
        assert_eq!(
            refused(TrainingOptions { epochs: 0, ..options }),
            "the training option epochs is 0: give at least 1"
        );
        assert_eq!(
            refused(TrainingOptions { learning_rate: f64::NAN, ..options }),
            "the training option learning_rate is NaN: give a finite number above 0"
        );
        assert!(refused(TrainingOptions { batch_size: 0, ..options }).contains("batch_size"));
        assert!(matches!(train_on(0, &options), Err(Error::EmptyDataset)));
    }

    #[test]
    fn a_loss_that_is_not_finite_stops_the_training() {
        let options = TrainingOptions { learning_rate: 1e38, ..Default::default() };
        assert!(matches!(train_on(500, &options), Err(Error::Diverged { epoch: 1, .. })));
    }
}
