//! CONV_2D: 2-D convolution, with groups.

use alloc::vec::Vec;
use core::marker::PhantomData;

use burnlite_tflite::{Conv2dOptions, ElementType};

use crate::error::OperatorFault;
use crate::fixed_point::QuantizedMultiplier;
use crate::frame::{Inputs, Writable, elements_mut};
use crate::ops::activation::{clamp, float_range};
use crate::ops::integer::{Accumulator, Integer, OutputRange, channel_multipliers};
use crate::ops::window::{Steps, Windows};
use crate::plan::{Kernel, Node, Planned};

/// The shapes of a convolution.
///
/// # Shapes
/// input `[batch, rows.input, columns.input, groups * depth]`, weights `[channels, rows.taps, columns.taps, depth]`,
/// output `[batch, rows.output, columns.output, channels]`.
#[derive(Debug, Clone, Copy)]
struct Geometry {
    batch: usize,
    rows: Windows,
    columns: Windows,
    groups: usize,
    depth: usize,
    channels: usize,
}

pub(crate) fn plan(node: &Node<'_>, options: &Conv2dOptions) -> Result<Planned, OperatorFault> {
    let (input, weights, output) = (node.input(0)?, node.input(1)?, node.output(0)?);
    let geometry = Geometry::new(node, options)?;
    let bias = node.optional_input(2).map(|bias| bias.element_type());
    let types = (input.element_type(), weights.element_type(), bias, output.element_type());
    let kernel = match types {
        (
            ElementType::Float32,
            ElementType::Float32,
            None | Some(ElementType::Float32),
            ElementType::Float32,
        ) => {
            return Ok(Planned::new(
                geometry.output_shape(),
                FloatConv { geometry, range: float_range(options.activation)? },
            ));
        }
        (ElementType::Int8, ElementType::Int8, None | Some(ElementType::Int32), ElementType::Int8) => {
            integer::<i8, i32>(node, options, geometry)
        }
        (ElementType::Int16, ElementType::Int8, None | Some(ElementType::Int64), ElementType::Int16)
            if options.quantized_bias_type != ElementType::Int32 =>
        {
            integer::<i16, i64>(node, options, geometry)
        }
        (ElementType::Int16, ElementType::Int8, Some(ElementType::Int32), ElementType::Int16)
            if options.quantized_bias_type == ElementType::Int32 =>
        {
            integer::<i16, i32>(node, options, geometry)
        }
        _ => Err(node.types_fault()),
    };
    kernel
}

impl Geometry {
    fn new(node: &Node<'_>, options: &Conv2dOptions) -> Result<Self, OperatorFault> {
        let (input, weights) = (node.input(0)?, node.input(1)?);
        let [batch, height, width, input_channels] = input.dimensions()?;
        let [channels, tap_rows, tap_columns, depth] = weights.dimensions()?;
        let fault = |what: &str| OperatorFault::Shape { what: what.into(), found: weights.shape.into() };
        if depth == 0 || !input_channels.is_multiple_of(depth) || input_channels == 0 {
            return Err(fault("the weights' last extent must divide the input's channels"));
        }
        let groups = input_channels / depth;
        if !channels.is_multiple_of(groups) {
            return Err(fault("the output's channels must be a multiple of the groups"));
        }
        if let Some(bias) = node.optional_input(2)
            && bias.elements() != channels
        {
            return Err(OperatorFault::Shape {
                what: alloc::format!("the bias must have {channels} elements"),
                found: bias.shape.into(),
            });
        }
        let padding = options.padding;
        let rows = Steps { stride: options.stride_h, dilation: options.dilation_h, padding };
        let columns = Steps { stride: options.stride_w, dilation: options.dilation_w, padding };
        Ok(Self {
            batch,
            rows: Windows::new(height, tap_rows, rows)?,
            columns: Windows::new(width, tap_columns, columns)?,
            groups,
            depth,
            channels,
        })
    }

    fn output_shape(&self) -> [usize; 4] {
        [self.batch, self.rows.output, self.columns.output, self.channels]
    }

    /// Calls `output` for each element of the result, in order, with its channel and its window.
    fn for_each_output(&self, mut output: impl FnMut(usize, Window<'_>)) {
        for image in 0..self.batch {
            for row in 0..self.rows.output {
                for column in 0..self.columns.output {
                    for channel in 0..self.channels {
                        output(channel, Window { geometry: self, image, row, column, channel });
                    }
                }
            }
        }
    }
}

/// The window of one element of the result.
#[derive(Clone, Copy)]
struct Window<'g> {
    geometry: &'g Geometry,
    image: usize,
    row: usize,
    column: usize,
    channel: usize,
}

