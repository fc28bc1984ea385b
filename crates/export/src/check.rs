//! The exported model against Burn.

use burn::module::Module;
use burn::tensor::{Element, TensorData};
use burnlite_runtime::Interpreter;
use burnlite_tflite::{ElementType, Model, Tensor, TensorId};

use crate::Error;
use crate::constant::Constant;
use crate::tensors::{Tensors, detached, read};

/// How far an element may be from Burn's, in parts of the output's largest magnitude. Both sum in single precision, in
/// another order: over thousands of products that makes some parts in a million.
const TOLERANCE: f64 = 1e-4;

/// Outputs that are all but zero may differ as if their largest magnitude were this one.
const SMALLEST: f64 = 1e-3;

/// Runs `model` on `sample` and compares its outputs with those of `forward`. `order` gives the order of the dimensions
/// of an input or output of a name and a rank.
pub(crate) fn check<M, I, O>(
    model: &Model<'_>,
    module: &M,
    sample: I,
    forward: &impl Fn(&M, I) -> O,
    order: impl Fn(&str, usize) -> Vec<usize>,
) -> Result<(), Error>
where
    M: Module,
    I: Tensors,
    O: Tensors,
{
    let sample = detached(sample);
    let inputs = read(sample.clone());
    let outputs = read(forward(&module.valid(), sample));
    // Booleans are bytes.
    let in_order = |data: &TensorData, name: &str| -> Result<Tensor<'static>, Error> {
        let order = order(name, data.shape().as_slice().len());
        let constant =
            Constant::captured(data, None).map_err(|refusal| Error::NotRun { reason: refusal.0 })?;
        let tensor = constant.permuted(&order).into_tensor(name.into());
        Ok(match tensor.element_type {
            ElementType::Bool => Tensor { element_type: ElementType::UInt8, ..tensor },
            _ => tensor,
        })
    };
    model.check()?;
    let graph = model.main()?;
    let named = |ids: &[TensorId], data: &[TensorData]| -> Result<Vec<Tensor<'static>>, Error> {
        ids.iter().zip(data).map(|(id, data)| in_order(data, &graph.tensors[id.index()].name)).collect()
    };
    let (inputs, expected) = (named(&graph.inputs, &inputs)?, named(&graph.outputs, &outputs)?);
    let found =
        run(model, &inputs, &expected).map_err(|error| Error::NotRun { reason: error.to_string() })?;
    expected.iter().zip(found).try_for_each(|(expected, found)| compare(expected, &found))
}

/// Does the same for whichever type elements have in Rust.
macro_rules! for_element_type {
    ($element_type:expr, $element:ident => $body:expr) => {
        for_element_type!($element_type, $element => $body;
            Float64 f64, Int64 i64, Int32 i32, Int16 i16, Int8 i8, UInt8 u8)
    };
    ($element_type:expr, $element:ident => $body:expr; $($variant:ident $rust:ty),*) => {
        match $element_type {
            $(ElementType::$variant => {
                type $element = $rust;
                $body
            })*
            _ => {
                type $element = f32;
                $body
            }
        }
    };
}

