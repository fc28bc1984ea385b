//! Hybrid layers on tiles: each sample is quantized, laid out, and multiplied as integers are.

use alloc::vec::Vec;

use super::{Order, Part, Patches, PlannedPart, TiledLayer};
use crate::error::OperatorFault;
use crate::frame::{Inputs, Writable, elements_mut};
use crate::kernels::depthwise::Depthwise;
use crate::kernels::hybrid::{Scaled, Scales};
use crate::kernels::integers::IntegerPanels;
use crate::kernels::matrix::{Bias, ChannelFactors, Matrix};
use crate::kernels::product::Product;
use crate::kernels::vectors::{Task, Vectors};
use crate::kernels::{Engine, Kernels};
use crate::ops::hybrid::{Hybrid, SampleRange};
use crate::ops::integer::OutputRange;
use crate::ops::weighted::{Layer, Weighted};
use crate::plan::{Kernel, Planned};

#[derive(Debug)]
struct HybridTiles<K> {
    layer: TiledLayer<i8, K>,
    engine: Engine,
    samples: SampleRange,
    /// Of each group's channels.
    scales: Vec<Scales>,
}

impl Weighted<'_, '_> {
    /// As [`tiled_integers`](Self::tiled_integers), with one scale for each channel's weights.
    pub(crate) fn tiled_hybrid<L: Layer>(
        &self,
        hybrid: Hybrid,
        layer: &L,
        (weight_scales, range): (&[f32], (f32, f32)),
        shape: &[usize],
    ) -> Option<Planned> {
        let engine = self.node.options.kernels.engine()?;
        let (patches, bias, weights) = (self.patches(layer)?, self.known_bias::<f32>()?, self.known::<i8>()?);
        let in_group = self.channels / patches.groups;
        let scales = |group: usize| {
            let channels = group * in_group..(group + 1) * in_group;
            let bias = bias.get(channels.clone()).unwrap_or_default();
            Scales::new(&weight_scales[channels], bias, hybrid.scales_channel_first, range)
        };
        let scales: Vec<_> = (0..patches.groups).map(scales).collect();
        if patches.weights == Order::Depthwise {
            let kernel = |part: &Part<'_>| {
                let (weights, taps) = (part.weights(&weights, self.channels), part.taps());
                Some([Depthwise::new(engine, &sums_of(&weights, self.channels, taps.len()), &taps)?].into())
            };
            return self.hybrid(patches, kernel, (engine, hybrid.range, scales), shape);
        }
        let kernels = |part: &Part<'_>| {
            let (weights, (runs, run), depth) =
                (part.weights(&weights, self.channels), part.runs(), part.depth());
            let product = |group| {
                let weights = &weights[group * in_group * depth..][..in_group * depth];
                Product::new(engine, &sums_of(weights, in_group, depth), &runs, run)
            };
            (0..part.patches.groups).map(product).collect()
        };
        self.hybrid(patches, kernels, (engine, hybrid.range, scales), shape)
    }

    fn hybrid<K: IntegerPanels>(
        &self,
        patches: Patches,
        kernels: impl Fn(&Part<'_>) -> Option<Vec<K>>,
        (engine, samples, scales): (Engine, SampleRange, Vec<Scales>),
        shape: &[usize],
    ) -> Option<Planned> {
        let windows = patches.single_windows();
        let layer = patches.layer::<i8, K>((self.positions.input, 0), (self.channels, &windows), kernels)?;
        let scratch_bytes = [layer.extent * size_of::<i16>(), layer.patches.image()].into();
        let kernel = HybridTiles { layer, engine, samples, scales };
        Some(Planned { scratch_bytes, ..Planned::new(shape, kernel) })
    }
}

/// A layer whose sums are all that is asked of it: they have 32 bits, and wrap.
fn sums_of(weights: &[i8], channels: usize, depth: usize) -> Matrix<'_> {
    let range = OutputRange { zero_point: 0, min: i32::MIN, max: i32::MAX };
    let factors = ChannelFactors::HalfAway(&[]);
    Matrix { weights, channels, depth, bias: Bias::Narrow(&[]), factors, range, bound: 1 << 8 }
}

impl<K: IntegerPanels> Kernel for HybridTiles<K> {
    fn run(
        &self,
        inputs: &Inputs<'_>,
        [output, laid_out, quantized, ..]: &mut Writable<'_>,
    ) -> Result<(), OperatorFault> {
        if !output.is_empty() {
            self.engine.run(Run {
                kernel: self,
                input: inputs.get(self.layer.input),
                quantized: elements_mut(quantized),
                laid_out: elements_mut(laid_out),
                outputs: elements_mut(output),
            });
        }
        Ok(())
    }

    fn kernels(&self) -> Kernels {
        self.engine.kernels()
    }

    fn packed_bytes(&self) -> usize {
        self.layer.packed_bytes()
    }

    fn table_bytes(&self) -> usize {
        // The scales are biases and multipliers, too.
        2 * self.layer.table_bytes()
    }
}

struct Run<'r, K> {
    kernel: &'r HybridTiles<K>,
    input: &'r [f32],
    /// Memory for a sample's integers, and for these between their padding.
    quantized: &'r mut [i8],
    laid_out: &'r mut [i16],
    outputs: &'r mut [f32],
}

impl<K: IntegerPanels> Task for Run<'_, K> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vectors>(self, vectors: V) {
        let Self { kernel, input, quantized, laid_out, outputs } = self;
        let HybridTiles { layer, samples, scales, .. } = kernel;
        let elements = layer.patches.image();
        let images = (0..layer.patches.images).map(|image| &input[image * elements..][..elements]);
        for (sample, outputs) in images.zip(outputs.chunks_exact_mut(layer.result)) {
            let (scale, zero_point) = samples.quantize(sample, quantized);
            layer.lay_out(quantized, zero_point, laid_out);
            for PlannedPart { kernels, sweep } in &layer.parts {
                for (group, (layer, scales)) in kernels.iter().zip(scales).enumerate() {
                    sweep.run(vectors, (group, &Scaled { layer, scales, scale }), laid_out, outputs);
                }
            }
        }
    }
}
