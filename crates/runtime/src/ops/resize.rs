//! RESIZE_BILINEAR and RESIZE_NEAREST_NEIGHBOR: images of another size.

use alloc::vec::Vec;
use core::fmt::Debug;
use core::marker::PhantomData;

use burnlite_tflite::{Element, ElementType, ResizeBilinearOptions, ResizeNearestNeighborOptions};

use crate::error::OperatorFault;
use crate::frame::{Inputs, Writable, elements_mut};
use crate::kernels::Engine;
use crate::kernels::elementwise::Loop;
use crate::ops::integer::Integer;
use crate::ops::strided::element_bytes;
use crate::plan::{Kernel, Node, Planned};

/// RESIZE_BILINEAR: each pixel a mixture of the four around its place.
pub(crate) fn plan_bilinear(
    node: &Node<'_>,
    options: &ResizeBilinearOptions,
) -> Result<Planned, OperatorFault> {
    let &ResizeBilinearOptions { align_corners, half_pixel_centers } = options;
    if align_corners && half_pixel_centers {
        return Err(OperatorFault::Unsupported { what: "align_corners with half_pixel_centers".into() });
    }
    let images = Images::new(node, Alignment { align_corners, half_pixel_centers })?;
    match (node.input(0)?.element_type(), node.output(0)?.element_type()) {
        (ElementType::Float32, ElementType::Float32) => Ok(bilinear::<f32>(node, images)),
        (ElementType::Int8, ElementType::Int8) => Ok(bilinear::<i8>(node, images)),
        (ElementType::Int16, ElementType::Int16) => Ok(bilinear::<i16>(node, images)),
        _ => Err(node.types_fault()),
    }
}

fn bilinear<T: Mixed>(node: &Node<'_>, images: Images) -> Planned {
    let shape = images.output_shape();
    match node.options.kernels.engine() {
        Some(engine) => Planned::new(shape, BilinearLines::<T>::new(images, engine)),
        None => Planned::new(shape, Bilinear::<T> { images, element: PhantomData }),
    }
}

/// RESIZE_NEAREST_NEIGHBOR: each pixel the one nearest to its place; elements of any type.
pub(crate) fn plan_nearest(
    node: &Node<'_>,
    options: &ResizeNearestNeighborOptions,
) -> Result<Planned, OperatorFault> {
    let &ResizeNearestNeighborOptions { align_corners, half_pixel_centers } = options;
    let images = Images::new(node, Alignment { align_corners, half_pixel_centers })?;
    // It saturates only where an extent of 0 leaves no pixel to take.
    let pixel_bytes = images.channels.saturating_mul(element_bytes(node, &node.input(0)?)?);
    Ok(match node.options.kernels.engine() {
        Some(_) => Planned::new(images.output_shape(), NearestLines::new(images, pixel_bytes)),
        None => Planned::new(images.output_shape(), Nearest { images, pixel_bytes }),
    })
}

/// The shapes of a resizing: `[batch, rows.input, columns.input, channels]` to the same with the axes' outputs.
#[derive(Debug, Clone, Copy)]
struct Images {
    batch: usize,
    rows: Axis,
    columns: Axis,
    channels: usize,
}

impl Images {
    fn new(node: &Node<'_>, alignment: Alignment) -> Result<Self, OperatorFault> {
        let input = node.input(0)?;
        let [batch, height, width, channels] = input.dimensions()?;
        let size = node.input(1)?.constant::<i32>()?;
        let &[rows, columns] = &size[..] else {
            let what = "the size must be a height and a width".into();
            return Err(OperatorFault::Shape { what, found: [size.len()].into() });
        };
        let axis = |input, option, output: i32| {
            let fault = OperatorFault::Option { option, expected: "not negative", found: output.into() };
            Ok(Axis { input, output: usize::try_from(output).map_err(|_| fault)?, alignment })
        };
        let (rows, columns) = (axis(height, "the new height", rows)?, axis(width, "the new width", columns)?);
        if [rows, columns].iter().any(|axis| axis.output > 0 && axis.input == 0) {
            let what = "an image without pixels cannot be resized".into();
            return Err(OperatorFault::Shape { what, found: input.shape.into() });
        }
        Ok(Self { batch, rows, columns, channels })
    }

