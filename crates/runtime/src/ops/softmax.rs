//! SOFTMAX over the last dimension.

use alloc::boxed::Box;

use burnlite_tflite::{ElementType, SoftmaxOptions};

use crate::error::OperatorFault;
use crate::fixed_point::exponential::{exp_on_negative_values, one_over_one_plus_x};
use crate::fixed_point::{QuantizedMultiplier, doubling_high_multiply, rounding_shift_right};
use crate::interpreter::Numerics;
use crate::kernels::Engine;
use crate::kernels::elementwise::{BLOCK, Loop, Steps, center, finish, narrow, widen};
use crate::ops::exponential::exp_single;
use crate::ops::integer::{Integer, OutputRange, multiplier, require_output};
use crate::ops::map::map_rows;
use crate::ops::table::{Precision, Table16, Table16Parameters};
use crate::plan::{Node, Operand, Planned};

pub(crate) fn plan(node: &Node<'_>, options: &SoftmaxOptions) -> Result<Planned, OperatorFault> {
    let (input, output) = (node.input(0)?, node.output(0)?);
    let beta = options.beta;
    if !beta.is_finite() {
        return Err(OperatorFault::Unsupported { what: alloc::format!("a beta of {beta}") });
    }
    match (input.element_type(), output.element_type()) {
        (ElementType::Float32, ElementType::Float32) => {
            let engine = node.options.kernels.engine().unwrap_or_default();
            map_rows(node, move |row, output| engine.run_loop(FloatSoftmax { row, beta, output }))
        }
        (ElementType::Int8, ElementType::Int8) => plan_int8::<i8>(node, beta),
        (ElementType::Int8, ElementType::Int16) => plan_int8::<i16>(node, beta),
        (ElementType::Int16, ElementType::Int16) => plan_int16(node, beta),
        _ => Err(node.types_fault()),
    }
}

/// In single precision; the sum is formed in order.
struct FloatSoftmax<'l> {
    row: &'l [f32],
    beta: f32,
    output: &'l mut [f32],
}

impl Loop for FloatSoftmax<'_> {
    #[inline(always)]
    fn run(self, _: Engine) {
        let Self { row, beta, output } = self;
        let largest = largest(row);
        for (y, &x) in output.iter_mut().zip(row) {
            *y = exp_single((x - largest) * beta);
        }
        let sum: f32 = output.iter().sum();
        output.iter_mut().for_each(|y| *y /= sum);
    }
}

/// The largest number of a row.
#[inline(always)]
pub(crate) fn largest(row: &[f32]) -> f32 {
    /// Numbers that are compared at once.
    const LANES: usize = 32;
    let larger = |a: f32, b: f32| if b > a { b } else { a };
    let mut lanes = [f32::MIN; LANES];
    for values in row.chunks(LANES) {
        lanes.iter_mut().zip(values).for_each(|(lane, &x)| *lane = larger(*lane, x));
    }
    lanes.into_iter().fold(f32::MIN, larger)
}

fn plan_int8<T: Integer>(node: &Node<'_>, beta: f32) -> Result<Planned, OperatorFault> {
    let exponentials = Exponentials::new(&node.input(0)?, beta)?;
    require_output(node, if T::MAX == 127 { 1.0 / 256.0 } else { 1.0 / 65_536.0 }, T::MIN)?;
    let Some(engine) = node.options.kernels.engine() else {
        return map_rows::<i8, T>(node, move |row, output| int8_softmax(&exponentials, row, output));
    };
    let table = ExponentialTable::new(&exponentials);
    map_rows::<i8, T>(node, move |row, output| {
        engine.run_loop(TabulatedSoftmax { table: &table, row, output })
    })
}

/// The exponentials of the differences between a row's elements and its largest, in fixed point (`reference/softmax.h`).
#[derive(Debug)]
pub(crate) struct Exponentials {
    pub(crate) multiplier: QuantizedMultiplier,
    /// Exponentials of differences below this one are 0.
    pub(crate) smallest: i32,
}

/// Integer bits of the scaled differences.
const DIFFERENCE_BITS: i32 = 5;
/// Integer bits of the sum of exponentials.
const SUM_BITS: i32 = 12;

impl Exponentials {
    /// The factor is `beta * scale` (`PreprocessSoftmaxScaling`, then `CalculateInputRadius`).
    pub(crate) fn new(input: &Operand<'_>, beta: f32) -> Result<Self, OperatorFault> {
        let (scale, _) = input.scale_and_zero_point()?;
        let unit = f64::from(1u32 << (31 - DIFFERENCE_BITS));
        let real = (f64::from(beta) * f64::from(scale) * unit).min(f64::from(i32::MAX));
        let multiplier = QuantizedMultiplier::from_real(real)
            .filter(|multiplier| real > 1.0 && multiplier.shift >= 0)
            .ok_or_else(|| {
                input.unusable("scale * beta is too small for softmax: it must be at least 2^-26")
            })?;
        let radius = f64::from((1i32 << DIFFERENCE_BITS) - 1) * unit / f64::from(1u32 << multiplier.shift);
        Ok(Self { multiplier, smallest: -(radius as i32) })
    }

