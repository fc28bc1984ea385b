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
