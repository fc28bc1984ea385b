//! The command line.

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use burnlite_applications::{APPLICATIONS, Application};
use burnlite_mnist::{Backend, Digits, LoadOptions, Require, Source, TrainingOptions};
use burnlite_runtime::{KERNELS, Kernels};
use clap::error::ErrorKind;
use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::bench::{BenchOptions, NETWORKS, Network, Part};
use crate::files::Folder;
use crate::screen::Screen;
use crate::stages::{ApplicationOptions, TrainOptions};
use crate::{bench, report, stages};

/// Trains a network in Burn, writes it as a .tflite file, quantizes it to 16x8 and int8, and runs all of them.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", after_help = EXAMPLES)]
struct Arguments {
    /// What to do.
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "Examples:
  cargo xtask tutorial                           the whole way: train, export, convert, evaluate
  cargo xtask tutorial --epochs 3 --seed 7       train longer, from other weights
  cargo xtask train --epochs 9 --resume          go on after an interruption, from the last checkpoint
  cargo xtask tutorial --open                    and look at the report
  cargo xtask tutorial --data-dir ~/mnist        with your copy of MNIST (.gz or raw)
  cargo xtask tutorial --dataset digits          with generated digits, without any download
  cargo xtask train && cargo xtask export        one stage at a time; files lie in target/tutorial
  cargo xtask evaluate --out /tmp/run --quiet    only files: /tmp/run/evaluation.json
  cargo xtask applications hdr audio --open      where 16 bits show: train two networks, look at the report
  cargo xtask bench --networks tutorial,resnet8  time them beside LiteRT, of the Python that BURNLITE_LITERT names
  cargo xtask bench --write-docs                 measure everything, and put the figures into docs/performance.md";

/// A command of `cargo xtask`.
#[derive(Debug, Subcommand)]
enum Command {
    /// The whole way: train, export, convert, evaluate, report; writes summary.json.
    Tutorial {
        #[command(flatten)]
        training: TrainingArguments,
        #[command(flatten)]
        data: DataArguments,
        #[command(flatten)]
        report: ReportArguments,
        #[command(flatten)]
        common: CommonArguments,
    },
    /// Train the network; writes network.bpk and training.json.
    Train {
        #[command(flatten)]
        training: TrainingArguments,
        #[command(flatten)]
        data: DataArguments,
        #[command(flatten)]
        common: CommonArguments,
    },
    /// Export the trained network; writes mnist_float32.tflite.
    Export {
        #[command(flatten)]
        common: CommonArguments,
    },
    /// Calibrate the float model and convert it to 16x8 and int8; writes four .tflite files.
    Convert {
        #[command(flatten)]
        data: DataArguments,
        #[command(flatten)]
        common: CommonArguments,
    },
    /// Run all models on the test images; writes first_digit.png and evaluation.json.
    Evaluate {
        #[command(flatten)]
        data: DataArguments,
        #[command(flatten)]
        common: CommonArguments,
    },
    /// Show what the other stages found; writes report.html.
    Report {
        #[command(flatten)]
        data: DataArguments,
        #[command(flatten)]
        report: ReportArguments,
        #[command(flatten)]
        common: CommonArguments,
    },
    /// Train, export, quantize and measure networks for pictures and sounds; writes report.html, summary.json, .wav files.
    Applications {
        #[command(flatten)]
        applications: ApplicationArguments,
        #[command(flatten)]
        report: ReportArguments,
        #[command(flatten)]
        common: CommonArguments,
    },
    /// Measure Burnlite beside LiteRT, tract and TensorFlow (in the Python that BURNLITE_LITERT names); writes summary.json and
    /// training.json.
    Bench {
        #[command(flatten)]
        bench: BenchArguments,
        #[command(flatten)]
        common: CommonArguments,
    },
}

/// Which applications, and how.
#[derive(Debug, Clone, Args)]
struct ApplicationArguments {
    /// super-resolution, audio, denoise, hdr [default: all].
    #[arg(value_name = "NAME", value_parser = application)]
    names: Vec<&'static Application>,
    /// Seed of the data and of the weights.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Percent of the full number of training samples.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u8).range(1..=100))]
    effort: u8,
}

/// What becomes of the report.
#[derive(Debug, Clone, Copy, Args)]
struct ReportArguments {
    /// Open the report when it is written.
    #[arg(long)]
    open: bool,
}

/// What to time.
#[derive(Debug, Clone, Args)]
struct BenchArguments {
    /// Only these parts [default: all].
    #[arg(long, value_name = "PARTS", value_delimiter = ',')]
    only: Vec<Part>,
    /// Networks, with commas between: tutorial, resnet8, ds_cnn, mobilenet_v1, autoencoder, denoiser, super_resolution
    /// [default: all].
    #[arg(long, value_name = "NAMES", value_delimiter = ',', value_parser = network)]
    networks: Vec<&'static Network>,
    /// Turns of each contestant; a turn takes 5 ms, or a few runs of what takes longer.
    #[arg(long, default_value_t = 40, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Our kernels: auto (the fastest), reference (the plain loops), or those of an instruction set, such as avx2.
    #[arg(long, default_value = "auto", value_name = "NAME", value_parser = kernels)]
    kernels: Kernels,
    /// Put the figures into docs/performance.md.
    #[arg(long)]
    write_docs: bool,
    /// End with an error where a goal is missed.
    #[arg(long)]
    assert: bool,
}

/// How to train.
#[derive(Debug, Clone, Args)]
struct TrainingArguments {
    /// Passes over the training images.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    epochs: u32,
    /// Seed of the weights and of the order of the images.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Burn backend: flex, or ndarray (xtask builds itself again with it when needed).
    #[arg(long, default_value = "flex", value_name = "NAME")]
    backend: Backend,
    /// Go on where a training into the same folder was interrupted, if one was; it gives the same network.
    #[arg(long)]
    resume: bool,
}

/// Where the digits come from.
#[derive(Debug, Clone, Args)]
struct DataArguments {
    /// auto (MNIST, or generated digits where it cannot be had), mnist (or an error), digits (generated)
    /// [default: auto; what training used for later stages].
    #[arg(long, value_name = "NAME")]
    dataset: Option<Require>,
    /// Folder with the four files of MNIST, raw or .gz; also the environment variable MNIST_DIR.
    #[arg(long, value_name = "FOLDER")]
    data_dir: Option<PathBuf>,
}

/// Where results go.
#[derive(Debug, Clone, Args)]
struct CommonArguments {
    /// Folder for the results [default: target/tutorial, target/applications, target/bench].
    #[arg(long, value_name = "FOLDER")]
    out: Option<PathBuf>,
    /// Print nothing but errors.
    #[arg(long, short)]
    quiet: bool,
}

/// Runs the command of the process's arguments.
///
/// # Errors
/// What went wrong, with the file that is concerned; nothing is left half-written.
pub fn run() -> Result<()> {
    let start = Instant::now();
    match parse()?.command {
        Command::Tutorial { training, data, report, common } => {
            if built_again_for(training.backend)? {
                return Ok(());
            }
            let (folder, screen) = common.open()?;
            let digits = data.load(Require::Auto, training.seed, &screen)?;
            stages::tutorial(&digits, &training.options(), &folder, &screen, start)?;
            report.open(&folder)
        }
        Command::Train { training, data, common } => {
            if built_again_for(training.backend)? {
                return Ok(());
            }
            let (folder, screen) = common.open()?;
            let digits = data.load(Require::Auto, training.seed, &screen)?;
            stages::train(&digits, &training.options(), &folder, &screen).map(drop)
        }
        Command::Export { common } => {
            let (folder, screen) = common.open()?;
            stages::export(&folder, &screen)
        }
        Command::Convert { data, common } => {
            let (folder, screen) = common.open()?;
            let digits = data.load_again(&folder, &screen)?;
            stages::convert(&digits, &folder, &screen)
        }
        Command::Evaluate { data, common } => {
            let (folder, screen) = common.open()?;
            let digits = data.load_again(&folder, &screen)?;
            stages::evaluate(&digits, &folder, &screen).map(drop)
        }
        Command::Report { data, report, common } => {
            let (folder, screen) = common.open()?;
            let digits = data.load_again(&folder, &screen)?;
            stages::report(&digits, &folder, &screen)?;
            report.open(&folder)
        }
        Command::Applications { applications, report, common } => {
            let (folder, screen) = common.open_or("target/applications")?;
            stages::applications(&applications.options(), &folder, &screen)?;
            report.open(&folder)
        }
        Command::Bench { bench, common } => {
            let (folder, screen) = common.open_or("target/bench")?;
            bench::bench(workspace(), &bench.options(), &folder, &screen)
        }
    }
}

/// The process's arguments. A value that an option does not take is told in one line, as every other error.
fn parse() -> Result<Arguments> {
    Arguments::try_parse().or_else(|error| match error.kind() {
        ErrorKind::ValueValidation | ErrorKind::InvalidValue => {
            let text = error.to_string();
            bail!("{}", text.lines().next().unwrap_or_default().trim_start_matches("error: "))
        }
        _ => error.exit(),
    })
}

impl TrainingArguments {
    fn options(&self) -> TrainOptions {
        let (epochs, seed) = (self.epochs as usize, self.seed);
        let training = TrainingOptions { epochs, seed, ..TrainingOptions::default() };
        TrainOptions { training, backend: self.backend, resume: self.resume }
    }
}

impl ApplicationArguments {
    fn options(&self) -> ApplicationOptions {
        let all = || APPLICATIONS.iter().collect();
        ApplicationOptions {
            applications: if self.names.is_empty() { all() } else { self.names.clone() },
            seed: self.seed,
            effort: self.effort.into(),
        }
    }
}

impl ReportArguments {
    fn open(self, folder: &Folder) -> Result<()> {
        if self.open { report::open(&folder.join("report.html")) } else { Ok(()) }
    }
}

/// The application with the given name.
fn application(name: &str) -> Result<&'static Application> {
    let names: Vec<&str> = APPLICATIONS.iter().map(|application| application.name).collect();
    Application::by_name(name).with_context(|| format!("there are {}", names.join(", ")))
}

