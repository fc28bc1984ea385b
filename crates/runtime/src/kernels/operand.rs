//! Products of two operands: the right one is packed when the product runs, as weights are when a layer is planned.

use alloc::vec;

use crate::kernels::matrix::{Bias, ChannelFactors, Ending, Matrix};
use crate::kernels::pack::{PANEL, Pairs, panels};
use crate::kernels::sweep::Panels;
use crate::kernels::taps::Taps;
use crate::kernels::vectors::Vectors;
use crate::ops::integer::{Integer, OutputRange};

/// A matrix `[depth, columns]`, or `[columns, depth]` if it is adjoint.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Right<'r, W> {
    pub(crate) elements: &'r [W],
    pub(crate) depth: usize,
    pub(crate) columns: usize,
    pub(crate) is_adjoint: bool,
}

impl<W: Copy + Default> Right<'_, W> {
    /// Calls `pack` with each row of a panel in turn, with zeros beyond the last row and beside the last column.
    #[inline(always)]
    fn for_each<const ROWS: usize, P>(&self, packed: &mut [P], pack: impl Fn([[W; PANEL]; ROWS]) -> P) {
        let steps = self.depth.div_ceil(ROWS);
        for (panel, packed) in packed.chunks_exact_mut(steps.max(1)).enumerate() {
            for (step, packed) in packed.iter_mut().enumerate() {
                *packed = pack(core::array::from_fn(|row| self.row(step * ROWS + row, panel * PANEL)));
            }
        }
    }

    /// The elements of a row for a panel's columns.
    #[inline(always)]
    fn row(&self, row: usize, column: usize) -> [W; PANEL] {
        let mut values = [W::default(); PANEL];
        if row >= self.depth {
            return values;
        }
        let count = (self.columns - column).min(PANEL);
        if self.is_adjoint {
            let columns = self.elements[column * self.depth..].chunks_exact(self.depth);
            values.iter_mut().zip(columns.take(count)).for_each(|(value, column)| *value = column[row]);
            return values;
        }
        let elements = &self.elements[row * self.columns + column..][..count];
        match <&[W; PANEL]>::try_from(elements) {
            Ok(elements) => values = *elements,
            Err(_) => values.iter_mut().zip(elements).for_each(|(value, &element)| *value = element),
        }
        values
    }
}

impl Right<'_, f32> {
    /// Packs the matrix in the order `[panel, row, column of the panel]`.
    #[inline(always)]
    pub(crate) fn pack(&self, packed: &mut [[f32; PANEL]]) {
        self.for_each(packed, |[row]| row);
    }
}

impl Right<'_, i8> {
    /// Packs the matrix in the order `[panel, pair of rows, column of the panel, row of the pair]`.
    #[inline(always)]
    pub(crate) fn pack(&self, packed: &mut [Pairs]) {
        self.for_each(packed, |[first, second]| {
            core::array::from_fn(|index| if index % 2 == 0 { first[index / 2] } else { second[index / 2] })
        });
    }
}

/// A packed matrix of floats.
#[derive(Debug)]
pub(crate) struct FloatOperand<'s> {
    pub(crate) taps: &'s Taps<1>,
    pub(crate) packed: &'s [[f32; PANEL]],
    pub(crate) columns: usize,
}

impl Panels for FloatOperand<'_> {
    type Cell = f32;
    type Sum = f32;
    const STEP: usize = 0;

    fn channels(&self) -> usize {
        self.columns
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
        image: &[f32],
        begins: [usize; N],
    ) -> [[V::Floats; N]; M] {
        let (rows, depth) = (self.taps.rows(image, begins), self.taps.len());
        vectors.float_tile(rows, self.taps.block(0..depth), panels(self.packed, panel, depth))
    }
    #[inline(always)]
    fn finish<V: Vectors>(&self, vectors: V, _panel: usize, sums: &mut [V::Floats]) {
        // Unlike elsewhere, no activation cuts infinities.
        vectors.add_and_clamp(sums, &[0.0; PANEL], (f32::NEG_INFINITY, f32::INFINITY));
    }
}

/// A packed matrix of 8-bit integers as they are; what their zero point takes from a sum depends on the row alone.
#[derive(Debug)]
pub(crate) struct IntegerOperand<'s> {
    pub(crate) taps: &'s Taps<2>,
    pub(crate) packed: &'s [Pairs],
    pub(crate) depth: usize,
    pub(crate) columns: usize,
    pub(crate) zero_point: i32,
    /// That of one panel, which serves all.
    pub(crate) ending: &'s Ending,
}

/// Elements behind a row of the left matrix: the sum of the row, in two halves.
pub(crate) const ROW_SUM: usize = 2;

/// A row of the left matrix less its zero point, and behind it its sum, which wraps.
#[inline(always)]
pub(crate) fn lay_out_row<T: Integer>(row: impl Iterator<Item = T>, zero_point: i32, laid_out: &mut [i16]) {
    let (cells, halves) = laid_out.split_at_mut(laid_out.len() - ROW_SUM);
    let mut sum = 0i32;
    for (cell, x) in cells.iter_mut().zip(row) {
        let x = x.into() - zero_point;
        *cell = x as i16;
        sum = sum.wrapping_add(x);
    }
    halves.copy_from_slice(&[sum as i16, (sum >> 16) as i16]);
}

/// What becomes of the sums of products with any matrix of `depth` rows. Elements of the left one less their zero point are
/// at most `bound` in magnitude.
pub(crate) fn ending(
    depth: usize,
    bias: Bias<'_>,
    factors: ChannelFactors<'_>,
    (range, bound): (OutputRange, i64),
) -> Ending {
    /// More rows are summed in blocks, whatever the weights.
    const ENOUGH: usize = 1 << 10;
    let depth = depth.min(ENOUGH);
    let weights = vec![i8::MIN; PANEL * depth];
    Ending::new(&Matrix { weights: &weights, channels: PANEL, depth, bias, factors, range, bound }, depth)
}

impl Panels for IntegerOperand<'_> {
    type Cell = i16;
    type Sum = i32;
    const STEP: usize = 0;

    fn channels(&self) -> usize {
        self.columns
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
    ) -> [[V::Ints; N]; M] {
        let (rows, pairs) = (self.taps.rows(image, begins), self.taps.len());
        let mut tile = [[vectors.ints([0; PANEL]); N]; M];
        for (sums, packed) in tile.iter_mut().zip(panels::<_, M>(self.packed, panel, pairs)) {
            *sums = self.ending.sums(vectors, 0, pairs, |block| {
                let [mut sums] = vectors.tile(rows, self.taps.block(block.clone()), [&packed[block]]);
                if self.zero_point != 0 {
                    for (sums, begin) in sums.iter_mut().zip(begins) {
                        let halves = &image[begin + self.depth..][..ROW_SUM];
                        let sum = i32::from(halves[0]) & 0xffff | i32::from(halves[1]) << 16;
                        let zero = sum.wrapping_mul(self.zero_point);
                        *sums = vectors.ints(vectors.int_array(*sums).map(|sum| sum.wrapping_sub(zero)));
                    }
                }
                sums
            });
        }
        tile
    }
    #[inline(always)]
    fn finish<V: Vectors>(&self, vectors: V, _panel: usize, sums: &mut [V::Ints]) {
        self.ending.finish(vectors, 0, sums);
    }
}
