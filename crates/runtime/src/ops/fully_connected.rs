//! FULLY_CONNECTED: each row of the input times a matrix, plus a bias.

use alloc::vec::Vec;

use burnlite_tflite::{Activation, FullyConnectedOptions, WeightsFormat};
use bytemuck::Zeroable;

use crate::error::OperatorFault;
use crate::interpreter::Numerics;
use crate::ops::hybrid::{Hybrid, SampleRange};
use crate::ops::integer::Rescaling;
use crate::ops::tiled::{Axis, Order, Patches};
use crate::ops::weighted::{Arithmetic, Layer, Positions, Samples, Weighted, has_narrow_sums};
use crate::ops::window::Windows;
use crate::plan::{Node, Planned};

/// The shapes of a product: input `[rows, depth]`, weights `[channels, depth]`, output `[rows, channels]`.
#[derive(Debug, Clone, Copy)]
struct FullyConnected {
    rows: usize,
    depth: usize,
    channels: usize,
}

pub(crate) fn plan(node: &Node<'_>, options: &FullyConnectedOptions) -> Result<Planned, OperatorFault> {
    if options.weights_format != WeightsFormat::Default {
        return Err(OperatorFault::Unsupported { what: "the shuffled weights format".into() });
    }
    if matches!(options.activation, Activation::Tanh | Activation::SignBit) {
        return Err(OperatorFault::Unsupported {
            what: alloc::format!("the fused activation {:?}", options.activation),
        });
    }
    let (layer, shape) = FullyConnected::new(node, options)?;
    let positions = Positions::USUAL;
    let is_asymmetric = options.asymmetric_quantize_inputs;
    let range = if is_asymmetric { SampleRange::Asymmetric } else { SampleRange::Symmetric };
    let operator = Weighted {
        node,
        positions,
        activation: options.activation,
        channels: layer.channels,
        dimension: 0,
        rescaling: match node.options.numerics {
            Numerics::LiteRt => Rescaling::Double,
            Numerics::TfLiteMicro => Rescaling::FixedPoint,
        },
        has_narrow_sums: has_narrow_sums(node, positions, options.quantized_bias_type),
        has_weight_zero_point: true,
        hybrid: Some(Hybrid { range, scales_channel_first: false }),
    };
    operator.planned(layer, &shape)
}

impl FullyConnected {
    /// The layer and the shape of its result.
    fn new(node: &Node<'_>, options: &FullyConnectedOptions) -> Result<(Self, Vec<usize>), OperatorFault> {
        let (input, weights) = (node.input(0)?, node.input(1)?);
        let [channels, depth] = weights.dimensions()?;
        let fault = |what| OperatorFault::Shape { what, found: input.shape.into() };
        if depth == 0 || !input.elements().is_multiple_of(depth) {
            return Err(fault(alloc::format!(
                "the input's elements must be a multiple of the weights' {depth} columns"
            )));
        }
        let rows = input.elements() / depth;
        let shape = match input.shape.split_last() {
            Some((&last, outer)) if options.keep_num_dims => {
                if last != depth {
                    return Err(fault(alloc::format!(
                        "the input's last extent must be the weights' {depth} columns"
                    )));
                }
                [outer, &[channels]].concat()
            }
            _ => [rows, channels].into(),
        };
        Ok((Self { rows, depth, channels }, shape))
    }
}

impl Layer for FullyConnected {
    fn samples(&self) -> Samples {
        Samples { count: self.rows, elements: self.depth }
    }

    /// Each row is an image of one pixel.
    fn patches(&self) -> Option<Patches> {
        let [rows, columns] = [(); 2].map(|()| Axis::new(&Windows::points(1)));
        let Self { rows: images, depth, .. } = *self;
        Some(Patches { images, rows, columns, groups: 1, depth, weights: Order::ChannelsFirst })
    }

    fn for_each_sum<A: Arithmetic>(
        &self,
        arithmetic: &A,
        row: &[A::Input],
        weights: &[A::Weight],
        _scratch: &mut [u8],
        mut output: impl FnMut(usize, A::Sum),
    ) {
        for (channel, weights) in weights.chunks_exact(self.depth).enumerate() {
            output(channel, arithmetic.plus_dot(A::Sum::zeroed(), row, weights));
        }
    }
}
