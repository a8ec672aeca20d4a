//! No text makes the loader panic.

#![no_main]

use std::path::Path;

libfuzzer_sys::fuzz_target!(|text: &str| {
    if let Err(problems) = asgate::config::parse(text, Path::new("asgate.yaml"), &|_| None) {
        assert!(!problems.to_string().is_empty(), "an error says something");
    }
});
