//! Products with a matrix of weights.

use burn::backend::ir::{LinearOpIr, MatmulOpIr, TensorIr};
use burnlite_tflite::{FullyConnectedOptions, Op};

use crate::builder::Builder;
use crate::constant::Constant;
use crate::error::Refusal;
use crate::layout::Layout;

/// A product of matrices whose right factor is constant: FULLY_CONNECTED.
pub(super) fn matmul(builder: &mut Builder<'_>, op: &MatmulOpIr) -> Result<(), Refusal> {
    fully_connected(builder, &op.lhs, &op.rhs, None, &op.out)
}

/// Burn's linear layer: FULLY_CONNECTED.
pub(super) fn linear(builder: &mut Builder<'_>, op: &LinearOpIr) -> Result<(), Refusal> {
    fully_connected(builder, &op.x, &op.weight, op.bias.as_ref(), &op.out)
}

/// `x · weights`: `[…, I] · [I, O]`. TensorFlow Lite keeps the weights as `[O, I]`.
///
/// The features of `x` stay in the order in which they are stored, and the weights are brought into that order: this is
/// where the permutation of a flattened image ends.
fn fully_connected(
    builder: &mut Builder<'_>,
    x: &TensorIr,
    weights: &TensorIr,
    bias: Option<&TensorIr>,
    out: &TensorIr,
) -> Result<(), Refusal> {
    let weights = matrix(builder.constant(weights, "right factor")?)?;
    let stored = builder.stored(x)?;
    let layout = &stored.layout;
    let last = layout.rank() - 1;
    let leading: Vec<usize> = (0..last).collect();
    let mut features = layout.dim(last).to_vec();
    features.sort_unstable();

    let weights = weights_in_order(&weights, layout, &features);
    let mut groups = layout.groups(&leading);
    groups.push(features);
    let x = builder.arrange(&stored, &groups);
    let weights = builder.add_constant(weights, "weight");
    let bias = match bias {
        Some(bias) => Some(builder.constant(bias, "bias")?),
        None => None,
    };
    let bias = bias.map(|bias| builder.add_constant(bias, "bias"));
    let options = FullyConnectedOptions { keep_num_dims: last != 1, ..FullyConnectedOptions::default() };
    let order: Vec<usize> = (0..=last).collect();
    builder.stored_operator(Op::FullyConnected(options), &[Some(x), Some(weights), bias], out, &order);
    Ok(())
}

/// `weights` without leading dimensions of 1: `[I, O]`.
fn matrix(weights: Constant) -> Result<Constant, Refusal> {
    let (leading, matrix) = weights.shape.split_at(weights.shape.len().saturating_sub(2));
    if matrix.len() != 2 || leading.iter().any(|&extent| extent != 1) {
        let reason = format!("the right factor is {:?}, TensorFlow Lite wants one matrix", weights.shape);
        return Err(Refusal::new(reason));
    }
    let matrix = matrix.to_vec();
    Ok(weights.reshaped(&matrix))
}

/// `[I, O]` in Burn's order of the features → `[O, I]` in the order of `features`, the axes of the last dimension.
fn weights_in_order(weights: &Constant, layout: &Layout, features: &[usize]) -> Constant {
    let [inputs, outputs] = [weights.shape[0], weights.shape[1]];
    let axes = layout.dim(layout.rank() - 1);
    let mut shape: Vec<usize> = axes.iter().map(|&axis| layout.extent(axis).size).collect();
    shape.push(outputs);
    let place = |feature: &usize| axes.iter().position(|axis| axis == feature);
    let order: Vec<usize> = std::iter::once(axes.len()).chain(features.iter().filter_map(place)).collect();
    weights.clone().reshaped(&shape).permuted(&order).reshaped(&[outputs, inputs])
}

#[cfg(test)]
mod tests {
    use burn::module::Param;
    use burn::nn::Linear;
    use burn::tensor::Tensor;

    use crate::lower::testing::{FUNCTION, numbers, operators, parameter, refusal};

    fn layer(inputs: usize) -> Linear {
        Linear { weight: parameter([inputs, 5]), bias: Some(parameter([5])) }
    }

    #[test]
    fn a_linear_layer_is_one_operator_with_its_bias() {
        let found = operators(&layer(7), numbers([3, 7]), |layer: &Linear, x| layer.forward(x));
        assert_eq!(found, ["FULLY_CONNECTED"]);
    }

    #[test]
    fn a_linear_layer_keeps_the_dimensions_before_the_features() {
        let found = operators(&layer(7), numbers([3, 4, 7]), |layer: &Linear, x: Tensor<3>| layer.forward(x));
        assert!(!found.contains(&"TRANSPOSE".to_string()), "{found:?}");
        assert_eq!(found.iter().filter(|name| *name == "FULLY_CONNECTED").count(), 1);
    }

    #[test]
    fn a_permutation_of_the_features_ends_in_the_weights() {
        let found = operators(&layer(24), numbers([3, 2, 3, 4]), |layer: &Linear, x: Tensor<4>| {
            layer.forward(x.permute([0, 3, 1, 2]).flatten::<2>(1, 3))
        });
        assert_eq!(found, ["RESHAPE", "FULLY_CONNECTED"]);
    }

    #[test]
    fn a_permutation_that_the_weights_cannot_take_is_a_transpose() {
        let found = operators(&layer(3), numbers([2, 3, 4]), |layer: &Linear, x: Tensor<3>| {
            layer.forward(x.swap_dims(1, 2))
        });
        assert_eq!(found.iter().filter(|name| *name == "TRANSPOSE").count(), 1, "{found:?}");
    }

    #[test]
    fn a_product_of_computed_matrices_is_refused() {
        let message = refusal(&FUNCTION, numbers([2, 3, 3]), |_, x: Tensor<3>| x.clone().matmul(x));
        assert!(message.contains("(Float.Matmul) from [N, 3, 3] and [N, 3, 3] to [N, 3, 3]"), "{message}");
        assert!(message.contains("the right factor is computed"), "{message}");
    }

    #[test]
    fn weights_that_two_layers_share_are_arranged_for_each() {
        let found = operators(&parameter([6, 6]), numbers([2, 6]), |weights: &Param<Tensor<2>>, x| {
            x.matmul(weights.val()).matmul(weights.val())
        });
        assert_eq!(found, ["FULLY_CONNECTED", "FULLY_CONNECTED"]);
    }
}
