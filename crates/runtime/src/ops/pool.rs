//! MAX_POOL_2D and AVERAGE_POOL_2D: the maximum and the mean over windows of an image.

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
            Ok(geometry.planned::<f32>(node, FloatPool { geometry, pooling, range }))
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
    let kernel = IntegerPool::<T> { geometry, pooling, range, element: PhantomData };
    Ok(match pooling {
        Pooling::Max => geometry.planned::<T>(node, kernel),
        Pooling::Average => geometry.planned::<i64>(node, kernel),
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

    /// Folds the values under each window, channel by channel from `start`; calls `output` with the results of a window, in
    /// order, and with the number of pixels, which leaves out those beyond the image. `folded` is memory for the channels.
    #[inline(always)]
    fn fold_windows<T: Element, S: Copy>(
        &self,
        input: &[T],
        (start, folded): (S, &mut [S]),
        add: impl Fn(S, T) -> S,
        mut output: impl FnMut(&[S], usize),
    ) {
        if self.channels == 0 {
            return;
        }
        for image in 0..self.batch {
            for row in 0..self.rows.output {
                let rows = self.rows.taps_inside(row);
                for column in 0..self.columns.output {
                    let columns = self.columns.taps_inside(column);
                    folded.fill(start);
                    for tap_row in rows.clone() {
                        let pixel_row = image * self.rows.input + self.rows.pixel(row, tap_row);
                        for tap_column in columns.clone() {
                            let pixel =
                                pixel_row * self.columns.input + self.columns.pixel(column, tap_column);
                            let pixel = &input[pixel * self.channels..][..self.channels];
                            for (folded, &x) in folded.iter_mut().zip(pixel) {
                                *folded = add(*folded, x);
                            }
                        }
                    }
                    output(folded, rows.len() * columns.len());
                }
            }
        }
    }

    /// The maximum over the windows, as something that the layer before may do.
    fn max_pooling(&self, pooling: Pooling, bounds: (f64, f64)) -> Option<MaxPooling> {
        let Self { rows, columns, .. } = *self;
        (pooling == Pooling::Max).then_some(MaxPooling { rows, columns, bounds })
    }

    /// The kernel with memory for a window's results of type `S`.
    fn planned<S>(&self, node: &Node<'_>, kernel: impl Kernel + 'static) -> Planned {
        let scratch_bytes = [self.channels.saturating_mul(size_of::<S>())].into();
        Planned { scratch_bytes, ..Planned::vectorized(node, self.output_shape(), kernel) }
    }
}

#[derive(Debug)]
struct FloatPool {
    geometry: Geometry,
    pooling: Pooling,
    range: (f32, f32),
}

impl Kernel for FloatPool {
    #[inline(always)]
    fn run(&self, inputs: &Inputs<'_>, [output, folded, ..]: &mut Writable<'_>) -> Result<(), OperatorFault> {
        let (input, folded) = (inputs.get::<f32>(0), elements_mut::<f32>(folded));
        let mut outputs = elements_mut::<f32>(output).chunks_exact_mut(self.geometry.channels.max(1));
        let mut write = |values: &[f32], divisor: f32| {
            for (y, &value) in outputs.next().into_iter().flatten().zip(values) {
                *y = clamp(value / divisor, self.range);
            }
        };
        let larger = |a: f32, b: f32| if a < b { b } else { a };
        match self.pooling {
            Pooling::Max => {
                self.geometry
                    .fold_windows(input, (f32::MIN, folded), larger, |largest, _| write(largest, 1.0));
            }
            Pooling::Average => {
                let average = |sums: &[f32], count: usize| write(sums, count as f32);
                self.geometry.fold_windows(input, (0.0, folded), |sum, x| sum + x, average);
            }
        }
        Ok(())
    }

    fn pooling(&self) -> Option<MaxPooling> {
        self.geometry.max_pooling(self.pooling, (self.range.0.into(), self.range.1.into()))
    }
}

#[derive(Debug)]
struct IntegerPool<T> {
    geometry: Geometry,
    pooling: Pooling,
    range: OutputRange,
    element: PhantomData<T>,
}

impl<T: Integer> Kernel for IntegerPool<T> {
    #[inline(always)]
    fn run(&self, inputs: &Inputs<'_>, [output, folded, ..]: &mut Writable<'_>) -> Result<(), OperatorFault> {
        let input = inputs.get::<T>(0);
        let mut outputs = elements_mut::<T>(output).chunks_exact_mut(self.geometry.channels.max(1));
        let [min, max] = [self.range.min, self.range.max].map(T::saturating_from);
        match self.pooling {
            Pooling::Max => {
                let start = (T::saturating_from(T::MIN), elements_mut::<T>(folded));
                self.geometry.fold_windows(input, start, T::max, |largest, _| {
                    for (y, &largest) in outputs.next().into_iter().flatten().zip(largest) {
                        *y = largest.clamp(min, max);
                    }
                });
            }
            Pooling::Average => {
                let add = |sum: i64, x: T| sum + i64::from(x.into());
                self.geometry.fold_windows(input, (0, elements_mut::<i64>(folded)), add, |sums, count| {
                    for (y, &sum) in outputs.next().into_iter().flatten().zip(sums) {
                        *y = T::saturating_from(average(sum, count)).clamp(min, max);
                    }
                });
            }
        }
        Ok(())
    }

    fn pooling(&self) -> Option<MaxPooling> {
        self.geometry.max_pooling(self.pooling, (self.range.min.into(), self.range.max.into()))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn averages_round_half_away_from_zero() {
        assert_eq!([3, 5, -3, -5, 1, -1, 0].map(|sum| average(sum, 2)), [2, 3, -2, -3, 1, -1, 0]);
        assert_eq!([4, 5, -4, -5].map(|sum| average(sum, 3)), [1, 2, -1, -2]);
        let pixels = 1 << 20;
        assert_eq!(average(i64::from(i16::MIN) << 20, pixels), i16::MIN.into());
    }
}
