//! The promises of the supervisor, kept with real processes. What they share is here.

mod lifecycle;
mod orphans;
mod other_servers;
mod uvicorn;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;

use super::{
    Guardian, OutputLine, OutputSink, Ports, StartError, Stream, Supervisor, Surroundings, WorkerId,
};
use crate::config::{self, Address, App, Start};
use crate::telemetry::{AccessLog, Telemetry};
use crate::upstream::{Upstream, fixtures};

/// Longer than anything here takes, short enough not to be waited for in vain.
const PATIENCE: Duration = Duration::from_secs(30);

/// Answers every request on its socket with 204; a Python program whose first argument is the socket. What is put in
/// front of it runs before it listens.
const SERVE: &str = r#"
import os, signal, socket, sys
listener = socket.socket(socket.AF_UNIX)
listener.bind(sys.argv[1])
listener.listen()
while True:
    connection, _ = listener.accept()
    connection.recv(65536)
    connection.sendall(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")
    connection.close()
"#;

/// A sink that remembers.
#[derive(Default)]
struct Printed(Mutex<Vec<(WorkerId, u32, Stream, String)>>);

impl OutputSink for Printed {
    fn line(&self, line: OutputLine<'_>) {
        let id = WorkerId { index: line.worker, generation: line.generation };
        self.0.lock().push((id, line.pid, line.stream, line.text.to_owned()));
    }
}

impl Printed {
    /// The first line that starts so, without that start.
    fn after(&self, start: &str) -> Option<String> {
        self.0.lock().iter().find_map(|(.., text)| text.strip_prefix(start).map(str::to_owned))
    }
}

/// A generation that joined the pool.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Ready {
    id: WorkerId,
    address: Address,
    pid: u32,
}

/// A supervisor, the pool that it fills, and what its workers print.
struct Running {
    supervisor: Supervisor,
    pool: Arc<Upstream>,
    /// Those that [`Running::next_ready`] has returned.
    seen: Vec<Ready>,
    printed: Arc<Printed>,
}

impl Running {
    fn start(app: &App) -> Self {
        Self::try_start(app).expect("the supervisor starts")
    }

    fn try_start(app: &App) -> Result<Self, StartError> {
        let printed = Arc::new(Printed::default());
        let name = "backend".to_owned();
        let pool = fixtures::upstream(&config::Upstream { name, ..fixtures::settings() });
        let telemetry = Telemetry::new(AccessLog::Off, Box::new(std::io::sink()));
        let surroundings = Surroundings {
            ports: Ports::default(),
            guardian: Guardian::default(),
            telemetry: Arc::new(telemetry.expect("telemetry")),
            output: printed.clone(),
        };
        let supervisor = Supervisor::start(&pool, app, None, surroundings)?;
        Ok(Self { supervisor, pool, seen: Vec::new(), printed })
    }

    async fn ready(&mut self) -> Result<(), StartError> {
        timeout(PATIENCE, self.supervisor.ready()).await.expect("decided in time")
    }

    async fn stop(self) {
        timeout(PATIENCE, self.supervisor.stop()).await.expect("stopped in time");
        assert!(self.pool.workers().is_empty(), "nobody is left in the pool");
    }

    /// Those in the pool now.
    fn pool(&self) -> Vec<Ready> {
        let ready = |worker: &Arc<crate::upstream::Worker>| {
            let identity = worker.identity();
            let index = identity.name.parse().expect("an index");
            let id = WorkerId { index, generation: identity.generation };
            Ready { id, address: worker.address().clone(), pid: identity.pid.expect("a pid") }
        };
        self.pool.workers().iter().map(ready).collect()
    }

    /// Waits for a generation that was not there before.
    async fn next_ready(&mut self) -> Ready {
        eventually("a new generation", || self.pool().iter().any(|r| !self.seen.contains(r))).await;
        let new = self.pool().into_iter().find(|ready| !self.seen.contains(ready));
        let new = new.expect("it is still there");
        self.seen.push(new.clone());
        new
    }

    /// Waits until this generation is out of the pool.
    async fn gone(&self, ready: &Ready) {
        eventually("it leaves the pool", || !self.pool().contains(ready)).await;
    }
}

/// One worker in `directory`, with short timeouts.
fn app(directory: &Path, start: Start) -> App {
    App {
        startup_timeout: PATIENCE,
        stop_timeout: Duration::from_secs(5),
        ..App::new(start, directory.to_owned())
    }
}

/// One worker that runs this Python program; its argument is the socket.
fn python(program: &str) -> App {
    let words = ["python3", "-c", program, "{socket}"].map(str::to_owned);
    app(&std::env::temp_dir(), Start::Command(words.into()))
}

/// The interpreter with Uvicorn.
pub(super) fn interpreter() -> PathBuf {
    // Where scripts/setup puts it, unless it says otherwise.
    let usual = || concat!(env!("CARGO_MANIFEST_DIR"), "/target/venv/bin/python").into();
    std::env::var_os("ASGATE_TEST_PYTHON").map_or_else(usual, PathBuf::from)
}

/// Whether a process runs; one that is dead but not reaped does not.
fn alive(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // proc_pid_stat(5): the state follows the name, which is in parentheses and may hold any character.
    let state = stat.rsplit_once(") ").and_then(|(_, rest)| rest.chars().next());
    state.is_some_and(|state| !"ZX".contains(state))
}

/// Waits until this holds.
async fn eventually(what: &str, condition: impl Fn() -> bool) {
    let poll = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    assert!(timeout(PATIENCE, poll).await.is_ok(), "{what}");
}

fn send_signal(pid: u32, signal: libc::c_int) {
    let pid = libc::pid_t::try_from(pid).expect("a process id");
    #[expect(unsafe_code, reason = "the standard library sends only SIGKILL")]
    // SAFETY: no pointers; the process is one that the test started.
    let sent = unsafe { libc::kill(pid, signal) };
    assert_eq!(sent, 0, "the process is there");
}

/// The whole answer to one GET.
async fn get(address: &Address, path: &str) -> String {
    let request = format!("GET {path} HTTP/1.1\r\nHost: app.test\r\nConnection: close\r\n\r\n");
    let mut answer = String::new();
    match address {
        Address::Tcp(address) => {
            let mut stream = TcpStream::connect(address).await.expect("connected");
            stream.write_all(request.as_bytes()).await.expect("sent");
            stream.read_to_string(&mut answer).await.expect("answered");
        }
        Address::Unix(path) => {
            let mut stream = UnixStream::connect(path).await.expect("connected");
            stream.write_all(request.as_bytes()).await.expect("sent");
            stream.read_to_string(&mut answer).await.expect("answered");
        }
    }
    answer
}
