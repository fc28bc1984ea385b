//! The logistic function and the hyperbolic tangent in 16 bits, as gemmlowp's `fixedpoint.h` defines them for int16.
//!
//! A raw 16-bit value `r` with `K` integer bits stands for `r * 2^(K - 15)`. The steps are those of
//! [`exponential`](super::exponential), each rounded to 16 bits; its constants are that module's, rounded.

use super::rounding_shift_right;

/// `1 / (1 + e^-x)` with no integer bits, for `x` with `integer_bits` of them: 0 to 6.
pub(crate) fn logistic(x: i16, integer_bits: i32) -> i16 {
    let exponential = exp_on_negative_values(minus_abs(x), integer_bits);
    let positive = saturating_shift_left(newton_reciprocal(exponential), 1);
    match x.signum() {
        1 => positive,
        0 => 1 << 14,
        _ => i16::MAX - positive,
    }
}

/// The hyperbolic tangent with no integer bits, for `x` with `integer_bits` of them: 0 to 6.
pub(crate) fn tanh(x: i16, integer_bits: i32) -> i16 {
    // The same bits with one integer bit more stand for 2x.
    let exponential = exp_on_negative_values(minus_abs(x), integer_bits + 1);
    let positive = saturating_shift_left(newton_reciprocal(exponential).wrapping_sub(1 << 13), 2);
    x.signum() * positive
}

/// `-|x|`, which always fits.
fn minus_abs(x: i16) -> i16 {
    x.min(x.wrapping_neg())
}

/// `e^x` with no integer bits, for `x <= 0`.
fn exp_on_negative_values(x: i16, integer_bits: i32) -> i16 {
    if x == 0 {
        return i16::MAX;
    }
    if integer_bits > 5 && i32::from(x) < -(1 << (20 - integer_bits)) {
        return 0;
    }
    let fraction_bits = 15 - integer_bits;
    let quarter = 1i16 << (fraction_bits - 2);
    // x = remainder in [-1/4, 0) less a multiple of 1/4, whose binary digits each have their factor.
    let remainder = (x & (quarter - 1)) - quarter;
    let multiple = remainder.wrapping_sub(x);
    let start = exp_between_minus_quarter_and_zero(remainder << integer_bits);
    FACTORS.into_iter().zip(-2..).fold(start, |result, (factor, exponent)| {
        let has_digit = integer_bits > exponent && multiple & (1 << (fraction_bits + exponent)) != 0;
        if has_digit { multiply(result, factor) } else { result }
    })
}

/// `e^-(2^exponent)` with no integer bits, for exponents from -2 on.
const FACTORS: [i16; 7] = [25_520, 19_875, 12_055, 4_435, 600, 11, 0];

/// Four terms of the series around -1/8.
fn exp_between_minus_quarter_and_zero(x: i16) -> i16 {
    const EXP_MINUS_EIGHTH: i16 = 28_918;
    const THIRD: i16 = 10_923;
    let x = x.wrapping_add(1 << 12);
    let square = multiply(x, x);
    let cube = multiply(square, x);
    let fourth = multiply(square, square);
    let cubes = multiply(shift_right(fourth, 2).wrapping_add(cube), THIRD);
    let upper = shift_right(cubes.wrapping_add(square), 1);
    EXP_MINUS_EIGHTH.saturating_add(multiply(EXP_MINUS_EIGHTH, x.wrapping_add(upper)))
}

/// `1 / ((1 + x) / 2)` with 2 integer bits, for `x` in `[0, 1)` with none: three Newton steps.
fn newton_reciprocal(x: i16) -> i16 {
    const FORTY_EIGHT_17THS: i16 = 23_130;
    const MINUS_THIRTY_TWO_17THS: i16 = -15_420;
    // (1 + x) / 2, halves away from zero.
    let half_denominator = ((i32::from(x) + i32::from(i16::MAX) + 1) / 2) as i16;
    let mut reciprocal = FORTY_EIGHT_17THS.wrapping_add(multiply(half_denominator, MINUS_THIRTY_TWO_17THS));
    for _ in 0..3 {
        let error = (1i16 << 13).wrapping_sub(multiply(half_denominator, reciprocal));
        reciprocal = reciprocal.wrapping_add(saturating_shift_left(multiply(reciprocal, error), 2));
    }
    reciprocal
}

/// `(a * b) / 2^15`, rounded half up; the one product that does not fit saturates.
fn multiply(a: i16, b: i16) -> i16 {
    let product = (i32::from(a) * i32::from(b) + (1 << 14)) >> 15;
    product.min(i16::MAX.into()) as i16
}

/// `value / 2^exponent`, halves away from zero.
fn shift_right(value: i16, exponent: u32) -> i16 {
    rounding_shift_right(value.into(), exponent) as i16
}

/// `value * 2^exponent`, saturating.
fn saturating_shift_left(value: i16, exponent: u32) -> i16 {
    (i32::from(value) << exponent).clamp(i16::MIN.into(), i16::MAX.into()) as i16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_are_close_to_the_functions() {
        for integer_bits in 0..=6 {
            for raw in (i16::MIN..=i16::MAX).step_by(7) {
                let x = f64::from(raw) * libm::exp2((integer_bits - 15).into());
                let found = [logistic(raw, integer_bits), tanh(raw, integer_bits)];
                let [logistic, tanh] = found.map(|raw| f64::from(raw) / 32_768.0);
                assert!((logistic - 1.0 / (1.0 + libm::exp(-x))).abs() < 3e-4, "{x}: {logistic}");
                assert!((tanh - libm::tanh(x)).abs() < 6e-4, "{x}: {tanh}");
            }
        }
    }
}
