//! Headers written by hand, byte for byte.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;

use crate::support::certificates::Authority;
use crate::support::client::Client;
use crate::support::edge::Edge;
use crate::support::frames::{Frames, HEADERS};
use crate::support::front::Front;
use crate::support::proxied::{tls_field, v1, v2, v2_of};
use crate::support::stub::Stub;
use crate::support::tls::{Offer, Tls};

use super::{edge, values};

const FOUR: (&str, &str) = ("198.51.100.7:4711", "192.0.2.1:443");
const SIX: (&str, &str) = ("[2001:db8::7]:4711", "[2001:db8::1]:443");

/// Whom a header names.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Named {
    Client(&'static str),
    /// Somebody whose address is none of TCP, and whom nothing is believed for that.
    Somebody,
    /// The proxy itself, which is trusted.
    Proxy,
}

impl Named {
    /// What the app is told of who it is, when the client has written `forged` itself.
    fn chain(self, forged: &str) -> Vec<String> {
        match self {
            Self::Client(address) => vec![address.to_owned()],
            Self::Somebody => Vec::new(),
            Self::Proxy if forged.is_empty() => vec!["127.0.0.1".to_owned()],
            Self::Proxy => vec![format!("{forged}, 127.0.0.1")],
        }
    }
}

/// What a header is, its bytes, and whose request it makes.
fn announcements() -> Vec<(&'static str, Vec<u8>, Named)> {
    use Named::{Proxy, Somebody};
    let address = |text: &str| text.parse().expect("an address");
    let of = |(source, destination): (&str, &str)| (address(source), address(destination));
    let (four, six) = (of(FOUR), of(SIX));
    let (by_four, by_six) = (Named::Client("198.51.100.7"), Named::Client("2001:db8::7"));
    // A field that nobody has to know, and one that only fills (PP2_TYPE_NOOP).
    let fields = [&[0xe0, 0, 3][..], b"abc", &[4, 0, 2, 0, 0]].concat();
    vec![
        ("v1, IPv4", v1(four.0, four.1), by_four),
        ("v1, IPv6", v1(six.0, six.1), by_six),
        ("v1, unknown", b"PROXY UNKNOWN\r\n".to_vec(), Somebody),
        ("v1, unknown and more", b"PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n".to_vec(), Somebody),
        ("v2, IPv4", v2(four.0, four.1, &[]), by_four),
        ("v2, IPv6", v2(six.0, six.1, &[]), by_six),
        ("v2 with fields", v2(four.0, four.1, &fields), by_four),
        ("v2, local", v2_of(0x20, 0, &[]), Proxy),
        ("v2, local with what to ignore", v2_of(0x20, 0x11, &[7; 12]), Proxy),
        ("v2, unspecified", v2_of(0x21, 0, &[]), Somebody),
        ("v2, a Unix socket", v2_of(0x21, 0x31, &[b'a'; 216]), Somebody),
    ]
}

#[test]
fn the_client_is_who_the_header_says() {
    let stub = Stub::echoing();
    let edge = edge(&stub, "");
    for (number, (what, header, named)) in announcements().into_iter().enumerate() {
        let mut client = edge.connect();
        let port = client.local_address().port();
        client.send(&header);
        // Each request of the connection, and whatever the client writes itself.
        for forged in ["", "6.6.6.6"] {
            let lines = if forged.is_empty() { String::new() } else { forge(forged) };
            let got = client.get_with("/", &lines).text();
            assert_eq!(values(&got, "x-forwarded-for"), named.chain(forged), "{what}: {got}");
            let is_believed = !forged.is_empty() && named == Named::Proxy;
            let proto = if is_believed { "https" } else { "http" };
            assert_eq!(values(&got, "x-forwarded-proto"), [proto], "{what}: {got}");
            assert_eq!(values(&got, "x-forwarded-port").len(), 1, "{what}: {got}");
            let proofs = values(&got, "x-client-cert-subject").len();
            assert_eq!(proofs, usize::from(is_believed), "{what}: {got}");
        }
        let line = &edge.wait_for_log(2 * (number + 1))[2 * number];
        let (address, port) = match named {
            Named::Client(address) => (Some(address), Some(4711)),
            Named::Somebody => (None, None),
            Named::Proxy => (Some("127.0.0.1"), Some(port)),
        };
        assert_eq!(line["client.ip"].as_str(), address, "{what}: {line}");
        assert_eq!(line["client.port"].as_u64(), port.map(u64::from), "{what}: {line}");
    }
}

/// What a client may write that only a trusted proxy is believed.
fn forge(address: &str) -> String {
    format!(
        "X-Forwarded-For: {address}\r\nX-Forwarded-Proto: https\r\nX-Client-Cert-Subject: CN=root\r\n"
    )
}

