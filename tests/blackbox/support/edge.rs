//! The program under test, as a process of its own.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::client::{Client, Response};
use super::lines::Lines;
use super::{PATIENCE, wait_for};

/// How long the last lines of an edge that has ended are waited for: what it started may hold its stderr open longer.
const LAST_LINES: Duration = Duration::from_secs(2);
/// How long an edge that is dropped may take to end its workers.
const DROPPED: Duration = Duration::from_secs(5);

const PROGRAM: &str = env!("CARGO_BIN_EXE_asgate");

/// A running edge. Killed when dropped.
pub struct Edge {
    child: Child,
    addresses: Vec<SocketAddr>,
    admin: Option<SocketAddr>,
    stdout: Lines,
    stderr: Lines,
    _directory: Option<tempfile::TempDir>,
}

impl Edge {
    /// Starts `asgate run` with this configuration and waits until it listens. Use port 0 for listeners and admin.
    pub fn start(config: &str) -> Self {
        Self::start_by(&mut Command::new(PROGRAM), config)
    }

    /// As [`Self::start`], by a program that becomes the one after its own arguments, `prlimit --nofile=256:256`.
    pub fn start_through(program: &[&str], config: &str) -> Self {
        let (name, arguments) = program.split_first().expect("a program");
        Self::start_by(Command::new(name).args(arguments).arg(PROGRAM), config)
    }

    fn start_by(command: &mut Command, config: &str) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let file = directory.path().join("asgate.yaml");
        std::fs::write(&file, config).expect("a configuration file");
        command.args(["run", "-c", &file.to_string_lossy()]).env_remove("RUST_LOG");
        let mut edge = Self::run(command, Stdio::piped(), directory.path());
        edge._directory = Some(directory);
        edge.wait_until_it_listens();
        edge
    }

    /// An edge with one listener, an admin API, one upstream `u` of fixed `servers` and these `routes` (YAML list items),
    /// or one route for everything when there are none.
    pub fn before(servers: &[SocketAddr], routes: &str) -> Self {
        Self::start(&config(servers, routes))
    }

    /// Starts the program with these arguments and waits for nothing.
    pub fn spawn(arguments: &[&str], directory: &Path) -> Self {
        Self::spawn_with(&[], arguments, directory)
    }

    /// As [`Self::spawn`], with these environment variables beside its own.
    pub fn spawn_with(variables: &[(&str, &str)], arguments: &[&str], directory: &Path) -> Self {
        Self::spawn_into(Stdio::piped(), variables, arguments, directory)
    }

    /// As [`Self::spawn_with`], writing its stdout there: unless that is a pipe of its own, the log is not collected.
    pub fn spawn_into(
        stdout: Stdio,
        variables: &[(&str, &str)],
        arguments: &[&str],
        directory: &Path,
    ) -> Self {
        let mut command = Command::new(PROGRAM);
        command.args(arguments).env_remove("RUST_LOG").envs(variables.iter().copied());
        Self::run(&mut command, stdout, directory)
    }

    fn run(command: &mut Command, stdout: Stdio, directory: &Path) -> Self {
        let mut child = command
            .current_dir(directory)
            .stdin(Stdio::null())
            .stdout(stdout)
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let stdout = child.stdout.take().map(Lines::of).unwrap_or_default();
        let stderr = Lines::of(child.stderr.take().expect("its stderr"));
        Self { child, addresses: Vec::new(), admin: None, stdout, stderr, _directory: None }
    }

    /// Waits until it says where it listens.
    pub fn wait_until_it_listens(&mut self) {
        let marker = "asgate::cli::serve] Ready";
        wait_for("the edge to listen", || {
            if let Ok(Some(status)) = self.child.try_wait() {
                panic!("the edge ended ({status}) instead of listening:\n{}", self.stderr_text());
            }
            self.stderr_text().contains(marker).then_some(())
        });
        let address = |line: &str, label: &str| {
            let (_, rest) = line.split_once(label)?;
            rest.split_whitespace().next()?.parse().ok()
        };
        let lines = self.stderr.all();
        self.addresses =
            lines.iter().filter_map(|line| address(line, "Listening: address=")).collect();
        self.admin = lines.iter().find_map(|line| address(line, "Admin API: address="));
    }

    /// Where the first listener is.
    pub fn address(&self) -> SocketAddr {
        self.addresses[0]
    }

    /// Where the listener at this place of the configuration is, counted from 0; Unix sockets do not count.
    pub fn address_of(&self, listener: usize) -> SocketAddr {
        self.addresses[listener]
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The worker processes that it has started and that are still there, reaped or not.
    pub fn children(&self) -> Vec<u32> {
        // One that has not begun to run its own program yet may be the guardian, too.
        let own = command_line(self.pid());
        let is_worker = |&pid: &u32| {
            let line = command_line(pid);
            line != own && !is_guardian(&line)
        };
        self.processes().into_iter().filter(is_worker).collect()
    }

    /// All processes that it has started: workers, and the guardian that outlives it for a moment.
    pub fn processes(&self) -> Vec<u32> {
        let threads = std::fs::read_dir(format!("/proc/{}/task", self.pid()));
        let threads = threads.into_iter().flatten().filter_map(Result::ok);
        let children = threads
            .filter_map(|thread| std::fs::read_to_string(thread.path().join("children")).ok())
            .collect::<String>();
        children.split_whitespace().filter_map(|pid| pid.parse().ok()).collect()
    }

    /// A new client connection to the first listener.
    pub fn connect(&self) -> Client {
        Client::connect(self.address())
    }

    /// The access-log lines so far.
    pub fn access_log(&self) -> Vec<Value> {
        self.lines_of("edge.access")
    }

    /// The lines of one `event.dataset` so far.
    pub fn lines_of(&self, dataset: &str) -> Vec<Value> {
        let lines = self.stdout.all();
        let parsed = lines.iter().map(|line| {
            serde_json::from_str::<Value>(line).unwrap_or_else(|_| panic!("not JSON: {line}"))
        });
        parsed.filter(|line| line["event.dataset"] == dataset).collect()
    }

    /// Waits until the access log has `count` lines, and returns them. Fails when there are more.
    pub fn wait_for_log(&self, count: usize) -> Vec<Value> {
        let lines = wait_for("access-log lines", || {
            let lines = self.access_log();
            (lines.len() >= count).then_some(lines)
        });
        assert_eq!(lines.len(), count, "exactly one line for each request: {lines:#?}");
        lines
    }

    /// Waits for the only access-log line.
    pub fn only_log_line(&self) -> Value {
        self.wait_for_log(1).remove(0)
    }

    /// The metrics as text.
    pub fn metrics(&self) -> String {
        self.ask_admin("GET", "/metrics").text()
    }

    /// Where the admin API is.
    pub fn admin(&self) -> SocketAddr {
        self.admin.expect("an admin address")
    }

    /// Asks the admin API, as a local program does.
    pub fn ask_admin(&self, method: &str, path: &str) -> Response {
        let mut client = Client::connect(self.admin());
        let head = format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close");
        client.send(format!("{head}\r\n\r\n"));
        client.response_to(method)
    }

    /// What `GET /status` says.
    pub fn status(&self) -> Value {
        self.ask_admin("GET", "/status").json()
    }

    /// The value of one metric series, written as Prometheus does, labels in alphabetical order; 0 when it is not there.
    pub fn metric(&self, series: &str) -> f64 {
        let metrics = self.metrics();
        let line = metrics.lines().find_map(|line| line.strip_prefix(series));
        line.map_or(0.0, |value| value.trim().parse().expect("a number"))
    }

    /// `asgate_requests_total` over all its series.
    pub fn requests_counted(&self) -> f64 {
        let metrics = self.metrics();
        let series = metrics.lines().filter(|line| line.starts_with("asgate_requests_total{"));
        let values = series.filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok());
        values.sum()
    }

    /// Waits until a metric series has `value`.
    pub fn wait_for_metric(&self, series: &str, value: f64) {
        wait_for(&format!("{series} to be {value}"), || {
            ((self.metric(series) - value).abs() < f64::EPSILON).then_some(())
        });
    }

    /// All it wrote to stderr so far.
    pub fn stderr_text(&self) -> String {
        self.stderr.text()
    }

    /// Sends a signal, `TERM` for instance.
    pub fn signal(&self, name: &str) {
        signal(self.pid(), name);
    }

    /// Waits until the process ends, and until what it wrote is here.
    pub fn wait(&mut self) -> ExitStatus {
        let begun = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().expect("its status") {
                break status;
            }
            assert!(begun.elapsed() < PATIENCE, "the edge does not end:\n{}", self.stderr_text());
            std::thread::sleep(Duration::from_millis(5));
        };
        let ended = Instant::now();
        let complete = || self.stdout.are_complete() && self.stderr.are_complete();
        while !complete() && ended.elapsed() < LAST_LINES {
            std::thread::sleep(Duration::from_millis(1));
        }
        status
    }

    /// Asks it to stop and waits until it has.
    pub fn stop(mut self) -> ExitStatus {
        self.signal("TERM");
        self.wait()
    }
}

