//! The `.tflite` file format (TensorFlow Lite, LiteRT) as plain Rust values.
//!
//! [`Model::from_bytes`] reads any file with every offset, index, shape and size checked; [`Model::to_bytes`] writes a
//! model, always the same bytes for the same model. In between stand ordinary structs and one [`Op`] for each kind of
//! operator. Nothing here computes: that is `burnlite-runtime`'s part.
//!
//! Tensor data are borrowed from the bytes that were read, so weights can stay in flash or in a memory map. The crate
//! needs `core` and `alloc` alone, and has no features: a model is lists of tensors and operators, so there is no way without
//! an allocator.
//!
//! ```
//! use burnlite_tflite::{ElementType, Graph, Model, Op, Operator, Tensor};
//!
//! // A model that applies `max(x, 0)` to four numbers.
//! let mut graph = Graph::default();
//! let x = graph.add_tensor(Tensor::new("x", ElementType::Float32, [1, 4]));
//! let y = graph.add_tensor(Tensor::new("y", ElementType::Float32, [1, 4]));
//! graph.operators.push(Operator::new(Op::Relu, [x], [y]));
//! graph.inputs.push(x);
//! graph.outputs.push(y);
//!
//! let bytes = Model::new(graph).to_bytes()?;
//! let model = Model::from_bytes(&bytes)?;
//! assert_eq!(model.main()?.operators[0].op.name(), "RELU");
//! # Ok::<(), burnlite_tflite::Error>(())
//! ```

#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

#[cfg(target_endian = "big")]
compile_error!(
    "burnlite-tflite borrows little-endian tensor data from the file: big-endian targets are not supported"
);

mod builtin_names;
mod check;
mod element;
mod error;
mod model;
mod op;
mod options;
mod quantization;
mod read;
mod schema;
mod slots;
mod table;
mod target;
mod window;
mod work;
mod write;

pub use element::{Element, ElementType};
pub use error::{Error, TensorFault};
pub use model::{Graph, Metadata, Model, Operator, Signature, Tensor, TensorId};
pub use op::{Op, OpInfo};
pub use options::*;
pub use quantization::{Quantization, Range};
pub use target::{Obstacle, Place, Target};
pub use window::WindowLayout;
