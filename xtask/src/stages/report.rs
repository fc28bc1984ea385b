use std::path::PathBuf;

use anyhow::Result;
use burnlite_mnist::{Digits, SIDE};
use burnlite_quantize::{Bounds, Calibration};
use burnlite_tflite::{Model, TensorId};
use serde::Serialize;

use crate::files::Folder;
use crate::models::ModelKind;
use crate::report::{self, Bars, Chart, Picture, Series};
use crate::screen::Screen;
use crate::summary::{CurvePoint, Evaluation, ImageAnswers, ModelSummary, Training};

/// Bars of a histogram.
const BARS: usize = 64;

/// Shows what the other stages found; writes `report.html` and gives its path.
///
/// # Errors
/// Where a stage has not left its file, and the file system's.
pub fn report(digits: &Digits, folder: &Folder, screen: &Screen) -> Result<PathBuf> {
    let (training, evaluation, calibration) =
        (folder.training()?, folder.evaluation()?, folder.calibration()?);
    let bytes = folder.model_bytes(&ModelKind::FLOAT32)?;
    let float = Model::from_bytes(&bytes)?;
    let content = Content {
        images: evaluation
            .images
            .iter()
            .map(|image| shown(image, &evaluation, digits))
            .collect::<Result<_>>()?,
        test_images: digits.test.len(),
        charts: Charts::new(&training, &evaluation.models)?,
        tensors: tensors(&float, &calibration)?,
        calibration_samples: calibration.samples(),
        dataset: training.dataset.to_string(),
        training,
        evaluation,
    };
    folder.write("report.html", report::page("tutorial.html", content)?.as_bytes())?;
    let path = folder.join("report.html");
    screen.line(format!("\n  report: {}", path.display()));
    Ok(path)
}

/// What the page is filled in with.
#[derive(Debug, Serialize)]
struct Content {
    dataset: String,
    training: Training,
    evaluation: Evaluation,
    test_images: usize,
    images: Vec<ShownImage>,
    charts: Charts,
    tensors: Vec<ShownTensor>,
    calibration_samples: usize,
}

/// A digit with what the models see in it.
#[derive(Debug, Serialize)]
struct ShownImage {
    picture: Picture,
    index: usize,
    digit: u8,
    answers: Vec<Answer>,
}

#[derive(Debug, Serialize)]
struct Answer {
    model: String,
    digit: u8,
    is_right: bool,
}

#[derive(Debug, Serialize)]
struct Charts {
    loss: String,
    accuracy: String,
    bytes: String,
    microseconds: String,
    snr: String,
}

/// An activation in calibration.
#[derive(Debug, Serialize)]
struct ShownTensor {
    name: String,
    shape: String,
    min: f32,
    max: f32,
    values: u64,
    histogram: String,
}

fn shown(image: &ImageAnswers, evaluation: &Evaluation, digits: &Digits) -> Result<ShownImage> {
    let &ImageAnswers { index, digit, ref answers } = image;
    let answer = |(model, &answer): (&ModelSummary, &u8)| Answer {
        model: model.name.clone(),
        digit: answer,
        is_right: answer == digit,
    };
    Ok(ShownImage {
        picture: Picture::grey(
            SIDE,
            &digits.test.normalized(index),
            format!("test image {index}, a {digit}"),
        )?,
        index,
        digit,
        answers: evaluation.models.iter().zip(answers).map(answer).collect(),
    })
}

impl Charts {
    fn new(training: &Training, models: &[ModelSummary]) -> Result<Self> {
        let names: Vec<&str> = models.iter().map(|model| &model.name[..]).collect();
        let curve = |y, value: fn(&CurvePoint) -> f64| {
            let points = training.curve.iter().map(|point| (point.step as f64, value(point))).collect();
            Chart { x: "step", y }.lines(&[Series { name: y.into(), points }])
        };
        let of_models = |x, digits, value: fn(&ModelSummary) -> f64| {
            let values = models.iter().map(|model| Some(value(model))).collect();
            Chart { x, y: "" }.bars(&names, &[Bars { name: x, values }], digits)
        };
        Ok(Self {
            loss: curve("cross-entropy", |point| point.loss)?,
            accuracy: curve("accuracy", |point| point.accuracy)?,
            bytes: of_models("bytes", 0, |model| model.bytes as f64)?,
            microseconds: of_models("µs per image, one thread", 1, |model| model.microseconds_per_image)?,
            snr: snr(models)?,
        })
    }
}

/// The signal-to-noise ratio of each layer, in 16x8 and in int8.
fn snr(models: &[ModelSummary]) -> Result<String> {
    let compared: Vec<&ModelSummary> =
        models.iter().filter(|model| ["16x8", "int8"].contains(&&model.name[..])).collect();
    let layers = compared.first().map_or(&[][..], |model| &model.layers);
    let names: Vec<&str> = layers.iter().map(|layer| &layer.name[..]).collect();
    let bars = compared.iter().map(|model| Bars {
        name: &model.name,
        values: names
            .iter()
            .map(|name| model.layers.iter().find(|layer| layer.name == *name)?.snr_db)
            .collect(),
    });
    Chart { x: "signal-to-noise ratio, dB", y: "" }.bars(&names, &bars.collect::<Vec<_>>(), 1)
}

/// The activations that calibration saw, in the order of the file.
fn tensors(float: &Model<'_>, calibration: &Calibration) -> Result<Vec<ShownTensor>> {
    let graph = float.main()?;
    let outputs = graph.operators.iter().flat_map(|operator| &operator.outputs);
    let shown = |&id: &TensorId| {
        let (tensor, range) = (graph.tensor(id)?, calibration.range(id)?);
        let bins = calibration.histogram(id)?;
        let histogram = Chart { x: "value", y: "log₁₀ (values + 1)" }.histogram(&joined(&bins, range));
        Some(histogram.map(|histogram| ShownTensor {
            name: tensor.name.clone(),
            shape: format!("{:?}", tensor.shape),
            min: range.min,
            max: range.max,
            values: bins.iter().map(|bin| bin.1).sum(),
            histogram,
        }))
    };
    graph.inputs.iter().chain(outputs).filter_map(shown).collect()
}

/// The counts of fine bins in [`BARS`] of one width.
fn joined(bins: &[(Bounds, u64)], range: Bounds) -> Vec<(f64, f64, u64)> {
    let low = f64::from(range.min);
    let width = (f64::from(range.max) - low).max(f64::MIN_POSITIVE) / BARS as f64;
    let mut counts = [0; BARS];
    for (bounds, count) in bins {
        let middle = (f64::from(bounds.min) + f64::from(bounds.max)) / 2.0;
        counts[(((middle - low) / width) as usize).min(BARS - 1)] += count;
    }
    let bar = |(index, count)| (low + index as f64 * width, low + (index as f64 + 1.0) * width, count);
    counts.into_iter().enumerate().map(bar).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn joined_bins_have_all_values() {
        let bin = |min: f32| (Bounds { min, max: min + 0.25 }, 3);
        let bars = joined(&[bin(-1.0), bin(0.0), bin(3.0)], Bounds { min: -0.9, max: 3.1 });
        assert_eq!(bars.len(), BARS);
        assert_eq!(bars.iter().map(|bar| bar.2).sum::<u64>(), 9);
        assert!((bars[0].0 + 0.9).abs() < 1e-6 && (bars[BARS - 1].1 - 3.1).abs() < 1e-6);
        assert_eq!((bars[0].2, bars[BARS - 1].2), (3, 3));
    }
}
