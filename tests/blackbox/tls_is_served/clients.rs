//! curl, Python's `ssl` and `openssl s_client`, over HTTP/1.1 and HTTP/2, and what the app and the log say of them.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::support::certificates::Authority;
use crate::support::edge::Edge;
use crate::support::front::Front;
use crate::support::openssl::{openssl, texts};
use crate::support::stub::Stub;
use crate::support::uvicorn::{Uvicorn, run_python};

use super::{SITE, secured, site};

/// Asks for `/echo` by the name of the site, and returns what the app saw, the version of HTTP and the status.
fn curl(edge: &Edge, authority: &Authority, options: &[&str]) -> (Value, String) {
    let port = edge.address().port();
    let output = Command::new("curl")
        .args(["--silent", "--show-error", "--max-time", "15", "--cacert"])
        .arg(authority.certificate())
        .args(["--resolve", &format!("{SITE}:{port}:127.0.0.1")])
        .args(["--write-out", "\n%{http_version} %{response_code}"])
        .args(options)
        .arg(format!("https://{SITE}:{port}/echo?a=b"))
        .output()
        .expect("curl is installed");
    let (told, complaints) = texts(&output);
    assert!(output.status.success(), "curl {options:?}: {complaints}");
    let (body, facts) = told.rsplit_once('\n').expect("a body and the facts");
    (serde_json::from_str(body).expect("JSON"), facts.to_owned())
}

/// The values of a request header that the app saw.
fn values(seen: &Value, name: &str) -> Vec<String> {
    let lines = seen["headers"].as_array().expect("headers").iter();
    let found = lines.filter(|line| line[0] == name);
    found.map(|line| line[1].as_str().expect("text").to_owned()).collect()
}

#[test]
fn curl_is_served_by_each_version_of_http_and_tls() {
    let uvicorn = Uvicorn::start(&[]);
    let authority = Authority::create();
    let edge = site(&authority, uvicorn.address(), "", "");
    let port = edge.address().port().to_string();
    let cases = [
        (["--http1.1", "--tlsv1.3", "--tls-max", "1.3"], "1.1 200", "1.3"),
        (["--http2", "--tlsv1.3", "--tls-max", "1.3"], "2 200", "1.3"),
        (["--http1.1", "--tlsv1.2", "--tls-max", "1.2"], "1.1 200", "1.2"),
        (["--http2", "--tlsv1.2", "--tls-max", "1.2"], "2 200", "1.2"),
    ];
    for (number, (options, facts, version)) in cases.into_iter().enumerate() {
        let (seen, told) = curl(&edge, &authority, &options);
        assert_eq!(told, facts, "curl {options:?}");
        assert_eq!(seen["scheme"], "https", "for the app: {seen:#}");
        assert_eq!(values(&seen, "x-forwarded-proto"), ["https"], "{seen:#}");
        assert_eq!(values(&seen, "x-forwarded-port"), [port.as_str()], "{seen:#}");
        assert_eq!(values(&seen, "host"), [format!("{SITE}:{port}")], "{seen:#}");
        let line = edge.wait_for_log(number + 1).remove(number);
        for (key, expected) in [
            ("tls.protocol.version", version),
            ("tls.client.server_name", SITE),
            ("url.scheme", "https"),
            ("url.domain", SITE),
            ("http.version", if facts.starts_with('2') { "2" } else { "1.1" }),
        ] {
            assert_eq!(line[key], expected, "{key} with {options:?}: {line:#}");
        }
        assert!(line["tls.cipher"].as_str().is_some_and(|name| name.starts_with("TLS_")), "{line}");
    }
}

#[test]
fn http2_is_spoken_only_where_it_is_allowed() {
    let uvicorn = Uvicorn::start(&[]);
    let authority = Authority::create();
    let edge = site(&authority, uvicorn.address(), "", "http2: false");
    let (_, told) = curl(&edge, &authority, &["--http2"]);
    assert_eq!(told, "1.1 200", "offered and not taken");
}

