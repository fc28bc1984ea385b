//! `burnlite firmware`: a model as a crate for machines without an operating system.

mod source;

use std::io::Write;
use std::path::Path;

use crate::arguments::FirmwareArguments;
use crate::error::Error;
use crate::model_file::ModelFile;
use crate::table::grouped;
use source::Crate;

pub(crate) fn firmware(arguments: &FirmwareArguments, output: &mut dyn Write) -> Result<(), Error> {
    let folder = &arguments.output;
    let name = crate_name(folder)?;
    let file = ModelFile::open(&arguments.model)?;
    let model = file.model()?;
    let interpreter = file.interpreter(&model, &arguments.options())?;
    let source = Crate::new(&name, &file, &model, &interpreter, arguments)?;
    let files = [
        ("Cargo.toml", source.manifest().into_bytes()),
        ("README.md", source.readme().into_bytes()),
        ("src/lib.rs", source.library().into_bytes()),
        ("src/model.tflite", file.bytes.clone()),
    ];
    if folder.symlink_metadata().is_ok() {
        return Err(Error::Exists { path: folder.into() });
    }
    burnlite_files::write_folder(folder, &files)?;
    let [model, arena] = [file.bytes.len(), interpreter.arena_bytes()].map(|bytes| grouped(bytes as u64));
    writeln!(output, "{}: crate {name}, {model} bytes of model, {arena} bytes of arena", folder.display())
        .map_err(Error::Output)
}

/// The name of the crate in a folder: the folder's.
fn crate_name(folder: &Path) -> Result<String, Error> {
    let name = folder.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if name.starts_with(|c: char| c.is_ascii_alphabetic()) && name.chars().all(is_word) {
        Ok(name.into())
    } else {
        Err(Error::CrateName { path: folder.into() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crate_is_called_as_its_folder() {
        assert_eq!(crate_name(Path::new("out/digits-16x8")).unwrap(), "digits-16x8");
        for folder in ["", "/", "..", "16x8", "a b", "out/\"", "ü"] {
            assert!(crate_name(Path::new(folder)).is_err(), "{folder}");
        }
    }
}
