//! Loops over elements, compiled for each instruction set.
//!
//! What a loop computes is written once, in plain Rust that the compiler vectorizes with the instructions an engine has. What it
//! does not vectorize well, rescaling and lookups in tables, are kernels of the engines.
//!
//! Functions of integers that take several steps go through blocks: each step is a short loop over lanes of 32 bits that
//! stay in the cache.

use core::fmt::Debug;

use crate::fixed_point::QuantizedMultiplier;
use crate::kernels::vectors::{Task, Vectors};
use crate::kernels::{Engine, with_vectors};
use crate::ops::integer::{Integer, OutputRange};

/// A loop to compile for each instruction set.
pub(crate) trait Loop {
    /// Runs it.
    ///
    /// Must be `#[inline(always)]`, and what it calls for each element `#[inline]`: the loop is compiled with the instructions
    /// of the function that it becomes part of.
    fn run(self, engine: Engine);
}

impl Engine {
    /// Runs a loop with the engine's instructions.
    #[inline]
    pub(crate) fn run_loop(self, elements: impl Loop) {
        self.run_plain(Elements { elements, engine: self.of_loops() });
    }

    /// As [`Vectors::rescale`].
    #[inline]
    pub(crate) fn rescale(self, lanes: &mut [i32], multiplier: QuantizedMultiplier) {
        with_vectors!(self, vectors => vectors.rescale(lanes, multiplier));
    }

    /// As [`Vectors::pairs`].
    #[inline]
    pub(crate) fn pairs(self, table: &[u16], lanes: &mut [i32]) {
        with_vectors!(self, vectors => vectors.pairs(table, lanes));
    }

    /// As [`Vectors::lookup`].
    #[inline]
    pub(crate) fn lookup(self, table: &[u8; 256], bytes: &[u8], output: &mut [u8]) {
        with_vectors!(self, vectors => vectors.lookup(table, bytes, output));
    }
}

struct Elements<L> {
    elements: L,
    engine: Engine,
}

impl<L: Loop> Task for Elements<L> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vectors>(self, _: V) {
        self.elements.run(self.engine);
    }
}

/// A function of each element.
pub(crate) struct Map<'l, X, Y, F> {
    pub(crate) input: &'l [X],
    pub(crate) output: &'l mut [Y],
    pub(crate) function: &'l F,
}

impl<X: Copy, Y, F: Fn(X) -> Y> Loop for Map<'_, X, Y, F> {
    #[inline(always)]
    fn run(self, _: Engine) {
        for (y, &x) in self.output.iter_mut().zip(self.input) {
            *y = (self.function)(x);
        }
    }
}

/// One of two operands of rows of pairs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Side<'l, X> {
    /// From the first row's first element on.
    pub(crate) elements: &'l [X],
    /// Elements from one row to the next.
    pub(crate) row_step: usize,
    /// Elements from one to the next of a row: 1, or 0 where all of a row meets the same one.
    pub(crate) step: usize,
}

/// An operand's elements in a row of pairs.
enum Row<'l, X> {
    Each(&'l [X]),
    Same(X),
}

impl<'l, X: Copy> Side<'l, X> {
    /// The row with the given index, of the given length.
    #[inline(always)]
    fn row(&self, index: usize, length: usize) -> Row<'l, X> {
        let start = index * self.row_step;
        match self.step {
            0 => Row::Same(self.elements[start]),
            _ => Row::Each(&self.elements[start..][..length]),
        }
    }
}

/// A function of pairs of elements.
pub(crate) struct Zip<'l, A, B, Y, F> {
    pub(crate) left: Side<'l, A>,
    pub(crate) right: Side<'l, B>,
    /// Rows of the given length.
    pub(crate) output: &'l mut [Y],
    pub(crate) length: usize,
    pub(crate) function: &'l F,
}

