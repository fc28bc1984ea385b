//! The digits: 28x28 grey images with labels, MNIST or generated.

mod digits;
mod download;
#[cfg(test)]
mod fixture;
mod load;
mod manifest;
mod mnist;

use core::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

pub use download::Progress;
pub use load::{LoadOptions, Require, load};
pub use manifest::Manifest;
pub(crate) use mnist::hexadecimal;

use crate::Error;

/// Rows of an image, and columns.
pub const SIDE: usize = 28;
/// Pixels of an image.
pub const PIXELS: usize = SIDE * SIDE;
/// Kinds of digits.
pub const CLASSES: usize = 10;
/// Images in MNIST's training part.
pub const TRAIN_LEN: usize = 60_000;
/// Images in MNIST's test part.
pub const TEST_LEN: usize = 10_000;

/// Images with their labels: one part of the digits, for training or for test.
///
/// # Example
///
/// ```
/// use burnlite_mnist::{Dataset, PIXELS};
///
/// let part = Dataset::new(vec![[0; PIXELS], [255; PIXELS]], vec![3, 8])?;
/// assert_eq!(part.label(1), 8);
/// assert_eq!(part.normalized(1), [1.0; PIXELS]);
/// # Ok::<(), burnlite_mnist::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Dataset {
    images: Vec<[u8; PIXELS]>,
    labels: Vec<u8>,
}

impl Dataset {
    /// Images `[N, 28, 28]` (row by row, 0 is background, 255 is ink) with one label each.
    ///
    /// # Errors
    ///
    /// [`Error::LabelCount`] when the lengths differ, [`Error::LabelRange`] when a label is above 9.
    pub fn new(images: Vec<[u8; PIXELS]>, labels: Vec<u8>) -> Result<Self, Error> {
        if images.len() != labels.len() {
            return Err(Error::LabelCount { images: images.len(), labels: labels.len() });
        }
        if let Some(index) = labels.iter().position(|&label| usize::from(label) >= CLASSES) {
            return Err(Error::LabelRange { index, label: labels[index] });
        }
        Ok(Self { images, labels })
    }

    /// The number of images.
    pub fn len(&self) -> usize {
        self.images.len()
    }

    /// Whether there is no image.
    pub fn is_empty(&self) -> bool {
        self.images.is_empty()
    }

    /// The pixels of one image, `[28, 28]`.
    ///
    /// # Panics
    ///
    /// When `index` is not below [`len`](Self::len), as slices do.
    pub fn image(&self, index: usize) -> &[u8; PIXELS] {
        &self.images[index]
    }

    /// The digit on one image, 0 to 9.
    ///
    /// # Panics
    ///
    /// When `index` is not below [`len`](Self::len), as slices do.
    pub fn label(&self, index: usize) -> u8 {
        self.labels[index]
    }

    /// One image as the network takes it: `[28, 28]`, in 0 to 1, each pixel divided by 255 in `f32`.
    ///
    /// # Panics
    ///
    /// When `index` is not below [`len`](Self::len), as slices do.
    pub fn normalized(&self, index: usize) -> [f32; PIXELS] {
        self.images[index].map(|pixel| f32::from(pixel) / 255.0)
    }

    /// All images, `[N, 28, 28]`, contiguous.
    pub fn images(&self) -> &[[u8; PIXELS]] {
        &self.images
    }

    /// All labels, `[N]`.
    pub fn labels(&self) -> &[u8] {
        &self.labels
    }
}

impl fmt::Debug for Dataset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dataset").field("len", &self.len()).finish_non_exhaustive()
    }
}

/// Digits to train on and digits to test with.
#[derive(Debug)]
pub struct Digits {
    /// The part for training and calibration.
    pub train: Dataset,
    /// The part for evaluation.
    pub test: Dataset,
    /// Where they come from.
    pub origin: Origin,
}

impl Digits {
    /// Whether this is MNIST or generated.
    pub fn source(&self) -> Source {
        match self.origin {
            Origin::Generated { .. } => Source::Generated,
            Origin::Folder(_) | Origin::Cache(_) | Origin::Download(_) => Source::Mnist,
        }
    }

    /// Digits drawn by an algorithm, `train` and `test` of them: strokes of a pen, bent by affine and elastic
    /// distortion, 28x28 grey like MNIST.
    ///
    /// The same seed gives the same digits on every machine, whatever its number of threads. The tutorial's
    /// network learns about 97 % of them in an epoch.
    pub fn generate(seed: u64, train: usize, test: usize) -> Self {
        Self {
            train: digits::generate(seed, digits::Part::Train, train),
            test: digits::generate(seed, digits::Part::Test, test),
            origin: Origin::Generated { seed, reason: None },
        }
    }
}

/// Where digits come from.
#[derive(Debug)]
#[non_exhaustive]
pub enum Origin {
    /// MNIST, from the folder that was named.
    Folder(PathBuf),
    /// MNIST, from the cache.
    Cache(PathBuf),
    /// MNIST, downloaded into the cache just now.
    Download(PathBuf),
    /// Drawn by an algorithm.
    Generated {
        /// What they were drawn from.
        seed: u64,
        /// Why they stand in for MNIST; none when they were asked for.
        reason: Option<Box<Error>>,
    },
}

/// The two kinds of digits, for reports.
///
/// Displays as people read it ("MNIST", "generated digits") and serializes as [`id`](Self::id).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Source {
    /// MNIST, verified.
    #[serde(rename = "mnist")]
    Mnist,
    /// Generated digits.
    #[serde(rename = "digits")]
    Generated,
}

impl Source {
    /// The name in files: `"mnist"` or `"digits"`.
    pub fn id(self) -> &'static str {
        match self {
            Self::Mnist => "mnist",
            Self::Generated => "digits",
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Mnist => "MNIST",
            Self::Generated => "generated digits",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_and_labels_must_pair_up() {
        let error = Dataset::new(vec![[0; PIXELS]], vec![1, 2]).unwrap_err();
        assert!(matches!(error, Error::LabelCount { images: 1, labels: 2 }));
        let error = Dataset::new(vec![[0; PIXELS]; 2], vec![1, 10]).unwrap_err();
        assert!(matches!(error, Error::LabelRange { index: 1, label: 10 }));
    }

    #[test]
    fn every_grey_is_divided_by_255_in_f32() {
        let mut image = [0; PIXELS];
        for (pixel, grey) in image.iter_mut().zip(0..=255) {
            *pixel = grey;
        }
        let normalized = Dataset::new(vec![image], vec![0]).unwrap().normalized(0);
        for (grey, value) in (0..=255u8).zip(normalized) {
            assert_eq!(value.to_bits(), (f32::from(grey) / 255.0f32).to_bits());
        }
        // The last bit tells a division from a multiplication by 1/255: 0.1, 0.6 and 1 must be exact.
        assert_eq!((normalized[51], normalized[153], normalized[255]), (0.2, 0.6, 1.0));
    }

    #[test]
    fn a_source_has_a_name_for_files_and_one_for_people() {
        for (source, id, people) in
            [(Source::Mnist, "mnist", "MNIST"), (Source::Generated, "digits", "generated digits")]
        {
            assert_eq!(source.id(), id);
            assert_eq!(source.to_string(), people);
        }
    }
}
