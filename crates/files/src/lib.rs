//! Files that are whole or not there, and folders that belong to one process at a time.
//!
//! [`write()`] puts a file beside its place and renames it when it is whole. Whoever is killed, or finds the disk full, leaves the
//! earlier file, or none, and perhaps a hidden one whose name ends in `.burnlite-part`. Nothing reads that, and the next process
//! that [locks](FolderLock) the folder removes it.
//!
//! ```
//! let folder = tempfile::tempdir()?;
//! let path = folder.path().join("weights");
//! burnlite_files::write(&path, b"first")?;
//! burnlite_files::write(&path, b"second")?;
//! assert_eq!(std::fs::read(&path)?, b"second");
//!
//! let missing = burnlite_files::write(folder.path().join("no/weights"), b"").unwrap_err();
//! assert!(missing.to_string().contains("create its folder first"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![forbid(unsafe_code)]

mod lock;
mod write;

pub use lock::FolderLock;
pub use write::{WriteError, write, write_folder};
