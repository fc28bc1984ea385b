//! The way in.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use burn::module::Module;
use burnlite_tflite::{Model, Signature};

use crate::builder::Builder;
use crate::capture::capture;
use crate::check;
use crate::layout::ImageLayout;
use crate::lower::{Lowering, lower};
use crate::program::Program;
use crate::tensors::{Tensors, batched};
use crate::{Error, layout, lstm};

/// The batches with which a module is captured to see what depends on them; the next two where the forward pass is another
/// for each, for Burn multiplies matrices one way or the other depending on how many there are. Not 1: Burn may leave out
/// work on dimensions of 1, and a batch of 1 could not be told from them.
const BATCHES: [(usize, usize); 3] = [(2, 3), (3, 4), (31, 38)];

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
    layout: ImageLayout,
    layouts: HashMap<String, ImageLayout>,
    check: bool,
    fuse_lstm: bool,
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
    pub fn new() -> Self {
        Self {
            inputs: Vec::new(),
            outputs: Vec::new(),
            dynamic_batch: true,
            layout: ImageLayout::Nchw,
            layouts: HashMap::new(),
            check: true,
            fuse_lstm: false,
        }
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

    /// The order of dimensions of the inputs and outputs that are images, those of four dimensions; Burn's by default.
    ///
    /// The forward pass is the same: with [`ImageLayout::Nhwc`] it still takes and gives `[N, C, H, W]`, and the file
    /// `[N, H, W, C]`, without a TRANSPOSE at either end.
    ///
    /// ```
    /// use burn::nn::conv::{Conv2d, Conv2dConfig};
    /// use burn::tensor::{Device, Tensor};
    /// use burnlite_export::{Exporter, ImageLayout};
    ///
    /// let device = Device::flex();
    /// let conv = Conv2dConfig::new([3, 8], [3, 3]).init(&device);
    /// let sample = Tensor::<4>::zeros([1, 3, 32, 32], &device);
    /// let model = Exporter::new().layout(ImageLayout::Nhwc).export(&conv, sample, Conv2d::forward)?;
    /// let graph = model.main()?;
    /// assert_eq!(graph.tensors[graph.inputs[0].index()].shape, [1, 32, 32, 3]);
    /// assert_eq!(graph.operators.len(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub const fn layout(mut self, layout: ImageLayout) -> Self {
        self.layout = layout;
        self
    }

    /// The order of dimensions of one input or output, of three or more dimensions: also that of a sequence, `[N, C, L]` or
    /// `[N, L, C]`.
    pub fn layout_of(mut self, name: impl Into<String>, layout: ImageLayout) -> Self {
        self.layouts.insert(name.into(), layout);
        self
    }

    /// Whether an LSTM becomes one operator, UNIDIRECTIONAL_SEQUENCE_LSTM, where it fits; by default it is written as its
    /// steps.
    ///
    /// The file is smaller, and it is another model: in LiteRT as in `burnlite-runtime` the operator keeps the layer's state,
    /// so that each run goes on where the last one ended. That suits a stream; a sequence of its own wants
    /// `Interpreter::reset_variables` before it (`reset_all_variables` in LiteRT). The state is of one batch, so the model
    /// takes that of the sample alone, as with [`dynamic_batch(false)`](Self::dynamic_batch). The quantizer leaves the
    /// operator float, while the steps become integers, in 8 bits as in 16x8.
    ///
    /// A layer fits if it is Burn's [`Lstm`](burn::nn::Lstm) or [`BiLstm`](burn::nn::BiLstm) with its default activations,
    /// without coupled gates, on sequences of two steps at least, from no given state; and if the cells that it returns are
    /// not used. Others are written as their steps, and start with zeros in every run. Clipped and reversed layers fit.
    ///
    /// ```
    /// use burn::nn::{Lstm, LstmConfig};
    /// use burn::tensor::{Device, Tensor};
    /// use burnlite_export::Exporter;
    ///
    /// let device = Device::flex();
    /// let layer = LstmConfig::new(4, 8, true).init(&device);
    /// let sample = Tensor::<3>::zeros([1, 10, 4], &device);
    /// let forward = |layer: &Lstm, x| layer.forward(x, None).0;
    /// let model = Exporter::new().fuse_lstm(true).export(&layer, sample, forward)?;
    /// let operators = &model.main()?.operators;
    /// assert_eq!(operators.len(), 1);
    /// assert_eq!(operators[0].op.name(), "UNIDIRECTIONAL_SEQUENCE_LSTM");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub const fn fuse_lstm(mut self, fuse_lstm: bool) -> Self {
        self.fuse_lstm = fuse_lstm;
        self
    }

    /// Whether [`save`](Self::save) runs the model and compares its outputs with Burn's; it does by default.
    pub const fn check(mut self, check: bool) -> Self {
        self.check = check;
        self
    }

    /// The model that computes what `forward` computes with `module`.
    ///
    /// `sample` gives the number of inputs, their shapes and their types; its values do not matter. `forward` is the
    /// module's own, or any closure: what it does with tensors is captured, operation by operation.
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
        self.export_explained(module, sample, forward).map(|(model, _)| model)
    }

    /// As [`export`](Self::export), with what each operation of the forward pass has become.
    ///
    /// ```
    /// use burn::nn::{Linear, LinearConfig};
    /// use burn::tensor::{Device, Tensor, activation::relu};
    /// use burnlite_export::Exporter;
    ///
    /// let device = Device::flex();
    /// let layer = LinearConfig::new(4, 2).init(&device);
    /// let sample = Tensor::<2>::zeros([1, 4], &device);
    /// let forward = |layer: &Linear, x| relu(layer.forward(x));
    /// let (_, lowerings) = Exporter::new().export_explained(&layer, sample, forward)?;
    /// let last = lowerings.last().expect("a relu");
    /// assert_eq!(last.operation, "Activation.Relu");
    /// assert!(last.operators.is_empty(), "it is part of the layer");
    /// # Ok::<(), burnlite_export::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`export`](Self::export).
    ///
    /// # Panics
    /// As [`export`](Self::export).
    pub fn export_explained<M, I, O, F>(
        &self,
        module: &M,
        sample: I,
        forward: F,
    ) -> Result<(Model<'static>, Vec<Lowering>), Error>
    where
        M: Module,
        I: Tensors,
        O: Tensors,
        F: Fn(&M, I) -> O,
    {
        let program = if self.dynamic_batch && !self.fuse_lstm {
            let marks: Vec<bool> = self.inputs.iter().map(|input| input.is_batched).collect();
            let capture = |size| capture(module, batched(sample.clone(), size, &marks)?, &forward);
            let program = |batches: (usize, usize)| {
                Program::batched([capture(batches.0)?, capture(batches.1)?], batches)
            };
            let [first, others @ ..] = BATCHES;
            let is_resolved =
                |program: &Result<Program, Error>| !matches!(program, Err(Error::BatchDependence { .. }));
            let program = match program(first) {
                Err(error @ Error::BatchDependence { .. }) => {
                    others.into_iter().map(program).find(is_resolved).unwrap_or(Err(error))
                }
                program => program,
            };
            program?
        } else {
            Program::fixed(capture(module, sample, &forward)?)
        };
        self.model(&program)
    }

    /// The model that computes what `forward` computes: [`export`](Self::export) without a module.
    ///
    /// # Errors
    /// As [`export`](Self::export).
    ///
    /// # Panics
    /// As [`export`](Self::export).
    pub fn export_function<I, O, F>(&self, sample: I, forward: F) -> Result<Model<'static>, Error>
    where
        I: Tensors,
        O: Tensors,
        F: Fn(I) -> O,
    {
        self.export(&NoModule, sample, |_: &NoModule, inputs| forward(inputs))
    }

    /// Writes the model of [`export`](Self::export) to a `.tflite` file, once it is known to compute what Burn computes.
    ///
    /// The model runs on `sample`, whose values matter here: give one with which the module does what it is made for. Each
    /// output must be within 1e-4 of its largest magnitude of Burn's, integers and booleans equal;
    /// [`check(false)`](Self::check) leaves the comparison out. The file is written beside its place and renamed.
    ///
    /// # Errors
    /// As [`export`](Self::export); those of [`verify`](Self::verify); [`Error::File`] where the file cannot be written.
    ///
    /// # Panics
    /// As [`export`](Self::export).
    pub fn save<M, I, O, F>(
        &self,
        path: impl AsRef<Path>,
        module: &M,
        sample: I,
        forward: F,
    ) -> Result<Model<'static>, Error>
    where
        M: Module,
        I: Tensors,
        O: Tensors,
        F: Fn(&M, I) -> O,
    {
        let model = self.export(module, sample.clone(), &forward)?;
        if self.check {
            self.verify(&model, module, sample, &forward)?;
        }
        burnlite_files::write(path, &model.to_bytes()?)?;
        Ok(model)
    }

    /// Runs an exported model on `sample` with `burnlite-runtime` and compares its outputs with Burn's.
    ///
    /// # Errors
    /// [`Error::Deviation`] names the first output that differs, and by how much; [`Error::NotRun`] where the runtime
    /// cannot run the model, for example one with floats of 64 bits.
    ///
    /// # Panics
    /// As [`export`](Self::export).
    pub fn verify<M, I, O, F>(
        &self,
        model: &Model<'_>,
        module: &M,
        sample: I,
        forward: F,
    ) -> Result<(), Error>
    where
        M: Module,
        I: Tensors,
        O: Tensors,
        F: Fn(&M, I) -> O,
    {
        check::check(model, module, sample, &forward, |name, rank| self.order(name, rank))
    }

    fn model(&self, program: &Program) -> Result<(Model<'static>, Vec<Lowering>), Error> {
        let inputs = self.inputs.iter().map(|input| input.name.clone()).collect();
        let inputs = names("input", inputs, program.inputs.len())?;
        let outputs = names("output", self.outputs.clone(), program.outputs.len())?;
        let reserved = [inputs.clone(), outputs.clone()].concat();

        if let Some(name) = self.layouts.keys().find(|name| !reserved.contains(name)) {
            return Err(Error::UnknownName { name: name.clone() });
        }

        let mut builder = Builder::new(program, &reserved);
        for (&(id, dtype), name) in program.inputs.iter().zip(&inputs) {
            let order = self.order(name, program.shape(id).0.len());
            builder.input(id, dtype, name, &order).map_err(|refusal| refusal.of_boundary("input", name))?;
        }
        let fused = if self.fuse_lstm { lstm::layers(program) } else { Vec::new() };
        let lowerings = lower(&mut builder, &fused)?;
        for (&id, name) in program.outputs.iter().zip(&outputs) {
            let order = self.order(name, program.shape(id).0.len());
            builder.output(id, name, &order).map_err(|refusal| refusal.of_boundary("output", name))?;
        }
        let graph = builder.finish();
        let signature = Signature {
            key: "serving_default".into(),
            inputs: inputs.into_iter().zip(graph.inputs.iter().copied()).collect(),
            outputs: outputs.into_iter().zip(graph.outputs.iter().copied()).collect(),
            graph: 0,
        };
        let description = concat!("burnlite-export ", env!("CARGO_PKG_VERSION")).into();
        let model = Model { description, signatures: vec![signature], ..Model::new(graph) };
        model.check()?;
        Ok((model, lowerings))
    }

    /// The order in which the file has the dimensions of an input or output.
    fn order(&self, name: &str, rank: usize) -> Vec<usize> {
        let of_images = if rank == 4 { self.layout } else { ImageLayout::Nchw };
        match self.layouts.get(name).copied().unwrap_or(of_images) {
            ImageLayout::Nchw => (0..rank).collect(),
            ImageLayout::Nhwc => layout::channels_last(rank),
        }
    }
}

/// A module without parameters.
#[derive(Module, Debug)]
struct NoModule;

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

#[cfg(test)]
mod tests;
