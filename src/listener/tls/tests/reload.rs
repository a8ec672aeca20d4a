//! New files, taken while connections are open.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use rcgen::{CertificateParams, date_time_ymd};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::spawn_blocking;

use super::super::source::Patience;
use super::until;
use super::visitor::{Visitor, shown};
use super::world::{Authority, Directory, Front, Key, Signed, settings};
use crate::listener::tls::{Acceptor, CertificateFacts, Outcome};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

fn expired(params: &mut CertificateParams) {
    params.not_after = date_time_ymd(2001, 1, 1);
}

fn early(params: &mut CertificateParams) {
    params.not_before = date_time_ymd(3000, 1, 1);
}

/// What a reload says of the only certificate.
fn reload(front: &Front) -> Outcome {
    let mut reloaded = front.acceptor.reload();
    assert_eq!(reloaded.len(), 1, "one entry for each certificate: {reloaded:?}");
    reloaded.remove(0).outcome
}

async fn is_shown(front: &Front, authority: &Authority, signed: &Signed) -> bool {
    let (met, _) = front.meet(&Visitor::trusting(authority), "a.example").await;
    shown(&met.expect("met")) == signed.der()
}

#[tokio::test]
async fn a_new_certificate_is_taken_and_open_connections_live_on() {
    let authority = Authority::new("friends");
    let directory = Directory::new();
    let old = authority.sign(&["a.example"], Key::Ecdsa);
    let front = Front::open(&settings(vec![directory.put("a", &old)])).await;
    let (met, served) = front.meet(&Visitor::trusting(&authority), "a.example").await;
    let (mut client, mut server) = (met.expect("met"), served.expect("served").0);
    assert_eq!(reload(&front), Outcome::Unchanged, "nothing is new");

    let new = authority.sign(&["a.example", "*.b.example"], Key::Rsa);
    directory.put("a", &new);
    let Outcome::Renewed { names, not_after } = reload(&front) else {
        panic!("there is a new one");
    };
    assert_eq!(names, ["a.example", "*.b.example"], "what it is for");
    let facts = front.acceptor.certificates();
    let expected =
        CertificateFacts { path: directory.path("a.pem"), names, not_after, trouble: None };
    assert_eq!(facts, [expected], "what the status shows");
    assert!(is_shown(&front, &authority, &new).await, "to those who come now");

    client.write_all(b"x").await.expect("open");
    assert_eq!(server.read_u8().await.expect("open"), b'x', "those who are there notice nothing");
}

#[tokio::test]
async fn what_cannot_be_used_is_not_taken() {
    let authority = Authority::new("friends");
    let directory = Directory::new();
    let good = authority.sign(&["a.example"], Key::Ecdsa);
    let other = directory.put("other", &authority.sign(&["a.example"], Key::Ecdsa));
    let read = |path: &std::path::Path| std::fs::read_to_string(path).expect("there");
    let paths: Vec<_> = other.paths().map(read).collect();
    let front = Front::open(&settings(vec![directory.put("a", &good)])).await;
    for (file, text, what) in [
        ("a.key", &*paths[1], "a key of another certificate"),
        ("a.pem", &*paths[0], "a certificate of another key"),
        ("a.pem", "", "an empty file"),
        ("a.pem", "-----BEGIN CERTIFICATE-----\nMIIB", "half a file"),
        ("a.key", "nonsense", "nonsense"),
    ] {
        directory.write(file, text);
        let Outcome::Kept { error } = reload(&front) else {
            panic!("{what}: it cannot be used");
        };
        assert!(error.contains(file) && !error.contains('\n'), "{what}: {error}");
        let trouble = front.acceptor.certificates().remove(0).trouble;
        assert_eq!(trouble, Some(error), "{what}: the status shows it");
        assert!(is_shown(&front, &authority, &good).await, "{what}: the old one is good");
        directory.put("a", &good);
        assert_eq!(reload(&front), Outcome::Unchanged, "{what}: as it was");
        assert_eq!(front.acceptor.certificates()[0].trouble, None, "{what}: no trouble");
    }
    std::fs::remove_file(directory.path("a.pem")).expect("gone");
    assert!(matches!(reload(&front), Outcome::Kept { .. }), "a file that is gone");
}

#[tokio::test]
async fn one_that_is_not_valid_now_does_not_take_the_place_of_one_that_is() {
    let authority = Authority::new("friends");
    let sign = |change: fn(&mut CertificateParams)| {
        authority.sign_with(&["a.example"], Key::Ecdsa, change)
    };
    let (good, over, next) = (sign(|_| ()), sign(expired), sign(early));
    for (old, new, is_taken, what) in [
        (&good, &over, false, "expired in the place of valid"),
        (&good, &next, false, "not yet valid in the place of valid"),
        (&over, &good, true, "valid in the place of expired"),
        (&over, &next, true, "not yet valid in the place of expired"),
    ] {
        let directory = Directory::new();
        let front = Front::open(&settings(vec![directory.put("a", old)])).await;
        directory.put("a", new);
        let outcome = reload(&front);
        assert_eq!(matches!(outcome, Outcome::Renewed { .. }), is_taken, "{what}: {outcome:?}");
        if let Outcome::Kept { error } = outcome {
            assert!(error.contains("is valid from"), "{what}: {error}");
        }
    }
}

