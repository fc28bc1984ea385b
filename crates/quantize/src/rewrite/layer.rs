//! Layers: operators with constant weights and perhaps a bias.

use std::borrow::Cow;

use burnlite_tflite::{Op, Operator, Quantization, Tensor, TensorId};

use super::constants::check_finite;
use super::{Rewriter, check_scales};
use crate::parameters::{
    Arithmetic, BiasValues, Channels, LayerScales, Weights, corrected_bias, round_by_moments,
};
use crate::rules::WeightedOperands;
use crate::{Error, Remark, Role, WeightRounding};

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
        (index, part): (usize, usize),
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
        let shape = &self.tensor(weights).shape;
        let Some(channels) = Channels::new(&constants.weight_values, shape, operands.channel_dimension)
        else {
            return Ok(());
        };
        let is_per_tensor =
            matches!(operator.op, Op::FullyConnected(_)) && !self.quantizer.has_channels_in_dense();
        let scales = self.parts[part].scales_around(input, operator);
        let arithmetic = self.parts[part].source.arithmetic;
        let mut integers = self.weights(arithmetic, &constants, &channels, is_per_tensor, scales);
        let means = self.means(index, operator, &constants)?;
        if self.quantizer.weight_rounding == WeightRounding::Gptq {
            self.round_by_moments(index, weights, &channels, &mut integers, means.as_deref())?;
        }
        let bias = self.float_bias(index, &constants, &channels, &integers, means.as_deref())?;
        let bias = bias.map(|bias| arithmetic.bias(&bias, &integers.bias_scale));
        // Of 16 bits, kernels of depthwise convolutions take biases of 64 bits alone.
        let is_narrow = self.quantizer.int32_bias && !matches!(operator.op, Op::DepthwiseConv2d(_));
        let bias = bias.map(|bias| if is_narrow { bias.narrow() } else { bias });
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

    /// The integers of the weights, each rounded by itself. With one scale for all channels, every channel is given it.
    fn weights(
        &self,
        arithmetic: &dyn Arithmetic,
        constants: &Constants<'_>,
        channels: &Channels<'_>,
        is_per_tensor: bool,
        scales: LayerScales,
    ) -> Weights {
        let bias = constants.bias.as_ref().map(|(_, values)| values.as_ref());
        let halves = |channels: &Channels<'_>| match self.quantizer.weight_rounding {
            WeightRounding::Mse | WeightRounding::Gptq => channels.least_error_halves(),
            WeightRounding::Nearest => channels.magnitudes(),
        };
        if !is_per_tensor {
            return arithmetic.weights(channels, halves(channels), bias, scales);
        }
        let largest = bias.map(|bias| [bias.iter().fold(0f32, |largest, value| largest.max(value.abs()))]);
        let largest = largest.as_ref().map(<[f32; 1]>::as_slice);
        let whole = Channels::whole(&constants.weight_values);
        let mut weights = arithmetic.weights(&whole, halves(&whole), largest, scales);
        let for_each_channel = |scale: Vec<f32>| scale.repeat(channels.count());
        (weights.scale, weights.bias_scale) =
            (for_each_channel(weights.scale), for_each_channel(weights.bias_scale));
        weights
    }

    /// The means of what the weights meet, where the bias is to be corrected with them.
    fn means(
        &mut self,
        index: usize,
        operator: &Operator,
        constants: &Constants<'_>,
    ) -> Result<Option<Vec<f64>>, Error> {
        if !self.quantizer.corrects_biases() {
            return Ok(None);
        }
        let is_demanded = self.quantizer.bias_correction == Some(true);
        let weights = || self.float.tensors[constants.weights.index()].name.clone();
        if constants.bias.is_none() {
            if is_demanded {
                self.report.remarks.push(Remark::NoBias { weights: weights() });
            }
            return Ok(None);
        }
        let index = self.origins[index];
        let means = self.calibration.input_means(index);
        match (&means, self.calibration.samples()) {
            (None, 0) if is_demanded => {
                return Err(Error::NoInputMeans { index, name: operator.op.name().to_string() });
            }
            (Some(_), _) | (None, 0) => {}
            (None, _) => self.report.remarks.push(Remark::NoMeans { weights: weights() }),
        }
        Ok(means)
    }

    /// Rounds the weights again, so that the results err least.
    fn round_by_moments(
        &mut self,
        index: usize,
        weights: TensorId,
        channels: &Channels<'_>,
        integers: &mut Weights,
        means: Option<&[f64]>,
    ) -> Result<(), Error> {
        let operator = self.origins[index];
        let moments = self.moments.ok_or(Error::NoMoments)?;
        match moments.of(operator) {
            Some(moments) => {
                round_by_moments(channels, integers, moments, means).ok_or(Error::OtherLayer { operator })
            }
            None => {
                let weights = self.tensor(weights).name.clone();
                self.report.remarks.push(Remark::NoMoments { weights });
                Ok(())
            }
        }
    }

    /// The bias, corrected where there are means.
    fn float_bias<'c>(
        &mut self,
        index: usize,
        constants: &'c Constants<'_>,
        channels: &Channels<'_>,
        integers: &Weights,
        means: Option<&[f64]>,
    ) -> Result<Option<Cow<'c, [f32]>>, Error> {
        let Some((id, bias)) = &constants.bias else { return Ok(None) };
        let Some(means) = means else { return Ok(Some(Cow::Borrowed(bias))) };
        check_scales(&self.tensor(constants.weights).name, &integers.scale)?;
        let operator = self.origins[index];
        let corrected =
            corrected_bias(bias, channels, integers, means).ok_or(Error::OtherLayer { operator })?;
        check_finite(&self.tensor(*id).name, &corrected)?;
        self.report.corrected_biases += 1;
        Ok(Some(Cow::Owned(corrected)))
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
