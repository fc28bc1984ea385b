//! The inputs and outputs of the quantized model.

use std::collections::BTreeMap;

use burnlite_tflite::{ElementType, Op, Operator, Signature, Tensor, TensorId};

use super::Rewriter;
use crate::{FloatReason, IoType, KeptFloat};

/// Float tensors that stand for integer ones at the boundary.
type Twins = BTreeMap<TensorId, TensorId>;

impl Rewriter<'_, '_> {
    /// Gives float inputs and outputs the types that were asked for, and returns the signatures that fit.
    pub(super) fn boundary(&mut self, signatures: &[Signature]) -> Vec<Signature> {
        let inputs = match self.quantizer.input_type {
            IoType::Float32 => self.float_inputs(),
            IoType::Integer => Twins::new(),
        };
        let outputs = match self.quantizer.output_type {
            IoType::Float32 => self.float_outputs(),
            IoType::Integer => Twins::new(),
        };
        let mut signatures = signatures.to_vec();
        for signature in &mut signatures {
            signature.inputs.iter_mut().for_each(|(_, id)| replace(id, &inputs));
            signature.outputs.iter_mut().for_each(|(_, id)| replace(id, &outputs));
        }
        self.graph.inputs.iter_mut().for_each(|id| replace(id, &inputs));
        self.graph.outputs.iter_mut().for_each(|id| replace(id, &outputs));
        signatures
    }

    /// Puts a QUANTIZE behind each float input.
    fn float_inputs(&mut self) -> Twins {
        let twins = self.twins(&self.source.inputs, FloatReason::Input);
        let quantize = twins.iter().map(|(&integer, &float)| Operator::new(Op::Quantize, [float], [integer]));
        self.graph.operators.splice(0..0, quantize);
        twins
    }

    /// Puts a DEQUANTIZE before each float output.
    fn float_outputs(&mut self) -> Twins {
        let twins = self.twins(&self.source.outputs, FloatReason::Output);
        let dequantize =
            twins.iter().map(|(&integer, &float)| Operator::new(Op::Dequantize, [integer], [float]));
        self.graph.operators.extend(dequantize);
        twins
    }

    /// Adds a float tensor for each of those that became integer. It takes over the name, under which callers know it;
    /// the integer tensor's gets a suffix.
    fn twins(&mut self, ids: &[TensorId], reason: FloatReason) -> Twins {
        let mut twins = Twins::new();
        for &id in ids {
            if self.parameters[id.index()].is_none() || twins.contains_key(&id) {
                continue;
            }
            let Tensor { name, shape, shape_signature, .. } = self.tensor(id);
            let mut float = Tensor::new(name.clone(), ElementType::Float32, shape.clone());
            float.shape_signature.clone_from(shape_signature);
            self.graph.tensors[id.index()].name =
                format!("{name}_{}", self.quantizer.scheme.activation_type());
            self.report.kept_float.push(KeptFloat { name: name.clone(), reason });
            twins.insert(id, self.graph.add_tensor(float));
        }
        twins
    }
}

fn replace(id: &mut TensorId, twins: &Twins) {
    if let Some(&twin) = twins.get(id) {
        *id = twin;
    }
}
