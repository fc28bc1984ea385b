//! Runs the command in the folder of the fixtures.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use burnlite_tflite::{ElementType, Graph, Model, Op, Operator, ReshapeOptions, Tensor};

/// The folder of the fixtures, in which the command runs.
pub(crate) fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures")
}

/// How the command ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Runs the command. Whatever happens, nothing it prints into a pipe is meant for a terminal, and it does not panic.
pub(crate) fn burnlite(arguments: impl IntoIterator<Item: AsRef<OsStr>>) -> Ended {
    let output = command().args(arguments).output().expect("the command runs");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("the output is text");
    let ended = Ended {
        code: output.status.code().expect("no signal ended the command"),
        stdout: text(output.stdout),
        stderr: text(output.stderr),
    };
    assert!(!ended.stdout.contains('\x1b') && !ended.stderr.contains('\x1b'), "{ended:?}");
    assert!(!ended.stderr.contains("panicked"), "{ended:?}");
    ended
}

pub(crate) fn command() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_burnlite"));
    command.current_dir(fixtures()).stdin(Stdio::null());
    command
}

/// Runs the command, which must succeed; what it prints.
pub(crate) fn succeed(arguments: impl IntoIterator<Item: AsRef<OsStr>>) -> String {
    let ended = burnlite(arguments);
    assert_eq!((ended.code, &ended.stderr[..]), (0, ""), "{ended:?}");
    ended.stdout
}

/// Runs the command, which must print JSON.
pub(crate) fn json(arguments: impl IntoIterator<Item: AsRef<OsStr>>) -> serde_json::Value {
    serde_json::from_str(&succeed(arguments)).expect("JSON")
}

/// Runs wrong uses of the command: each must end with the code and say the message.
pub(crate) fn fail(wrong: &[(&str, i32, &str)]) {
    for (arguments, code, message) in wrong {
        let ended = burnlite(arguments.split_whitespace());
        assert_eq!((ended.code, &ended.stdout[..]), (*code, ""), "{arguments}: {ended:?}");
        assert!(ended.stderr.contains(message), "{arguments}: {}", ended.stderr);
    }
}

/// An array of an `.npz` file, as the bytes of an `.npy` file.
pub(crate) fn npz_array(file: &str, name: &str) -> Vec<u8> {
    let file = File::open(fixtures().join(file)).expect("a fixture");
    let mut archive = zip::ZipArchive::new(file).expect("a zip archive");
    let mut bytes = Vec::new();
    archive.by_name(&format!("{name}.npy")).expect("an array").read_to_end(&mut bytes).expect("its bytes");
    bytes
}

/// The header of an `.npy` file of version 1 without what fills it up, and its elements.
pub(crate) fn header_and_elements(npy: &[u8]) -> (&str, &[u8]) {
    let end = 10 + usize::from(u16::from_le_bytes([npy[8], npy[9]]));
    let header = core::str::from_utf8(&npy[10..end]).expect("a header of text");
    (header.trim_end(), &npy[end..])
}

/// An `.npy` file of the given type, shape and elements.
pub(crate) fn npy(descr: &str, shape: &str, elements: &[u8]) -> Vec<u8> {
    let header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}");
    let length = u16::try_from(header.len()).expect("a short header");
    [b"\x93NUMPY\x01\x00", &length.to_le_bytes()[..], header.as_bytes(), elements].concat()
}

/// A model of RELU, RESHAPE and RELU6, of which RELU and RELU6 cannot be run: they have int64.
pub(crate) fn unsupported_model() -> Vec<u8> {
    let mut graph = Graph::default();
    let ids = ["x", "y", "z", "w"].map(|name| graph.add_tensor(Tensor::new(name, ElementType::Int64, [2])));
    let reshape = Op::Reshape(ReshapeOptions { new_shape: vec![2] });
    for (op, ids) in [Op::Relu, reshape, Op::Relu6].into_iter().zip(ids.windows(2)) {
        graph.operators.push(Operator::new(op, [ids[0]], [ids[1]]));
    }
    (graph.inputs, graph.outputs) = (vec![ids[0]], vec![ids[3]]);
    Model::new(graph).to_bytes().expect("a model that can be written")
}

/// A folder that disappears, for what a test writes.
pub(crate) struct Folder(tempfile::TempDir);

impl Folder {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().expect("a folder"))
    }

    /// The path of a file in the folder, as an argument.
    pub(crate) fn path(&self, name: &str) -> String {
        self.0.path().join(name).to_str().expect("a path of text").into()
    }

    /// Writes a file, and returns its path.
    pub(crate) fn write(&self, name: &str, bytes: &[u8]) -> String {
        let path = self.path(name);
        fs::write(&path, bytes).expect("a file");
        path
    }

    pub(crate) fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).expect("a file")
    }

    pub(crate) fn names(&self, folder: &str) -> Vec<String> {
        let entries = fs::read_dir(self.path(folder)).expect("a folder");
        let mut names: Vec<_> = entries
            .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }
}
