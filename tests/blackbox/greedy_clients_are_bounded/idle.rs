//! Connections without a request cost next to nothing.

use std::net::TcpStream;
use std::process::Command;

use crate::support::client::Client;
use crate::support::edge::Edge;
use crate::support::front::Front;
use crate::support::held::of_status;
use crate::support::stub::Stub;
use crate::support::wait_for;

/// As is promised; fewer where the system does not allow so many descriptors.
const CONNECTIONS: usize = 10_000;
const LEAST: usize = 2_000;
const ALLOWED_KB: u64 = 8;

/// Lets a process have as many descriptors as it may, and tells how many that is.
fn raise_limit(pid: u32) -> usize {
    let pid = pid.to_string();
    let prlimit = |arguments: &[&str]| {
        let output = Command::new("prlimit").args(["--pid", &pid]).args(arguments).output();
        let output = output.expect("prlimit is installed");
        assert!(output.status.success(), "prlimit {arguments:?}: {output:?}");
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    };
    let hard = prlimit(&["--nofile", "--raw", "--noheadings", "--output", "HARD"]);
    prlimit(&[&format!("--nofile={hard}:{hard}")]);
    hard.parse().unwrap_or(usize::MAX)
}

/// What the edge uses once it serves no request.
fn resident(edge: &Edge) -> u64 {
    of_status(edge.pid(), "VmRSS:")
}

#[test]
#[cfg_attr(not(target_os = "linux"), ignore = "reads /proc")]
fn ten_thousand_cost_eight_kib_each() {
    let stub = Stub::ok();
    let edge =
        Front { listeners: &["max_connections: 20000, idle_timeout: 10m"], ..Front::default() }
            .before(stub.address());
    let limit = raise_limit(std::process::id()).min(raise_limit(edge.pid()));
    let count = CONNECTIONS.min(limit.saturating_sub(500));
    assert!(count >= LEAST, "{limit} descriptors are too few to tell anything");
    // What the first request of a process costs is no matter here.
    for _ in 0..20 {
        assert_eq!(edge.connect().get("/").status, 200, "warm");
    }
    let open = r#"asgate_listener_connections{listener="127.0.0.1:0"}"#;
    edge.wait_for_metric(open, 0.0);
    let before = resident(&edge);
    let mut streams: Vec<TcpStream> = Vec::with_capacity(count);
    for number in 0..count {
        streams.push(TcpStream::connect(edge.address()).expect("connected"));
        // Not faster than they are accepted: the system's queue is short.
        if number % 100 == 99 {
            wait_for("connections to be accepted", || {
                (edge.metric(open) >= number as f64).then_some(())
            });
        }
    }
    let expected = count as f64;
    edge.wait_for_metric(open, expected);
    expect_cheap("that never asked", &edge, before, count);

    for stream in &streams {
        let mut client = Client::over(stream.try_clone().expect("a second handle"));
        assert_eq!(client.get("/").status, 200, "each is served");
    }
    edge.wait_for_metric(open, expected);
    expect_cheap("between two requests", &edge, before, count);
    drop(streams);
    edge.wait_for_metric(open, 0.0);
}

fn expect_cheap(what: &str, edge: &Edge, before: u64, count: usize) {
    let grown = resident(edge).saturating_sub(before);
    let each = grown as f64 / count as f64;
    eprintln!("{count} connections {what}: {grown} KiB, {each:.2} KiB each");
    let allowed = ALLOWED_KB * count as u64;
    assert!(grown <= allowed, "{count} connections {what}: {each:.2} KiB each");
}
