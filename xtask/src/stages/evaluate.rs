use std::time::Instant;

use anyhow::{Context, Result};
use burnlite_mnist::{CLASSES, Dataset, Digits, PIXELS};
use burnlite_quantize::{Calibration, LayerComparison, compare};
use burnlite_runtime::{Error, Interpreter};
use burnlite_tflite::Model;
use indicatif::ProgressBar;
use rayon::prelude::*;

use crate::files::Folder;
use crate::models::ModelKind;
use crate::picture;
use crate::screen::Screen;
use crate::summary::{Evaluation, ImageAnswers, LayerSummary, ModelSummary};

/// Images on which a model is timed.
const TIMED_IMAGES: usize = 500;
/// Images on which layers are compared.
const COMPARED_IMAGES: usize = 100;

/// Runs all models on the test images; shows the first image and a table; writes `first_digit.png` and
/// `evaluation.json`.
///
/// # Errors
/// Where a model is missing or does not run, and the file system's.
pub fn evaluate(digits: &Digits, folder: &Folder, screen: &Screen) -> Result<Vec<ModelSummary>> {
    let test = &digits.test;
    let source = digits.source();
    screen.heading(&format!("Evaluate on {} test images of {source}", test.len()));
    let files: Vec<Vec<u8>> =
        ModelKind::ALL.iter().map(|kind| folder.model_bytes(kind)).collect::<Result<_>>()?;
    let bar = screen.bar("evaluating", (files.len() * test.len()) as u64);
    let mut models: Vec<ModelSummary> = Vec::new();
    let mut found: Vec<Vec<u8>> = Vec::new();
    let mut float: Option<Model<'_>> = None;
    for (kind, bytes) in ModelKind::ALL.iter().zip(&files) {
        let path = folder.join(&kind.file_name());
        let context = || format!("in '{}'", path.display());
        let model = Model::from_bytes(bytes).with_context(context)?;
        let interpreter = Interpreter::new(&model).with_context(context)?;
        bar.set_message(kind.name);
        let answers = answers(&interpreter, test, &bar).with_context(context)?;
        models.push(ModelSummary {
            name: kind.name.into(),
            path: path.display().to_string(),
            bytes: bytes.len(),
            accuracy: share(&answers, test.labels()),
            agreement: share(&answers, found.first().unwrap_or(&answers)),
            microseconds_per_image: microseconds(interpreter, test).with_context(context)?,
            confusion: confusion(&answers, test.labels()),
            layers: float
                .as_ref()
                .map_or(Ok(Vec::new()), |float| layers(float, &model, test))
                .with_context(context)?,
        });
        found.push(answers);
        float.get_or_insert(model);
    }
    bar.finish_and_clear();
    let images = images(&found, test);
    show_first(test, &images[0].answers, &source.to_string(), folder, screen)?;
    table(&models, &format!("on {} test images of {source}", test.len()), screen);
    folder.forget(&["report.html"])?;
    let evaluation = Evaluation { dataset: source, models, images };
    folder.write_json("evaluation.json", &evaluation)?;
    Ok(evaluation.models)
}

/// The first image, and every one on which the float and a 16x8 model disagree.
fn images(answers: &[Vec<u8>], test: &Dataset) -> Vec<ImageAnswers> {
    let float = &answers[0];
    let is_shown = |index: &usize| {
        let mut kinds = ModelKind::ALL.iter().zip(answers);
        *index == 0 || kinds.any(|(kind, answers)| kind.is_16x8() && answers[*index] != float[*index])
    };
    let image = |index: usize| ImageAnswers {
        index,
        digit: test.label(index),
        answers: answers.iter().map(|answers| answers[index]).collect(),
    };
    (0..test.len()).filter(is_shown).map(image).collect()
}

/// How many images of each digit were taken for each digit.
fn confusion(answers: &[u8], labels: &[u8]) -> Vec<Vec<usize>> {
    let mut counts = vec![vec![0; CLASSES]; CLASSES];
    for (&answer, &label) in answers.iter().zip(labels) {
        counts[usize::from(label)][usize::from(answer)] += 1;
    }
    counts
}

