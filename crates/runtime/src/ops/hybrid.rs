//! Hybrid layers ("dynamic range"): the weights are int8, inputs and outputs float. Each sample of the input is quantized
//! when the layer runs, so that the products are those of integers.

use alloc::vec::Vec;
use core::marker::PhantomData;

use crate::error::OperatorFault;
use crate::fixed_point::{round_half_away, round_within};
use crate::frame::{Inputs, Writable, elements_mut};
use crate::kernels::Kernels;
use crate::ops::activation::{clamp, float_range};
use crate::ops::weighted::{Integers, Layer, Positions, Weighted};
use crate::plan::{Kernel, Planned};

/// What distinguishes one hybrid operator from another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Hybrid {
    pub(crate) range: SampleRange,
    /// Whether a sum is multiplied by its channel's scale and then by the sample's. It is multiplied by the product of
    /// both otherwise, which rounds differently.
    pub(crate) scales_channel_first: bool,
}

/// The real range that a sample's integers cover.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SampleRange {
    /// As far below as above zero, in 255 steps.
    Symmetric,
    /// From the smallest to the greatest value and zero, in 256 steps.
    Asymmetric,
}

impl SampleRange {
    /// Quantizes a sample; gives its scale and zero point.
    #[inline(always)]
    pub(crate) fn quantize(self, sample: &[f32], output: &mut [i8]) -> (f32, i32) {
        let (least, greatest) = range_of(sample);
        if least == greatest {
            output.fill(0);
            return (1.0, 0);
        }
        match self {
            Self::Symmetric => symmetric(sample, greatest.max(-least), output),
            Self::Asymmetric => asymmetric(sample, (least, greatest), output),
        }
    }
}

/// The least and the greatest of the values and 0, as far as they are numbers.
#[inline(always)]
fn range_of(sample: &[f32]) -> (f32, f32) {
    /// Values that are compared at once: in their order one would wait for the other.
    const LANES: usize = 32;
    let (mut least, mut greatest) = ([0f32; LANES], [0f32; LANES]);
    for values in sample.chunks(LANES) {
        for ((least, greatest), &x) in least.iter_mut().zip(&mut greatest).zip(values) {
            *least = if x < *least { x } else { *least };
            *greatest = if x > *greatest { x } else { *greatest };
        }
    }
    (least.into_iter().fold(0.0, f32::min), greatest.into_iter().fold(0.0, f32::max))
}

/// `portable_tensor_utils.cc`, `PortableSymmetricQuantizeFloats`.
#[inline(always)]
fn symmetric(sample: &[f32], range: f32, output: &mut [i8]) -> (f32, i32) {
    let inverse = 127.0 / range;
    for (q, &x) in output.iter_mut().zip(sample) {
        *q = round_within(x * inverse, (-127.0, 127.0)) as i8;
    }
    (range / 127.0, 0)
}

/// `portable_tensor_utils.cc`, `PortableAsymmetricQuantizeFloats`: the zero point is derived from the end of the range that
/// gives it with the smaller error.
#[inline(always)]
fn asymmetric(sample: &[f32], (least, greatest): (f32, f32), output: &mut [i8]) -> (f32, i32) {
    let (min, max) = (f64::from(i8::MIN), f64::from(i8::MAX));
    let scale = f64::from(greatest - least) / (max - min);
    let (below, above) = (f64::from(least) / scale, f64::from(greatest) / scale);
    let zero_point = if below.abs() - min < above.abs() + max { min - below } else { max - above };
    let zero_point = round_half_away(zero_point.clamp(min, max)) as i32;
    let scale = scale as f32;
    let inverse = if scale == 0.0 { 0.0 } else { 1.0 / scale };
    for (q, &x) in output.iter_mut().zip(sample) {
        *q = round_within(zero_point as f32 + x * inverse, (-128.0, 127.0)) as i8;
    }
    (scale, zero_point)
}

/// A layer of int8 weights that quantizes its input.
#[derive(Debug)]
pub(crate) struct HybridLayer<L> {
    layer: L,
    positions: Positions,
    hybrid: Hybrid,
    /// Of each channel.
    weight_scales: Vec<f32>,
    range: (f32, f32),
    kernels: Kernels,
}

