//! What a quantized model looks like and computes.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::borrow::Cow;

use burnlite_quantize::{Calibration, Compat, FloatReason, IoType, Quantizer, Remark, Role, Scheme};
use burnlite_runtime::Interpreter;
use burnlite_tflite::{
    Activation, Element, ElementType, FullyConnectedOptions, Graph, Metadata, Model, Op, Operator, Signature,
    SoftmaxOptions, Tensor, TensorId,
};
use proptest::prelude::*;

const SCHEMES: [Scheme; 2] = [Scheme::Int16x8, Scheme::Int8];

/// The tensors of [`network`], by name.
#[derive(Clone, Copy)]
struct Ids {
    x: TensorId,
    hidden: TensorId,
    logits: TensorId,
    y: TensorId,
    weights: [TensorId; 2],
    bias: TensorId,
}

fn dense(activation: Activation) -> Op {
    Op::FullyConnected(FullyConnectedOptions { activation, ..Default::default() })
}

/// Two dense layers of three units that share a bias, then SOFTMAX, over a batch of any size.
fn network(weights: [[f32; 9]; 2], bias: [f32; 3]) -> (Model<'static>, Ids) {
    let mut graph = Graph::default();
    let activation = |name: &str| Tensor {
        shape_signature: Some(vec![-1, 3]),
        ..Tensor::new(name, ElementType::Float32, [1, 3])
    };
    let [x, hidden, logits, y] =
        ["x", "hidden", "logits", "y"].map(|name| graph.add_tensor(activation(name)));
    let weights = [("w0", weights[0]), ("w1", weights[1])]
        .map(|(name, values)| graph.add_tensor(Tensor::constant(name, [3, 3], &values)));
    let bias = graph.add_tensor(Tensor::constant("bias", [3], &bias));
    graph.operators = vec![
        Operator::new(dense(Activation::Relu), [x, weights[0], bias], [hidden]),
        Operator::new(dense(Activation::None), [hidden, weights[1], bias], [logits]),
        Operator::new(Op::Softmax(SoftmaxOptions { beta: 1.0 }), [logits], [y]),
    ];
    (graph.inputs, graph.outputs) = (vec![x], vec![y]);
    let signature = Signature {
        key: "serving_default".into(),
        inputs: vec![("image".into(), x)],
        outputs: vec![("classes".into(), y)],
        graph: 0,
    };
    let model = Model { signatures: vec![signature], ..Model::new(graph) };
    (model, Ids { x, hidden, logits, y, weights, bias })
}

fn usual_network() -> (Model<'static>, Ids) {
    let first = [0.5, -0.25, 1.0, -1.5, 0.125, 0.75, 0.3, 0.2, -0.9];
    let second = [1.0, -2.0, 0.5, 0.25, 0.75, -1.25, 0.6, 0.4, 0.9];
    network([first, second], [0.1, -0.2, 0.3])
}

/// Deterministic samples of three values from -1 to 1.
fn samples() -> Vec<[f32; 3]> {
    (0..50u16).map(|n| [17, 5, 11].map(|step| f32::from(n * step % 101) / 50.0 - 1.0)).collect()
}

fn calibrate(model: &Model<'_>, samples: &[[f32; 3]]) -> Calibration {
    Calibration::run(model, samples.iter().map(|sample| [sample]), |_| ()).unwrap()
}

fn quantize(quantizer: Quantizer) -> (Model<'static>, burnlite_quantize::Report, Ids) {
    let (model, ids) = usual_network();
    let (quantized, report) = quantizer.quantize(&model, &calibrate(&model, &samples())).unwrap();
    (quantized, report, ids)
}

fn run<I: Element, O: Element>(model: &Model<'_>, input: &[I]) -> Vec<O> {
    let mut interpreter = Interpreter::new(model).unwrap();
    interpreter.set_input(0, input).unwrap();
    interpreter.invoke().unwrap();
    interpreter.output::<O>(0).unwrap().to_vec()
}

