//! Fast paths: the same integers as the reference loops, sooner.
//!
//! The reference loops stay compiled on every machine and are the oracle
//! of every kernel's tests.

mod generic;

use core::fmt;

use crate::ops::integer::{Accumulator, Integer};

/// Which kernels run. All of them give the same integers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Kernels {
    /// The fastest that this machine can run.
    #[default]
    Auto,
    /// The plain loops that define the results.
    Reference,
}

/// What is known about a kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KernelInfo {
    /// Name: instruction set, input, weights, sum.
    pub name: &'static str,
    /// Most products whose sum is exact, whatever their values; `None` where any number is.
    pub max_exact_depth: Option<usize>,
}

/// Every kernel that this build has.
pub const KERNELS: &[KernelInfo] = &[
    KernelInfo { name: "reference", max_exact_depth: None },
    KernelInfo { name: "generic-i16i8i64", max_exact_depth: None },
    KernelInfo { name: "generic-i8i8i32", max_exact_depth: None },
];

impl fmt::Display for Kernels {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Auto => "auto",
            Self::Reference => "reference",
        })
    }
}

/// The sum of products of a row of the input with a row of the weights, each less its zero point.
pub(crate) trait Dot<T, A, W = i8> {
    fn dot(&self, row: &[T], weights: &[W], zero_points: (i32, i32)) -> A;
}

impl Dot<i8, i32> for Kernels {
    fn dot(&self, row: &[i8], weights: &[i8], zero_points: (i32, i32)) -> i32 {
        match self {
            Self::Auto => generic::dot_i8(row, weights, zero_points),
            Self::Reference => reference_dot(row, weights, zero_points),
        }
    }
}

impl Dot<i16, i64> for Kernels {
    fn dot(&self, row: &[i16], weights: &[i8], zero_points: (i32, i32)) -> i64 {
        match self {
            Self::Auto if zero_points == (0, 0) => generic::dot_i16(row, weights),
            _ => reference_dot(row, weights, zero_points),
        }
    }
}

impl Dot<i16, i32> for Kernels {
    fn dot(&self, row: &[i16], weights: &[i8], zero_points: (i32, i32)) -> i32 {
        match self {
            // A 32-bit sum wraps; the wrapped value is the low half of the exact one.
            Self::Auto if zero_points == (0, 0) => generic::dot_i16(row, weights) as i32,
            _ => reference_dot(row, weights, zero_points),
        }
    }
}

impl Dot<i16, i64, i16> for Kernels {
    fn dot(&self, row: &[i16], weights: &[i16], zero_points: (i32, i32)) -> i64 {
        reference_dot(row, weights, zero_points)
    }
}

/// The definition.
fn reference_dot<T: Integer, A: Accumulator, W: Integer>(
    row: &[T],
    weights: &[W],
    (input_zero, weight_zero): (i32, i32),
) -> A {
    row.iter()
        .zip(weights)
        .fold(A::zeroed(), |sum, (&x, &w)| sum.plus_product(x.into() - input_zero, w.into() - weight_zero))
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use proptest::prelude::*;

    use super::*;

    /// Depths around the blocks of 508 products, and the sums that come closest to overflowing.
    const DEPTHS: [usize; 11] = [0, 1, 2, 3, 4, 5, 507, 508, 509, 1016, 4097];

    #[test]
    fn extreme_values_are_summed_exactly() {
        for depth in DEPTHS {
            for (x, w) in [(i16::MIN, -128), (i16::MIN, 127), (i16::MAX, -128), (i16::MAX, 127)] {
                let (row, weights) = (alloc::vec![x; depth], alloc::vec![w as i8; depth]);
                let exact = i64::from(x) * i64::from(w) * depth as i64;
                let auto: i64 = Kernels::Auto.dot(&row, &weights, (0, 0));
                let reference: i64 = Kernels::Reference.dot(&row, &weights, (0, 0));
                assert_eq!((auto, reference), (exact, exact), "depth {depth}, {x} * {w}");
                let narrow: i32 = Kernels::Auto.dot(&row, &weights, (0, 0));
                assert_eq!(narrow, exact as i32);
            }
        }
    }

    proptest! {
        #[test]
        fn every_kernel_gives_the_sums_of_the_reference(
            pairs in proptest::collection::vec((any::<i16>(), any::<i8>(), any::<i8>()), 0..1200),
            zero_points in (-128i32..128, -128i32..128),
        ) {
            let wide: Vec<i16> = pairs.iter().map(|pair| pair.0).collect();
            let (narrow, weights): (Vec<i8>, Vec<i8>) = pairs.iter().map(|pair| (pair.1, pair.2)).unzip();
            let sums = |kernels: Kernels| -> (i64, i32, i32) {
                (
                    kernels.dot(&wide, &weights, (0, 0)),
                    kernels.dot(&wide, &weights, (0, 0)),
                    kernels.dot(&narrow, &weights, zero_points),
                )
            };
            prop_assert_eq!(sums(Kernels::Auto), sums(Kernels::Reference));
        }
    }
}
