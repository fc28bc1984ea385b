//! Files, with errors that name them.

use std::fs::{self, File};
use std::io::BufReader;
use std::path::Path;

use burnlite_files::WriteError;

use crate::error::Error;

/// The bytes of a file.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, Error> {
    fs::read(path).map_err(|source| Error::Read { path: path.into(), source })
}

/// A file, to be read part by part.
pub(crate) fn open(path: &Path) -> Result<BufReader<File>, Error> {
    File::open(path).map(BufReader::new).map_err(|source| Error::Read { path: path.into(), source })
}

/// The text of a file. What is not text becomes characters that no format here has.
pub(crate) fn text(path: &Path) -> Result<String, Error> {
    Ok(String::from_utf8_lossy(&read(path)?).into_owned())
}

/// Creates a folder and those above it, unless they exist.
pub(crate) fn create_folder(path: &Path) -> Result<(), Error> {
    fs::create_dir_all(path).map_err(|fault| WriteError { path: path.into(), fault }.into())
}

/// Writes a value as JSON into a file that is whole or not there.
pub(crate) fn write_json(path: &Path, value: &impl serde::Serialize) -> Result<(), Error> {
    let mut json = Vec::new();
    crate::write_json(&mut json, value)?;
    Ok(burnlite_files::write(path, &json)?)
}
