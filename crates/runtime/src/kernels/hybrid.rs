//! Floats from the sums of integers: layers whose input is quantized when they run.

use alloc::vec;
use alloc::vec::Vec;

use crate::kernels::integers::IntegerPanels;
use crate::kernels::pack::PANEL;
use crate::kernels::sweep::Panels;
use crate::kernels::vectors::Vectors;

/// What becomes of the sums of a group's channels.
#[derive(Debug)]
pub(crate) struct Scales {
    /// Of each channel's weights.
    weights: Vec<[f32; PANEL]>,
    bias: Vec<[f32; PANEL]>,
    /// Whether a sum is multiplied by its channel's scale and then by the sample's, instead of by the product of both.
    channel_first: bool,
    range: (f32, f32),
}

/// A layer of integers whose results are floats, for an input of the given scale.
#[derive(Debug)]
pub(crate) struct Scaled<'l, K> {
    pub(crate) layer: &'l K,
    pub(crate) scales: &'l Scales,
    pub(crate) scale: f32,
}

impl Scales {
    /// One scale for each channel, and one bias, or none.
    pub(crate) fn new(weights: &[f32], bias: &[f32], channel_first: bool, range: (f32, f32)) -> Self {
        let panels = |values: &[f32]| {
            let mut panels = vec![[0.0; PANEL]; weights.len().div_ceil(PANEL)];
            panels.as_flattened_mut().iter_mut().zip(values).for_each(|(lane, &value)| *lane = value);
            panels
        };
        Self { weights: panels(weights), bias: panels(bias), channel_first, range }
    }
}

impl<K: IntegerPanels> Panels for Scaled<'_, K> {
    type Cell = i16;
    type Sum = f32;
    const STEP: usize = K::STEP;

    fn channels(&self) -> usize {
        self.layer.packed().weights.channels
    }
    #[inline(always)]
    fn is_monotonic(&self) -> bool {
        false
    }
    #[inline(always)]
    fn tile<V: Vectors, const N: usize, const M: usize>(
        &self,
        vectors: V,
        panel: usize,
        image: &[i16],
        begins: [usize; N],
    ) -> [[V::Floats; N]; M] {
        let sums: [[V::Ints; N]; M] = IntegerPanels::tile(self.layer, vectors, panel, image, begins);
        let mut floats = [[vectors.floats([0.0; PANEL]); N]; M];
        for (floats, &sums) in floats.as_flattened_mut().iter_mut().zip(sums.as_flattened()) {
            *floats = vectors.floats(vectors.int_array(sums).map(|sum| sum as f32));
        }
        floats
    }
    #[inline(always)]
    fn finish<V: Vectors>(&self, vectors: V, panel: usize, sums: &mut [V::Floats]) {
        let &Scales { ref weights, ref bias, channel_first, range } = self.scales;
        let (weights, scale) = (&weights[panel], self.scale);
        for sums in &mut *sums {
            let mut values = vectors.float_array(*sums);
            for (value, weight) in values.iter_mut().zip(weights) {
                *value = if channel_first { *value * weight * scale } else { *value * (weight * scale) };
            }
            *sums = vectors.floats(values);
        }
        vectors.add_and_clamp(sums, &bias[panel], range);
    }
}
