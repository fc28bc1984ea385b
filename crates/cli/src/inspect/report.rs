//! What there is to say about a model, in the layout of `inspect --json`.

use std::collections::{BTreeSet, HashMap, HashSet};

use burnlite_runtime::{Interpreter, InterpreterOptions, Kernels};
use burnlite_tflite::{ElementType, Graph, Model, Operator, Signature, Tensor, TensorId};
use serde::Serialize;

use super::arena::{self, RegionReport};
use super::support::{Unsupported, unsupported};
use crate::check::Check;
use crate::model_file::ModelFile;

/// Everything about a model.
#[derive(Debug, Serialize)]
pub(crate) struct Report<'m> {
    pub(crate) file: String,
    pub(crate) file_bytes: usize,
    pub(crate) description: &'m str,
    /// How many graphs the file has; the rest is about the one that is run.
    pub(crate) graphs: usize,
    pub(crate) inputs: Vec<TensorReport<'m>>,
    pub(crate) outputs: Vec<TensorReport<'m>>,
    pub(crate) signatures: Vec<SignatureReport<'m>>,
    pub(crate) operators: Vec<OperatorReport<'m>>,
    /// Bytes of constants; what several tensors share counts once.
    pub(crate) weights_bytes: usize,
    /// Of one run.
    pub(crate) multiply_accumulates: u64,
    /// Bytes for the tensors that are computed; none where the model cannot be run.
    pub(crate) arena_bytes: Option<usize>,
    /// What the arena holds, and when; none where nobody asked for it, or the model cannot be run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) arena: Option<Vec<RegionReport<'m>>>,
    /// Bytes of weights that kernels read in an order of their own, beside those in the file; none where the model cannot be
    /// run.
    pub(crate) packed_bytes: Option<usize>,
    /// The kernels that run, each once.
    pub(crate) kernels: Vec<String>,
    /// Why the model cannot be run; empty where it can.
    pub(crate) unsupported: Vec<Unsupported>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) check: Option<&'m Check>,
}

/// A tensor.
#[derive(Debug, Serialize)]
pub(crate) struct TensorReport<'m> {
    /// Its index in the graph.
    pub(crate) tensor: usize,
    pub(crate) name: &'m str,
    #[serde(rename = "type")]
    pub(crate) element_type: &'static str,
    pub(crate) shape: Vec<usize>,
    /// -1 for extents that are free.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) shape_signature: Option<&'m [i32]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) quantization: Option<QuantizationReport<'m>>,
    /// Bytes in the file, where it is a constant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) constant_bytes: Option<usize>,
    #[serde(skip_serializing_if = "is_false")]
    pub(crate) is_variable: bool,
}

/// How a tensor's integers stand for real numbers.
#[derive(Debug, Serialize)]
pub(crate) struct QuantizationReport<'m> {
    pub(crate) scale: &'m [f32],
    pub(crate) zero_point: &'m [i64],
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) dimension: Option<usize>,
}

/// A signature.
#[derive(Debug, Serialize)]
pub(crate) struct SignatureReport<'m> {
    pub(crate) name: &'m str,
    pub(crate) graph: usize,
    pub(crate) inputs: Vec<NamedTensor<'m>>,
    pub(crate) outputs: Vec<NamedTensor<'m>>,
}

/// What a signature calls a tensor.
#[derive(Debug, Serialize)]
pub(crate) struct NamedTensor<'m> {
    pub(crate) name: &'m str,
    pub(crate) tensor: usize,
    pub(crate) tensor_name: &'m str,
}

/// An operator.
#[derive(Debug, Serialize)]
pub(crate) struct OperatorReport<'m> {
    pub(crate) index: usize,
    pub(crate) name: &'m str,
    pub(crate) version: i32,
    /// Operands by position, none where one is left out.
    pub(crate) inputs: Vec<Option<TensorReport<'m>>>,
    pub(crate) outputs: Vec<TensorReport<'m>>,
    pub(crate) multiply_accumulates: u64,
    pub(crate) weights_bytes: usize,
    /// The kernels that would run; none where there is nothing left to do when the model runs, or it cannot be run.
    pub(crate) kernels: Option<String>,
}

/// A graph, with its shapes and kernels as planned where it can be planned.
pub(crate) struct Shaped<'m, 'i> {
    graph: &'m Graph<'m>,
    interpreter: Option<&'i Interpreter<'m>>,
    /// The kernels of each operator that has something to do.
    kernels: HashMap<usize, Kernels>,
}

