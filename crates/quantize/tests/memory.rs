//! What calibration and quantization take at their peak, counted by the allocator.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[expect(dead_code, reason = "the fixtures serve other tests")]
mod support;

use burnlite_quantize::{Calibration, Quantizer, Scheme};
use burnlite_runtime::{Interpreter, InterpreterOptions};
use burnlite_tflite::{
    Activation, Conv2dOptions, DepthwiseConv2dOptions, ElementType, Graph, Model, Op, Operator, Padding,
    Tensor,
};
use support::{fixtures, samples, values};

/// Bytes of the file of a model and of its activations, and bytes at the peak of making integers of it, the file included.
fn measure(file: &[u8], scheme: Scheme) -> (usize, u64) {
    let model = Model::from_bytes(file).unwrap();
    let options = InterpreterOptions { keep_intermediates: true, ..Calibration::portable() };
    let interpreter = Interpreter::with_options(&model, &options).unwrap();
    let activations = interpreter.arena_bytes();
    let samples = samples(&interpreter, 4);
    drop(interpreter);
    let counted = allocation_counter::measure(|| {
        let model = Model::from_bytes(file).unwrap();
        let calibration = Calibration::run(&model, &samples, |_| ()).unwrap();
        let (quantized, _) = Quantizer::new(scheme).quantize(&model, &calibration).unwrap();
        assert!(quantized.to_bytes().unwrap().len() < file.len());
    });
    (file.len() + activations, file.len() as u64 + counted.bytes_max)
}

/// Blocks of a depthwise and a pointwise convolution, as of MobileNet.
fn blocks() -> Model<'static> {
    let mut graph = Graph::default();
    let image = |name: String, channels| Tensor::new(name, ElementType::Float32, [1, 16, 16, channels]);
    let mut x = graph.add_tensor(image("x".into(), 32));
    graph.inputs.push(x);
    for (number, [depth, wide]) in [[32, 64], [64, 96], [96, 128], [128, 128]].into_iter().enumerate() {
        let constant = |name: &str, shape: &[usize]| {
            let values = values(number, shape.iter().product());
            Tensor::constant(format!("{name}_{number}"), shape, &values)
        };
        let [taps, first_bias] = [constant("taps", &[1, 3, 3, depth]), constant("first_bias", &[depth])]
            .map(|it| graph.add_tensor(it));
        let middle = graph.add_tensor(image(format!("depthwise_{number}"), depth));
        let depthwise = Op::DepthwiseConv2d(DepthwiseConv2dOptions {
            padding: Padding::Same,
            stride_h: 1,
            stride_w: 1,
            depth_multiplier: 1,
            activation: Activation::Relu,
            ..Default::default()
        });
        graph.operators.push(Operator::new(depthwise, [x, taps, first_bias], [middle]));
        let [weights, bias] = [constant("weights", &[wide, 1, 1, depth]), constant("bias", &[wide])]
            .map(|it| graph.add_tensor(it));
        x = graph.add_tensor(image(format!("pointwise_{number}"), wide));
        let pointwise = Op::Conv2d(Conv2dOptions {
            stride_h: 1,
            stride_w: 1,
            activation: Activation::Relu,
            ..Default::default()
        });
        graph.operators.push(Operator::new(pointwise, [middle, weights, bias], [x]));
    }
    graph.outputs.push(x);
    Model::new(graph)
}

#[test]
fn the_peak_is_below_three_times_the_model_and_its_activations() {
    let tutorial = fixtures("networks", |name| name == "tutorial_float32").remove(0);
    for (name, file) in [tutorial, ("blocks".into(), blocks().to_bytes().unwrap())] {
        for scheme in [Scheme::Int16x8, Scheme::Int8] {
            let (needed, peak) = measure(&file, scheme);
            let times = peak as f64 / needed as f64;
            assert!(times < 3.0, "{name} {scheme}: {peak} bytes are {times:.2} times {needed}");
        }
    }
}
