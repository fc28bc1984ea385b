//! Kernels for NEON: sixteen channels are four vectors of 32-bit sums.

mod elementwise;

use core::arch::aarch64::*;

use bytemuck::must_cast;

pub(super) use self::elementwise::{lookup, rescale};
use crate::kernels::pack::{PANEL, Pairs};
use crate::kernels::scale::{FixedPanel, HalfUpPanel, Rule, Scaling};
use crate::kernels::taps::Block;
use crate::kernels::vectors::vectors;
pub(super) use crate::kernels::vectors::{dots, pairs};

vectors! {
    /// Proof that this machine has NEON, which belongs to the architecture.
    Neon, features: "neon", detected: cfg!(target_feature = "neon")
}

/// Four lanes each, in the order of the channels.
pub(super) type Ints = [int32x4_t; 4];
pub(super) type Floats = [float32x4_t; 4];

#[inline]
#[target_feature(enable = "neon")]
fn tile<const N: usize, const M: usize>(
    rows: [&[i16]; N],
    pairs: Block<'_, 2>,
    panels: [&[Pairs]; M],
) -> [[Ints; N]; M] {
    let mut sums = [[[vdupq_n_s32(0); 4]; N]; M];
    rows.iter().for_each(|row| assert!(row.len() >= pairs.span()));
    let (offsets, panels) = pairs.with(panels);
    for (index, &offset) in offsets.iter().enumerate() {
        let offset = offset as usize;
        debug_assert!(offset + 2 <= pairs.span());
        for panel in 0..M {
            let [w_first, w_second] = widen(&panels[panel][index]);
            for row in 0..N {
                // SAFETY: a block's pair ends within its span, and a row has as many elements as the span; the read needs no
                // alignment.
                let [first, second] =
                    unsafe { rows[row].as_ptr().add(offset).cast::<[i16; 2]>().read_unaligned() };
                let sum = add_products(sums[panel][row], [vdupq_n_s16(first); 2], w_first);
                sums[panel][row] = add_products(sum, [vdupq_n_s16(second); 2], w_second);
            }
        }
    }
    sums
}

#[inline]
#[target_feature(enable = "neon")]
pub(super) fn depthwise<const N: usize>(
    rows: [&[i16]; N],
    taps: Block<'_, PANEL>,
    panel: &[Pairs],
) -> [Ints; N] {
    let mut sums = [[vdupq_n_s32(0); 4]; N];
    rows.iter().for_each(|row| assert!(row.len() >= taps.span()));
    let (pairs, _) = taps.offsets().as_chunks::<2>();
    for (pair, weights) in pairs.iter().zip(panel) {
        for (&tap, weights) in pair.iter().zip(widen(weights)) {
            let tap = tap as usize;
            debug_assert!(tap + PANEL <= taps.span());
            for row in 0..N {
                // SAFETY: the sixteen elements at each tap of a block end within its span, and a row has as many elements
                // as the span; the read needs no alignment.
                let x = unsafe { rows[row].as_ptr().add(tap).cast::<[i16; PANEL]>().read_unaligned() };
                sums[row] = add_products(sums[row], must_cast(x), weights);
            }
        }
    }
    sums
}

/// The weights of a panel's pair as 16-bit integers, those of the first elements and those of the second ones.
#[inline]
#[target_feature(enable = "neon")]
fn widen(weights: &Pairs) -> [[int16x8_t; 2]; 2] {
    // SAFETY: 32 bytes are read; the load needs no alignment.
    let int8x16x2_t(first, second) = unsafe { vld2q_s8(weights.as_ptr()) };
    [first, second].map(|weights| [vmovl_s8(vget_low_s8(weights)), vmovl_high_s8(weights)])
}

/// The sums of sixteen channels, each plus a product.
#[inline]
#[target_feature(enable = "neon")]
fn add_products(sums: Ints, x: [int16x8_t; 2], weights: [int16x8_t; 2]) -> Ints {
    [
        vmlal_s16(sums[0], vget_low_s16(x[0]), vget_low_s16(weights[0])),
        vmlal_high_s16(sums[1], x[0], weights[0]),
        vmlal_s16(sums[2], vget_low_s16(x[1]), vget_low_s16(weights[1])),
        vmlal_high_s16(sums[3], x[1], weights[1]),
    ]
}

