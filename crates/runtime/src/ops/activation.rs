//! Activations: as a bound on another operator's result, and as operators of their own.

use burnlite_tflite::{Activation, ElementType, GeluOptions, LeakyReluOptions};

use crate::error::OperatorFault;
use crate::fixed_point::{QuantizedMultiplier, round_half_away_f32};
use crate::interpreter::Numerics;
use crate::kernels::Engine;
use crate::kernels::elementwise::{BLOCK, Steps, finish};
use crate::ops::elementwise::{Rescale, map_table8, plan_tabulated, scale_ratio, tanh};
use crate::ops::exponential::{exp, exp_minus_1};
use crate::ops::integer::{Integer, OutputRange};
use crate::ops::map::{element_type, map, map_steps};
use crate::plan::{Node, Planned};

/// Real bounds, the lower one first; `None` where there is none.
type Bounds = (Option<f32>, Option<f32>);

/// The real bounds of an activation.
pub(crate) fn bounds(activation: Activation) -> Result<Bounds, OperatorFault> {
    match activation {
        Activation::None => Ok((None, None)),
        Activation::Relu => Ok((Some(0.0), None)),
        Activation::Relu6 => Ok((Some(0.0), Some(6.0))),
        Activation::ReluN1To1 => Ok((Some(-1.0), Some(1.0))),
        other => Err(OperatorFault::Unsupported { what: alloc::format!("the fused activation {other:?}") }),
    }
}

/// The integers to which an activation clamps a result.
pub(crate) fn integer_range<T: Integer>(
    activation: Activation,
    scale: f32,
    zero_point: i32,
) -> Result<(i32, i32), OperatorFault> {
    Ok(integer_bounds::<T>(bounds(activation)?, scale, zero_point))
}

/// The type's own bounds, cut at `zero_point + round(bound / scale)` in single precision
/// (`CalculateActivationRangeQuantized`).
fn integer_bounds<T: Integer>((low, high): Bounds, scale: f32, zero_point: i32) -> (i32, i32) {
    let quantize = |bound: f32| zero_point.saturating_add(round_half_away_f32(bound / scale));
    let min = low.map_or(T::MIN, |low| quantize(low).max(T::MIN));
    let max = high.map_or(T::MAX, |high| quantize(high).min(T::MAX));
    // A hostile zero point could turn the bounds round.
    (min.min(max), max)
}

/// The floats to which an activation clamps a result; infinities are cut too, as the reference does.
pub(crate) fn float_range(activation: Activation) -> Result<(f32, f32), OperatorFault> {
    let (low, high) = bounds(activation)?;
    Ok((low.unwrap_or(f32::MIN), high.unwrap_or(f32::MAX)))
}

/// `value` within the bounds; NaN stays NaN.
#[inline]
pub(crate) fn clamp<T: PartialOrd>(value: T, (min, max): (T, T)) -> T {
    let value = if value < min { min } else { value };
    if value > max { max } else { value }
}

/// RELU and its kin: elements within bounds. Integers are rescaled too.
pub(crate) fn plan_clamp(node: &Node<'_>, bounds: Bounds) -> Result<Planned, OperatorFault> {
    match element_type(node)? {
        ElementType::Float32 => {
            let range = (bounds.0.unwrap_or(f32::NEG_INFINITY), bounds.1.unwrap_or(f32::INFINITY));
            map(node, move |x| clamp(x, range))
        }
        ElementType::Int8 => integer_clamp::<i8>(node, bounds),
        ElementType::Int16 => integer_clamp::<i16>(node, bounds),
        _ => Err(node.types_fault()),
    }
}

