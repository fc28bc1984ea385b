//! Layers on kernels that compute whole tiles of their results.
//!
//! Weights are packed when the layer is planned. The input is laid out with its padding, so that every tap of every window
//! has a place in it, and nothing is gathered; where it lies like that already, it is read where it is.

mod axis;
mod hybrid;
#[cfg(test)]
mod tests;
mod threads;

use alloc::borrow::Cow;
use alloc::vec::Vec;
use core::fmt::Debug;
use core::marker::PhantomData;
use core::ops::Range;

use burnlite_tflite::Element;
use bytemuck::Zeroable;

use crate::error::OperatorFault;
use crate::frame::{Inputs, Writable, elements_mut};
use crate::kernels::depthwise::Depthwise;
use crate::kernels::dots::Dots;
use crate::kernels::float::FloatLayer;
use crate::kernels::matrix::Matrix;
use crate::kernels::pack::PANEL;
use crate::kernels::product::Product;
use crate::kernels::sweep::{Cells, Grid, PackedPanels, Sweep, Tiles};
use crate::kernels::vectors::{Task, Vectors};
use crate::kernels::{Engine, Kernels};
use crate::ops::integer::{Accumulator, Integer, Requantization};
use crate::ops::weighted::{Layer, Weighted};
use crate::ops::window::Windows;
use crate::plan::{ImagePadding, Kernel, MaxPooling, Node, Planned};

use axis::{Joined, Phase};

pub(crate) use axis::Axis;

/// The most bytes that a channel's bias and multiplier take: 64 bits of each.
const CHANNEL_BYTES: usize = 16;

/// What the windows of a layer see: images of pixels of `groups * depth` elements.
#[derive(Debug, Clone)]
pub(crate) struct Patches {
    pub(crate) images: usize,
    pub(crate) rows: Axis,
    pub(crate) columns: Axis,
    pub(crate) groups: usize,
    pub(crate) depth: usize,
    pub(crate) weights: Order,
}

/// The order in which the operator has its weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    /// `[channels, taps, depth]`: the channels of a group see all of the group's.
    ChannelsFirst,
    /// `[taps, channels]`: the channels of a group see the one channel of the input that is the group's.
    ChannelsLast,
    /// `[taps, channels]`: there is one group, in which each channel sees its own.
    Depthwise,
}

/// Those of a layer's windows that meet the same taps: a phase of its rows and one of its columns.
#[derive(Debug, Clone, Copy)]
struct Part<'p> {
    patches: &'p Patches,
    row: &'p Phase,
    column: &'p Joined,
}

/// A layer of inputs and outputs of type `T`.
#[derive(Debug)]
struct TiledLayer<T, K> {
    patches: Patches,
    parts: Vec<PlannedPart<K>>,
    /// Position of the input.
    input: usize,
    zero_point: i32,
    /// Elements of an image with its padding; 0 where the input is laid out as it should be.
    extent: usize,
    in_place: bool,
    /// Elements of an image's result.
    result: usize,
    /// How many threads share the work: more than one only where there is one part.
    threads: usize,
    element: PhantomData<T>,
}

/// A part with a kernel for each of its groups.
#[derive(Debug)]
struct PlannedPart<K> {
    kernels: Vec<K>,
    sweep: Sweep,
}

impl Patches {
    /// Elements of a pixel.
    fn pixel(&self) -> usize {
        self.groups * self.depth
    }

    /// Elements of an image.
    fn image(&self) -> usize {
        self.rows.input * self.columns.input * self.pixel()
    }

    /// Elements of a row of pixels, padding included.
    fn line(&self) -> usize {
        self.columns.extent * self.pixel()
    }

    /// Whether an image is not much larger with its padding: otherwise the plain loops, which leave it out, serve better, and
    /// take less memory.
    fn is_compact(&self) -> bool {
        let laid_out = [self.rows.extent, self.columns.extent, self.pixel()];
        let laid_out = laid_out.iter().try_fold(1usize, |product, &extent| product.checked_mul(extent));
        laid_out.is_some_and(|elements| elements / 8 <= self.image().max(1 << 12))
    }

