//! `target/bench/summary.json`; `docs/performance.md` documents the fields, and they stay.

use std::fmt;

use serde::Serialize;

use super::machine::Machine;
use super::networks::Scheme;
use super::rival::Versions;

/// Everything that was measured.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct BenchSummary {
    /// Where.
    pub(super) machine: Machine,
    /// Against what.
    pub(super) versions: Versions,
    /// With which of our kernels.
    pub(super) kernels: String,
    /// Turns of each contestant.
    pub(super) rounds: usize,
    /// The times.
    pub(super) results: Vec<Timing>,
    /// What has no time.
    pub(super) absent: Vec<Absence>,
    /// Our times beside the rivals'.
    pub(super) comparisons: Vec<Comparison>,
}

/// Who runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(super) enum Engine {
    /// `burnlite-runtime`.
    #[serde(rename = "burnlite")]
    Burnlite,
    /// LiteRT's default interpreter.
    #[serde(rename = "litert")]
    LiteRt,
    /// `tract-tflite`.
    #[serde(rename = "tract")]
    Tract,
}

/// The times of one engine on one file, in microseconds per sample.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Timing {
    /// Name of the network.
    pub(super) network: String,
    /// Who ran.
    pub(super) engine: Engine,
    /// The file's numbers.
    pub(super) scheme: Scheme,
    /// Median of all runs on one sample.
    pub(super) median_us: f64,
    /// The quickest of them.
    pub(super) min_us: f64,
    /// Median of the runs on a batch of 32, divided by 32.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) batch32_median_us: Option<f64>,
    /// The quickest of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) batch32_min_us: Option<f64>,
}

/// An engine that did not run a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Absence {
    /// Name of the network.
    pub(super) network: String,
    /// Who did not run.
    pub(super) engine: Engine,
    /// The file's numbers.
    pub(super) scheme: Scheme,
    /// Why.
    pub(super) reason: String,
}

/// How many times faster we are than a rival, by medians.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Comparison {
    /// Name of the network.
    pub(super) network: String,
    /// Our scheme.
    pub(super) scheme: Scheme,
    /// Who runs beside us.
    pub(super) rival: Engine,
    /// The rival's scheme.
    pub(super) rival_scheme: Scheme,
    /// The rival's median by ours; nothing where one of them is absent.
    pub(super) times_faster: Option<f64>,
    /// The goal.
    pub(super) at_least: Option<f64>,
}

impl fmt::Display for Engine {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(match self {
            Self::Burnlite => "Burnlite",
            Self::LiteRt => "LiteRT",
            Self::Tract => "tract",
        })
    }
}

impl Timing {
    /// Whether it is of an engine on a file.
    pub(super) fn is_of(&self, network: &str, engine: Engine, scheme: Scheme) -> bool {
        (self.network.as_str(), self.engine, self.scheme) == (network, engine, scheme)
    }
}

impl Comparison {
    /// Whether there is a goal and it is missed: by being slower, or by not running at all.
    pub(super) fn is_missed(&self) -> bool {
        self.at_least.is_some_and(|goal| self.times_faster.is_none_or(|times| times < goal))
    }
}
