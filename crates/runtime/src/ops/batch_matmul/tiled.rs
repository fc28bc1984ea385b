//! Products on tiles: both matrices may be known only when the product runs, so the right one is packed then.

use core::fmt::Debug;
use core::marker::PhantomData;

use burnlite_tflite::Element;

use super::Products;
use crate::error::OperatorFault;
use crate::frame::{Inputs, Writable, elements_mut};
use crate::kernels::matrix::{ChannelFactors, Ending};
use crate::kernels::operand::{self, FloatOperand, IntegerOperand, Right};
use crate::kernels::pack::PANEL;
use crate::kernels::sweep::{Grid, Sweep};
use crate::kernels::taps::Taps;
use crate::kernels::vectors::{Task, Vectors};
use crate::kernels::{Engine, Kernels};
use crate::ops::integer::{Accumulator, Integer, Requantization};
use crate::plan::{Kernel, Node, Planned};

/// How matrices of some types are laid out and multiplied.
trait Factors: Debug + Send + Sync + 'static {
    type Left: Element;
    type Right: Element;
    type Output: Element;
    /// An element of the left matrix as it is laid out, and how many lie behind each row.
    type Cell: Element;
    const BEHIND: usize;
    /// Rows of the right matrix that are packed together.
    const TOGETHER: usize;

    fn lay_out(&self, row: impl Iterator<Item = Self::Left>, cells: &mut [Self::Cell]);
    fn pack(&self, right: &Right<'_, Self::Right>, packed: &mut [Self::Right]);
    fn multiply<V: Vectors>(&self, vectors: V, product: Product<'_, Self>);
}

/// The laid out and packed matrices of a product, and its result.
struct Product<'r, F: Factors + ?Sized> {
    sweep: Sweep,
    left: &'r [F::Cell],
    right: &'r [F::Right],
    result: &'r mut [F::Output],
}

#[derive(Debug)]
struct TiledProducts<F> {
    products: Products,
    engine: Engine,
    factors: F,
}

impl Products {
    /// The products of floats, if the options let kernels run.
    pub(super) fn tiled_floats(&self, node: &Node<'_>) -> Option<Planned> {
        let engine = node.options.kernels.engine()?;
        Some(self.tiled(engine, Floats { taps: Taps::new(0..self.depth)? }))
    }

    /// The products of integers with 8-bit ones.
    pub(super) fn tiled_integers<T: Integer, A: Accumulator>(
        &self,
        node: &Node<'_>,
        zero_points: (i32, i32),
        requantization: &Requantization<T>,
    ) -> Option<Planned> {
        let engine = node.options.kernels.engine()?;
        // The part of a zero point in a sum may not fit the 32 bits of a block.
        if size_of::<T>() > 1 && zero_points.1 != 0 {
            return None;
        }
        let ChannelFactors::Fixed(&[multiplier]) = requantization.factors(0..1) else { return None };
        let multipliers = [multiplier; PANEL];
        let range = (requantization.range(), T::largest_distance(zero_points.0));
        let ending = operand::ending(self.depth, A::bias(&[]), ChannelFactors::Fixed(&multipliers), range);
        let taps = Taps::new((0..self.depth).step_by(2))?;
        Some(self.tiled(engine, Integers::<T> { taps, zero_points, ending, element: PhantomData }))
    }

    fn tiled<F: Factors>(&self, engine: Engine, factors: F) -> Planned {
        let shape = [&self.batch_shape[..], &[self.rows, self.columns]].concat();
        let left = self.rows.saturating_mul(self.depth.saturating_add(F::BEHIND));
        let right = self.packed::<F>();
        let bytes = [left.saturating_mul(size_of::<F::Cell>()), right.saturating_mul(size_of::<F::Right>())];
        let kernel = TiledProducts { products: self.clone(), engine, factors };
        Planned { scratch_bytes: bytes.into(), ..Planned::new(shape, kernel) }
    }

    /// Elements of a packed right matrix.
    fn packed<F: Factors>(&self) -> usize {
        let steps = self.depth.div_ceil(F::TOGETHER);
        self.columns.div_ceil(PANEL).saturating_mul(steps).saturating_mul(PANEL * F::TOGETHER)
    }
}

