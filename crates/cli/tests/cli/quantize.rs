use burnlite_quantize::{Calibration, Compat, Quantizer, Scheme};
use burnlite_tflite::{ElementType, Model};

use crate::command::{Folder, fail, fixtures, header_and_elements, json, npy, npz_array, succeed};

const FLOAT: &str = "networks/tutorial_float32.tflite";
const SAMPLES: &str = "networks/tutorial_calibration.npz";
const FRESH: &str = "networks/tutorial_float32.npz";
const SEPARABLE: &str = "networks/separable_float32";
const TWO_INPUTS: &str = "networks/two_inputs_three_outputs_float32";

fn words(line: &str) -> impl Iterator<Item = &str> {
    line.split_whitespace()
}

/// The types of the first input and the first output of a file.
fn io_types(bytes: &[u8]) -> [ElementType; 2] {
    let model = Model::from_bytes(bytes).expect("a model");
    let graph = model.main().expect("a graph");
    [graph.inputs[0], graph.outputs[0]].map(|id| graph.tensors[id.index()].element_type)
}

/// The samples of a fixture as float32 arrays of one axis less: without their batch of 1.
fn without_batch(folder: &Folder, samples: &str) -> String {
    let array = npz_array(samples, "input_0");
    let (header, elements) = header_and_elements(&array);
    let shape = header.split_once("'shape': (").expect("a shape").1;
    let shape = shape[..shape.find(')').expect("its end")].replacen(" 1,", "", 1);
    folder.write("without_batch.npy", &npy("<f4", &format!("({shape})"), elements))
}

#[test]
fn shards_on_many_machines_make_the_file_of_one_pass() {
    let folder = Folder::new();
    let one_pass = folder.path("one.tflite");
    succeed(words(&format!("quantize {FLOAT} --scheme 16x8 --calibration {SAMPLES} -o {one_pass}")));
    let shards: Vec<_> = (1..=3)
        .map(|index| {
            let path = folder.path(&format!("{index}.json"));
            let said = succeed(words(&format!(
                "calibrate {FLOAT} --samples {SAMPLES} --shard {index}/3 -o {path} --kernels generic"
            )));
            assert_eq!(said, format!("{path}: {} samples\n", [33, 33, 34][index - 1]));
            path
        })
        .collect();
    let merged = folder.path("merged.tflite");
    let statistics = format!("{} {} {}", shards[2], shards[0], shards[1]);
    succeed(words(&format!("quantize {FLOAT} --scheme 16x8 --statistics {statistics} -o {merged}")));
    assert_eq!(folder.read("merged.tflite"), folder.read("one.tflite"));

    // The statistics themselves, gone on with shard after shard, are those of one pass.
    succeed(words(&format!("calibrate {FLOAT} --samples {SAMPLES} -o {}", folder.path("one.json"))));
    let more = folder.path("more.json");
    let (before, last) = (format!("{} {}", shards[1], shards[2]), "--shard 1/3");
    succeed(words(&format!("calibrate {FLOAT} --samples {SAMPLES} {last} --statistics {before} -o {more}")));
    assert_eq!(folder.read("more.json"), folder.read("one.json"));
}

#[test]
fn samples_may_lack_their_batch_of_one() {
    let folder = Folder::new();
    let samples = without_batch(&folder, SAMPLES);
    for (name, samples) in [("with", SAMPLES), ("without", &samples)] {
        let output = folder.path(name);
        succeed(words(&format!("quantize {FLOAT} --scheme int8 --calibration {samples} -o {output}")));
    }
    assert_eq!(folder.read("with"), folder.read("without"));
}

#[test]
fn inputs_go_by_name_or_in_order() {
    let folder = Folder::new();
    let [first, second] = ["input_0", "input_1"]
        .map(|name| folder.write(&format!("{name}.npy"), &npz_array(&format!("{TWO_INPUTS}.npz"), name)));
    let statistics = |name: &str, samples: &str| {
        let output = folder.path(name);
        let line = format!("calibrate {TWO_INPUTS}.tflite {samples} -o {output}");
        assert!(succeed(words(&line)).ends_with(": 6 samples\n"));
        folder.read(name)
    };
    let expected = statistics("npz", &format!("--samples {TWO_INPUTS}.npz"));
    assert_eq!(statistics("order", &format!("--samples {first} --samples {second}")), expected);
    // The signature calls the second input `input_0`.
    assert_eq!(statistics("names", &format!("--samples input_0={second} --samples {first}")), expected);
}

