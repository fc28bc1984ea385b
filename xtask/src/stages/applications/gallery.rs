//! Some samples to look at and to listen to.

use anyhow::Result;
use burnlite_applications::{Application, Content, Data};
use burnlite_tflite::Model;
use serde::Serialize;

use super::measure::Outputs;
use super::sound;
use crate::files::Folder;
use crate::report::Picture;

/// Samples that are shown.
const EXAMPLES: usize = 4;
/// Windows of a recording that are heard in one piece: 4.1 s.
const WINDOWS: usize = 16;
/// Errors are shown this much larger.
const LOUPE: f32 = 20.0;

/// A sample with everything that is to be seen of it.
#[derive(Debug, Serialize)]
pub(super) struct Example {
    views: Vec<View>,
}

/// A picture, or a sound with its picture.
#[derive(Debug, Serialize)]
struct View {
    caption: String,
    picture: Picture,
    sound: Option<String>,
}

/// The first test samples: what went in, what can be had without a network, what each model gives, the truth, and maps of
/// what the integer models do otherwise than the float one. Sounds are also written as WAV files.
pub(super) fn examples(
    application: &Application,
    data: &Data,
    models: &[(&str, Model<'_>)],
    outputs: &[Outputs],
    folder: &Folder,
) -> Result<Vec<Example>> {
    let names = models.iter().map(|(name, _)| *name);
    let models: Vec<(&str, &Outputs)> = names.zip(outputs).collect();
    if application.content == Content::Sound {
        return recordings(application, data, &models, folder);
    }
    let shown = spread(data.test.len());
    shown.map(|index| pictures(application, data, &models, index)).collect()
}

/// The indices of a few samples from all over.
fn spread(samples: usize) -> impl Iterator<Item = usize> {
    (0..EXAMPLES.min(samples)).map(move |index| index * samples / EXAMPLES.min(samples).max(1))
}

fn pictures(
    application: &Application,
    data: &Data,
    models: &[(&str, &Outputs)],
    index: usize,
) -> Result<Example> {
    let sample = &data.test[index];
    let show = |caption: &str, values: &[f32], width: usize| -> Result<View> {
        let alt = format!("{}, sample {index}: {caption}", application.title);
        let picture = match application.content {
            Content::Radiance => {
                Picture::colour(width, &values.iter().map(|&value| tone(value)).collect::<Vec<_>>(), alt)?
            }
            _ => Picture::grey(width, values, alt)?,
        };
        Ok(View { caption: caption.into(), picture, sound: None })
    };
    let (input_width, width) = (data.input_shape[1], data.output_shape[1]);
    let mut views = vec![match application.content {
        // What a camera writes is meant to be looked at as it is.
        Content::Radiance => View {
            caption: "input".into(),
            picture: Picture::colour(input_width, &sample.input, format!("{}, sample {index}: input", application.title))?,
            sound: None,
        },
        _ => show("input", &sample.input, input_width)?,
    }];
    if sample.baseline != sample.input {
        views.push(show(application.baseline, &sample.baseline, width)?);
    }
    for (name, outputs) in models {
        views.push(show(name, &outputs.values[index], width)?);
    }
    views.push(show("truth", &sample.truth, width)?);
    let float = &models[0].1.values[index];
    for (name, outputs) in &models[1..] {
        let channels = data.output_shape[2];
        let caption = format!("{name} - float32, {LOUPE}x");
        let alt = format!("{}, sample {index}: {caption}", application.title);
        let error = difference(application, float, &outputs.values[index], channels);
        views.push(View { caption, picture: Picture::heat(width, &error, alt)?, sound: None });
    }
    Ok(Example { views })
}

/// How far two pictures are from each other as the eye sees them, pixel by pixel, under the loupe.
fn difference(application: &Application, a: &[f32], b: &[f32], channels: usize) -> Vec<f32> {
    let seen = |value: f32| if application.content == Content::Radiance { tone(value) } else { value };
    let pixels = a.chunks_exact(channels).zip(b.chunks_exact(channels));
    pixels
        .map(|(a, b)| {
            let largest = a.iter().zip(b).map(|(&a, &b)| (seen(a) - seen(b)).abs()).fold(0.0, f32::max);
            LOUPE * largest
        })
        .collect()
}

/// Radiance for a screen: `r / (1 + r)` and the screen's curve (Reinhard and others, 2002).
fn tone(radiance: f32) -> f32 {
    let radiance = radiance.max(0.0);
    (radiance / (1.0 + radiance)).powf(1.0 / 2.2)
}

fn recordings(
    application: &Application,
    data: &Data,
    models: &[(&str, &Outputs)],
    folder: &Folder,
) -> Result<Vec<Example>> {
    let recordings = (data.test.len() / WINDOWS).min(EXAMPLES);
    (0..recordings)
        .map(|recording| {
            let windows = recording * WINDOWS..(recording + 1) * WINDOWS;
            let test = &data.test[windows.clone()];
            let mut sounds: Vec<(&str, Vec<f32>)> =
                vec![("input", test.iter().flat_map(|sample| sample.input.clone()).collect())];
            sounds.extend(models.iter().map(|(name, outputs)| (*name, outputs.values[windows.clone()].concat())));
            sounds.push(("truth", test.iter().flat_map(|sample| sample.truth.clone()).collect()));
            let loudest = sounds[0].1.iter().fold(1e-3f32, |peak, value| peak.max(value.abs()));
            let view = |(name, sound): &(&str, Vec<f32>)| {
                let wav = sound::wav(sound)?;
                folder.write(&format!("{}_{recording}_{name}.wav", application.name), &wav)?;
                let alt = format!("spectrogram of recording {recording}: {name}");
                let picture = sound::spectrogram(sound, loudest, &alt)?;
                Ok(View { caption: (*name).into(), picture, sound: Some(sound::address(&wav)) })
            };
            Ok(Example { views: sounds.iter().map(view).collect::<Result<_>>()? })
        })
        .collect()
}
