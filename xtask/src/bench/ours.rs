//! Our interpreter as a contestant.

use std::borrow::Cow;
use std::time::Instant;

use anyhow::{Context, Result};
use burnlite_runtime::{Interpreter, InterpreterOptions, Kernels};
use burnlite_tflite::{Model, Op, Tensor};

use super::race::Runner;

/// An interpreter with its input set.
pub(super) struct Ours<'m> {
    interpreter: Interpreter<'m>,
}

impl<'m> Ours<'m> {
    /// Plans the model and sets its first input.
    pub(super) fn new(model: &'m Model<'_>, input: &[f32], kernels: Kernels) -> Result<Self> {
        let options = InterpreterOptions { kernels, ..InterpreterOptions::default() };
        let mut interpreter = Interpreter::with_options(model, &options)?;
        interpreter.set_input_real(0, input)?;
        Ok(Self { interpreter })
    }

    /// What the model computes from its input, as real numbers.
    pub(super) fn output(&mut self) -> Result<Vec<f32>> {
        self.interpreter.invoke()?;
        let info = self.interpreter.outputs().next().context("the model has no output")?;
        let mut values = vec![0.0; info.shape.iter().product()];
        self.interpreter.output_real(0, &mut values)?;
        Ok(values)
    }
}

impl Runner for Ours<'_> {
    fn run(&mut self, times: usize) -> Result<Vec<f64>> {
        let mut microseconds = Vec::with_capacity(times);
        for _ in 0..times {
            let start = Instant::now();
            self.interpreter.invoke()?;
            microseconds.push(start.elapsed().as_secs_f64() * 1e6);
        }
        Ok(microseconds)
    }
}

/// A sample for a model's first input: reals spread evenly over [-1, 1), the same on every run.
pub(super) fn sample(model: &Model<'_>) -> Result<Vec<f32>> {
    const GOLDEN_RATIO: f64 = 1.618_033_988_749_895;
    let graph = model.main()?;
    let input = graph.inputs.first().and_then(|&id| graph.tensor(id)).context("the model has no input")?;
    let count: usize = input.shape.iter().product();
    Ok((0..count).map(|index| ((index as f64 * GOLDEN_RATIO).fract() * 2.0 - 1.0) as f32).collect())
}

/// The model with another batch than the 1 of its file: in whatever it computes, and in the constants that hold a result's
/// shape.
pub(super) fn with_batch<'a>(model: &Model<'a>, batch: usize) -> Result<Model<'a>> {
    let mut model = model.clone();
    let graph = model.graphs.first_mut().context("the model has no graph")?;
    for tensor in graph.tensors.iter_mut().filter(|tensor| tensor.data.is_none()) {
        if let Some(size) = tensor.shape.first_mut() {
            *size = batch;
        }
    }
    for operator in &graph.operators {
        let shape = match operator.op {
            Op::Reshape(_) => operator.inputs.get(1),
            Op::TransposeConv(_) => operator.inputs.first(),
            _ => None,
        };
        if let Some(&Some(id)) = shape {
            set_batch(&mut graph.tensors[id.index()], batch)?;
        }
    }
    Ok(model)
}

/// Sets the batch of a constant that holds a shape; -1 and what is computed stay.
fn set_batch(shape: &mut Tensor<'_>, batch: usize) -> Result<()> {
    if let Some(bytes) = shape.data.as_mut().filter(|bytes| bytes.starts_with(&1i32.to_le_bytes())) {
        let batch = i32::try_from(batch)?.to_le_bytes();
        *bytes = Cow::Owned([&batch, &bytes[batch.len()..]].concat());
    }
    Ok(())
}
