//! Exponentials and reciprocals in fixed point, as gemmlowp's `fixedpoint.h` defines them.
//!
//! A raw 32-bit value `r` with `K` integer bits stands for `r * 2^(K - 31)`.

use super::{doubling_high_multiply as multiply, rounding_shift_right};

/// `e^x` with no integer bits, for `x <= 0` with `INTEGER_BITS` integer bits.
pub(crate) fn exp_on_negative_values<const INTEGER_BITS: i32>(x: i32) -> i32 {
    if x == 0 {
        return i32::MAX;
    }
    let fraction_bits = 31 - INTEGER_BITS;
    let quarter = 1i32 << (fraction_bits - 2);
    // x = remainder in [-1/4, 0) less a multiple of 1/4, whose binary digits each have their factor.
    let remainder = (x & (quarter - 1)) - quarter;
    let mut result = exp_between_minus_quarter_and_zero(remainder << INTEGER_BITS);
    let multiple = remainder.wrapping_sub(x);
    for (exponent, factor) in FACTORS {
        if INTEGER_BITS > exponent && multiple & (1 << (fraction_bits + exponent)) != 0 {
            result = multiply(result, factor);
        }
    }
    if INTEGER_BITS > 5 && x < -(1i32 << (36 - INTEGER_BITS).clamp(0, 30)) { 0 } else { result }
}

/// `e^-(2^exponent)` with no integer bits.
const FACTORS: [(i32, i32); 7] = [
    (-2, 1_672_461_947),
    (-1, 1_302_514_674),
    (0, 790_015_084),
    (1, 290_630_308),
    (2, 39_332_535),
    (3, 720_401),
    (4, 242),
];

/// Four terms of the series around -1/8.
fn exp_between_minus_quarter_and_zero(x: i32) -> i32 {
    const EXP_MINUS_EIGHTH: i32 = 1_895_147_668;
    const THIRD: i32 = 715_827_883;
    let x = x + (1 << 28);
    let square = multiply(x, x);
    let cube = multiply(square, x);
    let fourth = multiply(square, square);
    let upper = rounding_shift_right(multiply(rounding_shift_right(fourth, 2) + cube, THIRD) + square, 1);
    EXP_MINUS_EIGHTH + multiply(EXP_MINUS_EIGHTH, x + upper)
}

/// `1 / (1 + x)` with no integer bits, for `x` in `[0, 1)` with none: three Newton steps.
pub(crate) fn one_over_one_plus_x(x: i32) -> i32 {
    saturating_shift_left(newton_reciprocal(x), 1)
}

/// `1 / (1 + e^-x)` with no integer bits, for `x` with 4.
pub(crate) fn logistic(x: i32) -> i32 {
    let positive = one_over_one_plus_x(exp_on_negative_values::<4>(-x.saturating_abs()));
    match x.signum() {
        1 => positive,
        0 => 1 << 30,
        _ => i32::MAX - positive,
    }
}

/// The hyperbolic tangent with no integer bits, for `x` with 4.
pub(crate) fn tanh(x: i32) -> i32 {
    // The same bits with 5 integer bits stand for 2x.
    let exponential = exp_on_negative_values::<5>(-x.saturating_abs());
    x.signum() * one_minus_x_over_one_plus_x(exponential)
}

/// `(1 - x) / (1 + x)` with no integer bits, for `x` in `[0, 1)` with none.
fn one_minus_x_over_one_plus_x(x: i32) -> i32 {
    saturating_shift_left(newton_reciprocal(x).wrapping_sub(1 << 29), 2)
}

/// `1 / ((1 + x) / 2)` with 2 integer bits. Sums wrap, which only matters for arguments below 0.
fn newton_reciprocal(x: i32) -> i32 {
    const FORTY_EIGHT_17THS: i32 = 1_515_870_810;
    const MINUS_THIRTY_TWO_17THS: i32 = -1_010_580_540;
    let half_denominator = rounding_half_sum(x, i32::MAX);
    let mut reciprocal = FORTY_EIGHT_17THS.wrapping_add(multiply(half_denominator, MINUS_THIRTY_TWO_17THS));
    for _ in 0..3 {
        let error = (1i32 << 29).wrapping_sub(multiply(half_denominator, reciprocal));
        reciprocal = reciprocal.wrapping_add(saturating_shift_left(multiply(reciprocal, error), 2));
    }
    reciprocal
}

/// `(a + b) / 2`, halves away from zero.
pub(super) fn rounding_half_sum(a: i32, b: i32) -> i32 {
    let sum = i64::from(a) + i64::from(b);
    ((sum + if sum >= 0 { 1 } else { -1 }) / 2) as i32
}

/// `value * 2^exponent`, saturating.
pub(super) fn saturating_shift_left(value: i32, exponent: u32) -> i32 {
    (i64::from(value) << exponent).clamp(i32::MIN.into(), i32::MAX.into()) as i32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn real(raw: i32, integer_bits: i32) -> f64 {
        f64::from(raw) * 2f64.powi(integer_bits - 31)
    }

    #[test]
    fn exponentials_are_close_to_the_function() {
        for step in 0..4000 {
            let x = -step * 500_000;
            let error = real(exp_on_negative_values::<5>(x), 0) - libm::exp(real(x, 5));
            assert!(error.abs() < 1e-6, "{x}: {error}");
        }
        assert_eq!(exp_on_negative_values::<5>(0), i32::MAX);
    }

    #[test]
    fn reciprocals_are_close_to_the_function() {
        for step in 0..2000 {
            let x = step * 1_000_000;
            let error = real(one_over_one_plus_x(x), 0) - 1.0 / (1.0 + real(x, 0));
            assert!(error.abs() < 1e-7, "{x}: {error}");
        }
    }
    #[test]
    fn sigmoids_are_close_to_the_functions() {
        for step in -2000..2000 {
            let x = step * 1_000_000;
            let reals = [1.0 / (1.0 + libm::exp(-real(x, 4))), libm::tanh(real(x, 4))];
            for (found, expected) in [logistic(x), tanh(x)].into_iter().zip(reals) {
                let error = real(found, 0) - expected;
                assert!(error.abs() < 1e-6, "{x}: {error}");
            }
        }
        assert_eq!(logistic(i32::MIN), 241);
        assert_eq!(tanh(i32::MIN), -i32::MAX);
    }
}
