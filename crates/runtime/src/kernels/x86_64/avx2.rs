//! Kernels for AVX2 with fused multiply-add: sixteen channels are two vectors of 32-bit sums.

mod elementwise;

use core::arch::x86_64::*;

use bytemuck::must_cast;

pub(super) use self::elementwise::lookup;
use self::elementwise::{pairs, rescale};
use crate::kernels::pack::{DOT, DOT_BLOCK, PANEL, Pairs, Quad};
use crate::kernels::scale::{FixedPanel, HalfUpPanel, Rule, Scaling};
use crate::kernels::taps::Block;
use crate::kernels::vectors::vectors;

cpufeatures::new!(detection, "avx2", "fma");

vectors! {
    /// Proof that this machine has AVX2 and fused multiply-add.
    Avx2, features: "avx2,fma", detected: detection::get()
}

/// Eight low and eight high lanes.
type Ints = [__m256i; 2];
type Floats = [__m256; 2];

#[inline]
#[target_feature(enable = "avx2")]
fn tile<const N: usize, const M: usize>(
    rows: [&[i16]; N],
    pairs: Block<'_, 2>,
    panels: [&[Pairs]; M],
) -> [[Ints; N]; M] {
    let mut sums = [[[_mm256_setzero_si256(); 2]; N]; M];
    rows.iter().for_each(|row| assert!(row.len() >= pairs.span()));
    let (offsets, panels) = pairs.with(panels);
    for (index, &offset) in offsets.iter().enumerate() {
        let offset = offset as usize;
        debug_assert!(offset + 2 <= pairs.span());
        for panel in 0..M {
            let [w_low, w_high] = widen(&panels[panel][index]);
            for row in 0..N {
                // SAFETY: a block's pair ends within its span, and a row has as many elements as the span; the read needs no
                // alignment.
                let pair = unsafe { rows[row].as_ptr().add(offset).cast::<i32>().read_unaligned() };
                let x = _mm256_set1_epi32(pair);
                let [low, high] = sums[panel][row];
                sums[panel][row] = [
                    _mm256_add_epi32(low, _mm256_madd_epi16(x, w_low)),
                    _mm256_add_epi32(high, _mm256_madd_epi16(x, w_high)),
                ];
            }
        }
    }
    sums
}

/// Interleaving two taps works on halves of vectors: one sum is of the channels 0..4 and 8..12, the other of the rest.
#[inline]
#[target_feature(enable = "avx2")]
fn depthwise<const N: usize>(rows: [&[i16]; N], taps: Block<'_, PANEL>, panel: &[Pairs]) -> [Ints; N] {
    let mut sums = [[_mm256_setzero_si256(); 2]; N];
    rows.iter().for_each(|row| assert!(row.len() >= taps.span()));
    let (pairs, _) = taps.offsets().as_chunks::<2>();
    for (&[first, second], weights) in pairs.iter().zip(panel) {
        let (first, second) = (first as usize, second as usize);
        debug_assert!(first.max(second) + PANEL <= taps.span());
        let [w_even, w_odd] = exchange_halves(widen(weights));
        for row in 0..N {
            let start = rows[row].as_ptr();
            // SAFETY: the sixteen elements at each tap of a block end within its span, and a row has as many elements as
            // the span; the loads need no alignment.
            let (first, second) = unsafe {
                (_mm256_loadu_si256(start.add(first).cast()), _mm256_loadu_si256(start.add(second).cast()))
            };
            let [even, odd] = sums[row];
            let x_even = _mm256_unpacklo_epi16(first, second);
            let x_odd = _mm256_unpackhi_epi16(first, second);
            sums[row] = [
                _mm256_add_epi32(even, _mm256_madd_epi16(x_even, w_even)),
                _mm256_add_epi32(odd, _mm256_madd_epi16(x_odd, w_odd)),
            ];
        }
    }
    for sums in &mut sums {
        *sums = exchange_halves(*sums);
    }
    sums
}

