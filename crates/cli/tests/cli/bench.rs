use crate::command::{fail, json, succeed};

const MODEL: &str = "networks/tutorial_int8.tflite";

#[test]
fn times_are_in_order() {
    let report = json(["bench", MODEL, "--seconds", "0.02", "--json"]);
    let time = |key: &str| report[key].as_f64().expect("a number");
    assert!(0.0 < time("min_us"), "{report}");
    assert!(time("min_us") <= time("median_us") && time("median_us") <= time("max_us"), "{report}");
    let bytes = |key: &str| report[key].as_u64().expect("a number");
    assert!(
        bytes("packed_bytes") > 20_000 && bytes("weight_bytes") > 20_000 && bytes("arena_bytes") > 0,
        "{report}"
    );
    assert!(report["runs"].as_u64().expect("a number") >= 3);
    assert_eq!((&report["threads"], &report["kernels"]), (&1.into(), &"auto".into()));
    assert!(report.get("operators").is_none());
}

#[test]
fn a_profile_has_the_operators_that_run() {
    let options = ["--profile", "--threads", "2", "--copies", "3", "--kernels", "reference", "--json"];
    let report = json([&["bench", MODEL, "--seconds", "0.02"], &options[..]].concat());
    let operators = report["operators"].as_array().expect("a list");
    let names: Vec<_> = operators.iter().map(|operator| operator["name"].as_str().expect("a name")).collect();
    assert_eq!(names, ["QUANTIZE", "CONV_2D", "MAX_POOL_2D", "FULLY_CONNECTED", "DEQUANTIZE"]);
    let share: f64 = operators.iter().map(|operator| operator["share"].as_f64().expect("a number")).sum();
    assert!((share - 1.0).abs() < 1e-9, "{share}");
    assert_eq!((&report["threads"], &report["copies"]), (&2.into(), &3.into()));
    assert_eq!(report["kernels"], "reference");
}

#[test]
fn the_text_is_for_people() {
    let text = succeed([
        "bench",
        MODEL,
        "--seconds",
        "0.01",
        "--profile",
        "-i",
        "networks/tutorial_int8.npz",
        "--samples",
    ]);
    assert!(text.contains("runs of 1 copy on 1 thread each, kernels auto"), "{text}");
    assert!(text.contains("5 CONV_2D 'tutorial_1/conv_1/"), "{text}");
}

#[test]
fn kernels_are_listed_without_a_model_too() {
    for arguments in [&["bench", "--kernels", "list"][..], &["inspect", MODEL, "--kernels", "list"]] {
        let text = succeed(arguments);
        let generic = text.lines().find(|line| line.trim_start().starts_with("generic")).expect("a line");
        assert!(generic.contains("yes") && generic.contains("portable code"), "{text}");
        assert_eq!(text.lines().filter(|line| line.matches("yes").count() == 2).count(), 1, "{text}");
    }
}

#[test]
fn wrong_uses_say_what_is_wrong() {
    fail(&[
        ("bench", 2, "<MODEL>"),
        ("bench --kernels generic", 1, "only --kernels list does without"),
        ("bench no.tflite", 1, "cannot read 'no.tflite'"),
        ("bench networks/tutorial_int8.tflite --threads 0", 2, "0 is not in 1..=1024"),
        ("bench networks/tutorial_int8.tflite --kernels fast", 2, "[possible values: auto, reference"),
        (
            "bench networks/tutorial_int8.tflite --seconds forever",
            2,
            "a number of seconds from 0.001 to 3600",
        ),
        ("bench networks/tutorial_int8.tflite -i image=README.md", 1, "'README.md': not an .npy file"),
    ]);
}
