//! What holds whatever the bytes: the targets of the fuzzers in `fuzz`, and of the tests that replay what these have found.
//!
//! Each takes bytes from a stranger and panics where a promise of the crates is broken. Errors are no such thing.

mod options;

use std::path::PathBuf;
use std::sync::OnceLock;

use arbitrary::Unstructured;
use burnlite::Arguments;
use burnlite_quantize::{Calibration, Quantizer, SampleFault, Scheme};
use burnlite_runtime::{Error, Interpreter, InterpreterOptions};
use burnlite_tflite::{ElementType, Graph, Model, Quantization, Target, Tensor, TensorId};
use clap::Parser;
use tempfile::TempDir;

use crate::Fixture;

/// What is done with the bytes.
pub type Promise = fn(&[u8]);

/// Every target, by the name of its fuzzer and of its folder of findings.
pub const PROMISES: [(&str, Promise); 6] = [
    ("read", read),
    ("round_trip", round_trip),
    ("run", |bytes| _ = run(bytes)),
    ("quantize", quantize),
    ("arrays", arrays),
    ("mutate", mutate),
];

/// The most memory that a stranger's tensors get, and that packed weights get.
pub const MEMORY: usize = 1 << 22;

/// The most elements that a tensor of a stranger's model may have to be run: more may be too much work for a test, for a pool
/// may look at each of them for each of its results.
const ELEMENTS: usize = 1 << 15;

/// A model that was read passes the check, and every target has an opinion of it.
pub fn read(bytes: &[u8]) {
    if let Ok(model) = Model::from_bytes(bytes) {
        model.check().expect("what was read passes the check");
        for target in [Target::TfLite, Target::TfLiteMicro] {
            target.check(&model);
        }
    }
}

/// What was read and can be written is read again as the same file.
pub fn round_trip(bytes: &[u8]) {
    let Ok(Ok(written)) = Model::from_bytes(bytes).map(|model| model.to_bytes()) else { return };
    let again = Model::from_bytes(&written).expect("what was written can be read");
    assert_eq!(again.to_bytes().expect("it can be written again"), written);
}

/// Reads, plans and runs; says whether all of it worked.
pub fn run(bytes: &[u8]) -> bool {
    Model::from_bytes(bytes).is_ok_and(|model| run_model(&model))
}

fn run_model(model: &Model<'_>) -> bool {
    match plan(model) {
        Ok(mut interpreter) if is_quick(&interpreter) => interpreter.invoke().is_ok(),
        planned => planned.is_ok(),
    }
}

fn plan<'m>(model: &'m Model<'_>) -> Result<Interpreter<'m>, Error> {
    let options = InterpreterOptions {
        max_arena_bytes: MEMORY,
        max_packed_bytes: MEMORY,
        ..InterpreterOptions::default()
    };
    Interpreter::with_options(model, &options)
}

fn is_quick(interpreter: &Interpreter<'_>) -> bool {
    let ids = (0..interpreter.graph().tensors.len()).map(|index| TensorId(index as u32));
    ids.filter_map(|id| interpreter.tensor_info(id).ok())
        .all(|tensor| tensor.shape.iter().product::<usize>() <= ELEMENTS)
}

/// A model that can be run can be quantized to one that can be read and planned, or is refused.
pub fn quantize(bytes: &[u8]) {
    let Ok(model) = Model::from_bytes(bytes) else { return };
    if !plan(&model).is_ok_and(|interpreter| is_quick(&interpreter)) {
        return;
    }
    let Ok(calibration) = Calibration::run(&model, [ramps], |_| ()) else { return };
    for scheme in [Scheme::Int16x8, Scheme::Int8, Scheme::Float16] {
        let Ok((quantized, _)) = Quantizer::new(scheme).quantize(&model, &calibration) else { continue };
        let written = quantized.to_bytes().expect("a quantized model can be written");
        let again = Model::from_bytes(&written).expect("a quantized model can be read");
        match plan(&again) {
            Ok(_) | Err(Error::TooLarge { .. }) => {}
            Err(error) => panic!("{scheme}: {error}"),
        }
    }
}

