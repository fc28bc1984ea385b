//! Files that are whole or not there.

use std::path::Path;
use std::{fs, io};

use crate::Error;

/// Writes a file beside its place and moves it there when it is whole; after an error an older one is as before.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let mut part = path.as_os_str().to_owned();
    part.push(format!(".{}.part", std::process::id()));
    let written = fs::write(&part, bytes).and_then(|()| fs::rename(&part, path));
    written.map_err(|error: io::Error| {
        // What could be written of it is of no use.
        fs::remove_file(&part).unwrap_or_default();
        Error::File { path: path.display().to_string(), reason: error.to_string() }
    })
}