    fn output_shape(&self) -> [usize; 4] {
        [self.batch, self.rows.output, self.columns.output, self.channels]
    }

    /// The image, row and column of each pixel of the results, in order.
    fn pixels(&self) -> impl Iterator<Item = [usize; 3]> {
        let (rows, columns) = (self.rows.output, self.columns.output);
        let images = (0..self.batch).flat_map(move |image| (0..rows).map(move |row| (image, row)));
        images.flat_map(move |(image, row)| (0..columns).map(move |column| [image, row, column]))
    }

    /// Which pixel of the operands lies in the given row and column of an image.
    #[inline]
    fn pixel(&self, image: usize, row: usize, column: usize) -> usize {
        (image * self.rows.input + row) * self.columns.input + column
    }
}

/// How pixels of the new size are placed on those of the old one; without either, the first pixels coincide.
#[derive(Debug, Clone, Copy)]
struct Alignment {
    /// The first and the last pixels coincide.
    align_corners: bool,
    /// Pixels are areas, and their centres are placed.
    half_pixel_centers: bool,
}

/// Rows or columns.
#[derive(Debug, Clone, Copy)]
struct Axis {
    input: usize,
    output: usize,
    alignment: Alignment,
}

/// The two pixels beside a place, and the place's distance from the first of them.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Neighbours<P> {
    first: usize,
    second: usize,
    distance: P,
}

impl Axis {
    /// Steps between pixels of the input and of the output: their ratio is the scale.
    fn steps(&self) -> (usize, usize) {
        if self.alignment.align_corners && self.output > 1 {
            (self.input - 1, self.output - 1)
        } else {
            (self.input, self.output)
        }
    }

    /// What `place` gives for the first of the output's pixels: nearly always all of them.
    fn places<P>(&self, place: impl Fn(&Self, usize) -> P) -> Vec<P> {
        (0..self.output.min(MAX_PLACES)).map(|index| place(self, index)).collect()
    }

    fn scale(&self) -> f32 {
        let (input, output) = self.steps();
        input as f32 / output as f32
    }

    /// The input's pixel nearest to the output's (`GetNearestNeighbor`).
    fn nearest(&self, index: usize) -> usize {
        let offset = if self.alignment.half_pixel_centers { 0.5 } else { 0.0 };
        let place = (index as f32 + offset) * self.scale();
        let place = if self.alignment.align_corners { libm::roundf(place) } else { libm::floorf(place) };
        (place as usize).min(self.input - 1)
    }

    /// The input's pixels beside the output's, in single precision (`ComputeInterpolationValues`).
    fn neighbours(&self, index: usize) -> Neighbours<f32> {
        let place = if self.alignment.half_pixel_centers {
            (index as f32 + 0.5) * self.scale() - 0.5
        } else {
            index as f32 * self.scale()
        };
        let first = (libm::floorf(place) as usize).min(self.input - 1);
        let second = (libm::ceilf(place) as usize).min(self.input - 1);
        Neighbours { first, second, distance: place - first as f32 }
    }

    /// The input's pixels beside the output's, with 10 bits behind the point (`ComputeInterpolationValuesInteger`).
    fn integer_neighbours(&self, index: usize) -> Neighbours<i64> {
        let (input, output) = self.steps();
        let (input, output) = (input as i64, output as i64);
        let scale = (input * ONE + output / 2) / output;
        let offset = if self.alignment.half_pixel_centers { scale / 2 - ONE / 2 } else { 0 };
        let place = index as i64 * scale + offset;
        let pixel = |place: i64| ((place.max(0) / ONE) as usize).min(self.input - 1);
        let (first, second) = (pixel(place), pixel(place + ONE - 1));
        // Before the first pixel and behind the last both neighbours are the same, and the distance does not count.
        Neighbours { first, second, distance: (place - first as i64 * ONE).clamp(0, ONE) }
    }
}

/// 1 with 10 bits behind the point.
const ONE: i64 = 1 << 10;

/// An extent in a hostile file could ask for a table of any size.
const MAX_PLACES: usize = 1 << 16;

/// An element that can be mixed of four.
trait Mixed: Element {
    type Distance: Copy + Debug + Send + Sync;

    fn neighbours(axis: &Axis, index: usize) -> Neighbours<Self::Distance>;
    /// The mixture of the elements of two rows, each at two columns.
    fn mix(elements: [[Self; 2]; 2], row: Self::Distance, column: Self::Distance) -> Self;

