//! The `openssl` command, an implementation of TLS and X.509 that shares nothing with the program under test.

use std::io::Write;
use std::process::{Command, Output, Stdio};

/// Runs it with `input` and returns what it wrote. Fails when it does.
pub fn openssl(arguments: &[&str], input: &str) -> String {
    let output = try_openssl(arguments, input);
    let (told, complaints) = texts(&output);
    assert!(output.status.success(), "openssl {arguments:?}: {told}{complaints}");
    told
}

/// Runs it with `input` to its end, however that is.
pub fn try_openssl(arguments: &[&str], input: &str) -> Output {
    let mut child = Command::new("openssl")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("openssl is installed");
    // A short input fits into the pipe, whether it is read or not.
    let _ = child.stdin.take().expect("its stdin").write_all(input.as_bytes());
    child.wait_with_output().expect("its output")
}

/// What a command wrote to stdout and to stderr.
pub fn texts(output: &Output) -> (String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (text(&output.stdout), text(&output.stderr))
}
