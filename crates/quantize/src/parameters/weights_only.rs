//! Weights of layers whose activations stay float.

use super::{Channels, WEIGHT_LIMIT};

/// The integers of weights and a scale for each channel, as TensorFlow 2.21 computes them for dynamic range: in float64,
/// `round(weight / scale)` with `scale = 2 * largest / 254`, which is cut to float32 at the end. A channel up to 5e-7 has
/// the scale of 5e-7.
pub(crate) fn dynamic_range_weights(weights: &Channels<'_>) -> (Vec<i8>, Vec<f32>) {
    let limit = f64::from(WEIGHT_LIMIT);
    let scale = |half: f32| 2.0 * f64::from(half).max(SMALLEST_HALF) / (2.0 * limit);
    let scales: Vec<f64> = weights.magnitudes().into_iter().map(scale).collect();
    // Exact: an integer within the limits.
    let quantize = |(channel, weight): (usize, f32)| {
        (f64::from(weight) / scales[channel]).round().clamp(-limit, limit) as i8
    };
    (weights.iter().map(quantize).collect(), scales.iter().map(|&scale| scale as f32).collect())
}

const SMALLEST_HALF: f64 = 5e-7;

/// The nearest 16-bit float, of two the even one, as its bits; values beyond the largest become that.
pub(crate) fn half(value: f32) -> u16 {
    let sign = if value.is_sign_negative() { 1 << 15 } else { 0 };
    let magnitude = value.abs().min(LARGEST_HALF);
    let bits = if magnitude < SMALLEST_NORMAL_HALF {
        // Exact: a whole number of the smallest steps, at most 1024.
        (magnitude * STEPS_PER_UNIT).round_ties_even() as u32
    } else {
        let bits = magnitude.to_bits();
        let to_even = 0xfff + (bits >> 13 & 1);
        ((bits + to_even) >> 13) - (EXPONENT_BIASES_APART << 10)
    };
    // Exact: 15 bits.
    sign | bits as u16
}

const LARGEST_HALF: f32 = 65504.0;
const SMALLEST_NORMAL_HALF: f32 = 1.0 / 16384.0;
const STEPS_PER_UNIT: f32 = 16_777_216.0;
/// Of float32, 127, less that of 16-bit floats, 15.
const EXPONENT_BIASES_APART: u32 = 112;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_are_the_nearest() {
        let known = [
            (0.0, 0x0000),
            (-0.0, 0x8000),
            (1.0, 0x3c00),
            (-2.0, 0xc000),
            (0.1, 0x2e66),
            (65504.0, 0x7bff),
            (65519.0, 0x7bff),
            (1e30, 0x7bff),
            (-1e30, 0xfbff),
            (6.103_515_6e-5, 0x0400),
            (6.097_555e-5, 0x03ff),
            (6.1035e-5, 0x0400),
            (5.960_464_5e-8, 0x0001),
            (2.980_232_2e-8, 0x0000),
            (8.940_697e-8, 0x0002),
            (1.000_488_3, 0x3c00),
            (1.001_464_8, 0x3c02),
        ];
        for (value, bits) in known {
            assert_eq!(half(value), bits, "{value}");
        }
    }

    #[test]
    fn dynamic_range_divides_in_float64() {
        let channels = Channels::new(&[1.0, -0.5, 0.0, 0.0], &[2, 2], 0).unwrap();
        let (integers, scale) = dynamic_range_weights(&channels);
        assert_eq!(integers, [127, -64, 0, 0]);
        assert_eq!(scale, [(1.0f64 / 127.0) as f32, (5e-7f64 / 127.0) as f32]);
    }
}
