//! 16x8 with less error than TensorFlow's.

use super::tensorflow_int16x8::{TensorFlowInt16x8, rounded};
use super::{
    ActivationValues, Arithmetic, BiasValues, Channels, LayerScales, Parameters, WEIGHT_LIMIT, Weights,
    finite_or_zero,
};
use crate::Bounds;
use crate::rules::FixedRange;

/// TensorFlow's rules, but: activations have room above the range that calibration saw, for values beyond are cut off, and
/// 16 bits can spare one; biases are computed in float64; and weights become coarser only where kernels could not compute
/// otherwise.
pub(super) struct BestInt16x8 {
    /// What ranges are multiplied with.
    pub(super) headroom: f32,
    /// The largest integer of a bias.
    pub(super) bias_limit: f64,
}

/// The smallest factor from accumulators to results that kernels do not take for 0, with one bit to spare: LiteRT's
/// `QuantizeMultiplier` in `kernels/internal/quantization_util.cc`.
const SMALLEST_MULTIPLIER: f64 = 1.0 / 2_147_483_648.0;

impl Arithmetic for BestInt16x8 {
    fn activation(&self, Bounds { min, max }: Bounds) -> Parameters {
        let wider = |end: f32| (end * self.headroom).clamp(f32::MIN, f32::MAX);
        let wider = Bounds { min: wider(min), max: wider(max) };
        TensorFlowInt16x8.activation(wider)
    }

    fn fixed(&self, range: FixedRange) -> Parameters {
        TensorFlowInt16x8.fixed(range)
    }

    fn constant(&self, range: Bounds) -> Parameters {
        TensorFlowInt16x8.constant(range)
    }

    fn integers(&self, values: &[f32], parameters: Parameters) -> ActivationValues {
        ActivationValues::Int16(rounded(values, parameters.scale))
    }

    /// As TensorFlow's, but a scale is at least what the bias needs, and what makes the multiplier of the accumulators
    /// large enough: a channel of small weights beside a large one would lose its bias.
    fn weights(
        &self,
        weights: &Channels<'_>,
        mut half: Vec<f32>,
        bias: Option<&[f32]>,
        scales: LayerScales,
    ) -> Weights {
        let unit = f64::from(WEIGHT_LIMIT) / f64::from(scales.input);
        let mut widened = 0;
        for (channel, half) in half.iter_mut().enumerate() {
            let bias = bias.map_or(0.0, |bias| f64::from(bias[channel].abs()));
            let least = unit * (bias / self.bias_limit).max(f64::from(scales.output) * SMALLEST_MULTIPLIER);
            if f64::from(*half) < least {
                widened += usize::from(*half > 0.0);
                *half = least as f32;
            }
        }
        let factors: Vec<f32> = half.iter().map(|half| finite_or_zero(WEIGHT_LIMIT / half)).collect();
        let scale: Vec<f32> = half.iter().map(|half| half / WEIGHT_LIMIT).collect();
        let bias_scale = scale.iter().map(|scale| scales.input * scale).collect();
        Weights { values: weights.quantize(&factors), scale, bias_scale, widened }
    }

    fn bias(&self, bias: &[f32], scale: &[f32]) -> BiasValues {
        let quantize = |(&bias, &scale): (&f32, &f32)| {
            let quotient = f64::from(bias) / f64::from(scale);
            // Exact: an integer, about the limit at most; 0 in a channel of zeros without bias.
            if scale > 0.0 { quotient.round() as i64 } else { 0 }
        };
        BiasValues::Int64(bias.iter().zip(scale).map(quantize).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: BestInt16x8 = BestInt16x8 { headroom: 2.0, bias_limit: super::super::HALF_OF_INT48 };

    fn layer(weights: &Channels<'_>, bias: &[f32], input: f32) -> Weights {
        RULES.weights(weights, weights.magnitudes(), Some(bias), LayerScales { input, output: 1e-2 })
    }

    #[test]
    fn activations_have_room_and_constants_have_none() {
        let range = Bounds { min: -1.0, max: 3.0 };
        assert_eq!(RULES.activation(range).scale, 6.0 / 32767.0);
        assert_eq!(RULES.constant(range).scale, 3.0 / 32767.0);
    }

    #[test]
    fn a_large_bias_is_exact_and_leaves_the_weights_alone() {
        let values = [0.5f32, -0.25];
        let channels = Channels::new(&values, &[1, 2], 0).unwrap();
        let weights = layer(&channels, &[200.0], 1e-6);
        assert_eq!((&weights.values[..], weights.widened), (&[127, -64][..], 0));
        let exact = (200.0 / f64::from(weights.bias_scale[0])).round() as i64;
        assert_eq!(RULES.bias(&[200.0], &weights.bias_scale), BiasValues::Int64(vec![exact]));
    }

    #[test]
    fn a_channel_of_zeros_has_a_scale_for_its_bias() {
        let channels = Channels::new(&[0.0f32; 2], &[2, 1], 0).unwrap();
        let weights = layer(&channels, &[0.5, 0.0], 1e-3);
        let BiasValues::Int64(bias) = RULES.bias(&[0.5, 0.0], &weights.bias_scale) else { panic!("64 bits") };
        assert!((bias[0] as f64 * f64::from(weights.bias_scale[0]) - 0.5).abs() < 1e-7);
        assert_eq!(bias[1], 0);
    }

    /// Kernels take factors below 2^-32 for 0.
    #[test]
    fn multipliers_are_large_enough_for_kernels() {
        let channels = Channels::new(&[1e-9f32, 1.0], &[2, 1], 0).unwrap();
        let weights = layer(&channels, &[0.5, 0.0], 1e-5);
        assert_eq!(weights.widened, 1);
        for scale in weights.bias_scale {
            assert!(f64::from(scale) / 1e-2 >= 0.99 * SMALLEST_MULTIPLIER);
        }
    }
}
