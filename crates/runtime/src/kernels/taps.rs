//! Where in an image the elements lie that a row of weights meets.

use alloc::vec::Vec;

/// Offsets of elements, or of pairs of elements, from where a window begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Taps {
    offsets: Vec<u32>,
    span: usize,
}

impl Taps {
    /// Offsets, each of `width` elements; `None` beyond 32 bits.
    pub(crate) fn new(offsets: impl Iterator<Item = usize>, width: usize) -> Option<Self> {
        let offsets: Vec<u32> = offsets.map(|offset| u32::try_from(offset).ok()).collect::<Option<_>>()?;
        let span = offsets.iter().max().map_or(0, |&last| last as usize + width);
        Some(Self { offsets, span })
    }

    /// The offsets.
    #[inline]
    pub(crate) fn offsets(&self) -> &[u32] {
        &self.offsets
    }

    /// Elements from the beginning of a window to the end of its last tap: no tap reaches beyond.
    #[inline]
    pub(crate) fn span(&self) -> usize {
        self.span
    }

    /// The rows that begin at the given places.
    #[inline]
    pub(crate) fn rows<'i, T, const N: usize>(&self, image: &'i [T], begins: [usize; N]) -> [&'i [T]; N] {
        begins.map(|begin| &image[begin..][..self.span])
    }
}
