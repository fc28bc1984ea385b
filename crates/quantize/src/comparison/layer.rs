//! One tensor of both models.

use std::collections::{HashMap, HashSet};

use burnlite_runtime::{Error as RuntimeError, Interpreter};
use burnlite_tflite::{Element, ElementType, Graph, Operator, Tensor, TensorId};

use super::{Difference, LayerComparison};
use crate::rules::{Rule, is_real, rule};

/// A tensor of the float model and its counterpart.
pub(super) struct Layer {
    float: TensorId,
    counterpart: TensorId,
    is_output: bool,
    element_type: ElementType,
    /// `None` where the counterpart is float.
    integers: Option<Integers>,
    difference: Difference,
    values: usize,
    weight_snr_db: Option<f64>,
}

/// The integers of a counterpart.
struct Integers {
    scale: f64,
    zero_point: f64,
    /// The limits of their type.
    limits: [f64; 2],
    /// The smallest and the largest that was seen.
    reached: Option<[f64; 2]>,
    saturated: usize,
}

impl Integers {
    fn of(tensor: &Tensor<'_>) -> Option<Self> {
        let limits = match tensor.element_type {
            ElementType::Int8 => [i8::MIN.into(), i8::MAX.into()],
            ElementType::UInt8 => [u8::MIN.into(), u8::MAX.into()],
            ElementType::Int16 => [i16::MIN.into(), i16::MAX.into()],
            _ => return None,
        };
        let quantization =
            tensor.quantization.as_ref().filter(|quantization| !quantization.is_per_channel())?;
        let (scale, zero_point) = (f64::from(quantization.scale[0]), quantization.zero_point[0] as f64);
        Some(Self { scale, zero_point, limits, reached: None, saturated: 0 })
    }

    /// Takes note of the integers that stand for the given floats, and turns them into what they stand for.
    fn observe(&mut self, floats: &[f64], integers: &mut [f64]) {
        let [lowest, highest] = self.limits;
        for (&float, integer) in floats.iter().zip(integers) {
            let [least, greatest] = self.reached.unwrap_or([*integer; 2]);
            self.reached = Some([least.min(*integer), greatest.max(*integer)]);
            let beyond = float / self.scale + self.zero_point;
            let is_below = *integer == lowest && beyond < lowest - 0.5;
            let is_above = *integer == highest && beyond > highest + 0.5;
            self.saturated += usize::from(is_below || is_above);
            *integer = (*integer - self.zero_point) * self.scale;
        }
    }

    fn bits_used(&self) -> Option<f64> {
        self.reached.map(|[least, greatest]| (greatest - least + 1.0).log2())
    }
}

impl Layer {
    /// The float graph's real tensors that depend on the inputs and have a counterpart.
    pub(super) fn all(float: &Graph<'_>, quantized: &Graph<'_>) -> Vec<Self> {
        let mut by_name: HashMap<&str, TensorId> = HashMap::new();
        for (tensor, index) in quantized.tensors.iter().zip(0..) {
            by_name.entry(&tensor.name).or_insert(TensorId(index));
        }
        let counterpart = |id: TensorId| {
            let name = &float.tensors[id.index()].name;
            let twin = |suffix| by_name.get(&format!("{name}{suffix}")[..]).copied();
            let is_quantized = |id: &TensorId| is_quantized(&quantized.tensors[id.index()]);
            let twin = twin("_int16").or_else(|| twin("_int8")).filter(is_quantized);
            twin.or_else(|| by_name.get(&name[..]).copied())
        };
        let outputs: HashSet<TensorId> = float.outputs.iter().copied().collect();
        let inputs = float.inputs.iter().map(|&id| (id, None));
        let results = float
            .operators
            .iter()
            .flat_map(|operator| operator.outputs.iter().map(move |&id| (id, Some(operator))));
        let layer = |(id, operator): (TensorId, Option<&Operator>)| {
            let counterpart = counterpart(id)?;
            let tensor = &quantized.tensors[counterpart.index()];
            Some(Self {
                float: id,
                counterpart,
                is_output: outputs.contains(&id),
                element_type: tensor.element_type,
                integers: Integers::of(tensor),
                difference: Difference::default(),
                values: 0,
                weight_snr_db: operator.and_then(|operator| {
                    let weights = weights_of(float, operator)?;
                    snr_of_weights(weights, &quantized.tensors[by_name.get(&weights.name[..])?.index()])
                }),
            })
        };
        inputs.chain(results).filter(|&(id, _)| is_real(float, id)).filter_map(layer).collect()
    }

