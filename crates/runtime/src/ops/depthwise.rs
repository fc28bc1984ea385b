//! DEPTHWISE_CONV_2D: each channel of the input is convolved with filters of its own.

use burnlite_tflite::DepthwiseConv2dOptions;
use bytemuck::Zeroable;

use crate::error::OperatorFault;
use crate::frame::elements_mut;
use crate::ops::hybrid::{Hybrid, SampleRange};
use crate::ops::integer::Rescaling;
use crate::ops::tiled::{Axis, Order, Patches};
use crate::ops::weighted::{Arithmetic, Layer, Positions, Samples, Weighted};
use crate::ops::window::{Steps, Windows};
use crate::plan::{Node, Planned};

/// The shapes of a depthwise convolution.
///
/// # Shapes
/// input `[batch, rows.input, columns.input, depth]`, weights `[1, rows.taps, columns.taps, depth * multiplier]`, output
/// `[batch, rows.output, columns.output, depth * multiplier]`.
#[derive(Debug, Clone, Copy)]
struct DepthwiseConv2d {
    batch: usize,
    rows: Windows,
    columns: Windows,
    depth: usize,
    /// Filters, and so channels of the output, for each channel of the input.
    multiplier: usize,
}

pub(crate) fn plan(node: &Node<'_>, options: &DepthwiseConv2dOptions) -> Result<Planned, OperatorFault> {
    let layer = DepthwiseConv2d::new(node, options)?;
    let operator = Weighted {
        node,
        positions: Positions::USUAL,
        activation: options.activation,
        channels: layer.channels(),
        dimension: 3,
        rescaling: Rescaling::FixedPoint,
        has_narrow_sums: false,
        has_weight_zero_point: false,
        hybrid: Some(Hybrid { range: SampleRange::Asymmetric, scales_channel_first: false }),
    };
    operator.planned(layer, &[layer.batch, layer.rows.output, layer.columns.output, layer.channels()])
}

impl DepthwiseConv2d {
    /// The multiplier follows from the shapes; the option, which says the same, is not needed.
    fn new(node: &Node<'_>, options: &DepthwiseConv2dOptions) -> Result<Self, OperatorFault> {
        let (input, weights) = (node.input(0)?, node.input(1)?);
        let [batch, height, width, depth] = input.dimensions()?;
        let [ones, tap_rows, tap_columns, channels] = weights.dimensions()?;
        let fault = |what: &str| OperatorFault::Shape { what: what.into(), found: weights.shape.into() };
        if ones != 1 {
            return Err(fault("the weights' first extent must be 1"));
        }
        if depth == 0 || !channels.is_multiple_of(depth) {
            return Err(fault("the weights' last extent must be a multiple of the input's channels"));
        }
        let padding = options.padding;
        let rows = Steps { stride: options.stride_h, dilation: options.dilation_h, padding };
        let columns = Steps { stride: options.stride_w, dilation: options.dilation_w, padding };
        Ok(Self {
            batch,
            rows: Windows::new(height, tap_rows, rows)?,
            columns: Windows::new(width, tap_columns, columns)?,
            depth,
            multiplier: channels / depth,
        })
    }

    fn channels(&self) -> usize {
        self.depth * self.multiplier
    }

    /// Adds the products of a pixel with the weights of one tap to the channels' sums.
    #[inline]
    fn add_tap<A: Arithmetic>(
        &self,
        arithmetic: &A,
        pixel: &[A::Input],
        weights: &[A::Weight],
        sums: &mut [A::Sum],
    ) {
        // The case that is nearly every layer: one loop that the compiler vectorizes.
        if self.multiplier == 1 {
            for ((sum, &x), &weight) in sums.iter_mut().zip(pixel).zip(weights) {
                *sum = arithmetic.plus_product(*sum, x, weight);
            }
            return;
        }
        let filters = sums.chunks_exact_mut(self.multiplier).zip(weights.chunks_exact(self.multiplier));
        for ((sums, weights), &x) in filters.zip(pixel) {
            for (sum, &weight) in sums.iter_mut().zip(weights) {
                *sum = arithmetic.plus_product(*sum, x, weight);
            }
        }
    }
}

impl Layer for DepthwiseConv2d {
    fn samples(&self) -> Samples {
        Samples { count: self.batch, elements: self.rows.input * self.columns.input * self.depth }
    }

    /// The sums of all channels.
    fn scratch_bytes<A: Arithmetic>(&self) -> usize {
        self.channels().saturating_mul(size_of::<A::Sum>())
    }

    fn patches(&self) -> Option<Patches> {
        let (groups, depth, weights) = match self.multiplier {
            1 => (1, self.depth, Order::Depthwise),
            _ => (self.depth, 1, Order::ChannelsLast),
        };
        let (rows, columns) = (Axis::new(&self.rows), Axis::new(&self.columns));
        Some(Patches { images: self.batch, rows, columns, groups, depth, weights })
    }

    fn sums_rows(&self) -> bool {
        false
    }

    fn for_each_sum<A: Arithmetic>(
        &self,
        arithmetic: &A,
        image: &[A::Input],
        weights: &[A::Weight],
        scratch: &mut [u8],
        mut output: impl FnMut(usize, A::Sum),
    ) {
        let Self { rows, columns, depth, .. } = *self;
        let sums = elements_mut::<A::Sum>(scratch);
        for row in 0..rows.output {
            for column in 0..columns.output {
                sums.fill(A::Sum::zeroed());
                for tap_row in rows.taps_inside(row) {
                    let pixel_row = rows.pixel(row, tap_row) * columns.input;
                    for tap_column in columns.taps_inside(column) {
                        let pixel = pixel_row + columns.pixel(column, tap_column);
                        let tap = tap_row * columns.taps + tap_column;
                        let weights = &weights[tap * sums.len()..][..sums.len()];
                        self.add_tap(arithmetic, &image[pixel * depth..][..depth], weights, sums);
                    }
                }
                for (channel, &sum) in sums.iter().enumerate() {
                    output(channel, sum);
                }
            }
        }
    }
}
