//! Integer arithmetic that stands for multiplication by a real number, as TensorFlow Lite defines it.
//!
//! Sources of the formulas: `quantization_util.cc`, `common.h` and gemmlowp's `fixedpoint.h`, in the default build with
//! double rounding. Every function here is exact: no platform, compiler or optimization changes a result.

pub(crate) mod exponential;
pub(crate) mod logarithm;
pub(crate) mod narrow;
pub(crate) mod root;

/// A non-negative real factor as `multiplier * 2^(shift - 31)`.
///
/// `multiplier` lies in `[2^30, 2^31)` or is 0; `shift` lies in `[-31, 31]` after [`from_real`](Self::from_real) of a
/// factor below 2^31.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QuantizedMultiplier {
    /// The factor's 31 leading bits.
    pub multiplier: i32,
    /// The power of two; positive shifts left.
    pub shift: i32,
}

impl QuantizedMultiplier {
    /// One half.
    pub(crate) const HALF: Self = Self { multiplier: 1 << 30, shift: 0 };
    /// The largest left shift of a 32-bit accumulator that [`apply`](Self::apply) is defined for.
    pub const MAX_SHIFT: i32 = 31;
    /// The largest shift that [`apply_wide`](Self::apply_wide) is defined for.
    pub const MAX_WIDE_SHIFT: i32 = 7;

    /// The factor nearest to `real` with 31 bits, rounded half away from zero; 0 below 2^-32.
    ///
    /// `None` where `real` is negative, not finite, or at least 2^31.
    pub fn from_real(real: f64) -> Option<Self> {
        if !real.is_finite() || real < 0.0 {
            return None;
        }
        if real == 0.0 {
            return Some(Self { multiplier: 0, shift: 0 });
        }
        let (fraction, mut shift) = libm::frexp(real);
        let mut multiplier = round_half_away(fraction * f64::from(1u32 << 31));
        if multiplier == 1 << 31 {
            multiplier /= 2;
            shift += 1;
        }
        if shift < -31 {
            return Some(Self { multiplier: 0, shift: 0 });
        }
        let multiplier = i32::try_from(multiplier).ok()?;
        (shift <= Self::MAX_SHIFT).then_some(Self { multiplier, shift })
    }

    /// `value` times the factor: shifted left (wrapping), multiplied with rounding half up, then shifted right with
    /// rounding half away from zero.
    #[inline(always)]
    pub fn apply(self, value: i32) -> i32 {
        let (left, right) = (self.shift.max(0), (-self.shift).max(0));
        let shifted = value.wrapping_shl(left.unsigned_abs());
        rounding_shift_right(doubling_high_multiply(shifted, self.multiplier), right.unsigned_abs())
    }

    /// `value` times the factor, with the factor reduced to 16 bits (rounded half up) and one rounding half up: the rule for
    /// 64-bit accumulators.
    ///
    /// Defined for `|value| < 2^47` and shifts in `[-31, 7]`; wraps beyond.
    #[inline]
    pub fn apply_wide(self, value: i64) -> i32 {
        let reduced = self.reduced();
        let shift = 15 - self.shift;
        let rounding = 1i64 << (shift - 1);
        (value.wrapping_mul(reduced).wrapping_add(rounding) >> shift) as i32
    }

    /// The factor's 16 leading bits, rounded half up, at most `0x7fff`.
    #[inline]
    pub fn reduced(self) -> i64 {
        if self.multiplier < 0x7fff_0000 { i64::from((self.multiplier + (1 << 15)) >> 16) } else { 0x7fff }
    }
}

/// `(a * b) / 2^31`, rounded half up; the one product that does not fit saturates.
#[inline(always)]
pub fn doubling_high_multiply(a: i32, b: i32) -> i32 {
    if a == i32::MIN && b == i32::MIN {
        return i32::MAX;
    }
    ((i64::from(a) * i64::from(b) + (1 << 30)) >> 31) as i32
}

/// `value / 2^exponent`, rounded half away from zero; `exponent` is at most 31.
#[inline(always)]
pub fn rounding_shift_right(value: i32, exponent: u32) -> i32 {
    let mask = ((1i64 << exponent) - 1) as i32;
    let remainder = value & mask;
    let threshold = (mask >> 1) + i32::from(value < 0);
    (value >> exponent) + i32::from(remainder > threshold)
}

/// `value` rounded to the nearest integer, halves away from zero; saturating, 0 for NaN.
#[inline]
pub fn round_half_away(value: f64) -> i64 {
    // Truncation and the fraction are both exact, so no rounding happens before the decision.
    let whole = value as i64;
    let fraction = value - whole as f64;
    whole.saturating_add(i64::from(fraction >= 0.5)).saturating_sub(i64::from(fraction <= -0.5))
}

/// As [`round_half_away`], for single precision; saturating at the bounds of `i32`.
#[inline(always)]
pub fn round_half_away_f32(value: f32) -> i32 {
    let whole = value as i32;
    let fraction = value - whole as f32;
    whole.saturating_add(i32::from(fraction >= 0.5)).saturating_sub(i32::from(fraction <= -0.5))
}

