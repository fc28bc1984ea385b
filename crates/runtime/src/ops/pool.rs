//! MAX_POOL_2D: the maximum over windows of an image.

use core::marker::PhantomData;

use burnlite_tflite::{Element, ElementType, Pool2dOptions};

use crate::error::OperatorFault;
use crate::frame::{Inputs, Writable, elements_mut};
use crate::ops::activation::{clamp, float_range};
use crate::ops::integer::{Integer, OutputRange};
use crate::ops::window::{Steps, Windows};
use crate::plan::{Kernel, Node, Planned};

/// The shapes of a pooling: input `[batch, rows.input, columns.input, channels]`, output with the windows' numbers.
#[derive(Debug, Clone, Copy)]
struct Geometry {
    batch: usize,
    rows: Windows,
    columns: Windows,
    channels: usize,
}

pub(crate) fn plan_max(node: &Node<'_>, options: &Pool2dOptions) -> Result<Planned, OperatorFault> {
    let (input, output) = (node.input(0)?, node.output(0)?);
    let geometry = Geometry::new(node, options)?;
    match (input.element_type(), output.element_type()) {
        (ElementType::Float32, ElementType::Float32) => {
            let range = float_range(options.activation)?;
            Ok(Planned::new(geometry.output_shape(), FloatMaxPool { geometry, range }))
        }
        (ElementType::Int8, ElementType::Int8) => integer::<i8>(node, options, geometry),
        (ElementType::Int16, ElementType::Int16) => integer::<i16>(node, options, geometry),
        _ => Err(node.types_fault()),
    }
}

/// Integers are compared as they are: nothing is rescaled, so both sides must be quantized alike.
fn integer<T: Integer>(
    node: &Node<'_>,
    options: &Pool2dOptions,
    geometry: Geometry,
) -> Result<Planned, OperatorFault> {
    let (input, output) = (node.input(0)?, node.output(0)?);
    if input.scale_and_zero_point()? != output.scale_and_zero_point()? {
        return Err(output.unusable("it differs from the input's, and pooling does not rescale"));
    }
    let range = OutputRange::new::<T>(&output, options.activation)?;
    Ok(Planned::new(geometry.output_shape(), IntegerMaxPool::<T> { geometry, range, element: PhantomData }))
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

    /// Folds each window with `larger`, from `smallest`; calls `output` with each result, in order.
    fn for_each_maximum<T: Element>(
        &self,
        input: &[T],
        smallest: T,
        larger: impl Fn(T, T) -> T,
        mut output: impl FnMut(T),
    ) {
        if self.channels == 0 {
            return;
        }
        for image in 0..self.batch {
            for row in 0..self.rows.output {
                for column in 0..self.columns.output {
                    let (rows, columns) = (self.rows.taps_inside(row), self.columns.taps_inside(column));
                    for channel in 0..self.channels {
                        let mut largest = smallest;
                        for tap_row in rows.clone() {
                            let pixel_row = image * self.rows.input + self.rows.pixel(row, tap_row);
                            for tap_column in columns.clone() {
                                let pixel =
                                    pixel_row * self.columns.input + self.columns.pixel(column, tap_column);
                                largest = larger(largest, input[pixel * self.channels + channel]);
                            }
                        }
                        output(largest);
                    }
                }
            }
        }
    }
}

#[derive(Debug)]
struct FloatMaxPool {
    geometry: Geometry,
    range: (f32, f32),
}

impl Kernel for FloatMaxPool {
    fn run(&self, inputs: &Inputs<'_>, [output, ..]: &mut Writable<'_>) -> Result<(), OperatorFault> {
        let mut outputs = elements_mut::<f32>(output).iter_mut();
        let larger = |a: f32, b: f32| if a < b { b } else { a };
        self.geometry.for_each_maximum(inputs.get(0), f32::MIN, larger, |largest| {
            outputs.next().into_iter().for_each(|y| *y = clamp(largest, self.range));
        });
        Ok(())
    }
}

#[derive(Debug)]
struct IntegerMaxPool<T> {
    geometry: Geometry,
    range: OutputRange,
    element: PhantomData<T>,
}

impl<T: Integer> Kernel for IntegerMaxPool<T> {
    fn run(&self, inputs: &Inputs<'_>, [output, ..]: &mut Writable<'_>) -> Result<(), OperatorFault> {
        let mut outputs = elements_mut::<T>(output).iter_mut();
        self.geometry.for_each_maximum(inputs.get(0), T::saturating_from(T::MIN), T::max, |largest: T| {
            let value = largest.into().clamp(self.range.min, self.range.max);
            outputs.next().into_iter().for_each(|y| *y = T::saturating_from(value));
        });
        Ok(())
    }
}
