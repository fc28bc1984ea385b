//! Layers.

use burn::backend::capture::CaptureBackend;
use burn::backend::ops::ModuleOps;
use burn::nn::attention::{
    CrossAttentionConfig, MhaInput, MultiHeadAttentionConfig, generate_autoregressive_mask,
};
use burn::nn::conv::{Conv1dConfig, Conv2dConfig, ConvTranspose1dConfig, ConvTranspose2dConfig};
use burn::nn::interpolate::{Interpolate1dConfig, Interpolate2dConfig, InterpolateMode};
use burn::nn::pool::{
    AdaptiveAvgPool1dConfig, AdaptiveAvgPool2dConfig, AvgPool1dConfig, AvgPool2dConfig, MaxPool1dConfig,
    MaxPool2dConfig,
};
use burn::nn::*;
use burn::tensor::module::{attention, max_pool1d_with_indices, max_pool2d_with_indices};
use burn::tensor::ops::{AttentionModuleOptions, MaxPoolOptions};
use burn::tensor::{Device, Tensor};

use super::{FUNCTION, of_images, of_matrices};
use crate::case::{Case, numbers};

pub(super) fn layers() -> Vec<Case> {
    let device = Device::flex();
    let image = || numbers([3, 4, 9, 8]);
    let sequence = || numbers([3, 4, 11]);
    let conv2d = |outputs: usize| Conv2dConfig::new([4, outputs], [3, 3]);
    let conv1d = |outputs: usize| Conv1dConfig::new(4, outputs, 3);
    vec![
        Case::new(
            "linear",
            LinearConfig::new(6, 5).init(&device),
            numbers([3, 6]),
            |layer: &Linear, x: Tensor<2>| layer.forward(x),
        ),
        Case::new(
            "linear_of_sequences",
            LinearConfig::new(6, 5).with_bias(false).init(&device),
            numbers([3, 4, 6]),
            |layer: &Linear, x: Tensor<3>| layer.forward(x),
        ),
        Case::new(
            "linear_of_the_backend",
            LinearConfig::new(6, 5).init(&device),
            numbers([3, 6]),
            |layer: &Linear, x: Tensor<2>| {
                linear_of_the_backend(layer, x.clone()).unwrap_or_else(|| layer.forward(x))
            },
        ),
        of_matrices("matmul", |x| x.clone().matmul(x.swap_dims(1, 2))),
        Case::new("conv2d", conv2d(5).init(&device), image(), |layer: &conv::Conv2d, x| layer.forward(x)),
        Case::new(
            "conv2d_with_stride_and_dilation",
            conv2d(5).with_stride([2, 1]).with_dilation([1, 2]).init(&device),
            image(),
            |layer: &conv::Conv2d, x| layer.forward(x),
        ),
        Case::new(
            "conv2d_with_same_padding",
            conv2d(5).with_padding(PaddingConfig2d::Same).init(&device),
            image(),
            |layer: &conv::Conv2d, x| layer.forward(x),
        ),
        Case::new(
            "conv2d_with_asymmetric_padding",
            conv2d(5).with_padding(PaddingConfig2d::Explicit(2, 0, 1, 3)).init(&device),
            image(),
            |layer: &conv::Conv2d, x| layer.forward(x),
        ),
        Case::new(
            "conv2d_in_groups",
            conv2d(6).with_groups(2).with_bias(false).init(&device),
            image(),
            |layer: &conv::Conv2d, x| layer.forward(x),
        ),
        Case::new(
            "conv2d_of_each_channel",
            conv2d(8).with_groups(4).init(&device),
            image(),
            |layer: &conv::Conv2d, x| layer.forward(x),
        ),
        Case::new(
            "conv1d",
            conv1d(5).with_padding(PaddingConfig1d::Explicit(2, 0)).init(&device),
            sequence(),
            |layer: &conv::Conv1d, x| layer.forward(x),
        ),
        Case::new(
            "conv1d_with_dilation",
            conv1d(4).with_groups(4).with_dilation(3).init(&device),
            sequence(),
            |layer: &conv::Conv1d, x| layer.forward(x),
        ),
        Case::new(
            "conv_transpose2d",
            ConvTranspose2dConfig::new([4, 5], [3, 3])
                .with_stride([2, 2])
                .with_padding([1, 1])
                .with_padding_out([1, 0])
                .init(&device),
            image(),
            |layer: &conv::ConvTranspose2d, x| layer.forward(x),
        ),
        Case::new(
            "conv_transpose2d_in_groups_with_dilation",
            ConvTranspose2dConfig::new([4, 6], [3, 2]).with_groups(2).with_dilation([2, 1]).init(&device),
            image(),
            |layer: &conv::ConvTranspose2d, x| layer.forward(x),
        ),
        Case::new(
            "conv_transpose1d",
            ConvTranspose1dConfig::new([4, 5], 4).with_stride(2).with_padding(1).init(&device),
            sequence(),
            |layer: &conv::ConvTranspose1d, x| layer.forward(x),
        ),
        Case::new(
            "max_pool2d",
            MaxPool2dConfig::new([3, 3])
                .with_strides([2, 2])
                .with_padding(PaddingConfig2d::Explicit(1, 1, 1, 1))
                .init(),
            image(),
            |pool: &pool::MaxPool2d, x| pool.forward(x),
        ),
        Case::new(
            "max_pool1d",
            MaxPool1dConfig::new(2).with_stride(2).init(),
            sequence(),
            |pool: &pool::MaxPool1d, x| pool.forward(x),
        ),
        of_images("max_pool2d_beside_places_that_nobody_reads", |x| {
            max_pool2d_with_indices(x, MaxPoolOptions::new([2, 2])).0
        }),
        Case::new("max_pool1d_beside_places_that_nobody_reads", FUNCTION, sequence(), |_, x: Tensor<3>| {
            max_pool1d_with_indices(x, MaxPoolOptions::new([2])).0
        }),
        Case::new(
            "avg_pool2d",
            AvgPool2dConfig::new([3, 3])
                .with_strides([2, 2])
                .with_padding(PaddingConfig2d::Explicit(1, 1, 1, 1))
                .init(),
            image(),
            |pool: &pool::AvgPool2d, x| pool.forward(x),
        ),
        Case::new(
            "avg_pool2d_without_the_border",
            AvgPool2dConfig::new([3, 3])
                .with_padding(PaddingConfig2d::Explicit(1, 1, 1, 1))
                .with_count_include_pad(false)
                .init(),
            image(),
            |pool: &pool::AvgPool2d, x| pool.forward(x),
        ),
        Case::new(
            "avg_pool1d",
            AvgPool1dConfig::new(3).with_stride(2).init(),
            sequence(),
            |pool: &pool::AvgPool1d, x| pool.forward(x),
        ),
        Case::new(
            "adaptive_avg_pool2d",
            AdaptiveAvgPool2dConfig::new([4, 3]).init(),
            image(),
            |pool: &pool::AdaptiveAvgPool2d, x| pool.forward(x),
        ),
        Case::new(
            "adaptive_avg_pool1d",
            AdaptiveAvgPool1dConfig::new(4).init(),
            sequence(),
            |pool: &pool::AdaptiveAvgPool1d, x| pool.forward(x),
        ),
    ]
}

