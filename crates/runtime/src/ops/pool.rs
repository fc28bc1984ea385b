//! MAX_POOL_2D and AVERAGE_POOL_2D: the maximum and the mean over windows of an image.

use core::fmt::Debug;
use core::marker::PhantomData;

use burnlite_tflite::{Element, ElementType, Pool2dOptions};

use crate::error::OperatorFault;
use crate::frame::{Inputs, Writable, elements_mut};
use crate::ops::activation::{clamp, float_range};
use crate::ops::integer::{Integer, OutputRange};
use crate::ops::window::{Steps, Windows};
use crate::plan::{Kernel, MaxPooling, Node, Planned};

/// The shapes of a pooling: input `[batch, rows.input, columns.input, channels]`, output with the windows' numbers.
#[derive(Debug, Clone, Copy)]
struct Geometry {
    batch: usize,
    rows: Windows,
    columns: Windows,
    channels: usize,
}

/// What becomes of the values under a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pooling {
    Max,
    Average,
}

/// MAX_POOL_2D.
pub(crate) fn plan_max(node: &Node<'_>, options: &Pool2dOptions) -> Result<Planned, OperatorFault> {
    plan(node, options, Pooling::Max)
}

/// AVERAGE_POOL_2D.
pub(crate) fn plan_average(node: &Node<'_>, options: &Pool2dOptions) -> Result<Planned, OperatorFault> {
    plan(node, options, Pooling::Average)
}

fn plan(node: &Node<'_>, options: &Pool2dOptions, pooling: Pooling) -> Result<Planned, OperatorFault> {
    let geometry = Geometry::new(node, options)?;
    match (node.input(0)?.element_type(), node.output(0)?.element_type()) {
        (ElementType::Float32, ElementType::Float32) => {
            let range = float_range(options.activation)?;
            let max_pooling = geometry.max_pooling((range.0.into(), range.1.into()));
            Ok(match pooling {
                Pooling::Max => geometry.planned::<f32, _>(node, FloatMax { range }, Some(max_pooling)),
                Pooling::Average => geometry.planned::<f32, _>(node, FloatAverage { range }, None),
            })
        }
        (ElementType::Int8, ElementType::Int8) => integer::<i8>(node, options, geometry, pooling),
        (ElementType::Int16, ElementType::Int16) => integer::<i16>(node, options, geometry, pooling),
        _ => Err(node.types_fault()),
    }
}

/// Integers are compared and averaged as they are: nothing is rescaled, so both sides must be quantized alike.
fn integer<T: Integer>(
    node: &Node<'_>,
    options: &Pool2dOptions,
    geometry: Geometry,
    pooling: Pooling,
) -> Result<Planned, OperatorFault> {
    let (input, output) = (node.input(0)?, node.output(0)?);
    if input.scale_and_zero_point()? != output.scale_and_zero_point()? {
        return Err(output.unusable("it differs from the input's, and pooling does not rescale"));
    }
    let range = OutputRange::new::<T>(&output, options.activation)?;
    let bounds = [range.min, range.max].map(T::saturating_from);
    let max_pooling = geometry.max_pooling((range.min.into(), range.max.into()));
    let taps = geometry.rows.taps.saturating_mul(geometry.columns.taps);
    Ok(match pooling {
        Pooling::Max => geometry.planned::<T, _>(node, IntegerMax { bounds }, Some(max_pooling)),
        Pooling::Average if taps <= MOST_TAPS => geometry.planned::<T, _>(node, Average { bounds }, None),
        Pooling::Average => geometry.planned::<T, _>(node, WideAverage { bounds }, None),
    })
}

impl Geometry {
    fn new(node: &Node<'_>, options: &Pool2dOptions) -> Result<Self, OperatorFault> {
        let [batch, height, width, channels] = node.input(0)?.dimensions()?;
        let taps = |option, value: i32| {
            let fault = OperatorFault::Option { option, expected: "at least 1", found: value.into() };
            usize::try_from(value).map_err(|_| fault)
        };
        let (tap_rows, tap_columns) =
            (taps("the filter's height", options.filter_h)?, taps("the filter's width", options.filter_w)?);
        let steps = |stride| Steps { stride, dilation: 1, padding: options.padding };
        Ok(Self {
            batch,
            rows: Windows::new(height, tap_rows, steps(options.stride_h))?,
            columns: Windows::new(width, tap_columns, steps(options.stride_w))?,
            channels,
        })
    }

    fn output_shape(&self) -> [usize; 4] {
        [self.batch, self.rows.output, self.columns.output, self.channels]
    }

