//! A WaveNet-like network for audio: dilated causal convolutions whose results open and close gates. It takes pieces of a
//! recording, `[N, L, C]`, and computes no piece twice.
//!
//!     cargo run -p burnlite-export --example audio_gates

#![allow(clippy::print_stdout, reason = "an example says what it did")]

use burn::module::Module;
use burn::nn::PaddingConfig1d;
use burn::nn::conv::{Conv1d, Conv1dConfig};
use burn::tensor::activation::{relu, sigmoid, tanh};
use burn::tensor::{Device, Distribution, Tensor};
use burnlite_export::{Exporter, ImageLayout};
use burnlite_runtime::Interpreter;

const CHANNELS: usize = 12;

#[derive(Module, Debug)]
struct Layer {
    filter: Conv1d,
    gate: Conv1d,
    mix: Conv1d,
}

#[derive(Module, Debug)]
struct AudioGates {
    enter: Conv1d,
    layers: Vec<Layer>,
    leave: Conv1d,
}

impl AudioGates {
    fn new(device: &Device) -> Self {
        let pointwise = |inputs: usize, outputs: usize| Conv1dConfig::new(inputs, outputs, 1).init(device);
        let causal = |dilation: usize| {
            let conv = Conv1dConfig::new(CHANNELS, CHANNELS, 3).with_dilation(dilation);
            conv.with_padding(PaddingConfig1d::Explicit(2 * dilation, 0)).init(device)
        };
        let layer = |dilation| Layer {
            filter: causal(dilation),
            gate: causal(dilation),
            mix: pointwise(CHANNELS, CHANNELS),
        };
        Self {
            enter: pointwise(1, CHANNELS),
            layers: [1, 2, 4, 8].map(layer).into(),
            leave: pointwise(CHANNELS, 1),
        }
    }

    /// A filtered waveform `[N, 1, L]` of a waveform `[N, 1, L]`.
    fn forward(&self, waveform: Tensor<3>) -> Tensor<3> {
        let mut x = self.enter.forward(waveform);
        let mut total = Tensor::zeros_like(&x);
        for layer in &self.layers {
            let y = tanh(layer.filter.forward(x.clone())) * sigmoid(layer.gate.forward(x.clone()));
            let y = layer.mix.forward(y);
            total = total + y.clone();
            x = x + y;
        }
        tanh(self.leave.forward(relu(total)))
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let device = Device::flex();
    device.seed(1);
    let network = AudioGates::new(&device);
    let waveform = Tensor::<3>::random([1, 1, 256], Distribution::Uniform(-1.0, 1.0), &device);

    let path = std::env::temp_dir().join("burnlite_audio_gates.tflite");
    let exporter = Exporter::new().input("waveform").output("filtered");
    let exporter = exporter.layout_of("waveform", ImageLayout::Nhwc).layout_of("filtered", ImageLayout::Nhwc);
    let (_, lowerings) = exporter.export_explained(&network, waveform.clone(), AudioGates::forward)?;
    for lowering in lowerings.iter().take(8) {
        println!("  {:22} {}", lowering.operation, lowering.operators.join(", "));
    }
    let model = exporter.save(&path, &network, waveform.clone(), AudioGates::forward)?;
    println!("{}: {} operators", path.display(), model.main()?.operators.len());

    let mut interpreter = Interpreter::new(&model)?;
    // One channel: [N, L, C] is [N, C, L].
    interpreter.set_input(0, &waveform.try_into_vec_as::<f32>()?)?;
    interpreter.invoke()?;
    println!("the last samples: {:.4?}", &interpreter.output::<f32>(0)?[252..]);
    Ok(())
}
