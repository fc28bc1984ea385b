//! Loops over elements, compiled for each instruction set.
//!
//! What a loop computes is written once, in plain Rust that the compiler vectorizes with the instructions an engine has. What it
//! does not vectorize well, rescaling and lookups in tables, are kernels of the engines.
//!
//! Functions of integers that take several steps go through blocks: each step is a short loop over lanes of 32 bits that
//! stay in the cache.

use core::fmt::Debug;

use crate::fixed_point::QuantizedMultiplier;
use crate::kernels::Engine;
use crate::ops::integer::{Integer, OutputRange};

/// A loop to compile for each instruction set.
pub(crate) trait Loop {
    /// Runs it.
    ///
    /// Must be `#[inline(always)]`, and what it calls for each element `#[inline]`: the loop is compiled with the instructions
    /// of the function that it becomes part of.
    fn run(self, engine: Engine);
}

impl Engine {
    /// Runs a loop with the engine's instructions.
    #[inline]
    pub(crate) fn run_loop(self, elements: impl Loop) {
        match self {
            Self::Generic => elements.run(self),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(avx2) => avx2.run_loop(elements),
        }
    }

    /// [`QuantizedMultiplier::apply`] to each lane.
    #[inline]
    pub(crate) fn rescale(self, lanes: &mut [i32], multiplier: QuantizedMultiplier) {
        match self {
            Self::Generic => lanes.iter_mut().for_each(|lane| *lane = multiplier.apply(*lane)),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(avx2) => avx2.rescale(lanes, multiplier),
        }
    }

    /// Replaces each lane, the index of an entry, by the entry in its low half and the next one in its high half. Indices are
    /// not negative; beyond the last but one they mean that.
    #[inline]
    pub(crate) fn pairs(self, table: &[u16], lanes: &mut [i32]) {
        match self {
            Self::Generic => lanes.iter_mut().for_each(|lane| *lane = pair(table, *lane)),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(avx2) => avx2.pairs(table, lanes),
        }
    }

    /// The entry of a table for each byte.
    #[inline]
    pub(crate) fn lookup(self, table: &[u8; 256], bytes: &[u8], output: &mut [u8]) {
        match self {
            Self::Generic => look_up(table, bytes, output),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(avx2) => avx2.lookup(table, bytes, output),
        }
    }
}

/// The definition of [`Engine::pairs`].
#[inline]
pub(super) fn pair(table: &[u16], index: i32) -> i32 {
    let index = (index.cast_unsigned() as usize).min(table.len() - 2);
    i32::from(table[index]) | i32::from(table[index + 1]) << 16
}

/// The definition of [`Engine::lookup`].
#[inline]
pub(super) fn look_up(table: &[u8; 256], bytes: &[u8], output: &mut [u8]) {
    for (y, &x) in output.iter_mut().zip(bytes) {
        *y = table[usize::from(x)];
    }
}

/// A function of each element.
pub(crate) struct Map<'l, X, Y, F> {
    pub(crate) input: &'l [X],
    pub(crate) output: &'l mut [Y],
    pub(crate) function: &'l F,
}

impl<X: Copy, Y, F: Fn(X) -> Y> Loop for Map<'_, X, Y, F> {
    #[inline(always)]
    fn run(self, _: Engine) {
        for (y, &x) in self.output.iter_mut().zip(self.input) {
            *y = (self.function)(x);
        }
    }
}

/// One of two operands of rows of pairs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Side<'l, X> {
    /// From the first row's first element on.
    pub(crate) elements: &'l [X],
    /// Elements from one row to the next.
    pub(crate) row_step: usize,
    /// Elements from one to the next of a row: 1, or 0 where all of a row meets the same one.
    pub(crate) step: usize,
}

/// An operand's elements in a row of pairs.
enum Row<'l, X> {
    Each(&'l [X]),
    Same(X),
}

impl<'l, X: Copy> Side<'l, X> {
    /// The row with the given index, of the given length.
    #[inline(always)]
    fn row(&self, index: usize, length: usize) -> Row<'l, X> {
        let start = index * self.row_step;
        match self.step {
            0 => Row::Same(self.elements[start]),
            _ => Row::Each(&self.elements[start..][..length]),
        }
    }
}

/// A function of pairs of elements.
pub(crate) struct Zip<'l, A, B, Y, F> {
    pub(crate) left: Side<'l, A>,
    pub(crate) right: Side<'l, B>,
    /// Rows of the given length.
    pub(crate) output: &'l mut [Y],
    pub(crate) length: usize,
    pub(crate) function: &'l F,
}

impl<A: Copy, B: Copy, Y, F: Fn(A, B) -> Y> Loop for Zip<'_, A, B, Y, F> {
    #[inline(always)]
    fn run(self, _: Engine) {
        let Self { left, right, output, length, function } = self;
        for (index, row) in output.chunks_exact_mut(length).enumerate() {
            match (left.row(index, length), right.row(index, length)) {
                (Row::Each(left), Row::Each(right)) => {
                    let pairs = left.iter().zip(right);
                    row.iter_mut().zip(pairs).for_each(|(y, (&a, &b))| *y = function(a, b));
                }
                (Row::Each(left), Row::Same(b)) => {
                    row.iter_mut().zip(left).for_each(|(y, &a)| *y = function(a, b));
                }
                (Row::Same(a), Row::Each(right)) => {
                    row.iter_mut().zip(right).for_each(|(y, &b)| *y = function(a, b));
                }
                (Row::Same(a), Row::Same(b)) => row.iter_mut().for_each(|y| *y = function(a, b)),
            }
        }
    }
}

