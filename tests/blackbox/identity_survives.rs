//! Host, client address, scheme and request id reach the app exactly once, and no client can forge them.
//!
//! Checked against what a real FastAPI app sees in `request.client`, `request.url` and `request.headers`.

use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};

use serde_json::Value;

use crate::support::client::{Client, Response};
use crate::support::edge::Edge;
use crate::support::uvicorn::{Uvicorn, run_python, sample_app, supervised, test_app};

/// A host and port that the client names and that are not the listener's.
const HOST: &str = "Shop.Example:8443";

/// Two ways to the same app; a request takes TCP when it has the header `x-over: tcp`.
const TRANSPORTS: [(&str, &str); 2] = [("Unix socket", ""), ("TCP", "x-over: tcp\r\n")];

/// An edge with supervised workers over both transports, and this beside it on the top level.
fn edge(top_level: &str) -> Edge {
    let (socket, tcp) = (
        supervised(&sample_app(), ""),
        supervised(&sample_app(), "transport: tcp"),
    );
    Edge::start(&format!(
        "listeners: [{{ address: \"127.0.0.1:0\", http2: true }}]\n\
         upstreams:\n  socket: {socket}\n  tcp: {tcp}\n\
         routes:\n  - {{ match: {{ header: {{ x-over: tcp }} }}, upstream: tcp }}\n  - upstream: socket\n\
         {top_level}\n"
    ))
}

/// What the app sees of a request with these header lines.
fn seen(client: &mut Client, host: &str, lines: &str) -> Value {
    let response = answer(client, host, lines);
    assert_eq!(response.status, 200, "{lines:?}: {}", response.text());
    response.json()
}

fn answer(client: &mut Client, host: &str, lines: &str) -> Response {
    client.send(format!(
        "GET /echo/x?y=%2F HTTP/1.1\r\nHost: {host}\r\n{lines}\r\n"
    ));
    client.response()
}

/// The values of a header in what the app saw, each line one value.
fn values<'a>(seen: &'a Value, name: &str) -> Vec<&'a str> {
    let lines = seen["headers"].as_array().expect("headers");
    let named = lines.iter().filter(|line| line[0] == name);
    named
        .map(|line| line[1].as_str().expect("a value"))
        .collect()
}

/// The names in what the app saw that say who the client is or belong to the connection, in the spelling that
/// WSGI and CGI make of them.
fn names_of_identity(seen: &Value) -> Vec<String> {
    const PREFIXES: [&str; 16] = [
        "forwarded",
        "x-forwarded",
        "x-real-ip",
        "x-iis-windowsauthtoken",
        "x-arr-clientcert",
        "x-ms-client-principal",
        "remote-user",
        "x-remote-user",
        "x-request-id",
        "keep-alive",
        "proxy-",
        "te",
        "trailer",
        "upgrade", "http2-",
        "x-nominated",
    ];
    let lines = seen["headers"].as_array().expect("headers");
    let names = lines.iter().map(|line| line[0].as_str().expect("a name"));
    let mut names: Vec<_> = names
        .filter(|name| {
            let folded = name.to_lowercase().replace('_', "-");
            PREFIXES.iter().any(|prefix| folded.starts_with(prefix))
        })
        .map(str::to_owned)
        .collect();
    names.sort();
    names
}

const OWN: [&str; 5] = [
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-port",
    "x-forwarded-proto",
    "x-request-id",
];

