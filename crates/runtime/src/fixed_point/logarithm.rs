//! The natural logarithm in fixed point (`log_x_for_x_greater_than_or_equal_to_1_impl` of `reference/softmax.h`).

use super::exponential::{one_over_one_plus_x, rounding_half_sum, saturating_shift_left};
use super::{doubling_high_multiply as multiply, rounding_shift_right};

/// `ln(x)` with 5 integer bits, for `x >= 1` with 12. Anything below 1 is no argument, and its result has no meaning.
pub(crate) fn log_of_at_least_one(x: i32) -> i32 {
    let x = x.max(1);
    let (power, ratio) = split(x);
    let logarithm = multiply(power, LN_2).wrapping_add(log_near_root_of_root(ratio));
    saturating_shift_left(logarithm, 1)
}

const LN_2: i32 = 1_488_522_236;
/// `2^(-1/4)` with no integer bits.
const ROOT_OF_ROOT_OF_HALF: i32 = 1_805_811_301;
/// `2^(-1/2)` with no integer bits.
const ROOT_OF_HALF: i32 = 1_518_500_250;

/// `x` as `2^power * ratio`: `power` is an odd number of quarters with 6 integer bits, `ratio` lies within `2^(-1/4)` of
/// `2^(-1/4)` and has none.
fn split(x: i32) -> (i32, i32) {
    const QUARTER: i32 = 1 << 23;
    let power = |headroom: i32| (12 - headroom) << 25;
    let headroom = x.leading_zeros() as i32;
    let upper = saturating_shift_left(multiply(x << (headroom - 1), ROOT_OF_HALF), 1);
    let scaled_headroom = multiply(x, ROOT_OF_HALF).leading_zeros() as i32 - 1;
    let lower = saturating_shift_left(x, scaled_headroom.unsigned_abs());
    ((power(headroom) + QUARTER).max(power(scaled_headroom) - QUARTER), upper.min(lower))
}

/// `ln(ratio * 2^(1/4))` with 6 integer bits: a quotient of polynomials in `2 * (ratio - 2^(-1/4))`.
fn log_near_root_of_root(ratio: i32) -> i32 {
    const NUMERATOR: i32 = 117_049_297;
    const DENOMINATOR: [i32; 3] = [1_057_819_769, 638_450_708, 127_690_142];
    let mean = rounding_half_sum(ratio, ROOT_OF_ROOT_OF_HALF);
    let q = ratio.wrapping_sub(ROOT_OF_ROOT_OF_HALF).wrapping_mul(2);
    let square = multiply(q, q);
    let numerator = multiply(q, ratio).wrapping_add(multiply(multiply(q, square), NUMERATOR));
    let inner = DENOMINATOR[0].wrapping_add(q).wrapping_add(multiply(DENOMINATOR[2], square));
    let denominator = multiply(mean, inner).wrapping_add(multiply(DENOMINATOR[1], q));
    multiply(rounding_shift_right(numerator, 6), one_over_one_plus_x(denominator))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logarithms_are_close_to_the_function() {
        for step in 0..4000 {
            let x = (1 << 19) + step * 530_000;
            let found = f64::from(log_of_at_least_one(x)) * 2f64.powi(-26);
            let error = found - libm::log(f64::from(x) * 2f64.powi(-19));
            assert!(error.abs() < 1e-6, "{x}: {error}");
        }
    }

    #[test]
    fn no_argument_panics() {
        for x in [i32::MIN, -1, 0, 1, 2, i32::MAX] {
            log_of_at_least_one(x);
        }
    }
}
