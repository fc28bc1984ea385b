//! MEAN, SUM, REDUCE_MAX and REDUCE_MIN: dimensions folded into one element.

mod groups;

use core::fmt::Debug;
use core::marker::PhantomData;

use burnlite_tflite::{Activation, Element, ElementType, ReducerOptions};

use crate::error::OperatorFault;
use crate::fixed_point::QuantizedMultiplier;
use crate::frame::{Inputs, Writable, elements_mut};
use crate::kernels::Engine;
use crate::kernels::elementwise::Loop;
use crate::ops::integer::{Integer, OutputRange, multiplier};
use crate::plan::{Kernel, Node, Planned};

use groups::Groups;

/// MEAN: the sum divided by the number of elements.
pub(crate) fn plan_mean(node: &Node<'_>, options: &ReducerOptions) -> Result<Planned, OperatorFault> {
    let groups = Groups::new(node, options)?;
    let divisor = groups.elements();
    plan_quotient(node, groups, divisor)
}

/// SUM: a mean that is not divided.
pub(crate) fn plan_sum(node: &Node<'_>, options: &ReducerOptions) -> Result<Planned, OperatorFault> {
    plan_quotient(node, Groups::new(node, options)?, 1)
}

/// REDUCE_MAX.
pub(crate) fn plan_max(node: &Node<'_>, options: &ReducerOptions) -> Result<Planned, OperatorFault> {
    plan_extremum(node, options, Extreme::Largest)
}

/// REDUCE_MIN.
pub(crate) fn plan_min(node: &Node<'_>, options: &ReducerOptions) -> Result<Planned, OperatorFault> {
    plan_extremum(node, options, Extreme::Smallest)
}

fn plan_quotient(node: &Node<'_>, groups: Groups, divisor: usize) -> Result<Planned, OperatorFault> {
    match element_type(node)? {
        ElementType::Float32 => Ok(reduced(node, groups, Quotient::<f32>::new(divisor))),
        ElementType::Int32 => Ok(reduced(node, groups, Quotient::<i32>::new(divisor))),
        ElementType::Int64 => Ok(reduced(node, groups, Quotient::<i64>::new(divisor))),
        ElementType::Int8 => plan_rescaled::<i8>(node, groups, divisor),
        ElementType::Int16 => plan_rescaled::<i16>(node, groups, divisor),
        _ => Err(node.types_fault()),
    }
}

fn plan_rescaled<T: Integer>(
    node: &Node<'_>,
    groups: Groups,
    divisor: usize,
) -> Result<Planned, OperatorFault> {
    let (input, output) = (node.input(0)?, node.output(0)?);
    let (input_scale, input_zero_point) = input.scale_and_zero_point()?;
    let (output_scale, _) = output.scale_and_zero_point()?;
    let factor = multiplier::<i32>(f64::from(input_scale) / f64::from(output_scale), &output)?;
    let elements = groups.elements();
    Ok(reduced(
        node,
        groups,
        RescaledQuotient::<T> {
            // The reference leaves the integer 0 where there is nothing to sum.
            range: (elements > 0).then_some(OutputRange::new::<T>(&output, Activation::None)?),
            zero_points: input_zero_point.wrapping_mul(elements as i32),
            multiplier: divided(factor, divisor),
            element: PhantomData,
        },
    ))
}

fn plan_extremum(
    node: &Node<'_>,
    options: &ReducerOptions,
    extreme: Extreme,
) -> Result<Planned, OperatorFault> {
    // Nothing is rescaled.
    node.output(0)?.require_quantization_of(&node.input(0)?)?;
    let groups = Groups::new(node, options)?;
    match element_type(node)? {
        ElementType::Float32 => Ok(reduced(node, groups, Extremum::<f32>::new(extreme))),
        ElementType::Int8 => Ok(reduced(node, groups, Extremum::<i8>::new(extreme))),
        ElementType::Int16 => Ok(reduced(node, groups, Extremum::<i16>::new(extreme))),
        ElementType::Int32 => Ok(reduced(node, groups, Extremum::<i32>::new(extreme))),
        ElementType::Int64 => Ok(reduced(node, groups, Extremum::<i64>::new(extreme))),
        _ => Err(node.types_fault()),
    }
}

