//! Runs TensorFlow Lite models in float32, int8 and 16x8 (16-bit activations, 8-bit weights), in pure Rust.
//!
//! Integer results equal those of LiteRT's reference kernels bit for bit ([`Numerics::LiteRt`]), or those of
//! tflite-micro where the two differ ([`Numerics::TfLiteMicro`]).
//!
//! An [`Interpreter`] plans a model once: shapes, parameters, a place in memory for every tensor. Then it runs it as often
//! as you like, and running allocates nothing. It reads no files.
//!
//! # Features
//! Both are on by default, and change no result.
//!
//! - `std`: threads share large layers where `InterpreterOptions::threads` asks for them. Without it the crate needs `core` and
//!   `alloc`: a plan is as large as its model, so there is no way without an allocator.
//! - `kernels`: fast paths. Without them every operator is a plain loop, in far fewer bytes.
//!
//! Microcontrollers leave weights in flash ([`Kernels::InPlace`]), choose the memory of tensors ([`Interpreter::with_arena`]),
//! and link the operators that they need ([`InterpreterOptions::operators`]).
//!
//! ```
//! use burnlite_runtime::Interpreter;
//! use burnlite_tflite::{ElementType, Graph, Model, Op, Operator, Tensor};
//!
//! // A model that applies `max(x, 0)` to three numbers; usually it comes from `Model::from_bytes`.
//! let mut graph = Graph::default();
//! let x = graph.add_tensor(Tensor::new("x", ElementType::Float32, [1, 3]));
//! let y = graph.add_tensor(Tensor::new("y", ElementType::Float32, [1, 3]));
//! graph.operators.push(Operator::new(Op::Relu, [x], [y]));
//! (graph.inputs, graph.outputs) = (vec![x], vec![y]);
//! let model = Model::new(graph);
//!
//! let mut interpreter = Interpreter::new(&model)?;
//! interpreter.set_input(0, &[1.0f32, -2.0, 3.0])?;
//! interpreter.invoke()?;
//! assert_eq!(interpreter.output::<f32>(0)?, [1.0, 0.0, 3.0]);
//! # Ok::<(), burnlite_runtime::Error>(())
//! ```

#![no_std]

extern crate alloc;
#[cfg(feature = "std")]
extern crate std;

mod arena;
mod error;
pub mod fixed_point;
mod frame;
mod interpreter;
mod kernels;
mod ops;
mod plan;
mod real;
mod signature;

pub use burnlite_tflite as tflite;
pub use error::{Error, OperatorFault};
pub use interpreter::{Interpreter, InterpreterOptions, Numerics, StepEvent, StepInfo, TensorInfo};
#[doc(hidden)]
pub use kernels::peak;
pub use kernels::{KERNELS, KernelInfo, Kernels};
pub use ops::{Implementation, operators};
pub use plan::ArenaRegion;
pub use signature::SignatureTensors;
