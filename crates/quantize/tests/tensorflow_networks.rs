//! The fixtures' networks, quantized here and by TensorFlow 2.21 from the same ranges, are the same bit for bit.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::path::PathBuf;

use burnlite_quantize::{Calibration, Compat, IoType, Quantizer, Scheme};
use burnlite_tflite::{Graph, Model, Op, Operator, Tensor, TensorId};

/// The networks of `tests/fixtures/network_cases.py` of which there is a calibrated file, but for `fused_lstm`, whose LSTM
/// stays float here.
const NETWORKS: [&str; 23] = [
    "attention",
    "audio_gates",
    "dense_autoencoder",
    "dense_connections",
    "detector",
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

/// Networks in which layers share a bias.
const SHARED_BIASES: [&str; 2] = ["audio_gates", "unrolled_gru"];

/// A file of `tests/fixtures`; `None` where TensorFlow does not convert the network so.
fn fixture(name: &str) -> Option<Vec<u8>> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures");
    std::fs::read(folder.join(format!("{name}.tflite"))).ok()
}

/// What must be equal of a tensor.
fn facts(tensor: &Tensor<'_>) -> String {
    let Tensor { element_type, shape, quantization, data, .. } = tensor;
    let quantization = quantization
        .as_ref()
        .map(|q| (&q.scale, &q.zero_point, q.dimension * usize::from(q.is_per_channel())));
    let hash =
        |data: &[u8]| data.iter().fold(7u64, |hash, &byte| hash.wrapping_mul(31).wrapping_add(byte.into()));
    format!("{element_type}{shape:?} {quantization:?} {:?}", data.as_deref().map(hash))
}

/// The operator that computes a tensor, past those that only change its representation; `None` for inputs and constants.
fn producer<'g>(graph: &'g Graph<'_>, id: TensorId) -> Option<&'g Operator> {
    let operator = graph.operators.iter().find(|operator| operator.outputs.contains(&id))?;
    match operator.op {
        Op::Quantize | Op::Dequantize => producer(graph, operator.inputs[0]?),
        _ => Some(operator),
    }
}

/// The constant of which a tensor is another representation.
fn constant_behind(graph: &Graph<'_>, id: TensorId) -> Option<TensorId> {
    let operator = graph.operators.iter().find(|operator| operator.outputs.contains(&id))?;
    let source = operator.inputs[0].filter(|_| operator.op == Op::Dequantize)?;
    graph.tensors[source.index()].data.is_some().then_some(source)
}

/// Two graphs, compared from their outputs backwards: the converter's order of operators differs from run to run.
struct Comparison<'g, 'a> {
    ours: &'g Graph<'a>,
    theirs: &'g Graph<'a>,
    seen: BTreeSet<(TensorId, TensorId)>,
    differences: Vec<String>,
}

impl Comparison<'_, '_> {
    fn run(mut self) -> Vec<String> {
        for (&ours, &theirs) in self.ours.outputs.iter().zip(&self.theirs.outputs) {
            self.tensors(ours, theirs, "an output");
        }
        self.differences
    }

    fn tensors(&mut self, ours: TensorId, theirs: TensorId, place: &str) {
        if !self.seen.insert((ours, theirs)) {
            return;
        }
        let (our, their) = (&self.ours.tensors[ours.index()], &self.theirs.tensors[theirs.index()]);
        if facts(our) != facts(their) {
            self.differences.push(format!("{place} is\n    {}, not\n    {}", facts(our), facts(their)));
        }
        if let [Some(our), Some(their)] =
            [constant_behind(self.ours, ours), constant_behind(self.theirs, theirs)]
        {
            return self.tensors(our, their, place);
        }
        match (producer(self.ours, ours), producer(self.theirs, theirs)) {
            (Some(our), Some(their)) => self.operators(our, their),
            (our, their) if our.is_some() != their.is_some() => {
                self.differences.push(format!("{place} is computed by {our:?}, not {their:?}"))
            }
            _ => {}
        }
    }

