//! The windows of an image, tile by tile: up to [`ROWS`] windows meet the weights of a panel at once.

use core::fmt::Debug;
use core::ops::Range;

use burnlite_tflite::Element;

use crate::kernels::Engine;
use crate::kernels::pack::PANEL;
use crate::kernels::vectors::{Sum, Vectors, WrittenAs};
use crate::ops::window::Windows;

/// Rows that are multiplied together: with two vectors of sums each they leave room for weights in sixteen registers.
pub(crate) const ROWS: usize = 4;

/// Panels that the only window of a layer meets together: as many sums as of [`ROWS`] windows.
///
/// On an AMD EPYC with AVX2, ten dense layers of 640-128-…-8-…-128-640 take 0.83 of the time that they take panel by panel as
/// 16x8, and 0.7 as float32.
const ACROSS: usize = 4;

/// A layer whose weights are packed in panels of channels.
pub(crate) trait Panels {
    /// An element of the image.
    type Cell: Element;
    /// The type of sums, and of what becomes of them.
    type Sum: Sum;
    /// Elements from what a panel reads to what the next one reads.
    const STEP: usize;
    /// Whether several panels together are faster than one by one.
    const IS_SHARED: bool = false;

    fn channels(&self) -> usize;
    /// Whether the largest sum of a channel always gives its largest output.
    fn is_monotonic(&self) -> bool;

    /// The sums of the windows that begin at the given places of an image, for `M` panels from the given one on.
    fn tile<V: Vectors, const N: usize, const M: usize>(
        &self,
        vectors: V,
        panel: usize,
        image: &[Self::Cell],
        begins: [usize; N],
    ) -> [[Lanes<Self, V>; N]; M];
    /// Replaces sums of a panel by its outputs.
    fn finish<V: Vectors>(&self, vectors: V, panel: usize, sums: &mut [Lanes<Self, V>]);
}

/// The sums of a panel's channels.
pub(crate) type Lanes<K, V> = <<K as Panels>::Sum as Sum>::Lanes<V>;

/// A layer of outputs of type `T`.
pub(crate) trait Tiles<T>: Panels<Sum: WrittenAs<T>> {}

impl<T, K: Panels<Sum: WrittenAs<T>>> Tiles<T> for K {}

/// A layer whose weights were packed when it was planned.
pub(crate) trait PackedPanels: Panels + Debug + Send + Sync + 'static {
    fn engine(&self) -> Engine;
    /// Bytes that the packed weights take.
    fn packed_bytes(&self) -> usize;
    /// Elements that are read from where a window begins; some of them may have no effect.
    fn span(&self) -> usize;
    /// Keeps the outputs within further bounds.
    fn bound(&mut self, bounds: (f64, f64));
}

/// What an element of an input is in the image of a layer.
pub(crate) trait Cells<T>: Panels {
    /// An element less the zero point.
    fn cell(element: T, zero_point: i32) -> Self::Cell;
}

/// Pixels whose sums are formed before they are finished and written together.
const BATCH: usize = 4 * ROWS;

/// Where the windows of an image begin, and which of them become one pixel of the result.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sweep {
    /// How many windows there are, one below the other and side by side.
    pub(crate) windows: (usize, usize),
    /// Where windows begin in the image.
    pub(crate) begins: Grid,
    /// Where windows have their pixels in the result; pooled ones have them one after the other.
    pub(crate) pixels: Grid,
    /// Elements from a group's first channel to that of the next.
    pub(crate) group: usize,
    /// Channels of the result.
    pub(crate) channels: usize,
    /// The windows over the windows of which only the largest output is kept.
    pub(crate) pooling: Option<(Windows, Windows)>,
    /// Rows of the pooled result that are left out before its first.
    pub(crate) skipped: usize,
}

/// Places of elements, one below the other and side by side.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Grid {
    pub(crate) first: usize,
    /// Elements from a place to the one below it, and to the one at its side.
    pub(crate) steps: (usize, usize),
}

/// One panel of a layer, and where its windows and its channels of the result are.
#[derive(Debug, Clone)]
struct Tile<'s, V, K: Panels> {
    vectors: V,
    layer: &'s K,
    panel: usize,
    image: &'s [K::Cell],
    channels: Range<usize>,
}

