//! What a test needs from outside: the real MNIST, and the real LiteRT interpreter. Both are found by environment.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{Array, read_npz, write_npz};

/// The folder of MNIST, from `MNIST_DIR`; without it the test says that it is skipped (and fails where `CI` is set).
pub fn mnist() -> Option<PathBuf> {
    environment("MNIST_DIR")
}

/// The real LiteRT interpreter: a Python that has `ai-edge-litert`, from `BURNLITE_LITERT`; without it the test says
/// that it is skipped (and fails where `CI` is set).
pub fn litert() -> Option<LiteRt> {
    environment("BURNLITE_LITERT").map(|python| LiteRt { python })
}

fn environment(name: &str) -> Option<PathBuf> {
    let value = std::env::var_os(name).filter(|value| !value.is_empty());
    if value.is_none() {
        assert!(
            std::env::var_os("CI").is_none(),
            "{name} must be set where CI is: nothing may be skipped there"
        );
        #[expect(clippy::print_stderr, reason = "a skipped test says so")]
        {
            eprintln!("skipped: {name} is not set");
        }
    }
    // Cargo runs a test in its package's folder, a person names paths from the workspace's.
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests lies in the workspace");
    value.map(|value| workspace.join(value))
}

/// The real LiteRT interpreter, through `tests/litert.py`.
#[derive(Debug)]
pub struct LiteRt {
    python: PathBuf,
}

impl LiteRt {
    /// What LiteRT computes with the given resolver: `reference`, `optimized` or `default`.
    ///
    /// # Panics
    /// Where LiteRT refuses the model or the inputs.
    pub fn run(&self, resolver: &str, model: &[u8], inputs: &[Array]) -> Vec<Array> {
        let mut outputs = self.run_all(resolver, &[(model, inputs)]);
        outputs.pop().expect("one model").unwrap_or_else(|refusal| panic!("{refusal}"))
    }

    /// What LiteRT computes with the given resolver from several models, each with its inputs, in one process; or why it
    /// refuses one of them.
    ///
    /// # Panics
    /// Where Python cannot be run.
    pub fn run_all(&self, resolver: &str, models: &[(&[u8], &[Array])]) -> Vec<Result<Vec<Array>, String>> {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut command = Command::new(&self.python);
        command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("litert.py")).args(["--resolver", resolver]);
        let paths = |number: usize| {
            ["tflite", "inputs.npz", "outputs.npz"]
                .map(|ending| folder.path().join(format!("{number}.{ending}")))
        };
        for (number, (model, inputs)) in models.iter().enumerate() {
            let [model_path, input_path, output_path] = paths(number);
            std::fs::write(&model_path, model).expect("the model");
            write_npz(&input_path, "input", inputs);
            command.args([model_path, input_path, output_path]);
        }
        let ended = command.output().unwrap_or_else(|error| panic!("{}: {error}", self.python.display()));
        let complaints = String::from_utf8_lossy(&ended.stderr);
        let output = |number: usize| {
            let [model_path, _, output_path] = paths(number);
            let model_path = model_path.display().to_string();
            let complaint =
                || complaints.lines().find(|line| line.contains(&model_path)).unwrap_or(&complaints);
            if output_path.exists() {
                Ok(read_npz(&output_path, "output"))
            } else {
                Err(complaint().to_owned())
            }
        };
        (0..models.len()).map(output).collect()
    }

    /// Has LiteRT load named models with the given resolver, and run each once on zeros.
    ///
    /// # Panics
    /// Where LiteRT refuses one.
    pub fn check<'m>(&self, resolver: &str, models: impl IntoIterator<Item = (&'m str, &'m [u8])>) {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let write = |(name, model): (&str, &[u8])| {
            let path = folder.path().join(format!("{name}.tflite"));
            std::fs::write(&path, model).expect("the model");
            path
        };
        let paths: Vec<PathBuf> = models.into_iter().map(write).collect();
        let output = Command::new(&self.python)
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("litert.py"))
            .args(["--check", "--resolver", resolver])
            .args(&paths)
            .output()
            .unwrap_or_else(|error| panic!("{}: {error}", self.python.display()));
        let lines = String::from_utf8_lossy(&output.stdout);
        let failures: Vec<&str> = lines.lines().filter(|line| line.contains("FAILED")).collect();
        assert!(output.status.success(), "{failures:#?} {}", String::from_utf8_lossy(&output.stderr));
    }
}
