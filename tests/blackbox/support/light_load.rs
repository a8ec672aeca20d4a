//! A few clients that ask all the time, never twice for the same thing, and are content with nothing but a 200.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::client::{Client, Response};
use super::edge::Edge;
use super::status::number;

/// Between two requests of one client.
const PAUSE: Duration = Duration::from_millis(10);

/// Clients while they run.
pub struct LightLoad {
    enough: Arc<AtomicBool>,
    clients: Vec<JoinHandle<Vec<Answer>>>,
}

/// An answer of the application.
#[derive(Debug, Clone, Copy)]
pub struct Answer {
    /// When its request was sent.
    pub asked: Instant,
    /// Who gave it.
    pub pid: u32,
}

/// What the clients ask for.
#[derive(Debug, Clone, Copy)]
pub enum Requests {
    /// What may be sent to a second worker when the first one died with it.
    Repeatable,
    /// Every second one must not reach the application twice.
    Mixed,
}

impl LightLoad {
    pub fn start(edge: &Edge, clients: usize, requests: Requests) -> Self {
        let enough = Arc::new(AtomicBool::new(false));
        let address = edge.address();
        let start = |number| {
            let enough = Arc::clone(&enough);
            std::thread::spawn(move || ask(number, address, requests, &enough))
        };
        let clients = (0..clients).map(start).collect();
        Self { enough, clients }
    }

    /// Ends it: the answers in the order of their requests. Fails when one was something else than a 200.
    pub fn end(self) -> Vec<Answer> {
        self.enough.store(true, Ordering::Relaxed);
        let join = |client: JoinHandle<_>| client.join().expect("a client got its answers");
        let mut answers: Vec<Answer> = self.clients.into_iter().flat_map(join).collect();
        answers.sort_by_key(|answer| answer.asked);
        assert!(!answers.is_empty(), "the clients had time to ask");
        answers
    }
}

fn ask(number: usize, address: SocketAddr, requests: Requests, enough: &AtomicBool) -> Vec<Answer> {
    let mut client = Client::connect(address);
    let mut answers = Vec::new();
    while !enough.load(Ordering::Relaxed) {
        let asked = Instant::now();
        let (method, body) = match requests {
            Requests::Mixed if answers.len() % 2 == 1 => ("POST", "Content-Length: 4\r\n\r\nbody"),
            Requests::Mixed | Requests::Repeatable => ("GET", "\r\n"),
        };
        let target = format!("/?client={number}&request={}", answers.len());
        client.send(format!("{method} {target} HTTP/1.1\r\nHost: test.example\r\n{body}"));
        let response = client.try_response_to(method);
        let response = response.unwrap_or_else(|| panic!("{method} {target}: no answer"));
        answers.push(Answer { asked, pid: pid_of(&response, &format!("{method} {target}")) });
        if response.header("connection") == Some("close") {
            client = Client::connect(address);
        }
        std::thread::sleep(PAUSE);
    }
    answers
}

/// The process that gave this answer, which must be a whole 200.
pub fn pid_of(response: &Response, request: &str) -> u32 {
    assert_eq!(response.status, 200, "{request}: {response:?}");
    assert!(response.complete, "{request}: {response:?}");
    number(&response.json()["pid"]).unwrap_or_else(|| panic!("{request}: no pid: {response:?}"))
}
