//! Pools.

use burn::backend::ir::MaxPool2dOpIr;
use burnlite_tflite::{Op, Pool2dOptions};

use super::window::{NHWC, Window, integer, padding};
use crate::builder::Builder;
use crate::error::Refusal;

/// The largest element under a window: MAX_POOL_2D.
pub(super) fn max_pool2d(builder: &mut Builder<'_>, op: &MaxPool2dOpIr) -> Result<(), Refusal> {
    if op.dilation != [1, 1] {
        return Err(Refusal::new("TensorFlow Lite has no pools with dilation"));
    }
    let window = |dim: usize| Window {
        kernel: op.kernel_size[dim],
        stride: op.stride[dim],
        dilation: 1,
        padding: (op.padding[dim], op.padding[dim]),
    };
    let output = builder.program.shape(op.out.id);
    let options = Pool2dOptions {
        padding: padding([window(0), window(1)], builder.program.shape(op.x.id), output)?,
        stride_h: integer(op.stride[0])?,
        stride_w: integer(op.stride[1])?,
        filter_h: integer(op.kernel_size[0])?,
        filter_w: integer(op.kernel_size[1])?,
        ..Pool2dOptions::default()
    };
    let x = builder.operand(&op.x, &NHWC)?;
    builder.stored_operator(Op::MaxPool2d(options), &[Some(x)], &op.out, &NHWC);
    Ok(())
}