impl<'m> Report<'m> {
    pub(crate) fn new(
        file: &ModelFile,
        model: &'m Model<'m>,
        index: usize,
        options: &InterpreterOptions,
        with_arena: bool,
    ) -> Self {
        let interpreter = Interpreter::with_options(model, options);
        let unsupported = if interpreter.is_ok() { Vec::new() } else { unsupported(model, index, options) };
        let interpreter = interpreter.ok();
        let graph = &model.graphs[index];
        let shaped = Shaped::new(graph, interpreter.as_ref());
        let operators: Vec<_> = graph
            .operators
            .iter()
            .enumerate()
            .map(|(index, operator)| shaped.operator(index, operator))
            .collect();
        let kernels: BTreeSet<_> = shaped.kernels.values().map(Kernels::to_string).collect();
        Self {
            file: file.path.display().to_string(),
            file_bytes: file.bytes.len(),
            description: &model.description,
            graphs: model.graphs.len(),
            inputs: graph.inputs.iter().map(|&id| shaped.tensor(id)).collect(),
            outputs: graph.outputs.iter().map(|&id| shaped.tensor(id)).collect(),
            signatures: model.signatures.iter().map(|signature| signature_report(model, signature)).collect(),
            weights_bytes: constant_bytes(&graph.tensors),
            multiply_accumulates: operators
                .iter()
                .fold(0, |sum: u64, operator| sum.saturating_add(operator.multiply_accumulates)),
            operators,
            kernels: kernels.into_iter().collect(),
            arena_bytes: interpreter.as_ref().map(Interpreter::arena_bytes),
            arena: interpreter.as_ref().filter(|_| with_arena).map(arena::regions),
            packed_bytes: interpreter.as_ref().map(Interpreter::packed_bytes),
            unsupported,
            check: None,
        }
    }
}

impl<'m, 'i> Shaped<'m, 'i> {
    fn new(graph: &'m Graph<'m>, interpreter: Option<&'i Interpreter<'m>>) -> Self {
        let steps = interpreter.into_iter().flat_map(Interpreter::steps);
        Self { graph, interpreter, kernels: steps.map(|step| (step.operator, step.kernels)).collect() }
    }

    pub(crate) fn shape(&self, id: TensorId) -> &[usize] {
        let planned = self.interpreter.and_then(|interpreter| interpreter.tensor_info(id).ok());
        planned.map_or(&self.graph.tensors[id.index()].shape, |info| info.shape)
    }

    fn tensor(&self, id: TensorId) -> TensorReport<'m> {
        let tensor = &self.graph.tensors[id.index()];
        TensorReport {
            tensor: id.index(),
            name: &tensor.name,
            element_type: tensor.element_type.name(),
            shape: self.shape(id).into(),
            shape_signature: tensor.shape_signature.as_deref(),
            quantization: tensor.quantization.as_ref().map(|quantization| QuantizationReport {
                scale: &quantization.scale,
                zero_point: &quantization.zero_point,
                dimension: quantization.is_per_channel().then_some(quantization.dimension),
            }),
            constant_bytes: tensor.data.as_ref().map(|data| data.len()),
            is_variable: tensor.is_variable,
        }
    }

    fn operator(&self, index: usize, operator: &'m Operator) -> OperatorReport<'m> {
        let operands = operator.inputs.iter().flatten().map(|id| &self.graph.tensors[id.index()]);
        OperatorReport {
            index,
            name: operator.op.name(),
            version: operator.version,
            inputs: operator.inputs.iter().map(|id| id.map(|id| self.tensor(id))).collect(),
            outputs: operator.outputs.iter().map(|&id| self.tensor(id)).collect(),
            multiply_accumulates: operator.multiply_accumulates(|id| self.shape(id)),
            weights_bytes: constant_bytes(operands),
            kernels: self.kernels.get(&index).map(Kernels::to_string),
        }
    }
}

fn signature_report<'m>(model: &'m Model<'m>, signature: &'m Signature) -> SignatureReport<'m> {
    let named = |(name, id): &'m (String, TensorId)| NamedTensor {
        name,
        tensor: id.index(),
        tensor_name: &model.graphs[signature.graph].tensors[id.index()].name,
    };
    SignatureReport {
        name: &signature.key,
        graph: signature.graph,
        inputs: signature.inputs.iter().map(named).collect(),
        outputs: signature.outputs.iter().map(named).collect(),
    }
}

/// Bytes of the constants among the tensors; data that several share count once.
fn constant_bytes<'t>(tensors: impl IntoIterator<Item = &'t Tensor<'t>>) -> usize {
    let data = tensors.into_iter().filter(|tensor| tensor.element_type != ElementType::String);
    let places: HashSet<_> =
        data.filter_map(|tensor| tensor.data.as_deref()).map(|data| (data.as_ptr(), data.len())).collect();
    places.iter().map(|(_, length)| length).sum()
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn is_false(value: &bool) -> bool {
    !value
}
