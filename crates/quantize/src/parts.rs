//! The schemes that a model's operators get, and the ranges that each of them goes by.

use std::borrow::Cow;

use burnlite_tflite::Graph;

use crate::{Calibration, Error, Quantizer, Scheme};

/// The operators of a float model, divided by their schemes.
pub(crate) struct Parts<'c> {
    /// The scheme that was asked for, and the other one where a recipe names it.
    pub(crate) all: Vec<Part<'c>>,
    /// For each operator its part; `None` where it stays float.
    operators: Vec<Option<usize>>,
}

/// A scheme and the ranges of activations for it.
pub(crate) struct Part<'c> {
    pub(crate) scheme: Scheme,
    pub(crate) calibration: Cow<'c, Calibration>,
}

impl<'c> Parts<'c> {
    pub(crate) fn new(
        quantizer: &Quantizer,
        graph: &Graph<'_>,
        calibration: &'c Calibration,
    ) -> Result<Self, Error> {
        let schemes = quantizer.recipe.schemes(graph, quantizer.scheme)?;
        let mut used = vec![quantizer.scheme];
        for scheme in schemes.iter().copied().flatten() {
            if !used.contains(&scheme) {
                used.push(scheme);
            }
        }
        let number = |scheme: Scheme| used.iter().position(|&used| used == scheme);
        let operators = schemes.into_iter().map(|scheme| scheme.and_then(number)).collect();
        let part = |&scheme: &Scheme| {
            Ok(Part { scheme, calibration: calibration.by(quantizer.calibration_method, scheme)? })
        };
        Ok(Self { all: used.iter().map(part).collect::<Result<_, Error>>()?, operators })
    }

    /// The number of an operator's part; `None` where it stays float.
    pub(crate) fn number(&self, operator: usize) -> Option<usize> {
        self.operators[operator]
    }

    /// An operator's scheme; `None` where it stays float.
    pub(crate) fn scheme(&self, operator: usize) -> Option<Scheme> {
        Some(self.all[self.number(operator)?].scheme)
    }

    /// The ranges that an operator goes by.
    pub(crate) fn calibration(&self, operator: usize) -> &Calibration {
        &self.all[self.number(operator).unwrap_or(0)].calibration
    }
}
