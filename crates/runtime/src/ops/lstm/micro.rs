//! tflite-micro's arithmetic of int8 and of int16 activations, with cells of int16 (`lstm_eval.h`).
//!
//! Gates are two FULLY_CONNECTED and a LOGISTIC or TANH of 16 bits. There are no peepholes, projections, norms or coupled
//! gates.

use core::marker::PhantomData;

use burnlite_tflite::{Activation, ElementType, UnidirectionalSequenceLstmOptions};

use super::integer::{UNIT, cell_bits, clip, quantized_clip, row};
use super::{CELL_STATE, Cell, Gate, INPUT, Layer, Step};
use crate::error::OperatorFault;
use crate::fixed_point::QuantizedMultiplier;
use crate::frame::Inputs;
use crate::kernels::{Dot, Kernels};
use crate::ops::integer::{Accumulator, Integer, multiplier};
use crate::ops::sigmoid::{logistic_16, tanh_16};
use crate::plan::{Node, Planned};

pub(super) fn plan<T: Integer, A: Accumulator>(
    node: &Node<'_>,
    options: &UnidirectionalSequenceLstmOptions,
    layer: Layer,
) -> Result<Planned, OperatorFault>
where
    Kernels: Dot<T, A>,
{
    layer.check_types(
        node,
        [ElementType::Int8, ElementType::Int16, A::TYPE, ElementType::Int16],
        [T::TYPE, ElementType::Int16],
    )?;
    require_plain(&layer, options)?;
    let (input, output, cells) = (node.input(INPUT)?, node.output(0)?, node.input(CELL_STATE)?);
    if T::MAX == i32::from(i16::MAX) {
        input.symmetric_scale()?;
        output.symmetric_scale()?;
    }
    let input_quantization = input.scale_and_zero_point()?;
    let (output_scale, output_zero_point) = layer.output_quantization(node)?;
    let cell_bits = cell_bits(node)?;
    let cell_scale = f64::from(cells.symmetric_scale()?);
    let mut gates = [GateFactors { input: ZERO, recurrent: ZERO }; Gate::ALL.len()];
    for gate in Gate::ALL {
        gates[gate.index()] = GateFactors {
            input: sum_factor::<A>(node, input_quantization.0, gate.weights())?,
            recurrent: sum_factor::<A>(node, output_scale, gate.recurrent_weights())?,
        };
    }
    let cell = MicroCell::<T, A> {
        gates,
        input_zero_point: input_quantization.1,
        output_zero_point,
        kept: multiplier::<i32>(UNIT, &cells)?,
        added: multiplier::<i32>(UNIT * UNIT / cell_scale, &cells)?,
        cell_bits,
        cell_clip: quantized_clip::<i16>(options.cell_clip, cell_scale as f32),
        to_output: multiplier::<i32>(UNIT * UNIT / f64::from(output_scale), &output)?,
        kernels: node.options.kernels,
        types: PhantomData,
    };
    Ok(layer.planned(cell))
}

/// The layer has none of the variants that tflite-micro leaves out.
fn require_plain(layer: &Layer, options: &UnidirectionalSequenceLstmOptions) -> Result<(), OperatorFault> {
    let left_out = [
        (layer.is_coupled, "coupled gates"),
        (layer.has_peepholes, "peepholes"),
        (layer.is_projected, "a projection"),
        (layer.is_normalized, "normalized gates"),
        (options.activation != Activation::Tanh, "an activation other than tanh"),
    ];
    match left_out.iter().find(|(is_there, _)| *is_there) {
        Some((_, what)) => Err(OperatorFault::Unsupported {
            what: alloc::format!("{what}, which tflite-micro's LSTM of integers does not have,"),
        }),
        None => Ok(()),
    }
}

