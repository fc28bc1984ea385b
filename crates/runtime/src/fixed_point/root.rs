//! The inverse square root in fixed point (`GetInvSqrtQuantizedMultiplierExp`).

use super::exponential::saturating_shift_left;
use super::{QuantizedMultiplier, doubling_high_multiply as multiply, rounding_shift_right};

/// `1 / sqrt(value)`; nearly 1 for values up to 1.
///
/// The multiplier may have fewer bits than [`QuantizedMultiplier::from_real`] gives it.
pub(crate) fn inverse_square_root(value: i32) -> QuantizedMultiplier {
    if value <= 1 {
        return QuantizedMultiplier { multiplier: i32::MAX, shift: 0 };
    }
    // Powers of four move the value to [2^27, 2^29).
    let (mut mantissa, mut exponent) = (value, 11i32);
    while mantissa >= 1 << 29 {
        mantissa /= 4;
        exponent += 1;
    }
    let fours = (mantissa.leading_zeros() - 1) / 2 - 1;
    exponent -= fours as i32;
    let root = multiply(newton_root(mantissa << (2 * fours)), ROOT_OF_HALF);
    let left = (-exponent).max(0);
    QuantizedMultiplier { multiplier: root << left, shift: -exponent.max(0) }
}

/// The square root of 1/2 with no integer bits.
const ROOT_OF_HALF: i32 = 1_518_500_250;

/// `1 / sqrt(x)` with 3 integer bits, for `2x` with 2 of them and `x` in `[1/4, 1)`: five Newton steps from 1.
fn newton_root(x: i32) -> i32 {
    const ONE: i32 = 1 << 28;
    const THREE_HALVES: i32 = ONE + (ONE >> 1);
    let half = rounding_shift_right(x >> 1, 1);
    let mut root = ONE;
    for _ in 0..5 {
        let cube = saturating_shift_left(multiply(multiply(root, root), root), 6);
        let step = multiply(THREE_HALVES, root).wrapping_sub(multiply(half, cube));
        root = saturating_shift_left(step, 3);
    }
    root
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roots_are_close_to_the_function() {
        for value in (2..2000).chain((0..1000).map(|step| i32::MAX - step * 2_000_000)) {
            let QuantizedMultiplier { multiplier, shift } = inverse_square_root(value);
            let found = f64::from(multiplier) * 2f64.powi(shift - 31);
            let error = found * libm::sqrt(value.into()) - 1.0;
            assert!(error.abs() < 2e-6, "{value}: {error}");
        }
    }

    #[test]
    fn what_has_no_root_gives_nearly_one() {
        let nearly_one = QuantizedMultiplier { multiplier: i32::MAX, shift: 0 };
        assert_eq!([i32::MIN, 0, 1].map(inverse_square_root), [nearly_one; 3]);
    }
}
