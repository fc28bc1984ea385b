//! What the integer operators share: the integers of activations, the accumulators of their sums, and the way from an
//! accumulator to an output.

use alloc::vec::Vec;
use core::fmt::Debug;
use core::marker::PhantomData;
use core::ops::Range;

use burnlite_tflite::{Activation, Element, ElementType};

use crate::error::OperatorFault;
use crate::fixed_point::{QuantizedMultiplier, round_half_away};
use crate::kernels::Engine;
use crate::kernels::elementwise::center;
use crate::kernels::matrix::{Bias, ChannelFactors};
use crate::ops::activation::integer_range;
use crate::ops::weighted::OutputStage;
use crate::plan::{Node, Operand};

/// An integer that activations are made of.
pub(crate) trait Integer: Element + Into<i32> + Ord {
    const MIN: i32;
    const MAX: i32;

    /// The integer itself where it fits, else the nearest that does.
    fn saturating_from(value: i32) -> Self;

    /// The integer, which must fit.
    fn truncating_from(value: i32) -> Self;

    /// The largest magnitude of an integer less the zero point.
    fn largest_distance(zero_point: i32) -> i64 {
        [Self::MIN, Self::MAX]
            .map(|bound| i64::from(bound) - i64::from(zero_point))
            .map(i64::abs)
            .into_iter()
            .fold(1, i64::max)
    }
}

macro_rules! integers {
    ($($integer:ident),*) => {$(
        impl Integer for $integer {
            const MIN: i32 = $integer::MIN as i32;
            const MAX: i32 = $integer::MAX as i32;

            #[inline]
            fn truncating_from(value: i32) -> Self {
                value as Self
            }

            #[inline]
            fn saturating_from(value: i32) -> Self {
                value.clamp(<Self as Integer>::MIN, <Self as Integer>::MAX) as Self
            }
        }
    )*};
}
integers!(i8, u8, i16, i32);

/// A sum of products, with its own rule of requantization.
///
/// 32-bit sums wrap, as the reference's do where the compiler lets them.
pub(crate) trait Accumulator: Element {
    fn plus_product(self, x: i32, weight: i32) -> Self;
    fn plus(self, other: Self) -> Self;
    fn requantize(self, multiplier: QuantizedMultiplier) -> i32;
    fn to_f64(self) -> f64;
    /// Biases for sums of this type.
    fn bias(biases: &[Self]) -> Bias<'_>;
    /// The largest shift for which [`requantize`](Self::requantize) is defined.
    const MAX_SHIFT: i32;
}

impl Accumulator for i32 {
    const MAX_SHIFT: Self = QuantizedMultiplier::MAX_SHIFT;

    #[inline]
    fn plus_product(self, x: i32, weight: i32) -> Self {
        self.wrapping_add(x.wrapping_mul(weight))
    }
    #[inline]
    fn plus(self, other: Self) -> Self {
        self.wrapping_add(other)
    }
    #[inline]
    fn requantize(self, multiplier: QuantizedMultiplier) -> Self {
        multiplier.apply(self)
    }
    #[inline]
    fn to_f64(self) -> f64 {
        self.into()
    }
    fn bias(biases: &[Self]) -> Bias<'_> {
        Bias::Narrow(biases)
    }
}

impl Accumulator for i64 {
    const MAX_SHIFT: i32 = QuantizedMultiplier::MAX_WIDE_SHIFT;

    #[inline]
    fn plus_product(self, x: i32, weight: i32) -> Self {
        self.wrapping_add(Self::from(x) * Self::from(weight))
    }
    #[inline]
    fn plus(self, other: Self) -> Self {
        self.wrapping_add(other)
    }
    #[inline]
    fn requantize(self, multiplier: QuantizedMultiplier) -> i32 {
        multiplier.apply_wide(self)
    }
    #[inline]
    fn to_f64(self) -> f64 {
        self as f64
    }
    fn bias(biases: &[Self]) -> Bias<'_> {
        Bias::Wide(biases)
    }
}

/// The scale and zero point of an operand that operators calculate with; those of 16 bits must be symmetric.
pub(crate) fn uniform<T: Integer>(operand: &Operand<'_>) -> Result<(f32, i32), OperatorFault> {
    match T::TYPE {
        ElementType::Int16 => Ok((operand.symmetric_scale()?, 0)),
        _ => operand.scale_and_zero_point(),
    }
}

/// The first part of the way from an input: what an integer is above its zero point, shifted left and rescaled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct InputRescale {
    zero_point: i32,
    left_shift: u32,
    multiplier: QuantizedMultiplier,
}

impl InputRescale {
    /// `real` is the factor beside `2^left_shift`.
    pub(crate) fn new(operand: &Operand<'_>, real: f64, left_shift: u32) -> Result<Self, OperatorFault> {
        let (_, zero_point) = operand.scale_and_zero_point()?;
        Ok(Self { zero_point, left_shift, multiplier: multiplier::<i32>(real, operand)? })
    }

    #[inline]
    pub(crate) fn rescale<T: Integer>(&self, value: T) -> i32 {
        self.multiplier.apply((value.into() - self.zero_point) << self.left_shift)
    }

    /// [`rescale`](Self::rescale) of each lane.
    #[inline(always)]
    pub(crate) fn block(&self, engine: Engine, lanes: &mut [i32]) {
        if self.multiplier == QuantizedMultiplier::HALF && self.left_shift > 0 {
            // The larger of two operands' scales has this factor: nothing is lost, so nothing is rounded.
            return center(lanes, self.zero_point, self.left_shift - 1);
        }
        center(lanes, self.zero_point, self.left_shift);
        engine.rescale(lanes, self.multiplier);
    }
}

