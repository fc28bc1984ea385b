//! Portable kernels, written so that the compiler vectorizes them.

use crate::kernels::float::FloatSums;
use crate::kernels::pack::PANEL;
use crate::kernels::product::Sums;

/// As [`Engine::tile`](super::Engine::tile).
pub(super) fn tile<const ROWS: usize>(
    rows: [&[i16]; ROWS],
    offsets: &[u32],
    panel: &[[i8; 2 * PANEL]],
    sums: &mut [Sums; ROWS],
) {
    for (row, sums) in rows.into_iter().zip(sums) {
        *sums = [0; PANEL];
        for (&offset, weights) in offsets.iter().zip(panel) {
            let pair = &row[offset as usize..][..2];
            let (first, second) = (i32::from(pair[0]), i32::from(pair[1]));
            let (pairs, _) = weights.as_chunks::<2>();
            for (sum, &[w0, w1]) in sums.iter_mut().zip(pairs) {
                // At most 2^22 each: the sum of the two is exact.
                *sum = sum.wrapping_add(first * i32::from(w0) + second * i32::from(w1));
            }
        }
    }
}

/// As [`Engine::depthwise`](super::Engine::depthwise).
pub(super) fn depthwise(row: &[i16], offsets: &[u32], panel: &[[i8; 2 * PANEL]], sums: &mut Sums) {
    *sums = [0; PANEL];
    for (taps, weights) in offsets.as_chunks::<2>().0.iter().zip(panel) {
        let [first, second] = taps.map(|tap| &row[tap as usize..][..PANEL]);
        let (pairs, _) = weights.as_chunks::<2>();
        for (channel, (sum, &[w0, w1])) in sums.iter_mut().zip(pairs).enumerate() {
            let product = |x: i16, w: i8| i32::from(x) * i32::from(w);
            *sum = sum.wrapping_add(product(first[channel], w0) + product(second[channel], w1));
        }
    }
}

/// As [`Engine::float_tile`](super::Engine::float_tile), with sums in the order of the taps: the same bits on every machine.
pub(super) fn float_tile<const ROWS: usize>(
    rows: [&[f32]; ROWS],
    offsets: &[u32],
    panel: &[FloatSums],
    sums: &mut [FloatSums; ROWS],
) {
    for (row, sums) in rows.into_iter().zip(sums) {
        *sums = [0.0; PANEL];
        for (&offset, weights) in offsets.iter().zip(panel) {
            let x = row[offset as usize];
            for (sum, w) in sums.iter_mut().zip(weights) {
                *sum += x * w;
            }
        }
    }
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
