//! The arithmetic of int8 with cells of int16 (`lstm_eval.cc`, `EvalInteger8x8_16`).

use burnlite_tflite::{ElementType, UnidirectionalSequenceLstmOptions};

use super::{CELL_STATE, Cell, Gate, INPUT, Layer, OUTPUT_STATE, PROJECTION, PROJECTION_BIAS, Step};
use crate::error::OperatorFault;
use crate::fixed_point::root::inverse_square_root;
use crate::fixed_point::{QuantizedMultiplier, narrow, rounding_shift_right};
use crate::frame::Inputs;
use crate::kernels::{Dot, Kernels};
use crate::ops::integer::{Integer, multiplier};
use crate::plan::{Node, Operand, Planned};

/// Integer bits of the gates before their activations, where they are not normalized: their scale is 2^-12.
const GATE_BITS: i32 = 3;

pub(super) fn plan(
    node: &Node<'_>,
    options: &UnidirectionalSequenceLstmOptions,
    layer: Layer,
) -> Result<Planned, OperatorFault> {
    use ElementType::{Int8, Int16, Int32};
    layer.check_types(node, [Int8, Int16, Int32, Int16], [Int8, Int16])?;
    if layer.has_peepholes && layer.outputs > layer.cells {
        return Err(OperatorFault::Unsupported { what: "peepholes with more outputs than cells".into() });
    }
    let (_, input_zero_point) = node.input(INPUT)?.scale_and_zero_point()?;
    let (_, output_zero_point) = layer.output_quantization(node)?;
    let hidden = node.intermediate(4)?;
    let (hidden_scale, hidden_zero_point) = hidden.scale_and_zero_point()?;
    let cell_bits = cell_bits(node)?;
    let mut gates = [None; Gate::ALL.len()];
    for gate in layer.gates() {
        gates[gate.index()] = Some(IntegerGate::new(node, gate, &layer, cell_bits)?);
    }
    let cell = IntegerCell {
        layer,
        gates,
        input_zero_point,
        output_zero_point,
        cell_bits,
        cell_clip: quantized_clip::<i16>(
            options.cell_clip,
            node.input(CELL_STATE)?.scale_and_zero_point()?.0,
        ),
        to_hidden: multiplier::<i32>(f64::from((UNIT * UNIT / f64::from(hidden_scale)) as f32), &hidden)?,
        hidden_zero_point,
        projection: match layer.is_projected {
            true => Some(Projection::new(node, options, hidden_scale)?),
            false => None,
        },
        kernels: node.options.kernels,
    };
    Ok(layer.planned(cell))
}

/// The scale of 16-bit values without integer bits.
pub(super) const UNIT: f64 = 1.0 / 32_768.0;

/// Integer bits of the cells, whose scale must be a power of two: 2^-15 to 2^-9.
pub(super) fn cell_bits(node: &Node<'_>) -> Result<i32, OperatorFault> {
    let cells = node.input(CELL_STATE)?;
    let scale = cells.symmetric_scale()?;
    (0..=6).find(|&bits| f64::from(scale) == libm::exp2(f64::from(bits - 15))).ok_or_else(|| {
        cells.unusable("the scale of an LSTM's cells must be a power of two, from 2^-15 to 2^-9")
    })
}

/// A bound as an integer, towards zero; 0 where there is none.
pub(super) fn quantized_clip<T: Integer>(bound: f32, scale: f32) -> i32 {
    if bound > 0.0 { T::saturating_from((bound / scale) as i32).into() } else { 0 }
}

/// Within `[-bound, bound]`, where there is a bound.
pub(super) fn clip(value: i32, bound: i32) -> i32 {
    if bound == 0 { value } else { value.min(bound).max(-bound) }
}

/// The factors of a gate. Products of scales are rounded to single precision (`PopulateQuantizedLstmParams8x8_16`).
#[derive(Debug, Clone, Copy)]
struct IntegerGate {
    input: QuantizedMultiplier,
    recurrent: QuantizedMultiplier,
    peephole: Option<QuantizedMultiplier>,
    norm: Option<Norm>,
}

#[derive(Debug, Clone, Copy)]
struct Norm {
    multiplier: QuantizedMultiplier,
    /// The least variance.
    least: i32,
}

