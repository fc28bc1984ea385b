//! Convolutions.

use burn::backend::ir::Conv2dOpIr;
use burnlite_tflite::{Conv2dOptions, Op};

use super::window::{NHWC, Window, integer, padding};
use crate::builder::Builder;
use crate::constant::Constant;
use crate::error::Refusal;

/// A convolution of images: CONV_2D.
///
/// Burn's weights are `[O, I, H, W]`, TensorFlow Lite's `[O, H, W, I]`. Where Burn has no bias, zeros are added: many
/// runtimes want one.
pub(super) fn conv2d(builder: &mut Builder<'_>, op: &Conv2dOpIr) -> Result<(), Refusal> {
    let options = &op.options;
    if options.groups != 1 {
        let reason = format!("a convolution in {} groups has no lowering yet", options.groups);
        return Err(Refusal::new(reason));
    }
    let weights = builder.constant(&op.weight, "filter")?;
    let (filters, kernel) = (weights.shape[0], [weights.shape[2], weights.shape[3]]);
    let bias = match &op.bias {
        Some(bias) => builder.constant(bias, "bias")?,
        None => Constant::zeros(filters),
    };
    let window = |dim: usize| Window {
        kernel: kernel[dim],
        stride: options.stride[dim],
        dilation: options.dilation[dim],
        padding: options.padding[dim],
    };
    let output = builder.program.shape(op.out.id).clone();
    let padding = padding([window(0), window(1)], builder.program.shape(op.x.id), &output)?;

    let x = builder.operand(&op.x, &NHWC)?;
    let weights = builder.add_constant(weights.permuted(&NHWC), "weight");
    let bias = builder.add_constant(bias, "bias");
    let options = Conv2dOptions {
        padding,
        stride_h: integer(options.stride[0])?,
        stride_w: integer(options.stride[1])?,
        dilation_h: integer(options.dilation[0])?,
        dilation_w: integer(options.dilation[1])?,
        ..Conv2dOptions::default()
    };
    builder.stored_operator(Op::Conv2d(options), &[Some(x), Some(weights), Some(bias)], &op.out, &NHWC);
    Ok(())
}
