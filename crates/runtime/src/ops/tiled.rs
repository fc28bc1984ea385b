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
use crate::kernels::Kernels;
use crate::kernels::depthwise::Depthwise;
use crate::kernels::float::FloatLayer;
use crate::kernels::matrix::Matrix;
use crate::kernels::pack::PANEL;
use crate::kernels::product::Product;
use crate::kernels::sweep::{Sweep, Tiles};
use crate::kernels::vectors::{Task, Vectors};
use crate::ops::integer::{Accumulator, Integer, Requantization};
use crate::ops::weighted::{Layer, Weighted};
use crate::ops::window::Windows;
use crate::plan::{Kernel, MaxPooling, Planned};

/// What the windows of a layer see: images of pixels of `groups * depth` elements.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Patches {
    pub(crate) images: usize,
    pub(crate) rows: Windows,
    pub(crate) columns: Windows,
    pub(crate) groups: usize,
    pub(crate) depth: usize,
    /// Pixels from a pixel of the image to the one below it, and to the one at its side; zeros are between them.
    pub(crate) spread: (usize, usize),
    pub(crate) weights: Order,
}

/// The order in which the operator has its weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    /// `[channels, taps, depth]`: the channels of a group see all of the group's.
    ChannelsFirst,
    /// The same, the last tap first.
    Reversed,
    /// `[taps, channels]`: the channels of a group see the one channel of the input that is the group's.
    ChannelsLast,
    /// `[taps, channels]`: there is one group, in which each channel sees its own.
    Depthwise,
}

/// A layer of inputs and outputs of type `T`, with a kernel for each of its groups.
#[derive(Debug)]
struct TiledLayer<T, K> {
    patches: Patches,
    kernels: Vec<K>,
    sweep: Sweep,
    /// Position of the input.
    input: usize,
    zero_point: i32,
    /// Elements of an image with its padding; 0 where the input is laid out as it should be.
    extent: usize,
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

    /// Whether an image is not much larger with its padding and its zeros: otherwise the plain loops, which leave them out,
    /// serve better, and take less memory.
    fn is_compact(&self) -> bool {
        let laid_out = [self.rows.extent(self.spread.0), self.columns.extent(self.spread.1), self.pixel()];
        let laid_out = laid_out.iter().try_fold(1usize, |product, &extent| product.checked_mul(extent));
        let image = self.rows.input * self.columns.input * self.pixel();
        laid_out.is_some_and(|elements| elements / 8 <= image.max(1 << 12))
    }

    /// Whether packed weights are not many times the weights: panels have sixteen channels, of one group.
    fn fills_panels(&self, channels: usize) -> bool {
        let in_group = channels / self.groups.max(1);
        let packed = self.groups.saturating_mul(PANEL).saturating_mul(self.row());
        self.weights == Order::Depthwise || 4 * in_group >= PANEL || packed <= 1 << 16
    }

    /// Elements of a row of pixels, padding included.
    fn line(&self) -> usize {
        self.columns.extent(self.spread.1) * self.pixel()
    }

    /// The weights as `[channels, taps, depth]`, the first tap first.
    fn ordered<W: Copy>(&self, weights: Vec<W>, channels: usize) -> Vec<W> {
        let taps = self.rows.taps * self.columns.taps;
        match self.weights {
            Order::ChannelsFirst => weights,
            Order::Reversed => {
                let rows = weights.chunks_exact((taps * self.depth).max(1));
                rows.flat_map(|row| row.chunks_exact(self.depth).rev().flatten().copied()).collect()
            }
            Order::ChannelsLast | Order::Depthwise => {
                let tap = |channel| (0..taps).map(move |tap| tap * channels + channel);
                (0..channels).flat_map(tap).map(|index| weights[index]).collect()
            }
        }
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
        kernels: Vec<K>,
        (input, zero_point): (usize, i32),
        shape: &[usize],
    ) -> Planned {
        let Self { rows, columns, depth, spread, .. } = self;
        let [line, pixel] = [self.line(), self.pixel()];
        let last = |windows: Windows| windows.output.saturating_sub(1) * windows.stride;
        let begin = last(rows) * line + last(columns) * pixel + pixel - depth;
        let extent = begin + kernels.first().map_or(0, K::span);
        let in_place = K::Cell::TYPE == T::TYPE
            && zero_point == 0
            && (rows.before, columns.before, columns.extent(1)) == (0, 0, columns.input)
            && spread == (1, 1)
            && extent <= rows.input * line;
        let scratch = if in_place { 0 } else { extent.max(rows.extent(spread.0) * line) };
        let sweep = Sweep {
            windows: (rows.output, columns.output),
            steps: (rows.stride * line, columns.stride * pixel),
            group: depth,
            channels: shape.last().copied().unwrap_or(0),
            pooling: None,
        };
        let (patches, element) = (self, PhantomData);
        let kernel =
            TiledLayer { patches, kernels, sweep, input, zero_point, extent: scratch, in_place, element };
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
        let (patches, bias) = (self.patches(layer)?, self.known_bias::<A>()?);
        let weights = patches.ordered(self.known::<i8>()?, self.channels);
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
        if patches.weights == Order::Depthwise {
            let taps = patches.taps();
            let kernel = Depthwise::new(engine, &matrix(&weights, 0..self.channels, taps.len()), &taps)?;
            return Some(patches.planned::<T, _>([kernel].into(), input, shape));
        }
        let (in_group, depth) = (self.channels / patches.groups, patches.row());
        let (runs, run) = patches.runs();
        let products = (0..patches.groups).map(|group| {
            let channels = group * in_group..(group + 1) * in_group;
            let weights = &weights[channels.start * depth..channels.end * depth];
            Product::new(engine, &matrix(weights, channels, depth), &runs, run)
        });
        Some(patches.planned::<T, _>(products.collect::<Option<Vec<_>>>()?, input, shape))
    }

