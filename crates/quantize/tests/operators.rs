//! Each float operator of the fixtures, calibrated and quantized here, runs and computes what it computes in floats.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use burnlite_quantize::{Calibration, Error, Quantizer, Scheme, Target};
use burnlite_runtime::Interpreter;
use burnlite_tflite::{ElementType, Model};
use support::{fixtures, outputs, samples, snr};

/// Functions of positive numbers.
const POSITIVE: [&str; 4] = ["log_float32", "sqrt", "rsqrt", "pow"];

/// Results that 8 bits do not hold: 500 probabilities in steps of 1/256.
const TOO_SMALL: &str = "softmax_float32_depth_500";

/// Quantizes every operator that runs on float inputs, and returns how many there were.
fn run_all(quantizer: Quantizer, least: f64) -> usize {
    let mut count = 0;
    for (name, bytes) in fixtures("operators", |name| name.contains("_float32_") && name != TOO_SMALL) {
        let model = Model::from_bytes(&bytes).unwrap();
        let Ok(interpreter) = Interpreter::new(&model) else { continue };
        let is_float = |input: burnlite_runtime::TensorInfo<'_>| input.element_type == ElementType::Float32;
        if model.graphs.len() > 1 || interpreter.inputs().len() == 0 || !interpreter.inputs().all(is_float) {
            continue;
        }
        let mut samples = samples(&interpreter, 5);
        if POSITIVE.iter().any(|start| name.starts_with(start)) {
            let values = samples.iter_mut().flatten().flatten();
            values.for_each(|value| *value = value.abs() + 0.1);
        }
        let Ok(calibration) = Calibration::run(&model, &samples, |_| ()) else { continue };
        let (quantized, report) = match quantizer.quantize(&model, &calibration) {
            // tflite-micro does not have every operator, not even in floats.
            Err(Error::Target { .. }) => continue,
            result => result.unwrap(),
        };
        let file = quantized.to_bytes().unwrap();
        let found = outputs(&Model::from_bytes(&file).unwrap(), &samples);
        let expected = outputs(&model, &samples);
        let ratio = if expected == found { f64::INFINITY } else { snr(&expected, &found) };
        assert!(ratio >= least, "{name}: {ratio:.1} dB\n{report}");
        count += 1;
    }
    count
}

#[test]
fn operators_of_16_bit_activations_run() {
    assert!(run_all(Quantizer::new(Scheme::Int16x8), 40.0) > 500);
}

#[test]
fn operators_of_8_bit_activations_run() {
    assert!(run_all(Quantizer::new(Scheme::Int8), 20.0) > 500);
}

#[test]
fn operators_with_weights_alone_run() {
    assert!(run_all(Quantizer::new(Scheme::DynamicRange), 30.0) > 500);
}

#[test]
fn operators_for_small_targets_run() {
    for target in [Target::TfLiteMicro, Target::EthosU] {
        let quantizer = |scheme| Quantizer::new(scheme).target(target);
        let counts = [run_all(quantizer(Scheme::Int16x8), 40.0), run_all(quantizer(Scheme::Int8), 20.0)];
        assert!(counts.iter().all(|&count| count > 400), "{target}: {counts:?}");
    }
}
