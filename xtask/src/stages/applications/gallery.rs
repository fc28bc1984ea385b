//! Some samples to look at and to listen to.

use anyhow::Result;
use burnlite_applications::{Application, Content, Data, Sample};
use serde::Serialize;

use super::measure::Measured;
use super::sound;
use crate::files::Folder;
use crate::report::Picture;

/// Pictures that are shown.
const PICTURES: usize = 4;
/// Recordings that are heard.
const RECORDINGS: usize = 2;
/// Windows of a recording, which are heard in one piece: 4.1 s.
const WINDOWS: usize = 16;
/// Errors of pictures are shown this much larger.
const LOUPE: f32 = 20.0;

/// A sample with everything that is to be seen of it.
#[derive(Debug, Serialize)]
pub(super) struct Example {
    views: Vec<View>,
    /// Of a sound: how long it is.
    seconds: Option<f64>,
}

/// A picture, or a sound with its picture.
#[derive(Debug, Serialize)]
struct View {
    caption: String,
    picture: Picture,
    sound: Option<String>,
}

/// Some test samples: what went in, what can be had without a network, what each model gives, the truth, and maps of what
/// the integer models do otherwise than the float one. Sounds are also written as WAV files.
pub(super) fn examples(
    application: &Application,
    data: &Data,
    models: &[Measured],
    folder: &Folder,
) -> Result<Vec<Example>> {
    if application.content == Content::Sound {
        let recordings = data.test.len() / WINDOWS;
        let shown = RECORDINGS.min(recordings);
        let numbers = (0..shown).map(|number| number * recordings / shown);
        return numbers.map(|number| recording(application, data, models, number, folder)).collect();
    }
    let shown = PICTURES.min(data.test.len());
    let indices = (0..shown).map(|number| number * data.test.len() / shown);
    indices.map(|index| Gallery { application, data, models, index }.example()).collect()
}

/// One picture and what becomes of it.
struct Gallery<'g> {
    application: &'g Application,
    data: &'g Data,
    models: &'g [Measured],
    index: usize,
}

impl Gallery<'_> {
    fn example(&self) -> Result<Example> {
        let Sample { input, truth, baseline } = &self.data.test[self.index];
        let is_radiance = self.application.content == Content::Radiance;
        // What a camera writes is meant to be looked at as it is.
        let input_seen = if is_radiance { input.clone() } else { self.seen(input) };
        let mut views = vec![self.view("input".into(), self.data.input_shape, &input_seen)?];
        if baseline != input {
            views.push(self.output(self.application.baseline, baseline)?);
        }
        for model in self.models {
            views.push(self.output(model.name, &model.outputs[self.index])?);
        }
        views.push(self.output("truth", truth)?);
        for model in &self.models[1..] {
            views.push(self.error(model)?);
        }
        Ok(Example { views, seconds: None })
    }

    fn output(&self, caption: &str, values: &[f32]) -> Result<View> {
        self.view(caption.into(), self.data.output_shape, &self.seen(values))
    }

    /// How far a model is from the float one, pixel by pixel, under the loupe.
    fn error(&self, model: &Measured) -> Result<View> {
        let [_, width, channels] = self.data.output_shape;
        let of = |model: &Measured| self.seen(&model.outputs[self.index]);
        let (float, found) = (of(&self.models[0]), of(model));
        let pixels = float.chunks_exact(channels).zip(found.chunks_exact(channels));
        let largest =
            |(a, b): (&[f32], &[f32])| a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        let errors: Vec<f32> = pixels.map(|pair| LOUPE * largest(pair)).collect();
        let caption = format!("|{} − float32| × {LOUPE}", model.name);
        Ok(View { picture: Picture::heat(width, &errors, self.alt(&caption))?, caption, sound: None })
    }

    fn view(&self, caption: String, [_, width, channels]: [usize; 3], shades: &[f32]) -> Result<View> {
        let alt = self.alt(&caption);
        let picture = match channels {
            3 => Picture::colour(width, shades, alt)?,
            _ => Picture::grey(width, shades, alt)?,
        };
        Ok(View { caption, picture, sound: None })
    }

    /// Values as they are seen on a screen: 0 to 1. Radiance is `r / (1 + r)` on the screen's curve (Reinhard and others,
    /// 2002).
    fn seen(&self, values: &[f32]) -> Vec<f32> {
        let tone = |radiance: f32| (radiance / (1.0 + radiance)).powf(1.0 / 2.2);
        match self.application.content {
            Content::Radiance => values.iter().map(|&value| tone(value.max(0.0))).collect(),
            _ => values.to_vec(),
        }
    }

    fn alt(&self, caption: &str) -> String {
        format!("{}, sample {}: {caption}", self.application.title, self.index)
    }
}

/// A recording as a sound and as a spectrogram: what went in, what each model gives, the truth; and spectrograms of what the
/// integer models do otherwise than the float one.
fn recording(
    application: &Application,
    data: &Data,
    models: &[Measured],
    number: usize,
    folder: &Folder,
) -> Result<Example> {
    let windows = number * WINDOWS..(number + 1) * WINDOWS;
    let test = &data.test[windows.clone()];
    let join = |part: fn(&Sample) -> &Vec<f32>| test.iter().flat_map(part).copied().collect::<Vec<f32>>();
    let mut sounds = vec![("input", join(|sample| &sample.input))];
    sounds.extend(models.iter().map(|model| (model.name, model.outputs[windows.clone()].concat())));
    sounds.push(("truth", join(|sample| &sample.truth)));
    let loudest = sounds[0].1.iter().fold(1e-3f32, |peak, value| peak.max(value.abs()));
    let picture = |caption: &str, sound: &[f32]| {
        sound::spectrogram(sound, loudest, &format!("spectrogram of recording {number}: {caption}"))
    };
    let mut views = Vec::new();
    for (name, values) in &sounds {
        let wav = sound::wav(values)?;
        folder.write(&format!("{}_{number}_{name}.wav", application.name), &wav)?;
        let sound = Some(sound::address(&wav));
        views.push(View { caption: (*name).into(), picture: picture(name, values)?, sound });
    }
    let float = &sounds[1].1;
    for (name, values) in &sounds[2..=models.len()] {
        let caption = format!("{name} − float32");
        let error: Vec<f32> = values.iter().zip(float).map(|(a, b)| a - b).collect();
        views.push(View { picture: picture(&caption, &error)?, caption, sound: None });
    }
    Ok(Example { views, seconds: Some(float.len() as f64 / f64::from(sound::RATE)) })
}