    fn operators(&mut self, our: &Operator, their: &Operator) {
        if our.op != their.op || our.inputs.len() != their.inputs.len() {
            return self.differences.push(format!("{:?} is to be {:?}", our.op, their.op));
        }
        for (position, pair) in our.inputs.iter().zip(&their.inputs).enumerate() {
            match pair {
                (&Some(our_input), &Some(their_input)) => {
                    let place = format!("operand {position} of {}", our.op.name());
                    self.tensors(our_input, their_input, &place);
                }
                (None, None) => {}
                pair => self.differences.push(format!("operand {position} of {}: {pair:?}", our.op.name())),
            }
        }
    }
}

/// The biases of TensorFlow's 16x8 that several layers share have the scale of one of them, which is wrong for the others.
fn is_shared_bias(difference: &str) -> bool {
    difference.starts_with("operand 2 of") && difference.contains("int64")
}

fn check(scheme: Scheme, mode: &str) {
    let (mut compared, mut wrong) = (0, Vec::new());
    for name in NETWORKS {
        let calibrated =
            fixture(&format!("networks/{name}_calibrated")).expect("every network has a calibrated file");
        let Some(theirs) = fixture(&format!("networks/{name}_{mode}")) else { continue };
        let (model, theirs) = (Model::from_bytes(&calibrated).unwrap(), Model::from_bytes(&theirs).unwrap());
        let theirs = theirs.main().unwrap();
        let is_float =
            |id: &TensorId| theirs.tensors[id.index()].element_type == burnlite_tflite::ElementType::Float32;
        let io_type = if theirs.outputs.iter().all(is_float) { IoType::Float32 } else { IoType::Integer };
        let quantizer =
            Quantizer::new(scheme).compat(Compat::TensorFlow).input_type(io_type).output_type(io_type);
        let (ours, _) = quantizer.quantize(&model, &Calibration::from_model(&model).unwrap()).unwrap();
        compared += 1;
        let (ours, seen) = (ours.main().unwrap(), BTreeSet::new());
        let mut differences = Comparison { ours, theirs, seen, differences: Vec::new() }.run();
        if SHARED_BIASES.contains(&name) {
            differences.retain(|difference| !is_shared_bias(difference));
        }
        wrong.extend(differences.iter().map(|difference| format!("{name}_{mode}: {difference}")));
    }
    assert!(wrong.is_empty(), "{} differences in {compared} networks:\n{}", wrong.len(), wrong.join("\n"));
    assert!(compared > 15);
}

/// What the schemes make of a float network, whose activations stay float.
fn check_weights(scheme: Scheme, folder: &str, mode: &str, networks: &[&str]) {
    for name in networks {
        let float = fixture(&format!("networks/{name}_float32")).expect("every network has a float file");
        let theirs =
            fixture(&format!("{folder}/{name}_{mode}")).expect("the network has a file of this mode");
        let (model, theirs) = (Model::from_bytes(&float).unwrap(), Model::from_bytes(&theirs).unwrap());
        let (ours, _) =
            Quantizer::new(scheme).quantize(&model, &Calibration::empty(&model).unwrap()).unwrap();
        let (ours, theirs) = (ours.main().unwrap(), theirs.main().unwrap());
        let differences = Comparison { ours, theirs, seen: BTreeSet::new(), differences: Vec::new() }.run();
        assert!(differences.is_empty(), "{name}_{mode}:\n{}", differences.join("\n"));
    }
}

#[test]
fn dynamic_range_networks_are_tensorflows() {
    check_weights(Scheme::DynamicRange, "networks", "hybrid", &["dense_autoencoder", "residual"]);
}

#[test]
fn float16_networks_are_tensorflows() {
    check_weights(Scheme::Float16, "float16", "float16", &["residual", "text_classifier", "unrolled_gru"]);
}

#[test]
fn int16x8_networks_are_tensorflows() {
    check(Scheme::Int16x8, "int16x8");
}

#[test]
fn int8_networks_are_tensorflows() {
    check(Scheme::Int8, "int8");
}
