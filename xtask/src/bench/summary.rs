//! `target/bench/summary.json`; `docs/performance.md` documents the fields, and they stay.

use serde::Serialize;

use super::litert::Versions;
use super::machine::Machine;
use super::networks::Scheme;

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
    /// What every time contains besides the network.
    pub(super) smallest_invoke: SmallestInvoke,
    /// The times.
    pub(super) results: Vec<Timing>,
    /// What has no time.
    pub(super) absent: Vec<Absence>,
    /// Our times beside LiteRT's.
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
}

/// Microseconds of running a model of one RELU on 20 numbers.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(super) struct SmallestInvoke {
    /// Ours.
    pub(super) burnlite_us: f64,
    /// LiteRT's, with what its Python interface adds.
    pub(super) litert_us: f64,
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
    /// Median of the runs on a batch of 32, divided by 32; of our engine.
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

/// How many times faster we are than LiteRT, by medians.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Comparison {
    /// Name of the network.
    pub(super) network: String,
    /// Our scheme.
    pub(super) burnlite: Scheme,
    /// LiteRT's.
    pub(super) litert: Scheme,
    /// LiteRT's median by ours; nothing where one of them is absent.
    pub(super) times_faster: Option<f64>,
    /// The goal.
    pub(super) at_least: Option<f64>,
}

impl Comparison {
    /// Whether there is a goal and it is missed: by being slower, or by not running at all.
    pub(super) fn is_missed(&self) -> bool {
        self.at_least.is_some_and(|goal| self.times_faster.is_none_or(|times| times < goal))
    }
}
