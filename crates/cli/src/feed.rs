//! What goes into a model: arrays from files, each for one input.

use std::collections::HashMap;
use std::path::Path;

use burnlite_quantize::{Sample, SampleFault};
use burnlite_runtime::{Error as RuntimeError, Interpreter};
use burnlite_tflite::{ElementType, Graph, Model, Signature, Tensor, TensorId};

use crate::arguments::FeedArguments;
use crate::array::{Array, is_quantized, with_element};
use crate::error::Error;
use crate::model_file::ModelFile;
use crate::npy::{self, Npz};

/// Arrays for a model's inputs, in the model's order.
#[derive(Debug)]
pub(crate) struct Feed {
    inputs: Vec<Array>,
    /// How many samples the arrays hold, where their first axis counts them.
    pub(crate) samples: Option<usize>,
    keep_state: bool,
}

/// An array, and how messages name it.
struct Given {
    label: String,
    array: Array,
}

impl Feed {
    /// Reads the arrays and gives the model's inputs their shapes.
    ///
    /// With `raw`, arrays must have the inputs' own types; otherwise float arrays are quantized at quantized inputs.
    pub(crate) fn load(
        file: &ModelFile,
        model: &mut Model<'_>,
        signature: Option<&str>,
        arguments: &FeedArguments,
        raw: bool,
    ) -> Result<Self, Error> {
        let graph = file.graph_index(model, signature)?;
        let given = InputNames::new(file, model, graph, signature).assign(&arguments.input)?;
        let graph = &mut model.graphs[graph];
        let mut feed = Self { inputs: Vec::new(), samples: None, keep_state: arguments.keep_state };
        for (given, id) in given.into_iter().zip(graph.inputs.clone()) {
            let tensor = &mut graph.tensors[id.index()];
            let given = Given { array: suited(given.array, tensor, raw), ..given };
            let shape = feed.shape_of_a_sample(file, tensor, &given, arguments.samples)?;
            set_shape(file, tensor, &given, shape, arguments.samples)?;
            check_type(file, tensor, &given, raw)?;
            feed.inputs.push(given.array);
        }
        Ok(feed)
    }

    /// Reads arrays of samples, as [`load`](Self::load) does.
    pub(crate) fn samples(
        file: &ModelFile,
        model: &mut Model<'_>,
        signature: Option<&str>,
        arrays: &[String],
    ) -> Result<Self, Error> {
        let arguments = FeedArguments { input: arrays.into(), samples: true, keep_state: false };
        Self::load(file, model, signature, &arguments, false)
    }

    /// One sample, as the quantizer takes it.
    pub(crate) fn sample(&self, sample: usize) -> impl Sample {
        move |interpreter: &mut Interpreter<'_>| -> Result<(), SampleFault> {
            Ok(self.prepare(interpreter, sample)?)
        }
    }

    /// How often the model runs.
    pub(crate) fn runs(&self) -> usize {
        self.samples.unwrap_or(1)
    }

    /// Runs one sample, from the first state unless states are to be kept.
    pub(crate) fn run(&self, interpreter: &mut Interpreter<'_>, sample: usize) -> Result<(), RuntimeError> {
        self.prepare(interpreter, sample)?;
        interpreter.invoke()
    }

    fn prepare(&self, interpreter: &mut Interpreter<'_>, sample: usize) -> Result<(), RuntimeError> {
        if !self.keep_state {
            interpreter.reset_variables()?;
        }
        self.set(interpreter, sample)
    }

    /// Sets the inputs to one sample.
    pub(crate) fn set(&self, interpreter: &mut Interpreter<'_>, sample: usize) -> Result<(), RuntimeError> {
        for (index, array) in self.inputs.iter().enumerate() {
            let bytes = if self.samples.is_some() { array.sample(sample) } else { &array.bytes };
            if array.element_type == ElementType::Float32 {
                // At a quantized input, real numbers become its integers.
                interpreter.set_input_real(index, &bytemuck::pod_collect_to_vec(bytes))?;
            } else {
                with_element!(array.element_type,
                    T => interpreter.set_input::<T>(index, &bytemuck::pod_collect_to_vec(bytes))?,
                    // The interpreter says that the input holds something else.
                    _ => interpreter.set_input(index, bytes)?)
            }
        }
        Ok(())
    }

    /// The array's shape without the axis of samples, of which every array must have as many.
    fn shape_of_a_sample<'g>(
        &mut self,
        file: &ModelFile,
        tensor: &Tensor<'_>,
        given: &'g Given,
        samples: bool,
    ) -> Result<&'g [usize], Error> {
        let shape = &given.array.shape[..];
        if !samples {
            return Ok(shape);
        }
        let reason = match (shape.split_first(), self.samples) {
            (None, _) => "with --samples, its first axis counts samples".into(),
            (Some((0, _)), _) => "there are no samples".into(),
            (Some((&found, _)), Some(expected)) if found != expected => {
                format!("the arrays before have {expected} samples")
            }
            (Some((&found, sample)), _) => {
                self.samples = Some(found);
                return Ok(sample);
            }
        };
        Err(shape_error(file, tensor, given, reason))
    }
}