#[test]
fn a_file_that_tensorflow_calibrated_needs_no_samples() {
    let folder = Folder::new();
    let file = "networks/tutorial_calibrated.tflite";
    let bytes = std::fs::read(fixtures().join(file)).expect("a fixture");
    let model = Model::from_bytes(&bytes).expect("a model");
    let calibration = Calibration::from_model(&model).expect("ranges");
    for (name, compat) in [("tensorflow", Compat::TensorFlow), ("best", Compat::Best)] {
        let output = folder.path(name);
        succeed(words(&format!("quantize {file} --scheme 16x8 --compat {name} -o {output}")));
        let quantizer = Quantizer::new(Scheme::Int16x8).compat(compat).bias_correction(false);
        let (expected, _) = quantizer.quantize(&model, &calibration).expect("a model of integers");
        assert!(folder.read(name) == expected.to_bytes().expect("a file"), "{name}");
    }
}

#[test]
fn schemes_and_types_are_those_that_were_asked_for() {
    use ElementType::{Float32, Int8, Int16, UInt8};
    let folder = Folder::new();
    for (arguments, expected) in [
        ("16x8 --input-type int16 --output-type int16", [Int16, Int16]),
        ("16x8 --output-type int16 --int32-bias --headroom 1.5 --bias-correction false", [Float32, Int16]),
        ("int8 --input-type uint8 --output-type int8 --per-tensor-dense", [UInt8, Int8]),
        ("int8 --require integer-only --target ethos-u", [Float32, Float32]),
        ("float16", [Float32, Float32]),
        ("dynamic-range", [Float32, Float32]),
    ] {
        let output = folder.path("model.tflite");
        let calibration = if arguments.starts_with(['1', 'i']) { "--calibration" } else { "--samples" };
        succeed(words(&format!("quantize {FLOAT} {calibration} {SAMPLES} -o {output} --scheme {arguments}")));
        assert_eq!(io_types(&folder.read("model.tflite")), expected, "{arguments}");
    }
}

#[test]
fn the_report_says_what_was_done_and_what_it_cost() {
    let folder = Folder::new();
    let [output, report] = ["int8.tflite", "report.json"].map(|name| folder.path(name));
    let said = succeed(words(&format!(
        "quantize {FLOAT} --scheme int8 --calibration {SAMPLES} -o {output} --samples {SAMPLES} --report {report}"
    )));
    let report: serde_json::Value = serde_json::from_slice(&folder.read("report.json")).expect("JSON");
    let after = folder.read("int8.tflite").len();
    assert_eq!(report["bytes_after"], after);
    assert_eq!(report["report"]["scheme"], "int8");
    assert_eq!(report["report"]["tensors"][0]["role"], "activation");
    assert_eq!(report["comparison"]["samples"], 100);
    let layers = report["comparison"]["layers"].as_array().expect("a list");
    let last = layers.last().expect("a layer");
    assert_eq!((&last["is_output"], &last["element_type"]), (&true.into(), &"int8".into()));
    let snr = last["snr_db"].as_f64().expect("a number");
    assert!(snr > 30.0, "{last}");
    assert!(said.contains(&format!("{snr:.1}")) && said.contains("(output)"), "{said}");
}

#[test]
fn debug_shows_what_the_report_shows() {
    let folder = Folder::new();
    let [output, report, debug] = ["q.tflite", "report.json", "debug.json"].map(|name| folder.path(name));
    let said = succeed(words(&format!(
        "quantize {FLOAT} --scheme 16x8 --calibration {SAMPLES} -o {output} --samples {FRESH} --report {report}"
    )));
    let shown = succeed(words(&format!("debug {FLOAT} {output} --samples {FRESH} --json {debug}")));
    let table =
        |text: &str| text.lines().skip_while(|line| !line.contains("SNR dB")).collect::<Vec<_>>().join("\n");
    assert_eq!(table(&shown), table(&said));
    let [report, debug] = ["report.json", "debug.json"]
        .map(|name| serde_json::from_slice::<serde_json::Value>(&folder.read(name)).expect("JSON"));
    assert_eq!(debug["layers"], report["comparison"]["layers"]);
    // Of two files that TensorFlow wrote, too.
    succeed(words(&format!("debug {FLOAT} networks/tutorial_int8.tflite --samples {FRESH}")));
    let compared =
        json(words(&format!("compare {FLOAT} {output} -i {FRESH} --samples --json --kernels generic")));
    let pool = |layers: &serde_json::Value| {
        let layers = layers.as_array().expect("a list");
        layers.iter().find(|layer| layer["name"] == "tutorial_1/pool_1/MaxPool2d").expect("the layer")["snr_db"].clone()
    };
    assert_eq!(pool(&debug["layers"]), pool(&compared["layers"]));
}

/// The recipe that the documentation shows.
fn documented_recipe() -> String {
    let text = std::fs::read_to_string(fixtures().join("../../docs/cli.md")).expect("the documentation");
    let (_, block) = text.split_once("```toml\n").expect("a recipe");
    block.split_once("```").expect("its end").0.into()
}

