//! Memory for the tensors that are computed: lifetimes become offsets in one block, so that running allocates nothing.

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

impl Lifetime {
    fn overlaps(&self, other: &Self) -> bool {
        self.first <= other.last && other.first <= self.last
    }
}

/// Where each tensor lies, and how many bytes the block has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ArenaPlan {
    pub(crate) offsets: Vec<usize>,
    pub(crate) bytes: usize,
}

impl ArenaPlan {
    /// Places the tensors so that those alive at the same time do not overlap: largest first, each at the lowest
    /// offset that is free. `None` where the sum of bytes overflows.
    pub(crate) fn new(lifetimes: &[Lifetime]) -> Option<Self> {
        lifetimes
            .iter()
            .try_fold(0usize, |sum, tensor| sum.checked_add(tensor.bytes)?.checked_add(ALIGNMENT))?;
        let mut order: Vec<usize> = (0..lifetimes.len()).collect();
        order.sort_by_key(|&index| (core::cmp::Reverse(lifetimes[index].bytes), index));
        let mut plan = Self { offsets: vec![0; lifetimes.len()], bytes: 0 };
        // Placed tensors, by offset.
        let mut placed: Vec<usize> = Vec::with_capacity(lifetimes.len());
        for index in order {
            let tensor = lifetimes[index];
            let mut offset = 0;
            for &other in placed.iter().filter(|&&other| lifetimes[other].overlaps(&tensor)) {
                if offset + tensor.bytes <= plan.offsets[other] {
                    break;
                }
                offset =
                    offset.max((plan.offsets[other] + lifetimes[other].bytes).next_multiple_of(ALIGNMENT));
            }
            plan.offsets[index] = offset;
            plan.bytes = plan.bytes.max(offset + tensor.bytes);
            let position = placed.partition_point(|&other| plan.offsets[other] <= offset);
            placed.insert(position, index);
        }
        Some(plan)
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

    proptest! {
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
                    prop_assert!(apart || !a.overlaps(b) || a.bytes == 0 || b.bytes == 0);
                }
            }
        }
    }
}