impl<A: Copy, B: Copy, Y, F: Fn(A, B) -> Y> Loop for Zip<'_, A, B, Y, F> {
    #[inline(always)]
    fn run(self, _: Engine) {
        let Self { left, right, output, length, function } = self;
        for (index, row) in output.chunks_exact_mut(length).enumerate() {
            match (left.row(index, length), right.row(index, length)) {
                (Row::Each(left), Row::Each(right)) => {
                    let pairs = left.iter().zip(right);
                    row.iter_mut().zip(pairs).for_each(|(y, (&a, &b))| *y = function(a, b));
                }
                (Row::Each(left), Row::Same(b)) => {
                    row.iter_mut().zip(left).for_each(|(y, &a)| *y = function(a, b));
                }
                (Row::Same(a), Row::Each(right)) => {
                    row.iter_mut().zip(right).for_each(|(y, &b)| *y = function(a, b));
                }
                (Row::Same(a), Row::Same(b)) => row.iter_mut().for_each(|y| *y = function(a, b)),
            }
        }
    }
}

/// Elements that go through the steps of a function together: few enough for the nearest cache, many enough for a loop.
pub(crate) const BLOCK: usize = 128;

/// A function of integers, which blocks of them take step by step.
pub(crate) trait Steps<X, Y>: Debug + Send + Sync + 'static {
    /// The definition.
    fn of(&self, x: X) -> Y;
    /// The same for a block of elements in lanes; the results fit the type. Must be `#[inline(always)]`.
    fn block(&self, engine: Engine, lanes: &mut [i32]);
}

/// A function of pairs of integers, which blocks of them take step by step.
pub(crate) trait PairSteps<A, B, Y>: Debug + Send + Sync + 'static {
    /// The definition.
    fn of(&self, a: A, b: B) -> Y;
    /// The same for a block of pairs in lanes; the results, which fit the type, replace the left elements. Must be
    /// `#[inline(always)]`.
    fn block(&self, engine: Engine, left: &mut [i32], right: &mut [i32]);
}

/// A function of each integer, by blocks.
pub(crate) struct MapBlocks<'l, X, Y, F> {
    pub(crate) input: &'l [X],
    pub(crate) output: &'l mut [Y],
    pub(crate) function: &'l F,
}

impl<X: Integer, Y: Integer, F: Steps<X, Y>> Loop for MapBlocks<'_, X, Y, F> {
    #[inline(always)]
    fn run(self, engine: Engine) {
        let mut lanes = [0; BLOCK];
        for (output, input) in self.output.chunks_mut(BLOCK).zip(self.input.chunks(BLOCK)) {
            let lanes = &mut lanes[..input.len()];
            widen(input, lanes);
            self.function.block(engine, lanes);
            narrow(lanes, output);
        }
    }
}

/// A function of pairs of integers, by blocks.
pub(crate) struct ZipBlocks<'l, A, B, Y, F> {
    pub(crate) left: Side<'l, A>,
    pub(crate) right: Side<'l, B>,
    /// Rows of the given length.
    pub(crate) output: &'l mut [Y],
    pub(crate) length: usize,
    pub(crate) function: &'l F,
}

impl<A: Integer, B: Integer, Y: Integer, F: PairSteps<A, B, Y>> Loop for ZipBlocks<'_, A, B, Y, F> {
    #[inline(always)]
    fn run(self, engine: Engine) {
        let (mut left, mut right) = ([0; BLOCK], [0; BLOCK]);
        // Short rows share a block, long ones have several.
        let (length, rows) = (self.length, (BLOCK / self.length).max(1));
        for (index, output) in self.output.chunks_mut(rows * length).enumerate() {
            for (part, output) in output.chunks_mut(BLOCK).enumerate() {
                let (left, right) = (&mut left[..output.len()], &mut right[..output.len()]);
                self.left.load(index * rows, part * BLOCK, length, left);
                self.right.load(index * rows, part * BLOCK, length, right);
                self.function.block(engine, left, right);
                narrow(left, output);
            }
        }
    }
}

impl<X: Integer> Side<'_, X> {
    /// Rows of the given length from the given one on, or a part of one that starts at the given place.
    #[inline(always)]
    fn load(&self, row: usize, place: usize, length: usize, lanes: &mut [i32]) {
        if self.step == 1 && self.row_step == length {
            return widen(&self.elements[row * length + place..], lanes);
        }
        for (index, lanes) in lanes.chunks_mut(length).enumerate() {
            match self.row(row + index, length) {
                Row::Each(elements) => widen(&elements[place..], lanes),
                Row::Same(element) => lanes.fill(element.into()),
            }
        }
    }
}

