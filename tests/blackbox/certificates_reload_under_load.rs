//! New certificates are taken up without a connection or a handshake lost, and a broken one changes nothing but the log.

mod broken;

use std::path::Path;
use std::process::Output;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;

use crate::support::certificates::{Authority, Certificate};
use crate::support::client::Client;
use crate::support::edge::Edge;
use crate::support::front::Front;
use crate::support::stub::Stub;
use crate::support::tls::{Offer, Tls, Tunnel, der};
use crate::support::wait_for;
use crate::support::workers::{operate, said};

const SITE: &str = "site.test";
/// As is promised.
const SWAPS: usize = 100;

/// A site whose files are exchanged while it is served.
struct Site {
    authority: Authority,
    /// What the edge reads.
    live: Certificate,
    /// What is put there, in turn.
    others: Vec<Certificate>,
}

impl Site {
    fn new() -> Self {
        let authority = Authority::create();
        let live = authority.sign("live", &[SITE]);
        let others = (0..4).map(|n| authority.sign(&format!("other-{n}"), &[SITE])).collect();
        Self { authority, live, others }
    }

    fn edge(&self, stub: &Stub) -> Edge {
        let listener = self.live.listener();
        Front { listeners: &[&listener], ..Front::default() }.before(stub.address())
    }

    fn client(&self) -> Tls {
        Tls::trusting(&self.authority, Offer::default())
    }

    /// Exchanges the certificate and then the key, as tools do: for a moment they do not match.
    fn swap(&self, number: usize) -> &Certificate {
        let next = &self.others[number % self.others.len()];
        replace(&next.certificate, &self.live.certificate);
        replace(&next.key, &self.live.key);
        next
    }
}

/// Puts a copy in place of a file, in one step, as tools that renew certificates do.
fn replace(from: &Path, to: &Path) {
    let fresh = to.with_extension("new");
    std::fs::copy(from, &fresh).expect("copied");
    std::fs::rename(fresh, to).expect("renamed");
}

/// Which certificate is shown to who comes now.
fn shown(edge: &Edge, tls: &Tls) -> Vec<u8> {
    tls.handshake(edge.address(), SITE).expect("a handshake").leaf()
}

/// Clients that do nothing but shake hands and ask once, full handshakes and resumed ones.
struct Crowd {
    enough: Arc<AtomicBool>,
    done: Arc<AtomicUsize>,
    clients: Vec<JoinHandle<Vec<String>>>,
}

impl Crowd {
    fn start(edge: &Edge, tls: &Tls) -> Self {
        let (enough, done) = (Arc::<AtomicBool>::default(), Arc::<AtomicUsize>::default());
        let address = edge.address();
        let clients = (0..4).map(|number| {
            let tls = if number % 2 == 0 { tls.forgetful() } else { tls.clone() };
            let (enough, done) = (Arc::clone(&enough), Arc::clone(&done));
            std::thread::spawn(move || {
                let mut lost = Vec::new();
                while !enough.load(Ordering::Relaxed) {
                    let answer = tls.handshake(address, SITE).and_then(|mut it| it.get("/"));
                    match answer {
                        Ok(answer) if answer.starts_with("HTTP/1.1 200 ") => {}
                        other => lost.push(format!("{other:?}")),
                    }
                    done.fetch_add(1, Ordering::Relaxed);
                }
                lost
            })
        });
        let clients = clients.collect();
        Self { enough, done, clients }
    }

    /// Waits until so many more handshakes are done: what happens meanwhile happens under load.
    fn go_on(&self, more: usize) {
        let goal = self.done.load(Ordering::Relaxed) + more;
        wait_for("handshakes", || (self.done.load(Ordering::Relaxed) >= goal).then_some(()));
    }

    /// Ends it: how many handshakes there were, and which failed.
    fn end(self) -> (usize, Vec<String>) {
        self.enough.store(true, Ordering::Relaxed);
        let lost = self.clients.into_iter().flat_map(|client| client.join().expect("a client"));
        let lost = lost.collect();
        (self.done.load(Ordering::Relaxed), lost)
    }
}

