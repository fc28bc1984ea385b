//! Layers at the edge of what integers hold: right, measured against floats.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[expect(dead_code, reason = "the fixtures serve other tests")]
mod support;

use burnlite_quantize::{Calibration, Quantizer, Scheme, SecondMoments, WeightRounding};
use burnlite_tflite::{
    DepthwiseConv2dOptions, ElementType, FullyConnectedOptions, Graph, Model, Op, Operator, Padding, Tensor,
};
use support::{outputs, snr, values};

type Samples = Vec<Vec<Vec<f32>>>;

/// A dense layer; as many inputs for each output as there are weights.
fn dense(weights: &[f32], bias: &[f32]) -> Model<'static> {
    let inputs = weights.len() / bias.len();
    let op = Op::FullyConnected(FullyConnectedOptions::default());
    layer(op, &[1, inputs], (&[bias.len(), inputs], weights), bias, &[1, bias.len()])
}

/// A depthwise convolution of images of 4 by 4 pixels by one tap.
fn depthwise(weights: &[f32], bias: &[f32]) -> Model<'static> {
    let (stride, multiplier) = (1, 1);
    let op = Op::DepthwiseConv2d(DepthwiseConv2dOptions {
        padding: Padding::Valid,
        stride_h: stride,
        stride_w: stride,
        depth_multiplier: multiplier,
        ..Default::default()
    });
    let channels = bias.len();
    layer(op, &[1, 4, 4, channels], (&[1, 1, 1, channels], weights), bias, &[1, 4, 4, channels])
}

fn layer(op: Op, x: &[usize], weights: (&[usize], &[f32]), bias: &[f32], y: &[usize]) -> Model<'static> {
    let mut graph = Graph::default();
    let x = graph.add_tensor(Tensor::new("x", ElementType::Float32, x));
    let weights = graph.add_tensor(Tensor::constant("weights", weights.0, weights.1));
    let bias = graph.add_tensor(Tensor::constant("bias", [bias.len()], bias));
    let y = graph.add_tensor(Tensor::new("y", ElementType::Float32, y));
    graph.operators.push(Operator::new(op, [x, weights, bias], [y]));
    (graph.inputs, graph.outputs) = (vec![x], vec![y]);
    Model::new(graph)
}

/// Samples from `center - spread` to `center + spread`.
fn samples(model: &Model<'_>, count: usize, center: f32, spread: f32) -> Samples {
    let elements = model.graphs[0].tensors[0].elements();
    let sample = |seed| values(seed, elements).into_iter().map(|value| center + spread * value).collect();
    (0..count).map(|seed| vec![sample(seed)]).collect()
}

/// A model after calibration on some samples, compared on others.
struct Case {
    model: Model<'static>,
    seen: Samples,
    fresh: Samples,
}

impl Case {
    fn new(model: Model<'static>, center: f32, spread: f32) -> Self {
        let mut seen = samples(&model, 40, center, spread);
        let fresh = seen.split_off(30);
        Self { model, seen, fresh }
    }

    /// Checks every scheme and every rounding of weights.
    fn assert_right(&self, least_of_16x8: f64, least_of_int8: f64) {
        let calibration = Calibration::run(&self.model, &self.seen, |_| ()).unwrap();
        let moments = SecondMoments::run(&self.model, &Calibration::portable(), &self.seen, |_| ()).unwrap();
        let expected = outputs(&self.model, &self.fresh);
        for (scheme, least) in [(Scheme::Int16x8, least_of_16x8), (Scheme::Int8, least_of_int8)] {
            for rounding in [WeightRounding::Nearest, WeightRounding::Mse, WeightRounding::Gptq] {
                let quantizer = Quantizer::new(scheme).weight_rounding(rounding);
                let (quantized, report) =
                    quantizer.quantize_with_moments(&self.model, &calibration, &moments).unwrap();
                let file = quantized.to_bytes().unwrap();
                let found = outputs(&Model::from_bytes(&file).unwrap(), &self.fresh);
                let ratio = snr(&expected, &found);
                assert!(ratio >= least, "{scheme}, {rounding:?}: {ratio:.1} dB\n{report}");
            }
        }
    }
}

