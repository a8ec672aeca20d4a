use std::io::{self, BufReader, Read};
use std::path::PathBuf;

use super::{Charge, LONGEST, Record, run};

fn ended(input: &[u8]) -> Vec<Charge> {
    let mut ended = Vec::new();
    run(input, |charge| ended.push(charge.clone())).expect("readable");
    ended
}

fn group(leader: libc::pid_t) -> Charge {
    Charge::Group(leader)
}

fn cgroup(path: &str) -> Charge {
    Charge::Cgroup(path.into())
}

fn directory(path: &str) -> Charge {
    Charge::Directory(path.into())
}

#[test]
fn what_was_not_taken_back_is_ended_when_the_edge_is_gone() {
    for (input, expected) in [
        ("", vec![]),
        ("watch group 7\0", vec![group(7)]),
        ("watch group 7\0forget group 7\0", vec![]),
        ("watch group 7\0watch group 7\0forget group 7\0", vec![]),
        ("watch group 7\0forget group 8\0", vec![group(7)]),
        ("forget group 7\0watch group 7\0", vec![group(7)]),
        (
            "watch directory /a b\n\0watch group 9\0watch group 7\0watch cgroup /c\0",
            vec![group(7), group(9), cgroup("/c"), directory("/a b\n")],
        ),
        ("watch directory /c\0forget cgroup /c\0", vec![directory("/c")]),
    ] {
        assert_eq!(ended(input.as_bytes()), expected, "{input:?}");
    }
}

#[test]
fn what_is_no_record_is_passed_over() {
    for input in [
        "watch group 0\0",
        "watch group 1\0",
        "watch group -7\0",
        "watch group 7x\0",
        "watch group 99999999999\0",
        "watch group\0",
        "watch directory \0",
        "watch directory tmp\0",
        "watch file /tmp\0",
        "Watch group 7\0",
        "\0\0 \0",
        "watch group 7",
    ] {
        assert_eq!(ended(input.as_bytes()), [], "{input:?}");
    }
    assert_eq!(ended(b"\xff\0watch group 7\0watch gro"), [group(7)], "the rest is taken");
}

#[test]
fn records_are_read_as_they_were_written() {
    for charge in [group(2), group(libc::pid_t::MAX), cgroup("/sys/x"), directory("/a b\nc  ")] {
        let watch = Record::Watch(charge.clone()).encode().expect("a record");
        assert_eq!(ended(&watch), std::slice::from_ref(&charge));
        let forget = Record::Forget(charge.clone()).encode().expect("a record");
        assert_eq!(ended(&[watch, forget].concat()), [], "{charge:?} taken back");
    }
}

#[test]
fn what_could_not_be_read_is_not_written() {
    let long = PathBuf::from(format!("/{}", "x".repeat(LONGEST)));
    for charge in [
        group(1),
        group(0),
        group(-7),
        directory("tmp"),
        directory("/a\0b"),
        Charge::Directory(long),
    ] {
        assert!(Record::Watch(charge.clone()).encode().is_err(), "{charge:?}");
    }
}

/// Fails when its text is at its end.
struct Broken(&'static [u8]);

impl Read for Broken {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.0.read(buffer)? {
            0 => Err(io::ErrorKind::Other.into()),
            length => Ok(length),
        }
    }
}

#[test]
fn nothing_is_ended_when_the_pipe_cannot_be_read() {
    let from = BufReader::new(Broken(b"watch group 7\0"));
    let outcome = run(from, |charge| panic!("{charge:?} ended"));
    assert!(outcome.is_err(), "it says so");
}
