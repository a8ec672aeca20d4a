//! Certificates of clients.

use std::slice::from_ref;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use parking_lot::Mutex;
use rcgen::{CertificateParams, DnType, SerialNumber, date_time_ymd};
use rustls::client::ResolvesClientCert;
use rustls::sign::CertifiedKey;
use rustls::{SignatureScheme, SupportedProtocolVersion};

use super::until;
use super::visitor::{Traits, Visitor};
use super::world::{Authority, Directory, Front, Key, Signed, client_auth, settings};
use crate::config::{Demand, ListenerTls};
use crate::listener::tls::{Acceptor, Failure, Outcome, Subject};
use crate::net::tls::provider;

/// A front for `a.example`, and the authority of its clients.
struct World {
    directory: Directory,
    servers: Authority,
    clients: Authority,
    settings: ListenerTls,
}

impl World {
    fn new() -> Self {
        let directory = Directory::new();
        let servers = Authority::new("servers");
        let files = directory.put("a", &servers.sign(&["a.example"], Key::Ecdsa));
        let clients = Authority::new("clients");
        directory.write("clients.pem", clients.certificate.pem());
        Self { directory, servers, clients, settings: settings(vec![files]) }
    }

    /// With the CRLs `crls`, if there are any.
    async fn front(&mut self, demand: Demand, crls: &[String]) -> Front {
        let paths: Vec<_> =
            (0..crls.len()).map(|at| self.directory.path(&format!("{at}.crl"))).collect();
        for (path, crl) in paths.iter().zip(crls) {
            std::fs::write(path, crl).expect("written");
        }
        let paths: Vec<_> = paths.iter().map(|path| path.as_path()).collect();
        self.settings.client_auth =
            client_auth(&self.directory.path("clients.pem"), &paths, demand);
        Front::open(&self.settings).await
    }

    fn visitor(&self, certificate: Option<&Signed>) -> Visitor {
        Visitor::new(&self.servers, Traits { certificate, ..Traits::default() })
    }

    fn speaking(
        &self,
        version: &'static &'static SupportedProtocolVersion,
        certificate: &Signed,
    ) -> Visitor {
        let versions = Some(from_ref(version));
        let certificate = Some(certificate);
        Visitor::new(&self.servers, Traits { versions, certificate, ..Traits::default() })
    }
}

/// The certificate of a client, number `serial` of its authority.
fn client(authority: &Authority, serial: u64) -> Signed {
    authority.sign_with(&[], Key::Ecdsa, |params| numbered(params, serial))
}

fn numbered(params: &mut CertificateParams, serial: u64) {
    params.serial_number = Some(SerialNumber::from(serial));
    params.distinguished_name.push(DnType::CommonName, format!("client {serial}"));
}

#[tokio::test]
async fn clients_are_asked_let_in_and_refused_as_configured() {
    let mut world = World::new();
    let good = client(&world.clients, 1);
    let strange = client(&Authority::new("strangers"), 1);
    let expired = world.clients.sign_with(&[], Key::Ecdsa, |params| {
        params.not_after = date_time_ymd(2001, 1, 1);
    });
    let off = Front::open(&world.settings).await;
    let optional = world.front(Demand::Optional, &[]).await;
    let required = world.front(Demand::Required, &[]).await;
    // Expected: whether the client's certificate is told, or the alert that the client gets.
    for (front, mode, certificate, expected) in [
        (&off, "off", None, Ok(false)),
        (&off, "off", Some(&good), Ok(false)),
        (&optional, "optional", None, Ok(false)),
        (&optional, "optional", Some(&good), Ok(true)),
        (&optional, "optional", Some(&strange), Err("UnknownCA")),
        (&required, "required", None, Err("CertificateRequired")),
        (&required, "required", Some(&good), Ok(true)),
        (&required, "required", Some(&strange), Err("UnknownCA")),
        (&required, "required", Some(&expired), Err("CertificateExpired")),
    ] {
        let (met, served) = front.meet(&world.visitor(certificate), "a.example").await;
        match (expected, served) {
            (Ok(expected), Ok((_, secured))) => {
                let subject = secured.client.map(|client| client.subject);
                assert_eq!(subject.is_some(), expected, "{mode}: {subject:?}");
                assert!(subject.is_none_or(|told| told.contains("client 1")), "{mode}: who it is");
            }
            (Err(alert), Err(Failure::Rejected(_))) => {
                let told = met.expect_err("refused");
                assert!(told.contains(alert), "{mode}: {told}");
            }
            (expected, served) => panic!("{mode}: {expected:?}, but {served:?}"),
        }
    }
}

