//! How a reduction walks through its operand.

use alloc::vec::Vec;

use burnlite_tflite::ReducerOptions;

use crate::error::OperatorFault;
use crate::ops::strided::dimension;
use crate::plan::Node;

/// The elements of the operand in groups, one for each result.
#[derive(Debug)]
pub(super) struct Groups {
    /// The results' shape.
    pub(super) shape: Vec<usize>,
    /// Where each group starts.
    starts: Axes,
    /// Where each of a group's runs starts, from the group's start.
    runs: Axes,
    /// The elements of a run.
    run: Axis,
}

impl Groups {
    /// Groups along the dimensions that the second operand lists: negative ones from the end, any of them repeatedly.
    pub(super) fn new(node: &Node<'_>, options: &ReducerOptions) -> Result<Self, OperatorFault> {
        let input = node.input(0)?;
        let rank = input.shape.len();
        let mut is_reduced = alloc::vec![false; rank];
        // A scalar has no dimensions to name; whatever the list says, there is one element in one group.
        let axes = if rank == 0 { Vec::new() } else { node.input(1)?.constant::<i32>()? };
        for axis in axes {
            is_reduced[dimension(axis, rank)?] = true;
        }
        Ok(Self::along(input.shape, &is_reduced, options.keep_dims))
    }

    pub(super) fn along(extents: &[usize], is_reduced: &[bool], keep_dims: bool) -> Self {
        let (mut starts, mut runs) = (Axes::default(), Axes::default());
        let mut step = 1;
        for (&extent, &is_reduced) in extents.iter().zip(is_reduced).rev() {
            let axes = if is_reduced { &mut runs } else { &mut starts };
            axes.push(Axis { extent, step });
            step *= extent;
        }
        let run = runs.pop().unwrap_or(Axis { extent: 1, step: 1 });
        let result_extent = |(&extent, &is_reduced): (&usize, &bool)| match is_reduced {
            true => keep_dims.then_some(1),
            false => Some(extent),
        };
        let shape = extents.iter().zip(is_reduced).filter_map(result_extent).collect();
        Self { shape, starts, runs, run }
    }

    /// Elements of each group.
    pub(super) fn elements(&self) -> usize {
        self.runs.count() * self.run.extent
    }

    /// How many groups one after the other have their elements beside each other: 1 or more.
    pub(super) fn neighbours(&self) -> usize {
        self.starts.0.first().filter(|axis| axis.step == 1).map_or(1, |axis| axis.extent.max(1))
    }

    /// Calls `visit` with the start of each of a group's runs, in the operand's order.
    #[inline(always)]
    pub(super) fn for_each_run(&self, group: usize, mut visit: impl FnMut(usize, Axis)) {
        let group_start = self.starts.offset(group);
        for run in 0..self.runs.count() {
            visit(group_start + self.runs.offset(run), self.run);
        }
    }

    /// Folds the elements of a group in the operand's order.
    pub(super) fn fold<X: Copy, A>(
        &self,
        group: usize,
        input: &[X],
        initial: A,
        fold: impl Fn(A, X) -> A,
    ) -> A {
        let group_start = self.starts.offset(group);
        let mut accumulator = initial;
        for run in 0..self.runs.count() {
            let start = group_start + self.runs.offset(run);
            for element in 0..self.run.extent {
                accumulator = fold(accumulator, input[start + element * self.run.step]);
            }
        }
        accumulator
    }
}

/// A dimension: its extent, and the elements between neighbours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Axis {
    pub(super) extent: usize,
    pub(super) step: usize,
}

/// Dimensions whose places are numbered together, the last one's first.
#[derive(Debug, Default)]
struct Axes(Vec<Axis>);

impl Axes {
    /// Adds a dimension before those that are there; with its neighbour in memory it is one.
    fn push(&mut self, axis: Axis) {
        match self.0.last_mut() {
            Some(inner) if inner.extent * inner.step == axis.step => inner.extent *= axis.extent,
            _ => self.0.push(axis),
        }
    }

    /// Takes the last dimension out.
    fn pop(&mut self) -> Option<Axis> {
        (!self.0.is_empty()).then(|| self.0.remove(0))
    }

    fn count(&self) -> usize {
        self.0.iter().map(|axis| axis.extent).product()
    }

    /// The offset of the place with the given number.
    #[inline]
    fn offset(&self, number: usize) -> usize {
        let (mut rest, mut offset) = (number, 0);
        for axis in &self.0 {
            offset += rest % axis.extent * axis.step;
            rest /= axis.extent;
        }
        offset
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbouring_dimensions_are_walked_as_one() {
        let groups = Groups::along(&[2, 3, 4, 5], &[false, true, true, false], false);
        assert_eq!(groups.shape, [2, 5]);
        assert_eq!((groups.runs.count(), groups.run), (1, Axis { extent: 12, step: 5 }));
        // An extent of 1 between them does not part them.
        let groups = Groups::along(&[2, 1, 3], &[true, false, true], true);
        assert_eq!(groups.shape, [1, 1, 1]);
        assert_eq!(groups.run, Axis { extent: 6, step: 1 });
    }
}
