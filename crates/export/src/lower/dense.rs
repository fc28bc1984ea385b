//! Products with a matrix of weights.

use burn::backend::ir::{LinearOpIr, MatmulOpIr, TensorIr};
use burnlite_tflite::{BatchMatMulOptions, FullyConnectedOptions, Op, TensorId};

use crate::builder::{Builder, Stored, Value};
use crate::constant::Constant;
use crate::error::Refusal;
use crate::layout::Layout;
use crate::shape::{Extent, Shape};

/// A product of matrices: FULLY_CONNECTED where the right one is a constant matrix, BATCH_MATMUL otherwise.
pub(super) fn matmul(builder: &mut Builder<'_>, op: &MatmulOpIr) -> Result<(), Refusal> {
    let (left, right) = (builder.value(&op.lhs)?, builder.value(&op.rhs)?);
    if let (Value::Computed(x), Value::Constant(weights)) = (&left, &right)
        && let Some(weights) = matrix(weights.clone())
    {
        return fully_connected(builder, x, &weights, None, &op.out);
    }
    let product = batched_product(builder, &left, &right)?;
    builder.bind(&op.out, product)
}

/// Burn's linear layer: FULLY_CONNECTED.
pub(super) fn linear(builder: &mut Builder<'_>, op: &LinearOpIr) -> Result<(), Refusal> {
    let weights = builder.constant(&op.weight, "weight")?;
    let bias = op.bias.as_ref().map(|bias| builder.constant(bias, "bias")).transpose()?;
    let x = builder.stored(&op.x)?;
    fully_connected(builder, &x, &weights, bias, &op.out)
}

/// The products of the matrices in the last two dimensions, the others broadcast: BATCH_MATMUL.
pub(super) fn batched_product(
    builder: &mut Builder<'_>,
    left: &Value,
    right: &Value,
) -> Result<Value, Refusal> {
    let (first, second) = (left.layout().shape().0, right.layout().shape().0);
    let rank = first.len();
    if rank != second.len() || rank < 2 {
        return Err(Refusal::new("its factors are of different ranks"));
    }
    let mut shape: Vec<Extent> = first
        .iter()
        .zip(&second)
        .map(|(&mine, &theirs)| if mine == Extent::ONE { theirs } else { mine })
        .collect();
    shape[rank - 2] = first[rank - 2];
    shape[rank - 1] = second[rank - 1];
    let ((x, adj_x), (y, adj_y)) = (matrices(builder, left), matrices(builder, right));
    let op = Op::BatchMatMul(BatchMatMulOptions { adj_x, adj_y, ..BatchMatMulOptions::default() });
    let order: Vec<usize> = (0..rank).collect();
    let element_type = builder.element_type(x);
    Ok(builder.stored_result(op, &[Some(x), Some(y)], element_type, &Shape(shape), &order).into())
}

/// A factor in Burn's order or with its matrices transposed, whichever moves less, and whether they are.
fn matrices(builder: &mut Builder<'_>, factor: &Value) -> (TensorId, bool) {
    let layout = factor.layout();
    let rank = layout.rank();
    let order: Vec<usize> = (0..rank).collect();
    let mut transposed = order.clone();
    transposed.swap(rank - 2, rank - 1);
    let is_transposed = match factor {
        Value::Constant(_) => false,
        Value::Computed(stored) => {
            let moves =
                |order: &[usize]| layout.moves(builder.shape(stored.tensor), &layout.groups(order)).len();
            moves(&transposed) < moves(&order)
        }
    };
    let order = if is_transposed { transposed } else { order };
    let tensor = match factor {
        Value::Computed(stored) => builder.arrange(stored, &layout.groups(&order)),
        Value::Constant(constant) => builder.add_constant(constant.clone(), "constant"),
    };
    (tensor, is_transposed)
}

/// `x · weights`: `[…, I] · [I, O]`. TensorFlow Lite keeps the weights as `[O, I]`.
///
/// The features of `x` stay in the order in which they are stored, and the weights are brought into that order: this is
/// where the permutation of a flattened image ends.
fn fully_connected(
    builder: &mut Builder<'_>,
    x: &Stored,
    weights: &Constant,
    bias: Option<Constant>,
    out: &TensorIr,
) -> Result<(), Refusal> {
    let layout = &x.layout;
    let last = layout.rank() - 1;
    let leading: Vec<usize> = (0..last).collect();
    let mut features = layout.dim(last).to_vec();
    features.sort_unstable();

    let weights = weights_in_order(weights, layout, &features);
    let mut groups = layout.groups(&leading);
    groups.push(features);
    let input = builder.arrange(x, &groups);
    let weights = builder.add_constant(weights, "weight");
    let bias = bias.map(|bias| builder.add_constant(bias, "bias"));
    let options = FullyConnectedOptions { keep_num_dims: last != 1, ..FullyConnectedOptions::default() };
    let order: Vec<usize> = (0..=last).collect();
    builder.stored_operator(Op::FullyConnected(options), &[Some(input), Some(weights), bias], out, &order)
}

/// `weights` without leading dimensions of 1: `[I, O]`; `None` if there are several matrices.
fn matrix(weights: Constant) -> Option<Constant> {
    let (leading, matrix) = weights.shape.split_at(weights.shape.len().checked_sub(2)?);
    let matrix = matrix.to_vec();
    leading.iter().all(|&extent| extent == 1).then(|| weights.reshaped(&matrix))
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

    use crate::lower::testing::{FUNCTION, numbers, operators, parameter};

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
    fn computed_matrices_are_multiplied_as_they_are_stored() {
        let found =
            operators(&FUNCTION, numbers([2, 3, 4]), |_, x: Tensor<3>| x.clone().matmul(x.swap_dims(1, 2)));
        assert_eq!(found, ["BATCH_MATMUL"]);
    }

    #[test]
    fn either_factor_may_be_constant_matrices() {
        let found = operators(
            &parameter([1, 5, 3]),
            numbers([2, 3, 5]),
            |weights: &Param<Tensor<3>>, x: Tensor<3>| weights.val().matmul(x),
        );
        assert_eq!(found, ["BATCH_MATMUL"]);
    }

    #[test]
    fn weights_that_two_layers_share_are_arranged_for_each() {
        let found = operators(&parameter([6, 6]), numbers([2, 6]), |weights: &Param<Tensor<2>>, x| {
            x.matmul(weights.val()).matmul(weights.val())
        });
        assert_eq!(found, ["FULLY_CONNECTED", "FULLY_CONNECTED"]);
    }
}
