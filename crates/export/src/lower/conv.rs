//! Convolutions.

use burn::backend::ir::{Conv1dOpIr, Conv2dOpIr, TensorIr, Unfold4dOpIr};
use burnlite_tflite::{Conv2dOptions, DepthwiseConv2dOptions, ElementType, Op};

use super::window::{NHWC, Window, as_image, as_sequence, integer, padded, placement};
use crate::builder::{Builder, Stored};
use crate::constant::Constant;
use crate::error::Refusal;
use crate::shape::{Extent, Shape};

/// What a convolution of images is made of.
struct Convolution {
    /// `[O, I / groups, H, W]`.
    filters: Constant,
    bias: Constant,
    windows: [Window; 2],
    groups: usize,
    /// Burn's shape of the result, `[N, O, H, W]`.
    output: Shape,
}

/// A convolution of images: CONV_2D or DEPTHWISE_CONV_2D.
pub(super) fn conv2d(builder: &mut Builder<'_>, op: &Conv2dOpIr) -> Result<(), Refusal> {
    let filters = builder.constant(&op.weight, "filter")?;
    let options = &op.options;
    let window = |dim: usize| Window {
        kernel: filters.shape[2 + dim],
        stride: options.stride[dim],
        dilation: options.dilation[dim],
        padding: options.padding[dim],
    };
    let convolution = Convolution {
        windows: [window(0), window(1)],
        bias: bias(builder, op.bias.as_ref(), filters.shape[0])?,
        filters,
        groups: options.groups,
        output: builder.program.shape(op.out.id).clone(),
    };
    let x = builder.stored(&op.x)?;
    let result = convolution.lower(builder, x)?;
    builder.bind(&op.out, result.into())
}

/// A convolution of sequences: that of images of one row.
pub(super) fn conv1d(builder: &mut Builder<'_>, op: &Conv1dOpIr) -> Result<(), Refusal> {
    let filters = builder.constant(&op.weight, "filter")?;
    let [outputs, inputs, kernel] = [filters.shape[0], filters.shape[1], filters.shape[2]];
    let options = &op.options;
    let window = Window {
        kernel,
        stride: options.stride[0],
        dilation: options.dilation[0],
        padding: options.padding[0],
    };
    let shape = &builder.program.shape(op.out.id).0;
    let output = Shape(vec![shape[0], shape[1], Extent::ONE, shape[2]]);
    let convolution = Convolution {
        windows: [Window::ONE, window],
        bias: bias(builder, op.bias.as_ref(), outputs)?,
        filters: filters.reshaped(&[outputs, inputs, 1, kernel]),
        groups: options.groups,
        output,
    };
    let x = as_image(builder.stored(&op.x)?)?;
    let result = as_sequence(convolution.lower(builder, x)?)?;
    builder.bind(&op.out, result.into())
}

/// The windows of an image as columns `[N, C * H * W, windows]`: a filter for each channel and place that takes what is there.
pub(super) fn unfold4d(builder: &mut Builder<'_>, op: &Unfold4dOpIr) -> Result<(), Refusal> {
    let x = builder.stored(&op.x)?;
    let (shape, out) = (x.layout.shape(), builder.program.shape(op.out.id).clone());
    let channels = shape.0[1].size;
    let [rows, columns] = op.kernel_size;
    let places = rows * columns;
    let window = |dim: usize| Window {
        kernel: op.kernel_size[dim],
        stride: op.options.stride[dim],
        dilation: op.options.dilation[dim],
        padding: (op.options.padding[dim], op.options.padding[dim]),
    };
    let windows = [window(0), window(1)];
    let [height, width] = [0, 1].map(|dim| windows[dim].count(shape.0[2 + dim].size));
    let taken = (0..channels * places).flat_map(|filter| (0..places).map(move |at| (filter % places, at)));
    let taken = taken.map(|(place, at)| if place == at { 1.0 } else { 0.0 }).collect();
    let convolution = Convolution {
        filters: Constant::floats(&[channels * places, 1, rows, columns], taken),
        bias: Constant::zeros(channels * places),
        windows,
        groups: channels,
        output: Shape(vec![out.0[0], out.0[1], Extent::fixed(height), Extent::fixed(width)]),
    };
    let image = convolution.lower(builder, x)?;
    let layout = image.layout.reshaped(&out);
    let layout = layout.ok_or_else(|| Refusal::new("its dimensions cannot be told apart"))?;
    builder.bind(&op.out, Stored { layout, ..image }.into())
}

/// The bias; zeros where Burn has none, for many runtimes want one.
pub(super) fn bias(
    builder: &Builder<'_>,
    bias: Option<&TensorIr>,
    channels: usize,
) -> Result<Constant, Refusal> {
    bias.map_or_else(|| Ok(Constant::zeros(channels)), |bias| builder.constant(bias, "bias"))
}

