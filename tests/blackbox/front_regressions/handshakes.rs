//! Who may shake hands, when, what is written down of it, and what the files for it cost.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::thread::spawn;
use std::time::Duration;

use rustls::version::{TLS12, TLS13};

use super::{of_listener, told};
use crate::support::certificates::{Attribute, Authority, Certificate, Purpose, Wanted};
use crate::support::edge::Edge;
use crate::support::front::Front;
use crate::support::stub::Stub;
use crate::support::tls::{Offer, Session, Tls};
use crate::support::{PATIENCE, wait_until};

const SITE: &str = "site.test";

/// A site before a worker.
struct Site {
    authority: Authority,
    certificate: Certificate,
    edge: Edge,
    _stub: Stub,
}

impl Site {
    /// With these further keys of `tls`.
    fn with(tls: &str) -> Self {
        let (authority, stub) = (Authority::create(), Stub::ok());
        let certificate = authority.sign("site", &[SITE]);
        let listener = format!("tls: {{ certificates: [{}], {tls} }}", certificate.item());
        let edge = Front { listeners: &[&listener], ..Front::default() }.before(stub.address());
        Self { authority, certificate, edge, _stub: stub }
    }

    fn client(&self, offer: Offer<'_>) -> Tls {
        Tls::trusting(&self.authority, offer).forgetful()
    }

    /// Whether somebody who does all well is served.
    fn serves(&self, tls: &Tls) -> bool {
        is_served(tls.handshake(self.edge.address(), SITE))
    }

    /// Says all that a handshake begins with, waits for the answer, and nothing more: it is under way.
    fn under_way(&self, tls: &Tls) -> TcpStream {
        let mut socket = tls.begin(self.edge.address(), SITE);
        socket.set_read_timeout(Some(PATIENCE)).expect("a time-out");
        socket.read_exact(&mut [0]).expect("an answer: it has a place");
        socket
    }

    fn count(&self, result: &str) -> f64 {
        let label = format!("result=\"{result}\"");
        self.edge.metric(&of_listener("asgate_tls_handshakes_total", &label))
    }

    /// Waits until so many connections have come, of whom none has left by itself.
    fn wait_for_arrivals(&self, count: usize) {
        let arrived = || self.open() + self.count("crowded");
        wait_until("all to be connected", arrived, |arrived| *arrived >= count as f64);
    }

    fn wait_until_empty(&self) {
        wait_until("nobody to be connected", || self.open(), |open| *open == 0.0);
    }

    fn open(&self) -> f64 {
        self.edge.metric(&of_listener("asgate_listener_connections", ""))
    }
}

fn is_served(session: std::io::Result<Session>) -> bool {
    session.and_then(|mut session| session.get("/")).is_ok_and(|answer| answer.contains(" 200 "))
}

/// Reads until the edge ends the connection.
fn wait_for_end(mut socket: TcpStream) {
    socket.set_read_timeout(Some(PATIENCE)).expect("a time-out");
    // It may be reset.
    let _ = socket.read_to_end(&mut Vec::new());
}

#[test]
fn a_handshake_gives_its_place_back_however_it_ends() {
    let site = Site::with("min_version: \"1.3\", max_handshakes: 2, handshake_timeout: 20s");
    let good = site.client(Offer::default());
    let old = site.client(Offer { versions: &[&TLS12], ..Offer::default() });
    let endings: [(&str, &dyn Fn()); 5] = [
        ("well", &|| assert!(site.serves(&good), "the control")),
        ("without agreement", &|| assert!(!site.serves(&old), "no TLS 1.2")),
        ("by the client", &|| drop(site.under_way(&good))),
        ("in nonsense", &|| {
            let mut socket = site.under_way(&good);
            socket.write_all(&[0x17, 3, 3, 0, 4, 1, 2, 3, 4]).expect("sent");
            wait_for_end(socket);
        }),
        ("as what is no TLS at all", &|| {
            let mut client = site.edge.connect();
            client.send("GET / HTTP/1.1\r\nHost: site.test\r\n\r\n");
            assert_eq!(client.response().status, 400, "it is told");
        }),
    ];
    for (how, end) in endings {
        // More than there are places.
        (0..5).for_each(|_| end());
        site.wait_until_empty();
        assert!(site.serves(&good), "after handshakes that ended {how}");
    }
    assert_eq!(site.count("crowded"), 0.0, "there was always a place");
}

#[test]
fn a_handshake_that_does_not_end_gives_its_place_back() {
    let site = Site::with("max_handshakes: 2, handshake_timeout: 3s");
    let good = site.client(Offer::default());
    for _ in 0..2 {
        let late = [site.under_way(&good), site.under_way(&good)];
        late.into_iter().for_each(wait_for_end);
        site.wait_until_empty();
    }
    assert!(site.serves(&good), "after handshakes that did not end");
    assert!(site.count("timeout") >= 4.0, "the control: {}", site.edge.metrics());
    assert_eq!(site.count("crowded"), 0.0, "there was always a place");
}

