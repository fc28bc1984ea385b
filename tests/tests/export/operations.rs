//! Modules of one operation, or of a few that belong together.

use burn::module::Param;
use burn::nn::attention::{
    CrossAttentionConfig, MhaInput, MultiHeadAttentionConfig, generate_autoregressive_mask,
};
use burn::nn::conv::{Conv1dConfig, Conv2dConfig, ConvTranspose1dConfig, ConvTranspose2dConfig};
use burn::nn::interpolate::{Interpolate1dConfig, Interpolate2dConfig, InterpolateMode};
use burn::nn::pool::{
    AdaptiveAvgPool1dConfig, AdaptiveAvgPool2dConfig, AvgPool1dConfig, AvgPool2dConfig, MaxPool1dConfig,
    MaxPool2dConfig,
};
use burn::nn::*;
use burn::tensor::activation::*;
use burn::tensor::module::{attention, max_pool1d_with_indices, max_pool2d_with_indices, unfold4d};
use burn::tensor::ops::{AttentionModuleOptions, MaxPoolOptions, PadMode, UnfoldOptions};
use burn::tensor::{Device, IndexingUpdateOp, Int, Tensor, s};

use crate::case::{Case, numbers, parameter};

/// The module of what is a function: it has no parameters.
const FUNCTION: Relu = Relu;

/// A function of a matrix.
fn of_matrix(name: &'static str, function: fn(Tensor<2>) -> Tensor<2>) -> Case {
    Case::new(name, FUNCTION, numbers([3, 6]), move |_, x| function(x))
}

/// A function of matrices in a batch.
fn of_matrices(name: &'static str, function: fn(Tensor<3>) -> Tensor<3>) -> Case {
    Case::new(name, FUNCTION, numbers([3, 6, 5]), move |_, x| function(x))
}

/// A function of images.
fn of_images(name: &'static str, function: fn(Tensor<4>) -> Tensor<4>) -> Case {
    Case::new(name, FUNCTION, numbers([3, 4, 6, 7]), move |_, x| function(x))
}