    /// The differences of a row's elements to its largest.
    pub(crate) fn differences(row: &[i8]) -> impl Iterator<Item = i32> + Clone {
        let largest = i32::from(row.iter().copied().max().unwrap_or_default());
        row.iter().map(move |&x| i32::from(x) - largest)
    }

    /// The real number that a difference stands for, with 5 integer bits.
    pub(crate) fn scaled(&self, difference: i32) -> i32 {
        self.multiplier.apply(difference)
    }

    /// The exponential of a difference with no integer bits.
    fn exponential(&self, difference: i32) -> Option<i32> {
        let exponential = || exp_on_negative_values::<DIFFERENCE_BITS>(self.scaled(difference));
        (difference >= self.smallest).then(exponential)
    }

    /// The sum of the exponentials with 12 integer bits; it wraps.
    pub(crate) fn sum(&self, differences: impl Iterator<Item = i32>) -> i32 {
        differences
            .filter_map(|difference| self.exponential(difference))
            .fold(0, |sum, e| sum.wrapping_add(rounding_shift_right(e, SUM_BITS.unsigned_abs())))
    }
}

/// Fixed point throughout: the exponentials times the reciprocal of their sum.
fn int8_softmax<T: Integer>(exponentials: &Exponentials, row: &[i8], output: &mut [T]) {
    let differences = Exponentials::differences(row);
    let (reciprocal, shift) = reciprocal::<T>(exponentials.sum(differences.clone()));
    for (y, difference) in output.iter_mut().zip(differences) {
        *y = match exponentials.exponential(difference) {
            Some(e) => T::saturating_from(
                rounding_shift_right(doubling_high_multiply(reciprocal, e), shift).saturating_add(T::MIN),
            ),
            None => T::saturating_from(T::MIN),
        };
    }
}

/// The reciprocal of a sum of exponentials, and how far its products are shifted right.
fn reciprocal<T: Integer>(sum: i32) -> (i32, u32) {
    let headroom = sum.leading_zeros();
    let normalized = (sum as u32).wrapping_shl(headroom).wrapping_sub(1 << 31) as i32;
    let bits = 8 * size_of::<T>() as i32;
    let shift = (SUM_BITS - headroom as i32 + 31 - bits).clamp(0, 31).unsigned_abs();
    (one_over_one_plus_x(normalized), shift)
}

/// The exponentials of all differences, by how far an element is below the largest.
#[derive(Debug)]
pub(crate) struct ExponentialTable {
    /// 0 where they are too small.
    exponentials: Box<[i32; 256]>,
    /// What they add to the sum.
    summands: Box<[i32; 256]>,
}

impl ExponentialTable {
    pub(crate) fn new(exponentials: &Exponentials) -> Self {
        let difference = |index: usize| -(index as i32);
        let exponential = |index| exponentials.exponential(difference(index)).unwrap_or(0);
        let summand = |index| exponentials.sum(core::iter::once(difference(index)));
        Self {
            exponentials: Box::new(core::array::from_fn(exponential)),
            summands: Box::new(core::array::from_fn(summand)),
        }
    }

    /// [`Exponentials::sum`] of a row's differences.
    #[inline(always)]
    pub(crate) fn sum(&self, row: &[i8]) -> i32 {
        let largest = row.iter().copied().max().unwrap_or_default();
        row.iter().fold(0, |sum, &x| sum.wrapping_add(self.summands[below(largest, x)]))
    }
}

/// How far an element is below the largest.
#[inline(always)]
fn below(largest: i8, x: i8) -> usize {
    largest.wrapping_sub(x).cast_unsigned().into()
}

/// [`int8_softmax`] with a table.
struct TabulatedSoftmax<'l, T> {
    table: &'l ExponentialTable,
    row: &'l [i8],
    output: &'l mut [T],
}

impl<T: Integer> Loop for TabulatedSoftmax<'_, T> {
    #[inline(always)]
    fn run(self, engine: Engine) {
        let largest = self.row.iter().copied().max().unwrap_or_default();
        let (multiplier, shift) = reciprocal::<T>(self.table.sum(self.row));
        // The product with an exponential, which is never negative, is that of a quantized multiplier.
        let multiplier = QuantizedMultiplier { multiplier, shift: -shift.cast_signed() };
        let range = OutputRange { zero_point: T::MIN, min: T::MIN, max: T::MAX };
        let mut lanes = [0; BLOCK];
        for (output, row) in self.output.chunks_mut(BLOCK).zip(self.row.chunks(BLOCK)) {
            let lanes = &mut lanes[..row.len()];
            for (lane, &x) in lanes.iter_mut().zip(row) {
                *lane = self.table.exponentials[below(largest, x)];
            }
            engine.rescale(lanes, multiplier);
            finish(lanes, range);
            narrow(lanes, output);
        }
    }
}