    /// Whether packed weights are not many times the weights: panels have sixteen channels, of one group.
    fn fills_panels(&self, channels: usize) -> bool {
        let in_group = channels / self.groups.max(1);
        let row = self.rows.taps * self.columns.taps * self.depth;
        let packed = self.groups.saturating_mul(PANEL).saturating_mul(row);
        self.weights == Order::Depthwise || 4 * in_group >= PANEL || packed <= 1 << 16
    }

    /// Whether one row of weights meets all of the image, element by element.
    fn is_dense(&self) -> bool {
        self.images == 1 && self.groups == 1 && self.rows.is_one_pixel() && self.columns.is_one_pixel()
    }

    /// The same with images of one pixel side by side in one image, so that tiles have several of them.
    fn joined(mut self) -> Self {
        if self.rows.is_one_pixel() && self.columns.is_one_pixel() {
            self.columns = Axis::new(&Windows::points(self.images));
            self.images = 1;
        }
        self
    }

    /// The windows along a row, each of which gives as many pixels of the result as are best in one panel.
    fn windows(&self, channels: usize) -> Vec<Joined> {
        let single = self.single_windows();
        let counts = (2..=PANEL / channels.max(1)).rev();
        let joined = match self.weights {
            Order::Depthwise => counts.filter_map(|count| self.columns.beside(count)).next(),
            Order::ChannelsFirst if self.groups == 1 => {
                let joined = counts.filter_map(|count| self.columns.joined(count));
                joined.min_by_key(|joined| self.cost(core::slice::from_ref(joined)))
            }
            _ => None,
        };
        // What saves little is not worth more weights.
        let saves = |joined: &Joined| 9 * self.cost(core::slice::from_ref(joined)) <= 8 * self.cost(&single);
        joined.filter(saves).map_or(single, |joined| [joined].into())
    }

    /// The windows along a row, each of which gives a pixel of the result.
    fn single_windows(&self) -> Vec<Joined> {
        self.columns.phases.iter().copied().map(Joined::single).collect()
    }

    /// What a pixel of the result costs: pairs of taps, in thousandths.
    ///
    /// To finish a panel costs as much as 16 pairs: measured on an AMD EPYC with AVX2, 10 ns and 0.6 ns.
    fn cost(&self, windows: &[Joined]) -> usize {
        let pairs = |windows: &Joined| self.rows.taps * (windows.phase.taps * self.depth).div_ceil(2) + 16;
        let pixels: usize = windows.iter().map(|windows| windows.pixels.len()).sum();
        windows.iter().map(pairs).sum::<usize>().saturating_mul(1000) / pixels.max(1)
    }

    /// The layer with a kernel for each group of each part.
    fn layer<T: Element, K: Cells<T> + PackedPanels>(
        self,
        (input, zero_point): (usize, i32),
        (channels, windows): (usize, &[Joined]),
        kernels: impl Fn(&Part<'_>) -> Option<Vec<K>>,
    ) -> Option<TiledLayer<T, K>> {
        let planned =
            |part: Part<'_>| Some(PlannedPart { kernels: kernels(&part)?, sweep: part.sweep(channels) });
        let rows = self.rows.phases.iter();
        let parts = rows.flat_map(|row| windows.iter().map(|column| Part { patches: &self, row, column }));
        let parts: Vec<_> = parts.map(planned).collect::<Option<_>>()?;
        let (rows, columns) = (&self.rows, &self.columns);
        let extent = parts.iter().map(PlannedPart::extent).max().unwrap_or(0);
        let in_place = K::Cell::TYPE == T::TYPE
            && zero_point == 0
            && (rows.before, columns.before, columns.extent) == (0, 0, columns.input)
            && extent <= rows.input * self.line();
        let extent = if in_place { 0 } else { extent.max(rows.extent * self.line()) };
        let result = rows.output.saturating_mul(columns.output).saturating_mul(channels);
        let (threads, element) = (1, PhantomData);
        Some(TiledLayer {
            patches: self,
            parts,
            input,
            zero_point,
            extent,
            in_place,
            result,
            threads,
            element,
        })
    }
}

impl Part<'_> {
    /// Elements that a row of weights meets.
    fn depth(&self) -> usize {
        self.row.taps * self.column.phase.taps * self.patches.depth
    }

