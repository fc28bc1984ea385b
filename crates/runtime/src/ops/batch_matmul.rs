//! BATCH_MATMUL: products of matrices, for each pair of a batch.

use alloc::vec::Vec;
use core::marker::PhantomData;

use burnlite_tflite::{Activation, BatchMatMulOptions, ElementType};
use bytemuck::Zeroable;

use crate::error::OperatorFault;
use crate::frame::{Inputs, Writable, elements_mut};
use crate::interpreter::Numerics;
use crate::kernels::{Dot, Kernels};
use crate::ops::integer::{Accumulator, Integer, Requantization, Rescaling, activation_parameters};
use crate::ops::weighted::{Arithmetic, FloatStage, Floats, Integers, OutputStage};
use crate::plan::{Kernel, Node, Operand, Planned};

/// The shapes of a batch of products.
///
/// # Shapes
/// left `[..., rows, depth]`, right `[..., depth, columns]`, output `[..., rows, columns]`; each adjoint operand has its
/// last two dimensions swapped. The dimensions before are broadcast.
#[derive(Debug, Clone)]
struct Products {
    batch: Vec<BatchAxis>,
    rows: usize,
    depth: usize,
    columns: usize,
    is_left_adjoint: bool,
    is_right_adjoint: bool,
}

/// A dimension of the batch, with the matrices that one step along it skips in each operand: none where the operand's
/// extent is 1.
#[derive(Debug, Clone, Copy)]
struct BatchAxis {
    extent: usize,
    left: usize,
    right: usize,
}

pub(crate) fn plan(node: &Node<'_>, options: &BatchMatMulOptions) -> Result<Planned, OperatorFault> {
    use ElementType::{Float32, Int8, Int16, Int32};
    let (left, right) = (node.input(0)?, node.input(1)?);
    let products = Products::new(&left, &right, options)?;
    match (left.element_type(), right.element_type(), node.output(0)?.element_type()) {
        (Float32, Float32, Float32) => {
            // Unlike elsewhere, no activation cuts infinities.
            Ok(products.planned(Floats, FloatStage { range: (f32::NEG_INFINITY, f32::INFINITY) }))
        }
        (Int8, Int8, Int8) => integer::<i8, i32, i8>(node, products),
        (Int8, Int8, Int32) => Ok(products.planned(integers::<i8, i32, i8>(node, (0, 0)), Raw)),
        (Int16, Int16, Int16) => integer::<i16, i64, i16>(node, products),
        (Int16, Int8, Int16) => integer::<i16, i64, i8>(node, products),
        _ => Err(node.types_fault()),
    }
}

