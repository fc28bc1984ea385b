//! TRANSPOSE_CONV: the convolution whose windows lie on the output. Each pixel of the input is spread over the window of its
//! position; where windows overlap, their contributions add up.

use burnlite_tflite::{ElementType, TransposeConvOptions};
use bytemuck::Zeroable;

use crate::error::OperatorFault;
use crate::interpreter::Numerics;
use crate::ops::integer::Rescaling;
use crate::ops::tiled::{Axis, Order, Patches};
use crate::ops::weighted::{Arithmetic, Layer, Positions, Samples, Weighted};
use crate::ops::window::{Steps, Windows};
use crate::plan::{Node, Planned};

/// The shapes of a transposed convolution, whose windows slide over the output.
///
/// # Shapes
/// input `[batch, rows.output, columns.output, depth]`, weights `[channels, rows.taps, columns.taps, depth]`, output
/// `[batch, rows.input, columns.input, channels]`.
#[derive(Debug, Clone, Copy)]
struct TransposeConv {
    batch: usize,
    rows: Windows,
    columns: Windows,
    depth: usize,
    channels: usize,
}

const POSITIONS: Positions = Positions { input: 2, weights: 1, bias: 3 };

pub(crate) fn plan(node: &Node<'_>, options: &TransposeConvOptions) -> Result<Planned, OperatorFault> {
    let layer = TransposeConv::new(node, options)?;
    // tflite-micro sums 16-bit inputs in 64 bits, whatever the option says.
    let has_narrow_sums =
        node.options.numerics == Numerics::LiteRt && options.quantized_bias_type == ElementType::Int32;
    let operator = Weighted {
        node,
        positions: POSITIONS,
        activation: options.activation,
        channels: layer.channels,
        dimension: 0,
        rescaling: Rescaling::FixedPoint,
        has_narrow_sums,
        has_weight_zero_point: false,
        hybrid: None,
    };
    operator.planned(layer, &[layer.batch, layer.rows.input, layer.columns.input, layer.channels])
}

impl TransposeConv {
    fn new(node: &Node<'_>, options: &TransposeConvOptions) -> Result<Self, OperatorFault> {
        let (input, weights) = (node.input(POSITIONS.input)?, node.input(POSITIONS.weights)?);
        let [batch, height, width, depth] = input.dimensions()?;
        let [channels, tap_rows, tap_columns, weight_depth] = weights.dimensions()?;
        if weight_depth != depth {
            let what = alloc::format!("the weights' last extent must be the input's {depth} channels");
            return Err(OperatorFault::Shape { what, found: weights.shape.into() });
        }
        let [output_height, output_width] = output_size(node, batch, channels)?;
        let steps = |stride| Steps { stride, dilation: 1, padding: options.padding };
        let rows = Windows::new(output_height, tap_rows, steps(options.stride_h))?;
        let columns = Windows::new(output_width, tap_columns, steps(options.stride_w))?;
        if (rows.output, columns.output) != (height, width) {
            return Err(OperatorFault::Shape {
                what: alloc::format!(
                    "an output of {output_height}x{output_width} pixels needs an input of {}x{}",
                    rows.output,
                    columns.output
                ),
                found: input.shape.into(),
            });
        }
        Ok(Self { batch, rows, columns, depth, channels })
    }
}

/// The height and width of the output, whose shape is an operand.
fn output_size(node: &Node<'_>, batch: usize, channels: usize) -> Result<[usize; 2], OperatorFault> {
    let extents = node.input(0)?.extents()?;
    match extents[..] {
        [found_batch, height, width, found_channels]
            if (found_batch, found_channels) == (batch, channels) =>
        {
            Ok([height, width])
        }
        _ => Err(OperatorFault::Shape {
            what: alloc::format!("the output's shape must be [{batch}, height, width, {channels}]"),
            found: extents,
        }),
    }
}

impl Layer for TransposeConv {
    fn samples(&self) -> Samples {
        Samples { count: self.batch, elements: self.rows.output * self.columns.output * self.depth }
    }

    fn patches(&self) -> Option<Patches> {
        let (rows, columns) = (Axis::transposed(&self.rows)?, Axis::transposed(&self.columns)?);
        let Self { batch: images, depth, .. } = *self;
        Some(Patches { images, rows, columns, groups: 1, depth, weights: Order::ChannelsFirst })
    }

    /// Each sum collects the windows that lie over its pixel, in the order in which the reference spreads them.
    fn for_each_sum<A: Arithmetic>(
        &self,
        arithmetic: &A,
        image: &[A::Input],
        weights: &[A::Weight],
        _scratch: &mut [u8],
        mut output: impl FnMut(usize, A::Sum),
    ) {
        let Self { rows, columns, depth, .. } = *self;
        for row in 0..rows.input {
            for column in 0..columns.input {
                let (window_rows, window_columns) = (rows.windows_over(row), columns.windows_over(column));
                for channel in 0..self.channels {
                    let mut sum = A::Sum::zeroed();
                    for window_row in window_rows.clone() {
                        let tap_row = channel * rows.taps + rows.tap(window_row, row);
                        for window_column in window_columns.clone() {
                            let tap = tap_row * columns.taps + columns.tap(window_column, column);
                            let pixel = window_row * columns.output + window_column;
                            let (pixel, tap) =
                                (&image[pixel * depth..][..depth], &weights[tap * depth..][..depth]);
                            sum = arithmetic.plus_dot(sum, pixel, tap);
                        }
                    }
                    output(channel, sum);
                }
            }
        }
    }
}
