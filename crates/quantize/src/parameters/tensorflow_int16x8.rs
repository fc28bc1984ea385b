//! 16x8 as TensorFlow 2.21 computes it: its C++ quantizer (`lite/tools/optimize`), all in float32.

use super::{
    ActivationValues, Arithmetic, BiasValues, Channels, LayerScales, Parameters, WEIGHT_LIMIT, Weights,
    finite_or_zero, reciprocal, rounded_bias,
};
use crate::Bounds;
use crate::rules::FixedRange;
use crate::scales::{BLANK_RANGE, NO_MAGNITUDE};

/// The rules of TensorFlow's 16x8.
pub(super) struct TensorFlowInt16x8;

impl Arithmetic for TensorFlowInt16x8 {
    /// `scale = max(|min|, |max|) / 32767`, zero point 0.
    fn activation(&self, range: Bounds) -> Parameters {
        Parameters { scale: range.magnitude() / ACTIVATION_LIMIT, zero_point: 0 }
    }

    /// Kernels of 16 bits fix one scale; those of logarithms do not exist.
    fn fixed(&self, _: FixedRange) -> Parameters {
        Parameters { scale: 1.0 / 32768.0, zero_point: 0 }
    }

    /// As an activation; zeros, too, get a scale above 0.
    fn constant(&self, range: Bounds) -> Parameters {
        let is_blank = range.magnitude() < NO_MAGNITUDE;
        self.activation(if is_blank { BLANK_RANGE } else { range })
    }

    /// Constants are rounded to the scale of their own values first, and from there to a scale that an operator wants.
    fn integers(&self, values: &[f32], parameters: Parameters) -> ActivationValues {
        let largest = values.iter().fold(0f32, |largest, value| largest.max(value.abs()));
        let own = self.constant(Bounds { min: 0.0, max: largest });
        if own == parameters {
            return ActivationValues::Int16(rounded(values, own.scale));
        }
        let rounded_values: Vec<f32> =
            rounded(values, own.scale).into_iter().map(|value| f32::from(value) * own.scale).collect();
        ActivationValues::Int16(rounded(&rounded_values, parameters.scale))
    }

    /// Weights: `half / 127`, with `half` widened for a large bias; they are multiplied with `127 / half`, which is not always the scale's reciprocal. A channel of zeros without bias keeps the
    /// scale 0: runtimes make of it the multiplier 0, which is right.
    fn weights(
        &self,
        weights: &Channels<'_>,
        mut half: Vec<f32>,
        bias: Option<&[f32]>,
        LayerScales { input: input_scale, .. }: LayerScales,
    ) -> Weights {
        let widened = bias.map_or(0, |bias| widen(&mut half, bias, input_scale));
        let factors: Vec<f32> = half.iter().map(|half| finite_or_zero(WEIGHT_LIMIT / half)).collect();
        let scale: Vec<f32> = half.iter().map(|half| half / WEIGHT_LIMIT).collect();
        let bias_scale = scale.iter().map(|scale| input_scale * scale).collect();
        Weights { values: weights.quantize(&factors), scale, bias_scale, widened }
    }

    /// The product with the scale's reciprocal is taken in float32, so that at most 24 bits of the int64 are significant.
    fn bias(&self, bias: &[f32], scale: &[f32]) -> BiasValues {
        // Exact: integers of at most 24 significant bits; saturates where no file could hold more.
        let quantize = |(&bias, &scale): (&f32, &f32)| rounded_bias(bias, scale) as i64;
        BiasValues::Int64(bias.iter().zip(scale).map(quantize).collect())
    }
}

const ACTIVATION_LIMIT: f32 = 32767.0;

/// The integers of a constant operand: the product with the scale's reciprocal is taken in float32.
pub(super) fn rounded(values: &[f32], scale: f32) -> Vec<i16> {
    let factor = reciprocal(scale);
    // Exact: an integer within the limits.
    let quantize = |value: &f32| (value * factor).round().clamp(-ACTIVATION_LIMIT, ACTIVATION_LIMIT) as i16;
    values.iter().map(quantize).collect()
}

/// A bias shall not need more than half of an int32, whatever the type in which it is written.
const BIAS_LIMIT: f64 = 2_147_483_647.0;

