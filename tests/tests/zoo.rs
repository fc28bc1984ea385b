//! The zoo: models of one operator or a few, quantized here. All convert, all run, and closer to the float model than what
//! TensorFlow makes of them.

#![allow(clippy::unwrap_used, reason = "a test's helpers fail with it")]

use std::collections::BTreeMap;

use burnlite_quantize::{Calibration, Compat, Quantizer, Report, Scheme};
use burnlite_runtime::Interpreter;
use burnlite_tests::{Fixture, litert};
use burnlite_tflite::{Model, TensorId};
use serde_json::Value;

/// Samples that calibrate, and those that measure, as `tests/fixtures/zoo.py` draws them.
const CALIBRATION: std::ops::Range<u64> = 0..16;
const FRESH: std::ops::Range<u64> = 1000..1016;

/// A float model of the zoo, with the ranges of TensorFlow's calibration.
struct Specimen {
    name: String,
    bytes: Vec<u8>,
    /// What TensorFlow makes of it.
    facts: Value,
}

/// A model that was quantized.
struct Quantized {
    name: String,
    bytes: Vec<u8>,
    report: Report,
    /// Against floats on fresh samples.
    decibels: f64,
    /// TensorFlow's 16x8, where it converts and runs.
    tensorflow_decibels: Option<f64>,
}

fn specimens() -> Vec<Specimen> {
    let facts = std::fs::read_to_string(Fixture::path("zoo/tensorflow.json")).unwrap();
    let facts: BTreeMap<String, Value> = serde_json::from_str(&facts).unwrap();
    let specimen = |(name, facts): (String, Value)| {
        let bytes = std::fs::read(Fixture::path(&format!("zoo/{name}.tflite"))).unwrap();
        Specimen { name, bytes, facts }
    };
    facts.into_iter().map(specimen).collect()
}

impl Specimen {
    /// Samples for the model's inputs.
    fn samples(&self, model: &Model<'_>, seeds: std::ops::Range<u64>) -> Vec<Vec<Vec<f32>>> {
        let graph = model.main().unwrap();
        let is_positive = self.facts["positive"] == true;
        let sample = |seed: u64| {
            let inputs = (0..).zip(&graph.inputs);
            let values = |(place, id): (u64, &TensorId)| {
                drawn(100 * seed + place, graph.tensors[id.index()].elements(), is_positive)
            };
            inputs.map(values).collect()
        };
        seeds.map(sample).collect()
    }

    fn quantize(&self, quantizer: Quantizer) -> Quantized {
        let model = Model::from_bytes(&self.bytes).unwrap();
        let calibration = Calibration::run(&model, self.samples(&model, CALIBRATION), |_| ()).unwrap();
        let (quantized, report) =
            quantizer.quantize(&model, &calibration).unwrap_or_else(|error| panic!("{}: {error}", self.name));
        let bytes = quantized.to_bytes().unwrap();
        let fresh = self.samples(&model, FRESH);
        let found = outputs(&self.name, &Model::from_bytes(&bytes).unwrap(), &fresh);
        let decibels = snr(&outputs(&self.name, &model, &fresh), &found);
        let tensorflow_decibels = self.facts["int16x8_snr"].as_f64();
        Quantized { name: self.name.clone(), bytes, report, decibels, tensorflow_decibels }
    }
}

