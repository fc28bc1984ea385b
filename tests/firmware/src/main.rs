//! Runs the tutorial's network without `std`: on a Cortex-M, or, as a program of nothing but the C library, on this machine.
//!
//! Says how much memory the plan takes, and that the logits have the bits that they have with `std`.

#![no_std]
#![no_main]

mod heap;
#[cfg_attr(target_os = "none", path = "cortex_m.rs")]
#[cfg_attr(not(target_os = "none"), path = "hosted.rs")]
mod machine;

use core::fmt::Write;
use core::panic::PanicInfo;

use heap::Heap;
use machine::{Console, exit};
use tutorial::{Arena, Error, Network, input_0, output_0};

#[global_allocator]
static HEAP: Heap = Heap::new();

/// An image and its logits, little-endian: the first of the fixture `networks/tutorial_batch1_int16x8`.
const IMAGE: &[u8; 4 * input_0::ELEMENTS] = include_bytes!("image.f32");
const LOGITS: &[u8; 4 * output_0::ELEMENTS] = include_bytes!("logits.f32");

/// What the program does on every machine.
fn run() -> Result<bool, Error> {
    let model = tutorial::model()?;
    let read = HEAP.used();
    let mut arena = Arena::new();
    let mut network = Network::new(&model, &mut arena)?;
    let planned = HEAP.used();
    network.set_input_0(&floats(IMAGE))?;
    network.invoke()?;
    let logits = network.output_0()?;
    let is_equal = *logits == floats(LOGITS);
    say(format_args!("heap: {read} bytes to read the model, {} to plan it", planned - read));
    say(format_args!("arena: {} bytes", tutorial::ARENA_BYTES));
    say(format_args!("logits: {logits:?}, {}", if is_equal { "as with std" } else { "not as with std" }));
    let allocated = HEAP.used() - planned;
    say(format_args!("running allocated {allocated} bytes"));
    Ok(is_equal && allocated == 0)
}

fn floats<const N: usize>(bytes: &[u8]) -> [f32; N] {
    core::array::from_fn(|index| {
        let bytes = bytes[4 * index..].first_chunk().expect("four bytes of each");
        f32::from_le_bytes(*bytes)
    })
}

fn main() -> ! {
    match run() {
        Ok(is_equal) => exit(is_equal),
        Err(error) => {
            say(format_args!("error: {error}"));
            exit(false)
        }
    }
}

fn say(text: core::fmt::Arguments<'_>) {
    // Where nothing can be said, the exit code must do.
    writeln!(Console, "{text}").unwrap_or_default();
}

#[panic_handler]
fn panic(panic: &PanicInfo<'_>) -> ! {
    say(format_args!("{panic}"));
    exit(false)
}