/// The last part of the way to an output: zero point, activation and the type's bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct OutputRange {
    pub(crate) zero_point: i32,
    pub(crate) min: i32,
    pub(crate) max: i32,
}

impl OutputRange {
    pub(crate) fn new<T: Integer>(
        output: &Operand<'_>,
        activation: Activation,
    ) -> Result<Self, OperatorFault> {
        let (scale, zero_point) = output.scale_and_zero_point()?;
        let (min, max) = integer_range::<T>(activation, scale, zero_point)?;
        Ok(Self { zero_point, min, max })
    }

    #[inline]
    pub(crate) fn output<T: Integer>(&self, value: i32) -> T {
        T::saturating_from(value.saturating_add(self.zero_point).clamp(self.min, self.max))
    }
}

/// How the factor `input scale * weight scale / output scale` is formed, and how it is applied to a sum.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rescaling {
    /// Formed in double precision from the left, applied in fixed point (`PopulateConvolutionQuantizationParams`).
    FixedPoint,
    /// In fixed point, too, but with the product of the scales rounded to single precision: LiteRT's BATCH_MATMUL
    /// (`GetQuantizedConvolutionMultipler`).
    FixedPointOfSingleProduct,
    /// Formed and applied in double precision, rounded half away from zero: LiteRT's FULLY_CONNECTED alone.
    Double,
}

/// The end of every weighted operator: a sum of products, plus its channel's bias, rescaled to the output, plus the
/// output's zero point, within bounds.
#[derive(Debug)]
pub(crate) struct Requantization<T> {
    factors: Factors,
    range: OutputRange,
    output: PhantomData<T>,
}

/// The factor of each channel.
#[derive(Debug)]
enum Factors {
    Double(Vec<f64>),
    FixedPoint(Vec<QuantizedMultiplier>),
}

impl<T: Integer> Requantization<T> {
    /// For sums of type `A`, with a weight scale for each channel.
    pub(crate) fn new<A: Accumulator>(
        rescaling: Rescaling,
        (input_scale, weight_scales): (f32, &[f32]),
        output: &Operand<'_>,
        activation: Activation,
    ) -> Result<Self, OperatorFault> {
        let (output_scale, _) = uniform::<T>(output)?;
        let real = |&weight_scale: &f32| {
            let product = match rescaling {
                Rescaling::FixedPointOfSingleProduct => f64::from(input_scale * weight_scale),
                Rescaling::FixedPoint | Rescaling::Double => f64::from(input_scale) * f64::from(weight_scale),
            };
            product / f64::from(output_scale)
        };
        let real = weight_scales.iter().map(real);
        let factors = match rescaling {
            Rescaling::Double => Factors::Double(real.collect()),
            _ => {
                Factors::FixedPoint(real.map(|real| multiplier::<A>(real, output)).collect::<Result<_, _>>()?)
            }
        };
        Ok(Self { factors, range: OutputRange::new::<T>(output, activation)?, output: PhantomData })
    }

    /// The same for channels that come `times` times, one after the other.
    pub(crate) fn repeated(&self, times: usize) -> Self {
        let factors = match &self.factors {
            Factors::Double(factors) => Factors::Double(factors.repeat(times)),
            Factors::FixedPoint(multipliers) => Factors::FixedPoint(multipliers.repeat(times)),
        };
        Self { factors, ..*self }
    }

    /// The factors of a range of channels.
    pub(crate) fn factors(&self, channels: Range<usize>) -> ChannelFactors<'_> {
        match &self.factors {
            Factors::Double(factors) => ChannelFactors::HalfAway(&factors[channels]),
            Factors::FixedPoint(multipliers) => ChannelFactors::Fixed(&multipliers[channels]),
        }
    }

    /// Zero point and bounds of the output.
    pub(crate) fn range(&self) -> OutputRange {
        self.range
    }
}

impl<T: Integer, A: Accumulator> OutputStage<A> for Requantization<T> {
    type Output = T;

    #[inline]
    fn output(&self, channel: usize, sum: A, bias: &[A]) -> T {
        let sum = bias.get(channel).map_or(sum, |&bias| sum.plus(bias));
        self.range.output(match &self.factors {
            Factors::Double(factors) => round_half_away(sum.to_f64() * factors[channel])
                .clamp(i32::MIN.into(), i32::MAX.into()) as i32,
            Factors::FixedPoint(multipliers) => sum.requantize(multipliers[channel]),
        })
    }

    fn table_bytes(&self) -> usize {
        match &self.factors {
            Factors::Double(factors) => size_of_val(&factors[..]),
            Factors::FixedPoint(multipliers) => size_of_val(&multipliers[..]),
        }
    }
}

/// The multiplier nearest to `real`, if the accumulator's requantization is defined for it.
pub(crate) fn multiplier<A: Accumulator>(
    real: f64,
    output: &Operand<'_>,
) -> Result<QuantizedMultiplier, OperatorFault> {
    QuantizedMultiplier::from_real(real).filter(|multiplier| multiplier.shift <= A::MAX_SHIFT).ok_or_else(
        || {
            output.unusable(&alloc::format!(
                "the scales ask for a factor of {real:e}, which is too large for the operator"
            ))
        },
    )
}

/// The result must have the quantization that is part of the operator's definition; its scale may differ by a thousandth.
pub(crate) fn require_output(node: &Node<'_>, scale: f32, zero_point: i32) -> Result<(), OperatorFault> {
    let output = node.output(0)?;
    let found = output.scale_and_zero_point()?;
    if found.1 != zero_point || (found.0 - scale).abs() > scale * 0.001 {
        return Err(output.unusable(&alloc::format!(
            "the operator needs the scale {scale} and the zero point {zero_point}"
        )));
    }
    Ok(())
}
