//! From a [`Model`] to the bytes of a file.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use flatbuffers::{FlatBufferBuilder, ForwardsUOffset, Vector, WIPOffset};

use crate::read::{IDENTIFIER, SCHEMA_VERSION};
use crate::schema::{TableOffset, slot_offset};
use crate::slots;
use crate::{Error, Graph, Metadata, Model, Op, Operator, Quantization, Range, Signature, Tensor, TensorId};

/// Constant data start at multiples of this many bytes (`force_align` of the format).
const DATA_ALIGNMENT: usize = 16;
/// Code 127 in the older, 8-bit field says: see the newer one.
const LARGEST_DEPRECATED_CODE: i32 = 127;

pub(crate) fn write(model: &Model<'_>) -> Result<Vec<u8>, Error> {
    model.check()?;
    let mut writer = Writer::default();
    writer.collect(model)?;
    Ok(writer.model(model))
}

/// The most bytes of a file: a little less than offsets can span.
const LARGEST_FILE: usize = (1 << 31) - (1 << 16);

/// More bytes than the tables of a model take in a file: each is smaller than the value that it is read into.
fn table_bytes(model: &Model<'_>) -> usize {
    /// What a table takes beside its fields, and what aligns it.
    const TABLE: usize = 64;
    let tensor = |tensor: &Tensor<'_>| {
        let quantization = tensor.quantization.as_ref().map_or(0, |it| 12 * it.scale.len());
        let range = tensor.range.as_ref().map_or(0, |it| 4 * (it.min.len() + it.max.len()));
        let signature = tensor.shape_signature.as_ref().map_or(0, Vec::len);
        size_of::<Tensor<'_>>()
            + 2 * TABLE
            + tensor.name.len()
            + quantization
            + range
            + 4 * (tensor.shape.len() + signature)
    };
    let operator = |operator: &Operator| {
        let options = match &operator.op {
            Op::Reshape(options) => 4 * options.new_shape.len(),
            Op::Squeeze(options) => 4 * options.squeeze_dims.len(),
            Op::VarHandle(options) => options.container.len() + options.shared_name.len(),
            _ => 0,
        };
        let tensors = operator.inputs.len() + operator.outputs.len() + operator.intermediates.len();
        size_of::<Operator>() + 2 * TABLE + options + 4 * tensors
    };
    let graph = |graph: &Graph<'_>| {
        let tensors: usize = graph.tensors.iter().map(tensor).sum();
        let operators: usize = graph.operators.iter().map(operator).sum();
        tensors + operators + TABLE + graph.name.len() + 4 * (graph.inputs.len() + graph.outputs.len())
    };
    let names = |names: &[(alloc::string::String, TensorId)]| -> usize {
        names.iter().map(|(name, _)| 2 * TABLE + name.len()).sum()
    };
    let signature = |it: &Signature| 2 * TABLE + it.key.len() + names(&it.inputs) + names(&it.outputs);
    let graphs: usize = model.graphs.iter().map(graph).sum();
    let signatures: usize = model.signatures.iter().map(signature).sum();
    let metadata: usize = model.metadata.iter().map(|entry| 2 * TABLE + entry.name.len()).sum();
    // An operator code has a table, and so has each buffer; there are fewer of them than operators, tensors and metadata.
    graphs + signatures + metadata + 4 * TABLE + model.description.len()
}

type Builder = FlatBufferBuilder<'static>;
type TableVector = WIPOffset<Vector<'static, ForwardsUOffset<flatbuffers::TableFinishedWIPOffset>>>;

/// What is shared by the tables of a file: operator codes and data, each once, in the order of first use.
#[derive(Default)]
struct Writer<'m> {
    codes: Vec<OperatorCode<'m>>,
    buffers: Vec<&'m [u8]>,
    buffer_of: BTreeMap<&'m [u8], u32>,
    /// The buffers of data by where they lie: tensors may share them, and then need not be compared.
    buffer_at: BTreeMap<(*const u8, usize), u32>,
    /// Bytes of the buffers, and of all data that was compared.
    written: usize,
    compared: usize,
}

struct OperatorCode<'m> {
    op: &'m Op,
    version: i32,
}