/// Numbers from -4 to 4, bell-shaped: each the sum of the four parts of a SplitMix64 number, exact in float32.
fn drawn(seed: u64, count: usize, is_positive: bool) -> Vec<f32> {
    let value = |index: u64| {
        let mut state = 0x9e37_79b9_7f4a_7c15u64.wrapping_mul(index + (seed << 20));
        state = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        state = (state ^ (state >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        state ^= state >> 31;
        let sum: i32 = (0..4).map(|part| i32::from((state >> (16 * part)) as u16)).sum();
        let value = (sum - 131_070) as f32 / 32_768.0;
        if is_positive { value.abs() + 0.1 } else { value }
    };
    (1..=count as u64).map(value).collect()
}

/// The float outputs of all samples.
fn outputs(name: &str, model: &Model<'_>, samples: &[Vec<Vec<f32>>]) -> Vec<f32> {
    let mut interpreter = Interpreter::new(model).unwrap_or_else(|error| panic!("{name}: {error}"));
    let mut all = Vec::new();
    for sample in samples {
        for (position, input) in sample.iter().enumerate() {
            interpreter.set_input(position, input).unwrap();
        }
        interpreter.invoke().unwrap_or_else(|error| panic!("{name}: {error}"));
        for position in 0..interpreter.outputs().len() {
            all.extend_from_slice(interpreter.output::<f32>(position).unwrap());
        }
    }
    all
}

/// The signal-to-noise ratio in decibels; 999 without noise.
fn snr(expected: &[f32], found: &[f32]) -> f64 {
    let square = |value: f64| value * value;
    let signal: f64 = expected.iter().map(|&value| square(value.into())).sum();
    let noise: f64 = expected.iter().zip(found).map(|(&a, &b)| square(f64::from(a) - f64::from(b))).sum();
    if noise == 0.0 { 999.0 } else { 10.0 * (signal / noise).log10() }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Quantizes every model. None may fail, and none may be far from its floats.
fn quantize_all(scheme: Scheme, least: f64) -> Vec<Quantized> {
    let quantizer = Quantizer::new(scheme).compat(Compat::Best);
    let all: Vec<_> = specimens().iter().map(|specimen| specimen.quantize(quantizer)).collect();
    let listed = |it: &Quantized| {
        format!("{}: {:.1} dB, TensorFlow {:?}\n{}", it.name, it.decibels, it.tensorflow_decibels, it.report)
    };
    let far: Vec<_> = all.iter().filter(|it| it.decibels < least).map(listed).collect();
    assert!(far.is_empty(), "{}", far.join("\n"));
    assert!(all.len() >= 80, "only {} models", all.len());
    all
}

fn assert_litert_runs(all: &[Quantized]) {
    let Some(litert) = litert() else { return };
    litert.check("optimized", all.iter().map(|it| (it.name.as_str(), it.bytes.as_slice())));
}

#[test]
fn int16x8_is_6_decibels_above_tensorflow() {
    let all = quantize_all(Scheme::Int16x8, 25.0);
    let compared = || all.iter().filter_map(|it| Some((it.decibels, it.tensorflow_decibels?)));
    let ours = median(compared().map(|(ours, _)| ours).collect());
    let theirs = median(compared().map(|(_, theirs)| theirs).collect());
    assert!(ours >= theirs + 6.0, "{ours:.1} dB, TensorFlow {theirs:.1} dB in {} models", compared().count());
    assert_litert_runs(&all);
}

#[test]
fn int8_runs() {
    assert_litert_runs(&quantize_all(Scheme::Int8, 10.0));
}

#[test]
fn what_tensorflow_quantizes_is_integer_here() {
    let refused = |facts: &Value| facts.is_string();
    for specimen in specimens() {
        for (scheme, mode) in [(Scheme::Int16x8, "int16x8"), (Scheme::Int8, "int8")] {
            let model = Model::from_bytes(&specimen.bytes).unwrap();
            let calibration = Calibration::from_model(&model).unwrap();
            let integer_only = Quantizer::new(scheme).compat(Compat::Best).integer_only(true);
            let is_float = specimen.facts["int8_floats"] == true && scheme == Scheme::Int8;
            if !refused(&specimen.facts[mode]) && !is_float {
                let ours = integer_only.quantize(&model, &calibration);
                assert!(ours.is_ok(), "{}: {}", specimen.name, ours.unwrap_err());
            }
        }
    }
}

/// Kernels that sum in another order move ranges by some units in the last place.
const ULPS: u32 = 4;

#[test]
fn ranges_are_within_4_ulps_of_tensorflows() {
    let mut wrong = Vec::new();
    let mut compared = 0;
    for specimen in specimens() {
        let model = Model::from_bytes(&specimen.bytes).unwrap();
        let theirs = Calibration::from_model(&model).unwrap();
        let ours = Calibration::run(&model, specimen.samples(&model, CALIBRATION), |_| ()).unwrap();
        for (index, tensor) in (0..).zip(&model.main().unwrap().tensors) {
            let id = TensorId(index);
            let (Some(ours), Some(theirs)) = (ours.range(id), theirs.range(id)) else { continue };
            let ulps = |ours: f32, theirs: f32| ours.to_bits().abs_diff(theirs.to_bits());
            // TensorFlow's calibration starts from 1.2e-38 as the maximum.
            let max = if ours.max <= 0.0 { 0 } else { ulps(ours.max, theirs.max) };
            if ulps(ours.min, theirs.min).max(max) > ULPS {
                wrong.push(format!("{} '{}': {ours:?}, {theirs:?}", specimen.name, tensor.name));
            }
            compared += 1;
        }
    }
    assert!(wrong.is_empty(), "{} of {compared}:\n{}", wrong.len(), wrong.join("\n"));
    assert!(compared > 300, "{compared}");
}
