//! Where floats and integers meet: the inputs and outputs of the model, and operators that stay float.
//!
//! An activation that integer operators touch is integer; where floats are needed, too, a float twin stands beside it. It
//! takes over the name, under which callers know it; the integer tensor's gets a suffix.

use burnlite_tflite::{ElementType, Op, Operator, Signature, Tensor, TensorId};

use super::Rewriter;
use crate::{Error, FloatReason, IoType, KeptFloat};

impl Rewriter<'_, '_> {
    /// Puts a QUANTIZE behind each input whose type is not that of activations.
    pub(super) fn boundary_inputs(&mut self) {
        let io_type = self.quantizer.input_type;
        for &id in &self.float.inputs {
            if io_type == IoType::Integer || !self.is_integer(id) || self.inputs.contains_key(&id) {
                continue;
            }
            let outer =
                if io_type == IoType::Float32 { self.add_twin(id) } else { self.add_unsigned(id, id) };
            self.graph.operators.push(Operator::new(Op::Quantize, [outer], [id]));
            self.inputs.insert(id, outer);
            self.keep_float(io_type, id, FloatReason::Input);
        }
    }

    /// Puts a DEQUANTIZE or QUANTIZE before each output whose type is not that of activations.
    pub(super) fn boundary_outputs(&mut self) -> Result<(), Error> {
        let io_type = self.quantizer.output_type;
        for &id in &self.float.outputs {
            if !self.is_integer(id) || self.outputs.contains_key(&id) {
                continue;
            }
            let outer = match io_type {
                IoType::Float32 => self.float_version(id),
                IoType::Integer => self.output_integers(id)?,
                IoType::UInt8 => {
                    let integers = self.output_integers(id)?;
                    let outer = self.add_unsigned(id, integers);
                    self.graph.operators.push(Operator::new(Op::Quantize, [integers], [outer]));
                    outer
                }
            };
            self.outputs.insert(id, outer);
            self.keep_float(io_type, id, FloatReason::Output);
        }
        Ok(())
    }

    /// The tensor that has an output as the integers that callers know.
    fn output_integers(&mut self, id: TensorId) -> Result<TensorId, Error> {
        let parameters = self.parts[0].parameters(id)?;
        let integers = self.version(id, 0, parameters);
        if integers != id {
            self.graph.tensors[integers.index()].name = self.release_name(id);
        }
        Ok(integers)
    }

    /// Gives the model its inputs and outputs, and returns the signatures that fit.
    pub(super) fn boundary(&mut self, signatures: &[Signature]) -> Vec<Signature> {
        let Self { float, inputs, outputs, graph, .. } = self;
        let input = |id: &TensorId| *inputs.get(id).unwrap_or(id);
        let output = |id: &TensorId| *outputs.get(id).unwrap_or(id);
        let mut signatures = signatures.to_vec();
        for signature in &mut signatures {
            signature.inputs.iter_mut().for_each(|(_, id)| *id = input(id));
            signature.outputs.iter_mut().for_each(|(_, id)| *id = output(id));
        }
        graph.inputs = float.inputs.iter().map(input).collect();
        graph.outputs = float.outputs.iter().map(output).collect();
        signatures
    }

    /// The tensor from which a float operator reads an activation.
    pub(super) fn float_version(&mut self, id: TensorId) -> TensorId {
        if !self.is_integer(id) {
            return id;
        }
        if let Some(&twin) = self.twins.get(&id) {
            return twin;
        }
        let twin = self.add_twin(id);
        self.graph.operators.push(Operator::new(Op::Dequantize, [id], [twin]));
        twin
    }

    /// Adds a float tensor for one that became integer.
    pub(super) fn add_twin(&mut self, id: TensorId) -> TensorId {
        let Tensor { shape, shape_signature, .. } = self.tensor(id);
        let mut float = Tensor::new(self.release_name(id), ElementType::Float32, shape.clone());
        float.shape_signature.clone_from(shape_signature);
        let twin = self.graph.add_tensor(float);
        self.twins.insert(id, twin);
        twin
    }

    /// Adds a uint8 tensor for an int8 version of an activation: the same scale, and a zero point 128 above.
    fn add_unsigned(&mut self, id: TensorId, integers: TensorId) -> TensorId {
        let mut unsigned = self.graph.tensors[integers.index()].clone();
        unsigned.name = self.release_name(id);
        unsigned.element_type = ElementType::UInt8;
        if let Some(quantization) = &mut unsigned.quantization {
            quantization.zero_point.iter_mut().for_each(|zero_point| *zero_point += 128);
        }
        self.graph.add_tensor(unsigned)
    }

    /// The name under which callers know an activation; its integers get a suffix.
    fn release_name(&mut self, id: TensorId) -> String {
        let Tensor { name, .. } = self.tensor(id);
        let integers = &mut self.graph.tensors[id.index()];
        integers.name = format!("{name}_{}", integers.element_type);
        name.clone()
    }

    fn keep_float(&mut self, io_type: IoType, id: TensorId, reason: FloatReason) {
        if io_type == IoType::Float32 {
            self.report.kept_float.push(KeptFloat { name: self.tensor(id).name.clone(), reason });
        }
    }
}
