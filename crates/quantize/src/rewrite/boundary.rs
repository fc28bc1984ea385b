//! Where floats and integers meet: the inputs and outputs of the model, and operators that stay float.
//!
//! An activation that integer operators touch is integer; where floats are needed, too, a float twin stands beside it. It
//! takes over the name, under which callers know it; the integer tensor's gets a suffix.

use burnlite_tflite::{ElementType, Op, Operator, Signature, Tensor, TensorId};

use super::Rewriter;
use crate::{FloatReason, IoType, KeptFloat};

impl Rewriter<'_, '_> {
    /// Puts a QUANTIZE behind each input that is to be float.
    pub(super) fn float_inputs(&mut self) {
        if self.quantizer.input_type == IoType::Float32 {
            for &id in &self.source.graph.inputs {
                if self.is_integer(id) && !self.twins.contains_key(&id) {
                    let twin = self.add_twin(id);
                    self.graph.operators.push(Operator::new(Op::Quantize, [twin], [id]));
                    self.keep_float(id, FloatReason::Input);
                }
            }
        }
    }

    /// Puts a DEQUANTIZE before each output that is to be float.
    pub(super) fn float_outputs(&mut self) {
        if self.quantizer.output_type == IoType::Float32 {
            let mut seen = Vec::new();
            for &id in &self.source.graph.outputs {
                if self.is_integer(id) && !seen.contains(&id) {
                    self.float_version(id);
                    self.keep_float(id, FloatReason::Output);
                    seen.push(id);
                }
            }
        }
    }

    /// The inputs, outputs and signatures of the model, with the types that were asked for.
    pub(super) fn boundary(&mut self, signatures: &[Signature]) -> Vec<Signature> {
        let Self { quantizer, source, twins, graph, .. } = self;
        let twins = &*twins;
        let version = |io_type| {
            move |id: &TensorId| match twins.get(id) {
                Some(&twin) if io_type == IoType::Float32 => twin,
                _ => *id,
            }
        };
        let (input, output) = (version(quantizer.input_type), version(quantizer.output_type));
        let mut signatures = signatures.to_vec();
        for signature in &mut signatures {
            signature.inputs.iter_mut().for_each(|(_, id)| *id = input(id));
            signature.outputs.iter_mut().for_each(|(_, id)| *id = output(id));
        }
        graph.inputs = source.graph.inputs.iter().map(input).collect();
        graph.outputs = source.graph.outputs.iter().map(output).collect();
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
        let Tensor { name, shape, shape_signature, .. } = self.tensor(id);
        let mut float = Tensor::new(name.clone(), ElementType::Float32, shape.clone());
        float.shape_signature.clone_from(shape_signature);
        self.graph.tensors[id.index()].name = format!("{name}_{}", self.quantizer.scheme.activation_type());
        let twin = self.graph.add_tensor(float);
        self.twins.insert(id, twin);
        twin
    }

    fn keep_float(&mut self, id: TensorId, reason: FloatReason) {
        self.report.kept_float.push(KeptFloat { name: self.tensor(id).name.clone(), reason });
    }
}
