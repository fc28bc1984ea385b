use burn::module::Param;
use burn::tensor::activation::relu;
use burn::tensor::{Device, Int, Tensor};

use super::*;

fn sample() -> Tensor<2> {
    Tensor::zeros([1, 4], &Device::flex())
}

#[test]
fn a_signature_names_inputs_and_outputs_in_order() {
    let exporter = Exporter::new().input("a").input("b").output("first").output("second");
    let model = exporter.export_function((sample(), sample()), |(a, b)| [relu(b), relu(a)]).unwrap();
    let graph = model.main().unwrap();
    let signature = model.signature("serving_default").unwrap();
    let names = |entries: &[(String, burnlite_tflite::TensorId)]| -> Vec<String> {
        let tensor = |(name, id): &(String, _)| {
            assert_eq!(graph.tensor(*id).unwrap().name, *name);
            name.clone()
        };
        entries.iter().map(tensor).collect()
    };
    assert_eq!(names(&signature.inputs), ["a", "b"]);
    assert_eq!(names(&signature.outputs), ["first", "second"]);
    assert_eq!(
        graph.operators[0].inputs,
        [Some(graph.inputs[1])],
        "the first output comes of the second input"
    );
}

#[test]
fn the_batch_is_one_with_a_signature_of_minus_one() {
    let model = Exporter::new().export_function(sample(), relu).unwrap();
    for tensor in &model.graphs[0].tensors {
        assert_eq!(tensor.shape, [1, 4], "{}", tensor.name);
        assert_eq!(tensor.shape_signature, Some(vec![-1, 4]), "{}", tensor.name);
    }
}

#[test]
fn a_fixed_batch_is_that_of_the_sample() {
    let sample = Tensor::<2>::zeros([5, 4], &Device::flex());
    let exporter = Exporter::new().dynamic_batch(false);
    let model = exporter.export_function(sample, |x| relu(x.reshape([5, 2, 2]))).unwrap();
    for tensor in model.graphs[0].tensors.iter().filter(|tensor| tensor.data.is_none()) {
        assert_eq!(tensor.shape[0], 5, "{}", tensor.name);
        assert_eq!(tensor.shape_signature, None, "{}", tensor.name);
    }
}

#[test]
fn a_fixed_input_does_not_follow_the_batch() {
    let exporter = Exporter::new().input("x").fixed_input("y");
    let model = exporter.export_function((sample(), sample()), |(x, y)| (relu(x), relu(y))).unwrap();
    let graph = model.main().unwrap();
    assert_eq!(graph.tensor(graph.inputs[1]).unwrap().shape_signature, None);
    assert_eq!(graph.tensor(graph.outputs[1]).unwrap().shape, [1, 4]);
}

#[test]
fn outputs_that_are_inputs_or_constants_are_copied() {
    let forward = |module: &Param<Tensor<1>>, x: Tensor<2>| (x, module.val());
    let module = Param::from_tensor(Tensor::ones([3], &Device::flex()));
    let model = Exporter::new().export(&module, sample(), forward).unwrap();
    let names: Vec<&str> = model.graphs[0].operators.iter().map(|operator| operator.op.name()).collect();
    assert_eq!(names, ["RESHAPE", "RESHAPE"]);
}

#[test]
fn an_output_keeps_its_shape_beside_the_same_elements_in_another() {
    let forward = |x: Tensor<2>| {
        let means = x.mean_dim(1);
        (means.clone(), means.squeeze_dim::<1>(1))
    };
    let model = Exporter::new().export_function(sample(), forward).unwrap();
    let graph = model.main().unwrap();
    let shape = |index: usize| &graph.tensors[graph.outputs[index].index()].shape;
    assert_eq!((&shape(0)[..], &shape(1)[..]), (&[1, 1][..], &[1][..]));
}

#[test]
fn a_module_with_gradients_is_exported_without_them() {
    let device = Device::flex().autodiff();
    let sample = Tensor::<2>::zeros([1, 4], &device).require_grad();
    let module = Param::from_tensor(Tensor::<2>::ones([4, 2], &device));
    let model =
        Exporter::new().export(&module, sample, |module: &Param<Tensor<2>>, x| x.matmul(module.val()));
    assert_eq!(model.unwrap().graphs[0].operators.len(), 1);
}

#[test]
fn arguments_that_do_not_fit_are_errors() {
    let export = |exporter: Exporter| exporter.export_function(sample(), relu).unwrap_err();
    assert_eq!(
        export(Exporter::new().input("a").input("b")).to_string(),
        "there are 2 names for 1 inputs: name all of them or none"
    );
    let twice = Exporter::new().output("y").output("y");
    let twice = twice.export_function(sample(), |x| (relu(x.clone()), relu(x))).unwrap_err();
    assert_eq!(twice.to_string(), "two outputs are named 'y': give each its own name");
    let empty = Tensor::<2>::zeros([0, 4], &Device::flex());
    let empty = Exporter::new().export_function(empty, relu).unwrap_err();
    assert_eq!(empty, Error::EmptySample { position: 0 });
}

#[test]
fn an_output_from_elsewhere_is_an_error() {
    let elsewhere = Exporter::new().export_function(sample(), |_| sample()).unwrap_err();
    assert_eq!(elsewhere, Error::NotComputed { position: 0 });
}

#[test]
fn images_stand_in_the_order_that_was_chosen() {
    let sample = || Tensor::<4>::zeros([1, 3, 4, 5], &Device::flex());
    let shapes = |exporter: Exporter| -> Vec<Vec<usize>> {
        let forward = |x: Tensor<4>| (relu(x.clone()), x.mean_dim(1).reshape([-1, 4, 5]));
        let model = exporter.output("y").output("means").export_function(sample(), forward).unwrap();
        let graph = model.main().unwrap();
        assert!(graph.operators.iter().all(|operator| operator.op.name() != "TRANSPOSE"));
        graph.inputs.iter().chain(&graph.outputs).map(|id| graph.tensors[id.index()].shape.clone()).collect()
    };
    assert_eq!(shapes(Exporter::new()), [vec![1, 3, 4, 5], vec![1, 3, 4, 5], vec![1, 4, 5]]);
    let nhwc = Exporter::new().layout(ImageLayout::Nhwc);
    assert_eq!(shapes(nhwc), [vec![1, 4, 5, 3], vec![1, 4, 5, 3], vec![1, 4, 5]]);
    let unknown =
        Exporter::new().layout_of("x", ImageLayout::Nhwc).export_function(sample(), relu).unwrap_err();
    assert_eq!(unknown, Error::UnknownName { name: "x".into() });
}

#[test]
fn a_sequence_has_its_channels_last_where_that_is_asked_for() {
    let sample = Tensor::<3>::zeros([1, 3, 8], &Device::flex());
    let exporter = Exporter::new().input("x").layout_of("x", ImageLayout::Nhwc);
    let model = exporter.export_function(sample, |x: Tensor<3>| x.mean_dim(2)).unwrap();
    assert_eq!(model.graphs[0].tensors[model.graphs[0].inputs[0].index()].shape, [1, 8, 3]);
}

#[test]
fn integer_inputs_keep_their_type() {
    let sample = Tensor::<2, Int>::zeros([1, 4], &Device::flex());
    let model = Exporter::new().export_function(sample, |x: Tensor<2, Int>| x.reshape([-1, 2, 2])).unwrap();
    let types: Vec<_> =
        model.graphs[0].inputs.iter().map(|id| model.graphs[0].tensors[id.index()].element_type).collect();
    assert!(matches!(types[..], [burnlite_tflite::ElementType::Int32 | burnlite_tflite::ElementType::Int64]));
}
