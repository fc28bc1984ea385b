//! Weights as the tiles read them: panels of [`PANEL`] channels, pair after pair of taps.

use alloc::vec;
use alloc::vec::Vec;

/// Channels of a panel: two vectors of eight 32-bit sums.
pub(crate) const PANEL: usize = 16;

/// The weights of a panel's channels for a pair of taps: `[channel, element of the pair]`.
pub(crate) type Pairs = [i8; 2 * PANEL];

/// A matrix of weights, `[channels, runs, run]`, in the order `[panel, pair, channel of the panel, element of the pair]`;
/// channels and runs are filled up with zeros.
#[derive(Debug, Clone)]
pub(crate) struct PackedWeights {
    pub(crate) channels: usize,
    /// Pairs of a row.
    pub(crate) pairs: usize,
    data: Vec<i8>,
}

/// Elements of a row that meet weights at once in [`Vectors::dots`](super::vectors::Vectors::dots).
pub(crate) const DOT: usize = 16;

/// The weights of four channels for [`DOT`] elements: `[channel, element]`.
pub(crate) type Quad = [[i8; DOT]; 4];

/// The most [`DOT`]s of elements whose products may be summed in sixteen lanes of 32 bits each two of which may be one: a
/// lane has at most 510 products, each at most 2^22 in magnitude.
pub(crate) const DOT_BLOCK: usize = 255;
const _: () = assert!((2 * DOT_BLOCK as i64) << 22 <= i32::MAX as i64);

impl PackedWeights {
    pub(crate) fn new(weights: &[i8], channels: usize, depth: usize, run: usize) -> Self {
        let run = run.max(1);
        let run_pairs = run.div_ceil(2);
        let pairs = depth / run * run_pairs;
        let mut data = vec![0; channels.div_ceil(PANEL) * pairs * PANEL * 2];
        for (channel, row) in weights.chunks_exact(depth.max(1)).take(channels).enumerate() {
            let panel = channel / PANEL * pairs;
            for (tap, &weight) in row.iter().enumerate() {
                let (run, tap) = (tap / run * run_pairs, tap % run);
                data[((panel + run + tap / 2) * PANEL + channel % PANEL) * 2 + tap % 2] = weight;
            }
        }
        Self { channels, pairs, data }
    }

    /// A matrix of weights, `[channels, depth]`, in the order `[quad, dot, channel of the quad, element of the dot]`; channels
    /// and elements are filled up with zeros.
    pub(crate) fn for_dots(weights: &[i8], channels: usize, depth: usize) -> Self {
        let dots = depth.div_ceil(DOT);
        let mut data = vec![0; channels.div_ceil(4) * dots * 4 * DOT];
        for (channel, row) in weights.chunks_exact(depth.max(1)).take(channels).enumerate() {
            for (dot, row) in row.chunks(DOT).enumerate() {
                let start = ((channel / 4 * dots + dot) * 4 + channel % 4) * DOT;
                data[start..][..row.len()].copy_from_slice(row);
            }
        }
        Self { channels, pairs: dots * DOT / 2, data }
    }

    /// The weights of four channels, dot after dot.
    #[inline]
    pub(crate) fn quads(&self, index: usize) -> &[Quad] {
        let (quads, _) = self.data.as_chunks::<DOT>().0.as_chunks::<4>();
        let dots = self.pairs * 2 / DOT;
        &quads[index * dots..][..dots]
    }

    /// The weights of a panel, pair after pair.
    #[inline]
    pub(crate) fn panel(&self, index: usize) -> &[Pairs] {
        let (pairs, _) = self.data.as_chunks();
        &pairs[index * self.pairs..][..self.pairs]
    }

    /// The weights of `M` panels, from the given one on.
    #[inline(always)]
    pub(crate) fn panels<const M: usize>(&self, first: usize) -> [&[Pairs]; M] {
        panels(self.data.as_chunks().0, first, self.pairs)
    }

    /// Bytes that the packed weights take.
    pub(crate) fn bytes(&self) -> usize {
        self.data.len()
    }
}

