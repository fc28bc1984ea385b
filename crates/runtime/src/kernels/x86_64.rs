//! Kernels for AVX2 with fused multiply-add: sixteen channels are two vectors of 32-bit sums.

mod elementwise;

use core::arch::x86_64::*;

use crate::kernels::float::FloatSums;
use crate::kernels::pack::PANEL;
use crate::kernels::product::Sums;
use crate::kernels::scale::{FixedPanel, Rule, Scaling};

cpufeatures::new!(detection, "avx2", "fma");

/// Proof that this machine has AVX2 and fused multiply-add.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Avx2(());

impl Avx2 {
    /// The proof, if the machine has it.
    pub(crate) fn new() -> Option<Self> {
        detection::get().then_some(Self(()))
    }

    /// As [`Engine::tile`](super::Engine::tile); no offset and its pair reaches beyond `span`.
    #[inline]
    pub(super) fn tile<const ROWS: usize>(
        self,
        rows: [&[i16]; ROWS],
        (offsets, span): (&[u32], usize),
        panel: &[[i8; 2 * PANEL]],
        sums: &mut [Sums; ROWS],
    ) {
        // SAFETY: `self` proves that the machine has AVX2.
        unsafe { tile(rows, (offsets, span), panel, sums) }
    }

    /// As [`Engine::depthwise`](super::Engine::depthwise).
    #[inline]
    pub(super) fn depthwise(self, row: &[i16], offsets: &[u32], panel: &[[i8; 2 * PANEL]], sums: &mut Sums) {
        // SAFETY: `self` proves that the machine has AVX2.
        unsafe { depthwise(row, offsets, panel, sums) }
    }

    /// As [`Engine::float_tile`](super::Engine::float_tile); no offset reaches `span`.
    #[inline]
    pub(super) fn float_tile<const ROWS: usize>(
        self,
        rows: [&[f32]; ROWS],
        (offsets, span): (&[u32], usize),
        panel: &[FloatSums],
        sums: &mut [FloatSums; ROWS],
    ) {
        // SAFETY: `self` proves that the machine has AVX2 and fused multiply-add.
        unsafe { float_tile(rows, (offsets, span), panel, sums) }
    }

    /// As [`Engine::scale`](super::Engine::scale).
    #[inline]
    pub(super) fn scale(self, sums: &mut [Sums], scaling: &Scaling, panel: usize) {
        // SAFETY: `self` proves that the machine has AVX2.
        unsafe { scale(sums, scaling, panel) }
    }
}

#[target_feature(enable = "avx2")]
fn tile<const ROWS: usize>(
    rows: [&[i16]; ROWS],
    (offsets, span): (&[u32], usize),
    panel: &[[i8; 2 * PANEL]],
    sums: &mut [Sums; ROWS],
) {
    let mut low = [_mm256_setzero_si256(); ROWS];
    let mut high = [_mm256_setzero_si256(); ROWS];
    let rows = rows.map(|row| &row[..span]);
    for (&offset, weights) in offsets.iter().zip(panel) {
        let offset = offset as usize;
        debug_assert!(offset + 2 <= span);
        let (w_low, w_high) = widen(weights);
        for row in 0..ROWS {
            // SAFETY: the taps' span covers each of their pairs, and a row has as many elements as the span; the read needs
            // no alignment.
            let pair = unsafe { rows[row].as_ptr().add(offset).cast::<i32>().read_unaligned() };
            let x = _mm256_set1_epi32(pair);
            low[row] = _mm256_add_epi32(low[row], _mm256_madd_epi16(x, w_low));
            high[row] = _mm256_add_epi32(high[row], _mm256_madd_epi16(x, w_high));
        }
    }
    for row in 0..ROWS {
        store(&mut sums[row], [low[row], high[row]]);
    }
}

#[target_feature(enable = "avx2")]
fn depthwise(row: &[i16], offsets: &[u32], panel: &[[i8; 2 * PANEL]], sums: &mut Sums) {
    let mut totals = [_mm256_setzero_si256(); 2];
    for (taps, weights) in offsets.as_chunks::<2>().0.iter().zip(panel) {
        let [first, second] = taps.map(|tap| load_taps(&row[tap as usize..]));
        let (w_low, w_high) = widen(weights);
        let x_low = _mm256_unpacklo_epi16(first, second);
        let x_high = _mm256_unpackhi_epi16(first, second);
        totals[0] = _mm256_add_epi32(totals[0], _mm256_madd_epi16(x_low, w_low));
        totals[1] = _mm256_add_epi32(totals[1], _mm256_madd_epi16(x_high, w_high));
    }
    store(sums, totals);
}

