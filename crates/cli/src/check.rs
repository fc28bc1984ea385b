//! Whether another runtime can run a model: `inspect --check`.
//!
//! `check/runtimes.txt` says which operators LiteRT and tflite-micro have, up to which version and in which types. It was
//! found out by running operators in both. `limits.rs` has some limits of other kinds; there may be more.

mod limits;
mod types;

use std::fmt;
use std::io::{self, Write};
use std::path::Path;

use burnlite_tflite::{Graph, Model, Operator};
use clap::ValueEnum;
use serde::Serialize;

use crate::model_file::result_name;
use limits::limit;
use types::Types;

/// A runtime for `.tflite` files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Runtime {
    /// LiteRT 2.3.0 with its builtin operators, without delegates.
    Tflite,
    /// tflite-micro of October 2026 with all of its operators registered.
    TfliteMicro,
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
    let mut reasons = Vec::new();
    for (graph_index, graph) in model.graphs.iter().enumerate() {
        for (index, operator) in graph.operators.iter().enumerate() {
            if let Err((verdict, reason)) = check_operator(graph, operator, runtime) {
                reasons.push(Reason {
                    graph: graph_index,
                    operator: index,
                    name: operator.op.name().into(),
                    tensor: result_name(graph, index).into(),
                    verdict,
                    reason,
                });
            }
        }
    }
    let verdict = reasons.iter().map(|reason| reason.verdict).max().unwrap_or(Verdict::Yes);
    Check { runtime, verdict, reasons }
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
            "{}: {runtime} {}",
            path.display(),
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

impl fmt::Display for Runtime {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Tflite => "LiteRT 2.3.0",
            Self::TfliteMicro => "tflite-micro",
        })
    }
}

/// What is known of an operator: a line of the table.
#[derive(Debug)]
struct Known {
    /// Greatest version that LiteRT loads; tflite-micro does not look at versions.
    version: i32,
    tflite: Types,
    micro: Types,
}

fn check_operator(graph: &Graph<'_>, operator: &Operator, runtime: Runtime) -> Result<(), (Verdict, String)> {
    let name = operator.op.name();
    if operator.op.code() == CUSTOM {
        return Err((Verdict::No, "custom operators run only in programs that bring them".into()));
    }
    let no = |reason: String| Err((Verdict::No, reason));
    let Some(known) = known(name) else { return no("it does not have the operator".into()) };
    if runtime == Runtime::Tflite && operator.version > known.version {
        return no(format!("version {} is above {}, the greatest it knows", operator.version, known.version));
    }
    let types = match runtime {
        Runtime::Tflite => &known.tflite,
        Runtime::TfliteMicro => &known.micro,
    };
    types.check(graph, operator)?;
    limit(runtime, graph, operator).map_or(Ok(()), |limit| no(limit.into()))
}

/// The code of operators that are not builtin.
const CUSTOM: i32 = 32;

/// The table's line about an operator.
fn known(name: &str) -> Option<Known> {
    let mut lines = include_str!("check/runtimes.txt").lines().filter(|line| !line.starts_with('#'));
    lines.find(|line| line.split_whitespace().next() == Some(name)).and_then(Known::parse)
}

impl Known {
    /// `NAME version operands: types of LiteRT | types of tflite-micro`.
    fn parse(line: &str) -> Option<Self> {
        let (head, types) = line.split_once(':')?;
        let (tflite, micro) = types.split_once('|')?;
        let mut words = head.split_whitespace().skip(1);
        let version = words.next()?.parse().ok()?;
        let operands = words.next()?;
        Some(Self { version, tflite: Types::parse(operands, tflite)?, micro: Types::parse(operands, micro)? })
    }
}

#[cfg(test)]
mod tests {
    use burnlite_tflite::Op;

    use super::*;

    #[test]
    fn every_operator_of_the_format_crate_is_in_the_table() {
        for info in Op::TABLE {
            assert!(known(info.name).is_some(), "{}", info.name);
        }
    }

    #[test]
    fn every_line_of_the_table_can_be_read() {
        for line in include_str!("check/runtimes.txt").lines().filter(|line| !line.starts_with('#')) {
            assert!(Known::parse(line).is_some(), "{line}");
        }
    }
}
