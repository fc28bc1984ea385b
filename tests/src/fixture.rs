//! Models with inputs and the outputs of LiteRT's reference kernels, made by `tests/fixtures/generate.py`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use burnlite_runtime::{Error, Interpreter, InterpreterOptions};
use burnlite_tflite::{Element, ElementType, Model};

use crate::{Array, for_each_type, read_npz};

/// A model, samples for its inputs, and the reference's outputs.
#[derive(Debug)]
pub struct Fixture {
    /// The file's name without its ending.
    pub name: String,
    /// The bytes of the `.tflite` file.
    pub bytes: Vec<u8>,
    /// One array for each input.
    pub inputs: Vec<Array>,
    /// One array for each output.
    pub outputs: Vec<Array>,
}

impl Fixture {
    /// The fixtures of a folder of `tests/fixtures`, by name.
    ///
    /// # Panics
    /// Where one cannot be read.
    pub fn folder(folder: &str) -> Vec<Self> {
        let entries = std::fs::read_dir(Self::path(folder)).expect("the folder of fixtures");
        let paths = entries.map(|entry| entry.expect("an entry").path());
        let mut paths: Vec<_> =
            paths.filter(|path| path.extension().is_some_and(|ending| ending == "tflite")).collect();
        paths.sort();
        paths.iter().map(|path| Self::read(path)).collect()
    }

    /// Those of them that tflite-micro runs, with its outputs: LiteRT's, or its own where they differ (`micro.py`).
    ///
    /// # Panics
    /// As [`folder`](Self::folder).
    pub fn micro_folder(folder: &str) -> Vec<Self> {
        let list =
            std::fs::read_to_string(Self::path("micro.txt")).expect("the list of tflite-micro's fixtures");
        let same: BTreeSet<_> = list.lines().collect();
        let with_outputs = |mut fixture: Self| {
            let name = format!("{folder}/{}", fixture.name);
            let own = Self::path(&format!("{name}.micro.npz"));
            if own.exists() {
                fixture.outputs = read_npz(&own, "output");
                return Some(fixture);
            }
            same.contains(name.as_str()).then_some(fixture)
        };
        Self::folder(folder).into_iter().filter_map(with_outputs).collect()
    }

    /// The fixture of the given name, for example `networks/tutorial_int8`.
    ///
    /// # Panics
    /// Where there is none.
    pub fn named(name: &str) -> Self {
        Self::read(&Self::path(&format!("{name}.tflite")))
    }

    /// A path in `tests/fixtures`.
    pub fn path(relative: &str) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(relative)
    }

    fn read(path: &Path) -> Self {
        let samples = path.with_extension("npz");
        Self {
            name: path.file_stem().expect("a name").to_string_lossy().into_owned(),
            bytes: std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display())),
            inputs: read_npz(&samples, "input"),
            outputs: read_npz(&samples, "output"),
        }
    }
}

/// What this workspace's runtime computes: the samples one after the other, inputs resized to the samples' shape.
///
/// # Errors
/// The runtime's.
///
/// # Panics
/// Where the arrays are not the model's.
pub fn run(model: &Model<'_>, options: &InterpreterOptions, inputs: &[Array]) -> Result<Vec<Array>, Error> {
    let mut interpreter = Interpreter::with_options(model, options)?;
    for (index, array) in inputs.iter().enumerate() {
        if interpreter.inputs().nth(index).expect("an input").shape != &array.shape()[1..] {
            interpreter.resize_input(index, &array.shape()[1..])?;
        }
    }
    let samples = inputs.first().map_or(1, |array| array.shape()[0]);
    let mut outputs: Vec<Array> = interpreter
        .outputs()
        .map(|output| empty(output.element_type, [&[samples], output.shape].concat()))
        .collect();
    for sample in 0..samples {
        for (index, array) in inputs.iter().enumerate() {
            for_each_type!(array, (shape, values) => {
                let length = shape[1..].iter().product::<usize>();
                interpreter.set_input(index, &values[sample * length..][..length])?;
            });
        }
        interpreter.invoke()?;
        for (index, array) in outputs.iter_mut().enumerate() {
            for_each_type!(array, (_, values) => append(&interpreter, index, values)?);
        }
    }
    Ok(outputs)
}

fn append<T: Element>(interpreter: &Interpreter<'_>, index: usize, values: &mut Vec<T>) -> Result<(), Error> {
    values.extend_from_slice(interpreter.output::<T>(index)?);
    Ok(())
}

fn empty(element_type: ElementType, shape: Vec<usize>) -> Array {
    match element_type {
        ElementType::Float32 => Array::Float32(shape, Vec::new()),
        ElementType::Int8 => Array::Int8(shape, Vec::new()),
        ElementType::UInt8 => Array::UInt8(shape, Vec::new()),
        ElementType::Int16 => Array::Int16(shape, Vec::new()),
        ElementType::Int32 => Array::Int32(shape, Vec::new()),
        ElementType::Int64 => Array::Int64(shape, Vec::new()),
        ElementType::Bool => Array::Bool(shape, Vec::new()),
        other => panic!("outputs of {other} are not in use"),
    }
}
