//! See `asgate_fuzz::certificates`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| asgate_fuzz::certificates::check(data));
