//! Training the network on Burn, with the tutorial's hyperparameters.

mod checkpoint;

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use burn::module::Module;
use burn::nn::loss::{CrossEntropyLoss, CrossEntropyLossConfig};
use burn::optim::{AdamConfig, GradientsAccumulator, GradientsParams, ModuleOptimizer};
use burn::tensor::{Device, Tensor};
use rand_pcg::Pcg32;
use rand_pcg::rand_core::Rng;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::batch;
use crate::score::{Score, Tally};
use crate::{Dataset, Error, Network};

/// Images whose gradients one thread computes at a time.
///
/// Measured, one epoch on two cores: 4 images 12.1 s, 8 7.2 s, 11 7.1 s, 16 6.4 s, 32 (one thread) 9.4 s. Below 9 images
/// burn-flex takes a slow path for the gradient of the convolution's weights.
const SHARD: usize = 16;

/// Points of a training's curve.
const CURVE_POINTS: usize = 100;

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
    /// The scores on the way: at most a hundred, evenly spread, the last one at the end.
    pub curve: Vec<CurvePoint>,
    /// What the steps took.
    pub time: Duration,
}

/// Where training stood after a step.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct CurvePoint {
    /// The step, counted from 1 over all epochs.
    pub step: usize,
    /// Mean cross-entropy of the epoch's images so far.
    pub loss: f64,
    /// Share of the epoch's images so far whose digit was found: 0 to 1.
    pub accuracy: f64,
}

/// Trains a new network on the images of `dataset`, calling `on_step` after every step.
///
/// This is a [`Training`] from its first step to its last.
///
/// # Errors
/// Those of [`Training::new`] and [`Training::step`].
pub fn train(
    dataset: &Dataset,
    options: &TrainingOptions,
    device: &Device,
    mut on_step: impl FnMut(&TrainingProgress),
) -> Result<Trained, Error> {
    let mut training = Training::new(dataset, options, device)?;
    while let Some(progress) = training.step()? {
        on_step(&progress);
    }
    Ok(training.finish())
}

/// A training, step by step: it may be saved after any of them, and resumed.
///
/// Each step is one of Adam's (β₁ 0.9, β₂ 0.999, ε 1e-7) on the mean cross-entropy of a batch; every epoch takes the
/// images in a new order. The same images, options and backend give the same network, bit for bit, however often the training was
/// interrupted.
///
/// Burn adds ε to the bias-corrected `√v̂` (Kingma and Ba 2015, algorithm 1), Keras adds it to `√v` (section 2 of that
/// paper). Seen from Keras, Burn's ε is `1e-7·√(1 - β₂ᵗ)`: 3e-9 in the first step, 0.9e-7 at the end of the tutorial's
/// epoch. Only weights whose gradients are as small as that can tell.
///
/// # Example
/// ```
/// use burnlite_mnist::{Backend, Digits, Training, TrainingOptions};
///
/// let (digits, device) = (Digits::generate(1, 64, 0), Backend::Flex.device()?);
/// let (options, folder) = (TrainingOptions::default(), tempfile::tempdir()?);
/// let checkpoint = folder.path().join("training.checkpoint");
///
/// let mut training = Training::new(&digits.train, &options, &device)?;
/// training.step()?;
/// training.save(&checkpoint)?;
/// drop(training); // as if the power had gone
///
/// let mut training = Training::resume(&checkpoint, &digits.train, &options, &device)?;
/// while let Some(progress) = training.step()? {
///     assert_eq!(progress.step, 2);
/// }
/// assert_eq!(training.finish().epochs.len(), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Training<'d> {
    dataset: &'d Dataset,
    options: TrainingOptions,
    network: Network,
    adam: ModuleOptimizer,
    loss: CrossEntropyLoss,
    course: Course,
    /// The current epoch's images.
    order: Vec<usize>,
    /// SHA-256 of images and labels, once a checkpoint asked for it.
    fingerprint: OnceLock<String>,
}

/// How far a training is, and how it came there.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
struct Course {
    /// Steps taken, over all epochs.
    steps: usize,
    time: Duration,
    /// Of the current epoch.
    tally: Tally,
    epochs: Vec<Score>,
    curve: Vec<CurvePoint>,
}

