//! What an instruction set can do at best: the yardstick of its kernels.

use core::hint::black_box;

use crate::kernels::Kernels;
use crate::kernels::pack::PANEL;
use crate::kernels::vectors::{Task, Vectors};

/// Panels of sums that do not wait for each other: six times two vectors and their weights fit the registers of AVX2.
const CHAINS: usize = 6;

/// Multiplies and adds integers of 16 bits in registers, `steps` times a panel of each of some chains; the products that it
/// added. `None` for kernels without vectors.
///
/// Divided by the time that it takes, this is the peak of the instructions that the kernels sum products with.
#[doc(hidden)]
pub fn sum_integers(kernels: Kernels, steps: usize) -> Option<usize> {
    kernels.engine().map(|engine| engine.run(Integers(steps)))
}

/// As [`sum_integers`], of floats.
#[doc(hidden)]
pub fn sum_floats(kernels: Kernels, steps: usize) -> Option<usize> {
    kernels.engine().map(|engine| engine.run(Floats(steps)))
}

struct Integers(usize);

impl Task for Integers {
    type Output = usize;

    #[inline(always)]
    fn run<V: Vectors>(self, vectors: V) -> usize {
        let weights = black_box(vectors.ints([3; PANEL]));
        let mut sums = black_box([vectors.ints([1; PANEL]); CHAINS]);
        for _ in 0..self.0 {
            // Multiplied by themselves, sums differ from chain to chain for all that the compiler knows.
            for sum in &mut sums {
                *sum = vectors.multiply_add(*sum, *sum, weights);
            }
        }
        black_box(sums);
        self.0 * CHAINS * 2 * PANEL
    }
}

struct Floats(usize);

impl Task for Floats {
    type Output = usize;

    #[inline(always)]
    fn run<V: Vectors>(self, vectors: V) -> usize {
        // Times zero, so that the sums stay ordinary numbers.
        let weights = black_box(vectors.floats([0.0; PANEL]));
        let mut sums = black_box([vectors.floats([1.0; PANEL]); CHAINS]);
        for _ in 0..self.0 {
            for sum in &mut sums {
                *sum = vectors.multiply_add_float(*sum, *sum, weights);
            }
        }
        black_box(sums);
        self.0 * CHAINS * PANEL
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Sums([[i32; PANEL]; 3]);

    impl Task for Sums {
        type Output = [i32; PANEL];

        fn run<V: Vectors>(self, vectors: V) -> [i32; PANEL] {
            let [sums, x, weights] = self.0.map(|values| vectors.ints(values));
            vectors.int_array(vectors.multiply_add(sums, x, weights))
        }
    }

    #[test]
    fn every_engine_adds_the_products_of_pairs() {
        let pair = |low: i16, high: i16| i32::from(high) << 16 | i32::from(low as u16);
        let x = core::array::from_fn(|lane| pair(lane as i16 - 8, -300));
        let weights = core::array::from_fn(|lane| pair(-7, lane as i16));
        for engine in Kernels::engines() {
            let sums = engine.run(Sums([[5; PANEL], x, weights]));
            // NEON's lanes hold the products of other pairs of the same quarter.
            let total: i32 = sums.iter().sum();
            let expected: i32 = (0..PANEL as i32).map(|lane| 5 + (lane - 8) * -7 - 300 * lane).sum();
            assert_eq!(total, expected, "{engine:?}");
        }
    }
}
