//! A new file that is of no use: what is served stays, and everybody who asks is told.

use crate::support::certificates::{Attribute, Authority, Purpose, Wanted};
use crate::support::front::Front;
use crate::support::openssl::texts;
use crate::support::stub::Stub;
use crate::support::tls::{Offer, Tls, der};
use crate::support::wait_for;
use crate::support::workers::{operate, said};

use super::{SITE, Site, replace, shown};

#[test]
fn what_is_broken_keeps_what_was_there() {
    let stub = Stub::ok();
    let site = Site::new();
    let first = der(&site.live);
    let edge = site.edge(&stub);
    let tls = site.client().forgetful();
    let expired = site
        .authority
        .issue("expired", Wanted { names: &[SITE], valid: (2000, 2001), ..Wanted::default() });
    let good = std::fs::read(&site.live.certificate).expect("a file");
    for (what, bytes) in [
        ("garbage", b"garbage".to_vec()),
        ("nothing", Vec::new()),
        ("half a certificate", good[..good.len() / 2].to_vec()),
        (
            "one that the key is not for",
            std::fs::read(&site.others[0].certificate).expect("a file"),
        ),
    ] {
        std::fs::write(&site.live.certificate, bytes).expect("written");
        let output = operate(&edge, &["reload"]);
        let told = said(&output);
        assert_eq!(output.status.code(), Some(1), "{what}: {told}");
        assert!(
            told.contains("live.pem") || told.contains("live.key"),
            "{what}: which file: {told}"
        );
        assert!(!told.contains("panicked"), "{what}: {told}");
        assert_eq!(shown(&edge, &tls), first, "{what}: the old one is served");
        wait_for("the log to say so", || {
            let stderr = edge.stderr_text();
            stderr.contains("Certificate kept").then_some(())
        });
        let problem = &edge.status()["listeners"][0]["tls"]["certificates"][0]["problem"];
        assert!(problem.is_string(), "{what}: the status says so: {:#}", edge.status());
    }
    // One that nobody would accept, in place of one that everybody does.
    replace(&expired.certificate, &site.live.certificate);
    replace(&expired.key, &site.live.key);
    let output = operate(&edge, &["reload"]);
    assert_eq!(output.status.code(), Some(1), "expired: {}", said(&output));
    assert!(said(&output).contains("2001-01-01"), "until when: {}", said(&output));
    assert_eq!(shown(&edge, &tls), first, "expired: the old one is served");

    let last = der(site.swap(1));
    let output = operate(&edge, &["reload"]);
    assert!(output.status.success(), "mended: {}", said(&output));
    assert_eq!(shown(&edge, &tls), last, "mended: the new one is served");
    let problem = &edge.status()["listeners"][0]["tls"]["certificates"][0]["problem"];
    assert!(problem.is_null(), "and nothing is wrong any more: {:#}", edge.status());
    let series = "asgate_certificate_expiry_timestamp_seconds{";
    let expiry = edge
        .metrics()
        .lines()
        .find_map(|line| line.strip_prefix(series)?.rsplit_once(' ')?.1.parse::<f64>().ok());
    let year_2200 = 7_258_118_400.0;
    assert_eq!(expiry, Some(year_2200), "until when it is good: {}", edge.metrics());
}

/// Those whom a new authority has signed come in, and those of the old one do not, tickets or not.
#[test]
fn another_authority_for_clients_can_take_over() {
    let stub = Stub::echoing();
    let site = Site::new();
    let (before, after) = (Authority::create(), Authority::create());
    let ca = site.authority.directory().join("members.pem");
    std::fs::copy(before.certificate(), &ca).expect("copied");
    let listener = format!(
        "tls: {{ certificates: [{}], client_auth: {{ ca: {:?} }} }}",
        site.live.item(),
        ca.display().to_string()
    );
    let edge = Front { listeners: &[&listener], ..Front::default() }.before(stub.address());
    let client = |authority: &Authority, name| {
        let subject = [(Attribute::CommonName, name)];
        let wanted = Wanted { subject: &subject, purpose: Purpose::Client, ..Wanted::default() };
        let identity = authority.issue(name, wanted);
        Tls::trusting(&site.authority, Offer { identity: Some(&identity), ..Offer::default() })
    };
    let (old, new) = (client(&before, "old"), client(&after, "new"));
    let is_served = |tls: &Tls| {
        let answer = tls.handshake(edge.address(), SITE).and_then(|mut session| session.get("/"));
        answer.is_ok_and(|answer| answer.starts_with("HTTP/1.1 200 "))
    };
    assert_eq!((is_served(&old), is_served(&new)), (true, false), "before");
    replace(&after.certificate(), &ca);
    let output = operate(&edge, &["reload"]);
    assert!(output.status.success(), "{}", said(&output));
    assert_eq!((is_served(&old), is_served(&new)), (false, true), "after");
    // Nobody is left outside by a file that is of no use.
    std::fs::write(&ca, "garbage").expect("written");
    let output = operate(&edge, &["reload"]);
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert!(said(&output).contains("members.pem"), "which file: {}", said(&output));
    assert_eq!((is_served(&old), is_served(&new)), (false, true), "as before");
    let problem = || edge.status()["listeners"][0]["tls"]["client_auth"]["problem"].clone();
    let told = problem();
    assert!(told.as_str().is_some_and(|it| it.contains("members.pem")), "status: {told}");
    let (table, _) = texts(&operate(&edge, &["status"]));
    assert!(table.contains(": client_auth ") && table.contains("is not in PEM"), "{table}");
    replace(&after.certificate(), &ca);
    wait_for("that it is mended", || problem().is_null().then_some(()));
}

/// Who is revoked while connected by a ticket must not come back with it.
#[test]
fn a_new_revocation_ends_what_a_ticket_is_good_for() {
    let stub = Stub::echoing();
    let site = Site::new();
    let members = Authority::create();
    let subject = [(Attribute::CommonName, "bob")];
    let bob = members
        .issue("bob", Wanted { subject: &subject, purpose: Purpose::Client, ..Wanted::default() });
    let list = members.revoke("list.crl", &[]);
    let [ca, crl] = [&members.certificate(), &list].map(|path| path.display().to_string());
    let listener = format!(
        "tls: {{ certificates: [{}], client_auth: {{ ca: {ca:?}, crl: [{crl:?}] }} }}",
        site.live.item()
    );
    let edge = Front { listeners: &[&listener], ..Front::default() }.before(stub.address());
    let offer = Offer { identity: Some(&bob), ..Offer::default() };
    let tls = Tls::trusting(&site.authority, offer);
    for is_resumed in [false, true] {
        let mut session = tls.handshake(edge.address(), SITE).expect("a handshake");
        assert_eq!(session.is_resumed(), is_resumed, "the control");
        assert!(session.get("/").is_ok_and(|got| got.contains("CN=bob")), "bob is known");
    }
    members.revoke("list.crl", &[&bob]);
    let output = operate(&edge, &["reload"]);
    assert!(output.status.success(), "{}", said(&output));
    for _ in 0..2 {
        let answer = tls.handshake(edge.address(), SITE).and_then(|mut session| session.get("/"));
        let served = answer.as_ref().is_ok_and(|text| !text.is_empty());
        assert!(!served, "bob is not served any more: {answer:?}");
    }
}
