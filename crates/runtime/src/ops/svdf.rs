//! SVDF: a recurrent layer of filters of rank one. Each filter multiplies the input's features with its weights, remembers
//! the last results, and multiplies these with its weights over time; a unit is the sum of a few filters.

use core::marker::PhantomData;

use burnlite_tflite::{Activation, ElementType, SvdfOptions};

use crate::error::OperatorFault;
use crate::fixed_point::QuantizedMultiplier;
use crate::frame::{Inputs, Writable, elements_mut};
use crate::interpreter::Numerics;
use crate::kernels::{Dot, Kernels};
use crate::ops::activation::{clamp, float_range};
use crate::ops::integer::{Accumulator, Integer, OutputRange, multiplier};
use crate::plan::{Kernel, Node, Planned};

/// The position of the operand that keeps the filters' last results.
const STATE: usize = 4;

pub(crate) fn plan(node: &Node<'_>, options: &SvdfOptions) -> Result<Planned, OperatorFault> {
    use ElementType::{Float32, Int8, Int16, Int32};
    let geometry = Geometry::new(node, options)?;
    let types = [node.input(0)?, node.input(1)?, node.input(2)?, node.input(STATE)?, node.output(0)?];
    let bias = node.optional_input(3).map(|bias| bias.element_type());
    match (types.map(|operand| operand.element_type()), bias) {
        ([Float32, Float32, Float32, Float32, Float32], None | Some(Float32)) => {
            let range = float_range(options.activation)?;
            Ok(geometry.planned(FloatFilters { geometry, range }))
        }
        ([Int8, Int8, Int16, Int16, Int8], None | Some(Int32)) => integer::<i16>(node, options, geometry),
        ([Int8, Int8, Int8, Int8, Int8], None | Some(Int32))
            if node.options.numerics == Numerics::TfLiteMicro =>
        {
            integer::<i8>(node, options, geometry)
        }
        _ => Err(node.types_fault()),
    }
}

/// The extents: input `[batch, features]`, feature weights `[filters, features]`, time weights `[filters, memory]`, state
/// `[batch, filters * memory]`, output `[batch, units]`.
#[derive(Debug, Clone, Copy)]
struct Geometry {
    batch: usize,
    features: usize,
    filters: usize,
    units: usize,
    memory: usize,
}

impl Geometry {
    fn new(node: &Node<'_>, options: &SvdfOptions) -> Result<Self, OperatorFault> {
        let (feature_weights, time_weights) = (node.input(1)?, node.input(2)?);
        let [batch, features] = node.input(0)?.dimensions()?;
        let [filters, _] = feature_weights.dimensions()?;
        let [_, memory] = time_weights.dimensions()?;
        let rank =
            usize::try_from(options.rank).ok().filter(|&rank| rank > 0 && filters.is_multiple_of(rank));
        let rank = rank.ok_or(OperatorFault::Option {
            option: "rank",
            expected: "a divisor of the number of filters",
            found: options.rank.into(),
        })?;
        let units = filters / rank;
        feature_weights.require_shape(&[filters, features])?;
        time_weights.require_shape(&[filters, memory])?;
        node.input(STATE)?.require_shape(&[batch, time_weights.elements()])?;
        if let Some(bias) = node.optional_input(3) {
            bias.require_shape(&[units])?;
        }
        if memory == 0 {
            let what = "the filters must remember at least one result".into();
            return Err(OperatorFault::Shape { what, found: time_weights.shape.into() });
        }
        Ok(Self { batch, features, filters, units, memory })
    }

    fn planned(&self, kernel: impl Kernel + 'static) -> Planned {
        Planned { updates: [STATE].into(), ..Planned::new([self.batch, self.units], kernel) }
    }

    /// Every filter forgets its oldest result and remembers that of the given rows of input and weights.
    fn remember<X, W, S: Copy>(
        &self,
        input: &[X],
        weights: &[W],
        state: &mut [S],
        result: impl Fn(&[X], &[W]) -> S,
    ) {
        for (index, memory) in state.chunks_exact_mut(self.memory).enumerate() {
            let (row, filter) = (index / self.filters, index % self.filters);
            memory.copy_within(1.., 0);
            memory[self.memory - 1] = result(
                &input[row * self.features..][..self.features],
                &weights[filter * self.features..][..self.features],
            );
        }
    }

