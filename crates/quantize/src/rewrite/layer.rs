//! Layers: operators with constant weights and perhaps a bias.

use std::borrow::Cow;

use burnlite_tflite::{Element, ElementType, Op, Operator, Quantization, Tensor, TensorId};

use super::{Fault, Rewriter, check_scales, required};
use crate::calibrate::first_not_finite;
use crate::parameters::{BiasValues, Channels, Weights, corrected_bias};
use crate::rules::{WeightedOperands, has_plain_weights};
use crate::{Error, OperatorFault, Remark, Role, Scheme};

/// The constants of a layer, with their float values.
struct Constants<'s> {
    weights: TensorId,
    weight_values: Cow<'s, [f32]>,
    bias: Option<(TensorId, Cow<'s, [f32]>)>,
}

impl<'s, 'a> Rewriter<'s, 'a> {
    /// Makes a layer's constants and its results integer.
    pub(super) fn layer(
        &mut self,
        index: usize,
        operator: &Operator,
        operands: WeightedOperands,
    ) -> Result<(), Fault> {
        let input = self.input_parameters(operator, operands.input)?;
        let constants = self.constants_of(operator, operands)?;
        let bias = constants.bias.as_ref().map(|(_, values)| values.as_ref());
        let channels = self.channels(operator, operands, &constants)?;
        let integers = self.arithmetic.weights(&channels, bias, input.scale);
        let bias = self.bias(index, &constants, &channels, &integers)?;

        let (weights, bias) = self.set_constants(&constants, integers, bias, operands.channel_dimension);
        let rewritten = &mut self.graph.operators[index];
        rewritten.inputs[operands.weights] = Some(weights);
        if bias.is_some() {
            rewritten.inputs[operands.bias] = bias;
        }
        if self.quantizer.scheme == Scheme::Int16x8 {
            say_bias_type(&mut rewritten.op, self.quantizer.scheme.bias_type());
        }
        operator.outputs.iter().try_for_each(|&output| self.activation(output))?;
        Ok(())
    }

