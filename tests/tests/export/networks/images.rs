//! Convolutional networks on images.

use burn::module::Module;
use burn::nn::conv::{Conv2d, Conv2dConfig, ConvTranspose2d, ConvTranspose2dConfig};
use burn::nn::interpolate::{Interpolate2d, Interpolate2dConfig};
use burn::nn::pool::{
    AdaptiveAvgPool2d, AdaptiveAvgPool2dConfig, AvgPool2d, AvgPool2dConfig, MaxPool2d, MaxPool2dConfig,
};
use burn::nn::{
    BatchNorm, BatchNormConfig, Linear, LinearConfig, PaddingConfig2d, PixelShuffle, PixelShuffleConfig,
};
use burn::tensor::activation::{hard_swish, relu, sigmoid, tanh};
use burn::tensor::{Device, Tensor};

use super::Network;
use crate::case::{Arrays, Case, Setup, numbers};

pub(super) fn networks() -> Vec<Network> {
    vec![
        lenet(),
        resnet8(),
        resnet18(),
        mobilenet_v1(),
        mobilenet_v2(),
        squeeze_and_excite(),
        u_net(),
        srcnn(),
        espcn(),
        ds_cnn(),
    ]
}

fn network<M: Module + 'static, O: Arrays>(
    name: &'static str,
    module: M,
    image: [usize; 3],
    forward: impl Fn(&M, Tensor<4>) -> O + 'static,
) -> Network {
    let sample = numbers([3, image[0], image[1], image[2]]);
    Network { case: Case::with(Setup::Nhwc, name, module, sample, forward), is_convolutional: true }
}

fn conv(channels: [usize; 2], kernel: usize, stride: usize, groups: usize) -> Conv2d {
    let padding = kernel / 2;
    Conv2dConfig::new(channels, [kernel, kernel])
        .with_stride([stride, stride])
        .with_padding(PaddingConfig2d::Explicit(padding, padding, padding, padding))
        .with_groups(groups)
        .init(&Device::flex())
}

fn linear(inputs: usize, outputs: usize) -> Linear {
    LinearConfig::new(inputs, outputs).init(&Device::flex())
}

fn halving() -> MaxPool2d {
    MaxPool2dConfig::new([2, 2]).with_strides([2, 2]).init()
}

/// A convolution, normalized.
#[derive(Module, Debug)]
struct ConvNorm {
    conv: Conv2d,
    norm: BatchNorm,
}

impl ConvNorm {
    fn new(channels: [usize; 2], kernel: usize, stride: usize, groups: usize) -> Self {
        let norm = BatchNormConfig::new(channels[1]).init(&Device::flex());
        Self { conv: conv(channels, kernel, stride, groups), norm }
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        self.norm.forward(self.conv.forward(x))
    }
}

#[derive(Module, Debug)]
struct LeNet {
    convs: Vec<Conv2d>,
    pool: MaxPool2d,
    dense: Vec<Linear>,
}

fn lenet() -> Network {
    let second = Conv2dConfig::new([6, 16], [5, 5]).init(&Device::flex());
    let module = LeNet {
        convs: vec![conv([1, 6], 5, 1, 1), second],
        pool: halving(),
        dense: vec![linear(16 * 5 * 5, 120), linear(120, 84), linear(84, 10)],
    };
    network("lenet", module, [1, 28, 28], |module, mut x| {
        for conv in &module.convs {
            x = module.pool.forward(relu(conv.forward(x)));
        }
        let x = relu(module.dense[0].forward(x.flatten::<2>(1, 3)));
        module.dense[2].forward(relu(module.dense[1].forward(x)))
    })
}

#[derive(Module, Debug)]
struct Residual {
    first: ConvNorm,
    second: ConvNorm,
    shortcut: Option<ConvNorm>,
}

impl Residual {
    fn new([inputs, outputs]: [usize; 2], stride: usize) -> Self {
        Self {
            first: ConvNorm::new([inputs, outputs], 3, stride, 1),
            second: ConvNorm::new([outputs, outputs], 3, 1, 1),
            shortcut: (inputs != outputs).then(|| ConvNorm::new([inputs, outputs], 1, stride, 1)),
        }
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let y = self.second.forward(relu(self.first.forward(x.clone())));
        let shortcut = match &self.shortcut {
            Some(shortcut) => shortcut.forward(x),
            None => x,
        };
        relu(y + shortcut)
    }
}

#[derive(Module, Debug)]
struct ResNet {
    stem: ConvNorm,
    pool: Option<MaxPool2d>,
    blocks: Vec<Residual>,
    global: AdaptiveAvgPool2d,
    dense: Linear,
}

