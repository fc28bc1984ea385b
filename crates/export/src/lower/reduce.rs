//! Sums, means, extremes and positions along dimensions.

use burn::backend::ir::{
    ReduceDimOpIr, ReduceDimWithIndicesOpIr, ReduceOpIr, SortOpIr, SortWithIndicesOpIr, TensorIr,
    TopKWithIndicesOpIr,
};
use burnlite_tflite::{ArgMaxOptions, ArgMinOptions, CastOptions, ElementType, Op, ReducerOptions};

use super::elementwise::elementwise;
use crate::builder::{Builder, Stored, Value};
use crate::constant::{Constant, element_type};
use crate::error::Refusal;
use crate::fold;
use crate::layout::Layout;
use crate::shape::{Extent, Shape};

/// An operator that reduces the dimensions in its second operand.
pub(super) type Reduction = fn(ReducerOptions) -> Op;

/// A reduction along dimensions that stay, with extent 1.
pub(super) fn along(
    builder: &mut Builder<'_>,
    reduction: Reduction,
    input: &TensorIr,
    dims: &[usize],
    out: &TensorIr,
) -> Result<(), Refusal> {
    let stored = builder.stored(input)?;
    let value = match fold::reduction(builder, &stored, &reduction(ReducerOptions { keep_dims: true }), dims)
    {
        Some(value) => value,
        None => reduced(builder, reduction, &stored, dims),
    };
    builder.bind(out, value.into())
}

/// A reduction to one element.
pub(super) fn whole(builder: &mut Builder<'_>, reduction: Reduction, op: &ReduceOpIr) -> Result<(), Refusal> {
    let stored = builder.stored(&op.input)?;
    let dims: Vec<usize> = (0..stored.layout.rank()).collect();
    let value = reduced(builder, reduction, &stored, &dims);
    bind_reshaped(builder, value, &op.out)
}

/// The largest magnitude.
pub(super) fn max_abs(
    builder: &mut Builder<'_>,
    input: &TensorIr,
    dims: Option<usize>,
    out: &TensorIr,
) -> Result<(), Refusal> {
    let value = builder.value(input)?;
    let rank = value.layout().rank();
    let magnitude = elementwise(builder, Op::Abs, &[value], element_type(input.dtype)?)?;
    let dims = dims.map_or((0..rank).collect(), |dim| vec![dim]);
    let stored = builder.stored_value(magnitude, "constant");
    let value = reduced(builder, Op::ReduceMax, &stored, &dims);
    bind_reshaped(builder, value, out)
}

/// Whether all or any elements are true: the smallest or the largest of them as numbers.
pub(super) fn truth(
    builder: &mut Builder<'_>,
    reduction: Reduction,
    input: &TensorIr,
    dim: Option<usize>,
    out: &TensorIr,
) -> Result<(), Refusal> {
    let options = CastOptions { in_data_type: ElementType::Bool, out_data_type: ElementType::Float32 };
    let value = builder.value(input)?;
    let rank = value.layout().rank();
    let numbers = elementwise(builder, Op::Cast(options), &[value], ElementType::Float32)?;
    let stored = builder.stored_value(numbers, "constant");
    let value = reduced(builder, reduction, &stored, &dim.map_or((0..rank).collect(), |dim| vec![dim]));
    let zero = Constant::floats(&[], vec![0.0]).into();
    let value = elementwise(builder, Op::Greater, &[value.into(), zero], ElementType::Bool)?;
    let stored = builder.stored_value(value, "constant");
    bind_reshaped(builder, stored, out)
}

/// The position of the largest element.
pub(super) fn arg_max(builder: &mut Builder<'_>, op: &ReduceDimOpIr) -> Result<(), Refusal> {
    let output_type = element_type(op.out.dtype)?;
    position(builder, Op::ArgMax(ArgMaxOptions { output_type }), &op.input, op.axis, &op.out)
}

/// The position of the smallest element.
pub(super) fn arg_min(builder: &mut Builder<'_>, op: &ReduceDimOpIr) -> Result<(), Refusal> {
    let output_type = element_type(op.out.dtype)?;
    position(builder, Op::ArgMin(ArgMinOptions { output_type }), &op.input, op.axis, &op.out)
}

/// The largest elements and their positions.
pub(super) fn max_with_indices(
    builder: &mut Builder<'_>,
    op: &ReduceDimWithIndicesOpIr,
) -> Result<(), Refusal> {
    let output_type = element_type(op.out_indices.dtype)?;
    along(builder, Op::ReduceMax, &op.tensor, &[op.dim], &op.out)?;
    position(builder, Op::ArgMax(ArgMaxOptions { output_type }), &op.tensor, op.dim, &op.out_indices)
}

