//! One row of activations times weights, requantized: the inner part of dense layers without a batch.
//!
//! Lanes lie along the row, not along the channels: nothing is spread over a vector, and few channels fill the lanes as well as
//! many do.

use crate::kernels::Engine;
use crate::kernels::integers::{IntegerPanels, Packed};
use crate::kernels::matrix::{Ending, Matrix};
use crate::kernels::pack::{DOT, DOT_BLOCK, PANEL, PackedWeights};
use crate::kernels::vectors::Vectors;

/// A layer's weights, packed, and the way of its sums to outputs.
#[derive(Debug)]
pub(crate) struct Dots {
    /// Elements of a row; those that fill the last dot up have no effect.
    span: usize,
    packed: Packed,
}

impl Dots {
    /// Packs a layer whose weights are `[channels, depth]`.
    pub(crate) fn new(engine: Engine, matrix: &Matrix<'_>) -> Self {
        Self {
            span: matrix.depth.next_multiple_of(DOT),
            packed: Packed {
                engine,
                weights: PackedWeights::for_dots(matrix.weights, matrix.channels, matrix.depth),
                ending: Ending::new(matrix, matrix.depth),
            },
        }
    }

    /// Whether dots are faster than panels of channels.
    ///
    /// On an AMD EPYC with AVX2, four channels of 2032 weights take as long by dots as 4.8 of them in a panel.
    pub(crate) fn suit(channels: usize, depth: usize) -> bool {
        depth >= 4 * DOT && 5 * channels.next_multiple_of(4) <= 4 * channels.next_multiple_of(PANEL)
    }
}

impl IntegerPanels for Dots {
    const STEP: usize = 0;

    #[inline(always)]
    fn packed(&self) -> &Packed {
        &self.packed
    }
    fn packed_mut(&mut self) -> &mut Packed {
        &mut self.packed
    }
    fn span(&self) -> usize {
        self.span
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
        for (panel, outputs) in (panel..).zip(&mut tile) {
            for (outputs, begin) in outputs.iter_mut().zip(begins) {
                let sums = weights.sums(vectors, panel, &image[begin..][..self.span]);
                *outputs = ending.exact_sums(vectors, panel, &sums);
            }
        }
        tile
    }
}

impl PackedWeights {
    /// The exact sums of a row and a panel's channels.
    #[inline(always)]
    fn sums<V: Vectors>(&self, vectors: V, panel: usize, row: &[i16]) -> [i64; PANEL] {
        let mut sums = [0; PANEL];
        let (quads, _) = sums.as_chunks_mut::<4>();
        for (sums, quad) in quads.iter_mut().zip(panel * PANEL / 4..self.channels.div_ceil(4)) {
            for (row, quads) in row.chunks(DOT_BLOCK * DOT).zip(self.quads(quad).chunks(DOT_BLOCK)) {
                let block = vectors.dots(row, quads);
                sums.iter_mut().zip(block).for_each(|(sum, block)| *sum += block);
            }
        }
        sums
    }
}
