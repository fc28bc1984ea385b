//! QUANTIZE and DEQUANTIZE: between real numbers and integers, and between integers of different scales.

use alloc::vec::Vec;
use core::marker::PhantomData;

use burnlite_tflite::ElementType;

use crate::error::OperatorFault;
use crate::fixed_point::{round_half_away_f32, round_within};
use crate::frame::{Inputs, Writable, elements_mut};
use crate::interpreter::Numerics;
use crate::kernels::Engine;
use crate::kernels::elementwise::Loop;
use crate::ops::elementwise::Rescale;
use crate::ops::integer::{Integer, OutputRange, multiplier};
use crate::ops::map::map_steps;
use crate::plan::{Kernel, Node, Operand, Planned};

/// `round(value / scale) + zero_point`, in single precision, halves away from zero, saturating (`AffineQuantize`).
///
/// Beyond the range of 32-bit integers, for infinities and NaN, the reference's result is undefined and differs between
/// machines; here large values saturate and NaN is the zero point.
pub(crate) fn quantize_slice<T: Integer>(values: &[f32], (scale, zero_point): (f32, i32), output: &mut [T]) {
    for (q, &value) in output.iter_mut().zip(values) {
        *q = T::saturating_from(round_half_away_f32(value / scale).saturating_add(zero_point));
    }
}

/// `scale * (q - zero_point)`, rounded once.
pub(crate) fn dequantize_slice<T: Integer>(
    values: &[T],
    (scale, zero_point): (f32, i32),
    output: &mut [f32],
) {
    for (y, &q) in output.iter_mut().zip(values) {
        *y = (f64::from(scale) * (f64::from(q.into()) - f64::from(zero_point))) as f32;
    }
}

/// [`quantize_slice`] or [`dequantize_slice`] in steps that the compiler vectorizes.
struct Conversion<'l, X, Y> {
    input: &'l [X],
    output: &'l mut [Y],
    scale: f32,
    zero_point: i32,
}

impl<T: Integer> Loop for Conversion<'_, f32, T> {
    #[inline(always)]
    fn run(self, _: Engine) {
        let Self { input, output, scale, zero_point } = self;
        if !is_small::<T>(zero_point) {
            return quantize_slice(input, (scale, zero_point), output);
        }
        // Bounds that are integers, and exact: to cut before rounding is as good as after.
        let (min, max) = ((T::MIN - zero_point) as f32, (T::MAX - zero_point) as f32);
        for (q, &value) in output.iter_mut().zip(input) {
            *q = T::truncating_from(round_within(value / scale, (min, max)) + zero_point);
        }
    }
}

impl<T: Integer> Loop for Conversion<'_, T, f32> {
    #[inline(always)]
    fn run(self, _: Engine) {
        let Self { input, output, scale, zero_point } = self;
        if !is_small::<T>(zero_point) {
            return dequantize_slice(input, (scale, zero_point), output);
        }
        for (y, &q) in output.iter_mut().zip(input) {
            // The difference is exact, so the product is the only one to round: also in single precision.
            *y = scale * (q.into() - zero_point) as f32;
        }
    }
}

/// Whether single precision holds all integers of the type less the zero point, which is one of them.
fn is_small<T: Integer>(zero_point: i32) -> bool {
    size_of::<T>() <= 2 && (T::MIN..=T::MAX).contains(&zero_point)
}

/// QUANTIZE: floats to integers, or integers to integers of another scale.
pub(crate) fn plan_quantize(node: &Node<'_>) -> Result<Planned, OperatorFault> {
    use ElementType::{Float32, Int8, Int16, Int32, UInt8};
    let (input, output) = (node.input(0)?, node.output(0)?);
    match (input.element_type(), output.element_type()) {
        (Float32, Int8) => from_float::<i8>(node),
        (Float32, UInt8) => from_float::<u8>(node),
        (Float32, Int16) => from_float::<i16>(node),
        (Int8, Int8) => rescale::<i8, i8>(node),
        (Int8, UInt8) => rescale::<i8, u8>(node),
        (Int8, Int16) => rescale::<i8, i16>(node),
        (UInt8, Int8) => rescale::<u8, i8>(node),
        (UInt8, UInt8) => rescale::<u8, u8>(node),
        (UInt8, Int16) => rescale::<u8, i16>(node),
        (Int16, Int8) => rescale::<i16, i8>(node),
        (Int16, Int16) => rescale::<i16, i16>(node),
        (Int16, Int32) => rescale::<i16, i32>(node),
        (Int32, Int8) => rescale::<i32, i8>(node),
        (Int32, Int16) => rescale::<i32, i16>(node),
        _ => Err(node.types_fault()),
    }
}