/// A tap of sixteen channels, in the order 0..4, 8..12, 4..8, 12..16: interleaving two of them works on halves.
#[inline]
#[target_feature(enable = "avx2")]
fn load_taps(taps: &[i16]) -> __m256i {
    let taps = &taps[..PANEL];
    // SAFETY: sixteen elements are read; the load needs no alignment.
    let taps = unsafe { _mm256_loadu_si256(taps.as_ptr().cast()) };
    _mm256_permute4x64_epi64::<0b11_01_10_00>(taps)
}

#[target_feature(enable = "avx2,fma")]
fn float_tile<const ROWS: usize>(
    rows: [&[f32]; ROWS],
    (offsets, span): (&[u32], usize),
    panel: &[FloatSums],
    sums: &mut [FloatSums; ROWS],
) {
    let mut low = [_mm256_setzero_ps(); ROWS];
    let mut high = [_mm256_setzero_ps(); ROWS];
    let rows = rows.map(|row| &row[..span]);
    for (&offset, weights) in offsets.iter().zip(panel) {
        let offset = offset as usize;
        debug_assert!(offset < span);
        let (halves, _) = weights.as_chunks();
        let (w_low, w_high) = (load_f32(&halves[0]), load_f32(&halves[1]));
        for row in 0..ROWS {
            // SAFETY: the taps' span covers each of them, and a row has as many elements as the span.
            let x = _mm256_set1_ps(unsafe { *rows[row].get_unchecked(offset) });
            low[row] = _mm256_fmadd_ps(x, w_low, low[row]);
            high[row] = _mm256_fmadd_ps(x, w_high, high[row]);
        }
    }
    for row in 0..ROWS {
        let start = sums[row].as_mut_ptr();
        // SAFETY: a row has 16 sums, eight for each of the two stores; they need no alignment.
        unsafe {
            _mm256_storeu_ps(start, low[row]);
            _mm256_storeu_ps(start.add(8), high[row]);
        }
    }
}

#[inline]
#[target_feature(enable = "avx2")]
fn load_f32(values: &[f32; 8]) -> __m256 {
    // SAFETY: eight numbers are read; the load needs no alignment.
    unsafe { _mm256_loadu_ps(values.as_ptr()) }
}

/// The weights of a panel's pair as 16-bit integers.
#[inline]
#[target_feature(enable = "avx2")]
fn widen(weights: &[i8; 2 * PANEL]) -> (__m256i, __m256i) {
    let start = weights.as_ptr();
    // SAFETY: both halves of 16 bytes lie within the 32 bytes of `weights`; the loads need no alignment.
    let halves = unsafe { [_mm_loadu_si128(start.cast()), _mm_loadu_si128(start.add(16).cast())] };
    (_mm256_cvtepi8_epi16(halves[0]), _mm256_cvtepi8_epi16(halves[1]))
}

#[inline]
#[target_feature(enable = "avx2")]
fn store(sums: &mut Sums, values: [__m256i; 2]) {
    let start = sums.as_mut_ptr();
    // SAFETY: `sums` has 16 integers, eight for each of the two stores; they need no alignment.
    unsafe {
        _mm256_storeu_si256(start.cast(), values[0]);
        _mm256_storeu_si256(start.add(8).cast(), values[1]);
    }
}

