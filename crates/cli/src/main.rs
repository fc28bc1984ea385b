//! `burnlite`: see `burnlite --help`.

#![forbid(unsafe_code)]

use std::io::{self, BufWriter, IsTerminal, Write};
use std::process::ExitCode;

use burnlite::{Arguments, Error, Outcome, Plain};
use clap::Parser;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let stdout = BufWriter::new(io::stdout().lock());
    // Other programs get names as they are.
    let mut output: Box<dyn Write> =
        if io::stdout().is_terminal() { Box::new(Plain(stdout)) } else { Box::new(stdout) };
    let outcome = burnlite::run(&arguments, &mut output);
    let outcome = outcome.and_then(|outcome| output.flush().map(|()| outcome).map_err(Error::Output));
    match outcome {
        Ok(Outcome::Done) => ExitCode::SUCCESS,
        Ok(Outcome::CheckFailed) => ExitCode::from(3),
        // Whoever reads has seen enough.
        Err(Error::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            // Where even this cannot be written, the exit code must do.
            writeln!(Plain(io::stderr()), "error: {error}").unwrap_or_default();
            ExitCode::FAILURE
        }
    }
}
