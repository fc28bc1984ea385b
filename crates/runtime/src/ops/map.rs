//! One function for all of an operand: of each element, or of each row.

use alloc::boxed::Box;
use core::fmt;
use core::marker::PhantomData;

use burnlite_tflite::{Element, ElementType};

use crate::error::OperatorFault;
use crate::frame::{Inputs, Writable, elements_mut};
use crate::kernels::Engine;
use crate::kernels::elementwise::{Loop, Map, MapBlocks, Steps};
use crate::ops::integer::Integer;
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
    let shape = node.input(0)?.shape;
    Ok(match node.options.kernels.engine() {
        Some(engine) if size_of::<T>() == 1 => Planned::new(shape, Bytes::new(engine, function)),
        engine => Planned::new(shape, Elements { engine, function, elements: PhantomData }),
    })
}

/// As [`map`], with a function that refuses some elements.
pub(crate) fn try_map<T: Element>(
    node: &Node<'_>,
    function: impl Fn(T) -> Result<T, OperatorFault> + Send + Sync + 'static,
) -> Result<Planned, OperatorFault> {
    let shape = node.input(0)?.shape;
    let engine = node.options.kernels.engine().filter(|_| size_of::<T>() == 1);
    Ok(match engine.and_then(|engine| Bytes::checked(engine, &function).ok()) {
        Some(bytes) => Planned::new(shape, bytes),
        None => Planned::new(shape, CheckedElements { function, element: PhantomData }),
    })
}

/// As [`map`], by blocks of integers, which may be of another type then.
pub(crate) fn map_steps<X: Integer, Y: Integer>(
    node: &Node<'_>,
    function: impl Steps<X, Y>,
) -> Result<Planned, OperatorFault> {
    let shape = node.input(0)?.shape;
    Ok(match node.options.kernels.engine() {
        Some(engine) if (size_of::<X>(), size_of::<Y>()) == (1, 1) => {
            Planned::new(shape, Bytes::new(engine, |x| function.of(x)))
        }
        Some(engine) => Planned::new(shape, Blocks { engine, function, elements: PhantomData }),
        None => {
            let function = move |x| function.of(x);
            Planned::new(shape, Elements { engine: None, function, elements: PhantomData })
        }
    })
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
    Ok(Planned::new(shape, Rows { depth, function, elements: PhantomData }))
}

struct Elements<X, Y, F> {
    engine: Option<Engine>,
    function: F,
    elements: PhantomData<fn(X) -> Y>,
}

impl<X: Element, Y: Element, F: Fn(X) -> Y + Send + Sync> Kernel for Elements<X, Y, F> {
    fn run(&self, inputs: &Inputs<'_>, [output, ..]: &mut Writable<'_>) -> Result<(), OperatorFault> {
        let map = Map { input: inputs.get(0), output: elements_mut(output), function: &self.function };
        match self.engine {
            Some(engine) => engine.run_loop(map),
            None => map.run(Engine::Generic),
        }
        Ok(())
    }
}

struct CheckedElements<T, F> {
    function: F,
    element: PhantomData<T>,
}

impl<T: Element, F: Fn(T) -> Result<T, OperatorFault> + Send + Sync> Kernel for CheckedElements<T, F> {
    fn run(&self, inputs: &Inputs<'_>, [output, ..]: &mut Writable<'_>) -> Result<(), OperatorFault> {
        for (y, &x) in elements_mut::<T>(output).iter_mut().zip(inputs.get::<T>(0)) {
            *y = (self.function)(x)?;
        }
        Ok(())
    }
}

#[derive(Debug)]
struct Blocks<X, Y, F> {
    engine: Engine,
    function: F,
    elements: PhantomData<fn(X) -> Y>,
}

impl<X: Integer, Y: Integer, F: Steps<X, Y>> Kernel for Blocks<X, Y, F> {
    fn run(&self, inputs: &Inputs<'_>, [output, ..]: &mut Writable<'_>) -> Result<(), OperatorFault> {
        let (input, output) = (inputs.get::<X>(0), elements_mut::<Y>(output));
        self.engine.run_loop(MapBlocks { input, output, function: &self.function });
        Ok(())
    }
}

/// A function of bytes, as the table of all its values.
#[derive(Debug)]
struct Bytes {
    engine: Engine,
    table: Box<[u8; 256]>,
}

impl Bytes {
    fn new<X: Element, Y: Element>(engine: Engine, function: impl Fn(X) -> Y) -> Self {
        let value = |byte| bytemuck::bytes_of(&function(bytemuck::pod_read_unaligned(&[byte])))[0];
        Self { engine, table: Box::new(core::array::from_fn(|index| value(index as u8))) }
    }

    /// The table, if the function refuses nothing.
    fn checked<T: Element>(
        engine: Engine,
        function: impl Fn(T) -> Result<T, OperatorFault>,
    ) -> Result<Self, OperatorFault> {
        (0..=u8::MAX).try_for_each(|byte| function(bytemuck::pod_read_unaligned(&[byte])).map(drop))?;
        Ok(Self::new(engine, |x: T| function(x).unwrap_or(x)))
    }
}

impl Kernel for Bytes {
    fn run(&self, inputs: &Inputs<'_>, [output, ..]: &mut Writable<'_>) -> Result<(), OperatorFault> {
        self.engine.lookup(&self.table, inputs.bytes(0), output);
        Ok(())
    }
}

struct Rows<T, U, F> {
    depth: usize,
    function: F,
    elements: PhantomData<(T, U)>,
}

impl<T: Element, U: Element, F: Fn(&[T], &mut [U]) + Send + Sync> Kernel for Rows<T, U, F> {
    fn run(&self, inputs: &Inputs<'_>, [output, ..]: &mut Writable<'_>) -> Result<(), OperatorFault> {
        let rows = inputs.get::<T>(0).chunks_exact(self.depth.max(1));
        for (row, output) in rows.zip(elements_mut::<U>(output).chunks_exact_mut(self.depth.max(1))) {
            (self.function)(row, output);
        }
        Ok(())
    }
}

// Functions have no text of their own.
impl<X, Y, F> fmt::Debug for Elements<X, Y, F> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Elements").field("engine", &self.engine).finish_non_exhaustive()
    }
}

impl<T, F> fmt::Debug for CheckedElements<T, F> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("CheckedElements")
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
