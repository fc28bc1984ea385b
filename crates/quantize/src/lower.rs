//! Operators that integer kernels lack, written with operators that they have. Numbers stay the same.
//!
//! The ranges of the values in between follow from those that calibration saw.

use std::borrow::Cow;

use burnlite_tflite::{
    Activation, AddOptions, ElementType, Graph, MulOptions, Op, Operator, SubOptions, Tensor, TensorId,
};

use crate::{Bounds, Calibration, Compat, Quantizer, Scheme};

/// A graph in which some operators were rewritten.
pub(crate) struct Lowered<'g, 'a> {
    pub(crate) graph: Cow<'g, Graph<'a>>,
    /// The index of the operator in the float model from which each operator comes.
    pub(crate) origins: Vec<usize>,
    /// The ranges of the tensors behind those of the float model; `None` for constants.
    pub(crate) ranges: Vec<Option<Bounds>>,
}

/// Rewrites what the scheme's kernels lack, and TensorFlow does not leave float.
pub(crate) fn lower<'g, 'a>(
    quantizer: &Quantizer,
    source: &'g Graph<'a>,
    calibration: &Calibration,
) -> Lowered<'g, 'a> {
    let origins = (0..source.operators.len()).collect();
    let mut lowered = Lowered { graph: Cow::Borrowed(source), origins, ranges: Vec::new() };
    let is_lacking =
        |operator: &Operator| is_lacking(&operator.op, quantizer) && has_real_result(source, operator);
    if !source.operators.iter().any(is_lacking) {
        return lowered;
    }
    lowered.graph = Cow::Owned(Graph { operators: Vec::new(), ..source.clone() });
    lowered.origins.clear();
    for (index, operator) in source.operators.iter().enumerate() {
        let written = match is_lacking(operator) {
            true => lowered.rewritten(operator, calibration),
            false => None,
        };
        let written = written.unwrap_or_else(|| vec![operator.clone()]);
        lowered.origins.extend(written.iter().map(|_| index));
        lowered.graph.to_mut().operators.extend(written);
    }
    lowered
}

fn is_lacking(op: &Op, quantizer: &Quantizer) -> bool {
    match op {
        Op::Neg | Op::Square => quantizer.scheme == Scheme::Int16x8 || quantizer.compat == Compat::Best,
        Op::SquaredDifference | Op::HardSwish => quantizer.scheme == Scheme::Int16x8,
        _ => false,
    }
}

fn has_real_result(graph: &Graph<'_>, operator: &Operator) -> bool {
    operator.outputs.iter().all(|id| graph.tensors[id.index()].element_type == ElementType::Float32)
}

impl Lowered<'_, '_> {
    /// The operators in the place of one; `None` where calibration saw too little.
    fn rewritten(&mut self, operator: &Operator, calibration: &Calibration) -> Option<Vec<Operator>> {
        let operand = |position: usize| operator.inputs.get(position).copied().flatten();
        let (x, &[result]) = (operand(0)?, operator.outputs.as_slice()) else { return None };
        let mul = || Op::Mul(MulOptions { activation: Activation::None });
        match operator.op {
            Op::Neg => {
                let factor = self.constant(result, -1.0);
                Some(vec![Operator::new(mul(), [x, factor], [result])])
            }
            Op::Square => Some(vec![Operator::new(mul(), [x, x], [result])]),
            // No difference is larger than the root of the largest square.
            Op::SquaredDifference => {
                let largest = calibration.range(result)?.magnitude().sqrt();
                let difference = self.activation(result, Bounds { min: -largest, max: largest });
                let sub = Op::Sub(SubOptions { activation: Activation::None, pot_scale_int16: false });
                Some(vec![
                    Operator::new(sub, [x, operand(1)?], [difference]),
                    Operator::new(mul(), [difference, difference], [result]),
                ])
            }
            // `x * (clamp(x + 3, 0, 6) / 6)`.
            Op::HardSwish => {
                let (three, sixth) = (self.constant(result, 3.0), self.constant(result, 1.0 / 6.0));
                let clamped = self.activation(result, Bounds { min: 0.0, max: 6.0 });
                let gate = self.activation(result, Bounds { min: 0.0, max: 1.0 });
                let add = Op::Add(AddOptions { activation: Activation::Relu6, pot_scale_int16: false });
                Some(vec![
                    Operator::new(add, [x, three], [clamped]),
                    Operator::new(mul(), [clamped, sixth], [gate]),
                    Operator::new(mul(), [x, gate], [result]),
                ])
            }
            _ => None,
        }
    }

    /// Adds a value in between, of the shape of the result.
    fn activation(&mut self, result: TensorId, range: Bounds) -> TensorId {
        let graph = self.graph.to_mut();
        let name = format!("{}_{}", graph.tensors[result.index()].name, graph.tensors.len());
        let tensor = Tensor { name, range: None, ..graph.tensors[result.index()].clone() };
        self.ranges.push(Some(range));
        self.graph.to_mut().add_tensor(tensor)
    }

    fn constant(&mut self, result: TensorId, value: f32) -> TensorId {
        let graph = self.graph.to_mut();
        let name = format!("{}_{}", graph.tensors[result.index()].name, graph.tensors.len());
        self.ranges.push(None);
        self.graph.to_mut().add_tensor(Tensor::constant(name, [], &[value]))
    }
}