impl BenchArguments {
    fn options(&self) -> BenchOptions {
        let all = || NETWORKS.iter().collect();
        BenchOptions {
            parts: if self.only.is_empty() { Part::value_variants().to_vec() } else { self.only.clone() },
            networks: if self.networks.is_empty() { all() } else { self.networks.clone() },
            rounds: self.rounds as usize,
            kernels: self.kernels,
            write_docs: self.write_docs,
            assert: self.assert,
        }
    }
}

/// The network with the given name.
fn network(name: &str) -> Result<&'static Network> {
    let names: Vec<&str> = NETWORKS.iter().map(|network| network.name).collect();
    Network::by_name(name).with_context(|| format!("there are {}", names.join(", ")))
}

/// The kernels with the given name, which this machine can run.
fn kernels(name: &str) -> Result<Kernels> {
    let named =
        KERNELS.iter().filter(|kernels| kernels.is_available()).map(|kernels| Kernels::Named(kernels.name));
    let known: Vec<Kernels> = [Kernels::Auto, Kernels::Reference].into_iter().chain(named).collect();
    let names: Vec<String> = known.iter().map(Kernels::to_string).collect();
    let index = names.iter().position(|known| known == name);
    index.map(|index| known[index]).with_context(|| format!("this machine can run {}", names.join(", ")))
}

