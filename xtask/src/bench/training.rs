//! The time of training and of the whole tutorial, beside the same notebook run by TensorFlow as a script.
//!
//! The two take turns, each a process of its own that uses all cores.

use std::fmt::Write;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};

use super::goals::Verdict;
use super::machine::Machine;
use crate::files::Folder;
use crate::screen::Screen;

/// Turns of each; one more before them is not counted.
const ROUNDS: usize = 3;

/// What is compared, and the share of TensorFlow's time that ours may be at most.
const GOALS: [(&str, f64); 2] = [("training epoch", 0.6), ("the whole tutorial", 0.4)];

/// `training.json`; `docs/performance.md` documents the fields.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct TrainingSummary {
    machine: Machine,
    tensorflow: String,
    keras: String,
    rounds: usize,
    /// Our time beside TensorFlow's.
    pub(super) comparisons: Vec<Comparison>,
    accuracy: Accuracy,
}

/// Medians, in seconds.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Comparison {
    what: &'static str,
    burnlite_seconds: f64,
    tensorflow_seconds: f64,
    /// Our time by TensorFlow's.
    share: f64,
    /// The goal.
    at_most: f64,
}

/// Of the float models on the test images, in the last round.
#[derive(Debug, Clone, PartialEq, Serialize)]
struct Accuracy {
    burnlite: f64,
    tensorflow: f64,
}

/// The last line of `tests/notebook.py`.
#[derive(Debug, Deserialize)]
struct Notebook {
    tensorflow: String,
    keras: String,
    epoch_seconds: f64,
    accuracy_float32: f64,
}

/// Times both.
///
/// # Errors
/// Where one of them fails: for lack of TensorFlow or of MNIST, for instance.
pub(super) fn measure(
    workspace: &Path,
    python: &Path,
    machine: &Machine,
    folder: &Folder,
    screen: &Screen,
) -> Result<TrainingSummary> {
    let mnist = std::env::var_os("MNIST_DIR").filter(|folder| !folder.is_empty());
    let mnist = mnist.unwrap_or_else(|| workspace.join("datasets/mnist").into());
    let ours_folder = Folder::open(folder.join("tutorial"))?;
    let mut ours = tutorial(workspace);
    ours.args(["--dataset", "mnist", "--data-dir"]).arg(&mnist).arg("--out").arg(folder.join("tutorial"));
    let mut theirs = Command::new(python);
    theirs.arg(workspace.join("tests/notebook.py")).arg(&mnist).arg(folder.join("notebook"));
    let bar = screen.bar("training", ROUNDS as u64 + 1);
    let (mut our_times, mut their_times) = (Vec::new(), Vec::new());
    let (training, notebook) = loop {
        let (seconds, _) = timed(&mut ours)?;
        let training = ours_folder.training()?;
        our_times.push([training.train_seconds, seconds]);
        let (seconds, output) = timed(&mut theirs)?;
        let last = output.lines().last().context("tests/notebook.py says nothing")?;
        let notebook: Notebook = serde_json::from_str(last)?;
        their_times.push([notebook.epoch_seconds, seconds]);
        bar.inc(1);
        if our_times.len() > ROUNDS {
            break (training, notebook);
        }
    };
    bar.finish_and_clear();
    let comparison = |(index, (what, at_most))| {
        Comparison::new(what, at_most, [&our_times, &their_times].map(|times| median(&times[1..], index)))
    };
    let summary = TrainingSummary {
        machine: machine.clone(),
        tensorflow: notebook.tensorflow,
        keras: notebook.keras,
        rounds: ROUNDS,
        comparisons: GOALS.into_iter().enumerate().map(comparison).collect(),
        accuracy: Accuracy { burnlite: training.test_accuracy, tensorflow: notebook.accuracy_float32 },
    };
    summary.comparisons.iter().for_each(|it| screen.line(format!("  {}", it.verdict().text)));
    Ok(summary)
}

/// `cargo xtask tutorial`.
pub(super) fn tutorial(workspace: &Path) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(workspace).args(["xtask", "tutorial", "--quiet"]);
    command
}

/// Runs a command; the seconds that it took, and what it printed.
pub(super) fn timed(command: &mut Command) -> Result<(f64, String)> {
    let start = Instant::now();
    let output = command.output().with_context(|| format!("cannot run {command:?}"))?;
    let seconds = start.elapsed().as_secs_f64();
    let complaint = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success(),
        "{command:?} failed: {}",
        complaint.trim_end().lines().last().unwrap_or_default()
    );
    Ok((seconds, String::from_utf8(output.stdout)?))
}

fn median(times: &[[f64; GOALS.len()]], index: usize) -> f64 {
    let mut times: Vec<f64> = times.iter().map(|times| times[index]).collect();
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

impl TrainingSummary {
    /// The figures, for the page.
    pub(super) fn page(&self) -> String {
        let Self { machine, tensorflow, keras, rounds, comparisons, accuracy } = self;
        let mut text = format!(
            "{machine}. {}, profile `{}`; TensorFlow {tensorflow}, Keras {keras}. {rounds} rounds. Load when it began: {}.\n\n\
             | what | Burnlite, s | TensorFlow, s | share | goal |\n| --- | --: | --: | --: | --- |\n",
            machine.rustc,
            machine.profile,
            machine.load.map_or("unknown".into(), |load| load.to_string()),
        );
        for Comparison { what, burnlite_seconds, tensorflow_seconds, share, at_most } in comparisons {
            let missed = if share > at_most { " missed" } else { "" };
            writeln!(
                text,
                "| {what} | {burnlite_seconds:.2} | {tensorflow_seconds:.2} | {share:.2} | ≤ {at_most}{missed} |"
            )
            .unwrap_or_default();
        }
        let Accuracy { burnlite, tensorflow } = accuracy;
        writeln!(text, "\nAccuracy on the test images: {burnlite:.4}, and TensorFlow's {tensorflow:.4}.")
            .unwrap_or_default();
        text
    }
}

impl Comparison {
    fn new(what: &'static str, at_most: f64, [burnlite_seconds, tensorflow_seconds]: [f64; 2]) -> Self {
        let share = burnlite_seconds / tensorflow_seconds;
        Self { what, burnlite_seconds, tensorflow_seconds, share, at_most }
    }

    /// What became of the goal.
    pub(super) fn verdict(&self) -> Verdict {
        let Self { what, burnlite_seconds, tensorflow_seconds, share, at_most } = self;
        let text = format!(
            "{what}: {burnlite_seconds:.2} s beside TensorFlow's {tensorflow_seconds:.2} s, {share:.2} of it, goal {at_most}"
        );
        Verdict { text, is_missed: share > at_most }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_are_taken_for_each_time_alone_and_compared_with_the_goal() {
        let times = [[3.0, 10.0], [1.0, 30.0], [2.0, 20.0]];
        assert_eq!([median(&times, 0), median(&times, 1)], [2.0, 20.0]);
        let verdict = |ours| Comparison::new("training epoch", 0.6, [ours, 10.0]).verdict();
        assert!(!verdict(6.0).is_missed);
        assert!(verdict(6.1).is_missed);
        assert!(verdict(6.1).text.ends_with("0.61 of it, goal 0.6"), "{:?}", verdict(6.1));
    }
}
