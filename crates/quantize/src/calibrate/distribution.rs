//! How the values of a tensor are distributed.

use serde::{Deserialize, Serialize};

use super::exact_sum::ExactSum;
use super::observer::Bounds;

/// The distribution of a tensor's values. Merging is exact: any order and grouping of the samples leads to the same state.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Distribution {
    samples: usize,
    /// Sums of the smallest and of the largest value of each sample.
    extremes: [ExactSum; 2],
    pub(super) histogram: Histogram,
}

impl Distribution {
    /// Takes note of a sample's finite values, which have these bounds.
    pub(super) fn observe(&mut self, values: &[f32], Bounds { min, max }: Bounds) {
        self.samples += 1;
        self.extremes.iter_mut().zip([min, max]).for_each(|(sum, value)| sum.add(value));
        self.histogram.observe(values, min.abs().max(max.abs()));
    }

    /// Takes note of what another saw.
    pub(super) fn merge(&mut self, other: &Self) {
        self.samples += other.samples;
        self.extremes.iter_mut().zip(&other.extremes).for_each(|(mine, theirs)| mine.merge(theirs));
        self.histogram.merge(&other.histogram);
    }

    /// The means of the samples' smallest and largest values.
    pub(super) fn mean_extremes(&self) -> Bounds {
        let [min, max] = self.extremes.map(|sum| (sum.value() / self.samples as f64) as f32);
        Bounds { min, max }
    }

    /// Whether so many samples can have led to this.
    pub(super) fn fits(&self, samples: usize) -> bool {
        self.samples <= samples && self.extremes.iter().all(|sum| sum.fits(self.samples))
    }
}

/// How many values lie in each of [`BINS`](Self::BINS) bins of one width.
///
/// They reach from `-2^exponent` to `2^exponent`, the smallest power of two above all magnitudes. Where that doubles, two
/// bins each become one: which bin a value is counted in does not depend on what came before it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Counts", into = "Counts")]
pub(super) struct Histogram {
    exponent: i32,
    counts: Vec<u64>,
}

/// The histogram without the bins at its ends that are empty.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Counts {
    exponent: i32,
    first: usize,
    counts: Vec<u64>,
}

impl Histogram {
    /// Number of bins: eight for each step of 8 bits.
    pub(super) const BINS: usize = 2048;
    /// Of numbers below the smallest normal one.
    const SMALLEST: i32 = -126;
    const LARGEST: i32 = 128;

    fn observe(&mut self, values: &[f32], magnitude: f32) {
        self.widen(exponent_above(magnitude));
        let per_unit = 1.0 / self.width();
        for &value in values {
            // Exact: below 2^exponent there are half of the bins.
            let bin = (f64::from(value) * per_unit).floor() as i64 + Self::BINS as i64 / 2;
            self.counts[bin as usize] += 1;
        }
    }

    fn merge(&mut self, other: &Self) {
        let mut other = other.clone();
        other.widen(self.exponent);
        self.widen(other.exponent);
        self.counts
            .iter_mut()
            .zip(other.counts)
            .for_each(|(mine, theirs)| *mine = mine.saturating_add(theirs));
    }

    /// Makes the bins reach at least as far as of the given exponent.
    fn widen(&mut self, exponent: i32) {
        let halvings = (exponent - self.exponent).clamp(0, i64::BITS as i32 - 1);
        if halvings == 0 {
            return;
        }
        let middle = Self::BINS as i64 / 2;
        let mut counts = vec![0; Self::BINS];
        for (bin, count) in (0..).zip(&self.counts) {
            counts[(((bin - middle) >> halvings) + middle) as usize] += count;
        }
        (self.exponent, self.counts) = (exponent, counts);
    }

    /// The width of a bin.
    pub(super) fn width(&self) -> f64 {
        2f64.powi(self.exponent) / (Self::BINS / 2) as f64
    }