#[test]
fn a_hundred_certificates_and_no_handshake_lost() {
    let stub = Stub::ok();
    let site = Site::new();
    let edge = site.edge(&stub);
    let tls = site.client();
    let crowd = Crowd::start(&edge, &tls);
    crowd.go_on(10);
    for number in 0..SWAPS {
        let next = site.swap(number);
        let output = operate(&edge, &["reload"]);
        assert!(output.status.success(), "swap {number}: {}", said(&output));
        assert_eq!(shown(&edge, &tls.forgetful()), der(next), "after swap {number}");
        crowd.go_on(4);
    }
    let (done, lost) = crowd.end();
    assert!(done > SWAPS * 4, "there was a load: {done}");
    assert!(lost.is_empty(), "{} of {done} lost: {lost:#?}", lost.len());
}

#[test]
fn a_change_is_noticed_without_being_told() {
    let stub = Stub::ok();
    let site = Site::new();
    let edge = site.edge(&stub);
    let tls = site.client();
    let crowd = Crowd::start(&edge, &tls);
    for number in 0..3 {
        let next = der(site.swap(number));
        wait_for("the new certificate", || (shown(&edge, &tls.forgetful()) == next).then_some(()));
    }
    let (done, lost) = crowd.end();
    assert!(lost.is_empty(), "{} of {done} lost: {lost:#?}", lost.len());
    let stderr = edge.stderr_text();
    assert!(stderr.matches("Certificate renewed").count() >= 3, "each is logged: {stderr}");
    assert!(!stderr.contains("ERROR"), "{stderr}");
}

/// The change is a real one: a client that trusts the new authority only is served after it, one of the old only before.
/// Whether a reload says that it took `file` anew, or the log does: the edge may have looked by itself just before.
fn told_of(reload: &Output, edge: &Edge, file: &str) -> bool {
    let is_news = |line: &str| line.contains("renewed") && line.contains(file);
    said(reload).contains(file) || edge.stderr_text().lines().any(is_news)
}

#[test]
fn another_authority_can_take_over() {
    let stub = Stub::ok();
    let site = Site::new();
    let edge = site.edge(&stub);
    let newcomer = Authority::create();
    let [old, new] = [&site.authority, &newcomer]
        .map(|authority| Tls::trusting(authority, Offer::default()).forgetful());
    let reached = |tls: &Tls| tls.handshake(edge.address(), SITE).is_ok();
    assert_eq!((reached(&old), reached(&new)), (true, false), "before");
    let next = newcomer.sign("next", &[SITE]);
    replace(&next.certificate, &site.live.certificate);
    replace(&next.key, &site.live.key);
    let output = operate(&edge, &["reload"]);
    assert!(output.status.success(), "{}", said(&output));
    assert!(told_of(&output, &edge, "live.pem"), "it says what changed: {}", said(&output));
    assert_eq!((reached(&old), reached(&new)), (false, true), "after");
    let again = operate(&edge, &["reload"]);
    assert!(again.status.success() && said(&again).contains("nothing changed"), "{}", said(&again));
}

#[test]
fn open_connections_live_on() {
    let stub = Stub::start(|mut accepted| {
        while let Some(head) = accepted.request_head() {
            if head.contains("upgrade: websocket\r\n") {
                accepted.send(
                    "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n",
                );
                while let Some(bytes) = accepted.bytes(4) {
                    accepted.send(bytes);
                }
                return;
            }
            // A part each time the client lets another request through.
            accepted.send("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n");
            for part in ["4\r\npart\r\n", "4\r\npart\r\n", "0\r\n\r\n"] {
                accepted.send(part);
                std::thread::sleep(std::time::Duration::from_millis(700));
            }
        }
    });
    let site = Site::new();
    let edge = site.edge(&stub);
    let tunnel = Tunnel::to(edge.address(), &site.client(), SITE);
    let mut socket = Client::connect(tunnel.address());
    socket.send(
        "GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
    );
    assert_eq!(socket.head().map(|(status, _)| status), Some(101), "a tunnel");
    let mut stream = Client::connect(tunnel.address());
    stream.send("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(stream.head().map(|(status, _)| status), Some(200), "a stream");
    for number in 0..5 {
        site.swap(number);
        let output = operate(&edge, &["reload"]);
        assert!(output.status.success(), "{}", said(&output));
        socket.send("ping");
        assert_eq!(socket.bytes(4), b"ping", "the tunnel is there after swap {number}");
    }
    let parts: Vec<_> = std::iter::from_fn(|| stream.chunk()).take(3).collect();
    assert_eq!(parts, [&b"part"[..], b"part", b""], "the stream came to its end");
    assert_eq!(stream.get("/slow").status, 200, "and its connection is kept");
}
