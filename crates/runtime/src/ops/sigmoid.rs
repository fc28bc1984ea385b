//! LOGISTIC and TANH: the same curve, scaled.

use core::fmt::Debug;
use core::marker::PhantomData;

use burnlite_tflite::ElementType;

use crate::error::OperatorFault;
use crate::fixed_point::{exponential, rounding_shift_right};
use crate::interpreter::Numerics;
use crate::kernels::Engine;
use crate::kernels::elementwise::{BLOCK, Steps};
use crate::ops::elementwise::{map_table8, tanh};
use crate::ops::exponential::exp;
use crate::ops::integer::{Integer, multiplier, require_output};
use crate::ops::map::{element_type, map, map_steps};
use crate::ops::table::Table8;
use crate::plan::{Node, Planned};

/// LOGISTIC: `1 / (1 + e^-x)`.
pub(crate) fn plan_logistic(node: &Node<'_>) -> Result<Planned, OperatorFault> {
    match (element_type(node)?, node.options.numerics) {
        (ElementType::Float32, _) => map(node, float_logistic),
        (ElementType::Int8, numerics) => {
            require_output(node, 1.0 / 256.0, -128)?;
            match numerics {
                Numerics::LiteRt => map_table8(node, logistic),
                Numerics::TfLiteMicro => {
                    fixed_point(node, |x| rounding_shift_right(exponential::logistic(x), 31 - 8) - 128)
                }
            }
        }
        (ElementType::Int16, _) => interpolated::<Logistic>(node, 0),
        _ => Err(node.types_fault()),
    }
}

/// TANH: `(e^x - e^-x) / (e^x + e^-x)`.
pub(crate) fn plan_tanh(node: &Node<'_>) -> Result<Planned, OperatorFault> {
    match (element_type(node)?, node.options.numerics) {
        (ElementType::Float32, _) => map(node, tanh),
        (ElementType::Int8, Numerics::LiteRt) => map_table8(node, tanh),
        // Whatever scale the output has: tflite-micro takes it for 1/128.
        (ElementType::Int8, Numerics::TfLiteMicro) => {
            fixed_point(node, |x| rounding_shift_right(exponential::tanh(x), 31 - 7))
        }
        (ElementType::Int16, _) => interpolated::<Tanh>(node, 1),
        _ => Err(node.types_fault()),
    }
}

fn logistic(x: f32) -> f32 {
    1.0 / (1.0 + exp(-x))
}

/// Far from 0 the reference cuts corners (`reference/logistic.h`).
#[inline]
fn float_logistic(x: f32) -> f32 {
    let is_small = x < -9.0;
    let power = exp(if is_small { x } else { -x });
    let result = if is_small { power } else { 1.0 / (1.0 + power) };
    if x > 16.619_047 { 1.0 } else { result }
}

/// Integer bits of a fixed-point argument.
const ARGUMENT_BITS: i32 = 4;

/// tflite-micro's int8 operators: `function` takes an argument with 4 integer bits; beyond them the result saturates.
fn fixed_point(node: &Node<'_>, function: impl Fn(i32) -> i32) -> Result<Planned, OperatorFault> {
    let input = node.input(0)?;
    let (scale, zero_point) = input.scale_and_zero_point()?;
    let unit = f64::from(1u32 << (31 - ARGUMENT_BITS));
    let to_argument = multiplier::<i32>(f64::from(scale) * unit, &input)?;
    let largest = f64::from((1 << ARGUMENT_BITS) - 1) * unit;
    let radius = libm::floor(libm::ldexp(largest, -to_argument.shift)) as i32;
    let table = Table8::new(|q| match i32::from(q) - zero_point {
        difference if difference <= -radius => i8::MIN,
        difference if difference >= radius => i8::MAX,
        difference => i8::saturating_from(function(to_argument.apply(difference))),
    });
    map(node, move |x| table.lookup(x))
}

