//! The command line as a person meets it: what is wrong is said in one line, with what to do about it.

use std::path::Path;
use std::process::{Command, Output};

fn xtask(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_xtask"))
        .args(arguments)
        .env_remove("MNIST_DIR")
        .env("NO_COLOR", "1")
        .output()
        .expect("xtask runs")
}

/// The error's lines, from a command that must fail without having printed a panic.
fn error(arguments: &[&str]) -> String {
    let output = xtask(arguments);
    let text = String::from_utf8(output.stderr).expect("UTF-8");
    assert!(!output.status.success(), "{arguments:?} succeeded");
    assert!(text.starts_with("error: ") && !text.contains("panicked"), "{text}");
    text
}

fn text(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

#[test]
fn an_unknown_dataset_is_refused_with_the_known_ones() {
    let message = error(&["tutorial", "--dataset", "cifar"]);
    assert_eq!(message.lines().count(), 1, "{message}");
    assert!(message.contains("cifar") && message.contains("digits"), "{message}");
}

#[test]
fn a_folder_that_cannot_be_written_is_found_before_any_work() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let message = error(&["tutorial", "--dataset", "digits", "--out", text(&file.path().join("below"))]);
    assert_eq!(message.lines().count(), 1, "{message}");
    assert!(message.contains("--out"), "{message}");
}

#[test]
fn a_data_folder_that_does_not_exist_is_named() {
    let out = tempfile::tempdir().unwrap();
    let message = error(&["train", "--data-dir", "/no/such/folder", "--out", text(out.path())]);
    assert_eq!(message.lines().count(), 1, "{message}");
    assert!(message.contains("/no/such/folder"), "{message}");
}

#[test]
fn a_broken_data_file_is_named_and_nothing_is_left() {
    let (data, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    std::fs::write(data.path().join("train-images-idx3-ubyte"), b"\0\0\x08\x03\0").unwrap();
    let message = error(&["train", "--data-dir", text(data.path()), "--out", text(out.path())]);
    assert_eq!(message.lines().count(), 1, "{message}");
    assert!(message.contains("train-images-idx3-ubyte"), "{message}");
    let left: Vec<_> =
        std::fs::read_dir(out.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, [".lock"]);
}

#[test]
fn a_stage_whose_input_is_missing_names_the_stage_before() {
    let out = tempfile::tempdir().unwrap();
    for (stage, before) in [("export", "train"), ("evaluate", "train"), ("convert", "train")] {
        let message = error(&[stage, "--out", text(out.path())]);
        assert!(message.contains(&format!("cargo xtask {before}")), "{message}");
    }
}

#[test]
fn generated_digits_do_not_take_a_folder() {
    let out = tempfile::tempdir().unwrap();
    let message = error(&["train", "--dataset", "digits", "--data-dir", "/", "--out", text(out.path())]);
    assert!(message.contains("--data-dir"), "{message}");
}

#[test]
fn help_has_examples() {
    let output = xtask(&["--help"]);
    assert!(output.status.success());
    assert!(String::from_utf8(output.stdout).unwrap().contains("cargo xtask tutorial --epochs 3"));
}

/// The whole way on generated digits, quietly: nothing printed, every file there, and the summary's figures right.
#[test]
fn the_tutorial_on_generated_digits_leaves_all_its_files() {
    let out = tempfile::tempdir().unwrap();
    let output = xtask(&["tutorial", "--dataset", "digits", "--quiet", "--out", text(out.path())]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(output.stdout.is_empty() && output.stderr.is_empty());
    let read = |name: &str| std::fs::read(out.path().join(name)).unwrap();
    let summary: xtask::Summary = serde_json::from_slice(&read("summary.json")).unwrap();
    assert_eq!((summary.dataset.id(), summary.seed, summary.epochs), ("digits", 1, 1));
    let names: Vec<_> = summary.models.iter().map(|model| model.name.as_str()).collect();
    assert_eq!(names, ["float32", "16x8", "16x8-int16-io", "int8", "int8-int8-io"]);
    let float = summary.models[0].accuracy;
    assert!((0.95..=0.999).contains(&float), "{float}");
    for model in &summary.models {
        assert_eq!(read(&format!("mnist_{}.tflite", model.name)).len(), model.bytes);
        assert!((model.accuracy - float).abs() <= 0.002 && model.agreement >= 0.99, "{model:?}");
    }
    assert!(read("first_digit.png").starts_with(b"\x89PNG"));
    // A stage repeated alone gives the same bytes.
    let before = read("mnist_16x8.tflite");
    for stage in ["export", "convert"] {
        // Without --dataset a stage takes the digits that the network was trained on.
        assert!(xtask(&[stage, "--quiet", "--out", text(out.path())]).status.success());
    }
    assert_eq!(read("mnist_16x8.tflite"), before);
    // A truncated model is named, and nothing is converted from it.
    let float = read("mnist_float32.tflite");
    std::fs::write(out.path().join("mnist_float32.tflite"), &float[..float.len() / 2]).unwrap();
    for stage in ["convert", "evaluate"] {
        let message = error(&[stage, "--quiet", "--out", text(out.path())]);
        assert_eq!(message.lines().count(), 1, "{message}");
        assert!(message.contains("mnist_float32.tflite") && message.contains("truncated"), "{message}");
    }
    assert_eq!(read("mnist_16x8.tflite"), before);
}
