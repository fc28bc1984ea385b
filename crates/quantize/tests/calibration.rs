//! Calibration as a value: what it saw, whichever way it saw it, and the file in which that travels.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use burnlite_quantize::{Bounds, Calibration, Error, Quantizer, SampleFault, Scheme};
use burnlite_runtime::{Error as RuntimeError, Interpreter, InterpreterOptions, Kernels};
use burnlite_tflite::{
    Conv2dOptions, ElementType, FullyConnectedOptions, Graph, Model, Op, Operator, Tensor, TensorId,
};
use proptest::prelude::*;

const X: TensorId = TensorId(0);

/// A dense layer of four inputs and two outputs, whose batch is open.
fn dense() -> Model<'static> {
    let mut graph = Graph::default();
    let batched = |name: &str, values: usize| Tensor {
        shape_signature: Some(vec![-1, i32::try_from(values).unwrap()]),
        ..Tensor::new(name, ElementType::Float32, [1, values])
    };
    let x = graph.add_tensor(batched("x", 4));
    let weights = [0.5f32, -0.25, 0.125, 1.0, -1.0, 0.3, 0.7, -0.9];
    let weights = graph.add_tensor(Tensor::constant("weights", [2, 4], &weights));
    let bias = graph.add_tensor(Tensor::constant("bias", [2], &[0.1f32, -0.2]));
    let y = graph.add_tensor(batched("y", 2));
    let op = Op::FullyConnected(FullyConnectedOptions::default());
    graph.operators.push(Operator::new(op, [x, weights, bias], [y]));
    (graph.inputs, graph.outputs) = (vec![x], vec![y]);
    Model::new(graph)
}

/// A convolution of 3x3 over an image whose height is open.
fn convolution() -> Model<'static> {
    let mut graph = Graph::default();
    let x = graph.add_tensor(Tensor {
        shape_signature: Some(vec![1, -1, 4, 1]),
        ..Tensor::new("x", ElementType::Float32, [1, 4, 4, 1])
    });
    let weights = graph.add_tensor(Tensor::constant("weights", [1, 3, 3, 1], &[0.3f32; 9]));
    let bias = graph.add_tensor(Tensor::constant("bias", [1], &[0.0f32]));
    let y = graph.add_tensor(Tensor {
        shape_signature: Some(vec![1, -1, 4, 1]),
        ..Tensor::new("y", ElementType::Float32, [1, 4, 4, 1])
    });
    let op = Op::Conv2d(Conv2dOptions { stride_h: 1, stride_w: 1, ..Default::default() });
    graph.operators.push(Operator::new(op, [x, weights, bias], [y]));
    (graph.inputs, graph.outputs) = (vec![x], vec![y]);
    Model::new(graph)
}

fn calibrate(model: &Model<'_>, samples: &[Vec<f32>]) -> Calibration {
    let mut calibration = Calibration::empty(model).unwrap();
    let samples = samples.iter().map(|sample| [sample]);
    calibration.extend(model, &Calibration::portable(), samples, |_| ()).unwrap();
    calibration
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// The text of merged shards, in any order and read back from their files, is that of one pass.
    #[test]
    fn shards_merge_into_the_same_bytes(
        samples in prop::collection::vec(prop::collection::vec(-1e3f32..1e3, 4), 1..12),
        cuts in prop::collection::vec(0usize..12, 0..4),
        turn in 0usize..4,
    ) {
        let model = dense();
        let whole = calibrate(&model, &samples);
        let mut cuts: Vec<_> = cuts.into_iter().map(|cut| cut.min(samples.len())).collect();
        cuts.extend([0, samples.len()]);
        cuts.sort_unstable();
        let mut shards: Vec<_> =
            cuts.windows(2).map(|cut| calibrate(&model, &samples[cut[0]..cut[1]]).to_json()).collect();
        let turn = turn % shards.len();
        shards.rotate_left(turn);
        let mut merged = Calibration::empty(&model).unwrap();
        for shard in &shards {
            merged.merge(&Calibration::from_json(shard).unwrap()).unwrap();
        }
        prop_assert_eq!(merged.to_json(), whole.to_json());
        prop_assert_eq!(&merged, &whole);
        prop_assert_eq!(Calibration::from_json(&whole.to_json()), Ok(whole));
    }

    #[test]
    fn ranges_in_a_file_keep_every_bit(a in any::<u32>(), b in any::<u32>()) {
        let values = [a, b].map(f32::from_bits);
        prop_assume!(values.iter().all(|value| value.is_finite()));
        let mut graph = Graph::default();
        let x = graph.add_tensor(Tensor::new("x", ElementType::Float32, [2]));
        (graph.inputs, graph.outputs) = (vec![x], vec![x]);
        let calibration = Calibration::run(&Model::new(graph), [[values]], |_| ()).unwrap();
        let read = Calibration::from_json(&calibration.to_json()).unwrap();
        let bits = |calibration: &Calibration| {
            calibration.range(X).map(|Bounds { min, max }| (min.to_bits(), max.to_bits()))
        };
        prop_assert_eq!(bits(&read), bits(&calibration));
    }
}

