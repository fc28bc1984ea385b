//! Tensors put together, and elements at indices.

use burn::backend::ir::{
    CatOpIr, CrossOpIr, EmbeddingOpIr, GatherNdOpIr, GatherOpIr, SelectOpIr, TensorIr, UnfoldOpIr,
};
use burnlite_tflite::{ConcatenationOptions, GatherOptions, Op, TensorId};

use super::arithmetic::{mul_op, sub_op};
use super::element_type;
use super::elementwise::elementwise;
use super::reduce::place;
use super::window::integer;
use crate::builder::{Builder, Stored, Value};
use crate::constant::Constant;
use crate::error::Refusal;
use crate::shape::Extent;

/// Tensors one after the other along a dimension: CONCATENATION in the order in which the largest is stored.
pub(super) fn cat(builder: &mut Builder<'_>, op: &CatOpIr) -> Result<(), Refusal> {
    let computed: Result<Vec<Value>, Refusal> =
        op.tensors.iter().map(|tensor| builder.value(tensor)).collect();
    let computed = computed?.into_iter().filter_map(|value| match value {
        Value::Computed(stored) => Some(stored),
        Value::Constant(_) => None,
    });
    let leader = computed.max_by_key(|stored| {
        (stored.layout.is_permuted(), stored.layout.shape().sizes().iter().product::<usize>())
    });
    let Some(leader) = leader else { return super::unsupported() };
    let order = leader.layout.natural_order(builder.shape(leader.tensor));
    let inputs: Result<Vec<_>, Refusal> =
        op.tensors.iter().map(|tensor| builder.operand(tensor, &order).map(Some)).collect();
    let options = ConcatenationOptions { axis: place(&order, op.dim), ..ConcatenationOptions::default() };
    builder.stored_operator(Op::Concatenation(options), &inputs?, &op.out, &order)
}

/// Slices of a tensor along a dimension, by constant or computed indices: GATHER.
pub(super) fn select(builder: &mut Builder<'_>, op: &SelectOpIr) -> Result<(), Refusal> {
    let (x, order) = builder.in_pieces(&op.tensor)?;
    let indices = indices(builder, &op.indices)?;
    let options = GatherOptions { axis: place(&order, op.dim), batch_dims: 0 };
    builder.stored_operator(Op::Gather(options), &[Some(x), Some(indices)], &op.out, &order)
}

/// Rows of a table, by indices: GATHER.
pub(super) fn embedding(builder: &mut Builder<'_>, op: &EmbeddingOpIr) -> Result<(), Refusal> {
    let weights = builder.operand(&op.weights, &[0, 1])?;
    let indices = indices(builder, &op.indices)?;
    let order: Vec<usize> = (0..builder.program.shape(op.out.id).0.len()).collect();
    let inputs = [Some(weights), Some(indices)];
    builder.stored_operator(Op::Gather(GatherOptions::default()), &inputs, &op.out, &order)
}

/// An element for each index, along a dimension: GATHER with all other dimensions as its batch.
pub(super) fn gather(builder: &mut Builder<'_>, op: &GatherOpIr) -> Result<(), Refusal> {
    let rank = builder.program.shape(op.indices.id).0.len();
    let order: Vec<usize> = (0..rank).filter(|&dim| dim != op.dim).chain([op.dim]).collect();
    let inputs = [Some(builder.operand(&op.tensor, &order)?), Some(builder.operand(&op.indices, &order)?)];
    let last = integer(rank - 1)?;
    let options = GatherOptions { axis: last, batch_dims: last };
    builder.stored_operator(Op::Gather(options), &inputs, &op.out, &order)
}

/// Slices at indices of several dimensions: GATHER_ND.
pub(super) fn gather_nd(builder: &mut Builder<'_>, op: &GatherNdOpIr) -> Result<(), Refusal> {
    let row_major = |tensor: &TensorIr| (0..tensor.shape.as_slice().len()).collect::<Vec<usize>>();
    let x = builder.operand(&op.data, &row_major(&op.data))?;
    let indices = indices(builder, &op.indices)?;
    builder.stored_operator(Op::GatherNd, &[Some(x), Some(indices)], &op.out, &row_major(&op.out))
}

/// Windows over a dimension, each element of them in a dimension at the end: GATHER with their places.
pub(super) fn unfold(builder: &mut Builder<'_>, op: &UnfoldOpIr) -> Result<(), Refusal> {
    let (x, order) = builder.in_pieces(&op.input)?;
    let windows = builder.program.shape(op.out.id).0[op.dim].size;
    let places = (0..windows).flat_map(|window| (0..op.size).map(move |at| window * op.step + at));
    let places: Result<Vec<i32>, Refusal> = places.map(integer).collect();
    let places = Constant::integers(&places?).reshaped(&[windows, op.size]);
    let places = builder.add_constant(places, "indices");
    let options = GatherOptions { axis: place(&order, op.dim), batch_dims: 0 };
    let last = order.len();
    let order: Vec<usize> =
        order.into_iter().flat_map(|dim| [Some(dim), (dim == op.dim).then_some(last)]).flatten().collect();
    builder.stored_operator(Op::Gather(options), &[Some(x), Some(places)], &op.out, &order)
}

