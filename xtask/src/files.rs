//! The folder of results: written whole or not at all.

use std::fs;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use burnlite_quantize::Calibration;
use burnlite_tflite::Model;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::models::ModelKind;
use crate::summary::{Evaluation, Training};

/// What speaks of models, and is untrue once one of them is made anew.
pub(crate) const EVALUATIONS: &[&str] = &["evaluation.json", "summary.json", "report.html"];

/// The folder in which a run leaves its files.
#[derive(Debug, Clone)]
pub struct Folder {
    path: PathBuf,
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
        Ok(Self { path })
    }

    /// The path of a file in the folder.
    pub fn join(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// The trained weights.
    pub fn network(&self) -> PathBuf {
        self.join("network.bpk")
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

    /// Writes a file beside its place and moves it there when it is whole.
    ///
    /// # Errors
    /// Where the file cannot be written; an older file of that name is then as before.
    pub fn write(&self, name: &str, bytes: &[u8]) -> Result<()> {
        let path = self.join(name);
        replace(&path, bytes).with_context(|| format!("cannot write '{}'", path.display()))
    }
}

fn replace(path: &Path, bytes: &[u8]) -> Result<()> {
    let folder = path.parent().context("a file has a folder")?;
    let mut builder = tempfile::Builder::new();
    builder.suffix(".part");
    // Temporary files are private; results are as readable as the user's other files.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let mut part = builder.tempfile_in(folder)?;
    part.write_all(bytes)?;
    part.as_file().sync_all()?;
    part.persist(path)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_and_nothing_else_is_left() {
        let temporary = tempfile::tempdir().unwrap();
        let folder = Folder::open(temporary.path().join("a/b")).unwrap();
        for bytes in [&b"first"[..], b"second"] {
            folder.write("file", bytes).unwrap();
            assert_eq!(fs::read(folder.join("file")).unwrap(), bytes);
        }
        assert_eq!(fs::read_dir(temporary.path().join("a/b")).unwrap().count(), 1);
    }

    #[test]
    fn a_folder_that_is_a_file_is_an_error_that_says_what_to_do() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let error = format!("{:#}", Folder::open(file.path()).unwrap_err());
        assert!(error.contains("--out"), "{error}");
    }
}
