//! See `asgate_fuzz::header_template`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| asgate_fuzz::header_template::check(data));
