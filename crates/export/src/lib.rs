//! Exports any Burn module to a TensorFlow Lite model.
//!
//! [`Exporter::export`] runs the module's forward pass on Burn's capture device, which computes nothing and notes every
//! operation, and writes the operations as a [`Model`](burnlite_tflite::Model): float32, for any batch, with weights
//! embedded. There is no code for particular modules.
//!
//! ```
//! use burn::module::Module;
//! use burn::nn::conv::{Conv2d, Conv2dConfig};
//! use burn::nn::pool::{MaxPool2d, MaxPool2dConfig};
//! use burn::nn::{Linear, LinearConfig};
//! use burn::tensor::activation::relu;
//! use burn::tensor::{Device, Tensor};
//! use burnlite_export::Exporter;
//!
//! #[derive(Module, Debug)]
//! struct Classifier {
//!     conv: Conv2d,
//!     pool: MaxPool2d,
//!     dense: Linear,
//! }
//!
//! impl Classifier {
//!     fn forward(&self, images: Tensor<4>) -> Tensor<2> {
//!         let features = self.pool.forward(relu(self.conv.forward(images)));
//!         self.dense.forward(features.flatten(1, 3))
//!     }
//! }
//!
//! let device = Device::flex();
//! let classifier = Classifier {
//!     conv: Conv2dConfig::new([1, 4], [3, 3]).init(&device),
//!     pool: MaxPool2dConfig::new([2, 2]).init(),
//!     dense: LinearConfig::new(4 * 3 * 3, 10).init(&device),
//! };
//! let sample = Tensor::<4>::zeros([1, 1, 8, 8], &device);
//! let model = Exporter::new()
//!     .input("images")
//!     .output("logits")
//!     .export(&classifier, sample, Classifier::forward)?;
//!
//! let operators: Vec<&str> = model.main()?.operators.iter().map(|operator| operator.op.name()).collect();
//! assert_eq!(operators, ["RESHAPE", "CONV_2D", "MAX_POOL_2D", "RESHAPE", "FULLY_CONNECTED"]);
//! let bytes = model.to_bytes()?; // the .tflite file
//! # Ok::<(), burnlite_export::Error>(())
//! ```
//!
//! # Images
//!
//! Burn's images are `[N, C, H, W]`, TensorFlow Lite's `[N, H, W, C]`. In between every value keeps a note of the order in
//! which it is stored, and moves only where an operator asks for another one. Weights are brought into TensorFlow Lite's
//! order when they are exported, and the permutation of a flattened image ends in the weights of the dense layer behind
//! it. Inputs and outputs keep Burn's order, which costs a TRANSPOSE at an image of several channels;
//! [`Exporter::layout`] lets the file take and give `[N, H, W, C]`, which costs none.
//!
//! # The check
//!
//! [`Exporter::save`] runs what it exported with `burnlite-runtime`, and writes the file only if the outputs are Burn's.
//!
//! # The batch
//!
//! The forward pass is captured with two batches, and what differs between them is the batch: see
//! [`Exporter::dynamic_batch`].

#![forbid(unsafe_code)]

mod builder;
mod capture;
mod check;
mod constant;
mod error;
mod evaluate;
mod exporter;
mod fold;
mod layout;
mod lower;
mod lstm;
mod program;
mod shape;
mod tensors;

pub use error::Error;
pub use exporter::Exporter;
pub use layout::ImageLayout;
pub use lower::{Lowering, Operation, Support, operations};
pub use tensors::{TensorKind, TensorMap, Tensors};