/// DEQUANTIZE: integers to floats.
pub(crate) fn plan_dequantize(node: &Node<'_>) -> Result<Planned, OperatorFault> {
    let (input, output) = (node.input(0)?, node.output(0)?);
    match (input.element_type(), output.element_type()) {
        (ElementType::Int8, ElementType::Float32) => to_float::<i8>(node),
        (ElementType::UInt8, ElementType::Float32) => to_float::<u8>(node),
        (ElementType::Int16, ElementType::Float32) => to_float::<i16>(node),
        (ElementType::Float16, ElementType::Float32) => Ok(Planned::new(input.shape, Widen)),
        _ => Err(node.types_fault()),
    }
}

/// Half precision to single: exact.
#[derive(Debug)]
struct Widen;

impl Kernel for Widen {
    fn run(&self, inputs: &Inputs<'_>, [output, ..]: &mut Writable<'_>) -> Result<(), OperatorFault> {
        for (y, &bits) in elements_mut::<f32>(output).iter_mut().zip(inputs.get::<u16>(0)) {
            *y = from_half(bits);
        }
        Ok(())
    }
}

/// The number that 16 bits of half precision stand for (IEEE 754 binary16).
fn from_half(bits: u16) -> f32 {
    let sign = u32::from(bits & 0x8000) << 16;
    let magnitude = u32::from(bits & 0x7fff) << 13;
    // Exponents of half precision are less by 112; infinities and NaN keep the greatest.
    let widened = match bits & 0x7c00 {
        0x7c00 => f32::from_bits(magnitude | 0x7f80_0000),
        _ => f32::from_bits(magnitude) * f32::from_bits((127 + 112) << 23),
    };
    f32::from_bits(widened.to_bits() | sign)
}

fn from_float<T: Integer>(node: &Node<'_>) -> Result<Planned, OperatorFault> {
    let parameters = Parameters::new(&node.output(0)?, node.input(0)?.shape)?;
    let engine = node.options.kernels.engine();
    Ok(Planned::new(node.input(0)?.shape, Quantize::<T> { parameters, engine, element: PhantomData }))
}

fn to_float<T: Integer>(node: &Node<'_>) -> Result<Planned, OperatorFault> {
    let input = node.input(0)?;
    let mut parameters = Parameters::new(&input, input.shape)?;
    if node.options.numerics == Numerics::TfLiteMicro {
        // There the first channel's scale and zero point serve all of them.
        parameters.pairs.truncate(1);
    }
    let engine = node.options.kernels.engine();
    Ok(Planned::new(input.shape, Dequantize::<T> { parameters, engine, element: PhantomData }))
}

/// Scales and zero points, each for a run of elements; after the last run the first pair serves again.
#[derive(Debug)]
struct Parameters {
    pairs: Vec<(f32, i32)>,
    /// Elements that share a pair before the next one's turn.
    run: usize,
}

impl Parameters {
    fn new(quantized: &Operand<'_>, shape: &[usize]) -> Result<Self, OperatorFault> {
        let is_per_channel =
            quantized.tensor.quantization.as_ref().filter(|quantization| quantization.is_per_channel());
        let Some(quantization) = is_per_channel else {
            return Ok(Self {
                pairs: [quantized.scale_and_zero_point()?].into(),
                run: shape.iter().product(),
            });
        };
        let (Some(&channels), Some(inner)) =
            (shape.get(quantization.dimension), shape.get(quantization.dimension + 1..))
        else {
            return Err(quantized.unusable("its dimension does not exist"));
        };
        let scales = quantized.channel_scales(channels, quantization.dimension)?;
        let zero_points = quantization.zero_point.iter().map(|&zero_point| zero_point as i32);
        Ok(Self { pairs: scales.into_iter().zip(zero_points).collect(), run: inner.iter().product() })
    }

