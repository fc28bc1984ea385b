//! A network for machines without an operating system: see README.md. Written by `burnlite firmware` 0.1.0.

#![no_std]
#![forbid(unsafe_code)]

pub use burnlite_runtime::Error;
use burnlite_runtime::tflite::Model;
use burnlite_runtime::{Interpreter, InterpreterOptions, Kernels, Numerics, operators};

/// The model's input 0.
pub mod input_0 {
    /// The type of its elements: float32 in the model.
    pub type Element = f32;
    /// Its name in the model.
    pub const NAME: &str = "serving_default_image:0";
    /// Its shape.
    pub const SHAPE: [usize; 3] = [1, 28, 28];
    /// How many elements it has.
    pub const ELEMENTS: usize = 784;
}

/// The model's output 0.
pub mod output_0 {
    /// The type of its elements: float32 in the model.
    pub type Element = f32;
    /// Its name in the model.
    pub const NAME: &str = "StatefulPartitionedCall_1:0";
    /// Its shape.
    pub const SHAPE: [usize; 2] = [1, 10];
    /// How many elements it has.
    pub const ELEMENTS: usize = 10;
}

/// Bytes of memory for tensors.
pub const ARENA_BYTES: usize = 20280;

/// Aligned as tensors need it, so that nothing of the file is copied.
#[repr(C, align(16))]
struct Aligned<T>(T);

static FILE: Aligned<[u8; 24296]> = Aligned(*include_bytes!("model.tflite"));

/// The model. Its weights stay where they are.
///
/// # Errors
/// None: the file was read when the crate was written.
pub fn model() -> Result<Model<'static>, Error> {
    Ok(Model::from_bytes(&FILE.0)?)
}

/// Memory for tensors.
#[derive(Debug, Clone)]
#[repr(C, align(16))]
pub struct Arena([u8; ARENA_BYTES]);

impl Arena {
    /// Memory that is all zero.
    pub const fn new() -> Self {
        Self([0; ARENA_BYTES])
    }
}

impl Default for Arena {
    fn default() -> Self {
        Self::new()
    }
}

/// The network, ready to run.
#[derive(Debug)]
pub struct Network<'m>(Interpreter<'m>);

impl<'m> Network<'m> {
    /// Plans the [`model`]. The allocator serves what the plan takes.
    ///
    /// # Errors
    /// None with this crate's model, which was planned when the crate was written.
    pub fn new(model: &'m Model<'_>, arena: &'m mut Arena) -> Result<Self, Error> {
        let options = InterpreterOptions {
            numerics: Numerics::LiteRt,
            kernels: Kernels::InPlace,
            operators: &[
                operators::CONV_2D,
                operators::DEQUANTIZE,
                operators::FULLY_CONNECTED,
                operators::MAX_POOL_2D,
                operators::QUANTIZE,
                operators::RESHAPE,
            ],
            keep_inputs: false,
            ..InterpreterOptions::default()
        };
        Interpreter::with_arena(model, &options, &mut arena.0).map(Self)
    }

    /// Sets the input of [`input_0`] for one run; outputs of the last run are lost.
    ///
    /// # Errors
    /// None.
    pub fn set_input_0(
        &mut self,
        values: &[input_0::Element; input_0::ELEMENTS],
    ) -> Result<(), Error> {
        self.0.set_input(0, values)
    }

    /// The output of [`output_0`] as the last run left it.
    ///
    /// # Errors
    /// None.
    pub fn output_0(&self) -> Result<&[output_0::Element; output_0::ELEMENTS], Error> {
        let values = self.0.output(0)?;
        Ok(values.as_array().expect("the model has this shape"))
    }

    /// Runs the network. Nothing is allocated.
    ///
    /// # Errors
    /// Where an operator meets values that make no sense to it, such as an index outside a tensor.
    pub fn invoke(&mut self) -> Result<(), Error> {
        self.0.invoke()
    }

    /// Lets a new stream begin: variables have their first values.
    ///
    /// # Errors
    /// As [`invoke`](Self::invoke).
    pub fn reset(&mut self) -> Result<(), Error> {
        self.0.reset_variables()
    }
}