/// The smallest elements and their positions.
pub(super) fn min_with_indices(
    builder: &mut Builder<'_>,
    op: &ReduceDimWithIndicesOpIr,
) -> Result<(), Refusal> {
    let output_type = element_type(op.out_indices.dtype)?;
    along(builder, Op::ReduceMin, &op.tensor, &[op.dim], &op.out)?;
    position(builder, Op::ArgMin(ArgMinOptions { output_type }), &op.tensor, op.dim, &op.out_indices)
}

/// The largest elements in falling order.
pub(super) fn top_k(builder: &mut Builder<'_>, op: &ReduceDimOpIr) -> Result<(), Refusal> {
    top(builder, &op.input, op.axis, Order::Falling, Some(&op.out), None)
}

/// The positions of the largest elements in falling order.
pub(super) fn arg_top_k(builder: &mut Builder<'_>, op: &ReduceDimOpIr) -> Result<(), Refusal> {
    top(builder, &op.input, op.axis, Order::Falling, None, Some(&op.out))
}

/// The largest elements in falling order, and their positions.
pub(super) fn top_k_with_indices(builder: &mut Builder<'_>, op: &TopKWithIndicesOpIr) -> Result<(), Refusal> {
    top(builder, &op.tensor, op.dim, Order::Falling, Some(&op.out), Some(&op.out_indices))
}

/// The elements in order.
pub(super) fn sort(builder: &mut Builder<'_>, op: &SortOpIr) -> Result<(), Refusal> {
    top(builder, &op.input, op.dim, Order::new(op.descending), Some(&op.out), None)
}

/// The positions of the elements in order.
pub(super) fn arg_sort(builder: &mut Builder<'_>, op: &SortOpIr) -> Result<(), Refusal> {
    top(builder, &op.input, op.dim, Order::new(op.descending), None, Some(&op.out))
}

/// The elements in order, and their positions.
pub(super) fn sort_with_indices(builder: &mut Builder<'_>, op: &SortWithIndicesOpIr) -> Result<(), Refusal> {
    let order = Order::new(op.descending);
    top(builder, &op.input, op.dim, order, Some(&op.out), Some(&op.out_indices))
}

/// `stored` reduced along `dims`, which stay, with extent 1.
pub(super) fn reduced(
    builder: &mut Builder<'_>,
    reduction: Reduction,
    stored: &Stored,
    dims: &[usize],
) -> Stored {
    let order = stored.layout.natural_order(builder.shape(stored.tensor));
    let x = builder.arrange(stored, &stored.layout.groups(&order));
    let mut axes: Vec<i32> = dims.iter().map(|&dim| place(&order, dim)).collect();
    axes.sort_unstable();
    let axes = builder.add_integers("axes", &axes);
    let mut shape = stored.layout.shape();
    for &dim in dims {
        shape.0[dim] = Extent::ONE;
    }
    let element_type = builder.element_type(x);
    let op = reduction(ReducerOptions { keep_dims: true });
    builder.stored_result(op, &[Some(x), Some(axes)], element_type, &shape, &order)
}

/// An operator that gives the position along a dimension, which it drops.
fn position(
    builder: &mut Builder<'_>,
    op: Op,
    input: &TensorIr,
    dim: usize,
    out: &TensorIr,
) -> Result<(), Refusal> {
    let stored = builder.stored(input)?;
    let order = stored.layout.natural_order(builder.shape(stored.tensor));
    let x = builder.arrange(&stored, &stored.layout.groups(&order));
    let axis = builder.add_constant(Constant::integers(&[place(&order, dim)]).reshaped(&[]), "axis");
    let mut shape = stored.layout.shape();
    shape.0[dim] = Extent::ONE;
    let kept: Vec<Extent> =
        order.iter().filter(|&&other| other != dim).map(|&other| shape.0[other]).collect();
    let element_type = element_type(out.dtype)?;
    let tensor = builder.typed_operator(op, &[Some(x), Some(axis)], element_type, Shape(kept));
    let layout = Layout::stored(&shape, &order);
    builder.bind(out, Value::Computed(Stored { tensor, layout }))
}

/// The order of sorted elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    Falling,
    Rising,
}

impl Order {
    fn new(descending: bool) -> Self {
        if descending { Self::Falling } else { Self::Rising }
    }
}

