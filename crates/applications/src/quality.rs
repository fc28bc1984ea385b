//! How good outputs are, in decibels.

/// The compression of the μ-law curve for high dynamic range, as is usual (Kalantari and Ramamoorthi, 2017).
pub(crate) const MU: f32 = 5000.0;

/// A measure of outputs against what they should be, in dB: more is better.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum Quality {
    /// Peak signal-to-noise ratio over all samples: `10 log10(1 / mean squared error)`, for values of 0 to 1.
    Psnr,
    /// The same, of radiances up to `peak` on the μ-law curve `ln(1 + 5000 r / peak) / ln(5001)`, which is how an eye sees
    /// them: PSNR-μ.
    PsnrMu {
        /// The largest radiance.
        peak: f32,
    },
    /// Scale-invariant signal-to-distortion ratio (Le Roux and others, 2019), the mean over recordings.
    SiSdr {
        /// Samples that follow each other in a recording.
        recording: usize,
    },
}

impl Quality {
    /// Its short name.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Psnr => "PSNR",
            Self::PsnrMu { .. } => "PSNR-μ",
            Self::SiSdr { .. } => "SI-SDR",
        }
    }

    /// The quality of outputs, from pairs of what they should be and what they are; infinite where they are equal.
    pub fn of<'s>(&self, pairs: impl IntoIterator<Item = (&'s [f32], &'s [f32])>) -> f64 {
        let pairs = pairs.into_iter();
        match *self {
            Self::Psnr => psnr(pairs, |value| value.into()),
            Self::PsnrMu { peak } => psnr(pairs, |value| mu_law(value, peak)),
            Self::SiSdr { recording } => {
                let pairs: Vec<_> = pairs.collect();
                let recordings = pairs.chunks(recording.max(1));
                let count = recordings.len().max(1);
                recordings.map(si_sdr).sum::<f64>() / count as f64
            }
        }
    }
}

/// A radiance as the eye sees it: 0 to 1.
pub(crate) fn mu_law(radiance: f32, peak: f32) -> f64 {
    let scaled = f64::from(MU * radiance.max(0.0) / peak);
    libm::log1p(scaled) / libm::log1p(MU.into())
}

fn psnr<'s>(pairs: impl Iterator<Item = (&'s [f32], &'s [f32])>, curve: impl Fn(f32) -> f64) -> f64 {
    let (mut sum, mut count) = (0.0, 0usize);
    for (truth, output) in pairs {
        for (&truth, &output) in truth.iter().zip(output) {
            let error = curve(truth) - curve(output);
            sum += error * error;
        }
        count += truth.len();
    }
    -10.0 * libm::log10(sum / count.max(1) as f64)
}

/// The power of the part of a recording that is a multiple of what it should be, over the power of the rest.
fn si_sdr(windows: &[(&[f32], &[f32])]) -> f64 {
    let values = || windows.iter().flat_map(|(truth, output)| truth.iter().zip(*output));
    let pairs = || values().map(|(&truth, &output)| (f64::from(truth), f64::from(output)));
    let power: f64 = pairs().map(|(truth, _)| truth * truth).sum();
    let factor = pairs().map(|(truth, output)| truth * output).sum::<f64>() / power;
    let rest: f64 = pairs().map(|(truth, output)| (output - factor * truth).powi(2)).sum();
    10.0 * libm::log10(factor * factor * power / rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenth_of_error_is_20_db() {
        let (truth, output) = ([0.0, 0.5, 1.0], [0.1, 0.4, 1.1]);
        assert!((Quality::Psnr.of([(&truth[..], &output[..])]) - 20.0).abs() < 1e-4);
        assert_eq!(Quality::Psnr.of([(&truth[..], &truth[..])]), f64::INFINITY);
    }

    #[test]
    fn the_scale_of_a_sound_does_not_matter_and_noise_does() {
        let truth: Vec<f32> = (0..1000).map(|t| libm::sinf(t as f32 * 0.1)).collect();
        let noisy: Vec<f32> =
            truth.iter().enumerate().map(|(t, x)| x + 0.1 * libm::cosf(t as f32 * 0.37)).collect();
        let louder: Vec<f32> = noisy.iter().map(|x| 3.0 * x).collect();
        let quality = Quality::SiSdr { recording: 1 };
        let of = |output: &[f32]| quality.of([(&truth[..], output)]);
        assert!((of(&noisy) - 20.0).abs() < 0.5, "{}", of(&noisy));
        assert!((of(&noisy) - of(&louder)).abs() < 1e-4);
    }

    #[test]
    fn silence_within_a_recording_is_part_of_it() {
        let quality = Quality::SiSdr { recording: 2 };
        let (sound, noisy) = ([1.0, -1.0, 1.0, -1.0], [1.1, -0.9, 1.1, -0.9]);
        let windows = [(&sound[..], &noisy[..]), (&[0.0; 4][..], &[0.1, -0.1, 0.1, -0.1][..])];
        // Errors of 0.1 in each of eight values, beside a power of 1 in each of four.
        assert!(
            (quality.of(windows) - 10.0 * libm::log10(4.0 / 0.08)).abs() < 0.1,
            "{}",
            quality.of(windows)
        );
    }

    #[test]
    fn errors_in_the_dark_weigh_more_than_in_the_light() {
        let quality = Quality::PsnrMu { peak: 16.0 };
        let of = |truth: f32, output: f32| quality.of([(&[truth][..], &[output][..])]);
        assert!(of(0.01, 0.02) + 20.0 < of(10.0, 10.01));
    }
}
