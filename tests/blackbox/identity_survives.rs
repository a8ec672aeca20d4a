//! Host, client address, scheme and request id reach the app exactly once, and no client can forge them.
//!
//! Checked against what a real FastAPI app sees in `request.client`, `request.url` and `request.headers`.

use std::net::{IpAddr, SocketAddr, TcpStream};

use serde_json::Value;

use crate::support::client::{Client, Response};
use crate::support::edge::Edge;
use crate::support::uvicorn::{sample_app, supervised};

mod proxies;
mod strangers;
mod urls;

/// The networks whose word is taken.
const TRUSTED: &str = "trusted_proxies: [127.0.0.1, 10.0.0.0/8, \"2001:db8:aaaa::/48\"]";

/// A host and port that the client names and that are not the listener's.
const HOST: &str = "Shop.Example:8443";

/// Two ways to the same app; a request takes TCP when it has the header `x-over: tcp`.
const TRANSPORTS: [(&str, &str); 2] = [("Unix socket", ""), ("TCP", "x-over: tcp\r\n")];

/// An edge with supervised workers over both transports, and this beside it on the top level.
fn edge(top_level: &str) -> Edge {
    let (socket, tcp) =
        (supervised(&sample_app(), ""), supervised(&sample_app(), "transport: tcp"));
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
    client.send(format!("GET /echo/x?y=%2F HTTP/1.1\r\nHost: {host}\r\n{lines}\r\n"));
    client.response()
}

/// The values of a header in what the app saw, each line one value.
fn values<'a>(seen: &'a Value, name: &str) -> Vec<&'a str> {
    let lines = seen["headers"].as_array().expect("headers");
    let named = lines.iter().filter(|line| line[0] == name);
    named.map(|line| line[1].as_str().expect("a value")).collect()
}

/// The names in what the app saw that say who the client is or belong to the connection, in the spelling that
/// WSGI and CGI make of them.
fn names_of_identity(seen: &Value) -> Vec<String> {
    const PREFIXES: &str = "forwarded x-forwarded x-real-ip x-iis-windowsauthtoken x-arr-clientcert \
        x-ms-client-principal remote-user x-remote-user x-request-id x-nominated \
        keep-alive proxy- te trailer upgrade http2-";
    let lines = seen["headers"].as_array().expect("headers");
    let names = lines.iter().map(|line| line[0].as_str().expect("a name"));
    let mut names: Vec<_> = names
        .filter(|name| {
            let folded = name.to_lowercase().replace('_', "-");
            PREFIXES.split_whitespace().any(|prefix| folded.starts_with(prefix))
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
    assert_eq!(seen["client"][0], ip, "request.client with {about}: {seen:#}");
    assert_eq!(seen["scheme"], "http", "the scheme with {about}: {seen:#}");
    let url = format!("http://{HOST}/echo/x?y=%2F");
    assert_eq!(seen["url"].as_str().map(str::to_lowercase), Some(url.to_lowercase()), "{about}");
    assert_eq!(
        names_of_identity(seen),
        OWN,
        "exactly the edge's own headers with {about}: {seen:#}"
    );
    assert_eq!(values(seen, "x-forwarded-for"), [ip], "with {about}");
    assert_eq!(values(seen, "x-forwarded-proto"), ["http"], "with {about}");
    assert_eq!(values(seen, "x-forwarded-host"), [HOST], "with {about}");
    assert_eq!(values(seen, "x-forwarded-port"), [port.to_string()], "with {about}");
    assert_eq!(values(seen, "host"), [HOST], "the host as it was sent, with {about}");
    assert_ne!(values(seen, "x-request-id"), ["mine"], "a new id with {about}");
}

/// A connection from this address of the machine.
fn connect_from(ip: IpAddr, to: SocketAddr) -> Client {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None);
    let socket = socket.expect("a socket");
    socket.bind(&SocketAddr::new(ip, 0).into()).expect("an address of the machine");
    socket.connect(&to.into()).expect("connected");
    Client::over(TcpStream::from(socket))
}