fn integer_clamp<T: Integer>(node: &Node<'_>, bounds: Bounds) -> Result<Planned, OperatorFault> {
    // tflite-micro's RELU6 takes the result to have the operand's scale.
    if node.options.numerics == Numerics::TfLiteMicro && bounds.1.is_some() {
        let (scale, zero_point) = node.input(0)?.scale_and_zero_point()?;
        let (min, max) = integer_bounds::<T>(bounds, scale, zero_point);
        return map::<T>(node, move |x| T::saturating_from(x.into().clamp(min, max)));
    }
    let (scale, zero_point) = node.output(0)?.scale_and_zero_point()?;
    let (min, max) = integer_bounds::<T>(bounds, scale, zero_point);
    map_steps::<T, T>(node, Rescale::new::<T>(node, OutputRange { zero_point, min, max })?)
}

/// LEAKY_RELU: negative elements times a slope.
pub(crate) fn plan_leaky_relu(
    node: &Node<'_>,
    &LeakyReluOptions { alpha }: &LeakyReluOptions,
) -> Result<Planned, OperatorFault> {
    match element_type(node)? {
        ElementType::Float32 => map(node, move |x: f32| if x > 0.0 { x } else { x * alpha }),
        ElementType::Int8 => integer_leaky_relu::<i8>(node, alpha),
        ElementType::Int16 => integer_leaky_relu::<i16>(node, alpha),
        _ => Err(node.types_fault()),
    }
}

fn integer_leaky_relu<T: Integer>(node: &Node<'_>, alpha: f32) -> Result<Planned, OperatorFault> {
    let range = OutputRange::new::<T>(&node.output(0)?, Activation::None)?;
    let rescale = Rescale::new::<T>(node, range)?;
    let slope = scale_ratio(node, alpha.abs())?;
    let sign = if alpha < 0.0 { -1 } else { 1 };
    map_steps::<T, T>(node, IntegerLeakyRelu { rescale, slope, sign })
}

#[derive(Debug)]
struct IntegerLeakyRelu {
    rescale: Rescale,
    /// The slope's magnitude, and its sign.
    slope: QuantizedMultiplier,
    sign: i32,
}

impl<T: Integer> Steps<T, T> for IntegerLeakyRelu {
    #[inline]
    fn of(&self, x: T) -> T {
        match self.rescale.centered(x) {
            positive @ 0.. => self.rescale.output(positive),
            negative => self.rescale.range.output(self.slope.apply(negative).wrapping_mul(self.sign)),
        }
    }
    #[inline(always)]
    fn block(&self, engine: Engine, lanes: &mut [i32]) {
        let mut negative = [0; BLOCK];
        let negative = &mut negative[..lanes.len()];
        for (x, negative) in lanes.iter_mut().zip(negative.iter_mut()) {
            let centered = *x - self.rescale.input_zero_point;
            (*x, *negative) = (centered.max(0), centered.min(0));
        }
        engine.rescale(lanes, self.rescale.multiplier);
        engine.rescale(negative, self.slope);
        // One of the two is 0.
        lanes.iter_mut().zip(negative).for_each(|(x, negative)| *x += negative.wrapping_mul(self.sign));
        finish(lanes, self.rescale.range);
    }
}

/// ELU: negative elements become `e^x - 1`.
pub(crate) fn plan_elu(node: &Node<'_>) -> Result<Planned, OperatorFault> {
    let elu = |x: f32| if x < 0.0 { exp_minus_1(x) } else { x };
    match (element_type(node)?, node.options.numerics) {
        (ElementType::Float32, _) => map(node, elu),
        (ElementType::Int8, Numerics::LiteRt) => map_table8(node, elu),
        // tflite-micro's table subtracts 1 from an exponential that is rounded already.
        (ElementType::Int8, Numerics::TfLiteMicro) => {
            map_table8(node, |x| if x < 0.0 { exp(x) - 1.0 } else { x })
        }
        _ => Err(node.types_fault()),
    }
}

/// GELU: `x` times the normal distribution's integral up to `x`, or an approximation of it.
pub(crate) fn plan_gelu(node: &Node<'_>, options: &GeluOptions) -> Result<Planned, OperatorFault> {
    // Not one of two pointers, through which no loop becomes vectors.
    if options.approximate { plan_tabulated(node, approximate_gelu) } else { plan_tabulated(node, gelu) }
}

