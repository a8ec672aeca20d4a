//! A trusted proxy says who the client is, as far as what it says is sound; the request id is the same everywhere.

use super::{
    FORGED, HOST, OWN, TRANSPORTS, TRUSTED, answer, connect_from, edge, names_of_identity, seen,
    values,
};
use crate::support::front::Front;
use crate::support::sources::client_from;
use crate::support::stub::Stub;

/// What a trusted proxy at 127.0.0.1 sends as `X-Forwarded-For` (`/` is a line of its own), and what the app gets: the
/// client first, then the trusted proxies on the way.
const CHAINS: &str = "
    203.0.113.7                               => 203.0.113.7, 127.0.0.1
    6.6.6.6, 203.0.113.7                      => 203.0.113.7, 127.0.0.1
    6.6.6.6, 203.0.113.7, 10.1.2.3            => 203.0.113.7, 10.1.2.3, 127.0.0.1
    10.6.6.6, 6.6.6.6,203.0.113.7,10.1.2.3    => 203.0.113.7, 10.1.2.3, 127.0.0.1
    6.6.6.6 / 203.0.113.7, 10.1.2.3           => 203.0.113.7, 10.1.2.3, 127.0.0.1
    203.0.113.7 / 10.1.2.3                    => 203.0.113.7, 10.1.2.3, 127.0.0.1
    203.0.113.7:4711                          => 203.0.113.7, 127.0.0.1
    [2001:db8::7]:4711                        => 2001:db8::7, 127.0.0.1
    [2001:DB8:0::7]                           => 2001:db8::7, 127.0.0.1
    6.6.6.6, 2001:db8::7, 2001:db8:aaaa::1    => 2001:db8::7, 2001:db8:aaaa::1, 127.0.0.1
    ::ffff:203.0.113.7                        => 203.0.113.7, 127.0.0.1
    , 203.0.113.7,,                           => 203.0.113.7, 127.0.0.1

    behind what is no address nothing is known
    6.6.6.6, evil, 203.0.113.7                => 203.0.113.7, 127.0.0.1

    where all are trusted, the farthest is the client
    10.9.9.9, 10.1.2.3                        => 10.9.9.9, 10.1.2.3, 127.0.0.1
";

#[test]
fn the_chain_of_a_trusted_proxy_is_kept_from_the_client_on() {
    let edge = edge(TRUSTED);
    let mut client = edge.connect();
    let chains = CHAINS.lines().filter_map(|row| row.split_once("=>")).map(|(sent, chain)| {
        let lines = sent.split('/').map(|line| format!("X-Forwarded-For: {}\r\n", line.trim()));
        (lines.collect(), chain.trim())
    });
    // Other spellings and other headers are never read.
    let nothing =
        ["", "X-Forwarded-For:\r\n", "X_Forwarded_For: 6.6.6.6\r\n", "Forwarded: for=6.6.6.6\r\n"];
    let nothing = nothing.map(|lines| (lines.to_owned(), "127.0.0.1"));
    let mut requests = 0;
    for (lines, chain) in chains.chain(nothing) {
        let ip = chain.split(',').next();
        for (transport, over) in TRANSPORTS {
            let seen = seen(&mut client, "a.example", &format!("{over}{lines}"));
            let about = format!("{lines:?} over {transport}");
            assert_eq!(
                values(&seen, "x-forwarded-for"),
                [chain],
                "one line with {about}: {seen:#}"
            );
            assert_eq!(seen["client"][0].as_str(), ip, "request.client with {about}: {seen:#}");
            assert_eq!(names_of_identity(&seen), OWN, "nothing else with {about}");
            requests += 1;
            let line = edge.wait_for_log(requests).remove(requests - 1);
            assert_eq!(
                line["client.ip"].as_str(),
                ip,
                "the log agrees with the app, {about}: {line}"
            );
        }
    }
    assert!(requests > 30, "all rows were tried: {requests}");
}

