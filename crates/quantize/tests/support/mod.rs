//! What tests of whole models have in common: fixtures, samples, and how far integers are from floats.

use std::path::PathBuf;

use burnlite_runtime::Interpreter;
use burnlite_tflite::Model;

/// The models of a folder of `tests/fixtures` whose names are accepted, sorted by name.
pub(crate) fn fixtures(folder: &str, accept: impl Fn(&str) -> bool) -> Vec<(String, Vec<u8>)> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures").join(folder);
    let files = std::fs::read_dir(folder).expect("the fixtures are part of the repository");
    let mut models: Vec<_> = files
        .map(|file| file.unwrap().path())
        .filter_map(|path| Some((path.file_name()?.to_str()?.strip_suffix(".tflite")?.to_owned(), path)))
        .filter(|(name, _)| accept(name))
        .map(|(name, path)| (name, std::fs::read(path).unwrap()))
        .collect();
    models.sort();
    models
}

/// Values from -1 to 1, the same on every run.
pub(crate) fn values(seed: usize, count: usize) -> Vec<f32> {
    let mut state = (seed as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mut value = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    };
    (0..count).map(|_| value()).collect()
}

/// So many samples for a model's inputs.
pub(crate) fn samples(interpreter: &Interpreter<'_>, count: usize) -> Vec<Vec<Vec<f32>>> {
    let sample = |seed: usize| {
        let inputs = interpreter.inputs().enumerate();
        inputs.map(|(place, input)| values(100 * seed + place, input.shape.iter().product())).collect()
    };
    (0..count).map(sample).collect()
}

/// The float outputs of all samples.
pub(crate) fn outputs(model: &Model<'_>, samples: &[Vec<Vec<f32>>]) -> Vec<f32> {
    let mut interpreter = Interpreter::new(model).unwrap();
    let mut all = Vec::new();
    for sample in samples {
        for (position, input) in sample.iter().enumerate() {
            interpreter.set_input(position, input).unwrap();
        }
        interpreter.invoke().unwrap();
        for position in 0..interpreter.outputs().len() {
            if let Ok(values) = interpreter.output::<f32>(position) {
                all.extend_from_slice(values);
            }
        }
    }
    all
}

/// The signal-to-noise ratio in decibels.
pub(crate) fn snr(expected: &[f32], found: &[f32]) -> f64 {
    let square = |value: f32| f64::from(value) * f64::from(value);
    let signal: f64 = expected.iter().copied().map(square).sum();
    let noise: f64 = expected.iter().zip(found).map(|(a, b)| square(a - b)).sum();
    10.0 * (signal / noise.max(f64::MIN_POSITIVE)).log10()
}
