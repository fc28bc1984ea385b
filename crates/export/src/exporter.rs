//! The way in.

use std::collections::HashSet;

use burn::module::Module;
use burnlite_tflite::{Model, Signature};

use crate::Error;
use crate::builder::Builder;
use crate::capture::capture;
use crate::lower::lower;
use crate::program::Program;
use crate::tensors::{Tensors, batched};

/// The batches with which a module is captured to see what depends on them. Not 1: Burn may leave out work on dimensions
/// of 1, and a batch of 1 could not be told from them.
const BATCHES: (usize, usize) = (2, 3);

/// Exports Burn modules to TensorFlow Lite models.
///
/// # Example
///
/// ```
/// use burn::nn::{Linear, LinearConfig};
/// use burn::tensor::{Device, Tensor};
/// use burnlite_export::Exporter;
///
/// let device = Device::flex();
/// let layer = LinearConfig::new(4, 2).init(&device);
/// let sample = Tensor::<2>::zeros([1, 4], &device);
/// let model = Exporter::new()
///     .input("features")
///     .output("scores")
///     .export(&layer, sample, |layer: &Linear, features| layer.forward(features))?;
/// assert_eq!(model.main()?.operators[0].op.name(), "FULLY_CONNECTED");
/// # Ok::<(), burnlite_export::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exporter {
    inputs: Vec<Input>,
    outputs: Vec<String>,
    dynamic_batch: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Input {
    name: String,
    is_batched: bool,
}

impl Default for Exporter {
    fn default() -> Self {
        Self::new()
    }
}

impl Exporter {
    /// An exporter of models for any batch, whose inputs and outputs are named `input_0`, …, `output_0`, ….
    pub const fn new() -> Self {
        Self { inputs: Vec::new(), outputs: Vec::new(), dynamic_batch: true }
    }

    /// Names the next input. Its first extent is the batch.
    pub fn input(mut self, name: impl Into<String>) -> Self {
        self.inputs.push(Input { name: name.into(), is_batched: true });
        self
    }

    /// Names the next input, one whose first extent is not the batch.
    pub fn fixed_input(mut self, name: impl Into<String>) -> Self {
        self.inputs.push(Input { name: name.into(), is_batched: false });
        self
    }

    /// Names the next output.
    pub fn output(mut self, name: impl Into<String>) -> Self {
        self.outputs.push(name.into());
        self
    }

    /// Whether the model takes any batch (the default) or only that of the sample.
    ///
    /// For any batch the forward pass is captured twice, with batches of 2 and 3 made of the sample's first row; an
    /// extent that differs is the batch or a multiple of it. In the file it is 1, and -1 in the shape signature.
    pub const fn dynamic_batch(mut self, dynamic_batch: bool) -> Self {
        self.dynamic_batch = dynamic_batch;
        self
    }

    /// The model that computes what `forward` computes with `module`.
    ///
    /// `sample` gives the number of inputs, their shapes and their types; its values do not matter. `forward` is the
    /// module's own, or any closure: what it does with tensors is captured, operation by operation. For a closure
    /// without a module give `&()`.
    ///
    /// The model has one graph and the signature `serving_default`. Constants are named after the module's parameters
    /// (`conv/weight`), results after the operator and the part of the module it belongs to.
    ///
    /// # Errors
    /// [`Error::NameCount`], [`Error::DuplicateName`], [`Error::EmptySample`], [`Error::NotComputed`] for arguments
    /// that do not fit; [`Error::UnsupportedOperation`], [`Error::BatchDependence`] and [`Error::Capture`] for a forward
    /// pass that cannot be exported.
    ///
    /// # Panics
    /// Where `forward` does, for example on a sample of a shape that the module does not take.
    pub fn export<M, I, O, F>(&self, module: &M, sample: I, forward: F) -> Result<Model<'static>, Error>
    where
        M: Module,
        I: Tensors,
        O: Tensors,
        F: Fn(&M, I) -> O,
    {
        let program = if self.dynamic_batch {
            let marks: Vec<bool> = self.inputs.iter().map(|input| input.is_batched).collect();
            let capture = |size| capture(module, batched(sample.clone(), size, &marks)?, &forward);
            Program::batched([capture(BATCHES.0)?, capture(BATCHES.1)?], BATCHES)?
        } else {
            Program::fixed(capture(module, sample, &forward)?)
        };
        self.model(&program)
    }

    fn model(&self, program: &Program) -> Result<Model<'static>, Error> {
        let inputs = self.inputs.iter().map(|input| input.name.clone()).collect();
        let inputs = names("input", inputs, program.inputs.len())?;
        let outputs = names("output", self.outputs.clone(), program.outputs.len())?;
        let reserved = [inputs.clone(), outputs.clone()].concat();

        let mut builder = Builder::new(program, &reserved);
        for (&(id, dtype), name) in program.inputs.iter().zip(&inputs) {
            builder.input(id, dtype, name).map_err(|refusal| refusal.of_boundary("input", name))?;
        }
        lower(&mut builder)?;
        for (&id, name) in program.outputs.iter().zip(&outputs) {
            builder.output(id, name).map_err(|refusal| refusal.of_boundary("output", name))?;
        }
        let graph = builder.graph;
        let signature = Signature {
            key: "serving_default".into(),
            inputs: inputs.into_iter().zip(graph.inputs.iter().copied()).collect(),
            outputs: outputs.into_iter().zip(graph.outputs.iter().copied()).collect(),
            graph: 0,
        };
        let description = concat!("burnlite-export ", env!("CARGO_PKG_VERSION")).into();
        let model = Model { description, signatures: vec![signature], ..Model::new(graph) };
        model.check()?;
        Ok(model)
    }
}

/// The given names, or numbered ones where none are given.
fn names(boundary: &'static str, names: Vec<String>, tensors: usize) -> Result<Vec<String>, Error> {
    if names.is_empty() {
        return Ok((0..tensors).map(|position| format!("{boundary}_{position}")).collect());
    }
    if names.len() != tensors {
        return Err(Error::NameCount { boundary, names: names.len(), tensors });
    }
    let mut seen = HashSet::new();
    match names.iter().find(|name| !seen.insert(*name)) {
        Some(name) => Err(Error::DuplicateName { boundary, name: name.clone() }),
        None => Ok(names),
    }
}
