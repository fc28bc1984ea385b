//! TRANSPOSE, REVERSE_V2, TILE and BROADCAST_TO: the whole operand in another order, or again and again.

use alloc::vec::Vec;

use crate::error::OperatorFault;
use crate::ops::strided::{Copies, View, dimension, element_bytes, from_the_end};
use crate::plan::{Node, Planned};

/// TRANSPOSE: the second operand lists, for each dimension of the result, the operand's dimension.
pub(crate) fn plan_transpose(node: &Node<'_>) -> Result<Planned, OperatorFault> {
    let input = node.input(0)?;
    let asked = node.input(1)?.indices()?;
    let order = permutation(&asked, input.shape.len()).ok_or_else(|| OperatorFault::Shape {
        what: alloc::format!("{asked:?} is not an order of the dimensions"),
        found: input.shape.into(),
    })?;
    let bytes = element_bytes(node, &input)?;
    let shape: Vec<usize> = order.iter().map(|&dimension| input.shape[dimension]).collect();
    let source = View::whole(input.shape, bytes)?.permuted(&order);
    let copies = Copies::of_operand(0, &source, &View::whole(&shape, bytes)?);
    Ok(Planned::new(shape, copies))
}

/// The order in which every dimension occurs once; `None` where one does not.
fn permutation(asked: &[i64], rank: usize) -> Option<Vec<usize>> {
    let mut order = Vec::with_capacity(rank);
    for &asked in asked {
        order.push(from_the_end(asked, rank).filter(|dimension| !order.contains(dimension))?);
    }
    (order.len() == rank).then_some(order)
}

/// REVERSE_V2: backwards along the dimensions that the second operand lists.
pub(crate) fn plan_reverse(node: &Node<'_>) -> Result<Planned, OperatorFault> {
    let input = node.input(0)?;
    let bytes = element_bytes(node, &input)?;
    let mut is_reversed = alloc::vec![false; input.shape.len()];
    for axis in node.input(1)?.indices()? {
        is_reversed[dimension(axis, input.shape.len())?] = true;
    }
    let whole = View::whole(input.shape, bytes)?;
    let mut source = whole.clone();
    for (dimension, &extent) in
        input.shape.iter().enumerate().filter(|(dimension, _)| is_reversed[*dimension])
    {
        source = source.strided(dimension, extent.saturating_sub(1), extent, -1);
    }
    Ok(Planned::new(input.shape, Copies::of_operand(0, &source, &whole)))
}

/// TILE: each dimension as often as the second operand says.
pub(crate) fn plan_tile(node: &Node<'_>) -> Result<Planned, OperatorFault> {
    let input = node.input(0)?;
    let asked = node.input(1)?.indices()?;
    let times: Option<Vec<usize>> = asked.iter().map(|&times| usize::try_from(times).ok()).collect();
    match times {
        Some(times) if times.len() == input.shape.len() => plan_repetition(node, input.shape, &times),
        _ => Err(OperatorFault::Shape {
            what: alloc::format!("{asked:?} does not say how often each dimension is repeated"),
            found: input.shape.into(),
        }),
    }
}

/// BROADCAST_TO: the second operand is the result's shape, whose last dimensions are the operand's, or those of extent 1
/// repeated.
pub(crate) fn plan_broadcast(node: &Node<'_>) -> Result<Planned, OperatorFault> {
    let input = node.input(0)?;
    let asked = node.input(1)?.indices()?;
    let fault = || OperatorFault::Shape {
        what: alloc::format!("the operand cannot be repeated to {asked:?}"),
        found: input.shape.into(),
    };
    let new_axes = asked.len().checked_sub(input.shape.len()).ok_or_else(fault)?;
    let mut shape = alloc::vec![1; new_axes];
    shape.extend(input.shape);
    let mut times = Vec::with_capacity(asked.len());
    for (&extent, &asked) in shape.iter().zip(&asked) {
        let asked = usize::try_from(asked).map_err(|_| fault())?;
        times.push(match extent {
            _ if extent == asked => 1,
            1 => asked,
            _ => return Err(fault()),
        });
    }
    plan_repetition(node, &shape, &times)
}

/// The first operand, seen under the given shape, with each dimension repeated.
fn plan_repetition(node: &Node<'_>, shape: &[usize], times: &[usize]) -> Result<Planned, OperatorFault> {
    let bytes = element_bytes(node, &node.input(0)?)?;
    let mut source = View::whole(shape, bytes)?;
    let (mut repeated, mut pairs) = (Vec::with_capacity(shape.len()), Vec::with_capacity(2 * shape.len()));
    for (dimension, (&extent, &times)) in shape.iter().zip(times).enumerate() {
        source = source.repeated(2 * dimension, times);
        pairs.extend([times, extent]);
        // The view of the result refuses what is too large.
        repeated.push(times.saturating_mul(extent));
    }
    let copies = Copies::of_operand(0, &source, &View::whole(&pairs, bytes)?);
    Ok(Planned::new(repeated, copies))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_has_every_dimension_once() {
        assert_eq!(permutation(&[2, 0, -2], 3), Some([2, 0, 1].into()));
        assert_eq!(permutation(&[], 0), Some([].into()));
        for asked in [&[0, 1][..], &[0, 1, 1], &[0, 1, -2], &[0, 1, 3], &[0, 1, 2, 0], &[i64::MIN, 1, 2]] {
            assert_eq!(permutation(asked, 3), None, "{asked:?}");
        }
    }
}
