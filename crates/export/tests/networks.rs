//! Networks of every kind: their exported models compute what Burn computes, for any batch, and convolutional ones move no
//! elements.

#![allow(clippy::unwrap_used, reason = "a test's helpers fail with it")]

use burn::module::Module;
use burn::nn::conv::{Conv1d, Conv1dConfig, Conv2d, Conv2dConfig, ConvTranspose2d, ConvTranspose2dConfig};
use burn::nn::gru::{Gru, GruConfig};
use burn::nn::interpolate::{Interpolate2d, Interpolate2dConfig};
use burn::nn::pool::{AdaptiveAvgPool2d, AdaptiveAvgPool2dConfig, MaxPool2d, MaxPool2dConfig};
use burn::nn::transformer::{TransformerEncoder, TransformerEncoderConfig, TransformerEncoderInput};
use burn::nn::{
    BatchNorm, BatchNormConfig, LayerNorm, LayerNormConfig, Linear, LinearConfig, Lstm, LstmConfig,
    PaddingConfig1d, PaddingConfig2d,
};
use burn::tensor::activation::{gelu, hard_swish, relu, sigmoid, tanh};
use burn::tensor::{Device, Tensor, TensorData};
use burnlite_export::Exporter;
use burnlite_runtime::Interpreter;
use burnlite_tflite::Model;

fn device() -> Device {
    let device = Device::flex();
    device.seed(7);
    device
}

fn numbers<const D: usize>(shape: [usize; D]) -> Tensor<D> {
    let len: usize = shape.iter().product();
    let number = |index: usize| ((index * 7919 + len * 31) % 2003) as f32 / 1001.5 - 1.0;
    Tensor::from_data(TensorData::new((0..len).map(number).collect(), shape), &Device::flex())
}

/// The names of the operators of the model exported from `forward`, whose results equal Burn's for batches of 1 and 3.
fn operators<M: Module, const I: usize, const O: usize>(
    module: &M,
    x: Tensor<I>,
    forward: impl Fn(&M, Tensor<I>) -> Tensor<O>,
) -> Vec<String> {
    let bytes = Exporter::new().export(module, x.clone(), &forward).unwrap().to_bytes().unwrap();
    let model = Model::from_bytes(&bytes).unwrap();
    for x in [x.clone(), Tensor::cat(vec![x.clone(), x.clone() * 0.5, x.neg()], 0)] {
        let mut interpreter = Interpreter::new(&model).unwrap();
        interpreter.resize_input(0, &x.dims()).unwrap();
        interpreter.set_input(0, &x.clone().try_into_vec_as::<f32>().unwrap()).unwrap();
        interpreter.invoke().unwrap();
        let found = interpreter.output::<f32>(0).unwrap();
        let expected: Vec<f32> = forward(module, x).try_into_vec_as().unwrap();
        assert_eq!(found.len(), expected.len());
        let largest = expected.iter().fold(1e-3_f32, |largest, number| largest.max(number.abs()));
        for (found, expected) in found.iter().zip(&expected) {
            assert!((found - expected).abs() <= 1e-4 * largest, "{found}, expected {expected}");
        }
    }
    model.main().unwrap().operators.iter().map(|operator| operator.op.name().into()).collect()
}

fn count(operators: &[String], name: &str) -> usize {
    operators.iter().filter(|found| *found == name).count()
}

/// Exports a convolutional network for images `[N, H, W, C]` and expects no TRANSPOSE.
fn convolutional<M: Module, const O: usize>(
    module: &M,
    image: [usize; 3],
    forward: impl Fn(&M, Tensor<4>) -> Tensor<O>,
) -> Vec<String> {
    let x = numbers([1, image[0], image[1], image[2]]);
    let operators = operators(module, x, |module, x| forward(module, x.permute([0, 3, 1, 2])));
    assert_eq!(count(&operators, "TRANSPOSE"), 0, "{operators:?}");
    operators
}

fn conv(channels: [usize; 2], kernel: usize, stride: usize, groups: usize) -> Conv2d {
    let padding = kernel / 2;
    Conv2dConfig::new(channels, [kernel, kernel])
        .with_stride([stride, stride])
        .with_padding(PaddingConfig2d::Explicit(padding, padding, padding, padding))
        .with_groups(groups)
        .init(&device())
}