impl Window<'_> {
    /// Calls `pair` for each input and weight under the window, taps outside the image left out.
    #[inline]
    fn for_each_pair<X: Copy, W: Copy>(&self, input: &[X], weights: &[W], mut pair: impl FnMut(X, W)) {
        let Geometry { rows, columns, groups, depth, channels, .. } = *self.geometry;
        let first_channel = self.channel / (channels / groups) * depth;
        for tap_row in rows.taps_inside(self.row) {
            let pixel_row = self.image * rows.input + rows.pixel(self.row, tap_row);
            for tap_column in columns.taps_inside(self.column) {
                let pixel = pixel_row * columns.input + columns.pixel(self.column, tap_column);
                let tap = (self.channel * rows.taps + tap_row) * columns.taps + tap_column;
                let input = &input[pixel * groups * depth + first_channel..][..depth];
                let weights = &weights[tap * depth..][..depth];
                input.iter().zip(weights).for_each(|(&x, &w)| pair(x, w));
            }
        }
    }
}

#[derive(Debug)]
struct FloatConv {
    geometry: Geometry,
    range: (f32, f32),
}

impl Kernel for FloatConv {
    fn run(&self, inputs: &Inputs<'_>, [output, ..]: &mut Writable<'_>) -> Result<(), OperatorFault> {
        let (input, weights, bias) = (inputs.get::<f32>(0), inputs.get::<f32>(1), inputs.get::<f32>(2));
        let mut outputs = elements_mut::<f32>(output).iter_mut();
        self.geometry.for_each_output(|channel, window| {
            let mut sum = 0.0;
            window.for_each_pair(input, weights, |x, w| sum += x * w);
            let bias = bias.get(channel).copied().unwrap_or_default();
            outputs.next().into_iter().for_each(|y| *y = clamp(sum + bias, self.range));
        });
        Ok(())
    }
}

fn integer<T: Integer, A: Accumulator>(
    node: &Node<'_>,
    options: &Conv2dOptions,
    geometry: Geometry,
) -> Result<Planned, OperatorFault> {
    let (input, weights, output) = (node.input(0)?, node.input(1)?, node.output(0)?);
    let (input_scale, input_zero_point) = input.scale_and_zero_point()?;
    if T::MAX == i32::from(i16::MAX) {
        input.symmetric_scale()?;
        output.symmetric_scale()?;
    }
    weights.require_zero_points_of_zero()?;
    let weight_scales = weights.channel_scales(geometry.channels, 0)?;
    let kernel = IntegerConv::<T, A> {
        geometry,
        input_zero_point,
        multipliers: channel_multipliers::<A>(input_scale, &weight_scales, &output)?,
        range: OutputRange::new::<T>(&output, options.activation)?,
        types: PhantomData,
    };
    Ok(Planned::new(geometry.output_shape(), kernel))
}

/// int8 with 32-bit sums; 16x8 with 64-bit sums, or 32-bit ones where the bias has 32 bits.
#[derive(Debug)]
struct IntegerConv<T, A> {
    geometry: Geometry,
    input_zero_point: i32,
    multipliers: Vec<QuantizedMultiplier>,
    range: OutputRange,
    types: PhantomData<(T, A)>,
}

impl<T: Integer, A: Accumulator> Kernel for IntegerConv<T, A> {
    fn run(&self, inputs: &Inputs<'_>, [output, ..]: &mut Writable<'_>) -> Result<(), OperatorFault> {
        let (input, weights, bias) = (inputs.get::<T>(0), inputs.get::<i8>(1), inputs.get::<A>(2));
        let mut outputs = elements_mut::<T>(output).iter_mut();
        self.geometry.for_each_output(|channel, window| {
            let mut sum = A::zeroed();
            window.for_each_pair(input, weights, |x, w| {
                sum = sum.plus_product(x.into() - self.input_zero_point, w.into());
            });
            let sum = bias.get(channel).map_or(sum, |&bias| sum.plus(bias));
            let value = sum.requantize(self.multipliers[channel]);
            outputs.next().into_iter().for_each(|y| *y = self.range.output(value));
        });
        Ok(())
    }
}
