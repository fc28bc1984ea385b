//! Images of another size.

use burn::backend::ir::{InterpolateModeIr, InterpolateOpIr, InterpolateOptionsIr};
use burn::tensor::module::interpolate as burn_interpolate;
use burn::tensor::ops::{InterpolateMode, InterpolateOptions};
use burn::tensor::{Device, Tensor};
use burnlite_tflite::{BatchMatMulOptions, Op, ResizeBilinearOptions, ResizeNearestNeighborOptions};

use super::window::{NHWC, integer};
use crate::builder::{Builder, Stored};
use crate::constant::Constant;
use crate::error::Refusal;
use crate::layout::Layout;
use crate::shape::{Extent, Shape};

/// Burn's interpolation: RESIZE_NEAREST_NEIGHBOR or RESIZE_BILINEAR.
pub(super) fn interpolate(builder: &mut Builder<'_>, op: &InterpolateOpIr) -> Result<(), Refusal> {
    let align_corners = op.options.align_corners;
    let resize = match &op.options.mode {
        InterpolateModeIr::Nearest => Op::ResizeNearestNeighbor(ResizeNearestNeighborOptions::default()),
        InterpolateModeIr::NearestExact => Op::ResizeNearestNeighbor(ResizeNearestNeighborOptions {
            align_corners: false,
            half_pixel_centers: true,
        }),
        InterpolateModeIr::Bilinear => {
            Op::ResizeBilinear(ResizeBilinearOptions { align_corners, half_pixel_centers: !align_corners })
        }
        InterpolateModeIr::Bicubic | InterpolateModeIr::Lanczos3 => return separable(builder, op),
    };
    let x = builder.operand(&op.x, &NHWC)?;
    let size = builder.add_integers("size", &[integer(op.output_size[0])?, integer(op.output_size[1])?]);
    builder.stored_operator(resize, &[Some(x), Some(size)], &op.out, &NHWC)
}

/// An interpolation without an operator of its own: a product with a matrix of weights along the rows, and one along the
/// columns.
fn separable(builder: &mut Builder<'_>, op: &InterpolateOpIr) -> Result<(), Refusal> {
    let mut x = builder.stored(&op.x)?;
    for (dim, to) in [(2, op.output_size[0]), (3, op.output_size[1])] {
        let weights = weights(&op.options, x.layout.shape().0[dim].size, to)?;
        x = mixed(builder, &x, dim, weights);
    }
    builder.bind(&op.out, x.into())
}

/// The weights with which `from` pixels make `to` pixels, `[to, from]`: what Burn makes of columns of one pixel that is 1.
fn weights(options: &InterpolateOptionsIr, from: usize, to: usize) -> Result<Constant, Refusal> {
    let columns = Tensor::<2>::eye(from, &Device::flex()).reshape([1, from, from, 1]);
    let mode = match options.mode {
        InterpolateModeIr::Bicubic => InterpolateMode::Bicubic,
        _ => InterpolateMode::Lanczos3,
    };
    let options = InterpolateOptions::new(mode).with_align_corners(options.align_corners);
    let weights =
        burn_interpolate(columns, options.with_output_size([to, 1])).reshape([from, to]).transpose();
    Constant::captured(&weights.into_data(), None)
}

/// Rows (2) or columns (3) of an image `[N, C, H, W]`, mixed with the given weights `[to, from]`: BATCH_MATMUL.
pub(super) fn mixed(builder: &mut Builder<'_>, x: &Stored, dim: usize, weights: Constant) -> Stored {
    let to = weights.shape[0];
    let weights = builder.add_constant(weights, "weights");
    // The matrices are [H, W * C] for the rows and [W, C] for the columns.
    let axes = |dims: &[usize]| x.layout.groups(dims).concat();
    let groups = match dim {
        2 => vec![axes(&[0]), axes(&[2]), axes(&[3, 1])],
        _ => vec![axes(&[0]), axes(&[2]), axes(&[3]), axes(&[1])],
    };
    let matrices = builder.arrange(x, &groups);
    let mut shape = x.layout.shape();
    shape.0[dim] = Extent::fixed(to);
    let stored = match dim {
        2 => Shape(vec![shape.0[0], shape.0[2], Extent::fixed(shape.0[3].size * shape.0[1].size)]),
        _ => Shape(NHWC.iter().map(|&dim| shape.0[dim]).collect()),
    };
    let op = Op::BatchMatMul(BatchMatMulOptions::default());
    let tensor = builder.operator(op, &[Some(weights), Some(matrices)], stored);
    Stored { tensor, layout: Layout::stored(&shape, &NHWC) }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Tensor;
    use burn::tensor::module::interpolate;
    use burn::tensor::ops::{InterpolateMode, InterpolateOptions};

    use crate::lower::testing::{FUNCTION, numbers, operators};

    fn resized(x: Tensor<4>, size: [usize; 2], mode: InterpolateMode, align_corners: bool) -> Tensor<4> {
        let options = InterpolateOptions::new(mode).with_align_corners(align_corners);
        interpolate(x.permute([0, 3, 1, 2]), options.with_output_size(size)).permute([0, 2, 3, 1])
    }

    #[test]
    fn pixels_lie_where_burn_has_them() {
        for size in [[6, 8], [5, 3], [7, 9]] {
            for (mode, align_corners) in [
                (InterpolateMode::Nearest, false),
                (InterpolateMode::Bilinear, false),
                (InterpolateMode::Bilinear, true),
            ] {
                let found = operators(&FUNCTION, numbers([2, 3, 4, 2]), |_, x| {
                    resized(x, size, mode.clone(), align_corners)
                });
                assert_eq!(found.len(), 1);
            }
        }
    }

    #[test]
    fn interpolations_without_an_operator_are_products_with_weights() {
        for (mode, align_corners) in [
            (InterpolateMode::Bicubic, true),
            (InterpolateMode::Bicubic, false),
            (InterpolateMode::Lanczos3, true),
            (InterpolateMode::Lanczos3, false),
        ] {
            let found = operators(&FUNCTION, numbers([2, 3, 4, 2]), |_, x| {
                resized(x, [6, 3], mode.clone(), align_corners)
            });
            assert_eq!(found.iter().filter(|name| *name == "BATCH_MATMUL").count(), 2, "{found:?}");
        }
    }
}
