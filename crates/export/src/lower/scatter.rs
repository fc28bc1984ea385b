//! Values added at indices.

use burn::backend::ir::{ScatterNdOpIr, ScatterOpIr, SelectAssignOpIr, TensorIr};
use burn::tensor::IndexingUpdateOp;
use burnlite_tflite::{CastOptions, ElementType, OneHotOptions, Op, ReducerOptions, TensorId};

use super::arithmetic::{add_op, mul_op};
use super::elementwise::elementwise;
use super::window::integer;
use crate::builder::{Builder, Stored, Value};
use crate::constant::Constant;
use crate::error::Refusal;
use crate::layout::Layout;
use crate::shape::{Extent, Shape};

/// Slices added at the indices of a dimension: SCATTER_ND of that dimension, and ADD.
pub(super) fn select_assign(builder: &mut Builder<'_>, op: &SelectAssignOpIr) -> Result<(), Refusal> {
    adds(op.update)?;
    let shape = builder.program.shape(op.out.id).clone();
    let order: Vec<usize> =
        [op.dim].into_iter().chain((0..shape.0.len()).filter(|&dim| dim != op.dim)).collect();
    let values = builder.operand(&op.value, &order)?;
    let count = builder.program.shape(op.indices.id).0[0];
    let indices = indices(builder, &op.indices, Shape(vec![count, Extent::ONE]))?;
    let added = scattered(builder, indices, values, &shape, &order)?;
    accumulate(builder, &op.tensor, added, &op.out)
}

/// Slices added at indices of several dimensions: SCATTER_ND and ADD.
pub(super) fn scatter_nd(builder: &mut Builder<'_>, op: &ScatterNdOpIr) -> Result<(), Refusal> {
    adds(op.reduction)?;
    let shape = builder.program.shape(op.out.id).clone();
    let row_major = |rank: usize| (0..rank).collect::<Vec<usize>>();
    let values = builder.operand(&op.values, &row_major(builder.program.shape(op.values.id).0.len()))?;
    let indices_shape = builder.program.shape(op.indices.id).clone();
    let indices = indices(builder, &op.indices, indices_shape)?;
    let added = scattered(builder, indices, values, &shape, &row_major(shape.0.len()))?;
    accumulate(builder, &op.data, added, &op.out)
}

/// Elements added at an index each: the sum over values of a row of ONE_HOT, times the value.
///
/// SCATTER_ND would want the indices of all dimensions, the batch among them.
pub(super) fn scatter(builder: &mut Builder<'_>, op: &ScatterOpIr) -> Result<(), Refusal> {
    adds(op.update)?;
    let (out, values) =
        (builder.program.shape(op.out.id).clone(), builder.program.shape(op.value.id).clone());
    let rank = out.0.len();
    if (0..rank).any(|dim| dim != op.dim && out.0[dim] != values.0[dim]) {
        return Err(Refusal::new(
            "the values leave out a part of another dimension: slice the tensor before",
        ));
    }
    let order: Vec<usize> = (0..rank).filter(|&dim| dim != op.dim).chain([op.dim]).collect();
    let in_order = |shape: &Shape| -> Vec<Extent> { order.iter().map(|&dim| shape.0[dim]).collect() };
    let (depth, rows) = (out.0[op.dim].size, in_order(&values));

    let at = builder.operand(&op.indices, &order)?;
    let depth_operand = builder.add_constant(Constant::integers(&[integer(depth)?]).reshaped(&[]), "depth");
    let numbers = [1.0, 0.0].map(|number| Constant::floats(&[], vec![number]));
    let [on, off] = numbers.map(|number| builder.add_constant(number, "value"));
    let table = Shape([&rows[..], &[Extent::fixed(depth)]].concat());
    let inputs = [Some(at), Some(depth_operand), Some(on), Some(off)];
    let one_hot = Op::OneHot(OneHotOptions { axis: -1 });
    let one_hot = builder.typed_operator(one_hot, &inputs, ElementType::Float32, table.clone());

    let values = builder.operand(&op.value, &order)?;
    let values = builder.reshape(values, Shape([&rows[..], &[Extent::ONE]].concat()));
    let products = builder.operator(mul_op(), &[Some(one_hot), Some(values)], table);
    let axes = builder.add_integers("axes", &[integer(rank - 1)?]);
    let sum = Op::Sum(ReducerOptions { keep_dims: false });
    let tensor = builder.operator(sum, &[Some(products), Some(axes)], Shape(in_order(&out)));
    accumulate(builder, &op.tensor, Stored { tensor, layout: Layout::stored(&out, &order) }, &op.out)
}

