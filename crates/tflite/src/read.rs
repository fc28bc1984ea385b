//! From the bytes of a file to a [`Model`].

use alloc::borrow::Cow;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use crate::error::TensorFault;
use crate::schema::Field;
use crate::slots;
use crate::table::{File, Table};
use crate::{
    ElementType, Error, Graph, Metadata, Model, Op, Operator, Quantization, Range, Signature, Tensor,
    TensorId,
};

/// The schema version that every file in use has.
pub(crate) const SCHEMA_VERSION: u32 = 3;
/// The file identifier, at byte 4.
pub(crate) const IDENTIFIER: &str = "TFL3";

pub(crate) fn read(bytes: &[u8]) -> Result<Model<'_>, Error> {
    if bytes.get(4..8) != Some(IDENTIFIER.as_bytes()) {
        return Err(Error::NotTflite);
    }
    let file = File::new(bytes);
    let root = file.root("Model")?;
    let version = scalar(&root, slots::model::VERSION, "version", 0)?;
    if version != SCHEMA_VERSION {
        return Err(Error::SchemaVersion { found: version });
    }
    let codes = root.tables(slots::model::OPERATOR_CODES, "OperatorCode")?;
    let codes = codes.iter().map(OperatorCode::read).collect::<Result<Vec<_>, _>>()?;
    let buffers = root.tables(slots::model::BUFFERS, "Buffer")?;
    let buffers = buffers.iter().map(|table| buffer(table, bytes)).collect::<Result<Vec<_>, _>>()?;

    let graphs = root.tables(slots::model::SUBGRAPHS, "SubGraph")?;
    let metadata = root.tables(slots::model::METADATA, "Metadata")?;
    let signatures = root.tables(slots::model::SIGNATURE_DEFS, "SignatureDef")?;
    let model = Model {
        description: string(&root, slots::model::DESCRIPTION)?,
        graphs: graphs.iter().map(|table| graph(table, &codes, &buffers)).collect::<Result<_, _>>()?,
        metadata: metadata.iter().map(|table| metadata_entry(table, &buffers)).collect::<Result<_, _>>()?,
        signatures: signatures.iter().map(signature).collect::<Result<_, _>>()?,
    };
    model.check()?;
    Ok(model)
}

struct OperatorCode<'a> {
    code: i32,
    version: i32,
    custom: &'a str,
}

impl<'a> OperatorCode<'a> {
    /// The code is the larger of two fields: codes above 127 do not fit the older one, which then holds 127.
    fn read(table: &Table<'_, 'a>) -> Result<Self, Error> {
        let deprecated: i8 =
            scalar(table, slots::operator_code::DEPRECATED_BUILTIN_CODE, "deprecated_builtin_code", 0)?;
        let code: i32 = scalar(table, slots::operator_code::BUILTIN_CODE, "builtin_code", 0)?;
        Ok(Self {
            code: code.max(deprecated.into()),
            version: scalar(table, slots::operator_code::VERSION, "version", 1)?,
            custom: table.string(slots::operator_code::CUSTOM_CODE)?.unwrap_or("custom"),
        })
    }
}

/// The bytes of a buffer: in its table, or (files above 2 GiB) elsewhere in the file; `None` for an empty table.
fn buffer<'a>(table: &Table<'_, 'a>, file: &'a [u8]) -> Result<Option<&'a [u8]>, Error> {
    let unsigned = |slot| Ok::<_, Error>(table.scalar(slot)?.map_or(0, u64::from_le_bytes));
    let (offset, size) = (unsigned(slots::buffer::OFFSET)?, unsigned(slots::buffer::SIZE)?);
    if offset <= 1 {
        return table.bytes(slots::buffer::DATA);
    }
    let range = usize::try_from(offset).ok().zip(usize::try_from(offset.saturating_add(size)).ok());
    let bytes = range.and_then(|(start, end)| file.get(start..end)).ok_or(Error::OutOfBounds {
        table: "Buffer",
        what: "data",
        offset: usize::try_from(offset).unwrap_or(usize::MAX),
        file_bytes: file.len(),
    })?;
    Ok(Some(bytes))
}