impl<'m> Writer<'m> {
    fn collect(&mut self, model: &'m Model<'_>) -> Result<(), Error> {
        for graph in &model.graphs {
            for (index, operator) in graph.operators.iter().enumerate() {
                self.collect_code(graph, index, operator)?;
            }
            let mut data = graph.tensors.iter().filter_map(|tensor| tensor.data.as_deref());
            data.try_for_each(|data| self.collect_data(data))?;
        }
        model.metadata.iter().try_for_each(|entry| self.collect_data(&entry.data))?;
        // Offsets span 2^31 bytes.
        let padding = self.buffers.len().saturating_mul(2 * DATA_ALIGNMENT);
        let bytes = table_bytes(model).saturating_add(self.written).saturating_add(padding);
        if bytes > LARGEST_FILE { Err(Error::TooLarge { bytes }) } else { Ok(()) }
    }

    /// One code for each kind of operator, with the highest version that any of its operators needs.
    fn collect_code(&mut self, graph: &Graph<'_>, index: usize, operator: &'m Operator) -> Result<(), Error> {
        if let Op::Unsupported { name, .. } = &operator.op {
            return Err(Error::UnwritableOperator { index, name: name.clone() });
        }
        let version = operator.written_version(graph);
        match self.codes.iter_mut().find(|code| code.op.code() == operator.op.code()) {
            Some(code) => code.version = code.version.max(version),
            None => self.codes.push(OperatorCode { op: &operator.op, version }),
        }
        Ok(())
    }

    /// Data of a small file may overlap, and be more than can be written, or compared in time.
    fn collect_data(&mut self, data: &'m [u8]) -> Result<(), Error> {
        let place = (data.as_ptr(), data.len());
        if self.buffer_at.contains_key(&place) {
            return Ok(());
        }
        self.compared = self.compared.saturating_add(data.len());
        // Buffer 0 is the empty one; data start after it.
        let next = u32::try_from(self.buffers.len() + 1).expect("fewer than 2^32 buffers fit in memory");
        let buffer = *self.buffer_of.entry(data).or_insert(next);
        self.buffer_at.insert(place, buffer);
        if buffer == next {
            self.buffers.push(data);
            self.written = self.written.saturating_add(data.len());
        }
        let bytes = self.written.max(self.compared / 2);
        if bytes > LARGEST_FILE { Err(Error::TooLarge { bytes }) } else { Ok(()) }
    }

    fn buffer_index(&self, data: Option<&[u8]>) -> u32 {
        data.map_or(0, |data| self.buffer_at[&(data.as_ptr(), data.len())])
    }

    fn model(&self, model: &Model<'_>) -> Vec<u8> {
        let mut builder = Builder::new();
        let buffers = self.buffer_tables(&mut builder);
        let graphs: Vec<_> = model.graphs.iter().map(|graph| self.graph(&mut builder, graph)).collect();
        let graphs = builder.create_vector(&graphs);
        let codes: Vec<_> = self.codes.iter().map(|code| operator_code(&mut builder, code)).collect();
        let codes = builder.create_vector(&codes);
        let metadata: Vec<_> =
            model.metadata.iter().map(|entry| self.metadata(&mut builder, entry)).collect();
        let metadata = tables(&mut builder, &metadata);
        let signatures: Vec<_> =
            model.signatures.iter().map(|entry| signature(&mut builder, entry)).collect();
        let signatures = tables(&mut builder, &signatures);
        let description = string(&mut builder, &model.description);

        let start = builder.start_table();
        builder.push_slot_always(slot_offset(slots::model::VERSION), SCHEMA_VERSION);
        builder.push_slot_always(slot_offset(slots::model::OPERATOR_CODES), codes);
        builder.push_slot_always(slot_offset(slots::model::SUBGRAPHS), graphs);
        push(&mut builder, slots::model::DESCRIPTION, description);
        builder.push_slot_always(slot_offset(slots::model::BUFFERS), buffers);
        push(&mut builder, slots::model::METADATA, metadata);
        push(&mut builder, slots::model::SIGNATURE_DEFS, signatures);
        let root = builder.end_table(start);
        // The reference to the root and the identifier make up the last 8 bytes.
        pad(&mut builder, 8);
        builder.finish(root, Some(IDENTIFIER));
        builder.finished_data().to_vec()
    }

    fn buffer_tables(&self, builder: &mut Builder) -> TableVector {
        // All data first: among the tables, each would need padding anew.
        let write = |data: &&[u8]| {
            pad(builder, data.len());
            builder.create_vector(data)
        };
        let vectors: Vec<_> = self.buffers.iter().map(write).collect();
        let tables: Vec<_> = core::iter::once(None)
            .chain(vectors.into_iter().map(Some))
            .map(|data| {
                let start = builder.start_table();
                push(builder, slots::buffer::DATA, data);
                builder.end_table(start)
            })
            .collect();
        builder.create_vector(&tables)
    }

