//! Operators that work on the elements of the same place, with Burn's broadcasting.
//!
//! They do not care in which order elements are stored, as long as all operands agree: so the order is that of the operand
//! that gives the result its shape, and the others are brought into it, constants when they are exported.

use burn::backend::ir::{ScalarIr, TensorIr};
use burnlite_tflite::{ElementType, Op};

use crate::builder::{Builder, Stored, Value};
use crate::constant::{Constant, element_type};
use crate::error::Refusal;
use crate::layout::{Layout, common_cuts};
use crate::shape::{Extent, Shape};

/// A part of a dimension: the dimension, and which of its cuts.
type Piece = (usize, usize);

/// The result of an operator on captured operands, bound to `out`.
pub(super) fn lower(
    builder: &mut Builder<'_>,
    op: Op,
    operands: &[&TensorIr],
    out: &TensorIr,
) -> Result<(), Refusal> {
    let operands: Result<Vec<Value>, Refusal> =
        operands.iter().map(|operand| builder.value(operand)).collect();
    let value = elementwise(builder, op, &operands?, element_type(out.dtype)?)?;
    builder.bind(out, value)
}

/// The result of an operator on a captured operand and a number, bound to `out`.
pub(super) fn lower_scalar(
    builder: &mut Builder<'_>,
    op: Op,
    operand: &TensorIr,
    number: ScalarIr,
    out: &TensorIr,
) -> Result<(), Refusal> {
    let operand_value = builder.value(operand)?;
    let number = Constant::scalar(number, element_type(operand.dtype)?)?;
    let value = elementwise(builder, op, &[operand_value, number.into()], element_type(out.dtype)?)?;
    builder.bind(out, value)
}

/// The result of an operator on any operands, one of them at least computed.
///
/// Operands have as many dimensions as the result; a number has none.
pub(super) fn elementwise(
    builder: &mut Builder<'_>,
    op: Op,
    operands: &[Value],
    element_type: ElementType,
) -> Result<Value, Refusal> {
    let shape = broadcast_shape(operands)?;
    let mut operands = operands.to_vec();
    let layouts = match common_layouts(&operands, &shape) {
        Some(layouts) => layouts,
        None => {
            operands = operands.into_iter().map(|operand| in_burns_order(builder, operand)).collect();
            common_layouts(&operands, &shape).ok_or_else(|| {
                Refusal::new("its operands cannot be brought into one order: permute them before")
            })?
        }
    };
    let groups = common_groups(builder, &operands, &layouts, &shape);
    let inputs: Vec<_> = operands
        .iter()
        .zip(&layouts)
        .map(|(operand, layout)| Some(builder.arrange_value(operand, layout, &axes(layout, &groups))))
        .collect();
    let layout = result_layout(&layouts, &groups, shape.0.len());
    let order: Vec<Vec<usize>> = axes(&layout, &groups);
    let tensor = builder.typed_operator(op, &inputs, element_type, layout.shape_of(&order));
    Ok(Value::Computed(Stored { tensor, layout }))
}

/// The shape of the result.
fn broadcast_shape(operands: &[Value]) -> Result<Shape, Refusal> {
    let shapes: Vec<Shape> = operands.iter().map(|operand| operand.layout().shape()).collect();
    let rank = shapes.iter().map(|shape| shape.0.len()).max().unwrap_or_default();
    let full = shapes.iter().filter(|shape| shape.0.len() == rank);
    if shapes.iter().any(|shape| !shape.0.is_empty() && shape.0.len() != rank) {
        return Err(Refusal::new("its operands are of different ranks"));
    }
    let mut extents = vec![Extent::ONE; rank];
    for shape in full {
        for (extent, &found) in extents.iter_mut().zip(&shape.0) {
            if found != Extent::ONE {
                *extent = found;
            }
        }
    }
    Ok(Shape(extents))
}

/// The operands' layouts with every dimension cut in the same places; `None` if it cannot be.
fn common_layouts(operands: &[Value], shape: &Shape) -> Option<Vec<Layout>> {
    let rank = shape.0.len();
    let layouts: Vec<Layout> = operands.iter().map(Value::layout).collect();
    let mut cuts: Vec<Vec<Extent>> = shape.0.iter().map(|&extent| vec![extent]).collect();
    for layout in layouts.iter().filter(|layout| layout.rank() == rank) {
        for (dim, cuts) in cuts.iter_mut().enumerate().filter(|(dim, _)| !layout.dim(*dim).is_empty()) {
            *cuts = common_cuts(cuts, &layout.cuts(dim))?;
        }
    }
    let cut = |layout: &Layout| if layout.rank() == rank { layout.cut(&cuts) } else { Some(layout.clone()) };
    layouts.iter().map(cut).collect()
}

fn in_burns_order(builder: &mut Builder<'_>, operand: Value) -> Value {
    match operand {
        Value::Constant(_) => operand,
        Value::Computed(stored) => {
            let shape = stored.layout.shape();
            let order: Vec<usize> = (0..stored.layout.rank()).collect();
            let tensor = builder.arrange(&stored, &stored.layout.groups(&order));
            Value::Computed(Stored { tensor, layout: Layout::row_major(&shape) })
        }
    }
}

