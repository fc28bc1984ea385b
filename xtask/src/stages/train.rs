use std::time::Instant;

use anyhow::{Context, Result};
use burnlite_mnist::{Backend, Digits, TrainingOptions};

use crate::files::{EVALUATIONS, Folder};
use crate::screen::{Screen, seconds};
use crate::summary::{CurvePoint, Training};

/// Points of the training's curve.
const CURVE_POINTS: usize = 100;

/// Trains the network; writes `network.bpk` and `training.json`.
///
/// # Errors
/// The training's, and the file system's.
pub fn train(
    digits: &Digits,
    options: &TrainingOptions,
    backend: Backend,
    folder: &Folder,
    screen: &Screen,
) -> Result<Training> {
    screen.heading(&format!("Train on {} with Burn's {backend} backend", digits.source()));
    let start = Instant::now();
    let device = backend.device()?;
    let steps = digits.train.len().div_ceil(options.batch_size) * options.epochs;
    let bar = screen.bar("training", steps as u64);
    let mut curve: Vec<CurvePoint> = Vec::new();
    let trained = burnlite_mnist::train(&digits.train, options, &device, |progress| {
        bar.inc(1);
        let (loss, accuracy) = (progress.score.loss, progress.score.accuracy);
        let step = (progress.epoch - 1) * progress.steps + progress.step;
        if step.is_multiple_of(steps.div_ceil(CURVE_POINTS)) || step == steps {
            curve.push(CurvePoint { step, loss, accuracy });
        }
        bar.set_message(format!(
            "epoch {}/{} loss {loss:.4} accuracy {accuracy:.4}",
            progress.epoch, progress.epochs
        ));
    })?;
    bar.finish_and_clear();
    let time = start.elapsed();
    for (index, score) in trained.epochs.iter().enumerate() {
        let (loss, accuracy) = (score.loss, score.accuracy);
        screen.line(format!("  epoch {}: loss {loss:.4}, accuracy {accuracy:.4}", index + 1));
    }
    let test = burnlite_mnist::evaluate(&trained.network, &digits.test)?;
    let images = digits.test.len();
    screen.line(format!(
        "  {} for {steps} steps; accuracy on {images} test images of {}: {:.4}",
        seconds(time),
        digits.source(),
        test.accuracy
    ));
    let training = Training {
        dataset: digits.source(),
        seed: options.seed,
        epochs: options.epochs,
        backend: backend.to_string(),
        train_seconds: time.as_secs_f64(),
        test_accuracy: test.accuracy,
        curve,
    };
    folder.forget(&["training.json"])?;
    folder.forget(EVALUATIONS)?;
    trained.network.save(folder.network()).context("saving the weights")?;
    folder.write_json("training.json", &training)?;
    screen.line(format!("  weights: {}", folder.network().display()));
    Ok(training)
}
