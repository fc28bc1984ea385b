//! L2_NORMALIZATION and LOCAL_RESPONSE_NORMALIZATION: rows divided by a measure of their own size.

use burnlite_tflite::{Activation, ElementType, L2NormOptions, LocalResponseNormalizationOptions};

use crate::error::OperatorFault;
use crate::fixed_point::QuantizedMultiplier;
use crate::fixed_point::root::inverse_square_root;
use crate::ops::integer::{Integer, require_output};
use crate::ops::map::{element_type, map_rows};
use crate::plan::{Node, Planned};

/// L2_NORMALIZATION: rows divided by their length.
pub(crate) fn plan_l2(node: &Node<'_>, options: &L2NormOptions) -> Result<Planned, OperatorFault> {
    if options.activation != Activation::None {
        let what = alloc::format!("the fused activation {:?}", options.activation);
        return Err(OperatorFault::Unsupported { what });
    }
    match element_type(node)? {
        ElementType::Float32 => map_rows(node, float_l2),
        ElementType::Int8 => {
            require_output(node, 1.0 / 128.0, 0)?;
            let (_, zero_point) = node.input(0)?.scale_and_zero_point()?;
            map_rows(node, move |row, output| int8_l2(row, zero_point, output))
        }
        _ => Err(node.types_fault()),
    }
}

fn float_l2(row: &[f32], output: &mut [f32]) {
    /// Rows that are shorter are divided by this.
    const SHORTEST: f32 = 1e-6;
    let length = libm::sqrtf(row.iter().map(|x| x * x).sum()).max(SHORTEST);
    for (y, x) in output.iter_mut().zip(row) {
        *y = x / length;
    }
}

/// The scale cancels (`reference/integer_ops/l2normalization.h`). The sum of squares wraps.
fn int8_l2(row: &[i8], zero_point: i32, output: &mut [i8]) {
    let centered = || row.iter().map(|&x| i32::from(x) - zero_point);
    let squares = centered().fold(0i32, |sum, x| sum.wrapping_add(x * x));
    let QuantizedMultiplier { multiplier, shift } = inverse_square_root(squares);
    // In units of the output's scale, 2^-7.
    let factor = QuantizedMultiplier { multiplier, shift: shift + 7 };
    for (y, x) in output.iter_mut().zip(centered()) {
        *y = i8::saturating_from(factor.apply(x));
    }
}

/// LOCAL_RESPONSE_NORMALIZATION: each element times `(bias + alpha * sum)^-beta`, with the sum of the squares from `radius`
/// elements before it to `radius - 1` after it.
pub(crate) fn plan_local_response(
    node: &Node<'_>,
    options: &LocalResponseNormalizationOptions,
) -> Result<Planned, OperatorFault> {
    let &LocalResponseNormalizationOptions { radius, bias, alpha, beta } = options;
    let fault = OperatorFault::Option { option: "the radius", expected: "at least 0", found: radius.into() };
    let radius = usize::try_from(radius).map_err(|_| fault)?;
    if element_type(node)? != ElementType::Float32 {
        return Err(node.types_fault());
    }
    map_rows(node, move |row: &[f32], output: &mut [f32]| {
        for (channel, (y, x)) in output.iter_mut().zip(row).enumerate() {
            let window = channel.saturating_sub(radius)..(channel + radius).min(row.len());
            let squares: f32 = row[window].iter().map(|x| x * x).sum();
            *y = x * libm::powf(bias + alpha * squares, -beta);
        }
    })
}

#[cfg(test)]
mod tests {
    use burnlite_tflite::Op;

    use super::*;
    use crate::ops::map::tests::run;

    #[test]
    fn a_row_of_zeros_stays() {
        let op = Op::L2Normalization(L2NormOptions::default());
        assert_eq!(run(&op, None, &[0.0f32; 3]).unwrap(), [0.0; 3]);
        assert_eq!(run(&op, Some([(0.1, 5), (1.0 / 128.0, 0)]), &[5i8; 3]).unwrap(), [0; 3]);
    }

    #[test]
    fn options_without_a_meaning_are_refused() {
        let op = Op::L2Normalization(L2NormOptions { activation: Activation::Relu });
        assert!(run(&op, None, &[1.0f32]).is_err());
        let options = LocalResponseNormalizationOptions { radius: -1, ..Default::default() };
        assert!(run(&Op::LocalResponseNormalization(options), None, &[1.0f32]).is_err());
    }

    #[test]
    fn a_window_ends_before_the_element_at_its_radius() {
        let options = LocalResponseNormalizationOptions { radius: 1, bias: 0.0, alpha: 1.0, beta: 1.0 };
        let op = Op::LocalResponseNormalization(options);
        assert_eq!(run(&op, None, &[1.0f32, 2.0, 4.0]).unwrap(), [1.0, 2.0 / 5.0, 4.0 / 20.0]);
    }
}
