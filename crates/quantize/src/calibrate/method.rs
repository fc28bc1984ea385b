//! From what calibration saw of a tensor to the range that its integers have.

use super::distribution::{Distribution, Histogram};
use super::observer::Bounds;
use crate::Scheme;

/// Which range a tensor is taken to have; values beyond are cut off.
///
/// All but `MinMax` need [distributions](crate::Calibration::with_distributions). They are of use in int8, where a few
/// values far beyond all others make the steps of all coarse.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
#[non_exhaustive]
pub enum CalibrationMethod {
    /// From the smallest to the largest value of all samples.
    #[default]
    MinMax,
    /// From the mean of the samples' smallest values to the mean of their largest. Other tools have a moving average here,
    /// whose last samples weigh most; this one does not depend on their order.
    Average,
    /// Without the share of the values that lie farthest out at each end: 0.0001 leaves out at most one in ten thousand.
    Percentile(f64),
    /// The range with the least mean square error of rounding and cutting off.
    Mse,
    /// The range whose integers tell most about the values: with the least divergence of Kullback and Leibler between the
    /// distributions before and after (Migacz 2017, "8-bit Inference with TensorRT").
    Entropy,
}

impl CalibrationMethod {
    /// The range within what was seen.
    pub(super) fn range(self, seen: Bounds, distribution: &Distribution, scheme: Scheme) -> Bounds {
        let histogram = &distribution.histogram;
        let Bounds { min, max } = match self {
            Self::MinMax => seen,
            Self::Average => distribution.mean_extremes(),
            Self::Percentile(share) => without_tails(histogram, share),
            Self::Mse => least(seen, |range| square_error(histogram, range, scheme)),
            Self::Entropy => least(seen, |range| divergence(histogram, range, scheme)),
        };
        Bounds { min: min.clamp(seen.min, seen.max), max: max.clamp(seen.min, seen.max) }
    }
}

/// The bins at both ends with at most a share of the values each, taken away.
fn without_tails(histogram: &Histogram, share: f64) -> Bounds {
    let total: u64 = histogram.bins().map(|(_, count)| count).sum();
    let most = (share * total as f64) as u64;
    let inner = |(seen, _): (u64, i64), (bin, count): (i64, u64)| {
        let seen = seen + count;
        if seen > most { Err(bin) } else { Ok((seen, bin)) }
    };
    let end = |result: Result<(u64, i64), i64>| result.map_or_else(|bin| bin, |(_, bin)| bin) as f64;
    let low = end(histogram.bins().try_fold((0, 0), inner));
    let high = end(histogram.bins().rev().try_fold((0, 0), inner)) + 1.0;
    Bounds { min: (low * histogram.width()) as f32, max: (high * histogram.width()) as f32 }
}

/// Parts of a range that are tried at each end.
const STEPS: u8 = 64;

/// Of the ranges within the one seen, the one with the least cost; of equal ones the widest.
fn least(seen: Bounds, cost: impl Fn([f64; 2]) -> f64) -> Bounds {
    let Bounds { min, max } = seen.with_zero();
    let parts = |end: f32| {
        let count = if end == 0.0 { 1 } else { STEPS };
        (0..count).map(move |step| f64::from(end) * f64::from(STEPS - step) / f64::from(STEPS))
    };
    let ranges = parts(min).flat_map(|low| parts(max).map(move |high| [low, high]));
    let costs = ranges.map(|range| (cost(range), range));
    let best = costs.reduce(|best, other| if other.0 < best.0 { other } else { best });
    best.map_or(seen, |(_, [low, high])| Bounds { min: low as f32, max: high as f32 })
}

/// The step between neighbouring integers of a range that has 0 in it.
fn step([low, high]: [f64; 2], scheme: Scheme) -> f64 {
    match scheme {
        Scheme::Int16x8 => high.max(-low) / 32767.0,
        _ => (high - low) / 255.0,
    }
}

/// The sum of the square errors, bins taken for their middles.
fn square_error(histogram: &Histogram, range: [f64; 2], scheme: Scheme) -> f64 {
    let rounding = step(range, scheme).powi(2) / 12.0;
    let error = |(bin, count): (i64, u64)| {
        let value = (bin as f64 + 0.5) * histogram.width();
        let beyond = (range[0] - value).max(value - range[1]);
        count as f64 * if beyond > 0.0 { beyond * beyond } else { rounding }
    };
    histogram.bins().map(error).sum()
}