/// A site that opens in the morning has many clients at once, and all of them are welcome.
#[test]
fn a_crowd_gets_in_one_after_the_other() {
    const CLIENTS: usize = 20;
    let site = Site::with("max_handshakes: 1, handshake_timeout: 20s");
    let tls = site.client(Offer::default());
    let first = site.under_way(&tls);
    let address = site.edge.address();
    let crowd = || {
        let tls = tls.clone();
        spawn(move || is_served(tls.handshake(address, SITE)))
    };
    let crowd: Vec<_> = (0..CLIENTS).map(|_| crowd()).collect();
    site.wait_for_arrivals(CLIENTS + 1);
    drop(first);
    let served = crowd.into_iter().filter_map(|client| client.join().ok()).filter(|it| *it).count();
    assert_eq!(served, CLIENTS, "each in its turn: {}", site.edge.metrics());
    assert_eq!(site.count("crowded"), 0.0, "nobody was refused");
}

/// An operator has to know why clients do not get in, and need not read it for each of them.
#[test]
fn a_crowd_that_does_not_get_in_is_one_line_in_the_log() {
    let site = Site::with("max_handshakes: 1, handshake_timeout: 1s");
    let tls = site.client(Offer::default());
    let first = site.under_way(&tls);
    // They come at once: one that comes when the time of another is over has its place, and time of its own to waste.
    site.edge.signal("STOP");
    let crowd: Vec<_> = (0..20).map(|_| tls.begin(site.edge.address(), SITE)).collect();
    site.edge.signal("CONT");
    crowd.into_iter().chain([first]).for_each(wait_for_end);
    site.wait_until_empty();
    assert!(site.count("crowded") > 5.0, "the control: {}", site.edge.metrics());
    let lines = told(&site.edge, "max_handshakes");
    assert_eq!(lines.len(), 1, "{}", site.edge.stderr_text());
    assert!(lines[0].contains(" WARN "), "{lines:?}");
}

/// Certificates for clients, from an authority of their own.
struct Members(Authority);

impl Members {
    fn issue(&self, name: &str) -> Certificate {
        let subject = &[(Attribute::CommonName, name)];
        self.0.issue(name, Wanted { subject, purpose: Purpose::Client, ..Wanted::default() })
    }

    /// A site that asks for a certificate of theirs; `list` is of those that do not count any more.
    fn site(&self, list: &Path) -> Site {
        let ca = self.0.certificate();
        Site::with(&format!("client_auth: {{ ca: {ca:?}, crl: [{list:?}] }}"))
    }
}

#[test]
fn a_client_certificate_that_is_refused_is_written_down_once() {
    let members = Members(Authority::create());
    let strangers = Members(Authority::create());
    let (alice, bob, mallory) =
        (members.issue("alice"), members.issue("bob"), strangers.issue("mallory"));
    let list = members.0.revoke("list.crl", &[&bob]);
    for (what, identity) in
        [("revoked", Some(&bob)), ("a stranger's", Some(&mallory)), ("none", None)]
    {
        for version in [&TLS12, &TLS13] {
            let site = members.site(&list);
            let versions = &[version];
            let tls = site.client(Offer { versions, identity, ..Offer::default() });
            for _ in 0..5 {
                assert!(!site.serves(&tls), "{what}: refused");
            }
            wait_until("all to be counted", || site.count("failed"), |count| *count >= 5.0);
            let lines =
                told(&site.edge, "TLS handshake failed: listener=127.0.0.1:0 client=127.0.0.1:");
            assert_eq!(lines.len(), 1, "{what}: {}", site.edge.stderr_text());
            let tls = site.client(Offer { versions, identity: Some(&alice), ..Offer::default() });
            assert!(site.serves(&tls), "the control: a member");
        }
    }
}

/// How long a core has worked for it; Linux counts in hundredths of a second (proc(5), `stat`).
fn used(edge: &Edge) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", edge.pid())).expect("its times");
    let (_, fields) = stat.rsplit_once(") ").expect("after its name");
    let ticks = fields.split(' ').skip(11).take(2).filter_map(|it| it.parse::<u64>().ok());
    Duration::from_millis(10 * ticks.sum::<u64>())
}

/// The files are looked at every two seconds, and need be read through only when something has changed.
#[test]
fn a_long_list_of_revoked_certificates_costs_nothing_while_it_stays_the_same() {
    const REVOKED: usize = 300_000;
    let members = Members(Authority::create());
    let bob = members.issue("bob");
    let list = members.0.revoke("list.crl", &vec![&bob; REVOKED]);
    let size = std::fs::metadata(&list).expect("a list").len();
    assert!(size > 8_000_000, "the control: it is a long one, of {size} bytes");
    let site = members.site(&list);
    // Another certificate is found at the next look at the files, and each look is after the one before.
    let look = |number: usize| {
        let renewed = site.authority.sign("renewed", &[SITE]);
        std::fs::rename(renewed.key, &site.certificate.key).expect("a new key");
        std::fs::rename(renewed.certificate, &site.certificate.certificate).expect("a new file");
        let found = || told(&site.edge, "Certificate renewed").len();
        wait_until("the new certificate to be found", found, |found| *found == number);
    };
    look(1);
    let before = used(&site.edge);
    // What is found is taken when it was found twice.
    look(2);
    let took = used(&site.edge).saturating_sub(before);
    // It was read at least once by then; reading it for each look would take more than half as long again.
    assert!(took < before / 4, "{took:?} of a core for two looks, {before:?} for all before them");
}
