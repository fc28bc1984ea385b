//! LiteRT as a contestant: a Python process that answers requests.

use std::cell::RefCell;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context, Result, bail};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::race::Runner;

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

/// The versions of the rival.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Versions {
    /// Of `ai-edge-litert`.
    pub(super) litert: String,
    /// Of Python.
    pub(super) python: String,
}

/// The process; it ends when this is dropped.
#[derive(Debug)]
pub(super) struct LiteRt {
    process: RefCell<Process>,
    versions: Versions,
}

#[derive(Debug)]
struct Process {
    child: Child,
    requests: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
    complaints: File,
}

/// A model that LiteRT has loaded.
pub(super) struct Theirs<'p> {
    litert: &'p LiteRt,
    model: usize,
    output: Vec<f32>,
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

impl LiteRt {
    /// Starts the process.
    ///
    /// # Errors
    /// Where Python or LiteRT is missing.
    pub(super) fn start(python: &Path, workspace: &Path) -> Result<Self> {
        let complaints = tempfile::tempfile()?;
        let mut child = Command::new(python)
            .arg(workspace.join("tests/litert_timer.py"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(complaints.try_clone()?)
            .spawn()
            .with_context(|| format!("cannot run '{}', which BURNLITE_LITERT names", python.display()))?;
        let requests = child.stdin.take();
        let answers = BufReader::new(child.stdout.take().context("the output is piped")?);
        let mut process = Process { child, requests, answers, complaints };
        let versions = serde_json::from_value(process.answer()?)?;
        Ok(Self { process: RefCell::new(process), versions })
    }

    /// What runs.
    pub(super) fn versions(&self) -> &Versions {
        &self.versions
    }

    /// Loads a model, with a sample for its first input.
    ///
    /// # Errors
    /// LiteRT's, where it cannot run the model.
    pub(super) fn load(&self, path: &Path, sample: &[f32]) -> Result<Theirs<'_>> {
        let Loaded { model, output } = self.ask(&json!({ "load": path, "input": sample }))?;
        Ok(Theirs { litert: self, model, output })
    }

    fn ask<T: DeserializeOwned>(&self, request: &Value) -> Result<T> {
        let mut process = self.process.borrow_mut();
        let line = format!("{request}\n");
        // A process that is gone says why in what it leaves, not here.
        let sent = process.requests.as_mut().map(|requests| requests.write_all(line.as_bytes()));
        let answer = process.answer()?;
        sent.transpose().context("cannot write to LiteRT's process")?;
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
            bail!(
                "LiteRT's process has ended: {}",
                complaint.lines().last().unwrap_or("it does not say why")
            );
        }
        serde_json::from_str(&line).with_context(|| format!("LiteRT's process says '{}'", line.trim_end()))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It ends with its input.
        self.requests = None;
        self.child.wait().map(drop).unwrap_or_default();
    }
}

impl Theirs<'_> {
    /// What the model computes from its sample, as real numbers.
    pub(super) fn output(&self) -> &[f32] {
        &self.output
    }
}

impl Runner for Theirs<'_> {
    fn run(&mut self, times: usize) -> Result<Vec<f64>> {
        let ran: Ran = self.litert.ask(&json!({ "model": self.model, "runs": times }))?;
        Ok(ran.nanoseconds.into_iter().map(|nanoseconds| nanoseconds / 1e3).collect())
    }
}
