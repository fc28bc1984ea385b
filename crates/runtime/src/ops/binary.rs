//! Elementwise operators on two operands: one kernel for all types and functions.

use core::fmt;
use core::marker::PhantomData;

use burnlite_tflite::{Activation, Element, ElementType};

use crate::error::OperatorFault;
use crate::frame::{Inputs, Writable, elements_mut};
use crate::kernels::Engine;
use crate::kernels::elementwise::{Loop, PairSteps, Zip, ZipBlocks};
use crate::ops::activation::clamp;
use crate::ops::broadcast::{Broadcast, broadcast_shape};
use crate::ops::integer::Integer;
use crate::ops::number::Number;
use crate::plan::{Kernel, Node, Planned};

/// A function of pairs of elements, with broadcasting. The caller has checked the types.
pub(crate) fn plan<A: Element, B: Element, Y: Element>(
    node: &Node<'_>,
    function: impl Fn(A, B) -> Y + Send + Sync + 'static,
) -> Result<Planned, OperatorFault> {
    plan_checked(node, |_| Ok(()), function)
}

/// As [`plan`], for a function that is not defined for every right operand: `check` refuses the others.
pub(crate) fn plan_checked<A: Element, B: Element, Y: Element>(
    node: &Node<'_>,
    check: fn(&[B]) -> Result<(), OperatorFault>,
    function: impl Fn(A, B) -> Y + Send + Sync + 'static,
) -> Result<Planned, OperatorFault> {
    let (left, right) = (node.input(0)?, node.input(1)?);
    let shape = broadcast_shape(&[left.shape, right.shape])?;
    let broadcast = Broadcast::new([left.shape, right.shape], &shape);
    let engine = node.options.kernels.engine();
    Ok(Planned::new(shape, Binary { broadcast, check, engine, function, elements: PhantomData }))
}

/// As [`plan`], by blocks of integers.
pub(crate) fn plan_steps<A: Integer, B: Integer, Y: Integer>(
    node: &Node<'_>,
    function: impl PairSteps<A, B, Y>,
) -> Result<Planned, OperatorFault> {
    let Some(engine) = node.options.kernels.engine() else {
        return plan(node, move |a: A, b: B| -> Y { function.of(a, b) });
    };
    let (left, right) = (node.input(0)?, node.input(1)?);
    let shape = broadcast_shape(&[left.shape, right.shape])?;
    let broadcast = Broadcast::new([left.shape, right.shape], &shape);
    Ok(Planned::new(shape, Blocks { broadcast, engine, function, elements: PhantomData }))
}

/// A function of numbers as they are, with a fused activation. The caller has checked the types.
pub(crate) fn plan_plain<T: Number>(
    node: &Node<'_>,
    activation: Activation,
    function: impl Fn(T, T) -> T + Send + Sync + 'static,
) -> Result<Planned, OperatorFault> {
    let range = T::range(activation)?;
    plan(node, move |a, b| clamp(function(a, b), range))
}

/// The element type of both operands and the result.
pub(crate) fn common_type(node: &Node<'_>) -> Result<ElementType, OperatorFault> {
    let common = operand_type(node)?;
    if node.output(0)?.element_type() == common { Ok(common) } else { Err(node.types_fault()) }
}

/// The element type of both operands.
pub(crate) fn operand_type(node: &Node<'_>) -> Result<ElementType, OperatorFault> {
    let [left, right] = [node.input(0)?, node.input(1)?].map(|operand| operand.element_type());
    if left == right { Ok(left) } else { Err(node.types_fault()) }
}

struct Binary<A, B, Y, F> {
    broadcast: Broadcast<2>,
    check: fn(&[B]) -> Result<(), OperatorFault>,
    engine: Option<Engine>,
    function: F,
    elements: PhantomData<fn(A, B) -> Y>,
}

impl<A, B, Y, F> fmt::Debug for Binary<A, B, Y, F> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Binary").field("broadcast", &self.broadcast).finish_non_exhaustive()
    }
}

