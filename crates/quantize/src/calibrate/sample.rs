//! What the float model is shown.

use burnlite_runtime::{Error as RuntimeError, Interpreter};

use crate::SampleFault;

/// One sample: it sets the inputs of a model.
///
/// For models of float inputs these are slices, one for each input in the graph's order, in the layout of the input's
/// shape (batch included). A slice of another length gives the input another extent where the model leaves exactly one
/// open. At a quantized input, numbers are quantized as the QUANTIZE operator does.
///
/// Everything else is a closure: integers, inputs by name, shapes that change, states that begin anew.
///
/// ```
/// # use burnlite_tflite::{ElementType, GatherOptions, Graph, Model, Op, Operator, Tensor};
/// # let mut graph = Graph::default();
/// # let table = graph.add_tensor(Tensor::constant("table", [3, 2], &[1.0f32, -2.0, 3.0, 4.0, 5.0, -6.0]));
/// # let words = graph.add_tensor(Tensor::new("words", ElementType::Int32, [2]));
/// # let y = graph.add_tensor(Tensor::new("y", ElementType::Float32, [2, 2]));
/// # graph.operators.push(Operator::new(Op::Gather(GatherOptions::default()), [table, words], [y]));
/// # graph.inputs.push(words);
/// # graph.outputs.push(y);
/// # let model = Model::new(graph);
/// use burnlite_quantize::{Calibration, SampleFault};
/// use burnlite_runtime::Interpreter;
///
/// // A model that looks two words up in a table.
/// let sentences = [[0, 1], [2, 2]];
/// let samples = sentences.iter().map(|words: &[i32; 2]| {
///     move |interpreter: &mut Interpreter<'_>| -> Result<(), SampleFault> {
///         let input = interpreter.inputs().position(|input| input.name == "words");
///         Ok(interpreter.set_input(input.unwrap_or(0), words)?)
///     }
/// });
/// let calibration = Calibration::run(&model, samples, |_| ())?;
/// assert_eq!(calibration.range(y).map(|range| (range.min, range.max)), Some((-6.0, 5.0)));
/// # Ok::<(), burnlite_quantize::Error>(())
/// ```
pub trait Sample {
    /// Sets every input of the interpreter's model.
    ///
    /// # Errors
    /// Whatever does not fit the model.
    fn set_inputs(&self, interpreter: &mut Interpreter<'_>) -> Result<(), SampleFault>;
}

impl<F: Fn(&mut Interpreter<'_>) -> Result<(), SampleFault>> Sample for F {
    fn set_inputs(&self, interpreter: &mut Interpreter<'_>) -> Result<(), SampleFault> {
        self(interpreter)
    }
}

macro_rules! slices {
    ($([$($generics:tt)*] $inputs:ty),*) => {$(
        impl<V: AsRef<[f32]>, $($generics)*> Sample for $inputs {
            fn set_inputs(&self, interpreter: &mut Interpreter<'_>) -> Result<(), SampleFault> {
                set_slices(interpreter, self.as_ref())
            }
        }
    )*};
}
slices!([] [V], [] &[V], [] Vec<V>, [] &Vec<V>, [const N: usize] [V; N], [const N: usize] &[V; N]);

fn set_slices<V: AsRef<[f32]>>(interpreter: &mut Interpreter<'_>, inputs: &[V]) -> Result<(), SampleFault> {
    let (expected, found) = (interpreter.inputs().len(), inputs.len());
    if expected != found {
        return Err(SampleFault::InputCount { expected, found });
    }
    // Another shape takes away what was set before.
    for (position, values) in inputs.iter().enumerate() {
        resize_to_fit(interpreter, position, values.as_ref().len())?;
    }
    for (position, values) in inputs.iter().enumerate() {
        interpreter.set_input_real(position, values.as_ref())?;
    }
    Ok(())
}

/// Gives the input's only open extent the size that makes it take so many values, where there is one.
fn resize_to_fit(
    interpreter: &mut Interpreter<'_>,
    position: usize,
    values: usize,
) -> Result<(), RuntimeError> {
    let graph = interpreter.graph();
    let signature = graph.tensors[graph.inputs[position].index()].shape_signature.as_deref();
    let Some(input) = interpreter.inputs().nth(position) else { return Ok(()) };
    if input.shape.iter().product::<usize>() == values {
        return Ok(());
    }
    let mut open = (0..).zip(signature.unwrap_or_default()).filter(|(_, extent)| **extent < 0);
    let (Some((axis, _)), None) = (open.next(), open.next()) else { return Ok(()) };
    let mut shape = input.shape.to_vec();
    shape[axis] = 1;
    let row: usize = shape.iter().product();
    match values.checked_div(row) {
        Some(extent) if extent > 0 && extent * row == values => {
            shape[axis] = extent;
            interpreter.resize_input(position, &shape)
        }
        // Setting it will tell.
        _ => Ok(()),
    }
}
