//! What is agreed on with a client: version, cipher, protocol, and sessions that are resumed.

use std::time::Duration;

use rustls::client::Resumption;
use rustls::{SupportedProtocolVersion, version};

use super::visitor::{Traits, Visitor, shown};
use super::world::{Authority, Directory, Front, Key, settings};
use crate::config::TlsVersion;
use crate::listener::tls::{Acceptor, Failure};
use crate::net::tls::provider;

const HOUR: Duration = Duration::from_secs(60 * 60);

static ONLY_1_2: [&SupportedProtocolVersion; 1] = [&version::TLS12];
static ONLY_1_3: [&SupportedProtocolVersion; 1] = [&version::TLS13];

fn speaking(
    authority: &Authority,
    versions: &'static [&'static SupportedProtocolVersion],
) -> Visitor {
    Visitor::new(authority, Traits { versions: Some(versions), ..Traits::default() })
}

#[tokio::test]
async fn a_version_below_the_lowest_is_refused() {
    let authority = Authority::new("friends");
    let directory = Directory::new();
    let files = directory.put("a", &authority.sign(&["a.example"], Key::Ecdsa));
    for (lowest, versions, expected) in [
        (TlsVersion::V1_2, &ONLY_1_2, Some("1.2")),
        (TlsVersion::V1_2, &ONLY_1_3, Some("1.3")),
        (TlsVersion::V1_3, &ONLY_1_2, None),
        (TlsVersion::V1_3, &ONLY_1_3, Some("1.3")),
    ] {
        let mut settings = settings(vec![files.clone()]);
        settings.min_version = lowest;
        let front = Front::open(&settings).await;
        let visitor = speaking(&authority, versions);
        let (met, served) = front.meet(&visitor, "a.example").await;
        let what = format!("{:?} where {lowest:?} is the lowest", versions[0].version);
        match (expected, served) {
            (Some(version), Ok((_, secured))) => assert_eq!(secured.version, version, "{what}"),
            (None, Err(Failure::Rejected(_))) => {
                let told = met.expect_err("refused");
                assert!(told.contains("ProtocolVersion"), "{what}: an alert says so: {told}");
            }
            (_, served) => panic!("{what}: {served:?}"),
        }
    }
}

#[tokio::test]
async fn the_cipher_is_the_best_of_the_servers_that_the_client_has() {
    let authority = Authority::new("friends");
    let directory = Directory::new();
    let files = directory.put("a", &authority.sign(&["a.example"], Key::Ecdsa));
    let front = Front::open(&settings(vec![files])).await;
    for (versions, expected) in [
        (&ONLY_1_3, "TLS_AES_256_GCM_SHA384"),
        (&ONLY_1_2, "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384"),
    ] {
        let mut worst_first = provider().as_ref().clone();
        worst_first.cipher_suites.reverse();
        let traits =
            Traits { versions: Some(versions), provider: Some(worst_first), ..Traits::default() };
        let visitor = Visitor::new(&authority, traits);
        let secured = front.greet(&visitor, "a.example").await;
        assert_eq!(secured.cipher, expected, "whatever the client has first");
    }
}

#[tokio::test]
async fn every_cipher_is_told_by_its_registered_name() {
    let authority = Authority::new("friends");
    let directory = Directory::new();
    let ecdsa = directory.put("ecdsa", &authority.sign(&["a.example"], Key::Ecdsa));
    let rsa = directory.put("rsa", &authority.sign(&["a.example"], Key::Rsa));
    let front = Front::open(&settings(vec![ecdsa, rsa])).await;
    let mut told = Vec::new();
    for suite in provider().cipher_suites.clone() {
        let versions = if suite.tls13().is_some() { &ONLY_1_3 } else { &ONLY_1_2 };
        let mut only = provider().as_ref().clone();
        only.cipher_suites = vec![suite];
        let traits = Traits { versions: Some(versions), provider: Some(only), ..Traits::default() };
        told.push(front.greet(&Visitor::new(&authority, traits), "a.example").await.cipher);
    }
    told.sort_unstable();
    let registered = [
        "TLS_AES_128_GCM_SHA256",
        "TLS_AES_256_GCM_SHA384",
        "TLS_CHACHA20_POLY1305_SHA256",
        "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
        "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
        "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
        "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
        "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
        "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
    ];
    assert_eq!(told, registered, "all with forward secrecy and authenticated encryption");
}

#[tokio::test]
async fn the_protocol_is_agreed_on_and_http2_comes_first() {
    let authority = Authority::new("friends");
    let directory = Directory::new();
    let files = directory.put("a", &authority.sign(&["a.example"], Key::Ecdsa));
    let settings = settings(vec![files]);
    let (h2, h1, h0): (&[u8], &[u8], &[u8]) = (b"h2", b"http/1.1", b"http/1.0");
    for (with_http2, offered, expected) in [
        (true, &[h1, h2][..], Ok(Some(h2))),
        (true, &[h1], Ok(Some(h1))),
        (true, &[h0], Ok(Some(h0))),
        (true, &[], Ok(None)),
        (true, &[b"spdy/3", h1], Ok(Some(h1))),
        (true, &[b"spdy/3"], Err("NoApplicationProtocol")),
        (false, &[h2, h1], Ok(Some(h1))),
        (false, &[], Ok(None)),
        (false, &[h2], Err("NoApplicationProtocol")),
    ] {
        let front = Front::over(Acceptor::new(&settings, with_http2).expect("settings")).await;
        let mut visitor = Visitor::trusting(&authority);
        visitor.config.alpn_protocols = offered.iter().map(|name| name.to_vec()).collect();
        let (met, served) = front.meet(&visitor, "a.example").await;
        let what = format!("{} with HTTP/2: {with_http2}", offered.concat().escape_ascii());
        match (expected, met) {
            (Ok(expected), Ok(met)) => {
                assert_eq!(met.get_ref().1.alpn_protocol(), expected, "{what}: for the client");
                let (_, secured) = served.expect("the client is content");
                assert_eq!(secured.http2, expected == Some(h2), "{what}: for the server");
            }
            (Err(expected), Err(told)) => assert!(told.contains(expected), "{what}: {told}"),
            (_, met) => panic!("{what}: {met:?}"),
        }
    }
}

