//! Exported modules against Burn, in our runtime and in the real LiteRT interpreter, in floats and in integers.

#![allow(clippy::unwrap_used, reason = "a test's helpers fail with it")]

mod case;
mod fused;
mod networks;
mod operations;
mod page;
mod refusals;
mod tensorflow;

use burnlite_quantize::{Calibration, Compat, Quantizer, Scheme};
use burnlite_runtime::InterpreterOptions;
use burnlite_tests::{Array, litert, run};
use burnlite_tflite::Model;

use case::{Case, Exported};
use networks::networks;

/// How far floats may be from Burn's, in parts of an output's largest magnitude.
const TOLERANCE: f32 = 1e-4;

fn cases() -> Vec<Case> {
    operations::cases().into_iter().chain(networks().into_iter().map(|network| network.case)).collect()
}

#[test]
fn our_runtime_computes_what_burn_computes() {
    let cases: Vec<Case> = cases().into_iter().chain(fused::cases()).collect();
    assert!(cases.len() >= 60, "{} modules", cases.len());
    let faults: Vec<String> = cases.iter().flat_map(|case| faults(case, &case.export())).collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

fn faults(case: &Case, exported: &Exported) -> Vec<String> {
    let model = Model::from_bytes(&exported.bytes).unwrap();
    let of_sample = |sample: &case::Sample| {
        let found = run(&model, &InterpreterOptions::default(), &sample.inputs);
        let found = found.map_err(|error| error.to_string());
        found.and_then(|found| agree(&found, &sample.outputs))
    };
    let results = exported.samples.iter().map(of_sample);
    results.filter_map(Result::err).map(|fault| format!("{}: {fault}", case.name)).collect()
}

#[test]
fn litert_computes_what_burn_computes() {
    let Some(litert) = litert() else { return };
    let cases: Vec<Case> = cases().into_iter().chain(fused::cases()).collect();
    let exported: Vec<Exported> = cases.iter().map(Case::export).collect();
    let samples = |(case, exported): (&'_ Case, &'_ Exported)| {
        let name = case.name;
        exported
            .samples
            .iter()
            .map(|sample| (name, exported.bytes.clone(), sample.inputs.clone(), sample.outputs.clone()))
            .collect::<Vec<_>>()
    };
    let runs: Vec<_> = cases.iter().zip(&exported).flat_map(samples).collect();
    let models: Vec<(&[u8], &[Array])> =
        runs.iter().map(|(_, bytes, inputs, _)| (&bytes[..], &inputs[..])).collect();
    // What users get: optimized kernels. The reference resolver lacks ELU, CEIL and ROUND.
    let found = litert.run_all("default", &models);
    let faults: Vec<String> = runs
        .iter()
        .zip(found)
        .filter_map(|((name, _, _, expected), found)| {
            found.and_then(|found| agree(&found, expected)).err().map(|fault| format!("{name}: {fault}"))
        })
        .collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// A difference between arrays, in words.
fn agree(found: &[Array], expected: &[Array]) -> Result<(), String> {
    if found.len() != expected.len() {
        return Err(format!("{} outputs, expected {}", found.len(), expected.len()));
    }
    for (index, (found, expected)) in found.iter().zip(expected).enumerate() {
        if found.shape() != expected.shape() {
            return Err(format!("output {index} is {:?}, expected {:?}", found.shape(), expected.shape()));
        }
        match (found, expected) {
            (Array::Float32(_, found), Array::Float32(_, expected)) => {
                let largest = expected.iter().fold(1e-3_f32, |largest, real| largest.max(real.abs()));
                let far = found.iter().zip(expected).find(|(found, expected)| {
                    let is_near = (*found - *expected).abs() <= TOLERANCE * largest;
                    !is_near && found != expected && !(found.is_nan() && expected.is_nan())
                });
                if let Some((found, expected)) = far {
                    return Err(format!("output {index} is {found}, expected {expected}"));
                }
            }
            _ if found != expected => {
                return Err(format!("output {index} is {found:?}, expected {expected:?}"));
            }
            _ => {}
        }
    }
    Ok(())
}

#[test]
fn nothing_is_moved_in_convolutional_networks() {
    for network in networks().into_iter().filter(|network| network.is_convolutional) {
        let exported = network.case.export();
        let model = Model::from_bytes(&exported.bytes).unwrap();
        let operators: Vec<&str> =
            model.graphs[0].operators.iter().map(|operator| operator.op.name()).collect();
        assert!(!operators.contains(&"TRANSPOSE"), "{}: {operators:?}", network.case.name);
    }
}

/// A quantized model, and the inputs that it runs on.
struct Quantized {
    name: String,
    bytes: Vec<u8>,
    inputs: Vec<Array>,
}

/// Every network in both schemes, with a sample of each batch.
fn quantized() -> Vec<Quantized> {
    let mut models = Vec::new();
    for network in networks() {
        let exported = network.case.export();
        let model = Model::from_bytes(&exported.bytes).unwrap();
        // A network of tokens is left out: its samples are integers.
        let Array::Float32(shape, values) = &exported.samples[1].inputs[0] else { continue };
        let len = shape[2..].iter().product();
        let samples = values.chunks(len).map(|row| [row.to_vec()]);
        let calibration = Calibration::run(&model, samples, |_| ()).unwrap();
        for scheme in [Scheme::Int16x8, Scheme::Int8] {
            let quantizer = Quantizer::new(scheme).compat(Compat::TensorFlow);
            let (quantized, _) = quantizer.quantize(&model, &calibration).unwrap();
            let bytes = quantized.to_bytes().unwrap();
            for sample in &exported.samples {
                let name = format!("{} {scheme}", network.case.name);
                models.push(Quantized { name, bytes: bytes.clone(), inputs: sample.inputs.clone() });
            }
        }
    }
    models
}

#[test]
fn quantized_networks_run_and_litert_computes_the_same() {
    let quantized = quantized();
    let ours: Vec<Result<Vec<Array>, String>> = quantized
        .iter()
        .map(|Quantized { bytes, inputs, .. }| {
            let model = Model::from_bytes(bytes).unwrap();
            run(&model, &InterpreterOptions::default(), inputs).map_err(|error| error.to_string())
        })
        .collect();
    let refused: Vec<String> = quantized
        .iter()
        .zip(&ours)
        .filter_map(|(model, outputs)| outputs.as_ref().err().map(|error| format!("{}: {error}", model.name)))
        .collect();
    assert!(refused.is_empty(), "{}", refused.join("\n"));

    let Some(litert) = litert() else { return };
    let models: Vec<(&[u8], &[Array])> =
        quantized.iter().map(|model| (&model.bytes[..], &model.inputs[..])).collect();
    let theirs = litert.run_all("reference", &models);
    let different: Vec<String> = quantized
        .iter()
        .zip(ours.iter().zip(&theirs))
        .filter(|(_, (ours, theirs))| ours != theirs)
        .map(|(model, (ours, theirs))| match theirs {
            Err(refusal) => format!("{}: {refusal}", model.name),
            Ok(theirs) => format!(
                "{}: {}",
                model.name,
                agree(ours.as_ref().unwrap(), theirs).err().unwrap_or("other bits".into())
            ),
        })
        .collect();
    assert!(different.is_empty(), "{}", different.join("\n"));
}