impl<A: Element, B: Element, Y: Element, F: Fn(A, B) -> Y + Send + Sync> Kernel for Binary<A, B, Y, F> {
    fn run(&self, inputs: &Inputs<'_>, [output, ..]: &mut Writable<'_>) -> Result<(), OperatorFault> {
        let (operands, function) = ((inputs.get::<A>(0), inputs.get::<B>(1)), &self.function);
        (self.check)(operands.1)?;
        self.broadcast.for_each_block(operands, elements_mut(output), |left, right, output, length| {
            let zip = Zip { left, right, output, length, function };
            match self.engine {
                Some(engine) => engine.run_loop(zip),
                None => zip.run(Engine::Generic),
            }
        });
        Ok(())
    }
}

#[derive(Debug)]
struct Blocks<A, B, Y, F> {
    broadcast: Broadcast<2>,
    engine: Engine,
    function: F,
    elements: PhantomData<fn(A, B) -> Y>,
}

impl<A: Integer, B: Integer, Y: Integer, F: PairSteps<A, B, Y>> Kernel for Blocks<A, B, Y, F> {
    fn run(&self, inputs: &Inputs<'_>, [output, ..]: &mut Writable<'_>) -> Result<(), OperatorFault> {
        let (operands, function) = ((inputs.get::<A>(0), inputs.get::<B>(1)), &self.function);
        self.broadcast.for_each_block(operands, elements_mut(output), |left, right, output, length| {
            self.engine.run_loop(ZipBlocks { left, right, output, length, function });
        });
        Ok(())
    }
}

/// What the tests of the operators on two operands share.
#[cfg(test)]
pub(crate) mod testing {
    use alloc::vec::Vec;

    use burnlite_tflite::{Element, ElementType, Graph, Model, Op, Operator, Quantization, Tensor};

    use crate::{Error, Interpreter, InterpreterOptions, Numerics};

    /// An operator on two vectors.
    pub(crate) struct Case {
        pub(crate) op: Op,
        /// Scale and zero point of left, right and result.
        pub(crate) scales: Option<[(f32, i64); 3]>,
        pub(crate) output: ElementType,
        pub(crate) numerics: Numerics,
    }

    impl Case {
        pub(crate) fn new(op: Op, scales: Option<[(f32, i64); 3]>, output: ElementType) -> Self {
            Self { op, scales, output, numerics: Numerics::LiteRt }
        }

        pub(crate) fn run<A: Element, B: Element, Y: Element>(
            &self,
            left: &[A],
            right: &[B],
        ) -> Result<Vec<Y>, Error> {
            let mut graph = Graph::default();
            let sides =
                [(A::TYPE, left.len()), (B::TYPE, right.len()), (self.output, left.len().max(right.len()))];
            let mut add = |index: usize| {
                let (element_type, length) = sides[index];
                let mut tensor = Tensor::new("", element_type, [length]);
                tensor.quantization = self
                    .scales
                    .map(|scales| scales[index])
                    .map(|(scale, zero_point)| Quantization::per_tensor(scale, zero_point));
                graph.add_tensor(tensor)
            };
            let [a, b, y] = [add(0), add(1), add(2)];
            graph.operators.push(Operator::new(self.op.clone(), [a, b], [y]));
            (graph.inputs, graph.outputs) = ([a, b].into(), [y].into());
            let model = Model::new(graph);
            let options = InterpreterOptions { numerics: self.numerics, ..Default::default() };
            let mut interpreter = Interpreter::with_options(&model, &options)?;
            interpreter.set_input(0, left)?;
            interpreter.set_input(1, right)?;
            interpreter.invoke()?;
            Ok(interpreter.output::<Y>(0)?.to_vec())
        }

        /// Under LiteRT's and under tflite-micro's numerics.
        pub(crate) fn run_both<A: Element, B: Element, Y: Element>(
            self,
            left: &[A],
            right: &[B],
        ) -> [Vec<Y>; 2] {
            [Numerics::LiteRt, Numerics::TfLiteMicro].map(|numerics| {
                let case = Self { op: self.op.clone(), numerics, ..self };
                case.run(left, right).unwrap()
            })
        }
    }
}
