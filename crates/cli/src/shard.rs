//! Parts of the samples, for as many machines.

use std::fmt;
use std::ops::Range;
use std::str::FromStr;

/// The part `index` of `count`, counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shard {
    index: u32,
    count: u32,
}

impl Shard {
    /// The samples of the part: all parts together have each sample once, and none has more than one beyond another.
    pub(crate) fn of(self, samples: usize) -> Range<usize> {
        // Not beyond the samples.
        let end = |parts: u32| (samples as u128 * u128::from(parts) / u128::from(self.count)) as usize;
        end(self.index - 1)..end(self.index)
    }
}

impl Default for Shard {
    fn default() -> Self {
        Self { index: 1, count: 1 }
    }
}

impl FromStr for Shard {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts =
            text.split_once('/').and_then(|(index, count)| Some((index.parse().ok()?, count.parse().ok()?)));
        match parts {
            Some((index, count)) if (1..=count).contains(&index) => Ok(Self { index, count }),
            _ => Err("must be I/N, from 1/N to N/N".into()),
        }
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.index, self.count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_have_each_sample_once() {
        for samples in [0usize, 1, 7, 100] {
            for count in [1, 3, 8, 200] {
                let parts = (1..=count).map(|index| Shard { index, count }.of(samples));
                assert!(parts.clone().flatten().eq(0..samples), "{samples} {count}");
                let lengths: Vec<_> = parts.map(|part| part.len()).collect();
                assert!(lengths.iter().max().unwrap() - lengths.iter().min().unwrap() <= 1);
            }
        }
    }

    #[test]
    fn parts_are_counted_from_1() {
        assert_eq!("2/3".parse(), Ok(Shard { index: 2, count: 3 }));
        for wrong in ["0/3", "4/3", "1/0", "3", "-1/2", "1/2/3", "a/b", ""] {
            assert_eq!(wrong.parse::<Shard>(), Err("must be I/N, from 1/N to N/N".into()), "{wrong}");
        }
    }
}
