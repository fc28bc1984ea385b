//! The options of the operators: the format's tables, with the format's field numbers and defaults.

use alloc::string::String;
use alloc::vec::Vec;

use crate::ElementType;
use crate::schema::{enumeration, options};

enumeration! {
    /// How a window treats the border of an image.
    pub enum Padding: i8 {
        /// As many outputs as the stride gives: `ceil(extent / stride)`; an odd pixel of padding goes to the end.
        #[default]
        Same = 0,
        /// Only windows that lie within the image.
        Valid = 1,
    }
}

enumeration! {
    /// The activation that an operator applies to its result.
    pub enum Activation: i8 {
        /// None.
        #[default]
        None = 0,
        /// `max(x, 0)`.
        Relu = 1,
        /// `clamp(x, -1, 1)`.
        ReluN1To1 = 2,
        /// `clamp(x, 0, 6)`.
        Relu6 = 3,
        /// `tanh(x)`.
        Tanh = 4,
        /// 1 for negative values, 0 otherwise.
        SignBit = 5,
    }
}

enumeration! {
    /// How the weights of FULLY_CONNECTED are stored.
    pub enum WeightsFormat: i8 {
        /// Row-major `[outputs, inputs]`.
        #[default]
        Default = 0,
        /// Blocks of 4 by 16, shuffled (a legacy of uint8 kernels).
        Shuffled4x16Int8 = 1,
    }
}

enumeration! {
    /// What MIRROR_PAD mirrors around.
    pub enum MirrorPadMode: i8 {
        /// The border's pixel, which is not repeated.
        #[default]
        Reflect = 0,
        /// The border, so that its pixel is repeated.
        Symmetric = 1,
    }
}