/// The element type of operand and result; of int16 the zero points must be 0.
fn element_type(node: &Node<'_>) -> Result<ElementType, OperatorFault> {
    let (input, output) = (node.input(0)?, node.output(0)?);
    if input.element_type() != output.element_type() {
        return Err(node.types_fault());
    }
    if input.element_type() == ElementType::Int16 {
        input.require_zero_points_of_zero()?;
        output.require_zero_points_of_zero()?;
    }
    Ok(input.element_type())
}

fn reduced<R: Reducer + 'static>(node: &Node<'_>, groups: Groups, reducer: R) -> Planned {
    let engine = node.options.kernels.engine();
    Planned::new(groups.shape.clone(), Reduce { groups, engine, reducer })
}

/// What becomes of the elements of a group.
trait Reducer: Debug + Send + Sync {
    type Element: Element;
    type Accumulator: Copy;

    fn initial(&self) -> Self::Accumulator;
    fn fold(&self, accumulator: Self::Accumulator, element: Self::Element) -> Self::Accumulator;
    fn result(&self, accumulator: Self::Accumulator) -> Self::Element;
}

#[derive(Debug)]
struct Reduce<R> {
    groups: Groups,
    engine: Option<Engine>,
    reducer: R,
}

impl<R: Reducer> Kernel for Reduce<R> {
    fn run(&self, inputs: &Inputs<'_>, [output, ..]: &mut Writable<'_>) -> Result<(), OperatorFault> {
        let (input, output, reducer) = (inputs.get(0), elements_mut(output), &self.reducer);
        if let Some(engine) = self.engine {
            engine.run_loop(Folds { groups: &self.groups, reducer, input, output });
            return Ok(());
        }
        for (group, y) in output.iter_mut().enumerate() {
            let fold = |accumulator, x| reducer.fold(accumulator, x);
            *y = reducer.result(self.groups.fold(group, input, reducer.initial(), fold));
        }
        Ok(())
    }
}

/// The same in the order of memory: neighbouring groups together, or neighbouring elements of a group.
struct Folds<'l, R: Reducer> {
    groups: &'l Groups,
    reducer: &'l R,
    input: &'l [R::Element],
    output: &'l mut [R::Element],
}

/// Groups that are folded together.
const TOGETHER: usize = 64;

impl<R: Reducer> Loop for Folds<'_, R> {
    #[inline(always)]
    fn run(self, _: Engine) {
        let Self { groups, reducer, input, output } = self;
        let neighbours = groups.neighbours();
        if neighbours == 1 {
            for (group, y) in output.iter_mut().enumerate() {
                *y = reducer.result(fold_one(groups, reducer, input, group));
            }
            return;
        }
        for (index, output) in output.chunks_mut(neighbours).enumerate() {
            for (part, output) in output.chunks_mut(TOGETHER).enumerate() {
                fold_together(groups, reducer, input, index * neighbours + part * TOGETHER, output);
            }
        }
    }
}

/// The elements of a group, those of a run as a slice where they lie together.
#[inline(always)]
fn fold_one<R: Reducer>(groups: &Groups, reducer: &R, input: &[R::Element], group: usize) -> R::Accumulator {
    let mut accumulator = reducer.initial();
    groups.for_each_run(group, |start, run| {
        let fold = |accumulator, &x: &R::Element| reducer.fold(accumulator, x);
        accumulator = match run.step {
            1 => input[start..][..run.extent].iter().fold(accumulator, fold),
            step => input[start..].iter().step_by(step).take(run.extent).fold(accumulator, fold),
        };
    });
    accumulator
}

