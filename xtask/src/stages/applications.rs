//! The four applications: trained, exported, quantized, measured, and shown.

mod gallery;
mod measure;
mod sound;

use std::time::Instant;

use anyhow::{Context, Result};
use burnlite_applications::{Application, Data, Sample};
use burnlite_quantize::{Calibration, Compat, Quantizer, Scheme};
use burnlite_tflite::Model;
use serde::{Deserialize, Serialize};

use crate::files::Folder;
use crate::report::{self, Chart, Series};
use crate::screen::{Screen, seconds};
use measure::{Outputs, outputs};

/// Training samples over which a float model is calibrated.
const CALIBRATION_SAMPLES: usize = 100;

/// What was asked for.
#[derive(Debug, Clone)]
pub struct ApplicationOptions {
    /// Which applications.
    pub applications: Vec<&'static Application>,
    /// Seed of data and weights.
    pub seed: u64,
    /// The percentage of the full number of samples, 1 to 100.
    pub effort: usize,
    /// Whether the report is opened.
    pub open: bool,
}

/// `applications.json`: what came out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ApplicationSummary {
    /// The application's name.
    pub name: String,
    /// `PSNR`, `PSNR-μ` or `SI-SDR`; all qualities are in dB.
    pub measure: String,
    /// Parameters of the network.
    pub parameters: usize,
    /// Seconds of training.
    pub train_seconds: f64,
    /// The quality without a network.
    pub baseline: f64,
    /// The models, the float one first.
    pub models: Vec<ModelQuality>,
}

/// One model of an application.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelQuality {
    /// `float32`, `16x8` or `int8`.
    pub name: String,
    /// The model's file.
    pub path: String,
    /// Bytes of the file.
    pub bytes: usize,
    /// Quality against the truth, in dB.
    pub quality: f64,
    /// Quality against the float model's output, in dB; none for the float model itself.
    pub to_float: Option<f64>,
    /// Median microseconds of a sample, on one thread.
    pub microseconds: f64,
}

/// Trains, exports, quantizes and measures applications; writes their models, sounds, `applications.json` and `report.html`.
///
/// # Errors
/// The training's, the exporter's, the quantizer's and the file system's.
pub fn applications(options: &ApplicationOptions, folder: &Folder, screen: &Screen) -> Result<()> {
    let mut summaries = Vec::new();
    let mut sections = Vec::new();
    for application in &options.applications {
        let (summary, section) = run(application, options, folder, screen)?;
        summaries.push(summary);
        sections.push(section);
    }
    folder.write_json("applications.json", &summaries)?;
    let content = minijinja::context! { seed => options.seed, applications => sections };
    folder.write("report.html", report::page("applications.html", content)?.as_bytes())?;
    let path = folder.join("report.html");
    screen.line(format!("\n  {}\n  {}", folder.join("applications.json").display(), path.display()));
    if options.open { report::open(&path) } else { Ok(()) }
}

/// What the report says of an application.
#[derive(Debug, Serialize)]
struct Section {
    title: &'static str,
    about: &'static str,
    baseline: &'static str,
    summary: ApplicationSummary,
    curve: String,
    examples: Vec<gallery::Example>,
}

fn run(
    application: &Application,
    options: &ApplicationOptions,
    folder: &Folder,
    screen: &Screen,
) -> Result<(ApplicationSummary, Section)> {
    screen.heading(application.title);
    let mut effort = application.effort;
    effort.train = (effort.train * options.effort / 100).max(1);
    let data = application.data(options.seed, effort);
    let start = Instant::now();
    let (model, curve) = train(application, &data, options.seed, screen)?;
    let train_seconds = start.elapsed();
    screen.line(format!("  trained on {} samples ({})", data.train.len(), seconds(train_seconds)));
    let models = models(&model, &data).with_context(|| application.name)?;
    let mut found: Vec<Outputs> = Vec::new();
    let mut qualities = Vec::new();
    for (name, model) in &models {
        let file = format!("{}_{name}.tflite", application.name);
        let bytes = model.to_bytes()?;
        folder.write(&file, &bytes)?;
        let path = folder.join(&file).display().to_string();
        let outputs = outputs(model, &data.test).with_context(|| format!("in '{path}'"))?;
        let float = found.first().unwrap_or(&outputs);
        qualities.push(ModelQuality {
            name: (*name).into(),
            path,
            bytes: bytes.len(),
            quality: quality(application, &data.test, &outputs),
            to_float: (!found.is_empty()).then(|| to_float(application, float, &outputs)),
            microseconds: outputs.microseconds,
        });
        found.push(outputs);
    }
    let baseline = application.quality.of(data.test.iter().map(|sample| (&sample.truth[..], &sample.baseline[..])));
    let summary = ApplicationSummary {
        name: application.name.into(),
        measure: application.quality.name().into(),
        parameters: parameters(&model)?,
        train_seconds: train_seconds.as_secs_f64(),
        baseline,
        models: qualities,
    };
    table(application, &summary, screen);
    let examples = gallery::examples(application, &data, &models, &found, folder)?;
    let chart = Chart { x: "step", y: "loss" };
    let section = Section {
        title: application.title,
        about: application.about,
        baseline: application.baseline,
        summary: summary.clone(),
        curve: chart.lines(&[Series { name: "training".into(), points: curve }])?,
        examples,
    };
    Ok((summary, section))
}

