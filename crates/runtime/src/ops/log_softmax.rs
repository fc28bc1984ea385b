//! LOG_SOFTMAX over the last dimension.

use burnlite_tflite::ElementType;

use crate::error::OperatorFault;
use crate::fixed_point::logarithm::log_of_at_least_one;
use crate::fixed_point::{QuantizedMultiplier, rounding_shift_right};
use crate::kernels::Engine;
use crate::kernels::elementwise::Loop;
use crate::ops::exponential::exp_single;
use crate::ops::integer::{Integer, multiplier, require_output};
use crate::ops::map::{element_type, map_rows};
use crate::ops::softmax::{ExponentialTable, Exponentials, largest};
use crate::plan::{Node, Planned};

pub(crate) fn plan(node: &Node<'_>) -> Result<Planned, OperatorFault> {
    match element_type(node)? {
        ElementType::Float32 => {
            let engine = node.options.kernels.engine().unwrap_or_default();
            map_rows(node, move |row, output| engine.run_loop(FloatLogSoftmax { row, output }))
        }
        ElementType::Int8 => {
            let log_softmax = Int8LogSoftmax::new(node)?;
            let Some(engine) = node.options.kernels.engine() else {
                return map_rows(node, move |row, output| {
                    let sum = log_softmax.exponentials.sum(Exponentials::differences(row));
                    log_softmax.row(row, sum, output);
                });
            };
            let table = ExponentialTable::new(&log_softmax.exponentials);
            map_rows(node, move |row, output| {
                engine.run_loop(TabulatedLogSoftmax { log_softmax: &log_softmax, table: &table, row, output })
            })
        }
        _ => Err(node.types_fault()),
    }
}

/// In single precision; the sum is formed in order.
struct FloatLogSoftmax<'l> {
    row: &'l [f32],
    output: &'l mut [f32],
}

impl Loop for FloatLogSoftmax<'_> {
    #[inline(always)]
    fn run(self, _: Engine) {
        let Self { row, output } = self;
        let largest = largest(row);
        for (y, x) in output.iter_mut().zip(row) {
            *y = exp_single(x - largest);
        }
        let log = libm::logf(output.iter().sum());
        for (y, x) in output.iter_mut().zip(row) {
            *y = x - largest - log;
        }
    }
}

/// [`Int8LogSoftmax::row`] with a table of exponentials.
struct TabulatedLogSoftmax<'l> {
    log_softmax: &'l Int8LogSoftmax,
    table: &'l ExponentialTable,
    row: &'l [i8],
    output: &'l mut [i8],
}

impl Loop for TabulatedLogSoftmax<'_> {
    #[inline(always)]
    fn run(self, _: Engine) {
        self.log_softmax.row(self.row, self.table.sum(self.row), self.output);
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

    /// A row's results from the sum of its exponentials.
    #[inline]
    fn row(&self, row: &[i8], sum: i32, output: &mut [i8]) {
        let log = log_of_at_least_one(sum);
        // Where the result leaves the output's 16 units, it is the smallest there is.
        let lowest = self.to_difference.apply(log.wrapping_add(i32::MIN));
        let lowest = lowest.max(self.exponentials.smallest - 1);
        for (y, difference) in output.iter_mut().zip(Exponentials::differences(row)) {
            let value = self.exponentials.scaled(difference).wrapping_sub(log);
            *y = if difference > lowest {
                i8::saturating_from(rounding_shift_right(value, OUTPUT_SHIFT) + ZERO)
            } else {
                i8::MIN
            };
        }
    }
}
