//! Memory for the tensors that are computed: lifetimes become offsets in one block, so that running allocates nothing.

use alloc::collections::BTreeSet;
use alloc::vec;
use alloc::vec::Vec;

use crate::error::Error;

/// Offsets are multiples of this many bytes: enough for every element type, and what small runtimes use.
pub(crate) const ALIGNMENT: usize = 16;
/// Bytes to which the block itself is aligned: a cache line, and the widest vector register.
const BLOCK_ALIGNMENT: usize = 64;

/// A tensor that needs memory from the step that writes it to the last step that reads it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Lifetime {
    pub(crate) bytes: usize,
    pub(crate) first: usize,
    pub(crate) last: usize,
}

/// Where each tensor lies, and how many bytes the block has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ArenaPlan {
    pub(crate) offsets: Vec<usize>,
    pub(crate) bytes: usize,
}

/// Up to so many other tensors, on average, each tensor is placed among: beyond, it goes on top of all of them. A bound on
/// what planning takes; models up to twice as many tensors never meet it.
const NEIGHBOURS: usize = 256;

impl ArenaPlan {
    /// Places the tensors so that those alive at the same time do not overlap: largest first, each at the lowest
    /// offset that is free. `None` where the sum of bytes overflows.
    ///
    /// Takes time in proportion to `n log n` and to the pairs of tensors alive together, of which at most 256 for each tensor
    /// are looked at.
    pub(crate) fn new(lifetimes: &[Lifetime]) -> Option<Self> {
        lifetimes
            .iter()
            .try_fold(0usize, |sum, tensor| sum.checked_add(tensor.bytes)?.checked_add(ALIGNMENT))?;
        let mut order: Vec<usize> = (0..lifetimes.len()).collect();
        order.sort_by_key(|&index| (core::cmp::Reverse(lifetimes[index].bytes), index));
        let mut plan = Self { offsets: vec![0; lifetimes.len()], bytes: 0 };
        let mut placed = Timeline::new(lifetimes);
        let mut left = NEIGHBOURS.saturating_mul(lifetimes.len());
        for index in order {
            let Lifetime { bytes, .. } = lifetimes[index];
            let offset = match left {
                0 => plan.bytes.next_multiple_of(ALIGNMENT),
                _ => {
                    let neighbours = placed.alive_with(index);
                    left = left.saturating_sub(neighbours.len());
                    plan.lowest_gap(bytes, neighbours, lifetimes)
                }
            };
            plan.offsets[index] = offset;
            plan.bytes = plan.bytes.max(offset + bytes);
            placed.insert(index);
        }
        Some(plan)
    }

    /// The lowest offset at which so many bytes are free between the given tensors.
    fn lowest_gap(&self, bytes: usize, mut neighbours: Vec<usize>, lifetimes: &[Lifetime]) -> usize {
        neighbours.sort_unstable_by_key(|&other| self.offsets[other]);
        let mut offset = 0;
        for other in neighbours {
            if offset + bytes <= self.offsets[other] {
                break;
            }
            offset = offset.max((self.offsets[other] + lifetimes[other].bytes).next_multiple_of(ALIGNMENT));
        }
        offset
    }
}

/// Tensors by the time in which they are alive: those that share a moment with another are found without a look at the rest.
///
/// Two tensors meet where one of them begins: the other one begins later, within the first one's time, or is alive then.
struct Timeline<'l> {
    lifetimes: &'l [Lifetime],
    /// The moments at which tensors begin, in order, each once.
    moments: Vec<usize>,
    /// Tensors by the moment at which they begin.
    begins: BTreeSet<(usize, usize)>,
    /// A segment tree: leaf `moments.len() + i` stands for moment `i`, node `k` for what nodes `2 k` and `2 k + 1` stand for. A
    /// tensor is in the few nodes that make up the moments at which it is alive.
    alive: Vec<Vec<usize>>,
}

impl<'l> Timeline<'l> {
    fn new(lifetimes: &'l [Lifetime]) -> Self {
        let mut moments: Vec<usize> = lifetimes.iter().map(|tensor| tensor.first).collect();
        moments.sort_unstable();
        moments.dedup();
        let alive = vec![Vec::new(); 2 * moments.len()];
        Self { lifetimes, moments, begins: BTreeSet::new(), alive }
    }

