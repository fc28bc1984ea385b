use anyhow::Result;
use burnlite_mnist::{Backend, Digits, Trained, Training, TrainingOptions};

use crate::files::{EVALUATIONS, Folder};
use crate::screen::{Screen, seconds};
use crate::summary;

/// Steps between two checkpoints: most of a second.
const CHECKPOINT_STEPS: usize = 250;

/// What training is asked for.
#[derive(Debug, Clone, Copy, Default)]
pub struct TrainOptions {
    /// How to train.
    pub training: TrainingOptions,
    /// On what.
    pub backend: Backend,
    /// Whether to go on from the checkpoint that an interrupted training left, if there is one.
    pub resume: bool,
}

/// Trains the network; writes `network.bpk` and `training.json`, and until then `training.checkpoint`.
///
/// # Errors
/// The training's, and the file system's.
pub fn train(
    digits: &Digits,
    options: &TrainOptions,
    folder: &Folder,
    screen: &Screen,
) -> Result<summary::Training> {
    let TrainOptions { training: TrainingOptions { seed, epochs, .. }, backend, .. } = *options;
    screen.heading(&format!("Train on {} with Burn's {backend} backend", digits.source()));
    let training = begun(digits, options, folder, screen)?;
    let steps = training.steps_total();
    let trained = finished(training, folder, screen)?;
    for (index, score) in trained.epochs.iter().enumerate() {
        let (loss, accuracy) = (score.loss, score.accuracy);
        screen.line(format!("  epoch {}: loss {loss:.4}, accuracy {accuracy:.4}", index + 1));
    }
    let test = burnlite_mnist::evaluate(&trained.network, &digits.test)?;
    let images = digits.test.len();
    screen.line(format!(
        "  {} for {steps} steps; accuracy on {images} test images of {}: {:.4}",
        seconds(trained.time),
        digits.source(),
        test.accuracy
    ));
    let training = summary::Training {
        dataset: digits.source(),
        seed,
        epochs,
        backend: backend.to_string(),
        train_seconds: trained.time.as_secs_f64(),
        test_accuracy: test.accuracy,
        curve: trained.curve,
    };
    folder.forget(&["training.json"])?;
    folder.forget(EVALUATIONS)?;
    trained.network.save(folder.network())?;
    folder.write_json("training.json", &training)?;
    folder.forget(&["training.checkpoint"])?;
    screen.line(format!("  weights: {}", folder.network().display()));
    Ok(training)
}

/// A new training, or the one that was interrupted.
fn begun<'d>(
    digits: &'d Digits,
    options: &TrainOptions,
    folder: &Folder,
    screen: &Screen,
) -> Result<Training<'d>> {
    let (path, device) = (folder.checkpoint(), options.backend.device()?);
    if options.resume && path.exists() {
        let training = Training::resume(&path, &digits.train, &options.training, &device)?;
        screen.line(format!(
            "  resumed after {} of {} steps",
            training.steps_taken(),
            training.steps_total()
        ));
        return Ok(training);
    }
    if options.resume {
        screen.line("  no training was interrupted here: from the start");
    }
    Ok(Training::new(&digits.train, &options.training, &device)?)
}

/// Takes the steps that are left, and writes a checkpoint now and then.
fn finished(mut training: Training<'_>, folder: &Folder, screen: &Screen) -> Result<Trained> {
    let bar = screen.bar("training", training.steps_total() as u64);
    while let Some(progress) = training.step()? {
        bar.set_position(training.steps_taken() as u64);
        bar.set_message(format!(
            "epoch {}/{} loss {:.4} accuracy {:.4}",
            progress.epoch, progress.epochs, progress.score.loss, progress.score.accuracy
        ));
        if training.steps_taken().is_multiple_of(CHECKPOINT_STEPS) {
            training.save(folder.checkpoint())?;
        }
    }
    bar.finish_and_clear();
    Ok(training.finish())
}
