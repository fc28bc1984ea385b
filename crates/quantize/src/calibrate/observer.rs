//! What is remembered of the values of a tensor.

/// The smallest and the largest value that a tensor is taken to have.
#[derive(Debug, Clone, Copy, PartialEq)]
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

    /// The largest absolute value.
    pub fn magnitude(self) -> f32 {
        self.min.abs().max(self.max.abs())
    }
}

/// Observes the extremes of everything it is shown. Merging is exact: any order and grouping gives the same bounds.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct MinMax {
    seen: Option<Bounds>,
}

impl MinMax {
    /// An observer that saw exactly these bounds.
    pub(super) fn of(bounds: Bounds) -> Self {
        Self { seen: Some(bounds) }
    }

    /// Takes note of finite values.
    pub(super) fn observe(&mut self, values: &[f32]) {
        let Some(&first) = values.first() else { return };
        let start = self.seen.unwrap_or(Bounds { min: first, max: first });
        self.seen = Some(values.iter().fold(start, |bounds, &value| Bounds {
            min: if value < bounds.min { value } else { bounds.min },
            max: if value > bounds.max { value } else { bounds.max },
        }));
    }

    /// Takes note of what another observer saw.
    pub(super) fn merge(&mut self, other: Self) {
        if let Some(bounds) = other.seen {
            self.observe(&[bounds.min, bounds.max]);
        }
    }

    /// What was seen; `None` before the first value.
    pub(super) fn bounds(self) -> Option<Bounds> {
        self.seen
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn observing_in_parts_equals_observing_at_once() {
        let values = [0.5, -3.0, 2.0, 7.0, -0.25];
        let mut whole = MinMax::default();
        whole.observe(&values);
        assert_eq!(whole.bounds(), Some(Bounds { min: -3.0, max: 7.0 }));
        for cut in 0..=values.len() {
            let (mut left, mut right) = (MinMax::default(), MinMax::default());
            left.observe(&values[..cut]);
            right.observe(&values[cut..]);
            right.merge(left);
            assert_eq!(right, whole);
        }
    }

    #[test]
    fn bounds_are_widened_to_zero_not_beyond() {
        let bounds = Bounds { min: -4.0, max: -1.0 }.with_zero();
        assert_eq!(bounds, Bounds { min: -4.0, max: 0.0 });
        assert_eq!(bounds.magnitude(), 4.0);
    }
}
