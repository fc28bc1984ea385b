//! FILL, RANGE, ONE_HOT and WHERE: tensors that are made from a few values.

use alloc::vec::Vec;
use core::marker::PhantomData;

use burnlite_tflite::{Element, ElementType, OneHotOptions};

use crate::error::OperatorFault;
use crate::frame::{Inputs, Writable, elements_mut};
use crate::ops::index::{Along, Indices};
use crate::ops::number::Number;
use crate::ops::strided::{dimension, element_bytes};
use crate::plan::{Kernel, Node, Planned};

/// FILL: a shape full of one value.
pub(crate) fn plan_fill(node: &Node<'_>) -> Result<Planned, OperatorFault> {
    let (shape, value) = (node.input(0)?.extents()?, node.input(1)?);
    value.require_one_element()?;
    Ok(Planned::new(shape, Fill { element_bytes: element_bytes(node, &value)? }))
}

/// RANGE: numbers from a start, step by step, short of a limit.
pub(crate) fn plan_range(node: &Node<'_>) -> Result<Planned, OperatorFault> {
    match node.output(0)?.element_type() {
        ElementType::Float32 => range::<f32>(node),
        ElementType::Int32 => range::<i32>(node),
        ElementType::Int64 => range::<i64>(node),
        _ => Err(node.types_fault()),
    }
}

fn range<T: Steps>(node: &Node<'_>) -> Result<Planned, OperatorFault> {
    let [start, limit, step] =
        [node.input(0)?.scalar()?, node.input(1)?.scalar()?, node.input(2)?.scalar::<T>()?];
    let zero = T::zeroed();
    if !(step > zero && start <= limit || step < zero && start >= limit) {
        let what = alloc::format!("a range from {start:?} to {limit:?} in steps of {step:?}");
        return Err(OperatorFault::Unsupported { what });
    }
    Ok(Planned::new([T::steps(start, limit, step)], Range { start, step }))
}

/// ONE_HOT: a new dimension, with one value at the index that an operand gives and another value elsewhere.
pub(crate) fn plan_one_hot(node: &Node<'_>, options: &OneHotOptions) -> Result<Planned, OperatorFault> {
    let (indices, depth, on, off) =
        (node.input(0)?, node.input(1)?.extent()?, node.input(2)?, node.input(3)?);
    on.require_one_element()?;
    off.require_one_element()?;
    if on.element_type() != off.element_type() {
        return Err(node.types_fault());
    }
    let axis = dimension(options.axis, indices.shape.len() + 1)?;
    let mut shape = indices.shape.to_vec();
    shape.insert(axis, depth);
    let kernel = OneHot {
        indices: Indices::new(node, 0)?,
        along: Along::new(&shape, axis),
        element_bytes: element_bytes(node, &on)?,
    };
    Ok(Planned::new(shape, kernel))
}

/// WHERE: the points at which a constant condition holds, that is, at which it is not zero.
pub(crate) fn plan_where(node: &Node<'_>) -> Result<Planned, OperatorFault> {
    if node.output(0)?.element_type() != ElementType::Int64 {
        return Err(node.types_fault());
    }
    match node.input(0)?.element_type() {
        ElementType::Bool | ElementType::UInt8 => plan_where_not_zero::<u8>(node),
        ElementType::Int8 => plan_where_not_zero::<i8>(node),
        ElementType::Int32 => plan_where_not_zero::<i32>(node),
        ElementType::Int64 => plan_where_not_zero::<i64>(node),
        ElementType::Float32 => plan_where_not_zero::<f32>(node),
        _ => Err(node.types_fault()),
    }
}

fn plan_where_not_zero<T: Element>(node: &Node<'_>) -> Result<Planned, OperatorFault> {
    let condition = node.input(0)?;
    let count = positions_not_zero(&condition.constant::<T>()?).count();
    let kernel = Where::<T> { extents: condition.shape.into(), element: PhantomData };
    Ok(Planned::new([count, condition.shape.len()], kernel))
}

