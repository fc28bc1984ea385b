//! Orchestration of the workspace: the tutorial, and each of its stages alone.
//!
//! The libraries do the work and print nothing; here are the order of the stages, the files between them, and what a
//! person sees. Every stage is a function, and `cargo xtask tutorial` calls the same functions as the stages' own
//! commands:
//!
//! | stage | reads | writes |
//! |---|---|---|
//! | [`stages::train`] | the digits | `network.bpk`, `training.json`; until then `training.checkpoint` |
//! | [`stages::export`] | `network.bpk` | `mnist_float32.tflite` |
//! | [`stages::convert`] | `mnist_float32.tflite`, the first 100 training images | the four integer models, `calibration.json` |
//! | [`stages::evaluate`] | the five models, the test images | `first_digit.png`, `evaluation.json` |
//! | [`stages::report`] | all of these but the integer models | `report.html` |
//!
//! [`stages::applications()`] does the same for four networks whose outputs are pictures and sounds.
//!
//! [`bench()`] is no stage: it measures what there is beside what it replaces.

#![forbid(unsafe_code)]

mod arguments;
mod bench;
mod files;
mod models;
mod picture;
mod report;
mod screen;
pub mod stages;
mod summary;

pub use arguments::run;
pub use bench::{BenchOptions, NETWORKS, Network, Part, bench};
pub use files::Folder;
pub use models::ModelKind;
pub use screen::Screen;
pub use summary::{CurvePoint, Evaluation, ImageAnswers, LayerSummary, ModelSummary, Summary, Training};
