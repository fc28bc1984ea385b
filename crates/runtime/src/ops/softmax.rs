//! SOFTMAX over the last dimension.

use core::marker::PhantomData;

use burnlite_tflite::{ElementType, SoftmaxOptions};

use crate::error::OperatorFault;
use crate::fixed_point::exponential::{exp_on_negative_values, one_over_one_plus_x};
use crate::fixed_point::{QuantizedMultiplier, doubling_high_multiply, rounding_shift_right};
use crate::frame::{Inputs, Writable, elements_mut};
use crate::interpreter::Numerics;
use crate::ops::integer::{Integer, multiplier};
use crate::ops::table::{Precision, Table16, Table16Parameters};
use crate::plan::{Kernel, Node, Planned};

pub(crate) fn plan(node: &Node<'_>, options: &SoftmaxOptions) -> Result<Planned, OperatorFault> {
    let (input, output) = (node.input(0)?, node.output(0)?);
    let Some(&depth) = input.shape.last() else {
        return Err(OperatorFault::Shape {
            what: "the input must have a dimension".into(),
            found: [].into(),
        });
    };
    if !options.beta.is_finite() {
        return Err(OperatorFault::Unsupported { what: alloc::format!("a beta of {}", options.beta) });
    }
    match (input.element_type(), output.element_type()) {
        (ElementType::Float32, ElementType::Float32) => {
            Ok(Planned::new(input.shape, FloatSoftmax { depth, beta: options.beta }))
        }
        (ElementType::Int8, ElementType::Int8) => plan_int8::<i8>(node, options, depth),
        (ElementType::Int8, ElementType::Int16) => plan_int8::<i16>(node, options, depth),
        (ElementType::Int16, ElementType::Int16) => plan_int16(node, options, depth),
        _ => Err(node.types_fault()),
    }
}

#[derive(Debug)]
struct FloatSoftmax {
    depth: usize,
    beta: f32,
}

impl Kernel for FloatSoftmax {
    fn run(&self, inputs: &Inputs<'_>, [output, ..]: &mut Writable<'_>) -> Result<(), OperatorFault> {
        let rows = inputs.get::<f32>(0).chunks_exact(self.depth.max(1));
        for (row, output) in rows.zip(elements_mut::<f32>(output).chunks_exact_mut(self.depth.max(1))) {
            let largest = row.iter().copied().fold(f32::MIN, f32::max);
            for (y, &x) in output.iter_mut().zip(row) {
                *y = libm::expf((x - largest) * self.beta);
            }
            let sum: f32 = output.iter().sum();
            output.iter_mut().for_each(|y| *y /= sum);
        }
        Ok(())
    }
}

/// Integer bits of the scaled differences.
const DIFFERENCE_BITS: i32 = 5;
/// Integer bits of the sum of exponentials.
const SUM_BITS: i32 = 12;

fn plan_int8<T: Integer>(
    node: &Node<'_>,
    options: &SoftmaxOptions,
    depth: usize,
) -> Result<Planned, OperatorFault> {
    let input = node.input(0)?;
    let (scale, _) = input.scale_and_zero_point()?;
    // `PreprocessSoftmaxScaling`, then `CalculateInputRadius`.
    let unit = f64::from(1u32 << (31 - DIFFERENCE_BITS));
    let real = (f64::from(options.beta) * f64::from(scale) * unit).min(f64::from(i32::MAX));
    let multiplier = QuantizedMultiplier::from_real(real).or(QuantizedMultiplier::from_real(real / 2.0)
        .map(|half| QuantizedMultiplier { shift: half.shift + 1, ..half }));
    let multiplier = multiplier
        .filter(|multiplier| real > 1.0 && multiplier.shift >= 0)
        .ok_or_else(|| input.unusable("scale * beta is too small for softmax: it must be at least 2^-26"))?;
    let radius = f64::from((1i32 << DIFFERENCE_BITS) - 1) * unit / f64::from(1u32 << multiplier.shift);
    require_output(node, T::MIN, if T::MAX == 127 { 1.0 / 256.0 } else { 1.0 / 65_536.0 })?;
    let kernel = Int8Softmax::<T> { depth, multiplier, smallest: -(radius as i32), element: PhantomData };
    Ok(Planned::new(input.shape, kernel))
}

/// The output's quantization is part of the operator's definition; its scale may differ by a thousandth.
fn require_output(node: &Node<'_>, zero_point: i32, scale: f32) -> Result<(), OperatorFault> {
    let output = node.output(0)?;
    let found = output.scale_and_zero_point()?;
    if found.1 != zero_point || (found.0 - scale).abs() > scale * 0.001 {
        return Err(output
            .unusable(&alloc::format!("softmax needs the scale {scale} and the zero point {zero_point}")));
    }
    Ok(())
}

/// Fixed point throughout (`reference/softmax.h`): exponentials of the differences to the largest, times the reciprocal of
/// their sum.
#[derive(Debug)]
struct Int8Softmax<T> {
    depth: usize,
    multiplier: QuantizedMultiplier,
    /// Differences below this one give 0.
    smallest: i32,
    element: PhantomData<T>,
}

impl<T: Integer> Int8Softmax<T> {
    fn exponential(&self, difference: i32) -> Option<i32> {
        (difference >= self.smallest)
            .then(|| exp_on_negative_values::<DIFFERENCE_BITS>(self.multiplier.apply(difference)))
    }