pub(super) fn norms() -> Vec<Case> {
    let device = Device::flex();
    let image = || numbers([3, 4, 5, 6]);
    vec![
        Case::new(
            "batch_norm",
            BatchNormConfig::new(4).init(&device),
            image(),
            |norm: &BatchNorm, x: Tensor<4>| norm.forward(x),
        ),
        Case::new(
            "layer_norm",
            LayerNormConfig::new(6).init(&device),
            image(),
            |norm: &LayerNorm, x: Tensor<4>| norm.forward(x),
        ),
        Case::new(
            "group_norm",
            GroupNormConfig::new(2, 4).init(&device),
            image(),
            |norm: &GroupNorm, x: Tensor<4>| norm.forward(x),
        ),
        Case::new(
            "instance_norm",
            InstanceNormConfig::new(4).init(&device),
            image(),
            |norm: &InstanceNorm, x: Tensor<4>| norm.forward(x),
        ),
        Case::new(
            "rms_norm",
            RmsNormConfig::new(6).init(&device),
            image(),
            |norm: &RmsNorm, x: Tensor<4>| norm.forward(x),
        ),
    ]
}

pub(super) fn resizes() -> Vec<Case> {
    let resize = |mode: InterpolateMode| {
        Interpolate2dConfig::new().with_output_size(Some([9, 5])).with_mode(mode).init()
    };
    let image = || numbers([3, 2, 6, 7]);
    vec![
        Case::new(
            "resize_nearest",
            resize(InterpolateMode::Nearest),
            image(),
            |resize: &interpolate::Interpolate2d, x| resize.forward(x),
        ),
        Case::new(
            "resize_linear",
            resize(InterpolateMode::Linear),
            image(),
            |resize: &interpolate::Interpolate2d, x| resize.forward(x),
        ),
        Case::new(
            "resize_cubic",
            resize(InterpolateMode::Cubic),
            image(),
            |resize: &interpolate::Interpolate2d, x| resize.forward(x),
        ),
        Case::new(
            "resize_of_sequences",
            Interpolate1dConfig::new().with_output_size(Some(12)).init(),
            numbers([3, 2, 6]),
            |resize: &interpolate::Interpolate1d, x| resize.forward(x),
        ),
        Case::new(
            "pixel_shuffle",
            PixelShuffleConfig::new(2).init(),
            numbers([3, 8, 3, 4]),
            |shuffle: &PixelShuffle, x: Tensor<4>| shuffle.forward(x),
        ),
    ]
}

