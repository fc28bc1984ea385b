//! `cargo xtask`: see `cargo xtask --help`.

#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    match xtask::run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            console::Term::stderr().write_line(&format!("error: {error:#}")).unwrap_or_default();
            ExitCode::FAILURE
        }
    }
}
