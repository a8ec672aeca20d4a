//! A browser loads a page over HTTP/2, and tools that look for weaknesses of TLS find none in the default configuration.
//!
//! Each needs a program that not every machine has; a test without its program says that it is skipped.

use std::process::{Command, Stdio};

use serde_json::Value;

use crate::support::certificates::{Authority, Wanted};
use crate::support::edge::Edge;
use crate::support::front::Front;
use crate::support::openssl::{openssl, texts};
use crate::support::programs;
use crate::support::stub::Stub;
use crate::support::wait_for;

/// The page, which asks for two more things.
const PAGE: &str = "<!doctype html><title>asgate</title><script>\
    Promise.all([fetch('/one'), fetch('/two')].map(it => it.then(answer => answer.text())))\
    .then(texts => { document.title = texts.join('-') + '-' + \
    performance.getEntriesByType('navigation')[0].nextHopProtocol; \
    document.body.append(document.title) })</script><body>page ";

/// A site whose certificate is good for as long as browsers allow.
fn site(authority: &Authority) -> Edge {
    let stub = Stub::start(|mut accepted| {
        while let Some(request) = accepted.request() {
            let path = request.split(' ').nth(1).unwrap_or_default();
            let (kind, body) = match path {
                "/" => ("text/html; charset=utf-8", PAGE.to_owned()),
                other => ("text/plain", other.trim_start_matches('/').to_owned()),
            };
            let length = body.len();
            accepted.send(format!(
                "HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\n\r\n{body}"
            ));
        }
    });
    let certificate = authority.issue(
        "site",
        Wanted { names: &["site.test", "localhost", "127.0.0.1"], ..Wanted::default() },
    );
    let listener = format!("{}, max_connections: 2000", certificate.listener());
    // The worker lives as long as its threads do.
    Front { listeners: &[&listener], ..Front::default() }.before(stub.address())
}

#[test]
fn chromium_loads_a_page_over_http2() {
    let Some(chromium) = programs::find("chromium") else {
        return;
    };
    let authority = Authority::create();
    let edge = site(&authority);
    let profile = tempfile::tempdir().expect("a directory");
    // The one key that it has to trust: SHA-256 of the public key, base64 (RFC 7469 §2.4).
    let file = authority.directory().join("site.pem").display().to_string();
    let der = authority.directory().join("site.spki").display().to_string();
    let public = openssl(&["x509", "-in", &file, "-pubkey", "-noout"], "");
    openssl(&["pkey", "-pubin", "-outform", "DER", "-out", &der], &public);
    let digest = authority.directory().join("site.sha256").display().to_string();
    openssl(&["dgst", "-sha256", "-binary", "-out", &digest, &der], "");
    let pin = openssl(&["base64", "-in", &digest], "");
    let port = edge.address().port();
    let output = Command::new("timeout")
        .arg("150")
        .arg(chromium)
        .args(["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"])
        .args(["--no-first-run", "--disable-background-networking", "--disable-component-update"])
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .arg(format!("--ignore-certificate-errors-spki-list={}", pin.trim()))
        .arg("--host-resolver-rules=MAP site.test 127.0.0.1")
        .args(["--virtual-time-budget=10000", "--dump-dom"])
        .arg(format!("https://site.test:{port}/"))
        .stdin(Stdio::null())
        .output()
        .expect("it runs");
    let (page, complaints) = texts(&output);
    assert!(page.contains("page one-two-h2"), "the page, its parts, and h2: {page}\n{complaints}");
    for path in ["/", "/one", "/two"] {
        let line = wait_for(&format!("a line for {path}"), || {
            edge.access_log().into_iter().find(|line| line["url.path"] == path)
        });
        assert_eq!(line["http.version"], "2", "{line}");
        assert_eq!(line["tls.protocol.version"], "1.3", "{line}");
        let agent = line["user_agent.original"].as_str().unwrap_or_default();
        assert!(agent.contains("Chrome/"), "the browser itself: {line}");
    }
}

