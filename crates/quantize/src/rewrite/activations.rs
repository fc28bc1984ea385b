//! Activations: which integers stand for each of them.
//!
//! An activation that integer operators touch becomes integer at its own index: its home. Where operators want other
//! integers, of another scale or another scheme, a QUANTIZE rescales it.

use std::collections::BTreeMap;

use burnlite_tflite::{Op, Operator, Quantization, Tensor, TensorId};

use super::Rewriter;
use crate::parameters::Parameters;
use crate::rules::{Rule, is_real, real_results, reals};
use crate::scales::NO_MAGNITUDE;
use crate::{Error, IoType, Remark, Role};

/// The integers that an activation has at its own index.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Home {
    part: usize,
    parameters: Parameters,
    /// Whether they are quantized from floats that an operator or the caller writes.
    is_of_floats: bool,
}

/// Integers of an activation: the part, the bits of the scale, and the zero point.
pub(super) type Version = (TensorId, usize, u32, i64);

/// Where an activation becomes integer.
#[derive(Debug, Clone, Copy)]
struct Settlement {
    part: usize,
    is_of_floats: bool,
}

impl<'s, 'a> Rewriter<'s, 'a> {
    /// Gives every activation that an integer operator touches its integers.
    pub(super) fn become_integer(&mut self) -> Result<(), Error> {
        let (order, settlements) = self.settlements();
        for id in order {
            let is_activation = is_real(self.float, id) && self.tensor(id).data.is_none();
            if let Some(&settlement) = settlements.get(&id).filter(|_| is_activation && !self.is_integer(id))
            {
                self.settle(id, settlement)?;
            }
        }
        Ok(())
    }

    /// The tensors that integer operators or the caller want as integers, in the order in which they are reached, and
    /// whose integers they are: those of the operator that computes them, else those of the first part that reads them.
    fn settlements(&self) -> (Vec<TensorId>, BTreeMap<TensorId, Settlement>) {
        let graph = self.float;
        let has_integers = |io_type, ids: &'s [TensorId]| if io_type == IoType::Float32 { &[] } else { ids };
        let inputs = has_integers(self.quantizer.input_type, &graph.inputs);
        let outputs = has_integers(self.quantizer.output_type, &graph.outputs);
        let mut order = inputs.to_vec();
        let mut settlements = BTreeMap::new();
        let mut computed: Vec<(TensorId, usize)> = inputs.iter().map(|&id| (id, 0)).collect();
        for (operator, rule) in graph.operators.iter().zip(self.rules) {
            let Ok((part, rule)) = rule else { continue };
            if *rule == Rule::Passthrough {
                continue;
            }
            for (_, id) in reals(graph, operator) {
                let read = settlements.entry(id).or_insert(Settlement { part: *part, is_of_floats: true });
                read.part = read.part.min(*part);
                order.push(id);
            }
            computed.extend(real_results(graph, operator).map(|(_, id)| (id, *part)));
            order.extend(real_results(graph, operator).map(|(_, id)| id));
        }
        order.extend(outputs);
        for &id in outputs {
            settlements.entry(id).or_insert(Settlement { part: 0, is_of_floats: true });
        }
        let computed = computed.into_iter().map(|(id, part)| (id, Settlement { part, is_of_floats: false }));
        settlements.extend(computed);
        (order, settlements)
    }

    fn settle(&mut self, id: TensorId, Settlement { part, is_of_floats }: Settlement) -> Result<(), Error> {
        let parameters = self.parts[part].parameters(id)?;
        let is_zero = self.parts[part].source.range(id).is_some_and(|range| range.magnitude() < NO_MAGNITUDE);
        if is_zero {
            self.report.remarks.push(Remark::AlwaysZero { tensor: self.tensor(id).name.clone() });
        }
        let quantized = self.activation_like(id, part, parameters);
        self.report.add(Role::Activation, &quantized);
        self.graph.tensors[id.index()] = quantized;
        self.homes.insert(id, Home { part, parameters, is_of_floats });
        Ok(())
    }

    /// The tensor that an integer operator of a part reads as an operand.
    pub(super) fn operand(
        &mut self,
        place: (usize, usize),
        id: TensorId,
        part: usize,
    ) -> Result<TensorId, Error> {
        let numbers = &self.parts[part];
        let wanted = numbers.scales.operands.get(&place).copied();
        if self.tensor(id).data.is_some() {
            let parameters = wanted.map_or_else(|| numbers.source.constant(id), Ok)?;
            return self.constant_operand(id, part, parameters);
        }
        let parameters = wanted.map_or_else(|| numbers.parameters(id), Ok)?;
        Ok(self.version(id, part, parameters))
    }

    /// The tensor that has an activation as the given integers: its home, or what that is rescaled to.
    pub(super) fn version(&mut self, id: TensorId, part: usize, parameters: Parameters) -> TensorId {
        let home = self.homes.get(&id).copied();
        if home.is_none_or(|home| (home.part, home.parameters) == (part, parameters)) {
            return id;
        }
        let version = (id, part, parameters.scale.to_bits(), parameters.zero_point);
        if let Some(&rescaled) = self.rescaled.get(&version) {
            return rescaled;
        }
        let rescaled = self.add_activation(id, part, parameters);
        // Integers of another scheme keep what floats there are.
        let of_floats = home.filter(|home| home.is_of_floats && home.part != part);
        let written = of_floats.and_then(|_| self.twins.get(&id).copied()).unwrap_or(id);
        self.graph.operators.push(Operator::new(Op::Quantize, [written], [rescaled]));
        self.rescaled.insert(version, rescaled);
        rescaled
    }

    /// Adds a tensor for another version of an activation.
    pub(super) fn add_activation(&mut self, id: TensorId, part: usize, parameters: Parameters) -> TensorId {
        let mut tensor = self.activation_like(id, part, parameters);
        tensor.name = format!("{}_rescaled_{}", tensor.name, self.graph.tensors.len());
        self.graph.add_tensor(tensor)
    }

    /// A tensor with the name and the shape of a float activation, and the given integers.
    fn activation_like(&self, id: TensorId, part: usize, parameters: Parameters) -> Tensor<'a> {
        Tensor {
            element_type: self.parts[part].source.scheme.activation_type(),
            quantization: Some(Quantization::per_tensor(parameters.scale, parameters.zero_point)),
            range: None,
            ..self.tensor(id).clone()
        }
    }
}
