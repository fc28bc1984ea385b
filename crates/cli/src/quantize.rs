//! `burnlite quantize`.

use std::io::{self, Write};

use burnlite_quantize::{
    Calibration, CalibrationMethod, Comparison, Error as QuantizeError, IoType, Quantizer, Recipe, Report,
    Scheme,
};
use burnlite_tflite::Model;
use serde::Serialize;

use crate::arguments::{IoArgument, QuantizeArguments, Requirement, RoundingArgument};
use crate::calibrate;
use crate::debug;
use crate::error::Error;
use crate::files;
use crate::model_file::ModelFile;
use crate::shard::Shard;
use crate::table::grouped;

pub(crate) fn quantize(arguments: &QuantizeArguments, output: &mut dyn Write) -> Result<(), Error> {
    let file = ModelFile::open(&arguments.model)?;
    let model = file.model()?;
    let scheme = arguments.scheme.into();
    let io_types = (io_type_of(arguments.input_type, scheme)?, io_type_of(arguments.output_type, scheme)?);
    let calibration = calibration(&file, &model, scheme, arguments)?;
    let quantizer = quantizer(arguments, scheme, io_types, recipe(arguments)?);
    let quantized = match arguments.weight_rounding {
        RoundingArgument::Gptq => {
            let moments = calibrate::moments(&file, &model, &arguments.calibration, &arguments.float)?;
            quantizer.quantize_with_moments(&model, &calibration, &moments)
        }
        _ => quantizer.quantize(&model, &calibration),
    };
    let (quantized, report) = quantized.map_err(file.quantizer_fault())?;
    let bytes = quantized.to_bytes().map_err(|source| Error::Model { path: file.path.clone(), source })?;
    let written = ModelFile { path: arguments.output.clone(), bytes };
    let comparison = match arguments.samples.as_slice() {
        [] => None,
        arrays => Some(debug::compare(&file, &written, arrays, &arguments.float)?),
    };
    let done = Done {
        model: arguments.model.display().to_string(),
        output: arguments.output.display().to_string(),
        bytes_before: file.bytes.len(),
        bytes_after: written.bytes.len(),
        report: &report,
        comparison: comparison.as_ref(),
    };
    burnlite_files::write(&written.path, &written.bytes)?;
    if let Some(path) = &arguments.report {
        files::write_json(path, &done)?;
    }
    done.write(output).map_err(Error::Output)
}

/// What was done, and what it cost.
#[derive(Serialize)]
struct Done<'r> {
    model: String,
    output: String,
    /// Of the files.
    bytes_before: usize,
    bytes_after: usize,
    report: &'r Report,
    /// On fresh samples.
    comparison: Option<&'r Comparison>,
}

impl Done<'_> {
    fn write(&self, output: &mut dyn Write) -> io::Result<()> {
        let [before, after] = [self.bytes_before, self.bytes_after].map(|bytes| grouped(bytes as u64));
        writeln!(output, "{}: {after} bytes, before {before}", self.output)?;
        write!(output, "{}", self.report)?;
        self.comparison.map_or(Ok(()), |comparison| write!(output, "\n{comparison}"))
    }
}

/// The ranges of the model's activations, from wherever the arguments say.
fn calibration(
    file: &ModelFile,
    model: &Model<'_>,
    scheme: Scheme,
    arguments: &QuantizeArguments,
) -> Result<Calibration, Error> {
    let is_given = !arguments.calibration.is_empty() || !arguments.statistics.is_empty();
    let needs_none = matches!(scheme, Scheme::DynamicRange | Scheme::Float16);
    let distributions = arguments.ranges != CalibrationMethod::MinMax;
    let start = match is_given || needs_none {
        true => calibrate::blank(model, distributions),
        false => Calibration::from_model(model),
    };
    let mut calibration = start.map_err(|error| match error {
        QuantizeError::NotCalibrated => Error::NoRanges { path: file.path.clone() },
        error => file.quantizer_fault()(error),
    })?;
    calibrate::merge(&mut calibration, &arguments.statistics)?;
    if !arguments.calibration.is_empty() {
        let (arrays, all) = (&arguments.calibration, Shard::default());
        calibrate::extend(&mut calibration, file, model, arrays, all, &arguments.float)?;
    }
    Ok(calibration)
}

fn quantizer(
    arguments: &QuantizeArguments,
    scheme: Scheme,
    (input_type, output_type): (IoType, IoType),
    recipe: Recipe,
) -> Quantizer {
    let mut quantizer = Quantizer::new(scheme)
        .recipe(recipe)
        .compat(arguments.compat.into())
        .input_type(input_type)
        .output_type(output_type)
        .calibration_method(arguments.ranges)
        .weight_rounding(arguments.weight_rounding.into())
        .per_channel_dense(!arguments.per_tensor_dense)
        .int32_bias(arguments.int32_bias)
        .target(arguments.target.target())
        .integer_only(arguments.require == Some(Requirement::IntegerOnly));
    if let Some(headroom) = arguments.headroom {
        quantizer = quantizer.headroom(headroom);
    }
    if let Some(corrected) = arguments.bias_correction {
        quantizer = quantizer.bias_correction(corrected);
    }
    quantizer
}

/// The recipe of the file that the arguments name; otherwise one without rules.
fn recipe(arguments: &QuantizeArguments) -> Result<Recipe, Error> {
    let Some(path) = &arguments.recipe else { return Ok(Recipe::default()) };
    let fault = |source| Error::Recipe { path: path.clone(), source: Box::new(source) };
    toml::from_str(&files::text(path)?).map_err(fault)
}

fn io_type_of(argument: IoArgument, scheme: Scheme) -> Result<IoType, Error> {
    argument.of(scheme).ok_or(Error::IoType { scheme, io_type: argument.name() })
}