    fn row(&self, row: &[i8], output: &mut [T]) {
        let largest = row.iter().copied().max().unwrap_or_default();
        let exponentials = || row.iter().map(|&x| self.exponential(i32::from(x) - i32::from(largest)));
        let sum = exponentials()
            .flatten()
            .fold(0i32, |sum, e| sum.wrapping_add(rounding_shift_right(e, SUM_BITS.unsigned_abs())));
        let headroom = sum.leading_zeros();
        let normalized = (sum as u32).wrapping_shl(headroom).wrapping_sub(1 << 31) as i32;
        let reciprocal = one_over_one_plus_x(normalized);
        let bits = 8 * size_of::<T>() as i32;
        let shift = (SUM_BITS - headroom as i32 + 31 - bits).clamp(0, 31).unsigned_abs();
        for (y, exponential) in output.iter_mut().zip(exponentials()) {
            *y = match exponential {
                Some(e) => T::saturating_from(
                    rounding_shift_right(doubling_high_multiply(reciprocal, e), shift).saturating_add(T::MIN),
                ),
                None => T::saturating_from(T::MIN),
            };
        }
    }
}

impl<T: Integer> Kernel for Int8Softmax<T> {
    fn run(&self, inputs: &Inputs<'_>, [output, ..]: &mut Writable<'_>) -> Result<(), OperatorFault> {
        let rows = inputs.get::<i8>(0).chunks_exact(self.depth.max(1));
        for (row, output) in rows.zip(elements_mut::<T>(output).chunks_exact_mut(self.depth.max(1))) {
            self.row(row, output);
        }
        Ok(())
    }
}

fn plan_int16(node: &Node<'_>, options: &SoftmaxOptions, depth: usize) -> Result<Planned, OperatorFault> {
    let (input, output) = (node.input(0)?, node.output(0)?);
    let scale = input.symmetric_scale()?;
    require_output(node, 0, 1.0 / 32_768.0)?;
    let (precision, scaled) = match node.options.numerics {
        Numerics::LiteRt => (Precision::Double, f64::from(scale * options.beta)),
        Numerics::TfLiteMicro => (Precision::Single, f64::from(scale) * f64::from(options.beta)),
    };
    let exponential = Table16Parameters {
        input: (EXPONENTIAL_RANGE / 65_535.0, 32_767),
        output: (2.0 / 65_535.0, 0),
        precision,
    };
    let reciprocal =
        Table16Parameters { input: (1.0 / 65_535.0, -32_768), output: (2.0 / 65_535.0, 0), precision };
    let kernel = Int16Softmax {
        depth,
        multiplier: multiplier::<i32>(scaled / (EXPONENTIAL_RANGE / 65_535.0), &output)?,
        exponential: Table16::new(&exponential, |x| precision.exp(x)),
        reciprocal: Table16::new(&reciprocal, |x| precision.round(1.0 / precision.round(1.0 + x))),
    };
    Ok(Planned::new(input.shape, kernel))
}

/// The table of exponentials covers `[-10, 0]`.
const EXPONENTIAL_RANGE: f64 = 10.0;

/// Two tables: exponentials of the differences to the largest, and the reciprocal of their sum (`SoftmaxInt16`).
#[derive(Debug)]
struct Int16Softmax {
    depth: usize,
    multiplier: QuantizedMultiplier,
    exponential: Table16,
    reciprocal: Table16,
}

impl Int16Softmax {
    fn exponential(&self, difference: i32) -> i32 {
        let scaled = self.multiplier.apply(difference).saturating_add(32_767);
        self.exponential.lookup(i16::saturating_from(scaled)).into()
    }

    fn row(&self, row: &[i16], output: &mut [i16]) {
        let largest = row.iter().copied().max().unwrap_or_default();
        let exponentials = || row.iter().map(|&x| self.exponential(i32::from(x) - i32::from(largest)));
        let sum = exponentials().fold(0i32, i32::wrapping_add);
        let headroom = sum.leading_zeros().clamp(1, 31);
        // The sum with its leading one at bit 30, less that one, in 16 bits: the argument of 1 / (1 + x).
        let normalized = ((i64::from(sum) << (headroom - 1)) + (1 << 13)) >> 14;
        let argument = (normalized - (1 << 16) - (1 << 15)).clamp(-32_768, 32_767) as i16;
        let reciprocal = i64::from(self.reciprocal.lookup(argument));
        let shift = 31 - headroom;
        let rounding = if shift == 0 { 0 } else { 1i64 << (shift - 1) };
        for (y, exponential) in output.iter_mut().zip(exponentials()) {
            *y = ((i64::from(exponential) * reciprocal + rounding) >> shift).clamp(0, 32_767) as i16;
        }
    }
}

impl Kernel for Int16Softmax {
    fn run(&self, inputs: &Inputs<'_>, [output, ..]: &mut Writable<'_>) -> Result<(), OperatorFault> {
        let rows = inputs.get::<i16>(0).chunks_exact(self.depth.max(1));
        for (row, output) in rows.zip(elements_mut::<i16>(output).chunks_exact_mut(self.depth.max(1))) {
            self.row(row, output);
        }
        Ok(())
    }
}
