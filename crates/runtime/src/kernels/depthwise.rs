//! Depthwise convolution: the taps of each channel times the channel's own weights, requantized.

use crate::kernels::Engine;
use crate::kernels::matrix::{Ending, Matrix};
use crate::kernels::pack::{PANEL, PackedWeights};
use crate::kernels::taps::Taps;
use crate::ops::integer::Integer;

/// A depthwise layer's weights, packed, and the way of its sums to outputs.
#[derive(Debug)]
pub(crate) struct Depthwise {
    engine: Engine,
    taps: Taps,
    weights: PackedWeights,
    ending: Ending,
}

impl Depthwise {
    /// Packs a layer whose weights are `[channels, taps]`; the pixels under a window begin at the given offsets. `None` where
    /// an offset needs more than 32 bits.
    pub(crate) fn new(engine: Engine, matrix: &Matrix<'_>, pixels: &[usize]) -> Option<Self> {
        // The weight of a tap that fills a pair up is 0.
        let filler = pixels.last().copied().filter(|_| !pixels.len().is_multiple_of(2));
        let reach = matrix.channels.next_multiple_of(PANEL);
        Some(Self {
            engine,
            taps: Taps::new(pixels.iter().copied().chain(filler), reach)?,
            weights: PackedWeights::new(matrix.weights, matrix.channels, matrix.depth, matrix.depth),
            ending: Ending::new(matrix),
        })
    }

    /// Bytes that the packed weights take.
    pub(crate) fn packed_bytes(&self) -> usize {
        self.weights.bytes()
    }

    /// Elements of the image, from where a window begins, that are read; what lies behind a pixel's channels has no effect.
    pub(crate) fn span(&self) -> usize {
        self.taps.span()
    }

    /// The outputs of the window that begins at the given place of an image, one for each channel.
    pub(crate) fn run<T: Integer>(&self, image: &[i16], begin: usize, outputs: &mut [T]) {
        let [row] = self.taps.rows(image, [begin]);
        for (panel, weights) in self.weights.panels().enumerate() {
            let start = panel * PANEL;
            let mut values = [[0; PANEL]];
            self.ending.outputs(self.engine, panel, weights.len(), &mut values, |block, [sums]| {
                self.engine.depthwise(&row[start..], &self.taps, block.clone(), &weights[block], sums);
            });
            let end = self.weights.channels.min(start + PANEL);
            for (y, &value) in outputs[start..end].iter_mut().zip(&values[0]) {
                *y = T::truncating_from(value);
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
    use crate::kernels::matrix::{Bias, ChannelFactors};
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
                let mut outputs = vec![0; channels];
                depthwise.run(&image, 0, &mut outputs);
                prop_assert_eq!(&outputs, &expected, "{:?}", engine);
            }
        }
    }
}