#[test]
fn pythons_ssl_is_served() {
    let script = r#"
import socket, ssl, sys, httpx
port, ca, name = int(sys.argv[1]), sys.argv[2], sys.argv[3]

def context(version, alpn):
    made = ssl.create_default_context(cafile=ca)
    made.minimum_version = made.maximum_version = version
    if alpn:
        made.set_alpn_protocols(alpn)
    return made

for version, word in ((ssl.TLSVersion.TLSv1_2, "TLSv1.2"), (ssl.TLSVersion.TLSv1_3, "TLSv1.3")):
    for alpn, chosen in ((["http/1.1"], "http/1.1"), (["h2", "http/1.1"], "h2"), (["http/1.1", "h2"], "h2"), ([], None)):
        with socket.create_connection(("127.0.0.1", port), 15) as plain:
            with context(version, alpn).wrap_socket(plain, server_hostname=name) as tls:
                assert (tls.version(), tls.selected_alpn_protocol()) == (word, chosen), (tls.version(), alpn, tls.selected_alpn_protocol())
                if chosen == "h2":
                    continue
                tls.sendall(b"GET / HTTP/1.1\r\nHost: %b\r\nConnection: close\r\n\r\n" % name.encode())
                answer = b""
                while data := tls.recv(65536):
                    answer += data
                assert answer.startswith(b"HTTP/1.1 200 "), answer
    # A client that offers only what nobody speaks is told so (RFC 7301 §3.2).
    try:
        with socket.create_connection(("127.0.0.1", port), 15) as plain:
            with context(version, ["spdy/3"]).wrap_socket(plain, server_hostname=name) as tls:
                tls.sendall(b"x")
                raise AssertionError(f"spoken: {tls.selected_alpn_protocol()}")
    except ssl.SSLError as error:
        assert "NO_APPLICATION_PROTOCOL" in str(error).upper().replace(" ", "_"), error
    for http2 in (False, True):
        with httpx.Client(http1=not http2, http2=http2, verify=context(version, []), timeout=15) as client:
            for _ in range(3):
                answer = client.get(f"https://127.0.0.1:{port}/")
                assert (answer.status_code, answer.http_version) == (200, "HTTP/2" if http2 else "HTTP/1.1"), answer
"#;
    let uvicorn = Uvicorn::start(&[]);
    let authority = Authority::create();
    let edge = site(&authority, uvicorn.address(), "", "");
    let (port, ca) = (edge.address().port().to_string(), authority.certificate());
    run_python(script, &[&port, &ca.to_string_lossy(), SITE]);
}

#[test]
fn s_client_is_served() {
    let uvicorn = Uvicorn::start(&[]);
    let authority = Authority::create();
    let edge = site(&authority, uvicorn.address(), "", "");
    let (address, ca) = (edge.address().to_string(), authority.certificate().display().to_string());
    let connect = ["s_client", "-connect", &address, "-servername", SITE, "-CAfile", &ca];
    let verify = ["-verify_return_error", "-verify_hostname", SITE];
    for (version, word) in [("-tls1_2", "TLSv1.2"), ("-tls1_3", "TLSv1.3")] {
        for (alpn, chosen) in [("h2,http/1.1", "h2"), ("http/1.1", "http/1.1")] {
            let told = openssl(&[&connect[..], &verify, &[version, "-alpn", alpn]].concat(), "");
            assert!(told.contains(&format!("ALPN protocol: {chosen}")), "{version} {alpn}: {told}");
            assert!(told.contains(&format!("New, {word}, Cipher is ")), "{version}: {told}");
            assert!(told.contains("Verify return code: 0 (ok)"), "{version}: {told}");
        }
        let request = format!("GET / HTTP/1.1\r\nHost: {SITE}\r\nConnection: close\r\n\r\n");
        let told = openssl(&[&connect[..], &verify, &[version, "-quiet"]].concat(), &request);
        assert!(told.starts_with("HTTP/1.1 200 "), "{version}: {told}");
    }
}

/// What a client makes of a certificate is its own affair: one of version 1, from before there were extensions, is
/// shown to those that take it.
#[test]
fn a_certificate_of_version_1_is_shown() {
    let stub = Stub::ok();
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/pki/tests/fixtures");
    let [certificate, key] = ["version1.pem", "version1.key"].map(|name| fixtures.join(name));
    let (shown, key) = (certificate.display().to_string(), key.display().to_string());
    let text = openssl(&["x509", "-noout", "-text", "-in", &shown], "");
    assert!(text.contains("Version: 1 (0x0)"), "what is shown: {text}");
    let item = format!("{{ cert: {shown:?}, key: {key:?} }}");
    let listener = secured(&item, "", "");
    let edge = Front { listeners: &[&listener], ..Front::default() }.before(stub.address());
    let address = edge.address().to_string();
    let name = "old.example.org";
    let connect = ["s_client", "-connect", &address, "-CAfile", &shown, "-verify_return_error"];
    let request = format!("GET / HTTP/1.1\r\nHost: {name}\r\nConnection: close\r\n\r\n");
    let told = openssl(&[&connect[..], &["-verify_hostname", name, "-quiet"]].concat(), &request);
    assert!(told.starts_with("HTTP/1.1 200 "), "{told}");
}

/// The test can fail: a client that does not know the authority is not served.
#[test]
fn a_client_that_trusts_another_authority_goes_away() {
    let uvicorn = Uvicorn::start(&[]);
    let (authority, stranger) = (Authority::create(), Authority::create());
    let edge = site(&authority, uvicorn.address(), "", "");
    let output = Command::new("curl")
        .args(["--silent", "--show-error", "--max-time", "15", "--cacert"])
        .arg(stranger.certificate())
        .arg(format!("https://{}/", edge.address()))
        .output()
        .expect("curl is installed");
    assert_eq!(output.status.code(), Some(60), "curl verifies: {:?}", texts(&output));
}
