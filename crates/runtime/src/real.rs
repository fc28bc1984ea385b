//! Real numbers in and out, whatever integers the model takes.

use burnlite_tflite::ElementType;

use crate::error::Error;
use crate::interpreter::Interpreter;
use crate::ops::integer::Integer;
use crate::ops::quantize::{dequantize_slice, quantize_slice};

impl Interpreter<'_> {
    /// Sets an input from real numbers: as they are where it holds float32, quantized as the QUANTIZE operator does where
    /// it holds int8, uint8 or int16.
    ///
    /// # Errors
    /// [`Error::NoSuchTensor`]; [`Error::InputLength`]; [`Error::ElementType`] where the input holds another type or
    /// integers without one scale.
    pub fn set_input_real(&mut self, index: usize, values: &[f32]) -> Result<(), Error> {
        self.check_input_length(index, values.len())?;
        let Some(info) = self.inputs().nth(index) else { return Ok(()) };
        let parameters = info.quantization.filter(|quantization| !quantization.is_per_channel());
        let parameters =
            parameters.map(|quantization| (quantization.scale[0], quantization.zero_point[0] as i32));
        match (info.element_type, parameters) {
            (ElementType::Int8, Some(parameters)) => self.quantize_input::<i8>(index, values, parameters),
            (ElementType::UInt8, Some(parameters)) => self.quantize_input::<u8>(index, values, parameters),
            (ElementType::Int16, Some(parameters)) => self.quantize_input::<i16>(index, values, parameters),
            _ => self.set_input::<f32>(index, values),
        }
    }

    /// An output as real numbers: as they are where it holds float32, dequantized as the DEQUANTIZE operator does where it
    /// holds int8, uint8 or int16.
    ///
    /// `values` takes as many numbers as the output has; more or fewer are an error.
    ///
    /// # Errors
    /// [`Error::NoSuchTensor`]; [`Error::InputLength`] where `values` has another length; [`Error::ElementType`] where the
    /// output holds another type or integers without one scale.
    pub fn output_real(&self, index: usize, values: &mut [f32]) -> Result<(), Error> {
        let count = self.outputs().len();
        let info = self.outputs().nth(index).ok_or(Error::NoSuchTensor { what: "output", index, count })?;
        let expected = info.shape.iter().product();
        if values.len() != expected {
            let found = values.len();
            return Err(Error::InputLength {
                name: info.name.into(),
                shape: info.shape.into(),
                expected,
                found,
            });
        }
        let parameters = info.quantization.filter(|quantization| !quantization.is_per_channel());
        let parameters =
            parameters.map(|quantization| (quantization.scale[0], quantization.zero_point[0] as i32));
        match (info.element_type, parameters) {
            (ElementType::Int8, Some(parameters)) => {
                dequantize_slice(self.output::<i8>(index)?, parameters, values)
            }
            (ElementType::UInt8, Some(parameters)) => {
                dequantize_slice(self.output::<u8>(index)?, parameters, values)
            }
            (ElementType::Int16, Some(parameters)) => {
                dequantize_slice(self.output::<i16>(index)?, parameters, values)
            }
            _ => values.copy_from_slice(self.output::<f32>(index)?),
        }
        Ok(())
    }

    fn quantize_input<T: Integer>(
        &mut self,
        index: usize,
        values: &[f32],
        parameters: (f32, i32),
    ) -> Result<(), Error> {
        quantize_slice(values, parameters, self.input_mut::<T>(index)?);
        Ok(())
    }
}
