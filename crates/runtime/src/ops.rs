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

use core::fmt;

use burnlite_tflite::Op;

use crate::error::OperatorFault;
use crate::plan::{Node, Planned};

/// What runs one kind of operator.
#[derive(Clone, Copy)]
pub struct Implementation {
    name: &'static str,
    /// Derives the operator's parameters and the shapes of its results, and chooses its kernel; `None` for an operator of
    /// another kind.
    plan: fn(&Node<'_>) -> Option<Result<Planned, OperatorFault>>,
}

impl Implementation {
    /// The operator's name in the format, for example `CONV_2D`.
    pub const fn name(&self) -> &'static str {
        self.name
    }
}

impl PartialEq for Implementation {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Implementation {}

impl fmt::Debug for Implementation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name)
    }
}

/// Plans the operator by the implementation that the options have for it.
pub(crate) fn plan(node: &Node<'_>) -> Result<Planned, OperatorFault> {
    let planned = node.options.operators.iter().find_map(|implementation| (implementation.plan)(node));
    planned.unwrap_or(Err(OperatorFault::Unknown))
}

macro_rules! implementations {
    ($node:ident; $($name:ident: $pattern:pat => $plan:expr;)*) => {
        /// Operators that can be run, one constant for each by its name in the format: what
        /// [`InterpreterOptions::operators`](crate::InterpreterOptions::operators) chooses from.
        pub mod operators {
            use super::*;

            /// All of them.
            pub const ALL: &[Implementation] = &[$($name),*];

            $(
                #[doc = concat!("`", stringify!($name), "`.")]
                pub const $name: Implementation = Implementation {
                    name: stringify!($name),
                    plan: |$node| match &$node.operator.op {
                        $pattern => Some($plan),
                        _ => None,
                    },
                };
            )*
        }
    };
}

