//! The options of the operators: the format's tables, with the format's field numbers and defaults.

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

options! {
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