/// A proxy that has no address for its client does not become the client: its own may be let in where that is not.
#[test]
fn a_hidden_client_is_nobody() {
    let edge = edge(TRUSTED);
    let mut client = edge.connect();
    let mut requests = 0;
    for chain in ["203.0.113.7, unknown", "6.6.6.6, evil, 10.1.2.3", "unknown", "fe80::1%12"] {
        for (transport, over) in TRANSPORTS {
            let lines = format!("{over}X-Forwarded-For: {chain}\r\n");
            let seen = seen(&mut client, "a.example", &lines);
            let none: [&str; 0] = [];
            assert_eq!(
                values(&seen, "x-forwarded-for"),
                none,
                "{chain:?} over {transport}: {seen:#}"
            );
            requests += 1;
            let line = edge.wait_for_log(requests).remove(requests - 1);
            assert!(line.get("client.ip").is_none(), "{chain:?} over {transport}: {line}");
        }
    }
}

#[test]
fn scheme_and_host_are_believed_of_a_trusted_proxy_only() {
    let edge = edge(TRUSTED);
    let trusted = [127, 0, 0, 1];
    let stranger = [127, 0, 0, 2];
    for (peer, lines, scheme) in [
        (trusted, "", "http"),
        (trusted, "X-Forwarded-Proto: https\r\n", "https"),
        (trusted, "X-Forwarded-Proto: HTTPS\r\n", "https"),
        (trusted, "X-Forwarded-Proto: wss\r\n", "https"),
        (trusted, "X-Forwarded-Proto: http\r\n", "http"),
        (trusted, "X-Forwarded-Proto: https, http\r\n", "http"),
        (trusted, "X-Forwarded-Proto: https\r\nX-Forwarded-Proto: https\r\n", "http"),
        (trusted, "X-Forwarded-Proto: ftp\r\n", "http"),
        (trusted, "X_Forwarded_Proto: https\r\n", "http"),
        (trusted, "Forwarded: proto=https\r\n", "http"),
        (stranger, "X-Forwarded-Proto: https\r\n", "http"),
    ] {
        for (transport, over) in TRANSPORTS {
            let mut client = connect_from(peer.into(), edge.address());
            let seen = seen(&mut client, "a.example:8443", &format!("{over}{lines}"));
            let about = format!("{lines:?} from {peer:?} over {transport}");
            assert_eq!(seen["scheme"], scheme, "request.url.scheme with {about}: {seen:#}");
            assert_eq!(seen["url"], format!("{scheme}://a.example:8443/echo/x?y=%2F"), "{about}");
            assert_eq!(values(&seen, "x-forwarded-proto"), [scheme], "one token with {about}");
        }
    }
    let named = "X-Forwarded-Host: Public.Example:444\r\nX-Forwarded-Port: 445\r\n\
        X-Forwarded-For: 203.0.113.7\r\nX-Real-IP: 203.0.113.7\r\n";
    for (peer, host, port, real_ip) in [
        (trusted, "Public.Example:444", "445".to_owned(), &["203.0.113.7"][..]),
        (stranger, "a.example", edge.address().port().to_string(), &[]),
    ] {
        let seen = seen(&mut connect_from(peer.into(), edge.address()), "a.example", named);
        assert_eq!(values(&seen, "x-forwarded-host"), [host], "from {peer:?}: {seen:#}");
        assert_eq!(values(&seen, "x-forwarded-port"), [port], "from {peer:?}: {seen:#}");
        assert_eq!(values(&seen, "x-real-ip"), real_ip, "from {peer:?}: {seen:#}");
        assert_eq!(values(&seen, "host"), ["a.example"], "Host is the client's, from {peer:?}");
    }
}

#[test]
fn user_names_are_removed_even_from_a_trusted_proxy() {
    let edge = edge(TRUSTED);
    let mut client = edge.connect();
    for forged in FORGED.iter().filter(|line| {
        let folded = line.to_lowercase().replace('_', "-");
        let removed = ["-user", "forwarded:", "principal", "authtoken", "clientcert"];
        removed.iter().any(|name| folded.contains(name))
    }) {
        let seen = seen(&mut client, HOST, &format!("{forged}\r\n"));
        assert_eq!(names_of_identity(&seen), OWN, "with {forged:?} from a trusted peer: {seen:#}");
    }
}

