//! ADD, SUB, MUL, SQUARED_DIFFERENCE, MAXIMUM and MINIMUM.

use burnlite_tflite::{Activation, AddOptions, ElementType, MulOptions, SubOptions};

use crate::error::OperatorFault;
use crate::fixed_point::{QuantizedMultiplier, round_half_away_f32, rounding_shift_right};
use crate::interpreter::Numerics;
use crate::kernels::Engine;
use crate::kernels::elementwise::{PairSteps, finish};
use crate::ops::binary::{common_type, plan, plan_plain, plan_steps};
use crate::ops::integer::{InputRescale, Integer, OutputRange, multiplier, uniform};
use crate::ops::number::Number;
use crate::plan::{Node, Operand, Planned};

pub(crate) fn plan_add(node: &Node<'_>, options: &AddOptions) -> Result<Planned, OperatorFault> {
    plan_sum::<false>(node, options.activation, options.pot_scale_int16)
}

pub(crate) fn plan_sub(node: &Node<'_>, options: &SubOptions) -> Result<Planned, OperatorFault> {
    plan_sum::<true>(node, options.activation, options.pot_scale_int16)
}

/// `a + b`, or `a - b`.
#[inline]
fn sum<T: Number, const SUBTRACT: bool>(a: T, b: T) -> T {
    if SUBTRACT { a.minus(b) } else { a.plus(b) }
}

fn plan_sum<const SUBTRACT: bool>(
    node: &Node<'_>,
    activation: Activation,
    pot_scale_int16: bool,
) -> Result<Planned, OperatorFault> {
    match common_type(node)? {
        ElementType::Float32 => plan_plain(node, activation, sum::<f32, SUBTRACT>),
        ElementType::Int32 => plan_plain(node, activation, sum::<i32, SUBTRACT>),
        ElementType::Int64 => plan_plain(node, activation, sum::<i64, SUBTRACT>),
        ElementType::Int8 => plan_scaled_sum::<i8, SUBTRACT>(node, activation, 20),
        ElementType::Int16 if !is_quantized(node)? => plan_plain(node, activation, sum::<i16, SUBTRACT>),
        ElementType::Int16 => {
            // tflite-micro does not look at the option.
            let may_shift = pot_scale_int16 && node.options.numerics == Numerics::LiteRt;
            match if may_shift { scale_exponents(node)? } else { None } {
                Some(exponents) => plan_shifted_sum::<SUBTRACT>(node, activation, exponents),
                None => plan_scaled_sum::<i16, SUBTRACT>(node, activation, 15),
            }
        }
        _ => Err(node.types_fault()),
    }
}

/// Both operands on a common scale with `spare_bits` more bits, added, then rescaled (`reference/add.h`).
fn plan_scaled_sum<T: Integer, const SUBTRACT: bool>(
    node: &Node<'_>,
    activation: Activation,
    spare_bits: u32,
) -> Result<Planned, OperatorFault> {
    let output = node.output(0)?;
    let CommonScale { left, right, twice_larger } = CommonScale::new::<T>(node, spare_bits)?;
    let (output_scale, _) = uniform::<T>(&output)?;
    let unit = f64::from(1u32 << spare_bits);
    let factor = multiplier_below_one(twice_larger / (unit * f64::from(output_scale)), &output)?;
    let range = OutputRange::new::<T>(&output, activation)?;
    plan_steps::<T, T, T>(node, ScaledSum::<SUBTRACT> { left, right, factor, range })
}

#[derive(Debug)]
struct ScaledSum<const SUBTRACT: bool> {
    left: InputRescale,
    right: InputRescale,
    factor: QuantizedMultiplier,
    range: OutputRange,
}

impl<T: Integer, const SUBTRACT: bool> PairSteps<T, T, T> for ScaledSum<SUBTRACT> {
    #[inline]
    fn of(&self, a: T, b: T) -> T {
        let sum = sum::<i32, SUBTRACT>(self.left.rescale(a), self.right.rescale(b));
        self.range.output(self.factor.apply(sum))
    }
    #[inline(always)]
    fn block(&self, engine: Engine, left: &mut [i32], right: &mut [i32]) {
        self.left.block(engine, left);
        self.right.block(engine, right);
        left.iter_mut().zip(right).for_each(|(a, b)| *a = sum::<i32, SUBTRACT>(*a, *b));
        engine.rescale(left, self.factor);
        finish(left, self.range);
    }
}