#[inline]
#[target_feature(enable = "neon")]
pub(super) fn float_tile<const N: usize, const M: usize, const WIDTH: usize>(
    rows: [&[f32]; N],
    taps: Block<'_, WIDTH>,
    panels: [&[[f32; PANEL]]; M],
) -> [[Floats; N]; M] {
    const { assert!(WIDTH == 1 || WIDTH == PANEL) }
    let mut sums = [[[vdupq_n_f32(0.0); 4]; N]; M];
    rows.iter().for_each(|row| assert!(row.len() >= taps.span()));
    let (offsets, panels) = taps.with(panels);
    for (index, &offset) in offsets.iter().enumerate() {
        let offset = offset as usize;
        debug_assert!(offset + WIDTH <= taps.span());
        for panel in 0..M {
            let weights: Floats = must_cast(panels[panel][index]);
            for row in 0..N {
                // SAFETY: the `WIDTH` elements at each tap of a block end within its span, and a row has as many elements as
                // the span; the read needs no alignment.
                let x: Floats = unsafe {
                    let start = rows[row].as_ptr().add(offset);
                    match WIDTH {
                        1 => [vdupq_n_f32(*start); 4],
                        _ => must_cast(start.cast::<[f32; PANEL]>().read_unaligned()),
                    }
                };
                for (quarter, sum) in sums[panel][row].iter_mut().enumerate() {
                    *sum = vfmaq_f32(*sum, x[quarter], weights[quarter]);
                }
            }
        }
    }
    sums
}

#[inline]
#[target_feature(enable = "neon")]
pub(super) fn add_and_clamp(sums: &mut [Floats], bias: &[f32; PANEL], (min, max): (f32, f32)) {
    let (min, max, bias) = (vdupq_n_f32(min), vdupq_n_f32(max), must_cast::<_, Floats>(*bias));
    for (sum, bias) in sums.iter_mut().flat_map(|sums| sums.iter_mut().zip(bias)) {
        // The result is NaN where one of the operands is.
        *sum = vminq_f32(vmaxq_f32(vaddq_f32(*sum, bias), min), max);
    }
}

#[inline]
#[target_feature(enable = "neon")]
pub(super) fn multiply_add(sums: Ints, x: Ints, weights: Ints) -> Ints {
    let mut sums = sums;
    for (sum, (x, weights)) in sums.iter_mut().zip(x.into_iter().zip(weights)) {
        let (x, weights) = (vreinterpretq_s16_s32(x), vreinterpretq_s16_s32(weights));
        *sum = vmlal_high_s16(vmlal_s16(*sum, vget_low_s16(x), vget_low_s16(weights)), x, weights);
    }
    sums
}

#[inline]
#[target_feature(enable = "neon")]
pub(super) fn multiply_add_float(sums: Floats, x: Floats, weights: Floats) -> Floats {
    let mut sums = sums;
    for (sum, (x, weights)) in sums.iter_mut().zip(x.into_iter().zip(weights)) {
        *sum = vfmaq_f32(*sum, x, weights);
    }
    sums
}

#[inline]
#[target_feature(enable = "neon")]
pub(super) fn larger(mut a: Ints, b: Ints) -> Ints {
    a.iter_mut().zip(b).for_each(|(a, b)| *a = vmaxq_s32(*a, b));
    a
}

#[inline]
#[target_feature(enable = "neon")]
pub(super) fn larger_float(mut a: Floats, b: Floats) -> Floats {
    // Comparisons with NaN do not hold.
    a.iter_mut().zip(b).for_each(|(a, b)| *a = vbslq_f32(vcltq_f32(*a, b), b, *a));
    a
}