#[tokio::test]
async fn a_client_is_known_in_resumed_sessions_too() {
    let mut world = World::new();
    let signed = client(&world.clients, 7);
    let front = world.front(Demand::Required, &[]).await;
    for version in rustls::ALL_VERSIONS {
        let visitor = world.speaking(version, &signed);
        let first = front.greet(&visitor, "a.example").await;
        let again = front.greet(&visitor, "a.example").await;
        assert!(again.resumed && !first.resumed, "{:?}: resumed", version.version);
        assert!(first.client.is_some(), "{:?}: known", version.version);
        assert_eq!(again.client, first.client, "{:?}: the same client", version.version);
    }
}

#[tokio::test]
async fn a_revoked_certificate_is_refused_and_no_other() {
    let mut world = World::new();
    let (revoked, good) = (client(&world.clients, 1), client(&world.clients, 2));
    let strangers = Authority::new("strangers");
    let current = world.clients.revoke(&[1], 3000);
    let late = world.clients.revoke(&[1], 2001);
    let of_others = strangers.revoke(&[1, 2], 3000);
    for (crls, what, is_refused) in [
        (&[][..], "no CRL", false),
        (from_ref(&current), "a CRL", true),
        (from_ref(&late), "a CRL that should have been renewed", true),
        (from_ref(&of_others), "a CRL of somebody else", false),
        (&[of_others.clone(), current.clone()], "both", true),
    ] {
        let front = world.front(Demand::Required, crls).await;
        front.greet(&world.visitor(Some(&good)), "a.example").await;
        let (met, served) = front.meet(&world.visitor(Some(&revoked)), "a.example").await;
        assert_eq!(served.is_err(), is_refused, "{what}: {served:?}");
        let told = met.err().unwrap_or_default();
        assert_eq!(told.contains("CertificateRevoked"), is_refused, "{what}: {told}");
    }
}

#[tokio::test]
async fn an_old_session_does_not_get_around_a_new_revocation() {
    let mut world = World::new();
    let signed = client(&world.clients, 1);
    let nobody = world.clients.revoke(&[], 3000);
    for version in rustls::ALL_VERSIONS {
        let front = world.front(Demand::Required, from_ref(&nobody)).await;
        let visitor = world.speaking(version, &signed);
        front.greet(&visitor, "a.example").await;
        assert!(front.greet(&visitor, "a.example").await.resumed, "not revoked");
        let unchanged = front.acceptor.reload();
        assert!(unchanged.iter().all(|one| one.outcome == Outcome::Unchanged), "{unchanged:?}");
        assert!(front.greet(&visitor, "a.example").await.resumed, "nothing has changed");

        world.directory.write("0.crl", world.clients.revoke(&[1], 3000));
        let renewed = front.acceptor.reload().pop().expect("of clients");
        assert_eq!(renewed.subject, Subject::Clients, "it comes last");
        assert_eq!(renewed.outcome, Outcome::ClientsRenewed, "the CRL is new");
        let (met, served) = front.meet(&visitor, "a.example").await;
        assert!(met.is_err(), "{:?}: revoked", version.version);
        assert!(matches!(served, Err(Failure::Rejected(_))), "{:?}: {served:?}", version.version);
    }
}

