//! Real Uvicorn: the sample app on a port of its own, and the Python clients that talk to it.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use super::wait_for;

/// The interpreter with the test packages; `scripts/test` sets the variable.
pub fn python() -> PathBuf {
    std::env::var_os("ASGATE_TEST_PYTHON").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("target/venv/bin/python"),
        PathBuf::from,
    )
}

/// The directory of the sample app.
pub fn sample_app() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("examples/fastapi")
}

/// The directory of the app with the endpoints that only tests need.
pub fn test_app() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/app")
}

/// The configuration of an upstream whose workers the edge starts, with `extra` keys (`transport: tcp`) for `app`. A worker
/// has its whole share of the requests at once, so that a few of them show who is there.
pub fn supervised(directory: &Path, extra: &str) -> String {
    let (python, directory) = (python(), directory.display().to_string());
    let comma = if extra.is_empty() { "" } else { ", " };
    format!(
        "{{ app: {{ asgi: \"app:app\", directory: {directory:?}, python: {python:?}{comma}{extra} }}, slow_start: off }}"
    )
}

/// A Uvicorn for an edge that does not supervise it. Killed when dropped.
pub struct Uvicorn {
    child: Child,
    address: SocketAddr,
}

impl Uvicorn {
    /// Starts one that serves the sample app, with these additional arguments, and waits until it listens.
    pub fn start(arguments: &[&str]) -> Self {
        Self::serving(&sample_app(), arguments)
    }

    /// As [`Self::start`], for the `app.py` in this directory.
    pub fn serving(directory: &Path, arguments: &[&str]) -> Self {
        Self::serving_app("app:app", directory, arguments)
    }

    /// As [`Self::start`], for `app`, a `module:attribute` of this directory.
    pub fn serving_app(app: &str, directory: &Path, arguments: &[&str]) -> Self {
        let address = free_address();
        let child = Command::new(python())
            .args(["-m", "uvicorn", app, "--no-access-log", "--log-level", "error", "--port"])
            .arg(address.port().to_string())
            .args(arguments)
            .current_dir(directory)
            .stdin(Stdio::null())
            .spawn()
            .expect("Uvicorn starts: run scripts/test, which installs it");
        let mut uvicorn = Self { child, address };
        wait_for("Uvicorn to listen", || {
            if let Ok(Some(status)) = uvicorn.child.try_wait() {
                panic!("Uvicorn ended: {status}");
            }
            TcpStream::connect(address).ok()
        });
        uvicorn
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Uvicorn {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs a Python script with the test packages (`websockets`, `httpx`) to its end.
pub fn run_python(script: &str, arguments: &[&str]) -> Output {
    let output = Command::new(python())
        .args(["-c", script])
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .expect("Python runs");
    assert!(
        output.status.success(),
        "the script failed:\n{}\n{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    output
}

/// An address that nobody listens on, and that the system gives to nobody who asks for any port: those are above 32767.
pub fn free_address() -> SocketAddr {
    let start = std::process::id().wrapping_mul(7919);
    (start..)
        .filter_map(|candidate| u16::try_from(10_000 + candidate % 10_000).ok())
        .map(|port| SocketAddr::from(([127, 0, 0, 1], port)))
        .find(|address| TcpListener::bind(address).is_ok())
        .expect("a free port")
}
