//! Models of several precisions: what LiteRT computes where int8 meets 16x8 and floats.

#![allow(clippy::unwrap_used, reason = "a test's helpers fail with it")]

use burnlite_quantize::{Calibration, Error, Precision, Quantizer, Recipe, RecipeRule, Scheme};
use burnlite_runtime::{InterpreterOptions, Kernels};
use burnlite_tests::{Array, Fixture, litert, run};
use burnlite_tflite::{Model, Op};

/// The float networks of a single graph.
fn networks() -> Vec<Fixture> {
    let mut networks = Fixture::folder("networks");
    let is_plain = |bytes: &[u8]| Model::from_bytes(bytes).unwrap().graphs.len() == 1;
    networks.retain(|fixture| fixture.name.ends_with("_float32") && is_plain(&fixture.bytes));
    networks
}

/// Each sample as one slice of floats for each input; `None` where an input holds something else.
fn samples(fixture: &Fixture) -> Option<Vec<Vec<Vec<f32>>>> {
    let slices = |array: &Array| {
        let Array::Float32(shape, values) = array else { return None };
        Some(values.chunks(shape[1..].iter().product()).map(<[f32]>::to_vec).collect::<Vec<_>>())
    };
    let inputs: Vec<_> = fixture.inputs.iter().map(slices).collect::<Option<_>>()?;
    let sample = |number: usize| inputs.iter().map(|input| input[number].clone()).collect();
    Some((0..inputs.first()?.len()).map(sample).collect())
}

/// A network with a precision for each operator, by lot among the given ones; `None` where an operator cannot have it.
fn quantize(fixture: &Fixture, seed: u64, precisions: &[Precision]) -> Option<Vec<u8>> {
    let model = Model::from_bytes(&fixture.bytes).unwrap();
    let calibration = Calibration::run(&model, samples(fixture)?, |_| ()).unwrap();
    let mut state = seed;
    let mut lot = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        precisions[(state >> 33) as usize % precisions.len()]
    };
    let operators = model.main().unwrap().operators.len();
    let recipe: Recipe = (0..operators).map(|index| RecipeRule::new(lot()).operator(index)).collect();
    let are_integers = !precisions.contains(&Precision::Float32);
    let quantizer = Quantizer::new(Scheme::Int8).recipe(recipe).integer_only(are_integers);
    match quantizer.quantize(&model, &calibration) {
        Err(Error::NotIntegerOnly { .. }) => None,
        result => Some(result.unwrap().0.to_bytes().unwrap()),
    }
}

#[test]
fn integers_of_two_widths_are_litert_s_bit_for_bit() {
    let networks = networks();
    let mut files = Vec::new();
    for (fixture, seed) in networks.iter().flat_map(|fixture| (0..3).map(move |seed| (fixture, seed))) {
        let Some(file) = quantize(fixture, seed, &[Precision::Int8, Precision::Int16x8]) else { continue };
        let model = Model::from_bytes(&file).unwrap();
        let options = InterpreterOptions { kernels: Kernels::Reference, ..Default::default() };
        let plain = run(&model, &options, &fixture.inputs).unwrap();
        let fast = run(&model, &InterpreterOptions::default(), &fixture.inputs).unwrap();
        assert_eq!(fast, plain, "{} {seed}", fixture.name);
        files.push((fixture, file, plain));
    }
    assert!(files.len() >= 30, "only {}", files.len());
    let Some(litert) = litert() else { return };
    let models: Vec<_> = files.iter().map(|(fixture, file, _)| (&file[..], &fixture.inputs[..])).collect();
    for (found, (fixture, _, plain)) in litert.run_all("reference", &models).into_iter().zip(&files) {
        assert_eq!(found.as_ref(), Ok(plain), "{}", fixture.name);
    }
}

#[test]
fn litert_runs_what_meets_floats() {
    let precisions = [Precision::Int8, Precision::Int16x8, Precision::Float32];
    let mut files = Vec::new();
    for fixture in networks() {
        let quantized = (0..3).filter_map(|seed| quantize(&fixture, seed, &precisions));
        files.extend(quantized.enumerate().map(|(seed, file)| (format!("{}_{seed}", fixture.name), file)));
    }
    assert!(files.len() >= 30, "only {}", files.len());
    let is_mixed = |(_, file): &&(String, Vec<u8>)| {
        let model = Model::from_bytes(file).unwrap();
        let operators = &model.main().unwrap().operators;
        operators.iter().filter(|operator| operator.op == Op::Dequantize).count() > 1
    };
    assert!(files.iter().filter(is_mixed).count() >= 20);
    if let Some(litert) = litert() {
        litert.check("optimized", files.iter().map(|(name, file)| (name.as_str(), file.as_slice())));
    }
}
