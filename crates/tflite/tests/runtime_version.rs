//! The release that a model asks for is the one that TensorFlow 2.21 wrote into its own files.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;

use burnlite_tflite::Model;

/// TensorFlow's 16x8 quantizer leaves the float model's release.
fn is_right(name: &str) -> bool {
    !name.contains("int16x8")
}

fn numbers(release: &str) -> Vec<u32> {
    release.split('.').map(|number| number.parse().unwrap()).collect()
}

#[test]
fn releases_are_tensorflows() {
    let networks = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/networks");
    let (mut equal, mut later) = (0, Vec::new());
    for entry in std::fs::read_dir(networks).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap();
        if path.extension().is_none_or(|ending| ending != "tflite") || !is_right(name) {
            continue;
        }
        let bytes = std::fs::read(&path).unwrap();
        let model = Model::from_bytes(&bytes).unwrap();
        let Some(entry) = model.metadata.iter().find(|entry| entry.name == "min_runtime_version") else {
            continue;
        };
        let theirs = std::str::from_utf8(&entry.data).unwrap().trim_end_matches('\0');
        if !theirs.is_empty() {
            let ours = model.min_runtime_version().unwrap();
            assert!(numbers(&ours) >= numbers(theirs), "{name}: {ours}, not {theirs}");
            equal += usize::from(ours == theirs);
            later.extend((ours != theirs).then(|| name.to_owned()));
        }
    }
    // Where a FULLY_CONNECTED has no bias, TensorFlow stamps the version of one with a bias.
    assert!(equal > 50 && later.len() < 10, "{equal} are equal, later are {later:?}");
}
