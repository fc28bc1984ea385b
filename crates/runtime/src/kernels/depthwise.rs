//! Depthwise convolution: the taps of each channel times the channel's own weights, requantized.

use crate::kernels::Engine;
use crate::kernels::matrix::{Ending, Matrix};
use crate::kernels::pack::{PANEL, PackedWeights};
use crate::ops::integer::Integer;

/// A depthwise layer's weights, packed, and the way of its sums to outputs.
#[derive(Debug)]
pub(crate) struct Depthwise {
    engine: Engine,
    weights: PackedWeights,
    ending: Ending,
}

impl Depthwise {
    /// Packs a layer whose weights are `[channels, taps]`.
    pub(crate) fn new(engine: Engine, matrix: &Matrix<'_>) -> Self {
        let weights = PackedWeights::new(matrix.weights, matrix.channels, matrix.depth);
        Self { engine, weights, ending: Ending::new(matrix) }
    }

    /// Bytes that the packed weights take.
    pub(crate) fn packed_bytes(&self) -> usize {
        self.weights.bytes()
    }

    /// Elements of a patch from a tap to the next: the channels, filled up to panels.
    pub(crate) fn stride(&self) -> usize {
        self.weights.channels.next_multiple_of(PANEL)
    }

    /// Elements of a patch: `[taps, stride]`, the taps filled up to pairs.
    pub(crate) fn patch_elements(&self) -> usize {
        2 * self.weights.pairs * self.stride()
    }

    /// The outputs of one pixel, one for each channel. What fills the patch up has no effect.
    pub(crate) fn run<T: Integer>(&self, patch: &[i16], outputs: &mut [T]) {
        let stride = self.stride();
        for (panel, weights) in self.weights.panels().enumerate() {
            let start = panel * PANEL;
            let [values] = self.ending.outputs(self.engine, panel, weights.len(), |block, [sums]| {
                let patch = &patch[2 * block.start * stride + start..];
                self.engine.depthwise(patch, stride, &weights[block], sums);
            });
            let end = self.weights.channels.min(start + PANEL);
            for (y, value) in outputs[start..end].iter_mut().zip(values) {
                *y = T::saturating_from(value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;
    use alloc::vec::Vec;

    use proptest::prelude::*;

    use super::*;
    use crate::fixed_point::QuantizedMultiplier;
    use crate::kernels::Kernels;
    use crate::kernels::matrix::{Bias, Requantization};
    use crate::ops::integer::{Accumulator, OutputRange};

    const RANGE: OutputRange = OutputRange { zero_point: 0, min: -32_768, max: 32_767 };

    proptest! {
        #[test]
        fn every_channel_equals_the_definition(
            (channels, taps) in (1usize..40, 1usize..30),
            weights in proptest::collection::vec(any::<i8>(), 40 * 30),
            values in proptest::collection::vec(any::<i16>(), 40 * 30),
            shift in -20i32..1,
        ) {
            let weights = &weights[..channels * taps];
            let bias: Vec<i64> = values[..channels].iter().map(|&x| i64::from(x) * 40_000).collect();
            let multipliers = vec![QuantizedMultiplier { multiplier: 0x6000_1234, shift }; channels];
            let expected: Vec<i16> = (0..channels)
                .map(|channel| {
                    let product = |tap: usize| {
                        i64::from(values[tap * channels + channel]) * i64::from(weights[channel * taps + tap])
                    };
                    let sum = (0..taps).map(product).sum::<i64>() + bias[channel];
                    RANGE.output(sum.requantize(multipliers[channel]))
                })
                .collect();
            let layer = Matrix {
                weights,
                channels,
                depth: taps,
                bias: Bias::Wide(&bias),
                requantization: Requantization::Fixed(&multipliers),
                range: RANGE,
                bound: 1 << 15,
            };
            for engine in Kernels::engines() {
                let depthwise = Depthwise::new(engine, &layer);
                // What fills the patch up is noise here.
                let mut patch = vec![0x55; depthwise.patch_elements()];
                for (patch, tap) in patch.chunks_exact_mut(depthwise.stride()).zip(values.chunks_exact(channels)).take(taps) {
                    patch[..channels].copy_from_slice(tap);
                }
                let mut outputs = vec![0; channels];
                depthwise.run(&patch, &mut outputs);
                prop_assert_eq!(&outputs, &expected, "{:?}", engine);
            }
        }
    }
}