/// The elements in lanes.
#[inline(always)]
pub(crate) fn widen<X: Integer>(elements: &[X], lanes: &mut [i32]) {
    for (lane, &x) in lanes.iter_mut().zip(elements) {
        *lane = x.into();
    }
}

/// Lanes that fit the type as its elements.
#[inline(always)]
pub(crate) fn narrow<Y: Integer>(lanes: &[i32], elements: &mut [Y]) {
    for (y, &lane) in elements.iter_mut().zip(lanes) {
        *y = Y::truncating_from(lane);
    }
}

/// The lanes each less a zero point, shifted left.
#[inline(always)]
pub(crate) fn center(lanes: &mut [i32], zero_point: i32, left_shift: u32) {
    lanes.iter_mut().for_each(|lane| *lane = lane.wrapping_sub(zero_point) << left_shift);
}

/// [`OutputRange::output`] of each lane.
#[inline(always)]
pub(crate) fn finish(lanes: &mut [i32], range: OutputRange) {
    // The bounds come first, so that adding the zero point cannot overflow.
    let bound = |bound: i32| bound.saturating_sub(range.zero_point);
    let (min, max) = (bound(range.min), bound(range.max));
    lanes.iter_mut().for_each(|lane| *lane = (*lane).max(min).min(max) + range.zero_point);
}

#[cfg(test)]
mod tests {
    use alloc::string::{String, ToString};
    use alloc::vec::Vec;

    use burnlite_tflite::{
        Activation, AddOptions, ElementType, Graph, LeakyReluOptions, Model, MulOptions, Op, Operator,
        Quantization, ReducerOptions, ResizeBilinearOptions, ResizeNearestNeighborOptions, SoftmaxOptions,
        SubOptions, Tensor,
    };
    use proptest::prelude::*;

    use super::*;
    use crate::kernels::vectors;
    use crate::{Interpreter, InterpreterOptions, KERNELS, Kernels};