fn integer<T: Integer, A: Accumulator, W: Integer>(
    node: &Node<'_>,
    products: Products,
) -> Result<Planned, OperatorFault>
where
    Kernels: Dot<T, A, W>,
{
    let (left_scale, left_zero_point) = activation_parameters::<T>(&node.input(0)?)?;
    let (right_scale, right_zero_point) = activation_parameters::<W>(&node.input(1)?)?;
    let rescaling = match node.options.numerics {
        Numerics::LiteRt => Rescaling::FixedPointOfSingleProduct,
        Numerics::TfLiteMicro => Rescaling::FixedPoint,
    };
    let scales = (left_scale, &[right_scale][..]);
    let stage = Requantization::<T>::new::<A>(rescaling, scales, &node.output(0)?, Activation::None)?;
    Ok(products.planned(integers::<T, A, W>(node, (left_zero_point, right_zero_point)), stage))
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
        let fault = |what: &str| OperatorFault::Shape {
            what: alloc::format!("{what} of the other operand's {:?}", left.shape),
            found: right.shape.into(),
        };
        if depth != right_depth {
            return Err(fault("the columns must be as many as the rows"));
        }
        let batch = broadcast(left_batch, right_batch)
            .ok_or_else(|| fault("the dimensions of the batch must be 1 or equal those"))?;
        let (is_left_adjoint, is_right_adjoint) = (options.adj_x, options.adj_y);
        Ok(Self { batch, rows, depth, columns, is_left_adjoint, is_right_adjoint })
    }

    /// The kernel with scratch memory for both matrices of a pair, where they must be transposed.
    fn planned<A: Arithmetic>(self, arithmetic: A, stage: impl OutputStage<A::Sum>) -> Planned {
        let mut shape: Vec<usize> = self.batch.iter().map(|axis| axis.extent).collect();
        shape.extend([self.rows, self.columns]);
        let left = if self.is_left_adjoint { self.rows * self.depth } else { 0 };
        let right = if self.is_right_adjoint { 0 } else { self.depth * self.columns };
        let scratch_bytes =
            [left.saturating_mul(size_of::<A::Input>()), right.saturating_mul(size_of::<A::Weight>())].into();
        let kernel = BatchMatMul { products: self, arithmetic, stage };
        Planned { scratch_bytes, ..Planned::new(shape, kernel) }
    }

    /// Calls `output` for each element of the result, in order, with its sum of products.
    fn for_each_sum<A: Arithmetic>(
        &self,
        arithmetic: &A,
        (left, right): (&[A::Input], &[A::Weight]),
        (left_scratch, right_scratch): (&mut [u8], &mut [u8]),
        mut output: impl FnMut(A::Sum),
    ) {
        let Self { rows, depth, columns, .. } = *self;
        let (left_scratch, right_scratch) = (elements_mut(left_scratch), elements_mut(right_scratch));
        let count = self.batch.iter().map(|axis| axis.extent).product();
        for index in 0..count {
            let (left_index, right_index) = self.matrices(index);
            let left = &left[left_index * rows * depth..][..rows * depth];
            let right = &right[right_index * depth * columns..][..depth * columns];
            // Rows of the one meet columns of the other: both must lie one element after the other.
            let left = if self.is_left_adjoint { transposed(left, rows, left_scratch) } else { left };
            let right = if self.is_right_adjoint { right } else { transposed(right, columns, right_scratch) };
            for row in 0..rows {
                let row = &left[row * depth..][..depth];
                for column in 0..columns {
                    let column = &right[column * depth..][..depth];
                    output(arithmetic.plus_dot(A::Sum::zeroed(), row, column));
                }
            }
        }
    }

    /// The positions of the two matrices that the product at `index` of the batch is made of.
    fn matrices(&self, mut index: usize) -> (usize, usize) {
        let (mut left, mut right) = (0, 0);
        for axis in self.batch.iter().rev() {
            left += index % axis.extent * axis.left;
            right += index % axis.extent * axis.right;
            index /= axis.extent;
        }
        (left, right)
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

/// The batch that two batches are broadcast to; `None` where an extent differs and is not 1.
fn broadcast(left: &[usize], right: &[usize]) -> Option<Vec<BatchAxis>> {
    let rank = left.len().max(right.len());
    let mut axes = Vec::with_capacity(rank);
    let (mut left_step, mut right_step) = (1, 1);
    let extent = |batch: &[usize], from_end: usize| {
        batch.len().checked_sub(from_end + 1).map_or(1, |dimension| batch[dimension])
    };
    for from_end in 0..rank {
        let (left, right) = (extent(left, from_end), extent(right, from_end));
        if left != right && left != 1 && right != 1 {
            return None;
        }
        axes.push(BatchAxis {
            extent: if left == 1 { right } else { left },
            left: if left == 1 { 0 } else { left_step },
            right: if right == 1 { 0 } else { right_step },
        });
        left_step *= left;
        right_step *= right;
    }
    axes.reverse();
    Some(axes)
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
        [output, left, right, ..]: &mut Writable<'_>,
    ) -> Result<(), OperatorFault> {
        if output.is_empty() {
            return Ok(());
        }
        let mut outputs = elements_mut::<S::Output>(output).iter_mut();
        let operands = (inputs.get(0), inputs.get(1));
        self.products.for_each_sum(&self.arithmetic, operands, (left, right), |sum| {
            let output = self.stage.output(0, sum, &[]);
            outputs.next().into_iter().for_each(|y| *y = output);
        });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use burnlite_tflite::{Op, Quantization, Tensor};

    use super::*;
    use crate::ops::weighted::tests::result;

    #[test]
    fn batches_are_broadcast_from_the_last_dimension() {
        let positions = |left: &[usize], right: &[usize]| -> Option<Vec<(usize, usize)>> {
            let batch = broadcast(left, right)?;
            let count = batch.iter().map(|axis| axis.extent).product();
            let products = Products {
                batch,
                rows: 1,
                depth: 1,
                columns: 1,
                is_left_adjoint: false,
                is_right_adjoint: false,
            };
            Some((0..count).map(|index| products.matrices(index)).collect())
        };
        assert_eq!(positions(&[], &[]), Some([(0, 0)].into()));
        assert_eq!(positions(&[3], &[]), Some([(0, 0), (1, 0), (2, 0)].into()));
        assert_eq!(positions(&[2, 1], &[2]), Some([(0, 0), (0, 1), (1, 0), (1, 1)].into()));
        assert_eq!(positions(&[1, 2], &[2, 2]), Some([(0, 0), (1, 1), (0, 2), (1, 3)].into()));
        assert_eq!(positions(&[1], &[0]), Some([].into()));
        assert_eq!(positions(&[2], &[3]), None);
    }

    #[test]
    fn a_matrix_without_elements_is_turned_into_one_without_elements() {
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
