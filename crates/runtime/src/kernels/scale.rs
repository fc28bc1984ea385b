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
    /// [`QuantizedMultiplier::apply_wide`] of sums that fit 32 bits, by factors below a quarter; [`half_up`] in 32 bits.
    HalfUp(Vec<HalfUpPanel>),
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

/// The reduced multipliers of a panel's channels.
#[derive(Debug, Clone)]
pub(crate) struct HalfUpPanel {
    /// At most 15 bits.
    pub(crate) multiplier: [i32; PANEL],
    /// A half of what is shifted out.
    pub(crate) half: [i32; PANEL],
    /// Bits to shift the high part of a product to the right.
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

    /// 64-bit sums that fit 32 bits, in fixed point; `None` where a factor may be a quarter or more. That would be a layer
    /// whose largest output is a small part of its largest product.
    pub(crate) fn half_up(multipliers: &[QuantizedMultiplier]) -> Option<Self> {
        let right = |factor: &QuantizedMultiplier| if factor.multiplier == 0 { 1 } else { -factor.shift - 1 };
        if multipliers.iter().any(|factor| right(factor) < 1) {
            return None;
        }
        let panel = |panel: &[QuantizedMultiplier]| HalfUpPanel {
            multiplier: lanes(panel, |factor| factor.reduced() as i32),
            half: lanes(panel, |factor| 1 << (right(factor) - 1)),
            right: lanes(panel, right),
        };
        Some(Self::HalfUp(multipliers.chunks(PANEL).map(panel).collect()))
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

/// `(value * multiplier + 2^(t - 1)) >> t` for `t = right + 16` and `half = 2^(right - 1)`, in 32 bits.
///
/// With `value = 2^16 * high + low` the numerator is `2^16 * (high * multiplier + half) + low * multiplier`. A floor of a
/// floor is one floor, so the 16 bits below may be cut off `low * multiplier` first. Its magnitude stays below 2^31, as
/// `multiplier < 2^15` and `0 <= low < 2^16`; the sum's stays below `2^30 + 2^15 + 2^29`, as `-2^15 <= high < 2^15` and
/// `right <= 30`.
#[inline]
fn half_up(value: i32, multiplier: i32, half: i32, right: i32) -> i32 {
    let (high, low) = (value >> 16, value & 0xffff);
    (high * multiplier + ((low * multiplier) >> 16) + half) >> right
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
            Rule::HalfUp(panels) => {
                let HalfUpPanel { multiplier, half, right } = &panels[panel];
                for (channel, value) in values.iter_mut().enumerate() {
                    *value = half_up(*value, multiplier[channel], half[channel], right[channel]);
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

#[cfg(test)]
mod tests {

    use proptest::prelude::*;

    use super::*;
    use crate::kernels::Kernels;
    use crate::kernels::vectors::{Task, Vectors};

    const RANGE: OutputRange = OutputRange { zero_point: 0, min: i32::MIN, max: i32::MAX };

    struct Scale<'s> {
        scaling: &'s Scaling,
        sums: [i32; PANEL],
    }

    impl Task for Scale<'_> {
        type Output = [i32; PANEL];

        #[inline(always)]
        fn run<V: Vectors>(self, vectors: V) -> [i32; PANEL] {
            let mut sums = [vectors.ints(self.sums)];
            vectors.scale(&mut sums, self.scaling, 0);
            vectors.int_array(sums[0])
        }
    }

    /// What every engine makes of the sums.
    fn check(rule: Rule, sums: [i32; PANEL], expected: [i32; PANEL]) -> Result<(), TestCaseError> {
        let scaling = Scaling::new(rule, &[], PANEL, RANGE);
        for engine in Kernels::engines() {
            prop_assert_eq!(engine.run(Scale { scaling: &scaling, sums }), expected, "{:?}", engine);
        }
        Ok(())
    }

    fn sums() -> impl Strategy<Value = [i32; PANEL]> {
        let edge =
            prop_oneof![Just(i32::MIN), Just(i32::MAX), Just(-1), Just(0), Just(0xffff), Just(-0x10000)];
        proptest::array::uniform16(prop_oneof![any::<i32>(), -70_000i32..70_000, edge])
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn sums_of_32_bits_are_rounded_half_up_as_those_of_64(
            sums in sums(),
            factors in proptest::array::uniform16((1i32 << 30..=i32::MAX, -31i32..-1)),
        ) {
            let factors = factors.map(|(multiplier, shift)| QuantizedMultiplier { multiplier, shift });
            let expected = core::array::from_fn(|lane| factors[lane].apply_wide(sums[lane].into()));
            check(Rule::half_up(&factors).unwrap(), sums, expected)?;
        }

        #[test]
        fn fixed_point_is_applied_as_defined(
            sums in sums(),
            factors in proptest::array::uniform16((1i32 << 30..=i32::MAX, -31i32..8)),
        ) {
            let factors = factors.map(|(multiplier, shift)| QuantizedMultiplier { multiplier, shift });
            let expected = core::array::from_fn(|lane| factors[lane].apply(sums[lane]));
            check(Rule::fixed(&factors), sums, expected)?;
        }

        #[test]
        fn doubles_are_rounded_half_away_from_zero(
            sums in sums(),
            factors in proptest::array::uniform16(prop_oneof![Just(0.5), Just(0.25), 0.0f64..3.0, 0.0f64..1e-4]),
        ) {
            let expected = core::array::from_fn(|lane| {
                let real = round_half_away(f64::from(sums[lane]) * factors[lane]);
                real.clamp(i32::MIN.into(), i32::MAX.into()) as i32
            });
            check(Rule::half_away(&factors), sums, expected)?;
        }
    }

    #[test]
    fn doubles_next_to_a_half_are_not_rounded_twice() {
        let halves = [0.5f64, 1.5, 2.5, 1_048_575.5];
        let near = halves.map(|half| [half.next_down(), half, half.next_up(), -half]);
        let factors = *near.as_flattened().as_array::<PANEL>().unwrap();
        let expected = factors.map(|factor| round_half_away(factor) as i32);
        check(Rule::half_away(&factors), [1; PANEL], expected).unwrap();
    }

    #[test]
    fn a_factor_of_a_quarter_is_left_to_64_bits_and_none_is_zero() {
        let factor = |shift| QuantizedMultiplier { multiplier: 1 << 30, shift };
        assert!(Rule::half_up(&[factor(-2), factor(-1)]).is_none());
        let zero = Rule::half_up(&[QuantizedMultiplier { multiplier: 0, shift: 0 }; PANEL]);
        check(zero.unwrap(), [i32::MIN; PANEL], [0; PANEL]).unwrap();
    }
}
