//! A worker that closes its kept connections while requests are on their way costs nobody an answer.
//!
//! With real Uvicorn, whose keep-alive of 5 seconds the requests are timed to meet. On loopback they hardly ever cross
//! the close, so stubs that always close at the worst moment are the control: `closing`.

mod closing;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::thread::{sleep, spawn};
use std::time::{Duration, Instant};

use crate::support::client::Client;
use crate::support::edge::Edge;
use crate::support::load::soak_seconds;
use crate::support::pool::Pool;
use crate::support::uvicorn::{Uvicorn, test_app};

/// Requests at a time, each of which needs a connection to the worker.
const CLIENTS: usize = 50;
/// Uvicorn's default.
const KEEP_ALIVE: Duration = Duration::from_secs(5);
/// How long each request takes: those of one round all overlap.
const TAKES: Duration = Duration::from_millis(1200);
/// The connections lie idle for 4 to 6 seconds: on both sides of the close, even where the machine delays them all.
const JITTER: Duration = Duration::from_secs(1);

/// How often each status came, by method.
type Answers = BTreeMap<(&'static str, u16), usize>;

/// Sends rounds of requests with [`KEEP_ALIVE`] between them, for the length of the soak.
fn ask_around_the_keep_alive(edge: &Edge) -> Answers {
    let begun = Instant::now();
    let address = edge.address();
    let clients: Vec<_> =
        (0..CLIENTS).map(|number| spawn(move || ask(number, address, begun))).collect();
    let mut answers = Answers::new();
    for client in clients {
        for answer in client.join().expect("a client got its answers") {
            *answers.entry(answer).or_default() += 1;
        }
    }
    answers
}

/// One client: GET and POST in turn.
fn ask(number: usize, address: SocketAddr, begun: Instant) -> Vec<(&'static str, u16)> {
    let period = KEEP_ALIVE + TAKES;
    let rounds = (soak_seconds() / 5).max(3);
    let seconds = TAKES.as_secs_f32();
    let mut client = Client::connect(address);
    let mut answers = Vec::new();
    for round in 0..rounds {
        // Spread evenly over the jitter, in another order each time.
        let place = (number * 7 + round as usize * 13) % CLIENTS;
        let jitter = JITTER.mul_f64(place as f64 / CLIENTS as f64);
        sleep((period * round + jitter).saturating_sub(begun.elapsed()));
        let method = if (number + round as usize).is_multiple_of(2) { "GET" } else { "POST" };
        client.send(format!(
            "{method} /slow?seconds={seconds} HTTP/1.1\r\nHost: test.example\r\ncontent-length: 0\r\n\r\n"
        ));
        answers.push((method, client.response().status));
    }
    answers
}

/// How many requests were sent over a connection that had served before.
fn reused(edge: &Edge) -> usize {
    edge.access_log().iter().filter(|line| line["edge.connection_reused"] == true).count()
}

#[test]
fn by_the_default_policy_nothing_is_lost_before_uvicorn() {
    let worker = Uvicorn::serving_app("worker_app:app", &test_app(), &[]);
    let edge = Edge::before(&[worker.address()], "");
    let answers = ask_around_the_keep_alive(&edge);
    eprintln!("{answers:?}, {} over kept connections", reused(&edge));
    let expected = answers.values().sum::<usize>();
    let right: usize = [("GET", 200), ("POST", 200)].iter().filter_map(|it| answers.get(it)).sum();
    assert_eq!(right, expected, "every request is answered: {answers:?}");
    for line in edge.wait_for_log(expected) {
        assert_eq!(line["edge.termination"], "ok", "{line:#}");
    }
}

/// After an exception in the app Uvicorn closes the connection without a word. Who comes next has nothing to do with it.
#[test]
fn nothing_is_lost_because_the_app_failed_for_somebody_else() {
    let worker = Uvicorn::start(&["--log-level", "critical"]);
    let edge = Edge::before(&[worker.address()], "");
    let mut client = edge.connect();
    for round in 0..200 {
        assert_eq!(client.get("/boom").status, 500, "round {round}");
        assert_eq!(client.post("/echo", "body").status, 200, "round {round}");
    }
}

/// Whatever Uvicorn has still to do on a connection is not what the next request waits for or dies of.
#[test]
fn what_an_app_does_after_its_answer_is_nobodys_trouble() {
    const APP: &str = "
import asyncio
async def app(scope, receive, send):
    if scope['type'] != 'http':
        return
    async def answer(status, *headers):
        await send({'type': 'http.response.start', 'status': status, 'headers': headers})
    if scope['path'] == '/stream':
        await answer(200)
        for _ in range(200):
            await send({'type': 'http.response.body', 'body': b'x', 'more_body': True})
            await asyncio.sleep(0.1)
    elif scope['path'] == '/null':
        await answer(204, (b'content-length', b'4'))
        await send({'type': 'http.response.body', 'body': b'null'})
    else:
        await answer(200, (b'content-length', b'2'))
        await send({'type': 'http.response.body', 'body': b'ok'})
";
    let directory = tempfile::tempdir().expect("a directory");
    std::fs::write(directory.path().join("app.py"), APP).expect("an app");
    let worker = Uvicorn::serving(directory.path(), &["--log-level", "critical"]);
    let edge = Edge::before(&[worker.address()], "");
    let mut client = edge.connect();
    let begun = Instant::now();
    for round in 0..20 {
        client.send("HEAD /stream HTTP/1.1\r\nHost: a.test\r\n\r\n");
        assert_eq!(client.head().map(|(status, _)| status), Some(200), "round {round}");
        assert_eq!(client.post("/", "").text(), "ok", "after HEAD, round {round}");
        assert_eq!(client.get("/null").status, 204, "round {round}");
        assert_eq!(client.post("/", "").text(), "ok", "after a 204 with a body, round {round}");
    }
    assert!(begun.elapsed() < Duration::from_secs(10), "nobody waits for a stream of 20 s");
}

/// Against all advice the edge keeps connections for longer than the worker does, so that requests and closes do meet.
#[test]
fn with_too_long_an_idle_timeout_nothing_is_lost_that_may_be_sent_again() {
    let worker = Uvicorn::serving_app("worker_app:app", &test_app(), &[]);
    let edge = Pool::with("connections: { idle_timeout: 60s }").before(&[worker.address()]);
    let answers = ask_around_the_keep_alive(&edge);
    let total = answers.values().sum::<usize>();
    assert_eq!(answers.keys().find(|(method, status)| *method == "GET" && *status != 200), None);
    let lines = edge.wait_for_log(total);
    let reused = reused(&edge);
    eprintln!("{answers:?}, {reused} over kept connections");
    for line in lines.iter().filter(|line| line["http.response.status_code"] != 200) {
        // The worker read the request, or closed with it unread: nobody can tell.
        assert_eq!(line["http.request.method"], "POST", "{line:#}");
        assert_eq!(line["edge.termination"], "upstream_closed", "{line:#}");
        assert_eq!(line["edge.connection_reused"], true, "{line:#}");
    }
    let met = reused > 0 && reused < total - CLIENTS;
    assert!(met, "the control: some came before the close and some after it: {reused} of {total}");
}
