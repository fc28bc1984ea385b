//! Kernels for AVX-512 with VNNI: sixteen channels are one vector of 32-bit sums.

use core::arch::x86_64::*;

use bytemuck::must_cast;

use super::avx2::{dots, lookup};
use crate::fixed_point::QuantizedMultiplier;
use crate::kernels::pack::{PANEL, Pairs};
use crate::kernels::scale::{FixedPanel, HalfUpPanel, Rule, Scaling};
use crate::kernels::taps::Block;
use crate::kernels::vectors::{self, vectors};

cpufeatures::new!(detection, "avx2", "fma", "avx512f", "avx512bw", "avx512vl");

vectors! {
    /// Proof that this machine has AVX-512 F, BW, VL and VNNI, and with them AVX2 and fused multiply-add.
    Avx512, features: "avx2,fma,avx512f,avx512bw,avx512vl,avx512vnni", detected: has_vnni()
}

/// Whether the machine has VNNI beside the rest.
fn has_vnni() -> bool {
    // Leaf 7, ECX, bit 11; it exists where AVX2 does.
    detection::get() && __cpuid_count(7, 0).ecx & 1 << 11 != 0
}

type Ints = __m512i;
type Floats = __m512;

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
fn tile<const N: usize, const M: usize>(
    rows: [&[i16]; N],
    pairs: Block<'_, 2>,
    panels: [&[Pairs]; M],
) -> [[Ints; N]; M] {
    let mut sums = [[_mm512_setzero_si512(); N]; M];
    rows.iter().for_each(|row| assert!(row.len() >= pairs.span()));
    let (offsets, panels) = pairs.with(panels);
    for (index, &offset) in offsets.iter().enumerate() {
        let offset = offset as usize;
        debug_assert!(offset + 2 <= pairs.span());
        for panel in 0..M {
            let weights = _mm512_cvtepi8_epi16(must_cast(panels[panel][index]));
            for row in 0..N {
                // SAFETY: a block's pair ends within its span, and a row has as many elements as the span; the read needs no
                // alignment.
                let pair = unsafe { rows[row].as_ptr().add(offset).cast::<i32>().read_unaligned() };
                sums[panel][row] = add_products::<N, M>(sums[panel][row], _mm512_set1_epi32(pair), weights);
            }
        }
    }
    sums
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
fn depthwise<const N: usize>(rows: [&[i16]; N], taps: Block<'_, PANEL>, panel: &[Pairs]) -> [Ints; N] {
    // The elements of a channel's two taps, side by side.
    let order: [i16; 2 * PANEL] = core::array::from_fn(|place| (place % 2 * PANEL + place / 2) as i16);
    let order = must_cast(order);
    let mut sums = [_mm512_setzero_si512(); N];
    rows.iter().for_each(|row| assert!(row.len() >= taps.span()));
    let (pairs, _) = taps.offsets().as_chunks::<2>();
    for (&[first, second], weights) in pairs.iter().zip(panel) {
        let (first, second) = (first as usize, second as usize);
        debug_assert!(first.max(second) + PANEL <= taps.span());
        let weights = _mm512_cvtepi8_epi16(must_cast(*weights));
        for row in 0..N {
            let start = rows[row].as_ptr();
            // SAFETY: the sixteen elements at each tap of a block end within its span, and a row has as many elements as
            // the span; the loads need no alignment.
            let (first, second) = unsafe {
                (_mm256_loadu_si256(start.add(first).cast()), _mm256_loadu_si256(start.add(second).cast()))
            };
            let x = _mm512_permutexvar_epi16(order, join(first, second));
            sums[row] = add_products::<N, 1>(sums[row], x, weights);
        }
    }
    sums
}

/// The sums plus the products of pairs. The one instruction for both waits for the sums from its beginning, four cycles or
/// more; with less than four sums an addition of its own, which takes one, is sooner ready for the next pair.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
fn add_products<const N: usize, const M: usize>(sums: Ints, x: __m512i, weights: __m512i) -> Ints {
    match N * M {
        0..4 => _mm512_add_epi32(sums, _mm512_madd_epi16(x, weights)),
        _ => _mm512_dpwssd_epi32(sums, x, weights),
    }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn float_tile<const N: usize, const M: usize, const WIDTH: usize>(
    rows: [&[f32]; N],
    taps: Block<'_, WIDTH>,
    panels: [&[[f32; PANEL]]; M],
) -> [[Floats; N]; M] {
    const { assert!(WIDTH == 1 || WIDTH == PANEL) }
    let mut sums = [[_mm512_setzero_ps(); N]; M];
    rows.iter().for_each(|row| assert!(row.len() >= taps.span()));
    let (offsets, panels) = taps.with(panels);
    for (index, &offset) in offsets.iter().enumerate() {
        let offset = offset as usize;
        debug_assert!(offset + WIDTH <= taps.span());
        for panel in 0..M {
            let weights = must_cast(panels[panel][index]);
            for row in 0..N {
                // SAFETY: the `WIDTH` elements at each tap of a block end within its span, and a row has as many elements as
                // the span; the load needs no alignment.
                let x = unsafe {
                    let start = rows[row].as_ptr().add(offset);
                    match WIDTH {
                        1 => _mm512_set1_ps(*start),
                        _ => _mm512_loadu_ps(start),
                    }
                };
                sums[panel][row] = _mm512_fmadd_ps(x, weights, sums[panel][row]);
            }
        }
    }
    sums
}

#[inline]
#[target_feature(enable = "avx512f")]
fn add_and_clamp(sums: &mut [Floats], bias: &[f32; PANEL], (min, max): (f32, f32)) {
    let (min, max, bias) = (_mm512_set1_ps(min), _mm512_set1_ps(max), must_cast(*bias));
    for sum in sums {
        // The second operand is the result where one is NaN.
        *sum = _mm512_min_ps(max, _mm512_max_ps(min, _mm512_add_ps(*sum, bias)));
    }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn larger(a: Ints, b: Ints) -> Ints {
    _mm512_max_epi32(a, b)
}

#[inline]
#[target_feature(enable = "avx512f")]
fn larger_float(a: Floats, b: Floats) -> Floats {
    // The second operand is the result where one is NaN.
    _mm512_max_ps(b, a)
}

#[inline]
#[target_feature(enable = "avx512f,avx512vnni")]
fn multiply_add(sums: Ints, x: Ints, weights: Ints) -> Ints {
    _mm512_dpwssd_epi32(sums, x, weights)
}

#[inline]
#[target_feature(enable = "avx512f")]
fn multiply_add_float(sums: Floats, x: Floats, weights: Floats) -> Floats {
    _mm512_fmadd_ps(x, weights, sums)
}

/// Not inlined, so that the constants of a rule are in registers.
#[inline(never)]
#[target_feature(enable = "avx512f,avx512bw")]
fn scale(sums: &mut [Ints], scaling: &Scaling, panel: usize) {
    match &scaling.rule {
        Rule::Fixed(multipliers) => {
            let FixedPanel { multiplier, left, right } = &multipliers[panel];
            let factor = [*multiplier, *left, *right].map(must_cast::<_, Ints>);
            scale_by(sums, scaling, panel, |sums| fixed(sums, factor));
        }
        Rule::HalfUp(multipliers) => {
            let HalfUpPanel { multiplier, half, right } = &multipliers[panel];
            let factor = [*multiplier, *half, *right].map(must_cast::<_, Ints>);
            scale_by(sums, scaling, panel, |sums| half_up(sums, factor));
        }
        Rule::HalfAway(factors) => {
            let factors = must_cast(factors[panel]);
            scale_by(sums, scaling, panel, |sums| real(sums, factors));
        }
    }
}

/// Adds biases, scales as the rule does, and keeps the results within the output's bounds.
#[inline]
#[target_feature(enable = "avx512f")]
fn scale_by(sums: &mut [Ints], scaling: &Scaling, panel: usize, rule: impl Fn(Ints) -> Ints) {
    let bias = must_cast(scaling.bias[panel]);
    let (min, max) = (_mm512_set1_epi32(scaling.min), _mm512_set1_epi32(scaling.max));
    let zero_point = _mm512_set1_epi32(scaling.zero_point);
    for sums in sums {
        let value = rule(_mm512_add_epi32(*sums, bias));
        // The bounds come first, so that adding the zero point cannot overflow.
        *sums = _mm512_add_epi32(_mm512_min_epi32(_mm512_max_epi32(value, min), max), zero_point);
    }
}

/// `QuantizedMultiplier::apply`: a left shift, a product rounded half up to its high part, and a right shift rounded half
/// away from zero.
#[inline]
#[target_feature(enable = "avx512f")]
fn fixed(value: __m512i, [multiplier, left, right]: [__m512i; 3]) -> __m512i {
    let value = _mm512_sllv_epi32(value, left);
    let rounding = _mm512_set1_epi64(1 << 30);
    let even = _mm512_add_epi64(_mm512_mul_epi32(value, multiplier), rounding);
    let odd = _mm512_mul_epi32(_mm512_srli_epi64::<32>(value), _mm512_srli_epi64::<32>(multiplier));
    let odd = _mm512_add_epi64(odd, rounding);
    // Bits 31..63 of each product: for the odd ones they belong into the upper half.
    let high = _mm512_mask_mov_epi32(
        _mm512_srli_epi64::<31>(even),
        0b1010_1010_1010_1010,
        _mm512_slli_epi64::<1>(odd),
    );
    let one = _mm512_set1_epi32(1);
    let mask = _mm512_sub_epi32(_mm512_sllv_epi32(one, right), one);
    let remainder = _mm512_and_si512(high, mask);
    let negative = _mm512_srli_epi32::<31>(high);
    let threshold = _mm512_add_epi32(_mm512_srli_epi32::<1>(mask), negative);
    let above = _mm512_cmpgt_epi32_mask(remainder, threshold);
    let value = _mm512_srav_epi32(high, right);
    _mm512_mask_add_epi32(value, above, value, one)
}

/// As the portable one.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn half_up(value: __m512i, [multiplier, half, right]: [__m512i; 3]) -> __m512i {
    let high = _mm512_madd_epi16(value, _mm512_slli_epi32::<16>(multiplier));
    let low = _mm512_mullo_epi32(_mm512_and_si512(value, _mm512_set1_epi32(0xffff)), multiplier);
    let product = _mm512_add_epi32(high, _mm512_srli_epi32::<16>(low));
    _mm512_srav_epi32(_mm512_add_epi32(product, half), right)
}

/// The integers times factors in double precision, rounded half away from zero.
#[inline]
#[target_feature(enable = "avx512f")]
fn real(values: Ints, [low, high]: [__m512d; 2]) -> Ints {
    join(
        half_away(_mm512_cvtepi32_pd(_mm512_castsi512_si256(values)), low),
        half_away(_mm512_cvtepi32_pd(_mm512_extracti64x4_epi64::<1>(values)), high),
    )
}

/// A product rounded half away from zero, within the bounds of 32 bits.
#[inline]
#[target_feature(enable = "avx512f")]
fn half_away(value: __m512d, factor: __m512d) -> __m256i {
    const TO_ZERO: i32 = _MM_FROUND_TO_ZERO | _MM_FROUND_NO_EXC;
    let (half, one) = (_mm512_set1_pd(0.5), _mm512_set1_pd(1.0));
    let value = _mm512_mul_pd(value, factor);
    // The fraction is exact, so a value next to a half is not rounded twice.
    let whole = _mm512_roundscale_pd::<TO_ZERO>(value);
    let fraction = _mm512_sub_pd(value, whole);
    let is_up = _mm512_cmp_pd_mask::<_CMP_GE_OQ>(fraction, half);
    let is_down = _mm512_cmp_pd_mask::<_CMP_LE_OQ>(fraction, _mm512_set1_pd(-0.5));
    let rounded = _mm512_mask_sub_pd(_mm512_mask_add_pd(whole, is_up, whole, one), is_down, whole, one);
    let bound = |limit: i32| _mm512_set1_pd(limit.into());
    _mm512_cvttpd_epi32(_mm512_min_pd(_mm512_max_pd(rounded, bound(i32::MIN)), bound(i32::MAX)))
}

/// Eight low and eight high lanes.
#[inline]
#[target_feature(enable = "avx512f")]
fn join(low: __m256i, high: __m256i) -> __m512i {
    _mm512_inserti64x4::<1>(_mm512_castsi256_si512(low), high)
}

#[inline]
#[target_feature(enable = "avx512f")]
fn rescale(lanes: &mut [i32], multiplier: QuantizedMultiplier) {
    let QuantizedMultiplier { multiplier: factor, shift } = multiplier;
    let factor = [factor, shift.max(0), (-shift).max(0)].map(|lane| _mm512_set1_epi32(lane));
    let (sixteens, rest) = lanes.as_chunks_mut::<16>();
    for sixteen in sixteens {
        *sixteen = must_cast(fixed(must_cast(*sixteen), factor));
    }
    rest.iter_mut().for_each(|lane| *lane = multiplier.apply(*lane));
}

#[inline]
#[target_feature(enable = "avx512f")]
fn pairs(table: &[u16], lanes: &mut [i32]) {
    assert!((2..1 << 16).contains(&table.len()), "a table has a pair, and indices of 16 bits");
    let last = _mm512_set1_epi32(table.len() as i32 - 2);
    let (sixteens, rest) = lanes.as_chunks_mut::<16>();
    for sixteen in sixteens {
        let index = _mm512_min_epu32(must_cast(*sixteen), last);
        // SAFETY: each index and the next one are within the table, and entries are 2 bytes apart.
        *sixteen = must_cast(unsafe { _mm512_i32gather_epi32::<2>(index, table.as_ptr().cast()) });
    }
    vectors::pairs(table, rest);
}
