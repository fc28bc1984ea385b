//! `burnlite recipe`.

use std::io::Write;

use burnlite_quantize::{Cost, Proposal, Quantizer, Scheme, Search};
use serde::Serialize;

use crate::arguments::RecipeArguments;
use crate::calibrate;
use crate::error::Error;
use crate::feed::Feed;
use crate::files;
use crate::model_file::ModelFile;
use crate::progress::Progress;
use crate::shard::Shard;

pub(crate) fn recipe(arguments: &RecipeArguments, output: &mut dyn Write) -> Result<(), Error> {
    let file = ModelFile::open(&arguments.model)?;
    let proposal = search(&file, arguments)?;
    let written =
        toml::to_string(&proposal.recipe).map_err(|error| Error::Output(std::io::Error::other(error)))?;
    burnlite_files::write(&arguments.output, written.as_bytes())?;
    if let Some(path) = &arguments.json {
        let model = arguments.model.display().to_string();
        files::write_json(path, &Found { model, snr_db: arguments.snr, proposal: &proposal })?;
    }
    let path = arguments.output.display();
    let verdict = if proposal.is_reached { "reaches" } else { "does not reach" };
    write!(output, "{path}: {verdict} {} dB\n\n{proposal}", arguments.snr).map_err(Error::Output)
}

/// What was looked for, and what was found.
#[derive(Serialize)]
struct Found<'p> {
    model: String,
    snr_db: f64,
    #[serde(flatten)]
    proposal: &'p Proposal,
}

fn search(file: &ModelFile, arguments: &RecipeArguments) -> Result<Proposal, Error> {
    let mut model = file.model()?;
    let mut calibration = calibrate::blank(&model, false).map_err(file.quantizer_fault())?;
    calibrate::merge(&mut calibration, &arguments.statistics)?;
    if !arguments.calibration.is_empty() {
        let arrays = &arguments.calibration;
        calibrate::extend(&mut calibration, file, &model, arrays, Shard::default(), &arguments.float)?;
    }
    let search = Search::new(Quantizer::new(Scheme::Int8), arguments.snr).pace(arguments.pace.0);
    let search = match (arguments.bytes, arguments.time) {
        (Some(bytes), _) => search.cost(Cost::Bytes).at_most(bytes.into()),
        (None, Some(factor)) => search.at_most(factor),
        (None, None) => search,
    };
    // The model gets the shapes of the samples.
    let signature = arguments.float.model.signature.as_deref();
    let feed = Feed::samples(file, &mut model, signature, &arguments.samples)?;
    let samples = (0..feed.runs()).map(|index| feed.sample(index));
    let mut progress = Progress::new("measuring", 0);
    let found = search.run(&model, &calibration, &arguments.float.options(), samples, |done, total| {
        progress.show_of(done, total);
    });
    drop(progress);
    found.map_err(file.quantizer_fault())
}