impl IntegerGate {
    fn new(node: &Node<'_>, gate: Gate, layer: &Layer, cell_bits: i32) -> Result<Self, OperatorFault> {
        let cells = node.input(CELL_STATE)?;
        let scale = |position| Ok::<_, OperatorFault>(node.input(position)?.scale_and_zero_point()?.0);
        let gate_scale = match layer.is_normalized {
            true => node.intermediate(gate.index())?.scale_and_zero_point()?.0,
            false => (UNIT * f64::from(1 << GATE_BITS)) as f32,
        };
        let input = scale(INPUT)? * scale(gate.weights())? / gate_scale;
        let recurrent = scale(OUTPUT_STATE)? * scale(gate.recurrent_weights())? / gate_scale;
        for position in [gate.weights(), gate.recurrent_weights()] {
            node.input(position)?.require_zero_points_of_zero()?;
        }
        let peephole = match gate.peephole().filter(|_| layer.has_peepholes) {
            Some(position) => {
                let real =
                    UNIT * f64::from(1 << cell_bits) * f64::from(scale(position)?) / f64::from(gate_scale);
                Some(multiplier::<i32>((real as f32).into(), &cells)?)
            }
            None => None,
        };
        let norm = match layer.is_normalized {
            true => Some(Norm::new(&node.input(gate.norm())?)?),
            false => None,
        };
        Ok(Self {
            input: multiplier::<i32>(input.into(), &cells)?,
            recurrent: multiplier::<i32>(recurrent.into(), &cells)?,
            peephole,
            norm,
        })
    }
}

impl Norm {
    fn new(factors: &Operand<'_>) -> Result<Self, OperatorFault> {
        let scale = factors.scale_and_zero_point()?.0;
        let factor = multiplier::<i32>(scale.into(), factors)?;
        // The gates have 12 fractional bits after the normalization.
        let shift = factor.shift + 12;
        if shift > QuantizedMultiplier::MAX_SHIFT {
            return Err(factors.unusable("the scale is too large for a normalization"));
        }
        let multiplier = QuantizedMultiplier { shift, ..factor };
        Ok(Self { multiplier, least: ((10_000.0 * scale) as i32).max(1) })
    }

    /// Moves the values to mean 0 and variance 1, then applies factors and biases (`ApplyLayerNorm`).
    fn apply(&self, values: &mut [i16], factors: &[i16], biases: &[i32]) {
        let Ok(count @ 1..) = i64::try_from(values.len()) else { return };
        let wide = values.iter().map(|&value| i64::from(value));
        let (sum, squares) = wide.fold((0, 0), |(sum, squares), x| (sum + x, squares + x * x));
        let mean = sum * 1024 / count;
        let variance = (squares * ((1 << 20) / count) - mean * mean) / (1 << 20);
        let variance = if variance < 1 { self.least } else { variance as i32 };
        let deviation = inverse_square_root(variance);
        for ((value, &factor), &bias) in values.iter_mut().zip(factors).zip(biases) {
            let centered = (i64::from(*value) * 1024 - mean) as i32;
            let scaled = deviation.apply(centered).wrapping_mul(factor.into()).wrapping_add(bias);
            let rounding = if scaled > 0 { 512 } else { -512 };
            *value = i16::saturating_from(self.multiplier.apply(scaled.wrapping_add(rounding) / 1024));
        }
    }
}

#[derive(Debug)]
struct Projection {
    multiplier: QuantizedMultiplier,
    clip: i32,
}

impl Projection {
    fn new(
        node: &Node<'_>,
        options: &UnidirectionalSequenceLstmOptions,
        hidden_scale: f32,
    ) -> Result<Self, OperatorFault> {
        let (weights, output) = (node.input(PROJECTION)?, node.output(0)?);
        weights.require_zero_points_of_zero()?;
        let output_scale = output.scale_and_zero_point()?.0;
        let real = weights.scale_and_zero_point()?.0 * hidden_scale / output_scale;
        Ok(Self {
            multiplier: multiplier::<i32>(real.into(), &output)?,
            clip: quantized_clip::<i8>(options.proj_clip, output_scale),
        })
    }
}

#[derive(Debug)]
struct IntegerCell {
    layer: Layer,
    gates: [Option<IntegerGate>; Gate::ALL.len()],
    input_zero_point: i32,
    output_zero_point: i32,
    cell_bits: i32,
    cell_clip: i32,
    to_hidden: QuantizedMultiplier,
    hidden_zero_point: i32,
    projection: Option<Projection>,
    kernels: Kernels,
}

impl Cell for IntegerCell {
    type Activation = i8;
    type State = i16;

