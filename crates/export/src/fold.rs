//! Operations that the operator before them can do along the way.

use burn::backend::ir::TensorIr;
use burnlite_tflite::{Activation, Op, Operator, Tensor, TensorId};

use crate::builder::{Builder, Stored, Value};
use crate::constant::Constant;
use crate::error::Refusal;

/// Lets the operator that computes `operand` apply `activation` as well, if it can and nobody wants its result without.
///
/// Returns the result of both.
pub(crate) fn activation(
    builder: &mut Builder<'_>,
    operand: &TensorIr,
    activation: Activation,
    op: &str,
) -> Result<Option<Stored>, Refusal> {
    let Some((stored, producer)) = producer(builder, operand)? else { return Ok(None) };
    let Some(fused) = fused_activation(&mut builder.graph.operators[producer].op) else { return Ok(None) };
    *fused = activation;
    builder.rename(stored.tensor, op);
    Ok(Some(stored))
}

/// Lets the operator that computes `operand` add `addend` as its bias, if that is one number for each of its channels.
///
/// Returns the result of both.
pub(crate) fn bias(
    builder: &mut Builder<'_>,
    operand: &TensorIr,
    addend: &Constant,
) -> Result<Option<Stored>, Refusal> {
    let Some((stored, producer)) = producer(builder, operand)? else { return Ok(None) };
    let Some(addend) = per_channel(builder, &stored, addend) else { return Ok(None) };
    let bias = builder.graph.operators[producer].inputs.get(2).copied().flatten();
    match bias {
        Some(bias) => {
            let tensor = &builder.graph.tensors[bias.index()];
            let sum = sum(tensor, &addend.into_tensor(String::new()))?;
            builder.graph.tensors[bias.index()].data = sum.data;
        }
        None => {
            let bias = builder.add_constant(addend, "bias");
            set_bias(&mut builder.graph.operators[producer], bias);
        }
    }
    Ok(Some(stored))
}

/// The operator that computes `operand`, if it has a bias and an activation that are still free, and its result is read
/// by the current operation only.
fn producer(builder: &mut Builder<'_>, operand: &TensorIr) -> Result<Option<(Stored, usize)>, Refusal> {
    let Value::Computed(stored) = builder.value(operand)? else { return Ok(None) };
    let operators = &mut builder.graph.operators;
    let producer = operators.iter().position(|operator| operator.outputs.contains(&stored.tensor));
    let is_free = |&producer: &usize| {
        fused_activation(&mut operators[producer].op).is_some_and(|fused| *fused == Activation::None)
    };
    let producer = producer.filter(is_free).filter(|_| builder.is_read_here_only(stored.tensor));
    Ok(producer.map(|producer| (stored, producer)))
}

/// The activation among the options of an operator with weights.
fn fused_activation(op: &mut Op) -> Option<&mut Activation> {
    match op {
        Op::Conv2d(options) => Some(&mut options.activation),
        Op::FullyConnected(options) => Some(&mut options.activation),
        _ => None,
    }
}

/// `addend` as one number for each index of the last stored dimension, if it varies along that dimension only.
fn per_channel(builder: &Builder<'_>, stored: &Stored, addend: &Constant) -> Option<Constant> {
    let layout = &stored.layout;
    let channels = layout.stored_groups(builder.shape(stored.tensor)).pop()?;
    if addend.shape.len() != layout.rank() {
        return None;
    }
    let varying = (0..layout.rank()).filter(|&dim| addend.shape[dim] != 1);
    let axes: Vec<usize> = varying.flat_map(|dim| layout.dim(dim).iter().copied()).collect();
    let order: Option<Vec<usize>> =
        channels.iter().map(|channel| axes.iter().position(|axis| axis == channel)).collect();
    let order = order.filter(|order| order.len() == axes.len())?;
    let extents: Vec<usize> = axes.iter().map(|&axis| layout.extent(axis).size).collect();
    let len = extents.iter().product();
    (addend.shape.iter().product::<usize>() == len)
        .then(|| addend.clone().reshaped(&extents).permuted(&order).reshaped(&[len]))
}

fn set_bias(operator: &mut Operator, bias: TensorId) {
    operator.inputs.resize(3, None);
    operator.inputs[2] = Some(bias);
}

fn sum(bias: &Tensor<'_>, addend: &Tensor<'static>) -> Result<Tensor<'static>, Refusal> {
    let elements = |tensor: &Tensor<'_>| -> Result<Vec<f32>, Refusal> {
        let elements = tensor.elements_of::<f32>().map_err(|error| Refusal::new(error.to_string()))?;
        Ok(elements.into_owned())
    };
    let sums: Vec<f32> =
        elements(bias)?.iter().zip(elements(addend)?).map(|(bias, addend)| bias + addend).collect();
    Ok(Tensor::constant("", [sums.len()], &sums))
}