fn adds(update: IndexingUpdateOp) -> Result<(), Refusal> {
    match update {
        IndexingUpdateOp::Add => Ok(()),
        other => Err(Refusal::new(format!(
            "TensorFlow Lite adds values at indices only, it has no {other:?}: choose IndexingUpdateOp::Add"
        ))),
    }
}

/// Zeros of the given shape, stored in the given order, with `values` added at `indices`: SCATTER_ND.
fn scattered(
    builder: &mut Builder<'_>,
    indices: TensorId,
    values: TensorId,
    shape: &Shape,
    order: &[usize],
) -> Result<Stored, Refusal> {
    let stored = Shape(order.iter().map(|&dim| shape.0[dim]).collect());
    let target = builder.shape_operand(&stored)?;
    let element_type = builder.element_type(values);
    let inputs = [Some(indices), Some(values), Some(target)];
    Ok(builder.stored_result(Op::ScatterNd, &inputs, element_type, shape, order))
}

fn accumulate(
    builder: &mut Builder<'_>,
    tensor: &TensorIr,
    added: Stored,
    out: &TensorIr,
) -> Result<(), Refusal> {
    let tensor = builder.value(tensor)?;
    let element_type = builder.element_type(added.tensor);
    let value = elementwise(builder, add_op(), &[tensor, added.into()], element_type)?;
    builder.bind(out, value)
}

/// Indices of 32 bits in Burn's order, under the given shape.
fn indices(builder: &mut Builder<'_>, indices: &TensorIr, shape: Shape) -> Result<TensorId, Refusal> {
    let mut value = builder.value(indices)?;
    match value {
        Value::Constant(constant) => {
            return Ok(builder.add_constant(constant.narrowed().reshaped(&shape.sizes()), "indices"));
        }
        Value::Computed(_) if super::element_type(indices)? != ElementType::Int32 => {
            let options = CastOptions {
                in_data_type: super::element_type(indices)?,
                out_data_type: ElementType::Int32,
            };
            value = elementwise(builder, Op::Cast(options), &[value], ElementType::Int32)?;
        }
        Value::Computed(_) => {}
    }
    let stored = builder.stored_value(value, "indices");
    let order: Vec<usize> = (0..stored.layout.rank()).collect();
    let tensor = builder.arrange(&stored, &stored.layout.groups(&order));
    Ok(if *builder.shape(tensor) == shape { tensor } else { builder.reshape(tensor, shape) })
}

#[cfg(test)]
mod tests {
    use burn::tensor::{IndexingUpdateOp, Int, Tensor};

    use crate::lower::testing::{FUNCTION, numbers, operators, refusal};

    #[test]
    fn slices_and_elements_are_added_where_the_indices_say() {
        let found = operators(&FUNCTION, numbers([2, 6, 5]), |_, x: Tensor<3>| {
            let rows = Tensor::<1, Int>::from_data([4, 0, 4], &x.device());
            let columns = x.clone().argmax(2).repeat_dim(2, 2);
            let y = x.clone().select_assign(1, rows, x.clone().narrow(1, 1, 3), IndexingUpdateOp::Add);
            y.scatter(2, columns, x.narrow(2, 0, 2), IndexingUpdateOp::Add)
        });
        assert!(found.contains(&"SCATTER_ND".into()) && found.contains(&"ONE_HOT".into()), "{found:?}");
    }

    #[test]
    fn replaced_elements_are_refused() {
        let message = refusal(&FUNCTION, numbers([2, 6]), |_, x: Tensor<2>| {
            let at = x.clone().argmax(1);
            x.clone().scatter(1, at, x.narrow(1, 0, 1), IndexingUpdateOp::Assign)
        });
        assert!(message.contains("choose IndexingUpdateOp::Add"), "{message}");
    }
}
