//! int8 as TensorFlow 2.21 computes it: its MLIR quantizer with "legacy float scale", in float64 cut to float32.

use super::{
    ActivationValues, Arithmetic, BiasValues, Channels, LayerScales, Parameters, WEIGHT_LIMIT, Weights,
    reciprocal, rounded_bias,
};
use crate::Bounds;
use crate::rules::FixedRange;

/// The rules of TensorFlow's int8.
pub(super) struct TensorFlowInt8;

impl Arithmetic for TensorFlowInt8 {
    /// `scale = (max - min) / 255` in float32 over the range widened to 0; `zero_point = -128 - min / scale`, the quotient
    /// in float64, cut to float32, rounded. A range below 1e-6 is widened by 1e-6 at both ends first.
    fn activation(&self, range: Bounds) -> Parameters {
        let Bounds { min, max } = range.with_zero();
        let (min, max) = (f64::from(min), f64::from(max));
        let widening = if max - min < NARROW_ACTIVATION { NARROW_ACTIVATION } else { 0.0 };
        asymmetric(min - widening, max + widening)
    }

    fn fixed(&self, range: FixedRange) -> Parameters {
        let (scale, zero_point) = match range {
            FixedRange::UnitInterval => (1.0 / 256.0, -128),
            FixedRange::Symmetric => (1.0 / 128.0, 0),
            FixedRange::Logarithms => (16.0 / 256.0, 127),
        };
        Parameters { scale, zero_point }
    }

    /// As an activation, but a range up to 1e-6 is widened to half of it at both ends.
    fn constant(&self, range: Bounds) -> Parameters {
        let Bounds { min, max } = range.with_zero();
        let (min, max) = (f64::from(min), f64::from(max));
        let widening = if max - min <= NARROW_WEIGHTS { NARROW_WEIGHTS / 2.0 } else { 0.0 };
        asymmetric(min.min(-widening), max.max(widening))
    }

    /// `value / scale + zero_point` in float64, rounded.
    fn integers(&self, values: &[f32], parameters: Parameters) -> ActivationValues {
        let (scale, zero_point) = (f64::from(parameters.scale), parameters.zero_point as f64);
        // Exact: an integer within the limits.
        let quantize =
            |&value: &f32| (f64::from(value) / scale + zero_point).round().clamp(-128.0, 127.0) as i8;
        ActivationValues::Int8(values.iter().map(quantize).collect())
    }

    /// Weights: `2 * half / 254`, where `half` is at least 5e-7; they are multiplied with the scale's reciprocal. Where the bias would need more than half of an int32, the weights' scale follows from
    /// the bias instead: `|bias| / 1073741823 / input_scale`.
    fn weights(
        &self,
        weights: &Channels<'_>,
        half: Vec<f32>,
        bias: Option<&[f32]>,
        LayerScales { input: input_scale, .. }: LayerScales,
    ) -> Weights {
        let mut scale: Vec<f32> = half.into_iter().map(weight_scale).collect();
        let mut bias_scale: Vec<f32> = scale.iter().map(|scale| input_scale * scale).collect();
        let mut widened = 0;
        for (&bias, scales) in bias.into_iter().flatten().zip(scale.iter_mut().zip(&mut bias_scale)) {
            widened += usize::from(widen(scales, bias, input_scale));
        }
        let factors: Vec<f32> = scale.iter().copied().map(reciprocal).collect();
        Weights { values: weights.quantize(&factors), scale, bias_scale, widened }
    }

    fn bias(&self, bias: &[f32], scale: &[f32]) -> BiasValues {
        let limit = f64::from(i32::MAX);
        // Exact: an integer within the limits.
        let quantize =
            |(&bias, &scale): (&f32, &f32)| f64::from(rounded_bias(bias, scale)).clamp(-limit, limit) as i32;
        BiasValues::Int32(bias.iter().zip(scale).map(quantize).collect())
    }
}

/// A range of activations below this width is widened by as much at both ends.
const NARROW_ACTIVATION: f64 = 1e-6;

/// A range of weights up to this width is widened to it.
const NARROW_WEIGHTS: f64 = 1e-6;

/// A bias shall not need more than half of an int32.
const BIAS_LIMIT: f64 = 1_073_741_823.0;

/// Scale and zero point of the range from `min` to `max`, 0 included, which the integers from -128 to 127 fill.
fn asymmetric(min: f64, max: f64) -> Parameters {
    let scale = (max as f32 - min as f32) / 255.0;
    let zero_point = (-128.0 - min / f64::from(scale)) as f32;
    // Exact: an integer within the limits.
    Parameters { scale, zero_point: zero_point.clamp(-128.0, 127.0).round() as i64 }
}

fn weight_scale(half: f32) -> f32 {
    let half = if 2.0 * f64::from(half) <= NARROW_WEIGHTS { half.max(5e-7) } else { half };
    (half + half) / (2.0 * WEIGHT_LIMIT)
}

