//! `burnlite run`.

use std::io::Write;

use burnlite_runtime::{Error as RuntimeError, Interpreter, TensorInfo};
use burnlite_tflite::ElementType;

use crate::arguments::RunArguments;
use crate::array::{Array, is_quantized, with_element};
use crate::error::Error;
use crate::feed::Feed;
use crate::files;
use crate::model_file::ModelFile;
use crate::npy;

pub(crate) fn run(arguments: &RunArguments, output: &mut dyn Write) -> Result<(), Error> {
    let file = ModelFile::open(&arguments.model)?;
    let mut model = file.model()?;
    let signature = arguments.plan.model.signature.as_deref();
    let feed = Feed::load(&file, &mut model, signature, &arguments.feed, arguments.raw)?;
    let mut interpreter = file.interpreter(&model, &arguments.plan.options())?;
    let fault = file.fault(interpreter.graph());
    let mut arrays: Vec<Array> =
        interpreter.outputs().map(|info| empty(&info, feed.samples, arguments.raw)).collect();
    for sample in 0..feed.runs() {
        feed.run(&mut interpreter, sample).map_err(&fault)?;
        for (index, array) in arrays.iter_mut().enumerate() {
            append(&interpreter, index, array).map_err(&fault)?;
        }
    }
    write(arguments, &interpreter, &arrays, output)
}

/// An array for an output, without elements yet.
fn empty(info: &TensorInfo<'_>, samples: Option<usize>, raw: bool) -> Array {
    let dequantize = !raw && is_quantized(info.element_type, info.quantization);
    let element_type = if dequantize { ElementType::Float32 } else { info.element_type };
    let shape = samples.into_iter().chain(info.shape.iter().copied()).collect();
    Array { element_type, shape, bytes: Vec::new() }
}

/// Appends an output's value, in the array's type.
fn append(interpreter: &Interpreter<'_>, index: usize, array: &mut Array) -> Result<(), RuntimeError> {
    let Some(info) = interpreter.outputs().nth(index) else { return Ok(()) };
    if info.element_type != array.element_type {
        let mut values = vec![0.0; info.shape.iter().product()];
        interpreter.output_real(index, &mut values)?;
        array.bytes.extend_from_slice(bytemuck::cast_slice(&values));
        return Ok(());
    }
    let bytes: &[u8] = with_element!(info.element_type,
        T => bytemuck::cast_slice(interpreter.output::<T>(index)?),
        // The interpreter says what the output holds.
        _ => interpreter.output(index)?);
    array.bytes.extend_from_slice(bytes);
    Ok(())
}

/// Writes the arrays, once all of them are known to be writable, and a line about each.
fn write(
    arguments: &RunArguments,
    interpreter: &Interpreter<'_>,
    arrays: &[Array],
    output: &mut dyn Write,
) -> Result<(), Error> {
    let mut contents = Vec::new();
    for ((index, array), info) in arrays.iter().enumerate().zip(interpreter.outputs()) {
        contents.push(npy::to_bytes(array).ok_or_else(|| Error::OutputType {
            model: arguments.model.clone(),
            index,
            name: info.name.into(),
            found: array.element_type,
        })?);
    }
    files::create_folder(&arguments.output_dir)?;
    for (((index, content), array), info) in
        contents.iter().enumerate().zip(arrays).zip(interpreter.outputs())
    {
        let path = arguments.output_dir.join(format!("output_{index}.npy"));
        burnlite_files::write(&path, content)?;
        let Array { element_type, shape, .. } = array;
        writeln!(output, "{}: {element_type} {shape:?} '{}'", path.display(), info.name)
            .map_err(Error::Output)?;
    }
    Ok(())
}
