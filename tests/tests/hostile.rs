//! Files from strangers: whatever the bytes, an error or a valid result, never a panic.

use std::path::Path;

use burnlite_runtime::{Error, Interpreter, InterpreterOptions, Kernels};
use burnlite_tests::{Fixture, hostile};
use burnlite_tflite::{
    Conv2dOptions, ElementType, FullyConnectedOptions, Graph, Model, Op, Operator, Quantization,
    ReducerOptions, ReshapeOptions, ResizeNearestNeighborOptions, Tensor, TensorId,
};
use rand_pcg::Pcg32;
use rand_pcg::rand_core::Rng;

#[test]
fn a_thousand_flipped_bits_give_an_error_or_a_result() {
    let mut random = Pcg32::new(7, 1);
    for name in
        ["tutorial_batch1_float32", "tutorial_int8", "tutorial_batch1_int16x8", "tutorial_int16x8_bias32"]
    {
        let fixture = Fixture::named(&format!("networks/{name}"));
        let (mut refused, mut survived) = (0, 0);
        for _ in 0..1_000 {
            let mut bytes = fixture.bytes.clone();
            let bit = random.next_u32() as usize % (bytes.len() * 8);
            bytes[bit / 8] ^= 1 << (bit % 8);
            if hostile::run(&bytes) { survived += 1 } else { refused += 1 }
        }
        // Most bits are weights; the others must have been met too.
        assert!(refused > 0 && survived > 0, "{name}: {refused} refused, {survived} survived");
    }
}

#[test]
fn flipped_bits_outside_the_weights_give_an_error_or_a_result() {
    for fixture in Fixture::folder("operators") {
        let mut random = Pcg32::new(11, 1);
        for _ in 0..40 {
            let mut bytes = fixture.bytes.clone();
            for _ in 0..2 {
                let bit = random.next_u32() as usize % (bytes.len() * 8);
                bytes[bit / 8] ^= 1 << (bit % 8);
            }
            hostile::run(&bytes);
        }
    }
}

/// What fuzzers have found, and seeds of which each keeps its promise.
#[test]
fn what_fuzzers_found_stays_mended() {
    let findings = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/findings");
    let mut replayed = 0;
    for (name, promise) in hostile::PROMISES {
        // Git keeps no folder of a target that found nothing.
        for file in std::fs::read_dir(findings.join(name)).into_iter().flatten() {
            promise(&std::fs::read(file.unwrap().path()).unwrap());
            replayed += 1;
        }
    }
    assert!(replayed > 0, "no findings in {}", findings.display());
    for fixture in Fixture::folder("operators") {
        hostile::read(&fixture.bytes);
        hostile::round_trip(&fixture.bytes);
        hostile::quantize(&fixture.bytes);
    }
}

#[test]
fn a_truncated_file_is_an_error_that_says_so() {
    let fixture = Fixture::named("networks/tutorial_int16x8");
    for length in [0, 3, 8, 100, 1_000, fixture.bytes.len() / 2] {
        let error = Model::from_bytes(&fixture.bytes[..length]).unwrap_err().to_string();
        assert!(error.contains("truncated") || error.contains("not a .tflite file"), "{length}: {error}");
    }
}

/// A model of one convolution over an image of the given shape, with weights of the given shape and no data.
fn convolution(image: [usize; 4], weights: [usize; 4]) -> Model<'static> {
    let quantized = |tensor: Tensor<'static>| tensor.quantized(Quantization::per_tensor(0.5, 0));
    let mut graph = Graph::default();
    let x = graph.add_tensor(quantized(Tensor::new("x", ElementType::Int8, image)));
    let w = graph.add_tensor(quantized(Tensor {
        data: Some(Vec::new().into()),
        ..Tensor::new("w", ElementType::Int8, weights)
    }));
    let y = graph.add_tensor(quantized(Tensor::new("y", ElementType::Int8, [1, 1, 1, 1])));
    let options = Conv2dOptions { stride_w: 1, stride_h: 1, ..Default::default() };
    graph.operators.push(Operator::new(Op::Conv2d(options), [x, w], [y]));
    (graph.inputs, graph.outputs) = (vec![x], vec![y]);
    Model::new(graph)
}

/// Layers that share one matrix of weights cost the file little, and each has a packed copy.
#[test]
fn packed_weights_count_towards_a_limit() {
    const SIZE: usize = 64;
    let mut graph = Graph::default();
    let mut last = graph.add_tensor(Tensor::new("x", ElementType::Float32, [1, SIZE]));
    let weights = graph.add_tensor(Tensor::constant("weights", [SIZE, SIZE], &[0f32; SIZE * SIZE]));
    graph.inputs = vec![last];
    for _ in 0..100 {
        let next = graph.add_tensor(Tensor::new("y", ElementType::Float32, [1, SIZE]));
        let op = Op::FullyConnected(FullyConnectedOptions::default());
        graph.operators.push(Operator::new(op, [last, weights], [next]));
        last = next;
    }
    graph.outputs = vec![last];
    let model = Model::new(graph);
    let packed = Interpreter::new(&model).unwrap().packed_bytes();
    assert!(packed >= 100 * SIZE * SIZE * 4);
    let planned = |max_packed_bytes, kernels| {
        let options = InterpreterOptions { max_packed_bytes, kernels, ..InterpreterOptions::default() };
        Interpreter::with_options(&model, &options).map(|_| ())
    };
    assert_eq!(planned(packed, Kernels::Auto), Ok(()));
    let refused = planned(packed - 1, Kernels::Auto);
    assert_eq!(refused, Err(Error::TooLarge { what: "packed weights", bytes: packed, limit: packed - 1 }));
    assert_eq!(planned(0, Kernels::InPlace), Ok(()));
}

