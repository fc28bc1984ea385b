//! Normalization.

use burn::backend::ir::{BatchNormOpIr, LayerNormOpIr, TensorIr};
use burnlite_tflite::{ElementType, Op};

use super::arithmetic::{add_op, mul_op, product, sub_op, sum};
use super::elementwise::elementwise;
use super::reduce::reduced;
use crate::builder::{Builder, Value};
use crate::constant::Constant;
use crate::error::Refusal;

/// Batch normalization with known statistics: a factor and an addend for each channel, which the layer before takes.
pub(super) fn batch_norm(builder: &mut Builder<'_>, op: &BatchNormOpIr) -> Result<(), Refusal> {
    let channels = |tensor: &TensorIr, role: &str| builder.constant(tensor, role)?.to_floats();
    let gamma = channels(&op.gamma, "scale")?;
    let beta = channels(&op.beta, "shift")?;
    let mean = channels(&op.mean, "mean")?;
    let variance = channels(&op.variance, "variance")?;
    let epsilon = op.epsilon.elem::<f32>();
    let factors: Vec<f32> =
        gamma.iter().zip(&variance).map(|(gamma, variance)| gamma / (variance + epsilon).sqrt()).collect();
    let addends: Vec<f32> = beta
        .iter()
        .zip(mean.iter().zip(&factors))
        .map(|(beta, (mean, factor))| beta - mean * factor)
        .collect();
    let mut shape = vec![1; builder.program.shape(op.x.id).0.len()];
    shape[1] = factors.len();
    let x = builder.value(&op.x)?;
    let scaled = product(builder, x, Constant::floats(&shape, factors))?;
    let value = sum(builder, scaled, Constant::floats(&shape, addends))?;
    builder.bind(&op.out, value)
}

/// Layer normalization over the last dimension: `(x - mean) / sqrt(variance + epsilon) * gamma + beta`.
pub(super) fn layer_norm(builder: &mut Builder<'_>, op: &LayerNormOpIr) -> Result<(), Refusal> {
    let float = ElementType::Float32;
    let rank = builder.program.shape(op.input.id).0.len();
    let x = builder.stored(&op.input)?;
    let mean: Value = reduced(builder, Op::Mean, &x, &[rank - 1]).into();
    let squares = elementwise(builder, Op::SquaredDifference, &[x.clone().into(), mean.clone()], float)?;
    let squares = builder.stored_value(squares, "constant");
    let variance = reduced(builder, Op::Mean, &squares, &[rank - 1]);
    let epsilon = Constant::scalar(op.epsilon, float)?;
    let variance = elementwise(builder, add_op(), &[variance.into(), epsilon.into()], float)?;
    let inverse = elementwise(builder, Op::Rsqrt, &[variance], float)?;
    let centred = elementwise(builder, sub_op(), &[x.into(), mean], float)?;
    let mut value = elementwise(builder, mul_op(), &[centred, inverse], float)?;
    let parameters = [(mul_op(), Some(&op.gamma)), (add_op(), op.beta.as_ref())];
    for (operator, parameter) in parameters {
        if let Some(parameter) = parameter {
            let row = row(builder.value(parameter)?, rank)?;
            value = elementwise(builder, operator, &[value, row], float)?;
        }
    }
    builder.bind(&op.out, value)
}

/// A vector as the last dimension of a tensor of `rank` dimensions.
fn row(vector: Value, rank: usize) -> Result<Value, Refusal> {
    let Value::Constant(constant) = vector else {
        return Err(Refusal::new("its scale or shift is computed: multiply and add in the forward pass"));
    };
    let mut shape = vec![1; rank];
    shape[rank - 1] = constant.shape.iter().product();
    Ok(constant.reshaped(&shape).into())
}

#[cfg(test)]
mod tests {
    use burn::nn::conv::{Conv2d, Conv2dConfig};
    use burn::nn::*;
    use burn::tensor::activation::relu;
    use burn::tensor::{Device, Tensor};

    use crate::lower::testing::{numbers, operators, parameter};

    fn batch_norm(channels: usize) -> BatchNorm {
        let mut norm = BatchNormConfig::new(channels).init(&Device::flex());
        norm.gamma = parameter([channels]);
        norm.beta = parameter([channels]);
        norm
    }

    #[test]
    fn a_batch_norm_is_part_of_the_convolution_before_it() {
        let module: (Conv2d, BatchNorm) =
            (Conv2dConfig::new([2, 3], [3, 3]).init(&Device::flex()), batch_norm(3));
        let found = operators(&module, numbers([2, 5, 6, 2]), |module, x: Tensor<4>| {
            relu(module.1.forward(module.0.forward(x.permute([0, 3, 1, 2])))).permute([0, 2, 3, 1])
        });
        assert_eq!(found, ["CONV_2D"]);
    }

    #[test]
    fn a_batch_norm_alone_is_a_product_and_a_sum() {
        let found = operators(&batch_norm(3), numbers([2, 5, 6, 3]), |norm: &BatchNorm, x: Tensor<4>| {
            norm.forward(x.permute([0, 3, 1, 2])).permute([0, 2, 3, 1])
        });
        assert_eq!(found, ["MUL", "ADD"]);
    }

    #[test]
    fn layer_norms_are_burns() {
        let mut norm = LayerNormConfig::new(6).init(&Device::flex());
        norm.gamma = parameter([6]);
        let found = operators(&norm, numbers([2, 5, 6]), |norm: &LayerNorm, x: Tensor<3>| norm.forward(x));
        assert!(!found.contains(&"TRANSPOSE".into()), "{found:?}");
    }

    #[test]
    fn group_instance_and_rms_norms_are_burns() {
        let device = Device::flex();
        let group = GroupNormConfig::new(2, 4).init(&device);
        operators(&group, numbers([2, 4, 3, 5]), |norm: &GroupNorm, x: Tensor<4>| norm.forward(x));
        let instance = InstanceNormConfig::new(4).init(&device);
        operators(&instance, numbers([2, 4, 3, 5]), |norm: &InstanceNorm, x: Tensor<4>| norm.forward(x));
        let mut rms = RmsNormConfig::new(6).init(&device);
        rms.gamma = parameter([6]);
        operators(&rms, numbers([2, 5, 6]), |norm: &RmsNorm, x: Tensor<3>| norm.forward(x));
    }
}