impl ResNet {
    fn forward(&self, x: Tensor<4>) -> Tensor<2> {
        let mut x = relu(self.stem.forward(x));
        if let Some(pool) = &self.pool {
            x = pool.forward(x);
        }
        for block in &self.blocks {
            x = block.forward(x);
        }
        self.dense.forward(self.global.forward(x).flatten(1, 3))
    }
}

/// As MLPerf Tiny has it.
fn resnet8() -> Network {
    let module = ResNet {
        stem: ConvNorm::new([3, 16], 3, 1, 1),
        pool: None,
        blocks: vec![Residual::new([16, 16], 1), Residual::new([16, 32], 2), Residual::new([32, 64], 2)],
        global: AdaptiveAvgPool2dConfig::new([1, 1]).init(),
        dense: linear(64, 10),
    };
    network("resnet8", module, [3, 32, 32], ResNet::forward)
}

/// Its shape, with an eighth of its channels.
fn resnet18() -> Network {
    let mut blocks = vec![Residual::new([8, 8], 1), Residual::new([8, 8], 1)];
    for (inputs, outputs) in [(8, 16), (16, 32), (32, 64)] {
        blocks.extend([Residual::new([inputs, outputs], 2), Residual::new([outputs, outputs], 1)]);
    }
    let border = PaddingConfig2d::Explicit(1, 1, 1, 1);
    let module = ResNet {
        stem: ConvNorm::new([3, 8], 7, 2, 1),
        pool: Some(MaxPool2dConfig::new([3, 3]).with_strides([2, 2]).with_padding(border).init()),
        blocks,
        global: AdaptiveAvgPool2dConfig::new([1, 1]).init(),
        dense: linear(64, 10),
    };
    network("resnet18", module, [3, 64, 64], ResNet::forward)
}

#[derive(Module, Debug)]
struct MobileNet {
    layers: Vec<ConvNorm>,
    pool: AvgPool2d,
    dense: Linear,
}

fn mobilenet_v1() -> Network {
    let mut layers = vec![ConvNorm::new([3, 8], 3, 2, 1)];
    for (inputs, outputs, stride) in [(8, 16, 1), (16, 24, 2), (24, 24, 1)] {
        layers.push(ConvNorm::new([inputs, inputs], 3, stride, inputs));
        layers.push(ConvNorm::new([inputs, outputs], 1, 1, 1));
    }
    let module = MobileNet { layers, pool: AvgPool2dConfig::new([8, 8]).init(), dense: linear(24, 5) };
    network("mobilenet_v1", module, [3, 32, 32], |module, mut x| {
        for layer in &module.layers {
            x = layer.forward(x).clamp(0.0, 6.0);
        }
        module.dense.forward(module.pool.forward(x).flatten::<2>(1, 3))
    })
}

#[derive(Module, Debug)]
struct InvertedResidual {
    expand: ConvNorm,
    depthwise: ConvNorm,
    project: ConvNorm,
    is_residual: bool,
}

impl InvertedResidual {
    fn new(inputs: usize, outputs: usize, stride: usize) -> Self {
        let inner = 3 * inputs;
        Self {
            expand: ConvNorm::new([inputs, inner], 1, 1, 1),
            depthwise: ConvNorm::new([inner, inner], 3, stride, inner),
            project: ConvNorm::new([inner, outputs], 1, 1, 1),
            is_residual: inputs == outputs && stride == 1,
        }
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let y = self.expand.forward(x.clone()).clamp(0.0, 6.0);
        let y = self.project.forward(self.depthwise.forward(y).clamp(0.0, 6.0));
        if self.is_residual { x + y } else { y }
    }
}

fn mobilenet_v2() -> Network {
    let module = vec![
        InvertedResidual::new(8, 8, 1),
        InvertedResidual::new(8, 12, 2),
        InvertedResidual::new(12, 12, 1),
    ];
    network("mobilenet_v2", module, [8, 16, 16], |blocks, x| {
        blocks.iter().fold(x, |x, block| block.forward(x)).max_dim(2).max_dim(3).flatten::<2>(1, 3)
    })
}

#[derive(Module, Debug)]
struct SqueezeAndExcite {
    conv: ConvNorm,
    squeeze: Linear,
    excite: Linear,
    project: ConvNorm,
}

