//! Schemes whose activations stay float: only constants become smaller.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use burnlite_tflite::{ElementType, Graph, Op, Operator, Quantization, Tensor, TensorId};

use super::constants::check_finite;
use crate::parameters::{Channels, dynamic_range_weights, half};
use crate::report::{Report, Role, constant_bytes};
use crate::rules::{Rule, WeightedOperands, is_real, reals, rule};
use crate::{Error, Scheme};

/// Weights with fewer elements stay float: what they would save is not worth the quantizing of activations.
const FEWEST_WEIGHTS: usize = 1024;

/// Makes the weights of layers 8-bit integers; kernels quantize the activations when they run.
pub(super) fn dynamic_range<'a>(source: &Graph<'a>) -> Result<(Graph<'a>, Report), Error> {
    let mut graph = source.clone();
    let mut report = Report::new(Scheme::DynamicRange, &source.tensors);
    let mut quantized: BTreeMap<TensorId, TensorId> = BTreeMap::new();
    let read_as_floats = read_as_floats(source);
    for (index, operator) in source.operators.iter().enumerate() {
        let Some((operands, weights)) = weights_of(source, operator) else { continue };
        let id = match quantized.get(&weights) {
            Some(&id) => id,
            None => {
                let Some(mut integers) = integer_weights(&source.tensors[weights.index()], operands)? else {
                    continue;
                };
                report.add(Role::Weights, &integers);
                let id = if read_as_floats.contains(&weights) {
                    integers.name = format!("{}_int8", integers.name);
                    graph.add_tensor(integers)
                } else {
                    graph.tensors[weights.index()] = integers;
                    weights
                };
                quantized.insert(weights, id);
                id
            }
        };
        let rewritten = &mut graph.operators[index];
        rewritten.inputs[operands.weights] = Some(id);
        if let Op::FullyConnected(options) = &mut rewritten.op {
            options.asymmetric_quantize_inputs = true;
        }
    }
    report.constant_bytes_after = constant_bytes(&graph.tensors);
    Ok((graph, report))
}

/// Makes float constants 16-bit floats, each behind a DEQUANTIZE.
pub(super) fn float16<'a>(source: &Graph<'a>) -> Result<(Graph<'a>, Report), Error> {
    let mut graph = source.clone();
    let mut report = Report::new(Scheme::Float16, &source.tensors);
    // Of RANGE's operands follows how many elements it gives: rounded, they may give another number.
    let (fixed, others): (Vec<_>, Vec<_>) =
        source.operators.iter().partition(|operator| matches!(operator.op, Op::Range));
    let fixed: BTreeSet<_> = fixed.iter().flat_map(|operator| operator.inputs.iter().flatten()).collect();
    let used = others.iter().flat_map(|operator| reals(source, operator)).map(|(_, id)| id);
    let is_weight = |id: &TensorId| source.tensors[id.index()].data.is_some() && !fixed.contains(id);
    let mut constants: Vec<TensorId> = used.filter(is_weight).collect();
    constants.sort_unstable();
    constants.dedup();
    let mut dequantize = Vec::new();
    for id in constants {
        let tensor = &source.tensors[id.index()];
        let values = tensor.elements_of::<f32>()?;
        check_finite(&tensor.name, &values)?;
        let bytes: Vec<u8> = values.iter().flat_map(|&value| half(value).to_le_bytes()).collect();
        let halves = Tensor {
            name: format!("{}_float16", tensor.name),
            data: Some(Cow::Owned(bytes)),
            ..Tensor::new("", ElementType::Float16, tensor.shape.clone())
        };
        report.add(if tensor.shape.len() == 1 { Role::Bias } else { Role::Weights }, &halves);
        let halves = graph.add_tensor(halves);
        graph.tensors[id.index()].data = None;
        dequantize.push(Operator::new(Op::Dequantize, [halves], [id]));
    }
    graph.operators.splice(0..0, dequantize);
    report.constant_bytes_after = constant_bytes(&graph.tensors);
    Ok((graph, report))
}

/// The constant weights of a layer whose kernel takes float activations with integer weights.
fn weights_of(graph: &Graph<'_>, operator: &Operator) -> Option<(WeightedOperands, TensorId)> {
    let Some(Rule::Weighted(operands)) = rule(&operator.op) else { return None };
    let weights = operator.inputs.get(operands.weights).copied().flatten()?;
    let tensor = &graph.tensors[weights.index()];
    let is_large = tensor.data.is_some() && tensor.elements() >= FEWEST_WEIGHTS;
    (is_large && is_real(graph, weights)).then_some((operands, weights))
}

/// The integers of weights; `None` where their shape has no channels.
fn integer_weights<'a>(tensor: &Tensor<'a>, operands: WeightedOperands) -> Result<Option<Tensor<'a>>, Error> {
    let Tensor { name, shape, .. } = tensor;
    let values = tensor.elements_of::<f32>()?;
    check_finite(name, &values)?;
    let dimension = operands.channel_dimension;
    Ok(Channels::new(&values, shape, dimension).map(|channels| {
        let (integers, scale) = dynamic_range_weights(&channels);
        let quantization = Quantization::per_channel(scale, dimension);
        Tensor::constant(name.clone(), shape.clone(), &integers).quantized(quantization)
    }))
}

/// The tensors that somebody reads otherwise than as the weights of a layer.
fn read_as_floats(graph: &Graph<'_>) -> BTreeSet<TensorId> {
    let mut read: BTreeSet<TensorId> = graph.outputs.iter().copied().collect();
    for operator in &graph.operators {
        let weights = weights_of(graph, operator).map(|(operands, _)| operands.weights);
        let others = operator.inputs.iter().enumerate().filter(|&(position, _)| Some(position) != weights);
        read.extend(others.filter_map(|(_, id)| *id));
    }
    read
}
