//! Inputs where none are given.

use burnlite_runtime::{Error as RuntimeError, Interpreter};
use burnlite_tflite::ElementType;

use crate::array::is_quantized;

/// Sets floats to random numbers from -1 to 1, quantized integers to random ones of their whole range, the same ones every
/// time. Other inputs, which may be indices, stay 0.
pub(super) fn set_inputs(interpreter: &mut Interpreter<'_>) -> Result<(), RuntimeError> {
    let kinds: Vec<_> = interpreter
        .inputs()
        .map(|info| (info.element_type, is_quantized(info.element_type, info.quantization)))
        .collect();
    let mut random = SplitMix64(1);
    for (index, kind) in kinds.into_iter().enumerate() {
        match kind {
            (ElementType::Float32, _) => {
                let numbers = interpreter.input_mut::<f32>(index)?;
                numbers.fill_with(|| random.next() as i32 as f32 / (1u32 << 31) as f32);
            }
            (ElementType::Int8, true) => {
                interpreter.input_mut::<i8>(index)?.fill_with(|| random.next() as i8)
            }
            (ElementType::UInt8, true) => {
                interpreter.input_mut::<u8>(index)?.fill_with(|| random.next() as u8)
            }
            (ElementType::Int16, true) => {
                interpreter.input_mut::<i16>(index)?.fill_with(|| random.next() as i16);
            }
            _ => {}
        }
    }
    Ok(())
}

/// Sebastiano Vigna's generator SplitMix64.
struct SplitMix64(u64);

impl SplitMix64 {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}
