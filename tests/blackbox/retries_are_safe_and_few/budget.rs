//! Retries are at most a share of the requests and a few a second: what fails altogether is not asked three times as often.

use std::time::Instant;

use super::edge;
use crate::support::stub::Stub;

const REQUESTS: usize = 500;
/// What is allowed beside the share, at once and for each second.
const RESERVE: usize = 50;
const RESERVE_PER_SECOND: usize = 5;

/// How often requests came to workers that answer none, and how long that took.
fn arrivals(retry: &str) -> (usize, u64, f64) {
    let team: [Stub; 3] =
        std::array::from_fn(|_| Stub::start(|mut accepted| drop(accepted.request())));
    let addresses: Vec<_> = team.iter().map(Stub::address).collect();
    let edge = edge(&addresses, retry);
    let begun = Instant::now();
    let mut client = edge.connect();
    for number in 0..REQUESTS {
        assert_eq!(client.get("/").status, 502, "request {number}");
    }
    let seconds = begun.elapsed().as_secs() + 1;
    let arrived = team.iter().map(|stub| stub.received_in_all().matches("GET / ").count()).sum();
    (arrived, seconds, edge.metric("asgate_retries_refused_total{upstream=\"u\"}"))
}

#[test]
fn retries_are_a_share_of_the_requests() {
    let (arrived, seconds, refused) = arrivals("");
    let reserve = RESERVE + RESERVE_PER_SECOND * usize::try_from(seconds).expect("seconds");
    let most = REQUESTS + REQUESTS / 5 + reserve;
    eprintln!("{arrived} of at most {most} in {seconds} s; {refused} retries were refused");
    assert!(arrived <= most, "{arrived}, not more than {most}");
    assert!(arrived >= REQUESTS + REQUESTS / 10, "the control: there were retries: {arrived}");
    assert!(refused > 0.0, "and those that were not made are counted");
}

#[test]
fn a_larger_share_is_more_of_them() {
    let (arrived, ..) = arrivals("budget: 100%");
    assert!(arrived >= REQUESTS * 19 / 10, "nearly each is sent again: {arrived}");
    assert!(arrived <= REQUESTS * 3, "three attempts at most: {arrived}");
}

#[test]
fn no_share_is_none_at_all() {
    let (arrived, ..) = arrivals("budget: 0%");
    assert_eq!(arrived, REQUESTS, "each came once");
}
