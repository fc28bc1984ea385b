//! How many multiply-accumulates an operator does.

use crate::{Op, Operator, TensorId};

impl Operator {
    /// Multiply-accumulates of one run, with tensors of the given shapes: products of an operand with a weight (or, in
    /// matrix products, with another operand) that are summed, padding included. 0 for operators that do none; elementwise
    /// products do not count.
    ///
    /// ```
    /// use burnlite_tflite::{FullyConnectedOptions, Op, Operator, TensorId};
    ///
    /// let shapes: [&[usize]; 3] = [&[2, 8], &[4, 8], &[2, 4]];
    /// let [x, weights, y] = [0, 1, 2].map(TensorId);
    /// let dense = Operator::new(Op::FullyConnected(FullyConnectedOptions::default()), [x, weights], [y]);
    /// assert_eq!(dense.multiply_accumulates(|id| shapes[id.index()]), 2 * 8 * 4);
    /// ```
    pub fn multiply_accumulates<'s>(&self, shape: impl Fn(TensorId) -> &'s [usize]) -> u64 {
        let shape = |id: TensorId| Extents(shape(id));
        let input =
            |position: usize| self.inputs.get(position).copied().flatten().map_or(Extents(&[]), shape);
        let output = self.outputs.first().map_or(Extents(&[]), |&id| shape(id));
        multiply_accumulates(self, input, output)
    }
}

fn multiply_accumulates<'s>(
    operator: &Operator,
    input: impl Fn(usize) -> Extents<'s>,
    output: Extents<'s>,
) -> u64 {
    match &operator.op {
        // Every output meets the weights of its channel.
        Op::Conv2d(_) => output.all().saturating_mul(input(1).from(1)),
        Op::DepthwiseConv2d(_) => output.all().saturating_mul(input(1).at(1)).saturating_mul(input(1).at(2)),
        // Every input meets the taps of every output channel.
        Op::TransposeConv(_) => {
            let weights = input(1);
            let taps = weights.at(1).saturating_mul(weights.at(2));
            input(2).all().saturating_mul(taps).saturating_mul(weights.at(0))
        }
        Op::FullyConnected(_) => output.all().saturating_mul(input(1).from(1)),
        Op::BatchMatMul(options) => {
            let rank = input(0).0.len();
            let summed = if options.adj_x { rank.saturating_sub(2) } else { rank.saturating_sub(1) };
            output.all().saturating_mul(input(0).at(summed))
        }
        // Each filter meets the input and its own memory.
        Op::Svdf(_) => input(0).at(0).saturating_mul(input(1).all().saturating_add(input(2).all())),
        // Each step of each sequence meets the matrices of every gate and of the projection.
        Op::UnidirectionalSequenceLstm(_) => {
            let steps = input(0).at(0).saturating_mul(input(0).at(1));
            let matrices = (1..=8)
                .chain([16])
                .filter(|&position| operator.inputs.get(position).is_some_and(Option::is_some));
            let weights = matrices.fold(0u64, |sum, position| sum.saturating_add(input(position).all()));
            steps.saturating_mul(weights)
        }
        _ => 0,
    }
}

/// A shape, of which a hostile file may have any.
struct Extents<'s>(&'s [usize]);

impl Extents<'_> {
    /// Elements.
    fn all(&self) -> u64 {
        self.from(0)
    }

    /// The product of the extents from the given dimension on.
    fn from(&self, dimension: usize) -> u64 {
        let extents = self.0.get(dimension..).unwrap_or_default();
        extents.iter().fold(1, |product: u64, &extent| product.saturating_mul(extent as u64))
    }

    /// One extent; 0 where there is no such dimension.
    fn at(&self, dimension: usize) -> u64 {
        self.0.get(dimension).map_or(0, |&extent| extent as u64)
    }
}
