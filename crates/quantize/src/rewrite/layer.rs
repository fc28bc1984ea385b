//! Layers: operators with constant weights and perhaps a bias.

use std::borrow::Cow;

use burnlite_tflite::{Op, Operator, Quantization, Tensor, TensorId};

use super::constants::check_finite;
use super::{Rewriter, check_scales};
use crate::parameters::{BiasValues, Channels, Weights, corrected_bias};
use crate::rules::WeightedOperands;
use crate::{Error, Remark, Role};

/// The constants of a layer, with their float values.
struct Constants<'s> {
    weights: TensorId,
    weight_values: Cow<'s, [f32]>,
    bias: Option<(TensorId, Cow<'s, [f32]>)>,
}

impl<'s> Rewriter<'s, '_> {
    /// Makes a layer's constants integer.
    pub(super) fn layer(
        &mut self,
        index: usize,
        operator: &Operator,
        operands: WeightedOperands,
        rewritten: &mut Operator,
    ) -> Result<(), Error> {
        let operand = |position: usize| operator.inputs.get(position).copied().flatten();
        let (Some(input), Some(weights)) = (operand(operands.input), operand(operands.weights)) else {
            return Ok(());
        };
        let constants = Constants {
            weights,
            weight_values: self.float_constant(weights)?,
            bias: operand(operands.bias)
                .map(|id| Ok::<_, Error>((id, self.float_constant(id)?)))
                .transpose()?,
        };
        let input_scale = self.scales.tensors[input.index()].map_or(0.0, |parameters| parameters.scale);
        let shape = &self.tensor(weights).shape;
        let Some(channels) = Channels::new(&constants.weight_values, shape, operands.channel_dimension)
        else {
            return Ok(());
        };
        let bias = constants.bias.as_ref().map(|(_, values)| values.as_ref());
        let is_per_tensor =
            matches!(operator.op, Op::FullyConnected(_)) && !self.quantizer.has_channels_in_dense();
        let mut integers = match is_per_tensor {
            true => self.uniform_weights(&channels, &constants.weight_values, bias, input_scale),
            false => self.source.arithmetic.weights(&channels, bias, input_scale),
        };
        let bias = self.bias(index, operator, &constants, &channels, &integers)?;
        if is_per_tensor {
            integers.scale.truncate(1);
            integers.bias_scale.truncate(1);
        }

        let (weights, bias) = self.set_constants(&constants, integers, bias, operands.channel_dimension);
        rewritten.inputs[operands.weights] = Some(weights);
        if bias.is_some() {
            rewritten.inputs[operands.bias] = bias;
        }
        Ok(())
    }

    /// The weights of a layer with one scale, which every channel is given.
    fn uniform_weights(
        &self,
        channels: &Channels<'_>,
        values: &[f32],
        bias: Option<&[f32]>,
        input_scale: f32,
    ) -> Weights {
        let largest = bias.map(|bias| [bias.iter().fold(0f32, |largest, value| largest.max(value.abs()))]);
        let largest = largest.as_ref().map(<[f32; 1]>::as_slice);
        let mut weights = self.source.arithmetic.weights(&Channels::whole(values), largest, input_scale);
        let for_each_channel = |scale: Vec<f32>| scale.repeat(channels.count());
        (weights.scale, weights.bias_scale) =
            (for_each_channel(weights.scale), for_each_channel(weights.bias_scale));
        weights
    }

    /// The integers of the bias, corrected where that was asked for.
    fn bias(
        &mut self,
        index: usize,
        operator: &Operator,
        constants: &Constants<'_>,
        channels: &Channels<'_>,
        integers: &Weights,
    ) -> Result<Option<BiasValues>, Error> {
        let correct = self.quantizer.bias_correction;
        // Of 16 bits, kernels of depthwise convolutions take biases of 64 bits alone.
        let is_narrow = self.quantizer.int32_bias && !matches!(operator.op, Op::DepthwiseConv2d(_));
        let in_type = |values: BiasValues| if is_narrow { values.narrow() } else { values };
        let Some((id, bias)) = &constants.bias else {
            if correct {
                let weights = self.tensor(constants.weights).name.clone();
                self.report.remarks.push(Remark::NoBias { weights });
            }
            return Ok(None);
        };
        if !correct {
            return Ok(Some(in_type(self.source.arithmetic.bias(bias, &integers.bias_scale))));
        }
        check_scales(&self.tensor(constants.weights).name, &integers.scale)?;
        let index = self.source.origins[index];
        let means = match self.source.calibration.input_means(index) {
            Some(means) => means,
            None if self.source.calibration.samples() == 0 => {
                return Err(Error::NoInputMeans { index, name: operator.op.name().to_string() });
            }
            None => {
                let weights = self.tensor(constants.weights).name.clone();
                self.report.remarks.push(Remark::NoMeans { weights });
                return Ok(Some(in_type(self.source.arithmetic.bias(bias, &integers.bias_scale))));
            }
        };
        let corrected =
            corrected_bias(bias, channels, integers, &means).ok_or(Error::OtherLayer { operator: index })?;
        check_finite(&self.tensor(*id).name, &corrected)?;
        let values = in_type(self.source.arithmetic.bias(&corrected, &integers.bias_scale));
        self.report.corrected_biases += 1;
        Ok(Some(values))
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
            let bias: Tensor<'_> = match values {
                BiasValues::Int32(values) => self.integers(id, &values, quantization),
                BiasValues::Int64(values) => self.integers(id, &values, quantization),
            };
            self.set_constant(Role::Bias, id, bias)
        });
        (weights, bias)
    }
}