/// The exported model, and the mean loss of each twentieth of the training.
fn train(
    application: &Application,
    data: &Data,
    seed: u64,
    screen: &Screen,
) -> Result<(Model<'static>, Vec<(f64, f64)>)> {
    let mut losses: Vec<f32> = Vec::new();
    let bar = screen.bar("training", 0);
    let model = application.train(data, seed, |progress| {
        losses.push(progress.loss);
        bar.set_length(progress.steps as u64);
        bar.set_position(progress.step as u64);
        bar.set_message(format!("loss {:.5}", progress.loss));
    })?;
    bar.finish_and_clear();
    let part = losses.len().div_ceil(20).max(1);
    let mean = |(index, part_losses): (usize, &[f32])| {
        let mean = part_losses.iter().map(|&loss| f64::from(loss)).sum::<f64>() / part_losses.len() as f64;
        ((index * part) as f64 + part_losses.len() as f64 / 2.0, mean)
    };
    Ok((model, losses.chunks(part).enumerate().map(mean).collect()))
}

/// The float model and its integer ones.
fn models<'m>(model: &Model<'m>, data: &Data) -> Result<Vec<(&'static str, Model<'m>)>> {
    let samples = data.train.iter().take(CALIBRATION_SAMPLES).map(|sample| [&sample.input[..]]);
    let calibration = Calibration::run(model, samples, |_| ())?;
    let mut models = vec![("float32", model.clone())];
    for (name, scheme) in [("16x8", Scheme::Int16x8), ("int8", Scheme::Int8)] {
        let quantizer = Quantizer::new(scheme).compat(Compat::Best).integer_only(true);
        models.push((name, quantizer.quantize(model, &calibration)?.0));
    }
    Ok(models)
}

fn quality(application: &Application, test: &[Sample], outputs: &Outputs) -> f64 {
    let pairs = test.iter().zip(&outputs.values);
    application.quality.of(pairs.map(|(sample, output)| (&sample.truth[..], &output[..])))
}

fn to_float(application: &Application, float: &Outputs, outputs: &Outputs) -> f64 {
    let pairs = float.values.iter().zip(&outputs.values);
    application.quality.of(pairs.map(|(float, output)| (&float[..], &output[..])))
}

/// Elements of the constants that training made.
fn parameters(model: &Model<'_>) -> Result<usize> {
    let tensors = &model.main()?.tensors;
    let is_parameter = |tensor: &&burnlite_tflite::Tensor<'_>| {
        tensor.data.is_some() && tensor.element_type == burnlite_tflite::ElementType::Float32
    };
    Ok(tensors.iter().filter(is_parameter).map(|tensor| tensor.elements()).sum())
}

fn table(application: &Application, summary: &ApplicationSummary, screen: &Screen) {
    let (measure, baseline) = (&summary.measure, application.baseline);
    screen.line(format!("  {} parameters; {measure} of {baseline}: {:.2} dB", summary.parameters, summary.baseline));
    screen.line(format!("  {:<8} {:>8}  {:>9}  {:>9}  {:>10}", "model", "bytes", measure, "to float", "µs/sample"));
    for model in &summary.models {
        let to_float = model.to_float.map_or_else(String::new, |quality| format!("{quality:.2} dB"));
        screen.line(format!(
            "  {:<8} {:>8}  {:>6.2} dB  {to_float:>9}  {:>10.1}",
            model.name, model.bytes, model.quality, model.microseconds
        ));
    }
}
