//! The network's weights as a file.

use std::fs;
use std::path::Path;

use burn::module::Module;
use burn::store::ModuleRecord;
use burn::tensor::{Bytes, Device};

use crate::{Error, Network};

impl Network {
    /// Writes the weights as a Burn record (the burnpack format), beside `path` first, then renamed: `path` never holds half a
    /// record.
    ///
    /// The same weights give the same bytes.
    ///
    /// # Errors
    /// [`Error::Write`] if the file cannot be written.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<(), Error> {
        let path = path.as_ref();
        let bytes = self.clone().into_record().into_bytes().map_err(Error::record(path))?;
        Ok(burnlite_files::write(path, &bytes)?)
    }

    /// The network with the weights that [`save`](Self::save) wrote to `path`.
    ///
    /// # Errors
    /// [`Error::Io`] if the file cannot be read, [`Error::Record`] if it is truncated, of another format, or holds the
    /// weights of another network.
    pub fn load(path: impl AsRef<Path>, device: &Device) -> Result<Self, Error> {
        let path = path.as_ref();
        let bytes = fs::read(path).map_err(Error::io("read", path))?;
        let record = ModuleRecord::from_bytes(Bytes::from_bytes_vec(bytes)).map_err(Error::record(path))?;
        Self::new(0, device).try_load_record(record).map_err(Error::record(path))
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    fn saved(seed: u64) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("network.bpk");
        Network::new(seed, &Device::flex()).save(&path).unwrap();
        (folder, path)
    }

    #[test]
    fn a_loaded_network_saves_the_bytes_it_was_loaded_from() {
        let (folder, path) = saved(7);
        let again = folder.path().join("again.bpk");
        Network::load(&path, &Device::flex()).unwrap().save(&again).unwrap();
        assert_eq!(fs::read(path).unwrap(), fs::read(again).unwrap());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2, "nothing is left beside the records");
    }

    #[test]
    fn a_truncated_record_is_an_error_at_every_length() {
        let (_folder, path) = saved(1);
        let bytes = fs::read(&path).unwrap();
        for length in (0..bytes.len()).step_by(997) {
            fs::write(&path, &bytes[..length]).unwrap();
            let error = Network::load(&path, &Device::flex()).unwrap_err();
            assert!(matches!(error, Error::Record { .. }), "{length} bytes: {error}");
        }
    }

    #[test]
    fn a_damaged_header_gives_an_error_or_a_network_but_no_panic() {
        let (_folder, path) = saved(1);
        let bytes = fs::read(&path).unwrap();
        let weights = bytes.len() - 4 * 20_410;
        for (index, flip) in (0..weights).flat_map(|index| [(index, 1), (index, 0x10), (index, 0xff)]) {
            let mut damaged = bytes.clone();
            damaged[index] ^= flip;
            fs::write(&path, damaged).unwrap();
            if let Err(error) = Network::load(&path, &Device::flex()) {
                assert!(matches!(error, Error::Record { .. }), "byte {index}: {error}");
            }
        }
    }

    #[test]
    fn another_kind_of_file_is_an_error_that_names_it() {
        let (_folder, path) = saved(1);
        fs::write(&path, b"TFL3 and then something else altogether").unwrap();
        let message = Network::load(&path, &Device::flex()).unwrap_err().to_string();
        assert!(message.contains("network.bpk does not hold this network's weights"), "{message}");
    }

    #[test]
    fn an_unwritable_folder_is_an_error() {
        let (folder, _) = saved(1);
        let path = folder.path().join("missing").join("network.bpk");
        let error = Network::new(1, &Device::flex()).save(&path).unwrap_err();
        assert!(matches!(&error, Error::Write(error) if error.path == path), "{error}");
    }
}