/// The words that testssl.sh has for what is a weakness.
const WEAK: [&str; 4] = ["LOW", "MEDIUM", "HIGH", "CRITICAL"];
/// What it finds in the certificate of a test: that its authority is nobody's, and that it is good for long.
const OF_THE_TEST: [&str; 15] = [
    "cert_serialNumberLen",
    "cert_chain_of_trust",
    "cert_trust",
    "cert_validityPeriod",
    "cert_extlifeSpan",
    "cert_expirationStatus",
    "cert_revocation",
    "cert_crlDistributionPoints",
    "cert_ocspURL",
    "OCSP_stapling",
    "DNS_CAArecord",
    "certificate_transparency",
    "cert_mustStapleExtension",
    "cert_caIssuers",
    "overall_grade",
];

#[test]
fn testssl_finds_no_weakness() {
    let Some(testssl) = programs::find("testssl") else {
        return;
    };
    let authority = Authority::create();
    let edge = site(&authority);
    let report = authority.directory().join("report.json");
    let output = Command::new("timeout")
        .arg("300")
        .arg(testssl)
        .args(["--quiet", "--color", "0", "--warnings", "batch", "--nodns", "none", "--fast"])
        // Protocols, kinds of ciphers, forward secrecy, what the server says of itself, known attacks.
        .args(["-p", "-s", "-f", "-S", "-U"])
        .arg("--jsonfile")
        .arg(&report)
        .arg(format!("127.0.0.1:{}", edge.address().port()))
        .stdin(Stdio::null())
        .output()
        .expect("it runs");
    let text = std::fs::read_to_string(&report);
    let text = text.unwrap_or_else(|error| panic!("no report ({error}): {:?}", texts(&output)));
    let findings: Vec<Value> = serde_json::from_str(&text).expect("JSON");
    let of = |finding: &Value, key: &str| finding[key].as_str().unwrap_or_default().to_owned();
    let weak: Vec<_> = findings
        .iter()
        .filter(|finding| WEAK.contains(&of(finding, "severity").as_str()))
        .filter(|finding| !OF_THE_TEST.iter().any(|id| of(finding, "id").starts_with(id)))
        .collect();
    assert!(weak.is_empty(), "{weak:#?}");
    // The control: it did look.
    let found = |id: &str| findings.iter().find(|finding| of(finding, "id") == id);
    for (id, expected) in [("TLS1_3", "offered"), ("TLS1_2", "offered"), ("TLS1", "not offered")] {
        let finding = found(id).unwrap_or_else(|| panic!("nothing about {id}: {findings:#?}"));
        assert!(of(finding, "finding").starts_with(expected), "{finding}");
    }
}

#[test]
fn sslscan_finds_nothing_old() {
    let Some(sslscan) = programs::find("sslscan") else {
        return;
    };
    let authority = Authority::create();
    let edge = site(&authority);
    let output = Command::new("timeout")
        .args(["120"])
        .arg(sslscan)
        .args(["--no-colour", "--xml=-", "--show-sigs", &edge.address().to_string()])
        .stdin(Stdio::null())
        .output()
        .expect("it runs");
    let (report, complaints) = texts(&output);
    let has = |text: &str| report.contains(text);
    for (version, enabled) in [
        ("type=\"ssl\" version=\"2\"", 0),
        ("type=\"ssl\" version=\"3\"", 0),
        ("type=\"tls\" version=\"1.0\"", 0),
        ("type=\"tls\" version=\"1.1\"", 0),
        ("type=\"tls\" version=\"1.2\"", 1),
        ("type=\"tls\" version=\"1.3\"", 1),
    ] {
        assert!(
            has(&format!("{version} enabled=\"{enabled}\"")),
            "{version}: {report}{complaints}"
        );
    }
    assert!(!has("<compression supported=\"1\""), "CRIME: {report}");
    assert!(has("<renegotiation supported=\"0\""), "a client cannot begin anew: {report}");
    assert!(!has("vulnerable=\"1\""), "Heartbleed: {report}");
    // Every cipher keeps what was said from who learns the key later, and none is of CBC.
    let ciphers: Vec<_> = report.lines().filter(|line| line.contains("<cipher ")).collect();
    assert!(ciphers.len() >= 4, "the control: {report}");
    for cipher in ciphers {
        assert!(cipher.contains("ECDHE") || cipher.contains("TLS_"), "{cipher}");
        assert!(cipher.contains("GCM") || cipher.contains("CHACHA20"), "{cipher}");
    }
}