/// The steps of `M` panels, each of the given number, from one panel on.
#[inline(always)]
pub(crate) fn panels<P, const M: usize>(packed: &[P], first: usize, steps: usize) -> [&[P]; M] {
    let mut panels = [packed; M];
    for (panel, packed_panel) in (first..).zip(&mut panels) {
        *packed_panel = &packed[panel * steps..][..steps];
    }
    panels
}

/// The most packed pairs of a row that may be summed in 32 bits: every sum of that many products with elements of
/// `-bound..=bound` is exact, whatever the elements and the order.
///
/// From the weights' own magnitudes: the sum of `bound * |w|` over each block of `n` pairs must stay below 2^31. A run of odd
/// length ends with half a pair, so blocks of pairs are no blocks of weights.
pub(crate) fn exact_pairs(weights: &[i8], depth: usize, run: usize, bound: i64) -> usize {
    let limit = i64::from(i32::MAX) / bound;
    let magnitude = |pair: &[i8]| pair.iter().map(|w| i64::from(w.unsigned_abs())).sum::<i64>();
    let pairs = |row: &[i8]| -> Vec<i64> {
        row.chunks(run.max(1)).flat_map(|run| run.chunks(2)).map(magnitude).collect()
    };
    let rows: Vec<Vec<i64>> = weights.chunks_exact(depth.max(1)).map(pairs).collect();
    let fits =
        |n: usize| rows.iter().all(|row| row.chunks(n).all(|block| block.iter().sum::<i64>() <= limit));
    // Whole rows nearly always fit; where they do not, halves, quarters, … down to what any weights allow.
    let always = usize::try_from(limit / 256).unwrap_or(usize::MAX).max(1);
    let mut n = rows.first().map_or(0, Vec::len).max(1);
    while n > always && !fits(n) {
        n = n.div_ceil(2);
    }
    n
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_lie_pair_by_pair_in_panels_of_channels() {
        let weights: Vec<i8> = (0..17 * 3).map(|index| index as i8).collect();
        let packed = PackedWeights::new(&weights, 17, 3, 3);
        let panels = [packed.panel(0), packed.panel(1)];
        assert_eq!((panels[0].len(), packed.bytes()), (2, 2 * 2 * 32));
        // Channel 1: 3, 4 and 5, then nothing. Channel 16 is the first of the second panel.
        assert_eq!([panels[0][0][2], panels[0][0][3], panels[0][1][2], panels[0][1][3]], [3, 4, 5, 0]);
        assert_eq!([panels[1][0][0], panels[1][0][1], panels[1][1][0], panels[1][1][2]], [48, 49, 50, 0]);
    }

    #[test]
    fn weights_for_dots_lie_channel_by_channel_in_quads() {
        let weights: Vec<i8> = (0..5 * 17).map(|index| index as i8).collect();
        let packed = PackedWeights::for_dots(&weights, 5, 17);
        let quads = [packed.quads(0), packed.quads(1)];
        assert_eq!((quads[0].len(), packed.bytes()), (2, 2 * 2 * 4 * DOT));
        assert_eq!(
            [quads[0][0][1][0], quads[0][0][1][15], quads[0][1][1][0], quads[0][1][1][1]],
            [17, 32, 33, 0]
        );
        assert_eq!([quads[1][0][0][0], quads[1][1][0][0], quads[1][0][1][0]], [68, 84, 0]);
    }

    #[test]
    fn small_weights_are_summed_in_one_go_and_large_ones_in_blocks() {
        assert_eq!(exact_pairs(&[30; 2000], 2000, 2000, 1 << 15), 1000);
        let blocks = exact_pairs(&[-128; 5000], 5000, 5000, 1 << 15);
        assert!(blocks * 2 * 128 <= 65_535, "{blocks}");
        assert_eq!(exact_pairs(&[], 0, 1, 1 << 15), 1);
    }

    #[test]
    fn blocks_are_counted_in_pairs_also_where_runs_are_odd() {
        // Each run of one weight is a pair, and 600 of them of full size are too many.
        let mut weights = [0; 1200];
        weights[..600].fill(-128);
        let n = exact_pairs(&weights, 1200, 1, 1 << 15);
        assert!(n * 128 <= 65_535, "{n}");
    }
}
