//! What the networks are made of.

use burn::nn::PaddingConfig2d;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::tensor::{Device, Tensor};

/// A convolution that keeps height and width.
pub(crate) fn conv(channels: [usize; 2], kernel: usize, device: &Device) -> Conv2d {
    let side = kernel / 2;
    Conv2dConfig::new(channels, [kernel, kernel])
        .with_padding(PaddingConfig2d::Explicit(side, side, side, side))
        .init(device)
}

/// `[N, H, W, C]` as Burn's convolutions take it.
pub(crate) fn image(x: Tensor<4>) -> Tensor<4> {
    x.permute([0, 3, 1, 2])
}

/// `[N, C, H, W]` as TensorFlow Lite stores it.
pub(crate) fn pixels(x: Tensor<4>) -> Tensor<4> {
    x.permute([0, 2, 3, 1])
}