/// The pieces in each dimension of the stored result.
///
/// They are those of an operand that is computed and of the result's shape, one that is permuted rather than one that is
/// not; without such an operand, the result is stored in the order of dimensions of one that is permuted.
fn common_groups(
    builder: &Builder<'_>,
    operands: &[Value],
    layouts: &[Layout],
    shape: &Shape,
) -> Vec<Vec<Piece>> {
    let computed = operands.iter().zip(layouts).filter_map(|(operand, layout)| match operand {
        Value::Computed(stored) => Some((stored, layout)),
        Value::Constant(_) => None,
    });
    let leader = computed
        .filter(|(_, layout)| layout.shape() == *shape)
        .max_by_key(|(stored, layout)| (layout.is_permuted(), std::cmp::Reverse(stored.tensor)));
    let mut orders = operands.iter().zip(layouts).filter_map(|(operand, layout)| match operand {
        Value::Computed(stored) if layout.rank() == shape.0.len() => {
            Some(layout.natural_order(builder.shape(stored.tensor)))
        }
        _ => None,
    });
    let whole = |dim: usize| {
        let pieces = layouts.iter().filter(|layout| layout.rank() == shape.0.len());
        (0..pieces.map(|layout| layout.dim(dim).len()).max().unwrap_or_default()).map(move |cut| (dim, cut))
    };
    let groups: Vec<Vec<Piece>> = match leader {
        Some((stored, layout)) => {
            let mut piece_of =
                vec![(0, 0); layout.groups(&(0..layout.rank()).collect::<Vec<_>>()).concat().len()];
            for dim in 0..layout.rank() {
                for (cut, &axis) in layout.dim(dim).iter().enumerate() {
                    piece_of[axis] = (dim, cut);
                }
            }
            let stored_groups = layout.stored_groups(builder.shape(stored.tensor));
            stored_groups.iter().map(|group| group.iter().map(|&axis| piece_of[axis]).collect()).collect()
        }
        None => {
            let order =
                orders.find(|order| !order.is_sorted()).unwrap_or_else(|| (0..shape.0.len()).collect());
            order.into_iter().map(|dim| whole(dim).collect()).collect()
        }
    };
    let is_mixed = |group: &Vec<Piece>| {
        let present = |layout: &Layout| {
            group.iter().filter(|(dim, _)| layout.rank() != 0 && !layout.dim(*dim).is_empty()).count()
        };
        layouts.iter().any(|layout| !matches!(present(layout), 0) && present(layout) != group.len())
    };
    let cut = |group: Vec<Piece>| -> Vec<Vec<Piece>> {
        if is_mixed(&group) { group.into_iter().map(|piece| vec![piece]).collect() } else { vec![group] }
    };
    groups.into_iter().flat_map(cut).collect()
}

/// The axes of a layout that are the given pieces; a piece that is broadcast has none.
fn axes(layout: &Layout, groups: &[Vec<Piece>]) -> Vec<Vec<usize>> {
    if layout.rank() == 0 {
        return Vec::new();
    }
    let axis = |&(dim, cut): &Piece| layout.dim(dim).get(cut).copied();
    groups.iter().map(|group| group.iter().filter_map(axis).collect()).collect()
}

/// The layout of a result that is stored as the groups say.
fn result_layout(layouts: &[Layout], groups: &[Vec<Piece>], rank: usize) -> Layout {
    let extent = |&(dim, cut): &Piece| {
        let of = |layout: &Layout| Some(layout.extent(*layout.dim(dim).get(cut)?));
        layouts.iter().filter(|layout| layout.rank() == rank).find_map(of).unwrap_or(Extent::ONE)
    };
    let pieces: Vec<Piece> = groups.concat();
    Layout::of_pieces(pieces.iter().map(|piece| (*piece, extent(piece))), rank)
}

impl From<Constant> for Value {
    fn from(constant: Constant) -> Self {
        Self::Constant(constant)
    }
}

impl From<Stored> for Value {
    fn from(stored: Stored) -> Self {
        Self::Computed(stored)
    }
}

#[cfg(test)]
mod tests {
    use burn::module::Param;
    use burn::tensor::Tensor;

    use crate::lower::testing::{FUNCTION, numbers, operators, parameter};

    #[test]
    fn operands_of_one_order_are_not_moved() {
        let found = operators(&FUNCTION, numbers([2, 3, 4, 5]), |_, x: Tensor<4>| {
            let y = x.clone().permute([0, 3, 1, 2]);
            (y.clone().exp() * y).permute([0, 2, 3, 1])
        });
        assert_eq!(found, ["EXP", "MUL"]);
    }

    #[test]
    fn constants_are_brought_into_the_order_of_the_other_operand() {
        let found =
            operators(&parameter([1, 5, 1, 4]), numbers([2, 3, 4, 5]), |weights: &Param<Tensor<4>>, x| {
                let x: Tensor<4> = x;
                (x.permute([0, 3, 1, 2]) * weights.val()).permute([0, 2, 3, 1])
            });
        assert_eq!(found, ["MUL"]);
    }

    #[test]
    fn an_operand_in_another_order_is_moved_once() {
        let found = operators(&FUNCTION, numbers([2, 4, 4]), |_, x: Tensor<3>| {
            let y = x.clone().swap_dims(1, 2);
            (x.clone().exp() + y.clone() - y).swap_dims(1, 2)
        });
        assert_eq!(found.iter().filter(|name| *name == "TRANSPOSE").count(), 1, "{found:?}");
    }

    #[test]
    fn joined_dimensions_are_cut_where_another_operand_is_broadcast() {
        let found =
            operators(&parameter([1, 3, 1]), numbers([2, 12]), |weights: &Param<Tensor<3>>, x: Tensor<2>| {
                x.exp().reshape([-1, 3, 4]) + weights.val()
            });
        assert_eq!(found, ["EXP", "RESHAPE", "ADD"]);
    }

    #[test]
    fn both_operands_may_be_broadcast() {
        let found =
            operators(&FUNCTION, numbers([2, 3, 4]), |_, x: Tensor<3>| x.clone().mean_dim(1) * x.mean_dim(2));
        assert_eq!(found, ["MEAN", "MEAN", "MUL"]);
    }
}