    fn graph(&self, builder: &mut Builder, graph: &Graph<'_>) -> TableOffset {
        let tensors: Vec<_> = graph.tensors.iter().map(|entry| self.tensor(builder, entry)).collect();
        let tensors = builder.create_vector(&tensors);
        let operators: Vec<_> = graph.operators.iter().map(|entry| self.operator(builder, entry)).collect();
        let operators = builder.create_vector(&operators);
        let inputs = builder.create_vector(&indices(&graph.inputs));
        let outputs = builder.create_vector(&indices(&graph.outputs));
        let name = string(builder, &graph.name);

        let start = builder.start_table();
        builder.push_slot_always(slot_offset(slots::subgraph::TENSORS), tensors);
        builder.push_slot_always(slot_offset(slots::subgraph::INPUTS), inputs);
        builder.push_slot_always(slot_offset(slots::subgraph::OUTPUTS), outputs);
        builder.push_slot_always(slot_offset(slots::subgraph::OPERATORS), operators);
        push(builder, slots::subgraph::NAME, name);
        builder.end_table(start)
    }

    fn tensor(&self, builder: &mut Builder, tensor: &Tensor<'_>) -> TableOffset {
        let extents: Vec<i32> =
            tensor.shape.iter().map(|&extent| i32::try_from(extent).unwrap_or(i32::MAX)).collect();
        let shape = builder.create_vector(&extents);
        let signature = tensor.shape_signature.as_ref().map(|signature| builder.create_vector(signature));
        let quantization = quantization(builder, tensor.quantization.as_ref(), tensor.range.as_ref());
        let name = string(builder, &tensor.name);

        let start = builder.start_table();
        builder.push_slot_always(slot_offset(slots::tensor::SHAPE), shape);
        scalar(builder, slots::tensor::TYPE, tensor.element_type as i8, 0);
        scalar(builder, slots::tensor::BUFFER, self.buffer_index(tensor.data.as_deref()), 0);
        push(builder, slots::tensor::NAME, name);
        push(builder, slots::tensor::QUANTIZATION, quantization);
        scalar(builder, slots::tensor::IS_VARIABLE, tensor.is_variable, false);
        push(builder, slots::tensor::SHAPE_SIGNATURE, signature);
        scalar(builder, slots::tensor::HAS_RANK, true, false);
        builder.end_table(start)
    }

    fn operator(&self, builder: &mut Builder, operator: &Operator) -> TableOffset {
        let code = self.codes.iter().position(|code| code.op.code() == operator.op.code());
        let code =
            code.and_then(|index| u32::try_from(index).ok()).expect("every operator's code was collected");
        let inputs: Vec<i32> = operator.inputs.iter().map(|id| id.map_or(-1, index)).collect();
        let inputs = builder.create_vector(&inputs);
        let outputs = builder.create_vector(&indices(&operator.outputs));
        let intermediates = (!operator.intermediates.is_empty())
            .then(|| builder.create_vector(&indices(&operator.intermediates)));
        let options = operator.op.write_options(builder);

        let start = builder.start_table();
        scalar(builder, slots::operator::OPCODE_INDEX, code, 0);
        builder.push_slot_always(slot_offset(slots::operator::INPUTS), inputs);
        builder.push_slot_always(slot_offset(slots::operator::OUTPUTS), outputs);
        if let Some((union, options)) = options {
            builder.push_slot_always(slot_offset(slots::operator::OPTIONS_TYPE), union);
            builder.push_slot_always(slot_offset(slots::operator::OPTIONS), options);
        }
        push(builder, slots::operator::INTERMEDIATES, intermediates);
        builder.end_table(start)
    }

    fn metadata(&self, builder: &mut Builder, entry: &Metadata<'_>) -> TableOffset {
        let name = builder.create_string(&entry.name);
        let start = builder.start_table();
        builder.push_slot_always(slot_offset(slots::metadata::NAME), name);
        scalar(builder, slots::metadata::BUFFER, self.buffer_index(Some(&entry.data)), 0);
        builder.end_table(start)
    }
}

