//! The program on a machine with an operating system, of which only the C library is used.

#![no_std]
#![no_main]

use core::ffi::{c_int, c_void};
use core::fmt::{self, Write};
use core::panic::PanicInfo;

use burnlite_firmware::{Heap, run};

#[global_allocator]
static HEAP: Heap = Heap::new();

#[link(name = "c")]
unsafe extern "C" {
    fn write(file: c_int, bytes: *const c_void, count: usize) -> isize;
    safe fn _exit(code: c_int) -> !;
}

/// The standard output.
struct Console;

impl Write for Console {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        // SAFETY: the text has as many bytes as are said.
        let written = unsafe { write(1, text.as_ptr().cast(), text.len()) };
        if usize::try_from(written) == Ok(text.len()) { Ok(()) } else { Err(fmt::Error) }
    }
}

// SAFETY: nothing else in the program has the name, and it is called as the C library expects.
#[unsafe(no_mangle)]
extern "C" fn main() -> c_int {
    if run(&HEAP, &mut Console) { 0 } else { 1 }
}

#[panic_handler]
fn panic(panic: &PanicInfo<'_>) -> ! {
    // Where nothing can be said, the exit code must do.
    writeln!(Console, "{panic}").unwrap_or_default();
    _exit(1)
}

// What the compiled `alloc` names for programs that unwind; this one ends where it panics.

// SAFETY: nothing else in the program has the name.
#[unsafe(no_mangle)]
extern "C" fn rust_eh_personality() {}

// SAFETY: nothing else in the program has the name.
#[unsafe(no_mangle)]
extern "C" fn _Unwind_Resume() -> ! {
    _exit(1)
}
