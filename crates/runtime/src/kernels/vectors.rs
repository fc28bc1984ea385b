//! What an instruction set offers: the sums of a panel's sixteen channels, and what becomes of them.
//!
//! Kernels are written once, over [`Vectors`]; each instruction set has its own way to hold sixteen numbers.

use bytemuck::{Pod, must_cast};

use crate::fixed_point::QuantizedMultiplier;
use crate::kernels::pack::{DOT, DOT_BLOCK, PANEL, Pairs, Quad};
use crate::kernels::scale::Scaling;
use crate::kernels::taps::Block;
use crate::ops::integer::Integer;

/// Sixteen numbers at once. A value proves that the machine has the instructions.
pub(crate) trait Vectors: Copy {
    /// Sixteen integers of 32 bits.
    type Ints: Pod;
    /// Sixteen floats.
    type Floats: Pod;

    /// Sums of products of `N` rows with the channels of `M` panels, panel by panel; they wrap. Pairs of elements meet pairs
    /// of weights.
    fn tile<const N: usize, const M: usize>(
        self,
        rows: [&[i16]; N],
        pairs: Block<'_, 2>,
        panels: [&[Pairs]; M],
    ) -> [[Self::Ints; N]; M];

    /// Sums of products of the channels of `N` windows with the channels' own weights; they wrap. Each two taps are a pair.
    fn depthwise<const N: usize>(
        self,
        rows: [&[i16]; N],
        taps: Block<'_, PANEL>,
        panel: &[Pairs],
    ) -> [Self::Ints; N];

    /// The exact sums of products of a row with four channels. It has an element for each of a channel's weights; there are at
    /// most [`DOT_BLOCK`] quads.
    #[inline(always)]
    fn dots(self, row: &[i16], quads: &[Quad]) -> [i64; 4] {
        dots(row, quads)
    }

    /// As [`tile`](Self::tile) for floats, tap by tap. At a tap lie `WIDTH` elements: 1 for all channels, or one for each.
    fn float_tile<const N: usize, const M: usize, const WIDTH: usize>(
        self,
        rows: [&[f32]; N],
        taps: Block<'_, WIDTH>,
        panels: [&[[f32; PANEL]]; M],
    ) -> [[Self::Floats; N]; M];

    /// Replaces a panel's sums by its outputs.
    fn scale(self, sums: &mut [Self::Ints], scaling: &Scaling, panel: usize);

    /// Adds the channels' biases to sums, and keeps the results within bounds; NaN stays NaN.
    fn add_and_clamp(self, sums: &mut [Self::Floats], bias: &[f32; PANEL], bounds: (f32, f32));

    /// The larger one of each two.
    fn larger(self, a: Self::Ints, b: Self::Ints) -> Self::Ints;

    /// As [`larger`](Self::larger); `a` where one of the two is NaN.
    fn larger_float(self, a: Self::Floats, b: Self::Floats) -> Self::Floats;

    /// Sums plus products of pairs of 16 bits, as a kernel adds them at best; they wrap.
    fn multiply_add(self, sums: Self::Ints, x: Self::Ints, weights: Self::Ints) -> Self::Ints;

    /// Sums plus products of floats.
    fn multiply_add_float(self, sums: Self::Floats, x: Self::Floats, weights: Self::Floats) -> Self::Floats;

    /// [`QuantizedMultiplier::apply`] to each lane.
    #[inline(always)]
    fn rescale(self, lanes: &mut [i32], multiplier: QuantizedMultiplier) {
        lanes.iter_mut().for_each(|lane| *lane = multiplier.apply(*lane));
    }

    /// Replaces each lane, the index of an entry, by the entry in its low half and the next one in its high half. Indices are
    /// not negative; beyond the last but one they mean that.
    #[inline(always)]
    fn pairs(self, table: &[u16], lanes: &mut [i32]) {
        pairs(table, lanes);
    }

    /// The entry of a table for each byte.
    #[inline(always)]
    fn lookup(self, table: &[u8; 256], bytes: &[u8], output: &mut [u8]) {
        lookup(table, bytes, output);
    }

