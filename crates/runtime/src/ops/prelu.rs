//! PRELU: `x`, or `alpha * x` where `x` is negative; alpha is an operand, broadcast to the first.

use burnlite_tflite::{Activation, ElementType};

use crate::error::OperatorFault;
use crate::fixed_point::QuantizedMultiplier;
use crate::interpreter::Numerics;
use crate::kernels::Engine;
use crate::kernels::elementwise::{PairSteps, finish};
use crate::ops::binary;
use crate::ops::integer::{Integer, OutputRange, multiplier, uniform};
use crate::plan::{Node, Planned};

pub(crate) fn plan(node: &Node<'_>) -> Result<Planned, OperatorFault> {
    use ElementType::{Float32, Int8, Int16};
    let (input, alpha, output) = (node.input(0)?, node.input(1)?, node.output(0)?);
    let planned = match (input.element_type(), alpha.element_type(), output.element_type()) {
        (Float32, Float32, Float32) => {
            binary::plan(node, |x: f32, alpha: f32| if x >= 0.0 { x } else { x * alpha })
        }
        (Int8, Int8, Int8) => plan_integer::<i8>(node),
        // 16-bit activations go with an 8-bit alpha.
        (Int16, Int8, Int16) => plan_integer::<i16>(node),
        _ => Err(node.types_fault()),
    }?;
    if planned.shapes[0] != input.shape {
        let what = alloc::format!("alpha must broadcast to the shape {:?}", input.shape);
        return Err(OperatorFault::Shape { what, found: alpha.shape.into() });
    }
    Ok(planned)
}

/// Each side of zero has a multiplier (`reference/prelu.h`).
fn plan_integer<T: Integer>(node: &Node<'_>) -> Result<Planned, OperatorFault> {
    let output = node.output(0)?;
    let (input_scale, zero_point) = uniform::<T>(&node.input(0)?)?;
    let (alpha_scale, alpha_zero_point) = node.input(1)?.scale_and_zero_point()?;
    let (output_scale, _) = uniform::<T>(&output)?;
    let (positive, negative) = match node.options.numerics {
        Numerics::LiteRt => {
            (f64::from(input_scale / output_scale), f64::from(input_scale * alpha_scale / output_scale))
        }
        Numerics::TfLiteMicro => {
            let [input, alpha, output] = [input_scale, alpha_scale, output_scale].map(f64::from);
            (input / output, input * alpha / output)
        }
    };
    let positive = multiplier::<i32>(positive, &output)?;
    let negative = multiplier::<i32>(negative, &output)?;
    let range = OutputRange::new::<T>(&output, Activation::None)?;
    let zero_points = (zero_point, alpha_zero_point);
    binary::plan_steps::<T, i8, T>(node, IntegerPrelu { zero_points, positive, negative, range })
}

#[derive(Debug)]
struct IntegerPrelu {
    /// The input's and alpha's.
    zero_points: (i32, i32),
    positive: QuantizedMultiplier,
    negative: QuantizedMultiplier,
    range: OutputRange,
}

impl<T: Integer> PairSteps<T, i8, T> for IntegerPrelu {
    #[inline]
    fn of(&self, x: T, alpha: i8) -> T {
        let (x, alpha) = (x.into() - self.zero_points.0, i32::from(alpha) - self.zero_points.1);
        self.range.output(if x >= 0 { self.positive.apply(x) } else { self.negative.apply(x * alpha) })
    }
    #[inline(always)]
    fn block(&self, engine: Engine, left: &mut [i32], right: &mut [i32]) {
        for (x, alpha) in left.iter_mut().zip(right.iter_mut()) {
            let centered = *x - self.zero_points.0;
            *alpha = centered.min(0) * (*alpha - self.zero_points.1);
            *x = centered.max(0);
        }
        engine.rescale(left, self.positive);
        engine.rescale(right, self.negative);
        // One of the two is 0.
        left.iter_mut().zip(right).for_each(|(positive, negative)| *positive += *negative);
        finish(left, self.range);
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use burnlite_tflite::Op;

    use super::*;
    use crate::ops::binary::testing::Case;

    #[test]
    fn factors_are_products_in_single_precision_in_litert_alone() {
        // 0.0015 / 0.001 is 1.5 in single precision, and a little less in double.
        let case = Case::new(Op::Prelu, Some([(0.0015, 0), (1.0, 0), (0.001, 0)]), ElementType::Int16);
        assert_eq!(case.run_both::<i16, i8, i16>(&[1, 3, -3], &[1]), [[2, 5, -4], [1, 4, -4]].map(Vec::from));
    }

    #[test]
    fn alpha_may_not_widen_the_result() {
        let case = Case::new(Op::Prelu, None, ElementType::Float32);
        assert!(case.run::<f32, f32, f32>(&[1.0], &[1.0, 2.0]).is_err());
        assert_eq!(case.run::<f32, f32, f32>(&[-1.0, 2.0], &[0.5]).unwrap(), [-0.5, 2.0]);
    }
}
