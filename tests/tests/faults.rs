//! The tutorial killed, without room, and beside itself: files are whole, and the next run makes up for it.
//!
//! What is killed is this program itself, as a process that runs [`the_tutorial_in_a_process_of_its_own`] alone.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test's helpers fail with it")]

use std::fs;
use std::path::Path;
use std::process::{Command, Output};
use std::time::Instant;

use burnlite_mnist::{Backend, Digits, Training, TrainingOptions};
use xtask::stages::{self, TrainOptions};
use xtask::{Folder, Screen};

/// The environment variables that say where the tutorial runs, and whether it goes on with an interrupted training.
const FOLDER: &str = "BURNLITE_TEST_FOLDER";
const RESUME: &str = "BURNLITE_TEST_RESUME";

/// What the tutorial writes: one checkpoint, then all its files.
const WRITES: usize = 13;

/// 300 steps, of which the 250th leaves a checkpoint.
const TRAINING: TrainingOptions = TrainingOptions { epochs: 2, seed: 1, batch_size: 2, learning_rate: 0.001 };

fn digits() -> Digits {
    Digits::generate(1, 300, 60)
}

#[test]
fn the_tutorial_in_a_process_of_its_own() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let resume = std::env::var_os(RESUME).is_some();
    let options = TrainOptions { training: TRAINING, resume, ..TrainOptions::default() };
    let screen = Screen::new(false);
    let run = |folder| stages::tutorial(&digits(), &options, &folder, &screen, Instant::now());
    if let Err(error) = Folder::own(folder).and_then(run) {
        panic!("error: {error:#}");
    }
}

/// Runs the tutorial, started by a shell after `before`.
fn tutorial(before: &str, folder: &Path) -> Output {
    let mut shell = Command::new("sh");
    shell.args(["-c", &format!("{before} exec \"$@\""), "sh"]).arg(std::env::current_exe().unwrap());
    shell.args(["--exact", "the_tutorial_in_a_process_of_its_own", "--nocapture"]);
    shell.env(FOLDER, folder).env("RUST_BACKTRACE", "0").output().unwrap()
}

fn completed(before: &str, folder: &Path) -> String {
    let output = tutorial(before, folder);
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// The names in a folder that begin with a dot, but for the lock, or without one.
fn names(folder: &Path, are_hidden: bool) -> Vec<String> {
    let names = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> =
        names.filter(|name| name != ".lock" && name.starts_with('.') == are_hidden).collect();
    names.sort();
    names
}

/// Every file is whole; those that do not speak of time are as in the folder of a complete run.
fn assert_whole(folder: &Path, complete: &Path) {
    for name in names(folder, false) {
        let bytes = fs::read(folder.join(&name)).unwrap();
        match &name[..] {
            "training.checkpoint" => {
                let (digits, device) = (digits(), Backend::Flex.device().unwrap());
                let training = Training::resume(folder.join(&name), &digits.train, &TRAINING, &device);
                assert_eq!(training.unwrap().steps_taken(), 250);
            }
            "report.html" => assert!(bytes.trim_ascii_end().ends_with(b"</html>")),
            "training.json" | "evaluation.json" | "summary.json" => {
                serde_json::from_slice::<serde_json::Value>(&bytes).unwrap();
            }
            _ => assert_eq!(bytes, fs::read(complete.join(&name)).unwrap(), "{name}"),
        }
    }
}

#[test]
fn a_kill_at_any_write_leaves_whole_files_and_the_next_run_is_complete() {
    let [complete, folder] = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let [complete, folder] = [complete.path(), folder.path()];
    completed("", complete);
    assert_eq!(names(complete, false).len(), WRITES - 1, "all but the checkpoint");
    for write in 1..=WRITES {
        let output = tutorial(&format!("export BURNLITE_KILL_AT_WRITE={write};"), folder);
        assert_eq!(output.status.code(), None, "write {write}: {output:?}");
        assert_whole(folder, complete);
        assert_eq!(names(folder, true).len(), 1, "what an earlier kill left is removed");
    }
    completed("", folder);
    assert_whole(folder, complete);
    assert_eq!((names(folder, false), names(folder, true)), (names(complete, false), vec![]));
}

#[test]
fn an_interrupted_training_goes_on_to_the_same_bytes() {
    let [complete, folder] = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let [complete, folder] = [complete.path(), folder.path()];
    completed("", complete);
    let resume = format!("export {RESUME}=1;");
    // In the middle of the checkpoint, of which nothing is seen; then in the middle of the network.
    assert_eq!(tutorial(&format!("{resume} ulimit -f 40;"), folder).status.code(), None);
    assert!(names(folder, false).is_empty());
    assert_eq!(tutorial("export BURNLITE_KILL_AT_WRITE=2;", folder).status.code(), None);
    assert_eq!(names(folder, false), ["training.checkpoint"]);
    assert_eq!(tutorial(&format!("{resume} ulimit -f 40;"), folder).status.code(), None);
    assert_whole(folder, complete);
    let said = completed(&resume, folder);
    assert!(said.contains("resumed after 250 of 300 steps"), "{said}");
    assert_whole(folder, complete);
    assert_eq!(names(folder, false), names(complete, false));
    assert!(completed(&resume, folder).contains("no training was interrupted here"));
}

#[test]
fn without_room_or_in_another_run_s_folder_an_error_says_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let refused = |before: &str| {
        let output = tutorial(before, folder);
        assert_eq!(output.status.code(), Some(101), "{output:?}");
        assert!(names(folder, false).is_empty() && names(folder, true).is_empty());
        String::from_utf8(output.stderr).unwrap()
    };
    let message = refused("trap '' XFSZ; ulimit -f 40;");
    assert!(message.contains("training.checkpoint': File too large"), "{message}");
    assert!(message.contains("; make room, or name another place"), "{message}");
    let _owner = Folder::own(folder).unwrap();
    let message = refused("");
    assert!(
        message.contains(&format!("another run is writing to '{}': wait", folder.display())),
        "{message}"
    );
}