impl<L: Layer> HybridLayer<L> {
    pub(crate) fn planned(
        operator: &Weighted<'_, '_>,
        hybrid: Hybrid,
        layer: L,
        shape: &[usize],
    ) -> Result<Planned, OperatorFault> {
        let weights = operator.node.input(operator.positions.weights)?;
        weights.require_zero_points_of_zero()?;
        let weight_scales = weights.channel_scales(operator.channels, operator.dimension)?;
        let range = float_range(operator.activation)?;
        if let Some(tiled) = operator.tiled_hybrid(hybrid, &layer, (&weight_scales, range), shape) {
            return Ok(tiled);
        }
        let scratch_bytes = [layer.scratch_bytes::<Integers<i8, i32>>(), layer.samples().elements].into();
        let (positions, kernels) = (operator.positions, operator.node.options.kernels);
        let kernel = Self { layer, positions, hybrid, weight_scales, range, kernels };
        Ok(Planned { scratch_bytes, ..Planned::new(shape, kernel) })
    }
}

impl<L: Layer> Kernel for HybridLayer<L> {
    fn table_bytes(&self) -> usize {
        size_of_val(&self.weight_scales[..])
    }

    fn run(
        &self,
        inputs: &Inputs<'_>,
        [output, scratch, quantized, ..]: &mut Writable<'_>,
    ) -> Result<(), OperatorFault> {
        if output.is_empty() {
            return Ok(());
        }
        let Positions { input, weights, bias } = self.positions;
        let (weights, bias) = (inputs.get(weights), inputs.get::<f32>(bias));
        let mut outputs = elements_mut::<f32>(output).iter_mut();
        let quantized = elements_mut::<i8>(quantized);
        for sample in self.layer.samples().of(inputs.get::<f32>(input)) {
            let (scale, zero_point) = self.hybrid.range.quantize(sample, quantized);
            let arithmetic = Integers::<i8, i32> {
                zero_points: (zero_point, 0),
                kernels: self.kernels,
                types: PhantomData,
            };
            self.layer.for_each_sum(&arithmetic, quantized, weights, scratch, |channel, sum| {
                let weight_scale = self.weight_scales[channel];
                let real = if self.hybrid.scales_channel_first {
                    sum as f32 * weight_scale * scale
                } else {
                    sum as f32 * (weight_scale * scale)
                };
                let bias = bias.get(channel).copied().unwrap_or_default();
                outputs.next().into_iter().for_each(|y| *y = clamp(real + bias, self.range));
            });
        }
        Ok(())
    }

    fn kernels(&self) -> Kernels {
        if self.layer.sums_rows() { self.kernels.of_dots() } else { Kernels::Reference }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zeros_stay_zeros_whatever_the_range() {
        for range in [SampleRange::Symmetric, SampleRange::Asymmetric] {
            let mut output = [1; 3];
            assert_eq!(range.quantize(&[0.0, -0.0, 0.0], &mut output), (1.0, 0));
            assert_eq!(output, [0; 3]);
        }
        let mut output = [0; 2];
        let (_, zero_point) = SampleRange::Asymmetric.quantize(&[0.0, -3.0], &mut output);
        assert_eq!((zero_point, output), (127, [127, -128]));
    }

    #[test]
    fn one_sign_takes_half_of_the_symmetric_and_all_of_the_asymmetric_range() {
        let sample = [0.0, 1.0, 2.0];
        let mut output = [0; 3];
        SampleRange::Symmetric.quantize(&sample, &mut output);
        assert_eq!(output, [0, 64, 127]);
        assert_eq!(SampleRange::Asymmetric.quantize(&sample, &mut output), (2.0 / 255.0, -128));
        assert_eq!(output, [-128, -1, 127]);
    }

    #[test]
    fn values_so_small_that_their_scale_is_zero_are_the_zero_point() {
        let mut output = [0; 2];
        let (scale, zero_point) = SampleRange::Asymmetric.quantize(&[0.0, 1e-45], &mut output);
        assert_eq!((scale, zero_point, output), (0.0, -128, [-128, -128]));
    }
}
