use std::fs::{File, TryLockError};
use std::io::{ErrorKind, Result};
use std::path::Path;

use crate::WriteError;
use crate::write::remove_parts;

/// A folder into which no other process writes that asks for this lock too, as long as the value lives.
///
/// The lock is on a file `.lock` in the folder, which stays; the system gives it back when a process ends, however it ends. What
/// killed processes left half-written in the folder is removed once it is locked.
///
/// Some network file systems know no locks: there every process gets one.
#[derive(Debug)]
pub struct FolderLock {
    _file: File,
}

impl FolderLock {
    /// The lock of a folder, or none while another process has it.
    ///
    /// # Errors
    /// [`WriteError`] where no file can be written in the folder.
    pub fn try_new(folder: &Path) -> core::result::Result<Option<Self>, WriteError> {
        Self::with(folder, |file| match file.try_lock() {
            Err(TryLockError::WouldBlock) => Ok(false),
            Err(TryLockError::Error(error)) => Err(error),
            Ok(()) => Ok(true),
        })
    }

    /// The lock of a folder, once no other process has it.
    ///
    /// # Errors
    /// [`WriteError`] where no file can be written in the folder.
    pub fn wait(folder: &Path) -> core::result::Result<Self, WriteError> {
        let locked = Self::with(folder, |file| file.lock().map(|()| true))?;
        Ok(locked.expect("who waits gets it"))
    }

    fn with(
        folder: &Path,
        lock: impl FnOnce(&File) -> Result<bool>,
    ) -> core::result::Result<Option<Self>, WriteError> {
        let path = folder.join(".lock");
        let locked = File::create(&path).and_then(|file| {
            let is_locked = lock(&file).or_else(|error| match error.kind() {
                ErrorKind::Unsupported => Ok(true),
                _ => Err(error),
            })?;
            if !is_locked {
                return Ok(None);
            }
            remove_parts(folder)?;
            Ok(Some(Self { _file: file }))
        });
        locked.map_err(WriteError::at(&path))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_folder_is_locked_once() {
        let folder = tempfile::tempdir().unwrap();
        let first = FolderLock::try_new(folder.path()).unwrap();
        assert!(first.is_some());
        assert!(FolderLock::try_new(folder.path()).unwrap().is_none());
        drop(first);
        FolderLock::wait(folder.path()).unwrap();
        assert!(FolderLock::try_new(folder.path()).unwrap().is_some());
    }

    #[test]
    fn what_was_left_half_written_is_removed_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let names = [".a.x1.burnlite-part", "b.part", "c.burnlite-part", ".d"];
        for name in names {
            fs::write(folder.path().join(name), "").unwrap();
        }
        let _lock = FolderLock::try_new(folder.path()).unwrap();
        assert_eq!(names.map(|name| folder.path().join(name).exists()), [false, true, true, true]);
        assert!(FolderLock::try_new(&folder.path().join("missing")).is_err());
    }
}