fn squeeze_and_excite() -> Network {
    let module = SqueezeAndExcite {
        conv: ConvNorm::new([8, 24], 3, 1, 1),
        squeeze: linear(24, 6),
        excite: linear(6, 24),
        project: ConvNorm::new([24, 8], 1, 1, 1),
    };
    network("squeeze_and_excite", module, [8, 10, 12], |module, x| {
        let y = hard_swish(module.conv.forward(x.clone()));
        let [batch, channels, ..] = y.dims();
        let gate = y.clone().mean_dim(2).mean_dim(3).reshape([batch, channels]);
        let gate = sigmoid(module.excite.forward(relu(module.squeeze.forward(gate))));
        x + module.project.forward(y * gate.reshape([batch, channels, 1, 1]))
    })
}

#[derive(Module, Debug)]
struct UNet {
    down: Vec<ConvNorm>,
    pool: MaxPool2d,
    middle: ConvNorm,
    learned: ConvTranspose2d,
    fixed: Interpolate2d,
    up: Vec<ConvNorm>,
    head: Conv2d,
}

fn u_net() -> Network {
    let module = UNet {
        down: vec![ConvNorm::new([3, 8], 3, 1, 1), ConvNorm::new([8, 12], 3, 1, 1)],
        pool: halving(),
        middle: ConvNorm::new([12, 16], 3, 1, 1),
        learned: ConvTranspose2dConfig::new([16, 12], [2, 2]).with_stride([2, 2]).init(&Device::flex()),
        fixed: Interpolate2dConfig::new().with_scale_factor(Some([2.0, 2.0])).init(),
        up: vec![ConvNorm::new([24, 8], 3, 1, 1), ConvNorm::new([16, 8], 3, 1, 1)],
        head: conv([8, 1], 1, 1, 1),
    };
    network("u_net", module, [3, 32, 24], |module, x| {
        let first = relu(module.down[0].forward(x));
        let second = relu(module.down[1].forward(module.pool.forward(first.clone())));
        let x = relu(module.middle.forward(module.pool.forward(second.clone())));
        let x = Tensor::cat(vec![module.learned.forward(x), second], 1);
        let x = module.fixed.forward(relu(module.up[0].forward(x)));
        let x = relu(module.up[1].forward(Tensor::cat(vec![x, first], 1)));
        sigmoid(module.head.forward(x))
    })
}

/// Super-resolution behind a fixed resize.
fn srcnn() -> Network {
    let module = (
        Interpolate2dConfig::new().with_scale_factor(Some([2.0, 2.0])).init(),
        vec![conv([1, 12], 9, 1, 1), conv([12, 8], 1, 1, 1), conv([8, 1], 5, 1, 1)],
    );
    network("srcnn", module, [1, 12, 10], |(resize, convs): &(Interpolate2d, Vec<Conv2d>), x| {
        let x = relu(convs[1].forward(relu(convs[0].forward(resize.forward(x)))));
        convs[2].forward(x)
    })
}

/// Super-resolution before a pixel shuffle.
fn espcn() -> Network {
    let convs = vec![conv([1, 8], 5, 1, 1), conv([8, 4], 3, 1, 1), conv([4, 9], 3, 1, 1)];
    let module = (convs, PixelShuffleConfig::new(3).init());
    network("espcn", module, [1, 8, 10], |(convs, shuffle): &(Vec<Conv2d>, PixelShuffle), x| {
        let x = tanh(convs[1].forward(tanh(convs[0].forward(x))));
        shuffle.forward(convs[2].forward(x))
    })
}

#[derive(Module, Debug)]
struct KeywordSpotter {
    stem: ConvNorm,
    layers: Vec<ConvNorm>,
    dense: Linear,
}

/// Depthwise separable convolutions of a spectrogram, as MLPerf Tiny has them.
fn ds_cnn() -> Network {
    let device = Device::flex();
    let stem = Conv2dConfig::new([1, 16], [10, 4])
        .with_stride([2, 2])
        .with_padding(PaddingConfig2d::Explicit(4, 1, 5, 1))
        .init(&device);
    let mut layers = Vec::new();
    for _ in 0..2 {
        layers.push(ConvNorm::new([16, 16], 3, 1, 16));
        layers.push(ConvNorm::new([16, 16], 1, 1, 1));
    }
    let stem = ConvNorm { conv: stem, norm: BatchNormConfig::new(16).init(&device) };
    let module = KeywordSpotter { stem, layers, dense: linear(16, 12) };
    network("ds_cnn", module, [1, 49, 10], |module, x| {
        let mut x = relu(module.stem.forward(x));
        for layer in &module.layers {
            x = relu(layer.forward(x));
        }
        module.dense.forward(x.mean_dim(2).mean_dim(3).flatten::<2>(1, 3))
    })
}
