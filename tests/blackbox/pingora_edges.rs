//! The sharp edges of the HTTP engine (Pingora 0.9.1) that asgate has to file off: tests for each, by its number in
//! `docs/architecture.md`. Those about Pingora's own proxy, pool, listeners and Windows do not apply to what asgate takes from it.

use std::collections::BTreeSet;

mod http1;
mod http2;
mod upstream;

const ARCHITECTURE: &str = include_str!("../../docs/architecture.md");
const TESTS: [&str; 3] = [
    include_str!("pingora_edges/http1.rs"),
    include_str!("pingora_edges/http2.rs"),
    include_str!("pingora_edges/upstream.rs"),
];

#[test]
fn the_edges_are_those_of_the_architecture() {
    let numbers = TESTS.iter().flat_map(|file| file.split("fn edge_").skip(1));
    let tested: BTreeSet<_> = numbers.filter_map(|rest| rest.split('_').next()).collect();
    let rows = ARCHITECTURE.lines().filter_map(|line| line.strip_prefix("| "));
    let numbers = rows.filter_map(|row| row.split(' ').next());
    let listed: BTreeSet<_> = numbers.filter(|number| is_edge(number)).collect();
    assert_eq!(tested, listed, "the tests, and the table in docs/architecture.md");
}

/// Two digits; the floors of the same page have one.
fn is_edge(word: &str) -> bool {
    word.len() == 2 && word.bytes().all(|byte| byte.is_ascii_digit())
}