    proptest! {
        #[test]
        fn engines_rescale_and_look_up_as_defined(
            values in proptest::collection::vec(any::<i32>(), 0..100),
            table in proptest::collection::vec(any::<u16>(), 256..300),
            multiplier in 1i32 << 30..=i32::MAX,
            shift in -31i32..=31,
        ) {
            let multiplier = QuantizedMultiplier { multiplier, shift };
            let bytes: &[u8] = bytemuck::cast_slice(&values);
            let byte_table = core::array::from_fn(|index| table[index] as u8);
            let applied: Vec<i32> = values.iter().map(|&value| multiplier.apply(value)).collect();
            let mut paired = values.clone();
            vectors::pairs(&table, &mut paired);
            let found: Vec<u8> = bytes.iter().map(|&byte| byte_table[usize::from(byte)]).collect();
            for engine in Kernels::engines() {
                let (mut lanes, mut indices, mut output) = (values.clone(), values.clone(), found.clone());
                engine.rescale(&mut lanes, multiplier);
                engine.pairs(&table, &mut indices);
                output.fill(0);
                engine.lookup(&byte_table, bytes, &mut output);
                prop_assert_eq!((&lanes, &indices, &output), (&applied, &paired, &found), "{:?}", engine);
            }
        }

        #[test]
        fn every_kernel_gives_the_elements_of_the_reference(
            values in proptest::collection::vec(any::<i32>(), 1..700),
            exponents in [-14f32..4.0, -14f32..4.0, -14f32..4.0],
            zero_points in [-128i64..128, -128i64..128, -128i64..128],
            columns in 1usize..40,
            alpha in -2f32..2.0,
        ) {
            let scales = exponents.map(libm::exp2f);
            for element_type in [ElementType::Int8, ElementType::Int16] {
                let zero_points = if element_type == ElementType::Int8 { zero_points } else { [0; 3] };
                let tensor = |index: usize| (element_type, Some((scales[index], zero_points[index])));
                let float = (ElementType::Float32, None);
                let case = |op, operands: &[Typed], result| Case { op, operands: operands.into(), result, constant: &[] };
                let [a, b, y] = [tensor(0), tensor(1), tensor(2)];
                let mut cases = pairs_of(a, b, y);
                cases.extend([
                    case(Op::Quantize, &[float], a),
                    case(Op::Quantize, &[a], y),
                    case(Op::Quantize, &[a], (ElementType::Int8, Some((scales[2], 3)))),
                    case(Op::Dequantize, &[a], float),
                    case(Op::Relu, &[a], y),
                    case(Op::Relu6, &[a], y),
                    case(Op::LeakyRelu(LeakyReluOptions { alpha }), &[a], y),
                    case(Op::Abs, &[a], y),
                    case(Op::Exp, &[a], y),
                    case(Op::Sqrt, &[a], y),
                    case(Op::HardSwish, &[a], y),
                    case(Op::Logistic, &[a], unit(element_type, 1, true)),
                    case(Op::Tanh, &[a], unit(element_type, 2, false)),
                    case(Op::Softmax(SoftmaxOptions { beta: 1.0 }), &[a], unit(element_type, 1, true)),
                    case(Op::Softmax(SoftmaxOptions { beta: 1.0 }), &[a], (ElementType::Int16, Some((1.0 / 65_536.0, -32_768)))),
                ]);
                for (keep_dims, constant) in [(true, &[0][..]), (false, &[1])] {
                    let options = ReducerOptions { keep_dims };
                    let ops = [Op::Mean(options.clone()), Op::Sum(options.clone())];
                    cases.extend(ops.map(|op| Case { constant, ..case(op, &[a], y) }));
                    cases.push(Case { constant, ..case(Op::ReduceMax(options), &[a], a) });
                }
                for case in cases {
                    prop_assert_eq!(case.disagreement(&values, &[values.len() / columns, columns]), None, "{:?}", case);
                }
            }
        }

        #[test]
        fn every_kernel_gives_the_images_of_the_reference(
            values in proptest::collection::vec(any::<i32>(), 300),
            shape in [1usize..3, 1usize..5, 1usize..5, 1usize..12],
            size in [0i32..12, 0i32..12],
            align_corners in any::<bool>(),
            half_pixel_centers in any::<bool>(),
        ) {
            for element_type in [ElementType::Int8, ElementType::Int16] {
                let tensor = (element_type, Some((0.5, 0)));
                for op in [
                    Op::ResizeBilinear(ResizeBilinearOptions { align_corners, half_pixel_centers }),
                    Op::ResizeNearestNeighbor(ResizeNearestNeighborOptions { align_corners, half_pixel_centers }),
                ] {
                    let case = Case { op, operands: [tensor].into(), result: tensor, constant: &size };
                    prop_assert_eq!(case.disagreement(&values, &shape), None, "{:?}", case);
                }
            }
        }
    }

    /// An element type with scale and zero point.
    type Typed = (ElementType, Option<(f32, i64)>);

