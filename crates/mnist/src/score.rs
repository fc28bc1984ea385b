//! How well a network does.

use burn::tensor::Tensor;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::batch;
use crate::{Dataset, Error, Network};

/// Images in one forward pass of an evaluation; several passes run side by side.
const BATCH: usize = 125;

/// How well a network does on a set of images.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Score {
    /// Mean cross-entropy of the softmax of the logits, in nats.
    pub loss: f64,
    /// Share of the images whose largest logit is their label's: `0..=1`.
    pub accuracy: f64,
}

/// The network's score on all images of `dataset`.
///
/// # Errors
/// [`Error::EmptyDataset`] if `dataset` is empty.
pub fn evaluate(network: &Network, dataset: &Dataset) -> Result<Score, Error> {
    if dataset.is_empty() {
        return Err(Error::EmptyDataset);
    }
    let device = network.device();
    let order: Vec<usize> = (0..dataset.len()).collect();
    let forward = |indices| network.forward(batch::images(dataset, indices, &device));
    let logits: Vec<_> = order.par_chunks(BATCH).map(forward).collect();
    let mut tally = Tally::default();
    for (logits, indices) in logits.into_iter().zip(order.chunks(BATCH)) {
        tally.add(logits, indices.iter().map(|&index| dataset.label(index)))?;
    }
    Ok(tally.score())
}

/// A score in the making.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(crate) struct Tally {
    loss: f64,
    hits: usize,
    images: usize,
}

impl Tally {
    /// Counts a batch: logits `[N, 10]` and N labels.
    pub(crate) fn add(&mut self, logits: Tensor<2>, labels: impl Iterator<Item = u8>) -> Result<(), Error> {
        let [_, classes] = logits.dims();
        let logits = logits.try_into_vec_as::<f32>()?;
        for (logits, label) in logits.chunks_exact(classes).zip(labels) {
            self.count(logits, usize::from(label));
        }
        Ok(())
    }

    pub(crate) fn score(&self) -> Score {
        let images = self.images.max(1) as f64;
        Score { loss: self.loss / images, accuracy: self.hits as f64 / images }
    }

    /// Cross-entropy is `ln Σ exp(xᵢ) - x_label`; the largest logit is taken out so that no exponential overflows.
    fn count(&mut self, logits: &[f32], label: usize) {
        let max = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let sum: f64 = logits.iter().map(|&logit| f64::from(logit - max).exp()).sum();
        self.loss += sum.ln() - f64::from(logits[label] - max);
        // Of equal logits the first is the prediction, as TensorFlow's argmax has it.
        self.hits += usize::from(logits.iter().position(|&logit| logit == max) == Some(label));
        self.images += 1;
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;

    fn score(logits: [[f32; 3]; 2], labels: [u8; 2]) -> Score {
        let mut tally = Tally::default();
        tally.add(Tensor::from_floats(logits, &Device::flex()), labels.into_iter()).unwrap();
        tally.score()
    }

    #[test]
    fn equal_logits_lose_the_logarithm_of_the_number_of_classes() {
        let score = score([[0.0; 3]; 2], [0, 1]);
        assert!((score.loss - 3f64.ln()).abs() < 1e-12);
        assert_eq!(score.accuracy, 0.5, "of equal logits the first is the prediction");
    }

    #[test]
    fn large_logits_do_not_overflow() {
        let score = score([[1000.0, 0.0, 0.0]; 2], [0, 1]);
        assert_eq!(score.loss, 500.0);
        assert_eq!(score.accuracy, 0.5);
    }

    #[test]
    fn a_logit_that_is_not_a_number_shows_in_the_loss() {
        assert!(score([[f32::NAN, 0.0, 0.0], [0.0; 3]], [0, 0]).loss.is_nan());
    }
}