/// Header lines with which a client claims what is not the client's to say.
const FORGED: [&str; 45] = [
    "X-Forwarded-For: 6.6.6.6",
    "X-Forwarded-For: 6.6.6.6, 7.7.7.7, 127.0.0.1",
    "X-Forwarded-For: 6.6.6.6:1234",
    "X-Forwarded-For: 2001:db8::6",
    "X-Forwarded-For: [2001:db8::6]:443",
    "X-Forwarded-For: 6.6.6.6\r\nX-Forwarded-For: 7.7.7.7",
    "x-forwarded-FOR: 6.6.6.6",
    "X_Forwarded_For: 6.6.6.6",
    "X-Forwarded_For: 6.6.6.6",
    "X_FORWARDED-FOR: 6.6.6.6",
    "X-Forwarded-For:",
    "X-Forwarded-Proto: https",
    "X-Forwarded-Proto: https, http",
    "X-Forwarded-Proto: https\r\nX-Forwarded-Proto: https",
    "X_Forwarded_Proto: https",
    "X-Forwarded-Host: evil.example",
    "X_Forwarded_Host: evil.example",
    "X-Forwarded-Port: 443",
    "X_Forwarded_Port: 443",
    "X-Forwarded-Prefix: /evil",
    "X-Forwarded-Server: evil.example",
    "X-Forwarded-Ssl: on",
    "X-Forwarded-User: root",
    "X_Forwarded_User: root",
    "Forwarded: for=6.6.6.6;proto=https;host=evil.example",
    "X-Real-IP: 6.6.6.6",
    "X_Real_IP: 6.6.6.6",
    "X-IIS-WindowsAuthToken: 1f4",
    "X_IIS_WindowsAuthToken: 1f4",
    "X-ARR-ClientCert: MIIB",
    "X_ARR_ClientCert: MIIB",
    "X-MS-CLIENT-PRINCIPAL: e30=",
    "X-MS-CLIENT-PRINCIPAL-NAME: root",
    "X_MS_CLIENT_PRINCIPAL_ID: root",
    "Remote-User: root",
    "Remote_User: root",
    "REMOTE_USER: root",
    "X-Remote-User: root",
    "X_Remote-User: root",
    "X-Request-Id: mine",
    "X_Request_Id: mine",
    "Connection: keep-alive, X-Nominated\r\nX-Nominated: 1\r\nKeep-Alive: timeout=1",
    "Proxy-Connection: keep-alive\r\nProxy-Authorization: Basic e30=",
    "Connection: TE\r\nTE: trailers\r\nTrailer: x-checksum",
    "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk",
];

/// That the app saw a client at `ip` over plain HTTP, told once, and nothing else about it.
fn assert_true_identity(seen: &Value, ip: &str, port: u16, about: &str) {
    assert_eq!(
        seen["client"][0], ip,
        "request.client with {about}: {seen:#}"
    );
    assert_eq!(seen["scheme"], "http", "the scheme with {about}: {seen:#}");
    let url = format!("http://{HOST}/echo/x?y=%2F");
    assert_eq!(
        seen["url"].as_str().map(str::to_lowercase),
        Some(url.to_lowercase()),
        "{about}"
    );
    assert_eq!(
        names_of_identity(seen),
        OWN,
        "exactly the edge's own headers with {about}: {seen:#}"
    );
    assert_eq!(values(seen, "x-forwarded-for"), [ip], "with {about}");
    assert_eq!(values(seen, "x-forwarded-proto"), ["http"], "with {about}");
    assert_eq!(values(seen, "x-forwarded-host"), [HOST], "with {about}");
    assert_eq!(
        values(seen, "x-forwarded-port"),
        [port.to_string()],
        "with {about}"
    );
    assert_eq!(
        values(seen, "host"),
        [HOST],
        "the host as it was sent, with {about}"
    );
    assert_ne!(
        values(seen, "x-request-id"),
        ["mine"],
        "a new id with {about}"
    );
}

#[test]
fn an_untrusted_client_cannot_say_who_it_is() {
    let edge = edge("");
    let mut client = edge.connect();
    let port = edge.address().port();
    for (transport, over) in TRANSPORTS {
        for forged in FORGED {
            let lines = format!("{over}X-Ordinary: kept\r\nX_Plain: kept\r\n{forged}\r\n");
            let seen = seen(&mut client, HOST, &lines);
            assert_true_identity(
                &seen,
                "127.0.0.1",
                port,
                &format!("{forged:?} over {transport}"),
            );
            assert_eq!(
                values(&seen, "x-ordinary"),
                ["kept"],
                "other headers pass, {forged:?}"
            );
            assert_eq!(
                values(&seen, "x_plain"),
                ["kept"],
                "underscores as such pass, {forged:?}"
            );
        }
    }
    let line = edge.wait_for_log(2 * FORGED.len()).remove(0);
    assert_eq!(
        line["client.ip"], "127.0.0.1",
        "the log says the same: {line}"
    );
    assert_eq!(
        line["client.port"],
        client.local_address().port(),
        "with the port: {line}"
    );
    assert_eq!(line["url.scheme"], "http", "and the scheme: {line}");
}

