use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

use tempfile::Builder;

/// How the name of a file or folder ends that is not whole yet.
const PART: &str = ".burnlite-part";

/// Why a file or folder could not be written: `cannot write 'PATH': REASON`.
#[derive(Debug, thiserror::Error)]
#[error("cannot write '{}': {}", path.display(), self.reason())]
pub struct WriteError {
    /// The file or folder.
    pub path: PathBuf,
    /// What the operating system said.
    pub fault: io::Error,
}

impl WriteError {
    /// For `map_err`: names the file or folder.
    pub(crate) fn at(path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |fault| Self { path: path.into(), fault }
    }

    /// What the operating system said, and what to do about it.
    pub fn reason(&self) -> String {
        let advice = match self.fault.kind() {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => {
                "make room, or name another place"
            }
            ErrorKind::NotFound => "create its folder first, or name another place",
            _ => "name another place",
        };
        format!("{}; {advice}", self.fault)
    }
}

/// Writes a file that is whole or not there: beside its place first, then renamed. Until then, and after an error, an earlier file
/// of that name is as before.
///
/// Of a link, what it points to is replaced. A device or a pipe takes the bytes as they come.
///
/// # Errors
/// [`WriteError`] where the file cannot be written; nothing is left of it.
pub fn write(path: impl AsRef<Path>, bytes: &[u8]) -> Result<(), WriteError> {
    let path = path.as_ref();
    replace(path, bytes).map_err(WriteError::at(path))
}

/// Writes files into a new folder, given by their paths in it. The folder appears when all of them are whole.
///
/// # Errors
/// [`WriteError`] where a file cannot be written or the folder is there already; then there is no new one.
pub fn write_folder(folder: impl AsRef<Path>, files: &[(&str, Vec<u8>)]) -> Result<(), WriteError> {
    let folder = folder.as_ref();
    create(folder, files).map_err(WriteError::at(folder))
}

fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let place = fs::canonicalize(path).unwrap_or_else(|_| path.into());
    if fs::metadata(&place).is_ok_and(|place| !place.is_file() && !place.is_dir()) {
        return fs::write(place, bytes);
    }
    let (beside, prefix) = beside(&place)?;
    let mut part = builder(&prefix, 0o666).tempfile_in(beside)?;
    put(part.as_file_mut(), bytes)?;
    part.persist(place)?;
    Ok(())
}

fn create(folder: &Path, files: &[(&str, Vec<u8>)]) -> io::Result<()> {
    // A rename would replace an empty folder.
    if folder.symlink_metadata().is_ok() {
        return Err(ErrorKind::AlreadyExists.into());
    }
    let (beside, prefix) = beside(folder)?;
    let part = builder(&prefix, 0o777).tempdir_in(beside)?;
    for (path, bytes) in files {
        let path = part.path().join(path);
        fs::create_dir_all(path.parent().unwrap_or(part.path()))?;
        put(&mut File::create(path)?, bytes)?;
    }
    fs::rename(part.path(), folder)?;
    // It has another name by now.
    let _ = part.keep();
    Ok(())
}

/// The folder of a file or folder, and the beginning of its name while it is not whole.
fn beside(path: &Path) -> io::Result<(&Path, String)> {
    let name = path.file_name().ok_or(ErrorKind::InvalidFilename)?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    Ok((folder.unwrap_or(Path::new(".")), format!(".{}.", name.to_string_lossy())))
}

/// Makes files and folders with names of their own, and as readable as the user's others.
fn builder<'n>(prefix: &'n str, mode: u32) -> Builder<'n, 'static> {
    let mut builder = Builder::new();
    builder.prefix(prefix).suffix(PART);
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(mode));
    #[cfg(not(unix))]
    let _ = mode;
    builder
}

/// Writes all bytes through to the disk.
fn put(file: &mut File, bytes: &[u8]) -> io::Result<()> {
    file.write_all(bytes)?;
    file.sync_all()?;
    #[cfg(debug_assertions)]
    end_where_a_test_says();
    Ok(())
}

/// Ends the process before the file that was just written is moved to its place, if it is the N-th one and the environment
/// variable `BURNLITE_KILL_AT_WRITE` is N: tests see what a kill leaves. A release build has none of this.
#[cfg(debug_assertions)]
fn end_where_a_test_says() {
    use std::sync::atomic::{AtomicUsize, Ordering};
    static WRITES: AtomicUsize = AtomicUsize::new(0);
    let write = WRITES.fetch_add(1, Ordering::Relaxed) + 1;
    if std::env::var("BURNLITE_KILL_AT_WRITE").is_ok_and(|number| number == write.to_string()) {
        std::process::abort();
    }
}

/// Removes the files that killed processes left in a folder; who calls it knows that no other writes there.
pub(crate) fn remove_parts(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.as_encoded_bytes();
        if name.starts_with(b".") && name.ends_with(PART.as_bytes()) && entry.file_type()?.is_file() {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_file_is_replaced_and_nothing_else_is_left() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        for bytes in [&b"first"[..], b"second", b""] {
            write(&path, bytes).unwrap();
            assert_eq!(fs::read(&path).unwrap(), bytes);
        }
        assert_eq!(names(folder.path()), ["file"]);
    }

    #[test]
    fn a_place_that_cannot_be_taken_leaves_nothing_behind() {
        let folder = tempfile::tempdir().unwrap();
        let taken = folder.path().join("folder");
        fs::create_dir_all(taken.join("inner")).unwrap();
        let error = write(&taken, b"bytes").unwrap_err();
        assert_eq!(error.path, taken);
        assert!(error.to_string().ends_with("; name another place"), "{error}");
        for (place, advice) in
            [(folder.path().join("no/file"), "create its folder"), ("/".into(), "name another")]
        {
            let error = write(place, b"bytes").unwrap_err().to_string();
            assert!(error.contains(advice), "{error}");
        }
        assert_eq!(names(folder.path()), ["folder"]);
    }

    #[test]
    fn a_folder_appears_whole_or_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("folder");
        let error = write_folder(&path, &[("a", vec![1]), ("a/b", vec![2])]).unwrap_err();
        assert_eq!(error.path, path);
        assert!(names(folder.path()).is_empty());
        write_folder(&path, &[("a", vec![1]), ("b/c", vec![2])]).unwrap();
        assert_eq!(fs::read(path.join("b/c")).unwrap(), [2]);
        let error = write_folder(&path, &[]).unwrap_err();
        assert_eq!(error.fault.kind(), ErrorKind::AlreadyExists);
        assert_eq!(names(folder.path()), ["folder"]);
    }

    #[cfg(unix)]
    #[test]
    fn links_devices_and_permissions_are_what_they_were_meant_to_be() {
        use std::os::unix::fs::{FileTypeExt, PermissionsExt, symlink};
        let folder = tempfile::tempdir().unwrap();
        let [file, link] = ["file", "link"].map(|name| folder.path().join(name));
        fs::write(&file, "").unwrap();
        symlink(&file, &link).unwrap();
        write(&link, b"bytes").unwrap();
        assert!(link.is_symlink());
        assert_eq!(fs::read(&file).unwrap(), b"bytes");
        let usual = folder.path().join("usual");
        fs::write(&usual, "").unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode();
        assert_eq!(mode(&file), mode(&usual));
        write("/dev/null", b"bytes").unwrap();
        assert!(fs::metadata("/dev/null").unwrap().file_type().is_char_device());
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_full_disk_is_told_from_other_faults() {
        let error = write("/dev/full", b"bytes").unwrap_err();
        assert!(error.to_string().ends_with("; make room, or name another place"), "{error}");
    }
}
