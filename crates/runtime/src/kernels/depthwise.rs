//! Depthwise convolution: the taps of each channel times the channel's own weights, requantized.

use crate::kernels::Engine;
use crate::kernels::matrix::{Ending, Matrix};
use crate::kernels::pack::{PANEL, PackedWeights};
use crate::kernels::sweep::{Panels, Tiles};
use crate::kernels::taps::Taps;
use crate::kernels::vectors::Vectors;
use crate::ops::integer::Integer;

/// A depthwise layer's weights, packed, and the way of its sums to outputs.
#[derive(Debug)]
pub(crate) struct Depthwise {
    engine: Engine,
    /// The channels of a panel of each pixel under a window; two pixels are a pair.
    taps: Taps<PANEL>,
    weights: PackedWeights,
    ending: Ending,
}

impl Depthwise {
    /// Packs a layer whose weights are `[channels, taps]`; the pixels under a window begin at the given offsets. `None` where
    /// an offset needs more than 32 bits.
    pub(crate) fn new(engine: Engine, matrix: &Matrix<'_>, pixels: &[usize]) -> Option<Self> {
        // The weight of a tap that fills a pair up is 0.
        let filler = pixels.last().copied().filter(|_| !pixels.len().is_multiple_of(2));
        Some(Self {
            engine,
            taps: Taps::new(pixels.iter().copied().chain(filler))?,
            weights: PackedWeights::new(matrix.weights, matrix.channels, matrix.depth, matrix.depth),
            ending: Ending::new(matrix, matrix.depth),
        })
    }
}

impl Panels for Depthwise {
    type Cell = i16;
    type Lanes<V: Vectors> = V::Ints;
    const STEP: usize = PANEL;

    fn engine(&self) -> Engine {
        self.engine
    }
    fn channels(&self) -> usize {
        self.weights.channels
    }
    fn packed_bytes(&self) -> usize {
        self.weights.bytes()
    }
    fn span(&self) -> usize {
        self.taps.span() + self.weights.channels.saturating_sub(1) / PANEL * PANEL
    }
    fn bound(&mut self, (min, max): (f64, f64)) {
        self.ending.bound((min as i32, max as i32));
    }
    #[inline(always)]
    fn is_monotonic(&self) -> bool {
        self.ending.is_monotonic()
    }
    #[inline(always)]
    fn sums<V: Vectors, const N: usize>(
        &self,
        vectors: V,
        panel: usize,
        image: &[i16],
        begins: [usize; N],
    ) -> [V::Ints; N] {
        let (rows, weights) = (self.taps.rows(image, begins), self.weights.panel(panel));
        self.ending.sums(vectors, panel, weights.len(), |block| {
            vectors.depthwise(rows, self.taps.block(2 * block.start..2 * block.end), &weights[block])
        })
    }
    #[inline(always)]
    fn finish<V: Vectors>(&self, vectors: V, panel: usize, sums: &mut [V::Ints]) {
        self.ending.finish(vectors, panel, sums);
    }
    #[inline(always)]
    fn lowest<V: Vectors>(vectors: V) -> V::Ints {
        vectors.ints([i32::MIN; PANEL])
    }
    #[inline(always)]
    fn larger<V: Vectors>(vectors: V, a: V::Ints, b: V::Ints) -> V::Ints {
        vectors.larger(a, b)
    }
}

impl<T: Integer> Tiles<T> for Depthwise {
    #[inline(always)]
    fn cell(element: T, zero_point: i32) -> i16 {
        (element.into() - zero_point) as i16
    }
    #[inline(always)]
    fn array<V: Vectors>(vectors: V, outputs: V::Ints) -> [T; PANEL] {
        vectors.int_array(outputs).map(T::truncating_from)
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
