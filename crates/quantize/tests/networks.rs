//! The fixtures' networks, calibrated and quantized here, compute in the runtime what they compute in floats.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use burnlite_quantize::{Calibration, Compat, Quantizer, Report, Scheme};
use burnlite_runtime::Interpreter;
use burnlite_tflite::{ElementType, Model};
use support::{fixtures, outputs, samples, snr};

/// The ratio of each network on samples that did not calibrate it.
fn ratios(quantizer: Quantizer) -> Vec<(String, f64, Report)> {
    let mut ratios = Vec::new();
    for (name, bytes) in fixtures("networks", |name| name.ends_with("_float32")) {
        let model = Model::from_bytes(&bytes).unwrap();
        let Ok(interpreter) = Interpreter::new(&model) else { continue };
        // Variables are set up by a graph of their own.
        if model.graphs.len() > 1 {
            continue;
        }
        if interpreter.inputs().any(|input| input.element_type != ElementType::Float32) {
            continue;
        }
        let samples = samples(&interpreter, 40);
        let (seen, fresh) = samples.split_at(30);
        let calibration = Calibration::run(&model, seen, |_| ()).unwrap();
        let (quantized, report) = quantizer.quantize(&model, &calibration).unwrap();
        let found = outputs(&Model::from_bytes(&quantized.to_bytes().unwrap()).unwrap(), fresh);
        ratios.push((name, snr(&outputs(&model, fresh), &found), report));
    }
    assert!(ratios.len() > 20, "only {} networks were run", ratios.len());
    ratios
}

fn assert_above(quantizer: Quantizer, least: f64) {
    for (name, ratio, report) in ratios(quantizer) {
        assert!(ratio >= least, "{name}: {ratio:.1} dB\n{report}");
    }
}

fn median(quantizer: Quantizer) -> f64 {
    let mut ratios: Vec<f64> = ratios(quantizer).into_iter().map(|(_, ratio, _)| ratio).collect();
    ratios.sort_by(f64::total_cmp);
    ratios[ratios.len() / 2]
}

#[test]
fn networks_of_16_bit_activations_lose_little() {
    assert_above(Quantizer::new(Scheme::Int16x8), 30.0);
}

#[test]
fn networks_of_8_bit_activations_lose_more() {
    assert_above(Quantizer::new(Scheme::Int8), 20.0);
}

#[test]
fn what_accelerators_want_runs() {
    let quantizer = |scheme| Quantizer::new(scheme).per_channel_dense(false).int32_bias(true);
    assert_above(quantizer(Scheme::Int16x8).compat(Compat::TensorFlow), 25.0);
    assert_above(quantizer(Scheme::Int16x8), 30.0);
    assert_above(quantizer(Scheme::Int8), 20.0);
}

#[test]
fn headroom_pays_on_fresh_samples() {
    let quantizer = Quantizer::new(Scheme::Int16x8);
    let theirs = median(quantizer.clone().compat(Compat::TensorFlow));
    let (ours, corrected) = (median(quantizer.clone().bias_correction(false)), median(quantizer));
    assert!(
        theirs + 3.0 < ours && ours < corrected,
        "median: {theirs:.1} dB with TensorFlow's numbers, {ours:.1} dB with ours, {corrected:.1} dB corrected"
    );
}

#[test]
fn weights_alone_lose_little() {
    assert_above(Quantizer::new(Scheme::DynamicRange), 30.0);
}