/// A float64 array as float32, unless the input takes float64 or is to get exactly what the array holds.
fn suited(array: Array, tensor: &Tensor<'_>, raw: bool) -> Array {
    if raw || tensor.element_type == ElementType::Float64 { array } else { array.with_floats_of_32_bits() }
}

/// Gives the input the array's shape, where the file leaves it open.
fn set_shape(
    file: &ModelFile,
    tensor: &mut Tensor<'_>,
    given: &Given,
    shape: &[usize],
    samples: bool,
) -> Result<(), Error> {
    let fixed = tensor.shape_signature.clone().unwrap_or_else(|| {
        // The plan tells whether another shape than the file's makes sense.
        vec![-1; tensor.shape.len()]
    });
    let agrees = |(&fixed, &extent): (&i32, &usize)| fixed < 0 || usize::try_from(fixed) == Ok(extent);
    let fits = |shape: &[usize]| shape.len() == fixed.len() && fixed.iter().zip(shape).all(agrees);
    let batch_of_one = [&[1], shape].concat();
    if fits(shape) {
        tensor.shape = shape.into();
        return Ok(());
    }
    if samples && tensor.shape.first() == Some(&1) && fits(&batch_of_one) {
        tensor.shape = batch_of_one;
        return Ok(());
    }
    let takes = match &tensor.shape_signature {
        Some(signature) => format!("{signature:?} (-1 is free)"),
        None => format!("{:?}", tensor.shape),
    };
    let with_an_axis_more = shape.len() == fixed.len() + 1;
    let advice = match samples {
        false if with_an_axis_more => "; if the first axis counts samples, add --samples",
        true if shape.len() + 1 == fixed.len() => "; --samples takes the first axis away",
        _ => "",
    };
    Err(shape_error(file, tensor, given, format!("it takes {takes}{advice}")))
}

fn shape_error(file: &ModelFile, tensor: &Tensor<'_>, given: &Given, reason: String) -> Error {
    Error::InputShape {
        model: file.path.clone(),
        input: tensor.name.clone(),
        array: given.label.clone(),
        found: given.array.shape.clone(),
        reason,
    }
}

/// Whether the input takes the array's elements, or what they are quantized to.
fn check_type(file: &ModelFile, tensor: &Tensor<'_>, given: &Given, raw: bool) -> Result<(), Error> {
    let (expected, found) = (tensor.element_type, given.array.element_type);
    if found == expected {
        return Ok(());
    }
    let can_be_quantized =
        found == ElementType::Float32 && is_quantized(expected, tensor.quantization.as_ref());
    if can_be_quantized && !raw {
        return Ok(());
    }
    let advice = if can_be_quantized {
        "; without --raw it is quantized".into()
    } else {
        format!("; save array.astype(numpy.{expected})")
    };
    Err(Error::InputType {
        model: file.path.clone(),
        input: tensor.name.clone(),
        expected,
        array: given.label.clone(),
        found,
        advice,
    })
}

/// Under which names a model's inputs are known.
struct InputNames<'f> {
    file: &'f ModelFile,
    /// For each input the names of its tensor and in the signature.
    names: Vec<Vec<String>>,
    /// Whether the signature was asked for.
    by_signature: bool,
}

impl<'f> InputNames<'f> {
    /// The names in the given signature, otherwise those in the graph's first one.
    fn new(file: &'f ModelFile, model: &Model<'_>, graph: usize, asked: Option<&str>) -> Self {
        let is_meant =
            |known: &&Signature| known.graph == graph && asked.is_none_or(|name| known.key == name);
        let signature = model.signatures.iter().find(is_meant);
        let names = names_of_inputs(&model.graphs[graph], signature);
        Self { file, names, by_signature: asked.is_some() }
    }

