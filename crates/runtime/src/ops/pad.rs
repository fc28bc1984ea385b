//! PAD, PADV2 and MIRROR_PAD: the operand with a margin.

use alloc::vec::Vec;

use burnlite_tflite::{ElementType, MirrorPadMode, MirrorPadOptions};

use crate::error::OperatorFault;
use crate::frame::{Inputs, Writable};
use crate::interpreter::Numerics;
use crate::ops::strided::{
    Copies, Part, Source, StridedCopy, View, element_bytes, require_same_quantization,
};
use crate::plan::{ImagePadding, Kernel, Node, Operand, Planned};

/// PAD: zeros around the operand, which are the zero point of quantized elements.
pub(crate) fn plan_pad(node: &Node<'_>) -> Result<Planned, OperatorFault> {
    let (shape, margins, copies) = filled(node, zero(node)?)?;
    let padding = match (margins.as_slice(), <[usize; 4]>::try_from(&shape[..])) {
        (&[(0, 0), rows, columns, (0, 0)], Ok(shape)) => Some(ImagePadding { shape, rows, columns }),
        _ => None,
    };
    Ok(Planned::new(shape, Zeros { copies, padding }))
}

/// A margin of zeros.
#[derive(Debug)]
struct Zeros {
    copies: Copies,
    /// The margin, where it lies around images.
    padding: Option<ImagePadding>,
}

impl Kernel for Zeros {
    fn run(&self, inputs: &Inputs<'_>, writable: &mut Writable<'_>) -> Result<(), OperatorFault> {
        self.copies.run(inputs, writable)
    }

    fn table_bytes(&self) -> usize {
        self.copies.table_bytes()
    }

    fn padding(&self) -> Option<ImagePadding> {
        self.padding
    }
}

/// PADV2: the third operand's one element around the first.
pub(crate) fn plan_pad_v2(node: &Node<'_>) -> Result<Planned, OperatorFault> {
    let (value, output) = (node.input(2)?, node.output(0)?);
    if value.element_type() != output.element_type() {
        return Err(node.types_fault());
    }
    if value.elements() != 1 {
        let what = "the padding's value must be one element".into();
        return Err(OperatorFault::Shape { what, found: value.shape.into() });
    }
    match value.element_type() {
        // Where tflite-micro looks, too.
        ElementType::Int8 | ElementType::UInt8 => value.require_quantization_of(&output)?,
        _ => require_same_quantization(node, &value, &output)?,
    }
    let (shape, _, copies) = filled(node, Source::Operand(2))?;
    Ok(Planned::new(shape, copies))
}

/// Elements before and behind each dimension.
type Margins = Vec<(usize, usize)>;

/// The result's shape, the margins, and the copies that fill it.
fn filled(node: &Node<'_>, value: Source) -> Result<(Vec<usize>, Margins, Copies), OperatorFault> {
    let input = node.input(0)?;
    let bytes = element_bytes(node, &input)?;
    let margins = margins(&node.input(1)?, input.shape.len())?;
    let shape = padded_shape(&input, &margins)?;
    let whole = View::whole(&shape, bytes)?;
    let mut middle = whole.clone();
    for (dimension, (&extent, &(before, _))) in input.shape.iter().zip(&margins).enumerate() {
        middle = middle.narrowed(dimension, before..before + extent);
    }
    let copy = StridedCopy::new(&View::whole(input.shape, bytes)?, &middle);
    let parts = [Part::filling(&whole, value), Part::of_operand(0, copy)];
    Ok((shape, margins, Copies::new(parts)))
}

/// The zero of the result's elements. Of int16 tflite-micro takes the integer 0, whatever the zero point.
pub(crate) fn zero(node: &Node<'_>) -> Result<Source, OperatorFault> {
    let output = node.output(0)?;
    let zero_point = match output.element_type() {
        ElementType::Int16 if node.options.numerics == Numerics::TfLiteMicro => 0,
        ElementType::Int8 | ElementType::UInt8 | ElementType::Int16 => output.uniform_quantization().1,
        _ => 0,
    };
    let bytes = element_bytes(node, &output)?;
    let mut zero = zero_point.to_le_bytes().to_vec();
    zero.resize(bytes, 0);
    Ok(Source::Constant(zero))
}

/// MIRROR_PAD: the elements around each border, mirrored; REFLECT leaves the one at the border out.
pub(crate) fn plan_mirror_pad(node: &Node<'_>, options: &MirrorPadOptions) -> Result<Planned, OperatorFault> {
    let input = node.input(0)?;
    require_same_quantization(node, &input, &node.output(0)?)?;
    if input.shape.len() > MAX_MIRRORED_DIMENSIONS {
        let what = alloc::format!("more than {MAX_MIRRORED_DIMENSIONS} dimensions");
        return Err(OperatorFault::Unsupported { what });
    }
    let border = match options.mode {
        MirrorPadMode::Reflect => 1,
        MirrorPadMode::Symmetric => 0,
        other => return Err(OperatorFault::Unsupported { what: alloc::format!("the mode {other:?}") }),
    };
    let bytes = element_bytes(node, &input)?;
    let margins = margins(&node.input(1)?, input.shape.len())?;
    let shape = padded_shape(&input, &margins)?;
    let mut pieces = alloc::vec![(View::whole(input.shape, bytes)?, View::whole(&shape, bytes)?)];
    for (dimension, (&extent, &margins)) in input.shape.iter().zip(&margins).enumerate() {
        if margins.0.max(margins.1) > extent.saturating_sub(border) {
            let what = alloc::format!("dimension {dimension} is too short for a margin of {margins:?}");
            return Err(OperatorFault::Shape { what, found: input.shape.into() });
        }
        pieces = mirrored(pieces, dimension, extent, margins, border);
    }
    let copies = pieces.iter().map(|(source, target)| StridedCopy::new(source, target));
    Ok(Planned::new(shape, Copies::new(copies.map(|copy| Part::of_operand(0, copy)))))
}

