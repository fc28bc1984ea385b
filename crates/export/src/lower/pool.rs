//! Pools.

use burn::backend::ir::{
    AdaptiveAvgPool1dOpIr, AdaptiveAvgPool2dOpIr, AvgPool1dOpIr, AvgPool2dOpIr, MaxPool1dOpIr,
    MaxPool1dWithIndicesOpIr, MaxPool2dOpIr, MaxPool2dWithIndicesOpIr, TensorIr,
};
use burnlite_tflite::{Activation, ElementType, Op, Padding, Pool2dOptions};

use super::arithmetic::mul_op;
use super::elementwise::elementwise;
use super::reduce::reduced;
use super::resize::mixed;
use super::window::{NHWC, Window, as_image, as_sequence, integer, padded, placement};
use crate::builder::{Builder, Stored};
use crate::constant::Constant;
use crate::error::Refusal;
use crate::shape::{Extent, Shape};

/// The largest element under a window: MAX_POOL_2D.
pub(super) fn max_pool2d(builder: &mut Builder<'_>, op: &MaxPool2dOpIr) -> Result<(), Refusal> {
    let window = |dim: usize| Window {
        kernel: op.kernel_size[dim],
        stride: op.stride[dim],
        dilation: op.dilation[dim],
        padding: (op.padding[dim], op.padding[dim]),
    };
    let x = builder.stored(&op.x)?;
    let output = builder.program.shape(op.out.id).clone();
    let result = max_pool(builder, x, [window(0), window(1)], &output)?;
    builder.bind(&op.out, result.into())
}

/// The largest element of a part of a sequence: that of an image of one row.
pub(super) fn max_pool1d(builder: &mut Builder<'_>, op: &MaxPool1dOpIr) -> Result<(), Refusal> {
    let window = Window {
        kernel: op.kernel_size,
        stride: op.stride,
        dilation: op.dilation,
        padding: (op.padding, op.padding),
    };
    let x = as_image(builder.stored(&op.x)?)?;
    let output = one_row(builder, &op.out);
    let result = as_sequence(max_pool(builder, x, [Window::ONE, window], &output)?)?;
    builder.bind(&op.out, result.into())
}

/// The largest element under a window, and its place, which nobody may read.
pub(super) fn max_pool2d_with_indices(
    builder: &mut Builder<'_>,
    op: &MaxPool2dWithIndicesOpIr,
) -> Result<(), Refusal> {
    refuse_places(builder, &op.out_indices)?;
    let MaxPool2dWithIndicesOpIr { x, kernel_size, stride, padding, dilation, ceil_mode, out, .. } =
        op.clone();
    max_pool2d(builder, &MaxPool2dOpIr { x, kernel_size, stride, padding, dilation, ceil_mode, out })
}

/// The largest element of a part of a sequence, and its place, which nobody may read.
pub(super) fn max_pool1d_with_indices(
    builder: &mut Builder<'_>,
    op: &MaxPool1dWithIndicesOpIr,
) -> Result<(), Refusal> {
    refuse_places(builder, &op.out_indices)?;
    let MaxPool1dWithIndicesOpIr { x, kernel_size, stride, padding, dilation, ceil_mode, out, .. } =
        op.clone();
    max_pool1d(builder, &MaxPool1dOpIr { x, kernel_size, stride, padding, dilation, ceil_mode, out })
}

fn refuse_places(builder: &Builder<'_>, places: &TensorIr) -> Result<(), Refusal> {
    if builder.is_wanted(places) {
        return Err(Refusal::new(
            "TensorFlow Lite's pools do not say where an element was: use the elements alone",
        ));
    }
    Ok(())
}

/// The mean of the elements under a window: AVERAGE_POOL_2D.
pub(super) fn avg_pool2d(builder: &mut Builder<'_>, op: &AvgPool2dOpIr) -> Result<(), Refusal> {
    let window = |dim: usize| Window {
        kernel: op.kernel_size[dim],
        stride: op.stride[dim],
        dilation: 1,
        padding: (op.padding[dim], op.padding[dim]),
    };
    let x = builder.stored(&op.x)?;
    let output = builder.program.shape(op.out.id).clone();
    let result = average_pool(builder, x, [window(0), window(1)], op.count_include_pad, &output)?;
    builder.bind(&op.out, result.into())
}

/// The mean of a part of a sequence: that of an image of one row.
pub(super) fn avg_pool1d(builder: &mut Builder<'_>, op: &AvgPool1dOpIr) -> Result<(), Refusal> {
    let window =
        Window { kernel: op.kernel_size, stride: op.stride, dilation: 1, padding: (op.padding, op.padding) };
    let x = as_image(builder.stored(&op.x)?)?;
    let output = one_row(builder, &op.out);
    let result = average_pool(builder, x, [Window::ONE, window], op.count_include_pad, &output)?;
    builder.bind(&op.out, as_sequence(result)?.into())
}