impl Convolution {
    fn lower(self, builder: &mut Builder<'_>, x: Stored) -> Result<Stored, Refusal> {
        let placement = placement(self.windows, &x.layout.shape(), &self.output)?;
        let x = padded(builder, x, placement.border, 0.0)?;
        let channels = x.layout.shape().0[1].size;
        let x = builder.arrange(&x, &x.layout.groups(&NHWC));
        let [rows, columns] = self.windows;
        let (stride_h, stride_w) = (integer(rows.stride)?, integer(columns.stride)?);
        let (dilation_h, dilation_w) = (integer(rows.dilation)?, integer(columns.dilation)?);
        let padding = placement.padding;
        let outputs = self.filters.shape[0];
        let (op, filters) = if self.groups == channels && channels > 1 {
            let depth_multiplier = integer(outputs / channels)?;
            let options = DepthwiseConv2dOptions {
                padding,
                stride_w,
                stride_h,
                depth_multiplier,
                dilation_w,
                dilation_h,
                ..Default::default()
            };
            // [O, 1, H, W]: one filter for each channel.
            (Op::DepthwiseConv2d(options), self.filters.permuted(&[1, 2, 3, 0]))
        } else {
            let options =
                Conv2dOptions { padding, stride_w, stride_h, dilation_w, dilation_h, ..Default::default() };
            (Op::Conv2d(options), self.filters.permuted(&NHWC))
        };
        let filters = builder.add_constant(filters, "weight");
        let bias = builder.add_constant(self.bias, "bias");
        let inputs = [Some(x), Some(filters), Some(bias)];
        Ok(builder.stored_result(op, &inputs, ElementType::Float32, &self.output, &NHWC))
    }
}

#[cfg(test)]
mod tests {
    use burn::module::Param;
    use burn::tensor::Tensor;
    use burn::tensor::module::{conv1d, conv2d, unfold4d};
    use burn::tensor::ops::{ConvOptions, UnfoldOptions};

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
    fn padding_that_is_not_same_is_an_operator_of_its_own() {
        let options = ConvOptions::new_with_padding([2, 2], [(1, 1), (2, 0)], [1, 1], 1);
        let found = operators(&layer(), numbers([2, 6, 8, 2]), |layer, x| nhwc(layer, x, options.clone()));
        assert_eq!(found, ["PAD", "CONV_2D"]);
    }

    #[test]
    fn a_filter_for_each_channel_is_depthwise() {
        let options = ConvOptions::new([1, 1], [1, 1], [1, 1], 3);
        for filters in [3, 6] {
            let layer = (parameter([filters, 1, 3, 3]), parameter([filters]));
            let found = operators(&layer, numbers([2, 6, 5, 3]), |layer, x| nhwc(layer, x, options.clone()));
            assert_eq!(found, ["DEPTHWISE_CONV_2D"]);
        }
    }

    #[test]
    fn groups_are_those_of_the_filters() {
        let layer = (parameter([6, 2, 3, 3]), parameter([6]));
        let options = ConvOptions::new([1, 1], [0, 0], [1, 1], 2);
        let found = operators(&layer, numbers([2, 6, 5, 4]), |layer, x| nhwc(layer, x, options.clone()));
        assert_eq!(found, ["CONV_2D"]);
    }

    #[test]
    fn sequences_are_images_of_one_row() {
        type Layer = (Param<Tensor<3>>, Param<Tensor<1>>);
        for (groups, options) in [
            (1, ConvOptions::new([1], [2], [2], 1)),
            (1, ConvOptions::new([2], [0], [1], 1)),
            (4, ConvOptions::new([1], [1], [1], 4)),
        ] {
            let layer: Layer = (parameter([8, 4 / groups, 3]), parameter([8]));
            let found = operators(&layer, numbers([2, 9, 4]), |layer: &Layer, x: Tensor<3>| {
                let y = conv1d(x.swap_dims(1, 2), layer.0.val(), Some(layer.1.val()), options.clone());
                y.swap_dims(1, 2)
            });
            assert!(!found.contains(&"TRANSPOSE".into()), "{found:?}");
        }
    }

    #[test]
    fn windows_as_columns_are_filters_that_take_one_place_each() {
        let options = UnfoldOptions::new([2, 1], [1, 0], [1, 2]);
        for channels in [1, 3] {
            let found = operators(&FUNCTION, numbers([2, 6, 7, channels]), |_, x: Tensor<4>| {
                unfold4d(x.permute([0, 3, 1, 2]), [3, 2], options.clone()).swap_dims(1, 2)
            });
            assert!(!found.contains(&"TRANSPOSE".into()), "{found:?}");
        }
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
