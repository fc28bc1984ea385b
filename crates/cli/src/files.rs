//! Files: read whole, and written whole or not at all.

use std::fs::{self, File};
use std::io::{self, BufReader, Write};
use std::path::{Path, PathBuf};

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
    fs::create_dir_all(path).map_err(|source| Error::Write { path: path.into(), source })
}

/// Writes a file beside its place and moves it there when it is whole; after an error an older file is as before.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    replace(path, bytes).map_err(|source| Error::Write { path: path.into(), source })
}

/// Writes a value as JSON into a file, as [`write`] does.
pub(crate) fn write_json(path: &Path, value: &impl serde::Serialize) -> Result<(), Error> {
    let mut json = Vec::new();
    crate::write_json(&mut json, value)?;
    write(path, &json)
}

/// Writes files into a new folder, given by their paths in it. The folder appears when all of them are whole.
///
/// # Errors
/// [`Error::Exists`]; [`Error::Write`], with no folder.
pub(crate) fn write_folder(folder: &Path, files: &[(&str, Vec<u8>)]) -> Result<(), Error> {
    let fault = |source| Error::Write { path: folder.into(), source };
    // A rename would replace an empty folder.
    if folder.symlink_metadata().is_ok() {
        return Err(Error::Exists { path: folder.into() });
    }
    let part = part(folder).map_err(fault)?;
    let written = files.iter().try_for_each(|(path, bytes)| {
        let path = part.join(path);
        fs::create_dir_all(path.parent().unwrap_or(&part))?;
        write_and_sync(&path, bytes)
    });
    let written = written.and_then(|()| fs::rename(&part, folder));
    if written.is_err() {
        fs::remove_dir_all(&part).unwrap_or_default();
    }
    written.map_err(fault)
}

fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let part = part(path)?;
    let written = write_and_sync(&part, bytes).and_then(|()| fs::rename(&part, path));
    if written.is_err() {
        // The first error is the one to tell.
        fs::remove_file(&part).unwrap_or_default();
    }
    written
}

/// Where a file or folder is written before it is moved to its place.
fn part(path: &Path) -> io::Result<PathBuf> {
    let name = path.file_name().ok_or(io::ErrorKind::InvalidFilename)?;
    Ok(path.with_file_name(format!(".{}.{}.part", name.to_string_lossy(), std::process::id())))
}

fn write_and_sync(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_and_nothing_else_is_left() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        for bytes in [&b"first"[..], b"second"] {
            write(&path, bytes).unwrap();
            assert_eq!(fs::read(&path).unwrap(), bytes);
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_place_that_cannot_be_taken_leaves_nothing_behind() {
        let folder = tempfile::tempdir().unwrap();
        let taken = folder.path().join("folder");
        create_folder(&taken.join("inner")).unwrap();
        assert!(write(&taken, b"bytes").unwrap_err().to_string().contains("folder"));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