fn gelu(x: f32) -> f32 {
    0.5 * x * libm::erfcf(x * -core::f32::consts::FRAC_1_SQRT_2)
}

#[inline]
fn approximate_gelu(x: f32) -> f32 {
    /// `sqrt(2 / pi)`.
    const SCALE: f32 = 0.797_884_6;
    0.5 * x * (1.0 + tanh(SCALE * (x + 0.044_715 * x * x * x)))
}

#[cfg(test)]
mod tests {
    use burnlite_tflite::Op;

    use super::*;
    use crate::ops::map::tests::{fault, run, run_both};

    #[test]
    fn activations_cut_the_range_of_the_type() {
        let range = |activation| integer_range::<i8>(activation, 0.05, -10).unwrap();
        assert_eq!(range(Activation::None), (-128, 127));
        assert_eq!(range(Activation::Relu), (-10, 127));
        assert_eq!(range(Activation::Relu6), (-10, 110));
        assert_eq!(range(Activation::ReluN1To1), (-30, 10));
        assert_eq!(integer_range::<i16>(Activation::None, 1.0, 0).unwrap(), (-32_768, 32_767));
        assert!(integer_range::<i8>(Activation::Tanh, 1.0, 0).is_err());
    }

    #[test]
    fn not_a_number_passes_the_bounds_and_infinity_does_not() {
        let relu = float_range(Activation::Relu).unwrap();
        assert!(clamp(f32::NAN, relu).is_nan());
        assert_eq!(clamp(f32::INFINITY, relu), f32::MAX);
        assert_eq!(clamp(-1.0, relu), 0.0);
    }

    /// In single precision the ratio of these scales is 1.5, whose ties round up; in double it is a little less.
    const NEARLY_TIES: Option<[(f32, i64); 2]> = Some([(0.0015, 9), (0.001, -30)]);

    #[test]
    fn scales_are_divided_in_each_implementations_precision() {
        let operators = [Op::Relu, Op::LeakyRelu(LeakyReluOptions { alpha: 0.2 })];
        for op in operators {
            let [litert, micro] = run_both(&op, NEARLY_TIES, &[10i8, 12, 14, 16]);
            assert_eq!((litert, micro), ([-28, -25, -22, -19].into(), [-29, -26, -23, -20].into()), "{op:?}");
        }
    }

    #[test]
    fn relu6_of_tflite_micro_keeps_the_operands_scale() {
        let scales = Some([(0.07, -13), (0.031, -128)]);
        let [litert, micro] = run_both(&Op::Relu6, scales, &[-128i8, 0, 73, 127]);
        assert_eq!((litert, micro), ([-128, -99, 66, 66].into(), [-13, 0, 73, 73].into()));
    }

    #[test]
    fn elu_of_tflite_micro_rounds_the_exponential_first() {
        let scales = Some([(4.993_21e-5, 7), (1.630_008_8e-5, -100)]);
        let [litert, micro] = run_both(&Op::Elu, scales, &[-1i8, 7]);
        assert_eq!((litert, micro), ([-125, -100].into(), [-124, -100].into()));
    }

    #[test]
    fn a_slope_may_be_negative_but_not_infinite() {
        let leaky =
            |alpha| run(&Op::LeakyRelu(LeakyReluOptions { alpha }), Some([(1.0, 0); 2]), &[-10i16, 10]);
        assert_eq!(leaky(-0.5).unwrap(), [5, 10]);
        assert!(leaky(f32::INFINITY).is_err());
        assert!(leaky(f32::NAN).is_err());
    }

    #[test]
    fn a_16_bit_zero_point_is_refused() {
        let error = fault(&Op::Relu, Some([(1.0, 1), (1.0, 0)]), &[0i16]);
        assert!(error.contains("the zero point is 1, but must be 0"), "{error}");
    }
}
