//! Portable kernels, written so that the compiler vectorizes them.

use crate::kernels::pack::{PANEL, Pairs};
use crate::kernels::scale::Scaling;
use crate::kernels::taps::Block;
use crate::kernels::vectors::Vectors;
use crate::ops::activation::clamp;

/// Arrays instead of vectors.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Generic;

impl Vectors for Generic {
    type Ints = [i32; PANEL];
    type Floats = [f32; PANEL];

    #[inline]
    fn tile<const N: usize, const M: usize>(
        self,
        rows: [&[i16]; N],
        pairs: Block<'_, 2>,
        panels: [&[Pairs]; M],
    ) -> [[[i32; PANEL]; N]; M] {
        panels.map(|panel| rows.map(|row| tile(row, pairs.offsets(), panel)))
    }

    #[inline]
    fn depthwise<const N: usize>(
        self,
        rows: [&[i16]; N],
        taps: Block<'_, PANEL>,
        panel: &[Pairs],
    ) -> [[i32; PANEL]; N] {
        let mut sums = [[0; PANEL]; N];
        for (row, sums) in rows.iter().zip(&mut sums) {
            *sums = depthwise(row, taps.offsets(), panel);
        }
        sums
    }

    /// Sums in the order of the taps: the same bits on every machine.
    #[inline]
    fn float_tile<const N: usize, const M: usize, const WIDTH: usize>(
        self,
        rows: [&[f32]; N],
        taps: Block<'_, WIDTH>,
        panels: [&[[f32; PANEL]]; M],
    ) -> [[[f32; PANEL]; N]; M] {
        let mut sums = [[[0.0; PANEL]; N]; M];
        for (panel, sums) in panels.iter().zip(&mut sums) {
            for (row, sums) in rows.iter().zip(sums) {
                for (&offset, weights) in taps.offsets().iter().zip(*panel) {
                    let taps = &row[offset as usize..][..WIDTH];
                    for (channel, (sum, w)) in sums.iter_mut().zip(weights).enumerate() {
                        *sum += taps[channel % WIDTH] * w;
                    }
                }
            }
        }
        sums
    }

    #[inline]
    fn scale(self, sums: &mut [[i32; PANEL]], scaling: &Scaling, panel: usize) {
        for sums in sums {
            *sums = scaling.apply(sums, panel);
        }
    }

    #[inline]
    fn add_and_clamp(self, sums: &mut [[f32; PANEL]], bias: &[f32; PANEL], bounds: (f32, f32)) {
        for sums in sums {
            for (sum, bias) in sums.iter_mut().zip(bias) {
                *sum = clamp(*sum + bias, bounds);
            }
        }
    }

    #[inline]
    fn larger(self, a: [i32; PANEL], b: [i32; PANEL]) -> [i32; PANEL] {
        core::array::from_fn(|channel| a[channel].max(b[channel]))
    }

    #[inline]
    fn larger_float(self, a: [f32; PANEL], b: [f32; PANEL]) -> [f32; PANEL] {
        core::array::from_fn(|channel| if a[channel] < b[channel] { b[channel] } else { a[channel] })
    }

    #[inline]
    fn multiply_add(self, sums: [i32; PANEL], x: [i32; PANEL], weights: [i32; PANEL]) -> [i32; PANEL] {
        let halves = |pair: i32| (i32::from(pair as i16), pair >> 16);
        core::array::from_fn(|channel| {
            let ((x_low, x_high), (w_low, w_high)) = (halves(x[channel]), halves(weights[channel]));
            sums[channel].wrapping_add((x_low * w_low).wrapping_add(x_high * w_high))
        })
    }

    #[inline]
    fn multiply_add_float(self, sums: [f32; PANEL], x: [f32; PANEL], weights: [f32; PANEL]) -> [f32; PANEL] {
        core::array::from_fn(|channel| sums[channel] + x[channel] * weights[channel])
    }
}

/// Not inlined: between other loops the compiler does not vectorize these.
#[inline(never)]
fn tile(row: &[i16], offsets: &[u32], panel: &[Pairs]) -> [i32; PANEL] {
    let mut sums = [0i32; PANEL];
    for (&offset, weights) in offsets.iter().zip(panel) {
        let pair = &row[offset as usize..][..2];
        let (first, second) = (i32::from(pair[0]), i32::from(pair[1]));
        let weights = joined(weights);
        for (sum, weights) in sums.iter_mut().zip(weights) {
            *sum = sum.wrapping_add(first * i32::from(weights << 8 >> 8));
        }
        for (sum, weights) in sums.iter_mut().zip(weights) {
            *sum = sum.wrapping_add(second * i32::from(weights >> 8));
        }
    }
    sums
}