impl DataArguments {
    /// The digits that the network in the folder was trained on, unless others are asked for.
    fn load_again(&self, folder: &Folder, screen: &Screen) -> Result<Digits> {
        let training = folder.training()?;
        let trained_on = match training.dataset {
            Source::Mnist => Require::Mnist,
            _ => Require::Digits,
        };
        self.load(trained_on, training.seed, screen)
    }

    /// The digits, with a banner where generated ones stand in for MNIST.
    fn load(&self, default: Require, seed: u64, screen: &Screen) -> Result<Digits> {
        let require = self.dataset.unwrap_or(default);
        let mut options = LoadOptions { require, seed, ..LoadOptions::new(workspace()) };
        if let Some(folder) = &self.data_dir {
            if require == Require::Digits {
                bail!("--data-dir has no part in generated digits: leave it out, or choose --dataset mnist");
            }
            options.data_dir = Some(folder.clone());
        }
        stages::load(&options, screen)
    }
}

impl CommonArguments {
    /// The folder for the results, created and found writable before any work is done.
    fn open(&self) -> Result<(Folder, Screen)> {
        self.open_or("target/tutorial")
    }

    fn open_or(&self, default: &str) -> Result<(Folder, Screen)> {
        let path = self.out.clone().unwrap_or_else(|| workspace().join(default));
        Ok((Folder::own(path)?, Screen::new(self.quiet)))
    }
}

/// The workspace's folder.
fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask lies in the workspace")
}

/// Builds xtask with the cargo feature that the backend needs, and runs that with the same arguments; `false` where this
/// build has the backend.
fn built_again_for(backend: Backend) -> Result<bool> {
    if backend != Backend::NdArray || cfg!(feature = "ndarray") {
        return Ok(false);
    }
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = std::process::Command::new(cargo)
        .args(["run", "--package", "xtask", "--features", "ndarray", "--manifest-path"])
        .arg(workspace().join("Cargo.toml"))
        .arg("--")
        .args(std::env::args_os().skip(1))
        .status()
        .context("cannot run cargo to build the backend ndarray")?;
    if !status.success() {
        std::process::exit(status.code().unwrap_or(1));
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn an_unknown_dataset_is_an_error_that_names_it() {
        let error = Arguments::try_parse_from(["xtask", "tutorial", "--dataset", "cifar"]).unwrap_err();
        assert!(error.to_string().contains("cifar"), "{error}");
    }
}
