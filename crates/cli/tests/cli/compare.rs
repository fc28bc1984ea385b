use crate::command::{fail, json, succeed};

const SAMPLES: &str = "networks/tutorial_float32.npz";

#[test]
fn a_model_is_the_same_as_itself() {
    let model = "networks/tutorial_float32.tflite";
    let report = json(["compare", model, model, "--input", SAMPLES, "--samples", "--json"]);
    assert_eq!(report["samples"], 15);
    let pairs = report["outputs"].as_array().into_iter().chain(report["layers"].as_array()).flatten();
    for pair in pairs {
        assert_eq!(pair["identical"], true, "{pair}");
        assert_eq!((&pair["max_error"], &pair["snr_db"]), (&0.0.into(), &serde_json::Value::Null), "{pair}");
    }
}

#[test]
fn quantized_layers_are_near_the_float_ones() {
    let (a, b) = ("networks/tutorial_float32.tflite", "networks/tutorial_int16x8.tflite");
    let report = json(["compare", a, b, "--input", SAMPLES, "--samples", "--json"]);
    let layers = report["layers"].as_array().expect("a list");
    let layer =
        layers.iter().find(|layer| layer["name"] == "tutorial_1/pool_1/MaxPool2d").expect("the layer");
    assert_eq!((&layer["type_a"], &layer["type_b"]), (&"float32".into(), &"int16".into()));
    assert!(layer["cosine"].as_f64().expect("a number") > 0.98, "{layer}");
    assert_eq!(report["outputs"][0]["agreement"], 1.0);
}

#[test]
fn the_table_has_outputs_and_layers() {
    let (a, b) = ("networks/tutorial_float32.tflite", "networks/tutorial_int8.tflite");
    let text = succeed(["compare", a, b, "--input", SAMPLES, "--samples"]);
    let lines: Vec<Vec<&str>> = text.lines().map(|line| line.split_whitespace().collect()).collect();
    let header = ["max", "error", "SNR", "dB", "cosine", "agreement", "A", "B"];
    assert_eq!((&lines[3][..8], lines[3][8]), (&header[..], "output"));
    assert_eq!(lines[4][4..], ["float32", "float32", "StatefulPartitionedCall_1:0"]);
    assert_eq!((&lines[6][..8], lines[6][8]), (&header[..], "layer"));
    assert!(text.lines().all(|line| line == line.trim_end()), "{text}");
}

#[test]
fn wrong_uses_say_what_is_wrong() {
    fail(&[
        ("compare networks/tutorial_int8.tflite", 2, "<B>"),
        (
            "compare networks/tutorial_int8.tflite networks/tutorial_float32.tflite",
            1,
            "'networks/tutorial_int8.tflite': no array for input 'serving_default_image:0'",
        ),
        (
            "compare networks/tutorial_int8.tflite no.tflite -i networks/tutorial_int8.npz",
            1,
            "cannot read 'no.tflite'",
        ),
        (
            "compare networks/tutorial_int8.tflite networks/tutorial_float32.tflite -i networks/tutorial_int8.npz",
            1,
            "add --samples",
        ),
        (
            "compare operators/gather_float32_rank1.tflite operators/split_float32_rank1.tflite -i operators/gather_float32_rank1.npz --samples",
            1,
            "cannot be compared: they have 1 and 3 outputs",
        ),
        (
            "compare networks/tutorial_int8.tflite networks/tutorial_int8_io.tflite --samples -i networks/tutorial_int8_io.npz",
            1,
            "'networks/tutorial_int8.tflite': input 'serving_default_image:0' takes float32",
        ),
    ]);
}
