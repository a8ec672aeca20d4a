//! With `affinity` a client stays with the worker that answered it first, by a cookie that only the edge can make, for
//! as long as that worker is there.

mod replaced;

use std::net::SocketAddr;
use std::thread::spawn;
use std::time::Duration;

use crate::support::client::{Client, Response};
use crate::support::edge::Edge;
use crate::support::plain_worker::{PlainWorker, addresses};
use crate::support::pool::{Pool, steer, wait_for_rotation};
use crate::support::stub::Stub;

const NAME: &str = "asgate_affinity";

/// The `Set-Cookie` of a response: the value and the attributes, in lower case and sorted.
fn set_cookie(response: &Response) -> Option<(String, Vec<String>)> {
    let line = response.header("set-cookie")?;
    let mut parts = line.split(';').map(str::trim);
    let (name, value) = parts.next()?.split_once('=')?;
    assert_eq!(name, NAME, "{line}");
    let mut attributes: Vec<_> = parts.map(str::to_lowercase).collect();
    attributes.sort();
    Some((value.to_owned(), attributes))
}

/// The header line that sends `value` back.
fn cookie(value: &str) -> String {
    format!("Cookie: {NAME}={value}\r\n")
}

/// A first visit: who answered, and the cookie for it.
fn visit(client: &mut Client) -> (String, String) {
    let response = client.get("/");
    assert_eq!(response.status, 200, "{response:?}");
    let (value, _) = set_cookie(&response).unwrap_or_else(|| panic!("no cookie: {response:?}"));
    (response.text(), value)
}

fn edge(workers: &[PlainWorker], affinity: &str) -> Edge {
    Pool::with(&format!("affinity: {affinity}")).before(&addresses(workers))
}

#[test]
fn the_cookie_is_for_the_edge_alone() {
    let team: [_; 2] = PlainWorker::team();
    let edge = edge(&team, "{}");
    let response = edge.connect().get("/");
    let (value, attributes) = set_cookie(&response).expect("a cookie");
    assert_eq!(attributes, ["httponly", "path=/", "samesite=lax"], "{response:?}");
    assert!(!value.contains("127.0.0.1"), "no addresses for clients: {value}");
    let port = team[0].address().port().to_string();
    assert!(!value.contains(&port), "no ports either: {value}");
    assert!(
        value.bytes().all(|byte| byte.is_ascii_graphic() && !b"\",;\\".contains(&byte)),
        "{value}"
    );

    let named = self::edge(&team, "{ cookie: session-of }");
    let response = named.connect().get("/");
    let line = response.header("set-cookie").expect("a cookie");
    assert!(line.starts_with("session-of="), "the configured name: {line}");
}

#[test]
fn the_cookie_is_secure_where_the_client_is() {
    let team: [_; 2] = PlainWorker::team();
    let trusting =
        Pool { keys: "affinity: {}", file: "trusted_proxies: [127.0.0.1]", ..Pool::default() };
    let cases = [
        (trusting, "X-Forwarded-Proto: https\r\n", true),
        (trusting, "X-Forwarded-Proto: http\r\n", false),
        (trusting, "", false),
        // Nobody is believed who is not trusted.
        (Pool::with("affinity: {}"), "X-Forwarded-Proto: https\r\n", false),
    ];
    for (pool, header, expected) in cases {
        let edge = pool.before(&addresses(&team));
        let response = edge.connect().get_with("/", header);
        let (_, attributes) = set_cookie(&response).expect("a cookie");
        let is_secure = attributes.contains(&"secure".to_owned());
        assert_eq!(is_secure, expected, "{header:?}, trusted: {:?}: {attributes:?}", pool.file);
    }
}

#[test]
fn without_affinity_there_is_no_cookie() {
    let team: [_; 2] = PlainWorker::team();
    let edge = Pool::default().before(&addresses(&team));
    assert_eq!(edge.connect().get("/").header("set-cookie"), None, "the control");
}

