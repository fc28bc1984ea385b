//! The digits of Burnlite's tutorial: the dataset, the network and its training on Burn.
//!
//! # The dataset
//!
//! [`load`] finds MNIST in a folder or in the cache, downloads it otherwise, and draws digits by itself when there is
//! neither. Whatever file it is, its header, size and SHA-256 are checked before the `mnist` crate parses it.
//!
//! ```
//! use burnlite_mnist::Digits;
//!
//! let digits = Digits::generate(1, 100, 10);
//! assert_eq!(digits.source().to_string(), "generated digits");
//! assert_eq!(digits.train.image(0).len(), 28 * 28);
//! assert!(digits.train.label(0) < 10);
//! ```
//!
//! # The network
//!
//! [`train`](train()) trains a new [`Network`] with the tutorial's hyperparameters, [`evaluate`] says how well it does, and
//! [`Network::save`] keeps its weights. A [`Training`] can be interrupted and gone on with.
//!
//! ```
//! use burnlite_mnist::{Backend, Digits, TrainingOptions, evaluate, train};
//!
//! let digits = Digits::generate(1, 64, 32);
//! let device = Backend::Flex.device()?;
//! let trained = train(&digits.train, &TrainingOptions::default(), &device, |progress| {
//!     assert_eq!(progress.steps, 2); // 64 images in batches of 32
//! })?;
//! let score = evaluate(&trained.network, &digits.test)?;
//! assert!((0.0..=1.0).contains(&score.accuracy));
//! # Ok::<(), burnlite_mnist::Error>(())
//! ```

#![forbid(unsafe_code)]

mod backend;
mod batch;
mod dataset;
mod error;
mod network;
mod record;
mod score;
mod train;

pub use backend::Backend;
pub use dataset::{
    CLASSES, Dataset, Digits, LoadOptions, Manifest, Origin, PIXELS, Progress, Require, SIDE, Source,
    TEST_LEN, TRAIN_LEN, load,
};
pub use error::{Attempt, Error, Flaw};
pub use network::Network;
pub use score::{Score, evaluate};
pub use train::{CurvePoint, Trained, Training, TrainingOptions, TrainingProgress, train};
