//! The operators: one file per family, each with its parameters derived once when planned, a plain loop, and tests.
//!
//! The plain loops are the definition: every fast kernel is tested against them.

pub(crate) mod activation;
mod arithmetic;
mod batch_matmul;
mod binary;
mod block;
mod broadcast;
mod cast;
mod comparison;
mod conv;
mod cumsum;
mod depthwise;
mod division;
mod elementwise;
mod exponential;
mod fully_connected;
mod gather;
mod generate;
mod hard_swish;
mod hybrid;
mod index;
pub(crate) mod integer;
mod join;
mod layout;
mod log_softmax;
mod lstm;
mod map;
mod normalization;
mod number;
mod ordering;
mod pad;
mod pool;
mod prelu;
pub(crate) mod quantize;
mod reduction;
mod resize;
mod root;
mod scatter;
mod select;
mod shape;
mod sigmoid;
mod slice;
mod softmax;
mod strided;
mod svdf;
mod table;
mod tiled;
mod transpose_conv;
mod weighted;
pub(crate) mod window;

use burnlite_tflite::Op;

use crate::error::OperatorFault;
use crate::plan::{Node, Planned};

/// Derives the operator's parameters and the shapes of its results, and chooses its kernel.
pub(crate) fn plan(node: &Node<'_>) -> Result<Planned, OperatorFault> {
    match &node.operator.op {
        Op::Abs => elementwise::plan_abs(node),
        Op::Add(options) => arithmetic::plan_add(node, options),
        Op::ArgMax(options) => ordering::plan_arg_max(node, options),
        Op::ArgMin(options) => ordering::plan_arg_min(node, options),
        Op::AveragePool2d(options) => pool::plan_average(node, options),
        Op::BatchMatMul(options) => batch_matmul::plan(node, options),
        Op::BatchToSpaceNd => block::plan_batch_to_space(node),
        Op::BroadcastTo => layout::plan_broadcast(node),
        Op::Cast(_) => cast::plan(node),
        Op::Ceil => elementwise::plan_float(node, libm::ceilf),
        Op::Concatenation(options) => join::plan_concatenation(node, options),
        Op::Conv2d(options) => conv::plan(node, options),
        Op::Cos => elementwise::plan_float(node, libm::cosf),
        Op::Cumsum(options) => cumsum::plan(node, options),
        Op::DepthToSpace(options) => block::plan_depth_to_space(node, options),
        Op::DepthwiseConv2d(options) => depthwise::plan(node, options),
        Op::Dequantize => quantize::plan_dequantize(node),
        Op::Div(options) => division::plan_div(node, options),
        Op::Elu => activation::plan_elu(node),
        Op::EmbeddingLookup => gather::plan_embedding(node),
        Op::Equal => comparison::plan_equal(node),
        Op::Exp => elementwise::plan_tabulated(node, exponential::exp),
        Op::ExpandDims => shape::plan_expand_dims(node),
        Op::Fill => generate::plan_fill(node),
        Op::Floor => elementwise::plan_float(node, libm::floorf),
        Op::FloorDiv => division::plan_floor_div(node),
        Op::FloorMod => division::plan_floor_mod(node),
        Op::FullyConnected(options) => fully_connected::plan(node, options),
        Op::Gather(options) => gather::plan(node, options),
        Op::GatherNd => gather::plan_nd(node),
        Op::Gelu(options) => activation::plan_gelu(node, options),
        Op::Greater => comparison::plan_greater(node),
        Op::GreaterEqual => comparison::plan_greater_equal(node),
        Op::HardSwish => hard_swish::plan(node),
        Op::L2Normalization(options) => normalization::plan_l2(node, options),
        Op::LeakyRelu(options) => activation::plan_leaky_relu(node, options),
        Op::Less => comparison::plan_less(node),
        Op::LessEqual => comparison::plan_less_equal(node),
        Op::LocalResponseNormalization(options) => normalization::plan_local_response(node, options),
        Op::Log => elementwise::plan_log(node),
        Op::LogSoftmax => log_softmax::plan(node),
        Op::LogicalAnd => comparison::plan_and(node),
        Op::LogicalNot => elementwise::plan_not(node),
        Op::LogicalOr => comparison::plan_or(node),
        Op::Logistic => sigmoid::plan_logistic(node),
        Op::MaxPool2d(options) => pool::plan_max(node, options),
        Op::Maximum => arithmetic::plan_maximum(node),
        Op::Mean(options) => reduction::plan_mean(node, options),
        Op::Minimum => arithmetic::plan_minimum(node),
        Op::MirrorPad(options) => pad::plan_mirror_pad(node, options),
        Op::Mul(options) => arithmetic::plan_mul(node, options),
        Op::Neg => elementwise::plan_neg(node),
        Op::NotEqual => comparison::plan_not_equal(node),
        Op::OneHot(options) => generate::plan_one_hot(node, options),
        Op::Pack(options) => join::plan_pack(node, options),
        Op::Pad => pad::plan_pad(node),
        Op::PadV2 => pad::plan_pad_v2(node),
        Op::Pow => division::plan_pow(node),
        Op::Prelu => prelu::plan(node),
        Op::Quantize => quantize::plan_quantize(node),
        Op::Range => generate::plan_range(node),
        Op::ReduceMax(options) => reduction::plan_max(node, options),
        Op::ReduceMin(options) => reduction::plan_min(node, options),
        Op::Relu => activation::plan_clamp(node, (Some(0.0), None)),
        Op::Relu0To1 => activation::plan_clamp(node, (Some(0.0), Some(1.0))),
        Op::Relu6 => activation::plan_clamp(node, (Some(0.0), Some(6.0))),
        Op::ReluN1To1 => activation::plan_clamp(node, (Some(-1.0), Some(1.0))),
        Op::Reshape(options) => shape::plan_reshape(node, options),
        Op::ResizeBilinear(options) => resize::plan_bilinear(node, options),
        Op::ResizeNearestNeighbor(options) => resize::plan_nearest(node, options),
        Op::ReverseV2 => layout::plan_reverse(node),
        Op::Round => elementwise::plan_float(node, libm::rintf),
        Op::Rsqrt => root::plan_rsqrt(node),
        Op::ScatterNd => scatter::plan(node),
        Op::Select => select::plan_select(node),
        Op::SelectV2 => select::plan_select_v2(node),
        Op::Shape(options) => shape::plan_shape(node, options),
        Op::Sin => elementwise::plan_float(node, libm::sinf),
        Op::Slice => slice::plan_slice(node),
        Op::Softmax(options) => softmax::plan(node, options),
        Op::SpaceToBatchNd => block::plan_space_to_batch(node),
        Op::SpaceToDepth(options) => block::plan_space_to_depth(node, options),
        Op::Split(options) => slice::plan_split(node, options),
        Op::SplitV(options) => slice::plan_split_v(node, options),
        Op::Sqrt => root::plan_sqrt(node),
        Op::Square => elementwise::plan_float(node, |x| x * x),
        Op::SquaredDifference => arithmetic::plan_squared_difference(node),
        Op::Squeeze(options) => shape::plan_squeeze(node, options),
        Op::StridedSlice(options) => slice::plan_strided_slice(node, options),
        Op::Sub(options) => arithmetic::plan_sub(node, options),
        Op::Sum(options) => reduction::plan_sum(node, options),
        Op::Svdf(options) => svdf::plan(node, options),
        Op::Tanh => sigmoid::plan_tanh(node),
        Op::Tile => layout::plan_tile(node),
        Op::TopKV2 => ordering::plan_top(node),
        Op::Transpose => layout::plan_transpose(node),
        Op::TransposeConv(options) => transpose_conv::plan(node, options),
        Op::UnidirectionalSequenceLstm(options) => lstm::plan(node, options),
        Op::Unpack(options) => slice::plan_unpack(node, options),
        Op::Where => generate::plan_where(node),
        _ => Err(OperatorFault::Unknown),
    }
}
