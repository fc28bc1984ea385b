//! Values that are known when a module is exported.

use burn::backend::ir::ScalarIr;
use burn::backend::{BoolStore, DType};
use burn::tensor::TensorData;
use burnlite_tflite::{ElementType, Tensor};

use crate::error::Refusal;
use crate::layout::Move;

/// An array whose elements are known, row-major as Burn has them.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
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
        let bytes = data.as_bytes();
        let data = match data.dtype() {
            DType::Bool(BoolStore::U32) => bytes.iter().step_by(4).copied().collect(),
            _ => bytes.to_vec(),
        };
        Ok(Self { name, element_type, shape, data })
    }

    /// Zeros, one for each index of a vector.
    pub(crate) fn zeros(len: usize) -> Self {
        Self::floats(&[len], vec![0.0; len])
    }

    /// Floats.
    pub(crate) fn floats(shape: &[usize], elements: Vec<f32>) -> Self {
        Self::of(shape, elements.into_iter().flat_map(f32::to_le_bytes), ElementType::Float32)
    }

    /// Booleans.
    pub(crate) fn booleans(shape: &[usize], elements: impl Iterator<Item = bool>) -> Self {
        Self::of(shape, elements.map(u8::from), ElementType::Bool)
    }

    /// Integers of 32 bits, as operators take their parameters.
    pub(crate) fn integers(elements: &[i32]) -> Self {
        Self::of(
            &[elements.len()],
            elements.iter().flat_map(|element| element.to_le_bytes()),
            ElementType::Int32,
        )
    }

    /// One number of the given type.
    pub(crate) fn scalar(value: ScalarIr, element_type: ElementType) -> Result<Self, Refusal> {
        let data = match element_type {
            ElementType::Float32 => value.elem::<f32>().to_le_bytes().to_vec(),
            ElementType::Float64 => value.elem::<f64>().to_le_bytes().to_vec(),
            ElementType::Int64 => value.elem::<i64>().to_le_bytes().to_vec(),
            ElementType::Int32 => value.elem::<i32>().to_le_bytes().to_vec(),
            ElementType::Int16 => value.elem::<i16>().to_le_bytes().to_vec(),
            ElementType::Int8 => value.elem::<i8>().to_le_bytes().to_vec(),
            ElementType::UInt8 => value.elem::<u8>().to_le_bytes().to_vec(),
            ElementType::Bool => vec![u8::from(value.elem::<bool>())],
            other => {
                return Err(Refusal::new(format!("there is no constant of type {other:?}: cast the tensor")));
            }
        };
        Ok(Self { name: None, element_type, shape: vec![], data })
    }

    fn of(shape: &[usize], bytes: impl Iterator<Item = u8>, element_type: ElementType) -> Self {
        Self { name: None, element_type, shape: shape.to_vec(), data: bytes.collect() }
    }

    /// The same elements under another name.
    pub(crate) fn named(self, name: Option<String>) -> Self {
        Self { name, ..self }
    }

    /// The elements, which are floats.
    pub(crate) fn to_floats(&self) -> Result<Vec<f32>, Refusal> {
        if self.element_type != ElementType::Float32 {
            let reason =
                format!("a constant of type {:?} stands where floats of 32 bits do", self.element_type);
            return Err(Refusal::new(reason));
        }
        let (elements, _) = self.data.as_chunks();
        Ok(elements.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect())
    }

    /// The same elements as 32-bit integers, if they fit.
    pub(crate) fn narrowed(self) -> Self {
        if self.element_type != ElementType::Int64 {
            return self;
        }
        let (elements, _) = self.data.as_chunks();
        let narrow = |&bytes: &[u8; 8]| i32::try_from(i64::from_le_bytes(bytes)).ok();
        match elements.iter().map(narrow).collect::<Option<Vec<i32>>>() {
            Some(elements) => Self { name: self.name, ..Self::integers(&elements).reshaped(&self.shape) },
            None => self,
        }
    }

    /// The elements for one row of the batch, of which there are `batch` along `dim`.
    pub(crate) fn once(self, dim: usize, batch: usize) -> Result<Self, Refusal> {
        let outer: usize = self.shape[..dim].iter().product();
        let rows = self.data.len() / (outer * batch).max(1);
        let mut data = Vec::with_capacity(outer * rows);
        for block in self.data.chunks((rows * batch).max(1)) {
            let (first, others) = block.split_at(rows);
            if others.chunks(rows).any(|other| other != first) {
                let reason = "a constant is another for each row of the batch: export for one batch with \
                              dynamic_batch(false)";
                return Err(Refusal::new(reason));
            }
            data.extend_from_slice(first);
        }
        let mut shape = self.shape;
        shape[dim] /= batch;
        Ok(Self { shape, data, ..self })
    }

    /// The elements after a move of their tensor.
    pub(crate) fn moved(self, step: &Move) -> Self {
        match step {
            Move::Reshape(shape) => self.reshaped(&shape.sizes()),
            Move::Transpose(order, _) => self.permuted(order),
        }
    }

    /// The elements without dimensions of extent 1 in front, which broadcasting does not need.
    pub(crate) fn without_leading_ones(self) -> Self {
        let leading = self.shape.iter().take_while(|&&extent| extent == 1).count();
        let shape = self.shape[leading..].to_vec();
        self.reshaped(&shape)
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
        DType::Bool(_) => ElementType::Bool,
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
