//! Running sums, products and extremes, and products.

use burn::backend::ir::{DimOpIr, ScalarIr, TensorIr};
use burnlite_tflite::{ConcatenationOptions, CumsumOptions, Op, TensorId};

use super::arithmetic::mul_op;
use super::element_type;
use super::reduce::place;
use super::slice::narrowed;
use super::window::integer;
use crate::builder::{Builder, Stored};
use crate::constant::Constant;
use crate::error::Refusal;
use crate::layout::Layout;
use crate::shape::{Extent, Shape};

/// Running sums along a dimension: CUMSUM.
pub(super) fn sum(builder: &mut Builder<'_>, op: &DimOpIr) -> Result<(), Refusal> {
    let (x, order) = builder.in_pieces(&op.input)?;
    let axis = builder.add_constant(Constant::integers(&[place(&order, op.axis)]).reshaped(&[]), "axis");
    let options = CumsumOptions::default();
    builder.stored_operator(Op::Cumsum(options), &[Some(x), Some(axis)], &op.out, &order)
}

/// Running results of any operator of two operands, along a dimension.
///
/// Each step puts together twice as many elements as the one before, so that `n` of them take `log2(n)` steps (Hillis
/// and Steele, "Data parallel algorithms", 1986).
pub(super) fn running(builder: &mut Builder<'_>, operator: Op, op: &DimOpIr) -> Result<(), Refusal> {
    let (x, order) = builder.in_pieces(&op.input)?;
    let shape = builder.program.shape(op.input.id).clone();
    let element_type = element_type(&op.out)?;
    let len = fixed(shape.0[op.axis])?;
    let axis = place(&order, op.axis);
    let mut results = Stored { tensor: x, layout: Layout::stored(&shape, &order) };
    let mut reach = 1;
    while reach < len {
        let mut part = |from, to| part(builder, &results, op.axis, (from, to), &order);
        let (first, others, earlier) = (part(0, reach)?, part(reach, len)?, part(0, len - reach)?);
        let joined = builder.shape(others).clone();
        let joined = builder.operator(operator.clone(), &[Some(earlier), Some(others)], joined);
        let options = ConcatenationOptions { axis, ..ConcatenationOptions::default() };
        let inputs = [Some(first), Some(joined)];
        results = builder.stored_result(Op::Concatenation(options), &inputs, element_type, &shape, &order);
        reach *= 2;
    }
    builder.bind(&op.out, results.into())
}

/// The product of all elements, or of those along a dimension: of one half with the other, over and over.
pub(super) fn product(
    builder: &mut Builder<'_>,
    input: &TensorIr,
    dim: Option<usize>,
    out: &TensorIr,
) -> Result<(), Refusal> {
    let mut product = builder.stored(input)?;
    let dims = dim.map_or(0..product.layout.rank(), |dim| dim..dim + 1);
    for dim in dims {
        product = product_along(builder, &product, dim)?;
    }
    let layout = product.layout.reshaped(builder.program.shape(out.id));
    let layout = layout
        .ok_or_else(|| Refusal::new("its result is of another shape: this is a fault of the exporter"))?;
    builder.bind(out, Stored { layout, ..product }.into())
}

fn product_along(builder: &mut Builder<'_>, stored: &Stored, dim: usize) -> Result<Stored, Refusal> {
    let order = stored.layout.natural_order(builder.shape(stored.tensor));
    let mut shape = stored.layout.shape();
    let mut len = fixed(shape.0[dim])?;
    let mut product = stored.clone();
    if !len.is_power_of_two() {
        product = with_ones(builder, &product, dim, len.next_power_of_two() - len, &order)?;
        len = len.next_power_of_two();
    }
    while len > 1 {
        len /= 2;
        let low = part(builder, &product, dim, (0, len), &order)?;
        let high = part(builder, &product, dim, (len, 2 * len), &order)?;
        shape.0[dim] = Extent::fixed(len);
        let element_type = builder.element_type(low);
        product = builder.stored_result(mul_op(), &[Some(low), Some(high)], element_type, &shape, &order);
    }
    Ok(product)
}

/// `count` ones behind the elements of a dimension, which change no product: PADV2.
fn with_ones(
    builder: &mut Builder<'_>,
    stored: &Stored,
    dim: usize,
    count: usize,
    order: &[usize],
) -> Result<Stored, Refusal> {
    let x = builder.arrange(stored, &stored.layout.groups(order));
    let element_type = builder.element_type(x);
    let count_of = |other: usize| if other == dim { integer(count) } else { Ok(0) };
    let mut paddings = Vec::with_capacity(2 * order.len());
    for &other in order {
        paddings.extend([0, count_of(other)?]);
    }
    let paddings =
        builder.add_constant(Constant::integers(&paddings).reshaped(&[order.len(), 2]), "paddings");
    let one = builder.add_constant(Constant::scalar(ScalarIr::Int(1), element_type)?, "one");
    let mut shape: Shape = stored.layout.shape();
    shape.0[dim].size += count;
    let inputs = [Some(x), Some(paddings), Some(one)];
    Ok(builder.stored_result(Op::PadV2, &inputs, element_type, &shape, order))
}

fn part(
    builder: &mut Builder<'_>,
    stored: &Stored,
    dim: usize,
    (from, to): (usize, usize),
    order: &[usize],
) -> Result<TensorId, Refusal> {
    Ok(narrowed(builder, stored, dim, (integer(from)?, integer(to)?), order))
}

/// The extent, unless it is the batch's.
fn fixed(extent: Extent) -> Result<usize, Refusal> {
    if extent.batched {
        return Err(Refusal::new("it runs along the batch: export for one batch with dynamic_batch(false)"));
    }
    Ok(extent.size)
}

#[cfg(test)]
mod tests {
    use burn::tensor::Tensor;

    use crate::lower::testing::{FUNCTION, numbers, operators, refusal};

    #[test]
    fn running_results_are_burns() {
        let found = operators(&FUNCTION, numbers([2, 5, 4]), |_, x: Tensor<3>| {
            x.clone().cumsum(1) + x.clone().cumprod(1) + x.clone().cummax(2) + x.cummin(1)
        });
        assert_eq!(found.iter().filter(|name| *name == "CUMSUM").count(), 1, "{found:?}");
    }

    #[test]
    fn products_of_any_length_are_burns() {
        for len in [1, 2, 5, 8] {
            operators(&FUNCTION, numbers([2, len, 3]), |_, x: Tensor<3>| (x + 1.0).prod_dim(1));
        }
    }

    #[test]
    fn a_product_along_the_batch_is_refused() {
        let message = refusal(&FUNCTION, numbers([2, 3]), |_, x: Tensor<2>| x.clone() * x.prod_dim(0));
        assert!(message.contains("runs along the batch"), "{message}");
    }
}
