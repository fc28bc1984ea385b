//! The fixtures' networks, quantized here and by TensorFlow 2.21 from the same ranges, are the same bit for bit.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::PathBuf;

use burnlite_quantize::{Calibration, IoType, Quantizer, Scheme};
use burnlite_tflite::{Graph, Model, Op, Operator, Tensor, TensorId};

/// The networks of `tests/fixtures/network_cases.py` of which there is a calibrated file.
const NETWORKS: [&str; 24] = [
    "attention",
    "audio_gates",
    "dense_autoencoder",
    "dense_connections",
    "detector",
    "fused_lstm",
    "inception",
    "instance_norm",
    "inverted_residual",
    "keyword_spotter",
    "mixer",
    "residual",
    "separable",
    "squeeze_excite",
    "squeeze_excite_hard",
    "super_resolution_resize",
    "super_resolution_shuffle",
    "temporal_convolution",
    "text_classifier",
    "transformer",
    "two_inputs_three_outputs",
    "u_net",
    "unrolled_gru",
    "unrolled_lstm",
];

/// A file of `tests/fixtures/networks`; `None` where TensorFlow does not convert the network so.
fn fixture(name: &str) -> Option<Vec<u8>> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/networks");
    std::fs::read(folder.join(format!("{name}.tflite"))).ok()
}

/// What must be equal of a tensor.
fn facts(tensor: &Tensor<'_>) -> String {
    let Tensor { element_type, shape, quantization, data, .. } = tensor;
    let quantization = quantization.as_ref().map(|q| (&q.scale, &q.zero_point, q.dimension * usize::from(q.is_per_channel())));
    let hash = |data: &[u8]| data.iter().fold(7u64, |hash, &byte| hash.wrapping_mul(31).wrapping_add(byte.into()));
    format!("{element_type}{shape:?} {quantization:?} {:?}", data.as_deref().map(hash))
}

/// The operators that compute, without those that change the representation of what they read.
fn computing<'g>(graph: &'g Graph<'_>) -> Vec<&'g Operator> {
    let is_change = |operator: &&Operator| matches!(operator.op, Op::Quantize | Op::Dequantize);
    graph.operators.iter().filter(|operator| !is_change(operator)).collect()
}

/// The differences between two graphs, operator by operator.
fn differences(ours: &Graph<'_>, theirs: &Graph<'_>) -> Vec<String> {
    let (our_operators, their_operators) = (computing(ours), computing(theirs));
    let names = |operators: &[&Operator]| operators.iter().map(|o| o.op.name().to_owned()).collect::<Vec<_>>();
    if names(&our_operators) != names(&their_operators) {
        return vec![format!("operators {:?}, not {:?}", names(&our_operators), names(&their_operators))];
    }
    let mut differences = Vec::new();
    for (index, (our, their)) in our_operators.iter().zip(&their_operators).enumerate() {
        if our.op != their.op {
            differences.push(format!("{index}: {:?}, not {:?}", our.op, their.op));
        }
        let ids = |operator: &Operator| -> Vec<Option<TensorId>> {
            operator.inputs.iter().copied().chain(operator.outputs.iter().copied().map(Some)).collect()
        };
        for (position, (our_id, their_id)) in ids(our).into_iter().zip(ids(their)).enumerate() {
            let of = |graph: &Graph<'_>, id: Option<TensorId>| id.map(|id| facts(&graph.tensors[id.index()]));
            let (our_facts, their_facts) = (of(ours, our_id), of(theirs, their_id));
            if our_facts != their_facts {
                let name = our.op.name();
                differences.push(format!("{index} {name}, tensor {position}:\n    {our_facts:?}, not\n    {their_facts:?}"));
            }
        }
    }
    differences
}

fn check(scheme: Scheme, mode: &str) {
    let (mut compared, mut wrong) = (0, Vec::new());
    for name in NETWORKS {
        let calibrated = fixture(&format!("{name}_calibrated")).expect("every network has a calibrated file");
        let Some(theirs) = fixture(&format!("{name}_{mode}")) else { continue };
        let (model, theirs) = (Model::from_bytes(&calibrated).unwrap(), Model::from_bytes(&theirs).unwrap());
        let theirs = theirs.main().unwrap();
        let is_float = |id: &TensorId| theirs.tensors[id.index()].element_type == burnlite_tflite::ElementType::Float32;
        let io_type = if theirs.outputs.iter().all(is_float) { IoType::Float32 } else { IoType::Integer };
        let quantizer = Quantizer::new(scheme).input_type(io_type).output_type(io_type);
        let (ours, _) = quantizer.quantize(&model, &Calibration::from_model(&model).unwrap()).unwrap();
        compared += 1;
        let differences = differences(ours.main().unwrap(), theirs);
        wrong.extend(differences.iter().map(|difference| format!("{name}_{mode}: {difference}")));
    }
    assert!(wrong.is_empty(), "{} differences in {compared} networks:\n{}", wrong.len(), wrong.join("\n"));
    assert!(compared > 15);
}

#[test]
fn int16x8_networks_are_tensorflows() {
    check(Scheme::Int16x8, "int16x8");
}

#[test]
fn int8_networks_are_tensorflows() {
    check(Scheme::Int8, "int8");
}