#[inline]
#[target_feature(enable = "avx2")]
fn load(values: &[i32; 8]) -> __m256i {
    // SAFETY: eight integers are read; the load needs no alignment.
    unsafe { _mm256_loadu_si256(values.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx2")]
fn load_f64(values: &[f64; 4]) -> __m256d {
    // SAFETY: four numbers are read; the load needs no alignment.
    unsafe { _mm256_loadu_pd(values.as_ptr()) }
}

/// The two halves of sixteen integers.
fn halves(values: &Sums) -> &[[i32; 8]] {
    values.as_chunks().0
}

#[target_feature(enable = "avx2")]
fn scale(sums: &mut [Sums], scaling: &Scaling, panel: usize) {
    let bias = halves(&scaling.bias[panel]);
    match &scaling.rule {
        Rule::Fixed(multipliers) => {
            let FixedPanel { multiplier, left, right } = &multipliers[panel];
            let lanes = |half: usize| [multiplier, left, right].map(|lanes| halves(lanes)[half]);
            let lanes = [lanes(0), lanes(1)]
                .map(|[multiplier, left, right]| [load(&multiplier), load(&left), load(&right)]);
            for sums in sums {
                let [low, high] = biased(sums, bias);
                let value = [fixed(low, lanes[0]), fixed(high, lanes[1])];
                finish(sums, scaling, value);
            }
        }
        Rule::HalfUp(factors) => {
            let [low_factors, high_factors] = eights(&factors[panel]);
            for sums in sums {
                let [low, high] = biased(sums, bias);
                finish(sums, scaling, [real::<false>(low, &low_factors), real::<false>(high, &high_factors)]);
            }
        }
        Rule::HalfAway(factors) => {
            let [low_factors, high_factors] = eights(&factors[panel]);
            for sums in sums {
                let [low, high] = biased(sums, bias);
                finish(sums, scaling, [real::<true>(low, &low_factors), real::<true>(high, &high_factors)]);
            }
        }
    }
}

fn eights(factors: &[f64; PANEL]) -> [[f64; 8]; 2] {
    let (eights, _) = factors.as_chunks();
    [eights[0], eights[1]]
}

#[inline]
#[target_feature(enable = "avx2")]
fn biased(sums: &Sums, bias: &[[i32; 8]]) -> [__m256i; 2] {
    let sums = halves(sums);
    [0, 1].map(|half| _mm256_add_epi32(load(&sums[half]), load(&bias[half])))
}

/// Bounds and zero point. The bounds come first, so that adding the zero point cannot overflow.
#[inline]
#[target_feature(enable = "avx2")]
fn finish(sums: &mut Sums, scaling: &Scaling, values: [__m256i; 2]) {
    let (min, max) = (_mm256_set1_epi32(scaling.min), _mm256_set1_epi32(scaling.max));
    let zero_point = _mm256_set1_epi32(scaling.zero_point);
    let bounded = |value| _mm256_min_epi32(_mm256_max_epi32(value, min), max);
    store(sums, values.map(|value| _mm256_add_epi32(bounded(value), zero_point)));
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

/// The integers times factors in double precision, rounded half away from zero or half up.
#[inline]
#[target_feature(enable = "avx2")]
fn real<const HALF_AWAY: bool>(value: __m256i, factors: &[f64; 8]) -> __m256i {
    let (quarters, _) = factors.as_chunks::<4>();
    let low = _mm256_cvtepi32_pd(_mm256_castsi256_si128(value));
    let high = _mm256_cvtepi32_pd(_mm256_extracti128_si256::<1>(value));
    let low = round::<HALF_AWAY>(_mm256_mul_pd(low, load_f64(&quarters[0])));
    let high = round::<HALF_AWAY>(_mm256_mul_pd(high, load_f64(&quarters[1])));
    _mm256_inserti128_si256::<1>(_mm256_castsi128_si256(low), high)
}

#[inline]
#[target_feature(enable = "avx2")]
fn round<const HALF_AWAY: bool>(value: __m256d) -> __m128i {
    const TO_ZERO: i32 = _MM_FROUND_TO_ZERO | _MM_FROUND_NO_EXC;
    const DOWN: i32 = _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC;
    let half = _mm256_set1_pd(0.5);
    let rounded = if HALF_AWAY {
        // The fraction is exact, so a value next to a half is not rounded twice.
        let whole = _mm256_round_pd::<TO_ZERO>(value);
        let fraction = _mm256_sub_pd(value, whole);
        let sign = _mm256_set1_pd(-0.0);
        let is_half = _mm256_cmp_pd::<_CMP_GE_OQ>(_mm256_andnot_pd(sign, fraction), half);
        let one = _mm256_or_pd(_mm256_and_pd(sign, value), _mm256_set1_pd(1.0));
        _mm256_add_pd(whole, _mm256_and_pd(is_half, one))
    } else {
        _mm256_round_pd::<DOWN>(_mm256_add_pd(value, half))
    };
    let bound = |limit: i32| _mm256_set1_pd(limit.into());
    _mm256_cvttpd_epi32(_mm256_min_pd(_mm256_max_pd(rounded, bound(i32::MIN)), bound(i32::MAX)))
}
