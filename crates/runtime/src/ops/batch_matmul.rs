//! BATCH_MATMUL: products of matrices, for each pair of a batch.

mod tiled;

use alloc::vec::Vec;
use core::marker::PhantomData;

use burnlite_tflite::{Activation, BatchMatMulOptions, ElementType};
use bytemuck::Zeroable;

use crate::error::OperatorFault;
use crate::frame::{Inputs, Writable, elements_mut};
use crate::interpreter::Numerics;
use crate::kernels::{Dot, Kernels};
use crate::ops::broadcast::{Broadcast, broadcast_shape};
use crate::ops::integer::{Accumulator, Integer, Requantization, Rescaling, uniform};
use crate::ops::weighted::{Arithmetic, FloatStage, Floats, Integers, OutputStage};
use crate::plan::{Kernel, Node, Operand, Planned};

/// The shapes of a batch of products.
///
/// # Shapes
/// left `[..., rows, depth]`, right `[..., depth, columns]`, output `[..., rows, columns]`; each adjoint operand has its
/// last two dimensions swapped. The dimensions before are broadcast.
#[derive(Debug, Clone)]
struct Products {
    batch_shape: Vec<usize>,
    /// From a product to its two matrices.
    batch: Broadcast<2>,
    rows: usize,
    depth: usize,
    columns: usize,
    is_left_adjoint: bool,
    is_right_adjoint: bool,
}

pub(crate) fn plan(node: &Node<'_>, options: &BatchMatMulOptions) -> Result<Planned, OperatorFault> {
    use ElementType::{Float32, Int8, Int16, Int32};
    let (left, right) = (node.input(0)?, node.input(1)?);
    let products = Products::new(&left, &right, options)?;
    match (left.element_type(), right.element_type(), node.output(0)?.element_type()) {
        (Float32, Float32, Float32) => {
            // Unlike elsewhere, no activation cuts infinities.
            let stage = FloatStage { range: (f32::NEG_INFINITY, f32::INFINITY) };
            Ok(products.tiled_floats(node).unwrap_or_else(|| products.planned(Floats, stage)))
        }
        (Int8, Int8, Int8) => bytes::<i8, i32>(node, products),
        (Int8, Int8, Int32) => Ok(products.planned(integers::<i8, i32, i8>(node, (0, 0)), Raw)),
        (Int16, Int8, Int16) => bytes::<i16, i64>(node, products),
        (Int16, Int16, Int16) => {
            let (zero_points, stage) = requantization::<i16, i64, i16>(node)?;
            Ok(products.planned(integers::<i16, i64, i16>(node, zero_points), stage))
        }
        _ => Err(node.types_fault()),
    }
}

/// Products with a right operand of bytes, which tiles take.
fn bytes<T: Integer, A: Accumulator>(node: &Node<'_>, products: Products) -> Result<Planned, OperatorFault>
where
    Kernels: Dot<T, A>,
{
    let (zero_points, stage) = requantization::<T, A, i8>(node)?;
    let tiled = products.tiled_integers::<T, A>(node, zero_points, &stage);
    Ok(tiled.unwrap_or_else(|| products.planned(integers::<T, A, i8>(node, zero_points), stage)))
}

/// The zero points of the operands, and what becomes of sums.
fn requantization<T: Integer, A: Accumulator, W: Integer>(
    node: &Node<'_>,
) -> Result<((i32, i32), Requantization<T>), OperatorFault> {
    let (left_scale, left_zero_point) = uniform::<T>(&node.input(0)?)?;
    let (right_scale, right_zero_point) = uniform::<W>(&node.input(1)?)?;
    let rescaling = match node.options.numerics {
        Numerics::LiteRt => Rescaling::FixedPointOfSingleProduct,
        Numerics::TfLiteMicro => Rescaling::FixedPoint,
    };
    let scales = (left_scale, &[right_scale][..]);
    let stage = Requantization::<T>::new::<A>(rescaling, scales, &node.output(0)?, Activation::None)?;
    Ok(((left_zero_point, right_zero_point), stage))
}

fn integers<T, A, W>(node: &Node<'_>, zero_points: (i32, i32)) -> Integers<T, A, W> {
    Integers { zero_points, kernels: node.options.kernels, types: PhantomData }
}

impl Products {
    fn new(
        left: &Operand<'_>,
        right: &Operand<'_>,
        options: &BatchMatMulOptions,
    ) -> Result<Self, OperatorFault> {
        let (left_batch, [rows, depth]) = batch_and_matrix(left, options.adj_x)?;
        let (right_batch, [right_depth, columns]) = batch_and_matrix(right, options.adj_y)?;
        if depth != right_depth {
            let what = alloc::format!("the matrices do not go with those of shape {:?}", left.shape);
            return Err(OperatorFault::Shape { what, found: right.shape.into() });
        }
        let batch_shape = broadcast_shape(&[left_batch, right_batch])?;
        Ok(Self {
            batch: Broadcast::new([left_batch, right_batch], &batch_shape),
            batch_shape,
            rows,
            depth,
            columns,
            is_left_adjoint: options.adj_x,
            is_right_adjoint: options.adj_y,
        })
    }

    /// The kernel with scratch memory for both matrices of a product, where they must be transposed.
    fn planned<A: Arithmetic>(self, arithmetic: A, stage: impl OutputStage<A::Sum>) -> Planned {
        let shape = [&self.batch_shape[..], &[self.rows, self.columns]].concat();
        let left = if self.is_left_adjoint { self.rows * self.depth } else { 0 };
        let right = if self.is_right_adjoint { 0 } else { self.depth * self.columns };
        let scratch_bytes =
            [left.saturating_mul(size_of::<A::Input>()), right.saturating_mul(size_of::<A::Weight>())].into();
        let kernel = BatchMatMul { products: self, arithmetic, stage };
        Planned { scratch_bytes, ..Planned::new(shape, kernel) }
    }
}

/// The extents of the batch, and those of the matrices before they were transposed.
fn batch_and_matrix<'p>(
    operand: &Operand<'p>,
    is_adjoint: bool,
) -> Result<(&'p [usize], [usize; 2]), OperatorFault> {
    match operand.shape {
        [batch @ .., height, width] if is_adjoint => Ok((batch, [*width, *height])),
        [batch @ .., height, width] => Ok((batch, [*height, *width])),
        _ => Err(OperatorFault::Shape {
            what: "a matrix must have 2 dimensions or more".into(),
            found: operand.shape.into(),
        }),
    }
}