/// Elements that go through the steps of a function together: few enough for the nearest cache, many enough for a loop.
pub(crate) const BLOCK: usize = 128;

/// A function of integers, which blocks of them take step by step.
pub(crate) trait Steps<X, Y>: Debug + Send + Sync + 'static {
    /// The definition.
    fn of(&self, x: X) -> Y;
    /// The same for a block of elements in lanes; the results fit the type. Must be `#[inline(always)]`.
    fn block(&self, engine: Engine, lanes: &mut [i32]);
}

/// A function of pairs of integers, which blocks of them take step by step.
pub(crate) trait PairSteps<A, B, Y>: Debug + Send + Sync + 'static {
    /// The definition.
    fn of(&self, a: A, b: B) -> Y;
    /// The same for a block of pairs in lanes; the results, which fit the type, replace the left elements. Must be
    /// `#[inline(always)]`.
    fn block(&self, engine: Engine, left: &mut [i32], right: &mut [i32]);
}

/// A function of each integer, by blocks.
pub(crate) struct MapBlocks<'l, X, Y, F> {
    pub(crate) input: &'l [X],
    pub(crate) output: &'l mut [Y],
    pub(crate) function: &'l F,
}

impl<X: Integer, Y: Integer, F: Steps<X, Y>> Loop for MapBlocks<'_, X, Y, F> {
    #[inline(always)]
    fn run(self, engine: Engine) {
        let mut lanes = [0; BLOCK];
        for (output, input) in self.output.chunks_mut(BLOCK).zip(self.input.chunks(BLOCK)) {
            let lanes = &mut lanes[..input.len()];
            widen(input, lanes);
            self.function.block(engine, lanes);
            narrow(lanes, output);
        }
    }
}

/// A function of pairs of integers, by blocks.
pub(crate) struct ZipBlocks<'l, A, B, Y, F> {
    pub(crate) left: Side<'l, A>,
    pub(crate) right: Side<'l, B>,
    /// Rows of the given length.
    pub(crate) output: &'l mut [Y],
    pub(crate) length: usize,
    pub(crate) function: &'l F,
}

impl<A: Integer, B: Integer, Y: Integer, F: PairSteps<A, B, Y>> Loop for ZipBlocks<'_, A, B, Y, F> {
    #[inline(always)]
    fn run(self, engine: Engine) {
        let (mut left, mut right) = ([0; BLOCK], [0; BLOCK]);
        // Short rows share a block, long ones have several.
        let (length, rows) = (self.length, (BLOCK / self.length).max(1));
        for (index, output) in self.output.chunks_mut(rows * length).enumerate() {
            for (part, output) in output.chunks_mut(BLOCK).enumerate() {
                let (left, right) = (&mut left[..output.len()], &mut right[..output.len()]);
                self.left.load(index * rows, part * BLOCK, length, left);
                self.right.load(index * rows, part * BLOCK, length, right);
                self.function.block(engine, left, right);
                narrow(left, output);
            }
        }
    }
}

impl<X: Integer> Side<'_, X> {
    /// Rows of the given length from the given one on, or a part of one that starts at the given place.
    #[inline(always)]
    fn load(&self, row: usize, place: usize, length: usize, lanes: &mut [i32]) {
        if self.step == 1 && self.row_step == length {
            return widen(&self.elements[row * length + place..], lanes);
        }
        for (index, lanes) in lanes.chunks_mut(length).enumerate() {
            match self.row(row + index, length) {
                Row::Each(elements) => widen(&elements[place..], lanes),
                Row::Same(element) => lanes.fill(element.into()),
            }
        }
    }
}

/// The elements in lanes.
#[inline(always)]
pub(crate) fn widen<X: Integer>(elements: &[X], lanes: &mut [i32]) {
    for (lane, &x) in lanes.iter_mut().zip(elements) {
        *lane = x.into();
    }
}

/// Lanes that fit the type as its elements.
#[inline(always)]
pub(crate) fn narrow<Y: Integer>(lanes: &[i32], elements: &mut [Y]) {
    for (y, &lane) in elements.iter_mut().zip(lanes) {
        *y = Y::truncating_from(lane);
    }
}

/// The lanes each less a zero point, shifted left.
#[inline(always)]
pub(crate) fn center(lanes: &mut [i32], zero_point: i32, left_shift: u32) {
    lanes.iter_mut().for_each(|lane| *lane = lane.wrapping_sub(zero_point) << left_shift);
}

/// [`OutputRange::output`] of each lane.
#[inline(always)]
pub(crate) fn finish(lanes: &mut [i32], range: OutputRange) {
    // The bounds come first, so that adding the zero point cannot overflow.
    let bound = |bound: i32| bound.saturating_sub(range.zero_point);
    let (min, max) = (bound(range.min), bound(range.max));
    lanes.iter_mut().for_each(|lane| *lane = (*lane).max(min).min(max) + range.zero_point);
}
