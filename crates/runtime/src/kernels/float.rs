//! The same for floats: sums of products, plus biases, within an activation's bounds.

use alloc::vec;
use alloc::vec::Vec;

use crate::kernels::Engine;
use crate::kernels::pack::{PANEL, panels};
use crate::kernels::sweep::{Cells, PackedPanels, Panels};
use crate::kernels::taps::Taps;
use crate::kernels::vectors::Vectors;
use crate::ops::activation::clamp;

/// A layer of floats. `WIDTH` elements are read at each tap: 1 that meets the weights of all channels, or [`PANEL`], each of
/// which meets its own channel's.
#[derive(Debug)]
pub(crate) struct FloatLayer<const WIDTH: usize> {
    engine: Engine,
    channels: usize,
    taps: Taps<WIDTH>,
    /// `[panel, tap, channel of the panel]`.
    weights: Vec<[f32; PANEL]>,
    bias: Vec<[f32; PANEL]>,
    range: (f32, f32),
}

impl<const WIDTH: usize> FloatLayer<WIDTH> {
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
        let taps = Taps::new(runs.iter().flat_map(|&start| start..start + run))?;
        Some(Self { engine, channels, taps, weights: packed, bias: biases, range })
    }
}

impl<const WIDTH: usize> Panels for FloatLayer<WIDTH> {
    type Cell = f32;
    type Sum = f32;
    const STEP: usize = if WIDTH == PANEL { PANEL } else { 0 };
    const IS_SHARED: bool = Self::STEP == 0;

    fn channels(&self) -> usize {
        self.channels
    }
    /// Not with NaN.
    #[inline(always)]
    fn is_monotonic(&self) -> bool {
        false
    }
    #[inline(always)]
    fn tile<V: Vectors, const N: usize, const M: usize>(
        &self,
        vectors: V,
        panel: usize,
        image: &[f32],
        begins: [usize; N],
    ) -> [[V::Floats; N]; M] {
        let depth = self.taps.len();
        let (taps, panels) = (self.taps.block(0..depth), panels(&self.weights, panel, depth));
        if WIDTH == 1 {
            return vectors.float_tile(self.taps.rows(image, begins), taps, panels);
        }
        let mut tile = [[vectors.floats([0.0; PANEL]); N]; M];
        for ((index, sums), weights) in tile.iter_mut().enumerate().zip(panels) {
            let rows = self.taps.rows(&image[index * Self::STEP..], begins);
            [*sums] = vectors.float_tile(rows, taps, [weights]);
        }
        tile
    }
    #[inline(always)]
    fn finish<V: Vectors>(&self, vectors: V, panel: usize, sums: &mut [V::Floats]) {
        vectors.add_and_clamp(sums, &self.bias[panel], self.range);
    }
}

impl<const WIDTH: usize> PackedPanels for FloatLayer<WIDTH> {
    fn engine(&self) -> Engine {
        self.engine
    }
    fn packed_bytes(&self) -> usize {
        size_of_val(&self.weights[..])
    }
    fn span(&self) -> usize {
        self.taps.span() + self.channels.saturating_sub(1) / PANEL * Self::STEP
    }
    fn bound(&mut self, (min, max): (f64, f64)) {
        let bounds = (min as f32, max as f32);
        self.range = (clamp(self.range.0, bounds), clamp(self.range.1, bounds));
    }
}

impl<const WIDTH: usize> Cells<f32> for FloatLayer<WIDTH> {
    #[inline(always)]
    fn cell(element: f32, _zero_point: i32) -> f32 {
        element
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::kernels::Kernels;
    use crate::kernels::sweep::tests::outputs;

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
                let layer = (weights, bias);
                let layer =
                    FloatLayer::<1>::new(engine, layer, (channels, depth), (&[0], depth), (-1.0, 50.0)).unwrap();
                let outputs = outputs(layer, rows, (count, depth), channels);
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
