//! The tutorial's network as a Burn module.

use burn::module::{Module, Param, ParamId};
use burn::nn::conv::Conv2d;
use burn::nn::pool::{MaxPool2d, MaxPool2dConfig};
use burn::nn::{Linear, PaddingConfig2d};
use burn::tensor::activation::relu;
use burn::tensor::{Device, Tensor, TensorData};
use rand_pcg::Pcg32;
use rand_pcg::rand_core::Rng;

use crate::{CLASSES, SIDE};

/// Filters of the convolution, each `KERNEL × KERNEL` without padding.
const FILTERS: usize = 12;
const KERNEL: usize = 3;
/// Window and stride of the max pooling.
const POOL: usize = 2;
/// Height and width after the convolution and the pooling.
const POOLED: usize = (SIDE - KERNEL + 1) / POOL;

/// 28x28 image → convolution of 12 filters 3x3, relu → max pooling 2x2 → dense 10: 20,410 parameters.
#[derive(Module, Debug)]
pub struct Network {
    conv: Conv2d,
    pool: MaxPool2d,
    dense: Linear,
}

impl Network {
    /// An untrained network: Glorot-uniform weights and zero biases, as Keras initializes these layers.
    ///
    /// The values and the parameter ids depend on `seed` only, so two networks of one seed give the same
    /// record bytes on every backend.
    pub fn new(seed: u64, device: &Device) -> Self {
        // Keras' fan of a convolution is its receptive field times its channels.
        let area = KERNEL * KERNEL;
        let mut init = GlorotUniform { rng: Pcg32::new(seed, 0), parameters: 0, device };
        let conv = Conv2d {
            weight: init.weight([FILTERS, 1, KERNEL, KERNEL], area, FILTERS * area),
            bias: Some(init.bias(FILTERS)),
            stride: [1, 1],
            kernel_size: [KERNEL, KERNEL],
            dilation: [1, 1],
            groups: 1,
            padding: PaddingConfig2d::Valid,
        };
        let features = FILTERS * POOLED * POOLED;
        let dense = Linear {
            weight: init.weight([features, CLASSES], features, CLASSES),
            bias: Some(init.bias(CLASSES)),
        };
        Self { conv, pool: MaxPool2dConfig::new([POOL, POOL]).init(), dense }
    }

    /// The logits of a batch of images.
    ///
    /// # Shapes
    /// - `images`: `[N, 28, 28]`, grey values in `0..=1`
    /// - returns: `[N, 10]`, one logit per digit
    pub fn forward(&self, images: Tensor<3>) -> Tensor<2> {
        let [batch, height, width] = images.dims();
        let features = relu(self.conv.forward(images.reshape([batch, 1, height, width])));
        self.dense.forward(self.pool.forward(features).flatten(1, 3))
    }

    /// The device that the weights are on.
    pub fn device(&self) -> Device {
        self.conv.weight.device()
    }
}

/// Makes parameters in a fixed order, with ids counted from one.
struct GlorotUniform<'a> {
    rng: Pcg32,
    parameters: u64,
    device: &'a Device,
}

impl GlorotUniform<'_> {
    /// Uniform in `±sqrt(6 / (fan_in + fan_out))` (Glorot and Bengio, 2010, equation 16).
    fn weight<const D: usize>(
        &mut self,
        shape: [usize; D],
        fan_in: usize,
        fan_out: usize,
    ) -> Param<Tensor<D>> {
        let limit = (6.0 / (fan_in + fan_out) as f32).sqrt();
        let values = (0..shape.iter().product()).map(|_| limit * symmetric_unit(&mut self.rng)).collect();
        self.parameter(values, shape)
    }

    fn bias(&mut self, len: usize) -> Param<Tensor<1>> {
        self.parameter(vec![0.0; len], [len])
    }

    fn parameter<const D: usize>(&mut self, values: Vec<f32>, shape: [usize; D]) -> Param<Tensor<D>> {
        self.parameters += 1;
        let mut parameter = Param::from_data(TensorData::new(values, shape), self.device);
        parameter.id = ParamId::from(self.parameters);
        parameter
    }
}

/// Uniform in `[-1, 1)` with 24 bits, all of them exact in `f32`.
fn symmetric_unit(rng: &mut Pcg32) -> f32 {
    let bits = rng.next_u32() >> 8;
    bits as f32 / (1 << 23) as f32 - 1.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values<const D: usize>(parameter: &Param<Tensor<D>>) -> Vec<f32> {
        parameter.val().try_into_vec_as().unwrap()
    }

    #[test]
    fn it_has_the_tutorials_parameters() {
        let network = Network::new(1, &Device::flex());
        assert_eq!(network.num_params(), 20_410);
        assert_eq!(network.forward(Tensor::zeros([3, 28, 28], &Device::flex())).dims(), [3, 10]);
    }

    #[test]
    fn weights_are_glorot_uniform_and_biases_zero() {
        let network = Network::new(1, &Device::flex());
        for (weight, limit) in [
            (values(&network.conv.weight), (6.0f32 / (9 + 108) as f32).sqrt()),
            (values(&network.dense.weight), (6.0f32 / (2028 + 10) as f32).sqrt()),
        ] {
            let largest = weight.iter().fold(0.0f32, |max, value| max.max(value.abs()));
            let variance = weight.iter().map(|value| value * value).sum::<f32>() / weight.len() as f32;
            assert!(largest <= limit && largest > 0.95 * limit, "largest {largest}, limit {limit}");
            assert!((variance / (limit * limit / 3.0) - 1.0).abs() < 0.25, "variance {variance}");
        }
        let biases = [network.conv.bias, network.dense.bias].map(|bias| values(&bias.unwrap()));
        assert!(biases.iter().flatten().all(|&value| value == 0.0));
    }
}