#[tokio::test]
async fn a_new_certificate_that_becomes_valid_is_taken_then() {
    let authority = Authority::new("friends");
    let directory = Directory::new();
    let old = authority.sign(&["a.example"], Key::Ecdsa);
    let front = Front::open(&settings(vec![directory.put("a", &old)])).await;
    let start = SystemTime::now() + Duration::from_secs(2);
    let new =
        authority.sign_with(&["a.example"], Key::Ecdsa, |params| params.not_before = start.into());
    directory.put("a", &new);
    let mut taken = Outcome::Unchanged;
    until("its time has come", || {
        taken = reload(&front);
        matches!(taken, Outcome::Renewed { .. })
    })
    .await;
    let tolerance = Duration::from_secs(1);
    assert!(SystemTime::now() + tolerance >= start, "not before, but for the fraction of a second");
}

/// What may go wrong with files that stay as they are, but for their mode.
#[tokio::test]
async fn trouble_of_a_certificate_in_use_is_told() {
    let authority = Authority::new("friends");
    let directory = Directory::new();
    let leaf = authority.sign(&["a.example"], Key::Ecdsa);
    let files = directory.put("a", &leaf);
    let issuer = authority.sign_with(&[], Key::Ecdsa, |params| {
        params.not_after = (SystemTime::now() + 9 * DAY).into();
    });
    directory.write("a.pem", leaf.pem() + &issuer.pem());
    let front = Front::open(&settings(vec![files])).await;
    let trouble = || front.acceptor.certificates().remove(0).trouble.expect("it is told");
    assert!(trouble().starts_with("certificate 2 expires on "), "{}", trouble());
    assert!(!trouble().contains("a.key"), "{}", trouble());
    #[cfg(unix)]
    {
        use super::world::set_mode;
        set_mode(&directory.path("a.key"), 0o644);
        assert_eq!(reload(&front), Outcome::Unchanged, "what is in the file is the same");
        let told = "a.key: every user of this machine may read the private key";
        assert!(trouble().ends_with(told), "{}", trouble());
        set_mode(&directory.path("a.key"), 0o600);
        reload(&front);
        assert!(!trouble().contains("a.key"), "{}", trouble());
    }
}

#[tokio::test]
async fn one_broken_certificate_does_not_keep_others_from_being_renewed() {
    let authority = Authority::new("friends");
    let directory = Directory::new();
    let files: Vec<_> = ["a", "b"]
        .map(|name| directory.put(name, &authority.sign(&["a.example"], Key::Ecdsa)))
        .into();
    let front = Front::open(&settings(files)).await;
    directory.write("a.pem", "nonsense");
    directory.put("b", &authority.sign(&["b.example"], Key::Ecdsa));
    let reloaded = front.acceptor.reload();
    assert!(matches!(reloaded[0].outcome, Outcome::Kept { .. }), "{reloaded:?}");
    assert!(matches!(reloaded[1].outcome, Outcome::Renewed { .. }), "{reloaded:?}");
    let names: Vec<_> = front.acceptor.certificates().into_iter().map(|one| one.names).collect();
    assert_eq!(names, [["a.example"], ["b.example"]], "what is in use");
}