/// A batch norm whose statistics are not those of a new one.
fn norm(channels: usize) -> BatchNorm {
    let mut norm = BatchNormConfig::new(channels).init(&device());
    norm.gamma = burn::module::Param::from_tensor(numbers([channels]) + 1.5);
    norm.beta = burn::module::Param::from_tensor(numbers([channels]));
    norm
}

#[derive(Module, Debug)]
struct LeNet {
    first: Conv2d,
    second: Conv2d,
    pool: MaxPool2d,
    dense: Vec<Linear>,
}

#[test]
fn lenet() {
    let linear = |inputs, outputs| LinearConfig::new(inputs, outputs).init(&device());
    let network = LeNet {
        first: conv([1, 6], 5, 1, 1),
        second: Conv2dConfig::new([6, 16], [5, 5]).init(&device()),
        pool: MaxPool2dConfig::new([2, 2]).with_strides([2, 2]).init(),
        dense: vec![linear(16 * 5 * 5, 120), linear(120, 84), linear(84, 10)],
    };
    let found = convolutional(&network, [28, 28, 1], |network: &LeNet, x| {
        let x = network.pool.forward(relu(network.first.forward(x)));
        let x = network.pool.forward(relu(network.second.forward(x)));
        let mut x: Tensor<2> = x.flatten(1, 3);
        for (index, dense) in network.dense.iter().enumerate() {
            x = dense.forward(x);
            x = if index < 2 { tanh(x) } else { x };
        }
        x
    });
    assert_eq!(count(&found, "FULLY_CONNECTED"), 3);
}

#[derive(Module, Debug)]
struct ResidualBlock {
    convs: Vec<Conv2d>,
    norms: Vec<BatchNorm>,
    shortcut: Option<Conv2d>,
}

impl ResidualBlock {
    fn new(channels: [usize; 2], stride: usize) -> Self {
        let [inputs, outputs] = channels;
        Self {
            convs: vec![conv(channels, 3, stride, 1), conv([outputs, outputs], 3, 1, 1)],
            norms: vec![norm(outputs), norm(outputs)],
            shortcut: (inputs != outputs).then(|| conv(channels, 1, stride, 1)),
        }
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let y = relu(self.norms[0].forward(self.convs[0].forward(x.clone())));
        let y = self.norms[1].forward(self.convs[1].forward(y));
        relu(y + self.shortcut.as_ref().map_or(x.clone(), |shortcut| shortcut.forward(x)))
    }
}

#[derive(Module, Debug)]
struct ResNet {
    stem: Conv2d,
    norm: BatchNorm,
    pool: MaxPool2d,
    blocks: Vec<ResidualBlock>,
    global: AdaptiveAvgPool2d,
    dense: Linear,
}

#[test]
fn resnet() {
    let network = ResNet {
        stem: conv([3, 8], 7, 2, 1),
        norm: norm(8),
        pool: MaxPool2dConfig::new([3, 3])
            .with_strides([2, 2])
            .with_padding(PaddingConfig2d::Explicit(1, 1, 1, 1))
            .init(),
        blocks: vec![
            ResidualBlock::new([8, 8], 1),
            ResidualBlock::new([8, 16], 2),
            ResidualBlock::new([16, 16], 1),
        ],
        global: AdaptiveAvgPool2dConfig::new([1, 1]).init(),
        dense: LinearConfig::new(16, 10).init(&device()),
    };
    let found = convolutional(&network, [32, 32, 3], |network: &ResNet, x| {
        let mut x = network.pool.forward(relu(network.norm.forward(network.stem.forward(x))));
        for block in &network.blocks {
            x = block.forward(x);
        }
        network.dense.forward::<2>(network.global.forward(x).flatten(1, 3))
    });
    assert_eq!((count(&found, "CONV_2D"), count(&found, "ADD")), (8, 3));
    assert_eq!(count(&found, "RELU") + count(&found, "MUL") + count(&found, "PADV2"), 0, "{found:?}");
}

