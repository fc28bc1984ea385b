//! Layers that are products of matrices, on kernels that multiply whole tiles: rows are gathered a few at a time, and the
//! weights were packed when the layer was planned.

use alloc::vec::Vec;
use core::marker::PhantomData;

use bytemuck::Zeroable;

use crate::error::OperatorFault;
use crate::frame::{Inputs, Writable, elements_mut};
use crate::kernels::Engine;
use crate::kernels::float::FloatProduct;
use crate::kernels::matrix::{Bias, Matrix};
use crate::kernels::pack::Pair;
use crate::kernels::product::{Product, ROWS};
use crate::ops::integer::{Integer, OutputStage};
use crate::ops::weighted::{Layer, Rows};
use crate::plan::{Kernel, Planned};

/// An integer layer of inputs of type `T`.
#[derive(Debug)]
pub(crate) struct TiledLayer<L, T> {
    layer: L,
    rows: Rows,
    input: usize,
    zero_point: i32,
    channels: usize,
    /// One for each group.
    products: Vec<Product>,
    element: PhantomData<T>,
}

/// What an integer layer knows of its operands.
pub(crate) struct Operands<'o> {
    /// The input's position.
    pub(crate) input: usize,
    pub(crate) zero_point: i32,
    /// `[channels, depth]`, of all groups.
    pub(crate) weights: &'o [i8],
    pub(crate) bias: Bias<'o>,
    pub(crate) stage: &'o OutputStage,
    pub(crate) channels: usize,
}

impl<L: Layer, T: Integer> TiledLayer<L, T> {
    /// The layer with packed weights, if it is a product of matrices; else the layer itself.
    pub(crate) fn planned(
        engine: Engine,
        layer: L,
        operands: &Operands<'_>,
        shape: &[usize],
    ) -> Result<Planned, L> {
        let Some(rows) = layer.rows() else { return Err(layer) };
        let Operands { input, zero_point, channels, .. } = *operands;
        let in_group = channels / rows.groups;
        let products: Vec<Product> = (0..rows.groups)
            .map(|group| {
                let range = group * in_group..(group + 1) * in_group;
                let weights = &operands.weights[range.start * rows.depth..range.end * rows.depth];
                let depth = rows.depth;
                let bound = T::largest_distance(zero_point);
                let bias = operands.bias.part(range.clone());
                Product::new(
                    engine,
                    &Matrix {
                        weights,
                        channels: in_group,
                        depth,
                        bias,
                        requantization: operands.stage.requantization(range),
                        range: operands.stage.range(),
                        bound,
                    },
                )
            })
            .collect();
        let pairs = products.first().map_or(0, Product::pairs);
        let scratch_bytes = [ROWS * pairs * size_of::<Pair>()].into();
        let kernel = Self { layer, rows, input, zero_point, channels, products, element: PhantomData };
        Ok(Planned { scratch_bytes, ..Planned::new(shape, kernel) })
    }
}

impl<L: Layer, T: Integer> Kernel for TiledLayer<L, T> {
    fn run(
        &self,
        inputs: &Inputs<'_>,
        [output, scratch, ..]: &mut Writable<'_>,
    ) -> Result<(), OperatorFault> {
        if output.is_empty() {
            return Ok(());
        }
        let (input, output) = (inputs.get::<T>(self.input), elements_mut::<T>(output));
        let rows = elements_mut::<i16>(scratch);
        let in_group = self.channels / self.rows.groups;
        for (group, product) in self.products.iter().enumerate() {
            let row_elements = 2 * product.pairs();
            // At most 16 bits: a difference of 8-bit integers, or a 16-bit one less 0.
            let convert = |x: T| (x.into() - self.zero_point) as i16;
            for_each_tile(&self.layer, self.rows, input, rows, row_elements, |tile| {
                tile.gather(group, convert);
                let (rows, output) =
                    (&*tile.rows, &mut output[tile.first * self.channels + group * in_group..]);
                product.run(rows.as_chunks().0, output, self.channels);
            });
        }
        Ok(())
    }
}

/// A layer of floats.
#[derive(Debug)]
pub(crate) struct TiledFloatLayer<L> {
    layer: L,
    rows: Rows,
    input: usize,
    channels: usize,
    products: Vec<FloatProduct>,
}

impl<L: Layer> TiledFloatLayer<L> {
    /// The layer with packed weights `[channels, depth]`, if it is a product of matrices; else the layer itself.
    pub(crate) fn planned(
        engine: Engine,
        layer: L,
        input: usize,
        (weights, bias): (&[f32], &[f32]),
        (channels, range): (usize, (f32, f32)),
        shape: &[usize],
    ) -> Result<Planned, L> {
        let Some(rows) = layer.rows() else { return Err(layer) };
        let in_group = channels / rows.groups;
        let products = (0..rows.groups)
            .map(|group| {
                let weights = &weights[group * in_group * rows.depth..][..in_group * rows.depth];
                let bias = bias.get(group * in_group..).unwrap_or_default();
                FloatProduct::new(engine, (weights, bias), (in_group, rows.depth), range)
            })
            .collect();
        let scratch_bytes = [ROWS * rows.depth * size_of::<f32>()].into();
        Ok(Planned { scratch_bytes, ..Planned::new(shape, Self { layer, rows, input, channels, products }) })
    }
}

impl<L: Layer> Kernel for TiledFloatLayer<L> {
    fn run(
        &self,
        inputs: &Inputs<'_>,
        [output, scratch, ..]: &mut Writable<'_>,
    ) -> Result<(), OperatorFault> {
        if output.is_empty() {
            return Ok(());
        }
        let (input, output) = (inputs.get::<f32>(self.input), elements_mut::<f32>(output));
        let rows = elements_mut::<f32>(scratch);
        let in_group = self.channels / self.rows.groups;
        for (group, product) in self.products.iter().enumerate() {
            for_each_tile(&self.layer, self.rows, input, rows, self.rows.depth, |tile| {
                tile.gather(group, |x: f32| x);
                product.run(
                    &*tile.rows,
                    &mut output[tile.first * self.channels + group * in_group..],
                    self.channels,
                );
            });
        }
        Ok(())
    }
}

/// Up to [`ROWS`] rows to be gathered, of all samples one after the other.
struct Tile<'t, L, X, Y> {
    layer: &'t L,
    shape: Rows,
    input: &'t [X],
    /// The first row.
    first: usize,
    rows: &'t mut [Y],
    row_elements: usize,
}

/// Calls `run` for all tiles in order.
fn for_each_tile<L: Layer, X, Y>(
    layer: &L,
    shape: Rows,
    input: &[X],
    scratch: &mut [Y],
    row_elements: usize,
    mut run: impl FnMut(&mut Tile<'_, L, X, Y>),
) {
    let total = layer.samples().count * shape.count;
    for first in (0..total).step_by(ROWS) {
        let count = ROWS.min(total - first);
        let rows = &mut scratch[..count * row_elements];
        run(&mut Tile { layer, shape, input, first, rows, row_elements });
    }
}

impl<L: Layer, X: Copy, Y: Zeroable + Copy> Tile<'_, L, X, Y> {
    #[inline]
    fn gather(&mut self, group: usize, convert: impl Fn(X) -> Y) {
        let elements = self.layer.samples().elements;
        for (row, gathered) in (self.first..).zip(self.rows.chunks_exact_mut(self.row_elements)) {
            let (sample, row) = (row / self.shape.count, row % self.shape.count);
            let sample = &self.input[sample * elements..][..elements];
            self.layer.gather(sample, [row, group], gathered, Y::zeroed(), &convert);
        }
    }
}
