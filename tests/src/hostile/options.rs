//! Options of a stranger's choice.

use arbitrary::{Result, Unstructured};
use burnlite_tflite::*;

use super::element_type;

/// Gives one of the operator's options another value; nothing where it has none.
pub(super) fn change(op: &mut Op, choices: &mut Unstructured<'_>) -> Result<()> {
    /// Every field of a group of options: a new one must be named here, too.
    macro_rules! one_of {
        ($options:ident { $($field:ident),* } = $value:expr) => {{
            let $options { $($field),* } = $value;
            let fields: &mut [&mut dyn Choice] = &mut [$($field),*];
            let field = choices.choose_index(fields.len())?;
            fields[field].choose(choices)
        }};
    }
    match op {
        Op::Add(options) => one_of!(AddOptions { activation, pot_scale_int16 } = options),
        Op::Sub(options) => one_of!(SubOptions { activation, pot_scale_int16 } = options),
        Op::Mul(options) => one_of!(MulOptions { activation } = options),
        Op::Div(options) => one_of!(DivOptions { activation } = options),
        Op::L2Normalization(options) => one_of!(L2NormOptions { activation } = options),
        Op::LocalResponseNormalization(options) => {
            one_of!(LocalResponseNormalizationOptions { radius, bias, alpha, beta } = options)
        }
        Op::Concatenation(options) => one_of!(ConcatenationOptions { axis, activation } = options),
        Op::Conv2d(options) => one_of!(
            Conv2dOptions {
                padding,
                stride_w,
                stride_h,
                activation,
                dilation_w,
                dilation_h,
                quantized_bias_type
            } = options
        ),
        Op::DepthwiseConv2d(options) => one_of!(
            DepthwiseConv2dOptions {
                padding,
                stride_w,
                stride_h,
                depth_multiplier,
                activation,
                dilation_w,
                dilation_h
            } = options
        ),
        Op::TransposeConv(options) => one_of!(
            TransposeConvOptions { padding, stride_w, stride_h, activation, quantized_bias_type } = options
        ),
        Op::MaxPool2d(options) | Op::AveragePool2d(options) => {
            one_of!(Pool2dOptions { padding, stride_w, stride_h, filter_w, filter_h, activation } = options)
        }
        Op::FullyConnected(options) => one_of!(
            FullyConnectedOptions {
                activation,
                weights_format,
                keep_num_dims,
                asymmetric_quantize_inputs,
                quantized_bias_type
            } = options
        ),
        Op::BatchMatMul(options) => {
            one_of!(BatchMatMulOptions { adj_x, adj_y, asymmetric_quantize_inputs } = options)
        }
        Op::Svdf(options) => one_of!(SvdfOptions { rank, activation, asymmetric_quantize_inputs } = options),
        Op::UnidirectionalSequenceLstm(options) => one_of!(
            UnidirectionalSequenceLstmOptions {
                activation,
                cell_clip,
                proj_clip,
                time_major,
                asymmetric_quantize_inputs,
                diagonal_recurrent_tensors
            } = options
        ),
        Op::DepthToSpace(options) => one_of!(DepthToSpaceOptions { block_size } = options),
        Op::SpaceToDepth(options) => one_of!(SpaceToDepthOptions { block_size } = options),
        Op::ResizeBilinear(options) => {
            one_of!(ResizeBilinearOptions { align_corners, half_pixel_centers } = options)
        }
        Op::ResizeNearestNeighbor(options) => {
            one_of!(ResizeNearestNeighborOptions { align_corners, half_pixel_centers } = options)
        }
        Op::StridedSlice(options) => one_of!(
            StridedSliceOptions {
                begin_mask,
                end_mask,
                ellipsis_mask,
                new_axis_mask,
                shrink_axis_mask,
                offset
            } = options
        ),
        Op::Mean(options) | Op::Sum(options) | Op::ReduceMax(options) | Op::ReduceMin(options) => {
            one_of!(ReducerOptions { keep_dims } = options)
        }
        Op::Gather(options) => one_of!(GatherOptions { axis, batch_dims } = options),
        Op::Squeeze(options) => one_of!(SqueezeOptions { squeeze_dims } = options),
        Op::Reshape(options) => one_of!(ReshapeOptions { new_shape } = options),
        Op::Split(options) => one_of!(SplitOptions { num_splits } = options),
        Op::SplitV(options) => one_of!(SplitVOptions { num_splits } = options),
        Op::Unpack(options) => one_of!(UnpackOptions { num, axis } = options),
        Op::Pack(options) => one_of!(PackOptions { values_count, axis } = options),
        Op::OneHot(options) => one_of!(OneHotOptions { axis } = options),
        Op::Cumsum(options) => one_of!(CumsumOptions { exclusive, reverse } = options),
        Op::MirrorPad(options) => one_of!(MirrorPadOptions { mode } = options),
        Op::LeakyRelu(options) => one_of!(LeakyReluOptions { alpha } = options),
        Op::Gelu(options) => one_of!(GeluOptions { approximate } = options),
        Op::Softmax(options) => one_of!(SoftmaxOptions { beta } = options),
        Op::Cast(options) => one_of!(CastOptions { in_data_type, out_data_type } = options),
        Op::ArgMax(options) => one_of!(ArgMaxOptions { output_type } = options),
        Op::ArgMin(options) => one_of!(ArgMinOptions { output_type } = options),
        Op::Shape(options) => one_of!(ShapeOptions { out_type } = options),
        Op::CallOnce(options) => one_of!(CallOnceOptions { init_subgraph_index } = options),
        Op::VarHandle(options) => one_of!(VarHandleOptions { container, shared_name } = options),
        _ => Ok(()),
    }
}

/// A value that can be chosen.
trait Choice {
    fn choose(&mut self, choices: &mut Unstructured<'_>) -> Result<()>;
}

/// Values of which one is chosen.
macro_rules! choices {
    ($($type:ty: [$($value:expr),*],)*) => {$(
        impl Choice for $type {
            fn choose(&mut self, choices: &mut Unstructured<'_>) -> Result<()> {
                *self = choices.choose(&[$($value),*])?.clone();
                Ok(())
            }
        }
    )*};
}

choices! {
    bool: [false, true],
    i32: [0, 1, -1, 2, 3, -2, 4, 5, 7, 8, 9, 17, 100, 255, 32_767, 65_536, 1 << 30, i32::MAX, i32::MIN],
    f32: [0.0, 1.0, -1.0, 0.5, 1e-42, 1e30, f32::NAN, f32::INFINITY, f32::NEG_INFINITY],
    String: [String::new(), "a".into()],
    Padding: [Padding::Same, Padding::Valid],
    Activation: [
        Activation::None,
        Activation::Relu,
        Activation::ReluN1To1,
        Activation::Relu6,
        Activation::Tanh,
        Activation::SignBit
    ],
    WeightsFormat: [WeightsFormat::Default, WeightsFormat::Shuffled4x16Int8],
    MirrorPadMode: [MirrorPadMode::Reflect, MirrorPadMode::Symmetric],
}

impl Choice for ElementType {
    fn choose(&mut self, choices: &mut Unstructured<'_>) -> Result<()> {
        *self = element_type(choices)?;
        Ok(())
    }
}

impl Choice for Vec<i32> {
    /// Another element, one more or one less.
    fn choose(&mut self, choices: &mut Unstructured<'_>) -> Result<()> {
        let index = choices.choose_index(self.len() + 2)?;
        let mut value = 0;
        value.choose(choices)?;
        if index < self.len() {
            self[index] = value;
        } else if index == self.len() {
            self.push(value);
        } else {
            self.pop();
        }
        Ok(())
    }
}