/// `sum(p log(p / q))`, where `p` are the bins within the range, with all beyond in its outermost, and `q` the same without
/// those beyond, each integer's values spread evenly over its bins that are not empty.
fn divergence(histogram: &Histogram, range: [f64; 2], scheme: Scheme) -> f64 {
    let (step, width) = (step(range, scheme), histogram.width());
    let [first, last] = [(range[0] / width).floor(), (range[1] / width).ceil() - 1.0].map(|bin| bin as i64);
    let last = last.max(first);
    let integer = |bin: i64| (((bin as f64 + 0.5) * width).clamp(range[0], range[1]) / step).round();
    let mut bins: Vec<(i64, u64, u64)> = Vec::new();
    for (bin, count) in histogram.bins() {
        let inside = if (first..=last).contains(&bin) { count } else { 0 };
        let bin = bin.clamp(first, last);
        match bins.last_mut() {
            Some((same, all, kept)) if *same == bin => (*all, *kept) = (*all + count, *kept + inside),
            _ => bins.push((bin, count, inside)),
        }
    }
    let (total, kept) = bins.iter().fold((0, 0), |(a, b), &(_, all, inside)| (a + all, b + inside));
    if kept == 0 {
        return f64::INFINITY;
    }
    let of_one_integer = bins.chunk_by(|&(a, ..), &(b, ..)| integer(a) == integer(b));
    let divergences = of_one_integer.map(|bins| {
        let inside = bins.iter().map(|&(_, _, inside)| inside).sum::<u64>() as f64;
        // A bin of values from beyond alone.
        let even = (inside / bins.len() as f64 / kept as f64).max(f64::EPSILON);
        let terms = bins.iter().map(|&(_, all, _)| all as f64 / total as f64);
        terms.map(|share| share * (share / even).ln()).sum::<f64>()
    });
    divergences.sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    const METHODS: [CalibrationMethod; 4] = [
        CalibrationMethod::Average,
        CalibrationMethod::Percentile(0.001),
        CalibrationMethod::Mse,
        CalibrationMethod::Entropy,
    ];

    /// The range of samples.
    fn range(method: CalibrationMethod, samples: &[Vec<f32>]) -> Bounds {
        let mut distribution = Distribution::default();
        let bounds = |values: &[f32]| {
            let fold = |choose: fn(f32, f32) -> f32| values.iter().copied().reduce(choose).unwrap();
            Bounds { min: fold(f32::min), max: fold(f32::max) }
        };
        samples.iter().for_each(|values| distribution.observe(values, bounds(values)));
        method.range(bounds(&samples.concat()), &distribution, Scheme::Int8)
    }

    /// Sums of four numbers from -1 to 1: bell-shaped.
    fn bell(count: u32) -> Vec<f32> {
        let number = |seed: u32| {
            let hash = (seed + 1).wrapping_mul(0x9e37_79b9);
            ((hash ^ hash >> 15).wrapping_mul(0x85eb_ca6b) >> 8) as f32 / 8_388_608.0 - 1.0
        };
        (0..count).map(|index| (0..4).map(|part| number(4 * index + part)).sum()).collect()
    }

    #[test]
    fn one_value_far_out_is_left_out() {
        let (mut with_outlier, usual) = (bell(20_000), bell(20_000));
        with_outlier[77] = 40.0;
        let samples = [with_outlier, usual.clone(), usual.clone(), usual];
        assert_eq!(range(CalibrationMethod::MinMax, &samples).max, 40.0);
        for method in METHODS {
            let Bounds { min, max } = range(method, &samples);
            assert!((2.0..38.0).contains(&max) && (-4.0..-2.0).contains(&min), "{method:?}: {min} to {max}");
        }
    }

    #[test]
    fn even_values_keep_almost_their_range() {
        let even: Vec<f32> = (0u16..4096).map(|value| f32::from(value) / 4096.0).collect();
        for method in METHODS {
            let Bounds { min, max } = range(method, std::slice::from_ref(&even));
            assert!(min <= 0.002 && (0.98..=1.0).contains(&max), "{method:?}: {min} to {max}");
        }
    }

    #[test]
    fn ranges_that_are_points_stay() {
        for value in [0.0, 3.0, -1e-30] {
            for method in METHODS {
                let found = range(method, &[vec![value; 3]]);
                assert_eq!(found, Bounds { min: value, max: value }, "{method:?}");
            }
        }
    }
}