    /// The mixtures of the elements of four pixels. Must be `#[inline(always)]`.
    #[inline(always)]
    fn mix_pixels(
        [[a, b], [c, d]]: [[&[Self]; 2]; 2],
        row: Self::Distance,
        column: Self::Distance,
        output: &mut [Self],
    ) {
        let elements = a.iter().zip(b).zip(c.iter().zip(d));
        for (y, ((&a, &b), (&c, &d))) in output.iter_mut().zip(elements) {
            *y = Self::mix([[a, b], [c, d]], row, column);
        }
    }
}

impl Mixed for f32 {
    type Distance = Self;

    fn neighbours(axis: &Axis, index: usize) -> Neighbours<Self> {
        axis.neighbours(index)
    }
    #[inline]
    fn mix([[a, b], [c, d]]: [[Self; 2]; 2], row: Self, column: Self) -> Self {
        let (row_rest, column_rest) = (1.0 - row, 1.0 - column);
        a * row_rest * column_rest + c * row * column_rest + b * row_rest * column + d * row * column
    }
}

macro_rules! mixed_integers {
    ($($integer:ident: $sum:ident),*) => {$(
        impl Mixed for $integer {
            type Distance = i64;

            fn neighbours(axis: &Axis, index: usize) -> Neighbours<i64> {
                axis.integer_neighbours(index)
            }
            #[inline]
            fn mix(elements: [[Self; 2]; 2], row: i64, column: i64) -> Self {
                Self::saturating_from(mix_integers(elements.map(|row| row.map(i64::from)), row, column))
            }
            #[inline(always)]
            fn mix_pixels(
                [[a, b], [c, d]]: [[&[Self]; 2]; 2],
                row: i64,
                column: i64,
                output: &mut [Self],
            ) {
                let [row, column] = [row as i32, column as i32].map(|second| (ONE as i32 - second, second));
                let elements = a.iter().zip(b).zip(c.iter().zip(d));
                for (y, ((&a, &b), (&c, &d))) in output.iter_mut().zip(elements) {
                    // 10 bits more, then 10 more: of 16-bit integers the latter need 64 bits.
                    let [first, second] =
                        [(a, c), (b, d)].map(|(a, c)| i32::from(a) * row.0 + i32::from(c) * row.1);
                    let sum = $sum::from(first) * $sum::from(column.0) + $sum::from(second) * $sum::from(column.1);
                    // A mixture lies between its elements: it fits the type.
                    *y = ((sum + ((ONE * ONE) as $sum / 2) - $sum::from(sum < 0)) >> (2 * ONE.ilog2())) as Self;
                }
            }
        }
    )*};
}
mixed_integers!(i8: i32, i16: i64);

/// The mixture, rounded half away from zero.
#[inline]
fn mix_integers([[a, b], [c, d]]: [[i64; 2]; 2], row: i64, column: i64) -> i32 {
    let (row_rest, column_rest) = (ONE - row, ONE - column);
    let sum = a * row_rest * column_rest + c * row * column_rest + b * row_rest * column + d * row * column;
    let half = if sum > 0 { ONE * ONE / 2 } else { -ONE * ONE / 2 };
    ((sum + half) / (ONE * ONE)) as i32
}

#[derive(Debug)]
struct Bilinear<T> {
    images: Images,
    element: PhantomData<T>,
}

impl<T: Mixed> Kernel for Bilinear<T> {
    fn run(&self, inputs: &Inputs<'_>, [output, ..]: &mut Writable<'_>) -> Result<(), OperatorFault> {
        let (images, input) = (&self.images, inputs.get::<T>(0));
        let pixels = elements_mut::<T>(output).chunks_exact_mut(images.channels.max(1));
        for (pixel, [image, row, column]) in pixels.zip(images.pixels()) {
            let rows = T::neighbours(&images.rows, row);
            let columns = T::neighbours(&images.columns, column);
            let corners = [rows.first, rows.second].map(|row| {
                let place = |column| images.pixel(image, row, column) * images.channels;
                [columns.first, columns.second].map(|column| &input[place(column)..][..images.channels])
            });
            for (channel, y) in pixel.iter_mut().enumerate() {
                let elements = corners.map(|row| row.map(|pixel| pixel[channel]));
                *y = T::mix(elements, rows.distance, columns.distance);
            }
        }
        Ok(())
    }
}