fn operator_code(builder: &mut Builder, code: &OperatorCode<'_>) -> TableOffset {
    let number = code.op.code();
    let deprecated = i8::try_from(number.min(LARGEST_DEPRECATED_CODE)).expect("at most 127");
    let start = builder.start_table();
    scalar(builder, slots::operator_code::DEPRECATED_BUILTIN_CODE, deprecated, 0);
    scalar(builder, slots::operator_code::VERSION, code.version, 1);
    scalar(builder, slots::operator_code::BUILTIN_CODE, number, 0);
    builder.end_table(start)
}

fn quantization(
    builder: &mut Builder,
    quantization: Option<&Quantization>,
    range: Option<&Range>,
) -> Option<TableOffset> {
    if quantization.is_none() && range.is_none() {
        return None;
    }
    let min = range.map(|range| builder.create_vector(&range.min));
    let max = range.map(|range| builder.create_vector(&range.max));
    let scale = quantization.map(|quantization| builder.create_vector(&quantization.scale));
    let zero_point = quantization.map(|quantization| builder.create_vector(&quantization.zero_point));
    let dimension = quantization.map_or(0, |quantization| quantization.dimension);
    let dimension = i32::try_from(dimension).expect("a checked dimension is below the rank");

    let start = builder.start_table();
    push(builder, slots::quantization::MIN, min);
    push(builder, slots::quantization::MAX, max);
    push(builder, slots::quantization::SCALE, scale);
    push(builder, slots::quantization::ZERO_POINT, zero_point);
    scalar(builder, slots::quantization::DIMENSION, dimension, 0);
    Some(builder.end_table(start))
}

fn signature(builder: &mut Builder, signature: &Signature) -> TableOffset {
    let mut names = |entries: &[(alloc::string::String, TensorId)]| {
        let entries: Vec<_> = entries
            .iter()
            .map(|(name, id)| {
                let name = builder.create_string(name);
                let start = builder.start_table();
                builder.push_slot_always(slot_offset(slots::tensor_map::NAME), name);
                scalar(builder, slots::tensor_map::TENSOR, id.0, 0);
                builder.end_table(start)
            })
            .collect();
        builder.create_vector(&entries)
    };
    let inputs = names(&signature.inputs);
    let outputs = names(&signature.outputs);
    let key = builder.create_string(&signature.key);
    let graph = u32::try_from(signature.graph).expect("a checked graph index");

    let start = builder.start_table();
    builder.push_slot_always(slot_offset(slots::signature::INPUTS), inputs);
    builder.push_slot_always(slot_offset(slots::signature::OUTPUTS), outputs);
    builder.push_slot_always(slot_offset(slots::signature::KEY), key);
    scalar(builder, slots::signature::SUBGRAPH, graph, 0);
    builder.end_table(start)
}

/// Fills up with zeros so that data of `bytes` bytes, written next, start at a multiple of the alignment. The file is
/// built from its end, and its length is a multiple of the alignment too.
fn pad(builder: &mut Builder, bytes: usize) {
    while !(builder.unfinished_data().len() + bytes).is_multiple_of(DATA_ALIGNMENT) {
        builder.push(0u8);
    }
}

/// A scalar field, left out where it has the format's default.
fn scalar<T: flatbuffers::Push + PartialEq>(builder: &mut Builder, slot: u16, value: T, default: T) {
    builder.push_slot(slot_offset(slot), value, default);
}

/// A field that refers to what was written before, left out where there is nothing.
fn push<T: flatbuffers::Push>(builder: &mut Builder, slot: u16, value: Option<T>) {
    if let Some(value) = value {
        builder.push_slot_always(slot_offset(slot), value);
    }
}

fn string(builder: &mut Builder, text: &str) -> Option<WIPOffset<&'static str>> {
    (!text.is_empty()).then(|| builder.create_string(text))
}

fn tables(builder: &mut Builder, tables: &[TableOffset]) -> Option<TableVector> {
    (!tables.is_empty()).then(|| builder.create_vector(tables))
}

fn indices(ids: &[TensorId]) -> Vec<i32> {
    ids.iter().copied().map(index).collect()
}