/// TOPK_V2 along a dimension, brought to the end. In rising order it sorts the negated elements.
fn top(
    builder: &mut Builder<'_>,
    input: &TensorIr,
    dim: usize,
    falling_or_rising: Order,
    values: Option<&TensorIr>,
    indices: Option<&TensorIr>,
) -> Result<(), Refusal> {
    let Some(result) = values.or(indices) else { return Ok(()) };
    let element_type = super::element_type(input)?;
    let is_rising = falling_or_rising == Order::Rising;
    let mut stored = builder.stored(input)?;
    if is_rising {
        let negated = elementwise(builder, Op::Neg, &[stored.into()], element_type)?;
        stored = builder.stored_value(negated, "constant");
    }
    let mut order = stored.layout.natural_order(builder.shape(stored.tensor));
    order.retain(|&other| other != dim);
    order.push(dim);
    let x = builder.arrange(&stored, &stored.layout.groups(&order));
    let shape = builder.program.shape(result.id).clone();
    let count =
        i32::try_from(shape.0[dim].size).map_err(|_| Refusal::new("it asks for more than 2^31 elements"))?;
    let count = builder.add_constant(Constant::integers(&[count]).reshaped(&[]), "k");
    let found = builder.stored_result(Op::TopKV2, &[Some(x), Some(count)], element_type, &shape, &order);
    let positions = builder.further_result(ElementType::Int32, &shape, &order);
    if let Some(values) = values {
        let mut value = found.into();
        if is_rising {
            value = elementwise(builder, Op::Neg, &[value], element_type)?;
        }
        builder.bind(values, value)?;
    }
    if let Some(indices) = indices {
        let out_data_type = super::element_type(indices)?;
        let mut value = positions.into();
        if out_data_type != ElementType::Int32 {
            let options = CastOptions { in_data_type: ElementType::Int32, out_data_type };
            value = elementwise(builder, Op::Cast(options), &[value], out_data_type)?;
        }
        builder.bind(indices, value)?;
    }
    Ok(())
}

/// Binds a result of as many elements as `out`.
fn bind_reshaped(builder: &mut Builder<'_>, value: Stored, out: &TensorIr) -> Result<(), Refusal> {
    let layout = value.layout.reshaped(builder.program.shape(out.id));
    let layout = layout
        .ok_or_else(|| Refusal::new("its result is of another shape: this is a fault of the exporter"))?;
    builder.bind(out, Value::Computed(Stored { layout, ..value }))
}

/// Where a dimension is in the stored tensor.
pub(super) fn place(order: &[usize], dim: usize) -> i32 {
    order.iter().position(|&other| other == dim).map_or(0, |place| place as i32)
}

#[cfg(test)]
mod tests {
    use burn::module::Param;
    use burn::tensor::Tensor;

    use crate::lower::testing::{FUNCTION, numbers, operators, parameter};

    #[test]
    fn reductions_work_on_the_order_in_which_their_operand_is_stored() {
        let found = operators(&FUNCTION, numbers([2, 3, 4, 5]), |_, x: Tensor<4>| {
            let x = x.permute([0, 3, 1, 2]);
            x.clone()
                .mean_dim(2)
                .mean_dim(3)
                .add(x.clone().max_dim(1))
                .add(x.sum_dim(3))
                .permute([0, 2, 3, 1])
        });
        assert!(!found.contains(&"TRANSPOSE".into()), "{found:?}");
    }

    #[test]
    fn a_reduction_drops_what_its_only_reader_does_not_want() {
        let layer = (parameter([5, 4]), parameter([4]));
        type Layer = (Param<Tensor<2>>, Param<Tensor<1>>);
        let found = operators(&layer, numbers([2, 3, 4, 5]), |layer: &Layer, x: Tensor<4>| {
            let x = x.permute([0, 3, 1, 2]);
            let means: Tensor<2> = x.mean_dims(&[2, 3]).flatten(1, 3);
            means.matmul(layer.0.val()) + layer.1.val().reshape([1, 4])
        });
        assert_eq!(found, ["MEAN", "FULLY_CONNECTED"], "the means along two dimensions are one operator");
    }

    #[test]
    fn positions_and_truths_are_burns() {
        let found = operators(&FUNCTION, numbers([2, 3, 4]), |_, x: Tensor<3>| {
            let (largest, at) = x.clone().max_dim_with_indices(1);
            let all = x.clone().greater_elem(-0.9).all_dim(1).float();
            let any = x.clone().greater_elem(0.5).any_dim(1).float();
            largest + at.float() + all + any + x.clone().argmin(1).float() + x.argmax(1).float()
        });
        assert!(found.contains(&"ARG_MAX".into()), "{found:?}");
    }

    #[test]
    fn largest_elements_and_sorted_ones_are_burns() {
        let found =
            operators(&FUNCTION, numbers([2, 3, 4]), |_, x: Tensor<3>| x.sort_descending(1).topk(2, 2));
        assert_eq!(found.iter().filter(|name| *name == "TOPK_V2").count(), 2);
        let found = operators(&FUNCTION, numbers([2, 5]), |_, x: Tensor<2>| {
            let (sorted, at) = x.sort_with_indices(1);
            sorted + at.float()
        });
        assert_eq!(found, ["NEG", "TOPK_V2", "NEG", "CAST", "ADD"]);
    }
}