/// The sum of integers whose scales are powers of two: one operand has the output's scale, the other is shifted to it
/// (`pot_scale_int16`).
fn plan_shifted_sum<const SUBTRACT: bool>(
    node: &Node<'_>,
    activation: Activation,
    [left, right, output]: [i32; 3],
) -> Result<Planned, OperatorFault> {
    let shifts = (u32::try_from(output - left), u32::try_from(output - right));
    let (Ok(left), Ok(right)) = shifts else {
        return Err(node.output(0)?.unusable("shifts need a scale at least as large as the operands'"));
    };
    if left.min(right) > 0 || left.max(right) > 31 {
        return Err(node
            .output(0)?
            .unusable("shifts need one operand of the output's scale, and none far below"));
    }
    let range = OutputRange::new::<i16>(&node.output(0)?, activation)?;
    plan(node, move |a: i16, b: i16| -> i16 {
        let shifted = |value: i16, shift| rounding_shift_right(value.into(), shift);
        range.output(sum::<i32, SUBTRACT>(shifted(a, left), shifted(b, right)))
    })
}

/// The logarithms of the operands' and the output's scales to base 2, if all are within a thousandth of an integer
/// (`CheckedLog2`).
fn scale_exponents(node: &Node<'_>) -> Result<Option<[i32; 3]>, OperatorFault> {
    let exponent = |operand: Operand<'_>| {
        let (scale, _) = uniform::<i16>(&operand)?;
        let logarithm = libm::logf(scale) * (1.0 / core::f32::consts::LN_2);
        let rounded = round_half_away_f32(logarithm);
        Ok(((logarithm - rounded as f32).abs() < 1e-3).then_some(rounded))
    };
    let exponents = [exponent(node.input(0)?)?, exponent(node.input(1)?)?, exponent(node.output(0)?)?];
    Ok(match exponents {
        [Some(left), Some(right), Some(output)] => Some([left, right, output]),
        _ => None,
    })
}

pub(crate) fn plan_mul(node: &Node<'_>, options: &MulOptions) -> Result<Planned, OperatorFault> {
    match common_type(node)? {
        ElementType::Float32 => plan_plain(node, options.activation, f32::times),
        ElementType::Int32 => plan_plain(node, options.activation, i32::times),
        ElementType::Int64 => plan_plain(node, options.activation, i64::times),
        ElementType::Int8 => plan_scaled_product::<i8>(node, options),
        ElementType::Int16 if !is_quantized(node)? => plan_plain(node, options.activation, i16::times),
        ElementType::Int16 => plan_scaled_product::<i16>(node, options),
        _ => Err(node.types_fault()),
    }
}

/// Products of what the integers are above their zero points, rescaled (`reference/integer_ops/mul.h`).
fn plan_scaled_product<T: Integer>(node: &Node<'_>, options: &MulOptions) -> Result<Planned, OperatorFault> {
    let output = node.output(0)?;
    let (left_scale, left_zero_point) = uniform::<T>(&node.input(0)?)?;
    let (right_scale, right_zero_point) = uniform::<T>(&node.input(1)?)?;
    let (output_scale, _) = uniform::<T>(&output)?;
    let real = match node.options.numerics {
        Numerics::LiteRt => f64::from(left_scale * right_scale / output_scale),
        Numerics::TfLiteMicro => f64::from(left_scale) * f64::from(right_scale) / f64::from(output_scale),
    };
    let factor = multiplier::<i32>(real, &output)?;
    let range = OutputRange::new::<T>(&output, options.activation)?;
    let zero_points = (left_zero_point, right_zero_point);
    plan_steps::<T, T, T>(node, ScaledProduct { zero_points, factor, range })
}

#[derive(Debug)]
struct ScaledProduct {
    zero_points: (i32, i32),
    factor: QuantizedMultiplier,
    range: OutputRange,
}

impl<T: Integer> PairSteps<T, T, T> for ScaledProduct {
    #[inline]
    fn of(&self, a: T, b: T) -> T {
        // At most 255^2, or 2^30 of 16-bit integers, whose zero points are 0.
        let product = (a.into() - self.zero_points.0) * (b.into() - self.zero_points.1);
        self.range.output(self.factor.apply(product))
    }
    #[inline(always)]
    fn block(&self, engine: Engine, left: &mut [i32], right: &mut [i32]) {
        let (left_zero_point, right_zero_point) = self.zero_points;
        for (a, b) in left.iter_mut().zip(right) {
            *a = (*a - left_zero_point) * (*b - right_zero_point);
        }
        engine.rescale(left, self.factor);
        finish(left, self.range);
    }
}

