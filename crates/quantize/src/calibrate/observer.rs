//! What is remembered of the values of a tensor.

use serde::{Deserialize, Serialize};

use super::distribution::Distribution;

/// The smallest and the largest value that a tensor is taken to have.
///
/// In JSON it is a pair of float64 numbers, which read back to the same float32 numbers.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(into = "[f64; 2]", try_from = "[f64; 2]")]
pub struct Bounds {
    /// The smallest value.
    pub min: f32,
    /// The largest value, not below the smallest.
    pub max: f32,
}

impl Bounds {
    /// The same widened to include 0, which every quantized tensor must represent exactly.
    pub fn with_zero(self) -> Self {
        Self { min: self.min.min(0.0), max: self.max.max(0.0) }
    }

    /// The extremes of values; `None` where there are none.
    fn of(values: &[f32]) -> Option<Self> {
        let &first = values.first()?;
        let start = Self { min: first, max: first };
        Some(values.iter().fold(start, |bounds, &value| Self {
            min: if value < bounds.min { value } else { bounds.min },
            max: if value > bounds.max { value } else { bounds.max },
        }))
    }

    /// The largest absolute value.
    pub fn magnitude(self) -> f32 {
        self.min.abs().max(self.max.abs())
    }
}

impl From<Bounds> for [f64; 2] {
    fn from(Bounds { min, max }: Bounds) -> Self {
        [min.into(), max.into()]
    }
}

impl TryFrom<[f64; 2]> for Bounds {
    type Error = String;

    fn try_from([min, max]: [f64; 2]) -> Result<Self, String> {
        let bounds = Self { min: min as f32, max: max as f32 };
        match bounds.min.is_finite() && bounds.max.is_finite() && bounds.min <= bounds.max {
            true => Ok(bounds),
            false => Err(format!("from {min} to {max} is no range of float32 numbers")),
        }
    }
}

/// What is remembered of the values of one tensor. Merging is exact: any order and grouping of the values leads to the
/// same state.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Observer {
    /// The extremes; `None` before the first value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    bounds: Option<Bounds>,
    /// `None` where it is not to be remembered, or was not always.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    distribution: Option<Distribution>,
}

impl Observer {
    /// An observer that saw exactly these bounds.
    pub(super) fn of(bounds: Bounds) -> Self {
        Self { bounds: Some(bounds), distribution: None }
    }

    /// One that also remembers how values are distributed.
    pub(super) fn with_distribution() -> Self {
        Self { bounds: None, distribution: Some(Distribution::default()) }
    }

    /// One that remembers the same things, before the first value.
    pub(super) fn blank(&self) -> Self {
        Self { bounds: None, distribution: self.distribution.as_ref().map(|_| Distribution::default()) }
    }

    /// Whether it saw nothing.
    pub(super) fn is_blank(&self) -> bool {
        self.bounds.is_none()
    }

    /// Takes note of a sample's finite values.
    pub(super) fn observe(&mut self, values: &[f32]) {
        let Some(bounds) = Bounds::of(values) else { return };
        if let Some(distribution) = &mut self.distribution {
            distribution.observe(values, bounds);
        }
        self.widen(bounds);
    }

    /// Takes note of what another observer saw. Distributions that one of them did not remember are forgotten.
    pub(super) fn merge(&mut self, other: &Self) {
        let Some(bounds) = other.bounds else { return };
        match (&mut self.distribution, &other.distribution) {
            (Some(mine), Some(theirs)) => mine.merge(theirs),
            (None, Some(theirs)) if self.bounds.is_none() => self.distribution = Some(theirs.clone()),
            (mine, _) => *mine = None,
        }
        self.widen(bounds);
    }

    fn widen(&mut self, Bounds { min, max }: Bounds) {
        self.bounds = Bounds::of(&match self.bounds {
            Some(seen) => [seen.min, min, max, seen.max],
            None => [min, min, max, max],
        });
    }

    /// The extremes that were seen; `None` before the first value.
    pub(super) fn bounds(&self) -> Option<Bounds> {
        self.bounds
    }

    /// How values are distributed, where that was remembered.
    pub(super) fn distribution(&self) -> Option<&Distribution> {
        self.distribution.as_ref()
    }

    /// Whether so many samples can have led to this.
    pub(super) fn fits(&self, samples: usize) -> bool {
        self.distribution.as_ref().is_none_or(|distribution| distribution.fits(samples))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn observing_in_parts_equals_observing_at_once() {
        let values = [0.5, -3.0, 2.0, 7.0, -0.25];
        let mut whole = Observer::default();
        whole.observe(&values);
        assert_eq!(whole.bounds(), Some(Bounds { min: -3.0, max: 7.0 }));
        for cut in 0..=values.len() {
            let (mut left, mut right) = (Observer::default(), Observer::default());
            left.observe(&values[..cut]);
            right.observe(&values[cut..]);
            right.merge(&left);
            assert_eq!(right, whole);
        }
    }

    #[test]
    fn a_distribution_is_of_all_samples_or_of_none() {
        let observer = |mut observer: Observer, values: &[f32]| {
            observer.observe(values);
            observer
        };
        let with = observer(Observer::with_distribution(), &[1.0]);
        let without = observer(Observer::default(), &[2.0]);
        let merged = |mut left: Observer, right: &Observer| {
            left.merge(right);
            left
        };
        assert_eq!(merged(Observer::default(), &with), with);
        assert_eq!(merged(with.clone(), &Observer::default()), with);
        assert_eq!(merged(with.clone(), &without), merged(without.clone(), &with));
        assert_eq!(merged(with, &without).distribution(), None);
    }

    #[test]
    fn bounds_are_widened_to_zero_not_beyond() {
        let bounds = Bounds { min: -4.0, max: -1.0 }.with_zero();
        assert_eq!(bounds, Bounds { min: -4.0, max: 0.0 });
        assert_eq!(bounds.magnitude(), 4.0);
    }
}
