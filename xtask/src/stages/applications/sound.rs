//! Sounds: as WAV files, as addresses in a page, and as spectrograms.

use anyhow::Result;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;

use crate::report::Picture;

/// Samples of a second.
pub(super) const RATE: u32 = 16_000;
/// Samples of a column of a spectrogram, and from one column to the next.
const FRAME: usize = 256;
const HOP: usize = 128;
/// What lies further below the loudest is black, in dB.
const DEPTH: f32 = 80.0;

/// A WAV file of one channel with 16 bits.
pub(super) fn wav(sound: &[f32]) -> Result<Vec<u8>> {
    let spec = hound::WavSpec {
        channels: 1,
        sample_rate: RATE,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let mut file = std::io::Cursor::new(Vec::new());
    let mut writer = hound::WavWriter::new(&mut file, spec)?;
    for sample in sound {
        writer.write_sample((sample.clamp(-1.0, 1.0) * 32_767.0).round() as i16)?;
    }
    writer.finalize()?;
    Ok(file.into_inner())
}

/// A WAV file as an address.
pub(super) fn address(wav: &[u8]) -> String {
    format!("data:audio/wav;base64,{}", BASE64_STANDARD.encode(wav))
}

/// Time from left to right, frequency from 0 at the bottom to 8 kHz at the top, loudness in dB below `loudest`.
pub(super) fn spectrogram(sound: &[f32], loudest: f32, alt: &str) -> Result<Picture> {
    let frames = sound.windows(FRAME).step_by(HOP);
    let columns: Vec<[f32; FRAME / 2]> = frames.map(|frame| levels(frame, loudest)).collect();
    let rows = (0..FRAME / 2).rev();
    let values: Vec<f32> = rows.flat_map(|row| columns.iter().map(move |column| column[row])).collect();
    Picture::heat(columns.len(), &values, alt)
}

/// How loud each frequency is in a frame under a Hann window: 1 for a tone as high as `loudest`, 0 for what lies
/// [`DEPTH`] below it.
fn levels(frame: &[f32], loudest: f32) -> [f32; FRAME / 2] {
    let hann = |index: usize| 0.5 - 0.5 * (core::f32::consts::TAU * index as f32 / FRAME as f32).cos();
    let mut windowed: [f32; FRAME] = core::array::from_fn(|index| hann(index) * frame[index]);
    let spectrum = microfft::real::rfft_256(&mut windowed);
    // Its imaginary part is the amplitude at half the sampling rate.
    spectrum[0].im = 0.0;
    // A tone of height 1 comes to a quarter of the frame.
    let full = (loudest * FRAME as f32 / 4.0).powi(2);
    spectrum.map(|bin| 1.0 + 10.0 * (bin.norm_sqr() / full).max(1e-12).log10() / DEPTH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tone_is_loud_at_its_frequency() {
        let tone: Vec<f32> = (0..FRAME)
            .map(|t| 0.5 * (core::f32::consts::TAU * 20.0 * t as f32 / FRAME as f32).sin())
            .collect();
        let levels = levels(&tone, 0.5);
        assert!((levels[20] - 1.0).abs() < 0.01, "{}", levels[20]);
        assert!(levels[40] < 0.1, "{}", levels[40]);
    }

    #[test]
    fn a_wav_file_has_all_samples() {
        let bytes = wav(&[0.0, 0.5, -1.0, 2.0]).unwrap();
        let reader = hound::WavReader::new(&bytes[..]).unwrap();
        assert_eq!(reader.spec().sample_rate, RATE);
        let samples: Vec<i16> = reader.into_samples().map(Result::unwrap).collect();
        assert_eq!(samples, [0, 16384, -32767, 32767]);
    }
}