/// The int16 operators: the curve takes multiples of `1 / ARGUMENT_OF_ONE`, and interpolates in a table.
fn interpolated<C: Curve>(node: &Node<'_>, largest_left_shift: i32) -> Result<Planned, OperatorFault> {
    require_output(node, 1.0 / 32_768.0, 0)?;
    let (factor, shift) = argument_factor(node.input(0)?.symmetric_scale()?, largest_left_shift);
    let rounding = ((1u32 << shift) >> 1) as i32;
    map_steps::<i16, i16>(node, Interpolated::<C> { factor, rounding, shift, curve: PhantomData })
}

#[derive(Debug)]
struct Interpolated<C> {
    factor: i32,
    rounding: i32,
    shift: u32,
    curve: PhantomData<C>,
}

impl<C: Curve> Interpolated<C> {
    #[inline]
    fn argument(&self, q: i32) -> i32 {
        q.wrapping_mul(self.factor).wrapping_add(self.rounding) >> self.shift
    }
}

impl<C: Curve> Steps<i16, i16> for Interpolated<C> {
    #[inline]
    fn of(&self, q: i16) -> i16 {
        C::of(self.argument(q.into()))
    }
    #[inline(always)]
    fn block(&self, engine: Engine, lanes: &mut [i32]) {
        let mut pairs = [0; BLOCK];
        let pairs = &mut pairs[..lanes.len()];
        for (index, x) in pairs.iter_mut().zip(lanes.iter_mut()) {
            *x = self.argument(*x);
            *index = C::place(x.unsigned_abs()).cast_signed();
        }
        engine.pairs(&CURVE, pairs);
        for (x, pair) in lanes.iter_mut().zip(pairs) {
            *x = C::value(*x, [*pair & 0xffff, (*pair >> 16) & 0xffff]).into();
        }
    }
}

/// What stands for 1 in the argument of an interpolated curve.
const ARGUMENT_OF_ONE: i32 = 3 << 12;

/// The factor `scale * ARGUMENT_OF_ONE` with 15 bits, and how far its products are shifted right. Scales within a thousandth of
/// 2^-12, or of the next few powers, count as these.
fn argument_factor(scale: f32, largest_left_shift: i32) -> (i32, u32) {
    let exponent = libm::log2(scale.into());
    let nearest = libm::round(exponent);
    let left_shift = 12 + nearest as i32;
    if (exponent - nearest).abs() < 1e-3 && (0..=largest_left_shift).contains(&left_shift) {
        return (3 << left_shift, 0);
    }
    let mut factor = f64::from(scale) * f64::from(ARGUMENT_OF_ONE);
    let mut shift = 0;
    while factor <= 32_767.0 / 2.0 && shift <= 30 {
        factor *= 2.0;
        shift += 1;
    }
    (factor as i32, shift)
}

/// LOGISTIC with 15 fraction bits, of multiples of `1 / (3 << 12)`.
pub(crate) fn logistic_16(x: i32) -> i16 {
    Logistic::of(x)
}

/// TANH with 15 fraction bits, of multiples of `1 / (3 << 12)`.
pub(crate) fn tanh_16(x: i32) -> i16 {
    Tanh::of(x)
}

/// A curve with 15 fraction bits, which goes through the entries of [`CURVE`].
trait Curve: Debug + Send + Sync + 'static {
    /// The table has an entry every `2^FRACTION_BITS`; values between them have 16 more bits.
    const FRACTION_BITS: u32;
    /// The value behind the table.
    const LIMIT: i32;

    /// The result for an argument and the value at its magnitude.
    fn result(x: i32, value: i32) -> i16;

    /// The entry before a magnitude.
    #[inline(always)]
    fn place(magnitude: u32) -> u32 {
        magnitude >> Self::FRACTION_BITS
    }

    /// The result for an argument and the entries around its magnitude.
    #[inline(always)]
    fn value(x: i32, [base, next]: [i32; 2]) -> i16 {
        let magnitude = x.unsigned_abs();
        let fraction = (magnitude & ((1 << Self::FRACTION_BITS) - 1)).cast_signed();
        let value = (base << Self::FRACTION_BITS) + fraction * (next - base);
        let is_behind = Self::place(magnitude) as usize >= CURVE.len() - 1;
        Self::result(x, if is_behind { Self::LIMIT } else { value })
    }

    /// The result for an argument.
    #[inline]
    fn of(x: i32) -> i16 {
        let place = (Self::place(x.unsigned_abs()) as usize).min(CURVE.len() - 2);
        Self::value(x, [CURVE[place], CURVE[place + 1]].map(i32::from))
    }
}

