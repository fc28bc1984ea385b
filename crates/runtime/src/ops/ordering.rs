//! ARG_MAX, ARG_MIN and TOPK_V2: where the greatest and smallest elements are.

use core::cmp::Ordering;
use core::marker::PhantomData;

use burnlite_tflite::{ArgMaxOptions, ArgMinOptions, Element, ElementType};

use crate::error::OperatorFault;
use crate::frame::{Inputs, Writable, elements_mut};
use crate::interpreter::Numerics;
use crate::ops::index::Along;
use crate::ops::strided::dimension;
use crate::plan::{Kernel, Node, Planned};

/// ARG_MAX: the index, along an axis, of the first of the greatest elements.
pub(crate) fn plan_arg_max(node: &Node<'_>, options: &ArgMaxOptions) -> Result<Planned, OperatorFault> {
    plan_arg(node, Ordering::Greater, options.output_type)
}

/// ARG_MIN: the index, along an axis, of the first of the smallest elements.
pub(crate) fn plan_arg_min(node: &Node<'_>, options: &ArgMinOptions) -> Result<Planned, OperatorFault> {
    plan_arg(node, Ordering::Less, options.output_type)
}

fn plan_arg(node: &Node<'_>, order: Ordering, said: ElementType) -> Result<Planned, OperatorFault> {
    if node.output(0)?.element_type() != said {
        return Err(node.types_fault());
    }
    match node.input(0)?.element_type() {
        ElementType::Float32 => arg::<f32>(node, order),
        ElementType::Int8 => arg::<i8>(node, order),
        ElementType::UInt8 | ElementType::Bool => arg::<u8>(node, order),
        ElementType::Int32 => arg::<i32>(node, order),
        _ => Err(node.types_fault()),
    }
}

fn arg<T: Element + PartialOrd>(node: &Node<'_>, order: Ordering) -> Result<Planned, OperatorFault> {
    match node.output(0)?.element_type() {
        ElementType::Int32 => arg_as::<T, i32>(node, order),
        ElementType::Int64 => arg_as::<T, i64>(node, order),
        _ => Err(node.types_fault()),
    }
}

fn arg_as<T: Element + PartialOrd, I: Element + From<i32>>(
    node: &Node<'_>,
    order: Ordering,
) -> Result<Planned, OperatorFault> {
    let input = node.input(0)?;
    let axis = dimension(node.input(1)?.index()?, input.shape.len())?;
    let along = Along::new(input.shape, axis);
    if along.extent == 0 || i32::try_from(along.extent).is_err() {
        let what = alloc::format!("dimension {axis} must have 1 to {} elements", i32::MAX);
        return Err(OperatorFault::Shape { what, found: input.shape.into() });
    }
    let shape = [&input.shape[..axis], &input.shape[axis + 1..]].concat();
    let wins = match node.options.numerics {
        Numerics::LiteRt => beats,
        Numerics::TfLiteMicro => compares,
    };
    Ok(Planned::new(shape, Arg::<T, I> { along, order, wins, output: PhantomData }))
}

/// TOPK_V2: of each row the greatest elements in descending order, of equal ones the first, and their indices.
pub(crate) fn plan_top(node: &Node<'_>) -> Result<Planned, OperatorFault> {
    let (input, values, indices) = (node.input(0)?, node.output(0)?, node.output(1)?);
    if values.element_type() != input.element_type() || indices.element_type() != ElementType::Int32 {
        return Err(node.types_fault());
    }
    match input.element_type() {
        ElementType::Float32 => top::<f32>(node),
        ElementType::Int8 => top::<i8>(node),
        ElementType::UInt8 => top::<u8>(node),
        ElementType::Int16 => top::<i16>(node),
        ElementType::Int32 => top::<i32>(node),
        ElementType::Int64 => top::<i64>(node),
        _ => Err(node.types_fault()),
    }
}

