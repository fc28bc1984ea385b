//! Images of another size.

use burn::backend::ir::{InterpolateModeIr, InterpolateOpIr};
use burnlite_tflite::{Op, ResizeBilinearOptions, ResizeNearestNeighborOptions};

use super::window::{NHWC, integer};
use crate::builder::Builder;
use crate::error::Refusal;

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
        mode => {
            let reason =
                format!("TensorFlow Lite has no {mode:?} interpolation: use the nearest or the bilinear one");
            return Err(Refusal::new(reason));
        }
    };
    let x = builder.operand(&op.x, &NHWC)?;
    let size = builder.add_integers("size", &[integer(op.output_size[0])?, integer(op.output_size[1])?]);
    builder.stored_operator(resize, &[Some(x), Some(size)], &op.out, &NHWC)
}

#[cfg(test)]
mod tests {
    use burn::tensor::Tensor;
    use burn::tensor::module::interpolate;
    use burn::tensor::ops::{InterpolateMode, InterpolateOptions};

    use crate::lower::testing::{FUNCTION, numbers, operators, refusal};

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
    fn cubic_interpolation_is_refused() {
        let message = refusal(&FUNCTION, numbers([1, 3, 4, 2]), |_, x| {
            resized(x, [6, 8], InterpolateMode::Bicubic, true)
        });
        assert!(message.contains("no Bicubic interpolation: use"), "{message}");
    }
}
