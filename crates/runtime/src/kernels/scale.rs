//! From the sums of a panel to outputs: bias, requantization, activation, zero point.

use alloc::vec::Vec;

use crate::fixed_point::{QuantizedMultiplier, round_half_away};
use crate::kernels::pack::PANEL;
use crate::ops::activation::clamp;
use crate::ops::integer::OutputRange;

/// How sums become outputs, laid out for panels of channels.
#[derive(Debug, Clone)]
pub(crate) struct Scaling {
    /// Added to the sums; wraps.
    pub(crate) bias: Vec<[i32; PANEL]>,
    pub(crate) rule: Rule,
    /// Bounds of the result before the zero point is added.
    pub(crate) min: i32,
    pub(crate) max: i32,
    pub(crate) zero_point: i32,
}

/// The requantization of a channel's sums.
#[derive(Debug, Clone)]
pub(crate) enum Rule {
    /// [`QuantizedMultiplier::apply`].
    Fixed(Vec<FixedPanel>),
    /// [`QuantizedMultiplier::apply_wide`] as a factor in double precision, rounded half up.
    ///
    /// Exact: a sum of 31 bits times a factor of 15 bits has at most 46, and a half more is within the 53 of a double.
    HalfUp(Vec<[f64; PANEL]>),
    /// A factor in double precision, rounded half away from zero.
    HalfAway(Vec<[f64; PANEL]>),
}

/// The multipliers of a panel's channels.
#[derive(Debug, Clone)]
pub(crate) struct FixedPanel {
    pub(crate) multiplier: [i32; PANEL],
    pub(crate) left: [i32; PANEL],
    pub(crate) right: [i32; PANEL],
}

impl Rule {
    /// 32-bit sums in fixed point.
    pub(crate) fn fixed(multipliers: &[QuantizedMultiplier]) -> Self {
        Self::Fixed(
            multipliers
                .chunks(PANEL)
                .map(|panel| {
                    let lanes = |of: fn(&QuantizedMultiplier) -> i32| lanes(panel, of);
                    FixedPanel {
                        multiplier: lanes(|factor| factor.multiplier),
                        left: lanes(|factor| factor.shift.max(0)),
                        right: lanes(|factor| (-factor.shift).max(0)),
                    }
                })
                .collect(),
        )
    }

    /// 64-bit sums that fit 32 bits, in fixed point; `None` where a factor of 1 or more could leave 32 bits.
    pub(crate) fn half_up(multipliers: &[QuantizedMultiplier]) -> Option<Self> {
        if multipliers.iter().any(|factor| factor.shift > 0) {
            return None;
        }
        let real =
            |factor: &QuantizedMultiplier| factor.reduced() as f64 * libm::scalbn(1.0, factor.shift - 15);
        Some(Self::HalfUp(multipliers.chunks(PANEL).map(|panel| lanes(panel, real)).collect()))
    }

    /// Whether a larger sum never gives a smaller output.
    ///
    /// Factors are not negative. The product, in fixed point or rounded to double precision, then grows with the sum, and
    /// so do its shift to the right and each kind of rounding to an integer; only a shift to the left can leave the 32 bits.
    pub(crate) fn is_monotonic(&self) -> bool {
        match self {
            Self::Fixed(panels) => panels.iter().all(|panel| panel.left == [0; PANEL]),
            Self::HalfUp(_) | Self::HalfAway(_) => true,
        }
    }

    /// Factors in double precision.
    pub(crate) fn half_away(factors: &[f64]) -> Self {
        Self::HalfAway(factors.chunks(PANEL).map(|panel| lanes(panel, |&factor| factor)).collect())
    }
}

/// `value` rounded half up; it fits 32 bits.
#[inline]
fn half_up(value: f64) -> i32 {
    let value = value + 0.5;
    let whole = value as i32;
    whole - i32::from(f64::from(whole) > value)
}

/// The values of a panel's channels, and defaults where the panel is not full.
fn lanes<X, Y: Copy + Default>(panel: &[X], of: impl Fn(&X) -> Y) -> [Y; PANEL] {
    core::array::from_fn(|channel| panel.get(channel).map_or_else(Y::default, &of))
}

impl Scaling {
    /// The rule with the channels' biases, which must fit 32 bits together with any sum, and the output's range.
    pub(crate) fn new(rule: Rule, bias: &[i32], channels: usize, range: OutputRange) -> Self {
        let panels = (0..channels.div_ceil(PANEL)).map(|panel| {
            let bias = bias.get(panel * PANEL..).unwrap_or_default();
            lanes(&bias[..bias.len().min(PANEL)], |&bias| bias)
        });
        let bound = |bound: i32| bound.saturating_sub(range.zero_point);
        Self {
            bias: panels.collect(),
            rule,
            min: bound(range.min),
            max: bound(range.max),
            zero_point: range.zero_point,
        }
    }

    /// Keeps the outputs within further bounds.
    pub(crate) fn bound(&mut self, (min, max): (i32, i32)) {
        let bounds = (min.saturating_sub(self.zero_point), max.saturating_sub(self.zero_point));
        (self.min, self.max) = (clamp(self.min, bounds), clamp(self.max, bounds));
    }

    /// The outputs for a panel's sums, as 32-bit integers within the output's range.
    pub(crate) fn apply(&self, sums: &[i32; PANEL], panel: usize) -> [i32; PANEL] {
        let mut values = [0; PANEL];
        for ((value, sum), bias) in values.iter_mut().zip(sums).zip(&self.bias[panel]) {
            *value = sum.wrapping_add(*bias);
        }
        match &self.rule {
            Rule::Fixed(panels) => {
                let FixedPanel { multiplier, left, right } = &panels[panel];
                for (channel, value) in values.iter_mut().enumerate() {
                    let shift = left[channel] - right[channel];
                    *value = QuantizedMultiplier { multiplier: multiplier[channel], shift }.apply(*value);
                }
            }
            Rule::HalfUp(factors) => {
                for (value, factor) in values.iter_mut().zip(&factors[panel]) {
                    *value = half_up(f64::from(*value) * factor);
                }
            }
            Rule::HalfAway(factors) => {
                for (value, factor) in values.iter_mut().zip(&factors[panel]) {
                    let real = round_half_away(f64::from(*value) * factor);
                    *value = real.clamp(i32::MIN.into(), i32::MAX.into()) as i32;
                }
            }
        }
        values.map(|value| value.clamp(self.min, self.max) + self.zero_point)
    }
}
