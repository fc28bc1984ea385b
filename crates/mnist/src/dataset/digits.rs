//! Generated digits: what the tutorial runs on when MNIST cannot be had.
//!
//! A digit is a glyph (one of several ways to write it) whose strokes are shaken, bent by an elastic field
//! and an affine map, and drawn with a pen. The spread is set so that the tutorial's network errs about as often
//! as on MNIST: with Keras' layers and optimizer, an epoch ended at 0.964 to 0.972 (three seeds of the digits, three
//! of the training).
//!
//! Only additions, multiplications, divisions and square roots of `f32` are used: IEEE 754 defines their
//! every bit, so that a seed means the same digits on every machine. Sines, logarithms and the like would
//! not.

mod glyphs;
mod handwriting;
mod raster;

use rand_pcg::Pcg32;
use rand_pcg::rand_core::Rng;

use super::{CLASSES, Dataset, PIXELS};

/// A part of the digits; each draws other ones from the same seed.
#[derive(Clone, Copy)]
pub(super) enum Part {
    Train,
    Test,
}

/// `count` digits, drawn by as many threads as the machine runs at once.
pub(super) fn generate(seed: u64, part: Part, count: usize) -> Dataset {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    generate_on(threads, seed, part, count)
}

fn generate_on(threads: usize, seed: u64, part: Part, count: usize) -> Dataset {
    let mut images = vec![[0; PIXELS]; count];
    let mut labels = vec![0; count];
    let share = count.div_ceil(threads).max(1);
    std::thread::scope(|scope| {
        for (thread, (images, labels)) in images.chunks_mut(share).zip(labels.chunks_mut(share)).enumerate() {
            scope.spawn(move || {
                for (index, (image, label)) in images.iter_mut().zip(labels).enumerate() {
                    (*image, *label) = draw(&mut Random::new(seed, part, thread * share + index));
                }
            });
        }
    });
    Dataset::new(images, labels).expect("as many labels as images, each below the number of classes")
}

/// One digit and its label.
fn draw(random: &mut Random) -> ([u8; PIXELS], u8) {
    let digit = random.below(CLASSES);
    let strokes = handwriting::write(digit, random);
    (raster::render(&strokes, random), digit as u8)
}

/// The random numbers of one digit.
struct Random(Pcg32);

impl Random {
    /// A stream of its own for each digit, so that the order of drawing is free.
    fn new(seed: u64, part: Part, index: usize) -> Self {
        let part = part as u64;
        Self(Pcg32::new(mix(mix(mix(seed) ^ part) ^ index as u64), part))
    }

    /// Evenly from `0..bound`, by the upper half of a product.
    fn below(&mut self, bound: usize) -> usize {
        ((u64::from(self.0.next_u32()) * bound as u64) >> 32) as usize
    }

    /// Evenly from `low` to `high`: 24 bits, as many as a float holds.
    fn uniform(&mut self, low: f32, high: f32) -> f32 {
        let unit = (self.0.next_u32() >> 8) as f32 / (1 << 24) as f32;
        low + (high - low) * unit
    }

    /// A bell curve around 0 with variance 1: the sum of four even draws (Irwin-Hall), each of variance 1/12.
    fn bell(&mut self) -> f32 {
        const SQRT_3: f32 = 1.732_050_8;
        let sum = (0..4).fold(0.0, |sum, _| sum + self.uniform(-0.5, 0.5));
        sum * SQRT_3
    }
}

/// The output function of SplitMix64 (Steele, Lea and Flood, 2014): neighbours become strangers.
fn mix(value: u64) -> u64 {
    let mut z = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use sha2::{Digest, Sha256};

    use super::*;

    /// Reports quote accuracies on generated digits: a change here is a change of the dataset.
    #[test]
    fn a_seed_means_the_same_digits_on_every_machine() {
        let digits = generate(1, Part::Test, 1000);
        let sum = Sha256::new().chain_update(digits.images().as_flattened()).chain_update(digits.labels());
        let sum: String = sum.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(sum, "dfed62d7e814c1b462bfb008c172d2822b6925043141ec48fb8944f5308670d3");
    }

    #[test]
    fn the_number_of_threads_changes_nothing() {
        let one = generate_on(1, 3, Part::Train, 101);
        for threads in [2, 7, 200] {
            assert_eq!(generate_on(threads, 3, Part::Train, 101), one);
        }
        assert_eq!(generate_on(4, 3, Part::Train, 0).len(), 0);
    }

    #[test]
    fn seeds_parts_and_positions_differ() {
        let train = generate(1, Part::Train, 500);
        assert_ne!(train.images(), generate(1, Part::Test, 500).images());
        assert_ne!(train.images(), generate(2, Part::Train, 500).images());
        let mut images = train.images().to_vec();
        images.sort_unstable();
        images.dedup();
        assert_eq!(images.len(), 500);
    }

    #[test]
    fn every_digit_is_as_frequent_as_the_others() {
        let digits = generate(1, Part::Train, 10_000);
        for digit in 0..10 {
            let count = digits.labels().iter().filter(|&&label| label == digit).count();
            // Five standard deviations, sqrt(10000 * 0.1 * 0.9) = 30.
            assert!((850..=1150).contains(&count), "{count} of {digit}");
        }
    }

    #[test]
    fn ink_fills_the_middle_and_leaves_the_border_black() {
        let digits = generate(1, Part::Train, 2000);
        for image in digits.images() {
            let (rows, _) = image.as_chunks::<28>();
            assert!(rows[0].iter().chain(&rows[27]).all(|&pixel| pixel == 0));
            assert!(rows.iter().all(|row| row[0] == 0 && row[27] == 0));
            let ink = image.iter().filter(|&&pixel| pixel > 127).count();
            assert!((15..350).contains(&ink), "{ink} pixels of ink");
        }
    }
}