    /// The taps of the operator's weights, in the order of the pixels of the window that meet them, for a pixel of the result;
    /// none where it sees nothing.
    fn met(&self, pixel: usize) -> impl Iterator<Item = Option<usize>> + Clone {
        let (columns, column) = (self.patches.columns.taps, self.column.met(pixel));
        self.row.met().flat_map(move |row| column.clone().map(move |column| Some(row * columns + column?)))
    }

    /// The part's weights as `[pixels of the result, channels, taps, depth]`.
    fn weights<W: Copy + Zeroable>(&self, weights: &[W], channels: usize) -> Vec<W> {
        let Patches { depth, weights: order, .. } = *self.patches;
        let taps = self.patches.rows.taps * self.patches.columns.taps;
        let pixels = self.column.pixels.len();
        let mut ordered = Vec::with_capacity(pixels * channels * self.depth());
        for row in 0..pixels * channels {
            let (pixel, channel) = (row / channels, row % channels);
            for tap in self.met(pixel) {
                match (tap, order) {
                    (None, Order::ChannelsFirst) => ordered.extend((0..depth).map(|_| W::zeroed())),
                    (None, _) => ordered.push(W::zeroed()),
                    (Some(tap), Order::ChannelsFirst) => {
                        ordered.extend(&weights[(channel * taps + tap) * depth..][..depth]);
                    }
                    (Some(tap), _) => ordered.push(weights[tap * channels + channel]),
                }
            }
        }
        ordered
    }

    /// Where the runs of neighbouring elements begin that a row of weights meets, in its order, and the elements of a run.
    fn runs(&self) -> (Vec<usize>, usize) {
        let Patches { groups, depth, .. } = *self.patches;
        if self.column.phase.dilation == 1 && groups == 1 {
            let line = self.row.dilation.saturating_mul(self.patches.line());
            return ((0..self.row.taps).map(|row| row * line).collect(), self.column.phase.taps * depth);
        }
        (self.taps(), depth)
    }

    /// Where the pixels under the taps of a window begin.
    fn taps(&self) -> Vec<usize> {
        let (row, column) = (self.row, &self.column.phase);
        // Beside a single tap a dilation says nothing, and may be any number; so may a stride beside a single window.
        let steps = [(row.dilation, self.patches.line()), (column.dilation, self.patches.pixel())];
        let steps = steps.map(|(dilation, elements)| dilation.saturating_mul(elements));
        let columns = |row| (0..column.taps).map(move |column| row * steps[0] + column * steps[1]);
        (0..self.row.taps).flat_map(columns).collect()
    }

    /// Where the windows begin, and where their pixels of the result are.
    fn sweep(&self, channels: usize) -> Sweep {
        let (row, column) = (self.row, &self.column.phase);
        let [line, pixel] = [self.patches.line(), self.patches.pixel()];
        let result_line = self.patches.columns.output.saturating_mul(channels);
        Sweep {
            windows: (row.count, column.count),
            begins: Grid {
                first: row.begin * line + column.begin * pixel,
                steps: (row.stride.saturating_mul(line), column.stride.saturating_mul(pixel)),
            },
            pixels: Grid {
                first: row.first_output * result_line + column.first_output * channels,
                steps: (
                    row.output_step.saturating_mul(result_line),
                    column.output_step.saturating_mul(channels),
                ),
            },
            group: self.patches.depth,
            channels: channels * self.column.pixels.len(),
            pooling: None,
            skipped: 0,
        }
    }
}

