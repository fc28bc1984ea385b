//! A small transformer over tokens: an embedding, positions, attention, and a class for each sequence.
//!
//!     cargo run -p burnlite-export --example transformer

#![allow(clippy::print_stdout, reason = "an example says what it did")]

use burn::module::Module;
use burn::nn::transformer::{TransformerEncoder, TransformerEncoderConfig, TransformerEncoderInput};
use burn::nn::{
    Embedding, EmbeddingConfig, Linear, LinearConfig, PositionalEncoding, PositionalEncodingConfig,
};
use burn::tensor::{Device, Int, Tensor};
use burnlite_export::Exporter;
use burnlite_runtime::Interpreter;

const WORDS: usize = 50;
const LENGTH: usize = 8;

#[derive(Module, Debug)]
struct Reader {
    words: Embedding,
    positions: PositionalEncoding,
    encoder: TransformerEncoder,
    classes: Linear,
}

impl Reader {
    fn new(device: &Device) -> Self {
        Self {
            words: EmbeddingConfig::new(WORDS, 16).init(device),
            positions: PositionalEncodingConfig::new(16).with_max_sequence_size(LENGTH).init(device),
            encoder: TransformerEncoderConfig::new(16, 32, 4, 2).init(device),
            classes: LinearConfig::new(16, 3).init(device),
        }
    }

    /// The class and the scores of all three for tokens `[N, L]`.
    fn forward(&self, tokens: Tensor<2, Int>) -> (Tensor<2, Int>, Tensor<2>) {
        let words = self.positions.forward(self.words.forward(tokens));
        let words = self.encoder.forward(TransformerEncoderInput::new(words));
        let scores = self.classes.forward(words.mean_dim(1).squeeze_dim::<2>(1));
        (scores.clone().argmax(1), scores)
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let device = Device::flex();
    device.seed(1);
    let reader = Reader::new(&device);
    let tokens: [i32; LENGTH] = [4, 17, 0, 3, 49, 8, 8, 1];
    let sample = Tensor::<1, Int>::from_data(tokens, &device).reshape([1, LENGTH]);

    let path = std::env::temp_dir().join("burnlite_transformer.tflite");
    let exporter = Exporter::new().input("tokens").output("class").output("scores");
    let model = exporter.save(&path, &reader, sample, Reader::forward)?;
    println!("{}: {} operators", path.display(), model.main()?.operators.len());

    let mut interpreter = Interpreter::new(&model)?;
    let input = interpreter.inputs().next().map(|input| input.element_type);
    println!("tokens are {input:?} as in Burn");
    match input {
        Some(burnlite_tflite::ElementType::Int64) => interpreter.set_input(0, &tokens.map(i64::from))?,
        _ => interpreter.set_input(0, &tokens)?,
    }
    interpreter.invoke()?;
    println!("scores: {:.4?}", interpreter.output::<f32>(1)?);
    Ok(())
}
