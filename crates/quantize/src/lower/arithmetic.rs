//! Arithmetic as sums and products.

use burnlite_tflite::{Activation, AddOptions, DivOptions, MulOptions, Op, Operator, SubOptions, TensorId};

use super::Lowered;
use crate::{Bounds, Calibration};

/// `x * y`.
pub(super) fn product(x: TensorId, y: TensorId, result: TensorId) -> Operator {
    product_with(Activation::None, x, y, result)
}

fn product_with(activation: Activation, x: TensorId, y: TensorId, result: TensorId) -> Operator {
    Operator::new(Op::Mul(MulOptions { activation }), [x, y], [result])
}

fn sum_with(activation: Activation, x: TensorId, y: TensorId, result: TensorId) -> Operator {
    Operator::new(Op::Add(AddOptions { activation, pot_scale_int16: false }), [x, y], [result])
}

impl Lowered<'_, '_> {
    pub(super) fn negated(&mut self, x: TensorId, result: TensorId) -> Vec<Operator> {
        let factor = self.constant(result, [], &[-1f32]);
        vec![product(x, factor, result)]
    }

    /// No difference is larger than the root of the largest square.
    pub(super) fn squared_difference(
        &mut self,
        x: TensorId,
        y: TensorId,
        result: TensorId,
        calibration: &Calibration,
    ) -> Option<Vec<Operator>> {
        let largest = calibration.range(result)?.magnitude().sqrt();
        let difference = self.activation(result, Bounds { min: -largest, max: largest });
        let sub = Op::Sub(SubOptions { activation: Activation::None, pot_scale_int16: false });
        Some(vec![Operator::new(sub, [x, y], [difference]), product(difference, difference, result)])
    }

    /// `x * (1 / y)`, where `y` is constant.
    pub(super) fn divided_by_constant(
        &mut self,
        operator: &Operator,
        x: TensorId,
        y: TensorId,
        result: TensorId,
    ) -> Option<Vec<Operator>> {
        let Op::Div(DivOptions { activation }) = operator.op else { return None };
        let divisor = self.tensor(y);
        divisor.data.as_ref()?;
        let reciprocals: Vec<f32> =
            divisor.elements_of::<f32>().ok()?.iter().map(|value| 1.0 / value).collect();
        let shape = divisor.shape.clone();
        if !reciprocals.iter().all(|value| value.is_finite()) {
            return None;
        }
        let factor = self.constant(result, shape, &reciprocals);
        Some(vec![product_with(activation, x, factor, result)])
    }

    /// `x * (clamp(x + 3, 0, 6) / 6)`.
    pub(super) fn hard_swish(&mut self, x: TensorId, result: TensorId) -> Vec<Operator> {
        let (three, sixth) = (self.constant(result, [], &[3f32]), self.constant(result, [], &[1f32 / 6.0]));
        let clamped = self.activation(result, Bounds { min: 0.0, max: 6.0 });
        let gate = self.activation(result, Bounds { min: 0.0, max: 1.0 });
        vec![
            sum_with(Activation::Relu6, x, three, clamped),
            product(clamped, sixth, gate),
            product(x, gate, result),
        ]
    }

    /// `x + 0`, clamped from -1 to 1.
    pub(super) fn clamped_to_one(&mut self, x: TensorId, result: TensorId) -> Vec<Operator> {
        let zero = self.constant(result, [], &[0f32]);
        vec![sum_with(Activation::ReluN1To1, x, zero, result)]
    }
}
