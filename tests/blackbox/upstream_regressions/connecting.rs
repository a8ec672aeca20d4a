//! Connections that do not come about, or not soon.

use std::io::ErrorKind;
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{sleep, spawn};
use std::time::{Duration, Instant};

use socket2::{Domain, Socket, Type};

use super::send;
use crate::support::certificates::Authority;
use crate::support::edge::Edge;
use crate::support::plain_worker::PlainWorker;
use crate::support::pool::{Pool, wait_for_rotation, wait_for_worker, worker};
use crate::support::stub::{Accepted, Stub};
use crate::support::uvicorn::{Uvicorn, test_app};

/// An address where connects are never answered, as when a host is gone: a listener whose queue is full.
struct GoneHost {
    address: SocketAddr,
    _sockets: Vec<Socket>,
}

impl GoneHost {
    fn start() -> Self {
        let new = || Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        let listener = new();
        let any: SocketAddr = ([127, 0, 0, 1], 0).into();
        listener.bind(&any.into()).expect("a port");
        listener.listen(0).expect("it listens");
        let address = listener.local_addr().expect("an address").as_socket().expect("of IP");
        let mut sockets = vec![listener];
        for _ in 0..4 {
            let client = new();
            client.set_nonblocking(true).expect("non-blocking");
            // Begun, and never finished once the queue is full.
            let _ = client.connect(&address.into());
            sockets.push(client);
        }
        let control = TcpStream::connect_timeout(&address, Duration::from_millis(200));
        let kind = control.expect_err("the control: nobody answers").kind();
        assert_eq!(kind, ErrorKind::TimedOut, "the control");
        Self { address, _sockets: sockets }
    }
}

#[test]
fn a_worker_whose_host_is_gone_costs_no_more_than_the_connect_timeout() {
    let (gone, good) = (GoneHost::start(), PlainWorker::start());
    let edge = Pool {
        keys: "balance: round_robin, health: { passive: { failures: 3, eject_for: 1m } }",
        route: "timeouts: { connect: 300ms }",
        ..Pool::default()
    }
    .before(&[gone.address, good.address()]);
    let begun = Instant::now();
    let clients: Vec<_> = (0..40).map(|_| send(&edge, "/", "")).collect();
    for (number, mut client) in clients.into_iter().enumerate() {
        let response = client.response();
        assert_eq!(response.status, 200, "by the other: client {number}: {response:?}");
    }
    assert!(begun.elapsed() < Duration::from_secs(15), "the last after {:?}", begun.elapsed());
    let name = gone.address.to_string();
    wait_for_worker(&edge, &name, "ejected", |worker| worker["state"] == "ejected");
    for _ in 0..10 {
        assert_eq!(edge.connect().get("/later").status, 200, "by the other");
    }
    let lines = edge.wait_for_log(50);
    let later: Vec<_> = lines.iter().filter(|line| line["url.path"] == "/later").collect();
    assert!(later.iter().all(|line| line["edge.attempts"] == 1), "left alone: {later:#?}");
}

/// Uvicorn that speaks TLS, behind something that delays connections, or swallows them.
struct Distant {
    _uvicorn: Uvicorn,
    stub: Stub,
}

impl Distant {
    /// `admits`: whether a connection is passed on, and when.
    fn start(admits: impl Fn(&mut Accepted) -> bool + Send + Sync + 'static) -> Self {
        let authority = Authority::create();
        let own = authority.sign("worker", &["127.0.0.1"]);
        let (key, certificate) = (own.key.to_string_lossy(), own.certificate.to_string_lossy());
        let tls = ["--ssl-keyfile", &*key, "--ssl-certfile", &*certificate];
        let uvicorn = Uvicorn::serving_app("worker_app:app", &test_app(), &tls);
        let address = uvicorn.address();
        let stub = Stub::start(move |mut accepted| {
            if !admits(&mut accepted) {
                return;
            }
            if let Ok(worker) = TcpStream::connect(address) {
                join(accepted.stream, worker);
            }
        });
        Self { _uvicorn: uvicorn, stub }
    }

    /// Starts an edge before it; `keys` are further ones of the upstream.
    fn behind_an_edge(&self, keys: &str, route: &str) -> Edge {
        let keys = format!("tls: {{ verify: false }}, {keys}");
        Pool { keys: &keys, route, ..Pool::default() }.before(&[self.stub.address()])
    }
}

/// Passes on what comes on either connection, to the end of both.
fn join(edge: TcpStream, worker: TcpStream) {
    let pump = |mut from: TcpStream, mut to: TcpStream| {
        let _ = std::io::copy(&mut from, &mut to);
        let _ = to.shutdown(Shutdown::Write);
    };
    let second = |stream: &TcpStream| stream.try_clone().expect("a second handle");
    let (from, to) = (second(&edge), second(&worker));
    let upload = spawn(move || pump(from, to));
    pump(worker, edge);
    upload.join().expect("it ends");
}

/// A handshake that nothing comes to, for a while; then all is well, but for the connections that were swallowed.
#[test]
fn a_handshake_that_was_swallowed_does_not_condemn_a_worker() {
    let is_mute = Arc::new(AtomicBool::new(true));
    let said = Arc::clone(&is_mute);
    let worker = Distant::start(move |accepted| {
        let swallows = said.load(Ordering::SeqCst);
        if swallows {
            accepted.wait_for_fin();
        }
        !swallows
    });
    let health = "health: { path: /health, interval: 100ms, timeout: 1s, unhealthy_after: 1, \
                  healthy_after: 1 }";
    let edge = worker.behind_an_edge(health, "");
    let name = worker.stub.address().to_string();
    wait_for_rotation(&edge, &name, false);
    is_mute.store(false, Ordering::SeqCst);
    let begun = Instant::now();
    wait_for_rotation(&edge, &name, true);
    let took = begun.elapsed();
    assert!(took < Duration::from_secs(15), "after four times its timeout at most: {took:?}");
    assert_eq!(edge.connect().get("/").status, 200, "the control: it serves");
}

/// Handshakes take their time where the worker is far away, and there are more of them than are begun at once.
#[test]
fn a_crowd_of_slow_handshakes_is_no_failure_of_the_worker() {
    const CLIENTS: usize = 40;
    let worker = Distant::start(|_| {
        sleep(Duration::from_millis(600));
        true
    });
    let edge = worker.behind_an_edge("connections: { reuse: never }", "timeouts: { connect: 10s }");
    let clients: Vec<_> = (0..CLIENTS).map(|_| send(&edge, "/", "")).collect();
    let statuses: Vec<_> = clients.into_iter().map(|mut client| client.response().status).collect();
    assert_eq!(statuses, [200; CLIENTS], "in its turn, each in time");
    let said = self::worker(&edge, &worker.stub.address().to_string());
    assert_eq!(said["state"], "ready", "{said:#}");
}