/// Each channel's sum is that of eight sums of pairs.
#[target_feature(enable = "avx2")]
pub(in crate::kernels) fn dots(row: &[i16], quads: &[Quad]) -> [i64; 4] {
    assert!(quads.len() <= DOT_BLOCK && row.len() >= quads.len() * DOT, "the sums fit 32 bits");
    let mut sums = [_mm256_setzero_si256(); 4];
    for (row, quad) in row.as_chunks::<DOT>().0.iter().zip(quads) {
        // SAFETY: sixteen elements of 16 bits are read; the load needs no alignment.
        let x = unsafe { _mm256_loadu_si256(row.as_ptr().cast()) };
        for (sum, weights) in sums.iter_mut().zip(quad) {
            // SAFETY: sixteen weights of 8 bits are read; the load needs no alignment.
            let weights = unsafe { _mm_loadu_si128(weights.as_ptr().cast()) };
            *sum = _mm256_add_epi32(*sum, _mm256_madd_epi16(x, _mm256_cvtepi8_epi16(weights)));
        }
    }
    sums.map(|sum| {
        let [low, high] = [_mm256_castsi256_si128(sum), _mm256_extracti128_si256::<1>(sum)];
        let sums = _mm256_add_epi64(_mm256_cvtepi32_epi64(low), _mm256_cvtepi32_epi64(high));
        let sums = _mm_add_epi64(_mm256_castsi256_si128(sums), _mm256_extracti128_si256::<1>(sums));
        _mm_cvtsi128_si64(_mm_add_epi64(sums, _mm_unpackhi_epi64(sums, sums)))
    })
}

/// The upper half of the first vector for the lower half of the second one.
#[inline]
#[target_feature(enable = "avx2")]
fn exchange_halves([first, second]: Ints) -> Ints {
    [_mm256_permute2x128_si256::<0x20>(first, second), _mm256_permute2x128_si256::<0x31>(first, second)]
}

#[inline]
#[target_feature(enable = "avx2,fma")]
fn float_tile<const N: usize, const M: usize, const WIDTH: usize>(
    rows: [&[f32]; N],
    taps: Block<'_, WIDTH>,
    panels: [&[[f32; PANEL]]; M],
) -> [[Floats; N]; M] {
    const { assert!(WIDTH == 1 || WIDTH == PANEL) }
    let mut sums = [[[_mm256_setzero_ps(); 2]; N]; M];
    rows.iter().for_each(|row| assert!(row.len() >= taps.span()));
    let (offsets, panels) = taps.with(panels);
    for (index, &offset) in offsets.iter().enumerate() {
        let offset = offset as usize;
        debug_assert!(offset + WIDTH <= taps.span());
        for panel in 0..M {
            let [w_low, w_high]: Floats = must_cast(panels[panel][index]);
            for row in 0..N {
                // SAFETY: the `WIDTH` elements at each tap of a block end within its span, and a row has as many elements as
                // the span; the loads need no alignment.
                let [x_low, x_high] = unsafe {
                    let start = rows[row].as_ptr().add(offset);
                    match WIDTH {
                        1 => [_mm256_set1_ps(*start); 2],
                        _ => [_mm256_loadu_ps(start), _mm256_loadu_ps(start.add(8))],
                    }
                };
                let [low, high] = sums[panel][row];
                sums[panel][row] =
                    [_mm256_fmadd_ps(x_low, w_low, low), _mm256_fmadd_ps(x_high, w_high, high)];
            }
        }
    }
    sums
}

#[inline]
#[target_feature(enable = "avx2")]
fn add_and_clamp(sums: &mut [Floats], bias: &[f32; PANEL], (min, max): (f32, f32)) {
    let (min, max, bias) = (_mm256_set1_ps(min), _mm256_set1_ps(max), must_cast::<_, Floats>(*bias));
    // The second operand is the result where one is NaN.
    let clamp = |sum| _mm256_min_ps(max, _mm256_max_ps(min, sum));
    for sums in sums {
        *sums = [clamp(_mm256_add_ps(sums[0], bias[0])), clamp(_mm256_add_ps(sums[1], bias[1]))];
    }
}

