//! The operators: one table that says everything the format knows about each.

mod declare;
mod runtime;
mod version;

use alloc::string::String;

use crate::Error;
use crate::builtin_names::builtin_name;
use crate::op::declare::operators;
use crate::options::*;
use crate::schema::{Options, TableOffset};
use crate::table::Table;

/// What the format says about a kind of operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpInfo {
    /// Name in capitals, as tools print it.
    pub name: &'static str,
    /// Code in the file.
    pub code: i32,
    /// Fewest operands.
    pub min_inputs: usize,
    /// Most operands.
    pub max_inputs: usize,
    /// Fewest results.
    pub min_outputs: usize,
    /// Most results.
    pub max_outputs: usize,
    /// Lowest version of the operator with float32, int8 and int16 activations; 0 where reference kernels lack the type.
    pub versions: [i32; 3],
}

/// Any number of operands or results.
const MANY: usize = usize::MAX;
/// The code of operators that are not builtin.
const CUSTOM: i32 = 32;

operators! {
    /// Sum, elementwise with broadcasting.
    Add(AddOptions = 11) ADD = 0, 2..=2 -> 1..=1, [1, 2, 3];
    /// Mean over windows of `[N, H, W, C]`; taps outside the image do not count.
    AveragePool2d(Pool2dOptions = 5) AVERAGE_POOL_2D = 1, 1..=1 -> 1..=1, [1, 2, 3];
    /// Operands one after the other along a dimension.
    Concatenation(ConcatenationOptions = 10) CONCATENATION = 2, 1..=MANY -> 1..=1, [1, 2, 3];
    /// 2-D convolution: `[N, H, W, C]`, weights `[O, Kh, Kw, C / groups]`, bias `[O]`.
    Conv2d(Conv2dOptions = 1) CONV_2D = 3, 2..=3 -> 1..=1, [1, 3, 1];
    /// 2-D convolution of each channel on its own: weights `[1, Kh, Kw, C * multiplier]`, bias `[C * multiplier]`.
    DepthwiseConv2d(DepthwiseConv2dOptions = 2) DEPTHWISE_CONV_2D = 4, 2..=3 -> 1..=1, [1, 3, 1];
    /// Channels laid out as blocks of pixels: `[N, H, W, C]` to `[N, H * block, W * block, C / block^2]`.
    DepthToSpace(DepthToSpaceOptions = 94) DEPTH_TO_SPACE = 5, 1..=1 -> 1..=1, [1, 2, 0];
    /// Integers to floats: `scale * (q - zero_point)`.
    Dequantize DEQUANTIZE = 6, 1..=1 -> 1..=1, [0, 2, 3];
    /// Rows of the second operand, by the indices of the first.
    EmbeddingLookup EMBEDDING_LOOKUP = 7, 2..=2 -> 1..=1, [1, 1, 1];
    /// The largest integer not above each element.
    Floor FLOOR = 8, 1..=1 -> 1..=1, [1, 0, 0];
    /// Matrix product with weights `[outputs, inputs]`, bias `[outputs]`.
    FullyConnected(FullyConnectedOptions = 8) FULLY_CONNECTED = 9, 2..=3 -> 1..=1, [1, 4, 1];
    /// Each row along the last dimension divided by its Euclidean length.
    L2Normalization(L2NormOptions = 12) L2_NORMALIZATION = 11, 1..=1 -> 1..=1, [1, 2, 0];
    /// Each element divided by a power of the squares around it in its row.
    LocalResponseNormalization(LocalResponseNormalizationOptions = 13)
        LOCAL_RESPONSE_NORMALIZATION = 13, 1..=1 -> 1..=1, [1, 0, 0];
    /// `1 / (1 + exp(-x))`.
    Logistic LOGISTIC = 14, 1..=1 -> 1..=1, [1, 2, 3];
    /// Maximum over windows of `[N, H, W, C]`.
    MaxPool2d(Pool2dOptions = 5) MAX_POOL_2D = 17, 1..=1 -> 1..=1, [1, 2, 3];
    /// Product, elementwise with broadcasting.
    Mul(MulOptions = 21) MUL = 18, 2..=2 -> 1..=1, [1, 2, 4];
    /// `max(x, 0)`.
    Relu RELU = 19, 1..=1 -> 1..=1, [1, 2, 3];
    /// `clamp(x, -1, 1)`.
    ReluN1To1 RELU_N1_TO_1 = 20, 1..=1 -> 1..=1, [1, 1, 0];
    /// `clamp(x, 0, 6)`.
    Relu6 RELU6 = 21, 1..=1 -> 1..=1, [1, 2, 3];
    /// The same elements in another shape; the shape is the second operand or an option.
    Reshape(ReshapeOptions = 17) RESHAPE = 22, 1..=2 -> 1..=1, [1, 1, 1];
    /// An image of another size, with linear interpolation; the second operand is `[height, width]`.
    ResizeBilinear(ResizeBilinearOptions = 15) RESIZE_BILINEAR = 23, 2..=2 -> 1..=1, [1, 2, 4];
    /// `softmax(beta * x)` over the last dimension.
    Softmax(SoftmaxOptions = 9) SOFTMAX = 25, 1..=1 -> 1..=1, [1, 2, 3];
    /// Blocks of pixels laid out as channels: the inverse of DEPTH_TO_SPACE.
    SpaceToDepth(SpaceToDepthOptions = 19) SPACE_TO_DEPTH = 26, 1..=1 -> 1..=1, [1, 2, 0];
    /// A recurrent layer of rank-one filters, with a state: input, feature weights, time weights, bias, state.
    Svdf(SvdfOptions = 6) SVDF = 27, 5..=5 -> 1..=1, [1, 3, 0];
    /// Hyperbolic tangent.
    Tanh TANH = 28, 1..=1 -> 1..=1, [1, 2, 3];
    /// Zeros around the operand: the second operand is `[dimensions, 2]`, before and behind.
    Pad PAD = 34, 2..=2 -> 1..=1, [1, 2, 3];
    /// Slices of the first operand along a dimension, by the indices of the second.
    Gather(GatherOptions = 23) GATHER = 36, 2..=2 -> 1..=1, [1, 2, 4];
    /// Batches interleaved as blocks of pixels, then cropped; further operands: block shape, crops.
    BatchToSpaceNd BATCH_TO_SPACE_ND = 37, 3..=3 -> 1..=1, [1, 2, 4];
    /// Padded, and blocks of pixels laid out as batches; further operands: block shape, paddings.
    SpaceToBatchNd SPACE_TO_BATCH_ND = 38, 3..=3 -> 1..=1, [1, 2, 4];
    /// Dimensions in another order: the second operand lists the input's dimensions.
    Transpose TRANSPOSE = 39, 2..=2 -> 1..=1, [1, 2, 5];
    /// Mean over the dimensions that the second operand lists.
    Mean(ReducerOptions = 27) MEAN = 40, 2..=2 -> 1..=1, [1, 2, 3];
    /// Difference, elementwise with broadcasting.
    Sub(SubOptions = 28) SUB = 41, 2..=2 -> 1..=1, [1, 2, 5];
    /// Quotient, elementwise with broadcasting.
    Div(DivOptions = 29) DIV = 42, 2..=2 -> 1..=1, [1, 0, 0];
    /// Dimensions of extent 1 dropped.
    Squeeze(SqueezeOptions = 30) SQUEEZE = 43, 1..=1 -> 1..=1, [1, 1, 1];
    /// A recurrent layer over a sequence, with output and cell state among its 20 or 24 operands.
    UnidirectionalSequenceLstm(UnidirectionalSequenceLstmOptions = 71)
        UNIDIRECTIONAL_SEQUENCE_LSTM = 44, 20..=24 -> 1..=1, [1, 1, 5];
    /// A part of the operand: `begin`, `end` and `strides` of each dimension are further operands.
    StridedSlice(StridedSliceOptions = 32) STRIDED_SLICE = 45, 4..=4 -> 1..=1, [1, 2, 1];
    /// `e^x`.
    Exp EXP = 47, 1..=1 -> 1..=1, [1, 2, 2];
    /// The largest elements along the last dimension, and their indices; the second operand says how many.
    TopKV2 TOPK_V2 = 48, 2..=2 -> 2..=2, [1, 2, 3];
    /// Equal parts of the second operand along the dimension that the first names.
    Split(SplitOptions = 35) SPLIT = 49, 2..=2 -> 1..=MANY, [1, 2, 4];
    /// `log(softmax(x))` over the last dimension.
    LogSoftmax LOG_SOFTMAX = 50, 1..=1 -> 1..=1, [1, 2, 0];
    /// Elements as another type; quantization plays no part.
    Cast(CastOptions = 37) CAST = 53, 1..=1 -> 1..=1, [1, 3, 1];
    /// `x`, or `alpha * x` where `x` is negative; alpha is the second operand, broadcast.
    Prelu PRELU = 54, 2..=2 -> 1..=1, [1, 1, 1];
    /// The larger of two elements, with broadcasting.
    Maximum MAXIMUM = 55, 2..=2 -> 1..=1, [1, 2, 4];
    /// Index of the largest element along the dimension that the second operand names.
    ArgMax(ArgMaxOptions = 40) ARG_MAX = 56, 2..=2 -> 1..=1, [1, 2, 0];
    /// The smaller of two elements, with broadcasting.
    Minimum MINIMUM = 57, 2..=2 -> 1..=1, [1, 2, 4];
    /// Whether `a < b`, with broadcasting.
    Less LESS = 58, 2..=2 -> 1..=1, [1, 2, 3];
    /// `-x`.
    Neg NEG = 59, 1..=1 -> 1..=1, [1, 1, 1];
    /// As PAD, with the value of the third operand.
    PadV2 PADV2 = 60, 3..=3 -> 1..=1, [1, 2, 3];
    /// Whether `a > b`, with broadcasting.
    Greater GREATER = 61, 2..=2 -> 1..=1, [1, 2, 1];
    /// Whether `a >= b`, with broadcasting.
    GreaterEqual GREATER_EQUAL = 62, 2..=2 -> 1..=1, [1, 2, 3];
    /// Whether `a <= b`, with broadcasting.
    LessEqual LESS_EQUAL = 63, 2..=2 -> 1..=1, [1, 2, 1];
    /// The second operand's element where the first's is true, else the third's; the first may have one element per row.
    Select SELECT = 64, 3..=3 -> 1..=1, [1, 2, 1];
    /// A part of the operand: `begin` and `size` of each dimension are further operands.
    Slice SLICE = 65, 3..=3 -> 1..=1, [1, 2, 4];
    /// Sine.
    Sin SIN = 66, 1..=1 -> 1..=1, [1, 0, 0];
    /// The gradient of a convolution: output shape, weights `[O, Kh, Kw, C]`, input `[N, H, W, C]`, bias `[O]`.
    TransposeConv(TransposeConvOptions = 49) TRANSPOSE_CONV = 67, 3..=4 -> 1..=1, [1, 2, 2];
    /// The operand repeated along each dimension, as often as the second operand says.
    Tile TILE = 69, 2..=2 -> 1..=1, [1, 3, 3];
    /// A dimension of extent 1 more, where the second operand says.
    ExpandDims EXPAND_DIMS = 70, 2..=2 -> 1..=1, [1, 1, 1];
    /// Whether `a == b`, with broadcasting.
    Equal EQUAL = 71, 2..=2 -> 1..=1, [1, 2, 5];
    /// Whether `a != b`, with broadcasting.
    NotEqual NOT_EQUAL = 72, 2..=2 -> 1..=1, [1, 2, 4];
    /// Natural logarithm.
    Log LOG = 73, 1..=1 -> 1..=1, [1, 2, 2];
    /// Sum over the dimensions that the second operand lists.
    Sum(ReducerOptions = 27) SUM = 74, 2..=2 -> 1..=1, [1, 2, 1];
    /// Square root.
    Sqrt SQRT = 75, 1..=1 -> 1..=1, [1, 2, 2];
    /// `1 / sqrt(x)`.
    Rsqrt RSQRT = 76, 1..=1 -> 1..=1, [1, 2, 3];
    /// The operand's shape as integers.
    Shape(ShapeOptions = 55) SHAPE = 77, 1..=1 -> 1..=1, [1, 1, 1];
    /// `a^b`, with broadcasting.
    Pow POW = 78, 2..=2 -> 1..=1, [1, 0, 0];
    /// Index of the smallest element along the dimension that the second operand names.
    ArgMin(ArgMinOptions = 57) ARG_MIN = 79, 2..=2 -> 1..=1, [1, 2, 0];
    /// Maximum over the dimensions that the second operand lists.
    ReduceMax(ReducerOptions = 27) REDUCE_MAX = 82, 2..=2 -> 1..=1, [1, 2, 3];
    /// Operands of the same shape stacked along a new dimension.
    Pack(PackOptions = 59) PACK = 83, 1..=MANY -> 1..=1, [1, 2, 3];
    /// Whether either is true, with broadcasting.
    LogicalOr LOGICAL_OR = 84, 2..=2 -> 1..=1, [0, 0, 0];
    /// Vectors that are `on` at the index and `off` elsewhere; operands: indices, depth, on, off.
    OneHot(OneHotOptions = 61) ONE_HOT = 85, 4..=4 -> 1..=1, [1, 1, 0];
    /// Whether both are true, with broadcasting.
    LogicalAnd LOGICAL_AND = 86, 2..=2 -> 1..=1, [0, 0, 0];
    /// Whether it is false.
    LogicalNot LOGICAL_NOT = 87, 1..=1 -> 1..=1, [0, 0, 0];
    /// The slices along a dimension, each without it.
    Unpack(UnpackOptions = 64) UNPACK = 88, 1..=1 -> 1..=MANY, [1, 2, 4];
    /// Minimum over the dimensions that the second operand lists.
    ReduceMin(ReducerOptions = 27) REDUCE_MIN = 89, 2..=2 -> 1..=1, [1, 2, 3];
    /// `floor(a / b)`, with broadcasting.
    FloorDiv FLOOR_DIV = 90, 2..=2 -> 1..=1, [2, 3, 3];
    /// `x * x`.
    Square SQUARE = 92, 1..=1 -> 1..=1, [1, 0, 0];
    /// The second operand's value in the shape that the first says.
    Fill FILL = 94, 2..=2 -> 1..=1, [1, 2, 3];
    /// `a - b * floor(a / b)`, with broadcasting.
    FloorMod FLOOR_MOD = 95, 2..=2 -> 1..=1, [1, 2, 2];
    /// Numbers from `start` below `limit`, `delta` apart.
    Range RANGE = 96, 3..=3 -> 1..=1, [1, 0, 0];
    /// An image of another size, each pixel the nearest one's; the second operand is `[height, width]`.
    ResizeNearestNeighbor(ResizeNearestNeighborOptions = 74) RESIZE_NEAREST_NEIGHBOR = 97, 2..=2 -> 1..=1, [1, 2, 4];
    /// `x`, or `alpha * x` where `x` is negative.
    LeakyRelu(LeakyReluOptions = 75) LEAKY_RELU = 98, 1..=1 -> 1..=1, [1, 1, 2];
    /// `(a - b)^2`, with broadcasting.
    SquaredDifference SQUARED_DIFFERENCE = 99, 2..=2 -> 1..=1, [1, 2, 0];
    /// The operand mirrored around its borders: the second operand is `[dimensions, 2]`, before and behind.
    MirrorPad(MirrorPadOptions = 77) MIRROR_PAD = 100, 2..=2 -> 1..=1, [1, 2, 3];
    /// `|x|`.
    Abs ABS = 101, 1..=1 -> 1..=1, [1, 2, 3];
    /// Parts of the first operand of the extents in the second, along the dimension that the third names.
    SplitV(SplitVOptions = 79) SPLIT_V = 102, 3..=3 -> 1..=MANY, [1, 2, 1];
    /// The smallest integer not below each element.
    Ceil CEIL = 104, 1..=1 -> 1..=1, [1, 0, 0];
    /// The operand backwards along the dimension that the second lists.
    ReverseV2 REVERSE_V2 = 105, 2..=2 -> 1..=1, [1, 3, 1];
    /// Slices of the first operand at the positions that the rows of the second name.
    GatherNd GATHER_ND = 107, 2..=2 -> 1..=1, [1, 1, 3];
    /// Cosine.
    Cos COS = 108, 1..=1 -> 1..=1, [1, 0, 0];
    /// Positions of the true elements, a row each.
    Where WHERE = 109, 1..=1 -> 1..=1, [0, 0, 0];
    /// `x`, or `e^x - 1` where `x` is negative.
    Elu ELU = 111, 1..=1 -> 1..=1, [1, 1, 0];
    /// Floats to integers, or integers to integers of another scale.
    Quantize QUANTIZE = 114, 1..=1 -> 1..=1, [0, 1, 2];
    /// The nearest integer, of two the even one.
    Round ROUND = 116, 1..=1 -> 1..=1, [1, 0, 0];
    /// `x * clamp(x + 3, 0, 6) / 6`.
    HardSwish HARD_SWISH = 117, 1..=1 -> 1..=1, [1, 1, 0];
    /// Zeros of the shape in the third operand, with the second's slices added at the positions of the first's rows.
    ScatterNd SCATTER_ND = 122, 3..=3 -> 1..=1, [1, 1, 0];
    /// The second operand's element where the first's is true, else the third's, with broadcasting.
    SelectV2 SELECT_V2 = 123, 3..=3 -> 1..=1, [1, 1, 1];
    /// Matrix products of the last two dimensions, batches broadcast.
    BatchMatMul(BatchMatMulOptions = 101) BATCH_MATMUL = 126, 2..=2 -> 1..=1, [1, 2, 3];
    /// Running sums along the dimension that the second operand names.
    Cumsum(CumsumOptions = 102) CUMSUM = 128, 2..=2 -> 1..=1, [1, 0, 0];
    /// Runs another graph of the model before the first invocation, to set variables up.
    CallOnce(CallOnceOptions = 103) CALL_ONCE = 129, 0..=0 -> 0..=0, [0, 0, 0];
    /// The operand repeated to the shape in the second.
    BroadcastTo BROADCAST_TO = 130, 2..=2 -> 1..=1, [2, 3, 3];
    /// The variable of the given name.
    VarHandle(VarHandleOptions = 111) VAR_HANDLE = 142, 0..=0 -> 1..=1, [0, 0, 0];
    /// A variable's value.
    ReadVariable READ_VARIABLE = 143, 1..=1 -> 1..=1, [1, 1, 1];
    /// Sets the variable of the first operand to the second.
    AssignVariable ASSIGN_VARIABLE = 144, 2..=2 -> 0..=0, [1, 1, 1];
    /// `x * Φ(x)`, Φ the normal distribution's.
    Gelu(GeluOptions = 116) GELU = 150, 1..=1 -> 1..=1, [1, 2, 1];
    /// `clamp(x, 0, 1)`.
    Relu0To1 RELU_0_TO_1 = 152, 1..=1 -> 1..=1, [1, 1, 0];
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_has_the_names_of_the_format() {
        for info in Op::TABLE {
            assert_eq!(builtin_name(info.code), Some(info.name));
        }
        assert!(Op::TABLE.is_sorted_by_key(|info| info.code));
    }
}
