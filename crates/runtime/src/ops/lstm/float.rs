//! The arithmetic of float32 (`lstm_eval.cc`, `EvalFloat`).

use burnlite_tflite::{Activation, ElementType, UnidirectionalSequenceLstmOptions};

use super::{Cell, Gate, Layer, PROJECTION, PROJECTION_BIAS, Step};
use crate::error::OperatorFault;
use crate::frame::Inputs;
use crate::ops::activation::{clamp, float_range};
use crate::ops::elementwise::tanh;
use crate::ops::exponential::exp_single;
use crate::plan::{Node, Planned};

pub(super) fn plan(
    node: &Node<'_>,
    options: &UnidirectionalSequenceLstmOptions,
    layer: Layer,
) -> Result<Planned, OperatorFault> {
    layer.check_types(node, [ElementType::Float32; 4], [ElementType::Float32; 2])?;
    let cell = FloatCell {
        layer,
        activation: match options.activation {
            Activation::Tanh => None,
            other => Some(float_range(other)?),
        },
        cell_clip: options.cell_clip,
        projection_clip: options.proj_clip,
    };
    Ok(layer.planned(cell))
}

#[derive(Debug)]
struct FloatCell {
    layer: Layer,
    /// Bounds on the candidates and on the cells' outputs; without them these go through tanh.
    activation: Option<(f32, f32)>,
    cell_clip: f32,
    projection_clip: f32,
}

impl Cell for FloatCell {
    type Activation = f32;
    type State = f32;

    fn step(&self, operands: &Inputs<'_>, step: Step<'_, f32, f32>) {
        let Step { input, output, cells, gates: [enter, forget, candidates, leave], .. } = step;
        if !self.layer.is_coupled {
            self.gate(operands, Gate::Input, (input, output, cells), enter);
        }
        self.gate(operands, Gate::Forget, (input, output, cells), forget);
        self.gate(operands, Gate::Cell, (input, output, cells), candidates);
        for (index, cell) in cells.iter_mut().enumerate() {
            let entering = if self.layer.is_coupled { 1.0 - forget[index] } else { enter[index] };
            *cell = clip(forget[index] * *cell + entering * candidates[index], self.cell_clip);
        }
        self.gate(operands, Gate::Output, (input, output, cells), leave);
        for (hidden, &cell) in leave.iter_mut().zip(&*cells) {
            *hidden *= self.activate(cell);
        }
        if !self.layer.is_projected {
            output.copy_from_slice(leave);
            return;
        }
        let (weights, bias) = (operands.get::<f32>(PROJECTION), operands.get::<f32>(PROJECTION_BIAS));
        for (index, y) in output.iter_mut().enumerate() {
            let bias = bias.get(index).copied().unwrap_or_default();
            *y = clip(bias + dot(row(weights, index, leave), leave), self.projection_clip);
        }
    }
}

impl FloatCell {
    fn gate(
        &self,
        operands: &Inputs<'_>,
        gate: Gate,
        (input, output, cells): (&[f32], &[f32], &[f32]),
        values: &mut [f32],
    ) {
        let (weights, recurrent) =
            (operands.get::<f32>(gate.weights()), operands.get::<f32>(gate.recurrent_weights()));
        let peephole = gate.peephole().map_or(&[][..], |position| operands.get::<f32>(position));
        let (bias, norm) = (operands.get::<f32>(gate.bias()), operands.get::<f32>(gate.norm()));
        for (index, value) in values.iter_mut().enumerate() {
            let start = if self.layer.is_normalized { 0.0 } else { bias[index] };
            let seen = peephole.get(index).map_or(0.0, |weight| weight * cells[index]);
            *value = start
                + dot(row(weights, index, input), input)
                + dot(row(recurrent, index, output), output)
                + seen;
        }
        if self.layer.is_normalized {
            normalize(values, norm, bias);
        }
        match gate {
            Gate::Cell => values.iter_mut().for_each(|value| *value = self.activate(*value)),
            _ => values.iter_mut().for_each(|value| *value = logistic(*value)),
        }
    }

    fn activate(&self, value: f32) -> f32 {
        self.activation.map_or_else(|| tanh(value), |range| clamp(value, range))
    }
}

fn logistic(value: f32) -> f32 {
    1.0 / (1.0 + exp_single(-value))
}

/// The row of a matrix that is to be multiplied with the given values.
fn row<'w>(weights: &'w [f32], index: usize, values: &[f32]) -> &'w [f32] {
    &weights[index * values.len()..][..values.len()]
}

fn dot(weights: &[f32], values: &[f32]) -> f32 {
    weights.iter().zip(values).fold(0.0, |sum, (w, x)| sum + w * x)
}

/// Within `[-bound, bound]`, where the bound is positive.
fn clip(value: f32, bound: f32) -> f32 {
    if bound > 0.0 { clamp(value, (-bound, bound)) } else { value }
}

/// Moves the values to mean 0 and variance 1, then applies factors and biases.
fn normalize(values: &mut [f32], factors: &[f32], biases: &[f32]) {
    let count = values.len() as f32;
    let mean = values.iter().sum::<f32>() / count;
    let variance = values.iter().map(|value| (value - mean) * (value - mean)).sum::<f32>() / count;
    let factor = 1.0 / libm::sqrtf(variance + 1e-8);
    for ((value, norm), bias) in values.iter_mut().zip(factors).zip(biases) {
        *value = (*value - mean) * factor * norm + bias;
    }
}