impl<K: PackedPanels> PlannedPart<K> {
    /// Elements of an image up to the last that a window reads.
    fn extent(&self) -> usize {
        let Sweep { windows, begins, group, .. } = self.sweep;
        let last = |count: usize, step: usize| count.saturating_sub(1) * step;
        let groups = self.kernels.len().saturating_sub(1) * group;
        let begin = begins.first + last(windows.0, begins.steps.0) + last(windows.1, begins.steps.1);
        begin + groups + self.kernels.first().map_or(0, K::span)
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
        let (patches, bias, weights) = (self.patches(layer)?, self.known_bias::<A>()?, self.known::<i8>()?);
        let (patches, input) = (patches.joined(), (self.positions.input, zero_point));
        let windows =
            if self.node.is_pooled() { patches.single_windows() } else { patches.windows(self.channels) };
        let pixels = windows.first().map_or(1, |windows| windows.pixels.len());
        let (bias, requantization) = (bias.repeat(pixels), requantization.repeated(pixels));
        let (channels, layout) = (pixels * self.channels, (self.channels, &windows[..]));
        let matrix = |channels: Range<usize>| Matrix {
            weights: &[],
            channels: channels.len(),
            depth: 0,
            bias: A::bias(&bias).part(channels.clone()),
            factors: requantization.factors(channels),
            range: requantization.range(),
            bound: T::largest_distance(zero_point),
        };
        if patches.weights == Order::Depthwise {
            let kernel = |part: &Part<'_>| {
                let (weights, taps) = (part.weights(&weights, self.channels), part.taps());
                let matrix = Matrix { weights: &weights, depth: taps.len(), ..matrix(0..channels) };
                Some([Depthwise::new(engine, &matrix, &taps)?].into())
            };
            return Some(patches.layer::<T, _>(input, layout, kernel)?.planned(self.node, shape));
        }
        if patches.is_dense() && Dots::suit(channels, patches.depth) {
            let matrix = Matrix { weights: &weights, depth: patches.depth, ..matrix(0..channels) };
            let kernel = |_: &Part<'_>| Some([Dots::new(engine, &matrix)].into());
            return Some(patches.layer::<T, _>(input, layout, kernel)?.planned(self.node, shape));
        }
        let in_group = channels / patches.groups;
        let kernels = |part: &Part<'_>| {
            let (weights, (runs, run), depth) =
                (part.weights(&weights, self.channels), part.runs(), part.depth());
            let product = |group| {
                let channels = group * in_group..(group + 1) * in_group;
                let weights = &weights[channels.start * depth..channels.end * depth];
                Product::new(engine, &Matrix { weights, depth, ..matrix(channels) }, &runs, run)
            };
            (0..part.patches.groups).map(product).collect()
        };
        Some(patches.layer::<T, _>(input, layout, kernels)?.planned(self.node, shape))
    }

    /// As [`tiled_integers`](Self::tiled_integers).
    pub(crate) fn tiled_floats<L: Layer>(
        &self,
        layer: &L,
        range: (f32, f32),
        shape: &[usize],
    ) -> Option<Planned> {
        let engine = self.node.options.kernels.engine()?;
        let (patches, bias) = (self.patches(layer)?.joined(), self.known_bias::<f32>()?);
        // A zero of the padding times an infinite weight would be no number; the plain loops leave the padding out.
        let weights =
            self.known::<f32>().filter(|weights| weights.iter().all(|weight| weight.is_finite()))?;
        let input = (self.positions.input, 0);
        // A panel of several pixels would multiply what one does not see by 0, which may be infinite.
        let windows = patches.single_windows();
        let layout = (self.channels, &windows[..]);
        if patches.weights == Order::Depthwise {
            let kernel = |part: &Part<'_>| {
                let (weights, taps) = (part.weights(&weights, self.channels), part.taps());
                let shapes = ((self.channels, taps.len()), (&taps[..], 1));
                Some([FloatLayer::<PANEL>::new(engine, (&weights, &bias), shapes.0, shapes.1, range)?].into())
            };
            return Some(patches.layer::<f32, _>(input, layout, kernel)?.planned(self.node, shape));
        }
        let in_group = self.channels / patches.groups;
        let kernels = |part: &Part<'_>| {
            let (weights, (runs, run), depth) =
                (part.weights(&weights, self.channels), part.runs(), part.depth());
            let product = |group| {
                let weights = &weights[group * in_group * depth..][..in_group * depth];
                let bias = bias.get(group * in_group..).unwrap_or_default();
                FloatLayer::<1>::new(engine, (weights, bias), (in_group, depth), (&runs, run), range)
            };
            (0..part.patches.groups).map(product).collect()
        };
        Some(patches.layer::<f32, _>(input, layout, kernels)?.planned(self.node, shape))
    }

    fn patches<L: Layer>(&self, layer: &L) -> Option<Patches> {
        layer.patches().filter(|patches| patches.is_compact() && patches.fills_panels(self.channels))
    }

    /// The weights, where they are constant.
    fn known<W: Element>(&self) -> Option<Cow<'_, [W]>> {
        self.node.input(self.positions.weights).ok()?.constant_elements().ok()
    }

    /// The biases, where they are constant; none where there is no bias.
    fn known_bias<A: Element>(&self) -> Option<Vec<A>> {
        self.node.optional_input(self.positions.bias).map_or(Some(Vec::new()), |bias| bias.constant().ok())
    }
}

