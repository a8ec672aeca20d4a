//! Requests that belong to a worker: by a cookie, by a hash, by connections of their own.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::{HEAD, cookie_of};
use crate::support::client::{Client, Response};
use crate::support::plain_worker::{PlainWorker, addresses};
use crate::support::pool::{Pool, retries_counted};
use crate::support::stub::{Accepted, Stub};

/// How many requests each connection to this worker is answered, one after the other; then it ends at the next.
fn tiring(patience: Arc<AtomicUsize>) -> Stub {
    Stub::start(move |mut accepted: Accepted| {
        let name = accepted.stream.local_addr().expect("its address").to_string();
        let mut answered = 0;
        while accepted.request().is_some() && answered < patience.load(Ordering::SeqCst) {
            let length = name.len();
            accepted.send(format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{name}"));
            answered += 1;
        }
        accepted.close();
    })
}

/// Two of them, each with a patience of its own.
fn tiring_team(patience: usize) -> [(Stub, Arc<AtomicUsize>); 2] {
    std::array::from_fn(|_| {
        let patience = Arc::new(AtomicUsize::new(patience));
        (tiring(Arc::clone(&patience)), patience)
    })
}

fn addresses_of(team: &[(Stub, Arc<AtomicUsize>)]) -> Vec<SocketAddr> {
    team.iter().map(|(stub, _)| stub.address()).collect()
}

/// The everyday race: a worker ends a kept connection when the next request is on its way.
#[test]
fn a_stale_connection_moves_nobody_to_another_worker() {
    for keys in
        ["affinity: {}", "balance: hash, hash_on: path", "connections: { reuse: per_client }"]
    {
        let team = tiring_team(1);
        let edge = Pool::with(keys).before(&addresses_of(&team));
        let mut client = edge.connect();
        let first = client.get("/");
        let cookie = cookie_of(&first);
        for number in 0..6 {
            let response = client.get_with("/", &cookie);
            assert_eq!((response.status, response.text()), (200, first.text()), "{keys}: {number}");
            assert_eq!(cookie_of(&response), "", "{keys}: no other home");
        }
        assert!(retries_counted(&edge, "stale") >= 3.0, "{keys}: the control: they were stale");
    }
}

/// A worker that is dying ends its kept connections, and each new one too.
#[test]
fn those_who_belong_to_a_dying_worker_get_an_answer() {
    for keys in ["affinity: {}", "balance: hash, hash_on: path", "balance: round_robin"] {
        let team = tiring_team(usize::MAX);
        let edge = Pool::with(keys).before(&addresses_of(&team));
        let mut client = edge.connect();
        let first = client.get("/");
        let is_home = |(stub, _): &&(Stub, _)| stub.address().to_string() == first.text();
        let (_, patience) = team.iter().find(is_home).expect("the worker that answered");
        patience.store(0, Ordering::SeqCst);
        for number in 0..4 {
            let response = client.get_with("/", &cookie_of(&first));
            assert_eq!(response.status, 200, "{keys}: request {number}: {response:?}");
            assert_ne!(response.text(), first.text(), "{keys}: by the other: request {number}");
        }
    }
}

/// A GET with this `Cookie`, byte by byte.
fn get_with_cookie(client: &mut Client, cookie: &[u8]) -> Response {
    let head = format!("GET / HTTP/1.1\r\n{HEAD}Cookie: ");
    client.send([head.as_bytes(), cookie, b"\r\n\r\n"].concat());
    client.response()
}

/// In UTF-8 and in Latin-1, as browsers send what scripts set.
const NAMES: [&[u8]; 2] = [b"name=J\xc3\xbcrgen", b"name=J\xfcrgen"];

#[test]
fn a_cookie_beyond_ascii_does_not_hide_the_session() {
    let team: [_; 2] = PlainWorker::team();
    let edge = Pool::with("affinity: {}, balance: round_robin").before(&addresses(&team));
    let first = edge.connect().get("/");
    let line = cookie_of(&first);
    let own = line.trim_start_matches("Cookie: ").trim().as_bytes();
    for name in NAMES {
        for cookie in [[name, b"; ", own].concat(), [own, b"; ", name].concat()] {
            for _ in 0..3 {
                let response = get_with_cookie(&mut edge.connect(), &cookie);
                let about = cookie.escape_ascii();
                assert_eq!(response.text(), first.text(), "{about}");
                assert_eq!(response.header("set-cookie"), None, "{about}: it is known");
            }
        }
    }
}

#[test]
fn a_cookie_beyond_ascii_does_not_hide_what_is_hashed() {
    let team: [_; 2] = PlainWorker::team();
    let edge = Pool::with("balance: hash, hash_on: \"cookie:tenant\"").before(&addresses(&team));
    for name in NAMES {
        let mut used = BTreeSet::new();
        for tenant in 0..20 {
            let cookie = [name, format!("; tenant={tenant}").as_bytes()].concat();
            let ask = |_| get_with_cookie(&mut edge.connect(), &cookie).text();
            let homes: BTreeSet<_> = (0..3).map(ask).collect();
            assert_eq!(homes.len(), 1, "{}: {homes:?}", cookie.escape_ascii());
            used.extend(homes);
        }
        assert_eq!(used.len(), 2, "the control: both have tenants");
    }
}
