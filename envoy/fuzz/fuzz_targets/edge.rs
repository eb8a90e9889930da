//! No answer of a proxy and no byte of a request panics the filter or gets an unsigned body through.

#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../filter/src/request/hostile.rs"]
mod hostile;

fuzz_target!(|data: &[u8]| {
    hostile::drive(data);
});