    /// Calls `output` for each output in order, with its unit, and what the unit's filters remember with the weights.
    fn for_each_unit<S, W>(&self, state: &[S], weights: &[W], mut output: impl FnMut(usize, &[S], &[W])) {
        let Some(filters) = self.filters.checked_div(self.units) else { return };
        let remembered = filters * self.memory;
        for (index, memory) in state.chunks_exact(remembered).enumerate() {
            let unit = index % self.units;
            output(unit, memory, &weights[unit * remembered..][..remembered]);
        }
    }
}

#[derive(Debug)]
struct FloatFilters {
    geometry: Geometry,
    range: (f32, f32),
}

impl Kernel for FloatFilters {
    fn run(&self, inputs: &Inputs<'_>, [output, state, ..]: &mut Writable<'_>) -> Result<(), OperatorFault> {
        let dot = |x: &[f32], w: &[f32]| x.iter().zip(w).fold(0.0, |sum, (x, w)| sum + x * w);
        let state = elements_mut::<f32>(state);
        self.geometry.remember(inputs.get(0), inputs.get(1), state, dot);
        let bias = inputs.get::<f32>(3);
        let mut outputs = elements_mut::<f32>(output).iter_mut();
        self.geometry.for_each_unit(state, inputs.get(2), |unit, memory, weights| {
            let sum = dot(memory, weights) + bias.get(unit).copied().unwrap_or_default();
            outputs.next().into_iter().for_each(|y| *y = clamp(sum, self.range));
        });
        Ok(())
    }
}

/// int8 with a memory of `S`: int16, in tflite-micro int8 too. The weights over time have the memory's type.
fn integer<S: Integer>(
    node: &Node<'_>,
    options: &SvdfOptions,
    geometry: Geometry,
) -> Result<Planned, OperatorFault> {
    // The reference takes no other activation, and leaves the cut to the output's zero point.
    if options.activation != Activation::Relu {
        let what = alloc::format!("the activation {:?} of integers", options.activation);
        return Err(OperatorFault::Unsupported { what });
    }
    let (input, features, times) = (node.input(0)?, node.input(1)?, node.input(2)?);
    let (state, output) = (node.input(STATE)?, node.output(0)?);
    features.require_zero_points_of_zero()?;
    times.require_zero_points_of_zero()?;
    let (input_scale, input_zero_point) = input.scale_and_zero_point()?;
    let (state_scale, state_zero_point) = state.scale_and_zero_point()?;
    if S::MAX == i32::from(i16::MAX) {
        state.symmetric_scale()?;
    }
    let feature_scale = features.scale_and_zero_point()?.0;
    let time_scale = times.scale_and_zero_point()?.0;
    let output_scale = output.scale_and_zero_point()?.0;
    // Products and quotients of scales are rounded to single precision (`PrepareInteger`).
    let kernel = IntegerFilters::<S> {
        geometry,
        input_zero_point,
        state_zero_point,
        to_state: multiplier::<i32>((input_scale * feature_scale / state_scale).into(), &state)?,
        to_output: multiplier::<i32>((state_scale * time_scale / output_scale).into(), &output)?,
        range: OutputRange::new::<i8>(&output, Activation::None)?,
        kernels: node.options.kernels,
        state: PhantomData,
    };
    Ok(geometry.planned(kernel))
}

#[derive(Debug)]
struct IntegerFilters<S> {
    geometry: Geometry,
    input_zero_point: i32,
    state_zero_point: i32,
    to_state: QuantizedMultiplier,
    to_output: QuantizedMultiplier,
    range: OutputRange,
    kernels: Kernels,
    state: PhantomData<S>,
}