/// The factor from a sum of products to a gate before its activation, whose scale is 2^-12. The product of the scales is
/// rounded to single precision.
fn sum_factor<A: Accumulator>(
    node: &Node<'_>,
    scale: f32,
    position: usize,
) -> Result<QuantizedMultiplier, OperatorFault> {
    let weights = node.input(position)?;
    weights.require_zero_points_of_zero()?;
    multiplier::<A>(f64::from(scale * weights.scale_and_zero_point()?.0) * 4096.0, &weights)
}

const ZERO: QuantizedMultiplier = QuantizedMultiplier { multiplier: 0, shift: 0 };

#[derive(Debug, Clone, Copy)]
struct GateFactors {
    input: QuantizedMultiplier,
    recurrent: QuantizedMultiplier,
}

#[derive(Debug)]
struct MicroCell<T, A> {
    gates: [GateFactors; Gate::ALL.len()],
    input_zero_point: i32,
    output_zero_point: i32,
    /// From the product of a gate and a cell to the cell.
    kept: QuantizedMultiplier,
    /// From the product of a gate and a candidate to the cell.
    added: QuantizedMultiplier,
    cell_bits: i32,
    cell_clip: i32,
    to_output: QuantizedMultiplier,
    kernels: Kernels,
    types: PhantomData<(T, A)>,
}

impl<T: Integer, A: Accumulator> Cell for MicroCell<T, A>
where
    Kernels: Dot<T, A>,
{
    type Activation = T;
    type State = i16;

    fn step(&self, operands: &Inputs<'_>, step: Step<'_, T, i16>) {
        let Step { input, output, cells, gates: [enter, forget, candidates, leave], .. } = step;
        for (gate, values) in Gate::ALL.into_iter().zip([&mut *enter, forget, candidates, leave]) {
            self.gate(operands, gate, input, output, values);
        }
        for (index, cell) in cells.iter_mut().enumerate() {
            let kept = saturate(self.kept.apply(i32::from(forget[index]) * i32::from(*cell)));
            let added = saturate(self.added.apply(i32::from(enter[index]) * i32::from(candidates[index])));
            *cell = clip(kept.saturating_add(added).into(), self.cell_clip) as i16;
        }
        for ((y, &gate), &cell) in output.iter_mut().zip(&*leave).zip(&*cells) {
            let value = self.to_output.apply(i32::from(gate) * i32::from(tanh_of_cell(cell, self.cell_bits)));
            *y = T::saturating_from(value.saturating_add(self.output_zero_point));
        }
    }

    fn kernels(&self) -> Kernels {
        self.kernels.of_dots()
    }
}

impl<T: Integer, A: Accumulator> MicroCell<T, A>
where
    Kernels: Dot<T, A>,
{
    fn gate(&self, operands: &Inputs<'_>, gate: Gate, input: &[T], output: &[T], values: &mut [i16]) {
        let factors = self.gates[gate.index()];
        let (weights, recurrent) =
            (operands.get::<i8>(gate.weights()), operands.get::<i8>(gate.recurrent_weights()));
        let bias = operands.get::<A>(gate.bias());
        for (index, value) in values.iter_mut().enumerate() {
            let from_input: A =
                self.kernels.dot(input, row(weights, index, input), (self.input_zero_point, 0));
            let from_output: A =
                self.kernels.dot(output, row(recurrent, index, output), (self.output_zero_point, 0));
            let first = saturate(from_input.plus(bias[index]).requantize(factors.input));
            let second = saturate(from_output.requantize(factors.recurrent));
            let argument = 3 * i32::from(first.saturating_add(second));
            *value = if gate == Gate::Cell { tanh_16(argument) } else { logistic_16(argument) };
        }
    }
}

fn saturate(value: i32) -> i16 {
    i16::saturating_from(value)
}

/// The hyperbolic tangent of a cell with the given integer bits: its argument counts in thirds of 2^-12.
fn tanh_of_cell(cell: i16, cell_bits: i32) -> i16 {
    let argument = 3 * i32::from(cell);
    tanh_16(match cell_bits - 3 {
        left @ 0.. => argument << left,
        right => (argument + (1 << (-right - 1))) >> -right,
    })
}