    /// The bins that are not empty: the number, of which that of 0 is the first not below 0, and the count.
    pub(super) fn bins(&self) -> impl DoubleEndedIterator<Item = (i64, u64)> {
        let bins = self.counts.iter().enumerate().filter(|&(_, &count)| count > 0);
        bins.map(|(bin, &count)| (bin as i64 - Self::BINS as i64 / 2, count))
    }
}

/// The smallest exponent of a power of two above a magnitude.
fn exponent_above(magnitude: f32) -> i32 {
    // Exact: 8 bits.
    (magnitude.to_bits() >> 23) as i32 + Histogram::SMALLEST
}

impl Default for Histogram {
    fn default() -> Self {
        Self { exponent: Self::SMALLEST, counts: vec![0; Self::BINS] }
    }
}

impl From<Histogram> for Counts {
    fn from(Histogram { exponent, counts }: Histogram) -> Self {
        let first = counts.iter().position(|&count| count > 0).unwrap_or(0);
        let end = counts.iter().rposition(|&count| count > 0).map_or(first, |last| last + 1);
        Self { exponent, first, counts: counts[first..end].to_vec() }
    }
}

impl TryFrom<Counts> for Histogram {
    type Error = String;

    fn try_from(Counts { exponent, first, counts }: Counts) -> Result<Self, String> {
        let end = first.checked_add(counts.len()).filter(|&end| end <= Self::BINS);
        let is_right = (Self::SMALLEST..=Self::LARGEST).contains(&exponent);
        let (Some(end), true) = (end, is_right) else {
            return Err(format!("{} counts from {first} below 2^{exponent} are no histogram", counts.len()));
        };
        let mut histogram = Self { exponent, ..Self::default() };
        histogram.counts[first..end].copy_from_slice(&counts);
        Ok(histogram)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn distribution(samples: &[Vec<f32>]) -> Distribution {
        let mut distribution = Distribution::default();
        for values in samples {
            let fold = |start: f32, choose: fn(f32, f32) -> f32| values.iter().copied().fold(start, choose);
            let bounds = Bounds { min: fold(f32::MAX, f32::min), max: fold(f32::MIN, f32::max) };
            distribution.observe(values, bounds);
        }
        distribution
    }

    #[test]
    fn values_lie_in_their_bins() {
        let Histogram { exponent, counts } =
            distribution(&[vec![1.0, -1.0, 0.0, 1.999, -0.001], vec![0.25]]).histogram;
        assert_eq!(exponent, 1);
        let filled: Vec<_> = (0..Histogram::BINS).filter(|&bin| counts[bin] > 0).collect();
        assert_eq!(filled, [512, 1023, 1024, 1152, 1536, 2047]);
    }

    #[test]
    fn powers_of_two_lie_below_the_next() {
        assert_eq!([0.5, 0.999, 1.0, 1.5, 2.0].map(exponent_above), [0, 0, 1, 1, 2]);
        assert_eq!([0.0, 1e-40, f32::MIN_POSITIVE, f32::MAX].map(exponent_above), [-126, -126, -125, 128]);
    }

    proptest! {
        #[test]
        fn the_order_and_the_grouping_of_samples_do_not_matter(
            mut samples in prop::collection::vec(prop::collection::vec(-1e3f32..1e3, 1..20), 1..8),
            scale in -30i32..30,
            cut in 0usize..8,
        ) {
            let last = samples.len() - 1;
            samples[last].iter_mut().for_each(|value| *value *= 2f32.powi(scale));
            let whole = distribution(&samples);
            samples.reverse();
            let (left, right) = samples.split_at(cut.min(samples.len()));
            let mut merged = distribution(right);
            merged.merge(&distribution(left));
            prop_assert_eq!(&merged, &whole);
            let read: Distribution = serde_json::from_str(&serde_json::to_string(&whole).unwrap()).unwrap();
            prop_assert_eq!(read, whole);
        }
    }
}