impl<S: Integer> Kernel for IntegerFilters<S> {
    fn run(&self, inputs: &Inputs<'_>, [output, state, ..]: &mut Writable<'_>) -> Result<(), OperatorFault> {
        let state = elements_mut::<S>(state);
        self.geometry.remember(inputs.get::<i8>(0), inputs.get(1), state, |row, weights| {
            let sum: i32 = self.kernels.dot(row, weights, (self.input_zero_point, 0));
            S::saturating_from(self.to_state.apply(sum).saturating_add(self.state_zero_point))
        });
        let bias = inputs.get::<i32>(3);
        let mut outputs = elements_mut::<i8>(output).iter_mut();
        self.geometry.for_each_unit::<S, S>(state, inputs.get(2), |unit, memory, weights| {
            let sum = memory.iter().zip(weights).fold(0i32, |sum, (&remembered, &weight)| {
                sum.plus_product(remembered.into() - self.state_zero_point, weight.into())
            });
            let sum = sum.wrapping_add(bias.get(unit).copied().unwrap_or_default());
            outputs.next().into_iter().for_each(|y| *y = self.range.output(self.to_output.apply(sum)));
        });
        Ok(())
    }

    fn kernels(&self) -> Kernels {
        self.kernels.of_dots()
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use burnlite_tflite::{Graph, Model, Op, Operator, Quantization, Tensor};

    use super::*;
    use crate::{Interpreter, InterpreterOptions};

    /// A filter of int8 with a memory of two int8, all of scale 1: results times 5, then the older one plus twice the newer.
    fn model(activation: Activation, rank: i32) -> Model<'static> {
        let mut graph = Graph::default();
        let tensor = |name, zero_point| {
            let shape = [1, if name == "state" { 2 } else { 1 }];
            Tensor::new(name, ElementType::Int8, shape).quantized(Quantization::per_tensor(1.0, zero_point))
        };
        let x = graph.add_tensor(tensor("input", 1));
        let constant = |name, values: &[i8]| {
            Tensor::constant(name, [1, values.len()], values).quantized(Quantization::per_tensor(1.0, 0))
        };
        let features = graph.add_tensor(constant("features", &[5]));
        let times = graph.add_tensor(constant("times", &[1, 2]));
        let bias = graph.add_tensor(Tensor::constant("bias", [1], &[100i32]));
        let state = graph.add_tensor(Tensor { is_variable: true, ..tensor("state", -7) });
        let y = graph.add_tensor(tensor("output", -128));
        let options = SvdfOptions { rank, activation, ..SvdfOptions::default() };
        graph.operators.push(Operator::new(Op::Svdf(options), [x, features, times, bias, state], [y]));
        (graph.inputs, graph.outputs) = ([x].into(), [y].into());
        Model::new(graph)
    }

    fn interpreter<'m>(model: &'m Model<'_>, numerics: Numerics) -> Result<Interpreter<'m>, crate::Error> {
        Interpreter::with_options(model, &InterpreterOptions { numerics, ..InterpreterOptions::default() })
    }

    #[test]
    fn only_tflite_micro_has_a_memory_of_int8_which_starts_at_its_zero_point() {
        let model = model(Activation::Relu, 1);
        assert!(interpreter(&model, Numerics::LiteRt).is_err());
        let mut interpreter = interpreter(&model, Numerics::TfLiteMicro).unwrap();
        let mut next = |x: i8| {
            interpreter.set_input(0, &[x]).unwrap();
            interpreter.invoke().unwrap();
            i32::from(interpreter.output::<i8>(0).unwrap()[0]) + 128
        };
        // A result of 630 is cut at the greatest int8, which stands for 127 + 7.
        let sums = [100 + 2 * 10, 100 + 10 + 2 * 5, 100 + 5, 255];
        assert_eq!([3, 2, 1, 127].map(&mut next), sums);
        assert_eq!(next(1), 100 + 134);
    }

    #[test]
    fn integers_have_no_activation_but_relu_and_ranks_divide_the_filters() {
        let refusal = |activation, rank| {
            interpreter(&model(activation, rank), Numerics::TfLiteMicro).unwrap_err().to_string()
        };
        assert!(refusal(Activation::None, 1).contains("the activation None of integers is not supported"));
        for rank in [-1, 0, 2] {
            assert!(refusal(Activation::Relu, rank).contains("rank is"), "{rank}");
        }
    }
}
