//! What works, for now or for some: a warning, and exit code 0.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::support::certificates::{Authority, Wanted};
use crate::support::edge::Edge;
use crate::support::front::Front;
use crate::support::openssl::{openssl, texts};
use crate::support::stub::Stub;
use crate::support::workers::operate;

use super::{CERT, CRL, Case, KEY, Place};

/// A file that something else should have fetched, and where it is named.
const MISSING: &str = "key: site.key\n          ocsp: site.ocsp";
const OCSP: &str = "asgate.yaml:7:17: listeners[0].tls.certificates[0].ocsp: ";

#[test]
fn what_is_only_doubtful_is_a_warning() {
    let cases: [Case; 7] = [
        (
            "expired",
            |it| it.put("site", Wanted { valid: (2000, 2001), ..Wanted::default() }),
            CERT,
            &["expired", "2001-01-01"],
        ),
        (
            "not yet valid",
            |it| it.put("site", Wanted { valid: (2150, 2200), ..Wanted::default() }),
            CERT,
            &["2150-01-01"],
        ),
        ("soon to expire", ten_days, CERT, &["expires"]),
        ("a key for everybody", |it| set_mode(&it.file("site.key"), 0o644), KEY, &["may read"]),
        ("a chain that is none", unrelated_chain, CERT, &["issue"]),
        ("no OCSP response", |it| it.configure("cert: site.pem", MISSING), OCSP, &["not sent"]),
        (
            "an authority without a list",
            |it| it.put_list_of_another("crl_extensions = crl"),
            CRL,
            &["no authority in `ca`"],
        ),
    ];
    for (what, spoil, at, words) in cases {
        let place = Place::new();
        place.configure("cert: site.pem", "key: site.key");
        spoil(&place);
        let output = place.asgate("check");
        let (_, complaints) = texts(&output);
        assert_eq!(output.status.code(), Some(0), "{what}: {complaints}");
        assert_eq!(complaints.lines().count(), 1, "{what}: one line: {complaints}");
        let at = at.replacen(": ", ": warning: ", 1);
        assert!(complaints.starts_with(&at), "{what}: at {at:?}: {complaints}");
        let lower = complaints.to_lowercase();
        for word in words {
            assert!(lower.contains(word), "{what}: {word:?} in {complaints}");
        }
        let mut edge = Edge::spawn(&["run"], place.directory.path());
        edge.wait_until_it_listens();
        let stderr = edge.stderr_text();
        assert!(stderr.contains("warning: listeners[0].tls"), "{what}: logged: {stderr}");
    }
}

/// What was only a warning at the start is a trouble for whoever looks after it.
#[test]
fn an_expired_certificate_shows_in_the_status() {
    let stub = Stub::ok();
    let authority = Authority::create();
    for (years, code) in [((2000, 2001), 1), ((2000, 2200), 0)] {
        let certificate = authority
            .issue("site", Wanted { names: &["site.test"], valid: years, ..Wanted::default() });
        let listener = certificate.listener();
        let edge = Front { listeners: &[&listener], ..Front::default() }.before(stub.address());
        let output = operate(&edge, &["status"]);
        let (told, complaints) = texts(&output);
        assert_eq!(output.status.code(), Some(code), "until {}: {told}{complaints}", years.1);
        assert!(told.contains("site.test"), "its names: {told}");
        let shown = &edge.status()["listeners"][0]["tls"]["certificates"][0];
        let expires = format!("{}-01-01T00:00:00Z", years.1);
        assert_eq!(shown["expires"], expires.as_str(), "{shown:#}");
        let left = shown["days_left"].as_i64().expect("days");
        assert_eq!(left <= 0, code == 1, "{shown:#}");
    }
}

fn set_mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("its mode");
}

fn ten_days(place: &Place) {
    let [cert, key] = ["site.pem", "site.key"].map(|name| place.text(name));
    let new = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
    let says = ["-days", "10", "-subj", "/CN=site.test", "-addext", "subjectAltName=DNS:site.test"];
    openssl(&[&new[..], &says, &["-keyout", &key, "-out", &cert]].concat(), "");
}

fn unrelated_chain(place: &Place) {
    let read = |path: &Path| std::fs::read_to_string(path).expect("a file");
    let stranger = Authority::create();
    place.spoil("site.pem", read(&place.file("site.pem")) + &read(&stranger.certificate()));
}
