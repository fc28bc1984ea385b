//! A model as plain values.

use alloc::borrow::Cow;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use crate::{Element, ElementType, Error, Op, Quantization, Range};

/// A TensorFlow Lite model: graphs of operators over tensors, and the names under which they are called.
///
/// Tensor data are borrowed from the bytes that the model was read from, or owned; [`into_owned`](Self::into_owned)
/// lets go of the bytes.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Model<'a> {
    /// What made the model, in free words.
    pub description: String,
    /// The graphs; the first one is run. Others belong to control flow or to further signatures.
    pub graphs: Vec<Graph<'a>>,
    /// Named entry points.
    pub signatures: Vec<Signature>,
    /// Named blobs of bytes, such as `min_runtime_version`.
    pub metadata: Vec<Metadata<'a>>,
}

/// A graph: its operators run in order, each after those whose outputs it reads.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Graph<'a> {
    /// The graph's name, often `main` or empty.
    pub name: String,
    /// Every tensor that operators read or write.
    pub tensors: Vec<Tensor<'a>>,
    /// Tensors that the caller sets, in order.
    pub inputs: Vec<TensorId>,
    /// Tensors that the caller reads, in order.
    pub outputs: Vec<TensorId>,
    /// The operators, in the order in which they run.
    pub operators: Vec<Operator>,
}

/// The index of a tensor in [`Graph::tensors`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TensorId(pub u32);

impl TensorId {
    /// The index as a `usize`.
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// A multi-dimensional array: a constant when it has data, computed otherwise.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Tensor<'a> {
    /// A name for people; not necessarily unique.
    pub name: String,
    /// The type of its elements.
    pub element_type: ElementType,
    /// Extents, outermost first; images are `[N, H, W, C]`. Where an extent is not known before run time, 1.
    pub shape: Vec<usize>,
    /// The shape with -1 for every extent that may change from run to run, where there is one.
    pub shape_signature: Option<Vec<i32>>,
    /// How its integers stand for real numbers, where they do.
    pub quantization: Option<Quantization>,
    /// Real values seen in calibration, where it was done and left in the file.
    pub range: Option<Range>,
    /// Little-endian elements in row-major order, if the tensor is a constant.
    pub data: Option<Cow<'a, [u8]>>,
    /// Whether its value outlives an invocation (state of a streaming model).
    pub is_variable: bool,
}

/// An operator: what is computed, from which tensors into which.
#[derive(Debug, Clone, PartialEq)]
pub struct Operator {
    /// The kind of operator with its options.
    pub op: Op,
    /// Operands by position; `None` where an optional operand is left out.
    pub inputs: Vec<Option<TensorId>>,
    /// Results by position.
    pub outputs: Vec<TensorId>,
    /// Tensors that carry parameters of an operator's inner results (LSTM).
    pub intermediates: Vec<TensorId>,
    /// The version in the file; writing raises it to what the operator's types need, see [`Op::version`].
    pub version: i32,
}

/// A named entry point: names for the inputs and outputs of a graph.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Signature {
    /// The entry point's name, usually `serving_default`.
    pub key: String,
    /// Names of input tensors.
    pub inputs: Vec<(String, TensorId)>,
    /// Names of output tensors.
    pub outputs: Vec<(String, TensorId)>,
    /// Index of the graph in [`Model::graphs`].
    pub graph: usize,
}

/// A named blob of bytes that travels with the model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metadata<'a> {
    /// Its name.
    pub name: String,
    /// Its bytes.
    pub data: Cow<'a, [u8]>,
}

impl<'a> Model<'a> {
    /// A model of one graph.
    pub fn new(graph: Graph<'a>) -> Self {
        Self { graphs: alloc::vec![graph], ..Self::default() }
    }

    /// Reads a `.tflite` file, with every index, shape and data size checked; data stay where they are in `bytes`.
    ///
    /// # Errors
    /// [`Error`] says what is wrong and where; there is no input on which reading panics, loops, or takes more memory
    /// than a fixed multiple of the file's size.
    pub fn from_bytes(bytes: &'a [u8]) -> Result<Self, Error> {
        crate::read::read(bytes)
    }

    /// The model as the bytes of a `.tflite` file: the same model always gives the same bytes.
    ///
    /// Equal data are stored once; constant data start at multiples of 16 bytes, as the format wants. Operator versions
    /// are the lowest that say what the operators' types and options need ([`Op::version`]).
    ///
    /// # Errors
    /// As [`check`](Self::check); [`Error::UnwritableOperator`] for an operator that was read without its options;
    /// [`Error::TooLarge`] beyond 2 GiB.
    pub fn to_bytes(&self) -> Result<Vec<u8>, Error> {
        crate::write::write(self)
    }

    /// The first graph: the one that is run.
    ///
    /// # Errors
    /// [`Error::Missing`] in a model without graphs.
    pub fn main(&self) -> Result<&Graph<'a>, Error> {
        self.graphs.first().ok_or(Error::Missing { table: "Model", field: "subgraphs" })
    }

    /// The signature with the given name.
    pub fn signature(&self, key: &str) -> Option<&Signature> {
        self.signatures.iter().find(|signature| signature.key == key)
    }

    /// Checks what reading checks: indices, shapes, data sizes, quantization.
    ///
    /// # Errors
    /// The first fault found.
    pub fn check(&self) -> Result<(), Error> {
        self.main()?;
        self.graphs.iter().try_for_each(crate::check::graph)?;
        self.signatures.iter().try_for_each(|signature| crate::check::signature(signature, &self.graphs))
    }

    /// The same model with data of its own, independent of the bytes it was read from.
    pub fn into_owned(self) -> Model<'static> {
        Model {
            description: self.description,
            graphs: self.graphs.into_iter().map(Graph::into_owned).collect(),
            signatures: self.signatures,
            metadata: self
                .metadata
                .into_iter()
                .map(|entry| Metadata { name: entry.name, data: Cow::Owned(entry.data.into_owned()) })
                .collect(),
        }
    }
}