#[derive(Module, Debug)]
struct InvertedResidual {
    expand: Conv2d,
    depthwise: Conv2d,
    squeeze: Linear,
    excite: Linear,
    project: Conv2d,
    norm: BatchNorm,
}

#[test]
fn a_mobilenet_block_with_squeeze_and_excite() {
    let linear = |inputs, outputs| LinearConfig::new(inputs, outputs).init(&device());
    let block = InvertedResidual {
        expand: conv([8, 24], 1, 1, 1),
        depthwise: conv([24, 24], 3, 1, 24),
        squeeze: linear(24, 6),
        excite: linear(6, 24),
        project: conv([24, 8], 1, 1, 1),
        norm: norm(8),
    };
    let found = convolutional(&block, [10, 12, 8], |block: &InvertedResidual, x| {
        let y = hard_swish(block.expand.forward(x.clone()));
        let y = block.depthwise.forward(y).clamp(0.0, 6.0);
        let [batch, channels, ..] = y.dims();
        let gate = y.clone().mean_dim(2).mean_dim(3).reshape([batch, channels]);
        let gate = sigmoid(block.excite.forward(relu(block.squeeze.forward(gate))));
        let y = y * gate.reshape([batch, channels, 1, 1]);
        (x + block.norm.forward(block.project.forward(y))).permute([0, 2, 3, 1])
    });
    assert_eq!((count(&found, "DEPTHWISE_CONV_2D"), count(&found, "HARD_SWISH")), (1, 1), "{found:?}");
}

#[derive(Module, Debug)]
struct UNet {
    down: Conv2d,
    middle: Conv2d,
    up: ConvTranspose2d,
    resize: Interpolate2d,
    join: Conv2d,
    head: Conv2d,
    pool: MaxPool2d,
}

#[test]
fn a_unet_with_learned_and_fixed_upsampling() {
    let network = UNet {
        down: conv([3, 6], 3, 1, 1),
        middle: conv([6, 12], 3, 1, 1),
        up: ConvTranspose2dConfig::new([12, 6], [2, 2]).with_stride([2, 2]).init(&device()),
        resize: Interpolate2dConfig::new().with_scale_factor(Some([2.0, 2.0])).init(),
        join: conv([24, 6], 3, 1, 1),
        head: conv([6, 2], 1, 1, 1),
        pool: MaxPool2dConfig::new([2, 2]).with_strides([2, 2]).init(),
    };
    let found = convolutional(&network, [16, 12, 3], |network: &UNet, x| {
        let skip = relu(network.down.forward(x));
        let middle = relu(network.middle.forward(network.pool.forward(skip.clone())));
        let up = vec![network.up.forward(middle.clone()), network.resize.forward(middle), skip];
        network.head.forward(relu(network.join.forward(Tensor::cat(up, 1)))).permute([0, 2, 3, 1])
    });
    assert_eq!((count(&found, "CONCATENATION"), count(&found, "TRANSPOSE_CONV")), (1, 1), "{found:?}");
}

#[test]
fn espcn_ends_in_depth_to_space() {
    let network = vec![conv([1, 8], 5, 1, 1), conv([8, 4], 3, 1, 1), conv([4, 9], 3, 1, 1)];
    let shuffle = burn::nn::PixelShuffleConfig::new(3).init();
    let found = convolutional(&network, [8, 10, 1], |network: &Vec<Conv2d>, x| {
        let x = tanh(network[1].forward(tanh(network[0].forward(x))));
        shuffle.forward(network[2].forward(x)).permute([0, 2, 3, 1])
    });
    assert_eq!(count(&found, "DEPTH_TO_SPACE"), 1, "{found:?}");
}

#[derive(Module, Debug)]
struct KeywordSpotter {
    stem: Conv2d,
    depthwise: Vec<Conv2d>,
    pointwise: Vec<Conv2d>,
    norms: Vec<BatchNorm>,
    dense: Linear,
}

