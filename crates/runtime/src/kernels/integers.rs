//! What the integer layers share: weights of 8 bits, sums of 32, and the way from sums to outputs.

use crate::kernels::Engine;
use crate::kernels::matrix::Ending;
use crate::kernels::pack::{PANEL, PackedWeights};
use crate::kernels::sweep::{Cells, PackedPanels, Panels};
use crate::kernels::vectors::Vectors;
use crate::ops::integer::Integer;

/// A layer's weights, packed, and what becomes of its sums.
#[derive(Debug)]
pub(crate) struct Packed {
    pub(crate) engine: Engine,
    pub(crate) weights: PackedWeights,
    pub(crate) ending: Ending,
}

/// An integer layer: how its sums are formed.
pub(crate) trait IntegerPanels: core::fmt::Debug + Send + Sync + 'static {
    /// Elements from what a panel reads to what the next one reads.
    const STEP: usize;
    /// As [`Panels::IS_SHARED`].
    const IS_SHARED: bool = false;

    fn packed(&self) -> &Packed;
    fn packed_mut(&mut self) -> &mut Packed;
    /// Elements that a panel reads from where a window begins.
    fn span(&self) -> usize;
    /// As [`Panels::tile`].
    fn tile<V: Vectors, const N: usize, const M: usize>(
        &self,
        vectors: V,
        panel: usize,
        image: &[i16],
        begins: [usize; N],
    ) -> [[V::Ints; N]; M];
}

impl<K: IntegerPanels> Panels for K {
    type Cell = i16;
    type Sum = i32;
    const STEP: usize = K::STEP;
    const IS_SHARED: bool = K::IS_SHARED;

    fn channels(&self) -> usize {
        self.packed().weights.channels
    }
    #[inline(always)]
    fn is_monotonic(&self) -> bool {
        self.packed().ending.is_monotonic()
    }
    #[inline(always)]
    fn tile<V: Vectors, const N: usize, const M: usize>(
        &self,
        vectors: V,
        panel: usize,
        image: &[i16],
        begins: [usize; N],
    ) -> [[V::Ints; N]; M] {
        IntegerPanels::tile(self, vectors, panel, image, begins)
    }
    #[inline(always)]
    fn finish<V: Vectors>(&self, vectors: V, panel: usize, sums: &mut [V::Ints]) {
        self.packed().ending.finish(vectors, panel, sums);
    }
}

impl<K: IntegerPanels> PackedPanels for K {
    fn engine(&self) -> Engine {
        self.packed().engine
    }
    fn packed_bytes(&self) -> usize {
        self.packed().weights.bytes()
    }
    fn span(&self) -> usize {
        IntegerPanels::span(self) + self.channels().saturating_sub(1) / PANEL * K::STEP
    }
    fn bound(&mut self, (min, max): (f64, f64)) {
        self.packed_mut().ending.bound((min as i32, max as i32));
    }
}

impl<T: Integer, K: IntegerPanels> Cells<T> for K {
    /// At most 16 bits: a difference of 8-bit integers, or a 16-bit one less 0.
    #[inline(always)]
    fn cell(element: T, zero_point: i32) -> i16 {
        (element.into() - zero_point) as i16
    }
}