impl Sweep {
    /// Elements of a row of the result.
    pub(crate) fn line(&self) -> usize {
        self.pooling.map_or(self.windows.1, |(_, columns)| columns.output) * self.channels
    }

    /// The same for some of the rows of the result only, which are as many elements together.
    pub(crate) fn rows(mut self, first: usize, elements: usize) -> Self {
        match self.pooling {
            Some(_) => self.skipped = first,
            None => {
                self.begins.first += first * self.begins.steps.0;
                self.windows.0 = elements / self.line().max(1);
            }
        }
        self
    }

    /// Computes the part of an image's result that is a group's.
    #[inline(always)]
    pub(crate) fn run<T: Copy, V: Vectors, K: Tiles<T>>(
        &self,
        vectors: V,
        (group, layer): (usize, &K),
        image: &[K::Cell],
        outputs: &mut [T],
    ) {
        let tiles = (0..layer.channels().div_ceil(PANEL)).map(|panel| {
            let start = group * layer.channels() + panel * PANEL;
            let end = (start + PANEL).min((group + 1) * layer.channels());
            let image = &image[group * self.group + panel * K::STEP..];
            Tile { vectors, layer, panel, image, channels: start..end }
        });
        match &self.pooling {
            None if K::IS_SHARED && self.windows == (1, 1) => self.only(tiles, outputs),
            None => self.each(vectors, tiles, outputs),
            // A loop, not `for_each`: its closure would be compiled without the vectors' instructions.
            Some(pooling) => {
                for tile in tiles {
                    self.largest(&tile, pooling, outputs);
                }
            }
        }
    }

    /// Every window gives a pixel.
    #[inline(always)]
    fn each<'s, T: Copy, V: Vectors, K: Tiles<T> + 's>(
        &self,
        vectors: V,
        tiles: impl Iterator<Item = Tile<'s, V, K>> + Clone,
        outputs: &mut [T],
    ) {
        let mut batch = [K::Sum::lowest(vectors); BATCH];
        let [mut to_begins, mut to_pixels] = [self.begins, self.pixels].map(|grid| grid.walk(self.windows.1));
        let (mut begins, mut pixels) = ([0; BATCH], [0; BATCH]);
        let count = self.windows.0 * self.windows.1;
        for first in (0..count).step_by(BATCH) {
            let batch = &mut batch[..(count - first).min(BATCH)];
            to_begins.next(&mut begins[..batch.len()]);
            to_pixels.next(&mut pixels[..batch.len()]);
            for tile in tiles.clone() {
                tile.fill(batch, &begins);
                tile.finish(batch);
                for (&lanes, &pixel) in batch.iter().zip(&pixels) {
                    tile.write(lanes, &mut outputs[pixel + tile.channels.start..]);
                }
            }
        }
    }

    /// The only window gives a pixel; each of its elements is read once for several panels.
    #[inline(always)]
    fn only<'s, T: Copy, V: Vectors, K: Tiles<T> + 's>(
        &self,
        mut tiles: impl ExactSizeIterator<Item = Tile<'s, V, K>>,
        outputs: &mut [T],
    ) {
        let pixel = &mut outputs[self.pixels.first..];
        while tiles.len() >= ACROSS {
            self.across::<T, V, K, ACROSS>(&mut tiles, pixel);
        }
        while tiles.len() > 0 {
            self.across::<T, V, K, 1>(&mut tiles, pixel);
        }
    }

    /// The parts of the next `M` panels.
    #[inline(always)]
    fn across<'s, T: Copy, V: Vectors, K: Tiles<T> + 's, const M: usize>(
        &self,
        tiles: &mut impl Iterator<Item = Tile<'s, V, K>>,
        pixel: &mut [T],
    ) {
        let Some(first) = tiles.next() else { return };
        let Tile { vectors, layer, panel, image, .. } = first;
        let mut sums = layer.tile::<V, 1, M>(vectors, panel, image, [self.begins.first]);
        for (sums, tile) in sums.iter_mut().zip(core::iter::once(first).chain(tiles)) {
            tile.finish(sums);
            tile.write(sums[0], &mut pixel[tile.channels.start..]);
        }
    }

