//! `burnlite calibrate`, and calibration for `burnlite quantize`.

use std::io::Write;
use std::path::PathBuf;

use burnlite_quantize::{Calibration, Error as QuantizeError, SecondMoments};
use burnlite_tflite::Model;

use crate::arguments::{CalibrateArguments, FloatArguments};
use crate::error::Error;
use crate::feed::Feed;
use crate::files;
use crate::model_file::ModelFile;
use crate::progress::Progress;
use crate::shard::Shard;

pub(crate) fn calibrate(arguments: &CalibrateArguments, output: &mut dyn Write) -> Result<(), Error> {
    let file = ModelFile::open(&arguments.model)?;
    let model = file.model()?;
    let mut calibration = blank(&model, arguments.distributions).map_err(file.quantizer_fault())?;
    merge(&mut calibration, &arguments.statistics)?;
    extend(&mut calibration, &file, &model, &arguments.samples, arguments.shard, &arguments.float)?;
    burnlite_files::write(&arguments.output, calibration.to_json().as_bytes())?;
    let samples = calibration.samples();
    writeln!(output, "{}: {samples} samples", arguments.output.display()).map_err(Error::Output)
}

/// A calibration of no samples.
pub(crate) fn blank(model: &Model<'_>, distributions: bool) -> Result<Calibration, QuantizeError> {
    if distributions { Calibration::with_distributions(model) } else { Calibration::empty(model) }
}

/// Adds what files of statistics have.
pub(crate) fn merge(calibration: &mut Calibration, paths: &[PathBuf]) -> Result<(), Error> {
    for path in paths {
        let fault = |source| Error::Quantizer { path: path.clone(), source: Box::new(source) };
        let statistics = Calibration::from_json(&files::text(path)?).map_err(fault)?;
        calibration.merge(&statistics).map_err(fault)?;
    }
    Ok(())
}

/// Goes on with a shard of the samples in arrays.
pub(crate) fn extend(
    calibration: &mut Calibration,
    file: &ModelFile,
    model: &Model<'_>,
    arrays: &[String],
    shard: Shard,
    arguments: &FloatArguments,
) -> Result<(), Error> {
    // The model gets the shapes of the samples; the one that is quantized keeps its own.
    let mut model = model.clone();
    let feed = Feed::samples(file, &mut model, arguments.model.signature.as_deref(), arrays)?;
    let range = shard.of(feed.runs());
    let first = range.start;
    let mut progress = Progress::new("calibrating", range.len());
    let samples = range.map(|index| feed.sample(index));
    let extended = calibration.extend(&model, &arguments.options(), samples, |done| progress.show(done));
    drop(progress);
    extended.map_err(|error| file.quantizer_fault()(of_shard(error, first)))
}

/// What GPTQ needs of all samples in arrays.
pub(crate) fn moments(
    file: &ModelFile,
    model: &Model<'_>,
    arrays: &[String],
    arguments: &FloatArguments,
) -> Result<SecondMoments, Error> {
    let mut model = model.clone();
    let feed = Feed::samples(file, &mut model, arguments.model.signature.as_deref(), arrays)?;
    let mut progress = Progress::new("measuring moments", feed.runs());
    let samples = (0..feed.runs()).map(|index| feed.sample(index));
    let moments = SecondMoments::run(&model, &arguments.options(), samples, |done| progress.show(done));
    drop(progress);
    moments.map_err(file.quantizer_fault())
}

/// The error with the number that the sample has among all.
fn of_shard(error: QuantizeError, first: usize) -> QuantizeError {
    match error {
        QuantizeError::Sample { sample, fault } => QuantizeError::Sample { sample: first + sample, fault },
        error => error,
    }
}
