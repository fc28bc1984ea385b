//! Layers on kernels that compute whole tiles of their results.
//!
//! Weights are packed when the layer is planned. The input is laid out with its padding, so that every tap of every window
//! has a place in it, and nothing is gathered; where it lies like that already, it is read where it is.

use alloc::vec::Vec;
use core::fmt::Debug;
use core::marker::PhantomData;

use burnlite_tflite::Element;

use crate::error::OperatorFault;
use crate::frame::{Inputs, Writable, elements_mut};
use crate::kernels::depthwise::Depthwise;
use crate::kernels::float::FloatProduct;
use crate::kernels::product::{Product, ROWS};
use crate::ops::integer::Integer;
use crate::ops::window::Windows;
use crate::plan::{Kernel, Planned};

/// What the windows of a layer see: images of pixels of `groups * depth` elements.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Patches {
    pub(crate) images: usize,
    pub(crate) rows: Windows,
    pub(crate) columns: Windows,
    pub(crate) groups: usize,
    pub(crate) depth: usize,
}

/// Kernels that compute the results of up to [`ROWS`] windows at a time.
pub(crate) trait Tiles<T>: Debug + Send + Sync + Sized + 'static {
    /// What the input is laid out as.
    type Cell: Element;

    /// An element of the input, less the zero point.
    fn cell(element: T, zero_point: i32) -> Self::Cell;
    /// Elements that are read from where a window begins.
    fn span(&self) -> usize;
    /// The results of the windows that begin at the given places; those of window `i` start at `outputs[i * stride]`.
    fn run(&self, image: &[Self::Cell], begins: &[usize], outputs: &mut [T], stride: usize);
}

/// A layer of inputs and outputs of type `T`, one after the other of its groups by a kernel.
#[derive(Debug)]
struct TiledLayer<T, K> {
    patches: Patches,
    kernels: Vec<K>,
    /// Position of the input.
    input: usize,
    zero_point: i32,
    channels: usize,
    /// Elements of an image with its padding, and of a row of pixels in it.
    extent: usize,
    line: usize,
    /// Whether the input is laid out as it should be.
    in_place: bool,
    element: PhantomData<T>,
}

impl Patches {
    /// Elements of a pixel.
    fn pixel(&self) -> usize {
        self.groups * self.depth
    }

    /// Elements of a row of pixels, padding included.
    fn line(&self) -> usize {
        self.columns.extent() * self.pixel()
    }

    /// Where the runs of neighbouring elements begin that a row of weights meets, in its order, and the elements of a run.
    pub(crate) fn runs(&self) -> (Vec<usize>, usize) {
        let tap_row = |tap: usize| tap * self.rows.dilation * self.line();
        if self.columns.dilation == 1 && self.groups == 1 {
            return ((0..self.rows.taps).map(tap_row).collect(), self.columns.taps * self.depth);
        }
        (self.taps(), self.depth)
    }

    /// Where the pixels under the taps of a window begin.
    pub(crate) fn taps(&self) -> Vec<usize> {
        let columns = |row| (0..self.columns.taps).map(move |column| (row, column));
        let offset = |(row, column)| {
            row * self.rows.dilation * self.line() + column * self.columns.dilation * self.pixel()
        };
        (0..self.rows.taps).flat_map(columns).map(offset).collect()
    }

    /// The layer on its kernels, one for each group.
    pub(crate) fn planned<T: Element, K: Tiles<T>>(
        self,
        kernels: Vec<K>,
        (input, zero_point): (usize, i32),
        shape: &[usize],
    ) -> Planned {
        let [line, pixel] = [self.line(), self.pixel()];
        let last = |windows: Windows| windows.output.saturating_sub(1) * windows.stride;
        let begin = last(self.rows) * line + last(self.columns) * pixel + pixel - self.depth;
        let extent = begin + kernels.first().map_or(0, K::span);
        let in_place = K::Cell::TYPE == T::TYPE
            && zero_point == 0
            && (self.rows.before, self.columns.before, self.columns.extent()) == (0, 0, self.columns.input)
            && extent <= self.rows.input * line;
        let channels = shape.last().copied().unwrap_or(0);
        let scratch = if in_place { 0 } else { extent.max(self.rows.extent() * line) };
        let element = PhantomData;
        let kernel = TiledLayer {
            patches: self,
            kernels,
            input,
            zero_point,
            channels,
            extent: scratch,
            line,
            in_place,
            element,
        };
        Planned { scratch_bytes: [scratch * size_of::<K::Cell>()].into(), ..Planned::new(shape, kernel) }
    }
}

