//! `Compat::Best` on the tutorial's network and real MNIST: how far its integers are from the floats.

#![allow(clippy::unwrap_used, reason = "a test's helpers fail with it")]

use std::fs::File;
use std::io::Read;
use std::path::Path;

use burnlite_quantize::{Calibration, Compat, Quantizer, Scheme, SecondMoments, WeightRounding};
use burnlite_runtime::Interpreter;
use burnlite_tests::{Fixture, mnist};
use burnlite_tflite::Model;
use flate2::read::GzDecoder;

const PIXELS: usize = 28 * 28;
const CLASSES: usize = 10;

/// The images of a file of MNIST, from 0 to 1.
fn images(folder: &Path, name: &str) -> Vec<Vec<f32>> {
    let mut bytes = Vec::new();
    GzDecoder::new(File::open(folder.join(name)).unwrap()).read_to_end(&mut bytes).unwrap();
    let images = bytes[16..].chunks_exact(PIXELS);
    images.map(|image| image.iter().map(|&grey| f32::from(grey) / 255.0).collect()).collect()
}

fn logits(model: &Model<'_>, images: &[Vec<f32>]) -> Vec<f32> {
    let mut interpreter = Interpreter::new(model).unwrap();
    let mut logits = Vec::new();
    for image in images {
        interpreter.set_input(0, image).unwrap();
        interpreter.invoke().unwrap();
        logits.extend_from_slice(interpreter.output::<f32>(0).unwrap());
    }
    logits
}

/// How far logits are from those of the float model.
#[derive(Debug)]
struct Distance {
    /// Signal-to-noise ratio in dB.
    ratio: f64,
    /// Images whose largest logit is another.
    changed: usize,
}

fn distance(expected: &[f32], found: &[f32]) -> Distance {
    let square = |value: f32| f64::from(value).powi(2);
    let signal: f64 = expected.iter().copied().map(square).sum();
    let noise: f64 = expected.iter().zip(found).map(|(a, b)| square(a - b)).sum();
    let answer = |logits: &[f32]| (0..CLASSES).max_by(|&a, &b| logits[a].total_cmp(&logits[b]));
    let answers = |logits: &[f32]| logits.chunks_exact(CLASSES).map(answer).collect::<Vec<_>>();
    let changed = answers(expected).iter().zip(answers(found)).filter(|(a, b)| **a != *b).count();
    Distance { ratio: 10.0 * (signal / noise).log10(), changed }
}

/// The distance of each of five models, each calibrated with 100 images of its own.
fn distances(quantizer: Quantizer) -> Option<Vec<Distance>> {
    let folder = mnist()?;
    let train = images(&folder, "train-images-idx3-ubyte.gz");
    let test = images(&folder, "t10k-images-idx3-ubyte.gz");
    let float = std::fs::read(Fixture::path("mnist_float32.tflite")).unwrap();
    let model = Model::from_bytes(&float).unwrap();
    let expected = logits(&model, &test);
    let distance = |set: &[Vec<f32>]| {
        let samples = || set.iter().map(|image| [image]);
        let calibration = Calibration::run(&model, samples(), |_| ()).unwrap();
        let moments = SecondMoments::run(&model, &Calibration::portable(), samples(), |_| ()).unwrap();
        let (quantized, _) = quantizer.quantize_with_moments(&model, &calibration, &moments).unwrap();
        let file = quantized.to_bytes().unwrap();
        distance(&expected, &logits(&Model::from_bytes(&file).unwrap(), &test))
    };
    Some(train.chunks(100).take(5).map(distance).collect())
}

#[test]
fn every_calibration_set_reaches_52_decibels() {
    let Some(ours) = distances(Quantizer::new(Scheme::Int16x8)) else { return };
    let theirs = distances(Quantizer::new(Scheme::Int16x8).compat(Compat::TensorFlow)).unwrap();
    for (ours, theirs) in ours.iter().zip(&theirs) {
        assert!(ours.ratio >= 52.0 && ours.ratio > theirs.ratio + 7.0, "{ours:?}, TensorFlow: {theirs:?}");
        assert!(ours.changed <= theirs.changed, "{ours:?}, TensorFlow: {theirs:?}");
    }
}

#[test]
fn every_calibration_set_reaches_56_decibels_with_gptq() {
    let gptq = Quantizer::new(Scheme::Int16x8).weight_rounding(WeightRounding::Gptq);
    for distance in distances(gptq).into_iter().flatten() {
        assert!(distance.ratio >= 56.0 && distance.changed <= 3, "{distance:?}");
    }
}