#[test]
fn the_documented_recipe_can_be_used() {
    let folder = Folder::new();
    let recipe = folder.write("recipe.toml", documented_recipe().as_bytes());
    let [output, report] = ["mixed.tflite", "report.json"].map(|name| folder.path(name));
    let said = succeed(words(&format!(
        "quantize {SEPARABLE}.tflite --scheme int8 --recipe {recipe} --calibration {SEPARABLE}.npz -o {output} --report {report}"
    )));
    assert!(said.contains("(DEPTHWISE_CONV_2D): 16x8\n"), "{said}");
    assert!(said.contains("(FULLY_CONNECTED): the recipe says float32\n"), "{said}");
    let report: serde_json::Value = serde_json::from_slice(&folder.read("report.json")).expect("JSON");
    let operators = report["report"]["operators"].as_array().expect("a list");
    let has = |precision| operators.iter().any(|operator| operator["precision"] == precision);
    assert!(has("int8") && has("16x8") && has("float32"), "{operators:?}");
}

#[test]
fn a_recipe_is_found_that_reaches_what_was_asked_for() {
    let folder = Folder::new();
    let [recipe, again, found, mixed] =
        ["recipe.toml", "again.toml", "found.json", "mixed.tflite"].map(|name| folder.path(name));
    let feeds = format!("{SEPARABLE}.tflite --calibration {SEPARABLE}.npz --samples {SEPARABLE}.npz");
    let said = succeed(words(&format!("recipe {feeds} --snr 55 -o {recipe} --json {found}")));
    assert!(said.starts_with(&format!("{recipe}: reaches 55 dB\n")), "{said}");
    let found: serde_json::Value = serde_json::from_slice(&folder.read("found.json")).expect("JSON");
    assert!(
        found["int8"]["snr_db"].as_f64() < Some(55.0) && found["proposed"]["snr_db"].as_f64() >= Some(55.0)
    );
    assert!(found["proposed"]["time"].as_f64() < found["float32"]["time"].as_f64(), "{found}");
    let said = succeed(words(&format!(
        "quantize {SEPARABLE}.tflite --scheme int8 --recipe {recipe} --calibration {SEPARABLE}.npz -o {mixed}"
    )));
    let bytes = found["proposed"]["constant_bytes"].as_u64().expect("a number");
    assert!(said.contains(&format!("; {bytes} bytes of constants")), "{said}");

    // A search on saved statistics finds the same; a budget that does not suffice is said.
    let statistics = folder.path("statistics.json");
    succeed(words(&format!("calibrate {SEPARABLE}.tflite --samples {SEPARABLE}.npz -o {statistics}")));
    let feeds = format!("{SEPARABLE}.tflite --statistics {statistics} --samples {SEPARABLE}.npz");
    succeed(words(&format!("recipe {feeds} --snr 55 -o {again}")));
    assert_eq!(folder.read("again.toml"), folder.read("recipe.toml"));
    let said = succeed(words(&format!("recipe {feeds} --snr 55 --time 1 -o {again}")));
    assert!(said.starts_with(&format!("{again}: does not reach 55 dB\n")), "{said}");
}

#[test]
fn wrong_recipes_say_what_is_wrong() {
    let folder = Folder::new();
    let out = folder.path("out");
    let quantize = |name: &str, recipe: &str| {
        let path = folder.write(name, recipe.as_bytes());
        format!(
            "quantize {SEPARABLE}.tflite --scheme int8 --recipe {path} --calibration {SEPARABLE}.npz -o {out}"
        )
    };
    let unused = quantize("unused.toml", "[[rule]]\nkind = \"CONV_3D\"\nprecision = \"16x8\"");
    let search = format!("recipe {SEPARABLE}.tflite --calibration {SEPARABLE}.npz -o {out}");
    let samples = format!("--samples {SEPARABLE}.npz");
    let wrong = [
        (quantize("text.toml", "CONV_2D: 16x8"), 1, "text.toml': TOML parse error at line 1"),
        (quantize("int4.toml", "[[rule]]\nprecision = \"int4\""), 1, "unknown variant `int4`"),
        (unused.clone(), 1, "rule 0 of the recipe (16x8 for kind 'CONV_3D') fits no operator of the model"),
        (unused.replace("int8", "float16"), 1, "a recipe goes with 16x8 or int8, not with float16"),
        (unused.replace("unused.toml", "no.toml"), 1, "no.toml'"),
        (search.clone(), 2, "--samples <[NAME=]FILE>"),
        (format!("{search} {samples} --snr loud"), 2, "must be a number of dB"),
        (
            format!("{search} {samples} --snr 40 --pace 1,2"),
            2,
            "must be three times, of int8, 16x8 and float32",
        ),
        (format!("{search} {samples} --snr 40 --time 2 --bytes 9"), 2, "cannot be used with"),
    ];
    for (line, code, message) in wrong {
        fail(&[(&line, code, message)]);
    }
    assert_eq!(folder.names("."), ["int4.toml", "text.toml", "unused.toml"]);
}

