//! A worker that does not do its work is left out until it does, whether checks or requests found it out; and never so
//! many that nobody is left.

mod checked;
mod ejected;

use crate::support::edge::Edge;

/// One request after the other: how often each status came.
fn statuses(edge: &Edge, requests: usize) -> Vec<u16> {
    let mut client = edge.connect();
    (0..requests).map(|_| client.get("/").status).collect()
}

/// All of `requests` are answered by the application.
fn expect_all_well(edge: &Edge, requests: usize, what: &str) {
    let statuses = statuses(edge, requests);
    assert!(statuses.iter().all(|status| *status == 200), "{what}: {statuses:?}");
}
