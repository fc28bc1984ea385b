//! What the files of a crate say.

use std::collections::BTreeSet;

use burnlite_runtime::{Implementation, Interpreter, Numerics, TensorInfo, operators};
use burnlite_tflite::{ElementType, Model};

use crate::arguments::FirmwareArguments;
use crate::error::Error;
use crate::model_file::ModelFile;

/// A model as a crate.
pub(super) struct Crate<'a> {
    name: &'a str,
    arguments: &'a FirmwareArguments,
    model_bytes: usize,
    arena_bytes: usize,
    /// The names of the operators that the model has.
    operators: BTreeSet<&'static str>,
    inputs: Vec<Port<'a>>,
    outputs: Vec<Port<'a>>,
}

/// An input or an output.
struct Port<'a> {
    index: usize,
    /// The Rust type of its elements.
    rust_type: &'static str,
    tensor: TensorInfo<'a>,
}

impl<'a> Crate<'a> {
    /// # Errors
    /// [`Error::NoRustType`].
    pub(super) fn new(
        name: &'a str,
        file: &ModelFile,
        model: &Model<'_>,
        interpreter: &'a Interpreter<'_>,
        arguments: &'a FirmwareArguments,
    ) -> Result<Self, Error> {
        let port = |what, index, tensor: TensorInfo<'a>| match rust_type(tensor.element_type) {
            Some(rust_type) => Ok(Port { index, rust_type, tensor }),
            None => Err(Error::NoRustType {
                model: file.path.clone(),
                what,
                index,
                name: tensor.name.into(),
                found: tensor.element_type,
            }),
        };
        let input = |(index, tensor)| port("input", index, tensor);
        let output = |(index, tensor)| port("output", index, tensor);
        Ok(Self {
            name,
            arguments,
            model_bytes: file.bytes.len(),
            arena_bytes: interpreter.arena_bytes(),
            operators: operators(model),
            inputs: interpreter.inputs().enumerate().map(input).collect::<Result<_, _>>()?,
            outputs: interpreter.outputs().enumerate().map(output).collect::<Result<_, _>>()?,
        })
    }

    pub(super) fn manifest(&self) -> String {
        let runtime = match &self.arguments.runtime {
            Some(path) => format!("path = {path:?}"),
            None => format!("version = {:?}", env!("CARGO_PKG_VERSION")),
        };
        let values =
            [("name", self.name), ("rust_version", env!("CARGO_PKG_RUST_VERSION")), ("runtime", &runtime)];
        filled(include_str!("Cargo.toml.in"), &values)
    }

    pub(super) fn readme(&self) -> String {
        let line = |code: String| format!("    {code}\n");
        let inputs =
            self.inputs.iter().map(|port| format!("network.set_input_{0}(&input_{0})?;", port.index));
        let outputs =
            self.outputs.iter().map(|port| format!("let output_{0} = network.output_{0}()?;", port.index));
        let run: String = inputs.chain(["network.invoke()?;".into()]).chain(outputs).map(line).collect();
        let values = [
            ("name", self.name),
            ("version", env!("CARGO_PKG_VERSION")),
            ("identifier", &self.name.replace('-', "_")),
            ("run", &run),
            ("arena_bytes", &self.arena_bytes.to_string()),
            ("model_bytes", &self.model_bytes.to_string()),
        ];
        filled(include_str!("README.md.in"), &values)
    }

    pub(super) fn library(&self) -> String {
        let inputs = self.inputs.iter().map(|port| port.module("input"));
        let outputs = self.outputs.iter().map(|port| port.module("output"));
        let setters = self.inputs.iter().map(Port::setter);
        let getters = self.outputs.iter().map(Port::getter);
        let signature = self
            .arguments
            .limits
            .signature
            .as_ref()
            .map(|name| format!("            signature: Some(alloc::string::String::from({name:?})),\n"));
        let numerics = match Numerics::from(self.arguments.numerics) {
            Numerics::TfLiteMicro => "TfLiteMicro",
            _ => "LiteRt",
        };
        let operators = self.operators.iter().map(|name| format!("                operators::{name},\n"));
        let values = [
            ("version", env!("CARGO_PKG_VERSION")),
            ("operators", &operators.collect::<String>()),
            ("alloc", if signature.is_some() { "extern crate alloc;\n\n" } else { "" }),
            ("signature", &signature.unwrap_or_default()),
            ("numerics", numerics),
            ("arena_bytes", &self.arena_bytes.to_string()),
            ("model_bytes", &self.model_bytes.to_string()),
            ("accessors", &setters.chain(getters).collect::<String>()),
            // The last, as it has names that are the model's.
            ("ports", &inputs.chain(outputs).collect::<String>()),
        ];
        filled(include_str!("lib.rs.in"), &values)
    }
}