impl<T: Element, K: Tiles<T>> Kernel for TiledLayer<T, K> {
    fn run(
        &self,
        inputs: &Inputs<'_>,
        [output, scratch, ..]: &mut Writable<'_>,
    ) -> Result<(), OperatorFault> {
        if output.is_empty() {
            return Ok(());
        }
        let Patches { images, rows, columns, .. } = self.patches;
        let image_elements = rows.input * columns.input * self.patches.pixel();
        let outputs =
            elements_mut::<T>(output).chunks_exact_mut(rows.output * columns.output * self.channels);
        let laid_out = &mut elements_mut::<K::Cell>(scratch)[..self.extent];
        for (image, outputs) in (0..images).zip(outputs) {
            if self.in_place {
                self.windows(
                    &inputs.get::<K::Cell>(self.input)[image * image_elements..][..image_elements],
                    outputs,
                );
            } else {
                self.lay_out(
                    &inputs.get::<T>(self.input)[image * image_elements..][..image_elements],
                    laid_out,
                );
                self.windows(laid_out, outputs);
            }
        }
        Ok(())
    }
}

impl<T: Element, K: Tiles<T>> TiledLayer<T, K> {
    /// Copies an image to where it belongs between its padding.
    fn lay_out(&self, image: &[T], laid_out: &mut [K::Cell]) {
        let Patches { rows, columns, .. } = self.patches;
        let pixel = self.patches.pixel();
        let line = (columns.input * pixel).max(1);
        let margin = columns.before * pixel;
        if self.line > line || rows.extent() > rows.input {
            laid_out.fill(bytemuck::Zeroable::zeroed());
        }
        let lines = laid_out.chunks_exact_mut(self.line.max(1)).skip(rows.before);
        for (laid_out, line) in lines.zip(image.chunks_exact(line)) {
            for (cell, &x) in laid_out[margin..].iter_mut().zip(line) {
                *cell = K::cell(x, self.zero_point);
            }
        }
    }

    /// The results of all windows of an image.
    fn windows(&self, image: &[K::Cell], outputs: &mut [T]) {
        let Patches { rows, columns, depth, groups, .. } = self.patches;
        let in_group = self.channels / groups;
        let total = rows.output * columns.output;
        let (mut row, mut column) = (0, 0);
        for first in (0..total).step_by(ROWS) {
            let mut begins = [0; ROWS];
            let count = ROWS.min(total - first);
            for begin in &mut begins[..count] {
                *begin = row * rows.stride * self.line + column * columns.stride * depth * groups;
                column += 1;
                if column == columns.output {
                    (row, column) = (row + 1, 0);
                }
            }
            for (group, kernel) in self.kernels.iter().enumerate() {
                let outputs = &mut outputs[first * self.channels + group * in_group..];
                kernel.run(&image[group * depth..], &begins[..count], outputs, self.channels);
            }
        }
    }
}

impl<T: Integer> Tiles<T> for Product {
    type Cell = i16;

    /// At most 16 bits: a difference of 8-bit integers, or a 16-bit one less 0.
    #[inline]
    fn cell(element: T, zero_point: i32) -> i16 {
        (element.into() - zero_point) as i16
    }
    fn span(&self) -> usize {
        self.span()
    }
    #[inline]
    fn run(&self, image: &[i16], begins: &[usize], outputs: &mut [T], stride: usize) {
        match *begins {
            [a, b, c, d] => self.run(image, [a, b, c, d], outputs, stride),
            [a, b, c] => self.run(image, [a, b, c], outputs, stride),
            [a, b] => self.run(image, [a, b], outputs, stride),
            _ => begins.iter().for_each(|&begin| self.run(image, [begin], outputs, stride)),
        }
    }
}

impl<T: Integer> Tiles<T> for Depthwise {
    type Cell = i16;

    #[inline]
    fn cell(element: T, zero_point: i32) -> i16 {
        (element.into() - zero_point) as i16
    }
    fn span(&self) -> usize {
        self.span()
    }
    #[inline]
    fn run(&self, image: &[i16], begins: &[usize], outputs: &mut [T], stride: usize) {
        for (&begin, outputs) in begins.iter().zip(outputs.chunks_mut(stride)) {
            self.run(image, begin, outputs);
        }
    }
}

impl Tiles<f32> for FloatProduct {
    type Cell = f32;

    #[inline]
    fn cell(element: f32, _zero_point: i32) -> f32 {
        element
    }
    fn span(&self) -> usize {
        self.span()
    }
    #[inline]
    fn run(&self, image: &[f32], begins: &[usize], outputs: &mut [f32], stride: usize) {
        match *begins {
            [a, b, c, d] => self.run(image, [a, b, c, d], outputs, stride),
            [a, b, c] => self.run(image, [a, b, c], outputs, stride),
            [a, b] => self.run(image, [a, b], outputs, stride),
            _ => begins.iter().for_each(|&begin| self.run(image, [begin], outputs, stride)),
        }
    }
}
