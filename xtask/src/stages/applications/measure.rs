//! What a model makes of samples, and how long it takes.

use std::time::Instant;

use burnlite_applications::Sample;
use burnlite_runtime::{Error, Interpreter};
use burnlite_tflite::Model;
use rayon::prelude::*;

/// Samples on which a model is timed.
const TIMED: usize = 30;

/// The outputs for samples, in their order.
#[derive(Debug)]
pub(super) struct Outputs {
    pub(super) values: Vec<Vec<f32>>,
    /// Median microseconds of a sample, on one thread.
    pub(super) microseconds: f64,
}

/// Runs a model on the inputs of samples.
pub(super) fn outputs(model: &Model<'_>, samples: &[Sample]) -> Result<Outputs, Error> {
    let interpreter = Interpreter::new(model)?;
    let output = |interpreter: &mut Interpreter<'_>, sample: &Sample| {
        let mut output = vec![0.0; sample.truth.len()];
        interpreter.set_input_real(0, &sample.input)?;
        let start = Instant::now();
        interpreter.invoke()?;
        let time = start.elapsed();
        interpreter.output_real(0, &mut output)?;
        Ok((output, time))
    };
    let values = samples
        .par_iter()
        .map_init(|| interpreter.clone(), |interpreter, sample| Ok(output(interpreter, sample)?.0))
        .collect::<Result<_, Error>>()?;
    let mut alone = interpreter.clone();
    let times = samples.iter().cycle().take(TIMED).map(|sample| Ok(output(&mut alone, sample)?.1));
    let mut times = times.collect::<Result<Vec<_>, Error>>()?;
    times.sort_unstable();
    let median = times.get(times.len() / 2).copied().unwrap_or_default();
    Ok(Outputs { values, microseconds: median.as_secs_f64() * 1e6 })
}