fn tensor<'m, 'a>(model: &'m Model<'a>, id: TensorId) -> &'m Tensor<'a> {
    &model.main().unwrap().tensors[id.index()]
}

fn operator_names(model: &Model<'_>) -> Vec<String> {
    model.main().unwrap().operators.iter().map(|operator| operator.op.name().to_string()).collect()
}

#[test]
fn calibration_sees_the_extremes_of_every_activation() {
    let (model, ids) = usual_network();
    let mut seen = Vec::new();
    let all = samples();
    let calibration =
        Calibration::run(&model, all.iter().map(|sample| [sample]), |done| seen.push(done)).unwrap();
    assert_eq!(seen, (1..=50).collect::<Vec<_>>());
    assert_eq!(calibration.samples(), 50);
    let values = || all.iter().flatten().copied();
    let range = calibration.range(ids.x).unwrap();
    assert_eq!((range.min, range.max), (values().fold(1.0, f32::min), values().fold(-1.0, f32::max)));
    assert_eq!(calibration.range(ids.hidden).unwrap().min, 0.0);
    assert_eq!(calibration.range(ids.bias), None);
    assert_eq!(calibration.range(TensorId(99)), None);
}

#[test]
fn merged_calibrations_equal_one_over_all_samples() {
    let (model, _) = usual_network();
    let all = samples();
    let (first, second) = all.split_at(13);
    let mut merged = calibrate(&model, second);
    merged.merge(&calibrate(&model, first)).unwrap();
    assert_eq!(merged, calibrate(&model, &all));
}

#[test]
fn float_inputs_and_outputs_keep_their_names_and_signatures() {
    for scheme in SCHEMES {
        let (model, report, ids) = quantize(Quantizer::new(scheme));
        let graph = model.main().unwrap();
        let (x, y) = (graph.inputs[0], graph.outputs[0]);
        let names = ["QUANTIZE", "FULLY_CONNECTED", "FULLY_CONNECTED", "SOFTMAX", "DEQUANTIZE"];
        assert_eq!(operator_names(&model), names);
        for (id, name, inner) in [(x, "x", ids.x), (y, "y", ids.y)] {
            assert_eq!(
                (tensor(&model, id).name.as_str(), tensor(&model, id).element_type),
                (name, ElementType::Float32)
            );
            assert_eq!(tensor(&model, id).shape_signature, Some(vec![-1, 3]));
            assert_eq!(tensor(&model, inner).name, format!("{name}_{}", scheme.activation_type()));
        }
        let signature = model.signature("serving_default").unwrap();
        assert_eq!(signature.inputs, [("image".to_string(), x)]);
        assert_eq!(signature.outputs, [("classes".to_string(), y)]);
        let kept: Vec<_> = report.kept_float.iter().map(|kept| (kept.name.as_str(), kept.reason)).collect();
        assert_eq!(kept, [("x", FloatReason::Input), ("y", FloatReason::Output)]);
    }
}

#[test]
fn integer_inputs_and_outputs_need_no_operators() {
    for scheme in SCHEMES {
        let quantizer = Quantizer::new(scheme).input_type(IoType::Integer);
        let (model, _, ids) = quantize(quantizer.clone());
        assert_eq!(operator_names(&model), ["FULLY_CONNECTED", "FULLY_CONNECTED", "SOFTMAX", "DEQUANTIZE"]);
        assert_eq!(model.main().unwrap().inputs, [ids.x]);

        let (model, report, ids) = quantize(quantizer.output_type(IoType::Integer));
        assert_eq!(operator_names(&model), ["FULLY_CONNECTED", "FULLY_CONNECTED", "SOFTMAX"]);
        assert_eq!(
            (model.main().unwrap().outputs.as_slice(), tensor(&model, ids.y).name.as_str()),
            (&[ids.y][..], "y")
        );
        assert_eq!(model.signatures[0].outputs, [("classes".to_string(), ids.y)]);
        assert!(report.kept_float.is_empty());
    }
}

