//! A training as a file, to be gone on with.
//!
//! The file is a line that names format and version, three parts with their lengths (what the training belongs to and how far it is,
//! as TOML; the network and Adam's moments, as Burn's records), and the SHA-256 of all that.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use burn::module::Module;
use burn::store::{ModuleRecord, RecordError};
use burn::tensor::{Bytes, Device};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{Course, Training, TrainingOptions};
use crate::dataset::hexadecimal;
use crate::{Backend, Dataset, Error, Network};

const FORMAT: &[u8] = concat!("burnlite-mnist ", env!("CARGO_PKG_VERSION"), " checkpoint\n").as_bytes();

/// The part of a checkpoint that is no tensor.
#[derive(Serialize, Deserialize)]
struct Header {
    /// What gives the same network, by name.
    belongs_to: BTreeMap<String, String>,
    course: Course,
}

impl<'d> Training<'d> {
    /// Writes a checkpoint, from which [`resume`](Self::resume) goes on: beside `path` first, then renamed.
    ///
    /// # Errors
    /// [`Error::Write`] if the file cannot be written; an older one is then as before.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<(), Error> {
        let path = path.as_ref();
        let header = Header { belongs_to: self.belongs_to(), course: self.course.clone() };
        let header = toml::to_string(&header).map_err(|error| RecordError::Io(error.to_string()));
        let parts = header.and_then(|header| {
            let network = self.network.valid().into_record().into_bytes()?;
            Ok(join([header.as_bytes(), &network, &self.adam.into_bytes()?]))
        });
        Ok(burnlite_files::write(path, &parts.map_err(Error::record(path))?)?)
    }

    /// The training of which [`save`](Self::save) wrote a checkpoint, with the same images, options and backend.
    ///
    /// # Errors
    /// Those of [`new`](Self::new); [`Error::Io`] if the file cannot be read, [`Error::BrokenCheckpoint`] if it is damaged or of
    /// another version, [`Error::ForeignCheckpoint`] if it is another training's.
    pub fn resume(
        path: impl AsRef<Path>,
        dataset: &'d Dataset,
        options: &TrainingOptions,
        device: &Device,
    ) -> Result<Self, Error> {
        let path = path.as_ref();
        let mut training = Self::new(dataset, options, device)?;
        let bytes = fs::read(path).map_err(Error::io("read", path))?;
        let broken = || Error::BrokenCheckpoint { path: path.into() };
        let [header, network, adam] = split(&bytes).ok_or_else(broken)?;
        let header = core::str::from_utf8(header).ok().and_then(|header| toml::from_str(header).ok());
        let Header { mut belongs_to, course } = header.ok_or_else(broken)?;
        for (what, expected) in training.belongs_to() {
            let found = belongs_to.remove(&what).unwrap_or_default();
            if found != expected {
                return Err(Error::ForeignCheckpoint { path: path.into(), what, found, expected });
            }
        }
        let record = |bytes: &[u8]| Bytes::from_bytes_vec(bytes.to_vec());
        let loaded = ModuleRecord::from_bytes(record(network))
            .and_then(|network| Network::new(options.seed, device).try_load_record(network));
        training.network = loaded.map_err(|_| broken())?.train();
        training.adam = training.adam.from_bytes(record(adam)).map_err(|_| broken())?;
        training.course = course;
        training.order = training.order_of(training.course.steps / training.epoch_len() + 1);
        Ok(training)
    }

    /// What gives the same network, by name.
    fn belongs_to(&self) -> BTreeMap<String, String> {
        let TrainingOptions { epochs, seed, batch_size, learning_rate } = self.options;
        let device = self.network.valid().device();
        let is_on = |backend: &&Backend| backend.device().is_ok_and(|its| its == device);
        let backend = Backend::ALL.iter().find(is_on).map_or("another", |backend| backend.name());
        let fingerprint = self.fingerprint.get_or_init(|| {
            let images = Sha256::new().chain_update(self.dataset.images().as_flattened());
            hexadecimal(&images.chain_update(self.dataset.labels()).finalize())
        });
        [
            ("number of epochs", epochs.to_string()),
            ("seed", seed.to_string()),
            ("batch size", batch_size.to_string()),
            ("learning rate", learning_rate.to_string()),
            ("backend", backend.to_owned()),
            ("SHA-256 of images and labels", fingerprint.clone()),
        ]
        .map(|(what, value)| (what.to_owned(), value))
        .into()
    }
}

/// The parts as a file.
fn join(parts: [&[u8]; 3]) -> Vec<u8> {
    let mut bytes = FORMAT.to_vec();
    for part in parts {
        bytes.extend((part.len() as u64).to_le_bytes());
        bytes.extend(part);
    }
    let sum = Sha256::digest(&bytes);
    bytes.extend(sum);
    bytes
}