#[tokio::test]
async fn an_old_session_is_not_resumed_when_its_authority_is_gone() {
    let mut world = World::new();
    let signed = client(&world.clients, 1);
    let front = world.front(Demand::Optional, &[]).await;
    let (visitor, anonymous) = (world.visitor(Some(&signed)), world.visitor(None));
    for visitor in [&visitor, &anonymous] {
        front.greet(visitor, "a.example").await;
        assert!(front.greet(visitor, "a.example").await.resumed, "the authority is there");
    }
    let others = Authority::new("others");
    world.directory.write("clients.pem", others.certificate.pem());
    front.acceptor.reload();
    let (_, served) = front.meet(&visitor, "a.example").await;
    assert!(matches!(served, Err(Failure::Rejected(_))), "{served:?}");
    assert!(!front.greet(&anonymous, "a.example").await.resumed, "no ticket from before opens");
    let newcomer = client(&others, 1);
    let secured = front.greet(&world.visitor(Some(&newcomer)), "a.example").await;
    assert!(secured.client.is_some(), "the new authority is there");
}

#[tokio::test]
async fn a_session_does_not_outlive_the_certificate_that_it_began_with() {
    let mut world = World::new();
    let front = world.front(Demand::Required, &[]).await;
    for version in rustls::ALL_VERSIONS {
        let end = SystemTime::now() + Duration::from_secs(2);
        let short =
            world.clients.sign_with(&[], Key::Ecdsa, |params| params.not_after = end.into());
        let visitor = world.speaking(version, &short);
        front.greet(&visitor, "a.example").await;
        assert!(front.greet(&visitor, "a.example").await.resumed, "{:?}: good", version.version);
        // A certificate is valid until the end of its last second.
        until("expired", || SystemTime::now() >= end + Duration::from_secs(1)).await;
        let (_, served) = front.meet(&visitor, "a.example").await;
        let Err(Failure::Rejected(reason)) = served else {
            panic!("{:?}: {served:?}", version.version);
        };
        assert!(reason.contains("session from before"), "{:?}: {reason}", version.version);
        assert!(reason.contains("expired"), "{:?}: {reason}", version.version);
    }
}

/// The certificate that a client shows, which it may renew.
#[derive(Debug)]
struct Wallet(Mutex<Arc<CertifiedKey>>);

impl Wallet {
    fn put(&self, signed: &Signed) {
        *self.0.lock() = key(signed);
    }
}

impl ResolvesClientCert for Wallet {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0.lock()))
    }

    fn has_certs(&self) -> bool {
        true
    }
}

fn key(signed: &Signed) -> Arc<CertifiedKey> {
    let key = CertifiedKey::from_der(vec![signed.der()], signed.key_der(), &provider());
    Arc::new(key.expect("a certificate and its key"))
}

#[tokio::test]
async fn a_client_that_renewed_its_certificate_is_not_locked_out_by_its_sessions() {
    let mut world = World::new();
    let front = world.front(Demand::Required, &[]).await;
    for version in rustls::ALL_VERSIONS {
        let end = SystemTime::now() + Duration::from_secs(2);
        let short = world.clients.sign_with(&[], Key::Ecdsa, |params| {
            numbered(params, 1);
            params.not_after = end.into();
        });
        let wallet = Arc::new(Wallet(Mutex::new(key(&short))));
        let mut visitor = world.speaking(version, &short);
        visitor.config.client_auth_cert_resolver = Arc::clone(&wallet) as _;
        let other = world.speaking(version, &client(&world.clients, 3));
        front.greet(&visitor, "a.example").await;
        front.greet(&other, "a.example").await;
        wallet.put(&client(&world.clients, 2));
        assert!(front.greet(&visitor, "a.example").await.resumed, "{:?}", version.version);
        until("expired", || SystemTime::now() >= end + Duration::from_secs(1)).await;

        let (met, served) = front.meet(&visitor, "a.example").await;
        assert!(served.is_err(), "{:?}: the session is over", version.version);
        let told = met.expect_err("refused");
        assert!(!told.contains("close_notify"), "{:?}: TLS is ended: {told}", version.version);
        let rules = front.acceptor.rules.load_full();
        for who in [&visitor, &other] {
            let secured = front.greet(who, "a.example").await;
            assert!(!secured.resumed, "{:?}: all begin anew", version.version);
            let subject = secured.client.expect("shown").subject;
            assert!(!subject.contains("client 1"), "{:?}: {subject}", version.version);
            assert!(front.greet(who, "a.example").await.resumed, "{:?}: again", version.version);
        }
        front.acceptor.reload();
        let after = front.acceptor.rules.load_full();
        assert!(Arc::ptr_eq(&rules, &after), "nothing but the sessions has changed");
    }
}