#[test]
fn unsigned_inputs_and_outputs_are_128_above() {
    let quantizer = |io_type| Quantizer::new(Scheme::Int8).input_type(io_type).output_type(io_type);
    let (signed, ..) = quantize(quantizer(IoType::Integer));
    let (unsigned, report, _) = quantize(quantizer(IoType::UInt8));
    assert!(report.kept_float.is_empty());
    assert_eq!(tensor(&unsigned, unsigned.main().unwrap().inputs[0]).name, "x");
    let file = unsigned.to_bytes().unwrap();
    let unsigned = Model::from_bytes(&file).unwrap();
    let expected: Vec<u8> =
        run::<i8, i8>(&signed, &[-128, 0, 100]).iter().map(|&q| (i16::from(q) + 128) as u8).collect();
    assert_eq!(run::<u8, u8>(&unsigned, &[0, 128, 228]), expected);

    let (model, _) = usual_network();
    let refused = Quantizer::new(Scheme::Int16x8).input_type(IoType::UInt8);
    assert!(refused.quantize(&model, &calibrate(&model, &samples())).is_err());
}

#[test]
fn dense_layers_may_have_one_scale() {
    let (float, _) = usual_network();
    for (scheme, tolerance) in [(Scheme::Int16x8, 0.015), (Scheme::Int8, 0.04)] {
        let (quantized, _, ids) =
            quantize(Quantizer::new(scheme).per_channel_dense(false).bias_correction(true));
        for id in ids.weights.into_iter().chain([ids.bias]) {
            assert_eq!(tensor(&quantized, id).quantization.as_ref().unwrap().scale.len(), 1);
        }
        for sample in samples() {
            let (expected, found) = (run::<f32, f32>(&float, &sample), run::<f32, f32>(&quantized, &sample));
            let error = expected.iter().zip(&found).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(error <= tolerance, "{scheme}: {expected:?} became {found:?}");
        }
    }
}

#[test]
fn every_tensor_gets_the_type_of_its_role() {
    for scheme in SCHEMES {
        let (model, report, ids) = quantize(Quantizer::new(scheme));
        for id in [ids.x, ids.hidden, ids.logits, ids.y] {
            let tensor = tensor(&model, id);
            assert_eq!(tensor.element_type, scheme.activation_type());
            assert_eq!(tensor.shape_signature, Some(vec![-1, 3]), "the batch stays free");
            assert_eq!(tensor.range, None, "ranges cost bytes and serve nobody");
        }
        for id in ids.weights {
            assert_eq!(tensor(&model, id).element_type, ElementType::Int8);
            assert_eq!(tensor(&model, id).quantization.as_ref().unwrap().scale.len(), 3);
        }
        assert_eq!(tensor(&model, ids.bias).element_type, scheme.bias_type());
        let softmax = tensor(&model, ids.y).quantization.clone().unwrap();
        let expected = if scheme == Scheme::Int8 { (1.0 / 256.0, -128) } else { (1.0 / 32768.0, 0) };
        assert_eq!((softmax.scale[0], softmax.zero_point[0]), expected);
        assert_eq!([Role::Activation, Role::Weights, Role::Bias].map(|role| report.count(role)), [4, 2, 2]);
    }
}

#[test]
fn sixteen_bit_layers_say_the_type_of_their_bias() {
    for (scheme, expected) in [(Scheme::Int16x8, ElementType::Int64), (Scheme::Int8, ElementType::Float32)] {
        let (model, ..) = quantize(Quantizer::new(scheme));
        for operator in &model.main().unwrap().operators {
            if let Op::FullyConnected(options) = &operator.op {
                assert_eq!(options.quantized_bias_type, expected);
            }
        }
    }
}

