//! Copies between strided views: what operators that only move elements are made of, whatever the elements' type.

use alloc::vec::Vec;
use core::ops::Range;

use crate::error::OperatorFault;
use crate::frame::{Inputs, Writable};
use crate::interpreter::Numerics;
use crate::plan::{Kernel, Node, Operand};

/// Elements of a tensor in an order of their own: along each axis they lie a step apart.
///
/// A step may be negative (backwards) or 0 (the same elements again).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct View {
    axes: Vec<Axis>,
    /// Bytes from the tensor's start to the view's first element.
    start: isize,
    element_bytes: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Axis {
    extent: usize,
    /// Bytes from an element to its neighbour.
    step: isize,
}

impl View {
    /// All elements of a tensor of the given shape, in order.
    ///
    /// # Errors
    /// Where the tensor is larger than memory can be, even with extents of 0 taken as 1.
    pub(crate) fn whole(shape: &[usize], element_bytes: usize) -> Result<Self, OperatorFault> {
        let mut axes = Vec::with_capacity(shape.len());
        let mut step = Some(element_bytes.cast_signed());
        for &extent in shape.iter().rev() {
            axes.extend(step.map(|step| Axis { extent, step }));
            let factor = isize::try_from(extent.max(1)).ok();
            step = step.zip(factor).and_then(|(step, factor)| step.checked_mul(factor));
        }
        if step.is_none() {
            let what = "the tensor is larger than memory can be".into();
            return Err(OperatorFault::Shape { what, found: shape.into() });
        }
        axes.reverse();
        Ok(Self { axes, start: 0, element_bytes })
    }

    /// The elements of `range` along a dimension.
    pub(crate) fn narrowed(self, dimension: usize, range: Range<usize>) -> Self {
        self.strided(dimension, range.start, range.len(), 1)
    }

    /// `count` elements along a dimension, from the one at `first` in strides. All of them must exist.
    pub(crate) fn strided(mut self, dimension: usize, first: usize, count: usize, stride: isize) -> Self {
        let axis = &mut self.axes[dimension];
        self.start += first.cast_signed() * axis.step;
        axis.extent = count;
        // With fewer elements the step leads nowhere, and may overflow.
        if count > 1 {
            axis.step *= stride;
        }
        self
    }

    /// The dimensions in another order.
    pub(crate) fn permuted(mut self, order: &[usize]) -> Self {
        self.axes = order.iter().map(|&dimension| self.axes[dimension]).collect();
        self
    }

    /// A new dimension before the given one, along which the same elements are seen again.
    pub(crate) fn repeated(mut self, dimension: usize, times: usize) -> Self {
        self.axes.insert(dimension, Axis { extent: times, step: 0 });
        self
    }

    /// A dimension as two: `count` blocks, and the elements of a block. The first block starts `before` elements before
    /// the first one that exists, and the blocks end behind the last one or on it.
    pub(crate) fn blocked(mut self, dimension: usize, count: usize, block: usize, before: usize) -> Self {
        let Axis { step, .. } = self.axes[dimension];
        self.start -= before.cast_signed() * step;
        self.axes[dimension] = Axis { extent: block, step };
        self.axes.insert(dimension, Axis { extent: count, step: step * block.cast_signed() });
        self
    }

    /// The first element of a tensor, wherever this view has one.
    fn of_one_element(mut self) -> Self {
        self.start = 0;
        self.axes.iter_mut().for_each(|axis| axis.step = 0);
        self
    }
}

/// A copy from one view to another, with as few and as long runs of bytes as the two allow.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct StridedCopy {
    axes: Vec<CopyAxis>,
    source: usize,
    target: usize,
    run_bytes: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct CopyAxis {
    extent: usize,
    source_step: isize,
    target_step: isize,
}

impl StridedCopy {
    /// The views must have the same extents.
    pub(crate) fn new(source: &View, target: &View) -> Self {
        let extents = |view: &View| view.axes.iter().map(|axis| axis.extent).collect::<Vec<_>>();
        debug_assert_eq!(extents(source), extents(target));
        if source.axes.iter().any(|axis| axis.extent == 0) {
            return Self::default();
        }
        let mut run_bytes = source.element_bytes;
        // Innermost first.
        let mut axes: Vec<CopyAxis> = Vec::new();
        for (from, to) in source.axes.iter().zip(&target.axes).rev().filter(|(from, _)| from.extent > 1) {
            let run = run_bytes.cast_signed();
            match axes.last_mut() {
                None if (from.step, to.step) == (run, run) => run_bytes *= from.extent,
                Some(inner) if inner.continues(from.step, to.step) => inner.extent *= from.extent,
                _ => {
                    axes.push(CopyAxis { extent: from.extent, source_step: from.step, target_step: to.step })
                }
            }
        }
        axes.reverse();
        let (source, target) = (source.start.cast_unsigned(), target.start.cast_unsigned());
        Self { axes, source, target, run_bytes }
    }

