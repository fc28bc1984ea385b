//! Weights rounded so that the layer's results err least: GPTQ.
//!
//! Of a channel with the weights `w`, the integers `q` and the scale `s`, results err by `e^T H e` on average, where
//! `e = w - s q` and `H` holds the second moments of what the weights meet. With `H = L L^T` (Cholesky) this is the square of
//! `L^T e`, whose last component has the last weight alone: from the last weight to the first, each is rounded to where the
//! component of its own becomes smallest. That is Babai's nearest plane, and equal to GPTQ (Frantar et al. 2022) from the
//! back (Chen et al. 2025, "The Geometry of LLM Quantization: GPTQ as Babai's Nearest Plane Algorithm").

use super::{Channels, WEIGHT_LIMIT, Weights};
use crate::triangle::Triangle;

/// Rounds the weights again, with their scales; `None` where the moments are not those of the layer.
///
/// There is one matrix for each group of channels, and each group serves as many channels as the next. Where the mean error
/// is given back by the bias, `means` are the means `[groups, weights of a channel]`, and only what varies counts. A group
/// whose inputs were always 0 keeps its weights.
pub(crate) fn round_by_moments(
    floats: &Channels<'_>,
    integers: &mut Weights,
    moments: &[Triangle],
    means: Option<&[f64]>,
) -> Option<()> {
    let channels = floats.count();
    let inputs = floats.values.len() / channels;
    let per_group = channels.checked_div(moments.len()).filter(|count| count * moments.len() == channels)?;
    let means = means.unwrap_or_default();
    let fits = |group: &Triangle| group.order() == inputs;
    if !moments.iter().all(fits) || !(means.is_empty() || means.len() == inputs * moments.len()) {
        return None;
    }
    for (group, moments) in moments.iter().enumerate() {
        let means = means.get(group * inputs..(group + 1) * inputs);
        let Some(planes) = Planes::new(moments, means) else { continue };
        for channel in group * per_group..(group + 1) * per_group {
            planes.round(floats, integers, channel);
        }
    }
    Some(())
}

/// How the errors of weights add up in the results.
struct Planes {
    /// The weights' order: those whose inputs are largest come last, and are rounded first, when all others can still
    /// make up for them.
    order: Vec<usize>,
    factor: Triangle,
}

/// What is added to the diagonal, as a part of its mean: samples are few, and do not say everything.
const DAMPING: f64 = 0.01;
/// The same of the moments themselves: more than what means in float32 are off, when nothing varies.
const NOISE: f64 = 1e-6;

impl Planes {
    fn new(moments: &Triangle, means: Option<&[f64]>) -> Option<Self> {
        let mean = |index: usize| means.map_or(0.0, |means| means[index]);
        let covariance = |moment: f64, row: usize, column: usize| moment - mean(row) * mean(column);
        let squares = moments.diagonal().into_iter().enumerate();
        let diagonal: Vec<f64> = squares.map(|(index, square)| covariance(square, index, index)).collect();
        let all = |diagonal: &[f64]| diagonal.iter().sum::<f64>() / diagonal.len() as f64;
        let damping = DAMPING * all(&diagonal).max(0.0) + NOISE * all(&moments.diagonal());
        let mut order: Vec<usize> = (0..diagonal.len()).collect();
        order.sort_by(|&a, &b| diagonal[a].total_cmp(&diagonal[b]));
        let damped = |moment: f64, row: usize, column: usize| {
            covariance(moment, row, column) + if row == column { damping } else { 0.0 }
        };
        let factor = moments.rearranged(&order, damped).cholesky()?;
        Some(Self { order, factor })
    }

