//! What the integer operators share: the integers of activations, the accumulators of their sums, and the way from an
//! accumulator to an output.

use alloc::vec::Vec;
use core::fmt::Debug;

use burnlite_tflite::{Activation, Element, ElementType};

use crate::error::OperatorFault;
use crate::fixed_point::QuantizedMultiplier;
use crate::ops::activation::integer_range;
use crate::plan::{Node, Operand};

/// An integer that activations are made of.
pub(crate) trait Integer: Element + Into<i32> + Ord {
    const MIN: i32;
    const MAX: i32;

    /// The integer itself where it fits, else the nearest that does.
    fn saturating_from(value: i32) -> Self;
}

macro_rules! integers {
    ($($integer:ident),*) => {$(
        impl Integer for $integer {
            const MIN: i32 = $integer::MIN as i32;
            const MAX: i32 = $integer::MAX as i32;

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
}

/// The scale and zero point of an operand that operators calculate with elementwise; those of 16 bits must be symmetric.
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

/// The multipliers of a convolution's channels: `input scale * weight scale / output scale`, in double precision from the
/// left (`PopulateConvolutionQuantizationParams`).
pub(crate) fn channel_multipliers<A: Accumulator>(
    input_scale: f32,
    weight_scales: &[f32],
    output: &Operand<'_>,
) -> Result<Vec<QuantizedMultiplier>, OperatorFault> {
    let (output_scale, _) = output.scale_and_zero_point()?;
    weight_scales
        .iter()
        .map(|&weight_scale| {
            let real = f64::from(input_scale) * f64::from(weight_scale) / f64::from(output_scale);
            multiplier::<A>(real, output)
        })
        .collect()
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