    /// As [`tiled_integers`](Self::tiled_integers).
    pub(crate) fn tiled_floats<L: Layer>(
        &self,
        layer: &L,
        range: (f32, f32),
        shape: &[usize],
    ) -> Option<Planned> {
        let engine = self.node.options.kernels.engine()?;
        let patches = self.patches(layer)?;
        let bias = self.known_bias::<f32>()?;
        // A zero of the padding times an infinite weight would be no number; the plain loops leave the padding out.
        let weights =
            self.known::<f32>().filter(|weights| weights.iter().all(|weight| weight.is_finite()))?;
        let weights = patches.ordered(weights, self.channels);
        let input = (self.positions.input, 0);
        if patches.weights == Order::Depthwise {
            let taps = patches.taps();
            let shapes = ((self.channels, taps.len()), (&taps[..], 1));
            let kernel = FloatLayer::<PANEL>::new(engine, (&weights, &bias), shapes.0, shapes.1, range)?;
            return Some(patches.planned::<f32, _>([kernel].into(), input, shape));
        }
        let (in_group, depth) = (self.channels / patches.groups, patches.row());
        let (runs, run) = patches.runs();
        let products = (0..patches.groups).map(|group| {
            let weights = &weights[group * in_group * depth..][..in_group * depth];
            let bias = bias.get(group * in_group..).unwrap_or_default();
            FloatLayer::<1>::new(engine, (weights, bias), (in_group, depth), (&runs, run), range)
        });
        let products = products.collect::<Option<Vec<_>>>()?;
        Some(patches.planned::<f32, _>(products, input, shape))
    }

    fn patches<L: Layer>(&self, layer: &L) -> Option<Patches> {
        layer.patches().filter(|patches| patches.is_compact() && patches.fills_panels(self.channels))
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

impl<T: Element, K: Tiles<T>> Kernel for TiledLayer<T, K> {
    fn run(
        &self,
        inputs: &Inputs<'_>,
        [output, scratch, ..]: &mut Writable<'_>,
    ) -> Result<(), OperatorFault> {
        let (Some(kernel), false) = (self.kernels.first(), output.is_empty()) else { return Ok(()) };
        let laid_out = &mut elements_mut::<K::Cell>(scratch)[..self.extent];
        let input = inputs.get::<T>(self.input);
        kernel.engine().run(Run { layer: self, input, laid_out, outputs: elements_mut(output) });
        Ok(())
    }

    fn kernels(&self) -> Kernels {
        self.kernels.first().map_or(Kernels::Reference, |kernel| kernel.engine().kernels())
    }

    fn packed_bytes(&self) -> usize {
        self.kernels.iter().map(K::packed_bytes).sum()
    }

    fn fuse(&mut self, pooling: &MaxPooling) -> bool {
        let can_fuse = self.sweep.pooling.is_none() && pooling.computes_once();
        if can_fuse {
            self.sweep.pooling = Some((pooling.rows, pooling.columns));
            self.kernels.iter_mut().for_each(|kernel| kernel.bound(pooling.bounds));
        }
        can_fuse
    }
}

/// A layer's run.
struct Run<'r, T, K: Tiles<T>> {
    layer: &'r TiledLayer<T, K>,
    input: &'r [T],
    /// Memory for an image between its padding.
    laid_out: &'r mut [K::Cell],
    outputs: &'r mut [T],
}

impl<T: Element, K: Tiles<T>> Task for Run<'_, T, K> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vectors>(self, vectors: V) {
        let Self { layer, input, laid_out, outputs } = self;
        let Patches { images, rows, columns, .. } = layer.patches;
        let elements = rows.input * columns.input * layer.patches.pixel();
        let outputs = outputs.chunks_exact_mut(layer.sweep.pixels() * layer.sweep.channels);
        for (image, outputs) in (0..images).zip(outputs) {
            let image = &input[image * elements..][..elements];
            let image = if layer.in_place {
                bytemuck::cast_slice(image)
            } else {
                layer.lay_out(image, laid_out);
                &*laid_out
            };
            layer.sweep.run(vectors, &layer.kernels, image, outputs);
        }
    }
}

impl<T: Element, K: Tiles<T>> TiledLayer<T, K> {
    /// Copies an image to where it belongs between its padding.
    #[inline(always)]
    fn lay_out(&self, image: &[T], laid_out: &mut [K::Cell]) {
        let Patches { rows, columns, spread, .. } = self.patches;
        let pixel = self.patches.pixel().max(1);
        let line = (columns.input * pixel).max(1);
        let margin = columns.before * pixel;
        if self.patches.line() > line || rows.extent(spread.0) > rows.input {
            laid_out.fill(bytemuck::Zeroable::zeroed());
        }
        // Pixels that lie side by side are one run.
        let run = if spread.1 == 1 { line } else { pixel };
        let lines = laid_out.chunks_exact_mut(self.patches.line().max(1)).skip(rows.before);
        for (laid_out, line) in lines.step_by(spread.0).zip(image.chunks_exact(line)) {
            let runs = laid_out[margin..].chunks_mut(run * spread.1);
            for (laid_out, run) in runs.zip(line.chunks_exact(run)) {
                for (cell, &x) in laid_out.iter_mut().zip(run) {
                    *cell = K::cell(x, self.zero_point);
                }
            }
        }
    }
}
