//! A layer of integers: its weights, and the way of its sums to outputs.

use alloc::vec::Vec;
use core::ops::Range;

use crate::fixed_point::{QuantizedMultiplier, round_half_away};
use crate::kernels::pack::{PANEL, exact_pairs};
use crate::kernels::scale::{Rule, Scaling};
use crate::kernels::vectors::Vectors;
use crate::ops::activation::clamp;
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
    Narrow {
        scaling: Scaling,
        /// Whether the largest sum gives the largest output.
        is_monotonic: bool,
    },
    /// Blocks of pairs are summed in 32 bits, and the blocks in 64.
    Wide(WideEnding),
}

/// What happens to 64-bit sums.
#[derive(Debug)]
pub(crate) struct WideEnding {
    /// Pairs whose sum fits 32 bits.
    block: usize,
    bias: Vec<i64>,
    requantization: WideRequantization,
    range: OutputRange,
}

#[derive(Debug)]
enum WideRequantization {
    Fixed(Vec<QuantizedMultiplier>),
    HalfAway(Vec<f64>),
}

impl Ending {
    /// The ending of a matrix whose rows are packed in runs of `run` weights.
    pub(crate) fn new(matrix: &Matrix<'_>, run: usize) -> Self {
        matrix.narrow().unwrap_or_else(|| Self::Wide(matrix.wide(run)))
    }

    /// Whether the largest sum of a channel always gives its largest output.
    #[inline]
    pub(crate) fn is_monotonic(&self) -> bool {
        matches!(self, Self::Narrow { is_monotonic: true, .. })
    }

    /// Keeps the outputs within further bounds.
    pub(crate) fn bound(&mut self, bounds: (i32, i32)) {
        match self {
            Self::Narrow { scaling, .. } => scaling.bound(bounds),
            Self::Wide(WideEnding { range, .. }) => {
                (range.min, range.max) = (clamp(range.min, bounds), clamp(range.max, bounds));
            }
        }
    }

    /// The sums of `N` rows and the channels of a panel, from those over a range of pairs; the outputs where the sums need
    /// 64 bits.
    #[inline(always)]
    pub(crate) fn sums<V: Vectors, const N: usize>(
        &self,
        vectors: V,
        panel: usize,
        pairs: usize,
        sum: impl Fn(Range<usize>) -> [V::Ints; N],
    ) -> [V::Ints; N] {
        match self {
            Self::Narrow { .. } => sum(0..pairs),
            Self::Wide(ending) => ending.sums(vectors, panel, pairs, sum),
        }
    }

    /// As [`sums`](Self::sums), from the exact sums of a row.
    #[inline(always)]
    pub(crate) fn exact_sums<V: Vectors>(&self, vectors: V, panel: usize, sums: &[i64; PANEL]) -> V::Ints {
        vectors.ints(match self {
            Self::Narrow { .. } => sums.map(|sum| sum as i32),
            Self::Wide(ending) => ending.outputs(panel, sums),
        })
    }

    /// Replaces what [`sums`](Self::sums) gave by the outputs.
    #[inline(always)]
    pub(crate) fn finish<V: Vectors>(&self, vectors: V, panel: usize, sums: &mut [V::Ints]) {
        if let Self::Narrow { scaling, .. } = self {
            vectors.scale(sums, scaling, panel);
        }
    }
}

impl WideEnding {
    /// As [`Ending::sums`].
    #[inline(always)]
    pub(crate) fn sums<V: Vectors, const N: usize>(
        &self,
        vectors: V,
        panel: usize,
        pairs: usize,
        sum: impl Fn(Range<usize>) -> [V::Ints; N],
    ) -> [V::Ints; N] {
        let mut wide = [[0i64; PANEL]; N];
        for start in (0..pairs).step_by(self.block) {
            let sums = sum(start..pairs.min(start + self.block));
            for (wide, &sums) in wide.iter_mut().zip(&sums) {
                for (wide, sum) in wide.iter_mut().zip(vectors.int_array(sums)) {
                    *wide += i64::from(sum);
                }
            }
        }
        let mut outputs = [vectors.ints([0; PANEL]); N];
        for (outputs, wide) in outputs.iter_mut().zip(&wide) {
            *outputs = vectors.ints(self.outputs(panel, wide));
        }
        outputs
    }

