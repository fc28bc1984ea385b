//! `cargo xtask bench`: Burnlite beside what it replaces, measured side by side in one run.

mod contest;
mod goals;
mod inference;
mod machine;
mod networks;
mod ours;
mod page;
mod race;
mod rival;
mod summary;
mod training;

use std::path::Path;

use anyhow::Result;
use burnlite_runtime::Kernels;
use clap::ValueEnum;

use crate::files::Folder;
use crate::screen::Screen;
use goals::Verdict;
use machine::Machine;

pub use networks::{NETWORKS, Network};

/// What there is to measure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Part {
    /// Our interpreter beside LiteRT's and tract.
    Inference,
    /// `cargo xtask tutorial` beside the same notebook run by TensorFlow.
    Training,
}

/// What is measured, and what for.
#[derive(Debug, Clone)]
pub struct BenchOptions {
    /// The parts.
    pub parts: Vec<Part>,
    /// The networks of the inference.
    pub networks: Vec<&'static Network>,
    /// Turns of each contestant of the inference.
    pub rounds: usize,
    /// Our kernels.
    pub kernels: Kernels,
    /// Whether `docs/performance.md` gets the new figures.
    pub write_docs: bool,
    /// Whether a missed goal is an error.
    pub assert: bool,
}

/// Measures; shows tables, writes `summary.json` and `training.json`, and `docs/performance.md` where that is asked for.
///
/// What cannot be run, or is not there, is told and left out.
///
/// # Errors
/// Where LiteRT cannot be started or dies, the file system's, and where asked for, that goals are missed.
pub fn bench(workspace: &Path, options: &BenchOptions, folder: &Folder, screen: &Screen) -> Result<()> {
    let python = rival::python(workspace)?;
    let machine = Machine::here();
    screen.heading(&format!("Bench on {machine}"));
    if let Some(warning) = machine.warning() {
        screen.banner(&[warning]);
    }
    let mut verdicts = Vec::new();
    if options.parts.contains(&Part::Inference) {
        let summary = inference::measure(workspace, &python, &machine, options, folder, screen)?;
        page::show(&summary, screen);
        folder.write_json("summary.json", &summary)?;
        screen.line(format!("\n  {}", folder.join("summary.json").display()));
        if options.write_docs {
            page::write(workspace, Part::Inference, &page::measured(&summary))?;
        }
        verdicts.extend(summary.comparisons.iter().filter_map(goals::verdict));
    }
    if options.parts.contains(&Part::Training) {
        match training::measure(workspace, &python, &machine, folder, screen) {
            Ok(summary) => {
                folder.write_json("training.json", &summary)?;
                screen.line(format!("\n  {}", folder.join("training.json").display()));
                if options.write_docs {
                    page::write(workspace, Part::Training, &summary.page())?;
                }
                verdicts.extend(summary.comparisons.iter().map(training::Comparison::verdict));
            }
            Err(error) => {
                let text = format!("training was not measured: {error:#}");
                screen.line(format!("  {text}"));
                verdicts.push(Verdict { text, is_missed: true });
            }
        }
    }
    if options.assert { goals::hold(&verdicts) } else { Ok(()) }
}
