//! Exported modules against Burn's own forward pass.

use burn::module::{Module, Param};
use burn::nn::Relu;
use burn::tensor::{Device, Tensor, TensorData};
use burnlite_runtime::Interpreter;
use burnlite_tflite::Model;

use crate::{Error, Exporter};

/// The module of forward passes that are functions: it has no parameters.
pub(crate) const FUNCTION: Relu = Relu;

/// A tensor of numbers in -1..1 without a pattern that a wrong permutation could hide in.
pub(crate) fn numbers<const D: usize>(shape: [usize; D]) -> Tensor<D> {
    let len: usize = shape.iter().product();
    let number = |index: usize| ((index * 7919 + len * 31) % 2003) as f32 / 1001.5 - 1.0;
    Tensor::from_data(TensorData::new((0..len).map(number).collect(), shape), &Device::flex())
}

/// A parameter of such numbers.
pub(crate) fn parameter<const D: usize>(shape: [usize; D]) -> Param<Tensor<D>> {
    Param::from_tensor(numbers(shape))
}

/// The names of the operators of the model exported from `forward`, whose results on `x` equal Burn's, for this batch
/// and for a batch of one.
pub(crate) fn operators<M: Module, const I: usize, const O: usize>(
    module: &M,
    x: Tensor<I>,
    forward: impl Fn(&M, Tensor<I>) -> Tensor<O>,
) -> Vec<String> {
    operators_of(&Exporter::new(), module, [x.clone().narrow(0, 0, 1), x], forward)
}

/// The names of the operators of the model that `exporter` makes of `forward`, whose results on each sample equal Burn's.
pub(crate) fn operators_of<M: Module, const S: usize, const I: usize, const O: usize>(
    exporter: &Exporter,
    module: &M,
    samples: [Tensor<I>; S],
    forward: impl Fn(&M, Tensor<I>) -> Tensor<O>,
) -> Vec<String> {
    let model = exporter.export(module, samples[S - 1].clone(), &forward).unwrap();
    let bytes = model.to_bytes().unwrap();
    let model = Model::from_bytes(&bytes).unwrap();
    for x in samples {
        let (shape, found) = run(&model, x.clone());
        let expected = forward(module, x);
        assert_eq!(shape, expected.dims());
        assert_close(&found, &expected.try_into_vec_as().unwrap());
    }
    let operators = &model.main().unwrap().operators;
    operators.iter().map(|operator| operator.op.name().into()).collect()
}

/// The message of the error that exporting gives.
pub(crate) fn refusal<M: Module, const I: usize, const O: usize>(
    module: &M,
    x: Tensor<I>,
    forward: impl Fn(&M, Tensor<I>) -> Tensor<O>,
) -> String {
    let error = Exporter::new().export(module, x, forward).unwrap_err();
    assert!(matches!(error, Error::UnsupportedOperation { .. }), "{error}");
    error.to_string()
}

fn run<const D: usize>(model: &Model<'_>, x: Tensor<D>) -> (Vec<usize>, Vec<f32>) {
    let mut interpreter = Interpreter::new(model).unwrap();
    if *interpreter.inputs().next().unwrap().shape != x.dims() {
        interpreter.resize_input(0, &x.dims()).unwrap();
    }
    interpreter.set_input(0, &x.try_into_vec_as::<f32>().unwrap()).unwrap();
    interpreter.invoke().unwrap();
    let shape = interpreter.outputs().next().unwrap().shape.to_vec();
    (shape, interpreter.output::<f32>(0).unwrap().to_vec())
}

fn assert_close(found: &[f32], expected: &[f32]) {
    assert_eq!(found.len(), expected.len());
    for (position, (found, expected)) in found.iter().zip(expected).enumerate() {
        let error = (found - expected).abs();
        assert!(error <= 1e-5 * expected.abs().max(1.0), "{position}: {found}, expected {expected}");
    }
}
