//! The kept inputs of the fuzz targets hold what the targets promise (docs/fuzzing.md).
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    reason = "a check that does not hold stops with a message"
)]

#[path = "../fuzz/src/lib.rs"]
mod targets;

use std::path::Path;

/// Calls `check` with each kept input of the target `name`.
fn replay(name: &str, check: impl Fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(name);
    let mut count = 0;
    for entry in folder.read_dir().expect("a folder of inputs") {
        let path = entry.expect("an entry").path();
        // Printed when the check fails, which is when the test does.
        println!("{}", path.display());
        check(&std::fs::read(&path).expect("a kept input"));
        count += 1;
    }
    assert!(count > 0, "{} is empty", folder.display());
}

macro_rules! replayed {
    ($($target:ident)*) => {
        $(
            #[test]
            fn $target() {
                replay(stringify!($target), targets::$target::check);
            }
        )*
    };
}

replayed!(certificates chunked cookies forwarded header_template http2_gate proxy_protocol request_head response_head target);

#[test]
fn config() {
    replay("config", |input| {
        if let Ok(text) = str::from_utf8(input) {
            targets::config::check(text);
        }
    });
}