    fn insert(&mut self, index: usize) {
        let Lifetime { first, last, .. } = self.lifetimes[index];
        self.begins.insert((first, index));
        let leaf = |place: usize| self.moments.len() + place;
        let mut from = leaf(self.moments.partition_point(|&moment| moment < first));
        let mut to = leaf(self.moments.partition_point(|&moment| moment <= last));
        while from < to {
            if from % 2 == 1 {
                self.alive[from].push(index);
                from += 1;
            }
            if to % 2 == 1 {
                to -= 1;
                self.alive[to].push(index);
            }
            (from, to) = (from / 2, to / 2);
        }
    }

    /// Those of the inserted tensors that are alive together with another one.
    fn alive_with(&self, index: usize) -> Vec<usize> {
        let Lifetime { first, last, .. } = self.lifetimes[index];
        let mut found = Vec::new();
        let mut node = self.moments.len() + self.moments.partition_point(|&moment| moment < first);
        while node > 0 {
            found.extend(&self.alive[node]);
            node /= 2;
        }
        if first < last {
            let later = self.begins.range((first + 1, 0)..=(last, usize::MAX));
            found.extend(later.map(|&(_, index)| index));
        }
        found
    }
}

/// Where an interpreter's tensors lie.
#[derive(Debug)]
pub(crate) enum Arena<'m> {
    Owned(AlignedBytes),
    /// The caller's memory.
    Borrowed(&'m mut [u8]),
}

impl<'m> Arena<'m> {
    /// The caller's memory from its first multiple of 16 on.
    pub(crate) fn borrowed(bytes: &'m mut [u8]) -> Self {
        let start = bytes.as_ptr().align_offset(ALIGNMENT).min(bytes.len());
        Self::Borrowed(&mut bytes[start..])
    }

    /// Makes room for that many bytes, all of them 0.
    ///
    /// # Errors
    /// [`Error::ArenaTooSmall`], with the caller's memory as it was.
    pub(crate) fn make_room(&mut self, bytes: usize) -> Result<(), Error> {
        match self {
            Self::Owned(block) => *block = AlignedBytes::zeroed(bytes),
            Self::Borrowed(block) => match block.get_mut(..bytes) {
                Some(block) => block.fill(0),
                None => return Err(Error::ArenaTooSmall { needed: bytes, found: block.len() }),
            },
        }
        Ok(())
    }

    pub(crate) fn as_slice(&self) -> &[u8] {
        match self {
            Self::Owned(block) => block.as_slice(),
            Self::Borrowed(block) => block,
        }
    }

    pub(crate) fn as_mut_slice(&mut self) -> &mut [u8] {
        match self {
            Self::Owned(block) => block.as_mut_slice(),
            Self::Borrowed(block) => block,
        }
    }
}

/// A clone has memory of its own.
impl Clone for Arena<'_> {
    fn clone(&self) -> Self {
        Self::Owned(self.as_slice().into())
    }
}

/// A block of zeroed bytes that starts at a multiple of 64.
#[derive(Debug)]
pub(crate) struct AlignedBytes {
    storage: Vec<u8>,
    start: usize,
    bytes: usize,
}

impl AlignedBytes {
    pub(crate) fn zeroed(bytes: usize) -> Self {
        let storage = vec![0u8; bytes + BLOCK_ALIGNMENT];
        let start = storage.as_ptr().align_offset(BLOCK_ALIGNMENT).min(BLOCK_ALIGNMENT);
        Self { storage, start, bytes }
    }

    pub(crate) fn as_slice(&self) -> &[u8] {
        &self.storage[self.start..self.start + self.bytes]
    }

    pub(crate) fn as_mut_slice(&mut self) -> &mut [u8] {
        &mut self.storage[self.start..self.start + self.bytes]
    }
}

impl Clone for AlignedBytes {
    fn clone(&self) -> Self {
        self.as_slice().into()
    }
}

