//! The table of what quantization cost, against a model small enough to know the numbers.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use burnlite_quantize::{
    Bounds, Calibration, Comparison, Error, IoType, LayerComparison, Quantizer, Scheme, compare,
};
use burnlite_tflite::{ElementType, FullyConnectedOptions, Graph, Model, Op, Operator, Tensor};

const SCHEMES: [Scheme; 4] = [Scheme::Int16x8, Scheme::Int8, Scheme::DynamicRange, Scheme::Float16];

/// A dense layer of three inputs and two outputs, then SIN, which has no integer kernel.
fn network() -> Model<'static> {
    let mut graph = Graph::default();
    let activation = |name: &str, values| Tensor::new(name, ElementType::Float32, [1, values]);
    let x = graph.add_tensor(activation("x", 3));
    let weights = [0.5f32, -0.25, 1.0, 0.3, 0.2, -0.9];
    let weights = graph.add_tensor(Tensor::constant("weights", [2, 3], &weights));
    let bias = graph.add_tensor(Tensor::constant("bias", [2], &[0.1f32, -0.2]));
    let hidden = graph.add_tensor(activation("hidden", 2));
    let y = graph.add_tensor(activation("y", 2));
    let dense = Op::FullyConnected(FullyConnectedOptions::default());
    graph.operators.push(Operator::new(dense, [x, weights, bias], [hidden]));
    graph.operators.push(Operator::new(Op::Sin, [hidden], [y]));
    (graph.inputs, graph.outputs) = (vec![x], vec![y]);
    Model::new(graph)
}

fn samples() -> Vec<[f32; 3]> {
    (0..50u16).map(|n| [17, 5, 11].map(|step| f32::from(n * step % 101) / 50.0 - 1.0)).collect()
}

fn run(model: &Model<'_>, quantized: &Model<'_>, samples: &[[f32; 3]]) -> Result<Comparison, Error> {
    compare(model, quantized, &Calibration::portable(), samples.iter().map(|sample| [sample]), |_| ())
}

fn compared(quantizer: Quantizer, calibration: &[[f32; 3]]) -> Comparison {
    let model = network();
    let calibration = Calibration::run(&model, calibration.iter().map(|sample| [sample]), |_| ()).unwrap();
    let (quantized, _) = quantizer.quantize(&model, &calibration).unwrap();
    run(&model, &quantized, &samples()).unwrap()
}

fn layer<'c>(comparison: &'c Comparison, name: &str) -> &'c LayerComparison {
    comparison.layers.iter().find(|layer| layer.name == name).unwrap()
}

#[test]
fn layers_are_compared_as_the_numbers_that_integers_stand_for() {
    let comparison = compared(Quantizer::new(Scheme::Int8), &samples());
    assert_eq!(
        (comparison.samples, comparison.constant_bytes_before, comparison.constant_bytes_after),
        (50, 32, 14)
    );
    let names: Vec<_> = comparison.layers.iter().map(|layer| (&layer.name[..], layer.is_output)).collect();
    assert_eq!(names, [("x", false), ("hidden", false), ("y", true)]);

    // Inputs from -1 to 1 in steps of 2 / 255, or nearly: no error is above half a step.
    let x = layer(&comparison, "x");
    assert_eq!((x.element_type, x.values, x.saturated, x.weight_snr_db), (ElementType::Int8, 150, 0, None));
    let step = 2.0 / 255.0;
    let max_error = x.measures.max_error.unwrap();
    assert!((step / 2.0 * 0.9..=step / 2.0 * 1.01).contains(&max_error), "{max_error}");
    // The error is spread evenly over a step.
    let mse = x.measures.mse.unwrap();
    assert!((0.8..1.2).contains(&(mse * 12.0 / (step * step))), "{mse}");
    assert!((7.9..=8.0).contains(&x.bits_used.unwrap()), "{:?}", x.bits_used);

    // Each channel's weights in steps of a 127th of the largest: an SNR that can be computed by hand.
    let errors = [(0.5, 1.0), (-0.25, 1.0), (1.0, 1.0), (0.3, 0.9), (0.2, 0.9), (-0.9, 0.9f64)].map(
        |(weight, largest): (f64, f64)| {
            (weight, weight - (weight * 127.0 / largest).round() * largest / 127.0)
        },
    );
    let power = errors.iter().map(|(weight, _)| weight * weight).sum::<f64>();
    let error_power = errors.iter().map(|(_, error)| error * error).sum::<f64>();
    let expected = 10.0 * (power / error_power).log10();
    let found = layer(&comparison, "hidden").weight_snr_db.unwrap();
    assert!((found - expected).abs() < 1e-3, "{found} {expected}");

    // The float sine of a quantized argument.
    let y = layer(&comparison, "y");
    assert_eq!((y.element_type, y.bits_used), (ElementType::Float32, None));
    assert_eq!(comparison.float_operators[0].to_string(), "operator 3 (SIN): no integer kernel computes it");
    assert_eq!(comparison.float_operators.len(), 1);
}

