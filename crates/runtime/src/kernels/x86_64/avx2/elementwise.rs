//! Loops over elements.

use core::arch::x86_64::*;

use super::fixed;
use crate::fixed_point::QuantizedMultiplier;
use crate::kernels::vectors;

#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn rescale(lanes: &mut [i32], multiplier: QuantizedMultiplier) {
    let QuantizedMultiplier { multiplier: factor, shift } = multiplier;
    let factor = [factor, shift.max(0), (-shift).max(0)].map(|lane| _mm256_set1_epi32(lane));
    let (eights, rest) = lanes.as_chunks_mut::<8>();
    for eight in eights {
        let value = fixed(load(eight), factor);
        store(eight, value);
    }
    rest.iter_mut().for_each(|lane| *lane = multiplier.apply(*lane));
}

#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn pairs(table: &[u16], lanes: &mut [i32]) {
    assert!((2..1 << 16).contains(&table.len()), "a table has a pair, and indices of 16 bits");
    let last = _mm256_set1_epi32(table.len() as i32 - 2);
    let (eights, rest) = lanes.as_chunks_mut::<8>();
    for eight in eights {
        let index = _mm256_min_epu32(load(eight), last);
        // SAFETY: each index and the next one are within the table, and entries are 2 bytes apart.
        let pairs = unsafe { _mm256_i32gather_epi32::<2>(table.as_ptr().cast(), index) };
        store(eight, pairs);
    }
    vectors::pairs(table, rest);
}

#[inline]
#[target_feature(enable = "avx2")]
fn load(lanes: &[i32; 8]) -> __m256i {
    // SAFETY: eight integers are read; the load needs no alignment.
    unsafe { _mm256_loadu_si256(lanes.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx2")]
fn store(lanes: &mut [i32; 8], value: __m256i) {
    // SAFETY: eight integers are written; the store needs no alignment.
    unsafe { _mm256_storeu_si256(lanes.as_mut_ptr().cast(), value) };
}

/// The entries that have the byte's low four bits, sixteen of them, then the one among these for its high four bits.
#[target_feature(enable = "avx2")]
pub(in crate::kernels::x86_64) fn lookup(table: &[u8; 256], bytes: &[u8], output: &mut [u8]) {
    let (rows, _) = table.as_chunks::<16>();
    let low_bits = _mm256_set1_epi8(0x0f);
    let (inputs, input_rest) = bytes.as_chunks::<32>();
    let (outputs, output_rest) = output.as_chunks_mut::<32>();
    for (input, output) in inputs.iter().zip(outputs) {
        // SAFETY: 32 bytes are read; the load needs no alignment.
        let x = unsafe { _mm256_loadu_si256(input.as_ptr().cast()) };
        let low = _mm256_and_si256(x, low_bits);
        let mut entries = [_mm256_setzero_si256(); 16];
        for (entry, row) in entries.iter_mut().zip(rows) {
            *entry = _mm256_shuffle_epi8(broadcast(row), low);
        }
        // The highest bit of a byte chooses.
        let choices = [_mm256_slli_epi16::<3>(x), _mm256_slli_epi16::<2>(x), _mm256_slli_epi16::<1>(x), x];
        for (round, choice) in choices.into_iter().enumerate() {
            for index in 0..8 >> round {
                let [zero, one] = [entries[2 * index], entries[2 * index + 1]];
                entries[index] = _mm256_blendv_epi8(zero, one, choice);
            }
        }
        // SAFETY: 32 bytes are written; the store needs no alignment.
        unsafe { _mm256_storeu_si256(output.as_mut_ptr().cast(), entries[0]) };
    }
    vectors::lookup(table, input_rest, output_rest);
}

/// Sixteen bytes in both halves.
#[inline]
#[target_feature(enable = "avx2")]
fn broadcast(bytes: &[u8; 16]) -> __m256i {
    // SAFETY: sixteen bytes are read; the load needs no alignment.
    _mm256_broadcastsi128_si256(unsafe { _mm_loadu_si128(bytes.as_ptr().cast()) })
}