pub(crate) fn plan_squared_difference(node: &Node<'_>) -> Result<Planned, OperatorFault> {
    match (common_type(node)?, node.options.numerics) {
        (ElementType::Float32, _) => plan(node, squared_difference::<f32>),
        (ElementType::Int32, _) => plan(node, squared_difference::<i32>),
        (ElementType::Int8, _) => plan_scaled_squared_difference::<i8>(node, 7),
        (ElementType::Int16, Numerics::TfLiteMicro) => plan_scaled_squared_difference::<i16>(node, 0),
        _ => Err(node.types_fault()),
    }
}

#[inline]
fn squared_difference<T: Number>(a: T, b: T) -> T {
    let difference = a.minus(b);
    difference.times(difference)
}

/// As [`plan_scaled_sum`]: differences on a common scale, squared, then rescaled (`squared_difference.cc`).
fn plan_scaled_squared_difference<T: Integer>(
    node: &Node<'_>,
    spare_bits: u32,
) -> Result<Planned, OperatorFault> {
    let output = node.output(0)?;
    let CommonScale { left, right, twice_larger } = CommonScale::new::<T>(node, spare_bits)?;
    let (output_scale, _) = uniform::<T>(&output)?;
    let unit = f64::from(1u32 << (2 * spare_bits));
    let real = twice_larger * twice_larger / (unit * f64::from(output_scale));
    let factor = match node.options.numerics {
        Numerics::LiteRt => multiplier_below_one(real, &output)?,
        Numerics::TfLiteMicro => multiplier::<i32>(real, &output)?,
    };
    let range = OutputRange::new::<T>(&output, Activation::None)?;
    plan_steps::<T, T, T>(node, ScaledSquaredDifference { left, right, factor, range })
}

#[derive(Debug)]
struct ScaledSquaredDifference {
    left: InputRescale,
    right: InputRescale,
    factor: QuantizedMultiplier,
    range: OutputRange,
}

impl<T: Integer> PairSteps<T, T, T> for ScaledSquaredDifference {
    #[inline]
    fn of(&self, a: T, b: T) -> T {
        // A difference is at most 255 * 2^7, or 2^15 of 16-bit integers: its square fits.
        let square = squared_difference(self.left.rescale(a), self.right.rescale(b));
        self.range.output(self.factor.apply(square))
    }
    #[inline(always)]
    fn block(&self, engine: Engine, left: &mut [i32], right: &mut [i32]) {
        self.left.block(engine, left);
        self.right.block(engine, right);
        left.iter_mut().zip(right).for_each(|(a, b)| *a = squared_difference(*a, *b));
        engine.rescale(left, self.factor);
        finish(left, self.range);
    }
}

/// MAXIMUM: integers as they are stored, whatever their scales.
pub(crate) fn plan_maximum(node: &Node<'_>) -> Result<Planned, OperatorFault> {
    plan_choice::<true>(node)
}

/// MINIMUM: as [`plan_maximum`].
pub(crate) fn plan_minimum(node: &Node<'_>) -> Result<Planned, OperatorFault> {
    plan_choice::<false>(node)
}

fn plan_choice<const LARGER: bool>(node: &Node<'_>) -> Result<Planned, OperatorFault> {
    match common_type(node)? {
        ElementType::Float32 => plan(node, choice::<f32, LARGER>),
        ElementType::Int8 => plan(node, choice::<i8, LARGER>),
        ElementType::Int16 => plan(node, choice::<i16, LARGER>),
        ElementType::Int32 => plan(node, choice::<i32, LARGER>),
        ElementType::Int64 => plan(node, choice::<i64, LARGER>),
        _ => Err(node.types_fault()),
    }
}

/// The larger or the smaller; the second where one is not a number (`reference/maximum_minimum.h`).
#[inline]
fn choice<T: PartialOrd, const LARGER: bool>(a: T, b: T) -> T {
    if (LARGER && a > b) || (!LARGER && a < b) { a } else { b }
}

/// Whether any operand or the result has a scale.
fn is_quantized(node: &Node<'_>) -> Result<bool, OperatorFault> {
    let tensors = [node.input(0)?, node.input(1)?, node.output(0)?];
    Ok(tensors.iter().any(|operand| operand.tensor.quantization.is_some()))
}

/// Two operands brought to a common scale: twice the larger of theirs, divided by `2^spare_bits`.
struct CommonScale {
    left: InputRescale,
    right: InputRescale,
    twice_larger: f64,
}