impl<T: Element, K: Cells<T> + PackedPanels> TiledLayer<T, K> {
    /// The layer on as many threads as the options allow and its work is worth.
    fn planned(mut self, node: &Node<'_>, shape: &[usize]) -> Planned
    where
        K: Tiles<T>,
    {
        if let [PlannedPart { kernels, sweep }] = &self.parts[..] {
            let packed: usize = kernels.iter().map(K::packed_bytes).sum();
            let products = sweep.windows.0.saturating_mul(sweep.windows.1).saturating_mul(packed);
            self.threads = if products < threads::WORTH { 1 } else { node.options.layer_threads() };
        }
        Planned { scratch_bytes: [self.extent * size_of::<K::Cell>()].into(), ..Planned::new(shape, self) }
    }

    /// The instruction set of the kernels, which is the same for all.
    fn engine(&self) -> Option<Engine> {
        self.parts.iter().find_map(|part| part.kernels.first()).map(K::engine)
    }

    /// Elements of a row of the result's pixels.
    fn line(&self) -> usize {
        match &self.parts[..] {
            [PlannedPart { sweep, .. }] => sweep.line(),
            _ => self.result,
        }
    }

    fn packed_bytes(&self) -> usize {
        self.parts.iter().flat_map(|part| &part.kernels).map(K::packed_bytes).sum()
    }

    /// Biases and multipliers, of at most [`CHANNEL_BYTES`] for each channel.
    fn table_bytes(&self) -> usize {
        let channels = self.parts.iter().flat_map(|part| &part.kernels).map(K::channels);
        channels.map(|channels| channels.next_multiple_of(PANEL) * CHANNEL_BYTES).sum()
    }

    /// Copies an image to where it belongs between its padding.
    #[inline(always)]
    fn lay_out(&self, image: &[T], zero_point: i32, laid_out: &mut [K::Cell]) {
        let Patches { rows, columns, .. } = &self.patches;
        let pixel = self.patches.pixel().max(1);
        let line = (columns.input * pixel).max(1);
        let margin = columns.before * pixel;
        if columns.extent > columns.input || rows.extent > rows.input {
            laid_out.fill(bytemuck::Zeroable::zeroed());
        }
        let lines = laid_out.chunks_exact_mut(self.patches.line().max(1)).skip(rows.before);
        for (laid_out, line) in lines.zip(image.chunks_exact(line)) {
            for (cell, &x) in laid_out[margin..].iter_mut().zip(line) {
                *cell = K::cell(x, zero_point);
            }
        }
    }
}

impl<T: Element, K: Cells<T> + Tiles<T> + PackedPanels> Kernel for TiledLayer<T, K> {
    fn run(
        &self,
        inputs: &Inputs<'_>,
        [output, scratch, ..]: &mut Writable<'_>,
    ) -> Result<(), OperatorFault> {
        let (Some(engine), false) = (self.engine(), output.is_empty()) else { return Ok(()) };
        let laid_out = &mut elements_mut::<K::Cell>(scratch)[..self.extent];
        let (input, elements) = (inputs.get::<T>(self.input), self.patches.image());
        let results = elements_mut::<T>(output).chunks_exact_mut(self.result);
        for (index, outputs) in (0..self.patches.images).zip(results) {
            let image = &input[index * elements..][..elements];
            let image = if self.in_place {
                bytemuck::cast_slice(image)
            } else {
                engine.run(LayOut { layer: self, image, laid_out });
                &*laid_out
            };
            threads::divide(self.threads, self.line(), outputs, |first, outputs| {
                engine.run(Rows { layer: self, first, image, outputs });
            });
        }
        Ok(())
    }

