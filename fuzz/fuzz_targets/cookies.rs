//! See `asgate_fuzz::cookies`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| asgate_fuzz::cookies::check(data));
