//! A Cortex-M whose debugger, or emulator, has the console.

use core::fmt;

use cortex_m_rt::entry;
use cortex_m_semihosting::{debug, hio};

/// The debugger's standard output.
pub(crate) struct Console;

impl fmt::Write for Console {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        hio::hstdout().map_err(|()| fmt::Error)?.write_all(text.as_bytes()).map_err(|()| fmt::Error)
    }
}

pub(crate) fn exit(is_success: bool) -> ! {
    loop {
        debug::exit(if is_success { debug::EXIT_SUCCESS } else { debug::EXIT_FAILURE });
    }
}

#[entry]
fn main() -> ! {
    crate::main()
}
