use std::time::Instant;

use anyhow::{Context, Result};
use burnlite_mnist::Digits;
use burnlite_tflite::Model;

use crate::files::{EVALUATIONS, Folder};
use crate::models::{CALIBRATION_IMAGES, ModelKind, calibrated, quantized};
use crate::screen::{Screen, seconds};

/// Calibrates the float model over the first training images and converts it; writes `calibration.json` and the four
/// integer models.
///
/// # Errors
/// Where the float model is missing or cannot be quantized, and the file system's.
pub fn convert(digits: &Digits, folder: &Folder, screen: &Screen) -> Result<()> {
    screen.heading("Convert to 16x8 and int8");
    let start = Instant::now();
    let bytes = folder.model_bytes(&ModelKind::FLOAT32)?;
    let float = || format!("in '{}'", folder.join(&ModelKind::FLOAT32.file_name()).display());
    let model = Model::from_bytes(&bytes).with_context(float)?;
    let bar = screen.bar("calibrating", CALIBRATION_IMAGES as u64);
    let calibration = calibrated(&model, &digits.train, |samples| bar.set_position(samples as u64));
    let calibration = calibration.with_context(float)?;
    bar.finish_and_clear();
    let models = quantized(&model, &calibration).with_context(float)?;
    let source = digits.source();
    screen.line(format!(
        "  calibrated over the first {CALIBRATION_IMAGES} training images of {source} ({})",
        seconds(start.elapsed())
    ));
    folder.forget(EVALUATIONS)?;
    folder.write("calibration.json", calibration.to_json().as_bytes())?;
    folder.write_models(&models)?;
    for (kind, _) in &models {
        screen.line(format!("  {:14} {}", kind.name, folder.join(&kind.file_name()).display()));
    }
    Ok(())
}