/// Every operation that is lowered is in one of them at least.
pub(crate) fn cases() -> Vec<Case> {
    [
        functions(),
        activations(),
        comparisons(),
        reductions(),
        movements(),
        indices(),
        layers(),
        norms(),
        resizes(),
        sequences(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn functions() -> Vec<Case> {
    vec![
        of_matrix("arithmetic", |x| (x.clone() + x.clone().exp()) * x.clone() - x.clone() / (x.exp() + 1.0)),
        of_matrix("arithmetic_with_numbers", |x| ((x + 3.0) * 2.0 - 0.5) / 4.0),
        of_matrix("exp", |x| x.exp()),
        of_matrix("log", |x| (x + 1.5).log()),
        of_matrix("log1p", |x| (x * 0.9).log1p()),
        of_matrix("square_root", |x| (x + 1.5).sqrt()),
        of_matrix("reciprocal", |x| (x + 1.5).recip()),
        of_matrix("powers", |x| {
            (x.clone() + 1.5).powf(x.clone()) + (x.clone() + 1.5).powf_scalar(-0.5) + x.powi_scalar(3)
        }),
        Case::new("integer_power", FUNCTION, numbers([3, 6]), |_, x: Tensor<2>| {
            let exponents = (x.clone() * 2.0).round();
            (x + 2.0).powi(exponents)
        }),
        of_matrix("hypot", |x| x.clone().hypot(x.exp())),
        of_matrix("sine_and_cosine", |x| (x.clone() * 3.0).sin() + (x * 3.0).cos()),
        of_matrix("tangent", |x| x.tan()),
        of_matrix("hyperbolic", |x| x.clone().sinh() + x.clone().cosh() + x.tanh()),
        of_matrix("inverse_hyperbolic", |x| {
            x.clone().asinh() + (x.clone() + 2.5).acosh() + (x * 0.9).atanh()
        }),
        of_matrix("rounding", |x| {
            let x = x * 5.0;
            x.clone().round() + x.clone().floor() * 2.0 + x.clone().ceil() * 3.0 + x.trunc() * 4.0
        }),
        of_matrix("sign_and_magnitude", |x| x.clone().sign() + x.clone().abs() - x.neg()),
        of_matrix("remainders", |x| {
            (x.clone() * 9.0).remainder_scalar(4.0) + (x.clone() * 9.0).remainder(x.abs() + 1.0)
        }),
        of_matrix("clamp", |x| x.clone().clamp(-0.3, 0.6) + x.clone().clamp_min(-0.2) + x.clamp_max(0.4)),
        of_matrix("running", |x| {
            x.clone().cumsum(1) + x.clone().cumprod(1) + x.clone().cummax(1) + x.cummin(1)
        }),
        of_matrices("cross_product", |x| x.clone().narrow(1, 0, 3).cross(x.narrow(1, 3, 3), 1)),
        Case::new("bits", FUNCTION, numbers([3, 6]), |_, x: Tensor<2>| {
            let x = (x * 100.0).int();
            let parts = x.clone().bitwise_and_scalar(15) + x.clone().bitwise_left_shift_scalar(2);
            parts + x.clone().bitwise_right_shift_scalar(3) + x.bitwise_not()
        }),
        Case::new("integers", FUNCTION, numbers([3, 6]), |_, x: Tensor<2>| {
            let x = (x * 10.0).int();
            (x.clone() * 3 + x.clone().max_dim(1) - 7, x.float())
        }),
        of_matrix("random_numbers_are_not_there_in_inference", |x| {
            DropoutConfig::new(0.5).init().forward(x.clone())
                + GaussianNoiseConfig::new(0.5).init().forward(x)
        }),
    ]
}

fn activations() -> Vec<Case> {
    vec![
        of_matrix("relu", relu),
        of_matrix("relu6", |x| relu6(x * 10.0)),
        of_matrix("leaky_relu", |x| leaky_relu(x, 0.1)),
        Case::new(
            "prelu",
            PReluConfig::new().with_num_parameters(4).init(&Device::flex()),
            numbers([3, 4, 5]),
            |prelu, x: Tensor<3>| prelu.forward(x),
        ),
        of_matrix("gelu", |x| gelu(x * 3.0)),
        of_matrix("gelu_approximate", |x| gelu_approximate(x * 3.0)),
        of_matrix("sigmoid", |x| sigmoid(x * 3.0)),
        of_matrix("hard_sigmoid", |x| hard_sigmoid(x * 3.0, 0.3, 0.4)),
        of_matrix("log_sigmoid", |x| log_sigmoid(x * 30.0)),
        of_matrix("softmax", |x| softmax(x * 3.0, 1)),
        of_matrices("softmax_of_columns", |x| softmax(x, 1)),
        of_matrix("softmin", |x| softmin(x, 1)),
        of_matrix("log_softmax", |x| log_softmax(x, 1)),
        of_matrix("quiet_softmax", |x| quiet_softmax(x, 1)),
        of_matrix("softplus", |x| softplus(x * 30.0, 1.0)),
        of_matrix("silu", silu),
        of_matrix("hard_swish", |x| hard_swish(x * 4.0)),
        of_matrix("mish", mish),
        of_matrix("elu", |x| elu(x, 0.7)),
        of_matrix("celu", |x| celu(x, 0.7)),
        of_matrix("selu", selu),
        of_matrix("softsign", softsign),
        of_matrix("hard_tanh", |x| hardtanh(x, -0.5, 0.5)),
        of_matrix("tanh_shrink", tanhshrink),
        of_matrix("glu", |x| glu(x, 1)),
    ]
}

fn comparisons() -> Vec<Case> {
    vec![
        of_matrix("comparisons", |x| {
            let y = x.clone().square();
            let ordered = x.clone().lower(y.clone()).bool_or(x.clone().lower_equal_elem(-0.5));
            let larger = x.clone().greater_equal(y.clone()).bool_and(x.clone().not_equal_elem(0.25));
            let equal = x.clone().equal(y.clone()).bool_xor(ordered.clone());
            let other = x.clone().not_equal(y.clone()).bool_and(x.clone().greater_equal_elem(-0.2));
            let more = x.clone().lower_equal(y.clone()).bool_and(x.clone().greater(y).bool_not());
            ordered.float()
                + larger.int().float() * 2.0
                + equal.float() * 4.0
                + other.float() * 8.0
                + more.float() * 16.0
        }),
        Case::new("comparisons_with_numbers", FUNCTION, numbers([3, 6]), |_, x: Tensor<2>| {
            (x.clone().greater_elem(0.1).bool_or(x.clone().equal_elem(0.0)), x.lower_elem(-0.1))
        }),
        of_matrix("masks", |x| {
            let mask = x.clone().greater_elem(0.1);
            x.clone().mask_where(mask.clone(), x.clone() * 2.0).mask_fill(mask.bool_not(), -3.0)
        }),
        Case::new("not_a_number_and_infinity", FUNCTION, numbers([3, 6]), |_, x: Tensor<2>| {
            (x.clone().sqrt().is_nan(), x.clamp_min(0.0).log().is_inf())
        }),
        Case::new("all_and_any", FUNCTION, numbers([3, 4, 5]), |_, x: Tensor<3>| {
            (x.clone().greater_elem(-0.9).all_dim(1), x.greater_elem(0.5).any_dim(2))
        }),
        Case::new("all_and_any_of_everything", FUNCTION, numbers([3, 6]), |_, x: Tensor<2>| {
            let all = x.clone().greater_elem(-2.0).all().float().unsqueeze::<2>();
            let any = x.clone().greater_elem(2.0).any().float().unsqueeze::<2>();
            x + all * 2.0 + any
        }),
    ]
}

fn reductions() -> Vec<Case> {
    vec![
        of_matrices("mean_along_a_dimension", |x| x.mean_dim(1)),
        of_matrices("sums_along_dimensions", |x| x.clone().sum_dim(2) + x.sum_dims(&[1, 2])),
        of_matrices("extremes_along_a_dimension", |x| x.clone().max_dim(1) - x.min_dim(1)),
        of_matrices("largest_magnitude_along_a_dimension", |x| x.max_abs_dim(2)),
        of_matrices("product_along_a_dimension", |x| (x + 1.0).prod_dim(1)),
        of_matrices("variance", |x| x.var(2)),
        Case::new(
            "reductions_of_everything",
            parameter([3, 4]),
            numbers([3, 4]),
            |table: &Param<Tensor<2>>, x| {
                let products = table.val().matmul(numbers([4, 2]).to_device(&x.device()));
                let spread = x.clone().narrow(1, 0, 2) * products.clone().sum().unsqueeze::<2>();
                spread + products.mean().unsqueeze::<2>()
            },
        ),
        Case::new("product_of_everything", FUNCTION, numbers([3, 5]), |_, x: Tensor<2>| {
            let product = (x.clone().mean_dim(0) + 1.5).prod();
            x * product.unsqueeze::<2>()
        }),
        Case::new("batch_is_reduced", FUNCTION, numbers([3, 4]), |_, x: Tensor<2>| {
            let whole =
                x.clone().sum() + x.clone().mean() + x.clone().max() + x.clone().min() + x.clone().max_abs();
            x + whole.unsqueeze::<2>()
        }),
        Case::new("positions_of_extremes", FUNCTION, numbers([3, 6, 5]), |_, x: Tensor<3>| {
            (x.clone().argmax(1), x.argmin(2))
        }),
        Case::new("extremes_with_positions", FUNCTION, numbers([3, 6, 5]), |_, x: Tensor<3>| {
            let (largest, at) = x.clone().max_dim_with_indices(1);
            let (smallest, below) = x.min_dim_with_indices(1);
            (largest + smallest, at + below)
        }),
        Case::new("largest_elements", FUNCTION, numbers([3, 6, 5]), |_, x: Tensor<3>| {
            let (largest, at) = x.clone().topk_with_indices(2, 1);
            (largest + x.clone().topk(2, 1), at + x.argtopk(2, 1))
        }),
        Case::new("sorted", FUNCTION, numbers([3, 6]), |_, x: Tensor<2>| {
            let (rising, at) = x.clone().sort_with_indices(1);
            (rising + x.clone().sort_descending(1), at + x.argsort(1))
        }),
    ]
}

fn movements() -> Vec<Case> {
    vec![
        of_matrices("reshape", |x| x.reshape([-1, 3, 10])),
        of_matrices("transpose", |x| x.swap_dims(1, 2).exp()),
        of_images("permute", |x| x.permute([0, 3, 1, 2])),
        of_images("flatten", |x| x.flatten::<2>(1, 3).exp().reshape([-1, 4, 6, 7])),
        of_matrices("slices", |x| {
            let parts = vec![
                x.clone().slice(s![.., 1..3, ..]),
                x.clone().slice(s![.., 0..6;3, ..]),
                x.slice(s![.., ..;-2, ..]),
            ];
            Tensor::cat(parts, 1)
        }),
        of_matrices("narrow", |x| x.narrow(2, 1, 3)),
        of_images("chunks", |x| {
            let [first, second] = x.chunk(2, 1).try_into().unwrap_or_else(|_| panic!("two chunks"));
            Tensor::cat(vec![second, first], 1)
        }),
        of_matrices("split", |x| Tensor::cat(x.split(4, 1).into_iter().rev().collect(), 1)),
        of_matrices("stack", |x| {
            Tensor::stack::<4>(vec![x.clone(), x.clone() * 2.0], 1).sum_dim(1).squeeze_dim(1)
        }),
        of_matrices("part_replaced", |x| {
            let [batch, ..] = x.dims();
            let part = x.clone().narrow(1, 0, 2) * 2.0;
            x.slice_assign([0..batch, 3..5, 0..5], part)
        }),
        of_matrices("block_replaced", |x| {
            let [batch, ..] = x.dims();
            let part = x.clone().slice([0..batch, 0..2, 0..3]) * 2.0;
            x.slice_assign([0..batch, 3..5, 1..4], part)
        }),
        of_images("pad_with_a_number", |x| {
            x.clone().pad((1, 2, 0, 1), PadMode::Constant(0.0)) + x.pad((1, 2, 0, 1), PadMode::Constant(1.5))
        }),
        of_images("pad_with_a_reflection", |x| x.pad((2, 1, 1, 0), PadMode::Reflect)),
        of_images("pad_with_the_edge", |x| {
            x.clone().pad((1, 1, 1, 1), PadMode::Edge) + x.pad((2, 0, 0, 2), PadMode::Edge)
        }),
        of_matrices("repeat", |x| x.repeat_dim(1, 2)),
        of_matrices("expand", |x| x.mean_dim(2).expand([-1, 6, 4])),
        of_matrices("flip", |x| x.flip([1, 2])),
        Case::new("triangle", FUNCTION, numbers([3, 5, 5]), |_, x: Tensor<3>| x.clone().triu(0) + x.tril(-1)),
        of_matrices("windows", |x| x.unfold::<4, _>(1, 3, 2).mean_dim(3).squeeze_dim(3)),
        Case::new("windows_of_images", FUNCTION, numbers([3, 2, 6, 7]), |_, x: Tensor<4>| {
            unfold4d(x, [3, 2], UnfoldOptions::new([2, 1], [1, 0], [1, 2]))
        }),
        Case::new("zeros_and_ones", FUNCTION, numbers([3, 6]), |_, x: Tensor<2>| {
            let device = x.device();
            let state = Tensor::<2>::zeros(x.dims(), &device) + Tensor::<2>::ones([1, 6], &device);
            x + state * Tensor::<2>::full([1, 6], 2.5, &device)
        }),
        Case::new("types", FUNCTION, numbers([3, 6]), |_, x: Tensor<2>| {
            let numbers = (x.clone() * 9.0).int();
            (x.greater_elem(0.0).int() + numbers.clone(), numbers.cast(burn::tensor::IntDType::I64))
        }),
    ]
}

fn indices() -> Vec<Case> {
    let device = Device::flex();
    let tokens = || (numbers::<2>([3, 7]) * 9.0 + 10.0).int();
    vec![
        of_matrices("select", |x| {
            x.clone().select(1, Tensor::<1, Int>::from_data([4, 0, 0, 2], &x.device()))
        }),
        of_matrices("gather", |x| x.clone().gather(1, x.argmax(1).repeat_dim(1, 4))),
        Case::new(
            "gather_nd",
            parameter([4, 5]),
            numbers([3, 3]),
            |table: &Param<Tensor<2>>, x: Tensor<2>| {
                let at = ((x + 1.0) * 1.9).int();
                table.val().gather_nd::<3, 2>(Tensor::stack(vec![at.clone(), at], 2))
            },
        ),
        of_matrices("select_assign", |x| {
            let rows = Tensor::<1, Int>::from_data([4, 0, 4], &x.device());
            x.clone().select_assign(1, rows, x.narrow(1, 1, 3), IndexingUpdateOp::Add)
        }),
        of_matrices("scatter", |x| {
            let at = x.clone().argmax(2).repeat_dim(2, 2);
            x.clone().scatter(2, at, x.narrow(2, 0, 2), IndexingUpdateOp::Add)
        }),
        Case::new(
            "scatter_nd",
            parameter([6, 4]),
            numbers([3, 4]),
            |table: &Param<Tensor<2>>, x: Tensor<2>| {
                let at = (x.clone().narrow(1, 0, 1) * 2.9 + 3.0).int();
                let table = table.val().scatter_nd::<2, 2>(at, x.clone(), IndexingUpdateOp::Add);
                x.matmul(table.transpose())
            },
        ),
        Case::new(
            "embedding",
            EmbeddingConfig::new(20, 4).init(&device),
            tokens(),
            |table: &Embedding, x| table.forward(x),
        ),
    ]
}

fn layers() -> Vec<Case> {
    let device = Device::flex();
    let image = || numbers([3, 4, 9, 8]);
    let sequence = || numbers([3, 4, 11]);
    let conv2d = |outputs: usize| Conv2dConfig::new([4, outputs], [3, 3]);
    let conv1d = |outputs: usize| Conv1dConfig::new(4, outputs, 3);
    vec![
        Case::new(
            "linear",
            LinearConfig::new(6, 5).init(&device),
            numbers([3, 6]),
            |layer: &Linear, x: Tensor<2>| layer.forward(x),
        ),
        Case::new(
            "linear_of_sequences",
            LinearConfig::new(6, 5).with_bias(false).init(&device),
            numbers([3, 4, 6]),
            |layer: &Linear, x: Tensor<3>| layer.forward(x),
        ),
        of_matrices("matmul", |x| x.clone().matmul(x.swap_dims(1, 2))),
        Case::new("conv2d", conv2d(5).init(&device), image(), |layer: &conv::Conv2d, x| layer.forward(x)),
        Case::new(
            "conv2d_with_stride_and_dilation",
            conv2d(5).with_stride([2, 1]).with_dilation([1, 2]).init(&device),
            image(),
            |layer: &conv::Conv2d, x| layer.forward(x),
        ),
        Case::new(
            "conv2d_with_same_padding",
            conv2d(5).with_padding(PaddingConfig2d::Same).init(&device),
            image(),
            |layer: &conv::Conv2d, x| layer.forward(x),
        ),
        Case::new(
            "conv2d_with_asymmetric_padding",
            conv2d(5).with_padding(PaddingConfig2d::Explicit(2, 0, 1, 3)).init(&device),
            image(),
            |layer: &conv::Conv2d, x| layer.forward(x),
        ),
        Case::new(
            "conv2d_in_groups",
            conv2d(6).with_groups(2).with_bias(false).init(&device),
            image(),
            |layer: &conv::Conv2d, x| layer.forward(x),
        ),
        Case::new(
            "conv2d_of_each_channel",
            conv2d(8).with_groups(4).init(&device),
            image(),
            |layer: &conv::Conv2d, x| layer.forward(x),
        ),
        Case::new(
            "conv1d",
            conv1d(5).with_padding(PaddingConfig1d::Explicit(2, 0)).init(&device),
            sequence(),
            |layer: &conv::Conv1d, x| layer.forward(x),
        ),
        Case::new(
            "conv1d_with_dilation",
            conv1d(4).with_groups(4).with_dilation(3).init(&device),
            sequence(),
            |layer: &conv::Conv1d, x| layer.forward(x),
        ),
        Case::new(
            "conv_transpose2d",
            ConvTranspose2dConfig::new([4, 5], [3, 3])
                .with_stride([2, 2])
                .with_padding([1, 1])
                .with_padding_out([1, 0])
                .init(&device),
            image(),
            |layer: &conv::ConvTranspose2d, x| layer.forward(x),
        ),
        Case::new(
            "conv_transpose2d_in_groups_with_dilation",
            ConvTranspose2dConfig::new([4, 6], [3, 2]).with_groups(2).with_dilation([2, 1]).init(&device),
            image(),
            |layer: &conv::ConvTranspose2d, x| layer.forward(x),
        ),
        Case::new(
            "conv_transpose1d",
            ConvTranspose1dConfig::new([4, 5], 4).with_stride(2).with_padding(1).init(&device),
            sequence(),
            |layer: &conv::ConvTranspose1d, x| layer.forward(x),
        ),
        Case::new(
            "max_pool2d",
            MaxPool2dConfig::new([3, 3])
                .with_strides([2, 2])
                .with_padding(PaddingConfig2d::Explicit(1, 1, 1, 1))
                .init(),
            image(),
            |pool: &pool::MaxPool2d, x| pool.forward(x),
        ),
        Case::new(
            "max_pool1d",
            MaxPool1dConfig::new(2).with_stride(2).init(),
            sequence(),
            |pool: &pool::MaxPool1d, x| pool.forward(x),
        ),
        of_images("max_pool2d_beside_places_that_nobody_reads", |x| {
            max_pool2d_with_indices(x, MaxPoolOptions::new([2, 2])).0
        }),
        Case::new("max_pool1d_beside_places_that_nobody_reads", FUNCTION, sequence(), |_, x: Tensor<3>| {
            max_pool1d_with_indices(x, MaxPoolOptions::new([2])).0
        }),
        Case::new(
            "avg_pool2d",
            AvgPool2dConfig::new([3, 3])
                .with_strides([2, 2])
                .with_padding(PaddingConfig2d::Explicit(1, 1, 1, 1))
                .init(),
            image(),
            |pool: &pool::AvgPool2d, x| pool.forward(x),
        ),
        Case::new(
            "avg_pool2d_without_the_border",
            AvgPool2dConfig::new([3, 3])
                .with_padding(PaddingConfig2d::Explicit(1, 1, 1, 1))
                .with_count_include_pad(false)
                .init(),
            image(),
            |pool: &pool::AvgPool2d, x| pool.forward(x),
        ),
        Case::new(
            "avg_pool1d",
            AvgPool1dConfig::new(3).with_stride(2).init(),
            sequence(),
            |pool: &pool::AvgPool1d, x| pool.forward(x),
        ),
        Case::new(
            "adaptive_avg_pool2d",
            AdaptiveAvgPool2dConfig::new([4, 3]).init(),
            image(),
            |pool: &pool::AdaptiveAvgPool2d, x| pool.forward(x),
        ),
        Case::new(
            "adaptive_avg_pool1d",
            AdaptiveAvgPool1dConfig::new(4).init(),
            sequence(),
            |pool: &pool::AdaptiveAvgPool1d, x| pool.forward(x),
        ),
    ]
}

fn norms() -> Vec<Case> {
    let device = Device::flex();
    let image = || numbers([3, 4, 5, 6]);
    vec![
        Case::new(
            "batch_norm",
            BatchNormConfig::new(4).init(&device),
            image(),
            |norm: &BatchNorm, x: Tensor<4>| norm.forward(x),
        ),
        Case::new(
            "layer_norm",
            LayerNormConfig::new(6).init(&device),
            image(),
            |norm: &LayerNorm, x: Tensor<4>| norm.forward(x),
        ),
        Case::new(
            "group_norm",
            GroupNormConfig::new(2, 4).init(&device),
            image(),
            |norm: &GroupNorm, x: Tensor<4>| norm.forward(x),
        ),
        Case::new(
            "instance_norm",
            InstanceNormConfig::new(4).init(&device),
            image(),
            |norm: &InstanceNorm, x: Tensor<4>| norm.forward(x),
        ),
        Case::new(
            "rms_norm",
            RmsNormConfig::new(6).init(&device),
            image(),
            |norm: &RmsNorm, x: Tensor<4>| norm.forward(x),
        ),
    ]
}

fn resizes() -> Vec<Case> {
    let resize = |mode: InterpolateMode| {
        Interpolate2dConfig::new().with_output_size(Some([9, 5])).with_mode(mode).init()
    };
    let image = || numbers([3, 2, 6, 7]);
    vec![
        Case::new(
            "resize_nearest",
            resize(InterpolateMode::Nearest),
            image(),
            |resize: &interpolate::Interpolate2d, x| resize.forward(x),
        ),
        Case::new(
            "resize_linear",
            resize(InterpolateMode::Linear),
            image(),
            |resize: &interpolate::Interpolate2d, x| resize.forward(x),
        ),
        Case::new(
            "resize_cubic",
            resize(InterpolateMode::Cubic),
            image(),
            |resize: &interpolate::Interpolate2d, x| resize.forward(x),
        ),
        Case::new(
            "resize_of_sequences",
            Interpolate1dConfig::new().with_output_size(Some(12)).init(),
            numbers([3, 2, 6]),
            |resize: &interpolate::Interpolate1d, x| resize.forward(x),
        ),
        Case::new(
            "pixel_shuffle",
            PixelShuffleConfig::new(2).init(),
            numbers([3, 8, 3, 4]),
            |shuffle: &PixelShuffle, x: Tensor<4>| shuffle.forward(x),
        ),
    ]
}

fn sequences() -> Vec<Case> {
    let device = Device::flex();
    let sequence = || numbers([3, 5, 8]);
    vec![
        Case::new(
            "lstm",
            LstmConfig::new(8, 6, true).init(&device),
            sequence(),
            |lstm: &Lstm, x: Tensor<3>| lstm.forward(x, None).0,
        ),
        Case::new(
            "bidirectional_lstm",
            BiLstmConfig::new(8, 6, true).init(&device),
            sequence(),
            |lstm: &BiLstm, x: Tensor<3>| lstm.forward(x, None).0,
        ),
        Case::new(
            "gru",
            gru::GruConfig::new(8, 6, true).init(&device),
            sequence(),
            |gru: &gru::Gru, x: Tensor<3>| gru.forward(x, None),
        ),
        Case::new("attention", FUNCTION, numbers([3, 2, 4, 5]), |_, x: Tensor<4>| {
            let options = AttentionModuleOptions { scale: Some(0.7), softcap: Some(2.0), is_causal: true };
            attention(x.clone(), x.clone() * 2.0, x, None, None, options)
        }),
        Case::new(
            "multi_head_attention",
            MultiHeadAttentionConfig::new(8, 2).init(&device),
            sequence(),
            |module: &attention::MultiHeadAttention, x: Tensor<3>| {
                let [batch, length, _] = x.dims();
                let mask = generate_autoregressive_mask(batch, length, &x.device());
                module.forward(MhaInput::self_attn(x).mask_attn(mask)).context
            },
        ),
        Case::new(
            "cross_attention",
            CrossAttentionConfig::new(8, 8, 2, 2, 4).init(&device),
            (sequence(), numbers([3, 7, 8])),
            |module: &attention::CrossAttention, (query, context): (Tensor<3>, Tensor<3>)| {
                module.forward(query, context, None)
            },
        ),
        Case::new(
            "rotary_positions",
            RotaryEncodingConfig::new(10, 8).init(&device),
            numbers([3, 2, 5, 8]),
            |module: &RotaryEncoding, x: Tensor<4>| module.forward(x),
        ),
    ]
}