    /// The windows under each window of the pooling give a pixel.
    #[inline(always)]
    fn largest<T: Copy, V: Vectors, K: Tiles<T>>(
        &self,
        tile: &Tile<'_, V, K>,
        (rows, columns): &(Windows, Windows),
        outputs: &mut [T],
    ) {
        let mut batch = [K::Sum::lowest(tile.vectors); BATCH];
        for (row, outputs) in outputs.chunks_exact_mut(columns.output * self.channels).enumerate() {
            let row = row + self.skipped;
            let rows_inside = rows.taps_inside(row);
            let top = self.begins.first + rows.pixel(row, rows_inside.start) * self.begins.steps.0;
            let mut column = 0;
            for outputs in outputs.chunks_mut(BATCH * self.channels) {
                let batch = &mut batch[..outputs.len() / self.channels];
                for largest in &mut *batch {
                    let columns_inside = columns.taps_inside(column);
                    let begin = top + columns.pixel(column, columns_inside.start) * self.begins.steps.1;
                    *largest = self.largest_of(tile, begin, (rows_inside.len(), columns_inside.len()));
                    column += 1;
                }
                if tile.layer.is_monotonic() {
                    tile.finish(batch);
                }
                for (&lanes, pixel) in batch.iter().zip(outputs.chunks_exact_mut(self.channels)) {
                    tile.write(lanes, &mut pixel[tile.channels.start..]);
                }
            }
        }
    }

    /// The largest sums of neighbouring windows, the first of which begins at `begin`; the largest outputs where a larger sum
    /// may not give a larger output.
    #[inline(always)]
    fn largest_of<V: Vectors, K: Panels>(
        &self,
        tile: &Tile<'_, V, K>,
        begin: usize,
        (height, width): (usize, usize),
    ) -> Lanes<K, V> {
        let lowest = K::Sum::lowest(tile.vectors);
        let (below, beside) = self.begins.steps;
        if (height, width) == (2, 2) {
            let next = begin + below;
            return tile.larger(lowest, [begin, begin + beside, next, next + beside]);
        }
        let mut largest = lowest;
        for row in 0..height {
            let begin = begin + row * below;
            for column in (0..width).step_by(2) {
                let begin = begin + column * beside;
                // The last window twice does no harm.
                let other = if column + 1 < width { begin + beside } else { begin };
                largest = tile.larger(largest, [begin, other]);
            }
        }
        largest
    }
}

impl Grid {
    /// The places row by row, each of the given number.
    fn walk(self, columns: usize) -> Walk {
        let Self { first, steps: (below, beside) } = self;
        // Rows that follow upon each other are one.
        let columns = if below == columns * beside { usize::MAX } else { columns };
        Walk { row: first, place: first, below, beside, columns, left: columns }
    }
}

/// The way from place to place.
#[derive(Debug)]
struct Walk {
    /// The first place of the row, and the next one to go to.
    row: usize,
    place: usize,
    below: usize,
    beside: usize,
    /// Places of a row, and those that are left of this one.
    columns: usize,
    left: usize,
}

impl Walk {
    /// The next places.
    ///
    /// Not inlined: beside a tile the compiler would keep the way in registers that sums need.
    #[inline(never)]
    fn next(&mut self, places: &mut [usize]) {
        let mut places = places;
        while !places.is_empty() {
            let (row, rest) = places.split_at_mut(self.left.min(places.len()));
            for place in &mut *row {
                *place = self.place;
                // Behind the last place any number may follow.
                self.place = self.place.wrapping_add(self.beside);
            }
            self.left -= row.len();
            if self.left == 0 {
                self.row = self.row.wrapping_add(self.below);
                (self.place, self.left) = (self.row, self.columns);
            }
            places = rest;
        }
    }
}

