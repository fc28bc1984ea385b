//! A layer of integers: its weights, and the way of its sums to outputs.

use alloc::vec::Vec;
use core::ops::Range;

use crate::fixed_point::{QuantizedMultiplier, round_half_away};
use crate::kernels::Engine;
use crate::kernels::pack::{PANEL, exact_pairs};
use crate::kernels::product::Sums;
use crate::kernels::scale::{Rule, Scaling};
use crate::ops::integer::OutputRange;

/// A layer of integers, as its operator has it.
pub(crate) struct Matrix<'l> {
    /// `[channels, depth]`.
    pub(crate) weights: &'l [i8],
    pub(crate) channels: usize,
    pub(crate) depth: usize,
    /// One for each channel, or none.
    pub(crate) bias: Bias<'l>,
    pub(crate) factors: ChannelFactors<'l>,
    pub(crate) range: OutputRange,
    /// No element of a row is larger in magnitude.
    pub(crate) bound: i64,
}

/// Biases and the width of sums.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Bias<'l> {
    /// 32-bit sums that wrap.
    Narrow(&'l [i32]),
    /// 64-bit sums.
    Wide(&'l [i64]),
}

impl Bias<'_> {
    /// Those of a range of channels.
    pub(crate) fn part(&self, channels: Range<usize>) -> Self {
        match *self {
            Self::Narrow(bias) => Self::Narrow(bias.get(channels).unwrap_or_default()),
            Self::Wide(bias) => Self::Wide(bias.get(channels).unwrap_or_default()),
        }
    }
}

/// From sums to outputs, by channel.
#[derive(Debug, Clone, Copy)]
pub(crate) enum ChannelFactors<'l> {
    /// The accumulator's rule in fixed point.
    Fixed(&'l [QuantizedMultiplier]),
    /// Double precision, rounded half away from zero.
    HalfAway(&'l [f64]),
}

/// What happens to the sums.
#[derive(Debug)]
pub(crate) enum Ending {
    /// They stay in 32 bits: either they fit, or they wrap as they should.
    Narrow(Scaling),
    /// Blocks of pairs are summed in 32 bits, and the blocks in 64.
    Wide { block: usize, bias: Vec<i64>, requantization: WideRequantization, range: OutputRange },
}

#[derive(Debug)]
pub(crate) enum WideRequantization {
    Fixed(Vec<QuantizedMultiplier>),
    HalfAway(Vec<f64>),
}

impl Ending {
    pub(crate) fn new(matrix: &Matrix<'_>) -> Self {
        matrix.narrow().map_or_else(|| matrix.wide(), Self::Narrow)
    }

    /// The outputs of `N` rows and the channels of a panel. `sum` gives the sums over a range of pairs.
    #[inline]
    pub(crate) fn outputs<const N: usize>(
        &self,
        engine: Engine,
        panel: usize,
        pairs: usize,
        outputs: &mut [Sums; N],
        mut sum: impl FnMut(Range<usize>, &mut [Sums; N]),
    ) {
        match self {
            Self::Narrow(scaling) => {
                sum(0..pairs, outputs);
                engine.scale(outputs, scaling, panel);
            }
            Self::Wide { block, .. } => {
                let mut wide = [[0i64; PANEL]; N];
                for start in (0..pairs).step_by(*block) {
                    sum(start..pairs.min(start + block), outputs);
                    for (wide, &sum) in wide.as_flattened_mut().iter_mut().zip(outputs.as_flattened()) {
                        *wide += i64::from(sum);
                    }
                }
                for (outputs, wide) in outputs.iter_mut().zip(&wide) {
                    for (lane, (output, &sum)) in outputs.iter_mut().zip(wide).enumerate() {
                        *output = self.wide(panel * PANEL + lane, sum);
                    }
                }
            }
        }
    }

    /// A channel's output for its 64-bit sum.
    fn wide(&self, channel: usize, sum: i64) -> i32 {
        let Self::Wide { bias, requantization, range, .. } = self else { return 0 };
        let sum = sum.wrapping_add(bias.get(channel).copied().unwrap_or_default());
        let value = match requantization {
            WideRequantization::Fixed(multipliers) => {
                multipliers.get(channel).map_or(0, |multiplier| multiplier.apply_wide(sum))
            }
            WideRequantization::HalfAway(factors) => {
                let value = round_half_away(sum as f64 * factors.get(channel).copied().unwrap_or_default());
                value.clamp(i32::MIN.into(), i32::MAX.into()) as i32
            }
        };
        range.output::<i32>(value)
    }
}

impl Matrix<'_> {
    /// The ending in 32 bits, if no sum leaves them, or if they wrap.
    fn narrow(&self) -> Option<Scaling> {
        let bias = match self.bias {
            Bias::Narrow(bias) => bias.to_vec(),
            Bias::Wide(bias) => self.narrow_bias(bias)?,
        };
        let rule = match (self.factors, self.bias) {
            (ChannelFactors::Fixed(multipliers), Bias::Narrow(_)) => Rule::fixed(multipliers),
            (ChannelFactors::Fixed(multipliers), Bias::Wide(_)) => Rule::half_up(multipliers)?,
            (ChannelFactors::HalfAway(factors), _) => Rule::half_away(factors),
        };
        Some(Scaling::new(rule, &bias, self.channels, self.range))
    }

    /// The ending in 64 bits.
    fn wide(&self) -> Ending {
        let requantization = match self.factors {
            ChannelFactors::Fixed(multipliers) => WideRequantization::Fixed(multipliers.to_vec()),
            ChannelFactors::HalfAway(factors) => WideRequantization::HalfAway(factors.to_vec()),
        };
        let bias = match self.bias {
            Bias::Narrow(bias) => bias.iter().map(|&bias| bias.into()).collect(),
            Bias::Wide(bias) => bias.to_vec(),
        };
        let block = exact_pairs(self.weights, self.depth, self.bound);
        Ending::Wide { block, bias, requantization, range: self.range }
    }

    /// The biases in 32 bits, if no channel's sum and bias can leave them, whatever the row.
    fn narrow_bias(&self, bias: &[i64]) -> Option<Vec<i32>> {
        let rows = self
            .weights
            .chunks_exact(self.depth.max(1))
            .zip(bias.iter().copied().chain(core::iter::repeat(0)));
        rows.map(|(row, bias)| {
            let sum = row.iter().map(|w| i64::from(w.unsigned_abs())).sum::<i64>() * self.bound;
            let reach = sum.checked_add(bias.checked_abs()?)?;
            (reach <= i64::from(i32::MAX)).then_some(bias as i32)
        })
        .collect()
    }
}