/// Sets every input of floats to numbers from -1 to 1.
fn ramps(interpreter: &mut Interpreter<'_>) -> Result<(), SampleFault> {
    let inputs = interpreter.inputs().len();
    for index in 0..inputs {
        if let Ok(values) = interpreter.input_mut::<f32>(index) {
            let step = 2.0 / values.len() as f32;
            values.iter_mut().enumerate().for_each(|(index, value)| *value = index as f32 * step - 1.0);
        }
    }
    Ok(())
}

/// A file of arrays gives the command inputs for a model, or an error: `.npy` or `.npz`, as the first byte has it.
pub fn arrays(bytes: &[u8]) {
    static FOLDER: OnceLock<TempDir> = OnceLock::new();
    let Some((kind, bytes)) = bytes.split_first() else { return };
    let folder = FOLDER.get_or_init(|| tempfile::tempdir().expect("a folder")).path();
    let file = folder.join(if kind % 2 == 0 { "input.npy" } else { "input.npz" });
    std::fs::write(&file, bytes).expect("a file");
    let model = Fixture::path("operators/abs_float32.tflite");
    let words = ["burnlite".into(), "run".into(), model, "--input".into(), file];
    let words = words.into_iter().chain(["--output-dir".into(), folder.join("outputs")]);
    let arguments = Arguments::try_parse_from(words.map(PathBuf::into_os_string)).expect("arguments");
    drop(burnlite::run(&arguments, &mut std::io::sink()));
}

/// A valid model with a few values of a stranger's choice is refused or can be run: as it is in memory, and written and read.
pub fn mutate(bytes: &[u8]) {
    static MODELS: OnceLock<Vec<Vec<u8>>> = OnceLock::new();
    let models =
        MODELS.get_or_init(|| Fixture::folder("operators").into_iter().map(|model| model.bytes).collect());
    let mut choices = Unstructured::new(bytes);
    let Ok(bytes) = choices.choose(models) else { return };
    let mut model = Model::from_bytes(bytes).expect("a fixture can be read").into_owned();
    for _ in 0..4 {
        if choices.is_empty() || change(&mut model.graphs[0], &mut choices).is_err() {
            break;
        }
    }
    run_model(&model);
    if let Ok(written) = model.to_bytes() {
        round_trip(&written);
        run(&written);
    }
}

/// Changes a value of a graph.
fn change(graph: &mut Graph<'_>, choices: &mut Unstructured<'_>) -> arbitrary::Result<()> {
    let tensors = graph.tensors.len();
    let any_tensor = |choices: &mut Unstructured<'_>| {
        choices.choose_index(tensors + 1).map(|index| TensorId(index as u32))
    };
    let kind = choices.int_in_range(0..=12)?;
    if kind < 6 {
        let index = choices.choose_index(tensors)?;
        return change_tensor(kind, &mut graph.tensors[index], choices);
    }
    let operator = choices.choose_index(graph.operators.len())?;
    let operator = &mut graph.operators[operator];
    match kind {
        6 => {
            let position = choices.choose_index(operator.inputs.len())?;
            operator.inputs[position] = choices.ratio(3, 4)?.then_some(any_tensor(choices)?);
        }
        7 => {
            let position = choices.choose_index(operator.outputs.len())?;
            operator.outputs[position] = any_tensor(choices)?;
        }
        8 => graph.inputs.push(any_tensor(choices)?),
        9 => graph.outputs.push(any_tensor(choices)?),
        _ => options::change(&mut operator.op, choices)?,
    }
    Ok(())
}

