//! `cargo xtask bench`: our interpreter and LiteRT's, side by side in one run, on one thread each.
//!
//! Both run the same files on the same inputs. They take turns in short bursts, so that whatever else the machine does
//! meets both; only the runs themselves are timed.

mod contest;
mod goals;
mod litert;
mod machine;
mod networks;
mod ours;
mod page;
mod race;
mod summary;

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use burnlite_runtime::Kernels;
use burnlite_tflite::{ElementType, Graph, Model, Op, Operator, Tensor};

use crate::files::Folder;
use crate::screen::Screen;
use contest::Contest;
use litert::LiteRt;
use networks::Files;
use ours::{Ours, sample};
use race::race;
use summary::{BenchSummary, SmallestInvoke};

pub use networks::{NETWORKS, Network};

/// What is timed, and what for.
#[derive(Debug, Clone)]
pub struct BenchOptions {
    /// The networks.
    pub networks: Vec<&'static Network>,
    /// Turns of each contestant.
    pub rounds: usize,
    /// Our kernels.
    pub kernels: Kernels,
    /// Whether `docs/performance.md` gets the new figures.
    pub write_docs: bool,
    /// Whether a missed goal is an error.
    pub assert: bool,
}

/// Times the networks; shows a table, writes `summary.json`, and `docs/performance.md` where that is asked for.
///
/// What cannot be run, or is not there, is told and left out.
///
/// # Errors
/// Where LiteRT cannot be started or dies, the file system's, and where asked for, that goals are missed.
pub fn bench(workspace: &Path, options: &BenchOptions, folder: &Folder, screen: &Screen) -> Result<()> {
    let python = litert::python(workspace)?;
    let machine = machine::Machine::here();
    screen.heading(&format!("Bench on {machine}"));
    if let Some(warning) = machine.warning() {
        screen.banner(&[warning]);
    }
    let files = Files { tutorial: workspace.join("target/tutorial"), models: folder.join("models") };
    make_models(workspace, &python, &files, &options.networks, screen)?;
    let litert = LiteRt::start(&python, workspace)?;
    let smallest_invoke = smallest_invoke(&litert, options, folder)?;
    let bar = screen.bar("timing", (options.networks.len() * options.rounds) as u64);
    let mut contest = Contest::default();
    for &network in &options.networks {
        bar.set_message(network.name);
        contest.run(network, &files, &litert, options, || bar.inc(1))?;
    }
    bar.finish_and_clear();
    let Contest { results, absent } = contest;
    let summary = BenchSummary {
        machine,
        versions: litert.versions().clone(),
        kernels: options.kernels.to_string(),
        rounds: options.rounds,
        smallest_invoke,
        comparisons: goals::comparisons(&options.networks, &results),
        results,
        absent,
    };
    page::show(&summary, screen);
    folder.write_json("summary.json", &summary)?;
    screen.line(format!("\n  {}", folder.join("summary.json").display()));
    if options.write_docs {
        let path = page::write(workspace, &summary)?;
        screen.line(format!("  {}", path.display()));
    }
    if options.assert { goals::hold(&summary.comparisons) } else { Ok(()) }
}

/// Lets the fixtures' script make models that are missing, where its TensorFlow is there; says how otherwise.
fn make_models(
    workspace: &Path,
    python: &Path,
    files: &Files,
    networks: &[&Network],
    screen: &Screen,
) -> Result<()> {
    let missing = |network: &&&Network| {
        let paths = network.schemes().map(|scheme| files.path(network, scheme));
        paths.filter(|path| path.starts_with(&files.models)).any(|path| !path.exists())
    };
    for network in networks.iter().filter(missing) {
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

/// The time of a model that does next to nothing: what every time contains besides the network.
fn smallest_invoke(litert: &LiteRt, options: &BenchOptions, folder: &Folder) -> Result<SmallestInvoke> {
    let mut graph = Graph::default();
    let x = graph.add_tensor(Tensor::new("x", ElementType::Float32, [1, 20]));
    let y = graph.add_tensor(Tensor::new("y", ElementType::Float32, [1, 20]));
    graph.operators.push(Operator::new(Op::Relu, [x], [y]));
    (graph.inputs, graph.outputs) = (vec![x], vec![y]);
    let model = Model::new(graph);
    folder.write("smallest.tflite", &model.to_bytes()?)?;
    let input = sample(&model)?;
    let ours = Ours::new(&model, &input, 1, options.kernels)?;
    let theirs = litert.load(&folder.join("smallest.tflite"), &input)?;
    let times = race(vec![Box::new(ours), Box::new(theirs)], options.rounds, || ())?;
    Ok(SmallestInvoke { burnlite_us: times[0].median, litert_us: times[1].median })
}