fn graph<'a>(
    table: &Table<'_, 'a>,
    codes: &[OperatorCode<'a>],
    buffers: &[Option<&'a [u8]>],
) -> Result<Graph<'a>, Error> {
    let tensors = table.tables(slots::subgraph::TENSORS, "Tensor")?;
    let operators = table.tables(slots::subgraph::OPERATORS, "Operator")?;
    Ok(Graph {
        name: string(table, slots::subgraph::NAME)?,
        tensors: tensors
            .iter()
            .enumerate()
            .map(|(index, table)| tensor(index, table, buffers))
            .collect::<Result<_, _>>()?,
        inputs: tensor_ids(table, slots::subgraph::INPUTS, "inputs")?,
        outputs: tensor_ids(table, slots::subgraph::OUTPUTS, "outputs")?,
        operators: operators
            .iter()
            .enumerate()
            .map(|(index, table)| operator(index, table, codes))
            .collect::<Result<_, _>>()?,
    })
}

fn tensor<'a>(
    index: usize,
    table: &Table<'_, 'a>,
    buffers: &[Option<&'a [u8]>],
) -> Result<Tensor<'a>, Error> {
    // Many references may name the same table: each becomes a tensor.
    table.spend(size_of::<Tensor<'_>>())?;
    let name = string(table, slots::tensor::NAME)?;
    let fault = |reason| Error::Tensor { index, name: name.clone(), reason };
    let extents: Vec<i32> = table.scalars(slots::tensor::SHAPE)?.unwrap_or_default();
    let shape = extents
        .iter()
        .enumerate()
        .map(|(dimension, &extent)| {
            usize::try_from(extent).map_err(|_| fault(TensorFault::NegativeDimension { dimension, extent }))
        })
        .collect::<Result<Vec<_>, _>>()?;
    if table.table(slots::tensor::SPARSITY, "SparsityParameters")?.is_some() {
        return Err(fault(TensorFault::Sparse));
    }
    if scalar(table, slots::tensor::EXTERNAL_BUFFER, "external_buffer", 0u32)? != 0 {
        return Err(fault(TensorFault::ExternalData));
    }
    let buffer_index: u32 = scalar(table, slots::tensor::BUFFER, "buffer", 0)?;
    let data = *indexed(buffers, buffer_index, "buffer", || alloc::format!("tensor {index} '{name}'"))?;
    let (quantization, range) = match table.table(slots::tensor::QUANTIZATION, "QuantizationParameters")? {
        Some(table) => quantization(&table)?,
        None => (None, None),
    };
    let mut tensor = Tensor {
        element_type: scalar(table, slots::tensor::TYPE, "type", ElementType::Float32)?,
        shape,
        shape_signature: table.scalars(slots::tensor::SHAPE_SIGNATURE)?,
        quantization,
        range,
        data: None,
        is_variable: scalar(table, slots::tensor::IS_VARIABLE, "is_variable", false)?,
        name,
    };
    tensor.data = data.map(|data| Cow::Borrowed(without_excess(data, &tensor)));
    Ok(tensor)
}

/// A buffer may be longer than its tensor needs; what lies behind is not the tensor's.
fn without_excess<'a>(data: &'a [u8], tensor: &Tensor<'_>) -> &'a [u8] {
    let needed = tensor.checked_elements().and_then(|elements| tensor.element_type.bytes_for(elements));
    needed.and_then(|needed| data.get(..needed)).unwrap_or(data)
}

type Parameters = (Option<Quantization>, Option<Range>);

fn quantization(table: &Table<'_, '_>) -> Result<Parameters, Error> {
    let floats = |slot| Ok::<_, Error>(table.scalars::<f32>(slot)?.unwrap_or_default());
    let (min, max) = (floats(slots::quantization::MIN)?, floats(slots::quantization::MAX)?);
    let scale = floats(slots::quantization::SCALE)?;
    let zero_point = table.scalars(slots::quantization::ZERO_POINT)?.unwrap_or_default();
    let dimension: i32 = scalar(table, slots::quantization::DIMENSION, "quantized_dimension", 0)?;
    let dimension = usize::try_from(dimension).map_err(|_| Error::UnknownValue {
        table: table.name(),
        field: "quantized_dimension",
        value: dimension.into(),
    })?;
    let quantization = (!scale.is_empty()).then_some(Quantization { scale, zero_point, dimension });
    let range = (!min.is_empty() || !max.is_empty()).then_some(Range { min, max });
    Ok((quantization, range))
}

