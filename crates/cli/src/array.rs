//! Arrays as they lie in files and tensors: a type, a shape, little-endian bytes.

use burnlite_runtime::{Error, Interpreter};
use burnlite_tflite::{ElementType, Quantization, TensorId};

/// An array in row-major order.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Array {
    pub(crate) element_type: ElementType,
    pub(crate) shape: Vec<usize>,
    pub(crate) bytes: Vec<u8>,
}

/// Evaluates `$body` with `$T` as the Rust type whose values are elements of the given type, or `$otherwise` where there
/// is none.
macro_rules! with_element {
    ($element_type:expr, $T:ident => $body:expr, _ => $otherwise:expr) => {{
        use burnlite_tflite::ElementType as E;
        macro_rules! body {
            ($rust:ty) => {{
                type $T = $rust;
                $body
            }};
        }
        match $element_type.storage() {
            E::Float32 => body!(f32),
            E::Float64 => body!(f64),
            E::Int8 => body!(i8),
            E::Int16 => body!(i16),
            E::Int32 => body!(i32),
            E::Int64 => body!(i64),
            E::UInt8 => body!(u8),
            E::UInt16 => body!(u16),
            E::UInt32 => body!(u32),
            E::UInt64 => body!(u64),
            _ => $otherwise,
        }
    }};
}
pub(crate) use with_element;

impl Array {
    /// A float64 array as float32, each element rounded to the nearest; every other array as it is.
    pub(crate) fn with_floats_of_32_bits(self) -> Self {
        if self.element_type != ElementType::Float64 {
            return self;
        }
        let values: Vec<f64> = bytemuck::pod_collect_to_vec(&self.bytes);
        let bytes = values.iter().flat_map(|&value| (value as f32).to_le_bytes()).collect();
        Self { element_type: ElementType::Float32, bytes, ..self }
    }

    /// The bytes of one sample, where the first axis counts them.
    pub(crate) fn sample(&self, index: usize) -> &[u8] {
        let bytes = self.bytes.len() / self.shape[0];
        &self.bytes[index * bytes..][..bytes]
    }
}

/// Whether a tensor's integers stand for real numbers, by one scale and zero point.
pub(crate) fn is_quantized(element_type: ElementType, quantization: Option<&Quantization>) -> bool {
    matches!(element_type, ElementType::Int8 | ElementType::UInt8 | ElementType::Int16)
        && quantization.is_some_and(|quantization| !quantization.is_per_channel())
}

/// The bytes of a tensor's elements.
pub(crate) fn tensor_bytes<'i>(
    interpreter: &'i Interpreter<'_>,
    id: TensorId,
    element_type: ElementType,
) -> Result<Option<&'i [u8]>, Error> {
    with_element!(element_type,
        T => interpreter.tensor::<T>(id).map(|elements| Some(bytemuck::cast_slice(elements))),
        _ => Ok(None))
}

/// The real numbers that a tensor's elements stand for; without one scale, the elements as numbers. `None` where they are
/// no numbers.
pub(crate) fn real_values(
    bytes: &[u8],
    element_type: ElementType,
    quantization: Option<&Quantization>,
) -> Option<Vec<f64>> {
    // Half precision is stored as integers, which are not its numbers.
    if element_type == ElementType::Float16 {
        return None;
    }
    let quantization = quantization.filter(|quantization| !quantization.is_per_channel());
    let (scale, zero_point) = quantization.map_or((1.0, 0.0), |quantization| {
        (f64::from(quantization.scale[0]), quantization.zero_point[0] as f64)
    });
    with_element!(element_type,
        T => {
            let elements: Vec<T> = bytemuck::pod_collect_to_vec(bytes);
            Some(elements.into_iter().map(|element| (element as f64 - zero_point) * scale).collect())
        },
        _ => None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_stand_for_real_numbers() {
        let quantization = Quantization::per_tensor(0.5, 3);
        let values = real_values(&[0xfd, 3, 5], ElementType::Int8, Some(&quantization));
        assert_eq!(values, Some(vec![-3.0, 0.0, 1.0]));
        assert_eq!(real_values(&[1, 0], ElementType::Bool, None), Some(vec![1.0, 0.0]));
        assert_eq!(real_values(&[1, 0], ElementType::Float16, None), None);
    }

    #[test]
    fn float64_becomes_float32() {
        let bytes = [0.1f64, -1e300].iter().flat_map(|value| value.to_le_bytes()).collect();
        let array = Array { element_type: ElementType::Float64, shape: vec![2], bytes };
        let expected: Vec<u8> =
            [0.1f32, f32::NEG_INFINITY].iter().flat_map(|value| value.to_le_bytes()).collect();
        assert_eq!(array.with_floats_of_32_bits().bytes, expected);
    }
}