#[test]
fn values_beyond_the_range_are_counted() {
    let half: Vec<_> = samples().iter().map(|sample| sample.map(|value| value / 2.0)).collect();
    let beyond = samples().iter().flatten().filter(|value| value.abs() > 0.5 * (1.0 + 0.5 / 127.5)).count();
    let quantizer = Quantizer::new(Scheme::Int8).input_type(IoType::Integer);
    let comparison = compared(quantizer, &half);
    let x = layer(&comparison, "x");
    // The range of int8 is not quite symmetric.
    assert!(x.saturated.abs_diff(beyond) <= 1 && beyond > 40, "{} {beyond}", x.saturated);
    assert_eq!(x.bits_used, Some(8.0));
    assert!(x.measures.max_error.unwrap() > 0.49);
}

#[test]
fn every_scheme_can_be_compared() {
    for scheme in SCHEMES {
        let comparison = compared(Quantizer::new(scheme), &samples());
        let y = layer(&comparison, "y");
        let least = if scheme == Scheme::Int8 { 30.0 } else { 40.0 };
        assert!(y.measures.identical || y.measures.snr_db.unwrap() > least, "{scheme}: {comparison}");
        let are_integers = matches!(scheme, Scheme::Int16x8 | Scheme::Int8);
        assert_eq!(comparison.float_operators.len(), usize::from(are_integers), "{scheme}");
    }
}

#[test]
fn the_table_has_a_line_for_each_layer() {
    let comparison = compared(Quantizer::new(Scheme::Int16x8), &samples());
    let text = comparison.to_string();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[0], "50 samples; 22 bytes of constants, before 32");
    let columns =
        ["SNR dB", "MSE", "cosine", "max error", "saturated", "bits used", "weights dB", "type", "layer"];
    assert_eq!(
        lines[2].split("  ").map(str::trim).filter(|cell| !cell.is_empty()).collect::<Vec<_>>(),
        columns
    );
    assert_eq!(lines.len(), 3 + 3 + 1);
    assert!(lines[4].ends_with("int16  hidden"), "{text}");
    assert!(lines[5].ends_with("  -           -  float32  y (output)"), "{text}");
    assert_eq!(lines[6], "stays float32: operator 3 (SIN): no integer kernel computes it");
    let columns_end = |line: &str| line.find("layer").or_else(|| line.find("hidden"));
    assert_eq!(columns_end(lines[2]), columns_end(lines[4]));
}

#[test]
fn json_has_the_same_numbers() {
    let comparison = compared(Quantizer::new(Scheme::Int16x8), &samples());
    let json = serde_json::to_value(&comparison).unwrap();
    assert_eq!(json["samples"], 50);
    let hidden = &json["layers"][1];
    assert_eq!((&hidden["name"], &hidden["element_type"]), (&"hidden".into(), &"int16".into()));
    assert_eq!(hidden["snr_db"].as_f64(), layer(&comparison, "hidden").measures.snr_db);
    assert_eq!(json["float_operators"][0]["reason"], "no integer kernel computes it");
}

#[test]
fn models_without_anything_in_common_are_refused() {
    let model = network();
    let calibration = Calibration::run(&model, [[[0.5f32, 1.0, -1.0]]], |_| ()).unwrap();
    assert_eq!(calibration.range(burnlite_tflite::TensorId(0)), Some(Bounds { min: -1.0, max: 1.0 }));
    let (quantized, _) = Quantizer::new(Scheme::Int8).quantize(&model, &calibration).unwrap();
    let mut renamed = quantized.clone();
    renamed.graphs[0].tensors.iter_mut().for_each(|tensor| tensor.name.push('!'));
    assert_eq!(run(&model, &renamed, &samples()), Err(Error::Incomparable));
    assert_eq!(run(&model, &quantized, &[]), Err(Error::NoSamples));
    assert!(matches!(run(&quantized, &quantized, &samples()), Err(Error::AlreadyQuantized { .. })));
    let mut broken = quantized.clone();
    broken.graphs[0].operators[0].op = Op::Unsupported { code: 999, name: "SOFTPLUS".into() };
    assert!(matches!(run(&model, &broken, &samples()), Err(Error::QuantizedRuntime(_))));
    let nan = run(&model, &quantized, &[[f32::NAN; 3]]).unwrap_err();
    assert_eq!(nan.to_string(), "sample 0: input 'x' holds NaN at position 0");
}