impl<F: Factors> Kernel for TiledProducts<F> {
    fn run(
        &self,
        inputs: &Inputs<'_>,
        [output, left, right, ..]: &mut Writable<'_>,
    ) -> Result<(), OperatorFault> {
        if !output.is_empty() {
            self.engine.run(Run {
                kernel: self,
                inputs: (inputs.get(0), inputs.get(1)),
                left: elements_mut(left),
                right: elements_mut(right),
                outputs: elements_mut(output),
            });
        }
        Ok(())
    }

    fn kernels(&self) -> Kernels {
        self.engine.kernels()
    }
}

struct Run<'r, F: Factors> {
    kernel: &'r TiledProducts<F>,
    inputs: (&'r [F::Left], &'r [F::Right]),
    /// Memory for a left matrix that is laid out, and for a right one that is packed.
    left: &'r mut [F::Cell],
    right: &'r mut [F::Right],
    outputs: &'r mut [F::Output],
}

impl<F: Factors> Task for Run<'_, F> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vectors>(self, vectors: V) {
        let Self { kernel: TiledProducts { products, factors, .. }, inputs, left, right, outputs } = self;
        let Products { rows, depth, columns, is_right_adjoint: is_adjoint, .. } = *products;
        let line = depth + F::BEHIND;
        let grid = |step| Grid { first: 0, steps: (0, step) };
        let sweep = Sweep {
            windows: (1, rows),
            begins: grid(line),
            pixels: grid(columns),
            group: 0,
            channels: columns,
            pooling: None,
            skipped: 0,
        };
        // What lies in the memory already: neighbouring products often share a matrix.
        let mut present = [None; 2];
        for (index, result) in outputs.chunks_exact_mut(rows * columns).enumerate() {
            let sources = products.batch.sources(index);
            if present[0].replace(sources[0]) != Some(sources[0]) {
                let matrix = &inputs.0[sources[0] * rows * depth..][..rows * depth];
                let cells = &mut left[..rows * line];
                for (row, cells) in cells.chunks_exact_mut(line.max(1)).enumerate() {
                    if products.is_left_adjoint {
                        let column = matrix.iter().skip(row).step_by(rows).copied();
                        factors.lay_out(column, cells);
                    } else {
                        factors.lay_out(matrix[row * depth..][..depth].iter().copied(), cells);
                    }
                }
            }
            if present[1].replace(sources[1]) != Some(sources[1]) {
                let elements = &inputs.1[sources[1] * depth * columns..][..depth * columns];
                factors.pack(&Right { elements, depth, columns, is_adjoint }, right);
            }
            factors.multiply(vectors, Product { sweep, left, right, result });
        }
    }
}

#[derive(Debug)]
struct Floats {
    taps: Taps<1>,
}

impl Factors for Floats {
    type Left = f32;
    type Right = f32;
    type Output = f32;
    type Cell = f32;
    const BEHIND: usize = 0;
    const TOGETHER: usize = 1;

    #[inline(always)]
    fn lay_out(&self, row: impl Iterator<Item = f32>, cells: &mut [f32]) {
        cells.iter_mut().zip(row).for_each(|(cell, x)| *cell = x);
    }
    #[inline(always)]
    fn pack(&self, right: &Right<'_, f32>, packed: &mut [f32]) {
        right.pack(packed.as_chunks_mut().0);
    }
    #[inline(always)]
    fn multiply<V: Vectors>(&self, vectors: V, product: Product<'_, Self>) {
        let Product { sweep, left, right, result } = product;
        let layer = FloatOperand { taps: &self.taps, packed: right.as_chunks().0, columns: sweep.channels };
        sweep.run(vectors, (0, &layer), left, result);
    }
}

#[derive(Debug)]
struct Integers<T> {
    taps: Taps<2>,
    zero_points: (i32, i32),
    ending: Ending,
    element: PhantomData<T>,
}

impl<T: Integer> Factors for Integers<T> {
    type Left = T;
    type Right = i8;
    type Output = T;
    type Cell = i16;
    const BEHIND: usize = operand::ROW_SUM;
    const TOGETHER: usize = 2;

