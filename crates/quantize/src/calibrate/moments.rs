//! How the inputs of each layer move together, for [GPTQ](crate::WeightRounding::Gptq).

use std::collections::BTreeMap;

use burnlite_runtime::{Error as RuntimeError, Interpreter, InterpreterOptions};
use burnlite_tflite::{Graph, Model};

use super::windows::{Windows, input_of_layer};
use super::{Calibration, Sample, float_graph, for_each_sample};
use crate::Error;
use crate::triangle::Triangle;

/// The second moments of what the weights of a model's layers meet: for each two inputs of a channel the mean of their
/// product over the samples.
///
/// A layer takes `K * K / 2` numbers of float64 where a channel has `K` weights (of a depthwise convolution each channel
/// does): 16 MB for the 2,028 inputs of the tutorial's dense layer. Layers of more than [`MOST_INPUTS`](Self::MOST_INPUTS) are left out; their weights
/// are rounded to the nearest. Sums are taken in the samples' order: the same samples in the same order give the same moments
/// on every machine.
#[derive(Debug, Clone, PartialEq)]
pub struct SecondMoments {
    /// Of no samples: it knows the model.
    model: Calibration,
    layers: BTreeMap<usize, Moments>,
    /// Bytes of the layers' moments.
    bytes: u64,
}

impl SecondMoments {
    /// The largest number of weights of a channel: they take 67 MB.
    pub const MOST_INPUTS: usize = 4096;

    /// The most bytes of all layers' moments: 4 GiB. A small model may have thousands of layers that share their weights; those
    /// behind what fits are in no moments.
    pub const MOST_BYTES: u64 = 1 << 32;

    /// Runs the float model on every sample and takes note of the inputs of its layers. Options, samples and `progress` are
    /// those of [`Calibration::extend`](crate::Calibration::extend).
    ///
    /// # Errors
    /// As [`Calibration::run`](crate::Calibration::run), but that there may be no samples, and that activations are not
    /// looked at.
    pub fn run<S: Sample>(
        model: &Model<'_>,
        options: &InterpreterOptions,
        samples: impl IntoIterator<Item = S>,
        progress: impl FnMut(usize),
    ) -> Result<Self, Error> {
        let graph = float_graph(model)?;
        let mut moments = Self { model: Calibration::empty(model)?, layers: BTreeMap::new(), bytes: 0 };
        let observe = |interpreter: &Interpreter<'_>| Ok(moments.observe(interpreter, graph)?);
        for_each_sample(model, options, samples, progress, observe)?;
        moments.layers.values_mut().for_each(Moments::finish);
        Ok(moments)
    }

    /// The matrices of an operator's groups of channels; `None` where it is no layer that was seen.
    pub(crate) fn of(&self, operator: usize) -> Option<&[Triangle]> {
        Some(&self.layers.get(&operator)?.groups)
    }

    /// Checks that the moments are of this graph.
    pub(crate) fn check_graph(&self, graph: &Graph<'_>) -> Result<(), Error> {
        self.model.check_graph(graph)
    }

    /// Whether an operator has moments, which are made room for where they fit.
    fn fits(&mut self, operator: usize, windows: &Windows) -> bool {
        if self.layers.contains_key(&operator) {
            return true;
        }
        let [groups, inputs] = [windows.groups(), windows.inputs()].map(|count| count as u64);
        let values = inputs.saturating_mul(inputs + 1) / 2;
        let bytes = values.saturating_mul(groups).saturating_mul(8).saturating_add(self.bytes);
        let fits = windows.inputs() <= Self::MOST_INPUTS && bytes <= Self::MOST_BYTES;
        if fits {
            self.bytes = bytes;
        }
        fits
    }

    fn observe(&mut self, interpreter: &Interpreter<'_>, graph: &Graph<'_>) -> Result<(), RuntimeError> {
        for (index, operator) in graph.operators.iter().enumerate() {
            match input_of_layer(interpreter, graph, operator)? {
                Some((windows, image)) if self.fits(index, &windows) => {
                    let moments = self.layers.entry(index).or_insert_with(|| Moments::new(&windows));
                    moments.observe(&windows, image);
                }
                _ => {}
            }
        }
        Ok(())
    }
}

/// The moments of one layer.
#[derive(Debug, Clone, PartialEq)]
struct Moments {
    /// One matrix for each group of channels.
    groups: Vec<Triangle>,
    windows: usize,
    /// Windows that are not in the matrices yet: many at once pass them through the caches.
    pending: Vec<f64>,
}

impl Moments {
    /// Windows that are added at once.
    const AT_ONCE: usize = 16;

    fn new(windows: &Windows) -> Self {
        let groups = vec![Triangle::zeros(windows.inputs()); windows.groups()];
        Self { groups, windows: 0, pending: Vec::new() }
    }

    fn observe(&mut self, windows: &Windows, image: &[f32]) {
        let length = windows.groups() * windows.inputs();
        for number in 0..windows.count() {
            let start = self.pending.len();
            self.pending.resize(start + length, 0.0);
            windows.window(image, number, &mut self.pending[start..]);
            if self.pending.len() == Self::AT_ONCE * length {
                self.add_pending();
            }
        }
        self.windows += windows.count();
    }

    fn add_pending(&mut self) {
        let inputs = self.groups.first().map_or(0, Triangle::order);
        let length = self.groups.len() * inputs;
        for (group, matrix) in self.groups.iter_mut().enumerate() {
            let windows = self.pending.chunks_exact(length);
            let windows: Vec<&[f64]> = windows.map(|window| &window[group * inputs..][..inputs]).collect();
            matrix.add_squares(&windows);
        }
        self.pending.clear();
    }

    /// From sums to means.
    fn finish(&mut self) {
        self.add_pending();
        self.pending = Vec::new();
        let factor = 1.0 / self.windows as f64;
        self.groups.iter_mut().for_each(|matrix| matrix.scale(factor));
    }
}
