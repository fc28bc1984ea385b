//! What one step sees of memory: operands to read, results and scratch to write, without `unsafe` and without copies.
//!
//! The arena is one block. A step's writable regions are cut out of it; what lies between them stays readable. The plan
//! guarantees that no operand overlaps a writable region.

use burnlite_tflite::Element;

use crate::arena::AlignedBytes;

/// Most regions that a step can write: results and scratch.
pub(crate) const MAX_WRITABLE: usize = 4;

/// Where an operand's bytes are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// The operand is left out.
    Absent,
    /// In the arena.
    Arena(Region),
    /// In the plan's list of constants.
    Constant(usize),
}

impl Place {
    /// The operand's region of the arena, where it is there.
    pub(crate) fn region(self) -> Option<Region> {
        match self {
            Self::Arena(region) => Some(region),
            Self::Absent | Self::Constant(_) => None,
        }
    }
}

/// A range of the arena.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) struct Region {
    pub(crate) offset: usize,
    pub(crate) bytes: usize,
}

/// A constant's bytes, aligned for their element type.
#[derive(Debug, Clone)]
pub(crate) enum Constant<'m> {
    /// Where they are in the file.
    Borrowed(&'m [u8]),
    /// A copy: the file's were not aligned, or the plan computed them.
    Owned(AlignedBytes),
}

impl<'m> Constant<'m> {
    /// Borrows the bytes if they start at a multiple of `alignment`, else copies them.
    pub(crate) fn aligned(bytes: &'m [u8], alignment: usize) -> Self {
        if (bytes.as_ptr() as usize).is_multiple_of(alignment.max(1)) {
            Self::Borrowed(bytes)
        } else {
            Self::Owned(bytes.into())
        }
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        match self {
            Self::Borrowed(bytes) => bytes,
            Self::Owned(bytes) => bytes.as_slice(),
        }
    }
}

/// The operands of a step.
pub(crate) struct Inputs<'f> {
    places: &'f [Place],
    constants: &'f [Constant<'f>],
    /// Readable parts of the arena with their offsets, in order.
    readable: [(usize, &'f [u8]); MAX_WRITABLE + 1],
}

/// The regions that a step writes: its results, then its scratch; empty ones at the end.
pub(crate) type Writable<'f> = [&'f mut [u8]; MAX_WRITABLE];

/// The writable regions of a step, by offset, each with its position among the results and scratch.
pub(crate) type Cuts = [(Region, usize)];

/// Cuts the arena for a step.
pub(crate) fn frame<'f>(
    arena: &'f mut [u8],
    cuts: &Cuts,
    places: &'f [Place],
    constants: &'f [Constant<'f>],
) -> (Inputs<'f>, Writable<'f>) {
    let mut writable: Writable<'f> = Default::default();
    let mut readable: [(usize, &'f [u8]); MAX_WRITABLE + 1] = Default::default();
    let (mut rest, mut offset) = (arena, 0);
    for (part, &(region, position)) in readable.iter_mut().zip(cuts) {
        let (before, from_region) = rest.split_at_mut(region.offset - offset);
        let (cut, after) = from_region.split_at_mut(region.bytes);
        *part = (offset, before);
        writable[position] = cut;
        (rest, offset) = (after, region.offset + region.bytes);
    }
    readable[cuts.len()] = (offset, rest);
    (Inputs { places, constants, readable }, writable)
}

impl<'f> Inputs<'f> {
    /// The operand's elements; empty for one that is left out. The plan has checked the type.
    pub(crate) fn get<T: Element>(&self, position: usize) -> &'f [T] {
        elements(self.bytes(position))
    }

    /// The operand's bytes; empty for one that is left out.
    pub(crate) fn bytes(&self, position: usize) -> &'f [u8] {
        match self.places.get(position) {
            None | Some(Place::Absent) => &[],
            Some(&Place::Constant(index)) => self.constants[index].bytes(),
            Some(&Place::Arena(region)) => self.readable(region),
        }
    }

    fn readable(&self, region: Region) -> &'f [u8] {
        let find = |&&(offset, part): &&(usize, &[u8])| {
            offset <= region.offset && region.offset + region.bytes <= offset + part.len()
        };
        let &(offset, part) =
            self.readable.iter().find(find).expect("the plan keeps operands apart from results");
        &part[region.offset - offset..][..region.bytes]
    }
}

/// The elements that bytes hold. The plan has checked the type.
pub(crate) fn elements<T: Element>(bytes: &[u8]) -> &[T] {
    // An empty slice may start anywhere, also where no element could.
    if bytes.is_empty() { &[] } else { bytemuck::cast_slice(bytes) }
}

/// The elements of a writable region. The plan has checked the type.
pub(crate) fn elements_mut<T: Element>(bytes: &mut [u8]) -> &mut [T] {
    if bytes.is_empty() { &mut [] } else { bytemuck::cast_slice_mut(bytes) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operands_around_two_results_are_readable_while_both_are_written() {
        let mut arena: [u8; 10] = core::array::from_fn(|index| index as u8);
        let region = |offset, bytes| Region { offset, bytes };
        let cuts = [(region(2, 2), 1), (region(6, 1), 0)];
        let constants = [Constant::Borrowed(&[42])];
        let places = [
            Place::Arena(region(0, 2)),
            Place::Arena(region(4, 2)),
            Place::Arena(region(7, 3)),
            Place::Constant(0),
            Place::Absent,
        ];
        let (inputs, [first, second, ..]) = frame(&mut arena, &cuts, &places, &constants);
        first.fill(100);
        second.fill(200);
        let read: [&[u8]; 5] = core::array::from_fn(|position| inputs.get::<u8>(position));
        assert_eq!(read, [&[0u8, 1][..], &[4, 5], &[7, 8, 9], &[42], &[]]);
        assert_eq!(arena, [0, 1, 200, 200, 4, 5, 100, 7, 8, 9]);
    }
}