#[tokio::test]
async fn authorities_that_cannot_be_used_are_told_and_what_was_in_use_stays() {
    let mut world = World::new();
    let signed = client(&world.clients, 1);
    let front = world.front(Demand::Required, &[world.clients.revoke(&[], 3000)]).await;
    for (file, text) in [("clients.pem", "nonsense"), ("0.crl", "nonsense")] {
        let path = world.directory.path(file);
        let before = std::fs::read(&path).expect("there");
        world.directory.write(file, text);
        let error = Acceptor::new(&world.settings, true).err().expect("broken").to_string();
        let Outcome::Kept { error: told } = front.acceptor.reload().pop().expect("one").outcome
        else {
            panic!("{file}: it is broken");
        };
        assert_eq!(told, error, "{file}: the same words at the start and later");
        let clients = front.acceptor.clients().expect("clients are asked for certificates");
        assert_eq!(clients.path, world.directory.path("clients.pem"), "{file}");
        assert_eq!(clients.trouble.as_ref(), Some(&error), "{file}: as long as it is so");
        let reminder = clients.reminder().expect("once a day");
        assert!(reminder.contains(&error) && !reminder.contains('\n'), "{file}: {reminder}");
        assert!(told.contains(file) && !told.contains('\n'), "{file}: {told}");
        front.greet(&world.visitor(Some(&signed)), "a.example").await;
        std::fs::write(path, before).expect("written");
        front.acceptor.reload();
        let clients = front.acceptor.clients().expect("as before");
        assert_eq!((clients.trouble.as_ref(), clients.reminder()), (None, None), "{file}: mended");
    }
    world.settings.client_auth = None;
    let plain = Acceptor::new(&world.settings, true).expect("settings");
    assert_eq!(plain.clients(), None, "nobody is asked for a certificate");
}

/// A CRL that would lock everybody out, or let those in again who were revoked, is worse than the one in use.
#[tokio::test]
async fn a_worse_list_does_not_take_the_place_of_a_better_one() {
    let mut world = World::new();
    let (revoked, good) = (client(&world.clients, 1), client(&world.clients, 2));
    let front = world.front(Demand::Required, &[world.clients.revoke_in(2010, &[1], 3000)]).await;
    let impostor = Authority::new("clients");
    let strangers = Authority::new("strangers");
    for (list, reason, what) in [
        (impostor.revoke_in(2020, &[], 3000), "has not signed", "of a namesake"),
        (world.clients.revoke_in(2009, &[], 3000), "is of 2009-01-01", "an older one"),
        (strangers.revoke_in(2020, &[], 3000), "no CRL of CN=clients any more", "of another"),
    ] {
        world.directory.write("0.crl", list);
        let Outcome::Kept { error } = front.acceptor.reload().pop().expect("of clients").outcome
        else {
            panic!("{what}: it is worse");
        };
        assert!(error.contains(reason), "{what}: {error}");
        front.greet(&world.visitor(Some(&good)), "a.example").await;
        let (met, _) = front.meet(&world.visitor(Some(&revoked)), "a.example").await;
        assert!(met.is_err_and(|told| told.contains("CertificateRevoked")), "{what}");
    }
    world.directory.write("0.crl", world.clients.revoke_in(2011, &[2], 2012));
    let renewed = front.acceptor.reload().pop().expect("of clients").outcome;
    assert_eq!(renewed, Outcome::ClientsRenewed, "a newer one");
    let trouble = front.acceptor.clients().and_then(|clients| clients.trouble.clone());
    let trouble = trouble.expect("it should have been renewed");
    assert!(trouble.contains("was to be renewed by 2012-01-01"), "{trouble}");
}
