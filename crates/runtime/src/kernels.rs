//! Fast paths: the same integers as the reference loops, sooner.
//!
//! The reference loops stay compiled on every machine and are the oracle
//! of every kernel's tests.

pub(crate) mod depthwise;
pub(crate) mod dots;
pub(crate) mod elementwise;
pub(crate) mod float;
mod generic;
pub(crate) mod hybrid;
pub(crate) mod integers;
pub(crate) mod matrix;
pub(crate) mod operand;
pub(crate) mod pack;
pub mod peak;
pub(crate) mod product;
pub(crate) mod scale;
pub(crate) mod sweep;
pub(crate) mod taps;
pub(crate) mod vectorized;
pub(crate) mod vectors;
#[cfg(target_arch = "aarch64")]
#[expect(unsafe_code, reason = "vector instructions; each block says why it is sound")]
mod aarch64 {
    pub(super) mod neon;
}
#[cfg(target_arch = "x86_64")]
#[expect(unsafe_code, reason = "vector instructions; each block says why it is sound")]
mod x86_64 {
    pub(super) mod avx2;
    pub(super) mod avx512;
}

use core::fmt;

use crate::error::Error;
use crate::kernels::vectors::{Task, Vectors};
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
    /// Plain loops with fast sums of products: what is fastest without memory of its own. Weights are read where they are, in
    /// flash for instance, and nothing is packed.
    InPlace,
    /// Those of one instruction set, by the name in [`KERNELS`].
    Named(&'static str),
}

/// What is known about the kernels of an instruction set.
#[derive(Debug, Clone, Copy)]
pub struct KernelInfo {
    /// The name that [`Kernels::Named`] takes.
    pub name: &'static str,
    /// What it is.
    pub description: &'static str,
    engine: fn() -> Option<Engine>,
}

/// The kernels for this processor, the fastest first; without the feature `kernels` none of them is available.
pub const KERNELS: &[KernelInfo] = &[
    #[cfg(target_arch = "x86_64")]
    KernelInfo {
        name: "avx512",
        description: "AVX-512 with VNNI, tiles of 4 rows and 16 channels",
        engine: || x86_64::avx512::Avx512::new().map(Engine::Avx512),
    },
    #[cfg(target_arch = "x86_64")]
    KernelInfo {
        name: "avx2",
        description: "AVX2, tiles of 4 rows and 16 channels",
        engine: || x86_64::avx2::Avx2::new().map(Engine::Avx2),
    },
    #[cfg(target_arch = "aarch64")]
    KernelInfo {
        name: "neon",
        description: "NEON, tiles of 4 rows and 16 channels",
        engine: || aarch64::neon::Neon::new().map(Engine::Neon),
    },
    KernelInfo {
        name: "generic",
        description: "portable code that the compiler vectorizes",
        engine: || Some(Engine::Generic),
    },
];

impl KernelInfo {
    /// Whether this machine can run them.
    pub fn is_available(&self) -> bool {
        self.engine().is_some()
    }

    fn engine(&self) -> Option<Engine> {
        if cfg!(feature = "kernels") { (self.engine)() } else { None }
    }
}

/// The kernels of one instruction set, with the proof that the machine has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Engine {
    #[default]
    Generic,
    #[cfg(target_arch = "x86_64")]
    Avx2(x86_64::avx2::Avx2),
    #[cfg(target_arch = "x86_64")]
    Avx512(x86_64::avx512::Avx512),
    #[cfg(target_arch = "aarch64")]
    Neon(aarch64::neon::Neon),
}

impl Engine {
    /// The kernels by their name.
    pub(crate) fn kernels(self) -> Kernels {
        let own = KERNELS.iter().find(|kernels| (kernels.engine)() == Some(self));
        own.map_or(Kernels::Reference, |kernels| Kernels::Named(kernels.name))
    }

    /// Runs the task as it was compiled for the instruction set.
    pub(crate) fn run<T: Task>(self, task: T) -> T::Output {
        with_vectors!(self, vectors => vectors.run(task))
    }

    /// Runs a task that has no use for [`Vectors`](vectors::Vectors), but for the compiler's own: not compiled for AVX-512,
    /// which would be a copy more of every loop for vectors that are twice as wide at best.
    pub(crate) fn run_plain<T: Task>(self, task: T) -> T::Output {
        match self.of_loops() {
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(avx2) => avx2.run(task),
            #[cfg(target_arch = "aarch64")]
            Self::Neon(neon) => neon.run(task),
            _ => generic::Generic.run(task),
        }
    }

    /// The engine of plain loops.
    fn of_loops(self) -> Self {
        match self {
            // Its proof includes AVX2.
            #[cfg(target_arch = "x86_64")]
            Self::Avx512(_) => x86_64::avx2::Avx2::new().map_or(Self::Generic, Self::Avx2),
            other => other,
        }
    }
}

