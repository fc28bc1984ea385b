//! Functions of elements.

use burn::nn::*;
use burn::tensor::activation::*;
use burn::tensor::{Device, IntDType, Tensor};

use super::{FUNCTION, of_matrices, of_matrix};
use crate::case::{Case, numbers};

pub(super) fn functions() -> Vec<Case> {
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
        Case::new("integer_powers_of_integers", FUNCTION, numbers([3, 6]), |_, x: Tensor<2>| {
            let x = (x * 3.0).int().cast(IntDType::I64);
            x.clone().powi(x.clone() * x.clone()) + x.powi_scalar(3)
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

pub(super) fn activations() -> Vec<Case> {
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

pub(super) fn comparisons() -> Vec<Case> {
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
