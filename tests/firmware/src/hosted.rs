//! A machine with an operating system, of which only the C library is used.

use core::ffi::{c_int, c_void};
use core::fmt;

#[link(name = "c")]
unsafe extern "C" {
    fn write(file: c_int, bytes: *const c_void, count: usize) -> isize;
    safe fn _exit(code: c_int) -> !;
}

/// The standard output.
pub(crate) struct Console;

impl fmt::Write for Console {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        // SAFETY: the text has as many bytes as are said.
        let written = unsafe { write(1, text.as_ptr().cast(), text.len()) };
        if usize::try_from(written) == Ok(text.len()) { Ok(()) } else { Err(fmt::Error) }
    }
}

pub(crate) fn exit(is_success: bool) -> ! {
    _exit(if is_success { 0 } else { 1 })
}

// SAFETY: nothing else in the program has the name.
#[unsafe(no_mangle)]
extern "C" fn main() -> c_int {
    crate::main()
}

// What the compiled `alloc` names for programs that unwind; this one ends where it panics.

// SAFETY: nothing else in the program has the name.
#[unsafe(no_mangle)]
extern "C" fn rust_eh_personality() {}

// SAFETY: nothing else in the program has the name.
#[unsafe(no_mangle)]
extern "C" fn _Unwind_Resume() -> ! {
    exit(false)
}
