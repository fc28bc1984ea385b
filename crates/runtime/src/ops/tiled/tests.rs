//! Layers on tiles against the plain loops.

use alloc::vec::Vec;

use burnlite_tflite::{
    Activation, Conv2dOptions, DepthwiseConv2dOptions, Element, ElementType, FullyConnectedOptions, Graph,
    Model, Op, Operator, Padding, Quantization, Tensor, TransposeConvOptions,
};
use proptest::prelude::*;

use crate::{Interpreter, InterpreterOptions, KERNELS, Kernels};

fn quantized(tensor: Tensor<'static>, scale: f32, zero_point: i64) -> Tensor<'static> {
    tensor.quantized(Quantization::per_tensor(scale, zero_point))
}

/// The bits of what the operator's kernels make of an input; the operand without data is the input.
fn result<T: Element, Y: Element>(
    op: &Op,
    operands: &[Tensor<'static>],
    output: &Tensor<'static>,
    input: &[T],
    kernels: Kernels,
) -> (Vec<u8>, Kernels) {
    let mut graph = Graph::default();
    let ids: Vec<_> = operands.iter().map(|operand| graph.add_tensor(operand.clone())).collect();
    let output = graph.add_tensor(output.clone());
    graph.inputs.extend(ids.iter().copied().filter(|id| graph.tensors[id.index()].data.is_none()));
    graph.operators.push(Operator::new(op.clone(), ids, [output]));
    graph.outputs = [output].into();
    let model = Model::new(graph);
    let options = InterpreterOptions { kernels, ..Default::default() };
    let mut interpreter = Interpreter::with_options(&model, &options).unwrap();
    interpreter.set_input(0, input).unwrap();
    interpreter.invoke().unwrap();
    let ran = interpreter.steps().next().unwrap().kernels;
    (bytemuck::cast_slice(interpreter.output::<Y>(0).unwrap()).to_vec(), ran)
}

/// Every kernel gives the bits of the plain loops, and is the one that runs.
fn check<T: Element, Y: Element>(
    op: &Op,
    operands: &[Tensor<'static>],
    output: &Tensor<'static>,
    input: &[T],
) -> Result<(), TestCaseError> {
    let (expected, _) = result::<T, Y>(op, operands, output, input, Kernels::Reference);
    for kernels in KERNELS.iter().filter(|kernels| kernels.is_available()) {
        let named = Kernels::Named(kernels.name);
        let (found, ran) = result::<T, Y>(op, operands, output, input, named);
        prop_assert_eq!(found, &expected[..], "{}, {:?}", kernels.name, op);
        prop_assert_eq!(ran, named);
    }
    Ok(())
}

#[cfg(feature = "std")]
#[test]
fn threads_share_a_layer_and_give_the_same_bits() {
    use burnlite_tflite::Pool2dOptions;

    let weights: Vec<i8> = (0..32 * 9 * 32).map(|index| (index * 37 % 251) as i8).collect();
    let input: Vec<i8> = (0..2 * 23 * 24 * 32).map(|index| (index * 101 % 253) as i8).collect();
    let mut graph = Graph::default();
    let images = quantized(Tensor::new("input", ElementType::Int8, [2, 23, 24, 32]), 1.0, 5);
    let weights = quantized(Tensor::constant("weights", [32, 3, 3, 32], &weights), 1.0, 0);
    let result = quantized(Tensor::new("result", ElementType::Int8, []), 2000.0, 3);
    let [images, weights, convolved, pooled, other] =
        [images, weights, result.clone(), result.clone(), result].map(|tensor| graph.add_tensor(tensor));
    let padding = Padding::Same;
    let conv = Conv2dOptions { padding, stride_w: 1, stride_h: 1, ..Default::default() };
    let pool = Pool2dOptions { stride_w: 2, stride_h: 2, filter_w: 2, filter_h: 2, ..Default::default() };
    graph.operators = [
        Operator::new(Op::Conv2d(conv.clone()), [images, weights], [convolved]),
        Operator::new(Op::MaxPool2d(pool), [convolved], [pooled]),
        Operator::new(Op::Conv2d(conv), [images, weights], [other]),
    ]
    .into();
    (graph.inputs, graph.outputs) = ([images].into(), [pooled, other].into());
    let model = Model::new(graph);
    let results = |threads| {
        let options = InterpreterOptions { threads, ..Default::default() };
        let mut interpreter = Interpreter::with_options(&model, &options).unwrap();
        interpreter.set_input(0, &input).unwrap();
        interpreter.invoke().unwrap();
        [0, 1].map(|output| interpreter.output::<i8>(output).unwrap().to_vec())
    };
    let expected = results(1);
    for threads in [0, 2, 3, 7, 100] {
        assert_eq!(results(threads), expected, "{threads} threads");
    }
}

/// Elements that are extreme as often as not.
fn extremes() -> impl Strategy<Value = i16> {
    prop_oneof![any::<i16>(), any::<i16>(), Just(i16::MIN), Just(i16::MAX)]
}

proptest! {
    #[test]
    fn transposed_convolutions_equal_the_plain_loops(
        [batch, rows, columns] in [1usize..3, 1usize..7, 1usize..7],
        [tap_rows, tap_columns] in [1usize..6, 1usize..6],
        strides in [1i32..5, 1i32..5],
        [depth, channels] in [1usize..5, 1usize..20],
        is_padded: bool,
        zero_point in -128i64..128,
        exponent in 0f32..6.0,
        values in proptest::collection::vec(extremes(), 400),
        weights in proptest::collection::vec(prop_oneof![any::<i8>(), Just(-128), Just(127)], 400),
    ) {
        let [stride_h, stride_w] = strides;
        // An output that the input fits; behind the last window there may be more.
        let extent = |input: usize, stride: i32, taps: usize| match is_padded {
            true => input * stride as usize,
            false => (input - 1) * stride as usize + taps,
        };
        let shape = [batch, extent(rows, stride_h, tap_rows), extent(columns, stride_w, tap_columns), channels];
        let padding = if is_padded { Padding::Same } else { Padding::Valid };
        let op = |quantized_bias_type| {
            let activation = Activation::None;
            let options = TransposeConvOptions { padding, stride_w, stride_h, activation, quantized_bias_type };
            Op::TransposeConv(options)
        };
        let weight_shape = [channels, tap_rows, tap_columns, depth];
        let count: usize = weight_shape.iter().product();
        let weights: Vec<i8> = weights.iter().copied().cycle().take(count).collect();
        let input_shape = [batch, rows, columns, depth];
        let values: Vec<i16> = values.iter().copied().cycle().take(input_shape.iter().product()).collect();
        let bytes: Vec<i8> = values.iter().map(|&x| (x >> 8) as i8).collect();
        let bias: Vec<i64> = values.iter().cycle().take(channels).map(|&x| i64::from(x) * 1000).collect();
        let narrow: Vec<i32> = bias.iter().map(|&bias| bias as i32).collect();
        let operands = |input_type, zero_point, bias: Tensor<'static>| [
            Tensor::constant("shape", [4], &shape.map(|extent| extent as i32)),
            quantized(Tensor::constant("weights", weight_shape, &weights), 1.0, 0),
            quantized(Tensor::new("input", input_type, input_shape), 1.0, zero_point),
            bias,
        ];
        let scale = libm::exp2f(7.0 + exponent);
        let [narrow, wide] = [Tensor::constant("bias", [channels], &narrow), Tensor::constant("bias", [channels], &bias)];
        let output = quantized(Tensor::new("output", ElementType::Int8, []), scale, zero_point);
        check::<i8, i8>(&op(ElementType::Float32), &operands(ElementType::Int8, zero_point, narrow.clone()), &output, &bytes)?;
        let output = quantized(Tensor::new("output", ElementType::Int16, []), scale, 0);
        check::<i16, i16>(&op(ElementType::Int64), &operands(ElementType::Int16, 0, wide), &output, &values)?;
        check::<i16, i16>(&op(ElementType::Int32), &operands(ElementType::Int16, 0, narrow), &output, &values)?;
        // Small integers, whose sums are exact in any order.
        let floats: Vec<f32> = bytes.iter().map(|&x| f32::from(x / 16)).collect();
        let weights: Vec<f32> = weights.iter().map(|&w| f32::from(w)).collect();
        let operands = [
            Tensor::constant("shape", [4], &shape.map(|extent| extent as i32)),
            Tensor::constant("weights", weight_shape, &weights),
            Tensor::new("input", ElementType::Float32, input_shape),
        ];
        let output = Tensor::new("output", ElementType::Float32, []);
        check::<f32, f32>(&op(ElementType::Float32), &operands, &output, &floats)?;
    }

    #[test]
    fn hybrid_layers_equal_the_plain_loops(
        [batch, rows, columns] in [1usize..4, 3usize..7, 3usize..7],
        (groups, depth, in_group) in (1usize..4, 1usize..6, 1usize..18),
        stride in 1i32..3,
        is_padded: bool,
        asymmetric_quantize_inputs: bool,
        is_per_channel: bool,
        values in proptest::collection::vec(prop_oneof![-2f32..2.0, -1e-3f32..1e-3, Just(0.0), Just(1e30)], 1..300),
        weights in proptest::collection::vec(prop_oneof![any::<i8>(), Just(-128), Just(127)], 300),
    ) {
        let (channels, pixel) = (groups * in_group, groups * depth);
        let padding = if is_padded { Padding::Same } else { Padding::Valid };
        let activation = Activation::Relu6;
        let layer = |op: Op, shapes: [Vec<usize>; 2], dimension: usize, channels: usize| {
            let weights: Vec<i8> = weights.iter().copied().cycle().take(shapes[1].iter().product()).collect();
            let scales: Vec<f32> = (1..=channels).map(|channel| 0.01 / channel as f32).collect();
            let quantization = match is_per_channel {
                true => Quantization::per_channel(scales.clone(), dimension),
                false => Quantization::per_tensor(0.01, 0),
            };
            let operands = [
                Tensor::new("input", ElementType::Float32, &shapes[0][..]),
                Tensor::constant("weights", &shapes[1][..], &weights).quantized(quantization),
                Tensor::constant("bias", [channels], &scales),
            ];
            let input: Vec<f32> = values.iter().copied().cycle().take(shapes[0].iter().product()).collect();
            check::<f32, f32>(&op, &operands, &Tensor::new("output", ElementType::Float32, []), &input)
        };
        let images: Vec<usize> = [batch, rows, columns, pixel].into();
        let conv = Conv2dOptions { padding, stride_w: stride, stride_h: 1, activation, ..Default::default() };
        layer(Op::Conv2d(conv), [images.clone(), [channels, 3, 2, depth].into()], 0, channels)?;
        for multiplier in [1, 2] {
            let options = DepthwiseConv2dOptions { padding, stride_w: stride, stride_h: 1, activation, ..Default::default() };
            let shapes = [images.clone(), [1, 2, 3, multiplier * pixel].into()];
            layer(Op::DepthwiseConv2d(options), shapes, 3, multiplier * pixel)?;
        }
        let dense = FullyConnectedOptions { activation, asymmetric_quantize_inputs, ..Default::default() };
        layer(Op::FullyConnected(dense), [[batch, pixel].into(), [channels, pixel].into()], 0, channels)?;
    }
}
