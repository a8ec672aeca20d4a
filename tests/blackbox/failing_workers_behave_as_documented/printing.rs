//! A worker that prints without end, and nobody who reads the log.

use std::io::{BufRead, BufReader, PipeReader};
use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::support::edge::Edge;
use crate::support::held::of_status;
use crate::support::wait_for;
use crate::support::workers::{config, uvicorn_app};

/// What the queues before the log may hold, and what allocators keep back.
const ALLOWED_GROWTH_KB: u64 = 64 * 1024;
/// Much more than the pipe and the queues before the log hold: a worker that printed it was not held up.
const MUCH: u64 = 30_000_000;
/// At least so long.
const PRINTING: Duration = Duration::from_secs(3);
/// While a worker prints; a small answer takes milliseconds otherwise, and for ever where the worker is held up.
const STILL_QUICK: Duration = Duration::from_secs(10);

/// An edge whose stdout nobody reads until the test does.
fn unread(config: &str, directory: &std::path::Path) -> (Edge, PipeReader) {
    let file = directory.join("asgate.yaml");
    std::fs::write(&file, config).expect("a configuration file");
    let (reader, writer) = std::io::pipe().expect("a pipe");
    let arguments = ["run", "-c", &*file.to_string_lossy()];
    let mut edge = Edge::spawn_into(Stdio::from(writer), &[], &arguments, directory);
    edge.wait_until_it_listens();
    (edge, reader)
}

#[test]
fn it_blocks_neither_itself_nor_the_edge_and_what_is_lost_is_counted() {
    let directory = tempfile::tempdir().expect("a directory");
    let app = uvicorn_app("workers: 1");
    let (edge, log) = unread(&config(&app, "slow_start: off"), directory.path());
    let mut client = edge.connect();
    let printed = |client: &mut crate::support::client::Client| {
        client.get("/flooded").json()["bytes"].as_u64().expect("a number")
    };
    assert_eq!(client.get("/").status, 200, "it serves");
    let before = of_status(edge.pid(), "VmRSS:");

    // It prints until the edge ends it.
    client.get("/flood?seconds=1000");
    let (mut slowest, mut most) = (Duration::ZERO, 0);
    let begun = Instant::now();
    let amount = wait_for("the worker to go on printing", || {
        let asked = Instant::now();
        let amount = printed(&mut client);
        slowest = slowest.max(asked.elapsed());
        most = most.max(of_status(edge.pid(), "VmRSS:"));
        (amount > MUCH && begun.elapsed() > PRINTING).then_some(amount)
    });
    eprintln!(
        "{} MB printed, slowest answer {slowest:?}, {before} KiB, then {most} KiB",
        amount / 1_000_000
    );
    assert!(slowest < STILL_QUICK, "requests are served meanwhile: one took {slowest:?}");
    assert!(most < before + ALLOWED_GROWTH_KB, "memory is bounded: {before} KiB, then {most} KiB");

    // Read at last: some lines are there, the others are counted.
    let (lines, notice) = read_until_lost(log);
    assert!(lines > 0, "the lines that found room are in the log");
    let lost: u64 =
        notice.split(' ').next().and_then(|count| count.parse().ok()).unwrap_or_default();
    assert!(lost > 1000, "how many are lost: {notice}");
    wait_for("it to serve as before", || (client.get("/").status == 200).then_some(()));
}

/// Reads the log up to the notice that lines were lost: how many worker lines came before, and the notice.
fn read_until_lost(log: PipeReader) -> (u64, String) {
    let (found, notice) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let mut lines = 0;
        for line in BufReader::new(log).lines().map_while(Result::ok) {
            let line: serde_json::Value = serde_json::from_str(&line).expect("JSON");
            lines += u64::from(line["event.dataset"] == "app");
            let message = line["message"].as_str().unwrap_or_default();
            if message.contains("lines lost") {
                // The reader goes on, so that the edge can end.
                let _ = found.send((lines, message.to_owned()));
            }
        }
    });
    notice.recv_timeout(crate::support::PATIENCE).expect("a notice that lines were lost")
}