#[test]
fn a_shared_bias_is_quantized_for_each_layer() {
    for scheme in SCHEMES {
        let (model, _, ids) = quantize(Quantizer::new(scheme));
        let layers: Vec<_> =
            model.main().unwrap().operators.iter().filter(|o| o.op.name() == "FULLY_CONNECTED").collect();
        let [first, second] = [0, 1].map(|layer| layers[layer].inputs[2].unwrap());
        assert_eq!(first, ids.bias);
        assert_eq!(tensor(&model, second).name, "bias_1");
        for (input, weights, bias) in [(ids.x, ids.weights[0], first), (ids.hidden, ids.weights[1], second)] {
            let scales = |id| tensor(&model, id).quantization.clone().unwrap().scale;
            let products: Vec<f32> = scales(weights).iter().map(|scale| scales(input)[0] * scale).collect();
            assert_eq!(scales(bias), products);
        }
    }
}

#[test]
fn shared_weights_stay_one_constant() {
    let (mut model, ids) = usual_network();
    model.graphs[0].operators[1].inputs[1] = Some(ids.weights[0]);
    for scheme in SCHEMES {
        let calibration = calibrate(&model, &samples());
        let (quantized, report) = Quantizer::new(scheme).quantize(&model, &calibration).unwrap();
        assert_eq!(report.count(Role::Weights), 1);
        assert_eq!(tensor(&quantized, ids.weights[1]).element_type, ElementType::Float32, "nobody uses it");
    }
}

#[test]
fn an_output_that_is_used_inside_is_dequantized_beside() {
    let (mut model, ids) = usual_network();
    model.graphs[0].outputs = vec![ids.y, ids.hidden, ids.y, ids.x];
    let calibration = calibrate(&model, &samples());
    let (quantized, _) = Quantizer::new(Scheme::Int16x8).quantize(&model, &calibration).unwrap();
    let graph = quantized.main().unwrap();
    assert_eq!(graph.operators.iter().filter(|operator| operator.op == Op::Dequantize).count(), 2);
    assert_eq!(graph.outputs[0], graph.outputs[2]);
    assert_eq!(graph.outputs[3], graph.inputs[0], "an input is an output as it is");
    let names: Vec<_> = graph.outputs.iter().map(|&id| tensor(&quantized, id).name.as_str()).collect();
    assert_eq!(names, ["y", "hidden", "y", "x"]);
    assert_eq!(graph.operators[1].outputs, [ids.hidden]);
    run::<f32, f32>(&quantized, &[0.5, 0.25, -0.5]);
}

#[test]
fn metadata_stays_and_the_runtime_version_follows_the_operators() {
    let (mut model, _) = usual_network();
    let entry = |name: &str| Metadata { name: name.into(), data: Cow::Borrowed(b"1.5.0") };
    model.metadata = vec![entry("min_runtime_version"), entry("author")];
    let calibration = calibrate(&model, &samples());
    let (quantized, _) = Quantizer::new(Scheme::Int8).quantize(&model, &calibration).unwrap();
    let release =
        Metadata { name: "min_runtime_version".into(), data: Cow::Borrowed(b"1.14.0\0\0\0\0\0\0\0\0\0\0") };
    assert_eq!(quantized.metadata, [entry("author"), release]);
    let (quantized, _) = Quantizer::new(Scheme::Int16x8).quantize(&model, &calibration).unwrap();
    assert!(quantized.metadata[1].data.starts_with(b"2."), "{:?}", quantized.metadata);
}

#[test]
fn the_same_model_gives_the_same_bytes() {
    for scheme in SCHEMES {
        let bytes = || quantize(Quantizer::new(scheme)).0.to_bytes().unwrap();
        assert_eq!(bytes(), bytes());
        let (file, written) = (bytes(), quantize(Quantizer::new(scheme)).0);
        assert_eq!(
            Model::from_bytes(&file).unwrap().main().unwrap().tensors,
            written.main().unwrap().tensors
        );
    }
}

#[test]
fn the_integer_model_computes_what_the_float_model_computes() {
    let (float, _) = usual_network();
    for (scheme, tolerance) in [(Scheme::Int16x8, 0.01), (Scheme::Int8, 0.03)] {
        let (quantized, ..) = quantize(Quantizer::new(scheme));
        for sample in samples() {
            let (expected, found) = (run::<f32, f32>(&float, &sample), run::<f32, f32>(&quantized, &sample));
            let error = expected.iter().zip(&found).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(error <= tolerance, "{scheme}: {expected:?} became {found:?}");
        }
    }
}