implementations! {
    node;
    ABS: Op::Abs => elementwise::plan_abs(node);
    ADD: Op::Add(options) => arithmetic::plan_add(node, options);
    ARG_MAX: Op::ArgMax(options) => ordering::plan_arg_max(node, options);
    ARG_MIN: Op::ArgMin(options) => ordering::plan_arg_min(node, options);
    AVERAGE_POOL_2D: Op::AveragePool2d(options) => pool::plan_average(node, options);
    BATCH_MATMUL: Op::BatchMatMul(options) => batch_matmul::plan(node, options);
    BATCH_TO_SPACE_ND: Op::BatchToSpaceNd => block::plan_batch_to_space(node);
    BROADCAST_TO: Op::BroadcastTo => layout::plan_broadcast(node);
    CAST: Op::Cast(_) => cast::plan(node);
    CEIL: Op::Ceil => elementwise::plan_float(node, libm::ceilf);
    CONCATENATION: Op::Concatenation(options) => join::plan_concatenation(node, options);
    CONV_2D: Op::Conv2d(options) => conv::plan(node, options);
    COS: Op::Cos => elementwise::plan_float(node, libm::cosf);
    CUMSUM: Op::Cumsum(options) => cumsum::plan(node, options);
    DEPTHWISE_CONV_2D: Op::DepthwiseConv2d(options) => depthwise::plan(node, options);
    DEPTH_TO_SPACE: Op::DepthToSpace(options) => block::plan_depth_to_space(node, options);
    DEQUANTIZE: Op::Dequantize => quantize::plan_dequantize(node);
    DIV: Op::Div(options) => division::plan_div(node, options);
    ELU: Op::Elu => activation::plan_elu(node);
    EMBEDDING_LOOKUP: Op::EmbeddingLookup => gather::plan_embedding(node);
    EQUAL: Op::Equal => comparison::plan_equal(node);
    EXP: Op::Exp => elementwise::plan_tabulated(node, exponential::exp);
    EXPAND_DIMS: Op::ExpandDims => shape::plan_expand_dims(node);
    FILL: Op::Fill => generate::plan_fill(node);
    FLOOR: Op::Floor => elementwise::plan_float(node, libm::floorf);
    FLOOR_DIV: Op::FloorDiv => division::plan_floor_div(node);
    FLOOR_MOD: Op::FloorMod => division::plan_floor_mod(node);
    FULLY_CONNECTED: Op::FullyConnected(options) => fully_connected::plan(node, options);
    GATHER: Op::Gather(options) => gather::plan(node, options);
    GATHER_ND: Op::GatherNd => gather::plan_nd(node);
    GELU: Op::Gelu(options) => activation::plan_gelu(node, options);
    GREATER: Op::Greater => comparison::plan_greater(node);
    GREATER_EQUAL: Op::GreaterEqual => comparison::plan_greater_equal(node);
    HARD_SWISH: Op::HardSwish => hard_swish::plan(node);
    L2_NORMALIZATION: Op::L2Normalization(options) => normalization::plan_l2(node, options);
    LEAKY_RELU: Op::LeakyRelu(options) => activation::plan_leaky_relu(node, options);
    LESS: Op::Less => comparison::plan_less(node);
    LESS_EQUAL: Op::LessEqual => comparison::plan_less_equal(node);
    LOCAL_RESPONSE_NORMALIZATION: Op::LocalResponseNormalization(options) => normalization::plan_local_response(node, options);
    LOG: Op::Log => elementwise::plan_log(node);
    LOGICAL_AND: Op::LogicalAnd => comparison::plan_and(node);
    LOGICAL_NOT: Op::LogicalNot => elementwise::plan_not(node);
    LOGICAL_OR: Op::LogicalOr => comparison::plan_or(node);
    LOGISTIC: Op::Logistic => sigmoid::plan_logistic(node);
    LOG_SOFTMAX: Op::LogSoftmax => log_softmax::plan(node);
    MAXIMUM: Op::Maximum => arithmetic::plan_maximum(node);
    MAX_POOL_2D: Op::MaxPool2d(options) => pool::plan_max(node, options);
    MEAN: Op::Mean(options) => reduction::plan_mean(node, options);
    MINIMUM: Op::Minimum => arithmetic::plan_minimum(node);
    MIRROR_PAD: Op::MirrorPad(options) => pad::plan_mirror_pad(node, options);
    MUL: Op::Mul(options) => arithmetic::plan_mul(node, options);
    NEG: Op::Neg => elementwise::plan_neg(node);
    NOT_EQUAL: Op::NotEqual => comparison::plan_not_equal(node);
    ONE_HOT: Op::OneHot(options) => generate::plan_one_hot(node, options);
    PACK: Op::Pack(options) => join::plan_pack(node, options);
    PAD: Op::Pad => pad::plan_pad(node);
    PADV2: Op::PadV2 => pad::plan_pad_v2(node);
    POW: Op::Pow => division::plan_pow(node);
    PRELU: Op::Prelu => prelu::plan(node);
    QUANTIZE: Op::Quantize => quantize::plan_quantize(node);
    RANGE: Op::Range => generate::plan_range(node);
    REDUCE_MAX: Op::ReduceMax(options) => reduction::plan_max(node, options);
    REDUCE_MIN: Op::ReduceMin(options) => reduction::plan_min(node, options);
    RELU: Op::Relu => activation::plan_clamp(node, (Some(0.0), None));
    RELU6: Op::Relu6 => activation::plan_clamp(node, (Some(0.0), Some(6.0)));
    RELU_0_TO_1: Op::Relu0To1 => activation::plan_clamp(node, (Some(0.0), Some(1.0)));
    RELU_N1_TO_1: Op::ReluN1To1 => activation::plan_clamp(node, (Some(-1.0), Some(1.0)));
    RESHAPE: Op::Reshape(options) => shape::plan_reshape(node, options);
    RESIZE_BILINEAR: Op::ResizeBilinear(options) => resize::plan_bilinear(node, options);
    RESIZE_NEAREST_NEIGHBOR: Op::ResizeNearestNeighbor(options) => resize::plan_nearest(node, options);
    REVERSE_V2: Op::ReverseV2 => layout::plan_reverse(node);
    ROUND: Op::Round => elementwise::plan_float(node, libm::rintf);
    RSQRT: Op::Rsqrt => root::plan_rsqrt(node);
    SCATTER_ND: Op::ScatterNd => scatter::plan(node);
    SELECT: Op::Select => select::plan_select(node);
    SELECT_V2: Op::SelectV2 => select::plan_select_v2(node);
    SHAPE: Op::Shape(options) => shape::plan_shape(node, options);
    SIN: Op::Sin => elementwise::plan_float(node, libm::sinf);
    SLICE: Op::Slice => slice::plan_slice(node);
    SOFTMAX: Op::Softmax(options) => softmax::plan(node, options);
    SPACE_TO_BATCH_ND: Op::SpaceToBatchNd => block::plan_space_to_batch(node);
    SPACE_TO_DEPTH: Op::SpaceToDepth(options) => block::plan_space_to_depth(node, options);
    SPLIT: Op::Split(options) => slice::plan_split(node, options);
    SPLIT_V: Op::SplitV(options) => slice::plan_split_v(node, options);
    SQRT: Op::Sqrt => root::plan_sqrt(node);
    SQUARE: Op::Square => elementwise::plan_float(node, |x| x * x);
    SQUARED_DIFFERENCE: Op::SquaredDifference => arithmetic::plan_squared_difference(node);
    SQUEEZE: Op::Squeeze(options) => shape::plan_squeeze(node, options);
    STRIDED_SLICE: Op::StridedSlice(options) => slice::plan_strided_slice(node, options);
    SUB: Op::Sub(options) => arithmetic::plan_sub(node, options);
    SUM: Op::Sum(options) => reduction::plan_sum(node, options);
    SVDF: Op::Svdf(options) => svdf::plan(node, options);
    TANH: Op::Tanh => sigmoid::plan_tanh(node);
    TILE: Op::Tile => layout::plan_tile(node);
    TOPK_V2: Op::TopKV2 => ordering::plan_top(node);
    TRANSPOSE: Op::Transpose => layout::plan_transpose(node);
    TRANSPOSE_CONV: Op::TransposeConv(options) => transpose_conv::plan(node, options);
    UNIDIRECTIONAL_SEQUENCE_LSTM: Op::UnidirectionalSequenceLstm(options) => lstm::plan(node, options);
    UNPACK: Op::Unpack(options) => slice::plan_unpack(node, options);
    WHERE: Op::Where => generate::plan_where(node);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn implementations_are_called_as_the_format_calls_the_operators() {
        for implementation in operators::ALL {
            assert!(Op::TABLE.iter().any(|info| info.name == implementation.name), "{implementation:?}");
        }
    }
}