impl From<&[u8]> for AlignedBytes {
    fn from(bytes: &[u8]) -> Self {
        let mut block = Self::zeroed(bytes.len());
        block.as_mut_slice().copy_from_slice(bytes);
        block
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn tensors_that_never_meet_share_memory() {
        let lifetimes = [(100, 0, 1), (60, 1, 2), (100, 2, 3)];
        let lifetimes = lifetimes.map(|(bytes, first, last)| Lifetime { bytes, first, last });
        let plan = ArenaPlan::new(&lifetimes).unwrap();
        assert_eq!(plan.offsets, [0, 112, 0]);
        assert_eq!(plan.bytes, 172);
    }

    #[test]
    fn a_block_starts_at_a_cache_line_also_when_cloned() {
        let block = AlignedBytes::from(&[1u8, 2, 3][..]);
        for block in [block.clone(), block] {
            assert_eq!(block.as_slice(), [1, 2, 3]);
            assert_eq!(block.as_slice().as_ptr() as usize % BLOCK_ALIGNMENT, 0);
        }
    }

    #[test]
    fn sizes_that_overflow_are_refused() {
        let huge = Lifetime { bytes: usize::MAX / 2, first: 0, last: 0 };
        assert_eq!(ArenaPlan::new(&[huge; 3]), None);
    }

    fn overlap(a: &Lifetime, b: &Lifetime) -> bool {
        a.first <= b.last && b.first <= a.last
    }

    /// The rule, with a look at every pair: largest first, each at the lowest multiple of 16 where it meets nothing.
    fn offsets(lifetimes: &[Lifetime]) -> Vec<usize> {
        let mut order: Vec<usize> = (0..lifetimes.len()).collect();
        order.sort_by_key(|&index| core::cmp::Reverse(lifetimes[index].bytes));
        let mut offsets = vec![0; lifetimes.len()];
        for (place, &index) in order.iter().enumerate() {
            let tensor = lifetimes[index];
            let is_free = |offset: &usize| {
                order[..place].iter().all(|&other| {
                    let end = offsets[other] + lifetimes[other].bytes;
                    !overlap(&lifetimes[other], &tensor)
                        || offset + tensor.bytes <= offsets[other]
                        || end <= *offset
                })
            };
            let free = (0..).step_by(ALIGNMENT).find(is_free);
            offsets[index] = free.unwrap();
        }
        offsets
    }

    /// Tensors that are all kept: each lies on top of the one before, however many pairs are looked at.
    #[test]
    fn many_tensors_that_are_kept_lie_on_each_other() {
        let count = 3 * NEIGHBOURS;
        let lifetimes: Vec<_> =
            (0..count).map(|first| Lifetime { bytes: ALIGNMENT, first, last: usize::MAX }).collect();
        let plan = ArenaPlan::new(&lifetimes).unwrap();
        assert_eq!(plan.bytes, count * ALIGNMENT);
        assert!(plan.offsets.is_sorted_by(|a, b| a + ALIGNMENT == *b));
    }

    proptest! {
        #[test]
        fn each_tensor_lies_at_the_lowest_offset_that_is_free(
            tensors in proptest::collection::vec((1usize..300, 0usize..20, 0usize..6), 0..40)
        ) {
            let lifetime = |(bytes, first, length)| Lifetime { bytes, first, last: first + length };
            let lifetimes: Vec<_> = tensors.into_iter().map(lifetime).collect();
            prop_assert_eq!(ArenaPlan::new(&lifetimes).unwrap().offsets, offsets(&lifetimes));
        }

        #[test]
        fn tensors_alive_together_do_not_overlap(
            tensors in proptest::collection::vec((0usize..300, 0usize..20, 0usize..6), 0..40)
        ) {
            let lifetimes: Vec<_> = tensors
                .into_iter()
                .map(|(bytes, first, length)| Lifetime { bytes, first, last: first + length })
                .collect();
            let plan = ArenaPlan::new(&lifetimes).unwrap();
            for (i, a) in lifetimes.iter().enumerate() {
                prop_assert!(plan.offsets[i].is_multiple_of(ALIGNMENT));
                prop_assert!(plan.offsets[i] + a.bytes <= plan.bytes);
                for (j, b) in lifetimes.iter().enumerate().take(i) {
                    let apart = plan.offsets[i] + a.bytes <= plan.offsets[j]
                        || plan.offsets[j] + b.bytes <= plan.offsets[i];
                    prop_assert!(apart || !overlap(a, b) || a.bytes == 0 || b.bytes == 0);
                }
            }
        }
    }
}
