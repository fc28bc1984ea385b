//! Trials: a model, quantized by one recipe after the other, against its floats.

use burnlite_runtime::{Interpreter, InterpreterOptions};
use burnlite_tflite::{ElementType, Model};

use super::cost;
use super::proposal::Outcome;
use crate::calibrate::{Sample, run_sample};
use crate::comparison::Difference;
use crate::{Calibration, Error, Precision, Recipe, SampleFault, Search, SecondMoments};

/// Outputs in dB against those of the float model, either for each sample those of each output; infinite for the same.
pub(super) type Measure<'m> = dyn Fn(&[Vec<Vec<f32>>], &[Vec<Vec<f32>>]) -> f64 + 'm;

/// What is quantized, by what is known of it, and how models run.
#[derive(Clone, Copy)]
pub(super) struct Source<'t, 'm> {
    pub(super) model: &'t Model<'m>,
    pub(super) calibration: &'t Calibration,
    pub(super) moments: Option<&'t SecondMoments>,
    pub(super) options: &'t InterpreterOptions,
}

/// What every trial needs.
pub(super) struct Trials<'t, 'm, I> {
    search: &'t Search,
    source: Source<'t, 'm>,
    samples: I,
    measure: &'t Measure<'t>,
    /// The positions of the outputs that are real numbers.
    outputs: Vec<usize>,
    /// Their floats.
    floats: Vec<Vec<Vec<f32>>>,
}

impl<'t, 'm, S: Sample, I: IntoIterator<Item = S> + Clone> Trials<'t, 'm, I> {
    /// Runs the float model on all samples.
    pub(super) fn new(
        search: &'t Search,
        source: Source<'t, 'm>,
        samples: I,
        measure: &'t Measure<'t>,
    ) -> Result<Self, Error> {
        let interpreter = Interpreter::with_options(source.model, source.options)?;
        let is_real = |&position: &usize| {
            let output = interpreter.outputs().nth(position);
            output.is_some_and(|output| output.element_type == ElementType::Float32)
        };
        let outputs: Vec<usize> = (0..interpreter.outputs().len()).filter(is_real).collect();
        if outputs.is_empty() {
            return Err(Error::Incomparable);
        }
        let mut trials = Self { search, source, samples, measure, outputs, floats: Vec::new() };
        trials.floats = trials.outputs(interpreter)?;
        if trials.floats.is_empty() {
            return Err(Error::NoSamples);
        }
        Ok(trials)
    }

    /// What becomes of the model by a recipe.
    pub(super) fn outcome(&mut self, recipe: Recipe) -> Result<Outcome, Error> {
        // What a layer alone costs is measured beside floats, whatever has to be integer in the end.
        let has_floats = recipe.rules().iter().any(|rule| rule.precision == Precision::Float32);
        let quantizer = self.search.quantizer.clone().recipe(recipe);
        let quantizer = if has_floats { quantizer.integer_only(false) } else { quantizer };
        let Source { model, calibration, moments, options } = self.source;
        let (quantized, report) = match moments {
            Some(moments) => quantizer.quantize_with_moments(model, calibration, moments)?,
            None => quantizer.quantize(model, calibration)?,
        };
        let interpreter = Interpreter::with_options(&quantized, options).map_err(Error::QuantizedRuntime)?;
        let snr = (self.measure)(&self.floats, &self.outputs(interpreter)?);
        // What is not a number is as wrong as can be.
        let snr = if snr.is_nan() { f64::MIN } else { snr };
        Ok(Outcome {
            snr_db: (snr < f64::INFINITY).then_some(snr),
            constant_bytes: report.constant_bytes_after,
            time: cost::time(quantized.main()?, self.search.pace),
        })
    }

    /// What a model gives for every sample.
    fn outputs(&self, mut interpreter: Interpreter<'_>) -> Result<Vec<Vec<Vec<f32>>>, Error> {
        let samples = self.samples.clone().into_iter().enumerate();
        let of_sample = |(number, sample): (usize, S)| {
            let in_sample = |fault| Error::Sample { sample: number, fault };
            run_sample(&mut interpreter, &sample).map_err(in_sample)?;
            let outputs = self.outputs.iter().map(|&position| output(&interpreter, position));
            outputs.collect::<Result<_, SampleFault>>().map_err(in_sample)
        };
        samples.map(of_sample).collect()
    }
}

/// The real numbers of an output.
fn output(interpreter: &Interpreter<'_>, position: usize) -> Result<Vec<f32>, SampleFault> {
    let elements = interpreter.outputs().nth(position).map_or(0, |output| output.shape.iter().product());
    let mut values = vec![0f32; elements];
    interpreter.output_real(position, &mut values)?;
    Ok(values)
}

/// The least SNR of all outputs that differ at all; infinite where none does.
pub(super) fn worst_snr(floats: &[Vec<Vec<f32>>], found: &[Vec<Vec<f32>>]) -> f64 {
    let mut differences = vec![Difference::default(); floats.first().map_or(0, Vec::len)];
    for (floats, found) in floats.iter().zip(found) {
        for (difference, values) in differences.iter_mut().zip(floats.iter().zip(found)) {
            let real = |values: &[f32]| values.iter().map(|&value| value.into()).collect::<Vec<f64>>();
            difference.add(&real(values.0), &real(values.1), 1);
        }
    }
    let measures = differences.iter().map(Difference::measures).filter(|measures| !measures.identical);
    // Outputs without power that differ, or that are not numbers, are as wrong as can be.
    measures.map(|measures| measures.snr_db.unwrap_or(f64::MIN)).fold(f64::INFINITY, f64::min)
}