fn positions_not_zero<T: Element>(condition: &[T]) -> impl Iterator<Item = usize> {
    condition.iter().enumerate().filter(|&(_, &value)| value != T::zeroed()).map(|(position, _)| position)
}

#[derive(Debug)]
struct Fill {
    element_bytes: usize,
}

impl Kernel for Fill {
    fn run(&self, inputs: &Inputs<'_>, [output, ..]: &mut Writable<'_>) -> Result<(), OperatorFault> {
        for element in output.chunks_exact_mut(self.element_bytes) {
            element.copy_from_slice(inputs.bytes(1));
        }
        Ok(())
    }
}

/// A number of which ranges are made.
trait Steps: Number {
    /// How many steps from `start` stay short of `limit`, which lies in the step's direction.
    fn steps(start: Self, limit: Self, step: Self) -> usize;
}

impl Steps for f32 {
    fn steps(start: Self, limit: Self, step: Self) -> usize {
        libm::ceilf((limit - start) / step) as usize
    }
}

macro_rules! integer_steps {
    ($($integer:ident),*) => {$(
        impl Steps for $integer {
            fn steps(start: Self, limit: Self, step: Self) -> usize {
                let steps = start.abs_diff(limit).div_ceil(step.unsigned_abs());
                usize::try_from(steps).unwrap_or(usize::MAX)
            }
        }
    )*};
}
integer_steps!(i32, i64);

/// Each number is the one before plus the step, with the rounding of each sum.
#[derive(Debug)]
struct Range<T> {
    start: T,
    step: T,
}

impl<T: Number> Kernel for Range<T> {
    fn run(&self, _: &Inputs<'_>, [output, ..]: &mut Writable<'_>) -> Result<(), OperatorFault> {
        let mut number = self.start;
        for y in elements_mut::<T>(output) {
            *y = number;
            number = number.plus(self.step);
        }
        Ok(())
    }
}

#[derive(Debug)]
struct OneHot {
    indices: Indices,
    /// The result, as its new dimension sees it.
    along: Along,
    element_bytes: usize,
}

impl Kernel for OneHot {
    fn run(&self, inputs: &Inputs<'_>, [output, ..]: &mut Writable<'_>) -> Result<(), OperatorFault> {
        let (indices, [on, off]) = (self.indices.values(inputs), [inputs.bytes(2), inputs.bytes(3)]);
        let Along { extent, inner, .. } = self.along;
        for (number, element) in output.chunks_exact_mut(self.element_bytes).enumerate() {
            let (line, place) = (number / inner / extent * inner + number % inner, number / inner % extent);
            let is_on = usize::try_from(indices.at(line)) == Ok(place);
            element.copy_from_slice(if is_on { on } else { off });
        }
        Ok(())
    }
}

#[derive(Debug)]
struct Where<T> {
    /// The condition's shape.
    extents: Vec<usize>,
    element: PhantomData<T>,
}

impl<T: Element> Kernel for Where<T> {
    fn run(&self, inputs: &Inputs<'_>, [output, ..]: &mut Writable<'_>) -> Result<(), OperatorFault> {
        let points = elements_mut::<i64>(output).chunks_exact_mut(self.extents.len().max(1));
        for (point, position) in points.zip(positions_not_zero(inputs.get::<T>(0))) {
            let mut rest = position;
            for (index, &extent) in point.iter_mut().zip(&self.extents).rev() {
                *index = (rest % extent) as i64;
                rest /= extent;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_stay_short_of_the_limit() {
        assert_eq!((i32::steps(0, 6, 3), i32::steps(0, 7, 3), i32::steps(5, -4, -2)), (2, 3, 5));
        assert_eq!((i64::steps(2, 2, 1), f32::steps(2.0, -1.0, -0.75)), (0, 4));
        assert_eq!(i32::steps(i32::MAX, i32::MIN, i32::MIN), 2);
        assert_eq!(i64::steps(i64::MIN, i64::MAX, 1), usize::MAX);
        assert_eq!(
            (f32::steps(0.0, f32::INFINITY, 1.0), f32::steps(0.0, 1.0, f32::INFINITY)),
            (usize::MAX, 0)
        );
    }
}
