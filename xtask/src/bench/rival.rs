//! Rivals as contestants: programs that answer requests.
//!
//! A request and its answer are one JSON object each, on a line of the program's standard input and output:
//!
//! ```text
//! {"load": "MODEL.tflite", "input": [0.1, ...]}  ->  {"model": 0, "output": [0.3, ...]}
//! {"model": 0, "runs": 100}                      ->  {"nanoseconds": [7650, ...]}
//! ```
//!
//! Loading sets the first input, quantized where the model takes integers, and answers with the model's number and its first
//! output in real numbers. Timing runs the model and answers with the time of each run alone. A request that cannot be met is
//! answered with `{"error": "..."}`. The first line, before any request, holds versions by name. The program ends with its
//! input. There are `tests/litert_timer.py` and `xtask/rivals/tract`.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::race::Runner;
use super::summary::Engine;

/// Versions of a program and of what it needs, by name.
pub(super) type Versions = BTreeMap<String, String>;

/// The Python that has LiteRT, from the environment.
///
/// # Errors
/// Where it does not say.
pub(super) fn python(workspace: &Path) -> Result<PathBuf> {
    let value = std::env::var_os("BURNLITE_LITERT").filter(|value| !value.is_empty());
    let advice = "BURNLITE_LITERT is not set: name a Python with ai-edge-litert, such as target/litert/bin/python after \
                  `python3 -m venv target/litert && target/litert/bin/pip install -r \
                  tests/fixtures/requirements-litert.txt`";
    // A name without a folder is looked up in PATH.
    let python = PathBuf::from(value.context(advice)?);
    Ok(if python.components().count() == 1 { python } else { workspace.join(python) })
}

/// A running rival; it ends when this is dropped.
#[derive(Debug)]
pub(super) struct Rival {
    engine: Engine,
    process: RefCell<Process>,
    versions: Versions,
}

#[derive(Debug)]
struct Process {
    engine: Engine,
    child: Child,
    requests: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
    complaints: File,
}

/// A model that a rival has loaded.
pub(super) struct Theirs<'p> {
    rival: &'p Rival,
    model: usize,
}

#[derive(Deserialize)]
struct Loaded {
    model: usize,
    output: Vec<f32>,
}

#[derive(Deserialize)]
struct Ran {
    nanoseconds: Vec<f64>,
}

impl Rival {
    /// LiteRT's default interpreter in the given Python.
    ///
    /// # Errors
    /// Where Python or LiteRT is missing.
    pub(super) fn litert(python: &Path, workspace: &Path) -> Result<Self> {
        Self::start(Engine::LiteRt, Command::new(python).arg(workspace.join("tests/litert_timer.py")))
    }

    /// tract, which cargo builds first: no other command needs it.
    ///
    /// # Errors
    /// Where it cannot be built, such as for lack of a network.
    pub(super) fn tract(workspace: &Path) -> Result<Self> {
        let target = workspace.join("target/rivals");
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let built = Command::new(cargo)
            .args(["build", "--release", "--locked", "--quiet", "--target-dir"])
            .arg(&target)
            .arg("--manifest-path")
            .arg(workspace.join("xtask/rivals/tract/Cargo.toml"))
            .output()?;
        let complaint = String::from_utf8_lossy(&built.stderr);
        ensure!(built.status.success(), "cannot build xtask/rivals/tract: {}", complaint.trim());
        Self::start(Engine::Tract, &mut Command::new(target.join("release/burnlite-rival-tract")))
    }

    fn start(engine: Engine, command: &mut Command) -> Result<Self> {
        let complaints = tempfile::tempfile()?;
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(complaints.try_clone()?)
            .spawn()
            .with_context(|| format!("cannot run {command:?} for {engine}"))?;
        let requests = child.stdin.take();
        let answers = BufReader::new(child.stdout.take().context("the output is piped")?);
        let mut process = Process { engine, child, requests, answers, complaints };
        let versions = serde_json::from_value(process.answer()?)?;
        Ok(Self { engine, process: RefCell::new(process), versions })
    }

    /// Who it is.
    pub(super) fn engine(&self) -> Engine {
        self.engine
    }

    /// What runs.
    pub(super) fn versions(&self) -> &Versions {
        &self.versions
    }

    /// Loads a model, with values for its first input; and what the model computes from them, as real numbers.
    ///
    /// # Errors
    /// The rival's, where it cannot run the model.
    pub(super) fn load(&self, path: &Path, input: &[f32]) -> Result<(Theirs<'_>, Vec<f32>)> {
        let Loaded { model, output } = self.ask(&json!({ "load": path, "input": input }))?;
        Ok((Theirs { rival: self, model }, output))
    }

    fn ask<T: DeserializeOwned>(&self, request: &Value) -> Result<T> {
        let mut process = self.process.borrow_mut();
        let line = format!("{request}\n");
        // A process that is gone says why in what it leaves, not here.
        let sent = process.requests.as_mut().map(|requests| requests.write_all(line.as_bytes()));
        let answer = process.answer()?;
        sent.transpose().with_context(|| format!("cannot write to the process of {}", self.engine))?;
        if let Some(error) = answer.get("error").and_then(Value::as_str) {
            bail!("{error}");
        }
        Ok(serde_json::from_value(answer)?)
    }
}

impl Process {
    fn answer(&mut self) -> Result<Value> {
        let mut line = String::new();
        self.answers.read_line(&mut line)?;
        if line.is_empty() {
            let mut complaint = String::new();
            self.complaints.rewind()?;
            self.complaints.read_to_string(&mut complaint)?;
            let last = complaint.lines().last().unwrap_or("it does not say why");
            bail!("the process of {} has ended: {last}", self.engine);
        }
        serde_json::from_str(&line)
            .with_context(|| format!("the process of {} says '{}'", self.engine, line.trim_end()))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It ends with its input.
        self.requests = None;
        self.child.wait().map(drop).unwrap_or_default();
    }
}

impl Runner for Theirs<'_> {
    fn run(&mut self, times: usize) -> Result<Vec<f64>> {
        let ran: Ran = self.rival.ask(&json!({ "model": self.model, "runs": times }))?;
        Ok(ran.nanoseconds.into_iter().map(|nanoseconds| nanoseconds / 1e3).collect())
    }
}