/// Clients that come while certificates are exchanged, and how many came.
struct Crowd {
    is_over: AtomicBool,
    met: AtomicUsize,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_new_certificates_fail_no_handshake() {
    let authority = Authority::new("friends");
    let directory = Directory::new();
    let signed = [(); 3].map(|()| authority.sign(&["a.example"], Key::Ecdsa));
    let settings = settings(vec![directory.put("a", &signed[0])]);
    let acceptor = Arc::new(Acceptor::new(&settings, true).expect("settings"));
    let crowd = Arc::new(Crowd { is_over: AtomicBool::new(false), met: AtomicUsize::new(0) });
    let mut clients = Vec::new();
    for _ in 0..4 {
        let front = Front::sharing(Arc::clone(&acceptor)).await;
        let (crowd, visitor) = (Arc::clone(&crowd), Visitor::trusting(&authority));
        let mut stranger = visitor.clone();
        stranger.config.resumption = rustls::client::Resumption::disabled();
        clients.push(tokio::spawn(async move {
            while !crowd.is_over.load(Ordering::Relaxed) {
                for visitor in [&visitor, &stranger] {
                    front.greet(visitor, "a.example").await;
                    crowd.met.fetch_add(1, Ordering::Relaxed);
                }
            }
        }));
    }
    let reloading = Arc::clone(&acceptor);
    let watched = Arc::clone(&crowd);
    let renewed = spawn_blocking(move || {
        let mut renewed = 0;
        for round in 1..=100 {
            directory.put("a", &signed[round % 3]);
            let before = watched.met.load(Ordering::Relaxed);
            renewed +=
                usize::from(matches!(reloading.reload()[0].outcome, Outcome::Renewed { .. }));
            while watched.met.load(Ordering::Relaxed) == before {
                std::thread::yield_now();
            }
        }
        renewed
    });
    assert_eq!(renewed.await.expect("no panic"), 100, "each was new");
    crowd.is_over.store(true, Ordering::Relaxed);
    for client in clients {
        client.await.expect("no handshake failed");
    }
    assert!(crowd.met.load(Ordering::Relaxed) >= 100, "handshakes between all of them");
}

#[tokio::test]
async fn half_of_a_change_is_not_told() {
    let authority = Authority::new("friends");
    let directory = Directory::new();
    let old = authority.sign(&["a.example"], Key::Ecdsa);
    let acceptor =
        Acceptor::new(&settings(vec![directory.put("a", &old)]), true).expect("settings");
    let look = || acceptor.look(Patience::UntilFoundTwice).remove(0).outcome;
    let new = directory.put("new", &authority.sign(&["b.example"], Key::Ecdsa));
    let copy = |from: &str, to: &str| {
        std::fs::copy(directory.path(from), directory.path(to)).expect("copied");
    };
    copy("new.pem", "a.pem");
    assert_eq!(look(), Outcome::Unchanged, "the key may be on its way");
    copy("new.key", "a.key");
    assert_eq!(look(), Outcome::Unchanged, "it may be half a file still");
    assert!(matches!(look(), Outcome::Renewed { .. }), "here it is: {new:?}");

    directory.write("a.key", "nonsense");
    assert_eq!(look(), Outcome::Unchanged, "it may be half of what is to come");
    assert!(matches!(look(), Outcome::Kept { .. }), "it is not");
    assert_eq!(look(), Outcome::Unchanged, "that was told");
}

#[tokio::test(start_paused = true)]
async fn new_files_are_found_without_being_told() {
    let authority = Authority::new("friends");
    let directory = Directory::new();
    let old = authority.sign(&["a.example"], Key::Ecdsa);
    let acceptor =
        Acceptor::new(&settings(vec![directory.put("a", &old)]), true).expect("settings");
    let acceptor = Arc::new(acceptor);
    let watch = tokio::spawn(Arc::clone(&acceptor).watch());
    for name in ["b.example", "c.example"] {
        directory.put("a", &authority.sign(&[name], Key::Ecdsa));
        until_shown(&acceptor, |facts| facts.names == [name]).await;
    }
    directory.write("a.key", "nonsense");
    until_shown(&acceptor, |facts| facts.trouble.is_some()).await;
    watch.abort();
}

/// Waits until the only certificate is as `is` says, in at most three looks.
async fn until_shown(acceptor: &Acceptor, is: impl Fn(&CertificateFacts) -> bool) {
    for _ in 0..70 {
        if is(&acceptor.certificates()[0]) {
            return;
        }
        // The clock stands still while the files are read.
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("not found in time: {:?}", acceptor.certificates());
}

#[test]
fn what_expires_soon_is_told() {
    let now = SystemTime::UNIX_EPOCH + DAY * 20_000;
    let facts = |not_after| CertificateFacts {
        path: "a.pem".into(),
        names: vec!["a.example".to_owned(), "*.a.example".to_owned()],
        not_after,
        trouble: None,
    };
    let second = Duration::from_secs(1);
    for (not_after, expected) in [
        (now + DAY * 30 + second, None),
        (
            now + DAY * 30,
            Some(
                "Certificate expires soon: file=a.pem names=a.example,*.a.example expires=2024-11-03T00:00:00Z",
            ),
        ),
        (
            now,
            Some(
                "Certificate expires soon: file=a.pem names=a.example,*.a.example expires=2024-10-04T00:00:00Z",
            ),
        ),
        (
            now - second,
            Some(
                "Certificate has expired: file=a.pem names=a.example,*.a.example expires=2024-10-03T23:59:59Z",
            ),
        ),
    ] {
        let told: Vec<_> = facts(not_after).reminders(now).collect();
        assert_eq!(told, Vec::from_iter(expected), "{not_after:?}");
    }
    let troubled =
        CertificateFacts { trouble: Some("a.pem: is empty".into()), ..facts(now + DAY * 99) };
    let told: Vec<_> = troubled.reminders(now).collect();
    assert_eq!(told, ["Certificate in trouble: file=a.pem a.pem: is empty"], "what is wrong");
}