/// The results of neighbouring groups from the given one on, at most [`TOGETHER`].
#[inline(always)]
fn fold_together<R: Reducer>(
    groups: &Groups,
    reducer: &R,
    input: &[R::Element],
    first: usize,
    output: &mut [R::Element],
) {
    let mut accumulators = [reducer.initial(); TOGETHER];
    let accumulators = &mut accumulators[..output.len()];
    groups.for_each_run(first, |start, run| {
        for element in 0..run.extent {
            let elements = &input[start + element * run.step..][..accumulators.len()];
            for (accumulator, &x) in accumulators.iter_mut().zip(elements) {
                *accumulator = reducer.fold(*accumulator, x);
            }
        }
    });
    for (y, &accumulator) in output.iter_mut().zip(&*accumulators) {
        *y = reducer.result(accumulator);
    }
}

/// A number as it is, without scale and zero point, and its sums.
trait Number: Element {
    type Sum: Copy + Default;

    fn added_to(self, sum: Self::Sum) -> Self::Sum;
    fn quotient(sum: Self::Sum, divisor: usize) -> Self;
}

impl Number for f32 {
    type Sum = Self;

    #[inline]
    fn added_to(self, sum: Self) -> Self {
        sum + self
    }
    fn quotient(sum: Self, divisor: usize) -> Self {
        sum / divisor as Self
    }
}

macro_rules! integer_numbers {
    ($($integer:ident),*) => {$(
        /// Means are cut towards zero, and 0 where there is nothing to divide by; sums wrap.
        impl Number for $integer {
            type Sum = i64;

            #[inline]
            fn added_to(self, sum: i64) -> i64 {
                sum.wrapping_add(i64::from(self))
            }
            fn quotient(sum: i64, divisor: usize) -> Self {
                sum.checked_div(divisor as i64).unwrap_or(0) as Self
            }
        }
    )*};
}
integer_numbers!(i32, i64);

/// The sum of plain numbers, divided.
#[derive(Debug)]
struct Quotient<T> {
    divisor: usize,
    element: PhantomData<T>,
}

impl<T> Quotient<T> {
    fn new(divisor: usize) -> Self {
        Self { divisor, element: PhantomData }
    }
}

impl<T: Number> Reducer for Quotient<T> {
    type Element = T;
    type Accumulator = T::Sum;

    fn initial(&self) -> T::Sum {
        T::Sum::default()
    }
    #[inline]
    fn fold(&self, sum: T::Sum, element: T) -> T::Sum {
        element.added_to(sum)
    }
    fn result(&self, sum: T::Sum) -> T {
        T::quotient(sum, self.divisor)
    }
}

/// The sum of quantized integers, rescaled and divided in one step (`QuantizedMeanOrSum`).
#[derive(Debug)]
struct RescaledQuotient<T> {
    /// `None` where there is nothing to sum.
    range: Option<OutputRange>,
    /// The sum of the elements' zero points.
    zero_points: i32,
    multiplier: QuantizedMultiplier,
    element: PhantomData<T>,
}

impl<T: Integer> Reducer for RescaledQuotient<T> {
    type Element = T;
    type Accumulator = i32;

    fn initial(&self) -> i32 {
        0
    }
    #[inline]
    fn fold(&self, sum: i32, element: T) -> i32 {
        sum.wrapping_add(element.into())
    }
    fn result(&self, sum: i32) -> T {
        let nothing = T::saturating_from(0);
        let rescaled = self.multiplier.apply(sum.wrapping_sub(self.zero_points));
        self.range.map_or(nothing, |range| range.output(rescaled))
    }
}

