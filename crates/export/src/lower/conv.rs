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

#[cfg(test)]
mod tests {
    use burn::module::Param;
    use burn::tensor::Tensor;
    use burn::tensor::module::conv2d;
    use burn::tensor::ops::ConvOptions;

    use crate::lower::testing::{FUNCTION, numbers, operators, parameter, refusal};

    /// Filters `[O, I, H, W]` and biases `[O]`.
    type Layer = (Param<Tensor<4>>, Param<Tensor<1>>);

    fn layer() -> Layer {
        (parameter([5, 2, 3, 2]), parameter([5]))
    }

    /// A convolution of images `[N, H, W, C]`.
    fn nhwc(layer: &Layer, x: Tensor<4>, options: ConvOptions<2>) -> Tensor<4> {
        let x = x.permute([0, 3, 1, 2]);
        conv2d(x, layer.0.val(), Some(layer.1.val()), options).permute([0, 2, 3, 1])
    }

    #[test]
    fn images_in_nhwc_are_convolved_without_a_transpose() {
        let options = ConvOptions::new([1, 1], [0, 0], [1, 1], 1);
        let found = operators(&layer(), numbers([3, 8, 7, 2]), |layer, x| nhwc(layer, x, options.clone()));
        assert_eq!(found, ["CONV_2D"]);
    }

    #[test]
    fn stride_and_dilation_are_those_of_the_rows_and_the_columns() {
        let options = ConvOptions::new([2, 1], [0, 0], [1, 3], 1);
        let found = operators(&layer(), numbers([2, 8, 9, 2]), |layer, x| nhwc(layer, x, options.clone()));
        assert_eq!(found, ["CONV_2D"]);
    }

    #[test]
    fn padding_that_keeps_the_size_is_same() {
        let options = ConvOptions::new_with_padding([1, 1], [(1, 1), (0, 1)], [1, 1], 1);
        let found = operators(&layer(), numbers([2, 5, 6, 2]), |layer, x| nhwc(layer, x, options.clone()));
        assert_eq!(found, ["CONV_2D"]);
    }

    #[test]
    fn images_in_nchw_are_transposed_once_on_either_side() {
        let options = ConvOptions::new([1, 1], [0, 0], [1, 1], 1);
        let found = operators(&layer(), numbers([2, 2, 8, 7]), |layer, x| {
            conv2d(x, layer.0.val(), Some(layer.1.val()), options.clone())
        });
        assert_eq!(found, ["TRANSPOSE", "CONV_2D", "TRANSPOSE"]);
    }

    #[test]
    fn groups_are_refused_with_place_kind_and_shapes() {
        let filters = parameter([4, 1, 3, 3]);
        let options = ConvOptions::new([1, 1], [0, 0], [1, 1], 2);
        let message = refusal(&filters, numbers([1, 2, 8, 8]), |filters: &Param<Tensor<4>>, x| {
            conv2d(x, filters.val(), None, options.clone())
        });
        assert_eq!(
            message,
            "operation 2 (Module.Conv2d) from [N, 2, 8, 8] and [4, 1, 3, 3] to [N, 4, 6, 6] cannot be exported: \
             a convolution in 2 groups has no lowering yet"
        );
    }

    #[test]
    fn filters_that_are_computed_are_refused() {
        let options = ConvOptions::new([1, 1], [0, 0], [1, 1], 1);
        let message = refusal(&FUNCTION, numbers([1, 1, 3, 3]), |_, x: Tensor<4>| {
            conv2d(numbers([4, 1, 5, 5]).to_device(&x.device()), x, None, options.clone())
        });
        assert!(message.contains("the filter is computed"), "{message}");
    }
}