    fn step(&self, operands: &Inputs<'_>, step: Step<'_, i8, i16>) {
        let Step { sequence, input, output, cells, gates: [enter, forget, candidates, leave] } = step;
        let gate = |gate: Gate, output: &[i8], cells: &[i16], values: &mut [i16]| {
            self.gate(operands, gate, (input, output), (sequence, cells), values);
        };
        gate(Gate::Input, output, cells, enter);
        gate(Gate::Forget, output, cells, forget);
        gate(Gate::Cell, output, cells, candidates);
        for (index, cell) in cells.iter_mut().enumerate() {
            let forget = i32::from(forget[index]);
            let entering = if self.layer.is_coupled { 32_767 - forget } else { enter[index].into() };
            let kept = rounding_shift_right(forget * i32::from(*cell), 15) as i16;
            let shift = (15 + self.cell_bits).unsigned_abs();
            let added = rounding_shift_right(entering * i32::from(candidates[index]), shift) as i16;
            *cell = clip(kept.saturating_add(added).into(), self.cell_clip) as i16;
        }
        gate(Gate::Output, output, cells, leave);
        for (hidden, &cell) in leave.iter_mut().zip(&*cells) {
            let product = i32::from(*hidden) * i32::from(narrow::tanh(cell, self.cell_bits));
            let value = self.to_hidden.apply(product);
            // The reference takes the zero point off before a projection, and adds it without one.
            let zero_point =
                if self.layer.is_projected { -self.hidden_zero_point } else { self.hidden_zero_point };
            *hidden = i8::saturating_from(value.saturating_add(zero_point)).into();
        }
        self.project(operands, leave, output);
    }

    fn kernels(&self) -> Kernels {
        self.kernels.of_dots()
    }
}

impl IntegerCell {
    /// Computes one gate; nothing where the layer is without it.
    fn gate(
        &self,
        operands: &Inputs<'_>,
        gate: Gate,
        (input, output): (&[i8], &[i8]),
        (sequence, cells): (usize, &[i16]),
        values: &mut [i16],
    ) {
        let Some(factors) = &self.gates[gate.index()] else { return };
        let (weights, recurrent) =
            (operands.get::<i8>(gate.weights()), operands.get::<i8>(gate.recurrent_weights()));
        let bias = operands.get::<i32>(gate.bias());
        for (index, value) in values.iter_mut().enumerate() {
            let from_input: i32 =
                self.kernels.dot(input, row(weights, index, input), (self.input_zero_point, 0));
            let from_output: i32 =
                self.kernels.dot(output, row(recurrent, index, output), (self.output_zero_point, 0));
            let bias = if self.layer.is_normalized { 0 } else { bias[index] };
            let first = i16::saturating_from(factors.input.apply(from_input.wrapping_add(bias)));
            let second = factors.recurrent.apply(from_output);
            *value = i16::saturating_from(second.saturating_add(first.into()));
        }
        if let (Some(multiplier), Some(position)) = (factors.peephole, gate.peephole()) {
            self.look(operands.get(position), multiplier, (sequence, cells), values);
        }
        if let Some(norm) = &factors.norm {
            norm.apply(values, operands.get(gate.norm()), bias);
        }
        let activate = if gate == Gate::Cell { narrow::tanh } else { narrow::logistic };
        for value in values {
            *value = activate(*value, GATE_BITS);
        }
    }

    /// Adds what the gate sees of the cells. The reference takes the number of outputs for that of the cells: with fewer
    /// outputs it reaches only the first cells of what it works on at a time, which is one sequence, or where time comes
    /// first the row of all sequences.
    fn look(
        &self,
        weights: &[i16],
        multiplier: QuantizedMultiplier,
        (sequence, cells): (usize, &[i16]),
        values: &mut [i16],
    ) {
        let Layer { batch, outputs, is_time_major, .. } = self.layer;
        let (start, end) =
            if is_time_major { (sequence * cells.len(), batch * outputs) } else { (0, outputs) };
        for (position, (value, &cell)) in (start..end).zip(values.iter_mut().zip(cells)) {
            let seen = multiplier.apply(i32::from(weights[position % outputs]) * i32::from(cell));
            *value = i16::saturating_from(seen.saturating_add((*value).into()));
        }
    }

    /// From the cells' outputs to the layer's.
    fn project(&self, operands: &Inputs<'_>, hidden: &[i16], output: &mut [i8]) {
        let Some(projection) = &self.projection else {
            for (y, &hidden) in output.iter_mut().zip(hidden) {
                *y = i8::saturating_from(hidden.into());
            }
            return;
        };
        let (weights, bias) = (operands.get::<i8>(PROJECTION), operands.get::<i32>(PROJECTION_BIAS));
        for (index, y) in output.iter_mut().enumerate() {
            let sum: i32 =
                self.kernels.dot(hidden, row(weights, index, hidden), (-self.hidden_zero_point, 0));
            let sum = sum.wrapping_add(bias.get(index).copied().unwrap_or_default());
            let value = projection.multiplier.apply(sum).saturating_add(self.output_zero_point);
            *y = clip(i8::saturating_from(value).into(), projection.clip) as i8;
        }
    }
}

/// The row of a matrix that is to be multiplied with the given values.
pub(super) fn row<'w, T>(weights: &'w [i8], index: usize, values: &[T]) -> &'w [i8] {
    &weights[index * values.len()..][..values.len()]
}
