//! `balance: hash`: the same key goes to the same worker, and a worker that leaves takes no other keys with it.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use socket2::{Domain, Socket, Type};

use crate::support::client::Client;
use crate::support::edge::Edge;
use crate::support::plain_worker::{PlainWorker, addresses, shares};
use crate::support::pool::{Pool, steer, wait_for_rotation};

const KEYS: u8 = 120;
/// A third of them would be 40; this is more than five standard deviations less.
const LEAST: usize = 12;

/// The request with a key, without the end of its head.
type RequestWith = fn(u8) -> String;

/// How each `hash_on` is given its key.
const KINDS: [(&str, RequestWith); 4] = [
    ("path", |key| format!("GET /{key}?other=1 HTTP/1.1\r\nHost: a\r\n")),
    ("header:X-Tenant", |key| format!("GET / HTTP/1.1\r\nHost: a\r\nx-tenant: {key}\r\n")),
    ("cookie:tenant", |key| {
        format!("GET / HTTP/1.1\r\nHost: a\r\nCookie: first=1; tenant={key}; last=2\r\n")
    }),
    ("query:tenant", |key| format!("GET /?a=1&tenant={key}&b=2 HTTP/1.1\r\nHost: a\r\n")),
];

fn edge(team: &[PlainWorker], hash_on: &str) -> Edge {
    Pool::with(&format!("balance: hash, hash_on: \"{hash_on}\"")).before(&addresses(team))
}

/// Who answers for each key.
fn map(edge: &Edge, request: RequestWith) -> Vec<String> {
    // From many connections, so that it is not the connection that decides.
    (0..KEYS)
        .map(|key| {
            let mut client = edge.connect();
            client.send(format!("{}\r\n", request(key)));
            client.response().text()
        })
        .collect()
}

#[test]
fn the_same_key_goes_to_the_same_worker_of_any_edge() {
    for (hash_on, request) in KINDS {
        let team: [_; 3] = PlainWorker::team();
        let edge = edge(&team, hash_on);
        let first = map(&edge, request);
        assert_eq!(map(&edge, request), first, "{hash_on}: asked again");
        let shares = shares(&team);
        assert!(shares.iter().all(|share| *share >= LEAST), "{hash_on}: all have keys: {shares:?}");
        let other = self::edge(&team, hash_on);
        assert_eq!(map(&other, request), first, "{hash_on}: another edge before the same workers");
    }
}

#[test]
fn a_worker_that_leaves_takes_only_its_own_keys() {
    for (hash_on, request) in KINDS {
        let team: [_; 3] = PlainWorker::team();
        let edge = edge(&team, hash_on);
        let before = map(&edge, request);
        let gone = team[0].name();
        steer(&edge, &gone, "drain");
        let meanwhile = map(&edge, request);
        for (key, (was, is)) in before.iter().zip(&meanwhile).enumerate() {
            assert_ne!(*is, gone, "{hash_on}: key {key} goes to a drained worker");
            assert!(*was == gone || is == was, "{hash_on}: key {key} moved from {was} to {is}");
        }
        steer(&edge, &gone, "enable");
        wait_for_rotation(&edge, &gone, true);
        assert_eq!(map(&edge, request), before, "{hash_on}: all as it was");
    }
}

/// A client at 127.0.0.KEY.
fn client_at(edge: &Edge, key: u8) -> Client {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    let own = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(127, 0, 0, key)), 0);
    socket.bind(&own.into()).expect("an address of loopback");
    socket.connect(&edge.address().into()).expect("connected");
    Client::over(socket.into())
}

#[test]
fn by_the_address_of_the_client() {
    let team: [_; 3] = PlainWorker::team();
    let edge = edge(&team, "client_ip");
    let map = || (1..KEYS).map(|key| client_at(&edge, key).get("/").text()).collect::<Vec<_>>();
    let first = map();
    assert_eq!(map(), first, "from other ports of the same addresses");
    assert!(
        shares(&team).iter().all(|share| *share >= LEAST),
        "all have some: {:?}",
        shares(&team)
    );
}

/// Behind a trusted proxy all connections come from one address, and the clients do not.
#[test]
fn by_the_address_of_the_client_behind_a_proxy() {
    let team: [_; 3] = PlainWorker::team();
    let edge = Pool {
        keys: "balance: hash, hash_on: client_ip",
        file: "trusted_proxies: [127.0.0.1]",
        ..Pool::default()
    }
    .before(&addresses(&team));
    let request: RequestWith =
        |key| format!("GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 192.0.2.{key}\r\n");
    let first = map(&edge, request);
    assert_eq!(map(&edge, request), first, "asked again");
    assert!(
        shares(&team).iter().all(|share| *share >= LEAST),
        "all have some: {:?}",
        shares(&team)
    );
}

/// One key that everybody asks for must not bring its worker down while the others are idle.
#[test]
fn a_popular_key_is_shared_when_its_worker_has_too_much() {
    let team: [_; 3] = PlainWorker::team();
    for worker in &team {
        worker.take(Duration::from_millis(500));
    }
    let edge = edge(&team, "path");
    super::ask_together(&edge, 40, 5);
    let shares = shares(&team);
    let most = shares.iter().max().expect("three shares");
    // A quarter more than a third of 40 at a time is 17 for one worker, and 85 of 200 in all.
    assert!(*most < 110 && shares.iter().all(|share| *share > 0), "bounded load: {shares:?}");
}

#[test]
fn requests_without_a_key_are_shared_evenly() {
    let team: [_; 3] = PlainWorker::team();
    let edge = edge(&team, "cookie:tenant");
    super::ask(&edge, 90);
    let shares = shares(&team);
    assert!(shares.iter().all(|share| share.abs_diff(30) <= 10), "as least_requests: {shares:?}");
}