#[test]
fn a_layer_that_is_always_off_quantizes_and_runs() {
    let (model, _) = network([[0.5; 9], [0.25; 9]], [-100.0, -100.0, -100.0]);
    for scheme in SCHEMES {
        let (quantized, report) =
            Quantizer::new(scheme).quantize(&model, &calibrate(&model, &samples())).unwrap();
        assert!(report.remarks.contains(&Remark::AlwaysZero { tensor: "hidden".into() }), "{report}");
        let probabilities = run::<f32, f32>(&quantized, &[0.5, 0.5, 0.5]);
        assert!(
            probabilities.iter().all(|probability| (probability - 1.0 / 3.0).abs() < 0.005),
            "{probabilities:?}"
        );
    }
}

#[test]
fn a_channel_of_zeros_quantizes_and_runs() {
    let weights = [0.0, 0.0, 0.0, 0.5, 0.25, 1.0, -0.5, 0.25, 1.0];
    let (model, _) = network([weights, weights], [0.0, 0.1, 0.2]);
    for scheme in SCHEMES {
        let (quantized, _) = Quantizer::new(scheme).quantize(&model, &calibrate(&model, &samples())).unwrap();
        let sample = [0.5, -0.25, 0.75];
        let (expected, found) = (run::<f32, f32>(&model, &sample), run::<f32, f32>(&quantized, &sample));
        let error = expected.iter().zip(&found).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(error < 0.02, "{scheme}: {expected:?} became {found:?}");
    }
}

#[test]
fn a_large_bias_is_reported() {
    let (model, _) = network([[0.5; 9], [0.5; 9]], [100.0, 0.0, 0.0]);
    let tiny: Vec<_> = samples().iter().map(|sample| sample.map(|value| value * 1e-4)).collect();
    for scheme in SCHEMES {
        let quantizer = Quantizer::new(scheme).compat(Compat::TensorFlow);
        let (_, report) = quantizer.quantize(&model, &calibrate(&model, &tiny)).unwrap();
        assert!(report.remarks.contains(&Remark::WidenedWeights { tensor: "w0".into(), channels: 1, of: 3 }));
        assert!(report.to_string().contains("'w0': the weights of 1 of 3 channels are coarser"), "{report}");
    }
    // 64 bits hold the bias as it is.
    let (_, report) = Quantizer::new(Scheme::Int16x8).quantize(&model, &calibrate(&model, &tiny)).unwrap();
    assert_eq!(report.remarks, []);
}

proptest! {
    /// Whatever the numbers: no panic, and no scale in the file that is NaN or infinite.
    #[test]
    fn scales_are_finite_or_an_error_says_so(
        first in any::<[f32; 9]>(),
        second in prop::array::uniform9(-1e3f32..1e3),
        bias in any::<[f32; 3]>(),
        ranges in any::<[(f32, f32); 4]>(),
    ) {
        let (mut model, ids) = network([first, second], bias);
        for (id, (one, other)) in [ids.x, ids.hidden, ids.logits, ids.y].into_iter().zip(ranges) {
            let range = burnlite_tflite::Range { min: vec![one.min(other)], max: vec![one.max(other)] };
            model.graphs[0].tensors[id.index()].range = Some(range);
        }
        let Ok(calibration) = Calibration::from_model(&model) else { return Ok(()) };
        for scheme in SCHEMES {
            let Ok((quantized, _)) = Quantizer::new(scheme).quantize(&model, &calibration) else { continue };
            for tensor in &quantized.main().unwrap().tensors {
                for scale in tensor.quantization.iter().flat_map(|quantization| &quantization.scale) {
                    prop_assert!(scale.is_finite() && *scale >= 0.0, "'{}' has scale {scale}", tensor.name);
                }
            }
            prop_assert!(quantized.to_bytes().is_ok());
        }
    }
}
