//! TRANSPOSE and STRIDED_SLICE: elements of the operand, walked in another order.

use alloc::vec::Vec;

use burnlite_tflite::StridedSliceOptions;

use crate::error::OperatorFault;
use crate::frame::{Inputs, Writable};
use crate::plan::{Kernel, Node, Operand, Planned};

/// TRANSPOSE: the second operand lists, for each dimension of the result, the operand's dimension.
pub(crate) fn plan_transpose(node: &Node<'_>) -> Result<Planned, OperatorFault> {
    let input = node.input(0)?;
    let order = node.input(1)?.constant::<i32>()?;
    let rank = input.shape.len();
    let fault = || OperatorFault::Shape {
        what: alloc::format!("{order:?} is not an order of the dimensions"),
        found: input.shape.into(),
    };
    let steps = steps(input.shape);
    let mut seen = alloc::vec![false; rank];
    let mut axes = Vec::with_capacity(rank);
    for &dimension in &order {
        let dimension =
            from_the_end(dimension, rank).filter(|&dimension| !seen[dimension]).ok_or_else(fault)?;
        seen[dimension] = true;
        axes.push(Axis { extent: input.shape[dimension], step: steps[dimension] });
    }
    if axes.len() != rank {
        return Err(fault());
    }
    let shape: Vec<usize> = axes.iter().map(|axis| axis.extent).collect();
    let walk = Walk { axes, start: 0, element_bytes: element_bytes(node, &input)? };
    Ok(Planned::new(shape, walk))
}

/// STRIDED_SLICE: `begin`, `end` and `strides` select from each dimension, as the options' masks modify them.
pub(crate) fn plan_slice(node: &Node<'_>, options: &StridedSliceOptions) -> Result<Planned, OperatorFault> {
    if options.ellipsis_mask != 0 || options.new_axis_mask != 0 || options.offset {
        return Err(OperatorFault::Unsupported { what: "an ellipsis, a new axis or an offset".into() });
    }
    let input = node.input(0)?;
    let bounds: Vec<Vec<i32>> =
        (1..4).map(|position| node.input(position)?.constant::<i32>()).collect::<Result<_, _>>()?;
    let [begin, end, strides] = &bounds[..] else {
        return Err(OperatorFault::Missing { what: "input", position: 3 });
    };
    let count = begin.len();
    if end.len() != count || strides.len() != count || count > input.shape.len() {
        let what = "begin, end and strides must have one element for each dimension".into();
        return Err(OperatorFault::Shape { what, found: [count, end.len(), strides.len()].into() });
    }
    let (mut axes, mut shape, mut start) = (Vec::new(), Vec::new(), 0);
    for (dimension, (&extent, &step)) in input.shape.iter().zip(&steps(input.shape)).enumerate() {
        let is_set = |mask: i32| dimension < 32 && mask & (1 << dimension) != 0;
        let bound = |values: &[i32], mask| values.get(dimension).copied().filter(|_| !is_set(mask));
        let slice = Slice {
            begin: bound(begin, options.begin_mask),
            end: bound(end, options.end_mask),
            stride: strides.get(dimension).copied().unwrap_or(1),
        };
        let is_dropped = dimension < count && is_set(options.shrink_axis_mask);
        let (first, taken) = if is_dropped { slice.one(extent)? } else { slice.range(extent)? };
        start += first * step;
        axes.push(Axis { extent: taken, step: step * slice.stride as isize });
        if !is_dropped {
            shape.push(taken);
        }
    }
    Ok(Planned::new(shape, Walk { axes, start, element_bytes: element_bytes(node, &input)? }))
}

/// What is taken from one dimension; bounds may be negative (from the end) or left out (the border).
struct Slice {
    begin: Option<i32>,
    end: Option<i32>,
    stride: i32,
}