/// An image of means of equal parts, of a given size.
pub(super) fn adaptive_avg_pool2d(
    builder: &mut Builder<'_>,
    op: &AdaptiveAvgPool2dOpIr,
) -> Result<(), Refusal> {
    let x = builder.stored(&op.x)?;
    let output = builder.program.shape(op.out.id).clone();
    let result = adaptive_average_pool(builder, x, &output)?;
    builder.bind(&op.out, result.into())
}

/// A sequence of means of equal parts, of a given length.
pub(super) fn adaptive_avg_pool1d(
    builder: &mut Builder<'_>,
    op: &AdaptiveAvgPool1dOpIr,
) -> Result<(), Refusal> {
    let x = as_image(builder.stored(&op.x)?)?;
    let output = one_row(builder, &op.out);
    let result = as_sequence(adaptive_average_pool(builder, x, &output)?)?;
    builder.bind(&op.out, result.into())
}

fn one_row(builder: &Builder<'_>, out: &TensorIr) -> Shape {
    let shape = &builder.program.shape(out.id).0;
    Shape(vec![shape[0], shape[1], Extent::ONE, shape[2]])
}

fn max_pool(
    builder: &mut Builder<'_>,
    x: Stored,
    windows: [Window; 2],
    output: &Shape,
) -> Result<Stored, Refusal> {
    if windows.iter().any(|window| window.dilation != 1) {
        return Err(Refusal::new("TensorFlow Lite has no pools with dilation: choose a dilation of 1"));
    }
    let placement = placement(windows, &x.layout.shape(), output)?;
    // Nothing is smaller than 0 behind a relu: a border of zeros keeps the range of the values small.
    let lowest = if is_rectified(builder, &x) { 0.0 } else { f32::MIN };
    let x = padded(builder, x, placement.border, lowest)?;
    pool(builder, Op::MaxPool2d, &x, windows, placement.padding, output)
}

/// Whether no element of `x` is negative.
fn is_rectified(builder: &Builder<'_>, x: &Stored) -> bool {
    let producer = builder.graph.operators.iter().find(|operator| operator.outputs.contains(&x.tensor));
    let activation = producer.map(|operator| match &operator.op {
        Op::Conv2d(options) => options.activation,
        Op::DepthwiseConv2d(options) => options.activation,
        Op::Add(options) => options.activation,
        Op::Relu => Activation::Relu,
        Op::Relu6 => Activation::Relu6,
        _ => Activation::None,
    });
    matches!(activation, Some(Activation::Relu | Activation::Relu6))
}

fn average_pool(
    builder: &mut Builder<'_>,
    x: Stored,
    windows: [Window; 2],
    count_include_pad: bool,
    output: &Shape,
) -> Result<Stored, Refusal> {
    let input = x.layout.shape();
    let mut placement = placement(windows, &input, output)?;
    // SAME leaves the border out of the count.
    if placement.padding == Padding::Same
        && count_include_pad
        && windows.iter().any(|window| window.padding != (0, 0))
    {
        placement.padding = Padding::Valid;
        placement.border = windows.map(|window| window.padding);
    }
    let x = padded(builder, x, placement.border, 0.0)?;
    let result = pool(builder, Op::AveragePool2d, &x, windows, placement.padding, output)?;
    if placement.padding == Padding::Same || placement.border == [(0, 0); 2] {
        return Ok(result);
    }
    let parts = [0, 1].map(|dim| {
        let (input, output) = (input.0[2 + dim].size, output.0[2 + dim].size);
        counted(windows[dim], input, output, count_include_pad)
    });
    if parts.iter().flatten().all(|&part| part == 1.0) {
        return Ok(result);
    }
    let corrections = parts[0].iter().flat_map(|row| parts[1].iter().map(move |column| 1.0 / (row * column)));
    let corrections = Constant::floats(&[1, 1, parts[0].len(), parts[1].len()], corrections.collect());
    let value = elementwise(builder, mul_op(), &[result.into(), corrections.into()], ElementType::Float32)?;
    Ok(builder.stored_value(value, "constant"))
}

/// The part of each window that counts.
fn counted(window: Window, input: usize, output: usize, count_include_pad: bool) -> Vec<f32> {
    let (before, after) = window.padding;
    let counts = if count_include_pad { 0..before + input + after } else { before..before + input };
    let count = |position: usize| {
        let start = position * window.stride;
        let end = (start + window.kernel).min(counts.end);
        end.saturating_sub(start.max(counts.start))
    };
    (0..output).map(|position| count(position) as f32 / window.kernel as f32).collect()
}

fn adaptive_average_pool(builder: &mut Builder<'_>, x: Stored, output: &Shape) -> Result<Stored, Refusal> {
    let input = x.layout.shape();
    let sizes = [2, 3].map(|dim| (input.0[dim].size, output.0[dim].size));
    if sizes.iter().all(|&(_, output)| output == 1) {
        return Ok(reduced(builder, Op::Mean, &x, &[2, 3]));
    }
    if sizes.iter().all(|&(input, output)| input.is_multiple_of(output.max(1))) {
        let windows = sizes.map(|(input, output)| {
            let kernel = input / output.max(1);
            Window { kernel, stride: kernel, dilation: 1, padding: (0, 0) }
        });
        return pool(builder, Op::AveragePool2d, &x, windows, Padding::Valid, output);
    }
    [2, 3].into_iter().zip(sizes).try_fold(x, |x, (dim, (from, to))| {
        if from == to { Ok(x) } else { Ok(mixed(builder, &x, dim, averages(from, to))) }
    })
}