impl CommonScale {
    fn new<T: Integer>(node: &Node<'_>, spare_bits: u32) -> Result<Self, OperatorFault> {
        let operands = [node.input(0)?, node.input(1)?];
        let scales = [uniform::<T>(&operands[0])?.0, uniform::<T>(&operands[1])?.0];
        let twice_larger = 2.0 * f64::from(scales[0].max(scales[1]));
        let rescale = |index: usize| {
            InputRescale::new(&operands[index], f64::from(scales[index]) / twice_larger, spare_bits)
        };
        Ok(Self { left: rescale(0)?, right: rescale(1)?, twice_larger })
    }
}

/// The multiplier nearest to `real`, which the reference refuses at 1 and above.
fn multiplier_below_one(real: f64, output: &Operand<'_>) -> Result<QuantizedMultiplier, OperatorFault> {
    let factor = multiplier::<i32>(real, output)?;
    if factor.shift > 0 {
        return Err(output.unusable("its scale is too small beside the operands'"));
    }
    Ok(factor)
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use burnlite_tflite::Op;

    use super::*;
    use crate::ops::binary::testing::Case;

    fn add(activation: Activation, pot_scale_int16: bool) -> Op {
        Op::Add(AddOptions { activation, pot_scale_int16 })
    }

    #[test]
    fn products_of_scales_are_of_single_precision_in_litert_alone() {
        let scales = Some([(0.051, 0), (0.051, 0), (0.005_202, 0)]);
        let case = Case::new(Op::Mul(MulOptions::default()), scales, ElementType::Int8);
        assert_eq!(case.run_both::<i8, i8, i8>(&[-1, -3, 4], &[1]), [[0, -1, 2], [-1, -2, 2]].map(Vec::from));
    }

    #[test]
    fn scales_that_are_powers_of_two_make_shifts_in_litert_alone() {
        let scales = Some([(0.125, 0), (0.25, 0), (0.25, 0)]);
        let case = Case::new(add(Activation::None, true), scales, ElementType::Int16);
        // 1/2 - 1 and -1/2 + 1: shifts round the half, the general way rounds the sum.
        assert_eq!(
            case.run_both::<i16, i16, i16>(&[1, -1, 3], &[0]),
            [[1, -1, 2], [1, -1, 2]].map(Vec::from)
        );
    }

    #[test]
    fn shifts_need_an_operand_of_the_outputs_scale() {
        for scales in [[(0.125, 0), (0.125, 0), (0.25, 0)], [(0.5, 0), (0.25, 0), (0.25, 0)]] {
            let case = Case::new(add(Activation::None, true), Some(scales), ElementType::Int16);
            assert!(case.run::<i16, i16, i16>(&[1], &[1]).is_err(), "{scales:?}");
            let case = Case::new(add(Activation::None, false), Some(scales), ElementType::Int16);
            assert!(case.run::<i16, i16, i16>(&[1], &[1]).is_ok(), "{scales:?}");
        }
    }

    #[test]
    fn sixteen_bit_integers_without_scales_are_numbers() {
        let case = Case::new(add(Activation::Relu6, true), None, ElementType::Int16);
        assert_eq!(case.run::<i16, i16, i16>(&[i16::MAX, 3, 9, -1], &[1]).unwrap(), [0, 4, 6, 0]);
        let case = Case::new(Op::Mul(MulOptions::default()), None, ElementType::Int16);
        assert_eq!(case.run::<i16, i16, i16>(&[256, 3], &[256]).unwrap(), [0, 768]);
    }

    #[test]
    fn scales_far_below_the_operands_are_refused_where_the_reference_does() {
        let scales = Some([(1.0, 0), (1.0, 0), (1e-5, 0)]);
        let int8 = |op| Case::new(op, scales, ElementType::Int8);
        assert!(int8(add(Activation::None, false)).run::<i8, i8, i8>(&[1], &[1]).is_ok());
        let mut squares = int8(Op::SquaredDifference);
        assert!(squares.run::<i8, i8, i8>(&[1], &[2]).is_err());
        squares.numerics = Numerics::TfLiteMicro;
        assert_eq!(squares.run::<i8, i8, i8>(&[1, 1], &[2, 1]).unwrap(), [127, 0]);
    }

    #[test]
    fn squared_differences_of_16_bits_are_tflite_micros() {
        let mut case =
            Case::new(Op::SquaredDifference, Some([(0.5, 0), (0.5, 0), (2.0, 0)]), ElementType::Int16);
        assert!(case.run::<i16, i16, i16>(&[1], &[2]).is_err());
        case.numerics = Numerics::TfLiteMicro;
        // (5 - 1)^2 * 0.5^2 / 2
        assert_eq!(case.run::<i16, i16, i16>(&[10], &[2]).unwrap(), [8]);
    }
}
