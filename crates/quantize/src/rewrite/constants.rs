//! Constants: their float values, and the integers that take their place.

use std::borrow::Cow;
use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use burnlite_tflite::{Element, Quantization, Tensor, TensorId};

use super::Rewriter;
use crate::calibrate::first_not_finite;
use crate::parameters::{ActivationValues, Channels, LayerScales, Parameters, Weights};
use crate::{Error, Role};

/// The integers that a float constant was quantized to.
#[derive(Default)]
pub(super) struct Versions {
    count: usize,
    /// The last of them with each digest.
    by_digest: HashMap<u64, TensorId>,
}

/// A number that integers share with their equals, and hardly with others.
fn digest(integers: &Tensor<'_>) -> u64 {
    let mut hasher = DefaultHasher::new();
    integers.data.hash(&mut hasher);
    if let Some(Quantization { scale, zero_point, .. }) = &integers.quantization {
        scale.iter().for_each(|scale| scale.to_bits().hash(&mut hasher));
        zero_point.hash(&mut hasher);
    }
    hasher.finish()
}

impl<'s, 'a> Rewriter<'s, 'a> {
    /// The integers of a constant that an operator of a part reads in the place of an activation.
    pub(super) fn constant_operand(
        &mut self,
        id: TensorId,
        part: usize,
        parameters: Parameters,
    ) -> Result<TensorId, Error> {
        let values = self.float_constant(id)?;
        let quantization = Quantization::per_tensor(parameters.scale, parameters.zero_point);
        let tensor = match self.parts[part].source.arithmetic.integers(&values, parameters) {
            ActivationValues::Int8(values) => self.integers(id, &values, quantization),
            ActivationValues::Int16(values) => self.integers(id, &values, quantization),
        };
        Ok(self.set_constant(Role::Constant, id, tensor))
    }

    /// The 8-bit integers of a constant operand that are weights without channels.
    pub(super) fn coefficients(&mut self, id: TensorId, part: usize) -> Result<TensorId, Error> {
        let values = self.float_constant(id)?;
        let channels = Channels::whole(&values);
        let scales = LayerScales { input: 1.0, output: 0.0 };
        let Weights { values, scale, .. } =
            self.parts[part].source.arithmetic.weights(&channels, channels.magnitudes(), None, scales);
        let tensor = self.integers(id, &values, Quantization::per_channel(scale, 0));
        Ok(self.set_constant(Role::Weights, id, tensor))
    }

    /// The tensor that holds the given integers of a float constant: the constant itself, unless somebody else needs its
    /// floats or other integers.
    pub(super) fn set_constant(&mut self, role: Role, float: TensorId, mut integers: Tensor<'a>) -> TensorId {
        let versions = self.constants.entry(float).or_default();
        let digest = digest(&integers);
        let is_equal = |id: &TensorId| {
            let Tensor { element_type, data, quantization, .. } = &self.graph.tensors[id.index()];
            (*element_type, data, quantization)
                == (integers.element_type, &integers.data, &integers.quantization)
        };
        if let Some(&id) = versions.by_digest.get(&digest).filter(|id| is_equal(id)) {
            return id;
        }
        let takes_its_place = versions.count == 0 && !self.read_as_floats.contains(&float);
        if !takes_its_place {
            integers.name = format!("{}_{}", integers.name, versions.count.max(1));
        }
        self.report.add(role, &integers);
        let id = if takes_its_place {
            self.graph.tensors[float.index()] = integers;
            float
        } else {
            self.graph.add_tensor(integers)
        };
        versions.count += 1;
        versions.by_digest.insert(digest, id);
        id
    }

    /// A constant with the name and the shape of a float constant.
    pub(super) fn integers<T: Element>(
        &self,
        float: TensorId,
        values: &[T],
        quantization: Quantization,
    ) -> Tensor<'a> {
        let Tensor { name, shape, .. } = self.tensor(float);
        Tensor::constant(name.clone(), shape.clone(), values).quantized(quantization)
    }

    /// The values of a constant operand.
    pub(super) fn float_constant(&self, id: TensorId) -> Result<Cow<'s, [f32]>, Error> {
        let tensor = self.tensor(id);
        let values = tensor.elements_of::<f32>()?;
        check_finite(&tensor.name, &values)?;
        Ok(values)
    }
}

pub(super) fn check_finite(constant: &str, values: &[f32]) -> Result<(), Error> {
    match first_not_finite(values) {
        Some((position, value)) => Err(Error::ConstantNotFinite { tensor: constant.into(), position, value }),
        None => Ok(()),
    }
}