#[test]
fn the_request_id_is_one_for_the_app_the_client_and_the_log() {
    let edge = edge(TRUSTED);
    let long = format!("X-Request-Id: {}\r\n", "a".repeat(129));
    let longest = format!("X-Request-Id: {}\r\n", "a".repeat(128));
    let kept = "X-Request-Id: from-the-proxy\r\n";
    let twice = "X-Request-Id: from-the-proxy\r\nX-Request-Id: from-the-proxy\r\n";
    let mut ids = Vec::new();
    for (number, (peer, lines, expected)) in [
        ([127, 0, 0, 1], "", None),
        ([127, 0, 0, 1], kept, Some("from-the-proxy".to_owned())),
        ([127, 0, 0, 1], longest.as_str(), Some("a".repeat(128))),
        ([127, 0, 0, 1], long.as_str(), None),
        ([127, 0, 0, 1], twice, None),
        ([127, 0, 0, 1], "X-Request-Id: two words\r\n", None),
        ([127, 0, 0, 2], kept, None),
        ([127, 0, 0, 2], "X_Request_Id: mine\r\n", None),
    ]
    .into_iter()
    .enumerate()
    {
        let response = answer(&mut connect_from(peer.into(), edge.address()), "a.example", lines);
        let id = response.header("x-request-id").expect("an id for the client").to_owned();
        let seen = response.json();
        assert_eq!(
            values(&seen, "x-request-id"),
            [id.as_str()],
            "the app's with {lines:?}: {seen:#}"
        );
        let line = edge.wait_for_log(number + 1).remove(number);
        assert_eq!(line["http.request.id"], id, "the log's with {lines:?}: {line}");
        match expected {
            Some(expected) => assert_eq!(id, expected, "a trusted proxy's id is kept"),
            None => {
                assert!(!ids.contains(&id), "{id} is used twice");
                assert!(!lines.contains(&id), "{id} is the client's, from {peer:?}");
                ids.push(id);
            }
        }
        assert_eq!(response.header("server"), Some("uvicorn"), "the app's own, never the edge's");
    }
}

/// A proxy that writes `X-Forwarded-For` alone passes on what its client made up.
#[test]
fn a_real_ip_that_says_something_else_is_not_believed() {
    let edge = edge(TRUSTED);
    let mut client = edge.connect();
    for (lines, expected) in [
        ("X-Real-IP: 203.0.113.7\r\n", &[][..]),
        ("X-Forwarded-For: 203.0.113.7\r\nX-Real-IP: 6.6.6.6\r\n", &[]),
        ("X-Forwarded-For: 203.0.113.7\r\nX-Real-IP: me\r\n", &[]),
        ("X-Forwarded-For: unknown\r\nX-Real-IP: 127.0.0.1\r\n", &[]),
        ("X-Forwarded-For: 203.0.113.7\r\nX-Real-IP: 203.0.113.7\r\n", &["203.0.113.7"]),
    ] {
        let seen = seen(&mut client, "a.example", lines);
        assert_eq!(values(&seen, "x-real-ip"), expected, "{lines:?}: {seen:#}");
    }
}

/// Nobody looks at what a stranger says of itself: no route is chosen by it.
#[test]
fn what_a_stranger_may_not_say_chooses_no_route() {
    let stub = Stub::ok();
    let routes = "  \
        - { match: { header: { X-Verified: yes } }, respond: { status: 202 } }\n  \
        - { match: { header: { X-SSL-Client-Verify: SUCCESS } }, respond: { status: 203 } }\n  \
        - { match: { header: { X-Other: yes } }, respond: { status: 206 } }\n  \
        - { upstream: u }";
    let file = "trusted_proxies: [127.0.0.1]\ntrusted_headers: [X-Verified]";
    let edge = Front { routes, file, ..Front::default() }.before(stub.address());
    for (peer, lines, expected) in [
        (1, "X-Verified: yes\r\n", 202),
        (2, "X-Verified: yes\r\n", 200),
        (2, "X_Verified: yes\r\nX-Verified: yes\r\n", 200),
        (2, "X-SSL-Client-Verify: SUCCESS\r\n", 200),
        (2, "X-Other: yes\r\n", 206),
    ] {
        let response = client_from(peer, edge.address()).get_with("/", lines);
        assert_eq!(response.status, expected, "{lines:?} from 127.0.0.{peer}");
    }
}