/// Raises the scales of a channel's weights and bias where the bias needs it, and returns whether it does.
fn widen((weight_scale, bias_scale): (&mut f32, &mut f32), bias: f32, input_scale: f32) -> bool {
    let bias = f64::from(bias.abs());
    let fits = bias / f64::from(*bias_scale) <= BIAS_LIMIT;
    if !fits {
        let scale = bias / BIAS_LIMIT;
        *weight_scale = (scale / f64::from(input_scale)) as f32;
        *bias_scale = scale as f32;
    }
    !fits
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: TensorFlowInt8 = TensorFlowInt8;

    fn activation(min: f32, max: f32) -> (f32, i64) {
        let Parameters { scale, zero_point } = RULES.activation(Bounds { min, max });
        (scale, zero_point)
    }

    fn layer(weights: &[f32], channels: usize, bias: Option<&[f32]>, input_scale: f32) -> Weights {
        let shape = [channels, weights.len() / channels];
        let channels = Channels::new(weights, &shape, 0).unwrap();
        RULES.weights(&channels, channels.magnitudes(), bias, LayerScales { input: input_scale, output: 1.0 })
    }

    fn bias(layer: &Weights, bias: &[f32]) -> Vec<i32> {
        match RULES.bias(bias, &layer.bias_scale) {
            BiasValues::Int32(values) => values,
            other => panic!("{other:?} is not an int32 bias"),
        }
    }

    /// Numbers that TensorFlow 2.21 wrote for these ranges.
    #[test]
    fn activations_include_zero() {
        assert_eq!(activation(2.2864942e-5, 0.9999968), (0.003921556, -128));
        assert_eq!(activation(-0.52107006, 0.42018777), (0.0036912072, 13));
        assert_eq!(activation(-2.690641, 1.1754944e-38), (0.010551533, 127));
    }

    /// Numbers that TensorFlow 2.21 wrote for these ranges.
    #[test]
    fn narrow_activations_are_widened() {
        assert_eq!(activation(0.0, 0.0), (7.843137e-9, 0));
        assert_eq!(activation(3e-7, 5e-7), (9.803921e-9, -26));
        assert_eq!(activation(-5e-7, -3e-7), (9.803921e-9, 25));
        assert_eq!(activation(0.0, 1e-6), (1.176_470_65e-8, -43), "1e-6 in float32 is below 1e-6");
        assert_eq!(activation(0.0, 1.000_000_1e-6), (3.921_569e-9, -128));
    }

    /// Weights on ties of the quotient, where a factor one ulp off decides: 1 / scale, not 127 / half.
    #[test]
    fn weights_are_multiplied_with_the_reciprocal_of_the_scale() {
        let mut differing = 0;
        for step in 1..4000u16 {
            let half = 0.01 + f32::from(step) * 7e-4;
            for tie in [0.5f32, 1.5, 62.5, 100.5, 126.5] {
                let weight = half * (tie / 127.0);
                let scale = (half + half) / 254.0;
                let expected = (weight * (1.0 / f64::from(scale)) as f32).round();
                differing += u32::from(expected != (weight * (127.0 / half)).round());
                let layer = layer(&[half, weight], 1, None, 1.0);
                assert_eq!(layer.values, [127, expected as i8], "half {half}, tie {tie}");
                assert_eq!(layer.scale, [scale]);
            }
        }
        assert!(differing > 1000, "the ties must tell the rules apart, but only {differing} did");
    }

    #[test]
    fn channels_of_zeros_and_tiny_weights_keep_a_scale_above_zero() {
        let layer = layer(&[0.0, 0.0, 1e-7, -1e-7], 2, Some(&[0.0, 0.0]), 0.004);
        assert_eq!(layer.scale, [1e-6 / 254.0; 2]);
        assert_eq!(layer.values, [0, 0, 25, -25]);
        assert_eq!(bias(&layer, &[0.0, 0.0]), [0, 0]);
    }

    #[test]
    fn a_large_bias_widens_the_weights_of_its_channel_only() {
        let layer = layer(&[0.5, -0.25, 0.5, 0.25], 2, Some(&[-200_000.0, 1.0]), 1e-3);
        assert_eq!(layer.widened, 1);
        let bias_scale = 200_000.0 / 1_073_741_823.0;
        assert_eq!(layer.scale, [(bias_scale / f64::from(1e-3f32)) as f32, 0.5 / 127.0]);
        assert_eq!(layer.values, [3, -1, 127, 64]);
        let values = bias(&layer, &[-200_000.0, 1.0]);
        assert_eq!(layer.bias_scale[0], bias_scale as f32);
        assert!((values[0] + (1 << 30)).abs() < 128);
        assert_eq!(values[1], (1.0f64 / (1e-3 * 0.5 / 127.0)).round() as i32);
    }
}