/// As [`tile`], with elements of each channel.
#[inline(never)]
fn depthwise(row: &[i16], offsets: &[u32], panel: &[Pairs]) -> [i32; PANEL] {
    let mut sums = [0i32; PANEL];
    for (&[first, second], weights) in offsets.as_chunks::<2>().0.iter().zip(panel) {
        let [first, second] = [&row[first as usize..][..PANEL], &row[second as usize..][..PANEL]];
        let weights = joined(weights);
        for ((sum, &x), weights) in sums.iter_mut().zip(first).zip(weights) {
            *sum = sum.wrapping_add(i32::from(x) * i32::from(weights << 8 >> 8));
        }
        for ((sum, &x), weights) in sums.iter_mut().zip(second).zip(weights) {
            *sum = sum.wrapping_add(i32::from(x) * i32::from(weights >> 8));
        }
    }
    sums
}

/// The weights of a panel's pairs, each pair one integer: shifts take it apart again, as vectors can.
#[inline(always)]
fn joined(weights: &Pairs) -> [i16; PANEL] {
    let mut joined = [0; PANEL];
    for channel in 0..PANEL {
        joined[channel] = i16::from_le_bytes([weights[2 * channel] as u8, weights[2 * channel + 1] as u8]);
    }
    joined
}

/// Products of an `i16` and an `i8` whose sum always fits 32 bits: each is at most 2^22 in magnitude.
const BLOCK: usize = 508;
const _: () = assert!((BLOCK as i64) << 22 <= i32::MAX as i64);

/// The exact sum of products: 32-bit sums of blocks that cannot overflow, added up in 64 bits.
pub(super) fn dot_i16(row: &[i16], weights: &[i8]) -> i64 {
    if row.len() <= BLOCK {
        return block_i16(row, weights).into();
    }
    let blocks = row.chunks(BLOCK).zip(weights.chunks(BLOCK));
    blocks.map(|(row, weights)| i64::from(block_i16(row, weights))).sum()
}

/// As [`dot_i16`], of integers that both have 16 bits: the halves of their products are summed apart.
#[inline(always)]
pub(super) fn dot_i16_i16(row: &[i16], others: &[i16]) -> i64 {
    /// The low halves of that many products sum up to less than 2^32, and the high ones to 2^30 at most.
    const BLOCK: usize = 1 << 16;
    let mut sum = 0;
    for (row, others) in row.chunks(BLOCK).zip(others.chunks(BLOCK)) {
        let (mut low, mut high) = (0u32, 0i32);
        for (&x, &y) in row.iter().zip(others) {
            let product = i32::from(x) * i32::from(y);
            low = low.wrapping_add((product & 0xffff).cast_unsigned());
            high = high.wrapping_add(product >> 16);
        }
        sum += i64::from(low) + (i64::from(high) << 16);
    }
    sum
}

/// The sum of at most [`BLOCK`] products: it fits 32 bits.
#[inline]
fn block_i16(row: &[i16], weights: &[i8]) -> i32 {
    row.iter().zip(weights).map(|(&x, &w)| i32::from(x) * i32::from(w)).fold(0, i32::wrapping_add)
}

/// The sum of products, each factor less its zero point; it wraps as the reference does.
pub(super) fn dot_i8(row: &[i8], weights: &[i8], (input_zero, weight_zero): (i32, i32)) -> i32 {
    if weight_zero == 0 {
        // sum((x - zero) * w) = sum(x * w) - zero * sum(w), also where 32 bits wrap.
        let add = |(sum, weight_sum): (i32, i32), (&x, &w): (&i8, &i8)| {
            (sum.wrapping_add(i32::from(x) * i32::from(w)), weight_sum.wrapping_add(i32::from(w)))
        };
        let (sum, weight_sum) = row.iter().zip(weights).fold((0, 0), add);
        return sum.wrapping_sub(input_zero.wrapping_mul(weight_sum));
    }
    let products =
        row.iter().zip(weights).map(|(&x, &w)| (i32::from(x) - input_zero) * (i32::from(w) - weight_zero));
    products.fold(0, i32::wrapping_add)
}