/// A factor divided by a number of elements, cut towards zero, with as many bits as `i64` holds on the way.
///
/// The multiplier may have fewer than 31 bits then; the reference leaves it so.
fn divided(factor: QuantizedMultiplier, divisor: usize) -> QuantizedMultiplier {
    let divisor = divisor.max(1);
    let bits = (divisor.ilog2() as i32).min(32).min(31 + factor.shift);
    let multiplier = ((i64::from(factor.multiplier) << bits) / divisor as i64) as i32;
    QuantizedMultiplier { multiplier, shift: factor.shift - bits }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Extreme {
    Largest,
    Smallest,
}

/// Numbers between two that are finite.
trait Bounded: Element + PartialOrd {
    const LOWEST: Self;
    const HIGHEST: Self;
}

macro_rules! bounded {
    ($($number:ident),*) => {$(
        impl Bounded for $number {
            const LOWEST: Self = $number::MIN;
            const HIGHEST: Self = $number::MAX;
        }
    )*};
}
bounded!(f32, i8, i16, i32, i64);

/// The largest or smallest element, starting from the type's other end: NaN loses, and of infinities alone the end stays.
#[derive(Debug)]
struct Extremum<T> {
    extreme: Extreme,
    element: PhantomData<T>,
}

impl<T> Extremum<T> {
    fn new(extreme: Extreme) -> Self {
        Self { extreme, element: PhantomData }
    }
}

impl<T: Bounded> Reducer for Extremum<T> {
    type Element = T;
    type Accumulator = T;

    fn initial(&self) -> T {
        match self.extreme {
            Extreme::Largest => T::LOWEST,
            Extreme::Smallest => T::HIGHEST,
        }
    }
    #[inline]
    fn fold(&self, best: T, element: T) -> T {
        let is_better = match self.extreme {
            Extreme::Largest => element > best,
            Extreme::Smallest => element < best,
        };
        if is_better { element } else { best }
    }
    fn result(&self, best: T) -> T {
        best
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;

    fn reduce<R: Reducer>(groups: &Groups, reducer: &R, input: &[R::Element]) -> Vec<R::Element> {
        let count = groups.shape.iter().product();
        let fold = |accumulator, x| reducer.fold(accumulator, x);
        (0..count).map(|group| reducer.result(groups.fold(group, input, reducer.initial(), fold))).collect()
    }

    #[test]
    fn without_dimensions_every_element_is_a_group() {
        let groups = Groups::along(&[2, 2], &[false, false], false);
        assert_eq!(reduce(&groups, &Quotient::<f32>::new(1), &[1.0, 2.0, 3.0, 4.0]), [1.0, 2.0, 3.0, 4.0]);
        assert_eq!(groups.elements(), 1);
    }

    #[test]
    fn of_nothing_the_mean_is_no_number_and_the_extremum_an_end() {
        let groups = Groups::along(&[2, 0], &[false, true], false);
        assert_eq!(groups.elements(), 0);
        assert!(reduce(&groups, &Quotient::<f32>::new(0), &[]).iter().all(|mean| mean.is_nan()));
        assert_eq!(reduce(&groups, &Quotient::<i32>::new(0), &[]), [0, 0]);
        assert_eq!(reduce(&groups, &Extremum::<i8>::new(Extreme::Largest), &[]), [-128, -128]);
        let none = Groups::along(&[0, 2], &[false, true], false);
        assert!(reduce(&none, &Quotient::<f32>::new(2), &[]).is_empty());
    }

    #[test]
    fn means_of_integers_are_cut_and_sums_wrap() {
        let groups = Groups::along(&[2], &[true], false);
        assert_eq!(reduce(&groups, &Quotient::<i32>::new(2), &[-4, 1]), [-1]);
        assert_eq!(reduce(&groups, &Quotient::<i32>::new(2), &[i32::MAX, i32::MAX]), [i32::MAX]);
        assert_eq!(reduce(&groups, &Quotient::<i32>::new(1), &[i32::MAX, 1]), [i32::MIN]);
    }

    #[test]
    fn a_divided_factor_keeps_the_bits_that_the_shift_leaves_room_for() {
        let factor = |multiplier, shift| QuantizedMultiplier { multiplier, shift };
        assert_eq!(divided(factor(1 << 30, 1), 1), factor(1 << 30, 1));
        assert_eq!(divided(factor(1 << 30, 1), 8), factor(1 << 30, -2));
        assert_eq!(divided(factor(1 << 30, 1), 3), factor(715_827_882, 0));
        assert_eq!(divided(factor(1 << 30, -31), 8), factor(1 << 27, -31));
        assert_eq!(divided(factor(i32::MAX, 0), usize::MAX / 2).shift, -31);
    }
}
