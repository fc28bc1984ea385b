//! The applications, trained a little: what the same seed gives, and their models in the real LiteRT interpreter.

#![allow(clippy::unwrap_used, reason = "a test's helpers fail with it")]

use std::path::Path;

use burnlite_applications::{APPLICATIONS, Application};
use burnlite_runtime::InterpreterOptions;
use burnlite_tests::{Array, litert, run};
use burnlite_tflite::Model;
use xtask::stages::{ApplicationOptions, ApplicationsSummary};
use xtask::{Folder, Screen, stages};

/// Samples that both interpreters run.
const SAMPLES: usize = 4;

/// Everything with a hundredth of the training samples; the times, which are never the same, are left out.
fn applications(folder: &Path) -> ApplicationsSummary {
    let options = ApplicationOptions { applications: APPLICATIONS.iter().collect(), seed: 1, effort: 1 };
    let folder = Folder::open(folder).unwrap();
    let mut summary = stages::applications(&options, &folder, &Screen::new(true)).unwrap();
    for application in &mut summary.applications {
        application.train_seconds = 0.0;
        for model in &mut application.models {
            model.microseconds = 0.0;
            model.path = Path::new(&model.path).file_name().unwrap().to_str().unwrap().into();
        }
    }
    summary
}

#[test]
fn the_same_seed_gives_the_same_files_and_figures() {
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let [summary, again] = [0, 1].map(|index| applications(folders[index].path()));
    assert_eq!(summary, again);
    assert_eq!(summary.applications.len(), 4);
    for model in summary.applications.iter().flat_map(|application| &application.models) {
        let [bytes, again] =
            [0, 1].map(|index| std::fs::read(folders[index].path().join(&model.path)).unwrap());
        assert_eq!(bytes.len(), model.bytes);
        assert!(bytes == again, "{}", model.path);
    }
    let report = std::fs::read_to_string(folders[0].path().join("report.html")).unwrap();
    assert!(report.len() < 4_000_000, "{} bytes", report.len());
    // The name of SVG's elements looks like an address, and none is asked for it.
    let addresses = report.replace("http://www.w3.org/2000/svg", "");
    assert!(
        addresses.starts_with("<!DOCTYPE html>")
            && !addresses.contains("http:")
            && !addresses.contains("https:")
    );
}

#[test]
fn litert_computes_the_same() {
    let Some(litert) = litert() else { return };
    let temporary = tempfile::tempdir().unwrap();
    for application in applications(temporary.path()).applications {
        let inputs = [inputs(&application.name)];
        for model in application.models {
            let bytes = std::fs::read(temporary.path().join(&model.path)).unwrap();
            let found =
                run(&Model::from_bytes(&bytes).unwrap(), &InterpreterOptions::default(), &inputs).unwrap();
            let expected = litert.run("reference", &bytes, &inputs);
            // The float outputs of integer models come from the same integers by one multiplication.
            if model.name == "float32" {
                assert_floats_agree(&found[0], &expected[0], &model.path);
            } else {
                assert!(found == expected, "{} differs from LiteRT", model.path);
            }
            // What users get by default must take the files, too.
            litert.run("default", &bytes, &inputs);
        }
    }
}

/// The first test samples.
fn inputs(name: &str) -> Array {
    let application = Application::by_name(name).unwrap();
    let mut effort = application.effort;
    (effort.train, effort.test) = (0, SAMPLES);
    let data = application.data(1, effort);
    let [height, width, channels] = data.input_shape;
    let values = data.test.iter().flat_map(|sample| sample.input.clone()).collect();
    Array::Float32(vec![SAMPLES, 1, height, width, channels], values)
}

/// Outputs within 1e-4 of the largest.
fn assert_floats_agree(found: &Array, expected: &Array, path: &str) {
    let (Array::Float32(_, found), Array::Float32(_, expected)) = (found, expected) else { panic!("floats") };
    assert_eq!(found.len(), expected.len());
    let largest = expected.iter().fold(0f32, |largest, value| largest.max(value.abs()));
    for (a, b) in found.iter().zip(expected) {
        assert!((a - b).abs() <= 1e-4 * largest, "{path}: {a} {b}");
    }
}