#[test]
fn who_has_the_cookie_stays_and_gets_no_other() {
    let team: [_; 3] = PlainWorker::team();
    for worker in &team {
        worker.take(Duration::from_millis(2));
    }
    let edge = edge(&team, "{}");
    let address = edge.address();
    let clients: Vec<_> = (0..9).map(|_| spawn(move || stay(address))).collect();
    let mut homes: Vec<_> =
        clients.into_iter().map(|client| client.join().expect("it stayed")).collect();
    homes.sort();
    homes.dedup();
    assert_eq!(homes.len(), 3, "the control: the clients are shared among the workers");
}

/// A client that comes again and again, over other connections: where it was sent.
fn stay(edge: SocketAddr) -> String {
    let (home, value) = visit(&mut Client::connect(edge));
    for number in 0..30 {
        let mut client = Client::connect(edge);
        for _ in 0..2 {
            let response = client.get_with("/", &format!("Cookie: a=b; {NAME}={value}; c=d\r\n"));
            assert_eq!(response.text(), home, "visit {number}");
            assert_eq!(response.header("set-cookie"), None, "it has the right one already");
        }
    }
    home
}

#[test]
fn a_worker_that_is_drained_hands_its_clients_over() {
    let team: [_; 2] = PlainWorker::team();
    let edge = edge(&team, "{}");
    let (home, value) = visit(&mut edge.connect());
    steer(&edge, &home, "drain");
    let response = edge.connect().get_with("/", &cookie(&value));
    let other = response.text();
    assert_ne!(other, home, "not the drained one");
    let (next, _) = set_cookie(&response).expect("a cookie for the other one");
    steer(&edge, &home, "enable");
    wait_for_rotation(&edge, &home, true);
    for _ in 0..6 {
        let response = edge.connect().get_with("/", &cookie(&next));
        assert_eq!(response.text(), other, "the new cookie holds");
        assert_eq!(response.header("set-cookie"), None, "and is not set again");
    }
}

/// The session is there and nowhere else, so its client waits rather than goes to a worker that is idle.
#[test]
fn a_worker_that_is_busy_is_waited_for() {
    let team: [_; 2] = PlainWorker::team();
    for worker in &team {
        worker.take(Duration::from_millis(200));
    }
    let edge = Pool::with("affinity: {}, max_requests_per_worker: 1").before(&addresses(&team));
    let (home, value) = visit(&mut edge.connect());
    let clients: Vec<_> = (0..5)
        .map(|_| {
            let (mut client, header) = (edge.connect(), cookie(&value));
            spawn(move || client.get_with("/", &header))
        })
        .collect();
    for client in clients {
        let response = client.join().expect("answered");
        assert_eq!((response.status, response.text()), (200, home.clone()), "{response:?}");
        assert_eq!(response.header("set-cookie"), None, "{response:?}");
    }
}

/// A worker that does not answer any more is no reason to refuse its clients.
#[test]
fn a_worker_that_is_gone_hands_its_clients_over() {
    let team: [_; 2] = PlainWorker::team();
    let edge = Pool::with("affinity: {}, connections: { prewarm: 0 }").before(&addresses(&team));
    let (home, value) = visit(&mut edge.connect());
    let gone = team.iter().find(|worker| worker.name() == home).expect("its worker");
    gone.stub().close_listener();
    // Kept connections would still serve: as many requests at once as need others.
    gone.take(Duration::from_secs(2));
    let address = edge.address();
    let header = cookie(&value);
    let clients: Vec<_> = (0..3)
        .map(|_| {
            let header = header.clone();
            spawn(move || Client::connect(address).get_with("/", &header))
        })
        .collect();
    let answers: Vec<_> =
        clients.into_iter().map(|client| client.join().expect("answered")).collect();
    assert!(answers.iter().all(|answer| answer.status == 200), "{answers:?}");
    let moved = answers.iter().filter(|answer| answer.text() != home);
    let cookies = moved.map(|answer| set_cookie(answer).expect("a cookie for the other one"));
    assert!(cookies.count() > 0, "the control: some found another worker: {answers:?}");
}

