//! CONV_2D: 2-D convolution, with groups.

use burnlite_tflite::Conv2dOptions;
use bytemuck::Zeroable;

use crate::error::OperatorFault;
use crate::ops::hybrid::{Hybrid, SampleRange};
use crate::ops::integer::Rescaling;
use crate::ops::tiled::{Axis, Order, Patches};
use crate::ops::weighted::{Arithmetic, Layer, Positions, Samples, Weighted, has_narrow_sums};
use crate::ops::window::{Steps, Windows};
use crate::plan::{Node, Planned};

/// The shapes of a convolution.
///
/// # Shapes
/// input `[batch, rows.input, columns.input, groups * depth]`, weights `[channels, rows.taps, columns.taps, depth]`,
/// output `[batch, rows.output, columns.output, channels]`.
#[derive(Debug, Clone, Copy)]
struct Conv2d {
    batch: usize,
    rows: Windows,
    columns: Windows,
    groups: usize,
    depth: usize,
    channels: usize,
}

pub(crate) fn plan(node: &Node<'_>, options: &Conv2dOptions) -> Result<Planned, OperatorFault> {
    let layer = Conv2d::new(node, options)?;
    let positions = Positions::USUAL;
    let weights = node.input(positions.weights)?;
    // The reference has one kernel for a scale of each channel, and for groups, and another for all else.
    let hybrid = if weights.is_per_channel() || layer.groups > 1 {
        Hybrid { range: SampleRange::Asymmetric, scales_channel_first: true }
    } else {
        Hybrid { range: SampleRange::Symmetric, scales_channel_first: false }
    };
    let operator = Weighted {
        node,
        positions,
        activation: options.activation,
        channels: layer.channels,
        dimension: 0,
        rescaling: Rescaling::FixedPoint,
        has_narrow_sums: has_narrow_sums(node, positions, options.quantized_bias_type),
        has_weight_zero_point: false,
        hybrid: Some(hybrid),
    };
    operator.planned(layer, &[layer.batch, layer.rows.output, layer.columns.output, layer.channels])
}

impl Conv2d {
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

    /// Calls `run` for each run of neighbouring elements that a window sees, with where it lies in the image and in a row of
    /// weights, and its length. Taps outside the image are left out.
    #[inline]
    fn for_each_run(&self, [row, column, group]: [usize; 3], mut run: impl FnMut(usize, usize, usize)) {
        let Self { rows, columns, groups, depth, .. } = *self;
        let columns_inside = columns.taps_inside(column);
        // Neighbouring taps see neighbouring pixels unless something lies between them.
        let taps = if columns.dilation == 1 && groups == 1 { columns_inside.len().max(1) } else { 1 };
        for tap_row in rows.taps_inside(row) {
            let pixel_row = rows.pixel(row, tap_row) * columns.input;
            for tap_column in columns_inside.clone().step_by(taps) {
                let pixel = pixel_row + columns.pixel(column, tap_column);
                let tap = tap_row * columns.taps + tap_column;
                run((pixel * groups + group) * depth, tap * depth, taps * depth);
            }
        }
    }
}

impl Layer for Conv2d {
    fn samples(&self) -> Samples {
        let elements = self.rows.input * self.columns.input * self.groups * self.depth;
        Samples { count: self.batch, elements }
    }

    fn patches(&self) -> Option<Patches> {
        let Self { batch: images, groups, depth, .. } = *self;
        let (rows, columns) = (Axis::new(&self.rows), Axis::new(&self.columns));
        Some(Patches { images, rows, columns, groups, depth, weights: Order::ChannelsFirst })
    }

    fn for_each_sum<A: Arithmetic>(
        &self,
        arithmetic: &A,
        image: &[A::Input],
        weights: &[A::Weight],
        _scratch: &mut [u8],
        mut output: impl FnMut(usize, A::Sum),
    ) {
        let channels = self.channels / self.groups;
        let length = self.rows.taps * self.columns.taps * self.depth;
        for row in 0..self.rows.output {
            for column in 0..self.columns.output {
                for group in 0..self.groups {
                    for channel in group * channels..(group + 1) * channels {
                        let weights = &weights[channel * length..][..length];
                        let mut sum = A::Sum::zeroed();
                        self.for_each_run([row, column, group], |pixel, tap, elements| {
                            let (seen, weights) = (&image[pixel..][..elements], &weights[tap..][..elements]);
                            sum = arithmetic.plus_dot(sum, seen, weights);
                        });
                        output(channel, sum);
                    }
                }
            }
        }
    }
}
