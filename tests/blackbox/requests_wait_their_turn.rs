//! A request that finds no slot waits in the upstream's queue: in its order, within the bounds of the queue, and no
//! longer than its client does; and a slot that becomes free is never lost.

mod bounds;
mod endings;
mod leaving;
mod order;

use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex};

use crate::support::PATIENCE;
use crate::support::client::Client;
use crate::support::edge::Edge;
use crate::support::pool::Pool;
use crate::support::stub::Stub;
use crate::support::wait_for;

/// What every request has.
const HEAD: &str = "Host: test.example\r\n";

/// A worker that answers each request with its target, once for each permission, and notes in which order they came.
struct Gated {
    stub: Stub,
    permissions: Sender<()>,
    order: Arc<Mutex<Vec<String>>>,
}

impl Gated {
    fn start() -> Self {
        let (permissions, permitted) = channel();
        let permitted = Mutex::new(permitted);
        let order = Arc::new(Mutex::new(Vec::new()));
        let noted = Arc::clone(&order);
        let stub = Stub::start(move |mut accepted| {
            while let Some(request) = accepted.request() {
                let target = request.split(' ').nth(1).unwrap_or_default().to_owned();
                noted.lock().expect("the order").push(target.clone());
                let permission = permitted.lock().expect("permissions").recv_timeout(PATIENCE);
                if permission.is_err() {
                    return;
                }
                let length = target.len();
                accepted
                    .send(format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{target}"));
            }
        });
        Self { stub, permissions, order }
    }

    /// An edge that gives it one request at a time; `keys` are further ones of the upstream.
    fn behind_an_edge(&self, keys: &str) -> Edge {
        let keys = format!("max_requests_per_worker: 1, connections: {{ prewarm: 0 }}, {keys}");
        Pool::with(&keys).before(&[self.stub.address()])
    }

    /// Lets `count` requests be answered.
    fn permit(&self, count: usize) {
        for _ in 0..count {
            self.permissions.send(()).expect("the worker listens");
        }
    }

    /// The targets that came, in their order.
    fn order(&self) -> Vec<String> {
        self.order.lock().expect("the order").clone()
    }

    /// Waits until the request for `target` is there.
    fn wait_for_arrival(&self, target: &str) {
        wait_for(&format!("{target} at the worker"), || {
            self.order().iter().any(|arrived| arrived == target).then_some(())
        });
    }
}

/// Sends a GET for `target` over a connection of its own, and waits for nothing.
fn send(edge: &Edge, target: &str) -> Client {
    let mut client = edge.connect();
    client.send(format!("GET {target} HTTP/1.1\r\n{HEAD}\r\n"));
    client
}

/// The answer of the worker to the request for `target`.
fn expect_answer(client: &mut Client, target: &str) {
    let response = client.response();
    assert_eq!((response.status, response.text().as_str()), (200, target), "{response:?}");
}
