//! SELECT and SELECT_V2: the second operand's element where the first's is true, else the third's.

use alloc::vec::Vec;
use core::iter::{repeat, zip};
use core::marker::PhantomData;

use burnlite_tflite::{Element, ElementType};

use crate::error::OperatorFault;
use crate::frame::{Inputs, Writable, elements_mut};
use crate::ops::broadcast::{Broadcast, broadcast_shape};
use crate::plan::{Kernel, Node, Planned};

/// SELECT: the condition has the shape of the choices, or one element for each of their rows, or one for all.
pub(crate) fn plan_select(node: &Node<'_>) -> Result<Planned, OperatorFault> {
    let [condition, choice, other] = [node.input(0)?.shape, node.input(1)?.shape, node.input(2)?.shape];
    if choice != other {
        let what = alloc::format!("both choices must have the shape {choice:?}");
        return Err(OperatorFault::Shape { what, found: other.into() });
    }
    let condition = match condition {
        [] => Vec::new(),
        [rows] if choice.first() == Some(rows) => {
            let mut column = alloc::vec![1; choice.len()];
            column[0] = *rows;
            column
        }
        _ if condition == choice => condition.into(),
        _ => {
            let what =
                alloc::format!("the condition must have the shape {choice:?} or one element for each row");
            return Err(OperatorFault::Shape { what, found: condition.into() });
        }
    };
    plan(node, [&condition, choice, other])
}

/// SELECT_V2: all three operands broadcast.
pub(crate) fn plan_select_v2(node: &Node<'_>) -> Result<Planned, OperatorFault> {
    plan(node, [node.input(0)?.shape, node.input(1)?.shape, node.input(2)?.shape])
}

/// Values are only copied: their size matters, not their type.
fn plan(node: &Node<'_>, shapes: [&[usize]; 3]) -> Result<Planned, OperatorFault> {
    let values = [node.input(1)?, node.input(2)?, node.output(0)?].map(|operand| operand.element_type());
    let is_alike = values.iter().all(|&element_type| element_type == values[0]);
    if node.input(0)?.element_type() != ElementType::Bool || !is_alike {
        return Err(node.types_fault());
    }
    match values[0].bits() {
        Some(8) => plan_values::<u8>(shapes),
        Some(16) => plan_values::<u16>(shapes),
        Some(32) => plan_values::<u32>(shapes),
        Some(64) => plan_values::<u64>(shapes),
        _ => Err(node.types_fault()),
    }
}

fn plan_values<T: Element>(shapes: [&[usize]; 3]) -> Result<Planned, OperatorFault> {
    let shape = broadcast_shape(&shapes)?;
    let broadcast = Broadcast::new(shapes, &shape);
    Ok(Planned::new(shape, Select::<T> { broadcast, element: PhantomData }))
}

#[derive(Debug)]
struct Select<T> {
    broadcast: Broadcast<3>,
    element: PhantomData<T>,
}

impl<T: Element> Kernel for Select<T> {
    fn run(&self, inputs: &Inputs<'_>, [output, ..]: &mut Writable<'_>) -> Result<(), OperatorFault> {
        let conditions = inputs.get::<u8>(0);
        let choices = [inputs.get::<T>(1), inputs.get::<T>(2)];
        let [condition_step, steps @ ..] = self.broadcast.run_steps();
        self.broadcast.for_each_run(elements_mut::<T>(output), |[condition, starts @ ..], run| {
            let from_start = |index: usize| &choices[index][starts[index]..];
            if condition_step == 0 {
                let chosen = usize::from(conditions[condition] == 0);
                copy(from_start(chosen), steps[chosen], run);
            } else {
                select(&conditions[condition..], [0, 1].map(from_start), steps, run);
            }
        });
        Ok(())
    }
}

fn copy<T: Element>(values: &[T], step: usize, run: &mut [T]) {
    match step {
        0 => run.fill(values[0]),
        _ => run.copy_from_slice(&values[..run.len()]),
    }
}

fn select<T: Element>(conditions: &[u8], [choice, other]: [&[T]; 2], steps: [usize; 2], run: &mut [T]) {
    let run = zip(run, conditions);
    match steps {
        [0, 0] => fill(run, zip(repeat(&choice[0]), repeat(&other[0]))),
        [0, _] => fill(run, zip(repeat(&choice[0]), other)),
        [_, 0] => fill(run, zip(choice, repeat(&other[0]))),
        _ => fill(run, zip(choice, other)),
    }
}

#[inline]
fn fill<'a, T: Element>(
    run: impl Iterator<Item = (&'a mut T, &'a u8)>,
    choices: impl Iterator<Item = (&'a T, &'a T)>,
) {
    for ((y, &condition), (&choice, &other)) in run.zip(choices) {
        *y = if condition != 0 { choice } else { other };
    }
}