    /// The outputs of a panel's channels for their 64-bit sums.
    fn outputs(&self, panel: usize, sums: &[i64; PANEL]) -> [i32; PANEL] {
        core::array::from_fn(|lane| self.output(panel * PANEL + lane, sums[lane]))
    }

    /// A channel's output; anything for channels that fill a panel up.
    fn output(&self, channel: usize, sum: i64) -> i32 {
        let sum = sum.wrapping_add(self.bias.get(channel).copied().unwrap_or_default());
        let value = match &self.requantization {
            WideRequantization::Fixed(multipliers) => {
                multipliers.get(channel).map_or(0, |multiplier| multiplier.apply_wide(sum))
            }
            WideRequantization::HalfAway(factors) => {
                let value = round_half_away(sum as f64 * factors.get(channel).copied().unwrap_or_default());
                value.clamp(i32::MIN.into(), i32::MAX.into()) as i32
            }
        };
        self.range.output::<i32>(value)
    }
}

impl Matrix<'_> {
    /// The ending in 32 bits, if no sum leaves them, or if they wrap.
    fn narrow(&self) -> Option<Ending> {
        let (bias, fits) = match self.bias {
            Bias::Narrow(bias) => {
                (bias.to_vec(), self.narrow_bias(bias.iter().map(|&bias| bias.into())).is_some())
            }
            Bias::Wide(bias) => (self.narrow_bias(bias.iter().copied())?, true),
        };
        let rule = match (self.factors, self.bias) {
            (ChannelFactors::Fixed(multipliers), Bias::Narrow(_)) => Rule::fixed(multipliers),
            (ChannelFactors::Fixed(multipliers), Bias::Wide(_)) => Rule::half_up(multipliers)?,
            (ChannelFactors::HalfAway(factors), _) => Rule::half_away(factors),
        };
        // Sums that do not wrap grow with their products, and so does what the rule makes of them.
        let is_monotonic = fits && rule.is_monotonic();
        Some(Ending::Narrow { scaling: Scaling::new(rule, &bias, self.channels, self.range), is_monotonic })
    }

    /// The ending in 64 bits.
    fn wide(&self, run: usize) -> WideEnding {
        let requantization = match self.factors {
            ChannelFactors::Fixed(multipliers) => WideRequantization::Fixed(multipliers.to_vec()),
            ChannelFactors::HalfAway(factors) => WideRequantization::HalfAway(factors.to_vec()),
        };
        let bias = match self.bias {
            Bias::Narrow(bias) => bias.iter().map(|&bias| bias.into()).collect(),
            Bias::Wide(bias) => bias.to_vec(),
        };
        let block = exact_pairs(self.weights, self.depth, run, self.bound);
        WideEnding { block, bias, requantization, range: self.range }
    }

    /// The biases in 32 bits, if no channel's sum and bias can leave them, whatever the row.
    fn narrow_bias(&self, bias: impl Iterator<Item = i64>) -> Option<Vec<i32>> {
        let rows = (0..self.channels).map(|channel| &self.weights[channel * self.depth..][..self.depth]);
        let rows = rows.zip(bias.chain(core::iter::repeat(0)));
        rows.map(|(row, bias)| {
            let sum = row.iter().map(|w| i64::from(w.unsigned_abs())).sum::<i64>() * self.bound;
            let reach = sum.checked_add(bias.checked_abs()?)?;
            (reach <= i64::from(i32::MAX)).then_some(bias as i32)
        })
        .collect()
    }
}
