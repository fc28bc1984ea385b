use std::io::Read;
use std::process::Stdio;

use crate::command::{Folder, burnlite, command, fail, fixtures, json, succeed, unsupported_model};

const MODEL: &str = "networks/tutorial_int8.tflite";

#[test]
fn the_report_has_everything_about_a_model() {
    let report = json(["inspect", MODEL, "--kernels", "generic", "--json"]);
    assert_eq!(report["file"], MODEL);
    assert_eq!(report["file_bytes"], fixtures().join(MODEL).metadata().expect("a file").len());
    assert_eq!(report["inputs"][0]["shape_signature"], serde_json::json!([-1, 28, 28]));
    assert_eq!(report["signatures"][0]["inputs"][0]["name"], "image");
    // 3x3 taps for 26x26 pixels of 12 channels, and 2028 inputs for 10 outputs.
    assert_eq!(report["multiply_accumulates"], 9 * 26 * 26 * 12 + 2028 * 10);
    assert!(report["arena_bytes"].as_u64().expect("a number") >= 28 * 28 * 4 + 28 * 28);
    let operators = report["operators"].as_array().expect("a list");
    assert_eq!(operators.len(), 13);
    let convolution = &operators[5];
    assert_eq!((&convolution["name"], &convolution["version"]), (&"CONV_2D".into(), &3.into()));
    assert_eq!(convolution["inputs"][1]["shape"], serde_json::json!([12, 3, 3, 1]));
    assert_eq!(convolution["inputs"][1]["quantization"]["scale"].as_array().map(Vec::len), Some(12));
    assert_eq!(convolution["weights_bytes"], 12 * 9 + 12 * 4);
    assert_eq!(convolution["kernels"], "generic");
    assert_eq!(operators[1]["kernels"], serde_json::Value::Null, "shapes are known in advance");
    assert_eq!(report["unsupported"], serde_json::json!([]));
}

#[test]
fn the_text_says_the_same() {
    let text = succeed(["inspect", MODEL, "--kernels", "generic"]);
    for part in [
        "arena                 9,",
        "float32 [1, 28, 28] 'serving_default_image:0', resizable as [-1, 28, 28]",
        "image = 'serving_default_image:0'",
        "CONV_2D version 3, kernels generic, 73,008 multiply-accumulates, 156 bytes of constants",
        "int8 [12, 3, 3, 1] 12 scales 0.001401 to 0.002583",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

#[test]
fn everything_that_cannot_be_run_is_told() {
    let folder = Folder::new();
    let model = folder.write("two.tflite", &unsupported_model());
    let report = json(["inspect", &model, "--json"]);
    assert_eq!(report["arena_bytes"], serde_json::Value::Null);
    let faults = report["unsupported"].as_array().expect("a list").iter();
    let faults: Vec<_> = faults.map(|fault| (fault["operator"].clone(), fault["tensor"].clone())).collect();
    assert_eq!(faults, [(0.into(), "y".into()), (2.into(), "w".into())]);
    let text = succeed(["inspect", &model]);
    assert!(text.contains("operator 2 (RELU6) of tensor 'w': the element types"), "{text}");
    assert!(text.contains("not known: the model cannot be run"), "{text}");
}

#[test]
fn a_reader_that_leaves_is_no_failure() {
    let mut child = command()
        .args(["inspect", MODEL])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("a process");
    drop(child.stdout.take());
    let mut errors = String::new();
    child.stderr.take().expect("a pipe").read_to_string(&mut errors).expect("text");
    assert!(child.wait().expect("an end").success());
    assert_eq!(errors, "");
}

#[test]
fn other_runtimes_take_what_they_have_the_operators_for() {
    for (model, runtime, code, message) in [
        (MODEL, "tflite", 0, "LiteRT 2.3.0 can run this model"),
        (MODEL, "tflite-micro", 0, "tflite-micro can run this model"),
        ("operators/elu_float32.tflite", "tflite", 0, "can run"),
        (
            "operators/gelu_int8_typical.tflite",
            "tflite-micro",
            3,
            "operator 0 (GELU) of tensor 'output': it does not have",
        ),
        (
            "operators/exp_int8_typical.tflite",
            "tflite-micro",
            3,
            "operator 0 (EXP) of tensor 'output': it does not take int8",
        ),
        ("networks/residual_hybrid.tflite", "tflite-micro", 3, "it does not take float32 with int8"),
        ("networks/stream_float32.tflite", "tflite-micro", 0, "can run"),
        (
            "networks/residual_int16x8.tflite",
            "ethos-u",
            3,
            "the Ethos-U takes one scale for all dense weights",
        ),
        ("operators/transpose_int8_rank6.tflite", "tflite-micro", 3, "it takes five dimensions at most"),
        ("operators/depthwise_conv_2d_int8_no_bias.tflite", "tflite", 3, "it crashes without a bias"),
    ] {
        let ended = burnlite(["inspect", model, "--check", runtime]);
        assert_eq!((ended.code, &ended.stderr[..]), (code, ""), "{ended:?}");
        assert!(ended.stdout.contains(message), "{}", ended.stdout);
    }
    let ended = burnlite(["inspect", "networks/residual_hybrid.tflite", "--check", "tflite-micro", "--json"]);
    assert_eq!(ended.code, 3);
    let report: serde_json::Value = serde_json::from_str(&ended.stdout).expect("JSON");
    assert_eq!(report["check"]["verdict"], "no");
    assert_eq!(report["check"]["reasons"][0]["name"], "CONV_2D");
}

#[test]
fn wrong_uses_say_what_is_wrong() {
    fail(&[
        ("inspect", 2, "<MODEL>"),
        ("inspect no/such.tflite", 1, "cannot read 'no/such.tflite'"),
        ("inspect networks/tutorial_int8.npz", 1, "'networks/tutorial_int8.npz': not a .tflite file"),
        (
            "inspect networks/tutorial_int8.tflite --check tensorrt",
            2,
            "[possible values: tflite, tflite-micro, ethos-u]",
        ),
        ("inspect networks/tutorial_int8.tflite --signature train", 1, "the model has 'serving_default'"),
        ("inspect networks/tutorial_int8.tflite --max-memory 0", 2, "0 is not in 1..=1048576"),
        ("inspect networks", 1, "cannot read 'networks'"),
    ]);
}