fn top<T: Element + PartialOrd>(node: &Node<'_>) -> Result<Planned, OperatorFault> {
    let (input, count) = (node.input(0)?, node.input(1)?.extent()?);
    let Some((&row, outer)) = input.shape.split_last().filter(|&(&row, _)| count <= row) else {
        let what = alloc::format!("rows must have {count} elements or more");
        return Err(OperatorFault::Shape { what, found: input.shape.into() });
    };
    let shape = [outer, &[count]].concat();
    let mut planned = Planned::new(shape.clone(), Top::<T> { row, count, element: PhantomData });
    planned.shapes.push(shape);
    Ok(planned)
}

/// Whether `x` compares with `best` in the given way; NaN never does.
fn compares<T: Element + PartialOrd>(x: T, best: T, order: Ordering) -> bool {
    x.partial_cmp(&best) == Some(order)
}

/// Whether `x` compares with `best` in the given way; any number does with NaN.
fn beats<T: Element + PartialOrd>(x: T, best: T, order: Ordering) -> bool {
    let is_nan = |value: T| value.partial_cmp(&value).is_none();
    compares(x, best, order) || (is_nan(best) && !is_nan(x))
}

#[derive(Debug)]
struct Arg<T, I> {
    along: Along,
    /// What the element that is looked for is, compared with the others.
    order: Ordering,
    /// Whether an element takes the place of the best one so far.
    wins: fn(T, T, Ordering) -> bool,
    output: PhantomData<I>,
}

impl<T: Element + PartialOrd, I: Element + From<i32>> Kernel for Arg<T, I> {
    fn run(&self, inputs: &Inputs<'_>, [output, ..]: &mut Writable<'_>) -> Result<(), OperatorFault> {
        let (input, Along { extent, inner, .. }) = (inputs.get::<T>(0), self.along);
        for (line, y) in elements_mut::<I>(output).iter_mut().enumerate() {
            let elements = input[self.along.start(line)..].iter().step_by(inner).take(extent).zip(0..);
            let best =
                elements.reduce(|best, x| if (self.wins)(*x.0, *best.0, self.order) { x } else { best });
            *y = best.map_or(0, |(_, index)| index).into();
        }
        Ok(())
    }
}

#[derive(Debug)]
struct Top<T> {
    /// Elements of a row.
    row: usize,
    /// How many of them are taken.
    count: usize,
    element: PhantomData<T>,
}

impl<T: Element + PartialOrd> Kernel for Top<T> {
    fn run(
        &self,
        inputs: &Inputs<'_>,
        [values, indices, ..]: &mut Writable<'_>,
    ) -> Result<(), OperatorFault> {
        let rows = inputs.get::<T>(0).chunks_exact(self.row.max(1));
        let values = elements_mut::<T>(values).chunks_exact_mut(self.count.max(1));
        let indices = elements_mut::<i32>(indices).chunks_exact_mut(self.count.max(1));
        for (row, (values, indices)) in rows.zip(values.zip(indices)) {
            take_top(row, values, indices);
        }
        Ok(())
    }
}

/// Puts each element behind those that it does not beat; the last one falls out.
fn take_top<T: Element + PartialOrd>(row: &[T], values: &mut [T], indices: &mut [i32]) {
    for ((filled, &x), index) in row.iter().enumerate().zip(0..) {
        let filled = &values[..filled.min(values.len())];
        let unbeaten = filled.iter().rposition(|&value| !beats(x, value, Ordering::Greater));
        let place = unbeaten.map_or(0, |last| last + 1);
        if place < values.len() {
            values[place..].rotate_right(1);
            indices[place..].rotate_right(1);
            (values[place], indices[place]) = (x, index);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_beat_nan_and_the_first_of_equals_wins() {
        let row = [f32::NAN, 1.0, 2.0, f32::NAN, f32::NEG_INFINITY, 2.0];
        let (mut values, mut indices) = ([0.0; 5], [0; 5]);
        take_top(&row, &mut values, &mut indices);
        assert_eq!(indices, [2, 5, 1, 4, 0]);
        assert_eq!(values[..4], [2.0, 2.0, 1.0, f32::NEG_INFINITY]);
        take_top(&row, &mut values[..0], &mut indices[..0]);
    }
}
