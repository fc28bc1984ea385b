//! The examples run: each exports its network, compares it with Burn and runs it.

#![allow(clippy::unwrap_used, reason = "a test's helpers fail with it")]

use std::process::Command;

const EXAMPLES: [&str; 5] = ["audio_gates", "image_classifier", "pytorch", "transformer", "u_net"];

#[test]
fn every_example_ends_well() {
    // Cargo builds examples before it runs tests, into a folder beside that of the tests.
    let test = std::env::current_exe().unwrap();
    let folder = test.parent().unwrap().with_file_name("examples");
    for name in EXAMPLES {
        let example = folder.join(name).with_extension(std::env::consts::EXE_EXTENSION);
        let ended = Command::new(&example).output();
        let ended = ended.unwrap_or_else(|error| {
            panic!("{}: {error}: run `cargo test`, which builds it", example.display())
        });
        assert!(ended.status.success(), "{name}: {}", String::from_utf8_lossy(&ended.stderr));
        assert!(!ended.stdout.is_empty(), "{name} says what it did");
    }
}

#[test]
fn the_list_is_that_of_the_folder() {
    let entries = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/examples")).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    let sources = paths.filter(|path| path.extension().is_some_and(|ending| ending == "rs"));
    let mut names: Vec<String> =
        sources.map(|path| path.file_stem().unwrap().to_str().unwrap().into()).collect();
    names.sort();
    assert_eq!(names, EXAMPLES);
}