#[test]
fn without_the_edge_uvicorn_believes_what_is_forged() {
    let uvicorn = Uvicorn::start(&[]);
    let mut client = Client::connect(uvicorn.address());
    let forged = "X-Forwarded-For: 6.6.6.6\r\nX-Forwarded-Proto: https\r\nX_Remote_User: root\r\n";
    let seen = seen(&mut client, HOST, forged);
    assert_eq!(
        seen["client"][0], "6.6.6.6",
        "this is what the edge is for: {seen:#}"
    );
    assert_eq!(seen["scheme"], "https", "{seen:#}");
    assert_eq!(values(&seen, "x_remote_user"), ["root"], "{seen:#}");
    for forged in FORGED {
        let seen = self::seen(&mut Client::connect(uvicorn.address()), HOST, &format!("{forged}\r\n"));
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
    let forged = FORGED
        .iter()
        .filter(|line| !connection.iter().any(|bad| line.starts_with(bad)));
    let lines = forged.flat_map(|lines| lines.split("\r\n"));
    let address = edge.address().to_string();
    let chain = ["X-Forwarded-For: 6.6.6.6", "X-Forwarded-For: 7.7.7.7"];
    let arguments: Vec<_> = [address.as_str(), HOST]
        .into_iter()
        .chain(chain)
        .chain(lines)
        .collect();
    let output = run_python(script, &arguments);
    let seen = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_true_identity(
        &seen,
        "127.0.0.1",
        edge.address().port(),
        "everything forged in HTTP/2",
    );
    assert_eq!(
        edge.only_log_line()["http.version"],
        "2",
        "it was HTTP/2 to the edge too"
    );
}

const TRUSTED: &str = "trusted_proxies: [127.0.0.1, 10.0.0.0/8, \"2001:db8:aaaa::/48\"]";

#[test]
fn the_chain_of_a_trusted_proxy_is_kept_from_the_client_on() {
    let edge = edge(TRUSTED);
    let mut client = edge.connect();
    let mut requests = 0;
    for (transport, over) in TRANSPORTS {
        // Lines, what `X-Forwarded-For` must be, and who the client is.
        for (lines, chain, ip) in [
            ("", "127.0.0.1", "127.0.0.1"),
            ("X-Forwarded-For:\r\n", "127.0.0.1", "127.0.0.1"),
            (
                "X-Forwarded-For: 203.0.113.7\r\n",
                "203.0.113.7, 127.0.0.1",
                "203.0.113.7",
            ),
            (
                "X-Forwarded-For: 6.6.6.6, 203.0.113.7\r\n",
                "203.0.113.7, 127.0.0.1",
                "203.0.113.7",
            ),
            (
                "X-Forwarded-For: 6.6.6.6, 203.0.113.7, 10.1.2.3\r\n",
                "203.0.113.7, 10.1.2.3, 127.0.0.1",
                "203.0.113.7",
            ),
            (
                "X-Forwarded-For: 10.6.6.6, 6.6.6.6,203.0.113.7,10.1.2.3\r\n",
                "203.0.113.7, 10.1.2.3, 127.0.0.1",
                "203.0.113.7",
            ),
            (
                "X-Forwarded-For: 6.6.6.6\r\nX-Forwarded-For: 203.0.113.7, 10.1.2.3\r\n",
                "203.0.113.7, 10.1.2.3, 127.0.0.1",
                "203.0.113.7",
            ),
            (
                "X-Forwarded-For: 203.0.113.7:4711\r\n",
                "203.0.113.7, 127.0.0.1",
                "203.0.113.7",
            ),
            (
                "X-Forwarded-For: [2001:db8::7]:4711\r\n",
                "2001:db8::7, 127.0.0.1",
                "2001:db8::7",
            ),
            (
                "X-Forwarded-For: [2001:DB8:0::7]\r\n",
                "2001:db8::7, 127.0.0.1",
                "2001:db8::7",
            ),
            (
                "X-Forwarded-For: 6.6.6.6, 2001:db8::7, 2001:db8:aaaa::1\r\n",
                "2001:db8::7, 2001:db8:aaaa::1, 127.0.0.1",
                "2001:db8::7",
            ),
            (
                "X-Forwarded-For: ::ffff:203.0.113.7\r\n",
                "203.0.113.7, 127.0.0.1",
                "203.0.113.7",
            ),
            (
                "X-Forwarded-For: , 203.0.113.7,,\r\n",
                "203.0.113.7, 127.0.0.1",
                "203.0.113.7",
            ),
            // Behind what is no address nothing is known.
            (
                "X-Forwarded-For: 203.0.113.7, unknown\r\n",
                "127.0.0.1",
                "127.0.0.1",
            ),
            (
                "X-Forwarded-For: 6.6.6.6, evil, 203.0.113.7\r\n",
                "203.0.113.7, 127.0.0.1",
                "203.0.113.7",
            ),
            (
                "X-Forwarded-For: 6.6.6.6, evil, 10.1.2.3\r\n",
                "10.1.2.3, 127.0.0.1",
                "10.1.2.3",
            ),
            // All are trusted: the farthest.
            (
                "X-Forwarded-For: 10.9.9.9, 10.1.2.3\r\n",
                "10.9.9.9, 10.1.2.3, 127.0.0.1",
                "10.9.9.9",
            ),
            // Other spellings and other headers are never read.
            ("X_Forwarded_For: 6.6.6.6\r\n", "127.0.0.1", "127.0.0.1"),
            (
                "Forwarded: for=6.6.6.6\r\nX-Client-IP: 6.6.6.6\r\n",
                "127.0.0.1",
                "127.0.0.1",
            ),
        ] {
            let seen = seen(&mut client, "a.example", &format!("{over}{lines}"));
            let about = format!("{lines:?} over {transport}");
            assert_eq!(
                values(&seen, "x-forwarded-for"),
                [chain],
                "one line with {about}: {seen:#}"
            );
            assert_eq!(
                seen["client"][0], ip,
                "request.client with {about}: {seen:#}"
            );
            assert_eq!(names_of_identity(&seen), OWN, "nothing else with {about}");
            requests += 1;
            let line = edge.wait_for_log(requests).remove(requests - 1);
            assert_eq!(
                line["client.ip"], ip,
                "the log agrees with the app, {about}: {line}"
            );
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
        (
            trusted,
            "X-Forwarded-Proto: https\r\nX-Forwarded-Proto: https\r\n",
            "http",
        ),
        (trusted, "X-Forwarded-Proto: ftp\r\n", "http"),
        (trusted, "X_Forwarded_Proto: https\r\n", "http"),
        (trusted, "Forwarded: proto=https\r\n", "http"),
        (stranger, "X-Forwarded-Proto: https\r\n", "http"),
    ] {
        for (transport, over) in TRANSPORTS {
            let mut client = connect_from(peer.into(), edge.address());
            let seen = seen(&mut client, "a.example:8443", &format!("{over}{lines}"));
            let about = format!("{lines:?} from {peer:?} over {transport}");
            assert_eq!(
                seen["scheme"], scheme,
                "request.url.scheme with {about}: {seen:#}"
            );
            assert_eq!(
                seen["url"],
                format!("{scheme}://a.example:8443/echo/x?y=%2F"),
                "{about}"
            );
            assert_eq!(
                values(&seen, "x-forwarded-proto"),
                [scheme],
                "one token with {about}"
            );
        }
    }
    let named = "X-Forwarded-Host: Public.Example:444\r\nX-Forwarded-Port: 445\r\nX-Real-IP: 203.0.113.7\r\n";
    for (peer, host, port, real_ip) in [
        (
            trusted,
            "Public.Example:444",
            "445".to_owned(),
            &["203.0.113.7"][..],
        ),
        (
            stranger,
            "a.example",
            edge.address().port().to_string(),
            &[],
        ),
    ] {
        let seen = seen(
            &mut connect_from(peer.into(), edge.address()),
            "a.example",
            named,
        );
        assert_eq!(
            values(&seen, "x-forwarded-host"),
            [host],
            "from {peer:?}: {seen:#}"
        );
        assert_eq!(
            values(&seen, "x-forwarded-port"),
            [port],
            "from {peer:?}: {seen:#}"
        );
        assert_eq!(
            values(&seen, "x-real-ip"),
            real_ip,
            "from {peer:?}: {seen:#}"
        );
        assert_eq!(
            values(&seen, "host"),
            ["a.example"],
            "Host is the client's, from {peer:?}"
        );
    }
}

#[test]
fn a_peer_outside_the_trusted_networks_is_a_client_like_any_other() {
    let edge = edge(TRUSTED);
    let mut client = connect_from([127, 0, 0, 2].into(), edge.address());
    let port = edge.address().port();
    for forged in FORGED {
        let seen = seen(&mut client, HOST, &format!("{forged}\r\n"));
        assert_true_identity(
            &seen,
            "127.0.0.2",
            port,
            &format!("{forged:?} from a stranger"),
        );
    }
}

#[test]
fn user_names_are_removed_even_from_a_trusted_proxy() {
    let edge = edge(TRUSTED);
    let mut client = edge.connect();
    for forged in FORGED.iter().filter(|line| {
        let folded = line.to_lowercase().replace('_', "-");
        let removed = [
            "-user",
            "forwarded:",
            "principal",
            "authtoken",
            "clientcert",
        ];
        removed.iter().any(|name| folded.contains(name))
    }) {
        let seen = seen(&mut client, HOST, &format!("{forged}\r\n"));
        assert_eq!(
            names_of_identity(&seen),
            OWN,
            "with {forged:?} from a trusted peer: {seen:#}"
        );
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
        let response = answer(
            &mut connect_from(peer.into(), edge.address()),
            "a.example",
            lines,
        );
        let id = response
            .header("x-request-id")
            .expect("an id for the client")
            .to_owned();
        let seen = response.json();
        assert_eq!(
            values(&seen, "x-request-id"),
            [id.as_str()],
            "the app's with {lines:?}: {seen:#}"
        );
        let line = edge.wait_for_log(number + 1).remove(number);
        assert_eq!(
            line["http.request.id"], id,
            "the log's with {lines:?}: {line}"
        );
        match expected {
            Some(expected) => assert_eq!(id, expected, "a trusted proxy's id is kept"),
            None => {
                assert!(!ids.contains(&id), "{id} is used twice");
                assert!(!lines.contains(&id), "{id} is the client's, from {peer:?}");
                ids.push(id);
            }
        }
        assert_eq!(
            response.header("server"),
            Some("uvicorn"),
            "the app's own, never the edge's"
        );
    }
}

#[test]
fn the_host_reaches_the_app_as_it_was_sent() {
    let edge = edge("");
    let mut client = edge.connect();
    for host in [
        "a.example",
        "A.eXample:8443",
        "a.example:80",
        "127.0.0.1:8000",
        "[::1]:80",
        "xn--4ca.example.",
    ] {
        let seen = seen(&mut client, host, "");
        assert_eq!(values(&seen, "host"), [host], "as it was sent: {seen:#}");
        assert_eq!(
            values(&seen, "x-forwarded-host"),
            [host],
            "and forwarded: {seen:#}"
        );
        let url = seen["url"].as_str().expect("a URL").to_lowercase();
        let expected = format!("http://{}/echo/x?y=%2f", host.to_lowercase());
        assert_eq!(url, expected, "request.url for {host}");
    }
}

#[test]
fn an_ipv6_client_is_told_without_brackets() {
    let upstream = supervised(&sample_app(), "");
    let edge = Edge::start(&format!(
        "listeners: [{{ address: \"[::1]:0\" }}]\nupstreams: {{ u: {upstream} }}\nroutes: [{{ upstream: u }}]\n"
    ));
    let seen = seen(
        &mut edge.connect(),
        HOST,
        "X-Forwarded-For: 2001:db8::6\r\n",
    );
    assert_true_identity(&seen, "::1", edge.address().port(), "a client at ::1");
}

#[cfg(unix)]
#[test]
fn a_client_on_a_unix_socket_has_no_address_and_cannot_claim_one() {
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
        assert!(
            !seen["client"].to_string().contains("6.6.6.6"),
            "{forged:?}: {seen:#}"
        );
        assert_eq!(seen["scheme"], "http", "{forged:?}: {seen:#}");
        assert_eq!(
            names_of_identity(&seen),
            &OWN[1..],
            "no address to tell, {forged:?}: {seen:#}"
        );
    }
}

#[test]
fn an_app_below_a_prefix_builds_the_urls_that_clients_use() {
    let (bare, rooted) = (
        supervised(&test_app(), ""),
        supervised(&test_app(), "root_path: /api/v1"),
    );
    let edge = Edge::start(&format!(
        "listeners: [{{ address: \"127.0.0.1:0\" }}]\n{TRUSTED}\n\
         upstreams:\n  bare: {bare}\n  rooted: {rooted}\n\
         routes:\n  - {{ match: {{ path: /api/v1 }}, upstream: rooted, rewrite: {{ strip_prefix: /api/v1 }} }}\n  \
         - {{ match: {{ path: /old }}, upstream: bare, rewrite: {{ strip_prefix: /old }} }}\n  \
         - upstream: bare\n"
    ));
    // The prefix in the client's URL, in the app's path and in the app's URLs.
    for (sent, path, built, root_path) in [
        ("/api/v1", "/api/v1", "/api/v1", "/api/v1"),
        ("", "", "", ""),
        // Without `root_path` the app cannot know.
        ("/old", "", "", ""),
    ] {
        for (lines, scheme, client) in [
            (
                "X-Forwarded-Proto: https\r\nX-Forwarded-For: 6.6.6.6, 203.0.113.7\r\n",
                "https",
                "203.0.113.7",
            ),
            ("", "http", "127.0.0.1"),
        ] {
            let host = "shop.example:8443";
            let mut connection = edge.connect();
            connection.send(format!(
                "GET {sent}/where?q=1 HTTP/1.1\r\nHost: {host}\r\n{lines}\r\n"
            ));
            let response = connection.response();
            assert_eq!(response.status, 200, "{sent}: {}", response.text());
            let seen = response.json();
            let base = format!("{scheme}://{host}{built}");
            assert_eq!(
                seen["url"],
                format!("{base}/where?q=1"),
                "request.url below {sent:?}"
            );
            assert_eq!(
                seen["base_url"],
                format!("{base}/"),
                "request.base_url below {sent:?}"
            );
            assert_eq!(
                seen["url_for"],
                format!("{base}/items/7/"),
                "url_for below {sent:?}"
            );
            assert_eq!(
                seen["path"],
                format!("{path}/where"),
                "scope path below {sent:?}"
            );
            assert_eq!(
                seen["root_path"], root_path,
                "scope root_path below {sent:?}"
            );
            assert_eq!(seen["client"], client, "request.client below {sent:?}");
            // FastAPI's own redirect to the spelling with a slash.
            connection.send(format!(
                "GET {sent}/items/7 HTTP/1.1\r\nHost: {host}\r\n{lines}\r\n"
            ));
            let response = connection.response();
            assert_eq!(response.status, 307, "{sent}: {}", response.text());
            let location = format!("{base}/items/7/");
            assert_eq!(
                response.header("location"),
                Some(location.as_str()),
                "below {sent:?}"
            );
        }
    }
}

#[test]
fn a_websocket_has_the_same_identity() {
    let script = "
import asyncio, sys, websockets
async def main():
    headers = {'X-Forwarded-For': '6.6.6.6, 203.0.113.7', 'X-Forwarded-Proto': 'https', 'X_Remote_User': 'root'}
    async with websockets.connect(f'ws://{sys.argv[1]}/api/ws/scope', additional_headers=headers) as socket:
        print(await socket.recv())
asyncio.run(main())
";
    let upstream = supervised(&test_app(), "root_path: /api");
    for (trusted, scheme, ip) in [(TRUSTED, "wss", "203.0.113.7"), ("", "ws", "127.0.0.1")] {
        let edge = Edge::start(&format!(
            "listeners: [{{ address: \"127.0.0.1:0\" }}]\nupstreams: {{ u: {upstream} }}\n{trusted}\n\
             routes: [{{ match: {{ path: /api }}, upstream: u, rewrite: {{ strip_prefix: /api }} }}]\n"
        ));
        let output = run_python(script, &[&edge.address().to_string()]);
        let seen: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        assert_eq!(
            seen["client"], ip,
            "websocket.client with {trusted:?}: {seen:#}"
        );
        let url = format!("{scheme}://{}/api/ws/scope", edge.address());
        assert_eq!(seen["url"], url, "websocket.url with {trusted:?}: {seen:#}");
        let names = names_of_identity(&seen);
        let names: Vec<_> = names.iter().filter(|name| *name != "upgrade").collect();
        assert_eq!(names, OWN.iter().collect::<Vec<_>>(), "{seen:#}");
    }
}

/// A connection from this address of the machine.
fn connect_from(ip: IpAddr, to: SocketAddr) -> Client {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None);
    let socket = socket.expect("a socket");
    socket
        .bind(&SocketAddr::new(ip, 0).into())
        .expect("an address of the machine");
    socket.connect(&to.into()).expect("connected");
    Client::over(TcpStream::from(socket))
}
