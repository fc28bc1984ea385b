//! Sums of float32 numbers without rounding.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Bits of a lane's exponents.
const LANE: u32 = 64;

const LANES: usize = 4;

/// The most numbers that a sum can hold.
pub(super) const MOST_SAMPLES: u64 = 1 << 38;

/// Bits that a number takes of a lane, at most.
const NUMBER: u32 = 24 + LANE;

/// The sum of any finite float32 numbers, exactly: any order and grouping gives the same sum.
///
/// A float32 is an integer of 24 bits times a power of two from 2^-149 to 2^104. Lane `k` counts in units of
/// 2^(64 k - 149); a number takes at most 88 of its 128 bits, so 2^39 numbers fit.
///
/// In JSON it is the lanes in decimal, for JSON's numbers have no 128 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub(super) struct ExactSum {
    lanes: [i128; LANES],
}

impl ExactSum {
    /// Adds a finite number.
    pub(super) fn add(&mut self, value: f32) {
        let (lane, units) = lane_and_units(value);
        self.lanes[lane] += units;
    }

    /// Adds what another sum holds.
    pub(super) fn merge(&mut self, other: &Self) {
        self.lanes.iter_mut().zip(other.lanes).for_each(|(mine, theirs)| *mine += theirs);
    }

    /// Whether so many numbers can have this sum.
    pub(super) fn fits(&self, numbers: usize) -> bool {
        let most = (numbers as u128) << NUMBER;
        numbers as u64 <= MOST_SAMPLES && self.lanes.iter().all(|lane| lane.unsigned_abs() <= most)
    }

    /// The sum in float64, rounded once for each lane.
    pub(super) fn value(&self) -> f64 {
        let lane_step = (1u128 << LANE) as f64;
        let smallest = f64::from(f32::from_bits(1));
        self.lanes.iter().rev().fold(0.0, |sum, &lane| sum * lane_step + lane as f64) * smallest
    }
}

/// The lane in which a finite number counts, and how many units it is there.
fn lane_and_units(value: f32) -> (usize, i128) {
    let bits = value.to_bits();
    let (exponent, fraction) = (bits >> 23 & 0xff, bits & 0x7f_ffff);
    let (significand, shift) = match exponent {
        0 => (fraction, 0),
        _ => (fraction | 0x80_0000, exponent - 1),
    };
    let units = i128::from(significand) << (shift % LANE);
    ((shift / LANE) as usize, if value.is_sign_negative() { -units } else { units })
}

/// Sums side by side. A lane in which none of them has a number takes no memory: most numbers of a tensor are in one or two.
#[derive(Debug, Clone, Default)]
pub(super) struct ExactSums {
    count: usize,
    /// Empty, or a lane of each sum.
    lanes: [Vec<i128>; LANES],
}

impl ExactSums {
    /// So many sums of no numbers.
    pub(super) fn zeros(count: usize) -> Self {
        Self { count, ..Self::default() }
    }

    pub(super) fn len(&self) -> usize {
        self.count
    }

    /// Adds a finite number to one of the sums.
    pub(super) fn add(&mut self, index: usize, value: f32) {
        let (lane, units) = lane_and_units(value);
        if units != 0 {
            self.lane(lane)[index] += units;
        }
    }

    /// Adds what as many other sums hold.
    pub(super) fn merge(&mut self, other: &Self) {
        for (lane, theirs) in other.lanes.iter().enumerate().filter(|(_, theirs)| !theirs.is_empty()) {
            self.lane(lane).iter_mut().zip(theirs).for_each(|(mine, theirs)| *mine += theirs);
        }
    }

    /// The sums, in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = ExactSum> {
        let lane = |index: usize| move |lane: &Vec<i128>| lane.get(index).copied().unwrap_or(0);
        (0..self.count).map(move |index| ExactSum { lanes: self.lanes.each_ref().map(lane(index)) })
    }

    fn lane(&mut self, lane: usize) -> &mut [i128] {
        self.lanes[lane].resize(self.count, 0);
        &mut self.lanes[lane]
    }
}

