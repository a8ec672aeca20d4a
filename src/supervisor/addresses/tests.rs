use std::collections::BTreeSet;
use std::net::TcpListener;

use super::{Addresses, Lease, Ports};
use crate::config::Address;
use crate::supervisor::Guardian;
use crate::supervisor::WorkerId;
use crate::supervisor::command::Reach;

fn id(index: u16, generation: u64) -> WorkerId {
    WorkerId { index, generation }
}

fn port_of(lease: &Lease) -> u16 {
    match lease.address() {
        Address::Tcp(address) => address.port(),
        Address::Unix(path) => panic!("not a port: {}", path.display()),
    }
}

#[test]
fn ports_are_free_and_given_to_one_worker_at_a_time() {
    let ports = Ports::default();
    let upstreams =
        [(); 2].map(|()| Addresses::new(Reach::Port, &ports, &Guardian::default()).expect("ports"));
    let leases: Vec<Lease> = (1..=100)
        .flat_map(|n| [id(n, 1), id(n, 2)])
        .zip(upstreams.iter().cycle())
        .map(|(id, addresses)| addresses.lease(id).expect("a port"))
        .collect();
    let distinct: BTreeSet<u16> = leases.iter().map(port_of).collect();
    assert_eq!(distinct.len(), leases.len(), "no port twice, across upstreams");
    let one = port_of(&leases[0]);
    assert!(TcpListener::bind(("127.0.0.1", one)).is_ok(), "the worker can bind its port");
    drop(leases);
    assert!(ports.0.lock().is_empty(), "ports are given back");
}

#[cfg(unix)]
mod sockets {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::net::UnixListener;
    use std::path::PathBuf;

    use parking_lot::Mutex;

    use super::super::AddressError;
    use super::*;
    use crate::supervisor::Guardian;
    use crate::supervisor::private_directory::PrivateDirectory;

    fn path_of(lease: &Lease) -> PathBuf {
        match lease.address() {
            Address::Unix(path) => path.clone(),
            Address::Tcp(address) => panic!("not a socket: {address}"),
        }
    }

    #[test]
    fn sockets_live_in_a_private_directory_and_leave_nothing() {
        let addresses = Addresses::new(Reach::Socket, &Ports::default(), &Guardian::default())
            .expect("a directory");
        let (first, second) = (addresses.lease(id(1, 1)), addresses.lease(id(1, 2)));
        let (first, second) = (first.expect("an address"), second.expect("an address"));
        let path = path_of(&first);
        assert_ne!(path, path_of(&second), "a new generation has a new address");
        let directory = path.parent().expect("a directory").to_owned();
        let mode = fs::metadata(&directory).expect("it is there").permissions().mode();
        assert_eq!(mode & 0o777, 0o700, "nobody else may enter");

        let listener = UnixListener::bind(&path).expect("the worker can bind it");
        drop((listener, first));
        assert!(!path.exists(), "the socket goes with the lease");
        drop((second, addresses));
        assert!(!directory.exists(), "the directory goes with the supervisor");
    }

    #[test]
    fn a_directory_that_others_removed_is_made_again() {
        let addresses = Addresses::new(Reach::Socket, &Ports::default(), &Guardian::default())
            .expect("a directory");
        let directory_of = |lease: &Lease| path_of(lease).parent().expect("one").to_owned();
        let before = directory_of(&addresses.lease(id(1, 1)).expect("an address"));
        fs::remove_dir_all(&before).expect("it was there");
        let lease = addresses.lease(id(1, 2)).expect("an address, all the same");
        let after = directory_of(&lease);
        let mode = fs::metadata(&after).expect("it is there").permissions().mode();
        assert_eq!(mode & 0o777, 0o700, "nobody else may enter");
        let _listener = UnixListener::bind(path_of(&lease)).expect("the worker can bind it");
        assert_eq!(directory_of(&addresses.lease(id(1, 3)).expect("an address")), after, "kept");
        drop((lease, addresses));
        assert!(!after.exists(), "nothing is left behind");
    }

    #[test]
    fn a_socket_path_that_is_too_long_is_refused_with_the_remedy() {
        let home = tempfile::TempDir::new().expect("a directory");
        let long = home.path().join("x".repeat(100));
        fs::create_dir(&long).expect("a long name");
        let directory =
            PrivateDirectory::create_in(&long, &Guardian::default()).expect("a directory in it");
        let addresses = Addresses::Sockets(Mutex::new(directory));
        let error = addresses.lease(id(1, 1)).expect_err("over 108 bytes");
        assert!(matches!(error, AddressError::SocketPath { .. }), "{error:?}");
        assert!(error.to_string().contains("XDG_RUNTIME_DIR"), "{error}");
    }
}