/// The same, line by line, with the neighbours known already.
#[derive(Debug)]
struct BilinearLines<T: Mixed> {
    images: Images,
    engine: Engine,
    rows: Vec<Neighbours<T::Distance>>,
    columns: Vec<Neighbours<T::Distance>>,
}

impl<T: Mixed> BilinearLines<T> {
    fn new(images: Images, engine: Engine) -> Self {
        let (rows, columns) = (images.rows.places(T::neighbours), images.columns.places(T::neighbours));
        Self { images, engine, rows, columns }
    }
}

impl<T: Mixed> Kernel for BilinearLines<T> {
    fn table_bytes(&self) -> usize {
        size_of_val(&self.rows[..]) + size_of_val(&self.columns[..])
    }

    fn run(&self, inputs: &Inputs<'_>, [output, ..]: &mut Writable<'_>) -> Result<(), OperatorFault> {
        if !output.is_empty() {
            let (input, output) = (inputs.get(0), elements_mut(output));
            self.engine.run_loop(MixedLines { kernel: self, input, output });
        }
        Ok(())
    }
}

struct MixedLines<'l, T: Mixed> {
    kernel: &'l BilinearLines<T>,
    input: &'l [T],
    output: &'l mut [T],
}

impl<T: Mixed> Loop for MixedLines<'_, T> {
    #[inline(always)]
    fn run(self, _: Engine) {
        let BilinearLines { images, rows, columns, .. } = self.kernel;
        let Images { channels, .. } = *images;
        let lines = self.output.chunks_exact_mut(images.columns.output * channels);
        for (index, line) in lines.enumerate() {
            let (image, row) = (index / images.rows.output, index % images.rows.output);
            let row = rows.get(row).copied().unwrap_or_else(|| T::neighbours(&images.rows, row));
            let lines = [row.first, row.second].map(|row| {
                &self.input[images.pixel(image, row, 0) * channels..][..images.columns.input * channels]
            });
            for (index, pixel) in line.chunks_exact_mut(channels).enumerate() {
                let place = columns.get(index).copied();
                let column = place.unwrap_or_else(|| T::neighbours(&images.columns, index));
                let corners = lines.map(|line| {
                    [column.first, column.second].map(|column| &line[column * channels..][..channels])
                });
                T::mix_pixels(corners, row.distance, column.distance, pixel);
            }
        }
    }
}

#[derive(Debug)]
struct Nearest {
    images: Images,
    pixel_bytes: usize,
}

impl Kernel for Nearest {
    fn run(&self, inputs: &Inputs<'_>, [output, ..]: &mut Writable<'_>) -> Result<(), OperatorFault> {
        let (images, input) = (&self.images, inputs.bytes(0));
        let pixels = output.chunks_exact_mut(self.pixel_bytes.max(1));
        for (pixel, [image, row, column]) in pixels.zip(images.pixels()) {
            let nearest = images.pixel(image, images.rows.nearest(row), images.columns.nearest(column));
            pixel.copy_from_slice(&input[nearest * self.pixel_bytes..][..self.pixel_bytes]);
        }
        Ok(())
    }
}

/// The same, line by line, with the places known already.
#[derive(Debug)]
struct NearestLines {
    images: Images,
    pixel_bytes: usize,
    rows: Vec<usize>,
    columns: Vec<usize>,
}

impl NearestLines {
    fn new(images: Images, pixel_bytes: usize) -> Self {
        let (rows, columns) = (images.rows.places(Axis::nearest), images.columns.places(Axis::nearest));
        Self { images, pixel_bytes, rows, columns }
    }

    fn row(&self, index: usize) -> usize {
        self.rows.get(index).copied().unwrap_or_else(|| self.images.rows.nearest(index))
    }

    /// Copies a line's pixels of `N` bytes.
    fn copy<const N: usize>(&self, from: &[u8], to: &mut [u8]) {
        let (from, (to, _)) = (from.as_chunks::<N>().0, to.as_chunks_mut::<N>());
        self.for_each(to.iter_mut(), |pixel, column| *pixel = from[column]);
    }