impl<'d> Training<'d> {
    /// A training of a new network on the images of `dataset`, before its first step.
    ///
    /// # Errors
    /// [`Error::EmptyDataset`] if `dataset` is empty, [`Error::TrainingOption`] if an option is out of its range.
    pub fn new(dataset: &'d Dataset, options: &TrainingOptions, device: &Device) -> Result<Self, Error> {
        options.check()?;
        if dataset.is_empty() {
            return Err(Error::EmptyDataset);
        }
        Ok(Self {
            dataset,
            options: *options,
            network: Network::new(options.seed, device).train(),
            adam: AdamConfig::new().with_beta_1(0.9).with_beta_2(0.999).with_epsilon(1e-7).init(),
            loss: CrossEntropyLossConfig::new().init(device),
            course: Course::default(),
            order: shuffled(dataset.len(), options.seed, 1),
            fingerprint: OnceLock::new(),
        })
    }

    /// Steps in all.
    pub fn steps_total(&self) -> usize {
        self.epoch_len().saturating_mul(self.options.epochs)
    }

    /// Steps taken.
    pub fn steps_taken(&self) -> usize {
        self.course.steps
    }

    /// Takes a step; none where all were taken.
    ///
    /// # Errors
    /// [`Error::Diverged`] once the loss is not finite. The training cannot go on after an error.
    pub fn step(&mut self) -> Result<Option<TrainingProgress>, Error> {
        if self.course.steps == self.steps_total() {
            return Ok(None);
        }
        let start = Instant::now();
        let steps = self.epoch_len();
        let (epoch, step) = (self.course.steps / steps + 1, self.course.steps % steps + 1);
        self.descend(step - 1)?;
        self.course.steps += 1;
        let score = self.course.tally.score();
        if !score.loss.is_finite() {
            return Err(Error::Diverged { epoch, step });
        }
        let (taken, total) = (self.course.steps, self.steps_total());
        if taken.is_multiple_of(total.div_ceil(CURVE_POINTS)) || taken == total {
            let Score { loss, accuracy } = score;
            self.course.curve.push(CurvePoint { step: taken, loss, accuracy });
        }
        if step == steps {
            self.course.epochs.push(score);
            self.course.tally = Tally::default();
            self.order = self.order_of(epoch + 1);
        }
        self.course.time += start.elapsed();
        Ok(Some(TrainingProgress { epoch, epochs: self.options.epochs, step, steps, score }))
    }

    /// The network as the steps so far have left it.
    pub fn finish(self) -> Trained {
        let Course { epochs, curve, time, .. } = self.course;
        Trained { network: self.network.valid(), epochs, curve, time }
    }

    /// Steps in an epoch.
    fn epoch_len(&self) -> usize {
        self.dataset.len().div_ceil(self.options.batch_size)
    }

    /// The images of an epoch, counted from 1.
    fn order_of(&self, epoch: usize) -> Vec<usize> {
        shuffled(self.dataset.len(), self.options.seed, epoch as u64)
    }

    /// One step of Adam's on a batch of the current epoch; its images are counted as the network was before it.
    ///
    /// The gradients of a batch's shards are computed side by side and added in order, so the number of threads
    /// changes nothing.
    fn descend(&mut self, batch: usize) -> Result<(), Error> {
        let start = batch * self.options.batch_size;
        let end = (start + self.options.batch_size).min(self.order.len());
        let indices = &self.order[start..end];
        let network = self.network.valid();
        let shards: Vec<_> = indices
            .par_chunks(SHARD)
            .map(|shard| {
                // A graph of the shard's own: threads on one graph would wait for each other.
                let network = network.clone().train();
                let share = shard.len() as f64 / indices.len() as f64;
                let (logits, gradients) = self.gradients(&network, shard, share);
                (shard, logits, gradients)
            })
            .collect();
        let mut sum = GradientsAccumulator::new();
        for (shard, logits, gradients) in shards {
            let labels = shard.iter().map(|&index| self.dataset.label(index));
            self.course.tally.add(logits, labels)?;
            sum.accumulate(&self.network, gradients);
        }
        // Tensors are shared, not copied.
        self.network = self.adam.step(self.options.learning_rate, self.network.clone(), sum.grads());
        Ok(())
    }

    /// The logits of the images with the given indices, and the gradients of `share` times their mean loss.
    fn gradients(&self, network: &Network, indices: &[usize], share: f64) -> (Tensor<2>, GradientsParams) {
        let device = network.device();
        let logits = network.forward(batch::images(self.dataset, indices, &device));
        let labels = batch::labels(self.dataset, indices, &device);
        let loss = self.loss.forward(logits.clone(), labels).mul_scalar(share);
        (logits.detach(), GradientsParams::from_grads(loss.backward(), network))
    }
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
