//! What MNIST is made of: four idx files, their sizes and checksums, and the mirrors that serve them.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{SIDE, TEST_LEN, TRAIN_LEN};
use crate::Error;

/// The mirrors of MNIST and the checksums of its files.
///
/// The default is the list that the crate carries, `mnist.toml`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// Addresses to download from, tried in this order: each is completed by the name of a file and `.gz`.
    ///
    /// Without any, nothing is ever downloaded.
    pub mirrors: Vec<String>,
    /// In the order of [`File::ALL`].
    sha256: [String; 4],
}

impl Manifest {
    /// Reads a list in the form of `mnist.toml`.
    ///
    /// # Errors
    ///
    /// [`Error::Manifest`] when it is not TOML of that form, a file is missing or unknown, its size is not
    /// MNIST's, or a checksum is not one.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let refuse = |reason: String| Error::Manifest { reason };
        let mut list: List = toml::from_str(text).map_err(|error| refuse(one_line(&error)))?;
        let mut sha256 = [const { String::new() }; 4];
        for (file, sha256) in File::ALL.into_iter().zip(&mut sha256) {
            let name = file.name();
            let entry = list.files.remove(name).ok_or_else(|| refuse(format!("{name} is missing")))?;
            if entry.bytes != file.bytes() {
                let (found, expected) = (entry.bytes, file.bytes());
                return Err(refuse(format!("{name} has {found} bytes, MNIST's has {expected}")));
            }
            if entry.sha256.len() != 64 || !entry.sha256.bytes().all(|byte| byte.is_ascii_hexdigit()) {
                return Err(refuse(format!("the sha256 of {name} is not 64 hexadecimal digits")));
            }
            *sha256 = entry.sha256.to_ascii_lowercase();
        }
        match list.files.keys().next() {
            Some(name) => Err(refuse(format!("{name} is not one of MNIST's files"))),
            None => Ok(Self { mirrors: list.mirrors, sha256 }),
        }
    }

    /// The SHA-256 of a raw file, in lower-case hexadecimal.
    pub(super) fn sha256(&self, file: File) -> &str {
        &self.sha256[file as usize]
    }
}

impl Default for Manifest {
    fn default() -> Self {
        Self::parse(include_str!("../../mnist.toml")).expect("a test parses the list the crate carries")
    }
}

/// One of the four files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum File {
    TrainImages,
    TrainLabels,
    TestImages,
    TestLabels,
}

impl File {
    pub(super) const ALL: [Self; 4] =
        [Self::TrainImages, Self::TrainLabels, Self::TestImages, Self::TestLabels];

    /// The published name of the raw file.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::TrainImages => "train-images-idx3-ubyte",
            Self::TrainLabels => "train-labels-idx1-ubyte",
            Self::TestImages => "t10k-images-idx3-ubyte",
            Self::TestLabels => "t10k-labels-idx1-ubyte",
        }
    }

    /// The first word of the file: two zero bytes, the element type (8, unsigned byte) and the rank.
    pub(super) fn magic(self) -> u32 {
        // A rank is 1 or 3.
        0x0800 + self.dimensions().len() as u32
    }

    /// The words after the magic number: `[N, 28, 28]` for images, `[N]` for labels.
    pub(super) fn dimensions(self) -> Vec<u32> {
        let (train, test, side) = (TRAIN_LEN as u32, TEST_LEN as u32, SIDE as u32);
        match self {
            Self::TrainImages => vec![train, side, side],
            Self::TrainLabels => vec![train],
            Self::TestImages => vec![test, side, side],
            Self::TestLabels => vec![test],
        }
    }

    /// The first bytes of the raw file: magic number and dimensions, big endian.
    pub(super) fn header(self) -> Vec<u8> {
        [vec![self.magic()], self.dimensions()].concat().into_iter().flat_map(u32::to_be_bytes).collect()
    }

    /// The size of the raw file.
    pub(super) fn bytes(self) -> u64 {
        let elements: u64 = self.dimensions().into_iter().map(u64::from).product();
        self.header().len() as u64 + elements
    }
}

/// The form of `mnist.toml`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct List {
    mirrors: Vec<String>,
    files: BTreeMap<String, Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    bytes: u64,
    sha256: String,
}

/// The message of a TOML error without the excerpt around it.
fn one_line(error: &toml::de::Error) -> String {
    error.message().lines().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_the_crate_carries_is_usable() {
        let manifest = Manifest::default();
        assert_eq!(manifest.mirrors.len(), 2);
        for mirror in &manifest.mirrors {
            assert!(mirror.starts_with("https://") && mirror.ends_with('/'), "{mirror}");
        }
    }

    #[test]
    fn headers_are_those_of_idx() {
        assert_eq!(File::TrainImages.header(), [0, 0, 8, 3, 0, 0, 0xea, 0x60, 0, 0, 0, 28, 0, 0, 0, 28]);
        assert_eq!(File::TestLabels.header(), [0, 0, 8, 1, 0, 0, 0x27, 0x10]);
        assert_eq!(File::TestImages.bytes(), 7_840_016);
    }

    #[test]
    fn a_list_that_is_not_mnist_is_refused() {
        let text = include_str!("../../mnist.toml");
        for (from, to, reason) in [
            ("60_008", "60_009", "train-labels-idx1-ubyte has 60009 bytes, MNIST's has 60008"),
            ("t10k-labels", "t11k-labels", "t10k-labels-idx1-ubyte is missing"),
            ("ff7bcfd4", "ff7bcfg4", "sha256 of t10k-labels-idx1-ubyte is not 64"),
            ("mirrors", "mirror", "unknown field `mirror`"),
            ("mirrors = [", "mirrors = ", "is not usable"),
        ] {
            let error = Manifest::parse(&text.replacen(from, to, if from == "mirrors" { 9 } else { 1 }));
            let message = error.unwrap_err().to_string();
            assert!(message.contains(reason) && !message.contains('\n'), "{message}");
        }
        let extra = format!("{text}\n[files.other]\nbytes = 1\nsha256 = \"\"\n");
        let message = Manifest::parse(&extra).unwrap_err().to_string();
        assert!(message.ends_with("other is not one of MNIST's files"), "{message}");
    }
}