/// [`round_half_away_f32`] of a number within bounds, which are integers below 2^22 in magnitude; NaN is 0. A loop of it
/// becomes vectors.
#[inline(always)]
pub(crate) fn round_within(value: f32, (min, max): (f32, f32)) -> i32 {
    /// Numbers beside it are integers, and so are their bits.
    const MIDDLE: f32 = (3 << 22) as f32;
    // Bounds that are integers cut before rounding as well as after.
    let value = if value.is_nan() { 0.0 } else { value };
    let value = if value < min { min } else { value };
    let value = if value > max { max } else { value };
    let even = (value + MIDDLE) - MIDDLE;
    // The difference is exact. Where it is a half of the value's sign, the tie went towards zero.
    let is_tie = value - even == f32::copysign(0.5, value);
    let rounded = even + if is_tie { f32::copysign(1.0, value) } else { 0.0 };
    (rounded + MIDDLE).to_bits().wrapping_sub(MIDDLE.to_bits()).cast_signed()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn multiplier(real: f64) -> QuantizedMultiplier {
        QuantizedMultiplier::from_real(real).unwrap()
    }

    #[test]
    fn one_is_half_shifted_left() {
        assert_eq!(multiplier(1.0), QuantizedMultiplier { multiplier: 1 << 30, shift: 1 });
        assert_eq!(multiplier(0.5), QuantizedMultiplier { multiplier: 1 << 30, shift: 0 });
        // A fraction that rounds up to one moves to the next power of two.
        assert_eq!(multiplier(1.0 - 2f64.powi(-40)), QuantizedMultiplier { multiplier: 1 << 30, shift: 1 });
    }

    #[test]
    fn tiny_factors_are_zero_and_unusable_ones_are_refused() {
        assert_eq!(multiplier(2f64.powi(-40)).multiplier, 0);
        assert_eq!(multiplier(0.0).multiplier, 0);
        for real in [-1.0, f64::NAN, f64::INFINITY, 2f64.powi(32)] {
            assert_eq!(QuantizedMultiplier::from_real(real), None, "{real}");
        }
    }

    #[test]
    fn halves_round_up_in_the_product_and_away_from_zero_in_the_shift() {
        assert_eq!(doubling_high_multiply(3, 1 << 30), 2);
        assert_eq!(doubling_high_multiply(-3, 1 << 30), -1);
        assert_eq!(doubling_high_multiply(i32::MIN, i32::MIN), i32::MAX);
        let shifted = [-3, 3, -5, 5, i32::MIN].map(|value| rounding_shift_right(value, 1));
        assert_eq!(shifted, [-2, 2, -3, 3, i32::MIN / 2]);
        assert_eq!(rounding_shift_right(i32::MIN, 31), -1);
        assert_eq!(rounding_shift_right(i32::MAX, 31), 1);
    }

    #[test]
    fn the_reduced_factor_rounds_half_up_and_stays_below_two_to_the_fifteen() {
        let largest = QuantizedMultiplier { multiplier: i32::MAX, shift: 0 };
        assert_eq!(largest.reduced(), 0x7fff);
        // 0x4000_8000 lies halfway between two 16-bit factors.
        let halfway = QuantizedMultiplier { multiplier: 0x4000_8000, shift: 0 };
        assert_eq!(halfway.reduced(), 0x4001);
        assert_eq!(multiplier(0.5).apply_wide(3), 2);
        assert_eq!(multiplier(0.5).apply_wide(-3), -1);
        assert_eq!(multiplier(1.0).apply_wide(-(1 << 30)), -(1 << 30));
    }

    #[test]
    fn rounding_decides_on_the_exact_fraction() {
        assert_eq!(round_half_away(0.499_999_999_999_999_94), 0);
        assert_eq!(round_half_away(2.5), 3);
        assert_eq!(round_half_away(-2.5), -3);
        assert_eq!(round_half_away(f64::INFINITY), i64::MAX);
        assert_eq!(round_half_away(f64::NAN), 0);
        assert_eq!(round_half_away_f32(0.499_999_97), 0);
        assert_eq!(round_half_away_f32(-0.5), -1);
        assert_eq!(round_half_away_f32(-1e30), i32::MIN);
        assert_eq!(round_half_away_f32(8_388_609.0), 8_388_609);
    }

    #[test]
    fn within_bounds_numbers_round_as_they_do_without() {
        let halves = (-600..600).map(|half| half as f32 / 2.0);
        let near = halves.flat_map(|half| [half.next_down(), half, half.next_up()]);
        for value in near.chain([f32::INFINITY, f32::NEG_INFINITY, f32::NAN, 1e-40, -0.0]) {
            let expected = round_half_away_f32(value).clamp(-128, 127);
            assert_eq!(round_within(value, (-128.0, 127.0)), expected, "{value}");
        }
    }
}
