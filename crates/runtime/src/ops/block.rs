//! DEPTH_TO_SPACE, SPACE_TO_DEPTH, BATCH_TO_SPACE_ND and SPACE_TO_BATCH_ND: blocks of pixels moved into channels or
//! batches, and back.

use alloc::vec::Vec;
use core::ops::Range;

use burnlite_tflite::{DepthToSpaceOptions, SpaceToDepthOptions};

use crate::error::OperatorFault;
use crate::ops::pad::{margins, zero};
use crate::ops::strided::{Copies, Part, StridedCopy, View, element_bytes, require_same_quantization};
use crate::plan::{Node, Operand, Planned};

/// DEPTH_TO_SPACE: `[N, H, W, b * b * C]` to `[N, H * b, W * b, C]`.
pub(crate) fn plan_depth_to_space(
    node: &Node<'_>,
    options: &DepthToSpaceOptions,
) -> Result<Planned, OperatorFault> {
    let input = node.input(0)?;
    let [batches, height, width, depth] = input.dimensions()?;
    let block = block_extent(options.block_size)?;
    let fault = || indivisible(&input, block);
    let area = block.checked_mul(block).filter(|&area| depth.is_multiple_of(area)).ok_or_else(fault)?;
    let enlarged = |extent: usize| extent.checked_mul(block).ok_or_else(fault);
    let shape = [batches, enlarged(height)?, enlarged(width)?, depth / area];
    let bytes = element_bytes(node, &input)?;
    let source = View::whole(&[batches, height, width, block, block, depth / area], bytes)?;
    let target = View::whole(&[batches, height, block, width, block, depth / area], bytes)?;
    Ok(Planned::new(shape, Copies::of_operand(0, &source.permuted(&ROWS_AND_COLUMNS), &target)))
}

/// SPACE_TO_DEPTH: `[N, H * b, W * b, C]` to `[N, H, W, b * b * C]`.
pub(crate) fn plan_space_to_depth(
    node: &Node<'_>,
    options: &SpaceToDepthOptions,
) -> Result<Planned, OperatorFault> {
    let input = node.input(0)?;
    let [batches, height, width, channels] = input.dimensions()?;
    let block = block_extent(options.block_size)?;
    let fault = || indivisible(&input, block);
    let reduced =
        |extent: usize| if extent.is_multiple_of(block) { Ok(extent / block) } else { Err(fault()) };
    let (height, width) = (reduced(height)?, reduced(width)?);
    let depth = block.checked_mul(block).and_then(|area| area.checked_mul(channels)).ok_or_else(fault)?;
    let bytes = element_bytes(node, &input)?;
    let source = View::whole(&[batches, height, block, width, block, channels], bytes)?;
    let target = View::whole(&[batches, height, width, block, block, channels], bytes)?;
    let copies = Copies::of_operand(0, &source.permuted(&ROWS_AND_COLUMNS), &target);
    Ok(Planned::new([batches, height, width, depth], copies))
}

/// Between pixels of blocks, `[N, H, b, W, b, C]`, and blocks of pixels, `[N, H, W, b, b, C]`; the same both ways.
const ROWS_AND_COLUMNS: [usize; 6] = [0, 1, 3, 2, 4, 5];

fn block_extent(found: impl Into<i64>) -> Result<usize, OperatorFault> {
    let found = found.into();
    let fault = OperatorFault::Option { option: "the block size", expected: "1 or more", found };
    usize::try_from(found).ok().filter(|&block| block > 0).ok_or(fault)
}

fn indivisible(input: &Operand<'_>, block: usize) -> OperatorFault {
    let what = alloc::format!("the operand does not consist of blocks of {block} x {block}");
    OperatorFault::Shape { what, found: input.shape.into() }
}

