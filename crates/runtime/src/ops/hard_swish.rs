//! HARD_SWISH: `x * clamp(x + 3, 0, 6) / 6`.

use burnlite_tflite::ElementType;

use crate::error::OperatorFault;
use crate::fixed_point::QuantizedMultiplier;
use crate::ops::elementwise::scale_ratio;
use crate::ops::integer::{Integer, multiplier};
use crate::ops::map::{element_type, map};
use crate::ops::table::{Precision, Table8};
use crate::plan::{Node, Planned};

pub(crate) fn plan(node: &Node<'_>) -> Result<Planned, OperatorFault> {
    match element_type(node)? {
        ElementType::Float32 => map(node, |x: f32| x * (x + 3.0).clamp(0.0, 6.0) / 6.0),
        ElementType::Int8 => {
            let hard_swish = Int8HardSwish::new(node)?;
            let table = Table8::new(|x| hard_swish.of(x));
            map(node, move |x| table.lookup(x))
        }
        _ => Err(node.types_fault()),
    }
}

/// 16-bit fixed point (`reference/hard_swish.h`).
#[derive(Debug)]
struct Int8HardSwish {
    input_zero_point: i32,
    output_zero_point: i32,
    to_output: Factor16,
    /// To `x / 3` with no integer bits.
    to_thirds: Factor16,
}

/// Bits that are added to the input, to lose less in rounding.
const EXTRA_BITS: i32 = 7;

impl Int8HardSwish {
    fn new(node: &Node<'_>) -> Result<Self, OperatorFault> {
        let (input, output) = (node.input(0)?, node.output(0)?);
        let (input_scale, input_zero_point) = input.scale_and_zero_point()?;
        let (_, output_zero_point) = output.scale_and_zero_point()?;
        let unit = 1.0 / f64::from(1 << EXTRA_BITS);
        let to_output = scale_ratio(node, unit as f32)?;
        if to_output.shift > 0 {
            return Err(output.unusable("it must be at least a 128th of the input's scale"));
        }
        let thirds = f64::from(input_scale) * unit / (3.0 / 32_768.0);
        let thirds = Precision::of_scales(node.options.numerics).round(thirds);
        let to_thirds = Factor16::new(multiplier::<i32>(thirds, &input)?);
        Ok(Self { input_zero_point, output_zero_point, to_output: Factor16::new(to_output), to_thirds })
    }

    fn of(&self, x: i8) -> i8 {
        let x = (i32::from(x) - self.input_zero_point) << EXTRA_BITS;
        // `x / 3` saturates outside [-1, 1), where the function is 0 or x.
        let thirds = match self.to_thirds.shift {
            shift @ 1.. => {
                // The last bit is shifted after the product, so that no other one is lost.
                shift_left_16(self.to_thirds.multiply(shift_left_16(x, shift - 1)), 1)
            }
            shift => shift_right_16(self.to_thirds.multiply(x), shift.unsigned_abs()),
        };
        // `(x / 3 + 1) / 2`, in [0, 1).
        let gate = (thirds + 32_768) >> 1;
        let product = gate * self.to_output.multiply(x) / 32_768;
        let scaled = shift_right_16(product, self.to_output.shift.unsigned_abs());
        i8::saturating_from(scaled + self.output_zero_point)
    }
}

/// A real factor with 15 bits: `multiplier * 2^(shift - 15)`.
#[derive(Debug, Clone, Copy)]
struct Factor16 {
    multiplier: i32,
    shift: i32,
}

impl Factor16 {
    fn new(factor: QuantizedMultiplier) -> Self {
        Self { multiplier: factor.reduced() as i32, shift: factor.shift }
    }

    /// The 16-bit value times the factor, but for its shift, rounded half up.
    fn multiply(self, value: i32) -> i32 {
        (value * self.multiplier + (1 << 14)) >> 15
    }
}

/// `value * 2^shift`, saturated to 16 bits; the shift is at most 31.
fn shift_left_16(value: i32, shift: i32) -> i32 {
    (i64::from(value) << shift).clamp(-32_768, 32_767) as i32
}

/// The 16-bit `value / 2^exponent`, rounded half away from zero. The mask has 16 bits, too, so that exponents beyond 15 give
/// 1, or -1 for negative values.
fn shift_right_16(value: i32, exponent: u32) -> i32 {
    let mask = i32::from(((1i64 << exponent) - 1) as i16);
    let threshold = (mask >> 1) + i32::from(value < 0);
    (value >> exponent) + i32::from(value & mask > threshold)
}

#[cfg(test)]
mod tests {
    use burnlite_tflite::Op;

    use super::*;
    use crate::ops::map::tests::{fault, run_both};

    #[test]
    fn scales_are_divided_in_each_implementations_precision() {
        let [litert, micro] =
            run_both(&Op::HardSwish, Some([(1.648_289_3, 7), (0.646_174_55, -110)]), &[86i8]);
        assert_eq!((litert, micro), ([92].into(), [91].into()));
    }

    #[test]
    fn an_output_scale_that_is_too_fine_is_refused() {
        let error = fault(&Op::HardSwish, Some([(1.0, 0), (0.003, 0)]), &[0i8]);
        assert!(error.contains("at least a 128th of the input's scale"), "{error}");
    }

    #[test]
    fn more_than_all_bits_shifted_out_leave_the_sign() {
        assert_eq!([-3, 3, 5].map(|value| shift_right_16(value, 1)), [-2, 2, 3]);
        assert_eq!([-32_768, -1, 0, 32_767].map(|value| shift_right_16(value, 15)), [-1, 0, 0, 1]);
        assert_eq!([-32_768, -1, 0, 32_767].map(|value| shift_right_16(value, 16)), [-1, -1, 1, 1]);
        assert_eq!([-32_768, -1, 0, 32_767].map(|value| shift_right_16(value, 31)), [-1, -1, 1, 1]);
    }

    #[test]
    fn shifts_to_the_left_saturate() {
        assert_eq!(
            [(3, 2), (-3, 31), (300, 7)].map(|(value, shift)| shift_left_16(value, shift)),
            [12, -32_768, 32_767]
        );
    }
}
