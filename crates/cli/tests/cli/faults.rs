//! The command killed, without room, and beside itself: files are those of the earlier or of the later run.

#![allow(clippy::unwrap_used, reason = "a test's helpers fail with it")]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use crate::command::{Folder, command, fail};

const QUANTIZE: &str = "quantize networks/tutorial_float32.tflite --calibration networks/tutorial_float32.npz -o OUT/model.tflite \
                        --report OUT/report.json";
const RUN: &str = "run networks/two_inputs_three_outputs_int8.tflite -i networks/two_inputs_three_outputs_int8.npz --samples -o OUT";
const CALIBRATE: &str =
    "calibrate networks/tutorial_float32.tflite --samples networks/tutorial_float32.npz -o OUT/ranges.json";
const FIRMWARE: &str = "firmware networks/tutorial_int16x8.tflite -o OUT/digits";

/// A command that replaces what another one wrote, and the number of files it writes.
struct Case {
    earlier: Option<String>,
    later: String,
    writes: usize,
}

fn cases() -> [Case; 4] {
    let replaces = |earlier: &str, later: &str, writes| Case {
        earlier: Some(earlier.into()),
        later: later.into(),
        writes,
    };
    [
        replaces(&format!("{QUANTIZE} --scheme int8"), &format!("{QUANTIZE} --scheme 16x8"), 2),
        replaces(RUN, &format!("{RUN} --raw"), 3),
        replaces(CALIBRATE, &format!("{CALIBRATE} --shard 1/2"), 1),
        Case { earlier: None, later: FIRMWARE.into(), writes: 4 },
    ]
}

/// The command of a line, with the folder for OUT, started by a shell after `before`.
fn prepared(before: &str, line: &str, folder: &Folder) -> Command {
    let burnlite = command();
    let mut shell = Command::new("sh");
    shell.args(["-c", &format!("{before} exec \"$@\""), "sh"]).arg(burnlite.get_program());
    shell.args(line.split_whitespace().map(|word| word.replace("OUT", &folder.path("."))));
    shell.current_dir(crate::command::fixtures()).stdin(Stdio::null());
    shell.stdout(Stdio::piped()).stderr(Stdio::piped());
    shell
}

fn run(before: &str, line: &str, folder: &Folder) -> Output {
    prepared(before, line, folder).output().expect("a shell")
}

/// What a line leaves in the folder.
fn complete(line: &str, folder: &Folder) -> BTreeMap<String, Vec<u8>> {
    let output = run("", line, folder);
    assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
    visible(folder)
}

/// The files that a person sees.
fn visible(folder: &Folder) -> BTreeMap<String, Vec<u8>> {
    let (mut files, mut folders) = (BTreeMap::new(), vec![folder.path(".")]);
    while let Some(folder) = folders.pop() {
        for name in
            fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap())
        {
            let path = format!("{folder}/{name}");
            match Path::new(&path).is_dir() {
                _ if name.starts_with('.') => {}
                true => folders.push(path),
                false => drop(files.insert(path.clone(), fs::read(path).unwrap())),
            }
        }
    }
    files
}

/// Runs the later line after `before`; false if it ended well, and else only whole files of either line are there, and a further
/// run ends well.
fn is_survived(before: &str, case: &Case) -> bool {
    let folder = Folder::new();
    let earlier = case.earlier.as_ref().map_or_else(BTreeMap::new, |line| complete(line, &folder));
    let output = run(before, &case.later, &folder);
    let found = visible(&folder);
    if output.status.success() {
        return false;
    }
    assert_eq!(output.status.code(), None, "{before} {}: {output:?}", case.later);
    assert!(earlier.keys().all(|path| found.contains_key(path)), "{before} {}: a file is lost", case.later);
    let later = complete(&case.later, &folder);
    for (path, bytes) in found {
        assert!(
            [&earlier, &later].map(|files| files.get(&path)).contains(&Some(&bytes)),
            "{before} {}: {path}",
            case.later
        );
    }
    true
}

#[test]
fn a_kill_at_any_write_leaves_whole_files() {
    for case in cases() {
        let kills =
            (1..).take_while(|write| is_survived(&format!("export BURNLITE_KILL_AT_WRITE={write};"), &case));
        assert_eq!(kills.count(), case.writes, "{}", case.later);
    }
}

/// The system kills whoever writes beyond the largest size of a file.
#[test]
fn a_kill_in_the_middle_of_a_write_leaves_whole_files() {
    for case in cases() {
        assert!(is_survived("ulimit -f 0;", &case));
        for blocks in [1, 4, 20, 40] {
            is_survived(&format!("ulimit -f {blocks};"), &case);
        }
    }
}

#[test]
fn without_room_nothing_changes_and_the_file_is_named() {
    for case in cases() {
        let folder = Folder::new();
        let earlier = case.earlier.as_ref().map_or_else(BTreeMap::new, |line| complete(line, &folder));
        let output = run("trap '' XFSZ; ulimit -f 0;", &case.later, &folder);
        let message = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{message}");
        assert!(message.starts_with(&format!("error: cannot write '{}", folder.path("."))), "{message}");
        assert!(message.ends_with("; make room, or name another place\n"), "{message}");
        assert_eq!(visible(&folder), earlier);
        let is_part = |name: &String| name.ends_with("part");
        assert!(!folder.names(".").iter().any(is_part), "{:?}", folder.names("."));
    }
}

#[test]
fn places_that_cannot_be_written_are_named() {
    let folder = Folder::new();
    let file = folder.write("file", b"");
    let quantize = "quantize networks/tutorial_float32.tflite --scheme float16 -o";
    fail(&[
        (&format!("{quantize} {file}/model"), 1, "file/model': Not a directory (os error 20)"),
        (
            &format!("{quantize} no/model"),
            1,
            "cannot write 'no/model': No such file or directory (os error 2)",
        ),
        (&format!("{quantize} no/model"), 1, "; create its folder first, or name another place"),
        (
            &format!("run networks/tutorial_int8.tflite -i networks/tutorial_int8.npz --samples -o {file}"),
            1,
            "cannot write '",
        ),
    ]);
    assert_eq!(folder.names("."), ["file"]);
}

#[test]
fn runs_at_once_leave_the_files_of_one_of_them() {
    let folder = Folder::new();
    let lines = ["int8", "16x8"].map(|scheme| {
        format!("quantize networks/tutorial_float32.tflite --calibration networks/tutorial_float32.npz --scheme {scheme} -o OUT/m")
    });
    let expected = [complete(&lines[0], &folder), complete(&lines[1], &folder)];
    let started: Vec<_> =
        lines.iter().cycle().take(6).map(|line| prepared("", line, &folder).spawn().unwrap()).collect();
    for child in started {
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    assert!(expected.contains(&visible(&folder)));
    assert_eq!(folder.names("."), ["m"]);
}
