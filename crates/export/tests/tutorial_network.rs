//! The tutorial's network: a convolution, a pool and a dense layer.

#![allow(clippy::unwrap_used, reason = "a test's helpers fail with it")]

use burn::module::{Module, Param};
use burn::nn::conv::Conv2d;
use burn::nn::pool::{MaxPool2d, MaxPool2dConfig};
use burn::nn::{Linear, PaddingConfig2d};
use burn::tensor::activation::relu;
use burn::tensor::{Device, Tensor, TensorData};
use burnlite_export::Exporter;
use burnlite_runtime::Interpreter;
use burnlite_tflite::{Activation, Model, Op, Padding, Tensor as FileTensor};

#[derive(Module, Debug)]
struct Network {
    conv: Conv2d,
    pool: MaxPool2d,
    dense: Linear,
}

impl Network {
    fn new() -> Self {
        let conv = Conv2d {
            weight: parameter([12, 1, 3, 3]),
            bias: Some(parameter([12])),
            stride: [1, 1],
            kernel_size: [3, 3],
            dilation: [1, 1],
            groups: 1,
            padding: PaddingConfig2d::Valid,
        };
        let dense = Linear { weight: parameter([12 * 13 * 13, 10]), bias: Some(parameter([10])) };
        Self { conv, pool: MaxPool2dConfig::new([2, 2]).init(), dense }
    }

    fn forward(&self, images: Tensor<3>) -> Tensor<2> {
        let [batch, height, width] = images.dims();
        let features = relu(self.conv.forward(images.reshape([batch, 1, height, width])));
        self.dense.forward(self.pool.forward(features).flatten(1, 3))
    }
}

fn numbers<const D: usize>(shape: [usize; D]) -> Tensor<D> {
    let len: usize = shape.iter().product();
    let number = |index: usize| ((index * 7919 + len * 31) % 2003) as f32 / 1001.5 - 1.0;
    Tensor::from_data(TensorData::new((0..len).map(number).collect(), shape), &Device::flex())
}

fn parameter<const D: usize>(shape: [usize; D]) -> Param<Tensor<D>> {
    Param::from_tensor(numbers(shape))
}

fn exported(network: &Network) -> Model<'static> {
    Exporter::new()
        .input("images")
        .output("logits")
        .export(network, numbers([1, 28, 28]), Network::forward)
        .unwrap()
}

fn tensor<'m>(model: &'m Model<'_>, name: &str) -> &'m FileTensor<'m> {
    model.graphs[0].tensors.iter().find(|tensor| tensor.name == name).unwrap()
}

#[test]
fn its_operators_are_those_of_the_notebook() {
    let model = exported(&Network::new());
    let graph = model.main().unwrap();
    let result = |index: usize| graph.tensor(graph.operators[index].outputs[0]).unwrap();
    let found: Vec<_> = graph
        .operators
        .iter()
        .enumerate()
        .map(|(index, operator)| {
            (operator.op.name(), result(index).name.as_str(), result(index).shape.as_slice())
        })
        .collect();
    assert_eq!(
        found,
        [
            ("RESHAPE", "conv/reshape", &[1, 28, 28, 1][..]),
            ("CONV_2D", "conv/relu", &[1, 26, 26, 12]),
            ("MAX_POOL_2D", "max_pool_2d", &[1, 13, 13, 12]),
            ("RESHAPE", "dense/reshape", &[1, 2028]),
            ("FULLY_CONNECTED", "logits", &[1, 10]),
        ]
    );
    for (index, shape) in found.iter().map(|(_, _, shape)| shape).enumerate() {
        let signature = result(index).shape_signature.as_ref().unwrap();
        assert_eq!(signature[0], -1);
        assert!(signature[1..].iter().zip(&shape[1..]).all(|(&signed, &extent)| signed as usize == extent));
    }
}

#[test]
fn the_convolution_is_valid_and_applies_relu() {
    let model = exported(&Network::new());
    let Op::Conv2d(options) = &model.graphs[0].operators[1].op else { panic!("not a convolution") };
    assert_eq!((options.padding, options.activation), (Padding::Valid, Activation::Relu));
    assert_eq!((options.stride_h, options.stride_w), (1, 1));
}

#[test]
fn weights_are_in_the_order_of_nhwc() {
    let network = Network::new();
    let model = exported(&network);
    let filters = tensor(&model, "conv/weight");
    assert_eq!(filters.shape, [12, 3, 3, 1]);
    // One channel: the order is Burn's.
    let expected: Vec<f32> = network.conv.weight.val().try_into_vec_as().unwrap();
    assert_eq!(filters.elements_of::<f32>().unwrap(), expected);

    let dense = tensor(&model, "dense/weight");
    assert_eq!(dense.shape, [10, 2028]);
    let (found, expected) =
        (dense.elements_of::<f32>().unwrap(), network.dense.weight.val().try_into_vec_as::<f32>().unwrap());
    for channel in 0..12 {
        for pixel in 0..13 * 13 {
            for class in 0..10 {
                let burn = (channel * 13 * 13 + pixel) * 10 + class;
                assert_eq!(found[class * 2028 + pixel * 12 + channel], expected[burn]);
            }
        }
    }
}

#[test]
fn it_computes_what_burn_computes_for_any_batch() {
    let network = Network::new();
    let model = exported(&network);
    for batch in [1, 4] {
        let images = numbers([batch, 28, 28]);
        let expected: Vec<f32> = network.forward(images.clone()).try_into_vec_as().unwrap();
        let mut interpreter = Interpreter::new(&model).unwrap();
        interpreter.resize_input(0, &[batch, 28, 28]).unwrap();
        interpreter.set_input(0, &images.try_into_vec_as::<f32>().unwrap()).unwrap();
        interpreter.invoke().unwrap();
        for (found, expected) in interpreter.output::<f32>(0).unwrap().iter().zip(expected) {
            assert!(
                // Both add up 2,028 products in single precision, in another order.
                (found - expected).abs() <= 1e-4 * expected.abs().max(1.0),
                "{found}, expected {expected}"
            );
        }
    }
}

#[test]
fn its_file_is_no_larger_than_the_notebooks() {
    let bytes = exported(&Network::new()).to_bytes().unwrap();
    assert!(bytes.len() <= 84_668, "{} bytes", bytes.len());
}
