//! How integers stand for real numbers.

use alloc::vec;
use alloc::vec::Vec;

/// The affine quantization of a tensor: `real = scale * (integer - zero_point)`.
///
/// There is one pair for the whole tensor, or one for each slice along [`dimension`](Self::dimension) ("per
/// channel").
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Quantization {
    /// Size of one integer step, in real units; one value, or one for each channel.
    pub scale: Vec<f32>,
    /// The integer that stands for zero; as many as there are scales.
    pub zero_point: Vec<i64>,
    /// The dimension along which the pairs differ; 0 where there is only one.
    pub dimension: usize,
}

impl Quantization {
    /// One scale and zero point for the whole tensor.
    pub fn per_tensor(scale: f32, zero_point: i64) -> Self {
        Self { scale: vec![scale], zero_point: vec![zero_point], dimension: 0 }
    }

    /// One scale for each slice along `dimension`, with zero points of 0.
    pub fn per_channel(scale: Vec<f32>, dimension: usize) -> Self {
        Self { zero_point: vec![0; scale.len()], scale, dimension }
    }

    /// Whether there is more than one scale.
    pub fn is_per_channel(&self) -> bool {
        self.scale.len() > 1
    }
}

/// The real values a float tensor was seen to take, as calibration left them in the file (`quantization.min` and
/// `quantization.max` of the format); one value for the tensor, or one for each channel.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Range {
    /// Smallest values.
    pub min: Vec<f32>,
    /// Largest values.
    pub max: Vec<f32>,
}
