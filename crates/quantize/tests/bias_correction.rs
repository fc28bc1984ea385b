//! Bias correction: exact where it can be computed by hand, and of use on networks.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::PathBuf;

use burnlite_quantize::{Calibration, Quantizer, Remark, Report, Scheme};
use burnlite_runtime::Interpreter;
use burnlite_tflite::{
    Conv2dOptions, ElementType, FullyConnectedOptions, Graph, Model, Op, Operator, Padding, Tensor,
};

const SCHEMES: [Scheme; 2] = [Scheme::Int16x8, Scheme::Int8];

/// A layer as a model: `x`, its weights, perhaps its bias, and `y`.
fn layer(
    op: Op,
    x: &[usize],
    weights: (&[usize], &[f32]),
    bias: Option<&[f32]>,
    y: &[usize],
) -> Model<'static> {
    let mut graph = Graph::default();
    let x = graph.add_tensor(Tensor::new("x", ElementType::Float32, x));
    let weights = graph.add_tensor(Tensor::constant("weights", weights.0, weights.1));
    let mut inputs = vec![x, weights];
    inputs.extend(bias.map(|bias| graph.add_tensor(Tensor::constant("bias", [bias.len()], bias))));
    let y = graph.add_tensor(Tensor::new("y", ElementType::Float32, y));
    graph.operators.push(Operator::new(op, inputs, [y]));
    (graph.inputs, graph.outputs) = (vec![x], vec![y]);
    Model::new(graph)
}

fn dense(bias: Option<&[f32]>) -> Model<'static> {
    let op = Op::FullyConnected(FullyConnectedOptions::default());
    layer(op, &[2, 2], (&[2, 2], &[127.0, 10.25, -3.5, 127.0]), bias, &[2, 2])
}

/// Numbers from -1 to 2, the same on every run.
fn numbers(seed: usize, count: usize) -> Vec<f32> {
    let step = |state: &mut u32| {
        *state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        Some((*state >> 8) as f32 / 5_592_405.0 - 1.0)
    };
    std::iter::repeat(()).scan(seed as u32 * 7919 + 1, |state, ()| step(state)).take(count).collect()
}

fn calibrate(model: &Model<'_>, samples: &[Vec<f32>]) -> Calibration {
    Calibration::run(model, samples.iter().map(|sample| [sample]), |_| ()).unwrap()
}

fn quantize(
    model: &Model<'static>,
    scheme: Scheme,
    corrected: bool,
    samples: &[Vec<f32>],
) -> (Model<'static>, Report) {
    let quantizer = Quantizer::new(scheme).bias_correction(corrected);
    quantizer.quantize(model, &calibrate(model, samples)).unwrap()
}

/// The real numbers that the integers of the tensor `bias` stand for.
fn bias(model: &Model<'_>) -> Vec<f64> {
    let bias = model.main().unwrap().tensors.iter().find(|tensor| tensor.name == "bias").unwrap();
    let integers: Vec<f64> = match bias.element_type {
        ElementType::Int32 => {
            bias.elements_of::<i32>().unwrap().iter().map(|&value| f64::from(value)).collect()
        }
        _ => bias.elements_of::<i64>().unwrap().iter().map(|&value| value as f64).collect(),
    };
    let scales = bias.quantization.clone().unwrap().scale;
    integers.iter().zip(scales).map(|(value, scale)| value * f64::from(scale)).collect()
}

/// The means over the samples of each of the `channels` of the output.
fn output_means(model: &Model<'_>, samples: &[Vec<f32>], channels: usize) -> Vec<f64> {
    let mut interpreter = Interpreter::new(model).unwrap();
    let mut means = vec![0.0; channels];
    for sample in samples {
        interpreter.set_input(0, sample).unwrap();
        interpreter.invoke().unwrap();
        let output = interpreter.output::<f32>(0).unwrap();
        let count = (samples.len() * output.len() / channels) as f64;
        for (index, &value) in output.iter().enumerate() {
            means[index % channels] += f64::from(value) / count;
        }
    }
    means
}

/// The root of the mean square of the differences of the channels' means.
fn mean_error(float: &Model<'_>, quantized: &Model<'_>, samples: &[Vec<f32>], channels: usize) -> f64 {
    let [expected, found] = [float, quantized].map(|model| output_means(model, samples, channels));
    let squares = expected.iter().zip(found).map(|(expected, found)| (expected - found).powi(2));
    (squares.sum::<f64>() / channels as f64).sqrt()
}