    fn kernels(&self) -> Kernels {
        self.engine().map_or(Kernels::Reference, Engine::kernels)
    }

    fn packed_bytes(&self) -> usize {
        self.packed_bytes()
    }

    fn table_bytes(&self) -> usize {
        self.table_bytes()
    }

    fn fuse(&mut self, pooling: &MaxPooling) -> bool {
        let [PlannedPart { kernels, sweep }] = &mut self.parts[..] else { return false };
        let sees_windows = sweep.windows == (pooling.rows.input, pooling.columns.input);
        let can_fuse = sweep.pooling.is_none() && pooling.computes_once() && sees_windows;
        if can_fuse {
            sweep.pooling = Some((pooling.rows, pooling.columns));
            self.result = pooling.rows.output * pooling.columns.output * sweep.channels;
            kernels.iter_mut().for_each(|kernel| kernel.bound(pooling.bounds));
        }
        can_fuse
    }

    fn pad(&mut self, padding: &ImagePadding) -> bool {
        let Patches { images, rows, columns, .. } = &self.patches;
        let shape = [*images, rows.input, columns.input, self.patches.pixel()];
        // Where the image is read where it lies, someone must have put the padding there.
        let can_pad = !self.in_place && shape == padding.shape;
        if can_pad {
            self.patches.rows.pad(padding.rows);
            self.patches.columns.pad(padding.columns);
        }
        can_pad
    }
}

/// An image that is copied to where it belongs between its padding.
struct LayOut<'r, T, K: Cells<T>> {
    layer: &'r TiledLayer<T, K>,
    image: &'r [T],
    laid_out: &'r mut [K::Cell],
}

impl<T: Element, K: Cells<T> + PackedPanels> Task for LayOut<'_, T, K> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vectors>(self, _: V) {
        self.layer.lay_out(self.image, self.layer.zero_point, self.laid_out);
    }
}

/// The rows of an image's result from the given one on.
struct Rows<'r, T, K: Cells<T>> {
    layer: &'r TiledLayer<T, K>,
    first: usize,
    image: &'r [K::Cell],
    outputs: &'r mut [T],
}

impl<T: Element, K: Cells<T> + Tiles<T> + PackedPanels> Task for Rows<'_, T, K> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vectors>(self, vectors: V) {
        let Self { layer, first, image, outputs } = self;
        for PlannedPart { kernels, sweep } in &layer.parts {
            let sweep = if layer.threads > 1 { sweep.rows(first, outputs.len()) } else { *sweep };
            for kernel in kernels.iter().enumerate() {
                sweep.run(vectors, kernel, image, outputs);
            }
        }
    }
}
