//! See `asgate_fuzz::target`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| asgate_fuzz::target::check(data));
