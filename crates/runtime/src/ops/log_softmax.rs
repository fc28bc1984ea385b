//! LOG_SOFTMAX over the last dimension.

use burnlite_tflite::ElementType;

use crate::error::OperatorFault;
use crate::fixed_point::logarithm::log_of_at_least_one;
use crate::fixed_point::{QuantizedMultiplier, rounding_shift_right};
use crate::ops::integer::{Integer, multiplier, require_output};
use crate::ops::map::{element_type, map_rows};
use crate::ops::softmax::Exponentials;
use crate::plan::{Node, Planned};

pub(crate) fn plan(node: &Node<'_>) -> Result<Planned, OperatorFault> {
    match element_type(node)? {
        ElementType::Float32 => map_rows(node, float_log_softmax),
        ElementType::Int8 => {
            let log_softmax = Int8LogSoftmax::new(node)?;
            map_rows(node, move |row, output| log_softmax.row(row, output))
        }
        _ => Err(node.types_fault()),
    }
}

fn float_log_softmax(row: &[f32], output: &mut [f32]) {
    let largest = row.iter().copied().fold(f32::MIN, f32::max);
    let sum: f32 = row.iter().map(|x| libm::expf(x - largest)).sum();
    let log = libm::logf(sum);
    for (y, x) in output.iter_mut().zip(row) {
        *y = x - largest - log;
    }
}

/// Fixed point throughout (`reference/log_softmax.h`): the differences to the largest, less the logarithm of the sum of
/// their exponentials.
#[derive(Debug)]
struct Int8LogSoftmax {
    exponentials: Exponentials,
    /// From a real number with 5 integer bits to a difference.
    to_difference: QuantizedMultiplier,
}

/// The output's zero point, where the logarithm is 0.
const ZERO: i32 = 127;
/// The output has 4 integer and 4 fraction bits, a scaled difference has 26 of the latter.
const OUTPUT_SHIFT: u32 = 22;

impl Int8LogSoftmax {
    fn new(node: &Node<'_>) -> Result<Self, OperatorFault> {
        require_output(node, 16.0 / 256.0, ZERO)?;
        let exponentials = Exponentials::new(&node.input(0)?, 1.0)?;
        let QuantizedMultiplier { multiplier: factor, shift } = exponentials.multiplier;
        let unit = f64::from(1u32 << (31 - shift).clamp(0, 31));
        let to_difference = multiplier::<i32>(unit / f64::from(factor), &node.output(0)?)?;
        Ok(Self { exponentials, to_difference })
    }

    fn row(&self, row: &[i8], output: &mut [i8]) {
        let differences = Exponentials::differences(row);
        let log = log_of_at_least_one(self.exponentials.sum(differences.clone()));
        // Where the result leaves the output's 16 units, it is the smallest there is.
        let lowest = self.to_difference.apply(log.wrapping_add(i32::MIN));
        let lowest = lowest.max(self.exponentials.smallest - 1);
        for (y, difference) in output.iter_mut().zip(differences) {
            let value = self.exponentials.scaled(difference).wrapping_sub(log);
            *y = if difference > lowest {
                i8::saturating_from(rounding_shift_right(value, OUTPUT_SHIFT) + ZERO)
            } else {
                i8::MIN
            };
        }
    }
}
