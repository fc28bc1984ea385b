//! CONV_2D: 2-D convolution, with groups.

use alloc::vec::Vec;
use core::marker::PhantomData;

use burnlite_tflite::{Conv2dOptions, ElementType};

use crate::error::OperatorFault;
use crate::fixed_point::QuantizedMultiplier;
use crate::frame::{Inputs, Writable, elements_mut};
use crate::kernels::{Dot, Kernels};
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
    match types {
        (
            ElementType::Float32,
            ElementType::Float32,
            None | Some(ElementType::Float32),
            ElementType::Float32,
        ) => Ok(geometry.planned::<f32>(FloatConv { geometry, range: float_range(options.activation)? })),
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
    }
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

    /// The kernel with scratch memory for a patch of elements of type `X`.
    fn planned<X>(&self, kernel: impl Kernel + 'static) -> Planned {
        let shape = [self.batch, self.rows.output, self.columns.output, self.channels];
        let scratch_bytes = [self.patch_elements() * size_of::<X>()].into();
        Planned { scratch_bytes, ..Planned::new(shape, kernel) }
    }

    /// Elements under a window, of the channels of one group.
    fn patch_elements(&self) -> usize {
        self.rows.taps * self.columns.taps * self.depth
    }

    /// Calls `output` for each element of the result, in order, with its channel and what its window sees: the elements
    /// that the channel's weights meet, one after the other, `outside` where the window reaches beyond the image.
    fn for_each_output<X: Copy>(
        &self,
        input: &[X],
        patch: &mut [X],
        outside: X,
        mut output: impl FnMut(usize, &[X]),
    ) {
        if self.channels == 0 {
            return;
        }
        let channels_per_group = self.channels / self.groups;
        for image in 0..self.batch {
            for row in 0..self.rows.output {
                for column in 0..self.columns.output {
                    for group in 0..self.groups {
                        self.gather(input, patch, outside, [image, row, column, group]);
                        for channel in group * channels_per_group..(group + 1) * channels_per_group {
                            output(channel, patch);
                        }
                    }
                }
            }
        }
    }

    /// Copies what a window sees into `patch`.
    #[inline]
    fn gather<X: Copy>(
        &self,
        input: &[X],
        patch: &mut [X],
        outside: X,
        [image, row, column, group]: [usize; 4],
    ) {
        let Self { rows, columns, groups, depth, .. } = *self;
        let (rows_inside, columns_inside) = (rows.taps_inside(row), columns.taps_inside(column));
        if rows_inside.len() < rows.taps || columns_inside.len() < columns.taps {
            patch.fill(outside);
        }
        // Neighbouring taps see neighbouring pixels unless something lies between them.
        let run = if columns.dilation == 1 && groups == 1 { columns_inside.len().max(1) } else { 1 };
        for tap_row in rows_inside {
            let pixel_row = (image * rows.input + rows.pixel(row, tap_row)) * columns.input;
            for tap_column in columns_inside.clone().step_by(run) {
                let pixel = pixel_row + columns.pixel(column, tap_column);
                let tap = tap_row * columns.taps + tap_column;
                let seen = &input[(pixel * groups + group) * depth..][..run * depth];
                patch[tap * depth..][..run * depth].copy_from_slice(seen);
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
    fn run(&self, inputs: &Inputs<'_>, [output, patch, ..]: &mut Writable<'_>) -> Result<(), OperatorFault> {
        let (weights, bias) = (inputs.get::<f32>(1), inputs.get::<f32>(2));
        let mut outputs = elements_mut::<f32>(output).iter_mut();
        let length = self.geometry.patch_elements();
        self.geometry.for_each_output(inputs.get(0), elements_mut(patch), 0.0, |channel, patch: &[f32]| {
            let weights = &weights[channel * length..][..length];
            let sum = patch.iter().zip(weights).fold(0.0, |sum, (x, w)| sum + x * w);
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
) -> Result<Planned, OperatorFault>
where
    Kernels: Dot<T, A>,
{
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
        kernels: node.options.kernels,
        types: PhantomData,
    };
    Ok(geometry.planned::<T>(kernel))
}

/// int8 with 32-bit sums; 16x8 with 64-bit sums, or 32-bit ones where the bias has 32 bits.
#[derive(Debug)]
struct IntegerConv<T, A> {
    geometry: Geometry,
    input_zero_point: i32,
    multipliers: Vec<QuantizedMultiplier>,
    range: OutputRange,
    kernels: Kernels,
    types: PhantomData<(T, A)>,
}

impl<T: Integer, A: Accumulator> Kernel for IntegerConv<T, A>
where
    Kernels: Dot<T, A>,
{
    fn run(&self, inputs: &Inputs<'_>, [output, patch, ..]: &mut Writable<'_>) -> Result<(), OperatorFault> {
        let (weights, bias) = (inputs.get::<i8>(1), inputs.get::<A>(2));
        let mut outputs = elements_mut::<T>(output).iter_mut();
        let length = self.geometry.patch_elements();
        // The zero point outside the image adds nothing to the sum: taps there are left out, as they must be.
        let outside = T::saturating_from(self.input_zero_point);
        self.geometry.for_each_output(inputs.get(0), elements_mut(patch), outside, |channel, patch: &[T]| {
            let weights = &weights[channel * length..][..length];
            let sum = self.kernels.dot(patch, weights, (self.input_zero_point, 0));
            let sum = bias.get(channel).map_or(sum, |&bias| sum.plus(bias));
            let value = sum.requantize(self.multipliers[channel]);
            outputs.next().into_iter().for_each(|y| *y = self.range.output(value));
        });
        Ok(())
    }
}
