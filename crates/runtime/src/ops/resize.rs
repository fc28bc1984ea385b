//! RESIZE_BILINEAR and RESIZE_NEAREST_NEIGHBOR: images of another size.

use core::marker::PhantomData;

use burnlite_tflite::{Element, ElementType, ResizeBilinearOptions, ResizeNearestNeighborOptions};

use crate::error::OperatorFault;
use crate::frame::{Inputs, Writable, elements_mut};
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
        (ElementType::Float32, ElementType::Float32) => Ok(bilinear::<f32>(images)),
        (ElementType::Int8, ElementType::Int8) => Ok(bilinear::<i8>(images)),
        (ElementType::Int16, ElementType::Int16) => Ok(bilinear::<i16>(images)),
        _ => Err(node.types_fault()),
    }
}

fn bilinear<T: Mixed>(images: Images) -> Planned {
    Planned::new(images.output_shape(), Bilinear::<T> { images, element: PhantomData })
}

/// RESIZE_NEAREST_NEIGHBOR: each pixel the one nearest to its place; elements of any type.
pub(crate) fn plan_nearest(
    node: &Node<'_>,
    options: &ResizeNearestNeighborOptions,
) -> Result<Planned, OperatorFault> {
    let &ResizeNearestNeighborOptions { align_corners, half_pixel_centers } = options;
    let images = Images::new(node, Alignment { align_corners, half_pixel_centers })?;
    let pixel_bytes = images.channels * element_bytes(node, &node.input(0)?)?;
    Ok(Planned::new(images.output_shape(), Nearest { images, pixel_bytes }))
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
        let has_pixels = |height, width| height > 0 && width > 0;
        if has_pixels(rows.output, columns.output) && !has_pixels(height, width) {
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

/// An element that can be mixed of four.
trait Mixed: Element {
    type Distance: Copy;

    fn neighbours(axis: &Axis, index: usize) -> Neighbours<Self::Distance>;
    /// The mixture of the elements of two rows, each at two columns.
    fn mix(elements: [[Self; 2]; 2], row: Self::Distance, column: Self::Distance) -> Self;
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
    ($($integer:ident),*) => {$(
        impl Mixed for $integer {
            type Distance = i64;

            fn neighbours(axis: &Axis, index: usize) -> Neighbours<i64> {
                axis.integer_neighbours(index)
            }
            #[inline]
            fn mix(elements: [[Self; 2]; 2], row: i64, column: i64) -> Self {
                Self::saturating_from(mix_integers(elements.map(|row| row.map(i64::from)), row, column))
            }
        }
    )*};
}
mixed_integers!(i8, i16);

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

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

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
