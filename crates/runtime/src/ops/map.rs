//! One function for all of an operand: of each element, or of each row.

use core::fmt;
use core::marker::PhantomData;

use burnlite_tflite::{Element, ElementType};

use crate::error::OperatorFault;
use crate::frame::{Inputs, Writable, elements_mut};
use crate::plan::{Kernel, Node, Planned};

/// The element type that the operand and the result share.
pub(crate) fn element_type(node: &Node<'_>) -> Result<ElementType, OperatorFault> {
    let (input, output) = (node.input(0)?.element_type(), node.output(0)?.element_type());
    if input == output { Ok(input) } else { Err(node.types_fault()) }
}

/// Applies a function to each element.
pub(crate) fn map<T: Element>(
    node: &Node<'_>,
    function: impl Fn(T) -> T + Send + Sync + 'static,
) -> Result<Planned, OperatorFault> {
    try_map(node, move |x| Ok(function(x)))
}

/// As [`map`], with a function that refuses some elements.
pub(crate) fn try_map<T: Element>(
    node: &Node<'_>,
    function: impl Fn(T) -> Result<T, OperatorFault> + Send + Sync + 'static,
) -> Result<Planned, OperatorFault> {
    Ok(Planned::vectorized(node, node.input(0)?.shape, Elements { function, element: PhantomData }))
}

/// Applies a function to each row of the last dimension; it writes a row of the same length.
pub(crate) fn map_rows<T: Element, U: Element>(
    node: &Node<'_>,
    function: impl Fn(&[T], &mut [U]) + Send + Sync + 'static,
) -> Result<Planned, OperatorFault> {
    let shape = node.input(0)?.shape;
    let Some(&depth) = shape.last() else {
        return Err(OperatorFault::Shape {
            what: "the input must have a dimension".into(),
            found: [].into(),
        });
    };
    Ok(Planned::vectorized(node, shape, Rows { depth, function, elements: PhantomData }))
}

struct Elements<T, F> {
    function: F,
    element: PhantomData<T>,
}

impl<T: Element, F: Fn(T) -> Result<T, OperatorFault> + Send + Sync> Kernel for Elements<T, F> {
    #[inline(always)]
    fn run(&self, inputs: &Inputs<'_>, [output, ..]: &mut Writable<'_>) -> Result<(), OperatorFault> {
        for (y, &x) in elements_mut::<T>(output).iter_mut().zip(inputs.get::<T>(0)) {
            *y = (self.function)(x)?;
        }
        Ok(())
    }
}

struct Rows<T, U, F> {
    depth: usize,
    function: F,
    elements: PhantomData<(T, U)>,
}

impl<T: Element, U: Element, F: Fn(&[T], &mut [U]) + Send + Sync> Kernel for Rows<T, U, F> {
    #[inline(always)]
    fn run(&self, inputs: &Inputs<'_>, [output, ..]: &mut Writable<'_>) -> Result<(), OperatorFault> {
        let rows = inputs.get::<T>(0).chunks_exact(self.depth.max(1));
        for (row, output) in rows.zip(elements_mut::<U>(output).chunks_exact_mut(self.depth.max(1))) {
            (self.function)(row, output);
        }
        Ok(())
    }
}

// Functions have no text of their own.
impl<T, F> fmt::Debug for Elements<T, F> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Elements")
    }
}

impl<T, U, F> fmt::Debug for Rows<T, U, F> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Rows").field("depth", &self.depth).finish_non_exhaustive()
    }
}

/// What the tests of the operators on one operand share.
#[cfg(test)]
pub(crate) mod tests {
    use alloc::string::{String, ToString};
    use alloc::vec::Vec;

    use burnlite_tflite::{Element, Graph, Model, Op, Operator, Quantization, Tensor};

    use crate::{Error, Interpreter, InterpreterOptions, Numerics};

    /// Scale and zero point of the operand and of the result.
    type Scales = Option<[(f32, i64); 2]>;

    /// What LiteRT's numerics make of a vector.
    pub(crate) fn run<T: Element>(op: &Op, scales: Scales, values: &[T]) -> Result<Vec<T>, Error> {
        run_with(Numerics::LiteRt, op, scales, values)
    }

    /// What LiteRT's numerics say of a vector that they refuse.
    pub(crate) fn fault<T: Element>(op: &Op, scales: Scales, values: &[T]) -> String {
        run(op, scales, values).unwrap_err().to_string()
    }

    /// What LiteRT's and tflite-micro's numerics make of a vector.
    pub(crate) fn run_both<T: Element>(op: &Op, scales: Scales, values: &[T]) -> [Vec<T>; 2] {
        [Numerics::LiteRt, Numerics::TfLiteMicro]
            .map(|numerics| run_with(numerics, op, scales, values).unwrap())
    }

    fn run_with<T: Element>(
        numerics: Numerics,
        op: &Op,
        scales: Scales,
        values: &[T],
    ) -> Result<Vec<T>, Error> {
        let mut graph = Graph::default();
        let [x, y] = [0, 1].map(|index| {
            let mut tensor = Tensor::new("", T::TYPE, [values.len()]);
            tensor.quantization = scales
                .map(|scales| scales[index])
                .map(|(scale, zero_point)| Quantization::per_tensor(scale, zero_point));
            graph.add_tensor(tensor)
        });
        graph.operators.push(Operator::new(op.clone(), [x], [y]));
        (graph.inputs, graph.outputs) = ([x].into(), [y].into());
        let model = Model::new(graph);
        let options = InterpreterOptions { numerics, ..Default::default() };
        let mut interpreter = Interpreter::with_options(&model, &options)?;
        interpreter.set_input(0, values)?;
        interpreter.invoke()?;
        Ok(interpreter.output::<T>(0)?.to_vec())
    }
}