fn operator(index: usize, table: &Table<'_, '_>, codes: &[OperatorCode<'_>]) -> Result<Operator, Error> {
    let code_index: u32 = scalar(table, slots::operator::OPCODE_INDEX, "opcode_index", 0)?;
    let code = indexed(codes, code_index, "operator code", || alloc::format!("operator {index}"))?;
    // Each custom operator gets a copy of its code's name.
    table.spend(size_of::<Operator>().saturating_add(code.custom.len()))?;
    let union = table.scalar(slots::operator::OPTIONS_TYPE)?.map_or(0, u8::from_le_bytes);
    let options = table.table(slots::operator::OPTIONS, "BuiltinOptions")?.map(|table| (union, table));
    let inputs: Vec<i32> = table.scalars(slots::operator::INPUTS)?.unwrap_or_default();
    Ok(Operator {
        op: Op::read(code.code, code.custom, options)?,
        inputs: inputs.into_iter().map(|id| u32::try_from(id).ok().map(TensorId)).collect(),
        outputs: tensor_ids(table, slots::operator::OUTPUTS, "outputs")?,
        intermediates: tensor_ids(table, slots::operator::INTERMEDIATES, "intermediates")?,
        version: code.version,
    })
}

fn signature(table: &Table<'_, '_>) -> Result<Signature, Error> {
    let names = |slot| {
        let entries = table.tables(slot, "TensorMap")?;
        entries
            .iter()
            .map(|entry| {
                let id = scalar(entry, slots::tensor_map::TENSOR, "tensor_index", 0)?;
                Ok((string(entry, slots::tensor_map::NAME)?, TensorId(id)))
            })
            .collect::<Result<Vec<_>, Error>>()
    };
    let graph: u32 = scalar(table, slots::signature::SUBGRAPH, "subgraph_index", 0)?;
    let key = table.string(slots::signature::KEY)?;
    Ok(Signature {
        key: key.ok_or(Error::Missing { table: "SignatureDef", field: "signature_key" })?.to_string(),
        inputs: names(slots::signature::INPUTS)?,
        outputs: names(slots::signature::OUTPUTS)?,
        graph: graph as usize,
    })
}

fn metadata_entry<'a>(table: &Table<'_, '_>, buffers: &[Option<&'a [u8]>]) -> Result<Metadata<'a>, Error> {
    let name = string(table, slots::metadata::NAME)?;
    let index: u32 = scalar(table, slots::metadata::BUFFER, "buffer", 0)?;
    let data = *indexed(buffers, index, "buffer", || alloc::format!("metadata '{name}'"))?;
    Ok(Metadata { data: Cow::Borrowed(data.unwrap_or_default()), name })
}

fn scalar<T: Field>(table: &Table<'_, '_>, slot: u16, name: &'static str, default: T) -> Result<T, Error> {
    T::read(table, slot, name, default)
}

fn string(table: &Table<'_, '_>, slot: u16) -> Result<String, Error> {
    Ok(table.string(slot)?.unwrap_or_default().to_string())
}

fn tensor_ids(table: &Table<'_, '_>, slot: u16, field: &'static str) -> Result<Vec<TensorId>, Error> {
    let ids: Vec<i32> = table.scalars(slot)?.unwrap_or_default();
    ids.into_iter()
        .map(|id| {
            let unknown = |_| Error::UnknownValue { table: table.name(), field, value: id.into() };
            u32::try_from(id).map(TensorId).map_err(unknown)
        })
        .collect()
}

fn indexed<'l, T>(
    list: &'l [T],
    index: u32,
    what: &'static str,
    place: impl FnOnce() -> String,
) -> Result<&'l T, Error> {
    list.get(index as usize).ok_or_else(|| Error::Index {
        place: place(),
        what,
        index: index.into(),
        count: list.len(),
    })
}