options! {
    /// Options of ADD.
    pub struct AddOptions {
        /// Activation of the result.
        0 activation: Activation = Activation::None,
        /// Whether int16 scales are powers of two and the arithmetic is that of shifts. The format's default of `true` is
        /// not what a file of today means: write `false`.
        1 pot_scale_int16: bool = true,
    }

    /// Options of SUB.
    pub struct SubOptions {
        /// Activation of the result.
        0 activation: Activation = Activation::None,
        /// As [`AddOptions::pot_scale_int16`].
        1 pot_scale_int16: bool = true,
    }

    /// Options of MUL.
    pub struct MulOptions {
        /// Activation of the result.
        0 activation: Activation = Activation::None,
    }

    /// Options of DIV.
    pub struct DivOptions {
        /// Activation of the result.
        0 activation: Activation = Activation::None,
    }

    /// Options of L2_NORMALIZATION.
    pub struct L2NormOptions {
        /// Activation of the result.
        0 activation: Activation = Activation::None,
    }

    /// Options of LOCAL_RESPONSE_NORMALIZATION: `y = x * (bias + alpha * Σ x²)^-beta`.
    pub struct LocalResponseNormalizationOptions {
        /// Neighbours on each side that count.
        0 radius: i32 = 0,
        /// What is added to the sum of squares.
        1 bias: f32 = 0.0,
        /// Factor on the sum of squares.
        2 alpha: f32 = 0.0,
        /// Exponent.
        3 beta: f32 = 0.0,
    }

    /// Options of CONCATENATION.
    pub struct ConcatenationOptions {
        /// The dimension along which operands follow each other; negative from the end.
        0 axis: i32 = 0,
        /// Activation of the result.
        1 activation: Activation = Activation::None,
    }

    /// Options of DEPTHWISE_CONV_2D.
    pub struct DepthwiseConv2dOptions {
        /// Treatment of the border.
        0 padding: Padding = Padding::Same,
        /// Step between windows, along the width.
        1 stride_w: i32 = 0,
        /// Step between windows, along the height.
        2 stride_h: i32 = 0,
        /// Output channels for each input channel. Runtimes derive it from the shapes.
        3 depth_multiplier: i32 = 0,
        /// Activation of the result.
        4 activation: Activation = Activation::None,
        /// Step between the taps of a window, along the width.
        5 dilation_w: i32 = 1,
        /// Step between the taps of a window, along the height.
        6 dilation_h: i32 = 1,
    }

    /// Options of TRANSPOSE_CONV.
    pub struct TransposeConvOptions {
        /// Treatment of the output's border.
        0 padding: Padding = Padding::Same,
        /// Output pixels between neighbouring input pixels, along the width.
        1 stride_w: i32 = 0,
        /// Output pixels between neighbouring input pixels, along the height.
        2 stride_h: i32 = 0,
        /// Activation of the result.
        3 activation: Activation = Activation::None,
        /// As [`Conv2dOptions::quantized_bias_type`].
        4 quantized_bias_type: ElementType = ElementType::Float32,
    }

    /// Options of DEPTH_TO_SPACE.
    pub struct DepthToSpaceOptions {
        /// Height and width of a block.
        0 block_size: i32 = 0,
    }

    /// Options of SPACE_TO_DEPTH.
    pub struct SpaceToDepthOptions {
        /// Height and width of a block.
        0 block_size: i32 = 0,
    }

    /// Options of RESIZE_BILINEAR.
    pub struct ResizeBilinearOptions {
        /// Whether the corner pixels of both images are the same points.
        2 align_corners: bool = false,
        /// Whether pixels are areas, whose centres are mapped.
        3 half_pixel_centers: bool = false,
    }

    /// Options of RESIZE_NEAREST_NEIGHBOR.
    pub struct ResizeNearestNeighborOptions {
        /// Whether the corner pixels of both images are the same points.
        0 align_corners: bool = false,
        /// Whether pixels are areas, whose centres are mapped.
        1 half_pixel_centers: bool = false,
    }

    /// Options of SVDF.
    pub struct SvdfOptions {
        /// Filters of rank one for each unit.
        0 rank: i32 = 0,
        /// Activation of the result.
        1 activation: Activation = Activation::None,
        /// Whether float inputs are quantized with a zero point (weights of 8 bits, floating-point activations).
        2 asymmetric_quantize_inputs: bool = false,
    }

    /// Options of UNIDIRECTIONAL_SEQUENCE_LSTM.
    pub struct UnidirectionalSequenceLstmOptions {
        /// Activation of the cell.
        0 activation: Activation = Activation::None,
        /// Bound on the cell's state; 0 is none.
        1 cell_clip: f32 = 0.0,
        /// Bound on the projection; 0 is none.
        2 proj_clip: f32 = 0.0,
        /// Whether the sequence is `[time, batch, features]`; otherwise `[batch, time, features]`.
        3 time_major: bool = false,
        /// Whether float inputs are quantized with a zero point (weights of 8 bits, floating-point activations).
        4 asymmetric_quantize_inputs: bool = false,
        /// Whether the recurrent weights are diagonals.
        5 diagonal_recurrent_tensors: bool = false,
    }

    /// Options of GATHER.
    pub struct GatherOptions {
        /// The dimension that the indices count; negative from the end.
        0 axis: i32 = 0,
        /// Leading dimensions that both operands share.
        1 batch_dims: i32 = 0,
    }

    /// Options of MEAN, SUM, REDUCE_MAX and REDUCE_MIN.
    pub struct ReducerOptions {
        /// Whether reduced dimensions stay, with extent 1.
        0 keep_dims: bool = false,
    }

    /// Options of SQUEEZE.
    pub struct SqueezeOptions {
        /// The dimensions to drop, negative from the end; all of extent 1 where it is empty.
        0 squeeze_dims: Vec<i32> = Vec::new(),
    }

    /// Options of SPLIT.
    pub struct SplitOptions {
        /// Number of parts.
        0 num_splits: i32 = 0,
    }

    /// Options of SPLIT_V.
    pub struct SplitVOptions {
        /// Number of parts.
        0 num_splits: i32 = 0,
    }

    /// Options of UNPACK.
    pub struct UnpackOptions {
        /// Number of slices.
        0 num: i32 = 0,
        /// The dimension that is taken apart; negative from the end.
        1 axis: i32 = 0,
    }

    /// Options of CAST. Runtimes take the tensors' types.
    pub struct CastOptions {
        /// Type of the operand.
        0 in_data_type: ElementType = ElementType::Float32,
        /// Type of the result.
        1 out_data_type: ElementType = ElementType::Float32,
    }

    /// Options of ARG_MAX.
    pub struct ArgMaxOptions {
        /// Type of the result: `Int32` or `Int64`.
        0 output_type: ElementType = ElementType::Float32,
    }

    /// Options of ARG_MIN.
    pub struct ArgMinOptions {
        /// Type of the result: `Int32` or `Int64`.
        0 output_type: ElementType = ElementType::Float32,
    }

    /// Options of ONE_HOT.
    pub struct OneHotOptions {
        /// The new dimension; -1 is the last.
        0 axis: i32 = 0,
    }

    /// Options of LEAKY_RELU.
    pub struct LeakyReluOptions {
        /// Slope of the negative side.
        0 alpha: f32 = 0.0,
    }

    /// Options of MIRROR_PAD.
    pub struct MirrorPadOptions {
        /// What is mirrored around.
        0 mode: MirrorPadMode = MirrorPadMode::Reflect,
    }

    /// Options of BATCH_MATMUL.
    pub struct BatchMatMulOptions {
        /// Whether the first operand's matrices are transposed.
        0 adj_x: bool = false,
        /// Whether the second operand's matrices are transposed.
        1 adj_y: bool = false,
        /// Whether float inputs are quantized with a zero point (weights of 8 bits, floating-point activations).
        2 asymmetric_quantize_inputs: bool = false,
    }

    /// Options of CUMSUM.
    pub struct CumsumOptions {
        /// Whether an element's sum leaves the element itself out.
        0 exclusive: bool = false,
        /// Whether sums run from the end.
        1 reverse: bool = false,
    }

    /// Options of CALL_ONCE.
    pub struct CallOnceOptions {
        /// The graph that sets the variables up.
        0 init_subgraph_index: i32 = 0,
    }

    /// Options of VAR_HANDLE: two handles of the same names are the same variable.
    pub struct VarHandleOptions {
        /// The container's name.
        0 container: String = String::new(),
        /// The variable's name.
        1 shared_name: String = String::new(),
    }

    /// Options of GELU.
    pub struct GeluOptions {
        /// Whether the normal distribution is approximated with tanh.
        0 approximate: bool = false,
    }

    /// Options of CONV_2D.
    pub struct Conv2dOptions {
        /// Treatment of the border.
        0 padding: Padding = Padding::Same,
        /// Step between windows, along the width.
        1 stride_w: i32 = 0,
        /// Step between windows, along the height.
        2 stride_h: i32 = 0,
        /// Activation of the result.
        3 activation: Activation = Activation::None,
        /// Step between the taps of a window, along the width.
        4 dilation_w: i32 = 1,
        /// Step between the taps of a window, along the height.
        5 dilation_h: i32 = 1,
        /// Type of the bias and of the accumulator in 16x8: `Int32` or `Int64`; `Float32` stands for "not said".
        6 quantized_bias_type: ElementType = ElementType::Float32,
    }

    /// Options of MAX_POOL_2D, AVERAGE_POOL_2D and L2_POOL_2D.
    pub struct Pool2dOptions {
        /// Treatment of the border.
        0 padding: Padding = Padding::Same,
        /// Step between windows, along the width.
        1 stride_w: i32 = 0,
        /// Step between windows, along the height.
        2 stride_h: i32 = 0,
        /// Extent of the window, along the width.
        3 filter_w: i32 = 0,
        /// Extent of the window, along the height.
        4 filter_h: i32 = 0,
        /// Activation of the result.
        5 activation: Activation = Activation::None,
    }

    /// Options of FULLY_CONNECTED.
    pub struct FullyConnectedOptions {
        /// Activation of the result.
        0 activation: Activation = Activation::None,
        /// Order of the weights.
        1 weights_format: WeightsFormat = WeightsFormat::Default,
        /// Whether the result keeps all but the last extent of the input; otherwise it is `[batch, outputs]`.
        2 keep_num_dims: bool = false,
        /// Whether float inputs are quantized with a zero point (weights of 8 bits, floating-point activations).
        3 asymmetric_quantize_inputs: bool = false,
        /// Type of the bias and of the accumulator in 16x8: `Int32` or `Int64`; `Float32` stands for "not said".
        4 quantized_bias_type: ElementType = ElementType::Float32,
    }

    /// Options of SOFTMAX.
    pub struct SoftmaxOptions {
        /// Factor on the input: `softmax(beta * x)`. The format's default of 0 is never what is meant: write 1.
        0 beta: f32 = 0.0,
    }

    /// Options of STRIDED_SLICE. A mask has one bit for each element of the operands `begin`, `end` and `strides`.
    pub struct StridedSliceOptions {
        /// Elements whose `begin` is ignored: the slice starts at the border.
        0 begin_mask: i32 = 0,
        /// Elements whose `end` is ignored: the slice goes to the border.
        1 end_mask: i32 = 0,
        /// The element that stands for as many whole dimensions as are left.
        2 ellipsis_mask: i32 = 0,
        /// Elements that insert a dimension of extent 1.
        3 new_axis_mask: i32 = 0,
        /// Elements whose dimension is dropped: the slice is the one at `begin`.
        4 shrink_axis_mask: i32 = 0,
        /// Whether `end` counts from `begin`.
        5 offset: bool = false,
    }

    /// Options of SHAPE.
    pub struct ShapeOptions {
        /// Type of the result: `Int32` or `Int64`; `Float32` stands for "not said".
        0 out_type: ElementType = ElementType::Float32,
    }

    /// Options of PACK.
    pub struct PackOptions {
        /// Number of operands.
        0 values_count: i32 = 0,
        /// The new dimension along which they are stacked; negative from the end.
        1 axis: i32 = 0,
    }

    /// Options of RESHAPE.
    pub struct ReshapeOptions {
        /// The new shape where there is no second operand; one extent may be -1: what is left.
        0 new_shape: Vec<i32> = Vec::new(),
    }
}