/// The parts of a file; none if it is not what [`join`] made.
fn split(bytes: &[u8]) -> Option<[&[u8]; 3]> {
    let (bytes, sum) = bytes.split_last_chunk::<32>()?;
    let mut rest = bytes.strip_prefix(FORMAT)?;
    let mut parts = [&[][..]; 3];
    for part in &mut parts {
        let (length, after) = rest.split_first_chunk()?;
        (*part, rest) = after.split_at_checked(usize::try_from(u64::from_le_bytes(*length)).ok()?)?;
    }
    (rest.is_empty() && Sha256::digest(bytes)[..] == sum[..]).then_some(parts)
}

#[cfg(test)]
mod tests {
    use super::super::Trained;
    use super::*;
    use crate::Digits;

    const OPTIONS: TrainingOptions =
        TrainingOptions { epochs: 2, seed: u64::MAX, batch_size: 16, learning_rate: 0.001 };

    fn finished(mut training: Training<'_>) -> Trained {
        while training.step().unwrap().is_some() {}
        training.finish()
    }

    /// All that training gives but its time.
    fn results(trained: Trained) -> impl PartialEq + core::fmt::Debug {
        (trained.network.into_record().into_bytes().unwrap().to_vec(), trained.epochs, trained.curve)
    }

    #[test]
    fn a_training_interrupted_anywhere_ends_as_one_that_was_not() {
        let (digits, folder) = (Digits::generate(1, 70, 0), tempfile::tempdir().unwrap());
        let path = folder.path().join("checkpoint");
        for device in Backend::ALL.iter().flat_map(|backend| backend.device()) {
            let uninterrupted =
                || results(finished(Training::new(&digits.train, &OPTIONS, &device).unwrap()));
            let mut training = Training::new(&digits.train, &OPTIONS, &device).unwrap();
            for step in 0..=training.steps_total() {
                assert_eq!(training.steps_taken(), step);
                training.save(&path).unwrap();
                let resumed = || Training::resume(&path, &digits.train, &OPTIONS, &device).unwrap();
                assert_eq!(results(finished(resumed())), uninterrupted(), "step {step}");
                training = resumed();
                training.step().unwrap();
            }
            assert_eq!(results(training.finish()), uninterrupted(), "interrupted after every step");
        }
    }

    #[test]
    fn a_checkpoint_of_another_training_is_refused_with_what_differs() {
        let (digits, folder) = (Digits::generate(1, 40, 20), tempfile::tempdir().unwrap());
        let (path, device) = (folder.path().join("checkpoint"), Device::flex());
        Training::new(&digits.train, &OPTIONS, &device).unwrap().save(&path).unwrap();
        for (options, what) in [
            (TrainingOptions { epochs: 3, ..OPTIONS }, "number of epochs is 2, not 3"),
            (TrainingOptions { seed: 1, ..OPTIONS }, "seed is 18446744073709551615, not 1"),
            (TrainingOptions { batch_size: 8, ..OPTIONS }, "batch size is 16, not 8"),
            (TrainingOptions { learning_rate: 0.1, ..OPTIONS }, "learning rate is 0.001, not 0.1"),
        ] {
            let error = Training::resume(&path, &digits.train, &options, &device).err().unwrap();
            assert!(error.to_string().contains(what), "{error}");
        }
        let error = Training::resume(&path, &digits.test, &OPTIONS, &device).err().unwrap();
        assert!(error.to_string().contains("SHA-256 of images and labels is "), "{error}");
    }

    #[test]
    fn a_damaged_checkpoint_is_an_error_that_names_it() {
        let (digits, folder) = (Digits::generate(1, 20, 0), tempfile::tempdir().unwrap());
        let (path, device) = (folder.path().join("checkpoint"), Device::flex());
        let mut training = Training::new(&digits.train, &OPTIONS, &device).unwrap();
        training.step().unwrap();
        training.save(&path).unwrap();
        let whole = fs::read(&path).unwrap();
        let check = |bytes: &[u8]| {
            fs::write(&path, bytes).unwrap();
            let error = Training::resume(&path, &digits.train, &OPTIONS, &device).err().unwrap();
            assert!(matches!(&error, Error::BrokenCheckpoint { path: named } if *named == path), "{error}");
        };
        for position in (0..whole.len()).step_by(4999) {
            check(&whole[..position]);
            let mut damaged = whole.clone();
            damaged[position] ^= 1;
            check(&damaged);
        }
        check(&[&whole[..], &[0]].concat());
        fs::remove_file(&path).unwrap();
        let error = Training::resume(&path, &digits.train, &OPTIONS, &device).err().unwrap();
        assert!(matches!(error, Error::Io { action: "read", .. }), "{error}");
    }
}
