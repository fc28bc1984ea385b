//! Rows of activations times packed weights, requantized: the inner part of convolutions and dense layers.

use crate::kernels::Engine;
use crate::kernels::integers::{IntegerPanels, Packed};
use crate::kernels::matrix::{Ending, Matrix};
use crate::kernels::pack::{PANEL, PackedWeights};
use crate::kernels::taps::Taps;
use crate::kernels::vectors::Vectors;

/// A layer's weights, packed, and the way of its sums to outputs.
#[derive(Debug)]
pub(crate) struct Product {
    /// The pairs of a row; one that fills an odd run up has a second element without effect.
    pairs: Taps<2>,
    packed: Packed,
}

impl Product {
    /// Packs a layer whose weights are `[channels, depth]`; those of a channel meet `runs` of `run` elements each, which lie
    /// one after the other from the runs' offsets on. `None` where an offset needs more than 32 bits.
    pub(crate) fn new(engine: Engine, matrix: &Matrix<'_>, runs: &[usize], run: usize) -> Option<Self> {
        let pairs = runs.iter().flat_map(|&start| (start..start + run).step_by(2));
        Some(Self {
            pairs: Taps::new(pairs)?,
            packed: Packed {
                engine,
                weights: PackedWeights::new(matrix.weights, matrix.channels, matrix.depth, run),
                ending: Ending::new(matrix, run),
            },
        })
    }
}

impl IntegerPanels for Product {
    const STEP: usize = 0;
    const IS_SHARED: bool = true;

    #[inline(always)]
    fn packed(&self) -> &Packed {
        &self.packed
    }
    fn packed_mut(&mut self) -> &mut Packed {
        &mut self.packed
    }
    fn span(&self) -> usize {
        self.pairs.span()
    }
    #[inline(always)]
    fn tile<V: Vectors, const N: usize, const M: usize>(
        &self,
        vectors: V,
        panel: usize,
        image: &[i16],
        begins: [usize; N],
    ) -> [[V::Ints; N]; M] {
        let Packed { weights, ending, .. } = &self.packed;
        let (rows, panels) = (self.pairs.rows(image, begins), weights.panels::<M>(panel));
        let ending = match ending {
            Ending::Narrow { .. } => {
                return vectors.tile(rows, self.pairs.block(0..self.pairs.len()), panels);
            }
            Ending::Wide(ending) => ending,
        };
        let mut tile = [[vectors.ints([0; PANEL]); N]; M];
        for ((sums, panel), pairs) in tile.iter_mut().zip(panel..).zip(panels) {
            *sums = ending.sums(vectors, panel, pairs.len(), |block| {
                let [sums] = vectors.tile(rows, self.pairs.block(block.clone()), [&pairs[block]]);
                sums
            });
        }
        tile
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;
    use alloc::vec::Vec;

    use proptest::prelude::*;

    use super::*;
    use crate::fixed_point::{QuantizedMultiplier, round_half_away};
    use crate::kernels::Kernels;
    use crate::kernels::dots::Dots;
    use crate::kernels::matrix::{Bias, ChannelFactors};
    use crate::kernels::pack::DOT;
    use crate::kernels::sweep::tests::outputs;
    use crate::ops::integer::{Accumulator, OutputRange};

    /// A layer's data and rows for it.
    #[derive(Debug, Clone)]
    struct Case {
        weights: Vec<i8>,
        rows: Vec<i16>,
        channels: usize,
        depth: usize,
        bias: Vec<i64>,
        multipliers: Vec<QuantizedMultiplier>,
    }

    const RANGE: OutputRange = OutputRange { zero_point: 3, min: -32_000, max: 32_767 };

    impl Case {
        fn layer<'l>(&'l self, bias: Bias<'l>, factors: ChannelFactors<'l>) -> Matrix<'l> {
            let Self { channels, depth, .. } = *self;
            Matrix { weights: &self.weights, channels, depth, bias, factors, range: RANGE, bound: 1 << 15 }
        }

        fn outputs(&self, engine: Engine, matrix: &Matrix<'_>) -> Vec<i16> {
            // Rows lie one after the other, and the last one has an element behind it. Odd runs are packed with half a pair.
            let run = if self.depth.is_multiple_of(3) { self.depth / 3 } else { self.depth };
            let runs: Vec<usize> = (0..self.depth).step_by(run).collect();
            let product = Product::new(engine, matrix, &runs, run).unwrap();
            let image = [&self.rows[..], &[0x5555]].concat();
            let rows = self.rows.len() / self.depth;
            outputs(product, &image, (rows, self.depth), self.channels)
        }