fn plan_int16(node: &Node<'_>, beta: f32) -> Result<Planned, OperatorFault> {
    let scale = node.input(0)?.symmetric_scale()?;
    require_output(node, 1.0 / 32_768.0, 0)?;
    let (precision, scaled) = match node.options.numerics {
        Numerics::LiteRt => (Precision::Double, f64::from(scale * beta)),
        Numerics::TfLiteMicro => (Precision::Single, f64::from(scale) * f64::from(beta)),
    };
    let exponential = Table16Parameters {
        input: (EXPONENTIAL_RANGE / 65_535.0, 32_767),
        output: (2.0 / 65_535.0, 0),
        precision,
    };
    let reciprocal =
        Table16Parameters { input: (1.0 / 65_535.0, -32_768), output: (2.0 / 65_535.0, 0), precision };
    let softmax = Int16Softmax {
        multiplier: multiplier::<i32>(scaled / (EXPONENTIAL_RANGE / 65_535.0), &node.output(0)?)?,
        exponential: Table16::new(&exponential, |x| precision.exp(x)),
        reciprocal: Table16::new(&reciprocal, |x| precision.round(1.0 / precision.round(1.0 + x))),
    };
    match node.options.kernels.engine() {
        Some(engine) => map_rows(node, move |row, output| {
            engine.run_loop(SoftmaxBlocks { softmax: &softmax, row, output });
        }),
        None => map_rows(node, move |row, output| softmax.row(row, output)),
    }
}

/// The table of exponentials covers `[-10, 0]`.
const EXPONENTIAL_RANGE: f64 = 10.0;

/// Two tables: exponentials of the differences to the largest, and the reciprocal of their sum (`SoftmaxInt16`).
#[derive(Debug)]
struct Int16Softmax {
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
        let (reciprocal, shift, rounding) = self.factor(exponentials().fold(0i32, i32::wrapping_add));
        for (y, exponential) in output.iter_mut().zip(exponentials()) {
            *y = ((exponential * reciprocal + rounding) >> shift).clamp(0, 32_767) as i16;
        }
    }

    /// The reciprocal of a sum of exponentials, how far its products are shifted right, and what rounds them. A product has at
    /// most 30 bits, and the rounding 29.
    fn factor(&self, sum: i32) -> (i32, u32, i32) {
        let headroom = sum.leading_zeros().clamp(1, 31);
        // The sum with its leading one at bit 30, less that one, in 16 bits: the argument of 1 / (1 + x).
        let normalized = ((i64::from(sum) << (headroom - 1)) + (1 << 13)) >> 14;
        let argument = (normalized - (1 << 16) - (1 << 15)).clamp(-32_768, 32_767) as i16;
        let shift = 31 - headroom;
        (self.reciprocal.lookup(argument).into(), shift, if shift == 0 { 0 } else { 1 << (shift - 1) })
    }
}

/// [`Int16Softmax::row`] by blocks: the output holds the exponentials until their sum is known.
struct SoftmaxBlocks<'l> {
    softmax: &'l Int16Softmax,
    row: &'l [i16],
    output: &'l mut [i16],
}

impl Loop for SoftmaxBlocks<'_> {
    #[inline(always)]
    fn run(self, engine: Engine) {
        let Self { softmax, row, output } = self;
        let largest = i32::from(row.iter().copied().max().unwrap_or_default());
        let range = OutputRange { zero_point: 32_767, min: -32_768, max: 32_767 };
        let mut lanes = [0; BLOCK];
        let mut sum = 0i32;
        for (output, row) in output.chunks_mut(BLOCK).zip(row.chunks(BLOCK)) {
            // Whole vectors, also of short rows.
            let lanes = &mut lanes[..row.len().next_multiple_of(32)];
            widen(row, lanes);
            center(lanes, largest, 0);
            engine.rescale(lanes, softmax.multiplier);
            finish(lanes, range);
            softmax.exponential.block(engine, lanes);
            sum = lanes[..row.len()].iter().fold(sum, |sum, &exponential| sum.wrapping_add(exponential));
            narrow(lanes, output);
        }
        let (reciprocal, shift, rounding) = softmax.factor(sum);
        for y in output {
            *y = ((i32::from(*y) * reciprocal + rounding) >> shift).clamp(0, 32_767) as i16;
        }
    }
}
