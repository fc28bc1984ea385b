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

#[cfg(test)]
mod tests {
    use burn::tensor::Tensor;
    use burn::tensor::module::max_pool2d;
    use burn::tensor::ops::MaxPoolOptions;

    use crate::lower::testing::{FUNCTION, numbers, operators, refusal};

    fn pool(x: Tensor<4>, kernel: [usize; 2], dilation: [usize; 2], ceil_mode: bool) -> Tensor<4> {
        let x = x.permute([0, 3, 1, 2]);
        let options = MaxPoolOptions { stride: [2, 2], dilation, ceil_mode, ..MaxPoolOptions::new(kernel) };
        max_pool2d(x, options).permute([0, 2, 3, 1])
    }

    #[test]
    fn windows_lie_where_burn_has_them() {
        let found = operators(&FUNCTION, numbers([2, 7, 9, 3]), |_, x| pool(x, [2, 3], [1, 1], false));
        assert_eq!(found, ["MAX_POOL_2D"]);
    }

    #[test]
    fn dilation_and_windows_over_the_edge_are_refused() {
        let dilated = refusal(&FUNCTION, numbers([1, 8, 8, 1]), |_, x| pool(x, [2, 2], [2, 2], false));
        assert!(dilated.contains("no pools with dilation"), "{dilated}");
        let ceil = refusal(&FUNCTION, numbers([1, 7, 7, 1]), |_, x| pool(x, [2, 2], [1, 1], true));
        assert!(ceil.contains("neither VALID nor SAME"), "{ceil}");
    }
}