#[inline]
#[target_feature(enable = "avx2")]
fn larger(a: Ints, b: Ints) -> Ints {
    [_mm256_max_epi32(a[0], b[0]), _mm256_max_epi32(a[1], b[1])]
}

#[inline]
#[target_feature(enable = "avx2")]
fn larger_float(a: Floats, b: Floats) -> Floats {
    // The second operand is the result where one is NaN.
    [_mm256_max_ps(b[0], a[0]), _mm256_max_ps(b[1], a[1])]
}

#[inline]
#[target_feature(enable = "avx2")]
fn multiply_add(sums: Ints, x: Ints, weights: Ints) -> Ints {
    [
        _mm256_add_epi32(sums[0], _mm256_madd_epi16(x[0], weights[0])),
        _mm256_add_epi32(sums[1], _mm256_madd_epi16(x[1], weights[1])),
    ]
}

#[inline]
#[target_feature(enable = "avx2,fma")]
fn multiply_add_float(sums: Floats, x: Floats, weights: Floats) -> Floats {
    [_mm256_fmadd_ps(x[0], weights[0], sums[0]), _mm256_fmadd_ps(x[1], weights[1], sums[1])]
}

/// The weights of a panel's pair as 16-bit integers.
#[inline]
#[target_feature(enable = "avx2")]
fn widen(weights: &Pairs) -> Ints {
    let start = weights.as_ptr();
    // SAFETY: both halves of 16 bytes lie within the 32 bytes of `weights`; the loads need no alignment.
    let halves = unsafe { [_mm_loadu_si128(start.cast()), _mm_loadu_si128(start.add(16).cast())] };
    [_mm256_cvtepi8_epi16(halves[0]), _mm256_cvtepi8_epi16(halves[1])]
}

/// Not inlined, so that the constants of a rule are in registers.
#[inline(never)]
#[target_feature(enable = "avx2,fma")]
fn scale(sums: &mut [Ints], scaling: &Scaling, panel: usize) {
    match &scaling.rule {
        Rule::Fixed(multipliers) => {
            let FixedPanel { multiplier, left, right } = &multipliers[panel];
            let [multiplier, left, right] = [*multiplier, *left, *right].map(must_cast::<_, Ints>);
            let [low, high] = [0, 1].map(|half| [multiplier[half], left[half], right[half]]);
            scale_by(sums, scaling, panel, |[x, y]| [fixed(x, low), fixed(y, high)]);
        }
        Rule::HalfUp(multipliers) => {
            let HalfUpPanel { multiplier, half, right } = &multipliers[panel];
            let [multiplier, half, right] = [*multiplier, *half, *right].map(must_cast::<_, Ints>);
            let [low, high] = [0, 1].map(|part| [multiplier[part], half[part], right[part]]);
            scale_by(sums, scaling, panel, |[x, y]| [half_up(x, low), half_up(y, high)]);
        }
        Rule::HalfAway(factors) => {
            let factors = must_cast(factors[panel]);
            scale_by(sums, scaling, panel, |sums| real(sums, &factors));
        }
    }
}

/// Adds biases, scales as the rule does, and keeps the results within the output's bounds.
#[inline]
#[target_feature(enable = "avx2")]
fn scale_by(sums: &mut [Ints], scaling: &Scaling, panel: usize, rule: impl Fn(Ints) -> Ints) {
    let bias: Ints = must_cast(scaling.bias[panel]);
    let (min, max) = (_mm256_set1_epi32(scaling.min), _mm256_set1_epi32(scaling.max));
    let zero_point = _mm256_set1_epi32(scaling.zero_point);
    // The bounds come first, so that adding the zero point cannot overflow.
    let output = |value| _mm256_add_epi32(_mm256_min_epi32(_mm256_max_epi32(value, min), max), zero_point);
    for sums in sums {
        let values = rule([_mm256_add_epi32(sums[0], bias[0]), _mm256_add_epi32(sums[1], bias[1])]);
        *sums = [output(values[0]), output(values[1])];
    }
}

