//! The load scripts of `tests/soak`: clients in a process of their own, told apart from the edge by nothing but a port.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};

use serde_json::Value;

use super::uvicorn::python;

/// How long tests under load take: `ASGATE_SOAK_SECONDS`, 20 unless set.
pub fn soak_seconds() -> u32 {
    let seconds = std::env::var("ASGATE_SOAK_SECONDS").map_or(Ok(20), |text| text.parse());
    seconds.expect("ASGATE_SOAK_SECONDS is a whole number")
}

/// A script while it runs. Killed when dropped.
pub struct Load {
    child: Child,
    output: BufReader<ChildStdout>,
}

impl Load {
    /// Starts `script` before `address` and waits until all its clients are there.
    pub fn start(script: &str, address: SocketAddr, arguments: &[&str]) -> Self {
        let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/soak").join(script);
        let mut child = Command::new(python())
            .arg(script)
            .arg(address.to_string())
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("Python runs");
        let mut output = BufReader::new(child.stdout.take().expect("its stdout"));
        let mut line = String::new();
        output.read_line(&mut line).expect("its first line");
        assert_eq!(line, "running\n", "the load began");
        Self { child, output }
    }

    /// Waits for its end, for which it is asked by the end of its stdin: whether it found everything right, and its
    /// report.
    pub fn end(mut self) -> (bool, Value) {
        drop(self.child.stdin.take());
        let report = serde_json::from_reader(&mut self.output).expect("a report");
        (self.child.wait().expect("its end").success(), report)
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
