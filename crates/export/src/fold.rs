//! Operations that the operator before them can do along the way.

use burnlite_tflite::{Activation, Op, TensorId};

use crate::builder::{Builder, Stored, Value};
use crate::constant::Constant;
use crate::error::Refusal;
use crate::layout::Layout;
use crate::shape::{Extent, Shape};

/// Lets the operator that computes `operand` apply `activation` as well, if it can and nobody wants its result without.
///
/// Returns the result of both.
pub(crate) fn activation(
    builder: &mut Builder<'_>,
    operand: &Value,
    activation: Activation,
    op: &str,
) -> Option<Stored> {
    let (stored, producer) = producer(builder, operand)?;
    *fused_activation(&mut builder.graph.operators[producer].op)? = activation;
    builder.rename(stored.tensor, op);
    Some(stored)
}

/// Lets the operator that computes `operand` add `addend` to its bias, if that is one number for each of its channels.
///
/// Returns the result of both.
pub(crate) fn bias(
    builder: &mut Builder<'_>,
    operand: &Value,
    addend: &Constant,
) -> Result<Option<Stored>, Refusal> {
    let Some((stored, layer)) = layer(builder, operand, addend) else { return Ok(None) };
    let sums = match layer.bias {
        Some(bias) => {
            let bias = floats(builder, bias)?;
            let addend = layer.channels.to_floats()?;
            Constant::floats(
                &[bias.len()],
                bias.iter().zip(addend).map(|(bias, addend)| bias + addend).collect(),
            )
        }
        None => layer.channels,
    };
    let sums = builder.add_constant(sums.named(layer.bias_name), "bias");
    set_input(builder, layer.operator, layer.bias_position, sums);
    Ok(Some(stored))
}

/// Lets the operator that computes `operand` multiply its weights and its bias, if `factor` is one number for each of its
/// channels.
///
/// Returns the result of both.
pub(crate) fn scale(
    builder: &mut Builder<'_>,
    operand: &Value,
    factor: &Constant,
) -> Result<Option<Stored>, Refusal> {
    let Some((stored, layer)) = layer(builder, operand, factor) else { return Ok(None) };
    let factors = layer.channels.to_floats()?;
    let tensor = &builder.graph.tensors[layer.weights.index()];
    let (shape, name) = (tensor.shape.clone(), tensor.name.clone());
    // Depthwise filters have their channels last, all others first.
    let run = match builder.graph.operators[layer.operator].op {
        Op::DepthwiseConv2d(_) => 1,
        _ => shape[1..].iter().product::<usize>(),
    };
    let weights = floats(builder, layer.weights)?;
    let weights = weights
        .iter()
        .enumerate()
        .map(|(index, weight)| weight * factors[index / run % factors.len()])
        .collect();
    let weights = Constant::floats(&shape, weights).named(Some(name));
    let weights = builder.add_constant(weights, "weight");
    set_input(builder, layer.operator, 1, weights);
    if let Some(bias) = layer.bias {
        let products =
            floats(builder, bias)?.iter().zip(&factors).map(|(bias, factor)| bias * factor).collect();
        let bias = Constant::floats(&[factors.len()], products).named(layer.bias_name);
        let bias = builder.add_constant(bias, "bias");
        set_input(builder, layer.operator, layer.bias_position, bias);
    }
    Ok(Some(stored))
}

/// Lets the reduction that computes `operand` reduce `dims` as well, if it is the same kind and nobody wants its result without:
/// the mean of means of as many elements each is the mean of them all.
///
/// Returns the result of both.
pub(crate) fn reduction(
    builder: &mut Builder<'_>,
    operand: &Stored,
    op: &Op,
    dims: &[usize],
) -> Option<Stored> {
    let producer =
        builder.graph.operators.iter().position(|other| other.outputs.contains(&operand.tensor))?;
    let other = &builder.graph.operators[producer];
    let mut axes = match other.inputs.get(1).copied().flatten() {
        Some(axes) if other.op == *op => {
            builder.graph.tensors[axes.index()].elements_of::<i32>().ok()?.into_owned()
        }
        _ => return None,
    };
    let stored = builder.shape(operand.tensor);
    let order = operand.layout.natural_order(stored);
    let is_in_place = operand.layout.moves(stored, &operand.layout.groups(&order)).is_empty();
    if !is_in_place || !builder.is_read_here_only(operand.tensor) {
        return None;
    }
    axes.extend(order.iter().zip(0..).filter(|(dim, _)| dims.contains(dim)).map(|(_, axis)| axis));
    axes.sort_unstable();
    axes.dedup();
    let axes = builder.add_integers("axes", &axes);
    set_input(builder, producer, 1, axes);
    let mut shape = operand.layout.shape();
    for &dim in dims {
        shape.0[dim] = Extent::ONE;
    }
    let layout = Layout::stored(&shape, &order);
    builder.set_shape(operand.tensor, Shape(order.iter().map(|&dim| shape.0[dim]).collect()));
    Some(Stored { tensor: operand.tensor, layout })
}