#[test]
fn a_cookie_that_the_edge_did_not_make_counts_for_nothing() {
    let team: [_; 2] = PlainWorker::team();
    let edge = edge(&team, "{}");
    let (home, value) = visit(&mut edge.connect());
    let (flipped, cut) = (flip(&value), &value[..value.len() - 1]);
    let doubled = format!("{value}{value}");
    let encoded = home.replace(':', "%3A");
    let long = "x".repeat(2000);
    let forged =
        ["", "1", &home, &encoded, &flipped, cut, &doubled, &long, "%00", "\"\"", "é", "../../x"];
    for value in forged {
        let response = edge.connect().get_with("/", &cookie(value));
        assert_eq!(response.status, 200, "{value:?}: {response:?}");
        let (replaced, _) = set_cookie(&response).unwrap_or_else(|| panic!("{value:?} is taken"));
        let mine = response.text();
        let again = edge.connect().get_with("/", &cookie(&replaced));
        assert_eq!(again.text(), mine, "{value:?}: replaced by one that holds");
    }
    // By turns, because a forged cookie does not choose.
    let chosen: std::collections::BTreeSet<_> =
        (0..8).map(|_| edge.connect().get_with("/", &cookie(&flipped)).text()).collect();
    assert_eq!(chosen.len(), 2, "{chosen:?}");
}

/// Another value of the same shape: one letter is changed.
fn flip(value: &str) -> String {
    // The last letter may carry less than its bits; the one before it does not.
    let at = value.len() - 2;
    let other = if value[at..].starts_with('A') { 'B' } else { 'A' };
    format!("{}{other}{}", &value[..at], &value[at + 1..])
}

#[test]
fn two_edges_with_one_secret_accept_each_others_cookies() {
    let team: [_; 3] = PlainWorker::team();
    let shared = "{ secret: 0123456789abcdef0123456789abcdef }";
    let others = "{ secret: fedcba9876543210fedcba9876543210 }";
    for (first, second, accepted) in
        [(shared, shared, true), (shared, others, false), ("{}", "{}", false)]
    {
        let (one, two) = (edge(&team, first), edge(&team, second));
        for _ in 0..6 {
            let (home, value) = visit(&mut one.connect());
            let response = two.connect().get_with("/", &cookie(&value));
            let is_new = set_cookie(&response).is_some();
            assert_eq!(is_new, !accepted, "{first} then {second}: {response:?}");
            assert!(!accepted || response.text() == home, "{first} then {second}: {response:?}");
        }
    }
}

/// The contract of Application Request Routing that applications rely on.
#[test]
fn an_application_can_do_without() {
    let stub = Stub::answering(
        b"HTTP/1.1 200 OK\r\narr-disable-session-affinity: true\r\ncontent-length: 2\r\n\r\nok",
    );
    let edge = Pool::with("affinity: {}").before(&[stub.address()]);
    let response = edge.connect().get("/");
    assert_eq!((response.status, response.header("set-cookie")), (200, None), "{response:?}");
}

#[test]
fn cookies_of_the_application_are_not_touched() {
    let stub = Stub::answering(
        b"HTTP/1.1 200 OK\r\nset-cookie: own=1; Path=/app\r\ncontent-length: 2\r\n\r\nok",
    );
    let edge = Pool::with("affinity: {}").before(&[stub.address()]);
    let response = edge.connect().get("/");
    let lines = response.headers.iter().filter(|(name, _)| name == "set-cookie");
    let lines: Vec<_> = lines.map(|(_, value)| value.as_str()).collect();
    assert_eq!(lines.len(), 2, "{response:?}");
    assert!(lines.contains(&"own=1; Path=/app"), "{response:?}");
}
