//! Addresses that cannot be had.

use std::net::TcpListener;
use std::os::unix::fs::MetadataExt;
use std::process::{Command, Output};

use crate::support::certificates::write_private;
use crate::support::openssl::texts;

use super::asgate;

/// A plain edge at this address, by `run`, in `wrapper`.
fn run_at(address: &str, wrapper: &[&str]) -> Output {
    let directory = tempfile::tempdir().expect("a directory");
    let text = format!(
        "listeners: [{{ address: \"{address}\" }}]\nroutes: [{{ respond: {{ body: x }} }}]\n"
    );
    write_private(&directory.path().join("asgate.yaml"), &text);
    let words = [wrapper, &[env!("CARGO_BIN_EXE_asgate"), "run"]].concat();
    asgate(Command::new(words[0]).args(&words[1..]), directory.path())
}

/// An address that cannot be had is one line and exit code 1.
fn expect_no_address(what: &str, address: &str, output: &Output, word: &str) {
    let (_, complaints) = texts(output);
    assert_eq!(output.status.code(), Some(1), "{what}: {complaints}");
    assert_eq!(complaints.lines().count(), 1, "{what}: one line: {complaints}");
    assert!(complaints.contains(address), "{what}: names {address}: {complaints}");
    assert!(complaints.to_lowercase().contains(word), "{what}: {word:?}: {complaints}");
}

#[test]
fn a_port_in_use_is_one_line() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("its address").to_string();
    expect_no_address("in use", &address, &run_at(&address, &[]), "in use");
    // TEST-NET-3 (RFC 5737) is nobody's.
    let output = run_at("203.0.113.7:8080", &[]);
    expect_no_address("not ours", "203.0.113.7:8080", &output, "requested address");
}

#[test]
fn a_privileged_port_is_one_line() {
    const ADDRESS: &str = "127.0.0.1:80";
    let first = std::fs::read_to_string("/proc/sys/net/ipv4/ip_unprivileged_port_start");
    if first.is_ok_and(|first| first.trim().parse::<u16>().is_ok_and(|first| first <= 80)) {
        eprintln!("skipped: everybody may listen on port 80 here");
        return;
    }
    // Root without the one capability; anybody else has it not.
    let drop = ["setpriv", "--bounding-set", "-net_bind_service", "--"];
    let is_root = std::fs::metadata("/proc/self").is_ok_and(|it| it.uid() == 0);
    let output = run_at(ADDRESS, if is_root { &drop } else { &[] });
    expect_no_address("privileged", ADDRESS, &output, "permission denied");
}