/// Lets the reduction that computes `tensor` drop the dimensions that it reduced, if the current operation alone reads its
/// result and wants it as `shape`, without them.
///
/// Returns the result, which is the same tensor.
pub(crate) fn reduced_dims(builder: &mut Builder<'_>, tensor: TensorId, shape: &Shape) -> Option<TensorId> {
    let operators = &builder.graph.operators;
    let producer = operators.iter().position(|operator| operator.outputs.contains(&tensor))?;
    let axes = operators[producer].inputs.get(1).copied().flatten()?;
    let axes = builder.graph.tensors[axes.index()].elements_of::<i32>().ok()?;
    let kept = builder.shape(tensor).0.iter().enumerate();
    let kept = kept.filter(|(axis, _)| !axes.contains(&(*axis as i32))).map(|(_, &extent)| extent).collect();
    if Shape(kept) != *shape || !builder.is_read_here_only(tensor) {
        return None;
    }
    match &mut builder.graph.operators[producer].op {
        Op::Mean(options) | Op::Sum(options) | Op::ReduceMax(options) | Op::ReduceMin(options) => {
            options.keep_dims = false;
        }
        _ => return None,
    }
    builder.set_shape(tensor, shape.clone());
    Some(tensor)
}

/// An operator with weights, and numbers for its channels.
struct Layer {
    operator: usize,
    weights: TensorId,
    bias: Option<TensorId>,
    bias_name: Option<String>,
    bias_position: usize,
    /// One number for each channel, in the order in which they are stored.
    channels: Constant,
}

/// The operator with weights that computes `operand`, if its result is read here only and `numbers` are one for each of
/// its channels.
fn layer(builder: &mut Builder<'_>, operand: &Value, numbers: &Constant) -> Option<(Stored, Layer)> {
    let (stored, producer) = producer(builder, operand)?;
    let operator = &builder.graph.operators[producer];
    let bias_position = match operator.op {
        Op::Conv2d(_) | Op::DepthwiseConv2d(_) | Op::FullyConnected(_) => 2,
        Op::TransposeConv(_) => 3,
        _ => return None,
    };
    let input = |position: usize| operator.inputs.get(position).copied().flatten();
    let (weights, bias) = (input(1)?, input(bias_position));
    let bias_name = bias.map(|bias| builder.graph.tensors[bias.index()].name.clone());
    builder.graph.tensors[weights.index()].data.as_ref()?;
    let channels = per_channel(builder, &stored, numbers)?;
    Some((stored, Layer { operator: producer, weights, bias, bias_name, bias_position, channels }))
}

/// The operator that computes `operand`, if it has an activation that is still free, and its result is read by the current
/// operation only.
fn producer(builder: &mut Builder<'_>, operand: &Value) -> Option<(Stored, usize)> {
    let Value::Computed(stored) = operand else { return None };
    let operators = &mut builder.graph.operators;
    let producer = operators.iter().position(|operator| operator.outputs.contains(&stored.tensor))?;
    let is_free =
        fused_activation(&mut operators[producer].op).is_some_and(|fused| *fused == Activation::None);
    (is_free && builder.is_read_here_only(stored.tensor)).then(|| (stored.clone(), producer))
}

/// The activation among the options of an operator.
fn fused_activation(op: &mut Op) -> Option<&mut Activation> {
    match op {
        Op::Conv2d(options) => Some(&mut options.activation),
        Op::DepthwiseConv2d(options) => Some(&mut options.activation),
        Op::FullyConnected(options) => Some(&mut options.activation),
        Op::TransposeConv(options) => Some(&mut options.activation),
        Op::Add(options) => Some(&mut options.activation),
        Op::Sub(options) => Some(&mut options.activation),
        Op::Mul(options) => Some(&mut options.activation),
        Op::Div(options) => Some(&mut options.activation),
        Op::AveragePool2d(options) | Op::MaxPool2d(options) => Some(&mut options.activation),
        _ => None,
    }
}

/// `numbers` as one for each index of the last stored dimension, if they vary along that dimension only.
fn per_channel(builder: &Builder<'_>, stored: &Stored, numbers: &Constant) -> Option<Constant> {
    let layout = &stored.layout;
    let channels = layout.stored_groups(builder.shape(stored.tensor)).pop()?;
    let len = builder.shape(stored.tensor).0.last()?.size;
    let elements: usize = numbers.shape.iter().product();
    if elements == 1 {
        return Some(Constant::floats(&[len], vec![*numbers.to_floats().ok()?.first()?; len]));
    }
    if numbers.shape.len() != layout.rank() || elements != len {
        return None;
    }
    let varying = (0..layout.rank()).filter(|&dim| numbers.shape[dim] != 1);
    let axes: Vec<usize> = varying.flat_map(|dim| layout.dim(dim).iter().copied()).collect();
    let order: Option<Vec<usize>> =
        channels.iter().map(|channel| axes.iter().position(|axis| axis == channel)).collect();
    let order = order.filter(|order| order.len() == axes.len())?;
    let extents: Vec<usize> = axes.iter().map(|&axis| layout.extent(axis).size).collect();
    (extents.iter().product::<usize>() == len)
        .then(|| numbers.clone().reshaped(&extents).permuted(&order).reshaped(&[len]))
}

fn set_input(builder: &mut Builder<'_>, operator: usize, position: usize, tensor: TensorId) {
    let inputs = &mut builder.graph.operators[operator].inputs;
    if inputs.len() <= position {
        inputs.resize(position + 1, None);
    }
    inputs[position] = Some(tensor);
}

fn floats(builder: &Builder<'_>, tensor: TensorId) -> Result<Vec<f32>, Refusal> {
    let elements = builder.graph.tensors[tensor.index()].elements_of::<f32>();
    elements.map(Vec::from).map_err(|error| Refusal::new(error.to_string()))
}
