//! Arithmetic on numbers as they are, without scales: floats, and integers that wrap.

use burnlite_tflite::{Activation, Element};

use crate::error::OperatorFault;
use crate::ops::activation::{bounds, float_range};

/// A number that operators calculate with as it is.
///
/// Where the reference's integer arithmetic overflows, its result is undefined; here it wraps.
pub(crate) trait Number: Element + PartialOrd {
    /// What an activation clamps a result to (`CalculateActivationRange`).
    fn range(activation: Activation) -> Result<(Self, Self), OperatorFault>;
    fn plus(self, other: Self) -> Self;
    fn minus(self, other: Self) -> Self;
    fn times(self, other: Self) -> Self;
    /// `floor(self / divisor)`. An integer's divisor must not be 0.
    fn floor_divided_by(self, divisor: Self) -> Self;
    /// `self - divisor * floor(self / divisor)`: what remains has the divisor's sign. An integer's divisor must not be 0.
    fn modulo(self, divisor: Self) -> Self;
}

impl Number for f32 {
    fn range(activation: Activation) -> Result<(Self, Self), OperatorFault> {
        float_range(activation)
    }
    #[inline]
    fn plus(self, other: Self) -> Self {
        self + other
    }
    #[inline]
    fn minus(self, other: Self) -> Self {
        self - other
    }
    #[inline]
    fn times(self, other: Self) -> Self {
        self * other
    }
    /// The quotient is that of double precision (`reference/floor_div.h`).
    #[inline]
    fn floor_divided_by(self, divisor: Self) -> Self {
        libm::floor(f64::from(self) / f64::from(divisor)) as Self
    }
    #[inline]
    fn modulo(self, divisor: Self) -> Self {
        let remainder = libm::fmodf(self, divisor);
        if remainder != 0.0 && (remainder < 0.0) != (divisor < 0.0) { remainder + divisor } else { remainder }
    }
}

macro_rules! integers {
    ($($integer:ident),*) => {$(
        impl Number for $integer {
            fn range(activation: Activation) -> Result<(Self, Self), OperatorFault> {
                let (low, high) = bounds(activation)?;
                Ok((low.map_or(Self::MIN, |low| low as Self), high.map_or(Self::MAX, |high| high as Self)))
            }
            #[inline]
            fn plus(self, other: Self) -> Self {
                self.wrapping_add(other)
            }
            #[inline]
            fn minus(self, other: Self) -> Self {
                self.wrapping_sub(other)
            }
            #[inline]
            fn times(self, other: Self) -> Self {
                self.wrapping_mul(other)
            }
            #[inline]
            fn floor_divided_by(self, divisor: Self) -> Self {
                let is_rounded_up = self.wrapping_rem(divisor) != 0 && (self < 0) != (divisor < 0);
                self.wrapping_div(divisor) - Self::from(is_rounded_up)
            }
            #[inline]
            fn modulo(self, divisor: Self) -> Self {
                let remainder = self.wrapping_rem(divisor);
                if remainder != 0 && (remainder < 0) != (divisor < 0) { remainder + divisor } else { remainder }
            }
        }
    )*};
}
integers!(i8, i16, i32, i64);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floors_go_down_and_remainders_have_the_divisors_sign() {
        let both = |a: i8, b: i8| (a.floor_divided_by(b), a.modulo(b));
        assert_eq!(
            [both(7, 2), both(-7, 2), both(7, -2), both(-7, -2)],
            [(3, 1), (-4, 1), (-4, -1), (3, -1)]
        );
        assert_eq!(both(i8::MIN, -1), (i8::MIN, 0));
        assert_eq!((-7f32).modulo(2.0), 1.0);
        assert_eq!(1f32.modulo(f32::NEG_INFINITY), f32::NEG_INFINITY);
        // 0.1f32 is a little more than a tenth.
        assert_eq!(1f32.floor_divided_by(0.1), 9.0);
    }

    #[test]
    fn activations_bound_integers_too() {
        assert_eq!(i32::range(Activation::None).unwrap(), (i32::MIN, i32::MAX));
        assert_eq!(i64::range(Activation::Relu).unwrap(), (0, i64::MAX));
        assert_eq!(i16::range(Activation::Relu6).unwrap(), (0, 6));
        assert_eq!(i32::range(Activation::ReluN1To1).unwrap(), (-1, 1));
        assert!(i32::range(Activation::Tanh).is_err());
    }
}
