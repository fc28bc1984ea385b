//! Transposed convolutions.

use burn::backend::ir::{ConvTranspose1dOpIr, ConvTranspose2dOpIr};
use burnlite_tflite::{ElementType, Op, Padding, StridedSliceOptions, TransposeConvOptions};

use super::conv::bias;
use super::window::{NHWC, Window, as_image, as_sequence, integer};
use crate::builder::{Builder, Stored};
use crate::constant::Constant;
use crate::error::Refusal;
use crate::shape::{Extent, Shape};

/// What a transposed convolution of images is made of.
struct TransposedConvolution {
    /// `[O, H, W, I]`, dilated.
    filters: Constant,
    bias: Constant,
    /// Windows on the output; their padding is what is cut off, before and after.
    windows: [Window; 2],
    /// Burn's shape of the result, `[N, O, H, W]`.
    output: Shape,
}

/// A transposed convolution of images: TRANSPOSE_CONV.
pub(super) fn conv_transpose2d(builder: &mut Builder<'_>, op: &ConvTranspose2dOpIr) -> Result<(), Refusal> {
    let options = &op.options;
    let filters = builder.constant(&op.weight, "filter")?;
    let window = |dim: usize| Window {
        kernel: (filters.shape[2 + dim] - 1) * options.dilation[dim] + 1,
        stride: options.stride[dim],
        dilation: 1,
        padding: (options.padding[dim], options.padding[dim]),
    };
    let windows = [window(0), window(1)];
    let filters = spread(&filters, options.groups, options.dilation, windows)?;
    let convolution = TransposedConvolution {
        bias: bias(builder, op.bias.as_ref(), filters.shape[0])?,
        filters,
        windows,
        output: builder.program.shape(op.out.id).clone(),
    };
    let x = builder.stored(&op.x)?;
    let result = convolution.lower(builder, x)?;
    builder.bind(&op.out, result.into())
}

/// A transposed convolution of sequences: that of images of one row.
pub(super) fn conv_transpose1d(builder: &mut Builder<'_>, op: &ConvTranspose1dOpIr) -> Result<(), Refusal> {
    let options = &op.options;
    let filters = builder.constant(&op.weight, "filter")?;
    let [inputs, outputs, kernel] = [filters.shape[0], filters.shape[1], filters.shape[2]];
    let (dilation, padding) = (options.dilation[0], options.padding[0]);
    let window = Window {
        kernel: (kernel - 1) * dilation + 1,
        stride: options.stride[0],
        dilation: 1,
        padding: (padding, padding),
    };
    let windows = [Window::ONE, window];
    let filters = filters.reshaped(&[inputs, outputs, 1, kernel]);
    let filters = spread(&filters, options.groups, [1, dilation], windows)?;
    let shape = &builder.program.shape(op.out.id).0;
    let output = Shape(vec![shape[0], shape[1], Extent::ONE, shape[2]]);
    let convolution = TransposedConvolution {
        bias: bias(builder, op.bias.as_ref(), filters.shape[0])?,
        filters,
        windows,
        output,
    };
    let x = as_image(builder.stored(&op.x)?)?;
    let result = as_sequence(convolution.lower(builder, x)?)?;
    builder.bind(&op.out, result.into())
}

/// Burn's filters `[I, O / groups, H, W]` as TensorFlow Lite's `[O, H, W, I]`, with zeros between the taps of a dilated
/// window and between groups, of which TRANSPOSE_CONV knows nothing.
fn spread(
    filters: &Constant,
    groups: usize,
    dilation: [usize; 2],
    windows: [Window; 2],
) -> Result<Constant, Refusal> {
    let [inputs, group_outputs, rows, columns] =
        [filters.shape[0], filters.shape[1], filters.shape[2], filters.shape[3]];
    let (outputs, height, width) = (group_outputs * groups, windows[0].kernel, windows[1].kernel);
    let mut spread = vec![0.0; outputs * height * width * inputs];
    let mut taps = filters.to_floats()?.into_iter();
    for input in 0..inputs {
        let group = input / (inputs / groups);
        for output in 0..group_outputs {
            for row in 0..rows {
                for column in 0..columns {
                    let place = (group * group_outputs + output) * height + row * dilation[0];
                    let place = (place * width + column * dilation[1]) * inputs + input;
                    spread[place] = taps.next().unwrap_or_default();
                }
            }
        }
    }
    Ok(Constant::floats(&[outputs, height, width, inputs], spread).named(filters.name.clone()))
}

