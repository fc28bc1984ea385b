//! Whether another runtime can run a model: `inspect --check`.

use std::io::{self, Write};
use std::path::Path;

use burnlite_tflite::{Model, Obstacle, Target};
use clap::ValueEnum;
use serde::Serialize;

use crate::model_file::result_name;

/// A runtime for `.tflite` files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Runtime {
    /// LiteRT 2.3.0 with its builtin operators, without delegates.
    #[default]
    Tflite,
    /// tflite-micro of October 2026 with all of its operators registered.
    TfliteMicro,
    /// The same with an Ethos-U, on which the layers shall run that could.
    EthosU,
}

/// Whether a runtime can run a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Verdict {
    /// Its operators, their versions and types are known to run.
    Yes,
    /// It has every operator, but some types were never tried.
    Unknown,
    /// It would refuse.
    No,
}

/// What a runtime would say to a model.
#[derive(Debug, Serialize)]
pub(crate) struct Check {
    runtime: Runtime,
    verdict: Verdict,
    reasons: Vec<Reason>,
}

/// An operator that does not run, or of which that is not known.
#[derive(Debug, Serialize)]
struct Reason {
    graph: usize,
    operator: usize,
    name: String,
    /// The tensor that it computes.
    tensor: String,
    verdict: Verdict,
    reason: String,
}

/// What a runtime would say to a model, all of whose graphs it reads.
pub(crate) fn check(model: &Model<'_>, runtime: Runtime) -> Check {
    let obstacles = runtime.target().check(model);
    let reasons: Vec<_> = obstacles.into_iter().map(|obstacle| Reason::new(model, obstacle)).collect();
    let verdict = reasons.iter().map(|reason| reason.verdict).max().unwrap_or(Verdict::Yes);
    Check { runtime, verdict, reasons }
}

impl Runtime {
    pub(crate) const fn target(self) -> Target {
        match self {
            Self::Tflite => Target::TfLite,
            Self::TfliteMicro => Target::TfLiteMicro,
            Self::EthosU => Target::EthosU,
        }
    }
}

impl Reason {
    fn new(model: &Model<'_>, obstacle: Obstacle) -> Self {
        let Obstacle { graph, operator, name, is_certain, reason, .. } = obstacle;
        let tensor = result_name(&model.graphs[graph], operator).into();
        let verdict = if is_certain { Verdict::No } else { Verdict::Unknown };
        Self { graph, operator, name, tensor, verdict, reason }
    }
}

impl Check {
    pub(crate) fn verdict(&self) -> Verdict {
        self.verdict
    }

    /// The verdict and its reasons for people.
    pub(crate) fn write(&self, path: &Path, output: &mut dyn Write) -> io::Result<()> {
        let Self { runtime, verdict, reasons } = self;
        writeln!(
            output,
            "{}: {} {}",
            path.display(),
            runtime.target(),
            match verdict {
                Verdict::Yes => "can run this model",
                Verdict::Unknown => "has the operators of this model, but may not run it",
                Verdict::No => "cannot run this model",
            }
        )?;
        for Reason { graph, operator, name, tensor, reason, .. } in reasons {
            let graph = if *graph == 0 { String::new() } else { format!("graph {graph}, ") };
            writeln!(output, "  {graph}operator {operator} ({name}) of tensor '{tensor}': {reason}")?;
        }
        Ok(())
    }
}