        fn outputs_by_dots(&self, engine: Engine, matrix: &Matrix<'_>) -> Vec<i16> {
            let image = [&self.rows[..], &[0x5555; DOT]].concat();
            let rows = self.rows.len() / self.depth;
            outputs(Dots::new(engine, matrix), &image, (rows, self.depth), self.channels)
        }

        /// Sum by sum, as the definition has it.
        fn expected<A: Accumulator>(
            &self,
            bias: impl Fn(usize) -> A,
            scale: impl Fn(usize, A) -> i32,
        ) -> Vec<i16> {
            let mut outputs = Vec::new();
            for row in self.rows.chunks_exact(self.depth) {
                for (channel, weights) in self.weights.chunks_exact(self.depth).enumerate() {
                    let products = row.iter().zip(weights);
                    let sum =
                        products.fold(A::zeroed(), |sum, (&x, &w)| sum.plus_product(x.into(), w.into()));
                    outputs.push(RANGE.output(scale(channel, sum.plus(bias(channel)))));
                }
            }
            outputs
        }

        fn check(&self) -> Result<(), TestCaseError> {
            let narrow_bias: Vec<i32> = self.bias.iter().map(|&bias| bias as i32).collect();
            let factors: Vec<f64> = self
                .multipliers
                .iter()
                .map(|m| f64::from(m.multiplier) * libm::scalbn(1.0, m.shift - 31))
                .collect();
            let fixed = ChannelFactors::Fixed(&self.multipliers);
            let away = |sum: f64, channel: usize| {
                round_half_away(sum * factors[channel]).clamp(i32::MIN.into(), i32::MAX.into()) as i32
            };
            let wide = self.expected(|c| self.bias[c], |c, sum: i64| sum.requantize(self.multipliers[c]));
            let narrow = self.expected(|c| narrow_bias[c], |c, sum: i32| sum.requantize(self.multipliers[c]));
            let real = self.expected(|c| self.bias[c], |c, sum: i64| away(sum as f64, c));
            for engine in Kernels::engines() {
                let outputs = |bias, requantization| {
                    let layer = self.layer(bias, requantization);
                    let [outputs, by_dots] =
                        [self.outputs(engine, &layer), self.outputs_by_dots(engine, &layer)];
                    assert_eq!(outputs, by_dots, "{engine:?}");
                    outputs
                };
                prop_assert_eq!(&outputs(Bias::Wide(&self.bias), fixed), &wide, "{:?}, 64 bits", engine);
                prop_assert_eq!(
                    &outputs(Bias::Narrow(&narrow_bias), fixed),
                    &narrow,
                    "{:?}, 32 bits",
                    engine
                );
                let away = outputs(Bias::Wide(&self.bias), ChannelFactors::HalfAway(&factors));
                prop_assert_eq!(&away, &real, "{:?}, double precision", engine);
            }
            Ok(())
        }
    }

    #[test]
    fn extremes_of_every_depth_equal_the_definition() {
        for depth in [1usize, 2, 3, 4, 5, 507, 508, 509, 1016, 3069, 4097] {
            for channels in [1, 15, 16, 17] {
                for (x, w) in [(i16::MIN, -128), (i16::MIN, 127), (i16::MAX, -128), (1, 1)] {
                    let shift = -14 - depth.ilog2() as i32;
                    let case = Case {
                        weights: vec![w; channels * depth],
                        rows: vec![x; 5 * depth],
                        channels,
                        depth,
                        bias: (0..channels as i64).map(|channel| channel * 1_000_003 - 7).collect(),
                        multipliers: vec![QuantizedMultiplier { multiplier: 0x5555_5555, shift }; channels],
                    };
                    case.check().unwrap();
                }
            }
        }
    }

    fn cases() -> impl Strategy<Value = Case> {
        (1usize..40, 1usize..70, 1usize..10).prop_flat_map(|(channels, depth, rows)| {
            let multiplier = (1i32 << 30..=i32::MAX, -31i32..=7)
                .prop_map(|(multiplier, shift)| QuantizedMultiplier { multiplier, shift });
            (
                proptest::collection::vec(any::<i8>(), channels * depth),
                proptest::collection::vec(any::<i16>(), rows * depth),
                proptest::collection::vec(-1_000_000_000i64..1_000_000_000, channels),
                proptest::collection::vec(multiplier, channels),
            )
                .prop_map(move |(weights, rows, bias, multipliers)| Case {
                    weights,
                    rows,
                    channels,
                    depth,
                    bias,
                    multipliers,
                })
        })
    }

    proptest! {
        #[test]
        fn random_layers_equal_the_definition(case in cases()) {
            case.check()?;
        }
    }
}
