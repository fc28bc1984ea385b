use std::time::Instant;

use anyhow::Result;
use burnlite_mnist::Digits;

use super::{TrainOptions, convert, evaluate, export, report, train};
use crate::files::Folder;
use crate::screen::{Screen, seconds};
use crate::summary::Summary;

/// Every stage in turn; writes `summary.json`, whose total time counts from `start`.
///
/// # Errors
/// The stages'.
pub fn tutorial(
    digits: &Digits,
    options: &TrainOptions,
    folder: &Folder,
    screen: &Screen,
    start: Instant,
) -> Result<()> {
    let training = train(digits, options, folder, screen)?;
    export(folder, screen)?;
    convert(digits, folder, screen)?;
    let models = evaluate(digits, folder, screen)?;
    let time = start.elapsed();
    let summary = Summary {
        dataset: training.dataset,
        seed: training.seed,
        epochs: training.epochs,
        backend: training.backend,
        train_seconds: training.train_seconds,
        total_seconds: time.as_secs_f64(),
        models,
    };
    folder.write_json("summary.json", &summary)?;
    report(digits, folder, screen)?;
    let (source, path) = (summary.dataset, folder.join("summary.json"));
    screen.line(format!("\n{} in all, with {source}; summary: {}", seconds(time), path.display()));
    Ok(())
}
