//! From real numbers to scales, zero points and integers: every rounding rule of the crate.
//!
//! TensorFlow has one set of rules for each scheme, because its schemes went through different quantizers: `int16x8`
//! through the older one in C++, which computes in float32, `int8` through the one in MLIR, which computes in float64 and
//! cuts to float32 at given places. All results here are made of single float operations in a fixed order, so they are
//! the same on every machine. "Rounded" means to the nearest integer, ties away from zero (`f32::round`).

mod best_int16x8;
mod bias_correction;
mod clipping;
mod gptq;
mod tensorflow_int16x8;
mod tensorflow_int8;
mod weights_only;

pub(crate) use bias_correction::corrected_bias;
pub(crate) use gptq::round_by_moments;
pub(crate) use weights_only::{dynamic_range_weights, half};

use best_int16x8::BestInt16x8;
use tensorflow_int8::TensorFlowInt8;
use tensorflow_int16x8::TensorFlowInt16x8;

use crate::rules::FixedRange;
use crate::{Bounds, Compat, Quantizer, Scheme};

/// Weights take the integers from -127 to 127, so that their negatives fit.
const WEIGHT_LIMIT: f32 = 127.0;

/// How the numbers of a scheme are computed.
pub(crate) trait Arithmetic {
    /// Scale and zero point of an activation with the given range.
    fn activation(&self, range: Bounds) -> Parameters;

    /// Scale and zero point of results whose range the kernels fix.
    fn fixed(&self, range: FixedRange) -> Parameters;

    /// Scale and zero point of a constant operand with the given range, 0 included.
    fn constant(&self, range: Bounds) -> Parameters;

    /// The integers of a constant operand.
    fn integers(&self, values: &[f32], parameters: Parameters) -> ActivationValues;

    /// The weights of a layer between activations of the given scales: the largest integer of each channel stands for its
    /// `half`, or for more, so that the bias fits; as many bias values as channels.
    fn weights(
        &self,
        weights: &Channels<'_>,
        half: Vec<f32>,
        bias: Option<&[f32]>,
        scales: LayerScales,
    ) -> Weights;

    /// The integers of a bias with [`Weights::bias_scale`].
    fn bias(&self, bias: &[f32], scale: &[f32]) -> BiasValues;
}

/// The arithmetic that was asked for, in a scheme.
pub(crate) fn arithmetic(quantizer: &Quantizer, scheme: Scheme) -> Box<dyn Arithmetic> {
    match (scheme, quantizer.compat) {
        (Scheme::Int16x8, Compat::TensorFlow) => Box::new(TensorFlowInt16x8),
        (Scheme::Int16x8, Compat::Best) => Box::new(BestInt16x8 {
            headroom: quantizer.headroom,
            bias_limit: if quantizer.int32_bias { HALF_OF_INT32 } else { HALF_OF_INT48 },
        }),
        // Of the weights-only schemes nothing else is quantized, by functions of their own.
        (Scheme::Int8 | Scheme::DynamicRange | Scheme::Float16, _) => Box::new(TensorFlowInt8),
    }
}

/// Biases leave accumulators as much room as they take.
const HALF_OF_INT32: f64 = 1_073_741_824.0;
/// Kernels take the accumulators of 64-bit biases to have 48 bits: LiteRT's `MultiplyByQuantizedMultiplier` in
/// `kernels/internal/common.h`.
const HALF_OF_INT48: f64 = 70_368_744_177_664.0;

/// The scales of the activations before and behind a layer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct LayerScales {
    pub(crate) input: f32,
    pub(crate) output: f32,
}

/// How the integers of an activation stand for real numbers: `scale * (integer - zero_point)`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Parameters {
    pub(crate) scale: f32,
    pub(crate) zero_point: i64,
}

/// The integers of a layer's weights.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Weights {
    pub(crate) values: Vec<i8>,
    /// One scale for each channel.
    pub(crate) scale: Vec<f32>,
    /// The scales that the layer's bias has: the activation's times the weights', in float32.
    pub(crate) bias_scale: Vec<f32>,
    /// Number of channels whose weights became coarser so that their bias fits.
    pub(crate) widened: usize,
}

/// The values of a constant operand in the type of activations.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum ActivationValues {
    Int8(Vec<i8>),
    Int16(Vec<i16>),
}

/// The values of a bias in the type in which they are written.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum BiasValues {
    Int32(Vec<i32>),
    Int64(Vec<i64>),
}

