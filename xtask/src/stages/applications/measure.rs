//! What a model makes of samples, and how long it takes.

use std::time::Instant;

use anyhow::{Context, Result};
use burnlite_applications::{Application, Sample};
use burnlite_runtime::{Error, Interpreter};
use burnlite_tflite::Model;
use rayon::prelude::*;

use super::summary::ModelQuality;
use crate::files::Folder;

/// Runs on which a model is timed.
const TIMED: usize = 30;

/// A model that was written and run.
#[derive(Debug)]
pub(super) struct Measured {
    /// `float32`, `16x8`, `int8`, `mixed`.
    pub(super) name: &'static str,
    path: String,
    bytes: usize,
    /// The outputs for the samples, in their order.
    pub(super) outputs: Vec<Vec<f32>>,
    microseconds: f64,
}

impl Measured {
    /// Writes a model and runs it on the inputs of samples.
    pub(super) fn new(
        application: &Application,
        name: &'static str,
        model: &Model<'_>,
        samples: &[Sample],
        folder: &Folder,
    ) -> Result<Self> {
        let file = format!("{}_{name}.tflite", application.name);
        let bytes = model.to_bytes()?;
        folder.write(&file, &bytes)?;
        let path = folder.join(&file).display().to_string();
        let context = || format!("in '{path}'");
        let interpreter = Interpreter::new(model).with_context(context)?;
        let outputs = outputs(&interpreter, samples).with_context(context)?;
        let microseconds = microseconds(interpreter, samples).with_context(context)?;
        Ok(Self { name, path, bytes: bytes.len(), outputs, microseconds })
    }

    /// What is to be said of the model, beside the float one where it is another.
    pub(super) fn summary(
        &self,
        application: &Application,
        samples: &[Sample],
        float: &Self,
    ) -> ModelQuality {
        let truths = samples.iter().map(|sample| &sample.truth);
        ModelQuality {
            name: self.name.into(),
            path: self.path.clone(),
            bytes: self.bytes,
            quality: application.quality.of(pairs(truths, &self.outputs)),
            to_float: (self.name != float.name)
                .then(|| application.quality.of(pairs(float.outputs.iter(), &self.outputs))),
            microseconds: self.microseconds,
        }
    }
}

/// What should be beside what is.
pub(super) fn pairs<'v>(
    expected: impl Iterator<Item = &'v Vec<f32>>,
    found: &'v [Vec<f32>],
) -> impl Iterator<Item = (&'v [f32], &'v [f32])> {
    expected.zip(found).map(|(expected, found)| (&expected[..], &found[..]))
}

/// The outputs for samples, computed on all cores.
pub(super) fn outputs(interpreter: &Interpreter<'_>, samples: &[Sample]) -> Result<Vec<Vec<f32>>, Error> {
    let output = |interpreter: &mut Interpreter<'_>, sample: &Sample| {
        let mut output = vec![0.0; sample.truth.len()];
        interpreter.set_input_real(0, &sample.input)?;
        interpreter.invoke()?;
        interpreter.output_real(0, &mut output)?;
        Ok(output)
    };
    samples.par_iter().map_init(|| interpreter.clone(), output).collect()
}

/// Median microseconds of a run on one sample, on one thread; setting the input is not counted.
fn microseconds(mut interpreter: Interpreter<'_>, samples: &[Sample]) -> Result<f64, Error> {
    let mut times = Vec::with_capacity(TIMED);
    for sample in samples.iter().cycle().take(TIMED) {
        interpreter.set_input_real(0, &sample.input)?;
        let start = Instant::now();
        interpreter.invoke()?;
        times.push(start.elapsed().as_secs_f64() * 1e6);
    }
    times.sort_by(f64::total_cmp);
    Ok(times.get(times.len() / 2).copied().unwrap_or_default())
}
