//! Movements of values as reshapes, transpositions and concatenations.

use burnlite_tflite::{Activation, ConcatenationOptions, Op, Operator, ReshapeOptions, TensorId};

use super::Lowered;
use crate::{Bounds, Calibration};

/// The quotient of an extent that a block divides.
fn quotient(extent: usize, block: usize) -> Option<usize> {
    let quotient = extent.checked_div(block)?;
    (quotient * block == extent).then_some(quotient)
}

impl Lowered<'_, '_> {
    /// `[N, H, W, b * b * C]` as `[N * H, W, b, b * C]`, rows and columns of blocks exchanged.
    pub(super) fn depth_to_space(
        &mut self,
        x: TensorId,
        result: TensorId,
        block: i32,
        calibration: &Calibration,
    ) -> Option<Vec<Operator>> {
        let block = usize::try_from(block).ok()?;
        let &[batch, height, width, channels] = self.tensor(x).shape.as_slice() else { return None };
        let shape = [batch * height, width, block, quotient(channels, block)?];
        self.exchanged(x, result, shape, calibration.range(result)?)
    }

    /// `[N, H * b, W * b, C]` as `[N * H, b, W, b * C]`, rows and columns of blocks exchanged.
    pub(super) fn space_to_depth(
        &mut self,
        x: TensorId,
        result: TensorId,
        block: i32,
        calibration: &Calibration,
    ) -> Option<Vec<Operator>> {
        let block = usize::try_from(block).ok()?;
        let &[batch, height, width, channels] = self.tensor(x).shape.as_slice() else { return None };
        let shape =
            [batch * quotient(height, block)?, block, quotient(width, block)?, block.checked_mul(channels)?];
        self.exchanged(x, result, shape, calibration.range(result)?)
    }

    /// RESHAPE to the given shape, exchange of the dimensions 1 and 2, RESHAPE to the result's shape. The first dimension
    /// is what is left, so that the batch may be free.
    fn exchanged(
        &mut self,
        x: TensorId,
        result: TensorId,
        shape: [usize; 4],
        range: Bounds,
    ) -> Option<Vec<Operator>> {
        let [rows, first, second, depth] = shape;
        let last = self.tensor(result).shape.clone();
        let before = self.reshaped(result, shape.to_vec(), range);
        let after = self.reshaped(result, vec![rows, second, first, depth], range);
        let to_before = self.extents(result, &shape)?;
        let to_result = self.extents(result, &last)?;
        let order = self.constant(result, [4], &[0i32, 2, 1, 3]);
        let reshape =
            |from, extents, to| Operator::new(Op::Reshape(ReshapeOptions::default()), [from, extents], [to]);
        Some(vec![
            reshape(x, to_before, before),
            Operator::new(Op::Transpose, [before, order], [after]),
            reshape(after, to_result, result),
        ])
    }

    /// A shape whose first extent is free, as RESHAPE reads it.
    fn extents(&mut self, result: TensorId, shape: &[usize]) -> Option<TensorId> {
        let mut extents: Vec<i32> =
            shape.iter().map(|&extent| i32::try_from(extent).ok()).collect::<Option<_>>()?;
        *extents.first_mut()? = -1;
        Some(self.constant(result, [extents.len()], &extents))
    }

    /// The operand beside itself, along one dimension after the other.
    pub(super) fn tiled(
        &mut self,
        x: TensorId,
        multiples: TensorId,
        result: TensorId,
        calibration: &Calibration,
    ) -> Option<Vec<Operator>> {
        self.tensor(multiples).data.as_ref()?;
        let multiples: Vec<usize> = self
            .tensor(multiples)
            .elements_of::<i32>()
            .ok()?
            .iter()
            .map(|&multiple| usize::try_from(multiple).ok().filter(|&multiple| multiple > 0))
            .collect::<Option<_>>()?;
        let (range, mut shape) = (calibration.range(result)?, self.tensor(x).shape.clone());
        let axes: Vec<usize> = (0..shape.len()).filter(|&axis| multiples.get(axis) > Some(&1)).collect();
        let (mut operators, mut operand) = (Vec::new(), x);
        for &axis in &axes {
            shape[axis] = shape[axis].checked_mul(multiples[axis])?;
            let is_last = axes.last() == Some(&axis);
            let joined = if is_last { result } else { self.reshaped(result, shape.clone(), range) };
            let options =
                ConcatenationOptions { axis: i32::try_from(axis).ok()?, activation: Activation::None };
            let operands = vec![operand; multiples[axis]];
            operators.push(Operator::new(Op::Concatenation(options), operands, [joined]));
            operand = joined;
        }
        (!operators.is_empty()).then_some(operators)
    }
}
