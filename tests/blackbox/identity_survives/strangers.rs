//! Who is no trusted proxy cannot say who the client is.

use serde_json::Value;

use super::{
    FORGED, HOST, OWN, TRANSPORTS, TRUSTED, assert_true_identity, connect_from, edge,
    names_of_identity, seen, values,
};
use crate::support::client::Client;
use crate::support::edge::Edge;
use crate::support::uvicorn::{Uvicorn, run_python, sample_app, supervised};

#[test]
fn an_untrusted_client_cannot_say_who_it_is() {
    let edge = edge("");
    let mut client = edge.connect();
    let port = edge.address().port();
    for (transport, over) in TRANSPORTS {
        for forged in FORGED {
            let lines = format!("{over}X-Ordinary: kept\r\nX_Plain: kept\r\n{forged}\r\n");
            let seen = seen(&mut client, HOST, &lines);
            assert_true_identity(&seen, "127.0.0.1", port, &format!("{forged:?} over {transport}"));
            assert_eq!(values(&seen, "x-ordinary"), ["kept"], "other headers pass, {forged:?}");
            assert_eq!(values(&seen, "x_plain"), ["kept"], "underscores as such pass, {forged:?}");
        }
    }
    let line = edge.wait_for_log(2 * FORGED.len()).remove(0);
    assert_eq!(line["client.ip"], "127.0.0.1", "the log says the same: {line}");
    assert_eq!(line["client.port"], client.local_address().port(), "with the port: {line}");
    assert_eq!(line["url.scheme"], "http", "and the scheme: {line}");
}

#[test]
fn without_the_edge_uvicorn_believes_what_is_forged() {
    let uvicorn = Uvicorn::start(&[]);
    let mut client = Client::connect(uvicorn.address());
    let forged = "X-Forwarded-For: 6.6.6.6\r\nX-Forwarded-Proto: https\r\nX_Remote_User: root\r\n";
    let seen = seen(&mut client, HOST, forged);
    assert_eq!(seen["client"][0], "6.6.6.6", "this is what the edge is for: {seen:#}");
    assert_eq!(seen["scheme"], "https", "{seen:#}");
    assert_eq!(values(&seen, "x_remote_user"), ["root"], "{seen:#}");
    for forged in FORGED {
        let seen =
            super::seen(&mut Client::connect(uvicorn.address()), HOST, &format!("{forged}\r\n"));
        assert!(!names_of_identity(&seen).is_empty(), "{forged:?} would reach the app: {seen:#}");
    }
}

#[test]
fn an_untrusted_client_cannot_say_who_it_is_over_http2() {
    let script = "
import sys, httpx
forged = [line.split(': ', 1) for line in sys.argv[3:]]
with httpx.Client(http1=False, http2=True) as client:
    response = client.get(f'http://{sys.argv[1]}/echo/x?y=%2F', headers=[('host', sys.argv[2]), *forged])
    assert response.http_version == 'HTTP/2', response.http_version
    print(response.text)
";
    let edge = edge("");
    // What names the connection is not legal in HTTP/2 (RFC 9113 §8.2.2).
    let connection = ["Connection", "Proxy-", "Keep-Alive", "X-Forwarded-For:"];
    let forged = FORGED.iter().filter(|line| !connection.iter().any(|bad| line.starts_with(bad)));
    let lines = forged.flat_map(|lines| lines.split("\r\n"));
    let address = edge.address().to_string();
    let chain = ["X-Forwarded-For: 6.6.6.6", "X-Forwarded-For: 7.7.7.7"];
    let arguments: Vec<_> =
        [address.as_str(), HOST].into_iter().chain(chain).chain(lines).collect();
    let output = run_python(script, &arguments);
    let seen = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_true_identity(&seen, "127.0.0.1", edge.address().port(), "everything forged in HTTP/2");
    assert_eq!(edge.only_log_line()["http.version"], "2", "it was HTTP/2 to the edge too");
}

#[test]
fn a_peer_outside_the_trusted_networks_is_a_client_like_any_other() {
    let edge = edge(TRUSTED);
    let mut client = connect_from([127, 0, 0, 2].into(), edge.address());
    let port = edge.address().port();
    for forged in FORGED {
        let seen = seen(&mut client, HOST, &format!("{forged}\r\n"));
        assert_true_identity(&seen, "127.0.0.2", port, &format!("{forged:?} from a stranger"));
    }
}

#[test]
fn an_ipv6_client_is_told_without_brackets() {
    let upstream = supervised(&sample_app(), "");
    let edge = Edge::start(&format!(
        "listeners: [{{ address: \"[::1]:0\" }}]\nupstreams: {{ u: {upstream} }}\nroutes: [{{ upstream: u }}]\n"
    ));
    let seen = seen(&mut edge.connect(), HOST, "X-Forwarded-For: 2001:db8::6\r\n");
    assert_true_identity(&seen, "::1", edge.address().port(), "a client at ::1");
}

#[cfg(unix)]
#[test]
fn a_client_on_a_unix_socket_has_no_address_and_cannot_claim_one() {
    use std::io::{Read, Write};

    let directory = tempfile::tempdir().expect("a directory");
    let socket = directory.path().join("edge.sock");
    let upstream = supervised(&sample_app(), "");
    let _edge = Edge::start(&format!(
        "listeners: [{{ address: \"unix:{}\" }}]\ntrusted_proxies: [127.0.0.1, 0.0.0.0/0, \"::/0\"]\n\
         upstreams: {{ u: {upstream} }}\nroutes: [{{ upstream: u }}]\n",
        socket.display()
    ));
    for forged in FORGED {
        let mut stream = std::os::unix::net::UnixStream::connect(&socket).expect("connected");
        let request = format!("GET /echo/x HTTP/1.0\r\nHost: a.example\r\n{forged}\r\n\r\n");
        stream.write_all(request.as_bytes()).expect("sent");
        let mut response = String::new();
        stream.read_to_string(&mut response).expect("a response");
        let (head, body) = response.split_once("\r\n\r\n").expect("head and body");
        assert!(head.starts_with("HTTP/1.1 200"), "{forged:?}: {response}");
        let seen: Value = serde_json::from_str(body).expect("JSON");
        assert!(!seen["client"].to_string().contains("6.6.6.6"), "{forged:?}: {seen:#}");
        assert_eq!(seen["scheme"], "http", "{forged:?}: {seen:#}");
        assert_eq!(names_of_identity(&seen), &OWN[1..], "no address to tell, {forged:?}: {seen:#}");
    }
}