impl Drop for Edge {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- stderr of the edge\n{}", self.stderr_text());
            eprintln!("--- stdout of the edge\n{}", self.stdout.text());
        }
        // SIGTERM first, so that supervised workers end too.
        if matches!(self.child.try_wait(), Ok(None)) {
            self.signal("TERM");
            let begun = Instant::now();
            while matches!(self.child.try_wait(), Ok(None)) && begun.elapsed() < DROPPED {
                std::thread::sleep(Duration::from_millis(5));
            }
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The configuration of [`Edge::before`].
pub fn config(servers: &[SocketAddr], routes: &str) -> String {
    let servers: Vec<_> =
        servers.iter().map(|address| format!("{{ address: \"{address}\" }}")).collect();
    let routes = if routes.is_empty() { "  - upstream: u" } else { routes };
    format!(
        "listeners: [{{ address: \"127.0.0.1:0\", http2: true }}]\n\
         admin: {{ address: \"127.0.0.1:0\" }}\n\
         upstreams: {{ u: {{ servers: [{}] }} }}\n\
         routes:\n{routes}\n",
        servers.join(", ")
    )
}

/// The words of a process, each with a NUL behind it; none when it has ended.
fn command_line(pid: u32) -> String {
    std::fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default()
}

/// Whether a process is the edge's helper that ends its workers when it is killed.
fn is_guardian(command_line: &str) -> bool {
    command_line.split('\0').nth(1) == Some("guardian")
}

/// Whether a process has ended with all of its threads, reaped or not: nothing of it is open any more.
pub fn is_gone(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // After the name in parentheses comes the state, of the first thread.
    let ended = stat.rsplit_once(") ").is_none_or(|(_, state)| state.starts_with(['Z', 'X']));
    let threads = std::fs::read_dir(format!("/proc/{pid}/task")).map_or(0, Iterator::count);
    ended && threads <= 1
}

/// Sends a signal to a process.
pub fn signal(pid: u32, name: &str) {
    let sent = Command::new("kill").args([format!("-{name}"), pid.to_string()]).status();
    assert!(sent.is_ok_and(|status| status.success()), "cannot send {name} to {pid}");
}
