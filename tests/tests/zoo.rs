//! The zoo: models of one operator or a few, quantized here. All convert, all run, and closer to the float model than what
//! TensorFlow makes of them.

#![allow(clippy::unwrap_used, reason = "a test's helpers fail with it")]

use std::collections::BTreeMap;

use burnlite_quantize::{Bounds, Calibration, Quantizer, Report, Scheme};
use burnlite_runtime::Interpreter;
use burnlite_tests::{Fixture, litert};
use burnlite_tflite::{ElementType, Graph, Model, Tensor, TensorId};
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
        let values = |seed: u64, id: &TensorId| {
            let Tensor { name, .. } = &graph.tensors[id.index()];
            // `serving_default_input_1:0`: the converter orders inputs by itself.
            let place: u64 = name.trim_end_matches(":0").rsplit('_').next().unwrap().parse().unwrap();
            drawn(100 * seed + place, graph.tensors[id.index()].elements(), is_positive)
        };
        seeds.map(|seed| graph.inputs.iter().map(|id| values(seed, id)).collect()).collect()
    }

    fn quantize(&self, quantizer: &Quantizer) -> Quantized {
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
    let quantizer = Quantizer::new(scheme);
    let all: Vec<_> = specimens().iter().map(|specimen| specimen.quantize(&quantizer)).collect();
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

/// Operators that TensorFlow makes int8 and that stay float here: DIV, whose divisor may round to 0, and ONE_HOT, whose
/// operands have two scales there.
const FLOAT_HERE: [&str; 4] = ["div", "one_hot_of_arg_max", "reciprocal", "softsign"];

#[test]
fn what_tensorflow_quantizes_is_integer_here() {
    let mut compared = 0;
    for specimen in specimens() {
        for (scheme, mode) in [(Scheme::Int16x8, "int16x8"), (Scheme::Int8, "int8")] {
            let Some(lines) = specimen.facts[mode].as_array() else { continue };
            // CAST makes floats of booleans.
            let is_float = |line: &Value| {
                let (reader, tensor) = line.as_str().unwrap().split_once(" < ").unwrap();
                reader == "CAST" || (tensor.starts_with("float32") && !["-", "QUANTIZE"].contains(&reader))
            };
            if lines.iter().any(is_float) || FLOAT_HERE.contains(&specimen.name.as_str()) {
                continue;
            }
            let model = Model::from_bytes(&specimen.bytes).unwrap();
            let calibration = Calibration::from_model(&model).unwrap();
            let quantizer = Quantizer::new(scheme).integer_only(true);
            let ours = quantizer.quantize(&model, &calibration);
            assert!(ours.is_ok(), "{}: {}", specimen.name, ours.unwrap_err());
            compared += 1;
        }
    }
    assert!(compared > 200, "{compared}");
}

/// Kernels that sum in another order move ranges: by so many units in the last place of their magnitude.
const ULPS: f32 = 4.0;

/// The ranges that TensorFlow's calibration may have of a tensor. It looks at operands again after their operator ran, when
/// one that works in place has written its result over them.
fn ranges_of(graph: &Graph<'_>, calibration: &Calibration, id: TensorId) -> Vec<Bounds> {
    let readers = graph.operators.iter().filter(|operator| operator.inputs.contains(&Some(id)));
    let results = readers.flat_map(|operator| operator.outputs.iter().copied());
    std::iter::once(id).chain(results).filter_map(|id| calibration.range(id)).collect()
}

#[test]
fn ranges_are_within_4_ulps_of_tensorflows() {
    let mut wrong = Vec::new();
    let mut compared = 0;
    for specimen in specimens() {
        let model = Model::from_bytes(&specimen.bytes).unwrap();
        let theirs = Calibration::from_model(&model).unwrap();
        let ours = Calibration::run(&model, specimen.samples(&model, CALIBRATION), |_| ()).unwrap();
        let graph = model.main().unwrap();
        for (index, tensor) in (0..).zip(&graph.tensors) {
            let (Some(range), Some(theirs)) = (ours.range(TensorId(index)), theirs.range(TensorId(index)))
            else {
                continue;
            };
            let ranges = ranges_of(graph, &ours, TensorId(index));
            let largest = range.min.abs().max(range.max.abs());
            let step = ULPS * (f32::from_bits(largest.to_bits() + 1) - largest);
            let is_close = |theirs: f32, bound: fn(&Bounds) -> f32| {
                ranges.iter().any(|range| (bound(range) - theirs).abs() <= step)
            };
            // TensorFlow's calibration starts from 1.2e-38 as the maximum.
            let max_is_close =
                is_close(theirs.max, |range| range.max) || (range.max <= 0.0 && theirs.max < 1e-37);
            if !is_close(theirs.min, |range| range.min) || !max_is_close {
                wrong.push(format!("{} '{}': {range:?}, {theirs:?}", specimen.name, tensor.name));
            }
            compared += 1;
        }
    }
    assert!(wrong.is_empty(), "{} of {compared}:\n{}", wrong.len(), wrong.join("\n"));
    assert!(compared > 600, "{compared}");
}

/// The 8-bit constants of a graph with their scales, in the order of the operators that read them.
fn weights(graph: &Graph<'_>) -> Vec<String> {
    let operands = graph.operators.iter().flat_map(|operator| operator.inputs.iter().flatten());
    let tensors = operands.map(|id| &graph.tensors[id.index()]);
    let weights = tensors.filter(|tensor| tensor.element_type == ElementType::Int8 && tensor.data.is_some());
    weights.map(|Tensor { data, quantization, .. }| format!("{data:?} {quantization:?}")).collect()
}

#[test]
fn weights_do_not_depend_on_who_calibrates() {
    let mut compared = 0;
    for specimen in specimens() {
        let model = Model::from_bytes(&specimen.bytes).unwrap();
        let ours = Calibration::run(&model, specimen.samples(&model, CALIBRATION), |_| ()).unwrap();
        let theirs = Calibration::from_model(&model).unwrap();
        let quantize = |calibration| {
            let (quantized, _) = Quantizer::new(Scheme::Int16x8).quantize(&model, calibration).unwrap();
            weights(quantized.main().unwrap())
        };
        let (ours, theirs) = (quantize(&ours), quantize(&theirs));
        assert_eq!(ours, theirs, "{}", specimen.name);
        compared += ours.len();
    }
    assert!(compared > 50, "{compared}");
}
