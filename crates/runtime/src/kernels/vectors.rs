//! What an instruction set offers: the sums of a panel's sixteen channels, and what becomes of them.
//!
//! Kernels are written once, over [`Vectors`]; each instruction set has its own way to hold sixteen numbers.

use crate::kernels::pack::{PANEL, Pairs};
use crate::kernels::scale::Scaling;
use crate::kernels::taps::Block;

/// Sixteen numbers at once.
pub(crate) trait Vectors: Copy {
    /// Sixteen integers of 32 bits.
    type Ints: Copy;
    /// Sixteen floats.
    type Floats: Copy;

    /// Sums of products of `N` rows with the channels of a panel; they wrap. Pairs of elements meet pairs of weights.
    fn tile<const N: usize>(self, rows: [&[i16]; N], pairs: Block<'_, 2>, panel: &[Pairs])
    -> [Self::Ints; N];

    /// Sums of products of the channels of `N` windows with the channels' own weights; they wrap. Each two taps are a pair.
    fn depthwise<const N: usize>(
        self,
        rows: [&[i16]; N],
        taps: Block<'_, PANEL>,
        panel: &[Pairs],
    ) -> [Self::Ints; N];

    /// The same for floats, tap by tap. At a tap lie `WIDTH` elements: 1 for all channels, or one for each.
    fn float_tile<const N: usize, const WIDTH: usize>(
        self,
        rows: [&[f32]; N],
        taps: Block<'_, WIDTH>,
        panel: &[[f32; PANEL]],
    ) -> [Self::Floats; N];

    /// Replaces a panel's sums by its outputs.
    fn scale(self, sums: &mut [Self::Ints], scaling: &Scaling, panel: usize);

    /// Adds the channels' biases to sums, and keeps the results within bounds; NaN stays NaN.
    fn add_and_clamp(self, sums: &mut [Self::Floats], bias: &[f32; PANEL], bounds: (f32, f32));

    /// The larger one of each two.
    fn larger(self, a: Self::Ints, b: Self::Ints) -> Self::Ints;

    /// As [`larger`](Self::larger); `a` where one of the two is NaN.
    fn larger_float(self, a: Self::Floats, b: Self::Floats) -> Self::Floats;

    fn ints(self, values: [i32; PANEL]) -> Self::Ints;
    fn floats(self, values: [f32; PANEL]) -> Self::Floats;
    fn int_array(self, values: Self::Ints) -> [i32; PANEL];
    fn float_array(self, values: Self::Floats) -> [f32; PANEL];
}

/// Work that is compiled for each instruction set, and runs with the one of an [`Engine`](super::Engine).
pub(crate) trait Task {
    type Output;

    /// Must be inlined, and so must be what it calls: only then is it compiled for the instruction set.
    fn run<V: Vectors>(self, vectors: V) -> Self::Output;
}
