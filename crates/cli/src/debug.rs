//! `burnlite debug`.

use std::io::Write;

use burnlite_quantize::Comparison;
use serde::Serialize;

use crate::arguments::{DebugArguments, FloatArguments};
use crate::error::Error;
use crate::feed::Feed;
use crate::files;
use crate::model_file::ModelFile;
use crate::progress::Progress;
use crate::table::grouped;

pub(crate) fn debug(arguments: &DebugArguments, output: &mut dyn Write) -> Result<(), Error> {
    let (float, quantized) = (ModelFile::open(&arguments.model)?, ModelFile::open(&arguments.quantized)?);
    let comparison = compare(&float, &quantized, &arguments.samples, &arguments.float)?;
    let files = [&float, &quantized];
    if let Some(path) = &arguments.json {
        let [model, quantized] = files.map(|file| file.path.display().to_string());
        let [bytes_before, bytes_after] = files.map(|file| file.bytes.len());
        files::write_json(
            path,
            &Debug { model, quantized, bytes_before, bytes_after, comparison: &comparison },
        )?;
    }
    for file in files {
        writeln!(output, "{}: {} bytes", file.path.display(), grouped(file.bytes.len() as u64))
            .map_err(Error::Output)?;
    }
    write!(output, "{comparison}").map_err(Error::Output)
}

#[derive(Serialize)]
struct Debug<'c> {
    model: String,
    quantized: String,
    /// Of the files.
    bytes_before: usize,
    bytes_after: usize,
    #[serde(flatten)]
    comparison: &'c Comparison,
}

/// Runs both models on the samples in arrays.
pub(crate) fn compare(
    float: &ModelFile,
    quantized: &ModelFile,
    arrays: &[String],
    arguments: &FloatArguments,
) -> Result<Comparison, Error> {
    let (mut model, mut quantized_model) = (float.model()?, quantized.model()?);
    let signature = arguments.model.signature.as_deref();
    let feed = Feed::samples(float, &mut model, signature, arrays)?;
    // The same arrays feed both; the second model gets their shapes.
    Feed::samples(quantized, &mut quantized_model, signature, arrays)?;
    let mut progress = Progress::new("comparing", feed.runs());
    let samples = (0..feed.runs()).map(|index| feed.sample(index));
    let compared =
        burnlite_quantize::compare(&model, &quantized_model, &arguments.options(), samples, |done| {
            progress.show(done);
        });
    drop(progress);
    compared.map_err(|error| {
        let file =
            if matches!(error, burnlite_quantize::Error::QuantizedRuntime(_)) { quantized } else { float };
        file.quantizer_fault()(error)
    })
}
