//! Depthwise convolution: the taps of each channel times the channel's own weights, requantized.

use crate::kernels::Engine;
use crate::kernels::integers::{IntegerPanels, Packed};
use crate::kernels::matrix::{Ending, Matrix};
use crate::kernels::pack::{PANEL, PackedWeights};
use crate::kernels::taps::Taps;
use crate::kernels::vectors::Vectors;

/// A depthwise layer's weights, packed, and the way of its sums to outputs.
#[derive(Debug)]
pub(crate) struct Depthwise {
    /// The channels of a panel of each pixel under a window; two pixels are a pair.
    taps: Taps<PANEL>,
    packed: Packed,
}

impl Depthwise {
    /// Packs a layer whose weights are `[channels, taps]`; the pixels under a window begin at the given offsets. `None` where
    /// an offset needs more than 32 bits.
    pub(crate) fn new(engine: Engine, matrix: &Matrix<'_>, pixels: &[usize]) -> Option<Self> {
        // The weight of a tap that fills a pair up is 0.
        let filler = pixels.last().copied().filter(|_| !pixels.len().is_multiple_of(2));
        Some(Self {
            taps: Taps::new(pixels.iter().copied().chain(filler))?,
            packed: Packed {
                engine,
                weights: PackedWeights::new(matrix.weights, matrix.channels, matrix.depth, matrix.depth),
                ending: Ending::new(matrix, matrix.depth),
            },
        })
    }
}

impl IntegerPanels for Depthwise {
    const STEP: usize = PANEL;

    #[inline(always)]
    fn packed(&self) -> &Packed {
        &self.packed
    }
    fn packed_mut(&mut self) -> &mut Packed {
        &mut self.packed
    }
    fn span(&self) -> usize {
        self.taps.span()
    }
    #[inline(always)]
    fn tile<V: Vectors, const N: usize, const M: usize>(
        &self,
        vectors: V,
        panel: usize,
        image: &[i16],
        begins: [usize; N],
    ) -> [[V::Ints; N]; M] {
        let Packed { weights, ending, .. } = &self.packed;
        let mut tile = [[vectors.ints([0; PANEL]); N]; M];
        for (index, sums) in tile.iter_mut().enumerate() {
            let rows = self.taps.rows(&image[index * PANEL..], begins);
            let (panel, weights) = (panel + index, weights.panel(panel + index));
            *sums = ending.sums(vectors, panel, weights.len(), |block| {
                vectors.depthwise(rows, self.taps.block(2 * block.start..2 * block.end), &weights[block])
            });
        }
        tile
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
    use crate::kernels::matrix::{Bias, ChannelFactors};
    use crate::kernels::sweep::tests::outputs;
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
                factors: ChannelFactors::Fixed(&multipliers),
                range: RANGE,
                bound: 1 << 15,
            };
            for engine in Kernels::engines() {
                let pixels: Vec<usize> = (0..taps).map(|tap| tap * channels).collect();
                let depthwise = Depthwise::new(engine, &layer, &pixels).unwrap();
                // What lies behind the last pixel has no effect.
                let image = [&values[..channels * taps], &[0x5555; PANEL]].concat();
                let found: Vec<i16> = outputs(depthwise, &image, (1, 0), channels);
                prop_assert_eq!(&found, &expected, "{:?}", engine);
            }
        }
    }
}
