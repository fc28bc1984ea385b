//! The time of an inference: our interpreter and its rivals, side by side in one run, on one thread each.
//!
//! All run the same files on the same inputs. They take turns in short bursts, so that whatever else the machine does
//! meets everyone; only the runs themselves are timed.

use std::ffi::OsStr;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use burnlite_tflite::{ElementType, Graph, Model, Op, Operator, Tensor};

use super::BenchOptions;
use super::contest::Contest;
use super::goals;
use super::machine::Machine;
use super::networks::{Files, Network, SMALLEST};
use super::rival::Rival;
use super::summary::BenchSummary;
use super::training::{timed, tutorial};
use crate::files::Folder;
use crate::screen::Screen;

/// Times the networks. What cannot be run, or is not there, is told and left out.
///
/// # Errors
/// Where LiteRT cannot be started or dies, and the file system's.
pub(super) fn measure(
    workspace: &Path,
    python: &Path,
    machine: &Machine,
    options: &BenchOptions,
    folder: &Folder,
    screen: &Screen,
) -> Result<BenchSummary> {
    let files = Files { tutorial: workspace.join("target/tutorial"), models: folder.join("models") };
    make_models(workspace, python, &files, &options.networks, screen)?;
    write_smallest(&files)?;
    let rivals = rivals(python, workspace, screen)?;
    let mut contest = Contest {
        files: &files,
        rivals: &rivals,
        kernels: options.kernels,
        rounds: options.rounds,
        results: Vec::new(),
        absent: Vec::new(),
    };
    let bar = screen.bar("timing", ((options.networks.len() + 1) * options.rounds) as u64);
    for network in [&SMALLEST].into_iter().chain(options.networks.iter().copied()) {
        bar.set_message(network.name);
        contest.run(network, || bar.inc(1))?;
    }
    bar.finish_and_clear();
    let Contest { results, absent, .. } = contest;
    Ok(BenchSummary {
        machine: machine.clone(),
        versions: rivals.iter().flat_map(|rival| rival.versions().clone()).collect(),
        kernels: options.kernels.to_string(),
        rounds: options.rounds,
        comparisons: goals::comparisons(&options.networks, &results),
        results,
        absent,
    })
}

/// LiteRT, and tract where it can be built.
fn rivals(python: &Path, workspace: &Path, screen: &Screen) -> Result<Vec<Rival>> {
    let mut rivals = vec![Rival::litert(python, workspace)?];
    screen.line("  building tract");
    match Rival::tract(workspace) {
        Ok(tract) => rivals.push(tract),
        Err(error) => screen.line(format!("  without tract: {error:#}")),
    }
    Ok(rivals)
}

/// Lets the tutorial, and the fixtures' script where its TensorFlow is there, make models that are missing; says how otherwise.
fn make_models(
    workspace: &Path,
    python: &Path,
    files: &Files,
    networks: &[&Network],
    screen: &Screen,
) -> Result<()> {
    let is_missing = |network: &Network, folder: &Path| {
        let paths = network.schemes.iter().map(|&scheme| files.path(network, scheme));
        paths.filter(|path| path.starts_with(folder)).any(|path| !path.exists())
    };
    if networks.iter().any(|network| is_missing(network, &files.tutorial)) {
        screen.line("  making the tutorial's models");
        timed(&mut tutorial(workspace))?;
    }
    for network in networks.iter().filter(|network| is_missing(network, &files.models)) {
        screen.line(format!("  making the models of {} with TensorFlow", network.name));
        let script = workspace.join("tests/fixtures/generate.py");
        let mut command = Command::new(python);
        command.arg(script).args(["bench", "--only", &format!("{}_*", network.name), "--out"]);
        command.arg(&files.models);
        let output = command.output().with_context(|| format!("cannot run '{}'", python.display()))?;
        if !output.status.success() {
            let error = String::from_utf8_lossy(&output.stderr);
            screen.banner(&[
                "Models are missing. TensorFlow makes them, with the versions of tests/fixtures/requirements.txt:".into(),
                format!("python tests/fixtures/generate.py bench --out {}", files.models.display()),
            ]);
            screen.line(format!("  {}", error.lines().last().unwrap_or_default()));
            return Ok(());
        }
    }
    Ok(())
}

/// Writes the model of [`SMALLEST`].
fn write_smallest(files: &Files) -> Result<()> {
    let mut graph = Graph::default();
    let x = graph.add_tensor(Tensor::new("x", ElementType::Float32, [1, 20]));
    let y = graph.add_tensor(Tensor::new("y", ElementType::Float32, [1, 20]));
    graph.operators.push(Operator::new(Op::Relu, [x], [y]));
    (graph.inputs, graph.outputs) = (vec![x], vec![y]);
    let path = files.path(&SMALLEST, SMALLEST.schemes[0]);
    let name = path.file_name().and_then(OsStr::to_str).context("the file has a name")?;
    Folder::open(&files.models)?.write(name, &Model::new(graph).to_bytes()?)
}
