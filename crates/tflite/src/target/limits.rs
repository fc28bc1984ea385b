//! Limits of the runtimes that are not a matter of types.

use super::Target;
use crate::{ElementType, Graph, Op, Operator, Tensor};

/// Why the target does not run the operator, where it is one of the limits that are known.
pub(super) fn limit(target: Target, graph: &Graph<'_>, operator: &Operator) -> Option<&'static str> {
    let operands = Operands { graph, operator };
    match target {
        Target::TfLite => tflite(&operands),
        Target::TfLiteMicro => micro(&operands),
        Target::EthosU => micro(&operands).or_else(|| ethos_u(&operands)),
    }
}

struct Operands<'g> {
    graph: &'g Graph<'g>,
    operator: &'g Operator,
}

fn tflite(operands: &Operands<'_>) -> Option<&'static str> {
    match &operands.operator.op {
        Op::Conv2d(options) => {
            let is_too_dilated = options.dilation_w.max(options.dilation_h) > i16::MAX.into();
            limit_if([
                (operands.get(2).is_none(), "it asks for a bias"),
                (is_too_dilated, "its dilations have 16 bits"),
            ])
        }
        Op::DepthwiseConv2d(_) => {
            let is_wide = operands.get(0).is_some_and(|input| input.element_type == ElementType::Int16);
            limit_if([(!is_wide && operands.get(2).is_none(), "it crashes without a bias")])
        }
        _ => None,
    }
}

fn micro(operands: &Operands<'_>) -> Option<&'static str> {
    match &operands.operator.op {
        Op::Fill => {
            let known = operands.get(0).and_then(|dimensions| dimensions.data.as_deref());
            limit_if([(known.is_none_or(<[u8]>::is_empty), "it takes no dimensions but constant ones")])
        }
        Op::Quantize => {
            let output = operands.operator.outputs.first().and_then(|&id| operands.graph.tensor(id));
            let quantization = output.and_then(|output| output.quantization.as_ref());
            limit_if([(quantization.is_some_and(|it| it.is_per_channel()), "it takes one scale only")])
        }
        Op::StridedSlice(options) => {
            let rank = operands.rank(0);
            let extents = operands.get(1).map(|begin| begin.elements());
            limit_if([
                (rank > 4, "it takes four dimensions at most"),
                (options.ellipsis_mask != 0, "it takes no ellipsis"),
                (options.new_axis_mask != 0, "it takes no new axes"),
                (options.offset, "it takes no ends relative to the beginning"),
                (extents.is_some_and(|extents| extents != rank), "it takes no fewer entries than dimensions"),
            ])
        }
        Op::Svdf(_) => limit_if([(operands.get(3).is_none(), "it crashes without a bias")]),
        Op::Transpose => limit_if([(operands.rank(0) > 5, "it takes five dimensions at most")]),
        Op::UnidirectionalSequenceLstm(_) => lstm(operands),
        _ => None,
    }
}

fn lstm(operands: &Operands<'_>) -> Option<&'static str> {
    let any =
        |mut positions: core::ops::Range<usize>| positions.any(|position| operands.get(position).is_some());
    let mut intermediates =
        operands.operator.intermediates.iter().filter_map(|&id| operands.graph.tensor(id));
    limit_if([
        (operands.get(1).is_none(), "it takes no coupled gates"),
        (any(9..12), "it takes no peepholes"),
        (any(16..18), "it takes no projection"),
        (any(20..24), "it takes no layer normalization"),
        (intermediates.any(|tensor| tensor.elements() > 0), "it takes no intermediates but empty ones"),
    ])
}

/// What Arm's compiler for the Ethos-U (Vela) leaves to the processor: layers with larger biases, and dense layers with
/// several scales.
fn ethos_u(operands: &Operands<'_>) -> Option<&'static str> {
    let (weights, bias) = match &operands.operator.op {
        Op::Conv2d(_) | Op::DepthwiseConv2d(_) | Op::FullyConnected(_) => (operands.get(1), operands.get(2)),
        Op::TransposeConv(_) => (operands.get(1), operands.get(3)),
        _ => return None,
    };
    let is_dense = matches!(operands.operator.op, Op::FullyConnected(_));
    let has_channels =
        |tensor: &Tensor<'_>| tensor.quantization.as_ref().is_some_and(|it| it.is_per_channel());
    limit_if([
        (is_dense && weights.is_some_and(has_channels), "the Ethos-U takes one scale for all dense weights"),
        (bias.is_some_and(is_beyond_40_bits), "the Ethos-U takes biases of 40 bits"),
    ])
}

fn is_beyond_40_bits(bias: &Tensor<'_>) -> bool {
    let limit = -(1i64 << 39)..1 << 39;
    bias.elements_of::<i64>().is_ok_and(|values| values.iter().any(|value| !limit.contains(value)))
}

/// The first limit that is met.
fn limit_if<const N: usize>(limits: [(bool, &'static str); N]) -> Option<&'static str> {
    limits.into_iter().find(|(is_met, _)| *is_met).map(|(_, limit)| limit)
}

impl<'g> Operands<'g> {
    fn get(&self, position: usize) -> Option<&'g Tensor<'g>> {
        let id = self.operator.inputs.get(position).copied().flatten()?;
        self.graph.tensor(id)
    }

    fn rank(&self, position: usize) -> usize {
        self.get(position).map_or(0, |tensor| tensor.shape.len())
    }
}
