//! What a program without `std` does with the tutorial's network: it runs it, and says what memory that takes.

#![no_std]

mod heap;

use core::fmt::{self, Write};

use tutorial::{Arena, Error, Network, input_0, output_0};

pub use heap::Heap;

/// An image and its logits, little-endian: the first of the fixture `networks/tutorial_batch1_int16x8`.
const IMAGE: &[u8; 4 * input_0::ELEMENTS] = include_bytes!("image.f32");
const LOGITS: &[u8; 4 * output_0::ELEMENTS] = include_bytes!("logits.f32");

/// What a run gave, and the bytes that it took.
struct Outcome {
    logits: [f32; output_0::ELEMENTS],
    /// Of the heap, to read the model, to plan it and to run it.
    read: usize,
    planned: usize,
    ran: usize,
}

/// Runs the network on the image, with `heap` as the program's allocator. Tells the console what came out.
///
/// Gives whether the logits have the bits that they have with `std`, and nothing was allocated to compute them.
pub fn run(heap: &Heap, console: &mut dyn Write) -> bool {
    let outcome = recognize(heap);
    let is_right = outcome.as_ref().is_ok_and(|outcome| outcome.ran == 0 && outcome.logits == floats(LOGITS));
    tell(&outcome, console).is_ok() && is_right
}

fn recognize(heap: &Heap) -> Result<Outcome, Error> {
    let start = heap.used();
    let model = tutorial::model()?;
    let read = heap.used() - start;
    let mut arena = Arena::new();
    let mut network = Network::new(&model, &mut arena)?;
    let planned = heap.used() - start - read;
    network.set_input_0(&floats(IMAGE))?;
    network.invoke()?;
    let logits = *network.output_0()?;
    Ok(Outcome { logits, read, planned, ran: heap.used() - start - read - planned })
}

fn tell(outcome: &Result<Outcome, Error>, console: &mut dyn Write) -> fmt::Result {
    match outcome {
        Ok(Outcome { logits, read, planned, ran }) => {
            writeln!(console, "arena: {} bytes", tutorial::ARENA_BYTES)?;
            writeln!(console, "heap: {read} bytes to read the model, {planned} to plan it, {ran} to run it")?;
            writeln!(console, "logits: {logits:?}")
        }
        Err(error) => writeln!(console, "error: {error}"),
    }
}

fn floats<const N: usize>(bytes: &[u8]) -> [f32; N] {
    core::array::from_fn(|index| {
        f32::from_le_bytes(*bytes[4 * index..].first_chunk().expect("there are four bytes of each"))
    })
}