/// BATCH_TO_SPACE_ND: `[b1 * b2 * N, H, W, C]` to `[N, H * b1, W * b2, C]`, then cropped; `[b * N, L, C]` alike.
pub(crate) fn plan_batch_to_space(node: &Node<'_>) -> Result<Planned, OperatorFault> {
    let grid = Grid::new(node)?;
    let input = node.input(0)?;
    let fault = || grid.fault(&input);
    let mut image = input.shape.to_vec();
    if !image[0].is_multiple_of(grid.area) {
        return Err(fault());
    }
    image[0] /= grid.area;
    for (extent, side) in image[1..].iter_mut().zip(&grid.sides) {
        let whole = extent.checked_mul(side.block);
        let cropped = whole.and_then(|whole| whole.checked_sub(side.before)?.checked_sub(side.behind));
        *extent = cropped.ok_or_else(fault)?;
    }
    let copies = grid.copies(input.shape, &image, element_bytes(node, &input)?)?;
    Ok(Planned::new(image, Copies::new(copies.into_iter().map(|copy| Part::of_operand(0, copy)))))
}

/// SPACE_TO_BATCH_ND: `[N, H * b1, W * b2, C]`, with a margin of zeros, to `[b1 * b2 * N, H, W, C]`; `[N, L * b, C]`
/// alike.
pub(crate) fn plan_space_to_batch(node: &Node<'_>) -> Result<Planned, OperatorFault> {
    let grid = Grid::new(node)?;
    let input = node.input(0)?;
    let fault = || grid.fault(&input);
    let mut batches = input.shape.to_vec();
    batches[0] = batches[0].checked_mul(grid.area).ok_or_else(fault)?;
    for (extent, side) in batches[1..].iter_mut().zip(&grid.sides) {
        let padded = extent.checked_add(side.before).and_then(|extent| extent.checked_add(side.behind));
        *extent = padded.filter(|padded| padded.is_multiple_of(side.block)).ok_or_else(fault)? / side.block;
    }
    let bytes = element_bytes(node, &input)?;
    let copies = grid.copies(&batches, input.shape, bytes)?.into_iter().map(StridedCopy::reversed);
    let mut parts = Vec::from([Part::filling(&View::whole(&batches, bytes)?, zero(node)?)]);
    parts.extend(copies.map(|copy| Part::of_operand(0, copy)));
    Ok(Planned::new(batches, Copies::new(parts)))
}

/// Blocks over images with margins: the pixels at the same place in each block make one batch.
struct Grid {
    /// Height and width.
    sides: Vec<Side>,
    /// Pixels of a block.
    area: usize,
}

/// The height or the width of a grid.
struct Side {
    /// Pixels of a block.
    block: usize,
    /// Pixels of the margins.
    before: usize,
    behind: usize,
}

impl Grid {
    fn new(node: &Node<'_>) -> Result<Self, OperatorFault> {
        let input = node.input(0)?;
        require_same_quantization(node, &input, &node.output(0)?)?;
        let blocks = node.input(1)?.indices()?;
        // The reference's limit; each side makes three copies of one.
        if !matches!(input.shape.len(), 3..=4) || blocks.len() != input.shape.len() - 2 {
            let what = "there must be 3 or 4 dimensions, and an extent of the block for all but two".into();
            return Err(OperatorFault::Shape { what, found: input.shape.into() });
        }
        let margins = margins(&node.input(2)?, blocks.len())?;
        let (mut sides, mut area) = (Vec::with_capacity(blocks.len()), 1usize);
        for (block, (before, behind)) in blocks.into_iter().zip(margins) {
            let block = block_extent(block)?;
            let too_large = || indivisible(&input, block);
            area = area.checked_mul(block).ok_or_else(too_large)?;
            sides.push(Side { block, before, behind });
        }
        Ok(Self { sides, area })
    }

