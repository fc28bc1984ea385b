//! Shapes in which an extent may grow with the batch.

use std::fmt;

/// The extent of a dimension: a number, or a number times the batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Extent {
    /// The extent for a batch of 1.
    pub(crate) size: usize,
    /// Whether the extent is `size` times the batch.
    pub(crate) batched: bool,
}

impl Extent {
    /// The extent that says nothing.
    pub(crate) const ONE: Self = Self::fixed(1);

    /// An extent that does not depend on the batch.
    pub(crate) const fn fixed(size: usize) -> Self {
        Self { size, batched: false }
    }

    /// The extent that was `sizes.0` for a batch of `batches.0`, and `sizes.1` for `batches.1`; `None` if it is neither
    /// a constant nor a multiple of the batch.
    pub(crate) fn observed(sizes: (usize, usize), batches: (usize, usize)) -> Option<Self> {
        if sizes.0 == sizes.1 {
            return Some(Self::fixed(sizes.0));
        }
        let size = sizes.0 / batches.0;
        (size * batches.0 == sizes.0 && size * batches.1 == sizes.1).then_some(Self { size, batched: true })
    }

    /// The quotient, if it is an extent again.
    pub(crate) fn divided_by(self, divisor: Self) -> Option<Self> {
        let divides = divisor.size != 0 && self.size.is_multiple_of(divisor.size);
        (divides && self.batched >= divisor.batched)
            .then(|| Self { size: self.size / divisor.size, batched: self.batched && !divisor.batched })
    }
}

impl fmt::Display for Extent {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self { size, batched: false } => write!(formatter, "{size}"),
            Self { size: 1, batched: true } => write!(formatter, "N"),
            Self { size, batched: true } => write!(formatter, "{size}N"),
        }
    }
}

/// The extents of a tensor's dimensions, outermost first; at most one of them is batched.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Shape(pub(crate) Vec<Extent>);

impl Shape {
    /// A shape that does not depend on the batch.
    pub(crate) fn fixed(sizes: &[usize]) -> Self {
        Self(sizes.iter().copied().map(Extent::fixed).collect())
    }

    /// The extents for a batch of 1.
    pub(crate) fn sizes(&self) -> Vec<usize> {
        self.0.iter().map(|extent| extent.size).collect()
    }

    /// The extents with -1 for the batched one, if there is one: TensorFlow Lite's shape signature.
    pub(crate) fn signature(&self) -> Option<Vec<i32>> {
        self.0.iter().any(|extent| extent.batched).then(|| self.reshape_target())
    }

    /// The extents with -1 for a batched one: the operand of RESHAPE.
    pub(crate) fn reshape_target(&self) -> Vec<i32> {
        let size = |extent: &Extent| i32::try_from(extent.size).unwrap_or(i32::MAX);
        self.0.iter().map(|extent| if extent.batched { -1 } else { size(extent) }).collect()
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let extents: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        write!(formatter, "[{}]", extents.join(", "))
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) const N: Extent = Extent { size: 1, batched: true };

    /// A shape whose first extent is the batch.
    pub(crate) fn batched(sizes: &[usize]) -> Shape {
        Shape([&[N], &Shape::fixed(sizes).0[..]].concat())
    }

    #[test]
    fn an_observed_extent_is_constant_or_proportional_to_the_batch() {
        let observed = |sizes| Extent::observed(sizes, (2, 3));
        assert_eq!(observed((28, 28)), Some(Extent::fixed(28)));
        assert_eq!(observed((2, 3)), Some(N));
        assert_eq!(observed((8, 12)), Some(Extent { size: 4, batched: true }));
        assert_eq!(observed((3, 4)), None, "the batch plus one");
        assert_eq!(observed((4, 9)), None, "the batch squared");
    }

    #[test]
    fn the_batch_divides_only_what_is_batched() {
        let (four, four_n) = (Extent::fixed(4), Extent { size: 4, batched: true });
        assert_eq!(four_n.divided_by(N), Some(four));
        assert_eq!(four_n.divided_by(four), Some(N));
        assert_eq!(four.divided_by(N), None);
        assert_eq!(four.divided_by(Extent::fixed(3)), None);
        assert_eq!(four.divided_by(Extent::fixed(0)), None);
    }

    #[test]
    fn a_shape_is_shown_with_the_batch_as_n() {
        assert_eq!(batched(&[12, 26]).to_string(), "[N, 12, 26]");
        assert_eq!(batched(&[12, 26]).signature(), Some(vec![-1, 12, 26]));
        assert_eq!(Shape::fixed(&[2, 3]).signature(), None);
    }
}
