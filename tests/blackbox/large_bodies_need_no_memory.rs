//! A body of any size goes through the edge in a few megabytes of its memory: up, down, and to a client that reads slowly.
//!
//! `ASGATE_TEST_BODY_MB` is the size of a body in MiB, 256 unless set; the promise is made for 1024.

use std::io::{Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::support::client::Client;
use crate::support::edge::{Edge, config};
use crate::support::stub::Stub;
use crate::support::uvicorn::{Uvicorn, run_python};
use crate::support::wait_for;

const MIB: u64 = 1 << 20;
/// What the edge may use over what it uses idle.
const ALLOWED: u64 = 64 * MIB;

fn body_size() -> u64 {
    let megabytes = std::env::var("ASGATE_TEST_BODY_MB").map_or(Ok(256), |text| text.parse());
    megabytes.map_or_else(|error| panic!("ASGATE_TEST_BODY_MB: {error}"), |size: u64| size * MIB)
}

/// The memory of a process: what it uses now (`VmRSS`), or at most did since [`Memory::watch`] (`VmHWM`), in bytes.
struct Memory {
    pid: u32,
    idle: u64,
}

impl Memory {
    /// Begins to watch the edge, which has served a request already, so that it is idle, not new.
    fn watch(edge: &Edge) -> Self {
        assert_ne!(edge.connect().get("/").status, 0, "one request to warm up");
        let memory = Self { pid: edge.pid(), idle: 0 };
        // Sets the high-water mark back to what is used now (proc(5)).
        std::fs::write(format!("/proc/{}/clear_refs", edge.pid()), "5").expect("its own process");
        Self { idle: memory.now("VmRSS:"), ..memory }
    }

    fn now(&self, field: &str) -> u64 {
        let status =
            std::fs::read_to_string(format!("/proc/{}/status", self.pid)).expect("its status");
        let value = status.lines().find_map(|line| line.strip_prefix(field));
        let kilobytes = value.and_then(|value| value.trim().strip_suffix(" kB"));
        kilobytes.and_then(|number| number.parse::<u64>().ok()).expect("a number of kB") * 1024
    }

    /// How much more than idle it needed at most.
    fn grown(&self) -> u64 {
        self.now("VmHWM:").saturating_sub(self.idle)
    }

    fn assert_flat(&self, about: &str) {
        let (grown, idle) = (self.grown() / 1024, self.idle / 1024);
        eprintln!("{about}: {grown} KiB over {idle} KiB idle");
        assert!(
            grown <= ALLOWED / 1024,
            "{about} took {grown} KiB more than the {idle} KiB of idle"
        );
    }
}

const UNLIMITED: &str = "  - { upstream: u, limits: { body: off } }";

#[test]
#[cfg_attr(not(target_os = "linux"), ignore = "reads /proc")]
fn an_upload_is_passed_on_as_it_comes() {
    let uvicorn = Uvicorn::start(&[]);
    let edge = Edge::before(&[uvicorn.address()], UNLIMITED);
    let size = body_size();
    let memory = Memory::watch(&edge);
    let piece = vec![7; 256 * 1024];
    for chunked in [false, true] {
        let mut client = edge.connect();
        let framing = match chunked {
            false => format!("Content-Length: {size}"),
            true => "Transfer-Encoding: chunked".to_owned(),
        };
        client.send(format!("PUT /upload HTTP/1.1\r\nHost: a.test\r\n{framing}\r\n\r\n"));
        for _ in 0..size / piece.len() as u64 {
            if chunked {
                client.send(format!("{:x}\r\n", piece.len()));
            }
            client.send(&piece);
            if chunked {
                client.send("\r\n");
            }
        }
        if chunked {
            client.send("0\r\n\r\n");
        }
        let response = client.response();
        assert_eq!(response.status, 200, "{framing}: {}", response.text());
        assert_eq!(response.json()["bytes"], size, "{framing}: every byte reached the app");
        memory.assert_flat(&format!("an upload of {} MiB, {framing}", size / MIB));
    }
}

#[test]
#[cfg_attr(not(target_os = "linux"), ignore = "reads /proc")]
fn a_download_is_passed_on_as_it_comes() {
    let uvicorn = Uvicorn::start(&[]);
    let edge = Edge::before(&[uvicorn.address()], UNLIMITED);
    let size = body_size();
    let memory = Memory::watch(&edge);
    let mut client = edge.connect();
    client.send(format!("GET /download?size={size} HTTP/1.1\r\nHost: a.test\r\n\r\n"));
    let (status, headers) = client.head().expect("a head");
    assert_eq!(status, 200, "{headers:?}");
    assert_body(&mut client, size);
    memory.assert_flat(&format!("a download of {} MiB", size / MIB));
}

#[test]
#[cfg_attr(not(target_os = "linux"), ignore = "reads /proc")]
fn http2_needs_no_more() {
    let script = "
import sys, httpx
address, size = sys.argv[1], int(sys.argv[2])
piece = b'y' * (1 << 16)
with httpx.Client(http1=False, http2=True, timeout=60) as client:
    body = (piece for _ in range(size // len(piece)))
    sent = client.put(f'http://{address}/upload', content=body)
    assert (sent.http_version, sent.json()['bytes']) == ('HTTP/2', size), sent.text
    with client.stream('GET', f'http://{address}/download?size={size}') as response:
        assert sum(len(data) for data in response.iter_raw()) == size
";
    let uvicorn = Uvicorn::start(&[]);
    let edge = Edge::before(&[uvicorn.address()], UNLIMITED);
    let memory = Memory::watch(&edge);
    // The client is the slow one here; four times what may be used says enough.
    run_python(script, &[&edge.address().to_string(), &(2 * ALLOWED).to_string()]);
    memory.assert_flat("up and down over HTTP/2");
}

#[test]
#[cfg_attr(not(target_os = "linux"), ignore = "reads /proc")]
fn a_fast_worker_waits_for_slow_readers() {
    const READERS: usize = 16;
    let size = body_size();
    let produced = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&produced);
    let worker = Stub::start(move |mut accepted| {
        while let Some(head) = accepted.request_head() {
            if head.starts_with("GET / ") {
                accepted.send("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
                continue;
            }
            let mut left = size;
            accepted.send(format!("HTTP/1.1 200 OK\r\ncontent-length: {size}\r\n\r\n"));
            let piece = pattern(MIB);
            while left > 0 && accepted.send(&piece) {
                counter.fetch_add(MIB, Ordering::Relaxed);
                left -= MIB;
            }
        }
    });
    let edge = Edge::start(&config(&[worker.address()], UNLIMITED));
    let memory = Memory::watch(&edge);
    let mut readers: Vec<_> = (0..READERS)
        .map(|_| {
            let mut client = edge.connect();
            client.send("GET /all HTTP/1.1\r\nHost: a.test\r\n\r\n");
            assert_eq!(client.head().map(|(status, _)| status), Some(200), "the head");
            client
        })
        .collect();
    // Until the worker is stopped by what nobody reads, which the kernel's buffers delay.
    let mut last = (0, Instant::now());
    wait_for("the worker to be stopped", || {
        let now = produced.load(Ordering::Relaxed);
        if now != last.0 {
            last = (now, Instant::now());
        }
        (now > 0 && last.1.elapsed() > Duration::from_millis(500)).then_some(())
    });
    let (stopped_at, all) = (produced.load(Ordering::Relaxed), size * READERS as u64);
    assert!(stopped_at < all / 4, "stopped after {} MiB of {}", stopped_at / MIB, all / MIB);
    memory.assert_flat(&format!("{READERS} readers that do not read"));
    // One of them reads on, and nothing was lost.
    assert_body(&mut readers.remove(0), size);
    memory.assert_flat("a reader that reads after all");
}

#[test]
#[cfg_attr(not(target_os = "linux"), ignore = "reads /proc")]
fn a_fast_client_waits_for_a_slow_worker() {
    let (release, released) = std::sync::mpsc::channel::<()>();
    let released = std::sync::Mutex::new(released);
    let worker = Stub::start(move |mut accepted| {
        while let Some(head) = accepted.request_head() {
            if head.starts_with("PUT") {
                let _ = released.lock().expect("alone").recv();
                let size = head.to_lowercase();
                let size =
                    size.split("content-length: ").nth(1).and_then(|rest| rest.lines().next());
                let mut left: usize = size.and_then(|size| size.parse().ok()).expect("a length");
                while left > 0 {
                    let piece = left.min(1 << 20);
                    if accepted.bytes(piece).is_none() {
                        return;
                    }
                    left -= piece;
                }
            }
            accepted.send("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
        }
    });
    let edge = Edge::before(&[worker.address()], UNLIMITED);
    let memory = Memory::watch(&edge);
    let mut client = edge.connect();
    let size = 2 * ALLOWED;
    client.send(format!("PUT / HTTP/1.1\r\nHost: a.test\r\nContent-Length: {size}\r\n\r\n"));
    let mut sender = client.stream.try_clone().expect("a second handle");
    // As much as it is let, until it is stopped.
    sender.set_write_timeout(Some(Duration::from_millis(500))).expect("a write timeout");
    let (piece, mut sent) = (pattern(64 * 1024), 0);
    while let Ok(written) = sender.write(&piece[..piece.len().min((size - sent) as usize)]) {
        sent += written as u64;
        assert!(sent < size, "all of {} MiB was taken, though nobody reads it", size / MIB);
    }
    memory.assert_flat(&format!("stopped after {} MiB", sent / MIB));
    release.send(()).expect("the worker is there");
    sender.set_write_timeout(Some(crate::support::PATIENCE)).expect("a write timeout");
    while sent < size {
        let rest = piece.len().min((size - sent) as usize);
        sent += sender.write(&piece[..rest]).expect("sent") as u64;
    }
    assert_eq!(client.response().status, 200, "the worker has all of it");
    memory.assert_flat("all of it");
}

/// The test can fail: what the edge does keep shows.
#[test]
#[cfg_attr(not(target_os = "linux"), ignore = "reads /proc")]
fn a_process_that_keeps_a_body_is_seen() {
    let memory = Memory { pid: std::process::id(), idle: 0 };
    let before = Memory { idle: memory.now("VmRSS:"), ..memory };
    let kept = pattern(ALLOWED + 8 * MIB);
    assert!(before.grown() > ALLOWED, "{} bytes kept are seen", kept.len());
}

/// 0, 1, … 255, 0, 1, … of `size` bytes, rounded down to a multiple of 256.
fn pattern(size: u64) -> Vec<u8> {
    let cycle: Vec<u8> = (0..=255).collect();
    cycle.repeat(usize::try_from(size / 256).expect("a size"))
}

/// Reads a body of `size` bytes of the [`pattern`] off the connection.
fn assert_body(client: &mut Client, size: u64) {
    let mut buffer = vec![0; 256 * 1024];
    let expected = pattern(buffer.len() as u64 + 256);
    let mut read = 0;
    let mut take = |piece: &[u8]| {
        let right = expected[read as usize % 256..].starts_with(piece);
        assert!(right, "another byte than was sent, behind byte {read}");
        read += piece.len() as u64;
        read
    };
    let mut read = take(&client.buffered());
    while read < size {
        let count = client.stream.read(&mut buffer).expect("more of the body");
        assert_ne!(count, 0, "the body ended after {read} of {size} bytes");
        read = take(&buffer[..count]);
    }
    assert_eq!(read, size, "not a byte more");
}