/// The cross product of vectors along a dimension of three: of each coordinate's two neighbours.
pub(super) fn cross(builder: &mut Builder<'_>, op: &CrossOpIr) -> Result<(), Refusal> {
    let mut turned = |tensor: &TensorIr, coordinates: [i32; 3]| -> Result<Value, Refusal> {
        let stored = builder.stored(tensor)?;
        let order = stored.layout.natural_order(builder.shape(stored.tensor));
        Ok(gathered(builder, &stored, op.dim, &Constant::integers(&coordinates), &order).into())
    };
    let (next, last) = ([1, 2, 0], [2, 0, 1]);
    let products =
        [[turned(&op.lhs, next)?, turned(&op.rhs, last)?], [turned(&op.lhs, last)?, turned(&op.rhs, next)?]];
    let element_type = element_type(&op.out)?;
    let [first, second] = products;
    let first = elementwise(builder, mul_op(), &first, element_type)?;
    let second = elementwise(builder, mul_op(), &second, element_type)?;
    let value = elementwise(builder, sub_op(), &[first, second], element_type)?;
    builder.bind(&op.out, value)
}

/// The slices of a dimension at constant indices, stored in the given order: GATHER.
pub(super) fn gathered(
    builder: &mut Builder<'_>,
    stored: &Stored,
    dim: usize,
    indices: &Constant,
    order: &[usize],
) -> Stored {
    let x = builder.arrange(stored, &stored.layout.groups(order));
    let mut shape = stored.layout.shape();
    shape.0[dim] = Extent::fixed(indices.shape.iter().product());
    let indices = builder.add_constant(indices.clone(), "indices");
    let options = GatherOptions { axis: place(order, dim), batch_dims: 0 };
    let element_type = builder.element_type(x);
    builder.stored_result(Op::Gather(options), &[Some(x), Some(indices)], element_type, &shape, order)
}

/// Indices in Burn's order; constants as 32-bit integers.
fn indices(builder: &mut Builder<'_>, indices: &TensorIr) -> Result<TensorId, Refusal> {
    if let Value::Constant(constant) = builder.value(indices)? {
        return Ok(builder.add_constant(constant.narrowed(), "indices"));
    }
    let order: Vec<usize> = (0..builder.program.shape(indices.id).0.len()).collect();
    builder.operand(indices, &order)
}

#[cfg(test)]
mod tests {
    use burn::module::Param;
    use burn::nn::{Embedding, EmbeddingConfig};
    use burn::tensor::{Device, Int, Tensor};

    use crate::lower::testing::{FUNCTION, numbers, operators, parameter};

    #[test]
    fn parts_are_put_together_without_a_transpose() {
        let found = operators(&FUNCTION, numbers([2, 6, 5, 4]), |_, x: Tensor<4>| {
            let x = x.permute([0, 3, 1, 2]);
            let [first, second] = x.clone().chunk(2, 1).try_into().unwrap();
            Tensor::cat(vec![second, x, first], 1).permute([0, 2, 3, 1])
        });
        assert_eq!(found, ["STRIDED_SLICE", "STRIDED_SLICE", "CONCATENATION"]);
    }

    #[test]
    fn constant_and_computed_indices_gather() {
        let found = operators(&FUNCTION, numbers([2, 6, 5]), |_, x: Tensor<3>| {
            let constant = Tensor::<1, Int>::from_data([4, 0, 0, 2], &x.device());
            let computed = x.clone().argmax(1).repeat_dim(1, 4);
            x.clone().select(1, constant) + x.gather(1, computed)
        });
        assert_eq!(found.iter().filter(|name| *name == "GATHER").count(), 2, "{found:?}");
    }

    #[test]
    fn an_embedding_takes_rows_of_its_table() {
        let device = Device::flex();
        let module: Embedding = EmbeddingConfig::new(10, 4).init(&device);
        let found = operators(&module, numbers([2, 6]), |module, x: Tensor<2>| {
            module.forward(((x + 1.0) * 4.5).int())
        });
        assert_eq!(found.last().unwrap(), "GATHER");
    }

    #[test]
    fn windows_and_cross_products_are_burns() {
        let found = operators(&FUNCTION, numbers([2, 7, 3]), |_, x: Tensor<3>| {
            let windows: Tensor<4> = x.clone().unfold(1, 3, 2);
            let products = x.clone().narrow(1, 0, 3).cross(x.narrow(1, 2, 3), 2);
            windows.mean_dim(3).squeeze_dim::<3>(3) + products
        });
        assert!(!found.contains(&"TRANSPOSE".into()), "{found:?}");
    }

    #[test]
    fn indices_of_several_dimensions_gather() {
        let found =
            operators(&parameter([4, 5]), numbers([2, 3]), |table: &Param<Tensor<2>>, x: Tensor<2>| {
                let at = ((x + 1.0) * 1.9).int();
                let at: Tensor<3, Int> = Tensor::stack(vec![at.clone(), at], 2);
                table.val().gather_nd::<3, 2>(at)
            });
        assert!(found.contains(&"GATHER_ND".into()), "{found:?}");
    }
}
