//! Layers on kernels that compute whole tiles of their results.
//!
//! Weights are packed when the layer is planned. The input is laid out with its padding, so that every tap of every window
//! has a place in it, and nothing is gathered; where it lies like that already, it is read where it is.

use alloc::vec::Vec;
use core::fmt::Debug;
use core::marker::PhantomData;
use core::ops::Range;

use burnlite_tflite::Element;

use crate::error::OperatorFault;
use crate::frame::{Inputs, Writable, elements_mut};
use crate::kernels::depthwise::Depthwise;
use crate::kernels::float::FloatProduct;
use crate::kernels::matrix::Matrix;
use crate::kernels::product::{Product, ROWS};
use crate::kernels::{Engine, Kernels};
use crate::ops::integer::{Accumulator, Integer, Requantization};
use crate::ops::weighted::{Layer, Weighted};
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
    /// Whether each channel of the result sees the one channel of the input, the weights being `[taps, channels]`; else the
    /// channels of a group see all of the group's, and the weights are `[channels, taps, depth]`.
    pub(crate) is_depthwise: bool,
}

/// Kernels that compute the results of up to [`ROWS`] windows at a time.
trait Tiles<T>: Debug + Send + Sync + Sized + 'static {
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
    engine: Engine,
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

    /// Elements that a row of weights meets.
    fn row(&self) -> usize {
        self.rows.taps * self.columns.taps * self.depth
    }

    /// Elements of a row of pixels, padding included.
    fn line(&self) -> usize {
        self.columns.extent() * self.pixel()
    }

    /// Where the runs of neighbouring elements begin that a row of weights meets, in its order, and the elements of a run.
    fn runs(&self) -> (Vec<usize>, usize) {
        let tap_row = |tap: usize| tap * self.rows.dilation * self.line();
        if self.columns.dilation == 1 && self.groups == 1 {
            return ((0..self.rows.taps).map(tap_row).collect(), self.columns.taps * self.depth);
        }
        (self.taps(), self.depth)
    }

    /// Where the pixels under the taps of a window begin.
    fn taps(&self) -> Vec<usize> {
        let columns = |row| (0..self.columns.taps).map(move |column| (row, column));
        let offset = |(row, column)| {
            row * self.rows.dilation * self.line() + column * self.columns.dilation * self.pixel()
        };
        (0..self.rows.taps).flat_map(columns).map(offset).collect()
    }

    /// The layer on its kernels, one for each group.
    fn planned<T: Element, K: Tiles<T>>(
        self,
        engine: Engine,
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
            engine,
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

impl Weighted<'_, '_> {
    /// The layer on kernels for tiles, if the options let them run, its operands are known, and it has a form for them.
    pub(crate) fn tiled_integers<L: Layer, T: Integer, A: Accumulator>(
        &self,
        layer: &L,
        (zero_point, weight_zero_point): (i32, i32),
        requantization: &Requantization<T>,
        shape: &[usize],
    ) -> Option<Planned> {
        let engine = self.node.options.kernels.engine().filter(|_| weight_zero_point == 0)?;
        let (patches, weights, bias) = (layer.patches()?, self.known::<i8>()?, self.known_bias::<A>()?);
        let matrix = |weights, channels: Range<usize>, depth| Matrix {
            weights,
            channels: channels.len(),
            depth,
            bias: A::bias(&bias).part(channels.clone()),
            factors: requantization.factors(channels),
            range: requantization.range(),
            bound: T::largest_distance(zero_point),
        };
        let input = (self.positions.input, zero_point);
        if patches.is_depthwise {
            let (taps, weights) = (patches.taps(), transposed(&weights, self.channels));
            let kernel = Depthwise::new(engine, &matrix(&weights, 0..self.channels, taps.len()), &taps)?;
            return Some(patches.planned::<T, _>(engine, [kernel].into(), input, shape));
        }
        let (in_group, depth) = (self.channels / patches.groups, patches.row());
        let (runs, run) = patches.runs();
        let products = (0..patches.groups).map(|group| {
            let channels = group * in_group..(group + 1) * in_group;
            let weights = &weights[channels.start * depth..channels.end * depth];
            Product::new(engine, &matrix(weights, channels, depth), &runs, run)
        });
        Some(patches.planned::<T, _>(engine, products.collect::<Option<Vec<_>>>()?, input, shape))
    }

    /// As [`tiled_integers`](Self::tiled_integers).
    pub(crate) fn tiled_floats<L: Layer>(
        &self,
        layer: &L,
        range: (f32, f32),
        shape: &[usize],
    ) -> Option<Planned> {
        let engine = self.node.options.kernels.engine()?;
        let patches = layer.patches().filter(|patches| !patches.is_depthwise)?;
        let (weights, bias) = (self.known::<f32>()?, self.known_bias::<f32>()?);
        let (in_group, depth) = (self.channels / patches.groups, patches.row());
        let (runs, run) = patches.runs();
        let products = (0..patches.groups).map(|group| {
            let weights = &weights[group * in_group * depth..][..in_group * depth];
            let bias = bias.get(group * in_group..).unwrap_or_default();
            FloatProduct::new(engine, (weights, bias), (in_group, depth), (&runs, run), range)
        });
        let products = products.collect::<Option<Vec<_>>>()?;
        Some(patches.planned::<f32, _>(engine, products, (self.positions.input, 0), shape))
    }

    /// The weights, where they are constant.
    fn known<W: Element>(&self) -> Option<Vec<W>> {
        self.node.input(self.positions.weights).ok()?.constant().ok()
    }

    /// The biases, where they are constant; none where there is no bias.
    fn known_bias<A: Element>(&self) -> Option<Vec<A>> {
        self.node.optional_input(self.positions.bias).map_or(Some(Vec::new()), |bias| bias.constant().ok())
    }
}

/// Weights `[taps, channels]` as `[channels, taps]`.
fn transposed(weights: &[i8], channels: usize) -> Vec<i8> {
    let taps = weights.len() / channels.max(1);
    (0..channels).flat_map(|channel| (0..taps).map(move |tap| weights[tap * channels + channel])).collect()
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

    fn kernels(&self) -> Kernels {
        self.engine.kernels()
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