#[derive(Debug)]
struct Logistic;

impl Curve for Logistic {
    const FRACTION_BITS: u32 = 9;
    const LIMIT: i32 = 0x7fff << 10;

    #[inline(always)]
    fn result(x: i32, value: i32) -> i16 {
        const ONE: i32 = 1 << 25;
        ((if x >= 0 { value + (1 << 9) } else { ONE - value + (1 << 9) - 1 }) >> 10) as i16
    }
}

/// The curve at twice the speed, and from -1 to 1.
#[derive(Debug)]
struct Tanh;

impl Curve for Tanh {
    const FRACTION_BITS: u32 = 8;
    const LIMIT: i32 = 0xffff << 8;

    #[inline(always)]
    fn result(x: i32, value: i32) -> i16 {
        const HALF: i32 = 1 << 23;
        ((if x >= 0 { value - HALF + (1 << 7) } else { HALF - value + (1 << 7) - 1 }) >> 8) as i16
    }
}

/// `2^16 / (1 + e^(-i / 24))`, rounded; 44 of them up, where the nearest integer is the one below (`sigmoid_table_uint16`
/// of `common.cc`).
#[rustfmt::skip]
static CURVE: [u16; 256] = [
    32_768, 33_451, 34_133, 34_813, 35_493, 36_169, 36_843, 37_513, 38_180, 38_841, 39_498, 40_149, 40_794,
    41_432, 42_064, 42_688, 43_304, 43_912, 44_511, 45_102, 45_683, 46_255, 46_817, 47_369, 47_911, 48_443,
    48_964, 49_475, 49_975, 50_464, 50_942, 51_409, 51_865, 52_311, 52_745, 53_169, 53_581, 53_983, 54_374,
    54_755, 55_125, 55_485, 55_834, 56_174, 56_503, 56_823, 57_133, 57_433, 57_724, 58_007, 58_280, 58_544,
    58_800, 59_048, 59_288, 59_519, 59_743, 59_959, 60_168, 60_370, 60_565, 60_753, 60_935, 61_110, 61_279,
    61_441, 61_599, 61_750, 61_896, 62_036, 62_172, 62_302, 62_428, 62_549, 62_666, 62_778, 62_886, 62_990,
    63_090, 63_186, 63_279, 63_368, 63_454, 63_536, 63_615, 63_691, 63_765, 63_835, 63_903, 63_968, 64_030,
    64_090, 64_148, 64_204, 64_257, 64_308, 64_357, 64_405, 64_450, 64_494, 64_536, 64_576, 64_614, 64_652,
    64_687, 64_721, 64_754, 64_786, 64_816, 64_845, 64_873, 64_900, 64_926, 64_950, 64_974, 64_997, 65_019,
    65_039, 65_060, 65_079, 65_097, 65_115, 65_132, 65_149, 65_164, 65_179, 65_194, 65_208, 65_221, 65_234,
    65_246, 65_258, 65_269, 65_280, 65_291, 65_301, 65_310, 65_319, 65_328, 65_337, 65_345, 65_352, 65_360,
    65_367, 65_374, 65_381, 65_387, 65_393, 65_399, 65_404, 65_410, 65_415, 65_420, 65_425, 65_429, 65_433,
    65_438, 65_442, 65_445, 65_449, 65_453, 65_456, 65_459, 65_462, 65_465, 65_468, 65_471, 65_474, 65_476,
    65_479, 65_481, 65_483, 65_485, 65_488, 65_489, 65_491, 65_493, 65_495, 65_497, 65_498, 65_500, 65_501,
    65_503, 65_504, 65_505, 65_507, 65_508, 65_509, 65_510, 65_511, 65_512, 65_513, 65_514, 65_515, 65_516,
    65_517, 65_517, 65_518, 65_519, 65_520, 65_520, 65_521, 65_522, 65_522, 65_523, 65_523, 65_524, 65_524,
    65_525, 65_525, 65_526, 65_526, 65_526, 65_527, 65_527, 65_528, 65_528, 65_528, 65_529, 65_529, 65_529,
    65_529, 65_530, 65_530, 65_530, 65_530, 65_531, 65_531, 65_531, 65_531, 65_531, 65_532, 65_532, 65_532,
    65_532, 65_532, 65_532, 65_533, 65_533, 65_533, 65_533, 65_533, 65_533, 65_533, 65_533, 65_534, 65_534,
    65_534, 65_534, 65_534, 65_534, 65_534, 65_534, 65_534, 65_534, 65_535,
];

