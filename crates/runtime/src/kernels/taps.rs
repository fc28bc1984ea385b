//! Where in an image the elements lie that a row of weights meets.

use alloc::vec::Vec;
use core::ops::Range;

/// Offsets from where a window begins; at each of them `WIDTH` elements are read at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Taps<const WIDTH: usize> {
    offsets: Vec<u32>,
    span: usize,
}

/// Some of the taps, in order. No tap reaches beyond the span: that is what kernels read without asking rely on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Block<'t, const WIDTH: usize> {
    offsets: &'t [u32],
    span: usize,
}

impl<const WIDTH: usize> Taps<WIDTH> {
    /// `None` where an offset needs more than 32 bits.
    pub(crate) fn new(offsets: impl Iterator<Item = usize>) -> Option<Self> {
        let offsets: Vec<u32> = offsets.map(|offset| u32::try_from(offset).ok()).collect::<Option<_>>()?;
        let span = match offsets.iter().max() {
            Some(&last) => usize::try_from(last).ok()?.checked_add(WIDTH)?,
            None => 0,
        };
        Some(Self { offsets, span })
    }

    /// The taps of the given positions.
    #[inline]
    pub(crate) fn block(&self, positions: Range<usize>) -> Block<'_, WIDTH> {
        Block { offsets: &self.offsets[positions], span: self.span }
    }

    /// How many there are.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.offsets.len()
    }

    /// Elements from the beginning of a window to the end of its last tap.
    #[inline]
    pub(crate) fn span(&self) -> usize {
        self.span
    }

    /// The elements of the windows that begin at the given places.
    #[inline(always)]
    pub(crate) fn rows<'i, T, const N: usize>(&self, image: &'i [T], begins: [usize; N]) -> [&'i [T]; N] {
        let mut rows = [&image[..0]; N];
        for (row, begin) in rows.iter_mut().zip(begins) {
            *row = &image[begin..][..self.span];
        }
        rows
    }
}

impl<'t, const WIDTH: usize> Block<'t, WIDTH> {
    /// The offsets: each plus `WIDTH` is at most the [span](Self::span).
    #[inline]
    pub(crate) fn offsets(&self) -> &'t [u32] {
        self.offsets
    }

    /// The offsets, and as many weights of each panel.
    #[cfg_attr(
        not(any(target_arch = "x86_64", target_arch = "aarch64")),
        expect(dead_code, reason = "portable kernels take panel by panel")
    )]
    #[inline(always)]
    pub(crate) fn with<'w, W, const M: usize>(&self, mut panels: [&'w [W]; M]) -> (&'t [u32], [&'w [W]; M]) {
        let count = panels.iter().fold(self.offsets.len(), |count, panel| count.min(panel.len()));
        panels.iter_mut().for_each(|panel| *panel = &panel[..count]);
        (&self.offsets[..count], panels)
    }

    /// Elements that a row must have.
    #[cfg_attr(
        not(any(target_arch = "x86_64", target_arch = "aarch64")),
        expect(dead_code, reason = "portable kernels rely on nothing")
    )]
    #[inline]
    pub(crate) fn span(&self) -> usize {
        self.span
    }
}