    #[inline(always)]
    fn lay_out(&self, row: impl Iterator<Item = T>, cells: &mut [i16]) {
        operand::lay_out_row(row, self.zero_points.0, cells);
    }
    #[inline(always)]
    fn pack(&self, right: &Right<'_, i8>, packed: &mut [i8]) {
        right.pack(packed.as_chunks_mut().0);
    }
    #[inline(always)]
    fn multiply<V: Vectors>(&self, vectors: V, product: Product<'_, Self>) {
        let Product { sweep, left, right, result } = product;
        let layer = IntegerOperand {
            taps: &self.taps,
            packed: right.as_chunks().0,
            depth: left.len() / sweep.windows.1.max(1) - operand::ROW_SUM,
            columns: sweep.channels,
            zero_point: self.zero_points.1,
            ending: &self.ending,
        };
        sweep.run(vectors, (0, &layer), left, result);
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use burnlite_tflite::{
        BatchMatMulOptions, ElementType, Graph, Model, Op, Operator, Quantization, Tensor,
    };
    use proptest::prelude::*;

    use crate::{Interpreter, InterpreterOptions, KERNELS, Kernels};

    /// Three products, of which two share their right matrix.
    #[derive(Debug)]
    struct Case<'c> {
        types: (ElementType, ElementType),
        adjoint: (bool, bool),
        sizes: [usize; 3],
        zero_points: [i64; 3],
        scale: f32,
        values: &'c [i16],
    }

    impl Case<'_> {
        fn run(&self, kernels: Kernels) -> Vec<i64> {
            let ([rows, depth, columns], (left, right)) = (self.sizes, self.adjoint);
            let shapes = [
                if left { [3, depth, rows] } else { [3, rows, depth] },
                if right { [1, columns, depth] } else { [1, depth, columns] },
            ];
            let mut graph = Graph::default();
            let mut tensor = |index: usize, element_type, shape: &[usize], scale| {
                let zero_point = if element_type == ElementType::Int16 { 0 } else { self.zero_points[index] };
                let quantization = Quantization::per_tensor(scale, zero_point);
                graph.add_tensor(Tensor::new("", element_type, shape).quantized(quantization))
            };
            let inputs = [tensor(0, self.types.0, &shapes[0], 1.0), tensor(1, self.types.1, &shapes[1], 1.0)];
            let output = tensor(2, self.types.0, &[], self.scale);
            let options = BatchMatMulOptions { adj_x: left, adj_y: right, ..Default::default() };
            graph.operators.push(Operator::new(Op::BatchMatMul(options), inputs, [output]));
            (graph.inputs, graph.outputs) = (inputs.into(), [output].into());
            let model = Model::new(graph);
            let options = InterpreterOptions { kernels, ..Default::default() };
            let mut interpreter = Interpreter::with_options(&model, &options).unwrap();
            for (index, element_type) in [self.types.0, self.types.1].into_iter().enumerate() {
                let values = self.values.iter().cycle().skip(7 * index).take(shapes[index].iter().product());
                match element_type {
                    ElementType::Int8 => {
                        // The high half: what is extreme stays so.
                        let values: Vec<i8> = values.map(|&x| (x >> 8) as i8).collect();
                        interpreter.set_input(index, &values).unwrap();
                    }
                    _ => interpreter.set_input(index, &values.copied().collect::<Vec<_>>()).unwrap(),
                }
            }
            interpreter.invoke().unwrap();
            match self.types.0 {
                ElementType::Int8 => interpreter.output::<i8>(0).unwrap().iter().map(|&y| y.into()).collect(),
                _ => interpreter.output::<i16>(0).unwrap().iter().map(|&y| y.into()).collect(),
            }
        }
    }

    proptest! {
        #[test]
        fn every_kernel_gives_the_products_of_the_reference(
            sizes in [1usize..7, 1usize..40, 1usize..36],
            is_deep: bool,
            adjoint: (bool, bool),
            zero_points in [-128i64..128, -128i64..128, -128i64..128],
            exponent in 0f32..6.0,
            values in proptest::collection::vec(prop_oneof![any::<i16>(), Just(i16::MIN), Just(i16::MAX)], 1..300),
        ) {
            let mut sizes = sizes;
            sizes[1] += if is_deep { 600 } else { 0 };
            use ElementType::{Int8, Int16};
            for (types, bits) in [((Int8, Int8), 0.0), ((Int16, Int16), 8.0), ((Int16, Int8), 0.0)] {
                let scale = libm::exp2f(7.0 + exponent + bits + libm::log2f(sizes[1] as f32) / 2.0);
                let case = Case { types, adjoint, sizes, zero_points, scale, values: &values };
                let expected = case.run(Kernels::Reference);
                for kernels in KERNELS.iter().filter(|kernels| kernels.is_available()) {
                    prop_assert_eq!(&case.run(Kernels::Named(kernels.name)), &expected, "{} {:?}", kernels.name, types);
                }
            }
        }
    }
}