impl<'a> Graph<'a> {
    /// The tensor with the given index; `None` for an index of another graph.
    pub fn tensor(&self, id: TensorId) -> Option<&Tensor<'a>> {
        self.tensors.get(id.index())
    }

    /// Adds a tensor and returns its index.
    ///
    /// # Panics
    /// Beyond 2^32 tensors.
    pub fn add_tensor(&mut self, tensor: Tensor<'a>) -> TensorId {
        let id = u32::try_from(self.tensors.len()).expect("fewer than 2^32 tensors fit in memory");
        self.tensors.push(tensor);
        TensorId(id)
    }

    /// `operator 3 (CONV_2D)`: how messages name the operator with the given index.
    pub fn operator_label(&self, index: usize) -> String {
        let name = self
            .operators
            .get(index)
            .map_or_else(|| "?".to_string(), |operator| operator.op.name().to_string());
        alloc::format!("operator {index} ({name})")
    }

    fn into_owned(self) -> Graph<'static> {
        let tensors = self.tensors.into_iter().map(Tensor::into_owned).collect();
        Graph {
            name: self.name,
            tensors,
            inputs: self.inputs,
            outputs: self.outputs,
            operators: self.operators,
        }
    }
}

impl<'a> Tensor<'a> {
    /// The most dimensions that a tensor may have. Every operator's results repeat its operands' dimensions, so that without a
    /// bound a small file would take much memory; NumPy's arrays had the same one until its version 2.
    pub const MOST_DIMENSIONS: usize = 32;

    /// A tensor that is computed when the model runs.
    pub fn new(name: impl Into<String>, element_type: ElementType, shape: impl Into<Vec<usize>>) -> Self {
        Self { name: name.into(), element_type, shape: shape.into(), ..Self::default() }
    }

    /// A constant tensor with the given elements.
    ///
    /// The number of elements must be the product of the shape; [`Model::check`] says so otherwise.
    pub fn constant<T: Element>(
        name: impl Into<String>,
        shape: impl Into<Vec<usize>>,
        elements: &[T],
    ) -> Self {
        let data = Some(Cow::Owned(bytemuck::cast_slice(elements).to_vec()));
        Self { data, ..Self::new(name, T::TYPE, shape) }
    }

    /// The same tensor with the given quantization.
    pub fn quantized(self, quantization: Quantization) -> Self {
        Self { quantization: Some(quantization), ..self }
    }

    /// Number of elements: the product of the shape, 1 for a scalar.
    ///
    /// # Panics
    /// Where the product overflows; not for a tensor of a model that was read or [checked](Model::check).
    pub fn elements(&self) -> usize {
        self.checked_elements().expect("the shape of a checked tensor does not overflow")
    }

    /// As [`elements`](Self::elements); `None` where the product overflows with extents of 0 taken as 1, so that no part
    /// of the product overflows either.
    pub(crate) fn checked_elements(&self) -> Option<usize> {
        self.shape.iter().try_fold(1usize, |product, &extent| product.checked_mul(extent.max(1)))?;
        Some(self.shape.iter().product())
    }

    /// The elements of a constant, borrowed where the data are aligned for `T`, copied otherwise.
    ///
    /// # Errors
    /// [`Error::ElementType`] if the tensor holds another type, [`Error::NotConstant`] if it has no data.
    pub fn elements_of<T: Element>(&self) -> Result<Cow<'_, [T]>, Error> {
        if self.element_type != T::TYPE {
            let name = self.name.clone();
            return Err(Error::ElementType { name, expected: T::TYPE, found: self.element_type });
        }
        let data = self.data.as_deref().ok_or_else(|| Error::NotConstant { name: self.name.clone() })?;
        let data = &data[..data.len() - data.len() % size_of::<T>()];
        Ok(match bytemuck::try_cast_slice(data) {
            Ok(elements) => Cow::Borrowed(elements),
            Err(_) => Cow::Owned(bytemuck::pod_collect_to_vec(data)),
        })
    }

    fn into_owned(self) -> Tensor<'static> {
        Tensor {
            name: self.name,
            element_type: self.element_type,
            shape: self.shape,
            shape_signature: self.shape_signature,
            quantization: self.quantization,
            range: self.range,
            data: self.data.map(|data| Cow::Owned(data.into_owned())),
            is_variable: self.is_variable,
        }
    }
}

impl Operator {
    /// An operator whose operands are all present.
    pub fn new(
        op: Op,
        inputs: impl IntoIterator<Item = TensorId>,
        outputs: impl Into<Vec<TensorId>>,
    ) -> Self {
        let inputs = inputs.into_iter().map(Some).collect();
        Self { op, inputs, outputs: outputs.into(), intermediates: Vec::new(), version: 1 }
    }

    /// The version that the operator has in a file: what its types and options need, and at least its own.
    pub(crate) fn written_version(&self, graph: &Graph<'_>) -> i32 {
        let inputs: Vec<_> = self.inputs.iter().map(|id| id.and_then(|id| graph.tensor(id))).collect();
        let outputs: Vec<_> = self.outputs.iter().filter_map(|&id| graph.tensor(id)).collect();
        self.op.version(&inputs, &outputs).max(self.version)
    }
}
