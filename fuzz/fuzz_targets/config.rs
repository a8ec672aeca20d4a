//! See `asgate_fuzz::config`.

#![no_main]

libfuzzer_sys::fuzz_target!(|text: &str| asgate_fuzz::config::check(text));