    /// An operator with its operands' and its result's types.
    #[derive(Debug)]
    struct Case<'c> {
        op: Op,
        operands: Vec<Typed>,
        result: Typed,
        /// A further operand, unless it is empty.
        constant: &'c [i32],
    }

    /// The operators on two operands.
    fn pairs_of(a: Typed, b: Typed, y: Typed) -> Vec<Case<'static>> {
        let activation = Activation::Relu6;
        let alpha = if a.0 == ElementType::Int16 { (ElementType::Int8, b.1) } else { b };
        let ops = [
            (Op::Add(AddOptions { activation, pot_scale_int16: false }), b, y),
            (Op::Sub(SubOptions::default()), b, y),
            (Op::Mul(MulOptions { activation }), b, y),
            (Op::SquaredDifference, b, y),
            (Op::Prelu, alpha, y),
            (Op::Maximum, a, a),
            (Op::Less, b, (ElementType::Bool, None)),
        ];
        ops.map(|(op, b, result)| Case { op, operands: [a, b].into(), result, constant: &[] }).into()
    }

    /// The output that a sigmoid must have.
    fn unit(element_type: ElementType, range: u16, is_lowest_zero: bool) -> Typed {
        match element_type {
            ElementType::Int8 => {
                (element_type, Some((f32::from(range) / 256.0, if is_lowest_zero { -128 } else { 0 })))
            }
            _ => (element_type, Some((1.0 / 32_768.0, 0))),
        }
    }

    impl Case<'_> {
        /// The kernels that do not give what the reference does, with second operands of some shapes.
        fn disagreement(&self, values: &[i32], shape: &[usize]) -> Option<String> {
            let columns = shape[shape.len() - 1];
            let seconds = [shape.to_vec(), [columns].into(), [1].into(), [shape[0], 1].into()];
            let seconds = if self.operands.len() == 2 { &seconds[..] } else { &seconds[..1] };
            seconds.iter().find_map(|second| {
                let expected = self.run(Kernels::Reference, values, [shape, second]);
                let named = KERNELS.iter().filter(|kernels| kernels.is_available());
                named.map(|kernels| Kernels::Named(kernels.name)).find_map(|kernels| {
                    let found = self.run(kernels, values, [shape, second]);
                    (found != expected)
                        .then(|| alloc::format!("{kernels} {second:?}: {found:?}, not {expected:?}"))
                })
            })
        }

        /// The bits of the results, or the error.
        fn run(&self, kernels: Kernels, values: &[i32], shapes: [&[usize]; 2]) -> Result<Vec<i64>, String> {
            let mut graph = Graph::default();
            let tensor = |(element_type, scale): Typed, shape: &[usize]| {
                let quantization =
                    scale.map(|(scale, zero_point)| Quantization::per_tensor(scale, zero_point));
                Tensor { quantization, ..Tensor::new("", element_type, shape) }
            };
            let mut operands = Vec::new();
            for (&operand, shape) in self.operands.iter().zip(shapes) {
                operands.push(graph.add_tensor(tensor(operand, shape)));
            }
            graph.inputs.clone_from(&operands);
            if !self.constant.is_empty() {
                operands.push(graph.add_tensor(Tensor::constant("", [self.constant.len()], self.constant)));
            }
            let result = graph.add_tensor(tensor(self.result, shapes[0]));
            graph.operators.push(Operator::new(self.op.clone(), operands, [result]));
            graph.outputs = [result].into();
            let model = Model::new(graph);
            let options = InterpreterOptions { kernels, ..InterpreterOptions::default() };
            self.outputs(Interpreter::with_options(&model, &options), values)
                .map_err(|error| error.to_string())
        }

        fn outputs(
            &self,
            interpreter: Result<Interpreter<'_>, crate::Error>,
            values: &[i32],
        ) -> Result<Vec<i64>, crate::Error> {
            let mut interpreter = interpreter?;
            for index in 0..self.operands.len() {
                let input = interpreter.inputs().nth(index).expect("an input");
                let (element_type, elements) = (input.element_type, input.shape.iter().product());
                let values = values.iter().skip(index).cycle().take(elements);
                match element_type {
                    ElementType::Int8 => {
                        interpreter.set_input(index, &values.map(|&x| x as i8).collect::<Vec<_>>())?
                    }
                    ElementType::Int16 => {
                        interpreter.set_input(index, &values.map(|&x| x as i16).collect::<Vec<_>>())?
                    }
                    _ => interpreter.set_input(
                        index,
                        &values.map(|&x| f32::from_bits(x.cast_unsigned())).collect::<Vec<_>>(),
                    )?,
                }
            }
            interpreter.invoke()?;
            Ok(match self.result.0 {
                ElementType::Int8 => interpreter.output::<i8>(0)?.iter().map(|&y| y.into()).collect(),
                ElementType::Int16 => interpreter.output::<i16>(0)?.iter().map(|&y| y.into()).collect(),
                ElementType::Bool => interpreter.output::<u8>(0)?.iter().map(|&y| y.into()).collect(),
                _ => interpreter.output::<f32>(0)?.iter().map(|&y| y.to_bits().into()).collect(),
            })
        }
    }
}
