//! The client of `benches/compare/run --tls`: TLS 1.3 handshakes, or downloads, as many as fit into a time.
//!
//!     asgate-tls-load PORT full|resumed|bulk ecdsa|rsa SECONDS CONNECTIONS
//!
//! It does as little as a client can, so that the server is what is measured: it believes every certificate, checks no
//! signature, and of a download it decrypts the beginning only. What it does check is that the work was the work that
//! was asked for: TLS 1.3 with one cipher suite, resumed or not, a ticket after each handshake, `200`, all bytes.
//! One thread. Prints one line of JSON; ends with status 1 at the first thing that is not as it should be.

mod tls;

use std::error::Error;
use std::process::ExitCode;
use std::str::FromStr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, HandshakeKind};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use tls::{Key, Tickets};

/// What goes wrong is told and ends the run.
type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// A handshake or a download that takes longer than this is stuck.
const STUCK: Duration = Duration::from_secs(30);

/// Where the bulk of a download is, and how much it is, in bytes.
const BULK: &str = "/bulk";
const BULK_LENGTH: usize = 64 << 20;

/// What one client does again and again.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Work {
    /// A connection with a full handshake and nothing else.
    Full,
    /// A connection with a handshake from a ticket of the one before, and nothing else.
    Resumed,
    /// A connection with one large response.
    Bulk,
}

impl FromStr for Work {
    type Err = Box<dyn Error + Send + Sync>;

    fn from_str(name: &str) -> Outcome<Self> {
        match name {
            "full" => Ok(Self::Full),
            "resumed" => Ok(Self::Resumed),
            "bulk" => Ok(Self::Bulk),
            _ => Err(format!("{name:?} is no work (allowed: full, resumed, bulk)").into()),
        }
    }
}

/// One of the clients that work beside each other; each has its own tickets.
struct Client {
    work: Work,
    port: u16,
    connector: TlsConnector,
    tickets: Arc<Tickets>,
}

fn main() -> ExitCode {
    match run() {
        Ok(line) => {
            println!("{line}");
            ExitCode::SUCCESS
        }
        Err(reason) => {
            eprintln!("asgate-tls-load: {reason}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Outcome<String> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [port, work, key, seconds, connections] = words.as_slice() else {
        return Err(
            "usage: asgate-tls-load PORT full|resumed|bulk ecdsa|rsa SECONDS CONNECTIONS".into()
        );
    };
    let (port, work, key) = (port.parse()?, work.parse()?, key.parse()?);
    let (seconds, connections): (u64, usize) = (seconds.parse()?, connections.parse()?);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(load(port, work, key, Duration::from_secs(seconds), connections))
}

/// Runs `connections` clients until `length` is over and each has finished what it had begun.
async fn load(
    port: u16,
    work: Work,
    key: Key,
    length: Duration,
    connections: usize,
) -> Outcome<String> {
    let began = Instant::now();
    let mut clients = JoinSet::new();
    for _ in 0..connections {
        let client = Client::new(port, work, key)?;
        clients.spawn(client.work_until(began + length));
    }
    let mut times = Vec::new();
    while let Some(done) = clients.join_next().await {
        times.extend(done??);
    }
    let microseconds = began.elapsed().as_micros();
    times.sort_unstable();
    let percentile =
        |percent: usize| times.get(times.len() * percent / 100).map_or(0, Duration::as_micros);
    Ok(format!(
        r#"{{"done":{},"microseconds":{microseconds},"p50":{},"p99":{}}}"#,
        times.len(),
        percentile(50),
        percentile(99)
    ))
}

impl Client {
    fn new(port: u16, work: Work, key: Key) -> Outcome<Self> {
        let tickets = Arc::new(Tickets::default());
        let config: ClientConfig = tls::config(key, Arc::clone(&tickets))?;
        Ok(Self { work, port, connector: TlsConnector::from(Arc::new(config)), tickets })
    }

    /// How long each piece of work took, from the connect on.
    async fn work_until(self, end: Instant) -> Outcome<Vec<Duration>> {
        if self.work == Work::Resumed {
            // For the first ticket; not counted.
            self.handshake(HandshakeKind::Full).await?;
        }
        let mut times = Vec::new();
        while Instant::now() < end {
            let began = Instant::now();
            timeout(STUCK, self.once()).await??;
            times.push(began.elapsed());
        }
        Ok(times)
    }

    async fn once(&self) -> Outcome<()> {
        match self.work {
            Work::Full => {
                self.tickets.forget();
                self.handshake(HandshakeKind::Full).await
            }
            Work::Resumed => self.handshake(HandshakeKind::Resumed).await,
            Work::Bulk => self.download().await,
        }
    }

    /// Connects, waits for a ticket, which shows that the server is done with the handshake too, and closes.
    async fn handshake(&self, wanted: HandshakeKind) -> Outcome<()> {
        let mut stream = self.connect().await?;
        let kind = stream.get_ref().1.handshake_kind();
        if kind != Some(wanted) {
            return Err(format!("the handshake was {kind:?} in place of {wanted:?}").into());
        }
        self.tickets.wait(&mut stream).await?;
        stream.shutdown().await?;
        // Until the server has closed too.
        match stream.read(&mut [0; 256]).await {
            Ok(0) | Err(_) => Ok(()),
            Ok(_) => Err("the server sent data that nobody asked for".into()),
        }
    }

    async fn connect(&self) -> Outcome<TlsStream<TcpStream>> {
        let socket = TcpStream::connect(("127.0.0.1", self.port)).await?;
        socket.set_nodelay(true)?;
        let name = ServerName::try_from("localhost")?;
        Ok(self.connector.connect(name, socket).await?)
    }

    /// Reads the beginning of the response as TLS, and counts what comes after it as it is on the wire.
    async fn download(&self) -> Outcome<()> {
        let mut stream = self.connect().await?;
        let request =
            format!("GET {BULK} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await?;
        let mut buffer = vec![0; 256 << 10];
        let mut read = stream.read(&mut buffer).await?;
        if !buffer.starts_with(b"HTTP/1.1 200 ") {
            return Err("a download was not answered with 200".into());
        }
        let (mut socket, _) = stream.into_inner();
        loop {
            match socket.read(&mut buffer).await? {
                0 if read >= BULK_LENGTH => return Ok(()),
                0 => return Err(format!("a download ended after {read} bytes").into()),
                more => read += more,
            }
        }
    }
}