    /// Calls `convert` for each run of elements with its scale and zero point.
    fn for_each_run<X, Y>(
        &self,
        input: &[X],
        output: &mut [Y],
        convert: impl Fn(&[X], (f32, i32), &mut [Y]),
    ) {
        let runs = input.chunks(self.run.max(1)).zip(output.chunks_mut(self.run.max(1)));
        for ((input, output), &pair) in runs.zip(self.pairs.iter().cycle()) {
            convert(input, pair, output);
        }
    }
}

fn rescale<T: Integer, U: Integer>(node: &Node<'_>) -> Result<Planned, OperatorFault> {
    let (input, output) = (node.input(0)?, node.output(0)?);
    let (input_scale, input_zero_point) = input.scale_and_zero_point()?;
    let (output_scale, output_zero_point) = output.scale_and_zero_point()?;
    let multiplier = multiplier::<i32>(f64::from(input_scale) / f64::from(output_scale), &output)?;
    let range = OutputRange { zero_point: output_zero_point, min: U::MIN, max: U::MAX };
    map_steps::<T, U>(node, Rescale { input_zero_point, multiplier, range })
}

#[derive(Debug)]
struct Quantize<T> {
    parameters: Parameters,
    engine: Option<Engine>,
    element: PhantomData<T>,
}

impl<T: Integer> Kernel for Quantize<T> {
    fn table_bytes(&self) -> usize {
        size_of_val(&self.parameters.pairs[..])
    }

    fn run(&self, inputs: &Inputs<'_>, [output, ..]: &mut Writable<'_>) -> Result<(), OperatorFault> {
        let (input, output) = (inputs.get(0), elements_mut::<T>(output));
        match self.engine {
            Some(engine) => {
                self.parameters.for_each_run(input, output, |input, (scale, zero_point), output| {
                    engine.run_loop(Conversion { input, output, scale, zero_point });
                })
            }
            None => self.parameters.for_each_run(input, output, quantize_slice),
        }
        Ok(())
    }
}

#[derive(Debug)]
struct Dequantize<T> {
    parameters: Parameters,
    engine: Option<Engine>,
    element: PhantomData<T>,
}

impl<T: Integer> Kernel for Dequantize<T> {
    fn table_bytes(&self) -> usize {
        size_of_val(&self.parameters.pairs[..])
    }

    fn run(&self, inputs: &Inputs<'_>, [output, ..]: &mut Writable<'_>) -> Result<(), OperatorFault> {
        let (input, output) = (inputs.get::<T>(0), elements_mut(output));
        match self.engine {
            Some(engine) => {
                self.parameters.for_each_run(input, output, |input, (scale, zero_point), output| {
                    engine.run_loop(Conversion { input, output, scale, zero_point });
                })
            }
            None => self.parameters.for_each_run(input, output, dequantize_slice),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_round_half_away_from_zero_and_saturate() {
        let mut output = [0i8; 7];
        let values = [0.25, -0.25, 0.2, 1e9, -1e30, f32::INFINITY, f32::NAN];
        quantize_slice(&values, (0.5, 3), &mut output);
        assert_eq!(output, [4, 2, 3, 127, -128, 127, 3]);
    }

    #[test]
    fn half_precision_is_widened_exactly() {
        let widened = [0x0000, 0x8000, 0x3c00, 0xc000, 0x0001, 0x03ff, 0x7bff, 0x7c00, 0xfc00].map(from_half);
        let step = 2f32.powi(-24);
        let expected =
            [0.0, -0.0, 1.0, -2.0, step, 1023.0 * step, 65_504.0, f32::INFINITY, f32::NEG_INFINITY];
        assert_eq!(widened.map(f32::to_bits), expected.map(f32::to_bits));
        assert!(from_half(0x7e01).is_nan());
    }

    #[test]
    fn integers_become_multiples_of_the_scale() {
        let mut output = [0.0; 3];
        dequantize_slice(&[-32_768i16, 0, 32_767], (0.1, 0), &mut output);
        assert_eq!(output, [-3276.8, 0.0, 3276.7]);
    }
}