    /// The values of both tensors, integers as they are; an error also where their shapes differ.
    pub(super) fn values(
        &self,
        floats: &Interpreter<'_>,
        integers: &Interpreter<'_>,
    ) -> Result<[Vec<f64>; 2], RuntimeError> {
        let (expected, found) = (floats.tensor_info(self.float)?, integers.tensor_info(self.counterpart)?);
        if expected.shape != found.shape {
            let (name, shape) = (expected.name.into(), found.shape.into());
            let [expected, found] = [expected.shape, found.shape].map(|shape| shape.iter().product());
            return Err(RuntimeError::InputLength { name, shape, expected, found });
        }
        let counterpart = match self.element_type {
            ElementType::Int8 => numbers::<i8>(integers, self.counterpart),
            ElementType::UInt8 => numbers::<u8>(integers, self.counterpart),
            ElementType::Int16 => numbers::<i16>(integers, self.counterpart),
            _ => numbers::<f32>(integers, self.counterpart),
        };
        Ok([numbers::<f32>(floats, self.float)?, counterpart?])
    }

    /// Takes note of the sample that was run last.
    pub(super) fn observe(
        &mut self,
        floats: &Interpreter<'_>,
        integers: &Interpreter<'_>,
    ) -> Result<(), RuntimeError> {
        let [floats_seen, mut seen] = self.values(floats, integers)?;
        if let Some(integers) = &mut self.integers {
            integers.observe(&floats_seen, &mut seen);
        }
        let row = floats.tensor_info(self.float)?.shape.last().copied().unwrap_or(1);
        self.difference.add(&floats_seen, &seen, row);
        self.values += seen.len();
        Ok(())
    }

    pub(super) fn comparison(&self, graph: &Graph<'_>) -> LayerComparison {
        LayerComparison {
            name: graph.tensors[self.float.index()].name.clone(),
            is_output: self.is_output,
            element_type: self.element_type,
            measures: self.difference.measures(),
            saturated: self.integers.as_ref().map_or(0, |integers| integers.saturated),
            values: self.values,
            bits_used: self.integers.as_ref().and_then(Integers::bits_used),
            weight_snr_db: self.weight_snr_db,
        }
    }
}

/// Whether a tensor's integers stand for real numbers, by one scale and zero point.
pub(super) fn is_quantized(tensor: &Tensor<'_>) -> bool {
    Integers::of(tensor).is_some()
}

fn numbers<T: Element + Into<f64>>(
    interpreter: &Interpreter<'_>,
    id: TensorId,
) -> Result<Vec<f64>, RuntimeError> {
    Ok(interpreter.tensor::<T>(id)?.iter().map(|&value| value.into()).collect())
}

/// The constant weights of a layer.
fn weights_of<'g, 'a>(graph: &'g Graph<'a>, operator: &Operator) -> Option<&'g Tensor<'a>> {
    let Some(Rule::Weighted(operands)) = rule(&operator.op) else { return None };
    let id = operator.inputs.get(operands.weights).copied()??;
    Some(&graph.tensors[id.index()])
}

/// The SNR of weights, as their integers stand for them.
fn snr_of_weights(float: &Tensor<'_>, quantized: &Tensor<'_>) -> Option<f64> {
    let quantization = quantized.quantization.as_ref()?;
    let floats = float.elements_of::<f32>().ok()?;
    let integers = quantized.elements_of::<i8>().ok()?;
    // One scale is that of a single channel, in which every element lies.
    let stride: usize = match quantization.is_per_channel() {
        true => quantized.shape.get(quantization.dimension + 1..)?.iter().product(),
        false => integers.len(),
    };
    let channels = (0..quantization.scale.len()).cycle();
    let channels = channels.flat_map(|channel| core::iter::repeat_n(channel, stride.max(1)));
    let real = |(&integer, channel): (&i8, usize)| {
        let zero_point = quantization.zero_point.get(channel).map_or(0.0, |&zero_point| zero_point as f64);
        f64::from(quantization.scale[channel]) * (f64::from(integer) - zero_point)
    };
    let reals: Vec<f64> = integers.iter().zip(channels).map(real).collect();
    let floats: Vec<f64> = floats.iter().map(|&value| value.into()).collect();
    let mut difference = Difference::default();
    difference.add(&floats, &reals, 1);
    difference.measures().snr_db.filter(|_| reals.len() == floats.len())
}