/// Not inlined, so that the constants of a rule are in registers.
#[inline(never)]
#[target_feature(enable = "neon")]
pub(super) fn scale(sums: &mut [Ints], scaling: &Scaling, panel: usize) {
    match &scaling.rule {
        Rule::Fixed(multipliers) => {
            let FixedPanel { multiplier, left, right } = &multipliers[panel];
            let [multiplier, left, right] = [*multiplier, *left, *right].map(must_cast::<_, Ints>);
            scale_by(sums, scaling, panel, |value, quarter| {
                fixed(value, [multiplier[quarter], left[quarter], right[quarter]])
            });
        }
        Rule::HalfUp(multipliers) => {
            let HalfUpPanel { multiplier, half, right } = &multipliers[panel];
            let [multiplier, half, right] = [*multiplier, *half, *right].map(must_cast::<_, Ints>);
            scale_by(sums, scaling, panel, |value, quarter| {
                half_up(value, [multiplier[quarter], half[quarter], right[quarter]])
            });
        }
        Rule::HalfAway(factors) => {
            let factors: [[float64x2_t; 2]; 4] = must_cast(factors[panel]);
            scale_by(sums, scaling, panel, |value, quarter| real(value, factors[quarter]));
        }
    }
}

/// Adds biases, scales as the rule does for four channels, and keeps the results within the output's bounds.
#[inline]
#[target_feature(enable = "neon")]
fn scale_by(
    sums: &mut [Ints],
    scaling: &Scaling,
    panel: usize,
    rule: impl Fn(int32x4_t, usize) -> int32x4_t,
) {
    let bias: Ints = must_cast(scaling.bias[panel]);
    let (min, max) = (vdupq_n_s32(scaling.min), vdupq_n_s32(scaling.max));
    let zero_point = vdupq_n_s32(scaling.zero_point);
    for sums in sums {
        for (quarter, sum) in sums.iter_mut().enumerate() {
            let value = rule(vaddq_s32(*sum, bias[quarter]), quarter);
            // The bounds come first, so that adding the zero point cannot overflow.
            *sum = vaddq_s32(vminq_s32(vmaxq_s32(value, min), max), zero_point);
        }
    }
}

/// `QuantizedMultiplier::apply`: a left shift, a product rounded half up to its high part, and a right shift rounded half
/// away from zero.
#[inline]
#[target_feature(enable = "neon")]
fn fixed(value: int32x4_t, [multiplier, left, right]: [int32x4_t; 3]) -> int32x4_t {
    let high = vqrdmulhq_s32(vshlq_s32(value, left), multiplier);
    // The shift rounds half up, so a negative number is made less by one before; not where it is not shifted.
    let down = vnegq_s32(right);
    let correction = vshrq_n_s32::<31>(vandq_s32(high, down));
    vrshlq_s32(vqaddq_s32(high, correction), down)
}

/// As the portable one.
#[inline]
#[target_feature(enable = "neon")]
fn half_up(value: int32x4_t, [multiplier, half, right]: [int32x4_t; 3]) -> int32x4_t {
    let low = vmulq_s32(vandq_s32(value, vdupq_n_s32(0xffff)), multiplier);
    let product = vmlaq_s32(vshrq_n_s32::<16>(low), vshrq_n_s32::<16>(value), multiplier);
    vshlq_s32(vaddq_s32(product, half), vnegq_s32(right))
}

/// The integers times factors in double precision, rounded half away from zero.
#[inline]
#[target_feature(enable = "neon")]
fn real(value: int32x4_t, factors: [float64x2_t; 2]) -> int32x4_t {
    let low = half_away(vcvtq_f64_s64(vmovl_s32(vget_low_s32(value))), factors[0]);
    let high = half_away(vcvtq_f64_s64(vmovl_high_s32(value)), factors[1]);
    vcombine_s32(low, high)
}

/// A product rounded half away from zero, within the bounds of 32 bits.
#[inline]
#[target_feature(enable = "neon")]
fn half_away(value: float64x2_t, factor: float64x2_t) -> int32x2_t {
    vqmovn_s64(vcvtaq_s64_f64(vmulq_f64(value, factor)))
}
