//! What operators share that find elements by number: along an axis, at indices, at points.

use alloc::vec::Vec;

use burnlite_tflite::ElementType;

use crate::error::OperatorFault;
use crate::frame::Inputs;
use crate::plan::Node;

/// A shape as one of its dimensions sees it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Along {
    /// Elements of the dimensions before it.
    pub(crate) outer: usize,
    /// Its own extent.
    pub(crate) extent: usize,
    /// Elements of the dimensions after it: from one element along it to the next.
    pub(crate) inner: usize,
}

impl Along {
    pub(crate) fn new(shape: &[usize], axis: usize) -> Self {
        Self {
            outer: shape[..axis].iter().product(),
            extent: shape[axis],
            inner: shape[axis + 1..].iter().product(),
        }
    }

    /// Where the line along the dimension starts that has the given number.
    #[inline]
    pub(crate) fn start(&self, line: usize) -> usize {
        line / self.inner * self.extent * self.inner + line % self.inner
    }

    /// How many lines there are along the dimension.
    pub(crate) fn lines(&self) -> usize {
        self.outer * self.inner
    }
}

/// An operand whose elements are indices.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Indices {
    position: usize,
    element_type: ElementType,
}

impl Indices {
    /// The operand at the given position, of 16-, 32- or 64-bit integers.
    pub(crate) fn new(node: &Node<'_>, position: usize) -> Result<Self, OperatorFault> {
        match node.input(position)?.element_type() {
            element_type @ (ElementType::Int16 | ElementType::Int32 | ElementType::Int64) => {
                Ok(Self { position, element_type })
            }
            _ => Err(node.types_fault()),
        }
    }

    pub(crate) fn values<'f>(&self, inputs: &Inputs<'f>) -> IndexValues<'f> {
        match self.element_type {
            ElementType::Int16 => IndexValues::Int16(inputs.get(self.position)),
            ElementType::Int32 => IndexValues::Int32(inputs.get(self.position)),
            _ => IndexValues::Int64(inputs.get(self.position)),
        }
    }
}

/// The elements of an operand of indices.
#[derive(Debug, Clone, Copy)]
pub(crate) enum IndexValues<'f> {
    Int16(&'f [i16]),
    Int32(&'f [i32]),
    Int64(&'f [i64]),
}

impl IndexValues<'_> {
    /// The element at the given position.
    #[inline]
    pub(crate) fn at(&self, position: usize) -> i64 {
        match self {
            Self::Int16(values) => values[position].into(),
            Self::Int32(values) => values[position].into(),
            Self::Int64(values) => values[position],
        }
    }

    /// The element at the given position, which must count one of `extent`. Negative ones do not count from the end.
    #[inline]
    pub(crate) fn within(&self, position: usize, extent: usize) -> Result<usize, OperatorFault> {
        let found = self.at(position);
        let index = usize::try_from(found).ok().filter(|&index| index < extent);
        index.ok_or(OperatorFault::Index { found, extent })
    }
}

/// An operand of points: its last dimension goes along the first dimensions of a shape, so that each of its rows names a
/// slice of that shape.
#[derive(Debug)]
pub(crate) struct Points {
    indices: Indices,
    /// The dimensions that a point goes along.
    extents: Vec<usize>,
}

impl Points {
    /// The points in `shape` at the given position among the operands.
    pub(crate) fn new(node: &Node<'_>, position: usize, shape: &[usize]) -> Result<Self, OperatorFault> {
        let operand = node.input(position)?;
        let extents = operand.shape.last().and_then(|&depth| shape.get(..depth)).ok_or_else(|| {
            let what = alloc::format!("the last dimension must go along dimensions of {shape:?}");
            OperatorFault::Shape { what, found: operand.shape.into() }
        })?;
        Ok(Self { indices: Indices::new(node, position)?, extents: extents.into() })
    }

    /// How many dimensions a point goes along.
    pub(crate) fn depth(&self) -> usize {
        self.extents.len()
    }

    /// The number of the slice that each point names, one after the other; as many as are asked for.
    pub(crate) fn slices<'a>(
        &'a self,
        inputs: &Inputs<'a>,
    ) -> impl Iterator<Item = Result<usize, OperatorFault>> + use<'a> {
        let values = self.indices.values(inputs);
        (0..).step_by(self.depth().max(1)).map(move |start| {
            let mut along = (start..).zip(&self.extents);
            along.try_fold(0, |slice, (position, &extent)| {
                Ok(slice * extent + values.within(position, extent)?)
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn indices_count_from_0_and_end_before_the_extent() {
        let values = IndexValues::Int64(&[0, 3, 4, -1, i64::MIN, i64::MAX]);
        let found: Vec<_> = (0..6).map(|position| values.within(position, 4).ok()).collect();
        assert_eq!(found, [Some(0), Some(3), None, None, None, None]);
    }
}