    /// The copy from what this one writes to what it reads.
    pub(crate) fn reversed(mut self) -> Self {
        core::mem::swap(&mut self.source, &mut self.target);
        for axis in &mut self.axes {
            core::mem::swap(&mut axis.source_step, &mut axis.target_step);
        }
        self
    }

    /// Copies.
    pub(crate) fn copy(&self, source: &[u8], target: &mut [u8]) {
        // Of a length that the compiler knows, a run is a load and a store.
        match self.run_bytes {
            1 => self.copy_runs::<1>(source, target),
            2 => self.copy_runs::<2>(source, target),
            4 => self.copy_runs::<4>(source, target),
            8 => self.copy_runs::<8>(source, target),
            _ => self.copy_runs::<0>(source, target),
        }
    }

    /// Copies runs of `BYTES` bytes; 0 stands for any number.
    fn copy_runs<const BYTES: usize>(&self, source: &[u8], target: &mut [u8]) {
        let Some((inner, outer)) = self.axes.split_last() else {
            let bytes = self.run_bytes;
            return target[self.target..][..bytes].copy_from_slice(&source[self.source..][..bytes]);
        };
        for_each_place(outer, self.source, self.target, &mut |from, to| {
            let bytes = if BYTES == 0 { self.run_bytes } else { BYTES };
            inner.copy(bytes, (source, from), (&mut *target, to));
        });
    }
}

impl CopyAxis {
    /// Whether an axis of the given steps goes on where this one ends, so that the two are one.
    fn continues(&self, source_step: isize, target_step: isize) -> bool {
        let extent = self.extent.cast_signed();
        (self.source_step * extent, self.target_step * extent) == (source_step, target_step)
    }

    /// Copies the runs along the axis.
    #[inline(always)]
    fn copy(&self, bytes: usize, (source, mut from): (&[u8], usize), (target, mut to): (&mut [u8], usize)) {
        if (self.source_step, self.target_step) == (0, bytes.cast_signed()) {
            return repeat(&source[from..][..bytes], &mut target[to..][..bytes * self.extent]);
        }
        for _ in 0..self.extent {
            target[to..][..bytes].copy_from_slice(&source[from..][..bytes]);
            from = from.wrapping_add_signed(self.source_step);
            to = to.wrapping_add_signed(self.target_step);
        }
    }
}

/// Fills the target with a run again and again.
#[inline(always)]
fn repeat(run: &[u8], target: &mut [u8]) {
    if let &[byte] = run {
        return target.fill(byte);
    }
    target[..run.len()].copy_from_slice(run);
    let mut done = run.len();
    while done < target.len() {
        let more = done.min(target.len() - done);
        target.copy_within(..more, done);
        done += more;
    }
}

/// Calls `visit` with each place along the axes in source and target. Every axis has two elements or more, so there are
/// fewer axes, and calls within calls, than an address has bits.
#[inline]
fn for_each_place(axes: &[CopyAxis], mut from: usize, mut to: usize, visit: &mut impl FnMut(usize, usize)) {
    let Some((axis, inner)) = axes.split_first() else { return visit(from, to) };
    for _ in 0..axis.extent {
        for_each_place(inner, from, to, visit);
        from = from.wrapping_add_signed(axis.source_step);
        to = to.wrapping_add_signed(axis.target_step);
    }
}

/// A result that copies fill, one after the other.
#[derive(Debug)]
pub(crate) struct Copies(Vec<Part>);

/// A copy to a part of the result, and what it copies from.
#[derive(Debug)]
pub(crate) struct Part {
    source: Source,
    copy: StridedCopy,
}

/// What a part is copied from.
#[derive(Debug)]
pub(crate) enum Source {
    Operand(usize),
    Constant(Vec<u8>),
}

impl Copies {
    pub(crate) fn new(parts: impl IntoIterator<Item = Part>) -> Self {
        Self(parts.into_iter().collect())
    }

    /// All of the result is a view of the operand at the given position.
    pub(crate) fn of_operand(position: usize, source: &View, target: &View) -> Self {
        Self::new([Part::of_operand(position, StridedCopy::new(source, target))])
    }
}

impl Part {
    pub(crate) fn of_operand(position: usize, copy: StridedCopy) -> Self {
        Self { source: Source::Operand(position), copy }
    }

    /// The source's first element, everywhere in `target`.
    pub(crate) fn filling(target: &View, source: Source) -> Self {
        Self { source, copy: StridedCopy::new(&target.clone().of_one_element(), target) }
    }
}

impl Kernel for Copies {
    fn run(&self, inputs: &Inputs<'_>, [output, ..]: &mut Writable<'_>) -> Result<(), OperatorFault> {
        for part in &self.0 {
            let source = match &part.source {
                Source::Operand(position) => inputs.bytes(*position),
                Source::Constant(bytes) => bytes,
            };
            part.copy.copy(source, output);
        }
        Ok(())
    }

    fn table_bytes(&self) -> usize {
        let axes: usize = self.0.iter().map(|part| size_of_val(&part.copy.axes[..])).sum();
        size_of_val(&self.0[..]) + axes
    }
}

