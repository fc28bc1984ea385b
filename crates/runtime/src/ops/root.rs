//! SQRT and RSQRT: square roots and their inverses. Integers that stand for negative numbers are refused when they appear.

use burnlite_tflite::ElementType;

use crate::error::OperatorFault;
use crate::fixed_point::QuantizedMultiplier;
use crate::fixed_point::root::inverse_square_root;
use crate::interpreter::Numerics;
use crate::ops::elementwise::table16;
use crate::ops::integer::{Integer, multiplier};
use crate::ops::map::{element_type, map, try_map};
use crate::ops::table::Precision;
use crate::plan::{Node, Planned};

/// SQRT.
pub(crate) fn plan_sqrt(node: &Node<'_>) -> Result<Planned, OperatorFault> {
    match element_type(node)? {
        ElementType::Float32 => map(node, libm::sqrtf),
        ElementType::Int8 => integer_sqrt::<i8>(node),
        ElementType::Int16 => integer_sqrt::<i16>(node),
        _ => Err(node.types_fault()),
    }
}

/// Each root on its own in single precision, cut, not rounded, to a multiple of the output's scale.
fn integer_sqrt<T: Integer>(node: &Node<'_>) -> Result<Planned, OperatorFault> {
    let (input_scale, input_zero_point) = node.input(0)?.scale_and_zero_point()?;
    let (output_scale, output_zero_point) = node.output(0)?.scale_and_zero_point()?;
    try_map::<T>(node, move |q| {
        let x = input_scale * not_negative(q.into() - input_zero_point)? as f32;
        let root = (libm::sqrtf(x) / output_scale) as i32;
        Ok(T::saturating_from(root.saturating_add(output_zero_point)))
    })
}

/// RSQRT.
pub(crate) fn plan_rsqrt(node: &Node<'_>) -> Result<Planned, OperatorFault> {
    match (element_type(node)?, node.options.numerics) {
        (ElementType::Float32, _) => map(node, |x| 1.0 / libm::sqrtf(x)),
        (ElementType::Int8, _) => fixed_point_rsqrt::<i8>(node),
        (ElementType::Int16, Numerics::LiteRt) => tabulated_rsqrt(node),
        (ElementType::Int16, Numerics::TfLiteMicro) => fixed_point_rsqrt::<i16>(node),
        _ => Err(node.types_fault()),
    }
}

/// In the table, the root of 0 is the largest number there is.
fn tabulated_rsqrt(node: &Node<'_>) -> Result<Planned, OperatorFault> {
    let largest = node.output(0)?.symmetric_scale()? * 32_767.0;
    let table = table16(node, |x| if x <= 0.0 { largest } else { 1.0 / libm::sqrtf(x) })?;
    try_map(node, move |q: i16| not_negative(q.into()).map(|_| table.lookup(q)))
}

/// Bits that the inverse root gains before it is rescaled.
const EXTRA_BITS: i32 = 20;

fn fixed_point_rsqrt<T: Integer>(node: &Node<'_>) -> Result<Planned, OperatorFault> {
    let output = node.output(0)?;
    let (input_scale, input_zero_point) = node.input(0)?.scale_and_zero_point()?;
    let (output_scale, output_zero_point) = output.scale_and_zero_point()?;
    let precision = Precision::of_scales(node.options.numerics);
    let root = precision.round(libm::sqrt(input_scale.into()));
    let factor = multiplier::<i32>(1.0 / precision.round(root * f64::from(output_scale)), &output)?;
    // A shift that is undefined would leave nothing anyway.
    let factor = match factor.shift - EXTRA_BITS {
        shift @ -31.. => QuantizedMultiplier { shift, ..factor },
        _ => QuantizedMultiplier { multiplier: 0, shift: 0 },
    };
    try_map::<T>(node, move |q| {
        let x = not_negative(q.into() - input_zero_point)?;
        if x == 0 {
            return Ok(T::saturating_from(T::MAX));
        }
        let QuantizedMultiplier { multiplier, shift } = inverse_square_root(x);
        let inverse = QuantizedMultiplier { multiplier, shift: shift + EXTRA_BITS }.apply(1);
        Ok(T::saturating_from(factor.apply(inverse).saturating_add(output_zero_point)))
    })
}

fn not_negative(value: i32) -> Result<i32, OperatorFault> {
    if value < 0 {
        return Err(OperatorFault::Unsupported { what: "the root of a negative number".into() });
    }
    Ok(value)
}

#[cfg(test)]
mod tests {
    use burnlite_tflite::Op;

    use crate::ops::map::tests::{fault, run, run_both};

    #[test]
    fn rsqrt_of_16_bits_is_a_table_in_litert_and_fixed_point_in_tflite_micro() {
        let [litert, micro] = run_both(&Op::Rsqrt, Some([(0.0005, 0), (0.00013, 0)]), &[128i16, 256, 512]);
        assert_eq!((litert, micro), ([29_899, 21_372, 15_177].into(), [30_407, 21_501, 15_204].into()));
    }

    #[test]
    fn negative_integers_are_refused_when_they_appear() {
        let scales = Some([(0.1, -20), (0.1, -128)]);
        for op in [Op::Sqrt, Op::Rsqrt] {
            assert!(run(&op, scales, &[-20i8, 127]).is_ok());
            let error = fault(&op, scales, &[0i8, -21]);
            assert!(error.contains("the root of a negative number is not supported"), "{error}");
        }
        let no_number = run(&Op::Sqrt, None, &[-1.0f32]).unwrap();
        assert!(no_number[0].is_nan());
    }

    #[test]
    fn scales_may_be_large_but_not_tiny() {
        let rsqrt = |scale| run(&Op::Rsqrt, Some([(scale, 0), (scale, 3)]), &[0i8, 1, 100]);
        for scale in [1e4, 1e20] {
            assert_eq!(rsqrt(scale).unwrap(), [127, 3, 3]);
        }
        assert!(rsqrt(1e-30).is_err());
    }
}
