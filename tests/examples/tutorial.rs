//! The notebook's steps with the crates' own API. `docs/tutorial.md` walks through this file, and a test compares the two.
//!
//!     cargo run --package burnlite-tests --example tutorial

#![allow(clippy::print_stdout, reason = "it is for a person to read")]

use std::error::Error;
use std::path::Path;

use burn::tensor::{Device, Tensor};
use burnlite_export::Exporter;
use burnlite_mnist::{CLASSES, Digits, LoadOptions, Network, SIDE, TrainingOptions, evaluate, load, train};
use burnlite_quantize::{Calibration, Quantizer, Scheme, compare};
use burnlite_runtime::Interpreter;
use burnlite_tflite::Model;

fn main() -> Result<(), Box<dyn Error>> {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let digits = load(&LoadOptions::new(&workspace), &mut |_| ())?;
    println!("{}: {} to train, {} to test", digits.source(), digits.train.len(), digits.test.len());
    tutorial(&digits, &std::env::temp_dir())
}

fn tutorial(digits: &Digits, folder: &Path) -> Result<(), Box<dyn Error>> {
    let device = Device::flex();
    let trained = train(&digits.train, &TrainingOptions::default(), &device, |_| ())?;
    println!("in Burn: accuracy {:.4}", evaluate(&trained.network, &digits.test)?.accuracy);

    let sample = Tensor::<3>::zeros([1, SIDE, SIDE], &device);
    let exporter = Exporter::new().input("images").output("logits");
    let float = exporter.export(&trained.network, sample, Network::forward)?;
    std::fs::write(folder.join("mnist_float32.tflite"), float.to_bytes()?)?;

    let samples = (0..100).map(|index| [digits.train.normalized(index)]);
    let calibration = Calibration::run(&float, samples, |_| ())?;

    let (int16x8, report) = Quantizer::new(Scheme::Int16x8).quantize(&float, &calibration)?;
    println!("{report}");
    std::fs::write(folder.join("mnist_16x8.tflite"), int16x8.to_bytes()?)?;
    let (int8, _) = Quantizer::new(Scheme::Int8).quantize(&float, &calibration)?;

    let mut interpreter = Interpreter::new(&int16x8)?;
    let found = digit(&mut interpreter, &digits.test.normalized(0))?;
    println!("the first test image is a {}, found {found}", digits.test.label(0));

    for (name, model) in [("float32", &float), ("16x8", &int16x8), ("int8", &int8)] {
        let accuracy = accuracy(model, digits)?;
        println!("{name}: {} bytes, accuracy {accuracy:.4}", model.to_bytes()?.len());
    }

    let fresh = (0..100).map(|index| [digits.test.normalized(index)]);
    println!("{}", compare(&float, &int16x8, &Calibration::portable(), fresh, |_| ())?);
    Ok(())
}

/// The digit whose logit is largest.
fn digit(interpreter: &mut Interpreter<'_>, image: &[f32]) -> Result<usize, burnlite_runtime::Error> {
    let mut logits = [0.0; CLASSES];
    interpreter.set_input_real(0, image)?;
    interpreter.invoke()?;
    interpreter.output_real(0, &mut logits)?;
    Ok((1..CLASSES).fold(0, |best, digit| if logits[digit] > logits[best] { digit } else { best }))
}

fn accuracy(model: &Model<'_>, digits: &Digits) -> Result<f64, burnlite_runtime::Error> {
    let mut interpreter = Interpreter::new(model)?;
    let mut hits = 0;
    for index in 0..digits.test.len() {
        let found = digit(&mut interpreter, &digits.test.normalized(index))?;
        hits += usize::from(found == usize::from(digits.test.label(index)));
    }
    Ok(hits as f64 / digits.test.len() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_runs() {
        let folder = tempfile::tempdir().unwrap();
        tutorial(&Digits::generate(1, 320, 100), folder.path()).unwrap();
        assert!(folder.path().join("mnist_16x8.tflite").exists());
    }

    #[test]
    fn the_page_quotes_this_file() {
        let flush = |text: &str| text.lines().map(str::trim).collect::<Vec<_>>().join("\n");
        let program = flush(include_str!("tutorial.rs"));
        let page = include_str!("../../docs/tutorial.md").split("```");
        let blocks: Vec<&str> = page.filter_map(|block| block.strip_prefix("rust\n")).collect();
        assert!(blocks.len() >= 6);
        for block in blocks {
            assert!(program.contains(flush(block).trim()), "the example has no\n{block}");
        }
    }
}
