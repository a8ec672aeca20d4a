use std::path::Path;

use super::{Entry, family, holds_socket, parse_stat, resident, socket_inode};

fn entry(pid: u32, parent: u32, group: u32) -> Entry {
    Entry { pid, parent, group }
}

#[test]
fn stat_is_read_past_any_name() {
    for (stat, expected) in [
        ("7 (python3) S 5 6 6 0 -1", Some(entry(7, 5, 6))),
        ("7 (a) R 1 1 (b) R 5 6 6", Some(entry(7, 5, 6))),
        ("7 (a b\n) ) S 5 6 6", Some(entry(7, 5, 6))),
        ("7 (ended) Z 5 6 6", None),
        ("7 (ended) X 5 6 6", None),
        ("7 (cut) S 5", None),
        ("", None),
    ] {
        assert_eq!(parse_stat(7, stat), expected, "{stat:?}");
    }
}

#[test]
fn a_family_is_the_leader_its_descendants_and_its_group() {
    let all = [
        // Listed before its parent, in a group of its own.
        entry(10, 12, 10),
        entry(11, 1, 11),
        entry(12, 20, 20),
        entry(20, 5, 20),
        // Its parent is gone.
        entry(30, 1, 20),
        entry(31, 30, 31),
        entry(40, 5, 5),
    ];
    assert_eq!(family(20, &all), [10, 12, 20, 30, 31], "of 20");
    assert_eq!(family(40, &all), [40], "of 40");
    assert_eq!(family(99, &all), [] as [u32; 0], "of nobody");
}

#[test]
fn links_of_sockets_name_their_inodes() {
    for (target, expected) in [
        ("socket:[4711]", Some(4711)),
        ("socket:[x]", None),
        ("pipe:[4711]", None),
        ("/tmp/socket:[4711]", None),
    ] {
        assert_eq!(socket_inode(Path::new(target)), expected, "{target}");
    }
}

#[test]
fn a_process_that_is_gone_holds_nothing() {
    // Above the highest process id that Linux can be told to give (proc_sys_kernel(5)).
    let nobody = 1 << 23;
    assert!(!holds_socket(nobody, &[1]).expect("no error"), "no socket");
    assert_eq!(resident(&[nobody], 4096), None, "no memory");
}
