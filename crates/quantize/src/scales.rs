//! Which scale and zero point each activation gets.
//!
//! The two schemes differ in the order in which scales are found: 16x8 goes through the graph [once, forwards](forward),
//! int8 [propagates](propagate) ranges in both directions, so that fewer values have to be rescaled.

mod forward;
mod propagate;

use std::collections::BTreeMap;

use burnlite_tflite::{Graph, TensorId};

use crate::calibrate::first_not_finite;
use crate::parameters::{Arithmetic, Parameters};
use crate::rules::Rule;
use crate::{Bounds, Calibration, Error, Scheme};

/// An activation below this magnitude counts as always zero. (TensorFlow's calibration leaves 1.2e-38 as the maximum of a
/// tensor that was never positive.)
pub(crate) const NO_MAGNITUDE: f32 = 1e-30;

/// The range of an activation that was always zero, and of 16-bit constants that are.
///
/// Any scale represents zero. This one is neither so small that a runtime's multiplier overflows nor so large that the
/// next layer's bias loses its digits.
pub(crate) const BLANK_RANGE: Bounds = Bounds { min: -1.0, max: 1.0 };

/// An operand or a result: the operator's index and the position.
pub(crate) type Place = (usize, usize);

/// The scales of a graph's activations.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Scales {
    /// By tensor.
    pub(crate) tensors: Vec<Option<Parameters>>,
    /// What operands need where that is not what their tensors have; constants that follow other operands are among them.
    pub(crate) operands: BTreeMap<Place, Parameters>,
    /// What kernels write where that is not what the tensors have.
    pub(crate) results: BTreeMap<Place, Parameters>,
}

/// What the scales of a scheme follow from.
#[derive(Clone, Copy)]
pub(crate) struct Source<'s, 'a> {
    pub(crate) scheme: Scheme,
    pub(crate) graph: &'s Graph<'a>,
    /// `None` for operators that stay float, or are of another scheme.
    pub(crate) rules: &'s [Option<Rule>],
    /// The ranges of the float model's tensors, and those of tensors behind them.
    pub(crate) calibration: &'s Calibration,
    pub(crate) more_ranges: &'s [Option<Bounds>],
    pub(crate) arithmetic: &'s dyn Arithmetic,
}

impl Source<'_, '_> {
    /// The scales. Every activation of an integer operator has one.
    pub(crate) fn scales(self) -> Result<Scales, Error> {
        match self.scheme {
            Scheme::Int8 => propagate::scales(self),
            _ => forward::scales(self),
        }
    }

    /// The range of an activation.
    pub(crate) fn range(&self, id: TensorId) -> Option<Bounds> {
        match id.index().checked_sub(self.graph.tensors.len() - self.more_ranges.len()) {
            Some(index) => self.more_ranges[index],
            None => self.calibration.range(id),
        }
    }

    /// The parameters that follow from a tensor's own range.
    pub(crate) fn own(&self, id: TensorId) -> Result<Parameters, Error> {
        let no_range = || Error::NoRange { tensor: self.graph.tensors[id.index()].name.clone() };
        let range = self.range(id).ok_or_else(no_range)?;
        let is_blank = range.magnitude() < NO_MAGNITUDE;
        Ok(self.arithmetic.activation(if is_blank { BLANK_RANGE } else { range }))
    }

    /// The parameters that follow from the values of a constant operand.
    pub(crate) fn constant(&self, id: TensorId) -> Result<Parameters, Error> {
        let tensor = &self.graph.tensors[id.index()];
        let values = tensor.elements_of::<f32>()?;
        if let Some((position, value)) = first_not_finite(&values) {
            return Err(Error::ConstantNotFinite { tensor: tensor.name.clone(), position, value });
        }
        let bounds =
            |bounds: Bounds, &value: &f32| Bounds { min: bounds.min.min(value), max: bounds.max.max(value) };
        Ok(self.arithmetic.constant(values.iter().fold(Bounds { min: 0.0, max: 0.0 }, bounds)))
    }

    fn is_constant(&self, id: TensorId) -> bool {
        self.graph.tensors[id.index()].data.is_some()
    }

    /// Activations of integer operators that have no scale yet get that of their own range.
    fn complete(&self, tensors: &mut [Option<Parameters>]) -> Result<(), Error> {
        let operators = self.graph.operators.iter().zip(self.rules);
        let integer = operators.filter(|(_, rule)| matches!(rule, Some(rule) if *rule != Rule::Passthrough));
        let activations = integer.flat_map(|(operator, _)| {
            let operands = operator.inputs.iter().copied().flatten();
            operands.chain(operator.outputs.iter().copied())
        });
        for id in activations {
            let is_activation = crate::rules::is_real(self.graph, id) && !self.is_constant(id);
            if is_activation && tensors[id.index()].is_none() {
                tensors[id.index()] = Some(self.own(id)?);
            }
        }
        Ok(())
    }
}
