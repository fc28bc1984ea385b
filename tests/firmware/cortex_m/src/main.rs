//! The program on a Cortex-M whose debugger, or emulator, has the console.

#![no_std]
#![no_main]

use core::fmt::{self, Write};
use core::panic::PanicInfo;

use burnlite_firmware::{Heap, run};
use cortex_m_rt::entry;
use cortex_m_semihosting::{debug, hio};

#[global_allocator]
static HEAP: Heap = Heap::new();

/// The debugger's standard output.
struct Console;

impl Write for Console {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let fault = |()| fmt::Error;
        hio::hstdout().map_err(fault)?.write_all(text.as_bytes()).map_err(fault)
    }
}

#[entry]
fn main() -> ! {
    let is_right = run(&HEAP, &mut Console);
    exit(if is_right { debug::EXIT_SUCCESS } else { debug::EXIT_FAILURE })
}

#[panic_handler]
fn panic(panic: &PanicInfo<'_>) -> ! {
    // Where nothing can be said, the exit code must do.
    writeln!(Console, "{panic}").unwrap_or_default();
    exit(debug::EXIT_FAILURE)
}

fn exit(status: debug::ExitStatus) -> ! {
    loop {
        debug::exit(status);
    }
}
