//! The version that an operator is written with.

use crate::{Activation, ElementType, Op, Tensor};

impl Op {
    /// The lowest version of the operator that says what these operands need; 1 for [`Op::Unsupported`].
    ///
    /// A runtime refuses a file whose operators have a higher version than it knows, so the lowest one that is right is
    /// written. The numbers are the official converter's (`op_version.cc`).
    pub fn version(&self, inputs: &[Option<&Tensor<'_>>], outputs: &[&Tensor<'_>]) -> i32 {
        let Some(info) = self.info() else { return 1 };
        let activations = [inputs.first().copied().flatten(), outputs.first().copied()];
        let any =
            |element_type| activations.iter().flatten().any(|tensor| tensor.element_type == element_type);
        let [float, int8, int16] = info.versions;
        let by_type = match () {
            () if any(ElementType::Int16) => int16,
            () if any(ElementType::Int8) => int8,
            () => float,
        };
        by_type.max(self.version_of_options(inputs, outputs)).max(1)
    }

    /// `quantized_bias_type` changes what is computed only where it says `Int32`; older runtimes may ignore `Int64`.
    fn version_of_options(&self, inputs: &[Option<&Tensor<'_>>], outputs: &[&Tensor<'_>]) -> i32 {
        let input = |index: usize| inputs.get(index).copied().flatten();
        let is_integer = |index| input(index).is_some_and(|tensor| is_quantized(tensor.element_type));
        let rank = |index| input(index).map_or(0, |tensor| tensor.shape.len());
        match self {
            Self::Conv2d(options) if options.quantized_bias_type == ElementType::Int32 => 8,
            Self::Conv2d(_) if is_integer(0) && is_grouped(inputs) => 6,
            Self::Conv2d(_) | Self::DepthwiseConv2d(_) if !is_integer(0) && is_integer(1) => 5,
            Self::DepthwiseConv2d(options) if (options.dilation_w, options.dilation_h) != (1, 1) => 2,
            Self::TransposeConv(options) if options.quantized_bias_type == ElementType::Int32 => 5,
            Self::TransposeConv(options) if options.activation != Activation::None => 4,
            Self::TransposeConv(_) if input(3).is_some() => 3,
            Self::FullyConnected(options) if options.quantized_bias_type == ElementType::Int32 => 11,
            Self::FullyConnected(options) if options.asymmetric_quantize_inputs => 9,
            Self::FullyConnected(_) if input(2).is_none() => 6,
            Self::FullyConnected(options) if options.keep_num_dims => 5,
            Self::FullyConnected(_) if !is_integer(0) && is_integer(1) => 3,
            Self::Mul(_) if is_integer(0) && product_of_scales(inputs, outputs) >= 1.0 => 3,
            Self::Pad | Self::PadV2 if rank(0) > 4 => 4,
            Self::StridedSlice(options) if options.ellipsis_mask != 0 || options.new_axis_mask != 0 => 6,
            Self::StridedSlice(_) if rank(0) > 4 => 4,
            Self::BatchToSpaceNd | Self::SpaceToBatchNd if rank(0) != 4 => 3,
            Self::ResizeBilinear(options) if options.half_pixel_centers => 3,
            Self::ResizeNearestNeighbor(options) if options.half_pixel_centers || options.align_corners => 3,
            Self::Quantize if is_per_channel(inputs, outputs) => 3,
            Self::Dequantize if is_per_channel(inputs, outputs) => 5,
            _ => 1,
        }
    }
}

fn is_quantized(element_type: ElementType) -> bool {
    matches!(element_type, ElementType::Int8 | ElementType::Int16)
}

fn is_per_channel(inputs: &[Option<&Tensor<'_>>], outputs: &[&Tensor<'_>]) -> bool {
    let tensors = [inputs.first().copied().flatten(), outputs.first().copied()];
    tensors
        .into_iter()
        .flatten()
        .any(|tensor| tensor.quantization.as_ref().is_some_and(|q| q.is_per_channel()))
}

/// The factor between the product of two operands' integers and the result's; 0 where a scale is missing.
fn product_of_scales(inputs: &[Option<&Tensor<'_>>], outputs: &[&Tensor<'_>]) -> f32 {
    let scale = |tensor: Option<&Tensor<'_>>| {
        tensor.and_then(|tensor| tensor.quantization.as_ref()?.scale.first().copied()).unwrap_or_default()
    };
    let input = |index: usize| scale(inputs.get(index).copied().flatten());
    input(0) * input(1) / scale(outputs.first().copied())
}

/// Whether the weights of a convolution see fewer channels than the input has.
fn is_grouped(inputs: &[Option<&Tensor<'_>>]) -> bool {
    let channels = |index: usize| inputs.get(index).copied().flatten().and_then(|tensor| tensor.shape.last());
    channels(0) != channels(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{FullyConnectedOptions, Pool2dOptions, Quantization};

    fn tensor(element_type: ElementType) -> Tensor<'static> {
        Tensor::new("", element_type, [1, 4])
    }

    #[test]
    fn versions_follow_the_activations() {
        let (float, int16) = (tensor(ElementType::Float32), tensor(ElementType::Int16));
        let version = |op: Op, input: &Tensor<'_>, output: &Tensor<'_>| op.version(&[Some(input)], &[output]);
        assert_eq!(version(Op::Quantize, &float, &int16), 2);
        assert_eq!(version(Op::Dequantize, &int16, &float), 3);
        assert_eq!(version(Op::MaxPool2d(Pool2dOptions::default()), &float, &float), 1);
        let channels = tensor(ElementType::Int8).quantized(Quantization::per_channel([1.0; 4].into(), 1));
        assert_eq!(version(Op::Dequantize, &channels, &float), 5);
    }

    #[test]
    fn versions_follow_the_options() {
        let tensors = [tensor(ElementType::Int16), tensor(ElementType::Int8), tensor(ElementType::Int64)];
        let [x, weights, bias] = &tensors;
        let options = FullyConnectedOptions { quantized_bias_type: ElementType::Int32, ..Default::default() };
        let version =
            |options, bias| Op::FullyConnected(options).version(&[Some(x), Some(weights), bias], &[x]);
        assert_eq!(version(options, Some(bias)), 11);
        assert_eq!(version(FullyConnectedOptions::default(), Some(bias)), 1);
        assert_eq!(version(FullyConnectedOptions::default(), None), 6);
    }
}
