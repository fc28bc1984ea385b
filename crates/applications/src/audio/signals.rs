//! Sounds like voices, like music, and like the noise of a room.

use core::f32::consts::TAU;

use super::RATE;
use crate::random::Random;

/// A sound, and the same with noise.
pub(super) struct Recording {
    pub(super) clean: Vec<f32>,
    pub(super) noisy: Vec<f32>,
}

/// A voice or music at any level from a whisper to full scale, in noise that is 0 to 10 dB below it.
pub(super) fn recording(random: &mut Random, length: usize) -> Recording {
    let mut clean = if random.below(2) == 0 { voice(random, length) } else { music(random, length) };
    let mut noise = noise(random, length);
    let level = random.logarithmic(0.02, 0.9);
    let louder = level / peak(&clean);
    scale(&mut clean, louder);
    let ratio = random.uniform(0.0, 10.0);
    let below = power(&clean) / power(&noise) * libm::powf(10.0, -ratio / 10.0);
    scale(&mut noise, libm::sqrtf(below));
    let noisy = clean.iter().zip(&noise).map(|(clean, noise)| clean + noise).collect();
    Recording { clean, noisy }
}

/// The frequencies of the first two formants of some vowels, in hertz (Peterson and Barney, 1952, men's averages).
const VOWELS: [[f32; 2]; 6] =
    [[270.0, 2290.0], [530.0, 1840.0], [660.0, 1720.0], [730.0, 1090.0], [570.0, 840.0], [300.0, 870.0]];

/// Vowels one after the other, with pauses: harmonics of a gliding pitch, louder near the formants.
fn voice(random: &mut Random, length: usize) -> Vec<f32> {
    let mut sound = vec![0.0; length];
    let mut start = 0;
    let pitch = random.logarithmic(90.0, 240.0);
    while start < length {
        let end = (start + seconds(random.uniform(0.08, 0.25))).min(length);
        if random.below(5) > 0 {
            let formants = VOWELS[random.below(VOWELS.len())];
            let glide = [random.uniform(0.9, 1.15) * pitch, random.uniform(0.85, 1.1) * pitch];
            syllable(&mut sound[start..end], glide, formants);
        }
        start = end;
    }
    sound
}

/// Adds a syllable that swells and fades.
fn syllable(sound: &mut [f32], [from, to]: [f32; 2], formants: [f32; 2]) {
    let length = sound.len() as f32;
    let mut phase = 0.0;
    for (t, sound) in sound.iter_mut().enumerate() {
        let place = t as f32 / length;
        let pitch = from + (to - from) * place;
        phase += pitch / RATE as f32;
        let harmonic = |n: usize| {
            let frequency = n as f32 * pitch;
            let near = |formant: f32| 1.0 / (1.0 + ((frequency - formant) / 120.0).powi(2));
            (near(formants[0]) + 0.5 * near(formants[1]) + 0.01)
                * libm::sinf(TAU * (n as f32 * phase).fract())
        };
        let highest = (4000.0 / pitch) as usize;
        let swell = libm::sinf(core::f32::consts::PI * place);
        *sound += swell * (1..=highest).map(harmonic).sum::<f32>();
    }
}

/// Plucked notes of a pentatonic scale, which fade while others begin.
fn music(random: &mut Random, length: usize) -> Vec<f32> {
    const STEPS: [f32; 5] = [0.0, 2.0, 4.0, 7.0, 9.0];
    let mut sound = vec![0.0; length];
    let mut start = 0;
    let root = random.logarithmic(110.0, 330.0);
    while start < length {
        let semitones = STEPS[random.below(STEPS.len())] + 12.0 * random.below(2) as f32;
        let frequency = root * libm::exp2f(semitones / 12.0);
        let (fade, height) = (random.uniform(3.0, 8.0), random.uniform(0.3, 1.0));
        for (t, sound) in sound[start..].iter_mut().enumerate() {
            let time = t as f32 / RATE as f32;
            let tone =
                |n: f32| libm::expf(-fade * n * time) / n * libm::sinf(TAU * (n * frequency * time).fract());
            let attack = (time * 200.0).min(1.0);
            *sound += height * attack * (tone(1.0) + tone(2.0) + tone(3.0) + tone(5.0));
        }
        start += seconds(random.uniform(0.12, 0.4));
    }
    sound
}

/// Hiss that is louder in the deep, the hum of mains, and now and then a click.
fn noise(random: &mut Random, length: usize) -> Vec<f32> {
    let smooth = random.uniform(0.0, 0.95);
    let hum = random.uniform(0.0, 0.3);
    let clicks = random.below(8);
    let mut last = 0.0;
    let mut sound: Vec<f32> = (0..length)
        .map(|t| {
            last = smooth * last + (1.0 - smooth) * random.normal();
            let turn = (t as f32 * 50.0 / RATE as f32).fract();
            last / libm::sqrtf((1.0 - smooth) / (1.0 + smooth))
                + hum * (libm::sinf(TAU * turn) + 0.5 * libm::sinf(TAU * 3.0 * turn))
        })
        .collect();
    for _ in 0..clicks {
        let start = random.below(length);
        let height = random.uniform(2.0, 6.0);
        for (t, sound) in sound[start..].iter_mut().take(RATE / 100).enumerate() {
            *sound += height * libm::expf(-(t as f32) / 20.0) * libm::cosf(t as f32 * 0.9);
        }
    }
    sound
}

fn seconds(time: f32) -> usize {
    (time * RATE as f32) as usize
}

fn scale(sound: &mut [f32], factor: f32) {
    sound.iter_mut().for_each(|value| *value *= factor);
}

fn peak(sound: &[f32]) -> f32 {
    sound.iter().fold(1e-6, |peak, value| value.abs().max(peak))
}

fn power(sound: &[f32]) -> f32 {
    sound.iter().map(|value| value * value).sum::<f32>() / sound.len() as f32 + 1e-12
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recordings_keep_within_bounds_and_their_noise_below_them() {
        for seed in 0..8 {
            let recording = recording(&mut Random::new(seed, 0), RATE);
            let rest: Vec<f32> =
                recording.noisy.iter().zip(&recording.clean).map(|(noisy, clean)| noisy - clean).collect();
            let ratio = 10.0 * libm::log10f(power(&recording.clean) / power(&rest));
            assert!((-0.1..10.1).contains(&ratio), "{ratio} dB");
            assert!(peak(&recording.clean) < 0.91, "{}", peak(&recording.clean));
        }
    }
}
