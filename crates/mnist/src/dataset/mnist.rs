//! MNIST from a folder: verified first, then parsed by the `mnist` crate.

use std::fs;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use flate2::bufread::GzDecoder;
use sha2::{Digest, Sha256};

use super::manifest::{File, Manifest};
use super::{Dataset, PIXELS, TEST_LEN, TRAIN_LEN};
use crate::error::{Error, Flaw};

/// The training and the test part in `folder`, which holds the four files, raw or as `.gz`.
///
/// The `mnist` crate wants raw files and panics on bad ones. So each file is decompressed and verified in
/// memory, and what was verified is unpacked into a private temporary folder: the crate sees those bytes and
/// no others, `folder` may be read-only, and processes do not meet.
pub(super) fn read(folder: &Path, manifest: &Manifest) -> Result<(Dataset, Dataset), Error> {
    if !folder.is_dir() {
        return Err(Error::MissingFolder { folder: folder.to_owned() });
    }
    let unpacked = tempfile::Builder::new()
        .prefix("burnlite-mnist-")
        .tempdir()
        .map_err(Error::io("create a folder in", std::env::temp_dir()))?;
    for file in File::ALL {
        let path = unpacked.path().join(file.name());
        fs::write(&path, read_file(folder, file, manifest)?).map_err(Error::write(path))?;
    }
    parse(unpacked.path())
}

/// The raw bytes of one file of `folder`, verified.
pub(super) fn read_file(folder: &Path, file: File, manifest: &Manifest) -> Result<Vec<u8>, Error> {
    let [raw, gzip] = paths(folder, file);
    let present = |path: &PathBuf| path.try_exists().map_err(Error::io("read", path));
    let path = if present(&raw)? {
        raw
    } else if present(&gzip)? {
        gzip
    } else {
        return Err(Error::MissingFile { folder: folder.to_owned(), name: file.name() });
    };
    read_verified(&path, file, manifest)
}

/// The names that a file may have in a folder: raw, which is preferred, and compressed.
pub(super) fn paths(folder: &Path, file: File) -> [PathBuf; 2] {
    [folder.join(file.name()), folder.join(format!("{}.gz", file.name()))]
}

/// The raw bytes of the file at `path`, verified to be `file`.
pub(super) fn read_verified(path: &Path, file: File, manifest: &Manifest) -> Result<Vec<u8>, Error> {
    let bytes = read_raw(path, file.bytes())?;
    match verify(&bytes, file, manifest) {
        Ok(()) => Ok(bytes),
        Err(flaw) => Err(Error::BadFile { path: path.to_owned(), flaw }),
    }
}

/// The content of a file, decompressed if its first bytes are gzip's, whatever its name: browsers like to
/// decompress on the way. Never more than `expected` bytes and one, so that no file fills the memory.
fn read_raw(path: &Path, expected: u64) -> Result<Vec<u8>, Error> {
    const GZIP: [u8; 2] = [0x1f, 0x8b];
    let mut reader = BufReader::new(fs::File::open(path).map_err(Error::io("open", path))?);
    let compressed = reader.fill_buf().map_err(Error::io("read", path))?.starts_with(&GZIP);
    let mut bytes = Vec::new();
    let read = if compressed {
        GzDecoder::new(reader).take(expected + 1).read_to_end(&mut bytes)
    } else {
        reader.take(expected + 1).read_to_end(&mut bytes)
    };
    use io::ErrorKind::{InvalidData, InvalidInput, UnexpectedEof};
    match read {
        Ok(_) => Ok(bytes),
        Err(error) if matches!(error.kind(), InvalidData | InvalidInput | UnexpectedEof) => {
            Err(Error::BadFile {
                path: path.to_owned(),
                flaw: Flaw::BrokenGzip { reason: error.to_string() },
            })
        }
        Err(error) => Err(Error::io("read", path)(error)),
    }
}

fn verify(bytes: &[u8], file: File, manifest: &Manifest) -> Result<(), Flaw> {
    verify_header(bytes, file)?;
    let (expected, found) = (file.bytes(), bytes.len() as u64);
    if found < expected {
        return Err(Flaw::Truncated { expected, found });
    }
    if found > expected {
        return Err(Flaw::TooLong { expected });
    }
    let (expected, found) = (manifest.sha256(file), hexadecimal(&Sha256::digest(bytes)));
    if found != expected {
        return Err(Flaw::Corrupted { expected: expected.to_owned(), found });
    }
    Ok(())
}

/// Checks the header word by word, so that the error can tell a swapped file from a foreign one.
fn verify_header(bytes: &[u8], file: File) -> Result<(), Flaw> {
    let header = file.header();
    if bytes.starts_with(&header) {
        return Ok(());
    }
    if let Some(other) = File::ALL.into_iter().find(|other| bytes.starts_with(&other.header())) {
        return Err(Flaw::Swapped { expected: file.name(), found: other.name() });
    }
    let (words, _) = bytes[..bytes.len().min(header.len())].as_chunks();
    let words: Vec<u32> = words.iter().map(|&word| u32::from_be_bytes(word)).collect();
    match words.split_first() {
        Some((&found, _)) if found != file.magic() => Err(Flaw::WrongMagic { expected: file.magic(), found }),
        Some((_, found)) if bytes.len() >= header.len() => {
            Err(Flaw::WrongDimensions { expected: file.dimensions(), found: found.to_vec() })
        }
        _ => Err(Flaw::Truncated { expected: file.bytes(), found: bytes.len() as u64 }),
    }
}