#[tokio::test]
async fn sessions_are_resumed_with_all_that_is_known_of_them() {
    let authority = Authority::new("friends");
    let directory = Directory::new();
    let files = directory.put("a", &authority.sign(&["a.example", "b.example"], Key::Ecdsa));
    let front = Front::open(&settings(vec![files])).await;
    for versions in [&ONLY_1_2, &ONLY_1_3] {
        let visitor = speaking(&authority, versions);
        let what = format!("{:?}", versions[0].version);
        let first = front.greet(&visitor, "a.example").await;
        assert!(!first.resumed, "{what}: there is no session yet");
        for _ in 0..3 {
            let again = front.greet(&visitor, "a.example").await;
            assert!(again.resumed, "{what}: each connection brings tickets for others");
            let told = (again.version, again.cipher, again.server_name.as_deref());
            let before = (first.version, first.cipher, first.server_name.as_deref());
            assert_eq!(told, before, "{what}: as at first");
        }
        let other = front.greet(&visitor, "b.example").await;
        assert!(!other.resumed, "{what}: for another name (RFC 6066 section 3)");
        let mut forgetful = speaking(&authority, versions);
        forgetful.config.resumption = Resumption::disabled();
        for _ in 0..2 {
            assert!(!front.greet(&forgetful, "a.example").await.resumed, "{what}: not wanted");
        }
    }
}

#[tokio::test]
async fn sessions_are_in_tickets_so_that_many_others_do_not_push_one_out() {
    let authority = Authority::new("friends");
    let directory = Directory::new();
    let files = directory.put("a", &authority.sign(&["a.example"], Key::Ecdsa));
    let front = Front::open(&settings(vec![files])).await;
    for versions in [&ONLY_1_2, &ONLY_1_3] {
        let visitor = speaking(&authority, versions);
        front.greet(&visitor, "a.example").await;
        let mut others = speaking(&authority, versions);
        others.config.resumption = Resumption::disabled();
        // More than rustls would keep in memory.
        for _ in 0..300 {
            front.greet(&others, "a.example").await;
        }
        let what = versions[0].version;
        assert!(front.greet(&visitor, "a.example").await.resumed, "{what:?}: it has its ticket");
    }
    let lifetime =
        Duration::from_secs(front.acceptor.rules.load().config.ticketer.lifetime().into());
    assert_eq!(lifetime, 2 * 6 * HOUR, "the keys of 6 hours open for 6 more");
}

#[tokio::test]
async fn a_ticket_of_another_listener_opens_nothing() {
    let authority = Authority::new("friends");
    let directory = Directory::new();
    let files = directory.put("a", &authority.sign(&["a.example"], Key::Ecdsa));
    let settings = settings(vec![files]);
    let (one, other) = (Front::open(&settings).await, Front::open(&settings).await);
    for versions in [&ONLY_1_2, &ONLY_1_3] {
        let visitor = speaking(&authority, versions);
        one.greet(&visitor, "a.example").await;
        assert!(one.greet(&visitor, "a.example").await.resumed, "where it came from");
        assert!(!other.greet(&visitor, "a.example").await.resumed, "elsewhere");
    }
}

#[tokio::test]
async fn early_data_is_not_accepted() {
    let authority = Authority::new("friends");
    let directory = Directory::new();
    let files = directory.put("a", &authority.sign(&["a.example"], Key::Ecdsa));
    let front = Front::open(&settings(vec![files])).await;
    let mut visitor = speaking(&authority, &ONLY_1_3);
    visitor.config.enable_early_data = true;
    front.greet(&visitor, "a.example").await;
    let (met, served) = front.meet(&visitor, "a.example").await;
    assert!(served.expect("served").1.resumed, "a session that early data would be for");
    let met = met.expect("met");
    assert!(!met.get_ref().1.is_early_data_accepted(), "none is taken");
}

#[tokio::test]
async fn a_new_certificate_ends_no_session() {
    let authority = Authority::new("friends");
    let directory = Directory::new();
    let old = authority.sign(&["a.example"], Key::Ecdsa);
    let front = Front::open(&settings(vec![directory.put("a", &old)])).await;
    let visitor = speaking(&authority, &ONLY_1_3);
    front.greet(&visitor, "a.example").await;
    directory.put("a", &authority.sign(&["a.example"], Key::Ecdsa));
    front.acceptor.reload();
    let (met, served) = front.meet(&visitor, "a.example").await;
    assert!(served.expect("served").1.resumed, "nothing that the session rests on has changed");
    assert_eq!(shown(&met.expect("met")), old.der(), "the one that the session began with");
}