/// The index that a number means, negative ones from the end; `None` outside.
pub(crate) fn from_the_end(index: impl Into<i64>, count: usize) -> Option<usize> {
    let index = index.into();
    let index = if index < 0 { index.saturating_add_unsigned(count as u64) } else { index };
    usize::try_from(index).ok().filter(|&index| index < count)
}

/// The dimension that an axis means, negative ones from the end.
pub(crate) fn dimension(axis: impl Into<i64>, rank: usize) -> Result<usize, OperatorFault> {
    let found = axis.into();
    let fault = OperatorFault::Option { option: "the axis", expected: "one of the dimensions", found };
    from_the_end(found, rank).ok_or(fault)
}

/// Where values go from one tensor to another as they are, LiteRT refuses other scales and zero points; tflite-micro does
/// not look.
pub(crate) fn require_same_quantization(
    node: &Node<'_>,
    one: &Operand<'_>,
    other: &Operand<'_>,
) -> Result<(), OperatorFault> {
    match node.options.numerics {
        Numerics::LiteRt => one.require_quantization_of(other),
        Numerics::TfLiteMicro => Ok(()),
    }
}

/// Bytes of one element; operand and results must have the same type of a whole number of bytes.
pub(crate) fn element_bytes(node: &Node<'_>, input: &Operand<'_>) -> Result<usize, OperatorFault> {
    for position in 0..node.operator.outputs.len() {
        if node.output(position)?.element_type() != input.element_type() {
            return Err(node.types_fault());
        }
    }
    match input.element_type().bits() {
        Some(bits) if bits.is_multiple_of(8) => Ok(bits / 8),
        _ => Err(node.types_fault()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(shape: &[usize]) -> View {
        View::whole(shape, 2).unwrap()
    }

    fn axis(extent: usize, source_step: isize, target_step: isize) -> CopyAxis {
        CopyAxis { extent, source_step, target_step }
    }

    #[test]
    fn what_lies_together_is_one_run() {
        let all = StridedCopy::new(&whole(&[2, 3, 4]), &whole(&[2, 3, 4]));
        assert_eq!(all, StridedCopy { run_bytes: 48, ..StridedCopy::default() });
        let rows = StridedCopy::new(&whole(&[5, 3, 4]).narrowed(0, 1..3), &whole(&[2, 3, 4]));
        assert_eq!(rows, StridedCopy { source: 24, run_bytes: 48, ..StridedCopy::default() });
        // Two dimensions at which neither side stops are one.
        let columns = StridedCopy::new(&whole(&[2, 3, 4]).narrowed(2, 1..3), &whole(&[2, 3, 2]));
        assert_eq!(columns, StridedCopy { axes: [axis(6, 8, 4)].into(), source: 2, target: 0, run_bytes: 4 });
    }

    #[test]
    fn orders_of_dimensions_are_those_of_the_elements_indices() {
        let shape = [2, 1, 3, 2];
        let bytes: [u8; 24] = core::array::from_fn(|index| index as u8);
        let orders = (0..256).map(|code| [code / 64, code / 16 % 4, code / 4 % 4, code % 4]);
        for order in orders.filter(|order| (0..4).all(|dimension| order.contains(&dimension))) {
            let extents = order.map(|dimension| shape[dimension]);
            let copy = StridedCopy::new(&whole(&shape).permuted(&order), &whole(&extents));
            let mut target = [0; 24];
            copy.copy(&bytes, &mut target);
            for (position, element) in target.chunks_exact(2).enumerate() {
                let (mut rest, mut index) = (position, [0; 4]);
                for (&dimension, extent) in order.iter().zip(extents).rev() {
                    (index[dimension], rest) = (rest % extent, rest / extent);
                }
                let expected =
                    shape.iter().zip(index).fold(0, |place, (extent, index)| place * extent + index);
                assert_eq!(element, &bytes[2 * expected..][..2], "{order:?}");
            }
        }
    }

    #[test]
    fn steps_go_backwards_and_stand_still() {
        let backwards = whole(&[3]).strided(0, 2, 3, -1).repeated(0, 2);
        let copy = StridedCopy::new(&backwards, &whole(&[2, 3]));
        let mut target = [0; 12];
        copy.copy(&[1, 2, 3, 4, 5, 6], &mut target);
        assert_eq!(target, [5, 6, 3, 4, 1, 2, 5, 6, 3, 4, 1, 2]);
        let mut source = [0; 6];
        copy.reversed().copy(&target, &mut source);
        assert_eq!(source, [1, 2, 3, 4, 5, 6]);
    }

    #[test]
    fn nothing_is_copied_where_there_is_nothing() {
        let copy = StridedCopy::new(&whole(&[2, 3]).narrowed(1, 3..3), &whole(&[2, 0]));
        copy.copy(&[0; 12], &mut []);
    }

    #[test]
    fn a_tensor_larger_than_memory_is_refused_even_if_it_is_empty() {
        assert!(View::whole(&[1 << 40, 1 << 40], 1).is_err());
        assert!(View::whole(&[1 << 40, 0, 1 << 40], 1).is_err());
        assert!(View::whole(&[0, 1 << 40], 1).is_ok());
    }
}