    /// Folds the values under each window, which leaves out those beyond the image.
    #[inline(always)]
    fn fold_windows<T: Element, F: Fold<T>>(&self, fold: &F, input: &[T], output: &mut [T]) {
        let mut pixels = output.chunks_exact_mut(self.channels.max(1));
        for image in 0..self.batch {
            for row in 0..self.rows.output {
                let rows = self.rows.taps_inside(row);
                for (column, pixel) in pixels.by_ref().take(self.columns.output).enumerate() {
                    let columns = self.columns.taps_inside(column);
                    let mut start = 0;
                    if !rows.is_empty() && !columns.is_empty() {
                        let row = image * self.rows.input + self.rows.pixel(row, rows.start);
                        let column = self.columns.pixel(column, columns.start);
                        start = (row * self.columns.input + column) * self.channels;
                    }
                    let window = Window { start, rows: rows.len(), columns: columns.len() };
                    // Sizes that the compiler knows: each block is a few vectors.
                    let done = self.blocks::<T, F, 16>(fold, input, window, pixel, 0);
                    let done = self.blocks::<T, F, 4>(fold, input, window, pixel, done);
                    self.blocks::<T, F, 1>(fold, input, window, pixel, done);
                }
            }
        }
    }

    /// Folds a window by blocks of `N` channels, as many as there are; how many channels are done then.
    #[inline(always)]
    fn blocks<T: Element, F: Fold<T>, const N: usize>(
        &self,
        fold: &F,
        input: &[T],
        window: Window,
        pixel: &mut [T],
        done: usize,
    ) -> usize {
        let (blocks, rest) = pixel[done..].as_chunks_mut::<N>();
        let rest = rest.len();
        for (index, block) in blocks.iter_mut().enumerate() {
            let mut folded = [fold.start(); N];
            for row in 0..window.rows {
                let start = window.start + row * self.columns.input * self.channels + done + index * N;
                for column in 0..window.columns {
                    let values = &input[start + column * self.channels..][..N];
                    for (folded, &x) in folded.iter_mut().zip(values) {
                        *folded = fold.add(*folded, x);
                    }
                }
            }
            for (y, folded) in block.iter_mut().zip(folded) {
                *y = fold.result(folded, window.rows * window.columns);
            }
        }
        pixel.len() - rest
    }

    /// The maximum over the windows, as something that the layer before may do.
    fn max_pooling(&self, bounds: (f64, f64)) -> MaxPooling {
        let Self { rows, columns, .. } = *self;
        MaxPooling { rows, columns, bounds }
    }

    fn planned<T: Element, F: Fold<T>>(
        self,
        node: &Node<'_>,
        fold: F,
        pooling: Option<MaxPooling>,
    ) -> Planned {
        let kernel = Pool { geometry: self, fold, pooling, element: PhantomData::<T> };
        Planned::vectorized(node, self.output_shape(), kernel)
    }
}

/// The part of a window that lies within the image.
#[derive(Debug, Clone, Copy)]
struct Window {
    /// Where its first pixel is.
    start: usize,
    rows: usize,
    columns: usize,
}

/// What becomes of the values under a window, channel by channel. The methods must be inlined.
trait Fold<T>: Debug + Send + Sync + 'static {
    type Folded: Copy;

    fn start(&self) -> Self::Folded;
    fn add(&self, folded: Self::Folded, x: T) -> Self::Folded;
    /// The result of `count` values.
    fn result(&self, folded: Self::Folded, count: usize) -> T;
}

#[derive(Debug)]
struct Pool<T, F> {
    geometry: Geometry,
    fold: F,
    /// What it does, if it is a maximum.
    pooling: Option<MaxPooling>,
    element: PhantomData<T>,
}

impl<T: Element, F: Fold<T>> Kernel for Pool<T, F> {
    #[inline(always)]
    fn run(&self, inputs: &Inputs<'_>, [output, ..]: &mut Writable<'_>) -> Result<(), OperatorFault> {
        self.geometry.fold_windows(&self.fold, inputs.get::<T>(0), elements_mut::<T>(output));
        Ok(())
    }

    fn pooling(&self) -> Option<MaxPooling> {
        self.pooling
    }
}

#[derive(Debug)]
struct FloatMax {
    range: (f32, f32),
}

impl Fold<f32> for FloatMax {
    type Folded = f32;

    #[inline(always)]
    fn start(&self) -> f32 {
        f32::MIN
    }
    #[inline(always)]
    fn add(&self, largest: f32, x: f32) -> f32 {
        if largest < x { x } else { largest }
    }
    #[inline(always)]
    fn result(&self, largest: f32, _count: usize) -> f32 {
        clamp(largest, self.range)
    }
}

