//! `summary.json` of the applications; `docs/applications.md` documents the fields, and they stay.

use serde::{Deserialize, Serialize};

/// `summary.json`: what came out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ApplicationsSummary {
    /// Seed of data and weights.
    pub seed: u64,
    /// The percentage of the full number of training samples.
    pub effort: usize,
    /// Those that were asked for.
    pub applications: Vec<ApplicationSummary>,
}

/// One application.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ApplicationSummary {
    /// The application's name.
    pub name: String,
    /// `PSNR`, `PSNR-μ` or `SI-SDR`; all qualities are in dB.
    pub measure: String,
    /// Parameters of the network.
    pub parameters: usize,
    /// Seconds of training.
    pub train_seconds: f64,
    /// The quality without a network.
    pub baseline: f64,
    /// The models, the float one first.
    pub models: Vec<ModelQuality>,
}

/// One model of an application.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelQuality {
    /// `float32`, `16x8`, `int8` or `mixed`.
    pub name: String,
    /// The model's file.
    pub path: String,
    /// Bytes of the file.
    pub bytes: usize,
    /// Quality against the truth, in dB.
    pub quality: f64,
    /// Quality against the float model's output, in dB; none for the float model itself.
    pub to_float: Option<f64>,
    /// Median microseconds of a sample, on one thread.
    pub microseconds: f64,
}
