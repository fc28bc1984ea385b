//! Activations: as a bound on another operator's result, and RELU as an operator of its own.

use burnlite_tflite::{Activation, ElementType};

use crate::error::OperatorFault;
use crate::fixed_point::{QuantizedMultiplier, round_half_away_f32};
use crate::frame::{Inputs, Writable, elements_mut};
use crate::ops::integer::{Integer, OutputRange, multiplier};
use crate::plan::{Kernel, Node, Planned};

/// The real bounds of an activation; `None` where there is none.
pub(crate) fn bounds(activation: Activation) -> Result<(Option<f32>, Option<f32>), OperatorFault> {
    match activation {
        Activation::None => Ok((None, None)),
        Activation::Relu => Ok((Some(0.0), None)),
        Activation::Relu6 => Ok((Some(0.0), Some(6.0))),
        Activation::ReluN1To1 => Ok((Some(-1.0), Some(1.0))),
        other => Err(OperatorFault::Unsupported { what: alloc::format!("the fused activation {other:?}") }),
    }
}

/// The integers to which an activation clamps a result (`CalculateActivationRangeQuantized`): the type's own bounds, cut
/// at `zero_point + round(bound / scale)` in single precision.
pub(crate) fn integer_range<T: Integer>(
    activation: Activation,
    scale: f32,
    zero_point: i32,
) -> Result<(i32, i32), OperatorFault> {
    let quantize = |bound: f32| zero_point.saturating_add(round_half_away_f32(bound / scale));
    let (low, high) = bounds(activation)?;
    let min = low.map_or(T::MIN, |low| quantize(low).max(T::MIN));
    let max = high.map_or(T::MAX, |high| quantize(high).min(T::MAX));
    // A hostile zero point could turn the bounds round.
    Ok((min.min(max), max))
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

/// RELU: `max(x, 0)`.
pub(crate) fn plan_relu(node: &Node<'_>) -> Result<Planned, OperatorFault> {
    let (input, output) = (node.input(0)?, node.output(0)?);
    match (input.element_type(), output.element_type()) {
        (ElementType::Float32, ElementType::Float32) => Ok(Planned::new(input.shape, FloatRelu)),
        (ElementType::Int8, ElementType::Int8) => plan_integer_relu::<i8>(node),
        (ElementType::Int16, ElementType::Int16) => plan_integer_relu::<i16>(node),
        _ => Err(node.types_fault()),
    }
}

fn plan_integer_relu<T: Integer>(node: &Node<'_>) -> Result<Planned, OperatorFault> {
    let (input, output) = (node.input(0)?, node.output(0)?);
    let (input_scale, input_zero_point) = input.scale_and_zero_point()?;
    let (output_scale, _) = output.scale_and_zero_point()?;
    let kernel = IntegerRelu::<T> {
        input_zero_point,
        multiplier: multiplier::<i32>(f64::from(input_scale / output_scale), &output)?,
        range: OutputRange::new::<T>(&output, Activation::Relu)?,
        element: core::marker::PhantomData,
    };
    Ok(Planned::new(input.shape, kernel))
}

#[derive(Debug)]
struct FloatRelu;

impl Kernel for FloatRelu {
    fn run(&self, inputs: &Inputs<'_>, [output, ..]: &mut Writable<'_>) -> Result<(), OperatorFault> {
        for (y, &x) in elements_mut::<f32>(output).iter_mut().zip(inputs.get::<f32>(0)) {
            *y = clamp(x, (0.0, f32::MAX));
        }
        Ok(())
    }
}

/// Rescales from the input's to the output's quantization, and cuts at zero.
#[derive(Debug)]
struct IntegerRelu<T> {
    input_zero_point: i32,
    multiplier: QuantizedMultiplier,
    range: OutputRange,
    element: core::marker::PhantomData<T>,
}

impl<T: Integer> Kernel for IntegerRelu<T> {
    fn run(&self, inputs: &Inputs<'_>, [output, ..]: &mut Writable<'_>) -> Result<(), OperatorFault> {
        for (y, &x) in elements_mut::<T>(output).iter_mut().zip(inputs.get::<T>(0)) {
            *y = self.range.output(self.multiplier.apply(x.into() - self.input_zero_point));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
