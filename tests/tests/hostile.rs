//! Files from strangers: whatever the bytes, an error or a valid result, never a panic.

use burnlite_runtime::{Interpreter, InterpreterOptions};
use burnlite_tests::Fixture;
use burnlite_tflite::Model;
use rand_pcg::Pcg32;
use rand_pcg::rand_core::Rng;

/// Reads, plans and runs, with a limit on memory; says whether all of it worked.
fn survives(bytes: &[u8]) -> bool {
    let options = InterpreterOptions { max_arena_bytes: 1 << 24, ..InterpreterOptions::default() };
    let Ok(model) = Model::from_bytes(bytes) else { return false };
    let Ok(mut interpreter) = Interpreter::with_options(&model, &options) else { return false };
    // A changed shape may make the work too long for a test.
    if interpreter
        .outputs()
        .chain(interpreter.inputs())
        .any(|tensor| tensor.shape.iter().product::<usize>() > 1 << 16)
    {
        return true;
    }
    interpreter.invoke().is_ok()
}

#[test]
fn a_thousand_flipped_bits_give_an_error_or_a_result() {
    let mut random = Pcg32::new(7, 1);
    for name in
        ["tutorial_batch1_float32", "tutorial_int8", "tutorial_batch1_int16x8", "tutorial_int16x8_bias32"]
    {
        let fixture = Fixture::named(&format!("networks/{name}"));
        let (mut refused, mut survived) = (0, 0);
        for _ in 0..1_000 {
            let mut bytes = fixture.bytes.clone();
            let bit = random.next_u32() as usize % (bytes.len() * 8);
            bytes[bit / 8] ^= 1 << (bit % 8);
            if survives(&bytes) { survived += 1 } else { refused += 1 }
        }
        // Most bits are weights; the others must have been met too.
        assert!(refused > 0 && survived > 0, "{name}: {refused} refused, {survived} survived");
    }
}

#[test]
fn flipped_bits_outside_the_weights_give_an_error_or_a_result() {
    for fixture in Fixture::folder("operators") {
        let mut random = Pcg32::new(11, 1);
        for _ in 0..40 {
            let mut bytes = fixture.bytes.clone();
            for _ in 0..2 {
                let bit = random.next_u32() as usize % (bytes.len() * 8);
                bytes[bit / 8] ^= 1 << (bit % 8);
            }
            survives(&bytes);
        }
    }
}

#[test]
fn a_truncated_file_is_an_error_that_says_so() {
    let fixture = Fixture::named("networks/tutorial_int16x8");
    for length in [0, 3, 8, 100, 1_000, fixture.bytes.len() / 2] {
        let error = Model::from_bytes(&fixture.bytes[..length]).unwrap_err().to_string();
        assert!(error.contains("truncated") || error.contains("not a .tflite file"), "{length}: {error}");
    }
}
