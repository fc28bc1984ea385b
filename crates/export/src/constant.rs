//! Values that are known when a module is exported.

use burn::backend::DType;
use burn::tensor::TensorData;
use burnlite_tflite::{ElementType, Tensor};

use crate::error::Refusal;

/// An array whose elements are known, row-major as Burn has them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Constant {
    /// The path of the parameter that it was made from: `conv/weight`.
    pub(crate) name: Option<String>,
    pub(crate) element_type: ElementType,
    pub(crate) shape: Vec<usize>,
    /// Little-endian elements.
    data: Vec<u8>,
}

impl Constant {
    /// Elements that Burn captured.
    pub(crate) fn captured(data: &TensorData, name: Option<String>) -> Result<Self, Refusal> {
        let element_type = element_type(data.dtype())?;
        let shape = data.shape().as_slice().to_vec();
        Ok(Self { name, element_type, shape, data: data.as_bytes().to_vec() })
    }

    /// Zeros, one for each index of a vector.
    pub(crate) fn zeros(len: usize) -> Self {
        let data = vec![0; len * size_of::<f32>()];
        Self { name: None, element_type: ElementType::Float32, shape: vec![len], data }
    }

    /// The same elements under another shape of as many elements.
    pub(crate) fn reshaped(self, shape: &[usize]) -> Self {
        debug_assert_eq!(self.shape.iter().product::<usize>(), shape.iter().product::<usize>());
        Self { shape: shape.to_vec(), ..self }
    }

    /// The dimensions in another order, and the elements with them.
    pub(crate) fn permuted(&self, order: &[usize]) -> Self {
        let shape: Vec<usize> = order.iter().map(|&dim| self.shape[dim]).collect();
        let elements: usize = shape.iter().product();
        let bytes = self.data.len() / elements.max(1);
        let strides = row_major_strides(&self.shape);
        let strides: Vec<usize> = order.iter().map(|&dim| strides[dim]).collect();
        let mut data = Vec::with_capacity(self.data.len());
        let mut index = vec![0; shape.len()];
        for _ in 0..elements {
            let from: usize = index.iter().zip(&strides).map(|(index, stride)| index * stride).sum();
            data.extend_from_slice(&self.data[from * bytes..][..bytes]);
            advance(&mut index, &shape);
        }
        Self { name: self.name.clone(), element_type: self.element_type, shape, data }
    }

    /// The elements as a tensor of the file.
    pub(crate) fn into_tensor(self, name: String) -> Tensor<'static> {
        Tensor { data: Some(self.data.into()), ..Tensor::new(name, self.element_type, self.shape) }
    }
}

/// The type in the file of elements that Burn calls `dtype`.
pub(crate) fn element_type(dtype: DType) -> Result<ElementType, Refusal> {
    Ok(match dtype {
        DType::F32 => ElementType::Float32,
        DType::F64 => ElementType::Float64,
        DType::F16 => ElementType::Float16,
        DType::I64 => ElementType::Int64,
        DType::I32 => ElementType::Int32,
        DType::I16 => ElementType::Int16,
        DType::I8 => ElementType::Int8,
        DType::U8 => ElementType::UInt8,
        other => {
            let reason = format!("TensorFlow Lite has no elements of type {other:?}: cast the tensor");
            return Err(Refusal::new(reason));
        }
    })
}

/// How far apart the elements of neighbouring indices are.
fn row_major_strides(shape: &[usize]) -> Vec<usize> {
    let mut strides = vec![1; shape.len()];
    for dim in (1..shape.len()).rev() {
        strides[dim - 1] = strides[dim] * shape[dim];
    }
    strides
}

/// The next index in row-major order.
fn advance(index: &mut [usize], shape: &[usize]) {
    for dim in (0..shape.len()).rev() {
        index[dim] += 1;
        if index[dim] < shape[dim] {
            return;
        }
        index[dim] = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_permutation_moves_every_element_to_its_place() {
        let values: Vec<i32> = (0..24).collect();
        let constant = Constant::captured(&TensorData::new(values, [2, 3, 4]), None).unwrap();
        let permuted = constant.permuted(&[2, 0, 1]);
        assert_eq!(permuted.shape, [4, 2, 3]);
        let tensor = permuted.clone().into_tensor("x".into());
        let elements = tensor.elements_of::<i32>().unwrap();
        for (position, (k, i, j)) in
            (0..4).flat_map(|k| (0..2).flat_map(move |i| (0..3).map(move |j| (k, i, j)))).enumerate()
        {
            assert_eq!(elements[position], i * 12 + j * 4 + k);
        }
        assert_eq!(permuted.permuted(&[1, 2, 0]), constant);
    }

    #[test]
    fn a_scalar_permutes_to_itself() {
        let scalar = Constant::zeros(1).reshaped(&[]);
        assert_eq!(scalar.permuted(&[]), scalar);
    }
}
