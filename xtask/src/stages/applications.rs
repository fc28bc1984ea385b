//! The four applications: trained, exported, quantized, measured, and shown.

mod gallery;
mod measure;
mod sound;
mod summary;
mod variants;

use std::time::Instant;

use anyhow::{Context, Result};
use burnlite_applications::{Application, Data};
use burnlite_quantize::LayerSensitivity;
use burnlite_tflite::{ElementType, Model, Tensor};
use serde::Serialize;

use crate::files::Folder;
use crate::report::{self, Bars, Chart, Series};
use crate::screen::{Screen, seconds};
use gallery::Example;
use measure::Measured;
pub use summary::{ApplicationSummary, ApplicationsSummary, ModelQuality};
use variants::Variants;

/// The models' names, in their order; not every application has a mixed one.
const MODELS: [&str; 4] = ["float32", "16x8", "int8", "mixed"];

/// What was asked for.
#[derive(Debug, Clone)]
pub struct ApplicationOptions {
    /// Which applications.
    pub applications: Vec<&'static Application>,
    /// Seed of data and weights.
    pub seed: u64,
    /// The percentage of the full number of training samples, 1 to 100.
    pub effort: usize,
}

/// Trains, exports, quantizes and measures applications; writes their models, sounds, `summary.json` and `report.html`.
///
/// # Errors
/// The training's, the exporter's, the quantizer's and the file system's.
pub fn applications(
    options: &ApplicationOptions,
    folder: &Folder,
    screen: &Screen,
) -> Result<ApplicationsSummary> {
    folder.forget(&["summary.json", "report.html"])?;
    let mut summary =
        ApplicationsSummary { seed: options.seed, effort: options.effort, applications: Vec::new() };
    let mut sections = Vec::new();
    for application in &options.applications {
        let section = run(application, options, folder, screen).with_context(|| application.name)?;
        summary.applications.push(section.summary.clone());
        sections.push(section);
    }
    folder.write_json("summary.json", &summary)?;
    let lost = lost(&sections)?;
    let (seed, effort) = (options.seed, options.effort);
    let content = Content { seed, effort, models: MODELS, lost, applications: sections };
    folder.write("report.html", report::page("applications.html", content)?.as_bytes())?;
    let path = folder.join("report.html");
    screen.line(format!(
        "\n  summary: {}\n  report: {}",
        folder.join("summary.json").display(),
        path.display()
    ));
    Ok(summary)
}

/// What the report is filled in with.
#[derive(Debug, Serialize)]
struct Content {
    seed: u64,
    effort: usize,
    models: [&'static str; 4],
    lost: String,
    applications: Vec<Section>,
}

/// What the report says of an application.
#[derive(Debug, Serialize)]
struct Section {
    title: &'static str,
    about: &'static str,
    baseline: &'static str,
    summary: ApplicationSummary,
    /// The layers of the float model with the precisions that the mixed one has, where there is one.
    layers: Vec<LayerSensitivity>,
    curve: String,
    examples: Vec<Example>,
}

/// Everything for one application.
fn run(
    application: &'static Application,
    options: &ApplicationOptions,
    folder: &Folder,
    screen: &Screen,
) -> Result<Section> {
    screen.heading(application.title);
    let mut effort = application.effort;
    effort.train = (effort.train * options.effort / 100).max(1);
    let data = application.data(options.seed, effort);
    let start = Instant::now();
    let (model, curve) = train(application, &data, options.seed, effort.epochs, screen)?;
    let train_time = start.elapsed();
    screen.line(format!("  trained on {} samples ({})", data.train.len(), seconds(train_time)));
    let Variants { models, proposal } = Variants::new(application, &model, &data)?;
    let measured = models
        .iter()
        .map(|(name, model)| Measured::new(application, name, model, &data.test, folder))
        .collect::<Result<Vec<_>>>()?;
    let baselines = data.test.iter().map(|sample| (&sample.truth[..], &sample.baseline[..]));
    let summary = ApplicationSummary {
        name: application.name.into(),
        measure: application.quality.name().into(),
        parameters: parameters(&model)?,
        train_seconds: train_time.as_secs_f64(),
        baseline: application.quality.of(baselines),
        models: measured.iter().map(|model| model.summary(application, &data.test, &measured[0])).collect(),
    };
    table(application, &summary, screen);
    Ok(Section {
        title: application.title,
        about: application.about,
        baseline: application.baseline,
        examples: gallery::examples(application, &data, &measured, folder)?,
        curve: Chart { x: "step", y: "loss" }.lines(&[Series { name: "training".into(), points: curve }])?,
        layers: proposal.map_or_else(Vec::new, |proposal| proposal.layers),
        summary,
    })
}

/// What quantization takes from the quality of each application.
fn lost(sections: &[Section]) -> Result<String> {
    let titles: Vec<&str> = sections.iter().map(|section| section.title).collect();
    let lost = |name: &str, section: &Section| {
        let models = &section.summary.models;
        let model = models.iter().find(|model| model.name == name)?;
        Some((models[0].quality - model.quality).max(0.0))
    };
    let bars = MODELS[1..]
        .iter()
        .map(|name| Bars { name, values: sections.iter().map(|section| lost(name, section)).collect() });
    Chart { x: "dB lost", y: "" }.bars(&titles, &bars.collect::<Vec<_>>(), 2)
}

/// The exported model, and the mean loss of each fortieth of the training.
fn train(
    application: &Application,
    data: &Data,
    seed: u64,
    epochs: usize,
    screen: &Screen,
) -> Result<(Model<'static>, Vec<(f64, f64)>)> {
    let mut losses: Vec<f32> = Vec::new();
    let bar = screen.bar("training", 0);
    let model = application.train(data, seed, epochs, |progress| {
        losses.push(progress.loss);
        bar.set_length(progress.steps as u64);
        bar.set_position(progress.step as u64);
        bar.set_message(format!("loss {:.5}", progress.loss));
    })?;
    bar.finish_and_clear();
    let part = losses.len().div_ceil(40).max(1);
    let mean = |(index, losses): (usize, &[f32])| {
        let mean = losses.iter().map(|&loss| f64::from(loss)).sum::<f64>() / losses.len() as f64;
        ((index * part) as f64 + losses.len() as f64 / 2.0, mean)
    };
    Ok((model, losses.chunks(part).enumerate().map(mean).collect()))
}

/// Elements of the constants that training made.
fn parameters(model: &Model<'_>) -> Result<usize> {
    let is_parameter =
        |tensor: &&Tensor<'_>| tensor.data.is_some() && tensor.element_type == ElementType::Float32;
    Ok(model.main()?.tensors.iter().filter(is_parameter).map(|tensor| tensor.elements()).sum())
}

fn table(application: &Application, summary: &ApplicationSummary, screen: &Screen) {
    let (measure, baseline) = (&summary.measure, application.baseline);
    screen.line(format!(
        "  {} parameters; {measure} of {baseline}: {:.2} dB",
        summary.parameters, summary.baseline
    ));
    screen.line(format!(
        "  {:<8} {:>8}  {:>9}  {:>9}  {:>10}",
        "model", "bytes", measure, "to float", "µs/sample"
    ));
    for model in &summary.models {
        let to_float = model.to_float.map_or_else(String::new, |quality| format!("{quality:.2} dB"));
        screen.line(format!(
            "  {:<8} {:>8}  {:>6.2} dB  {to_float:>9}  {:>10.1}",
            model.name, model.bytes, model.quality, model.microseconds
        ));
    }
}
