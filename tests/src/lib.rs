//! What the workspace's tests share: fixtures (models with the reference's outputs) and the comparison with them.

#![forbid(unsafe_code)]

mod array;
mod fixture;
pub mod hostile;
mod oracle;

pub use array::{Array, read_npz, write_npz};
pub use fixture::{Fixture, run};
pub use oracle::{LiteRt, litert, mnist};

/// The README's snippets, compiled and run as documentation tests.
#[cfg(all(doctest, feature = "training"))]
#[doc = include_str!("../../README.md")]
pub struct Readme;