#[test]
fn a_dense_layers_bias_is_corrected_by_hand() {
    let model = dense(Some(&[1.0, 2.0]));
    // Two samples of two rows: the means are 2 and 6.
    let samples = [vec![1.0, 4.0, 3.0, 8.0], vec![0.0, 2.0, 4.0, 10.0]];
    for scheme in SCHEMES {
        let (quantized, report) = quantize(&model, scheme, true, &samples);
        assert_eq!(report.corrected_biases, 1);
        assert!(report.to_string().contains("the biases of 1 layers make up for"), "{report}");
        let weights = quantized.main().unwrap().tensors[1].elements_of::<i8>().unwrap();
        assert_eq!(*weights, [127, 10, -4, 127]);
        // 1 + (10.25 - 10) * 6 and 2 + (-3.5 + 4) * 2, to half a step of the bias: its scale is the input's.
        let step = if scheme == Scheme::Int8 { 10.0 / 255.0 } else { 10.0 / 32767.0 };
        for (found, expected) in bias(&quantized).into_iter().zip([2.5, 3.0]) {
            assert!((found - expected).abs() <= 0.501 * step, "{scheme}: {found} for {expected}");
        }
    }
}

#[test]
fn only_the_bias_changes() {
    let model = dense(Some(&[1.0, 2.0]));
    let samples = [numbers(1, 4), numbers(2, 4)];
    for scheme in SCHEMES {
        let [(plain, report), (corrected, _)] =
            [false, true].map(|on| quantize(&model, scheme, on, &samples));
        assert_eq!(report.corrected_biases, 0);
        let (plain, corrected) = (plain.main().unwrap(), corrected.main().unwrap());
        assert_eq!(plain.operators, corrected.operators);
        for (plain, corrected) in plain.tensors.iter().zip(&corrected.tensors) {
            assert_eq!(plain.quantization, corrected.quantization);
            assert_eq!(plain.data == corrected.data, plain.name != "bias", "{}", plain.name);
        }
    }
}

#[test]
fn a_layer_without_bias_is_left_and_named() {
    let (model, samples) = (dense(None), [numbers(1, 4)]);
    for scheme in SCHEMES {
        let [(plain, _), (corrected, report)] =
            [false, true].map(|on| quantize(&model, scheme, on, &samples));
        assert_eq!(plain, corrected);
        assert_eq!(report.remarks, [Remark::NoBias { weights: "weights".into() }]);
        let expected = "'weights': the rounding stays uncorrected, for the layer has no bias";
        assert!(report.to_string().contains(expected), "{report}");
    }
}

/// Convolutions of four channels with a border, steps and gaps, in one and in two groups.
#[test]
fn the_mean_error_of_convolutions_shrinks() {
    let samples: Vec<_> = (0..10).map(|seed| numbers(seed, 2 * 7 * 6 * 4)).collect();
    for (depth, stride, dilation, output) in [(4, 1, 1, [7, 6]), (2, 2, 1, [4, 3]), (4, 1, 2, [7, 6])] {
        let options = Conv2dOptions {
            padding: Padding::Same,
            stride_h: stride,
            stride_w: stride,
            dilation_h: dilation,
            dilation_w: dilation,
            ..Default::default()
        };
        let weights = numbers(99, 8 * 9 * depth);
        let shape = [8, 3, 3, depth];
        let [high, wide] = output;
        let model = layer(
            Op::Conv2d(options),
            &[2, 7, 6, 4],
            (&shape, &weights),
            Some(&[0.1; 8]),
            &[2, high, wide, 8],
        );
        let error = |corrected| {
            let (quantized, _) = quantize(&model, Scheme::Int16x8, corrected, &samples);
            mean_error(&model, &quantized, &samples, 8)
        };
        let (plain, corrected) = (error(false), error(true));
        assert!(corrected < 0.05 * plain, "depth {depth}, stride {stride}: {plain} became {corrected}");
    }
}

/// The tutorial's network, with a free batch and with a batch of 1.
#[test]
fn the_mean_error_of_the_tutorials_network_shrinks() {
    for name in ["tutorial_float32", "tutorial_batch1_float32"] {
        let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/networks");
        let bytes = std::fs::read(folder.join(format!("{name}.tflite"))).expect("part of the repository");
        let model = Model::from_bytes(&bytes).unwrap();
        let pixels = model.graphs[0].tensors[model.graphs[0].inputs[0].index()].elements();
        let samples: Vec<_> = (0..20)
            .map(|seed| numbers(seed, pixels).iter().map(|pixel| pixel.clamp(0.0, 1.0)).collect())
            .collect();
        let calibration = calibrate(&model, &samples);
        let error = |corrected| {
            let quantizer = Quantizer::new(Scheme::Int16x8).bias_correction(corrected);
            let (quantized, _) = quantizer.quantize(&model, &calibration).unwrap();
            mean_error(&model, &quantized, &samples, 10)
        };
        let (plain, corrected) = (error(false), error(true));
        assert!(corrected < 0.4 * plain, "{name}: {plain} became {corrected}");
    }
}