impl Port<'_> {
    /// What is known about it when the program is compiled.
    fn module(&self, what: &str) -> String {
        let Self { index, rust_type, tensor: TensorInfo { name, shape, element_type, quantization } } = self;
        let (rank, elements) = (shape.len(), shape.iter().product::<usize>());
        let quantization =
            quantization.map(|quantization| (&quantization.scale[..], &quantization.zero_point[..]));
        let quantization = match quantization {
            Some((&[scale], &[zero_point])) if scale.is_finite() => format!(
                "
    /// The real number that a step of the integers stands for.
    pub const SCALE: f32 = {scale:?};
    /// The integer that stands for the real number 0.
    pub const ZERO_POINT: i64 = {zero_point};"
            ),
            _ => String::new(),
        };
        format!(
            "
/// The model's {what} {index}.
pub mod {what}_{index} {{
    /// The type of its elements: {element_type} in the model.
    pub type Element = {rust_type};
    /// Its name in the model.
    pub const NAME: &str = {name:?};
    /// Its shape.
    pub const SHAPE: [usize; {rank}] = {shape:?};
    /// How many elements it has.
    pub const ELEMENTS: usize = {elements};{quantization}
}}
"
        )
    }

    fn setter(&self) -> String {
        let index = self.index;
        format!(
            "
    /// Sets the input of [`input_{index}`] for one run; outputs of the last run are lost.
    ///
    /// # Errors
    /// None.
    pub fn set_input_{index}(
        &mut self,
        values: &[input_{index}::Element; input_{index}::ELEMENTS],
    ) -> Result<(), Error> {{
        self.0.set_input({index}, values)
    }}
"
        )
    }

    fn getter(&self) -> String {
        let index = self.index;
        format!(
            "
    /// The output of [`output_{index}`] as the last run left it.
    ///
    /// # Errors
    /// None.
    pub fn output_{index}(&self) -> Result<&[output_{index}::Element; output_{index}::ELEMENTS], Error> {{
        let values = self.0.output({index})?;
        Ok(values.as_array().expect(\"the model has this shape\"))
    }}
"
        )
    }
}

/// The names of the operators in all graphs of a model that an interpreter has implementations of.
fn operators(model: &Model<'_>) -> BTreeSet<&'static str> {
    let found: BTreeSet<_> =
        model.graphs.iter().flat_map(|graph| &graph.operators).map(|operator| operator.op.name()).collect();
    operators::ALL.iter().map(Implementation::name).filter(|name| found.contains(name)).collect()
}

/// A template with values in the places of their names.
fn filled(template: &str, values: &[(&str, &str)]) -> String {
    let fill = |text: String, (name, value): &(&str, &str)| text.replace(&format!("{{{name}}}"), value);
    values.iter().fold(template.into(), fill)
}

/// The Rust type that holds elements of the given one.
fn rust_type(element_type: ElementType) -> Option<&'static str> {
    Some(match element_type.storage() {
        ElementType::Float32 => "f32",
        ElementType::Float64 => "f64",
        ElementType::Int8 => "i8",
        ElementType::Int16 => "i16",
        ElementType::Int32 => "i32",
        ElementType::Int64 => "i64",
        ElementType::UInt8 => "u8",
        ElementType::UInt16 => "u16",
        ElementType::UInt32 => "u32",
        ElementType::UInt64 => "u64",
        _ => return None,
    })
}
