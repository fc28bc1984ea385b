//! A PyTorch network as a `.tflite` file: the module written once more in Burn, its weights loaded from safetensors.
//!
//!     cargo run -p burnlite-export --example pytorch
//!
//! In PyTorch, `safetensors.torch.save_file(network.state_dict(), "digits.safetensors")` wrote the weights; here
//! `pytorch/make_weights.py` stands for it. The fields are called what they are called in PyTorch, and
//! [`PyTorchToBurnAdapter`] turns over what the two keep differently: the weights of dense layers, and the names in norms.
//! With its feature `pytorch`, burn-store also reads `.pt` files.

#![allow(clippy::print_stdout, reason = "an example says what it did")]

use std::path::Path;

use burn::module::Module;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::pool::{MaxPool2d, MaxPool2dConfig};
use burn::nn::{BatchNorm, BatchNormConfig, Linear, LinearConfig, PaddingConfig2d};
use burn::tensor::activation::relu;
use burn::tensor::{Device, Tensor};
use burn_store::{ModuleSnapshot, PyTorchToBurnAdapter, SafetensorsStore};
use burnlite_export::Exporter;
use burnlite_runtime::Interpreter;

#[derive(Module, Debug)]
struct Digits {
    conv1: Conv2d,
    norm1: BatchNorm,
    conv2: Conv2d,
    norm2: BatchNorm,
    pool: MaxPool2d,
    dense: Linear,
}

impl Digits {
    fn new(device: &Device) -> Self {
        let conv = |inputs: usize, outputs: usize| {
            let border = PaddingConfig2d::Explicit(1, 1, 1, 1);
            Conv2dConfig::new([inputs, outputs], [3, 3]).with_padding(border).init(device)
        };
        Self {
            conv1: conv(1, 4),
            norm1: BatchNormConfig::new(4).init(device),
            conv2: conv(4, 8),
            norm2: BatchNormConfig::new(8).init(device),
            pool: MaxPool2dConfig::new([2, 2]).with_strides([2, 2]).init(),
            dense: LinearConfig::new(8 * 4 * 4, 10).init(device),
        }
    }

    /// Scores of ten digits for images `[N, 1, 16, 16]`.
    fn forward(&self, images: Tensor<4>) -> Tensor<2> {
        let x = self.pool.forward(relu(self.norm1.forward(self.conv1.forward(images))));
        let x = self.pool.forward(relu(self.norm2.forward(self.conv2.forward(x))));
        self.dense.forward(x.flatten(1, 3))
    }
}

/// What PyTorch's layers compute for the image below, as `pytorch/make_weights.py` prints it.
const SCORES: [f32; 10] =
    [0.13442, -0.06444, -0.14135, -0.18899, -0.43228, -0.02717, -0.14212, 0.06424, 0.38960, 0.09068];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let device = Device::flex();
    let weights = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/pytorch/digits.safetensors");
    let mut store =
        SafetensorsStore::from_bytes(Some(std::fs::read(&weights)?)).with_from_adapter(PyTorchToBurnAdapter);
    let mut network = Digits::new(&device);
    let loaded = network.load_from(&mut store)?;
    println!("{}: {} tensors", weights.display(), loaded.applied.len());

    let pixels: Vec<f32> = (0..256_u16).map(|index| f32::from(index % 17) / 16.0).collect();
    let image = Tensor::<1>::from_floats(pixels.as_slice(), &device).reshape([1, 1, 16, 16]);
    let path = std::env::temp_dir().join("burnlite_pytorch.tflite");
    let exporter = Exporter::new().input("image").output("scores");
    let model = exporter.save(&path, &network, image, Digits::forward)?;
    println!("{}: {} operators", path.display(), model.main()?.operators.len());

    let mut interpreter = Interpreter::new(&model)?;
    interpreter.set_input(0, &pixels)?;
    interpreter.invoke()?;
    let scores = interpreter.output::<f32>(0)?;
    println!("scores: {scores:.4?}");
    let farthest = scores.iter().zip(SCORES).map(|(ours, theirs)| (ours - theirs).abs()).fold(0.0, f32::max);
    println!("within {farthest:.0e} of PyTorch's");
    if farthest > 1e-4 { Err("the weights are not where PyTorch has them".into()) } else { Ok(()) }
}