fn change_tensor(kind: u8, tensor: &mut Tensor<'_>, choices: &mut Unstructured<'_>) -> arbitrary::Result<()> {
    match kind {
        0 if !tensor.shape.is_empty() => {
            let dimension = choices.choose_index(tensor.shape.len())?;
            tensor.shape[dimension] = extent(choices)?;
            fit(tensor, choices)?;
        }
        0 | 1 => {
            match choices.ratio(1, 2)? {
                true => tensor.shape.push(extent(choices)?),
                false => drop(tensor.shape.pop()),
            }
            fit(tensor, choices)?;
        }
        2 => {
            let quantization = tensor.quantization.get_or_insert_with(|| Quantization::per_tensor(0.5, 0));
            let channel = choices.choose_index(quantization.scale.len())?;
            const SCALES: [f32; 8] = [0.0, -1.0, f32::NAN, f32::INFINITY, 1e-42, 1e-30, 1e30, 1.0];
            quantization.scale[channel] = *choices.choose(&SCALES)?;
        }
        3 => {
            let quantization = tensor.quantization.get_or_insert_with(|| Quantization::per_tensor(0.5, 0));
            let channel = choices.choose_index(quantization.zero_point.len())?;
            const ZERO_POINTS: [i64; 8] = [0, 1, -128, 127, 255, -32_768, i64::MIN, i64::MAX];
            quantization.zero_point[channel] = *choices.choose(&ZERO_POINTS)?;
        }
        4 => {
            tensor.element_type = element_type(choices)?;
            fit(tensor, choices)?;
        }
        _ => change_data(tensor, choices)?,
    }
    Ok(())
}

/// Gives a constant, nearly always, as many bytes and scales as its shape asks for: weights of other channels, groups, taps.
fn fit(tensor: &mut Tensor<'_>, choices: &mut Unstructured<'_>) -> arbitrary::Result<()> {
    const MOST_BYTES: usize = 1 << 16;
    if choices.ratio(1, 8)? {
        return Ok(());
    }
    let elements = tensor.shape.iter().try_fold(1usize, |product, &extent| product.checked_mul(extent));
    let bytes = elements.and_then(|elements| tensor.element_type.bytes_for(elements));
    if let (Some(data), Some(bytes)) = (&mut tensor.data, bytes.filter(|&bytes| bytes <= MOST_BYTES)) {
        let pattern = if data.is_empty() { vec![1] } else { data.to_vec() };
        *data = pattern.into_iter().cycle().take(bytes).collect::<Vec<u8>>().into();
    }
    if let Some(quantization) = tensor.quantization.as_mut().filter(|it| it.is_per_channel()) {
        let channels = tensor.shape.get(quantization.dimension).copied().unwrap_or(1);
        if (1..=MOST_BYTES).contains(&channels) {
            quantization.scale.resize(channels, 0.5);
            quantization.zero_point.resize(channels, 0);
        }
    }
    Ok(())
}

fn element_type(choices: &mut Unstructured<'_>) -> arbitrary::Result<ElementType> {
    use ElementType::{Bool, Float16, Float32, Int4, Int8, Int16, Int32, Int64, String, UInt8};
    const TYPES: [ElementType; 10] = [Bool, Float16, Float32, Int4, Int8, Int16, Int32, Int64, String, UInt8];
    choices.choose(&TYPES).copied()
}

/// Extents that are small, and some that are not.
fn extent(choices: &mut Unstructured<'_>) -> arbitrary::Result<usize> {
    const EXTENTS: [usize; 12] =
        [0, 1, 2, 3, 5, 17, 255, 65_536, 1 << 20, 1 << 31, u32::MAX as usize, usize::MAX >> 1];
    choices.choose(&EXTENTS).copied()
}

/// Makes data shorter, or another 32-bit integer of them: an axis, an index, an extent.
fn change_data(tensor: &mut Tensor<'_>, choices: &mut Unstructured<'_>) -> arbitrary::Result<()> {
    const INTEGERS: [i32; 12] =
        [0, 1, -1, 2, -2, 7, 100, -100, 65_536, i32::MAX, i32::MIN, 0x7f80_0000 /* an infinite float */];
    let Some(data) = &mut tensor.data else { return Ok(()) };
    let data = data.to_mut();
    if choices.ratio(1, 8)? {
        data.pop();
    } else if data.len() >= 4 {
        let place = choices.choose_index(data.len() / 4)?;
        data[4 * place..][..4].copy_from_slice(&choices.choose(&INTEGERS)?.to_le_bytes());
    }
    Ok(())
}