#[test]
fn what_was_saved_is_gone_on_with() {
    let model = dense();
    let samples: Vec<Vec<f32>> =
        (0u8..7).map(|n| [0.5, -1.5, 2.0, 0.1].map(|x| x * f32::from(n)).into()).collect();
    let mut resumed = Calibration::from_json(&calibrate(&model, &samples[..3]).to_json()).unwrap();
    let mut seen = Vec::new();
    let rest = samples[3..].iter().map(|sample| [sample]);
    resumed.extend(&model, &Calibration::portable(), rest, |done| seen.push(done)).unwrap();
    assert_eq!(seen, [1, 2, 3, 4]);
    assert_eq!(resumed, calibrate(&model, &samples));

    // A sample that cannot be used leaves what was known.
    let before = resumed.clone();
    let bad = [[[1e6f32; 4]], [[f32::NAN; 4]]];
    let error = resumed.extend(&model, &Calibration::portable(), bad, |_| ()).unwrap_err();
    assert!(matches!(error, Error::Sample { sample: 1, fault: SampleFault::InputNotFinite { .. } }));
    assert_eq!(resumed, before);
}

#[test]
fn a_saved_calibration_quantizes_alike() {
    let model = dense();
    let calibration = calibrate(&model, &[vec![0.5, -1.5, 2.0, 0.1], vec![1.0, 0.0, -2.0, 0.3]]);
    let saved = Calibration::from_json(&calibration.to_json()).unwrap();
    for scheme in [Scheme::Int16x8, Scheme::Int8] {
        let quantizer = Quantizer::new(scheme).bias_correction(true);
        let bytes = |calibration| quantizer.quantize(&model, calibration).unwrap().0.to_bytes().unwrap();
        assert_eq!(bytes(&saved), bytes(&calibration), "{scheme}");
    }
}

/// A batch of three is three rows: the means are those of the rows, and so are the ranges.
#[test]
fn samples_may_differ_where_the_model_leaves_it_open() {
    let rows = [vec![0.5, -1.5, 2.0, 0.1], vec![1.0, 0.0, -2.0, 0.25], vec![0.25, 4.0, -8.0, 0.5]];
    let model = dense();
    let calibration = calibrate(&model, &[rows.concat(), rows[1].clone()]);
    assert_eq!(calibration.range(X), Some(Bounds { min: -8.0, max: 4.0 }));
    let rest = calibrate(&model, &[rows.concat()]);
    assert_eq!(rest.range(TensorId(3)), calibrate(&model, &rows).range(TensorId(3)));

    let short = Calibration::run(&model, [[[0.5f32; 6]]], |_| ()).unwrap_err();
    assert_eq!(short.to_string(), "sample 0: input 'x' of shape [1, 4] takes 4 values, not 6");
}

/// Bias correction with images of two heights: each is weighed as one sample, with its own windows.
#[test]
fn means_are_of_the_shapes_that_ran() {
    let model = convolution();
    let calibration = calibrate(&model, &[vec![1.0; 16], vec![1.0; 24]]);
    let quantizer = Quantizer::new(Scheme::Int16x8).bias_correction(true);
    let (_, report) = quantizer.quantize(&model, &calibration).unwrap();
    assert_eq!((report.corrected_biases, report.remarks.len()), (1, 0));
    let single = calibrate(&model, &[vec![1.0; 24]]);
    assert_ne!(calibration, single);
    assert_eq!(calibration.samples(), 2);
}

#[test]
fn the_caller_may_choose_the_kernels() {
    let model = dense();
    let sample = [[[0.5f32, -1.5, 2.0, 0.1]]];
    let mut calibration = Calibration::empty(&model).unwrap();
    let options = InterpreterOptions { kernels: Kernels::Reference, ..InterpreterOptions::default() };
    calibration.extend(&model, &options, sample, |_| ()).unwrap();
    assert_eq!(calibration.range(X), Some(Bounds { min: -1.5, max: 2.0 }));
    let options = InterpreterOptions { kernels: Kernels::Named("abacus"), ..options };
    let error = calibration.extend(&model, &options, sample, |_| ()).unwrap_err();
    assert!(matches!(error, Error::Runtime(RuntimeError::NoKernels { name: "abacus", .. })));
}

#[test]
fn a_closure_sets_inputs_by_name_and_type() {
    let mut graph = Graph::default();
    let [a, b] = ["a", "b"].map(|name| graph.add_tensor(Tensor::new(name, ElementType::Float32, [2])));
    let n = graph.add_tensor(Tensor::new("n", ElementType::Int32, [1]));
    (graph.inputs, graph.outputs) = (vec![a, b, n], vec![a, b, n]);
    let model = Model::new(graph);
    let sample = |interpreter: &mut Interpreter<'_>| -> Result<(), SampleFault> {
        for (name, values) in [("b", [0.5f32, 0.75]), ("a", [-1.0, 2.0])] {
            let input = interpreter.inputs().position(|input| input.name == name);
            interpreter.set_input(input.expect("an input of that name"), &values)?;
        }
        Ok(interpreter.set_input(2, &[7i32])?)
    };
    let calibration = Calibration::run(&model, [sample], |_| ()).unwrap();
    assert_eq!(calibration.range(a), Some(Bounds { min: -1.0, max: 2.0 }));
    assert_eq!(calibration.range(b), Some(Bounds { min: 0.5, max: 0.75 }));
    assert_eq!(calibration.range(n), None);
}