/// The weights of the means of `to` parts, which may be of unequal lengths: `[to, from]`.
fn averages(from: usize, to: usize) -> Constant {
    let weights = (0..to).flat_map(|part| {
        let (start, end) = (part * from / to, ((part + 1) * from).div_ceil(to));
        (0..from).map(move |at| if (start..end).contains(&at) { 1.0 / (end - start) as f32 } else { 0.0 })
    });
    Constant::floats(&[to, from], weights.collect())
}

fn pool(
    builder: &mut Builder<'_>,
    op: fn(Pool2dOptions) -> Op,
    x: &Stored,
    [rows, columns]: [Window; 2],
    padding: Padding,
    output: &Shape,
) -> Result<Stored, Refusal> {
    let options = Pool2dOptions {
        padding,
        stride_h: integer(rows.stride)?,
        stride_w: integer(columns.stride)?,
        filter_h: integer(rows.kernel)?,
        filter_w: integer(columns.kernel)?,
        ..Pool2dOptions::default()
    };
    let x = builder.arrange(x, &x.layout.groups(&NHWC));
    Ok(builder.stored_result(op(options), &[Some(x)], ElementType::Float32, output, &NHWC))
}

#[cfg(test)]
mod tests {
    use burn::tensor::Tensor;
    use burn::tensor::activation::relu;
    use burn::tensor::module::{
        adaptive_avg_pool1d, adaptive_avg_pool2d, avg_pool1d, avg_pool2d, max_pool1d, max_pool2d,
    };
    use burn::tensor::ops::{AvgPoolOptions, MaxPoolOptions};

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
    fn windows_over_the_edge_get_a_border() {
        let found = operators(&FUNCTION, numbers([2, 7, 8, 2]), |_, x| pool(x, [2, 2], [1, 1], true));
        assert_eq!(found, ["PADV2", "MAX_POOL_2D"]);
        let rectified =
            operators(&FUNCTION, numbers([2, 7, 8, 2]), |_, x| pool(relu(x), [2, 2], [1, 1], true));
        assert_eq!(rectified, ["RELU", "PAD", "MAX_POOL_2D"]);
    }

    #[test]
    fn dilation_is_refused() {
        let dilated = refusal(&FUNCTION, numbers([1, 8, 8, 1]), |_, x| pool(x, [2, 2], [2, 2], false));
        assert!(dilated.contains("no pools with dilation"), "{dilated}");
    }

    #[test]
    fn means_count_what_burn_counts() {
        for (padding, count_include_pad, expected) in [
            ([0, 0], true, &["AVERAGE_POOL_2D"][..]),
            ([1, 1], false, &["AVERAGE_POOL_2D"]),
            ([1, 1], true, &["PAD", "AVERAGE_POOL_2D"]),
            ([1, 0], false, &["PAD", "AVERAGE_POOL_2D", "MUL"]),
        ] {
            let found = operators(&FUNCTION, numbers([2, 5, 6, 3]), |_, x: Tensor<4>| {
                let x = x.permute([0, 3, 1, 2]);
                let options = AvgPoolOptions::new([3, 3]).with_stride([1, 1]).with_padding(padding);
                avg_pool2d(x, options.with_count_include_pad(count_include_pad)).permute([0, 2, 3, 1])
            });
            assert_eq!(found, expected);
        }
    }

    #[test]
    fn adaptive_pools_are_means_of_parts() {
        for (size, expected) in [
            ([1, 1], &["MEAN"][..]),
            ([3, 2], &["AVERAGE_POOL_2D"]),
            ([4, 5], &["RESHAPE", "BATCH_MATMUL", "RESHAPE", "BATCH_MATMUL"]),
        ] {
            let found = operators(&FUNCTION, numbers([2, 6, 8, 3]), |_, x: Tensor<4>| {
                adaptive_avg_pool2d(x.permute([0, 3, 1, 2]), size).permute([0, 2, 3, 1])
            });
            assert_eq!(found, expected);
        }
    }

    #[test]
    fn sequences_are_images_of_one_row() {
        let found = operators(&FUNCTION, numbers([2, 8, 3]), |_, x: Tensor<3>| {
            let x = x.swap_dims(1, 2);
            let options = MaxPoolOptions { stride: [2], ..MaxPoolOptions::new([2]) };
            let pooled = max_pool1d(x.clone(), options);
            let means = avg_pool1d(x.clone(), AvgPoolOptions::new([2]));
            (pooled + means + adaptive_avg_pool1d(x, 4)).swap_dims(1, 2)
        });
        assert!(!found.contains(&"TRANSPOSE".into()), "{found:?}");
    }
}
