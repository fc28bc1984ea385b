//! A residual network for images, exported with channels last, as LiteRT and its delegates like it.
//!
//!     cargo run -p burnlite-export --example image_classifier

#![allow(clippy::print_stdout, reason = "an example says what it did")]

use burn::module::Module;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::pool::{AdaptiveAvgPool2d, AdaptiveAvgPool2dConfig};
use burn::nn::{BatchNorm, BatchNormConfig, Linear, LinearConfig, PaddingConfig2d};
use burn::tensor::activation::{relu, softmax};
use burn::tensor::{Device, Distribution, Tensor};
use burnlite_export::{Exporter, ImageLayout};
use burnlite_runtime::Interpreter;

#[derive(Module, Debug)]
struct ConvNorm {
    conv: Conv2d,
    norm: BatchNorm,
}

impl ConvNorm {
    fn new(channels: [usize; 2], stride: usize, device: &Device) -> Self {
        let conv = Conv2dConfig::new(channels, [3, 3]).with_stride([stride, stride]);
        let conv = conv.with_padding(PaddingConfig2d::Explicit(1, 1, 1, 1)).with_bias(false);
        Self { conv: conv.init(device), norm: BatchNormConfig::new(channels[1]).init(device) }
    }

    fn forward(&self, images: Tensor<4>) -> Tensor<4> {
        self.norm.forward(self.conv.forward(images))
    }
}

#[derive(Module, Debug)]
struct Classifier {
    stem: ConvNorm,
    first: ConvNorm,
    second: ConvNorm,
    down: ConvNorm,
    pool: AdaptiveAvgPool2d,
    dense: Linear,
}

impl Classifier {
    fn new(device: &Device) -> Self {
        Self {
            stem: ConvNorm::new([3, 16], 1, device),
            first: ConvNorm::new([16, 16], 1, device),
            second: ConvNorm::new([16, 16], 1, device),
            down: ConvNorm::new([16, 32], 2, device),
            pool: AdaptiveAvgPool2dConfig::new([1, 1]).init(),
            dense: LinearConfig::new(32, 10).init(device),
        }
    }

    /// Probabilities of ten classes for images `[N, 3, H, W]`.
    fn forward(&self, images: Tensor<4>) -> Tensor<2> {
        let x = relu(self.stem.forward(images));
        let y = self.second.forward(relu(self.first.forward(x.clone())));
        let x = relu(self.down.forward(relu(x + y)));
        softmax(self.dense.forward(self.pool.forward(x).flatten(1, 3)), 1)
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let device = Device::flex();
    device.seed(1);
    let classifier = Classifier::new(&device);
    let images = Tensor::<4>::random([2, 3, 32, 32], Distribution::Default, &device);

    let path = std::env::temp_dir().join("burnlite_image_classifier.tflite");
    let exporter = Exporter::new().input("images").output("probabilities").layout(ImageLayout::Nhwc);
    let model = exporter.save(&path, &classifier, images.clone(), Classifier::forward)?;
    println!("{}: {} bytes", path.display(), model.to_bytes()?.len());
    for operator in &model.main()?.operators {
        println!("  {}", operator.op.name());
    }

    // The file's images are [N, H, W, C].
    let pixels = images.permute([0, 2, 3, 1]).try_into_vec_as::<f32>()?;
    let mut interpreter = Interpreter::new(&model)?;
    interpreter.resize_input(0, &[2, 32, 32, 3])?;
    interpreter.set_input(0, &pixels)?;
    interpreter.invoke()?;
    for probabilities in interpreter.output::<f32>(0)?.chunks(10) {
        println!("{probabilities:.3?}");
    }
    Ok(())
}
