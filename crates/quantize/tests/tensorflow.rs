//! The tutorial's network, quantized here and by TensorFlow 2.21 from the same ranges, is the same bit for bit.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::PathBuf;

use burnlite_quantize::{Calibration, Compat, IoType, Quantizer, Scheme};
use burnlite_tflite::{Graph, Model, Operator, Tensor, TensorId};

fn tensorflow(scheme: Scheme) -> Quantizer {
    Quantizer::new(scheme).compat(Compat::TensorFlow)
}

/// A file of `tests/fixtures/networks`, all made by TensorFlow.
fn fixture(name: &str) -> Vec<u8> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/networks");
    std::fs::read(folder.join(format!("{name}.tflite"))).expect("the fixtures are part of the repository")
}

/// The operators that compute: those at inputs and outputs stand in another order in some of TensorFlow's files.
fn inner_operators<'g>(graph: &'g Graph<'_>) -> Vec<&'g Operator> {
    let is_boundary = |operator: &&Operator| matches!(operator.op.name(), "QUANTIZE" | "DEQUANTIZE");
    graph.operators.iter().filter(|operator| !is_boundary(operator)).collect()
}

/// All that must be equal of a tensor: names are the converters' own.
fn facts<'t>(graph: &'t Graph<'_>, id: TensorId) -> impl PartialEq + std::fmt::Debug + 't {
    let Tensor { element_type, shape, shape_signature, quantization, data, .. } = &graph.tensors[id.index()];
    (element_type, shape, shape_signature, quantization, data)
}

fn assert_same_numbers(ours: &Model<'_>, theirs: &Model<'_>) {
    let (ours, theirs) = (ours.main().unwrap(), theirs.main().unwrap());
    let (our_operators, their_operators) = (inner_operators(ours), inner_operators(theirs));
    assert_eq!(our_operators.len(), their_operators.len());
    for (index, (our, their)) in our_operators.iter().zip(&their_operators).enumerate() {
        assert_eq!(our.op, their.op);
        assert_eq!((our.inputs.len(), our.outputs.len()), (their.inputs.len(), their.outputs.len()));
        for (position, (&our, &their)) in our.inputs.iter().zip(&their.inputs).enumerate() {
            let (our, their) = (our.map(|id| facts(ours, id)), their.map(|id| facts(theirs, id)));
            assert_eq!(our, their, "input {position} of inner operator {index}");
        }
        for (&our, &their) in our.outputs.iter().zip(&their.outputs) {
            assert_eq!(facts(ours, our), facts(theirs, their), "output of inner operator {index}");
        }
    }
    for (our, their) in ours.inputs.iter().zip(&theirs.inputs).chain(ours.outputs.iter().zip(&theirs.outputs))
    {
        assert_eq!(facts(ours, *our), facts(theirs, *their), "input or output of the model");
        assert_eq!(ours.tensors[our.index()].name, theirs.tensors[their.index()].name);
    }
}

fn assert_equal_to_tensorflow(calibrated: &str, quantized: &str, quantizer: &Quantizer) {
    let (calibrated, quantized) = (fixture(calibrated), fixture(quantized));
    let (model, theirs) = (Model::from_bytes(&calibrated).unwrap(), Model::from_bytes(&quantized).unwrap());
    let calibration = Calibration::from_model(&model).unwrap();
    let (ours, _) = quantizer.quantize(&model, &calibration).unwrap();
    assert_same_numbers(&ours, &theirs);
    assert_eq!(ours.signatures.len(), theirs.signatures.len());
    for (ours, theirs) in ours.signatures.iter().zip(&theirs.signatures) {
        assert_eq!(ours.key, theirs.key);
        let names = |entries: &[(String, TensorId)]| entries.iter().map(|(name, _)| name.clone()).collect();
        let (our_names, their_names): (Vec<String>, Vec<String>) =
            (names(&ours.inputs), names(&theirs.inputs));
        assert_eq!(our_names, their_names);
    }
}

#[test]
fn int16x8_is_tensorflows() {
    let quantizer = tensorflow(Scheme::Int16x8);
    assert_equal_to_tensorflow("tutorial_calibrated", "tutorial_int16x8", &quantizer);
    assert_equal_to_tensorflow("tutorial_batch1_calibrated", "tutorial_batch1_int16x8", &quantizer);
}

#[test]
fn int16x8_with_32_bit_biases_is_tensorflows() {
    let quantizer = tensorflow(Scheme::Int16x8).int32_bias(true);
    assert_equal_to_tensorflow("tutorial_calibrated", "tutorial_int16x8_bias32", &quantizer);
}

#[test]
fn int16x8_with_integer_inputs_and_outputs_is_tensorflows() {
    let quantizer = tensorflow(Scheme::Int16x8).input_type(IoType::Integer).output_type(IoType::Integer);
    assert_equal_to_tensorflow("tutorial_calibrated", "tutorial_int16x8_io", &quantizer);
}

#[test]
fn int8_is_tensorflows() {
    let quantizer = tensorflow(Scheme::Int8);
    assert_equal_to_tensorflow("tutorial_calibrated", "tutorial_int8", &quantizer);
    assert_equal_to_tensorflow("tutorial_batch1_calibrated", "tutorial_batch1_int8", &quantizer);
}

#[test]
fn int8_with_integer_inputs_and_outputs_is_tensorflows() {
    let quantizer = tensorflow(Scheme::Int8).input_type(IoType::Integer).output_type(IoType::Integer);
    assert_equal_to_tensorflow("tutorial_calibrated", "tutorial_int8_io", &quantizer);
}

#[test]
fn the_files_are_as_small_as_tensorflows() {
    let calibrated = fixture("tutorial_batch1_calibrated");
    let model = Model::from_bytes(&calibrated).unwrap();
    let calibration = Calibration::from_model(&model).unwrap();
    for (scheme, theirs) in
        [(Scheme::Int16x8, "tutorial_batch1_int16x8"), (Scheme::Int8, "tutorial_batch1_int8")]
    {
        let (quantized, _) = tensorflow(scheme).quantize(&model, &calibration).unwrap();
        let (ours, theirs) = (quantized.to_bytes().unwrap().len(), fixture(theirs).len());
        // The order of the tables decides how much padding there is between them.
        assert!(ours <= theirs + 64, "{scheme}: {ours} bytes, TensorFlow's file has {theirs}");
    }
}
