//! The fixtures' networks, calibrated and quantized here, compute in the runtime what they compute in floats.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::PathBuf;

use burnlite_quantize::{Calibration, Quantizer, Report, Scheme};
use burnlite_runtime::Interpreter;
use burnlite_tflite::{ElementType, Model};

/// The float networks of `tests/fixtures/networks` that the runtime runs, with their names.
fn networks() -> Vec<(String, Vec<u8>)> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/networks");
    let files = std::fs::read_dir(folder).expect("the fixtures are part of the repository");
    let mut networks: Vec<_> = files
        .map(|file| file.unwrap().path())
        .filter_map(|path| Some((path.file_stem()?.to_str()?.strip_suffix("_float32")?.to_owned(), path)))
        .filter(|(_, path)| path.extension().is_some_and(|extension| extension == "tflite"))
        .map(|(name, path)| (name, std::fs::read(path).unwrap()))
        .collect();
    networks.sort();
    networks
}

/// Values from -1 to 1, the same on every run.
fn values(seed: usize, count: usize) -> Vec<f32> {
    let mut state = (seed as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mut value = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    };
    (0..count).map(|_| value()).collect()
}

fn sample(interpreter: &Interpreter<'_>, seed: usize) -> Vec<Vec<f32>> {
    let inputs = interpreter.inputs().enumerate();
    inputs.map(|(position, input)| values(100 * seed + position, input.shape.iter().product())).collect()
}

/// All outputs of all samples.
fn outputs(model: &Model<'_>, samples: &[Vec<Vec<f32>>]) -> Vec<f32> {
    let mut interpreter = Interpreter::new(model).unwrap();
    let mut all = Vec::new();
    for sample in samples {
        for (position, input) in sample.iter().enumerate() {
            interpreter.set_input(position, input).unwrap();
        }
        interpreter.invoke().unwrap();
        for position in 0..interpreter.outputs().len() {
            all.extend_from_slice(interpreter.output::<f32>(position).unwrap());
        }
    }
    all
}

/// The signal-to-noise ratio in decibels.
fn snr(expected: &[f32], found: &[f32]) -> f64 {
    let square = |value: f32| f64::from(value) * f64::from(value);
    let signal: f64 = expected.iter().copied().map(square).sum();
    let noise: f64 = expected.iter().zip(found).map(|(a, b)| square(a - b)).sum();
    10.0 * (signal / noise.max(f64::MIN_POSITIVE)).log10()
}

/// The ratio of each network, on the samples that calibrated it, where the runtime runs the float network.
fn ratios(scheme: Scheme) -> Vec<(String, f64, Report)> {
    let mut ratios = Vec::new();
    for (name, bytes) in networks() {
        let model = Model::from_bytes(&bytes).unwrap();
        let Ok(interpreter) = Interpreter::new(&model) else { continue };
        if interpreter.inputs().any(|input| input.element_type != ElementType::Float32) {
            continue;
        }
        let samples: Vec<_> = (0..20).map(|seed| sample(&interpreter, seed)).collect();
        let calibration = Calibration::run(&model, &samples, |_| ()).unwrap();
        let (quantized, report) = Quantizer::new(scheme).quantize(&model, &calibration).unwrap();
        let found = outputs(&Model::from_bytes(&quantized.to_bytes().unwrap()).unwrap(), &samples);
        ratios.push((name, snr(&outputs(&model, &samples), &found), report));
    }
    assert!(ratios.len() > 20, "only {} networks were run", ratios.len());
    ratios
}

fn assert_above(scheme: Scheme, least: f64) {
    for (name, ratio, report) in ratios(scheme) {
        println!("{name}: {ratio:.1} dB, {} operators stay float", report.float_operators.len());
        assert!(ratio >= least, "{name} in {scheme}: {ratio:.1} dB\n{report}");
    }
}

#[test]
fn networks_of_16_bit_activations_lose_little() {
    assert_above(Scheme::Int16x8, 35.0);
}

#[test]
fn networks_of_8_bit_activations_lose_more() {
    assert_above(Scheme::Int8, 15.0);
}