impl BiasValues {
    /// The same in 32 bits, as near as those allow.
    pub(crate) fn narrow(self) -> Self {
        match self {
            Self::Int64(values) => {
                let limit = i64::from(i32::MAX);
                // Exact: an integer within the limits.
                Self::Int32(values.into_iter().map(|value| value.clamp(-limit, limit) as i32).collect())
            }
            Self::Int32(_) => self,
        }
    }
}

/// Weights, seen as slices along the dimension that counts the channels.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Channels<'v> {
    values: &'v [f32],
    count: usize,
    /// Elements between a channel and the next.
    stride: usize,
}

impl<'v> Channels<'v> {
    /// `None` where the shape has no such dimension.
    pub(crate) fn new(values: &'v [f32], shape: &[usize], dimension: usize) -> Option<Self> {
        let count = *shape.get(dimension)?;
        Some(Self { values, count, stride: shape[dimension + 1..].iter().product() })
    }

    /// The values as a single channel.
    pub(crate) const fn whole(values: &'v [f32]) -> Self {
        Self { values, count: 1, stride: values.len() }
    }

    /// Number of channels.
    pub(crate) const fn count(&self) -> usize {
        self.count
    }

    /// The values with their channels, in the order of the elements.
    fn iter(&self) -> impl Iterator<Item = (usize, f32)> {
        let slices = self.values.chunks(self.stride.max(1)).zip((0..self.count).cycle());
        slices.flat_map(|(slice, channel)| slice.iter().map(move |&value| (channel, value)))
    }

    /// The indices of a channel's values, in order.
    fn positions(&self, channel: usize) -> impl Iterator<Item = usize> + use<> {
        let (stride, step, end) = (self.stride, self.stride * self.count, self.values.len());
        (channel * stride..end).step_by(step.max(1)).flat_map(move |start| start..start + stride)
    }

    /// The largest absolute value of each channel.
    pub(crate) fn magnitudes(&self) -> Vec<f32> {
        let mut magnitudes = vec![0f32; self.count];
        self.iter().for_each(|(channel, value)| magnitudes[channel] = magnitudes[channel].max(value.abs()));
        magnitudes
    }

    /// The values times their channel's factor, rounded and clamped.
    fn quantize(&self, factors: &[f32]) -> Vec<i8> {
        let quantize = |(channel, value): (usize, f32)| {
            let rounded = (value * factors[channel]).round();
            // Exact: an integer within the limits.
            rounded.clamp(-WEIGHT_LIMIT, WEIGHT_LIMIT) as i8
        };
        self.iter().map(quantize).collect()
    }
}

/// `1 / scale` in float64, cut to float32; 0 where that is not finite, so that a channel of zeros stays one.
fn reciprocal(scale: f32) -> f32 {
    finite_or_zero((1.0 / f64::from(scale)) as f32)
}

fn finite_or_zero(value: f32) -> f32 {
    if value.is_finite() { value } else { 0.0 }
}

/// `value * reciprocal(scale)` in float32, rounded.
fn rounded_bias(value: f32, scale: f32) -> f32 {
    (value * reciprocal(scale)).round()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn channels_follow_their_dimension() {
        let values: Vec<f32> = (0u8..12).map(f32::from).collect();
        let channels = |shape, dimension| Channels::new(&values, shape, dimension).unwrap().magnitudes();
        assert_eq!(channels(&[3, 2, 2], 0), [3.0, 7.0, 11.0]);
        assert_eq!(channels(&[3, 2, 2], 1), [9.0, 11.0]);
        assert_eq!(channels(&[1, 2, 2, 3], 3), [9.0, 10.0, 11.0]);
        let positions = |dimension, channel| {
            Channels::new(&values, &[3, 2, 2], dimension).unwrap().positions(channel).collect::<Vec<_>>()
        };
        assert_eq!(positions(0, 1), [4, 5, 6, 7]);
        assert_eq!(positions(1, 1), [2, 3, 6, 7, 10, 11]);
        assert_eq!(positions(2, 1), [1, 3, 5, 7, 9, 11]);
        assert!(Channels::new(&values, &[12], 1).is_none());
    }

    #[test]
    fn a_scale_without_a_finite_reciprocal_counts_as_zero() {
        assert_eq!(reciprocal(0.25), 4.0);
        assert_eq!(reciprocal(0.0), 0.0);
        assert_eq!(reciprocal(f32::from_bits(1)), 0.0);
    }

    #[test]
    fn weights_round_half_away_from_zero_and_stay_within_127() {
        let values = [0.5, -0.5, 1.5, -2.5, 0.49999997, 127.49, 300.0, -300.0];
        let channels = Channels::new(&values, &[1, 8], 0).unwrap();
        assert_eq!(channels.quantize(&[1.0]), [1, -1, 2, -3, 0, 127, 127, -127]);
    }
}