/// A matrix of `columns` columns, transposed into `scratch`.
fn transposed<'s, T: Copy>(matrix: &[T], columns: usize, scratch: &'s mut [T]) -> &'s [T] {
    let rows = matrix.len() / columns.max(1);
    for (row, values) in matrix.chunks_exact(columns.max(1)).enumerate() {
        for (column, &value) in values.iter().enumerate() {
            scratch[column * rows + row] = value;
        }
    }
    scratch
}

/// Sums of int8 products that are the result themselves, which has no quantization.
#[derive(Debug)]
struct Raw;

impl OutputStage<i32> for Raw {
    type Output = i32;

    fn output(&self, _channel: usize, sum: i32, _bias: &[i32]) -> i32 {
        sum
    }
}

#[derive(Debug)]
struct BatchMatMul<A, S> {
    products: Products,
    arithmetic: A,
    stage: S,
}

impl<A: Arithmetic, S: OutputStage<A::Sum>> Kernel for BatchMatMul<A, S> {
    fn run(
        &self,
        inputs: &Inputs<'_>,
        [output, left_scratch, right_scratch, ..]: &mut Writable<'_>,
    ) -> Result<(), OperatorFault> {
        let Products { rows, depth, columns, .. } = self.products;
        let (lefts, rights) = (inputs.get::<A::Input>(0), inputs.get::<A::Weight>(1));
        let products = elements_mut::<S::Output>(output).chunks_exact_mut((rows * columns).max(1));
        for (index, product) in products.enumerate() {
            let [left_index, right_index] = self.products.batch.sources(index);
            let left = &lefts[left_index * rows * depth..][..rows * depth];
            let right = &rights[right_index * depth * columns..][..depth * columns];
            // Rows of the one meet columns of the other: both must lie one element after the other.
            let left = if self.products.is_left_adjoint {
                transposed(left, rows, elements_mut(left_scratch))
            } else {
                left
            };
            let right = if self.products.is_right_adjoint {
                right
            } else {
                transposed(right, columns, elements_mut(right_scratch))
            };
            for (row, sums) in product.chunks_exact_mut(columns).enumerate() {
                let row = &left[row * depth..][..depth];
                for (column, y) in sums.iter_mut().enumerate() {
                    let column = &right[column * depth..][..depth];
                    let sum = self.arithmetic.plus_dot(A::Sum::zeroed(), row, column);
                    *y = self.stage.output(0, sum, &[]);
                }
            }
        }
        Ok(())
    }

    fn kernels(&self) -> Kernels {
        self.arithmetic.kernels()
    }
}

#[cfg(test)]
mod tests {
    use burnlite_tflite::{Op, Quantization, Tensor};

    use super::*;
    use crate::ops::weighted::tests::result;

    #[test]
    fn a_matrix_is_transposed_even_if_it_has_no_elements() {
        assert_eq!(transposed(&[1, 2, 3, 4, 5, 6], 3, &mut [0; 6]), [1, 4, 2, 5, 3, 6]);
        assert_eq!(transposed::<i8>(&[], 0, &mut []), []);
    }

    #[test]
    fn litert_rounds_the_product_of_the_scales_to_single_precision_and_tflite_micro_does_not() {
        let quantized = |tensor: Tensor<'static>, scale| tensor.quantized(Quantization::per_tensor(scale, 0));
        let operands = [1i8, -1].map(|x| quantized(Tensor::constant("", [1, 1], &[x]), 0.051));
        let output = || quantized(Tensor::new("", ElementType::Int8, [1, 1]), 0.005_202);
        // 0.051 * 0.051 / 0.005202 is a half in single precision, and a little less in double precision.
        for (numerics, expected) in [(Numerics::LiteRt, 0), (Numerics::TfLiteMicro, -1)] {
            let product = Op::BatchMatMul(BatchMatMulOptions::default());
            assert_eq!(result::<i8>(product, &operands, output(), numerics), Ok([expected].into()));
        }
    }

    #[test]
    fn without_depth_sums_are_zero_and_infinities_stay() {
        let product = |shapes: [[usize; 2]; 2], values: &[f32]| {
            let operands = shapes.map(|shape| Tensor::constant("", shape, values));
            let output = Tensor::new("", ElementType::Float32, [1, 1]);
            let op = Op::BatchMatMul(BatchMatMulOptions::default());
            result::<f32>(op, &operands, output, Numerics::LiteRt)
        };
        assert_eq!(product([[1, 0], [0, 2]], &[]), Ok([0.0, 0.0].into()));
        assert_eq!(product([[1, 1], [1, 1]], &[f32::INFINITY]), Ok([f32::INFINITY].into()));
        assert!(product([[1, 1], [2, 1]], &[1.0]).is_err());
    }
}
