//! Connections to workers that are one client's own.

use super::send;
use crate::support::client::Client;
use crate::support::edge::Edge;
use crate::support::http2;
use crate::support::plain_worker::{PlainWorker, addresses};
use crate::support::pool::{Pool, wait_for_worker};
use crate::support::status::wait_until_settled;
use crate::support::stub::Stub;
use crate::support::workers::{self, uvicorn_app};
use crate::support::{pool, wait_for};

/// A worker that takes whatever comes over a connection for the user of its last `Authorization: NTLM user`.
fn taking_connections_for_users() -> Stub {
    Stub::start(|mut accepted| {
        let mut user = "nobody".to_owned();
        while let Some(request) = accepted.request() {
            let said = request.lines().find_map(|line| {
                let (name, value) = line.split_once(": NTLM ")?;
                name.eq_ignore_ascii_case("authorization").then(|| value.trim().to_owned())
            });
            user = said.unwrap_or(user);
            let length = user.len();
            accepted.send(format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{user}"));
        }
    })
}

/// Before such a worker, with the clients' proxy trusted or not.
fn before_a_proxy(stub: &Stub, file: &str) -> Edge {
    Pool { file, ..Pool::default() }.before(&[stub.address()])
}

/// Who the worker takes the client at this address for, which says so itself when there is a `user`.
fn ask(proxy: &mut Client, address: &str, user: Option<&str>) -> String {
    let proof = user.map(|user| format!("Authorization: NTLM {user}\r\n")).unwrap_or_default();
    let response = proxy.get_with("/", &format!("X-Forwarded-For: {address}\r\n{proof}"));
    assert_eq!(response.status, 200, "{response:?}");
    response.text()
}

#[test]
fn a_user_behind_a_shared_proxy_connection_is_never_another() {
    let stub = taking_connections_for_users();
    let edge = before_a_proxy(&stub, "trusted_proxies: [127.0.0.1]");
    let mut proxy = edge.connect();
    for round in 0..5 {
        assert_eq!(ask(&mut proxy, "10.1.1.1", Some("alice")), "alice", "round {round}");
        assert_eq!(ask(&mut proxy, "10.3.3.3", None), "nobody", "round {round}");
        assert_eq!(ask(&mut proxy, "10.2.2.2", Some("bob")), "bob", "round {round}");
        for _ in 0..2 {
            assert_eq!(ask(&mut proxy, "10.1.1.1", None), "alice", "still known: round {round}");
            assert_eq!(ask(&mut proxy, "10.2.2.2", None), "bob", "still known: round {round}");
            assert_eq!(ask(&mut proxy, "10.3.3.3", None), "nobody", "round {round}");
        }
    }
}

/// The streams of a proxy's HTTP/2 connection are several clients'.
#[test]
fn nor_is_one_on_a_stream_beside_it() {
    let stub = taking_connections_for_users();
    let edge = before_a_proxy(&stub, "trusted_proxies: [127.0.0.1]");
    let answers = http2::run(
        edge.address(),
        "\
def ask(client, *headers):
    return c.answer(c.open('GET', '/', [('x-forwarded-for', client), *headers]))['body']
answers = []
for round in range(5):
    answers.append(ask('10.1.1.1', ('authorization', 'NTLM alice')))
    answers.append(ask('10.2.2.2'))
    answers.append(ask('10.1.1.1'))
tell(answers)",
    );
    let expected = ["alice", "nobody", "alice"].repeat(5);
    assert_eq!(answers, serde_json::json!(expected), "each is who it says");
}

/// The control: who is not trusted is one client, whatever it says of others.
#[test]
fn a_client_that_is_no_proxy_is_one_user() {
    let stub = taking_connections_for_users();
    let edge = before_a_proxy(&stub, "");
    let mut client = edge.connect();
    assert_eq!(ask(&mut client, "10.1.1.1", Some("alice")), "alice", "at first");
    assert_eq!(ask(&mut client, "10.2.2.2", None), "alice", "its connection is kept for it");
}

#[test]
fn a_client_is_not_bound_by_connections_that_are_gone() {
    let team: [_; 2] = PlainWorker::team();
    let keys = "balance: round_robin, max_requests_per_worker: 1, queue: { timeout: 2s }, \
                connections: { reuse: per_client, idle_timeout: 300ms }";
    let edge = Pool::with(keys).before(&addresses(&team));
    let mut client = edge.connect();
    let first = client.get("/").text();
    let home = team.iter().find(|worker| worker.name() == first).expect("the one that answered");
    wait_for_worker(&edge, &first, "without connections", |worker| {
        worker["connections"]["idle"] == 0
    });

    let before = home.requests();
    home.be_silent(true);
    // By turns, so one of them is for this worker.
    let _held: Vec<_> = (0..2).map(|_| send(&edge, "/held", "")).collect();
    wait_for("its slot to be taken", || (home.requests() > before).then_some(()));
    let response = client.get("/");
    assert_eq!(response.status, 200, "no reason to wait: {response:?}");
    assert_ne!(response.text(), first, "by the other");
}

/// Four clients that have said something are as many as may connect; they must not be all who ever may.
#[test]
fn idle_clients_do_not_keep_others_from_a_limited_worker() {
    let app = uvicorn_app(r#"workers: 1, args: ["--limit-concurrency", "5"]"#);
    let keys = "connections: { reuse: per_client }, \
                health: { path: /health, interval: 100ms, timeout: 10s }";
    let edge = workers::edge(&app, keys);
    let pids = wait_until_settled(&edge).pids();
    let mut clients: Vec<_> = (0..8).map(|_| edge.connect()).collect();
    for (number, client) in clients.iter_mut().enumerate() {
        let response = client.get("/");
        assert_eq!(response.status, 200, "client {number}: {response:?}");
    }
    // All are there still, and none of them asks for anything.
    let checks = |result: &str| {
        let labels = format!("result=\"{result}\",upstream=\"u\",worker=\"1\"");
        edge.metric(&format!("asgate_health_checks_total{{{labels}}}"))
    };
    let (passed, failed) = (checks("passed"), checks("failed"));
    wait_for("five more checks", || {
        (checks("passed") + checks("failed") >= passed + failed + 5.0).then_some(())
    });
    assert_eq!(
        checks("failed").to_string(),
        failed.to_string(),
        "room for checks: {:#}",
        pool::upstream(&edge)
    );
    assert_eq!(wait_until_settled(&edge).pids(), pids, "not taken for one that is ill");
    for (number, client) in clients.iter_mut().enumerate() {
        assert_eq!(client.get("/").status, 200, "client {number} comes back");
    }
}
