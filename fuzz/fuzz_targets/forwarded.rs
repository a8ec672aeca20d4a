//! See `asgate_fuzz::forwarded`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| asgate_fuzz::forwarded::check(data));