impl TransposedConvolution {
    fn lower(self, builder: &mut Builder<'_>, x: Stored) -> Result<Stored, Refusal> {
        let input = x.layout.shape();
        let extents = |dim: usize| (self.output.0[2 + dim].size, input.0[2 + dim].size);
        let is_same = (0..2).all(|dim| self.windows[dim].fits(Padding::Same, extents(dim)));
        let padding = if is_same { Padding::Same } else { Padding::Valid };
        let mut full = self.output.clone();
        if !is_same {
            for (dim, window) in self.windows.iter().enumerate() {
                // As far as the windows reach, or as far as Burn adds pixels behind them, which are the bias alone.
                let reached = (input.0[2 + dim].size - 1) * window.stride + window.kernel;
                full.0[2 + dim].size = reached.max(window.padding.0 + self.output.0[2 + dim].size);
            }
        }
        let [rows, columns] = self.windows;
        let options = TransposeConvOptions {
            padding,
            stride_h: integer(rows.stride)?,
            stride_w: integer(columns.stride)?,
            ..TransposeConvOptions::default()
        };
        let shape = Shape(NHWC.iter().map(|&dim| full.0[dim]).collect());
        let shape = builder.shape_operand(&shape)?;
        let x = builder.arrange(&x, &x.layout.groups(&NHWC));
        let filters = builder.add_constant(self.filters, "weight");
        let bias = builder.add_constant(self.bias, "bias");
        let inputs = [Some(shape), Some(filters), Some(x), Some(bias)];
        let op = Op::TransposeConv(options);
        let result = builder.stored_result(op, &inputs, ElementType::Float32, &full, &NHWC);
        if full == self.output {
            Ok(result)
        } else {
            cropped(builder, &result, [rows, columns], &self.output)
        }
    }
}

/// The image without what its windows' padding cuts off.
fn cropped(
    builder: &mut Builder<'_>,
    image: &Stored,
    windows: [Window; 2],
    output: &Shape,
) -> Result<Stored, Refusal> {
    let mut begin = vec![0; 4];
    let mut end = vec![0; 4];
    for (dim, window) in windows.iter().enumerate() {
        begin[1 + dim] = integer(window.padding.0)?;
        end[1 + dim] = integer(window.padding.0 + output.0[2 + dim].size)?;
    }
    let (begin, end) = (builder.add_integers("begin", &begin), builder.add_integers("end", &end));
    let strides = builder.add_integers("strides", &[1; 4]);
    // Batch and channels are whole.
    let options =
        StridedSliceOptions { begin_mask: 0b1001, end_mask: 0b1001, ..StridedSliceOptions::default() };
    let inputs = [Some(image.tensor), Some(begin), Some(end), Some(strides)];
    Ok(builder.stored_result(Op::StridedSlice(options), &inputs, ElementType::Float32, output, &NHWC))
}

#[cfg(test)]
mod tests {
    use burn::module::Param;
    use burn::tensor::Tensor;
    use burn::tensor::module::{conv_transpose1d, conv_transpose2d};
    use burn::tensor::ops::ConvTransposeOptions;

    use crate::lower::testing::{numbers, operators, parameter};

    /// Filters `[I, O / groups, H, W]` and biases `[O]`.
    type Layer = (Param<Tensor<4>>, Param<Tensor<1>>);

    fn found(layer: &Layer, options: &ConvTransposeOptions<2>) -> Vec<String> {
        operators(layer, numbers([2, 4, 5, 4]), |layer, x: Tensor<4>| {
            let x = x.permute([0, 3, 1, 2]);
            conv_transpose2d(x, layer.0.val(), Some(layer.1.val()), options.clone()).permute([0, 2, 3, 1])
        })
    }

    #[test]
    fn windows_spread_where_burn_has_them() {
        let layer = (parameter([4, 3, 3, 2]), parameter([3]));
        let options = |stride, padding, out| ConvTransposeOptions::new(stride, padding, out, [1, 1], 1);
        for options in [
            options([2, 2], [0, 0], [0, 0]),
            options([1, 1], [1, 0], [0, 0]),
            options([2, 3], [1, 0], [1, 2]),
            options([3, 2], [0, 1], [2, 0]),
        ] {
            assert!(found(&layer, &options).contains(&"TRANSPOSE_CONV".into()));
        }
    }

    #[test]
    fn dilated_windows_and_groups_are_filled_with_zeros() {
        let layer = (parameter([4, 3, 3, 2]), parameter([6]));
        let options = ConvTransposeOptions::new([2, 1], [0, 1], [0, 0], [2, 3], 2);
        assert!(found(&layer, &options).contains(&"TRANSPOSE_CONV".into()));
    }

    #[test]
    fn sequences_are_images_of_one_row() {
        type Layer = (Param<Tensor<3>>, Param<Tensor<1>>);
        let layer: Layer = (parameter([4, 3, 4]), parameter([3]));
        let options = ConvTransposeOptions::new([2], [1], [0], [1], 1);
        let found = operators(&layer, numbers([2, 5, 4]), |layer: &Layer, x: Tensor<3>| {
            let x = x.swap_dims(1, 2);
            conv_transpose1d(x, layer.0.val(), Some(layer.1.val()), options.clone()).swap_dims(1, 2)
        });
        assert!(!found.contains(&"TRANSPOSE".into()), "{found:?}");
    }
}
