//! See `asgate_fuzz::http2_gate`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| asgate_fuzz::http2_gate::check(data));
