//! The scales of weights with the least square error.

use super::{Channels, WEIGHT_LIMIT};

impl Channels<'_> {
    /// For each channel what its largest integer stands for, so that rounding and cutting off cost the least: the square
    /// error, summed in float64, is the smallest of [`STEPS`] fractions of the largest absolute value. Of equal ones it is
    /// the largest.
    pub(crate) fn least_error_halves(&self) -> Vec<f32> {
        let mut halves = self.magnitudes();
        for (channel, half) in halves.iter_mut().enumerate() {
            let largest = *half;
            let candidates = (0..STEPS).map(|step| largest * (1.0 - f32::from(step) / f32::from(2 * STEPS)));
            let with_error = candidates.map(|half| (self.square_error(channel, half), half));
            *half = with_error
                .reduce(|best, other| if other.0 < best.0 { other } else { best })
                .map_or(largest, |(_, half)| half);
        }
        halves
    }

    fn square_error(&self, channel: usize, half: f32) -> f64 {
        let (limit, scale) = (f64::from(WEIGHT_LIMIT), f64::from(half) / f64::from(WEIGHT_LIMIT));
        let error = |index: usize| {
            let value = f64::from(self.values[index]);
            value - scale * (value / scale).round().clamp(-limit, limit)
        };
        self.positions(channel).map(|index| error(index).powi(2)).sum()
    }
}

/// Fractions that are tried, from 1 downwards to above one half.
const STEPS: u8 = 50;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_weight_far_beyond_the_others_is_cut_off() {
        let mut values: Vec<f32> = (0u32..40_000).map(|n| (n % 4001) as f32 / 2000.0 - 1.0).collect();
        values[7] = 1.1;
        let channels = Channels::new(&values, &[1, 40_000], 0).unwrap();
        let half = channels.least_error_halves()[0];
        assert!(half < 1.06, "{half}");
        assert!(channels.square_error(0, half) < channels.square_error(0, 1.1));
    }

    #[test]
    fn weights_that_are_exact_stay() {
        let channels = Channels::new(&[127.0, 1.0, -64.0, 0.0, 0.0, 0.0], &[2, 3], 0).unwrap();
        assert_eq!(channels.least_error_halves(), [127.0, 0.0]);
    }
}
