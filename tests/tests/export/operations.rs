//! Modules of one operation, or of a few that belong together.

mod elements;
mod layers;
mod tensors;

use burn::nn::Relu;
use burn::tensor::Tensor;

use crate::case::{Case, numbers};

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
        elements::functions(),
        elements::activations(),
        elements::comparisons(),
        tensors::reductions(),
        tensors::movements(),
        tensors::indices(),
        layers::layers(),
        layers::norms(),
        layers::resizes(),
        layers::sequences(),
    ]
    .into_iter()
    .flatten()
    .collect()
}
