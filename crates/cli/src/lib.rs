//! The command `burnlite`: inspects, runs, compares, times and quantizes any `.tflite` model.
//!
//! This library is the whole command but for the process around it: [`Arguments`] are what the command line said, and
//! [`run`] does it, with everything that is printed going to a writer. `docs/cli.md` shows each command at work.

#![forbid(unsafe_code)]

mod arguments;
mod array;
mod bench;
mod calibrate;
mod check;
mod compare;
mod debug;
mod error;
mod feed;
mod files;
mod firmware;
mod inspect;
mod kernels;
mod model_file;
mod npy;
mod plain;
mod progress;
mod quantize;
mod recipe;
mod run;
mod shard;
mod table;

use std::io::Write;

use clap::CommandFactory;

pub use arguments::{
    Arguments, BenchArguments, CalibrateArguments, Command, CompareArguments, DebugArguments, FeedArguments,
    FirmwareArguments, FloatArguments, InspectArguments, ModelArguments, PlanArguments, QuantizeArguments,
    RecipeArguments, RunArguments,
};
pub use error::{ArrayFault, Error};
pub use plain::Plain;

/// How a command ended that did not fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It did what it was asked to do.
    Done,
    /// `inspect --check` found that the runtime cannot run the model, or could not tell.
    CheckFailed,
}

/// Does what the command line says, and writes what it prints to `output`.
///
/// # Errors
/// [`Error`] names the file, the operator and the tensor that are at fault.
pub fn run(arguments: &Arguments, output: &mut dyn Write) -> Result<Outcome, Error> {
    if arguments.command.lists_kernels() {
        kernels::list(output).map_err(Error::Output)?;
        return Ok(Outcome::Done);
    }
    match &arguments.command {
        Command::Inspect(arguments) => return inspect::inspect(arguments, output),
        Command::Run(arguments) => run::run(arguments, output)?,
        Command::Compare(arguments) => compare::compare(arguments, output)?,
        Command::Bench(arguments) => bench::bench(arguments, output)?,
        Command::Quantize(arguments) => quantize::quantize(arguments, output)?,
        Command::Calibrate(arguments) => calibrate::calibrate(arguments, output)?,
        Command::Debug(arguments) => debug::debug(arguments, output)?,
        Command::Recipe(arguments) => recipe::recipe(arguments, output)?,
        Command::Firmware(arguments) => firmware::firmware(arguments, output)?,
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(*shell, &mut Arguments::command(), "burnlite", &mut script);
            output.write_all(&script).map_err(Error::Output)?;
        }
    }
    Ok(Outcome::Done)
}

/// Writes a value as JSON, for other programs.
fn write_json(output: &mut dyn Write, value: &impl serde::Serialize) -> Result<(), Error> {
    serde_json::to_writer_pretty(&mut *output, value).map_err(|error| Error::Output(error.into()))?;
    writeln!(output).map_err(Error::Output)
}
