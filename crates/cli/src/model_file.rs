//! A model's file, and errors that name it.

use std::path::{Path, PathBuf};

use burnlite_quantize::Error as QuantizeError;
use burnlite_runtime::{Error as RuntimeError, Interpreter, InterpreterOptions};
use burnlite_tflite::{Graph, Model};

use crate::error::Error;
use crate::files;

/// The bytes of a `.tflite` file, and where they came from.
#[derive(Debug)]
pub(crate) struct ModelFile {
    pub(crate) path: PathBuf,
    pub(crate) bytes: Vec<u8>,
}

impl ModelFile {
    pub(crate) fn open(path: &Path) -> Result<Self, Error> {
        Ok(Self { path: path.into(), bytes: files::read(path)? })
    }

    /// The model, which borrows its data.
    pub(crate) fn model(&self) -> Result<Model<'_>, Error> {
        Model::from_bytes(&self.bytes).map_err(|source| Error::Model { path: self.path.clone(), source })
    }

    /// The index of the graph that is run: the signature's, or the first.
    pub(crate) fn graph_index(&self, model: &Model<'_>, signature: Option<&str>) -> Result<usize, Error> {
        let Some(name) = signature else { return Ok(0) };
        model.signature(name).map(|signature| signature.graph).ok_or_else(|| {
            let known = model.signatures.iter().map(|signature| signature.key.clone()).collect();
            let source = Box::new(RuntimeError::NoSuchSignature { name: name.into(), known });
            Error::Runtime { path: self.path.clone(), source }
        })
    }

    /// Plans the model.
    pub(crate) fn interpreter<'m>(
        &self,
        model: &'m Model<'_>,
        options: &InterpreterOptions,
    ) -> Result<Interpreter<'m>, Error> {
        let graph = self.graph_index(model, options.signature.as_deref())?;
        Interpreter::with_options(model, options).map_err(self.fault(&model.graphs[graph]))
    }

    /// The runtime's error with the file's name, and the tensor that an operator computes.
    pub(crate) fn fault<'g>(&self, graph: &'g Graph<'_>) -> impl Fn(RuntimeError) -> Error + use<'g> {
        let path = self.path.clone();
        move |error| match error {
            RuntimeError::Operator { index, name, fault } => {
                let tensor = result_name(graph, index).into();
                Error::Operator { path: path.clone(), index, name, tensor, fault: Box::new(fault) }
            }
            source => Error::Runtime { path: path.clone(), source: Box::new(source) },
        }
    }

    /// The quantizer's error with the file's name.
    pub(crate) fn quantizer_fault(&self) -> impl Fn(QuantizeError) -> Error + use<> {
        let path = self.path.clone();
        move |source| Error::Quantizer { path: path.clone(), source: Box::new(source) }
    }
}

/// The name of the first tensor that an operator computes; empty where it computes none.
pub(crate) fn result_name<'g>(graph: &'g Graph<'_>, operator: usize) -> &'g str {
    let outputs = graph.operators.get(operator).map_or(&[][..], |operator| &operator.outputs);
    outputs.first().and_then(|&id| graph.tensor(id)).map_or("", |tensor| &tensor.name)
}