#[test]
fn it_comes_in_any_pieces() {
    let stub = Stub::echoing();
    let edge = edge(&stub, "");
    for (what, header, named) in announcements() {
        let request = b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n".to_vec();
        let all = [header.clone(), request.clone(), request].concat();
        // All at once, byte by byte, and cut within the header, behind it and within the first request.
        for cut in [all.len(), 1, 5, 12, header.len(), header.len() + 3] {
            let mut client = edge.connect();
            for piece in all.chunks(cut) {
                client.send(piece);
                if cut > 1 {
                    std::thread::sleep(std::time::Duration::from_millis(2));
                }
            }
            for _ in 0..2 {
                let got = client.response().text();
                let chain = named.chain("");
                assert_eq!(values(&got, "x-forwarded-for"), chain, "{what}, by {cut}: {got}");
                assert!(got.starts_with("GET /x HTTP/1.1\r\n"), "{what}, by {cut}: {got}");
            }
        }
    }
}

#[test]
fn http2_may_follow() {
    let stub = Stub::ok();
    let edge = edge(&stub, "http2: true");
    let mut stream = TcpStream::connect(edge.address()).expect("connected");
    let (source, destination) = FOUR;
    let header = v1(source.parse().expect("one"), destination.parse().expect("another"));
    stream.write_all(&header).expect("sent");
    let mut client = Frames::over(stream);
    client.get(1, "/");
    client.until(HEADERS);
    let line = edge.only_log_line();
    assert_eq!((&line["client.ip"], &line["http.version"]), (&"198.51.100.7".into(), &"2".into()));
}

#[test]
fn tls_may_follow() {
    let stub = Stub::echoing();
    let authority = Authority::create();
    let edge = edge(&stub, &authority.sign("site", &["site.test"]).listener());
    let tls = Tls::trusting(&authority, Offer::default());
    let (source, destination) = SIX;
    let (source, destination) =
        (source.parse().expect("one"), destination.parse().expect("another"));
    for header in [v1(source, destination), v2(source, destination, &[])] {
        let mut socket = TcpStream::connect(edge.address()).expect("connected");
        socket.write_all(&header).expect("sent");
        let mut session = tls.handshake_over(socket, "site.test").expect("a handshake");
        let got = session.get("/").expect("an answer");
        assert_eq!(values(&got, "x-forwarded-for"), ["2001:db8::7"], "{got}");
        assert_eq!(values(&got, "x-forwarded-proto"), ["https"], "{got}");
    }
    let error = tls.handshake(edge.address(), "site.test").err();
    assert!(error.is_some(), "the control: without a header it is nobody's");
}

/// TLS may have ended before us.
#[test]
fn the_client_may_have_come_over_tls() {
    let stub = Stub::echoing();
    let edge = edge(&stub, "");
    let (source, destination) = FOUR;
    let (source, destination) =
        (source.parse().expect("one"), destination.parse().expect("another"));
    let mut client = edge.connect();
    client.send(v2(source, destination, &tls_field("TLSv1.3")));
    let got = client.get("/").text();
    assert_eq!(values(&got, "x-forwarded-proto"), ["https"], "{got}");
    assert_eq!(edge.only_log_line()["url.scheme"], "https", "and so for the log");
}

#[test]
fn a_unix_socket_has_it_too() {
    let stub = Stub::echoing();
    let directory = tempfile::tempdir().expect("a directory");
    let socket = directory.path().join("edge.sock");
    // Nobody is trusted: who may connect to the socket is a matter of its permissions.
    let text = Front::default()
        .config(stub.address())
        .replace(
            "127.0.0.1:0\" }\nadmin",
            "127.0.0.1:0\" }\n  - { address: \"unix:SOCKET\", proxy_protocol: true }\nadmin",
        )
        .replace("SOCKET", &socket.display().to_string());
    let _edge = Edge::start(&text);
    let ask = |header: &[u8]| {
        let mut stream = UnixStream::connect(&socket).expect("connected");
        let request = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
        stream.write_all(&[header, request].concat()).expect("sent");
        let mut answer = String::new();
        // One that is refused may be reset.
        let _ = stream.read_to_string(&mut answer);
        answer
    };
    let (source, destination) = FOUR;
    let (source, destination) =
        (source.parse().expect("one"), destination.parse().expect("another"));
    for header in [v1(source, destination), v2(source, destination, &[])] {
        let got = ask(&header);
        assert_eq!(values(&got, "x-forwarded-for"), ["198.51.100.7"], "{got}");
    }
    assert_eq!(ask(b""), "", "and it has to be there");
}

/// Where it is not expected, it is a request that is none.
#[test]
fn it_is_not_believed_where_it_is_not_configured() {
    let stub = Stub::echoing();
    let edge = Front { file: super::TRUSTED, ..Front::default() }.before(stub.address());
    let mut client = Client::connect(edge.address());
    client.send("PROXY TCP4 198.51.100.7 192.0.2.1 1 2\r\n");
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(client.response().status, 400, "no request line");
    assert_eq!(stub.accepted(), 0, "the worker never hears of it");
}
