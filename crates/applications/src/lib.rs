//! Four tasks that gain from 16-bit activations: super-resolution, noise cancelling, image de-noising, HDR from one picture.
//!
//! Each of [`APPLICATIONS`] makes its data from a seed, trains a small network in Burn, and exports it. What comes out is
//! numbers that a person sees or hears, not a class: there 8 bits are heard as hiss and seen as steps.
//!
//! ```
//! use burnlite_applications::{Application, Effort};
//!
//! let application = Application::by_name("super-resolution").unwrap();
//! let data = application.data(1, Effort { train: 8, test: 4, epochs: 1 });
//! let (inputs, truths) = (&data.test[0].input, &data.test[0].truth);
//! assert_eq!((inputs.len(), truths.len()), (14 * 14, 28 * 28));
//!
//! let model = application.train(&data, 1, 1, |_| ())?;
//! assert_eq!(model.main()?.operators.last().unwrap().op.name(), "DEPTH_TO_SPACE");
//!
//! // Doing without a network: bicubic interpolation, in dB.
//! let baseline = data.test.iter().map(|sample| (&sample.truth[..], &sample.baseline[..]));
//! assert!(application.quality.of(baseline) > 10.0);
//! # Ok::<(), burnlite_applications::Error>(())
//! ```
//!
//! The data is drawn with additions, multiplications and functions computed in Rust: a seed means the same samples on every
//! machine.

#![forbid(unsafe_code)]

mod application;
mod audio;
mod denoise;
mod error;
mod fit;
mod hdr;
mod layers;
mod quality;
mod random;
mod super_resolution;

pub use application::{APPLICATIONS, Application, Content, Data, Effort, Sample};
pub use error::Error;
pub use fit::Progress;
pub use quality::Quality;