pub(super) fn sequences() -> Vec<Case> {
    let device = Device::flex();
    let sequence = || numbers([3, 5, 8]);
    vec![
        Case::new(
            "lstm",
            LstmConfig::new(8, 6, true).init(&device),
            sequence(),
            |lstm: &Lstm, x: Tensor<3>| lstm.forward(x, None).0,
        ),
        Case::new(
            "bidirectional_lstm",
            BiLstmConfig::new(8, 6, true).init(&device),
            sequence(),
            |lstm: &BiLstm, x: Tensor<3>| lstm.forward(x, None).0,
        ),
        Case::new(
            "gru",
            gru::GruConfig::new(8, 6, true).init(&device),
            sequence(),
            |gru: &gru::Gru, x: Tensor<3>| gru.forward(x, None),
        ),
        Case::new("attention", FUNCTION, numbers([3, 2, 4, 5]), |_, x: Tensor<4>| {
            let options = AttentionModuleOptions { scale: Some(0.7), softcap: Some(2.0), is_causal: true };
            attention(x.clone(), x.clone() * 2.0, x, None, None, options)
        }),
        Case::new(
            "multi_head_attention",
            MultiHeadAttentionConfig::new(8, 2).init(&device),
            sequence(),
            |module: &attention::MultiHeadAttention, x: Tensor<3>| {
                let [batch, length, _] = x.dims();
                let mask = generate_autoregressive_mask(batch, length, &x.device());
                module.forward(MhaInput::self_attn(x).mask_attn(mask)).context
            },
        ),
        Case::new(
            "cross_attention",
            CrossAttentionConfig::new(8, 8, 2, 2, 4).init(&device),
            (sequence(), numbers([3, 7, 8])),
            |module: &attention::CrossAttention, (query, context): (Tensor<3>, Tensor<3>)| {
                module.forward(query, context, None)
            },
        ),
        Case::new(
            "rotary_positions",
            RotaryEncodingConfig::new(10, 8).init(&device),
            numbers([3, 2, 5, 8]),
            |module: &RotaryEncoding, x: Tensor<4>| module.forward(x),
        ),
    ]
}

/// The layer as one operation of the backend that captures, which Burn's tensors never ask for, but extensions of a backend
/// may; `None` on other backends.
fn linear_of_the_backend(layer: &Linear, x: Tensor<2>) -> Option<Tensor<2>> {
    let x = x.try_into_primitive::<CaptureBackend>().ok()?;
    let weight = layer.weight.val().try_into_primitive::<CaptureBackend>().ok()?;
    let bias = layer.bias.as_ref()?.val().try_into_primitive::<CaptureBackend>().ok()?;
    Some(Tensor::from_primitive::<CaptureBackend>(CaptureBackend::linear(x, weight, Some(bias))))
}
