//! What the weights of each layer meet on average, for [bias correction](crate::Quantizer::bias_correction).

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use burnlite_runtime::{Error as RuntimeError, Interpreter};
use burnlite_tflite::Graph;
use serde::{Deserialize, Serialize};

use super::exact_sum::ExactSums;
use super::windows::input_of_layer;
use crate::Error;

/// The means of the inputs of the layers, by operator.
///
/// Each has the layout `[groups, weights of a channel]`: one mean for each weight of a channel, as its place in the
/// input is seen by all windows of all batch rows. A tap outside the image meets 0.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct InputMeans {
    layers: BTreeMap<usize, LayerMeans>,
}

/// The means of one layer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct LayerMeans {
    samples: usize,
    /// Sums over the samples of each sample's mean in float32. They are exact, so that merging is.
    sums: ExactSums,
}

impl LayerMeans {
    fn blank(means: usize) -> Self {
        Self { samples: 0, sums: ExactSums::zeros(means) }
    }

    fn merge(&mut self, other: &Self) {
        self.samples += other.samples;
        self.sums.merge(&other.sums);
    }
}

impl InputMeans {
    /// Takes note of the sample that was run last.
    pub(super) fn observe(
        &mut self,
        interpreter: &Interpreter<'_>,
        graph: &Graph<'_>,
    ) -> Result<(), RuntimeError> {
        for (index, operator) in graph.operators.iter().enumerate() {
            let Some((windows, image)) = input_of_layer(interpreter, graph, operator)? else { continue };
            let (means, count) = (windows.sums(image), windows.count() as f64);
            let layer = self.layers.entry(index).or_insert_with(|| LayerMeans::blank(means.len()));
            layer.samples += 1;
            // The mean of finite float32 numbers is within their range.
            let means = means.into_iter().map(|mean| (mean / count) as f32);
            means.enumerate().for_each(|(index, mean)| layer.sums.add(index, mean));
        }
        Ok(())
    }

    /// Checks that layers which both have seen have as many means.
    pub(super) fn check(&self, other: &Self) -> Result<(), Error> {
        let differs = |(index, theirs): &(&usize, &LayerMeans)| {
            self.layers.get(index).is_some_and(|mine| mine.sums.len() != theirs.sums.len())
        };
        match other.layers.iter().find(differs) {
            Some((&operator, _)) => Err(Error::OtherLayer { operator }),
            None => Ok(()),
        }
    }

    /// Adds what another saw of the same layers.
    pub(super) fn merge(&mut self, other: Self) {
        for (index, theirs) in other.layers {
            match self.layers.entry(index) {
                Entry::Vacant(entry) => {
                    entry.insert(theirs);
                }
                Entry::Occupied(mut entry) => entry.get_mut().merge(&theirs),
            }
        }
    }

    /// Whether so many samples can have led to these sums.
    pub(super) fn fits(&self, samples: usize) -> bool {
        let fits = |layer: &LayerMeans| {
            (1..=samples).contains(&layer.samples) && layer.sums.iter().all(|sum| sum.fits(layer.samples))
        };
        self.layers.values().all(fits)
    }

    /// The means of an operator's input; `None` where nothing was seen.
    pub(super) fn of(&self, operator: usize) -> Option<Vec<f64>> {
        let LayerMeans { samples, sums } = self.layers.get(&operator)?;
        Some(sums.iter().map(|sum| sum.value() / *samples as f64).collect())
    }
}