impl Slice {
    /// First element and number of elements.
    fn range(&self, extent: usize) -> Result<(isize, usize), OperatorFault> {
        if self.stride == 0 {
            return Err(OperatorFault::Option { option: "the stride", expected: "not 0", found: 0 });
        }
        let (extent, stride) = (extent as i64, i64::from(self.stride));
        // Backwards, the element before the first one ends the slice.
        let (low, high) = if stride > 0 { (0, extent) } else { (-1, extent - 1) };
        let place = |bound: i32| (i64::from(bound) + if bound < 0 { extent } else { 0 }).clamp(low, high);
        let begin = self.begin.map_or(if stride > 0 { low } else { high }, place);
        let end = self.end.map_or(if stride > 0 { high } else { low }, place);
        let span = if stride > 0 { end - begin } else { begin - end };
        let taken = usize::try_from(span).unwrap_or(0).div_ceil(stride.unsigned_abs() as usize);
        Ok((if taken == 0 { 0 } else { begin as isize }, taken))
    }

    /// The one element at `begin`.
    fn one(&self, extent: usize) -> Result<(isize, usize), OperatorFault> {
        let begin = self.begin.unwrap_or(if self.stride < 0 { -1 } else { 0 });
        let index = from_the_end(begin, extent);
        let fault =
            OperatorFault::Option { option: "begin", expected: "within the dimension", found: begin.into() };
        index.map(|index| (index as isize, 1)).ok_or(fault)
    }
}

/// The index that a number means, negative ones from the end; `None` outside.
pub(crate) fn from_the_end(index: i32, count: usize) -> Option<usize> {
    let index = if index < 0 { i64::from(index) + count as i64 } else { index.into() };
    usize::try_from(index).ok().filter(|&index| index < count)
}

/// Bytes of one element; operand and result must have the same type of a whole number of bytes.
pub(crate) fn element_bytes(node: &Node<'_>, input: &Operand<'_>) -> Result<usize, OperatorFault> {
    let bits = input.element_type().bits().filter(|bits| bits.is_multiple_of(8));
    match bits {
        Some(bits) if node.output(0)?.element_type() == input.element_type() => Ok(bits / 8),
        _ => Err(node.types_fault()),
    }
}

/// Elements between neighbours along each dimension.
fn steps(shape: &[usize]) -> Vec<isize> {
    let mut steps = alloc::vec![1isize; shape.len()];
    for dimension in (1..shape.len()).rev() {
        steps[dimension - 1] = steps[dimension] * shape[dimension] as isize;
    }
    steps
}

/// A dimension of the result: its extent, and the elements between neighbours in the operand.
#[derive(Debug, Clone, Copy)]
struct Axis {
    extent: usize,
    step: isize,
}

/// Copies elements along axes of the operand.
#[derive(Debug)]
struct Walk {
    axes: Vec<Axis>,
    start: isize,
    element_bytes: usize,
}

impl Kernel for Walk {
    fn run(&self, inputs: &Inputs<'_>, [output, ..]: &mut Writable<'_>) -> Result<(), OperatorFault> {
        let (input, bytes) = (inputs.bytes(0), self.element_bytes);
        for (index, element) in output.chunks_exact_mut(bytes).enumerate() {
            let (mut rest, mut position) = (index, self.start);
            for axis in self.axes.iter().rev() {
                position += (rest % axis.extent) as isize * axis.step;
                rest /= axis.extent;
            }
            element.copy_from_slice(&input[position.unsigned_abs() * bytes..][..bytes]);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slices_follow_python() {
        let range = |begin, end, stride| Slice { begin, end, stride }.range(10).unwrap();
        assert_eq!(range(None, None, 1), (0, 10));
        assert_eq!(range(Some(2), Some(7), 2), (2, 3));
        assert_eq!(range(Some(-3), None, 1), (7, 3));
        assert_eq!(range(None, None, -1), (9, 10));
        assert_eq!(range(Some(8), Some(2), -3), (8, 2));
        assert_eq!(range(Some(7), Some(2), 1), (0, 0));
        assert_eq!(range(Some(-100), Some(100), 1), (0, 10));
        assert!(Slice { begin: None, end: None, stride: 0 }.range(10).is_err());
        assert_eq!(Slice { begin: Some(-1), end: None, stride: 1 }.one(10).unwrap(), (9, 1));
        assert!(Slice { begin: Some(10), end: None, stride: 1 }.one(10).is_err());
    }
}
