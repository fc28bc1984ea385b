//! The tutorial on real MNIST, and its models in the real LiteRT interpreter.

#![allow(clippy::unwrap_used, reason = "a test's helpers fail with it")]

use std::path::Path;
use std::time::Instant;

use burnlite_mnist::{Dataset, Digits, LoadOptions, Require, TrainingOptions, load};
use burnlite_runtime::{Interpreter, InterpreterOptions};
use burnlite_tests::{Array, Fixture, litert, mnist, run};
use burnlite_tflite::{ElementType, Model, Op};
use xtask::stages::TrainOptions;
use xtask::{Folder, ModelKind, ModelSummary, Screen, stages};

/// Sizes that the files may have at most: TensorFlow's, for the float and the 16x8 model.
const LARGEST: [(&str, usize); 5] = [
    ("float32", 84_668),
    ("16x8", 25_144),
    ("16x8-int16-io", 25_144),
    ("int8", 24_500),
    ("int8-int8-io", 24_500),
];

fn real_mnist(folder: &Path) -> Digits {
    let options = LoadOptions {
        data_dir: Some(folder.into()),
        require: Require::Mnist,
        ..LoadOptions::new(Path::new("."))
    };
    load(&options, &mut |_| ()).unwrap()
}

/// Trains, exports, converts and evaluates, as `cargo xtask tutorial` does.
fn tutorial(digits: &Digits, seed: u64, folder: &Folder) -> Vec<ModelSummary> {
    let screen = Screen::new(true);
    let training = TrainingOptions { seed, ..TrainingOptions::default() };
    let options = TrainOptions { training, ..TrainOptions::default() };
    stages::tutorial(digits, &options, folder, &screen, Instant::now()).unwrap();
    let summary: xtask::Summary =
        serde_json::from_slice(&std::fs::read(folder.join("summary.json")).unwrap()).unwrap();
    summary.models
}

#[test]
fn three_seeds_reach_the_accuracy_of_the_notebook() {
    let Some(mnist) = mnist() else { return };
    let digits = real_mnist(&mnist);
    for seed in 1..=3 {
        let temporary = tempfile::tempdir().unwrap();
        let models = tutorial(&digits, seed, &Folder::open(temporary.path()).unwrap());
        let float = models[0].accuracy;
        assert!(float >= 0.955, "seed {seed}: {float}");
        for (model, (name, bytes)) in models.iter().zip(LARGEST) {
            assert_eq!(model.name, name);
            assert!(model.bytes <= bytes, "{name}: {} bytes", model.bytes);
            let (drift, agreement) = if name.starts_with("16x8") { (0.0005, 0.9990) } else { (0.002, 0.99) };
            assert!((model.accuracy - float).abs() <= drift, "seed {seed}: {model:?}");
            assert!(model.agreement >= agreement, "seed {seed}: {model:?}");
        }
    }
}

#[test]
fn litert_computes_the_same_on_every_test_image() {
    let (Some(mnist), Some(litert)) = (mnist(), litert()) else { return };
    let digits = real_mnist(&mnist);
    let temporary = tempfile::tempdir().unwrap();
    let folder = Folder::open(temporary.path()).unwrap();
    tutorial(&digits, 1, &folder);
    for kind in ModelKind::ALL {
        let bytes = folder.model_bytes(&kind).unwrap();
        let model = Model::from_bytes(&bytes).unwrap();
        let inputs = [images(&model, &digits.test)];
        let found = run(&model, &InterpreterOptions::default(), &inputs).unwrap();
        let expected = litert.run("reference", &bytes, &inputs);
        assert_eq!(found[0].shape(), [10_000, 1, 10]);
        // Float outputs of the integer models come from the same integers by one multiplication: they are equal too.
        if kind.is_float() {
            assert_floats_agree(&found[0], &expected[0]);
        } else {
            assert!(found == expected, "{} differs from LiteRT", kind.name);
        }
        // What users get by default must take the files, too.
        litert.run("default", &bytes, &[first_sample(&inputs[0])]);
    }
}

#[test]
fn litert_reads_what_this_workspace_writes() {
    let Some(litert) = litert() else { return };
    for fixture in Fixture::folder("networks") {
        let model = Model::from_bytes(&fixture.bytes).unwrap();
        // The reference resolver has no variables.
        let is_lacking = |op: &Op| matches!(op, Op::VarHandle(_));
        if model.graphs.iter().flat_map(|graph| &graph.operators).any(|operator| is_lacking(&operator.op)) {
            continue;
        }
        let bytes = model.to_bytes().unwrap();
        let outputs = litert.run("reference", &bytes, &fixture.inputs);
        assert!(outputs == fixture.outputs, "{}", fixture.name);
    }
}

/// All images as the model's input takes them.
fn images(model: &Model<'_>, dataset: &Dataset) -> Array {
    let mut interpreter = Interpreter::new(model).unwrap();
    let element_type = interpreter.inputs().next().unwrap().element_type;
    let shape = vec![dataset.len(), 1, 28, 28];
    let (mut floats, mut bytes, mut words) = (Vec::new(), Vec::new(), Vec::new());
    for index in 0..dataset.len() {
        interpreter.set_input_real(0, &dataset.normalized(index)).unwrap();
        match element_type {
            ElementType::Float32 => floats.extend_from_slice(interpreter.input_mut::<f32>(0).unwrap()),
            ElementType::Int8 => bytes.extend_from_slice(interpreter.input_mut::<i8>(0).unwrap()),
            _ => words.extend_from_slice(interpreter.input_mut::<i16>(0).unwrap()),
        }
    }
    match element_type {
        ElementType::Float32 => Array::Float32(shape, floats),
        ElementType::Int8 => Array::Int8(shape, bytes),
        _ => Array::Int16(shape, words),
    }
}

fn first_sample(array: &Array) -> Array {
    let shape = vec![1, 1, 28, 28];
    match array {
        Array::Float32(_, values) => Array::Float32(shape, values[..784].to_vec()),
        Array::Int8(_, values) => Array::Int8(shape, values[..784].to_vec()),
        Array::Int16(_, values) => Array::Int16(shape, values[..784].to_vec()),
        _ => panic!("images are floats, bytes or words"),
    }
}

/// Logits within 1e-5 of the largest logit of their image.
fn assert_floats_agree(found: &Array, expected: &Array) {
    let (Array::Float32(_, found), Array::Float32(_, expected)) = (found, expected) else { panic!("floats") };
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.chunks(10).zip(expected.chunks(10)) {
        let largest = expected.iter().fold(0f32, |largest, logit| largest.max(logit.abs()));
        for (a, b) in found.iter().zip(expected) {
            assert!((a - b).abs() <= 1e-5 * largest, "{found:?} {expected:?}");
        }
    }
}
