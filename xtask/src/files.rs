//! The folder of results: written whole or not at all.

use std::fs;
use std::io::ErrorKind;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use burnlite_files::FolderLock;
use burnlite_quantize::Calibration;
use burnlite_tflite::Model;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::models::ModelKind;
use crate::summary::{Evaluation, Training};

/// What speaks of models, and is untrue once one of them is made anew.
pub(crate) const EVALUATIONS: &[&str] = &["evaluation.json", "summary.json", "report.html"];

/// The folder in which a run leaves its files.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    _lock: Option<FolderLock>,
}

impl Folder {
    /// Creates the folder if there is none, and makes sure that files can be written there.
    ///
    /// # Errors
    /// Where that is not so.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self> {
        let path = path.into();
        let advice =
            || format!("cannot write results to '{}': choose another folder with --out", path.display());
        fs::create_dir_all(&path).with_context(advice)?;
        tempfile::tempfile_in(&path).with_context(advice)?;
        Ok(Self { path, _lock: None })
    }

    /// As [`open`](Self::open), and keeps other processes that do the same from the folder until it is dropped. What a killed
    /// process left half-written there is removed.
    ///
    /// # Errors
    /// Where files cannot be written there, or another process has the folder.
    pub fn own(path: impl Into<PathBuf>) -> Result<Self> {
        let folder = Self::open(path)?;
        let Some(lock) = FolderLock::try_new(&folder.path)? else {
            bail!(
                "another run is writing to '{}': wait until it is done, or choose another folder with --out",
                folder.path.display()
            );
        };
        Ok(Self { _lock: Some(lock), ..folder })
    }

    /// The path of a file in the folder.
    pub fn join(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// The trained weights.
    pub fn network(&self) -> PathBuf {
        self.join("network.bpk")
    }

    /// A training that goes on, or was interrupted.
    pub fn checkpoint(&self) -> PathBuf {
        self.join("training.checkpoint")
    }

    /// How the weights were trained.
    ///
    /// # Errors
    /// Where `training.json` is missing or not what training writes.
    pub fn training(&self) -> Result<Training> {
        self.read_json("training.json", "train")
    }

    /// What the models did on the test images.
    ///
    /// # Errors
    /// Where `evaluation.json` is missing or not what evaluation writes.
    pub fn evaluation(&self) -> Result<Evaluation> {
        self.read_json("evaluation.json", "evaluate")
    }

    /// What the float model's values were in calibration.
    ///
    /// # Errors
    /// Where `calibration.json` is missing or not what conversion writes.
    pub fn calibration(&self) -> Result<Calibration> {
        let path = self.join("calibration.json");
        let advice = || format!("cannot read '{}': run `cargo xtask convert` first", path.display());
        let text = fs::read_to_string(&path).with_context(advice)?;
        Calibration::from_json(&text).with_context(advice)
    }

    /// The bytes of one of the models.
    ///
    /// # Errors
    /// Where the file cannot be read.
    pub fn model_bytes(&self, kind: &ModelKind) -> Result<Vec<u8>> {
        let path = self.join(&kind.file_name());
        let stage = if kind.is_float() { "export" } else { "convert" };
        fs::read(&path)
            .with_context(|| format!("cannot read '{}': run `cargo xtask {stage}` first", path.display()))
    }

    /// Writes models, once all of them are known to be right.
    ///
    /// # Errors
    /// Where a model or a file cannot be written.
    pub fn write_models(&self, models: &[(ModelKind, Model<'_>)]) -> Result<()> {
        let bytes: Vec<Vec<u8>> =
            models.iter().map(|(_, model)| model.to_bytes()).collect::<Result<_, _>>()?;
        models.iter().zip(&bytes).try_for_each(|((kind, _), bytes)| self.write(&kind.file_name(), bytes))
    }

    /// Removes reports that a stage is about to make untrue.
    ///
    /// # Errors
    /// Where a file is there and cannot be removed.
    pub fn forget(&self, names: &[&str]) -> Result<()> {
        for name in names {
            let path = self.join(name);
            match fs::remove_file(&path) {
                Err(error) if error.kind() != ErrorKind::NotFound => {
                    return Err(error).with_context(|| format!("cannot remove the old '{}'", path.display()));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Writes a value as JSON.
    ///
    /// # Errors
    /// Where the file cannot be written.
    pub fn write_json(&self, name: &str, value: &impl Serialize) -> Result<()> {
        let mut text = serde_json::to_vec_pretty(value)?;
        text.push(b'\n');
        self.write(name, &text)
    }

    fn read_json<T: DeserializeOwned>(&self, name: &str, stage: &str) -> Result<T> {
        let path = self.join(name);
        let advice = || format!("cannot read '{}': run `cargo xtask {stage}` first", path.display());
        let bytes = fs::read(&path).with_context(advice)?;
        serde_json::from_slice(&bytes).with_context(advice)
    }

    /// Writes a file that is whole or not there.
    ///
    /// # Errors
    /// Where the file cannot be written; an older file of that name is then as before.
    pub fn write(&self, name: &str, bytes: &[u8]) -> Result<()> {
        Ok(burnlite_files::write(self.join(name), bytes)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_is_a_file_is_an_error_that_says_what_to_do() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let error = format!("{:#}", Folder::open(file.path()).unwrap_err());
        assert!(error.contains("--out"), "{error}");
    }

    #[test]
    fn a_folder_has_one_owner() {
        let temporary = tempfile::tempdir().unwrap();
        let path = temporary.path().join("a/b");
        let first = Folder::own(&path).unwrap();
        first.write("file", b"bytes").unwrap();
        let error = Folder::own(&path).unwrap_err().to_string();
        assert!(error.contains(path.to_str().unwrap()) && error.contains("--out"), "{error}");
        drop(first);
        Folder::own(&path).unwrap();
    }
}