    fn copy_any(&self, from: &[u8], to: &mut [u8]) {
        let bytes = self.pixel_bytes;
        self.for_each(to.chunks_exact_mut(bytes), |pixel, column| {
            pixel.copy_from_slice(&from[column * bytes..][..bytes]);
        });
    }

    /// Calls `copy` with each pixel of a line and the column that it has its value from.
    #[inline]
    fn for_each<P>(&self, mut pixels: impl Iterator<Item = P>, copy: impl Fn(P, usize)) {
        for (pixel, &column) in pixels.by_ref().take(self.columns.len()).zip(&self.columns) {
            copy(pixel, column);
        }
        for (index, pixel) in pixels.enumerate() {
            copy(pixel, self.images.columns.nearest(self.columns.len() + index));
        }
    }
}

impl Kernel for NearestLines {
    fn table_bytes(&self) -> usize {
        size_of_val(&self.rows[..]) + size_of_val(&self.columns[..])
    }

    fn run(&self, inputs: &Inputs<'_>, [output, ..]: &mut Writable<'_>) -> Result<(), OperatorFault> {
        let (images, input) = (&self.images, inputs.bytes(0));
        let line_bytes = images.columns.output * self.pixel_bytes;
        for begin in (0..output.len()).step_by(line_bytes.max(1)) {
            let line = begin / line_bytes;
            let (image, row) = (line / images.rows.output, line % images.rows.output);
            let (before, line) = output.split_at_mut(begin);
            let line = &mut line[..line_bytes];
            if row > 0 && self.row(row) == self.row(row - 1) {
                line.copy_from_slice(&before[begin - line_bytes..]);
                continue;
            }
            let start = images.pixel(image, self.row(row), 0) * self.pixel_bytes;
            let from = &input[start..][..images.columns.input * self.pixel_bytes];
            match self.pixel_bytes {
                1 => self.copy::<1>(from, line),
                2 => self.copy::<2>(from, line),
                4 => self.copy::<4>(from, line),
                8 => self.copy::<8>(from, line),
                16 => self.copy::<16>(from, line),
                _ => self.copy_any(from, line),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn axis(input: usize, output: usize, align_corners: bool, half_pixel_centers: bool) -> Axis {
        Axis { input, output, alignment: Alignment { align_corners, half_pixel_centers } }
    }

    #[test]
    fn neighbours_stay_inside_however_the_scale_is_rounded() {
        // A scale of 1.536 becomes 2 of 1024 parts: the last places lie behind the image.
        for (input, output) in [(3, 2000), (1, 4000), (7, 3), (i32::MAX as usize, 2), (2, i32::MAX as usize)]
        {
            for (align_corners, half_pixel_centers) in [(false, false), (true, false), (false, true)] {
                let axis = axis(input, output, align_corners, half_pixel_centers);
                for index in [0, 1, output / 2, output - 1] {
                    let integer = axis.integer_neighbours(index);
                    let float = axis.neighbours(index);
                    assert!(
                        integer.first <= integer.second && integer.second < input,
                        "{axis:?} {integer:?}"
                    );
                    assert!(float.first <= float.second && float.second < input, "{axis:?} {float:?}");
                    assert!(axis.nearest(index) < input);
                }
            }
        }
    }

    #[test]
    fn corners_coincide_and_centres_are_between() {
        let places = |axis: Axis| (0..axis.output).map(|index| axis.nearest(index)).collect::<Vec<_>>();
        assert_eq!(places(axis(4, 7, false, false)), [0, 0, 1, 1, 2, 2, 3]);
        assert_eq!(places(axis(4, 7, true, false)), [0, 1, 1, 2, 2, 3, 3]);
        assert_eq!(places(axis(4, 2, false, true)), [1, 3]);
        // LiteRT's nearest neighbours can have both.
        assert_eq!(places(axis(2, 3, true, true)), [0, 1, 1]);
        assert_eq!(places(axis(2, 1, true, true)), [1]);
    }

    #[test]
    fn mixtures_of_integers_round_half_away_from_zero() {
        let half = ONE / 2;
        assert_eq!(mix_integers([[1, 2], [1, 2]], 0, half), 2);
        assert_eq!(mix_integers([[-1, -2], [-1, -2]], 0, half), -2);
        assert_eq!(mix_integers([[-32_768; 2]; 2], half, half), -32_768);
    }
}