/// An expression with the [`Vectors`](vectors::Vectors) of an engine.
macro_rules! with_vectors {
    ($engine:expr, $vectors:ident => $result:expr) => {
        match $engine {
            $crate::kernels::Engine::Generic => {
                let $vectors = $crate::kernels::generic::Generic;
                $result
            }
            #[cfg(target_arch = "x86_64")]
            $crate::kernels::Engine::Avx2($vectors) => $result,
            #[cfg(target_arch = "x86_64")]
            $crate::kernels::Engine::Avx512($vectors) => $result,
            #[cfg(target_arch = "aarch64")]
            $crate::kernels::Engine::Neon($vectors) => $result,
        }
    };
}
use with_vectors;

impl Kernels {
    /// Refuses a name that does not exist, or whose kernels this machine cannot run.
    pub(crate) fn check(self) -> Result<(), Error> {
        match self {
            Self::Named(name) if self.engine().is_none() => {
                let available = KERNELS.iter().filter(|kernels| kernels.is_available());
                Err(Error::NoKernels { name, available: available.map(|kernels| kernels.name).collect() })
            }
            _ => Ok(()),
        }
    }

    /// The kernels that run; `None` for the plain loops, and for a name that [`check`](Self::check) refuses.
    pub(crate) fn engine(self) -> Option<Engine> {
        match self {
            Self::Auto => KERNELS.iter().find_map(KernelInfo::engine),
            Self::Reference | Self::InPlace => None,
            Self::Named(name) => {
                KERNELS.iter().find(|kernels| kernels.name == name).and_then(KernelInfo::engine)
            }
        }
    }

    /// Those that sum the products of two rows, as [`Dot`] does.
    pub(crate) fn of_dots(self) -> Self {
        match self {
            Self::Reference => Self::Reference,
            Self::Auto | Self::InPlace | Self::Named(_) => Self::InPlace,
        }
    }

    /// Everything that this machine can run.
    #[cfg(test)]
    pub(crate) fn engines() -> alloc::vec::Vec<Engine> {
        KERNELS.iter().filter_map(KernelInfo::engine).collect()
    }
}

impl fmt::Display for Kernels {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Auto => "auto",
            Self::Reference => "reference",
            Self::InPlace => "in-place",
            Self::Named(name) => name,
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
            Self::Auto | Self::InPlace | Self::Named(_) => generic::dot_i8(row, weights, zero_points),
            Self::Reference => reference_dot(row, weights, zero_points),
        }
    }
}

impl Dot<i16, i64> for Kernels {
    fn dot(&self, row: &[i16], weights: &[i8], zero_points: (i32, i32)) -> i64 {
        match self {
            Self::Auto | Self::InPlace | Self::Named(_) if zero_points == (0, 0) => {
                generic::dot_i16(row, weights)
            }
            _ => reference_dot(row, weights, zero_points),
        }
    }
}

impl Dot<i16, i32> for Kernels {
    fn dot(&self, row: &[i16], weights: &[i8], zero_points: (i32, i32)) -> i32 {
        match self {
            // A 32-bit sum wraps; the wrapped value is the low half of the exact one.
            Self::Auto | Self::InPlace | Self::Named(_) if zero_points == (0, 0) => {
                generic::dot_i16(row, weights) as i32
            }
            _ => reference_dot(row, weights, zero_points),
        }
    }
}

impl Dot<i16, i64, i16> for Kernels {
    #[inline]
    fn dot(&self, row: &[i16], weights: &[i16], zero_points: (i32, i32)) -> i64 {
        match self {
            Self::Auto | Self::InPlace | Self::Named(_) if zero_points == (0, 0) => {
                generic::dot_i16_i16(row, weights)
            }
            _ => reference_dot(row, weights, zero_points),
        }
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
    use alloc::string::ToString;
    use alloc::vec::Vec;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn kernels_that_do_not_exist_are_refused_and_the_others_listed() {
        let error = Kernels::Named("abacus").check().unwrap_err().to_string();
        assert!(error.starts_with("there are no kernels 'abacus' for this machine, which has "), "{error}");
        assert!(error.ends_with(if cfg!(feature = "kernels") { "generic" } else { "none" }), "{error}");
        for kernels in KERNELS.iter().filter(|kernels| kernels.is_available()) {
            assert_eq!(Kernels::Named(kernels.name).check(), Ok(()));
        }
    }

    /// Depths around the blocks of 508 and of 65536 products, and the sums that come closest to overflowing.
    const DEPTHS: [usize; 12] = [0, 1, 2, 3, 4, 5, 507, 508, 509, 1016, 4097, 65_537];

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
                for other in [i16::MIN, -1, i16::MAX] {
                    let exact = i64::from(x) * i64::from(other) * depth as i64;
                    assert_eq!(Kernels::Auto.dot(&row, &alloc::vec![other; depth], (0, 0)), exact);
                }
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
            let other: Vec<i16> = wide.iter().rev().copied().collect();
            let sums = |kernels: Kernels| -> (i64, i32, i32, i64) {
                (
                    kernels.dot(&wide, &weights, (0, 0)),
                    kernels.dot(&wide, &weights, (0, 0)),
                    kernels.dot(&narrow, &weights, zero_points),
                    kernels.dot(&wide, &other, (0, 0)),
                )
            };
            prop_assert_eq!(sums(Kernels::Auto), sums(Kernels::Reference));
        }
    }
}