    /// Rounds a channel's weights.
    fn round(&self, floats: &Channels<'_>, integers: &mut Weights, channel: usize) {
        let scale = f64::from(integers.scale[channel]);
        if scale == 0.0 {
            return;
        }
        let positions: Vec<usize> = floats.positions(channel).collect();
        // What the errors of the weights behind add to each component.
        let mut pulls = vec![0f64; positions.len()];
        for place in (0..positions.len()).rev() {
            let position = positions[self.order[place]];
            let row = self.factor.row(place);
            let exact = f64::from(floats.values[position]) / scale;
            let limit = f64::from(WEIGHT_LIMIT);
            let rounded = (exact + pulls[place] / row[place]).round().clamp(-limit, limit);
            // Exact: an integer within the limits.
            integers.values[position] = rounded as i8;
            let error = exact - rounded;
            pulls[..place].iter_mut().zip(row).for_each(|(pull, factor)| *pull += error * factor);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(seed: usize) -> f64 {
        let hash = (seed as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        ((hash ^ hash >> 29).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 40) as f64 / f64::from(1 << 23) - 1.0
    }

    /// The mean over the inputs of the square error of the results.
    fn error(floats: &Channels<'_>, integers: &Weights, inputs: &[Vec<f64>]) -> f64 {
        let mut sum = 0.0;
        for channel in 0..floats.count() {
            let scale = f64::from(integers.scale[channel]);
            for input in inputs {
                let terms = floats.positions(channel).zip(input).map(|(index, input)| {
                    (f64::from(floats.values[index]) - scale * f64::from(integers.values[index])) * input
                });
                sum += terms.sum::<f64>().powi(2);
            }
        }
        sum / inputs.len() as f64
    }

    fn moments(inputs: &[Vec<f64>]) -> Triangle {
        let mut moments = Triangle::zeros(inputs[0].len());
        let scale = (inputs.len() as f64).sqrt().recip();
        let scaled: Vec<Vec<f64>> =
            inputs.iter().map(|input| input.iter().map(|value| value * scale).collect()).collect();
        scaled.iter().for_each(|input| moments.add_squares(&[input]));
        moments
    }

    fn nearest(floats: &Channels<'_>) -> Weights {
        let halves = floats.magnitudes();
        let factors: Vec<f32> = halves.iter().map(|half| WEIGHT_LIMIT / half).collect();
        let scale: Vec<f32> = halves.iter().map(|half| half / WEIGHT_LIMIT).collect();
        Weights { values: floats.quantize(&factors), scale: scale.clone(), bias_scale: scale, widened: 0 }
    }

    /// Inputs that move together: what one weight errs, another gives back.
    #[test]
    fn results_err_less_than_of_nearest_weights() {
        let values: Vec<f32> = (0..6 * 40).map(|seed| number(seed) as f32).collect();
        for (shape, dimension) in [([6, 40], 0), ([40, 6], 1)] {
            let floats = Channels::new(&values, &shape, dimension).unwrap();
            let input = |sample: usize| {
                let common = number(1000 + sample);
                (0..40).map(|index| common + 0.2 * number(5000 + sample * 40 + index)).collect()
            };
            let inputs: Vec<Vec<f64>> = (0..200).map(input).collect();
            let before = nearest(&floats);
            let mut after = before.clone();
            round_by_moments(&floats, &mut after, &[moments(&inputs)], None).unwrap();
            let (nearest, rounded) = (error(&floats, &before, &inputs), error(&floats, &after, &inputs));
            assert!(rounded < 0.3 * nearest, "{nearest} became {rounded}");
            assert_eq!(before.scale, after.scale);
        }
    }

    #[test]
    fn inputs_without_relations_leave_the_nearest_weights() {
        let values: Vec<f32> = (0..24).map(|seed| number(seed) as f32).collect();
        let floats = Channels::new(&values, &[2, 12], 0).unwrap();
        let mut identity = Triangle::zeros(12);
        for index in 0..12 {
            let unit: Vec<f64> = (0..12).map(|other| f64::from(u8::from(other == index))).collect();
            identity.add_squares(&[&unit]);
        }
        let mut rounded = nearest(&floats);
        round_by_moments(&floats, &mut rounded, &[identity], None).unwrap();
        assert_eq!(rounded, nearest(&floats));
    }

    #[test]
    fn inputs_that_were_always_zero_leave_the_nearest_weights() {
        let floats = Channels::new(&[0.5, 0.3, 1.0, -0.2], &[2, 2], 0).unwrap();
        let mut rounded = nearest(&floats);
        round_by_moments(&floats, &mut rounded, &[Triangle::zeros(2)], None).unwrap();
        assert_eq!(rounded, nearest(&floats));
    }

    #[test]
    fn moments_of_another_layer_are_refused() {
        let floats = Channels::new(&[0.5; 12], &[4, 3], 0).unwrap();
        let round = |groups: usize, order: usize, means: usize| {
            let moments = vec![Triangle::zeros(order); groups];
            let means = vec![0.0; means];
            round_by_moments(&floats, &mut nearest(&floats), &moments, Some(&means))
        };
        assert_eq!(round(2, 3, 6), Some(()));
        for (groups, order, means) in [(0, 3, 0), (3, 3, 9), (1, 2, 2), (2, 3, 3)] {
            assert_eq!(round(groups, order, means), None);
        }
    }
}