impl<V: Vectors, K: Panels> Tile<'_, V, K> {
    /// The sums of the windows that begin at the given places.
    #[inline(always)]
    fn sums<const N: usize>(&self, begins: [usize; N]) -> [Lanes<K, V>; N] {
        let [sums] = self.layer.tile(self.vectors, self.panel, self.image, begins);
        sums
    }

    /// Sets sums to those of the windows that begin at the given places.
    #[inline(always)]
    fn fill(&self, sums: &mut [Lanes<K, V>], begins: &[usize; BATCH]) {
        let begins = begins.as_chunks::<ROWS>().0;
        let (tiles, rest) = sums.as_chunks_mut::<ROWS>();
        for (sums, &begins) in tiles.iter_mut().zip(begins) {
            *sums = self.sums(begins);
        }
        match (rest, begins.get(tiles.len())) {
            (rest @ [_, _, _], Some(&[a, b, c, _])) => rest.copy_from_slice(&self.sums([a, b, c])),
            (rest @ [_, _], Some(&[a, b, ..])) => rest.copy_from_slice(&self.sums([a, b])),
            ([last], Some(&[begin, ..])) => [*last] = self.sums([begin]),
            _ => {}
        }
    }

    #[inline(always)]
    fn finish(&self, sums: &mut [Lanes<K, V>]) {
        self.layer.finish(self.vectors, self.panel, sums);
    }

    /// The larger ones of what there is and of the windows that begin at the given places.
    #[inline(always)]
    fn larger<const N: usize>(&self, mut largest: Lanes<K, V>, begins: [usize; N]) -> Lanes<K, V> {
        let sums = self.sums(begins);
        let mut larger = |values: &[Lanes<K, V>; N]| {
            for &values in values {
                largest = K::Sum::larger(self.vectors, largest, values);
            }
        };
        if self.layer.is_monotonic() {
            larger(&sums);
        } else {
            // A copy: the sums of the other case stay in registers.
            let mut outputs = sums;
            self.finish(&mut outputs);
            larger(&outputs);
        }
        largest
    }

    /// Writes the panel's part of a pixel, which begins there.
    #[inline(always)]
    fn write<T: Copy>(&self, outputs: Lanes<K, V>, pixel: &mut [T])
    where
        K: Tiles<T>,
    {
        copy_first(&K::Sum::array(self.vectors, outputs), &mut pixel[..self.channels.len()]);
    }
}

/// Copies as many values as there are places for, at most all: in parts of constant sizes, each of which is one instruction,
/// where one part of any size would be a call.
#[inline(always)]
fn copy_first<T: Copy>(values: &[T; PANEL], places: &mut [T]) {
    if let Ok(places) = <&mut [T; PANEL]>::try_from(&mut *places) {
        *places = *values;
        return;
    }
    let done = copy_part::<T, 8>(values, places, 0);
    let done = copy_part::<T, 4>(values, places, done);
    let done = copy_part::<T, 2>(values, places, done);
    copy_part::<T, 1>(values, places, done);
}

/// Copies the next `N` values if `N` is a part of the number of places; how many are copied then.
#[inline(always)]
fn copy_part<T: Copy, const N: usize>(values: &[T; PANEL], places: &mut [T], done: usize) -> usize {
    if places.len() & N == 0 {
        return done;
    }
    places[done..][..N].copy_from_slice(&values[done..][..N]);
    done + N
}

#[cfg(test)]
pub(crate) mod tests {
    use alloc::vec;
    use alloc::vec::Vec;

    use super::*;
    use crate::kernels::vectors::Task;

    struct Sweeping<'s, T, K: Panels> {
        sweep: Sweep,
        layer: K,
        image: &'s [K::Cell],
        outputs: &'s mut [T],
    }

    impl<T: Copy, K: Tiles<T>> Task for Sweeping<'_, T, K> {
        type Output = ();

        #[inline(always)]
        fn run<V: Vectors>(self, vectors: V) {
            self.sweep.run(vectors, (0, &self.layer), self.image, self.outputs);
        }
    }

    /// The outputs of a row of windows, each of which begins `step` elements after the one before.
    pub(crate) fn outputs<T: Element, K: Tiles<T> + PackedPanels>(
        layer: K,
        image: &[K::Cell],
        (windows, step): (usize, usize),
        channels: usize,
    ) -> Vec<T> {
        let [begins, pixels] = [step, channels].map(|step| Grid { first: 0, steps: (0, step) });
        let sweep =
            Sweep { windows: (1, windows), begins, pixels, group: 0, channels, pooling: None, skipped: 0 };
        let mut outputs = vec![T::zeroed(); windows * channels];
        layer.engine().run(Sweeping { sweep, layer, image, outputs: &mut outputs });
        outputs
    }

    #[test]
    fn as_many_values_are_copied_as_there_are_places() {
        let values: [u8; PANEL] = core::array::from_fn(|index| index as u8 + 1);
        for count in 0..=PANEL {
            let mut places = [0; PANEL];
            copy_first(&values, &mut places[..count]);
            assert_eq!(places[..count], values[..count]);
            assert!(places[count..].iter().all(|&place| place == 0));
        }
    }
}
