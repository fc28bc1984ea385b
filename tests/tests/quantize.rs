//! Our own calibration against TensorFlow's, on the samples that calibrated its files.

use burnlite_quantize::{Calibration, Compat, Quantizer, Scheme};
use burnlite_tests::{Array, Fixture, read_npz};
use burnlite_tflite::{Element, ElementType, Model, Tensor, TensorId};

/// TensorFlow's kernels sum in another order than ours, which moves the range of a sum over 2028 products by some units
/// in the last place (13 here; 16 between LiteRT's own reference and optimized kernels).
const ULPS: u32 = 16;

/// The 100 samples that calibrated TensorFlow's files.
fn samples() -> Vec<Vec<f32>> {
    let mut arrays = read_npz(&Fixture::path("networks/tutorial_calibration.npz"), "input");
    let Array::Float32(shape, values) = arrays.remove(0) else { panic!("the samples are floats") };
    values.chunks(shape[1..].iter().product()).map(<[f32]>::to_vec).collect()
}

fn calibrate(model: &Model<'_>) -> Calibration {
    Calibration::run(model, samples().iter().map(|sample| [sample]), |_| ()).expect("the samples fit")
}

fn ulps_between(a: f32, b: f32) -> u32 {
    a.to_bits().abs_diff(b.to_bits())
}

fn elements<T: Element>(tensor: &Tensor<'_>) -> Vec<T> {
    tensor.elements_of::<T>().expect("a constant of this type").into_owned()
}

#[test]
fn ranges_are_within_16_ulps_of_tensorflows() {
    let theirs = Fixture::named("networks/tutorial_calibrated");
    let theirs = Model::from_bytes(&theirs.bytes).unwrap();
    let (ours, theirs, graph) =
        (calibrate(&theirs), Calibration::from_model(&theirs).unwrap(), theirs.main().unwrap());
    assert_eq!(ours.samples(), 100);
    let mut compared = 0;
    for (index, tensor) in (0..).zip(&graph.tensors) {
        let (ours, theirs) = (ours.range(TensorId(index)), theirs.range(TensorId(index)));
        assert_eq!(ours.is_some(), theirs.is_some(), "{}", tensor.name);
        if let (Some(ours), Some(theirs)) = (ours, theirs) {
            let differences = [ulps_between(ours.min, theirs.min), ulps_between(ours.max, theirs.max)];
            assert!(differences.iter().all(|&ulps| ulps <= ULPS), "{}: {ours:?}, {theirs:?}", tensor.name);
            compared += 1;
        }
    }
    assert_eq!(compared, 6);
}

/// Weights do not depend on the ranges; a bias follows the scale of its layer's input, in the last place at most.
#[test]
fn models_calibrated_here_have_tensorflows_weights() {
    let float = Fixture::named("networks/tutorial_batch1_float32");
    let float = Model::from_bytes(&float.bytes).unwrap();
    let calibration = calibrate(&float);
    for (scheme, name) in
        [(Scheme::Int16x8, "tutorial_batch1_int16x8"), (Scheme::Int8, "tutorial_batch1_int8")]
    {
        let theirs = Fixture::named(&format!("networks/{name}"));
        let theirs = Model::from_bytes(&theirs.bytes).unwrap();
        let quantizer = Quantizer::new(scheme).compat(Compat::TensorFlow);
        let (ours, _) = quantizer.quantize(&float, &calibration).unwrap();
        let (ours, theirs) = (ours.main().unwrap(), theirs.main().unwrap());
        let mut layers = 0;
        for (our, their) in
            ours.operators.iter().zip(&theirs.operators).filter(|(our, _)| our.inputs.len() == 3)
        {
            let tensors = |position: usize| {
                let id = |id: Option<TensorId>| id.expect("layers have three inputs").index();
                (&ours.tensors[id(our.inputs[position])], &theirs.tensors[id(their.inputs[position])])
            };
            let ((weights, their_weights), (bias, their_bias)) = (tensors(1), tensors(2));
            assert_eq!(
                (&weights.data, &weights.quantization),
                (&their_weights.data, &their_weights.quantization)
            );
            let values = |tensor| match scheme.bias_type() {
                ElementType::Int64 => elements::<i64>(tensor),
                _ => elements::<i32>(tensor).into_iter().map(i64::from).collect(),
            };
            let close =
                |(our, their): (&i64, &i64)| our.abs_diff(*their) <= 1 + their.unsigned_abs() / (1 << 21);
            assert!(values(bias).iter().zip(&values(their_bias)).all(close), "{scheme}: {}", bias.name);
            layers += 1;
        }
        assert_eq!(layers, 2);
    }
}