    fn constants_of(&self, operator: &Operator, operands: WeightedOperands) -> Result<Constants<'s>, Fault> {
        let weights = required(operator, operands.weights)?;
        let weight_values = self.float_constant(operands.weights, weights)?;
        let bias = operator.inputs.get(operands.bias).copied().flatten();
        let bias =
            bias.map(|id| Ok::<_, Fault>((id, self.float_constant(operands.bias, id)?))).transpose()?;
        Ok(Constants { weights, weight_values, bias })
    }

    /// The weights by output channels, of which there is at least one, and as many as bias values.
    fn channels<'c>(
        &self,
        operator: &Operator,
        operands: WeightedOperands,
        constants: &'c Constants<'_>,
    ) -> Result<Channels<'c>, OperatorFault> {
        let Tensor { name, shape, .. } = self.tensor(constants.weights);
        let channels = Channels::new(&constants.weight_values, shape, operands.channel_dimension)
            .filter(|channels| channels.count() > 0 && has_plain_weights(&operator.op))
            .ok_or_else(|| OperatorFault::WeightsOrder { tensor: name.clone(), shape: shape.clone() })?;
        match &constants.bias {
            Some((id, values)) if values.len() != channels.count() => Err(OperatorFault::BiasLength {
                tensor: self.tensor(*id).name.clone(),
                expected: channels.count(),
                found: values.len(),
            }),
            _ => Ok(channels),
        }
    }

    /// The integers of the bias, corrected where that was asked for.
    fn bias(
        &mut self,
        index: usize,
        constants: &Constants<'_>,
        channels: &Channels<'_>,
        integers: &Weights,
    ) -> Result<Option<BiasValues>, Fault> {
        let correct = self.quantizer.bias_correction;
        let Some((id, bias)) = &constants.bias else {
            if correct {
                let weights = self.tensor(constants.weights).name.clone();
                self.report.remarks.push(Remark::NoBias { weights });
            }
            return Ok(None);
        };
        if !correct {
            return Ok(Some(self.arithmetic.bias(bias, &integers.bias_scale)));
        }
        check_scales(&self.tensor(constants.weights).name, &integers.scale)?;
        let means = self.calibration.input_means(index).ok_or(OperatorFault::NoInputMeans)?;
        let corrected =
            corrected_bias(bias, channels, integers, &means).ok_or(Error::OtherLayer { operator: index })?;
        check_finite(&self.tensor(*id).name, &corrected)?;
        self.report.corrected_biases += 1;
        Ok(Some(self.arithmetic.bias(&corrected, &integers.bias_scale)))
    }

    /// Puts the integers of a layer in the place of its floats, and returns the tensors of the weights and of the bias.
    fn set_constants(
        &mut self,
        constants: &Constants<'_>,
        integers: Weights,
        bias: Option<BiasValues>,
        channel_dimension: usize,
    ) -> (TensorId, Option<TensorId>) {
        let Weights { values, scale, bias_scale, widened } = integers;
        if widened > 0 {
            let (tensor, of) = (self.tensor(constants.weights).name.clone(), scale.len());
            self.report.remarks.push(Remark::WidenedWeights { tensor, channels: widened, of });
        }
        let weights =
            self.integers(constants.weights, &values, Quantization::per_channel(scale, channel_dimension));
        let weights = self.set_constant(Role::Weights, constants.weights, weights);
        let bias = constants.bias.as_ref().zip(bias).map(|(&(id, _), values)| {
            let quantization = Quantization::per_channel(bias_scale, 0);
            let bias = match values {
                BiasValues::Int32(values) => self.integers(id, &values, quantization),
                BiasValues::Int64(values) => self.integers(id, &values, quantization),
            };
            self.set_constant(Role::Bias, id, bias)
        });
        (weights, bias)
    }

    /// The tensor that holds the given integers of a float constant: the constant itself, unless another operator has
    /// made other integers of it.
    fn set_constant(&mut self, role: Role, float: TensorId, mut integers: Tensor<'a>) -> TensorId {
        let versions = self.constants.iter().filter(|(source, _)| *source == float).map(|&(_, id)| id);
        let versions: Vec<TensorId> = versions.collect();
        let is_equal = |id: &TensorId| {
            let Tensor { element_type, data, quantization, .. } = &self.graph.tensors[id.index()];
            (*element_type, data, quantization)
                == (integers.element_type, &integers.data, &integers.quantization)
        };
        if let Some(id) = versions.iter().copied().find(is_equal) {
            return id;
        }
        if !versions.is_empty() {
            integers.name = format!("{}_{}", integers.name, versions.len());
        }
        self.report.add(role, &integers);
        let id = if versions.is_empty() {
            self.graph.tensors[float.index()] = integers;
            float
        } else {
            self.graph.add_tensor(integers)
        };
        self.constants.push((float, id));
        id
    }

    /// A constant with the name and the shape of a float constant.
    fn integers<T: Element>(&self, float: TensorId, values: &[T], quantization: Quantization) -> Tensor<'a> {
        let Tensor { name, shape, .. } = self.tensor(float);
        Tensor::constant(name.clone(), shape.clone(), values).quantized(quantization)
    }

    /// The values of a constant operand.
    fn float_constant(&self, operand: usize, id: TensorId) -> Result<Cow<'s, [f32]>, Fault> {
        let tensor = self.tensor(id);
        if tensor.data.is_none() {
            return Err(OperatorFault::NotConstant { operand, tensor: tensor.name.clone() }.into());
        }
        let values = tensor.elements_of::<f32>().map_err(Error::from)?;
        check_finite(&tensor.name, &values)?;
        Ok(values)
    }
}

fn check_finite(constant: &str, values: &[f32]) -> Result<(), Error> {
    match first_not_finite(values) {
        Some((position, value)) => Err(Error::ConstantNotFinite { tensor: constant.into(), position, value }),
        None => Ok(()),
    }
}

/// Writes the type of biases and accumulators into the options: some 16-bit kernels go by it where there is no bias.
fn say_bias_type(op: &mut Op, bias_type: ElementType) {
    match op {
        Op::Conv2d(options) => options.quantized_bias_type = bias_type,
        Op::FullyConnected(options) => options.quantized_bias_type = bias_type,
        _ => {}
    }
}
