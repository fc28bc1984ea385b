//! Exported networks against TensorFlow's own conversion of the same networks.

use std::collections::BTreeMap;

use burnlite_tests::Fixture;
use burnlite_tflite::Model;

use crate::networks::networks;

/// Operators and bytes of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Size {
    operators: usize,
    bytes: usize,
}

/// What TensorFlow makes of the networks, from `tests/fixtures/converted_networks.py`.
fn theirs() -> BTreeMap<String, Size> {
    let lines = std::fs::read_to_string(Fixture::path("converted_networks.txt")).unwrap();
    let lines = lines.lines().filter(|line| !line.starts_with('#'));
    lines
        .map(|line| {
            let [name, operators, bytes] = line.split_whitespace().collect::<Vec<_>>()[..] else {
                panic!("{line}")
            };
            (name.into(), Size { operators: operators.parse().unwrap(), bytes: bytes.parse().unwrap() })
        })
        .collect()
}

#[test]
fn files_are_no_larger_than_tensorflows_and_have_no_more_operators() {
    let mut theirs = theirs();
    for network in networks() {
        let Some(theirs) = theirs.remove(network.case.name) else { continue };
        let bytes = network.case.export().bytes;
        let model = Model::from_bytes(&bytes).unwrap();
        let ours = Size { operators: model.graphs[0].operators.len(), bytes: bytes.len() };
        let is_no_more = ours.operators <= theirs.operators && ours.bytes <= theirs.bytes;
        assert!(is_no_more, "{}: {ours:?}, TensorFlow {theirs:?}", network.case.name);
    }
    assert!(theirs.is_empty(), "no networks are called {:?}", theirs.keys());
}
