//! Portable kernels, written so that the compiler vectorizes them.

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