/// How far the layers of an integer model are from those of the float model, on images that calibration did not see.
fn layers(float: &Model<'_>, model: &Model<'_>, test: &Dataset) -> Result<Vec<LayerSummary>> {
    let samples = (0..test.len().min(COMPARED_IMAGES)).map(|index| [test.normalized(index)]);
    let options = Calibration::portable();
    let comparison = compare::<[[f32; PIXELS]; 1]>(float, model, &options, samples, |_| ())?;
    let layer = |layer: LayerComparison| LayerSummary {
        name: layer.name,
        snr_db: layer.measures.snr_db,
        weight_snr_db: layer.weight_snr_db,
    };
    Ok(comparison.layers.into_iter().map(layer).collect())
}

/// The digit that the model sees on each image, computed on all cores.
fn answers(interpreter: &Interpreter<'_>, test: &Dataset, bar: &ProgressBar) -> Result<Vec<u8>, Error> {
    let images: Vec<usize> = (0..test.len()).collect();
    let parts: Vec<Vec<u8>> = images
        .par_chunks(250)
        .map_init(
            || interpreter.clone(),
            |interpreter, indices| {
                bar.inc(indices.len() as u64);
                indices.iter().map(|&index| answer(interpreter, test, index)).collect::<Result<_, _>>()
            },
        )
        .collect::<Result<_, Error>>()?;
    Ok(parts.concat())
}

/// The digit whose logit is largest; the lower one of two that are equal.
fn answer(interpreter: &mut Interpreter<'_>, test: &Dataset, index: usize) -> Result<u8, Error> {
    let mut logits = [0.0; CLASSES];
    interpreter.set_input_real(0, &test.normalized(index))?;
    interpreter.invoke()?;
    interpreter.output_real(0, &mut logits)?;
    let largest =
        (0..).zip(logits).fold(
            (0, f32::NEG_INFINITY),
            |best: (u8, f32), (digit, logit)| {
                if logit > best.1 { (digit, logit) } else { best }
            },
        );
    Ok(largest.0)
}

/// The share of answers that are as expected: 0 to 1.
fn share(answers: &[u8], expected: &[u8]) -> f64 {
    let hits = answers.iter().zip(expected).filter(|(answer, expected)| answer == expected).count();
    hits as f64 / answers.len().max(1) as f64
}

/// Median microseconds of a run on one image, on one thread; setting the input is not counted.
fn microseconds(mut interpreter: Interpreter<'_>, test: &Dataset) -> Result<f64, Error> {
    let mut times = Vec::with_capacity(TIMED_IMAGES);
    for index in 0..test.len().min(TIMED_IMAGES) {
        interpreter.set_input_real(0, &test.normalized(index))?;
        let start = Instant::now();
        interpreter.invoke()?;
        times.push(start.elapsed().as_secs_f64() * 1e6);
    }
    times.sort_by(f64::total_cmp);
    Ok(times.get(times.len() / 2).copied().unwrap_or_default())
}

/// Draws the first test image in the terminal and as PNG, with its true digit and what each model sees.
fn show_first(test: &Dataset, answers: &[u8], source: &str, folder: &Folder, screen: &Screen) -> Result<()> {
    let image = test.image(0);
    for line in picture::text(image, screen.has_colors()) {
        screen.line(format!("  {line}"));
    }
    let mut caption = vec![format!("first test image of {source}"), format!("true digit: {}", test.label(0))];
    caption
        .extend(ModelKind::ALL.iter().zip(answers).map(|(kind, answer)| format!("{}: {answer}", kind.name)));
    screen.line(format!("  {}", caption.join(", ")));
    folder.write("first_digit.png", &picture::png(image, &caption)?)?;
    screen.line(format!("  picture: {}\n", folder.join("first_digit.png").display()));
    Ok(())
}

fn table(models: &[ModelSummary], title: &str, screen: &Screen) {
    let float_bytes = models.first().map_or(0, |model| model.bytes);
    screen.line(format!("  {title}:"));
    screen.line(format!(
        "  {:<26} {:>7}  {:>8}  {:>8}  {:>9}  {:>8}",
        "file", "bytes", "of float", "accuracy", "agreement", "µs/image"
    ));
    for model in models {
        screen.line(format!(
            "  {:<26} {:>7}  {:>7.1}%  {:>8.4}  {:>9.4}  {:>8.1}",
            format!("mnist_{}.tflite", model.name),
            model.bytes,
            100.0 * model.bytes as f64 / float_bytes.max(1) as f64,
            model.accuracy,
            model.agreement,
            model.microseconds_per_image
        ));
    }
}
