use std::os::unix::net::{UnixDatagram, UnixListener};
use std::path::Path;

use super::{is_listed, listening, tcp_listener, unix_listener};
use crate::config::Address;
use crate::supervisor::listening::Listening;

#[test]
fn tcp_rows_that_listen_are_read() {
    let rest =
        "00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1 0000 100";
    for (local, expected) in [
        ("0100007F:1F90", Some("127.0.0.1:8080")),
        ("00000000:0050", Some("0.0.0.0:80")),
        ("00000000000000000000000001000000:1F90", Some("[::1]:8080")),
        ("00000000000000000000000000000000:1F90", Some("[::]:8080")),
        ("0000000000000000FFFF00000100007F:1F90", Some("[::ffff:127.0.0.1]:8080")),
        ("0100007:1F90", None),
        ("0100007G:1F90", None),
        ("0100007F:1F900", None),
        ("0100007F", None),
    ] {
        // The table prints words in the machine's order; these are those of a little-endian one.
        if cfg!(target_endian = "big") {
            return;
        }
        let row = format!("   0: {local} {rest}");
        let expected = expected.map(|address| (address.parse().expect("an address"), 4711));
        assert_eq!(tcp_listener(&row), expected, "{local}");
        assert_eq!(tcp_listener(&row.replace(" 0A ", " 01 ")), None, "{local} connected");
    }
    let header = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode";
    assert_eq!(tcp_listener(header), None, "the header");
}

#[test]
fn unix_rows_that_listen_at_a_path_are_read() {
    for (row, expected) in [
        ("00: 00000002 00000000 00010000 0001 01  4711 /run/a b.sock", Some(4711)),
        ("00: 00000002 00000000 00010000 0001 01 123456 /run/a b.sock", Some(123_456)),
        ("00: 00000002 00000000 00010000 0001 01  4711  /run/a b.sock", None),
        ("00: 00000002 00000000 00010000 0001 01  4711 /run/a b.sock2", None),
        ("00: 00000002 00000000 00010000 0001 01  4711", None),
        // Connected, and accepted: these have the listener's path.
        ("00: 00000003 00000000 00000000 0001 03  4711 /run/a b.sock", None),
        ("Num       RefCount Protocol Flags    Type St Inode Path", None),
        ("", None),
    ] {
        assert_eq!(unix_listener(row.as_bytes(), Path::new("/run/a b.sock")), expected, "{row}");
    }
}

#[test]
fn a_unix_listener_is_in_the_table_with_its_owner() {
    let own = std::process::id();
    let directory = tempfile::TempDir::new().expect("a directory");
    let address = |name: &str| Address::Unix(directory.path().join(name));
    let listener = UnixListener::bind(directory.path().join("a b.sock")).expect("bound");
    let _datagrams = UnixDatagram::bind(directory.path().join("d.sock")).expect("bound");
    assert_eq!(is_listed(&address("a b.sock")), Some(true));
    assert_eq!(is_listed(&address("a")), Some(false), "part of a name");
    assert_eq!(is_listed(&address("d.sock")), Some(false), "a socket that does not listen");
    assert_eq!(listening(&address("a b.sock"), || vec![own]), Listening::Ours);
    assert_eq!(listening(&address("a b.sock"), Vec::new), Listening::Foreign);
    drop(listener);
    assert_eq!(listening(&address("a b.sock"), || vec![own]), Listening::Absent, "closed");
    assert!(directory.path().join("a b.sock").exists(), "though its file is still there");
}

#[test]
fn a_unix_listener_whose_path_is_gone_is_absent() {
    let directory = tempfile::TempDir::new().expect("a directory");
    let path = directory.path().join("a.sock");
    let address = Address::Unix(path.clone());
    let listener = UnixListener::bind(&path).expect("bound");
    assert_eq!(is_listed(&address), Some(true), "the control");
    std::fs::remove_file(&path).expect("it was there");
    let table = std::fs::read_to_string("/proc/net/unix").expect("readable");
    assert!(table.contains(path.to_str().expect("plain")), "the kernel still lists it");
    assert_eq!(is_listed(&address), Some(false), "nobody can connect to it");
    let listens = listening(&address, || vec![std::process::id()]);
    assert_eq!(listens, Listening::Absent, "though its owner has it open");
    drop(listener);
}
