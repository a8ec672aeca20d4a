//! The promises of the supervisor, kept with real processes. What they share is here.

mod lifecycle;
mod orphans;
mod uvicorn;

use std::collections::BTreeMap;
use std::fs;
use std::num::NonZeroU16;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::{
    Change, OutputLine, OutputSink, Ports, Ready, StartError, Stream, Supervisor, WorkerId,
};
use crate::config::{Address, App, Start, Transport};

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

/// A supervisor and all that it says.
struct Running {
    supervisor: Supervisor,
    changes: mpsc::UnboundedReceiver<Change>,
    printed: Arc<Printed>,
}

impl Running {
    fn start(app: &App) -> Self {
        let (sender, changes) = mpsc::unbounded_channel();
        let printed = Arc::new(Printed::default());
        let supervisor =
            Supervisor::start("backend", app, &Ports::default(), sender, printed.clone())
                .expect("the supervisor starts");
        Self { supervisor, changes, printed }
    }

    async fn ready(&mut self) -> Result<(), StartError> {
        timeout(PATIENCE, self.supervisor.ready()).await.expect("decided in time")
    }

    async fn stop(self) -> mpsc::UnboundedReceiver<Change> {
        timeout(PATIENCE, self.supervisor.stop()).await.expect("stopped in time");
        self.changes
    }

    async fn next_change(&mut self) -> Change {
        timeout(PATIENCE, self.changes.recv()).await.expect("in time").expect("a change")
    }

    async fn next_ready(&mut self) -> Ready {
        match self.next_change().await {
            Change::Ready(ready) => ready,
            Change::Gone { id, reason } => panic!("worker {id} is gone: {reason}"),
        }
    }

    async fn next_gone(&mut self) -> (WorkerId, String) {
        match self.next_change().await {
            Change::Gone { id, reason } => (id, reason),
            Change::Ready(ready) => panic!("{ready:?} instead of a worker that is gone"),
        }
    }
}

/// One worker in `directory`, with short timeouts.
fn app(directory: &Path, start: Start) -> App {
    App {
        start,
        directory: directory.to_owned(),
        python: None,
        workers: NonZeroU16::MIN,
        env: BTreeMap::new(),
        transport: Transport::Auto,
        root_path: String::new(),
        startup_timeout: PATIENCE,
        stop_timeout: Duration::from_secs(5),
    }
}

/// One worker that runs this Python program; its argument is the socket.
fn python(program: &str) -> App {
    let words = ["python3", "-c", program, "{socket}"].map(str::to_owned);
    app(&std::env::temp_dir(), Start::Command(words.into()))
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
