//! Operators that integer kernels lack, written with operators that they have. Numbers stay the same.
//!
//! The ranges of the values in between follow from those that calibration saw.

mod arithmetic;
mod movement;

use std::borrow::Cow;

use burnlite_tflite::{Element, Graph, Op, Operator, Tensor, TensorId};

use crate::parts::Parts;
use crate::rules::{real_results, rule_of};
use crate::{Bounds, Calibration, Compat, OperatorFault, Quantizer, Scheme};

/// A graph in which some operators were rewritten.
pub(crate) struct Lowered<'g, 'a> {
    pub(crate) graph: Cow<'g, Graph<'a>>,
    /// The index of the operator in the float model from which each operator comes.
    pub(crate) origins: Vec<usize>,
    /// The ranges of the tensors behind those of the float model; `None` for constants.
    pub(crate) ranges: Vec<Option<Bounds>>,
}

/// Rewrites what the kernels of an operator's scheme on the target lack, and TensorFlow does not leave float.
pub(crate) fn lower<'g, 'a>(
    quantizer: &Quantizer,
    source: &'g Graph<'a>,
    parts: &Parts<'_>,
) -> Lowered<'g, 'a> {
    let origins = (0..source.operators.len()).collect();
    let mut lowered = Lowered { graph: Cow::Borrowed(source), origins, ranges: Vec::new() };
    let is_lacking =
        |(index, operator): (usize, &Operator)| is_lacking(quantizer, parts.scheme(index), source, operator);
    if !source.operators.iter().enumerate().any(is_lacking) {
        return lowered;
    }
    lowered.graph = Cow::Owned(Graph { operators: Vec::new(), ..source.clone() });
    lowered.origins.clear();
    for (index, operator) in source.operators.iter().enumerate() {
        let written = match is_lacking((index, operator)) {
            true => lowered.rewritten(operator, parts.calibration(index)),
            false => None,
        };
        let written = written.unwrap_or_else(|| vec![operator.clone()]);
        lowered.origins.extend(written.iter().map(|_| index));
        lowered.graph.to_mut().operators.extend(written);
    }
    lowered
}

fn is_lacking(quantizer: &Quantizer, scheme: Option<Scheme>, graph: &Graph<'_>, operator: &Operator) -> bool {
    if real_results(graph, operator).count() != operator.outputs.len() {
        return false;
    }
    if lacks_bias(operator) {
        return true;
    }
    let Some(scheme) = scheme else { return false };
    let is_left_float = match scheme {
        Scheme::Int16x8 => false,
        Scheme::Int8 => quantizer.compat == Compat::TensorFlow,
        Scheme::DynamicRange | Scheme::Float16 => true,
    };
    let fault = rule_of(graph, operator, quantizer, scheme).err();
    let is_kind =
        matches!(fault, Some(OperatorFault::NoRule | OperatorFault::NoKernel(_) | OperatorFault::Divisor));
    is_kind && !is_left_float
}

/// LiteRT's CONV_2D asks for a bias, and its DEPTHWISE_CONV_2D crashes without one in most types.
fn lacks_bias(operator: &Operator) -> bool {
    let is_convolution = matches!(operator.op, Op::Conv2d(_) | Op::DepthwiseConv2d(_));
    is_convolution && operator.inputs.get(2).copied().flatten().is_none()
}

impl Lowered<'_, '_> {
    /// The operators in the place of one; `None` where there are none, or calibration saw too little.
    fn rewritten(&mut self, operator: &Operator, calibration: &Calibration) -> Option<Vec<Operator>> {
        let operand = |position: usize| operator.inputs.get(position).copied().flatten();
        let (x, &[result]) = (operand(0)?, operator.outputs.as_slice()) else { return None };
        match &operator.op {
            Op::Neg => Some(self.negated(x, result)),
            Op::Square => Some(vec![arithmetic::product(x, x, result)]),
            Op::SquaredDifference => self.squared_difference(x, operand(1)?, result, calibration),
            Op::Div(_) => self.divided_by_constant(operator, x, operand(1)?, result),
            Op::HardSwish => Some(self.hard_swish(x, result)),
            Op::ReluN1To1 => Some(self.clamped_to_one(x, result)),
            Op::Conv2d(_) => self.with_bias(operator, 0),
            Op::DepthwiseConv2d(_) => self.with_bias(operator, 3),
            Op::DepthToSpace(options) => self.depth_to_space(x, result, options.block_size, calibration),
            Op::SpaceToDepth(options) => self.space_to_depth(x, result, options.block_size, calibration),
            Op::Tile => self.tiled(x, operand(1)?, result, calibration),
            _ => None,
        }
    }

    /// The same convolution with a bias of zeros.
    fn with_bias(&mut self, operator: &Operator, channel_dimension: usize) -> Option<Vec<Operator>> {
        let weights = operator.inputs.get(1).copied().flatten()?;
        self.tensor(weights).data.as_ref()?;
        let channels = *self.tensor(weights).shape.get(channel_dimension)?;
        let bias = self.constant(operator.outputs[0], [channels], &vec![0f32; channels]);
        let mut with_bias = operator.clone();
        with_bias.inputs.resize(3, None);
        with_bias.inputs[2] = Some(bias);
        Some(vec![with_bias])
    }

    fn tensor(&self, id: TensorId) -> &Tensor<'_> {
        &self.graph.tensors[id.index()]
    }

    /// Adds a value in between, of the shape of the result.
    fn activation(&mut self, result: TensorId, range: Bounds) -> TensorId {
        let Tensor { element_type, shape, shape_signature, .. } = self.tensor(result);
        let mut tensor = Tensor::new(self.name(result), *element_type, shape.clone());
        tensor.shape_signature.clone_from(shape_signature);
        self.add(tensor, Some(range))
    }

    /// Adds a value in between, of another shape.
    fn reshaped(&mut self, result: TensorId, shape: Vec<usize>, range: Bounds) -> TensorId {
        let tensor = Tensor::new(self.name(result), self.tensor(result).element_type, shape);
        self.add(tensor, Some(range))
    }

    /// Adds a constant that has to do with a result.
    fn constant<T: Element>(
        &mut self,
        result: TensorId,
        shape: impl Into<Vec<usize>>,
        values: &[T],
    ) -> TensorId {
        let tensor = Tensor::constant(self.name(result), shape, values);
        self.add(tensor, None)
    }

    fn add(&mut self, tensor: Tensor<'static>, range: Option<Bounds>) -> TensorId {
        self.ranges.push(range);
        self.graph.to_mut().add_tensor(tensor)
    }

    /// A new name.
    fn name(&self, result: TensorId) -> String {
        format!("{}_{}", self.tensor(result).name, self.graph.tensors.len())
    }
}