    /// The copies from batches to images. With margins, the images have as many elements as the batches.
    fn copies(
        &self,
        batches: &[usize],
        images: &[usize],
        element_bytes: usize,
    ) -> Result<Vec<StridedCopy>, OperatorFault> {
        let count = self.sides.len();
        let blocks = self.sides.iter().map(|side| side.block);
        let split: Vec<usize> = blocks.chain([images[0]]).chain(batches[1..].iter().copied()).collect();
        let blocks_and_pixels = (0..count).flat_map(|dimension| [count + 1 + dimension, dimension]);
        let order: Vec<usize> = [count].into_iter().chain(blocks_and_pixels).chain([2 * count + 1]).collect();
        let source = View::whole(&split, element_bytes)?.permuted(&order);
        let mut target = View::whole(images, element_bytes)?;
        for (index, side) in self.sides.iter().enumerate().rev() {
            target = target.blocked(1 + index, batches[1 + index], side.block, side.before);
        }
        let mut pieces = Vec::from([(source, target)]);
        for (index, side) in self.sides.iter().enumerate() {
            let mut cut = Vec::new();
            for (blocks, pixels) in side.inside(images[1 + index]) {
                let narrowed = |view: &View| {
                    let view = view.clone().narrowed(1 + 2 * index, blocks.clone());
                    view.narrowed(2 + 2 * index, pixels.clone())
                };
                cut.extend(pieces.iter().map(|(source, target)| (narrowed(source), narrowed(target))));
            }
            pieces = cut;
        }
        Ok(pieces.iter().map(|(source, target)| StridedCopy::new(source, target)).collect())
    }

    fn fault(&self, input: &Operand<'_>) -> OperatorFault {
        let blocks: Vec<usize> = self.sides.iter().map(|side| side.block).collect();
        let margins: Vec<_> = self.sides.iter().map(|side| (side.before, side.behind)).collect();
        let what = alloc::format!("blocks of {blocks:?} with margins of {margins:?} do not fit");
        OperatorFault::Shape { what, found: input.shape.into() }
    }
}

impl Side {
    /// The blocks, and the pixels of each, that are inside of an image of the given extent: the end of one block, whole
    /// blocks, and the beginning of another.
    fn inside(&self, extent: usize) -> Vec<(Range<usize>, Range<usize>)> {
        let (block, before) = (self.block, self.before);
        let end = before + extent;
        let (first, last) = (before / block, end / block);
        let whole = before.div_ceil(block)..last;
        if whole.start > whole.end {
            return Vec::from([(first..first + 1, before % block..end % block)]);
        }
        Vec::from([
            (first..whole.start, before % block..block),
            (whole, 0..block),
            (last..end.div_ceil(block), 0..end % block),
        ])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inside(before: usize, extent: usize, block: usize) -> Vec<(Range<usize>, Range<usize>)> {
        Side { block, before, behind: 0 }.inside(extent)
    }

    #[test]
    fn blocks_are_cut_at_the_margins() {
        assert_eq!(inside(1, 8, 3), [(0..1, 1..3), (1..3, 0..3), (3..3, 0..0)]);
        assert_eq!(inside(0, 7, 3), [(0..0, 0..3), (0..2, 0..3), (2..3, 0..1)]);
        assert_eq!(inside(4, 4, 3), [(1..2, 1..3), (2..2, 0..3), (2..3, 0..2)]);
        assert_eq!(inside(4, 1, 3), [(1..2, 1..2)]);
        assert_eq!(inside(4, 0, 3), [(1..2, 1..1)]);
    }

    #[test]
    fn every_pixel_inside_is_copied_once() {
        for (before, extent, block) in
            (0..5).flat_map(|a| (0..9).flat_map(move |b| (1..6).map(move |c| (a, b, c))))
        {
            let mut pixels: Vec<usize> = inside(before, extent, block)
                .into_iter()
                .flat_map(|(blocks, pixels)| {
                    blocks.flat_map(move |index| pixels.clone().map(move |pixel| index * block + pixel))
                })
                .collect();
            pixels.sort_unstable();
            assert_eq!(pixels, (before..before + extent).collect::<Vec<_>>());
        }
    }
}