    /// Runs the task as it was compiled for the instruction set.
    #[inline(always)]
    fn run<T: Task>(self, task: T) -> T::Output {
        task.run(self)
    }

    #[inline(always)]
    fn ints(self, values: [i32; PANEL]) -> Self::Ints {
        must_cast(values)
    }
    #[inline(always)]
    fn floats(self, values: [f32; PANEL]) -> Self::Floats {
        must_cast(values)
    }
    #[inline(always)]
    fn int_array(self, values: Self::Ints) -> [i32; PANEL] {
        must_cast(values)
    }
    #[inline(always)]
    fn float_array(self, values: Self::Floats) -> [f32; PANEL] {
        must_cast(values)
    }
}

/// A type of sums, of which a panel has sixteen.
pub(crate) trait Sum {
    /// Sixteen of them.
    type Lanes<V: Vectors>: Copy;

    /// What is smaller than all others.
    fn lowest<V: Vectors>(vectors: V) -> Self::Lanes<V>;

    /// The larger one of each two.
    fn larger<V: Vectors>(vectors: V, a: Self::Lanes<V>, b: Self::Lanes<V>) -> Self::Lanes<V>;
}

/// A type of sums whose outputs are elements of type `T`.
pub(crate) trait WrittenAs<T>: Sum {
    /// The outputs, which fit the type.
    fn array<V: Vectors>(vectors: V, outputs: Self::Lanes<V>) -> [T; PANEL];
}

impl Sum for i32 {
    type Lanes<V: Vectors> = V::Ints;

    #[inline(always)]
    fn lowest<V: Vectors>(vectors: V) -> V::Ints {
        vectors.ints([Self::MIN; PANEL])
    }
    #[inline(always)]
    fn larger<V: Vectors>(vectors: V, a: V::Ints, b: V::Ints) -> V::Ints {
        vectors.larger(a, b)
    }
}

impl<T: Integer> WrittenAs<T> for i32 {
    #[inline(always)]
    fn array<V: Vectors>(vectors: V, outputs: V::Ints) -> [T; PANEL] {
        vectors.int_array(outputs).map(T::truncating_from)
    }
}

impl Sum for f32 {
    type Lanes<V: Vectors> = V::Floats;

    #[inline(always)]
    fn lowest<V: Vectors>(vectors: V) -> V::Floats {
        vectors.floats([Self::MIN; PANEL])
    }
    #[inline(always)]
    fn larger<V: Vectors>(vectors: V, a: V::Floats, b: V::Floats) -> V::Floats {
        vectors.larger_float(a, b)
    }
}

impl WrittenAs<Self> for f32 {
    #[inline(always)]
    fn array<V: Vectors>(vectors: V, outputs: V::Floats) -> [Self; PANEL] {
        vectors.float_array(outputs)
    }
}

/// Work that is compiled for each instruction set, and runs with the one of an [`Engine`](super::Engine).
pub(crate) trait Task {
    type Output;

    /// Must be inlined, and so must be what it calls: only then is it compiled for the instruction set.
    fn run<V: Vectors>(self, vectors: V) -> Self::Output;
}

/// The definition of [`Vectors::pairs`].
#[inline]
pub(super) fn pairs(table: &[u16], lanes: &mut [i32]) {
    for lane in lanes {
        let index = (lane.cast_unsigned() as usize).min(table.len() - 2);
        *lane = i32::from(table[index]) | i32::from(table[index + 1]) << 16;
    }
}

/// The definition of [`Vectors::lookup`].
#[inline]
pub(super) fn lookup(table: &[u8; 256], bytes: &[u8], output: &mut [u8]) {
    for (y, &x) in output.iter_mut().zip(bytes) {
        *y = table[usize::from(x)];
    }
}

/// The definition of [`Vectors::dots`], by sixteen sums for each channel.
#[inline]
pub(super) fn dots(row: &[i16], quads: &[Quad]) -> [i64; 4] {
    assert!(quads.len() <= DOT_BLOCK && row.len() >= quads.len() * DOT, "the sums fit 32 bits");
    let mut sums = [[0i32; DOT]; 4];
    for (row, quad) in row.as_chunks::<DOT>().0.iter().zip(quads) {
        for (sums, weights) in sums.iter_mut().zip(quad) {
            for ((sum, &x), &weight) in sums.iter_mut().zip(row).zip(weights) {
                *sum += i32::from(x) * i32::from(weight);
            }
        }
    }
    sums.map(|sums| sums.iter().map(|&sum| i64::from(sum)).sum())
}

