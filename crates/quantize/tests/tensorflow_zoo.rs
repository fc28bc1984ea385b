//! The zoo's models, quantized here and by TensorFlow 2.21 from the same ranges: every tensor of every scheme.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use burnlite_quantize::{Calibration, Compat, Quantizer, Scheme};
use burnlite_tflite::{Graph, Model, TensorId};
use serde_json::Value;

fn tensorflow(scheme: Scheme) -> Quantizer {
    Quantizer::new(scheme).compat(Compat::TensorFlow)
}

fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/zoo").join(name)
}

/// The lines of `tests/fixtures/digest.py` for a graph.
struct Digest<'g, 'a> {
    graph: &'g Graph<'a>,
    walked: BTreeSet<usize>,
    lines: Vec<String>,
}

impl<'g, 'a> Digest<'g, 'a> {
    fn of(graph: &'g Graph<'a>) -> Vec<String> {
        let mut digest = Self { graph, walked: BTreeSet::new(), lines: Vec::new() };
        graph.outputs.iter().for_each(|&output| digest.place("-", output));
        digest.lines
    }

    fn place(&mut self, reader: &str, id: TensorId) {
        let line = format!("{reader} < {}", self.tensor(id));
        self.lines.push(line);
        let mut operators = self.graph.operators.iter().enumerate();
        let Some((index, operator)) = operators.find(|(_, operator)| operator.outputs.contains(&id)) else {
            return;
        };
        if self.walked.insert(index) {
            let operands = operator.inputs.iter().flatten();
            operands.for_each(|&operand| self.place(operator.op.name(), operand));
        }
    }

    fn tensor(&self, id: TensorId) -> String {
        let tensor = &self.graph.tensors[id.index()];
        let mut hashed = Vec::new();
        if let Some(quantization) = &tensor.quantization {
            hashed.extend(quantization.scale.iter().flat_map(|scale| scale.to_le_bytes()));
            hashed.extend(quantization.zero_point.iter().flat_map(|zero_point| zero_point.to_le_bytes()));
            let dimension = if quantization.is_per_channel() { quantization.dimension } else { 0 };
            hashed.extend(u32::try_from(dimension).unwrap().to_le_bytes());
        }
        hashed.extend(tensor.data.iter().flat_map(|data| data.iter()));
        let extents: Vec<String> = tensor.shape.iter().map(usize::to_string).collect();
        format!("{}[{}] {:08x}", tensor.element_type, extents.join(","), fnv1a(&hashed))
    }
}

/// The 32-bit FNV-1a hash.
fn fnv1a(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0x811c_9dc5, |hash, &byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

/// How our file differs from TensorFlow's; `None` where TensorFlow makes none.
fn differences(name: &str, facts: &Value, mode: &str, quantizer: &Quantizer) -> Option<Vec<String>> {
    let theirs = facts[mode].as_array()?.iter().map(|line| line.as_str().unwrap());
    let bytes = std::fs::read(path(&format!("{name}.tflite"))).unwrap();
    let model = Model::from_bytes(&bytes).unwrap();
    let calibration = Calibration::from_model(&model).unwrap();
    let (ours, _) = quantizer.quantize(&model, &calibration).unwrap();
    let file = ours.to_bytes().unwrap();
    let ours = Digest::of(Model::from_bytes(&file).unwrap().main().unwrap());
    let lines = ours.len().max(theirs.len());
    let ours = ours.iter().map(String::as_str).chain(std::iter::repeat("nothing"));
    let pairs = ours.zip(theirs.chain(std::iter::repeat("nothing"))).take(lines);
    Some(
        pairs
            .filter(|(ours, theirs)| ours != theirs)
            .map(|(ours, theirs)| format!("{ours}, not {theirs}"))
            .collect(),
    )
}

fn check(mode: &str, quantizer: Quantizer, known: &[(&str, &str)]) {
    let facts = std::fs::read_to_string(path("tensorflow.json")).unwrap();
    let facts: BTreeMap<String, Value> = serde_json::from_str(&facts).unwrap();
    let known: BTreeMap<&str, &str> = known.iter().copied().collect();
    let (mut compared, mut wrong) = (0, Vec::new());
    for (name, facts) in &facts {
        let Some(found) = differences(name, facts, mode, &quantizer) else { continue };
        compared += 1;
        let is_known = known.contains_key(name.as_str());
        if found.is_empty() == is_known {
            wrong.push(format!("{name}, known: {is_known}\n    {}", found.join("\n    ")));
        }
    }
    assert!(wrong.is_empty(), "{} of {compared} models differ:\n{}", wrong.len(), wrong.join("\n"));
    assert!(compared - known.len() >= 30, "{compared}");
}

/// Where our 16x8 differs, because TensorFlow's file is wrong or does not run.
const INT16X8: [(&str, &str); 5] = [
    ("distance_to_centres", "LiteRT has no SQUARED_DIFFERENCE of int16"),
    ("gru", "TensorFlow gives a bias that two layers share the scale of the first"),
    ("pad_constant", "TensorFlow leaves the value of PADV2 float, which LiteRT refuses"),
    ("squared_difference", "LiteRT has no SQUARED_DIFFERENCE of int16"),
    ("variance", "LiteRT has no SQUARED_DIFFERENCE of int16"),
];

/// The same with biases of 32 bits: those of depthwise convolutions stay at 64.
const NARROW_BIASES: [(&str, &str); 4] = [
    ("depthwise", "LiteRT's DEPTHWISE_CONV_2D of int16 takes biases of 64 bits alone"),
    ("depthwise_dilated", "LiteRT's DEPTHWISE_CONV_2D of int16 takes biases of 64 bits alone"),
    ("depthwise_multiplier", "LiteRT's DEPTHWISE_CONV_2D of int16 takes biases of 64 bits alone"),
    ("separable_conv", "LiteRT's DEPTHWISE_CONV_2D of int16 takes biases of 64 bits alone"),
];

/// Where our int8 differs.
const INT8: [(&str, &str); 9] = [
    ("div", "DIV stays float here: a divisor that rounds to 0 would fail at run time"),
    ("elu", "TensorFlow leaves ELU float, of which there is a kernel"),
    ("fourier_features", "TensorFlow leaves CONCATENATION float between float operators"),
    ("logsumexp", "an activation that is always 0 has a scale that LiteRT takes"),
    (
        "one_hot_of_arg_max",
        "ONE_HOT stays float here: TensorFlow gives its operands two scales, of which one is right",
    ),
    ("reciprocal", "DIV stays float here: a divisor that rounds to 0 would fail at run time"),
    ("softsign", "DIV stays float here: a divisor that rounds to 0 would fail at run time"),
    ("split", "TensorFlow leaves SPLIT float where a result is unused"),
    ("unstack", "TensorFlow leaves UNPACK float where a result is unused"),
];

#[test]
fn int16x8_is_tensorflows() {
    check("int16x8", tensorflow(Scheme::Int16x8), &INT16X8);
}

#[test]
fn int16x8_with_32_bit_biases_is_tensorflows() {
    let known = [INT16X8.as_slice(), &NARROW_BIASES].concat();
    check("int16x8_bias32", tensorflow(Scheme::Int16x8).int32_bias(true), &known);
}

#[test]
fn int8_is_tensorflows() {
    check("int8", tensorflow(Scheme::Int8), &INT8);
}

#[test]
fn dynamic_range_is_tensorflows() {
    check("hybrid", tensorflow(Scheme::DynamicRange), &[]);
}

#[test]
fn float16_is_tensorflows() {
    check("float16", tensorflow(Scheme::Float16), &[]);
}