#[test]
fn a_ds_cnn_for_keywords() {
    let network = KeywordSpotter {
        stem: Conv2dConfig::new([1, 8], [10, 4])
            .with_stride([2, 2])
            .with_padding(PaddingConfig2d::Same)
            .init(&device()),
        depthwise: (0..2).map(|_| conv([8, 8], 3, 1, 8)).collect(),
        pointwise: (0..2).map(|_| conv([8, 8], 1, 1, 1)).collect(),
        norms: (0..4).map(|_| norm(8)).collect(),
        dense: LinearConfig::new(8, 12).init(&device()),
    };
    let found = convolutional(&network, [24, 10, 1], |network: &KeywordSpotter, x| {
        let mut x = relu(network.stem.forward(x));
        for block in 0..2 {
            x = relu(network.norms[2 * block].forward(network.depthwise[block].forward(x)));
            x = relu(network.norms[2 * block + 1].forward(network.pointwise[block].forward(x)));
        }
        network.dense.forward::<2>(x.mean_dim(2).mean_dim(3).flatten(1, 3))
    });
    assert_eq!(count(&found, "DEPTHWISE_CONV_2D"), 2, "{found:?}");
}

#[test]
fn dilated_convolutions_of_a_sequence() {
    let layers: Vec<Conv1d> = [1, 2, 4]
        .map(|dilation| {
            Conv1dConfig::new(6, 12, 3)
                .with_dilation(dilation)
                .with_padding(PaddingConfig1d::Explicit(2 * dilation, 0))
                .init(&device())
        })
        .into();
    let found = operators(&layers, numbers([1, 20, 6]), |layers: &Vec<Conv1d>, x: Tensor<3>| {
        let mut x = x.swap_dims(1, 2);
        for layer in layers {
            let y = layer.forward(x.clone());
            let [filter, gate] = y.chunk(2, 1).try_into().unwrap();
            x = x + tanh(filter) * sigmoid(gate);
        }
        x.swap_dims(1, 2)
    });
    assert_eq!((count(&found, "TRANSPOSE"), count(&found, "CONV_2D")), (0, 3), "{found:?}");
}

#[test]
fn a_gru_classifier() {
    let module: (Gru, Linear) =
        (GruConfig::new(5, 8, true).init(&device()), LinearConfig::new(8, 3).init(&device()));
    let found = operators(&module, numbers([1, 6, 5]), |module, x: Tensor<3>| {
        let states = module.0.forward(x, None);
        module.1.forward(states.narrow(1, 5, 1).squeeze_dim::<2>(1))
    });
    assert_eq!(count(&found, "CONCATENATION"), 1, "{found:?}");
}

#[test]
fn an_lstm_classifier() {
    let module: (Lstm, Linear) =
        (LstmConfig::new(5, 8, true).init(&device()), LinearConfig::new(8, 3).init(&device()));
    operators(&module, numbers([1, 6, 5]), |module, x: Tensor<3>| {
        let (_, state) = module.0.forward(x, None);
        module.1.forward(state.hidden)
    });
}

#[test]
fn a_transformer_encoder() {
    let encoder: TransformerEncoder = TransformerEncoderConfig::new(8, 16, 2, 1).init(&device());
    let found = operators(&encoder, numbers([1, 6, 8]), |encoder, x: Tensor<3>| {
        encoder.forward(TransformerEncoderInput::new(x))
    });
    assert_eq!(count(&found, "BATCH_MATMUL"), 2, "{found:?}");
}

#[derive(Module, Debug)]
struct MixerBlock {
    norms: Vec<LayerNorm>,
    tokens: Vec<Linear>,
    channels: Vec<Linear>,
}

#[test]
fn an_mlp_mixer_block() {
    let linear = |inputs, outputs| LinearConfig::new(inputs, outputs).init(&device());
    let block = MixerBlock {
        norms: vec![LayerNormConfig::new(8).init(&device()), LayerNormConfig::new(8).init(&device())],
        tokens: vec![linear(6, 12), linear(12, 6)],
        channels: vec![linear(8, 16), linear(16, 8)],
    };
    operators(&block, numbers([1, 6, 8]), |block: &MixerBlock, x: Tensor<3>| {
        let y = block.norms[0].forward(x.clone()).swap_dims(1, 2);
        let x = x + block.tokens[1].forward(gelu(block.tokens[0].forward(y))).swap_dims(1, 2);
        let y = block.norms[1].forward(x.clone());
        x + block.channels[1].forward(gelu(block.channels[0].forward(y)))
    });
}
