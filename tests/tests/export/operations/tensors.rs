//! Tensors reduced, moved, put together and taken apart.

use burn::module::Param;
use burn::nn::{Embedding, EmbeddingConfig};
use burn::tensor::module::unfold4d;
use burn::tensor::ops::{PadMode, UnfoldOptions};
use burn::tensor::{Device, IndexingUpdateOp, Int, Tensor, s};

use super::{FUNCTION, of_images, of_matrices};
use crate::case::{Case, numbers, parameter};

pub(super) fn reductions() -> Vec<Case> {
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

pub(super) fn movements() -> Vec<Case> {
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

pub(super) fn indices() -> Vec<Case> {
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
