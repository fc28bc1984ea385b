#![no_main]

use burnlite_tests::hostile;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| hostile::read(bytes));
