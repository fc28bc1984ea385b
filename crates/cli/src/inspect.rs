//! `burnlite inspect`.

mod arena;
mod report;
mod support;
mod text;

use std::io::Write;

use crate::Outcome;
use crate::arguments::InspectArguments;
use crate::check::{self, Verdict};
use crate::error::Error;
use crate::model_file::ModelFile;
use crate::write_json;
use report::Report;

pub(crate) fn inspect(arguments: &InspectArguments, output: &mut dyn Write) -> Result<Outcome, Error> {
    let file = ModelFile::open(&arguments.model)?;
    let model = file.model()?;
    let options = arguments.options();
    let graph = file.graph_index(&model, options.signature.as_deref())?;
    if arguments.arena && !arguments.json {
        let interpreter = file.interpreter(&model, &options)?;
        let regions = arena::regions(&interpreter);
        let name = file.path.display().to_string();
        arena::write(&name, interpreter.arena_bytes(), &regions, output).map_err(Error::Output)?;
        return Ok(Outcome::Done);
    }
    let check = arguments.check.map(|runtime| check::check(&model, runtime));
    match &check {
        Some(check) if !arguments.json => check.write(&file.path, output).map_err(Error::Output)?,
        _ => {
            let report = Report::new(&file, &model, graph, &options, arguments.arena);
            let report = Report { check: check.as_ref(), ..report };
            if arguments.json {
                write_json(output, &report)?;
            } else {
                text::write(&report, output).map_err(Error::Output)?;
            }
        }
    }
    Ok(match check.map(|check| check.verdict()) {
        None | Some(Verdict::Yes) => Outcome::Done,
        Some(Verdict::No | Verdict::Unknown) => Outcome::CheckFailed,
    })
}