fn index(id: TensorId) -> i32 {
    i32::try_from(id.0).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    use alloc::borrow::Cow;
    use alloc::vec;

    use super::*;
    use crate::{Conv2dOptions, ElementType, ReshapeOptions};

    /// A graph with everything that the writer writes: options, vectors, quantization, ranges, signatures, metadata.
    pub(crate) fn example() -> Model<'static> {
        let mut graph = Graph { name: "main".into(), ..Graph::default() };
        let mut x =
            Tensor::new("x", ElementType::Int16, [1, 3, 3, 1]).quantized(Quantization::per_tensor(0.5, 0));
        x.shape_signature = Some(vec![-1, 3, 3, 1]);
        x.range = Some(Range { min: vec![-1.0], max: vec![1.0] });
        let x = graph.add_tensor(x);
        let weights = Tensor::constant("weights", [2, 3, 3, 1], &[1i8; 18]);
        let weights = graph.add_tensor(weights.quantized(Quantization::per_channel(vec![0.1, 0.2], 0)));
        let bias = graph.add_tensor(Tensor::constant("bias", [2], &[1i64 << 40, -7]));
        let y = graph.add_tensor(Tensor::new("y", ElementType::Int16, [1, 1, 1, 2]));
        let z = graph.add_tensor(Tensor::new("z", ElementType::Int16, [2]));
        let options = Conv2dOptions { stride_w: 1, stride_h: 1, ..Default::default() };
        graph
            .operators
            .push(Operator { version: 8, ..Operator::new(Op::Conv2d(options), [x, weights, bias], [y]) });
        graph.operators.push(Operator {
            inputs: vec![Some(y), None],
            ..Operator::new(Op::Reshape(ReshapeOptions { new_shape: vec![2] }), [], [z])
        });
        graph.inputs = vec![x];
        graph.outputs = vec![z];
        Model {
            description: "an example".into(),
            signatures: vec![Signature {
                key: "serving_default".into(),
                inputs: vec![("x".into(), x)],
                outputs: vec![("z".into(), z)],
                graph: 0,
            }],
            metadata: vec![Metadata { name: "note".into(), data: Cow::Borrowed(b"hello") }],
            ..Model::new(graph)
        }
    }

    #[test]
    fn what_is_written_is_read_again() {
        let model = example();
        let bytes = model.to_bytes().unwrap();
        assert_eq!(Model::from_bytes(&bytes).unwrap(), model);
        assert_eq!(Model::from_bytes(&bytes).unwrap().to_bytes().unwrap(), bytes);
    }

    #[test]
    fn data_start_at_multiples_of_sixteen_bytes() {
        let bytes = example().to_bytes().unwrap();
        assert!(bytes.len().is_multiple_of(DATA_ALIGNMENT));
        let start = bytes.as_ptr() as usize;
        let model = Model::from_bytes(&bytes).unwrap();
        for data in model.main().unwrap().tensors.iter().filter_map(|tensor| tensor.data.as_deref()) {
            assert!((data.as_ptr() as usize - start).is_multiple_of(DATA_ALIGNMENT));
        }
    }

    #[test]
    fn equal_data_are_stored_once() {
        let size = |second: f32| {
            let mut graph = Graph::default();
            graph.add_tensor(Tensor::constant("a", [1000], &[1.0f32; 1000]));
            graph.add_tensor(Tensor::constant("b", [1000], &[second; 1000]));
            Model::new(graph).to_bytes().unwrap().len()
        };
        assert!(size(2.0) - size(1.0) >= 4000);
    }

    #[test]
    fn an_operator_that_was_not_understood_is_not_written() {
        let mut model = example();
        model.graphs[0].operators[1].op = Op::Unsupported { code: 119, name: "WHILE".into() };
        let error = model.to_bytes().unwrap_err();
        assert_eq!(error, Error::UnwritableOperator { index: 1, name: "WHILE".into() });
    }

    #[test]
    fn a_model_that_contradicts_itself_is_not_written() {
        let mut model = example();
        model.graphs[0].outputs.push(TensorId(99));
        assert!(matches!(model.to_bytes(), Err(Error::Index { index: 99, count: 5, .. })));
    }

    #[test]
    fn no_prefix_of_a_file_is_a_file() {
        let bytes = example().to_bytes().unwrap();
        for length in 0..bytes.len() {
            // A cut through the last bytes may leave what the tables refer to whole: then the model is the same.
            match Model::from_bytes(&bytes[..length]) {
                Ok(model) => assert_eq!(model, example(), "cut at {length}"),
                Err(error) => assert!(!alloc::string::ToString::to_string(&error).is_empty()),
            }
        }
        assert!(Model::from_bytes(&bytes[..bytes.len() / 2]).is_err());
    }

    #[test]
    fn every_flipped_bit_gives_an_error_or_a_model_that_can_be_written() {
        let bytes = example().to_bytes().unwrap();
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            if let Ok(model) = Model::from_bytes(&flipped) {
                let _ = model.to_bytes();
            }
        }
    }
}
