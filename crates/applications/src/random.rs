//! Random numbers that are the same on every machine.

use rand_pcg::Pcg32;
use rand_pcg::rand_core::Rng;

/// The random numbers of one sample.
pub(crate) struct Random(Pcg32);

impl Random {
    /// A stream of its own for each sample of each seed.
    pub(crate) fn new(seed: u64, sample: u64) -> Self {
        // Steps of the golden ratio (Weyl), as SplitMix64 takes: seeds that are neighbours become strangers.
        Self(Pcg32::new(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15), sample))
    }

    /// Evenly from `low` to `high`: 24 bits, as many as a float holds.
    pub(crate) fn uniform(&mut self, low: f32, high: f32) -> f32 {
        let unit = (self.0.next_u32() >> 8) as f32 / (1 << 24) as f32;
        low + (high - low) * unit
    }

    /// Evenly in the logarithm, from `low` to `high`, both above 0.
    pub(crate) fn logarithmic(&mut self, low: f32, high: f32) -> f32 {
        libm::expf(self.uniform(libm::logf(low), libm::logf(high)))
    }

    /// Evenly from `0..bound`, by the upper half of a product.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        ((u64::from(self.0.next_u32()) * bound as u64) >> 32) as usize
    }

    /// A normal variate: mean 0, variance 1 (Box and Muller, 1958).
    pub(crate) fn normal(&mut self) -> f32 {
        let radius = libm::sqrtf(-2.0 * libm::logf(1.0 - self.uniform(0.0, 1.0)));
        radius * libm::cosf(core::f32::consts::TAU * self.uniform(0.0, 1.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn normal_variates_have_mean_0_and_variance_1() {
        let mut random = Random::new(1, 0);
        let values: Vec<f32> = (0..20_000).map(|_| random.normal()).collect();
        let mean = values.iter().sum::<f32>() / values.len() as f32;
        let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f32>() / values.len() as f32;
        assert!(mean.abs() < 0.02 && (variance - 1.0).abs() < 0.03, "{mean}, {variance}");
        assert!(values.iter().all(|value| value.is_finite()));
    }

    #[test]
    fn samples_and_seeds_differ() {
        let first = |seed, sample| Random::new(seed, sample).uniform(0.0, 1.0);
        assert_ne!(first(1, 0), first(1, 1));
        assert_ne!(first(1, 0), first(2, 0));
        assert_eq!(first(1, 0), first(1, 0));
    }
}