#[test]
fn a_zero_among_huge_extents_hides_no_overflow() {
    let huge = convolution([1, 1, 1, 1 << 20], [0, 1 << 22, 1 << 22, 1 << 20]);
    assert!(Interpreter::new(&huge).unwrap_err().to_string().contains("more elements"));
    // Without a channel there is nothing to compute, and nothing is.
    let empty = convolution([1, 1 << 12, 1 << 12, 1], [0, 3, 3, 1]);
    Interpreter::new(&empty).unwrap().invoke().unwrap();
}

#[test]
fn a_reshape_to_a_zero_among_huge_extents_hides_no_overflow_either() {
    let mut graph = Graph::default();
    let [x, y, z] =
        ["x", "y", "z"].map(|name| graph.add_tensor(Tensor::new(name, ElementType::Float32, [0])));
    let axes = Tensor { data: Some(vec![0; 4].into()), ..Tensor::new("axes", ElementType::Int32, [1]) };
    let axes = graph.add_tensor(axes);
    let options = ReshapeOptions { new_shape: vec![0, i32::MAX, i32::MAX, i32::MAX] };
    graph.operators.push(Operator::new(Op::Reshape(options), [x], [y]));
    graph.operators.push(Operator::new(Op::Sum(ReducerOptions::default()), [y, axes], [z]));
    (graph.inputs, graph.outputs) = (vec![x], vec![z]);
    assert!(matches!(Interpreter::new(&Model::new(graph)), Err(Error::TooLarge { .. })));
}

/// Found by the fuzzer `mutate`: it subtracted 1 from 0.
#[test]
fn an_image_without_rows_is_not_resized_even_to_one_without_columns() {
    for (image, size) in [([1, 0, 3, 1], [2, 0]), ([1, 3, 0, 1], [0, 2])] {
        let mut graph = Graph::default();
        let x = graph.add_tensor(Tensor::new("x", ElementType::Float32, image));
        let size = graph.add_tensor(Tensor::constant("size", [2], &size));
        let y = graph.add_tensor(Tensor::new("y", ElementType::Float32, [0]));
        let options = ResizeNearestNeighborOptions { align_corners: true, ..Default::default() };
        graph.operators.push(Operator::new(Op::ResizeNearestNeighbor(options), [x, size], [y]));
        (graph.inputs, graph.outputs) = (vec![x], vec![y]);
        let error = Interpreter::new(&Model::new(graph)).unwrap_err().to_string();
        assert!(error.contains("an image without pixels"), "{error}");
    }
}

/// A layer's weights need not be in the file, and then its channels cost the file nothing.
#[test]
fn channels_that_no_byte_of_the_file_stands_for_are_refused() {
    let quantized = |tensor: Tensor<'static>| tensor.quantized(Quantization::per_tensor(0.5, 0));
    let refusal = |weights: [usize; 2]| {
        let mut graph = Graph::default();
        let x = graph.add_tensor(quantized(Tensor::new("x", ElementType::Int8, [1, 1])));
        let weights = graph.add_tensor(quantized(Tensor::new("w", ElementType::Int8, weights)));
        let y = graph.add_tensor(quantized(Tensor::new("y", ElementType::Int8, [1, 1])));
        let dense = Op::FullyConnected(FullyConnectedOptions::default());
        graph.operators.push(Operator::new(dense, [x, weights], [y]));
        (graph.inputs, graph.outputs) = (vec![x, weights], vec![y]);
        let options = InterpreterOptions { max_arena_bytes: hostile::MEMORY, ..Default::default() };
        Interpreter::with_options(&Model::new(graph), &options).unwrap_err()
    };
    let error = refusal([hostile::MEMORY, 1]).to_string();
    assert!(error.contains("the tables of 4194304 channels take too much memory"), "{error}");
    assert!(matches!(refusal([1 << 30, 0]), Error::TooLarge { what: "tensors", .. }));
}

#[test]
fn an_input_that_is_a_constant_or_listed_twice_is_refused() {
    let mut model = convolution([1, 4, 4, 1], [0, 3, 3, 1]);
    let weights = model.graphs[0].operators[0].inputs[1].unwrap();
    for second in [weights, model.graphs[0].inputs[0]] {
        model.graphs[0].inputs.truncate(1);
        model.graphs[0].inputs.push(second);
        assert!(matches!(Interpreter::new(&model), Err(Error::NotAnInput { index: 1, .. })));
    }
    model.graphs[0].inputs[1] = TensorId(99);
    assert!(matches!(Interpreter::new(&model), Err(Error::Model(_))));
}