#[derive(Debug)]
struct FloatAverage {
    range: (f32, f32),
}

impl Fold<f32> for FloatAverage {
    type Folded = f32;

    #[inline(always)]
    fn start(&self) -> f32 {
        0.0
    }
    #[inline(always)]
    fn add(&self, sum: f32, x: f32) -> f32 {
        sum + x
    }
    #[inline(always)]
    fn result(&self, sum: f32, count: usize) -> f32 {
        clamp(sum / count as f32, self.range)
    }
}

#[derive(Debug)]
struct IntegerMax<T> {
    /// The least and the greatest result.
    bounds: [T; 2],
}

impl<T: Integer> Fold<T> for IntegerMax<T> {
    type Folded = T;

    #[inline(always)]
    fn start(&self) -> T {
        T::saturating_from(T::MIN)
    }
    #[inline(always)]
    fn add(&self, largest: T, x: T) -> T {
        largest.max(x)
    }
    #[inline(always)]
    fn result(&self, largest: T, _count: usize) -> T {
        largest.clamp(self.bounds[0], self.bounds[1])
    }
}

/// The average of at most [`MOST_TAPS`] integers.
#[derive(Debug)]
struct Average<T> {
    bounds: [T; 2],
}

impl<T: Integer> Fold<T> for Average<T> {
    type Folded = i32;

    #[inline(always)]
    fn start(&self) -> i32 {
        0
    }
    #[inline(always)]
    fn add(&self, sum: i32, x: T) -> i32 {
        sum + x.into()
    }
    #[inline(always)]
    fn result(&self, sum: i32, count: usize) -> T {
        T::truncating_from(small_average(sum, count)).clamp(self.bounds[0], self.bounds[1])
    }
}

/// The average of any number of integers.
#[derive(Debug)]
struct WideAverage<T> {
    bounds: [T; 2],
}

impl<T: Integer> Fold<T> for WideAverage<T> {
    type Folded = i64;

    #[inline(always)]
    fn start(&self) -> i64 {
        0
    }
    #[inline(always)]
    fn add(&self, sum: i64, x: T) -> i64 {
        sum + i64::from(x.into())
    }
    #[inline(always)]
    fn result(&self, sum: i64, count: usize) -> T {
        T::saturating_from(average(sum, count)).clamp(self.bounds[0], self.bounds[1])
    }
}

/// The average of `count` integers, zero points included, rounded half away from zero (`integer_ops/pooling.h`).
///
/// The division is in double precision, which vectors can do: a quotient of integers below 2^53 that lies between two
/// integers is not rounded to either, because it is at least `1 / count` away from them.
#[inline(always)]
fn average(sum: i64, count: usize) -> i32 {
    let half = (count / 2) as i64;
    let sum = sum + if sum > 0 { half } else { -half };
    (sum as f64 / count.max(1) as f64) as i32
}

/// Taps of a window with which [`small_average`] is exact.
const MOST_TAPS: usize = 256;

/// As [`average`], in single precision.
///
/// A sum of 256 integers of 16 bits has 24 and is exact. The quotient, below 2^15, is rounded by 2^-10 at most; if it lies
/// between two integers it is at least 2^-8 away from them.
#[inline(always)]
fn small_average(sum: i32, count: usize) -> i32 {
    let half = (count / 2) as i32;
    let sum = sum + if sum > 0 { half } else { -half };
    (sum as f32 / count.max(1) as f32) as i32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn single_precision_is_enough_for_small_windows() {
        for count in 1..=MOST_TAPS {
            let quotients = [-32_768, -32_767, -129, -1, 0, 1, 127, 128, 16_383, 32_766, 32_767];
            for near in quotients.map(|quotient: i32| quotient * count as i32) {
                let bound = 32_768 * count as i32;
                for sum in (near - 2..near + 3).chain([near + count as i32 / 2, near - count as i32 / 2]) {
                    let sum = sum.clamp(-bound, bound - count as i32);
                    assert_eq!(small_average(sum, count), average(sum.into(), count), "{sum} / {count}");
                }
            }
        }
    }

    #[test]
    fn averages_round_half_away_from_zero() {
        assert_eq!([3, 5, -3, -5, 1, -1, 0].map(|sum| average(sum, 2)), [2, 3, -2, -3, 1, -1, 0]);
        assert_eq!([4, 5, -4, -5].map(|sum| average(sum, 3)), [1, 2, -1, -2]);
        let pixels = 1 << 20;
        assert_eq!(average(i64::from(i16::MIN) << 20, pixels), i16::MIN.into());
    }
}