#[cfg(test)]
mod tests {
    use burnlite_tflite::Op;

    use super::*;
    use crate::ops::map::tests::{run, run_both};

    #[test]
    fn tflite_micro_has_8_bits_in_fixed_point() {
        let scales = Some([(2.040_431_3, -67), (1.0 / 256.0, -128)]);
        let [litert, micro] = run_both(&Op::Logistic, scales, &[-70i8, -67]);
        assert_eq!((litert, micro), ([-127, 0].into(), [-128, 0].into()));
    }

    #[test]
    fn tanh_of_tflite_micro_takes_any_output_scale_for_a_128th() {
        let [litert, micro] = run_both(&Op::Tanh, Some([(0.05, 7), (0.011, -30)]), &[-128i8, 7, 127]);
        assert_eq!((litert, micro), ([-121, -30, 61].into(), [-128, 0, 127].into()));
    }

    #[test]
    fn another_output_scale_is_refused() {
        for (op, scale) in [(Op::Logistic, (1.0 / 128.0, -128)), (Op::Logistic, (1.0 / 256.0, 0))] {
            assert!(run(&op, Some([(0.1, 0), scale]), &[0i8]).is_err());
        }
        assert!(run(&Op::Tanh, Some([(0.1, 0), (0.1, 0)]), &[0i16]).is_err());
    }

    #[test]
    fn the_curve_is_the_logistic_function() {
        for (index, &entry) in CURVE.iter().enumerate() {
            let exact = 65_536.0 / (1.0 + libm::exp(index as f64 / -24.0));
            assert!((f64::from(entry) - exact).abs() < 1.5, "{index}");
        }
    }

    #[test]
    fn nearly_a_power_of_two_counts_as_one() {
        assert_eq!(argument_factor(1.0 / 4096.0, 0), (3, 0));
        assert_eq!(argument_factor(1.0005 / 4096.0, 0), (3, 0));
        assert_eq!(argument_factor(1.0 / 2048.0, 1), (6, 0));
        // LOGISTIC has no such case for 2^-11: the factor is the same, but longer.
        assert_eq!(argument_factor(1.0 / 2048.0, 0), (6 << 12, 12));
        assert_eq!(argument_factor(f32::MIN_POSITIVE, 0), (0, 31));
        assert_eq!(argument_factor(f32::MAX, 0), (i32::MAX, 0));
    }

    #[test]
    fn the_curve_ends_in_its_limits() {
        assert_eq!([i32::MIN, -1, 0, i32::MAX].map(logistic_16), [1, 16_383, 16_384, 32_767]);
        assert_eq!([i32::MIN, 0, i32::MAX].map(tanh_16), [-32_767, 0, 32_767]);
    }
}