/// The [`Vectors`] of an instruction set: a proof that the machine has it, made where `detected` holds, whose methods are the
/// functions of the same names in scope. These are compiled with the features.
#[allow(unused_macros, reason = "not every machine has an instruction set with kernels of its own")]
macro_rules! vectors {
    ($(#[$attribute:meta])* $name:ident, features: $features:literal, detected: $detected:expr) => {
        $(#[$attribute])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) struct $name(());

        impl $name {
            /// The proof, if the machine has the instructions.
            pub(in crate::kernels) fn new() -> Option<Self> {
                $detected.then_some(Self(()))
            }
        }

        const _: () = {
            use $crate::fixed_point::QuantizedMultiplier;
            use $crate::kernels::pack::{PANEL, Pairs, Quad};
            use $crate::kernels::scale::Scaling;
            use $crate::kernels::taps::Block;
            use $crate::kernels::vectors::{Task, Vectors, methods};

            impl Vectors for $name {
                type Ints = Ints;
                type Floats = Floats;

                #[inline(always)]
                fn run<T: Task>(self, task: T) -> T::Output {
                    #[target_feature(enable = $features)]
                    fn run<T: Task>(task: T, vectors: $name) -> T::Output {
                        task.run(vectors)
                    }
                    // SAFETY: `self` proves that the machine has the instructions.
                    unsafe { run(task, self) }
                }

                methods! {
                    fn tile<const N, const M>(
                        rows: [&[i16]; N],
                        pairs: Block<'_, 2>,
                        panels: [&[Pairs]; M],
                    ) -> [[Ints; N]; M];
                    fn depthwise<const N>(
                        rows: [&[i16]; N],
                        taps: Block<'_, PANEL>,
                        panel: &[Pairs],
                    ) -> [Ints; N];
                    fn dots(row: &[i16], quads: &[Quad]) -> [i64; 4];
                    fn float_tile<const N, const M, const WIDTH>(
                        rows: [&[f32]; N],
                        taps: Block<'_, WIDTH>,
                        panels: [&[[f32; PANEL]]; M],
                    ) -> [[Floats; N]; M];
                    fn scale(sums: &mut [Ints], scaling: &Scaling, panel: usize) -> ();
                    fn add_and_clamp(sums: &mut [Floats], bias: &[f32; PANEL], bounds: (f32, f32)) -> ();
                    fn larger(a: Ints, b: Ints) -> Ints;
                    fn larger_float(a: Floats, b: Floats) -> Floats;
                    fn multiply_add(sums: Ints, x: Ints, weights: Ints) -> Ints;
                    fn multiply_add_float(sums: Floats, x: Floats, weights: Floats) -> Floats;
                    fn rescale(lanes: &mut [i32], multiplier: QuantizedMultiplier) -> ();
                    fn pairs(table: &[u16], lanes: &mut [i32]) -> ();
                    fn lookup(table: &[u8; 256], bytes: &[u8], output: &mut [u8]) -> ();
                }
            }
        };
    };
}

/// Methods that are functions of the same names, compiled for the instruction set.
#[allow(unused_macros, reason = "not every machine has an instruction set with kernels of its own")]
macro_rules! methods {
    ($(fn $name:ident $(<$(const $parameter:ident),*>)?($($argument:ident: $type:ty),* $(,)?) -> $result:ty;)*) => {$(
        #[inline(always)]
        #[allow(unused_unsafe, reason = "where there is nothing better, the function is the definition")]
        fn $name $(<$(const $parameter: usize),*>)?(self, $($argument: $type),*) -> $result {
            // SAFETY: `self` proves that the machine has the instructions.
            unsafe { $name($($argument),*) }
        }
    )*};
}

#[allow(unused_imports, reason = "not every machine has an instruction set with kernels of its own")]
pub(super) use {methods, vectors};