#[test]
fn wrong_uses_say_what_is_wrong_and_write_nothing() {
    let folder = Folder::new();
    let out = folder.path("out");
    let text = folder.write("text.json", b"{}");
    let nan = folder.write("nan.npy", &npy("<f4", "(2, 28, 28)", &f32::NAN.to_le_bytes().repeat(2 * 784)));
    let small = folder.write("small.npy", &npy("<f4", "(2, 28, 27)", &[0; 4 * 2 * 28 * 27]));
    let other = folder.path("other.json");
    succeed(words(&format!("calibrate {TWO_INPUTS}.tflite --samples {TWO_INPUTS}.npz -o {other}")));
    let quantize = |arguments: &str| format!("quantize {FLOAT} -o {out} {arguments}");
    let wrong = [
        (format!("quantize {FLOAT} --scheme int8"), 2, "--output <FILE>"),
        (quantize(""), 2, "--scheme <SCHEME>"),
        (quantize("--scheme int4"), 2, "[possible values: 16x8, int8, dynamic-range, float16]"),
        (quantize("--scheme 16x8 --headroom 0.5"), 2, "must be a factor from 1 to 256"),
        (
            quantize("--scheme 16x8"),
            1,
            "tutorial_float32.tflite': the model carries no ranges: give --calibration or --statistics",
        ),
        (
            quantize(&format!("--scheme int8 --input-type int16 --calibration {SAMPLES}")),
            1,
            "inputs and outputs of int8 cannot be int16",
        ),
        (quantize("--scheme int8 --calibration no.npz"), 1, "cannot read 'no.npz'"),
        (
            quantize(&format!("--scheme int8 --calibration {nan}")),
            1,
            "tutorial_float32.tflite': sample 0: input 'serving_default_image:0' holds NaN at position 0",
        ),
        (
            quantize(&format!("--scheme int8 --calibration {small}")),
            1,
            "of shape [2, 28, 27]: it takes [-1, 28, 28] (-1 is free)",
        ),
        (
            quantize(&format!("--scheme int8 --calibration {TWO_INPUTS}.npz")),
            1,
            "it takes [-1, 28, 28] (-1 is free)",
        ),
        (
            quantize(&format!("--scheme int8 --statistics {text}")),
            1,
            "text.json': these are no calibration statistics: missing field `format`",
        ),
        (
            quantize(&format!("--scheme int8 --statistics {other}")),
            1,
            "other.json': the calibration is of another model: tensor 0 is ",
        ),
        (
            format!("quantize networks/tutorial_int8.tflite --scheme int8 -o {out}"),
            1,
            "is quantized already: start from the float model",
        ),
        (
            format!("quantize {TWO_INPUTS}.tflite --scheme int8 --calibration input_1={nan} -o {out}"),
            1,
            "no array for input 'serving_default_input_0:0'",
        ),
        (format!("calibrate {FLOAT} -o {out}"), 2, "--samples <[NAME=]FILE>"),
        (
            format!("calibrate {FLOAT} --samples {SAMPLES} --shard 4/3 -o {out}"),
            2,
            "must be I/N, from 1/N to N/N",
        ),
        (format!("calibrate {FLOAT} --samples {nan} --shard 2/2 -o {out}"), 1, "sample 1: input"),
        (format!("debug {FLOAT} networks/tutorial_int8.tflite"), 2, "--samples <[NAME=]FILE>"),
        (
            format!("debug networks/tutorial_int8.tflite {FLOAT} --samples {FRESH}"),
            1,
            "tutorial_int8.tflite': tensor 'tutorial_1/dense_1/BiasAdd' (int32) is quantized already",
        ),
        (
            format!("debug {FLOAT} networks/separable_int8.tflite --samples {FRESH}"),
            1,
            "'networks/separable_int8.tflite': input 'serving_default_input_0:0' cannot take",
        ),
    ];
    for (line, code, message) in wrong {
        fail(&[(&line, code, message)]);
    }
    assert_eq!(folder.names("."), ["nan.npy", "other.json", "small.npy", "text.json"]);
}

#[test]
fn a_demand_for_integers_lists_what_stays_float() {
    let folder = Folder::new();
    let (out, model) = (folder.path("out"), "operators/sin_float32");
    let line = format!("quantize {model}.tflite --scheme int8 --calibration {model}.npz -o {out}");
    assert!(succeed(words(&line)).contains("stays float32: operator 0 (SIN): no integer kernel computes it"));
    std::fs::remove_file(&out).expect("the file was there");
    let line = format!("{line} --require integer-only");
    fail(&[(&line, 1, "cannot be integer: operator 0 (SIN): no integer kernel computes it")]);
    assert!(folder.names(".").is_empty());
}
