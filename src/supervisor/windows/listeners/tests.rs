use std::net::TcpListener;

use super::{Listening, is_listed, listening};
use crate::config::Address;

#[test]
fn a_listener_is_in_the_table_with_its_owner() {
    let own = std::process::id();
    for bind in ["127.0.0.1:0", "0.0.0.0:0", "[::1]:0"] {
        let listener = TcpListener::bind(bind).expect("a free port");
        let mut at = listener.local_addr().expect("its address");
        if at.ip().is_unspecified() {
            at.set_ip([127, 0, 0, 1].into());
        }
        let at = Address::Tcp(at);
        assert_eq!(is_listed(&at), Some(true), "{bind}");
        assert_eq!(listening(&at, || Ok(vec![own])), Listening::Ours, "{bind}");
        assert_eq!(listening(&at, || Ok(vec![])), Listening::Foreign, "{bind}");
        drop(listener);
        assert_eq!(is_listed(&at), Some(false), "{bind} closed");
        assert_eq!(listening(&at, || Ok(vec![own])), Listening::Absent, "{bind} closed");
    }
}