impl PartialEq for ExactSums {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl From<Vec<ExactSum>> for ExactSums {
    fn from(sums: Vec<ExactSum>) -> Self {
        let lanes = std::array::from_fn(|lane| {
            let is_blank = sums.iter().all(|sum| sum.lanes[lane] == 0);
            if is_blank { Vec::new() } else { sums.iter().map(|sum| sum.lanes[lane]).collect() }
        });
        Self { count: sums.len(), lanes }
    }
}

impl Serialize for ExactSums {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter())
    }
}

impl<'de> Deserialize<'de> for ExactSums {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Vec::<ExactSum>::deserialize(deserializer).map(Self::from)
    }
}

impl From<ExactSum> for String {
    fn from(sum: ExactSum) -> Self {
        sum.lanes.map(|lane| lane.to_string()).join(" ")
    }
}

impl TryFrom<String> for ExactSum {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let lanes: Result<Vec<i128>, _> = text.split(' ').map(str::parse).collect();
        let lanes = lanes.ok().and_then(|lanes| lanes.try_into().ok());
        lanes.map(|lanes| Self { lanes }).ok_or_else(|| format!("'{text}' is no sum"))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sum(values: &[f32]) -> ExactSum {
        let mut sum = ExactSum::default();
        values.iter().for_each(|&value| sum.add(value));
        sum
    }

    fn finite() -> impl Strategy<Value = f32> {
        any::<u32>().prop_map(f32::from_bits).prop_filter("finite", |value| value.is_finite())
    }

    #[test]
    fn nothing_is_lost_between_large_and_small() {
        assert_eq!(sum(&[f32::MAX, 1e-40, -0.75, -f32::MAX, 0.75]), sum(&[1e-40]));
        assert_eq!(sum(&[16_777_216.0, 1.0, 1.0]).value(), 16_777_218.0);
        assert_eq!(sum(&[f32::MAX, f32::MAX]).value(), 2.0 * f64::from(f32::MAX));
        assert_eq!(sum(&[]).value(), 0.0);
    }

    proptest! {
        #[test]
        fn one_number_is_its_own_sum(value in finite()) {
            prop_assert_eq!(sum(&[value]).value(), f64::from(value));
        }

        #[test]
        fn text_keeps_every_bit(values in prop::collection::vec(finite(), 0..20)) {
            let whole = sum(&values);
            prop_assert!(whole.fits(values.len()));
            prop_assert_eq!(ExactSum::try_from(String::from(whole)), Ok(whole));
        }

        #[test]
        fn sums_side_by_side_are_single_sums(values in prop::collection::vec((finite(), finite()), 0..20), cut in 0usize..20) {
            let sums = |values: &[(f32, f32)]| {
                let mut sums = ExactSums::zeros(2);
                for &(first, second) in values {
                    sums.add(0, first);
                    sums.add(1, second);
                }
                sums
            };
            let (left, right) = values.split_at(cut.min(values.len()));
            let mut merged = sums(left);
            merged.merge(&sums(right));
            let (first, second): (Vec<f32>, Vec<f32>) = values.iter().copied().unzip();
            prop_assert_eq!(merged.iter().collect::<Vec<_>>(), [sum(&first), sum(&second)]);
            let text = serde_json::to_string(&merged).unwrap();
            prop_assert_eq!(serde_json::from_str::<ExactSums>(&text).unwrap(), merged);
        }

        #[test]
        fn the_order_and_the_grouping_do_not_matter(mut values in prop::collection::vec(finite(), 0..20), cut in 0usize..20) {
            let whole = sum(&values);
            values.reverse();
            let (left, right) = values.split_at(cut.min(values.len()));
            let mut merged = sum(right);
            merged.merge(&sum(left));
            prop_assert_eq!(merged, whole);
        }
    }
}
