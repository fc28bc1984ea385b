//! GATHER, GATHER_ND and EMBEDDING_LOOKUP: slices of an operand, taken by their indices.

use alloc::vec::Vec;

use burnlite_tflite::{ElementType, GatherOptions};

use crate::error::OperatorFault;
use crate::frame::{Inputs, Writable, elements_mut};
use crate::interpreter::Numerics;
use crate::ops::index::{Along, Indices, Points};
use crate::ops::quantize::dequantize_slice;
use crate::ops::strided::{dimension, element_bytes, from_the_end};
use crate::plan::{Kernel, Node, Operand, Planned};

/// GATHER: slices along an axis; the first `batch_dims` dimensions are those of both operands.
pub(crate) fn plan(node: &Node<'_>, options: &GatherOptions) -> Result<Planned, OperatorFault> {
    let (input, indices) = (node.input(0)?, node.input(1)?);
    let axis = dimension(options.axis, input.shape.len())?;
    let batch_dims = batch_dims(options.batch_dims, indices.shape.len())?;
    if batch_dims > axis || input.shape[..batch_dims] != indices.shape[..batch_dims] {
        let what = alloc::format!("the first {batch_dims} dimensions must be those of {:?}", input.shape);
        return Err(OperatorFault::Shape { what, found: indices.shape.into() });
    }
    let taken = &indices.shape[batch_dims..];
    let along = Along::new(&input.shape[batch_dims..], axis - batch_dims);
    let kernel = Gather {
        input: 0,
        indices: Indices::new(node, 1)?,
        outer: along.outer,
        extent: along.extent,
        taken: taken.iter().product(),
        slice_bytes: slice_bytes(node, &input, along.inner)?,
    };
    Ok(Planned::new([&input.shape[..axis], taken, &input.shape[axis + 1..]].concat(), kernel))
}

/// The number of first dimensions that is meant, negative ones from the end.
fn batch_dims(found: i32, rank: usize) -> Result<usize, OperatorFault> {
    let expected = "a number of the indices' dimensions";
    let fault = OperatorFault::Option { option: "batch_dims", expected, found: found.into() };
    let from_the_start = usize::try_from(found).ok().filter(|&count| count <= rank);
    from_the_start.or_else(|| from_the_end(found, rank)).ok_or(fault)
}

/// GATHER_ND: slices at points.
pub(crate) fn plan_nd(node: &Node<'_>) -> Result<Planned, OperatorFault> {
    let (input, indices) = (node.input(0)?, node.input(1)?);
    let points = Points::new(node, 1, input.shape)?;
    let (outer, slice) = (&indices.shape[..indices.shape.len() - 1], &input.shape[points.depth()..]);
    let slice_bytes = slice_bytes(node, &input, slice.iter().product())?;
    Ok(Planned::new([outer, slice].concat(), GatherNd { points, slice_bytes }))
}

/// EMBEDDING_LOOKUP: rows of a table, as they are, or the real numbers for which a table's 8-bit integers stand.
pub(crate) fn plan_embedding(node: &Node<'_>) -> Result<Planned, OperatorFault> {
    let (ids, table, output) = (node.input(0)?, node.input(1)?, node.output(0)?);
    let [taken] = ids.dimensions()?;
    let Some((&extent, row)) = table.shape.split_first() else {
        let what = "the table must have rows".into();
        return Err(OperatorFault::Shape { what, found: table.shape.into() });
    };
    let shape = [&[taken], row].concat();
    let (indices, elements) = (Indices::new(node, 0)?, row.iter().product());
    if (table.element_type(), output.element_type()) == (ElementType::Int8, ElementType::Float32) {
        table.require_zero_points_of_zero()?;
        let mut scales = table.channel_scales(extent, 0)?;
        if let (Numerics::TfLiteMicro, &[first, ..]) = (node.options.numerics, &scales[..]) {
            // tflite-micro reads no other scale than the first.
            scales.fill(first);
        }
        return Ok(Planned::new(shape, DequantizedRows { indices, scales, elements }));
    }
    let slice_bytes = slice_bytes(node, &table, elements)?;
    Ok(Planned::new(shape, Gather { input: 1, indices, outer: 1, extent, taken, slice_bytes }))
}

/// Bytes of a slice of the given number of the operand's elements.
fn slice_bytes(node: &Node<'_>, input: &Operand<'_>, elements: usize) -> Result<usize, OperatorFault> {
    // It saturates only where an extent of 0 leaves no slice to take.
    Ok(elements.saturating_mul(element_bytes(node, input)?))
}

/// Takes slices of an operand seen as `[batch, outer, extent, slice]`, with indices seen as `[batch, taken]`.
#[derive(Debug)]
struct Gather {
    /// The operand's position.
    input: usize,
    indices: Indices,
    outer: usize,
    extent: usize,
    taken: usize,
    slice_bytes: usize,
}

impl Kernel for Gather {
    fn run(&self, inputs: &Inputs<'_>, [output, ..]: &mut Writable<'_>) -> Result<(), OperatorFault> {
        let (input, bytes) = (inputs.bytes(self.input), self.slice_bytes);
        let indices = self.indices.values(inputs);
        for (number, slice) in output.chunks_exact_mut(bytes.max(1)).enumerate() {
            let (line, taken) = (number / self.taken, number % self.taken);
            let index = indices.within(line / self.outer * self.taken + taken, self.extent)?;
            slice.copy_from_slice(&input[(line * self.extent + index) * bytes..][..bytes]);
        }
        Ok(())
    }
}

#[derive(Debug)]
struct GatherNd {
    points: Points,
    slice_bytes: usize,
}

impl Kernel for GatherNd {
    fn run(&self, inputs: &Inputs<'_>, [output, ..]: &mut Writable<'_>) -> Result<(), OperatorFault> {
        let (input, bytes) = (inputs.bytes(0), self.slice_bytes);
        for (slice, index) in output.chunks_exact_mut(bytes.max(1)).zip(self.points.slices(inputs)) {
            slice.copy_from_slice(&input[index? * bytes..][..bytes]);
        }
        Ok(())
    }
}

/// Takes rows of integers and multiplies them by their scales.
#[derive(Debug)]
struct DequantizedRows {
    indices: Indices,
    /// One for each row of the table.
    scales: Vec<f32>,
    /// Elements of a row.
    elements: usize,
}

impl Kernel for DequantizedRows {
    fn table_bytes(&self) -> usize {
        size_of_val(&self.scales[..])
    }

    fn run(&self, inputs: &Inputs<'_>, [output, ..]: &mut Writable<'_>) -> Result<(), OperatorFault> {
        let (table, indices) = (inputs.get::<i8>(1), self.indices.values(inputs));
        let rows = elements_mut(output).chunks_exact_mut(self.elements.max(1));
        for (position, output) in rows.enumerate() {
            let row = indices.within(position, self.scales.len())?;
            dequantize_slice(&table[row * self.elements..][..self.elements], (self.scales[row], 0), output);
        }
        Ok(())
    }
}