/// A dimension makes three copies of one, so there must not be many.
const MAX_MIRRORED_DIMENSIONS: usize = 8;

/// Each piece as three along a dimension: what is before, the operand itself, and what is behind.
fn mirrored(
    pieces: Vec<(View, View)>,
    dimension: usize,
    extent: usize,
    (before, behind): (usize, usize),
    border: usize,
) -> Vec<(View, View)> {
    let along = |(source, target): &(View, View), first: usize, start: usize, count: usize, stride| {
        let target = target.clone().narrowed(dimension, start..start + count);
        (count > 0).then(|| (source.clone().strided(dimension, first, count, stride), target))
    };
    let mut thirds = Vec::with_capacity(3 * pieces.len());
    for piece in &pieces {
        thirds.extend(along(piece, 0, before, extent, 1));
        thirds.extend(along(piece, (before + border).saturating_sub(1), 0, before, -1));
        thirds.extend(along(piece, extent.saturating_sub(1 + border), before + extent, behind, -1));
    }
    thirds
}

/// The number of elements before and behind each of `dimensions` dimensions.
pub(crate) fn margins(
    operand: &Operand<'_>,
    dimensions: usize,
) -> Result<Vec<(usize, usize)>, OperatorFault> {
    if operand.shape != [dimensions, 2] {
        let what =
            alloc::format!("the margins of {dimensions} dimensions must have the shape [{dimensions}, 2]");
        return Err(OperatorFault::Shape { what, found: operand.shape.into() });
    }
    let margin = |found: i64| {
        let fault = OperatorFault::Option { option: "a margin", expected: "0 or more", found };
        usize::try_from(found).map_err(|_| fault)
    };
    operand.indices()?.chunks_exact(2).map(|pair| Ok((margin(pair[0])?, margin(pair[1])?))).collect()
}

fn padded_shape(input: &Operand<'_>, margins: &[(usize, usize)]) -> Result<Vec<usize>, OperatorFault> {
    let padded = |(&extent, &(before, behind)): (&usize, &(usize, usize))| {
        let what = || alloc::format!("the margin of {before} and {behind} is too large");
        let fault = || OperatorFault::Shape { what: what(), found: input.shape.into() };
        before.checked_add(extent).and_then(|extent| extent.checked_add(behind)).ok_or_else(fault)
    };
    input.shape.iter().zip(margins).map(padded).collect()
}

#[cfg(test)]
mod tests {
    use alloc::borrow::Cow;

    use burnlite_tflite::{Graph, Model, Op, Operator, Quantization, Tensor};

    use super::*;
    use crate::{Error, Interpreter, InterpreterOptions};

    /// Pads three int16 with a zero point of 5.
    fn pad(op: Op, margins: [i32; 2], numerics: Numerics) -> Result<Vec<i16>, Error> {
        let tensor = |extent| {
            Tensor::new("", ElementType::Int16, [extent]).quantized(Quantization::per_tensor(1.0, 5))
        };
        let data = margins.iter().flat_map(|margin| margin.to_le_bytes()).collect();
        let constant = Tensor { data: Some(Cow::Owned(data)), ..Tensor::new("", ElementType::Int32, [1, 2]) };
        let mut graph = Graph::default();
        let [x, margins, padded] = [tensor(3), constant, tensor(0)].map(|tensor| graph.add_tensor(tensor));
        graph.operators.push(Operator::new(op, [x, margins], [padded]));
        (graph.inputs, graph.outputs) = ([x].into(), [padded].into());
        let options = InterpreterOptions { numerics, ..InterpreterOptions::default() };
        let model = Model::new(graph);
        let mut interpreter = Interpreter::with_options(&model, &options)?;
        interpreter.set_input(0, &[1i16, 2, 3])?;
        interpreter.invoke()?;
        interpreter.output::<i16>(0).map(<[i16]>::to_vec)
    }

    #[test]
    fn of_int16_only_litert_pads_with_the_zero_point() {
        assert_eq!(pad(Op::Pad, [1, 2], Numerics::LiteRt).unwrap(), [5, 1, 2, 3, 5, 5]);
        assert_eq!(pad(Op::Pad, [1, 2], Numerics::TfLiteMicro).unwrap(), [0, 1, 2, 3, 0, 0]);
    }

    #[test]
    fn margins_are_not_negative_and_fit_into_memory() {
        for margins in [[-1, 0], [0, -1], [i32::MIN, 0], [i32::MAX, i32::MAX]] {
            assert!(pad(Op::Pad, margins, Numerics::LiteRt).is_err(), "{margins:?}");
        }
    }

    #[test]
    fn a_mirror_shows_no_more_than_there_is() {
        let mirror = |mode, margins| pad(Op::MirrorPad(MirrorPadOptions { mode }), margins, Numerics::LiteRt);
        assert_eq!(mirror(MirrorPadMode::Reflect, [2, 1]).unwrap(), [3, 2, 1, 2, 3, 2]);
        assert_eq!(mirror(MirrorPadMode::Symmetric, [1, 3]).unwrap(), [1, 1, 2, 3, 3, 2, 1]);
        assert!(mirror(MirrorPadMode::Reflect, [0, 3]).is_err());
        assert!(mirror(MirrorPadMode::Symmetric, [4, 0]).is_err());
    }
}
