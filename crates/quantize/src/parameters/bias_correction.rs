//! Bias correction: what rounding takes from the mean of a layer's results is given back by its bias.

use super::{Channels, Weights};

/// The bias with the mean that rounding the weights took from each channel added to it:
/// `bias + sum_k((w[k] - scale * q[k]) * mean[k])`, the sum in float64 in the order of the weights, the result cut to
/// float32.
///
/// The formula is that of Nagel et al. 2019, "Data-Free Quantization Through Weight Equalization and Bias Correction",
/// section 4.2. The means are `[groups, weights of a channel]`, each group serving as many channels as the next; `None`
/// where their number does not fit to the weights.
pub(crate) fn corrected_bias(
    bias: &[f32],
    floats: &Channels<'_>,
    integers: &Weights,
    means: &[f64],
) -> Option<Vec<f32>> {
    let channels = floats.count();
    let per_channel = floats.values.len() / channels;
    let groups = means.len().checked_div(per_channel)?;
    if groups == 0 || groups * per_channel != means.len() || !channels.is_multiple_of(groups) {
        return None;
    }
    let mut corrections = vec![0f64; channels];
    let mut weights_seen = vec![0; channels];
    for ((channel, float), &integer) in floats.iter().zip(&integers.values) {
        let group = channel * groups / channels;
        let mean = means[group * per_channel + weights_seen[channel]];
        let rounded = f64::from(integers.scale[channel]) * f64::from(integer);
        corrections[channel] += (f64::from(float) - rounded) * mean;
        weights_seen[channel] += 1;
    }
    let corrected = |(&bias, correction): (&f32, f64)| (f64::from(bias) + correction) as f32;
    Some(bias.iter().zip(corrections).map(corrected).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn integers(values: &[i8], scale: &[f32]) -> Weights {
        Weights { values: values.into(), scale: scale.into(), bias_scale: scale.into(), widened: 0 }
    }

    #[test]
    fn each_weight_is_weighed_with_the_mean_it_meets() {
        let channels = Channels::new(&[0.75, -1.0, 2.5, 3.0], &[2, 2], 0).unwrap();
        let weights = integers(&[1, -2, 2, 4], &[0.5, 1.0]);
        // (0.75 - 0.5) * 4 + (-1 + 1) * 8 and (2.5 - 2) * 4 + (3 - 4) * 8.
        assert_eq!(corrected_bias(&[10.0, 20.0], &channels, &weights, &[4.0, 8.0]), Some(vec![11.0, 14.0]));
    }

    #[test]
    fn groups_meet_means_of_their_own() {
        let channels = Channels::new(&[0.5; 4], &[4, 1], 0).unwrap();
        let weights = integers(&[0; 4], &[1.0; 4]);
        let corrected = corrected_bias(&[0.0; 4], &channels, &weights, &[2.0, 6.0]);
        assert_eq!(corrected, Some(vec![1.0, 1.0, 3.0, 3.0]));
    }

    #[test]
    fn the_last_dimension_may_count_the_channels() {
        let channels = Channels::new(&[0.5, 0.25, 1.0, 0.0], &[2, 2], 1).unwrap();
        let weights = integers(&[0; 4], &[1.0; 2]);
        assert_eq!(corrected_bias(&[0.0; 2], &channels, &weights, &[1.0, 2.0]), Some(vec![2.5, 0.25]));
    }

    #[test]
    fn means_of_another_layer_are_refused() {
        let channels = Channels::new(&[0.5; 6], &[3, 2], 0).unwrap();
        let correct =
            |means: &[f64]| corrected_bias(&[0.0; 3], &channels, &integers(&[0; 6], &[1.0; 3]), means);
        assert!(correct(&[1.0; 2]).is_some() && correct(&[1.0; 6]).is_some());
        for wrong in [0, 1, 3, 4] {
            assert_eq!(correct(&vec![1.0; wrong]), None);
        }
    }
}
