//! Loops over elements.

use core::arch::aarch64::*;

use bytemuck::must_cast;

use super::fixed;
use crate::fixed_point::QuantizedMultiplier;
use crate::kernels::vectors;

#[inline]
#[target_feature(enable = "neon")]
pub(in crate::kernels::aarch64) fn rescale(lanes: &mut [i32], multiplier: QuantizedMultiplier) {
    let QuantizedMultiplier { multiplier: factor, shift } = multiplier;
    let factor = [factor, shift.max(0), (-shift).max(0)].map(|lane| vdupq_n_s32(lane));
    let (fours, rest) = lanes.as_chunks_mut::<4>();
    for four in fours {
        *four = must_cast(fixed(must_cast(*four), factor));
    }
    rest.iter_mut().for_each(|lane| *lane = multiplier.apply(*lane));
}

/// A table of 64 entries is looked up at once, so there are four; indices beyond a table leave what was found as it is.
#[inline]
#[target_feature(enable = "neon")]
pub(in crate::kernels::aarch64) fn lookup(table: &[u8; 256], bytes: &[u8], output: &mut [u8]) {
    let tables: [[uint8x16_t; 4]; 4] = must_cast(*table);
    let [first, second, third, fourth] = tables.map(|[a, b, c, d]| uint8x16x4_t(a, b, c, d));
    let size = vdupq_n_u8(64);
    let (inputs, input_rest) = bytes.as_chunks::<16>();
    let (outputs, output_rest) = output.as_chunks_mut::<16>();
    for (input, output) in inputs.iter().zip(outputs) {
        let index = must_cast(*input);
        let mut found = vqtbl4q_u8(first, index);
        let index = vsubq_u8(index, size);
        found = vqtbx4q_u8(found, second, index);
        let index = vsubq_u8(index, size);
        found = vqtbx4q_u8(found, third, index);
        found = vqtbx4q_u8(found, fourth, vsubq_u8(index, size));
        *output = must_cast(found);
    }
    vectors::lookup(table, input_rest, output_rest);
}
