//! Images and labels as tensors.

use burn::tensor::{Device, Int, Tensor, TensorData};

use crate::{Dataset, PIXELS, SIDE};

/// The images of `dataset` with the given indices, divided by 255: `[N, 28, 28]` in `0..=1`.
pub(crate) fn images(dataset: &Dataset, indices: &[usize], device: &Device) -> Tensor<3> {
    let mut pixels = Vec::with_capacity(indices.len() * PIXELS);
    for &index in indices {
        pixels.extend_from_slice(&dataset.normalized(index));
    }
    Tensor::from_data(TensorData::new(pixels, [indices.len(), SIDE, SIDE]), device)
}

/// Their labels: `[N]`.
pub(crate) fn labels(dataset: &Dataset, indices: &[usize], device: &Device) -> Tensor<1, Int> {
    let labels: Vec<i32> = indices.iter().map(|&index| i32::from(dataset.label(index))).collect();
    Tensor::from_data(TensorData::new(labels, [indices.len()]), device)
}