    /// An array for each input.
    fn assign(&self, arguments: &[String]) -> Result<Vec<Given>, Error> {
        let mut given: Vec<Option<Given>> = self.names.iter().map(|_| None).collect();
        let mut in_order = Vec::new();
        for argument in arguments {
            match self.named(argument)? {
                Some((position, path)) => self.put(&mut given, position, npy_file(path)?)?,
                None if argument.ends_with(".npz") => self.put_npz(&mut given, Path::new(argument))?,
                None => in_order.push(npy_file(argument)?),
            }
        }
        for array in in_order {
            let free = given.iter().position(Option::is_none);
            let position = free.ok_or_else(|| {
                let reason = format!("the model has {} inputs", given.len());
                self.surplus(&array, reason)
            })?;
            self.put(&mut given, position, array)?;
        }
        let missing =
            |(array, names): (&Option<Given>, &Vec<String>)| array.is_none().then(|| names[0].clone());
        let missing: Vec<_> = given.iter().zip(&self.names).filter_map(missing).collect();
        if missing.is_empty() {
            return Ok(given.into_iter().flatten().collect());
        }
        Err(Error::MissingInput { model: self.file.path.clone(), missing })
    }

    /// The input and the file of an argument `NAME=FILE`.
    fn named<'a>(&self, argument: &'a str) -> Result<Option<(usize, &'a str)>, Error> {
        let Some((name, path)) = argument.split_once('=') else { return Ok(None) };
        let position = self.names.iter().position(|names| names.iter().any(|known| known == name));
        match position {
            Some(position) => Ok(Some((position, path))),
            None if Path::new(argument).exists() => Ok(None),
            None => Err(Error::NoSuchInput {
                model: self.file.path.clone(),
                name: name.into(),
                known: self.known(),
            }),
        }
    }

    fn put(&self, given: &mut [Option<Given>], position: usize, array: Given) -> Result<(), Error> {
        if let Some(first) = &given[position] {
            let reason = format!("input '{}' has '{}' already", self.names[position][0], first.label);
            return Err(self.surplus(&array, reason));
        }
        given[position] = Some(array);
        Ok(())
    }

    /// Every array of the file that has the name of an input, or `input_N` or `arr_N`, which go by position.
    ///
    /// A signature, too, may call inputs `input_0`, `input_1`, … and in another order than the model's: its names come first
    /// where it was asked for.
    fn put_npz(&self, given: &mut [Option<Given>], path: &Path) -> Result<(), Error> {
        let mut npz = Npz::open(path)?;
        let found = npz.names();
        let mut any = false;
        for (position, names) in self.names.iter().enumerate() {
            let by_position = [format!("input_{position}"), format!("arr_{position}")];
            let candidates: [&[String]; 2] =
                if self.by_signature { [names, &by_position] } else { [&by_position, names] };
            let name = candidates.iter().copied().flatten().find(|name| found.contains(name));
            if let Some(name) = name {
                let label = format!("{}:{name}", path.display());
                self.put(given, position, Given { label, array: npz.array(name)? })?;
                any = true;
            }
        }
        if any || self.names.is_empty() {
            return Ok(());
        }
        Err(Error::NoneNamed {
            model: self.file.path.clone(),
            array: path.display().to_string(),
            found,
            known: self.known(),
        })
    }

    fn surplus(&self, array: &Given, reason: String) -> Error {
        Error::SurplusInput { model: self.file.path.clone(), array: array.label.clone(), reason }
    }

    fn known(&self) -> Vec<String> {
        self.names.iter().flatten().cloned().collect()
    }
}

fn npy_file(path: &str) -> Result<Given, Error> {
    Ok(Given { label: path.into(), array: npy::read(Path::new(path))? })
}

fn names_of_inputs(graph: &Graph<'_>, signature: Option<&Signature>) -> Vec<Vec<String>> {
    let mut in_signature: HashMap<TensorId, Vec<&String>> = HashMap::new();
    for (name, id) in signature.into_iter().flat_map(|signature| &signature.inputs) {
        in_signature.entry(*id).or_default().push(name);
    }
    let names = |id| {
        let tensor = graph.tensor(id).map(|tensor| &tensor.name);
        let in_signature = in_signature.get(&id).into_iter().flatten().copied();
        let mut names: Vec<String> = tensor.into_iter().chain(in_signature).cloned().collect();
        names.dedup();
        names
    };
    graph.inputs.iter().map(|&id| names(id)).collect()
}