/// `QuantizedMultiplier::apply`: a left shift, a product rounded half up to its high part, and a right shift rounded half
/// away from zero.
#[inline]
#[target_feature(enable = "avx2")]
fn fixed(value: __m256i, [multiplier, left, right]: [__m256i; 3]) -> __m256i {
    let value = _mm256_sllv_epi32(value, left);
    let rounding = _mm256_set1_epi64x(1 << 30);
    let even = _mm256_add_epi64(_mm256_mul_epi32(value, multiplier), rounding);
    let odd = _mm256_mul_epi32(_mm256_srli_epi64::<32>(value), _mm256_srli_epi64::<32>(multiplier));
    let odd = _mm256_add_epi64(odd, rounding);
    // Bits 31..63 of each product: for the odd ones they belong into the upper half.
    let high = _mm256_blend_epi32::<0b1010_1010>(_mm256_srli_epi64::<31>(even), _mm256_slli_epi64::<1>(odd));
    let one = _mm256_set1_epi32(1);
    let mask = _mm256_sub_epi32(_mm256_sllv_epi32(one, right), one);
    let remainder = _mm256_and_si256(high, mask);
    // Comparisons give -1, which is subtracted for 1.
    let negative = _mm256_cmpgt_epi32(_mm256_setzero_si256(), high);
    let threshold = _mm256_sub_epi32(_mm256_srli_epi32::<1>(mask), negative);
    let above = _mm256_cmpgt_epi32(remainder, threshold);
    _mm256_sub_epi32(_mm256_srav_epi32(high, right), above)
}

/// As the portable one. (The high parts of products of 16 bits would take the low half in one step, but the compiler turns
/// them into products of 32 bits where one factor stays the same, and more slowly so.)
#[inline]
#[target_feature(enable = "avx2")]
fn half_up(value: __m256i, [multiplier, half, right]: [__m256i; 3]) -> __m256i {
    let high = _mm256_madd_epi16(value, _mm256_slli_epi32::<16>(multiplier));
    let low = _mm256_mullo_epi32(_mm256_and_si256(value, _mm256_set1_epi32(0xffff)), multiplier);
    let product = _mm256_add_epi32(high, _mm256_srli_epi32::<16>(low));
    _mm256_srav_epi32(_mm256_add_epi32(product, half), right)
}

/// The integers times factors in double precision, rounded half away from zero.
#[inline]
#[target_feature(enable = "avx2")]
fn real(values: Ints, factors: &[__m256d; 4]) -> Ints {
    let quarter = |value: __m128i, quarter: usize| half_away(_mm256_cvtepi32_pd(value), factors[quarter]);
    let half = |half: usize| {
        let low = quarter(_mm256_castsi256_si128(values[half]), 2 * half);
        let high = quarter(_mm256_extracti128_si256::<1>(values[half]), 2 * half + 1);
        _mm256_inserti128_si256::<1>(_mm256_castsi128_si256(low), high)
    };
    [half(0), half(1)]
}

/// A product rounded half away from zero, within the bounds of 32 bits.
///
/// Truncation after what is just less than a half has been added: `value + 0.5` itself could round up to the next integer. The
/// sum with the neighbour of a half reaches an integer exactly where `value` reaches a half, as the sum rounds to even.
#[inline]
#[target_feature(enable = "avx2")]
fn half_away(value: __m256d, factor: __m256d) -> __m128i {
    let bound = |limit: i32| _mm256_set1_pd(limit.into());
    let value = _mm256_mul_pd(value, factor);
    let value = _mm256_min_pd(_mm256_max_pd(value, bound(i32::MIN)), bound(i32::MAX));
    let sign = _mm256_and_pd(_mm256_set1_pd(-0.0), value);
    _mm256_cvttpd_epi32(_mm256_add_pd(value, _mm256_or_pd(sign, _mm256_set1_pd(0.5f64.next_down()))))
}
