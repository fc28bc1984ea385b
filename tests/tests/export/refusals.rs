//! What cannot be exported, and what is said about it.

use burn::module::Module;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::{Linear, LinearConfig};
use burn::tensor::activation::relu;
use burn::tensor::module::max_pool2d_with_indices;
use burn::tensor::ops::MaxPoolOptions;
use burn::tensor::{Device, Int, Tensor};
use burnlite_export::Exporter;

use crate::case::numbers;

#[derive(Module, Debug)]
struct Encoder {
    conv: Conv2d,
    dense: Linear,
}

fn encoder() -> Encoder {
    let device = Device::flex();
    Encoder {
        conv: Conv2dConfig::new([1, 2], [3, 3]).init(&device),
        dense: LinearConfig::new(4, 5).init(&device),
    }
}

fn refusal<O: burnlite_export::Tensors>(forward: impl Fn(&Encoder, Tensor<4>) -> O) -> String {
    Exporter::new().export(&encoder(), numbers([1, 1, 6, 6]), forward).map(|_| ()).unwrap_err().to_string()
}

#[test]
fn an_operation_without_an_operator_is_named_with_its_place_and_a_hint() {
    let message = refusal(|module, x| relu(module.conv.forward(x)).erf());
    let (index, rest) = message.strip_prefix("operation ").unwrap().split_once(' ').unwrap();
    assert!(index.parse::<usize>().is_ok(), "{message}");
    assert_eq!(
        rest,
        "(Float.Erf) after 'conv' from [N, 2, 4, 4] to [N, 2, 4, 4] cannot be exported: TensorFlow Lite \
         has no error function: use burn::tensor::activation::gelu, which has an operator"
    );
}

#[test]
fn filters_that_are_computed_are_named_with_their_layer() {
    let message = refusal(|module, x| {
        let scale = x.clone().mean().reshape([1, 1, 1, 1]);
        let filters = module.conv.weight.val() * scale;
        burn::tensor::module::conv2d(
            x,
            filters,
            module.conv.bias.as_ref().map(|bias| bias.val()),
            burn::tensor::ops::ConvOptions::new([1, 1], [0, 0], [1, 1], 1),
        )
    });
    assert!(message.contains("(Module.Conv2d) in 'conv' from "), "{message}");
    assert!(
        message.ends_with("cannot be exported: the filter is computed, TensorFlow Lite wants it constant"),
        "{message}"
    );
}

#[test]
fn places_of_the_largest_elements_are_refused() {
    let message = refusal(|module, x| -> (Tensor<4>, Tensor<4, Int>) {
        max_pool2d_with_indices(module.conv.forward(x), MaxPoolOptions::new([2, 2]))
    });
    assert!(message.contains("(Module.MaxPool2dWithIndices) after 'conv' from [N, 2, 4, 4]"), "{message}");
    assert!(
        message.ends_with("TensorFlow Lite's pools do not say where an element was: use the elements alone"),
        "{message}"
    );
}

#[test]
fn a_forward_pass_of_another_form_for_each_batch_is_refused() {
    let message = refusal(|module, x| {
        let [batch, ..] = x.dims();
        let x = module.dense.forward(module.conv.forward(x));
        (0..batch).fold(x, |x, _| relu(x))
    });
    assert!(message.starts_with("the forward pass depends on the batch"), "{message}");
}
