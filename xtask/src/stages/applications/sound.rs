//! Sounds: as WAV files, as addresses in a page, and as spectrograms.

use anyhow::Result;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use realfft::RealFftPlanner;

use crate::report::Picture;

/// Samples of a second.
const RATE: u32 = 16_000;
/// Samples of a column of a spectrogram, and from one column to the next.
const FRAME: usize = 256;
const HOP: usize = 128;
/// What lies further below the loudest is black, in dB.
const DEPTH: f32 = 80.0;

/// A WAV file of one channel with 16 bits.
pub(super) fn wav(sound: &[f32]) -> Result<Vec<u8>> {
    let spec = hound::WavSpec { channels: 1, sample_rate: RATE, bits_per_sample: 16, sample_format: hound::SampleFormat::Int };
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
    let transform = RealFftPlanner::<f32>::new().plan_fft_forward(FRAME);
    let mut columns: Vec<Vec<f32>> = Vec::new();
    for frame in sound.windows(FRAME).step_by(HOP) {
        let hann = |index: usize| 0.5 - 0.5 * (core::f32::consts::TAU * index as f32 / FRAME as f32).cos();
        let mut frame: Vec<f32> = frame.iter().enumerate().map(|(index, x)| x * hann(index)).collect();
        let mut spectrum = transform.make_output_vec();
        transform.process(&mut frame, &mut spectrum)?;
        let level = |power: f32| 1.0 + 10.0 * (power / (loudest * loudest)).max(1e-12).log10() / DEPTH;
        columns.push(spectrum.iter().map(|bin| level(bin.norm_sqr() / (FRAME * FRAME / 16) as f32)).collect());
    }
    let rows = (0..=FRAME / 2).rev();
    let values: Vec<f32> = rows.flat_map(|row| columns.iter().map(move |column| column[row])).collect();
    Picture::heat(columns.len(), &values, alt)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wav_file_has_all_samples() {
        let bytes = wav(&[0.0, 0.5, -1.0, 2.0]).unwrap();
        let reader = hound::WavReader::new(&bytes[..]).unwrap();
        assert_eq!(reader.spec().sample_rate, RATE);
        let samples: Vec<i16> = reader.into_samples().map(Result::unwrap).collect();
        assert_eq!(samples, [0, 16384, -32767, 32767]);
    }
}
