//! Broadcasting: operands of different shapes, walked together.
//!
//! Shapes are aligned at their last dimensions; an operand that lacks a dimension, or has it with extent 1, is repeated
//! along it.

use alloc::vec::Vec;

use crate::error::OperatorFault;
use crate::kernels::elementwise::Side;

/// The shape of what operands of the given shapes make together.
pub(crate) fn broadcast_shape(operands: &[&[usize]]) -> Result<Vec<usize>, OperatorFault> {
    let rank = operands.iter().map(|shape| shape.len()).max().unwrap_or(0);
    let mut result = alloc::vec![1; rank];
    for shape in operands {
        for (extent, &own) in result.iter_mut().rev().zip(shape.iter().rev()) {
            match (*extent, own) {
                (1, own) => *extent = own,
                (extent, own) if own == extent || own == 1 => {}
                _ => {
                    let what = alloc::format!("the shapes {operands:?} do not broadcast");
                    return Err(OperatorFault::Shape { what, found: shape.to_vec() });
                }
            }
        }
    }
    Ok(result)
}

/// The way through `N` operands that visits what makes each element of a result, in the result's order.
///
/// Neighbouring dimensions along which every operand goes on at the same pace are one axis here, so that operands of one
/// shape have a single axis, whatever its rank. The innermost axis is a run: a plain slice of each operand, or one element
/// of it repeated.
#[derive(Debug, Clone)]
pub(crate) struct Broadcast<const N: usize> {
    /// What encloses the rows, outermost first.
    outer: Vec<Axis<N>>,
    rows: Axis<N>,
    run: Axis<N>,
}

/// Elements of the result along an axis, and how far each operand moves from one to the next: 0 where it is repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Axis<const N: usize> {
    extent: usize,
    steps: [usize; N],
}

impl<const N: usize> Broadcast<N> {
    /// The way through operands that broadcast to the result.
    pub(crate) fn new(operands: [&[usize]; N], result: &[usize]) -> Self {
        // Innermost first. What overflows belongs to shapes that no memory holds: the planner refuses them.
        let mut axes: Vec<Axis<N>> = Vec::new();
        let mut steps = [1usize; N];
        for (from_the_end, &extent) in result.iter().rev().enumerate() {
            let own = operands.map(|shape| shape.iter().rev().nth(from_the_end).copied().unwrap_or(1));
            let axis = Axis {
                extent,
                steps: core::array::from_fn(|index| if own[index] == 1 { 0 } else { steps[index] }),
            };
            steps = core::array::from_fn(|index| steps[index].saturating_mul(own[index]));
            match axes.last_mut() {
                _ if extent == 1 => {}
                Some(inner) if inner.leads_to(&axis) => inner.extent = inner.extent.saturating_mul(extent),
                _ => axes.push(axis),
            }
        }
        let mut axes = axes.into_iter();
        let run = axes.next().unwrap_or(Axis { extent: 1, steps: [1; N] });
        let rows = axes.next().unwrap_or(Axis { extent: 1, steps: [0; N] });
        Self { outer: axes.rev().collect(), rows, run }
    }

    /// Calls `fill` with each run of the result and the operands' elements at which it starts.
    #[inline]
    pub(crate) fn for_each_run<Y>(&self, output: &mut [Y], mut fill: impl FnMut([usize; N], &mut [Y])) {
        let block = self.rows.extent * self.run.extent;
        for (index, block) in output.chunks_exact_mut(block.max(1)).enumerate() {
            let mut starts = self.starts(index);
            for run in block.chunks_exact_mut(self.run.extent) {
                fill(starts, run);
                for (start, step) in starts.iter_mut().zip(self.rows.steps) {
                    *start += step;
                }
            }
        }
    }

    /// How far each operand moves along a run, from element to element: 1, or 0 where it is repeated.
    pub(crate) fn run_steps(&self) -> [usize; N] {
        self.run.steps
    }

    /// The elements of the operands that make the result's element with the given index.
    pub(crate) fn sources(&self, index: usize) -> [usize; N] {
        let (row, place) = (index / self.run.extent, index % self.run.extent);
        let mut sources = self.starts(row / self.rows.extent);
        for (source, (row_step, step)) in sources.iter_mut().zip(self.rows.steps.iter().zip(self.run.steps)) {
            *source += row % self.rows.extent * row_step + place * step;
        }
        sources
    }