/// Widens the half range of each channel whose bias would need more than half of an int32, and returns how many are wider.
///
/// `half = 2 * |bias| / INT32_MAX * (127 / input_scale)`: then the bias is exactly half of an int32. Whether it is needed
/// is decided for each channel in float64, for weights of a single channel in float32 first.
fn widen(half: &mut [f32], bias: &[f32], input_scale: f32) -> usize {
    let is_single = half.len() == 1;
    let mut widened = 0;
    for (half, bias) in half.iter_mut().zip(bias) {
        let bias = bias.abs();
        let step = f64::from(input_scale) * 0.5 * f64::from(*half / WEIGHT_LIMIT);
        let is_large = match is_single {
            true => f64::from(bias / BIAS_LIMIT as f32) >= step,
            false => f64::from(bias) >= step * BIAS_LIMIT,
        };
        if is_large {
            let wider = 2.0 * f64::from(bias) / BIAS_LIMIT * f64::from(WEIGHT_LIMIT / input_scale);
            widened += usize::from(wider as f32 > *half);
            *half = wider as f32;
        }
    }
    widened
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: TensorFlowInt16x8 = TensorFlowInt16x8;

    fn layer(weights: &[f32], channels: usize, bias: Option<&[f32]>, input_scale: f32) -> Weights {
        let shape = [channels, weights.len() / channels];
        let channels = Channels::new(weights, &shape, 0).unwrap();
        RULES.weights(&channels, channels.magnitudes(), bias, LayerScales { input: input_scale, output: 1.0 })
    }

    fn bias(layer: &Weights, bias: &[f32]) -> Vec<i64> {
        match RULES.bias(bias, &layer.bias_scale) {
            BiasValues::Int64(values) => values,
            other => panic!("{other:?} is not an int64 bias"),
        }
    }

    #[test]
    fn activations_are_symmetric_around_zero() {
        let scale = |min, max| RULES.activation(Bounds { min, max });
        assert_eq!(scale(0.0, 0.9999968), Parameters { scale: 3.051841e-5, zero_point: 0 });
        assert_eq!(scale(-3.0, 1.0).scale, 3.0 / 32767.0);
        assert_eq!(scale(2.0, 4.0).scale, 4.0 / 32767.0);
        assert_eq!(scale(-4.0, -2.0).scale, 4.0 / 32767.0);
    }

    /// Weights on ties of the quotient, where a factor one ulp off decides: 127 / half, not 1 / scale.
    #[test]
    fn weights_are_multiplied_with_127_over_half() {
        let mut differing = 0;
        for step in 1..4000u16 {
            let half = 0.01 + f32::from(step) * 7e-4;
            for tie in [0.5f32, 1.5, 62.5, 100.5, 126.5] {
                let weight = half * (tie / 127.0);
                let expected = (weight * (127.0 / half)).round();
                let with_reciprocal = (weight * (1.0 / f64::from(half / 127.0)) as f32).round();
                differing += u32::from(expected != with_reciprocal);
                let layer = layer(&[half, weight], 1, None, 1.0);
                assert_eq!(layer.values, [127, expected as i8], "half {half}, tie {tie}");
                assert_eq!(layer.scale, [half / 127.0]);
            }
        }
        assert!(differing > 1000, "the ties must tell the rules apart, but only {differing} did");
    }

    #[test]
    fn biases_have_the_scale_of_the_products_and_24_significant_bits() {
        let layer = layer(&[0.5, -1.27], 1, Some(&[0.1]), 1e-6);
        assert_eq!(layer.widened, 0);
        assert_eq!(bias(&layer, &[0.1]), [10_000_000]);
        assert_eq!(layer.bias_scale, [1e-6 * (1.27 / 127.0)]);
    }

    #[test]
    fn a_large_bias_widens_the_weights_of_its_channel_only() {
        let layer = layer(&[0.5, -0.25, 0.5, 0.25], 2, Some(&[200.0, 0.0]), 1e-6);
        assert_eq!(layer.widened, 1);
        assert_eq!(layer.scale[1], 0.5 / 127.0);
        assert_eq!(layer.values[2..], [127, 64]);
        let half = (400.0 / 2_147_483_647.0 * f64::from(127.0f32 / 1e-6)) as f32;
        assert_eq!(layer.scale[0], half / 127.0);
        assert_eq!(layer.values[..2], [3, -1]);
        let values = bias(&layer, &[200.0, 0.0]);
        assert!((values[0] - (1 << 30)).abs() < 128, "{} is not half of an int32", values[0]);
        assert_eq!(values[1], 0);
    }

    #[test]
    fn a_channel_of_zeros_has_scale_zero_unless_its_bias_needs_one() {
        let without = layer(&[0.0, 0.0, 1.0, 1.0], 2, Some(&[0.0, 0.0]), 1e-3);
        assert_eq!(without.scale, [0.0, 1.0 / 127.0]);
        assert_eq!(without.values, [0, 0, 127, 127]);
        assert_eq!(bias(&without, &[0.0, 0.0]), [0, 0]);
        let with = layer(&[0.0, 0.0, 1.0, 1.0], 2, Some(&[0.5, 0.0]), 1e-3);
        assert_eq!((with.widened, &with.values[..]), (1, &[0, 0, 127, 127][..]));
        assert!((bias(&with, &[0.5, 0.0])[0] - (1 << 30)).abs() < 128);
    }

    #[test]
    fn subnormal_weights_are_zeros() {
        let layer = layer(&[1e-40, -1e-40], 1, Some(&[0.0]), 3e-5);
        assert_eq!(layer.values, [0, 0]);
        assert_eq!(bias(&layer, &[0.0]), [0]);
    }
}
