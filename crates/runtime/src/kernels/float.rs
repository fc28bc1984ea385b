//! The same for floats: rows times packed weights, plus biases, within an activation's bounds.

use alloc::vec;
use alloc::vec::Vec;

use crate::kernels::Engine;
use crate::kernels::pack::PANEL;
use crate::kernels::product::ROWS;
use crate::kernels::taps::Taps;
use crate::ops::activation::clamp;

/// The sums of a panel's channels.
pub(crate) type FloatSums = [f32; PANEL];

/// A layer of floats, its weights in the order `[panel, tap, channel of the panel]`.
#[derive(Debug)]
pub(crate) struct FloatProduct {
    engine: Engine,
    channels: usize,
    taps: Taps,
    weights: Vec<FloatSums>,
    bias: Vec<FloatSums>,
    range: (f32, f32),
}

impl FloatProduct {
    /// Packs weights `[channels, depth]`, and one bias for each channel, or none; the weights of a channel meet `runs` of
    /// `run` elements each, which lie one after the other from the runs' offsets on. `None` where an offset needs more than
    /// 32 bits.
    pub(crate) fn new(
        engine: Engine,
        (weights, bias): (&[f32], &[f32]),
        (channels, depth): (usize, usize),
        (runs, run): (&[usize], usize),
        range: (f32, f32),
    ) -> Option<Self> {
        let panels = channels.div_ceil(PANEL);
        let mut packed = vec![[0.0; PANEL]; panels * depth];
        for (channel, row) in weights.chunks_exact(depth.max(1)).take(channels).enumerate() {
            for (tap, &weight) in row.iter().enumerate() {
                packed[channel / PANEL * depth + tap][channel % PANEL] = weight;
            }
        }
        let mut biases = vec![[0.0; PANEL]; panels];
        biases.as_flattened_mut().iter_mut().zip(bias).for_each(|(packed, &bias)| *packed = bias);
        let taps = Taps::new(runs.iter().flat_map(|&start| start..start + run), 1)?;
        Some(Self { engine, channels, taps, weights: packed, bias: biases, range })
    }

    /// Bytes that the packed weights take.
    pub(crate) fn packed_bytes(&self) -> usize {
        size_of_val(&self.weights[..])
    }

    /// Elements of the image, from where a row begins, that are read.
    pub(crate) fn span(&self) -> usize {
        self.taps.span()
    }

    /// The outputs of the rows that begin at the given places of an image; those of row `i` start at
    /// `outputs[i * stride]`.
    #[inline]
    pub(crate) fn run<const N: usize>(
        &self,
        image: &[f32],
        begins: [usize; N],
        outputs: &mut [f32],
        stride: usize,
    ) {
        const { assert!(N <= ROWS) }
        let rows = self.taps.rows(image, begins);
        let mut sums = [[0.0; PANEL]; N];
        let panels = self.weights.chunks_exact(self.taps.offsets().len().max(1)).zip(&self.bias);
        for ((weights, bias), start) in panels.zip((0..).step_by(PANEL)) {
            self.engine.float_tile(rows, &self.taps, weights, &mut sums);
            let width = (self.channels - start).min(PANEL);
            for (row, sums) in sums.iter().enumerate() {
                let sums = sums.iter().zip(bias);
                for (y, (sum, bias)) in outputs[row * stride + start..][..width].iter_mut().zip(sums) {
                    *y = clamp(sum + bias, self.range);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::kernels::Kernels;

    /// Sums in the order of the taps, product by product: what the portable kernels give to the last bit.
    fn expected(rows: &[f32], weights: &[f32], bias: &[f32], depth: usize) -> Vec<f32> {
        let sum = |row: &[f32], weights: &[f32]| row.iter().zip(weights).fold(0.0, |sum, (x, w)| sum + x * w);
        let row = |row| {
            weights.chunks_exact(depth).zip(bias).map(move |(w, b)| clamp(sum(row, w) + b, (-1.0, 50.0)))
        };
        rows.chunks_exact(depth).flat_map(row).collect()
    }

    proptest! {
        #[test]
        fn portable_sums_are_the_definitions_and_others_are_close(
            (channels, depth, count) in (1usize..40, 1usize..80, 1usize..5),
            values in proptest::collection::vec(-2.0f32..2.0, 40 * 80 + 40 + 5 * 80),
        ) {
            let (weights, rest) = values.split_at(channels * depth);
            let (bias, rows) = rest.split_at(channels);
            let rows = &rows[..count * depth];
            let expected = expected(rows, weights, bias, depth);
            for engine in Kernels::engines() {
                let product =
                    FloatProduct::new(engine, (weights, bias), (channels, depth), (&[0], depth), (-1.0, 50.0)).unwrap();
                let mut outputs = vec![0.0; count * channels];
                for (row, outputs) in outputs.chunks_exact_mut(channels).enumerate() {
                    product.run(rows, [row * depth], outputs, channels);
                }
                if engine == Engine::Generic {
                    prop_assert_eq!(&outputs, &expected);
                }
                // A sum of 80 products below 4, each of its roundings at most half a unit in the last place.
                let close = |(a, b): (&f32, &f32)| (a - b).abs() <= 80.0 * 320.0 * f32::EPSILON;
                prop_assert!(outputs.iter().zip(&expected).all(close), "{:?}: {:?} {:?}", engine, outputs, expected);
            }
        }
    }
}