/// In steps of the products, the biases take 38 bits.
#[test]
fn biases_of_200_with_small_scales() {
    let model = dense(&values(1, 3 * 64), &[200.0, -200.0, 0.0]);
    Case::new(model, 0.0, 0.01).assert_right(90.0, 45.0);
    let model = depthwise(&values(2, 3), &[200.0, -200.0, 0.0]);
    Case::new(model, 0.0, 0.01).assert_right(90.0, 45.0);
}

/// The bias of the small channel is 80 steps of the result, but its weights are so small that kernels would take their
/// multiplier for 0.
#[test]
fn a_small_channel_beside_a_large_one_keeps_its_bias() {
    let model = dense(&[1e-9, -2e-9, 1000.0, 500.0], &[5.0, 0.0]);
    let case = Case::new(model, 0.0, 1.0);
    case.assert_right(45.0, 35.0);
    let calibration = Calibration::run(&case.model, &case.seen, |_| ()).unwrap();
    let (quantized, _) = Quantizer::new(Scheme::Int16x8).quantize(&case.model, &calibration).unwrap();
    for result in outputs(&quantized, &case.fresh).chunks_exact(2) {
        assert!((result[0] - 5.0).abs() < 0.06, "{result:?}");
    }
}

#[test]
fn dead_channels_give_their_bias() {
    let zeros = [0.0; 8];
    for bias in [[0.25, -0.5, 0.0], [200.0, -100.0, 0.0], [0.0; 3]] {
        let weights = [&values(3, 8), &zeros[..], &zeros[..]].concat();
        Case::new(dense(&weights, &bias), 0.0, 1.0).assert_right(38.0, 30.0);
        Case::new(depthwise(&[0.5, 0.0, 0.0], &bias), 0.0, 1.0).assert_right(70.0, 35.0);
    }
}

#[test]
fn a_layer_of_zeros_gives_zeros() {
    let case = Case::new(dense(&[0.0; 6], &[0.0; 2]), 0.0, 1.0);
    let calibration = Calibration::run(&case.model, &case.seen, |_| ()).unwrap();
    for scheme in [Scheme::Int16x8, Scheme::Int8] {
        let (quantized, _) = Quantizer::new(scheme).quantize(&case.model, &calibration).unwrap();
        assert!(outputs(&quantized, &case.fresh).iter().all(|&value| value == 0.0));
    }
}

#[test]
fn tensors_that_are_always_negative() {
    let weights: Vec<f32> = values(4, 24).into_iter().map(f32::abs).collect();
    Case::new(dense(&weights, &[-1.0, -2.0, -0.5]), -2.0, 1.0).assert_right(55.0, 40.0);
    Case::new(depthwise(&[1.0, 0.5, 0.25], &[-1.0, -2.0, -0.5]), -2.0, 1.0).assert_right(75.0, 40.0);
}

/// Nothing varies: bias correction takes all that rounding the weights costs.
#[test]
fn inputs_that_are_constant() {
    Case::new(dense(&values(5, 60), &[0.1, -0.2, 0.3]), 0.75, 0.0).assert_right(80.0, 40.0);
    Case::new(dense(&values(5, 60), &[0.1, -0.2, 0.3]), -1e-3, 0.0).assert_right(80.0, 40.0);
}

/// On itself; and on others, where headroom pays: 16 pixels do not show how far values go.
#[test]
fn one_sample_calibrates() {
    for model in
        [dense(&values(6, 3 * 32), &[0.1, -0.2, 0.3]), depthwise(&[0.5, -0.7, 0.9], &[0.1, -0.2, 0.3])]
    {
        let seen = samples(&model, 1, 0.0, 1.0);
        Case { model, fresh: seen.clone(), seen }.assert_right(45.0, 30.0);
    }
    let model = depthwise(&[0.5, -0.7, 0.9], &[0.1, -0.2, 0.3]);
    let mut seen = samples(&model, 20, 0.0, 1.0);
    let fresh = seen.split_off(1);
    Case { model, seen, fresh }.assert_right(65.0, 20.0);
}