    /// Where the block of rows with the given index starts in each operand.
    fn starts(&self, index: usize) -> [usize; N] {
        let (mut rest, mut starts) = (index, [0; N]);
        for axis in self.outer.iter().rev() {
            for (start, step) in starts.iter_mut().zip(axis.steps) {
                *start += rest % axis.extent * step;
            }
            rest /= axis.extent;
        }
        starts
    }
}

impl<const N: usize> Axis<N> {
    /// Whether walking this axis once is a step along the outer one, in every operand.
    fn leads_to(&self, outer: &Self) -> bool {
        self.steps.iter().zip(outer.steps).all(|(step, outer)| step.saturating_mul(self.extent) == outer)
    }
}

impl Broadcast<2> {
    /// Calls `fill` with the rows of each block of the result, their length, and what they are made of.
    #[inline]
    pub(crate) fn for_each_block<A, B, Y>(
        &self,
        (left, right): (&[A], &[B]),
        output: &mut [Y],
        mut fill: impl FnMut(Side<'_, A>, Side<'_, B>, &mut [Y], usize),
    ) {
        let ([left_row, right_row], [left_step, right_step]) = (self.rows.steps, self.run.steps);
        let block = self.rows.extent * self.run.extent;
        for (index, block) in output.chunks_exact_mut(block.max(1)).enumerate() {
            let [a, b] = self.starts(index);
            let left = Side { elements: &left[a..], row_step: left_row, step: left_step };
            let right = Side { elements: &right[b..], row_step: right_row, step: right_step };
            fill(left, right, block, self.run.extent);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::Engine;
    use crate::kernels::elementwise::{Loop, Zip};

    fn walk(left: &[usize], right: &[usize]) -> Vec<(usize, usize)> {
        let shape = broadcast_shape(&[left, right]).unwrap();
        let elements = |shape: &[usize]| (0..shape.iter().product()).collect::<Vec<usize>>();
        let mut output = alloc::vec![(0, 0); shape.iter().product()];
        let broadcast = Broadcast::new([left, right], &shape);
        let (left, right) = (elements(left), elements(right));
        broadcast.for_each_block((&left, &right), &mut output, |left, right, output, length| {
            Zip { left, right, output, length, function: &|a, b| (a, b) }.run(Engine::Generic);
        });
        let sources = (0..output.len()).map(|index| broadcast.sources(index).into());
        assert_eq!(sources.collect::<Vec<(usize, usize)>>(), output);
        output
    }

    #[test]
    fn every_element_meets_its_own() {
        let expected: Vec<_> = (0..4 * 5 * 6)
            .map(|index| (index / 30, index / 6 % 5, index % 6))
            .map(|(i, j, k)| (i * 6 + k, j * 6 + k))
            .collect();
        assert_eq!(walk(&[4, 1, 6], &[5, 6]), expected);
        assert_eq!(walk(&[2, 1, 2, 1], &[2, 1, 2])[..4], [(0, 0), (0, 1), (1, 0), (1, 1)]);
        assert_eq!(walk(&[], &[1, 1]), [(0, 0)]);
        assert_eq!(walk(&[3, 0, 2], &[1]), []);
        assert_eq!(walk(&[0, 1], &[1, 4]), []);
    }

    #[test]
    fn dimensions_that_go_on_alike_are_one_axis() {
        let extents = |left: &[usize], right: &[usize]| {
            let shape = broadcast_shape(&[left, right]).unwrap();
            let broadcast = Broadcast::new([left, right], &shape);
            (broadcast.outer.len(), broadcast.rows.extent, broadcast.run.extent)
        };
        assert_eq!(extents(&[2, 3, 1, 4], &[2, 3, 1, 4]), (0, 1, 24));
        assert_eq!(extents(&[2, 3, 4], &[]), (0, 1, 24));
        assert_eq!(extents(&[2, 3, 4], &[4]), (0, 6, 4));
        assert_eq!(extents(&[2, 3, 1], &[2, 3, 4]), (0, 6, 4));
        assert_eq!(extents(&[2, 1, 3, 1], &[1, 5, 1, 7]), (2, 3, 7));
    }

    #[test]
    fn shapes_that_do_not_broadcast_are_refused() {
        for (left, right) in [(&[2, 3][..], &[2][..]), (&[0], &[2]), (&[3, 1], &[2, 1])] {
            assert!(broadcast_shape(&[left, right]).is_err(), "{left:?} {right:?}");
        }
    }
}
