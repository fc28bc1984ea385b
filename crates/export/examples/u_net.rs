//! A U-Net: transposed convolutions, a bilinear resize, channels joined; one mask for each image.
//!
//!     cargo run -p burnlite-export --example u_net

#![allow(clippy::print_stdout, reason = "an example says what it did")]

use burn::module::Module;
use burn::nn::PaddingConfig2d;
use burn::nn::conv::{Conv2d, Conv2dConfig, ConvTranspose2d, ConvTranspose2dConfig};
use burn::nn::interpolate::{Interpolate2d, Interpolate2dConfig, InterpolateMode};
use burn::nn::pool::{MaxPool2d, MaxPool2dConfig};
use burn::tensor::activation::{relu, sigmoid};
use burn::tensor::{Device, Distribution, Tensor};
use burnlite_export::{Exporter, ImageLayout};
use burnlite_runtime::Interpreter;

#[derive(Module, Debug)]
struct UNet {
    outer: Conv2d,
    inner: Conv2d,
    pool: MaxPool2d,
    middle: Conv2d,
    learned: ConvTranspose2d,
    join_inner: Conv2d,
    resize: Interpolate2d,
    join_outer: Conv2d,
    head: Conv2d,
}

impl UNet {
    fn new(device: &Device) -> Self {
        let conv = |inputs: usize, outputs: usize| {
            let conv = Conv2dConfig::new([inputs, outputs], [3, 3]);
            conv.with_padding(PaddingConfig2d::Same).init(device)
        };
        let doubled = Interpolate2dConfig::new().with_scale_factor(Some([2.0, 2.0]));
        Self {
            outer: conv(3, 8),
            inner: conv(8, 16),
            pool: MaxPool2dConfig::new([2, 2]).with_strides([2, 2]).init(),
            middle: conv(16, 24),
            learned: ConvTranspose2dConfig::new([24, 16], [2, 2]).with_stride([2, 2]).init(device),
            join_inner: conv(32, 16),
            resize: doubled.with_mode(InterpolateMode::Linear).init(),
            join_outer: conv(24, 8),
            head: Conv2dConfig::new([8, 1], [1, 1]).init(device),
        }
    }

    /// Masks `[N, 1, H, W]` of images `[N, 3, H, W]`.
    fn forward(&self, images: Tensor<4>) -> Tensor<4> {
        let outer = relu(self.outer.forward(images));
        let inner = relu(self.inner.forward(self.pool.forward(outer.clone())));
        let x = relu(self.middle.forward(self.pool.forward(inner.clone())));
        let x = Tensor::cat(vec![self.learned.forward(x), inner], 1);
        let x = self.resize.forward(relu(self.join_inner.forward(x)));
        let x = relu(self.join_outer.forward(Tensor::cat(vec![x, outer], 1)));
        sigmoid(self.head.forward(x))
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let device = Device::flex();
    device.seed(1);
    let network = UNet::new(&device);
    let images = Tensor::<4>::random([1, 3, 32, 32], Distribution::Default, &device);

    let path = std::env::temp_dir().join("burnlite_u_net.tflite");
    let exporter = Exporter::new().input("images").output("masks").layout(ImageLayout::Nhwc);
    let model = exporter.save(&path, &network, images.clone(), UNet::forward)?;
    let operators = &model.main()?.operators;
    let moved = operators.iter().filter(|operator| operator.op.name() == "TRANSPOSE").count();
    println!("{}: {} operators, {moved} of them TRANSPOSE", path.display(), operators.len());

    let mut interpreter = Interpreter::new(&model)?;
    interpreter.set_input(0, &images.permute([0, 2, 3, 1]).try_into_vec_as::<f32>()?)?;
    interpreter.invoke()?;
    let mask = interpreter.output::<f32>(0)?;
    let inside = mask.iter().filter(|&&probability| probability > 0.5).count();
    println!("{inside} of {} pixels are inside, arena of {} bytes", mask.len(), interpreter.arena_bytes());
    Ok(())
}
