//! Trials: a model, quantized by one recipe after the other, against its floats.

use burnlite_runtime::{Interpreter, InterpreterOptions};
use burnlite_tflite::{ElementType, Model};

use super::cost;
use super::proposal::Outcome;
use crate::calibrate::{Sample, run_sample};
use crate::comparison::Difference;
use crate::{Calibration, Error, Recipe, SampleFault, Search};

/// What every trial needs.
pub(super) struct Trials<'t, 'm, I> {
    search: &'t Search,
    model: &'t Model<'m>,
    calibration: &'t Calibration,
    options: &'t InterpreterOptions,
    samples: I,
    /// The positions of the outputs that are real numbers.
    outputs: Vec<usize>,
    /// Their floats: for each sample those of each output.
    floats: Vec<Vec<Vec<f64>>>,
}

impl<'t, 'm, S: Sample, I: IntoIterator<Item = S> + Clone> Trials<'t, 'm, I> {
    /// Runs the float model on all samples.
    pub(super) fn new(
        search: &'t Search,
        model: &'t Model<'m>,
        calibration: &'t Calibration,
        options: &'t InterpreterOptions,
        samples: I,
    ) -> Result<Self, Error> {
        let interpreter = Interpreter::with_options(model, options)?;
        let is_real = |&position: &usize| {
            let output = interpreter.outputs().nth(position);
            output.is_some_and(|output| output.element_type == ElementType::Float32)
        };
        let outputs: Vec<usize> = (0..interpreter.outputs().len()).filter(is_real).collect();
        if outputs.is_empty() {
            return Err(Error::Incomparable);
        }
        let floats = Vec::new();
        let mut trials = Self { search, model, calibration, options, samples, outputs, floats };
        let mut floats = Vec::new();
        trials.for_each_sample(interpreter, |_, outputs| floats.push(outputs))?;
        if floats.is_empty() {
            return Err(Error::NoSamples);
        }
        trials.floats = floats;
        Ok(trials)
    }

    /// What becomes of the model by a recipe.
    pub(super) fn outcome(&mut self, recipe: Recipe) -> Result<Outcome, Error> {
        let quantizer = self.search.quantizer.clone().recipe(recipe);
        let (quantized, report) = quantizer.quantize(self.model, self.calibration)?;
        let interpreter =
            Interpreter::with_options(&quantized, self.options).map_err(Error::QuantizedRuntime)?;
        let mut differences = vec![Difference::default(); self.outputs.len()];
        self.for_each_sample(interpreter, |sample, outputs| {
            for (difference, (float, found)) in
                differences.iter_mut().zip(self.floats[sample].iter().zip(&outputs))
            {
                difference.add(float, found, 1);
            }
        })?;
        Ok(Outcome {
            snr_db: worst_snr(&differences),
            constant_bytes: report.constant_bytes_after,
            time: cost::time(quantized.main()?, self.search.pace),
        })
    }

    /// Runs a model on every sample and shows the outputs, with the number of the sample.
    fn for_each_sample(
        &self,
        mut interpreter: Interpreter<'_>,
        mut observe: impl FnMut(usize, Vec<Vec<f64>>),
    ) -> Result<(), Error> {
        for (number, sample) in self.samples.clone().into_iter().enumerate() {
            let in_sample = |fault| Error::Sample { sample: number, fault };
            run_sample(&mut interpreter, &sample).map_err(in_sample)?;
            let outputs = self.outputs.iter().map(|&position| output(&interpreter, position));
            let outputs: Result<_, SampleFault> = outputs.collect();
            observe(number, outputs.map_err(in_sample)?);
        }
        Ok(())
    }
}

/// The real numbers of an output.
fn output(interpreter: &Interpreter<'_>, position: usize) -> Result<Vec<f64>, SampleFault> {
    let elements = interpreter.outputs().nth(position).map_or(0, |output| output.shape.iter().product());
    let mut values = vec![0f32; elements];
    interpreter.output_real(position, &mut values)?;
    Ok(values.into_iter().map(f64::from).collect())
}

/// The least SNR of all outputs that differ at all; `None` where none does.
fn worst_snr(differences: &[Difference]) -> Option<f64> {
    let measures = differences.iter().map(Difference::measures).filter(|measures| !measures.identical);
    // Outputs without power that differ, or that are not numbers, are as wrong as can be.
    measures.map(|measures| measures.snr_db.unwrap_or(f64::MIN)).reduce(f64::min)
}