/// The model's outputs, of the types of `expected`, as real numbers.
fn run(
    model: &Model<'_>,
    inputs: &[Tensor<'_>],
    expected: &[Tensor<'_>],
) -> Result<Vec<Vec<f64>>, burnlite_runtime::Error> {
    let mut interpreter = Interpreter::new(model)?;
    for (index, input) in inputs.iter().enumerate() {
        let is_planned = interpreter.inputs().nth(index).is_some_and(|planned| *planned.shape == input.shape);
        if !is_planned {
            interpreter.resize_input(index, &input.shape)?;
        }
    }
    for (index, input) in inputs.iter().enumerate() {
        for_element_type!(input.element_type, E => interpreter.set_input(index, &input.elements_of::<E>()?)?);
    }
    interpreter.invoke()?;
    let output = |(index, output): (usize, &Tensor<'_>)| {
        Ok(for_element_type!(output.element_type, E => reals(interpreter.output::<E>(index)?)))
    };
    expected.iter().enumerate().map(output).collect()
}

fn reals<E: Element>(elements: &[E]) -> Vec<f64> {
    elements.iter().map(|element| element.elem()).collect()
}

/// Compares an output with Burn's: floats within the tolerance, all others exactly.
fn compare(expected: &Tensor<'_>, found: &[f64]) -> Result<(), Error> {
    let element_type = expected.element_type;
    let reals = for_element_type!(element_type, E => reals(&expected.elements_of::<E>()?));
    let largest =
        reals.iter().filter(|real| real.is_finite()).fold(SMALLEST, |largest, real| largest.max(real.abs()));
    let is_float = matches!(element_type, ElementType::Float32 | ElementType::Float64);
    let allowed = if is_float { TOLERANCE * largest } else { 0.0 };
    // The difference of two equal infinities, or of two NaN, is none.
    let difference = |(expected, found): (&f64, &f64)| match () {
        () if expected == found || (expected.is_nan() && found.is_nan()) => 0.0,
        () if (expected - found).is_nan() => f64::INFINITY,
        () => (expected - found).abs(),
    };
    let differences = reals.iter().zip(found).map(difference).enumerate();
    let farthest = differences.max_by(|(_, left), (_, right)| left.total_cmp(right));
    match farthest {
        Some((index, difference)) if difference > allowed => Err(Error::Deviation {
            output: expected.name.clone(),
            difference,
            allowed,
            index,
            found: found[index],
            expected: reals[index],
        }),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use burn::nn::conv::{Conv2d, Conv2dConfig};
    use burn::tensor::{Device, Int, Tensor};

    use crate::lower::testing::{FUNCTION, numbers};
    use crate::{Error, Exporter, ImageLayout};

    #[test]
    fn what_is_saved_computes_what_burn_computes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("conv.tflite");
        let conv = Conv2dConfig::new([2, 3], [3, 3]).init(&Device::flex());
        for layout in [ImageLayout::Nchw, ImageLayout::Nhwc] {
            let exporter = Exporter::new().layout(layout);
            let model = exporter.save(&path, &conv, numbers([3, 2, 6, 5]), Conv2d::forward).unwrap();
            assert_eq!(std::fs::read(&path).unwrap(), model.to_bytes().unwrap());
        }
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left beside it");
    }

    #[test]
    fn outputs_of_every_kind_are_compared() {
        let forward = |x: Tensor<2>| (x.clone().argmax(1), x.clone().greater_elem(0.0), x.log());
        let exporter = Exporter::new();
        let model = exporter.export_function(numbers([2, 5]), forward).unwrap();
        exporter.verify(&model, &FUNCTION, numbers([4, 5]), |_, x| forward(x)).unwrap();
        let other = |x: Tensor<2>| (x.clone().argmin(1), x.clone().greater_elem(0.0), x.log());
        let error = exporter.verify(&model, &FUNCTION, numbers([4, 5]), |_, x| other(x)).unwrap_err();
        assert!(
            matches!(&error, Error::Deviation { output, allowed: 0.0, .. } if output == "output_0"),
            "{error}"
        );
    }

    #[test]
    fn a_deviation_names_the_output_and_the_largest_difference_and_writes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.tflite");
        // What the capture cannot see: a forward pass that is another one for a batch that it does not try.
        let forward = |_: &burn::nn::Relu, x: Tensor<2>| if x.dims()[0] == 5 { x + 0.25 } else { x };
        let exporter = Exporter::new().output("sum");
        let error = exporter.save(&path, &FUNCTION, numbers([5, 3]), forward).unwrap_err();
        assert!(
            matches!(error, Error::Deviation { difference, .. } if (difference - 0.25).abs() < 1e-6),
            "{error}"
        );
        assert!(error.to_string().starts_with("output 'sum' differs from Burn's by up to 2.5e-1"), "{error}");
        assert!(!path.exists());
        exporter.check(false).save(&path, &FUNCTION, numbers([5, 3]), forward).unwrap();
        assert!(path.exists());
    }

    #[test]
    fn a_file_that_cannot_be_written_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("missing").join("x.tflite");
        let forward = |_: &burn::nn::Relu, x: Tensor<2, Int>| x.clone() + x;
        let sample = Tensor::<2, Int>::from_data([[1, 2]], &Device::flex());
        let error = Exporter::new().save(&path, &FUNCTION, sample, forward).unwrap_err();
        assert!(matches!(&error, Error::File { path: named, .. } if named.contains("x.tflite")), "{error}");
    }
}