pub(crate) fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Parses a folder of verified raw files.
fn parse(folder: &Path) -> Result<(Dataset, Dataset), Error> {
    let path = folder.to_str().ok_or_else(|| Error::TemporaryFolder { path: folder.to_owned() })?;
    let parts = mnist::MnistBuilder::new()
        .base_path(path)
        .label_format_digit()
        .training_set_length(TRAIN_LEN as u32)
        .validation_set_length(0)
        .test_set_length(TEST_LEN as u32)
        .finalize();
    let part = |images: Vec<u8>, labels| Dataset::new(images.as_chunks::<PIXELS>().0.to_vec(), labels);
    Ok((part(parts.trn_img, parts.trn_lbl)?, part(parts.tst_img, parts.tst_lbl)?))
}

#[cfg(test)]
mod tests {
    use super::super::fixture;
    use super::*;

    const FILE: File = File::TestLabels;

    /// The error of reading `bytes` as the test labels, under the name `name`.
    fn error_of(name: &str, bytes: &[u8]) -> Error {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(name), bytes).unwrap();
        read_file(folder.path(), FILE, &fixture::manifest(&[])).unwrap_err()
    }

    #[test]
    fn raw_and_compressed_files_load_under_either_name() {
        let raw = fixture::raw(FILE);
        for (name, content) in [
            ("t10k-labels-idx1-ubyte", raw.clone()),
            ("t10k-labels-idx1-ubyte", fixture::gzip(&raw)),
            ("t10k-labels-idx1-ubyte.gz", fixture::gzip(&raw)),
            ("t10k-labels-idx1-ubyte.gz", raw.clone()),
        ] {
            let folder = tempfile::tempdir().unwrap();
            fs::write(folder.path().join(name), content).unwrap();
            assert_eq!(read_file(folder.path(), FILE, &fixture::manifest(&[])).unwrap(), raw);
        }
    }

    #[test]
    fn a_flawed_file_is_named_with_what_was_expected_and_found() {
        let raw = fixture::raw(FILE);
        let mut flipped = raw.clone();
        flipped[5000] ^= 1;
        let mut foreign = raw.clone();
        foreign[3] = 2;
        let mut larger = raw.clone();
        larger[7] += 1;
        let cases: [(&[u8], &str); 7] = [
            (&raw[..5000], "is truncated: it has 5000 bytes, expected 10008"),
            (&raw[..3], "is truncated: it has 3 bytes, expected 10008"),
            (&[&raw[..], &[0]].concat(), "is too long: it has more than the expected 10008 bytes"),
            (&flipped, "is corrupted: its SHA-256 is "),
            (&foreign, "starts with the magic number 0x00000802, expected 0x00000801"),
            (&larger, "announces the dimensions [10001], expected [10000]"),
            (
                &fixture::raw(File::TrainLabels),
                "holds train-labels-idx1-ubyte in place of t10k-labels-idx1-ubyte",
            ),
        ];
        for (bytes, expected) in cases {
            for (name, content) in
                [(FILE.name(), bytes), ("t10k-labels-idx1-ubyte.gz", &fixture::gzip(bytes))]
            {
                let message = error_of(name, content).to_string();
                assert!(message.contains(&format!("{name} {expected}")), "{message}");
                assert!(message.ends_with("; replace it, or name no folder to have MNIST downloaded"));
                assert!(!message.contains('\n'));
            }
        }
    }

    #[test]
    fn a_corrupted_file_is_named_with_both_checksums() {
        let mut flipped = fixture::raw(FILE);
        flipped[5000] ^= 1;
        let Error::BadFile { flaw: Flaw::Corrupted { expected, found }, .. } =
            error_of(FILE.name(), &flipped)
        else {
            panic!("another error");
        };
        assert_eq!(expected, fixture::manifest(&[]).sha256(FILE));
        assert_eq!(found, hexadecimal(&Sha256::digest(&flipped)));
    }

    #[test]
    fn a_broken_gzip_stream_is_an_error() {
        let gzip = fixture::gzip(&fixture::raw(FILE));
        let mut flipped = gzip.clone();
        flipped[gzip.len() / 2] ^= 0x55;
        for bytes in [&gzip[..gzip.len() / 2], &gzip[..gzip.len() - 1], &gzip[..4], &flipped] {
            let error = error_of("t10k-labels-idx1-ubyte.gz", bytes);
            assert!(matches!(error, Error::BadFile { .. }), "{error}");
        }
    }

    #[test]
    fn a_stream_that_never_ends_is_cut_off() {
        let bomb = fixture::gzip(&[&fixture::raw(FILE)[..], &vec![0; 50_000_000]].concat());
        let error = error_of("t10k-labels-idx1-ubyte.gz", &bomb);
        assert!(matches!(error, Error::BadFile { flaw: Flaw::TooLong { expected: 10_008 }, .. }), "{error}");
    }

    #[test]
    fn a_missing_file_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let message = read(folder.path(), &fixture::manifest(&[])).unwrap_err().to_string();
        assert!(
            message.contains("neither train-images-idx3-ubyte nor train-images-idx3-ubyte.gz"),
            "{message}"
        );
        let message = read(&folder.path().join("no"), &fixture::manifest(&[])).unwrap_err().to_string();
        assert!(message.starts_with("no folder ") && message.contains("/no: "), "{message}");
    }

    #[test]
    fn the_parts_are_what_the_files_hold_and_the_folder_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        fixture::fill(folder.path());
        let names = || {
            let mut names: Vec<_> =
                fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
            names.sort();
            names
        };
        let before = names();
        let (train, test) = read(folder.path(), &fixture::manifest(&[])).unwrap();
        assert_eq!((train.len(), test.len()), (60_000, 10_000));
        assert_eq!((train.label(59_999), test.label(1_234)), (9, 4));
        assert!(train.images().as_flattened().iter().all(|&pixel| pixel == 0));
        assert_eq!(names(), before);
    }
}
