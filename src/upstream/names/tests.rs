//! Against a name server on loopback whose answers change.

mod dns;

use hickory_resolver::Hosts;
use hickory_resolver::proto::rr::Name;
use parking_lot::Mutex;
use tokio::time::timeout;
use tokio_util::task::AbortOnDropHandle;

use super::*;
use crate::config;
use dns::{NameServer, Says, Type};
use resolver::listed;

/// Longer than anything here takes, even when a name server keeps silent.
const LONG: Duration = Duration::from_secs(60);
/// Fast enough to see many answers.
const QUICK: Pace = Pace {
    soonest: Duration::from_millis(5),
    latest: Duration::from_millis(10),
    retry: Duration::from_millis(5),
    max_retry: Duration::from_millis(10),
};

/// The addresses on it, and all that happened to it.
#[derive(Debug, Clone, Default)]
struct Notes(Arc<Mutex<(BTreeSet<SocketAddr>, Vec<String>)>>);

impl Roster for Notes {
    fn join(&self, address: SocketAddr) {
        let (held, events) = &mut *self.0.lock();
        assert!(held.insert(address), "{address} joins twice");
        events.push(format!("+{}", address.ip()));
    }

    fn leave(&self, address: SocketAddr) {
        let (held, events) = &mut *self.0.lock();
        assert!(held.remove(&address), "{address} leaves twice");
        events.push(format!("-{}", address.ip()));
    }
}

impl Notes {
    fn take_events(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().1)
    }

    fn held(&self) -> Vec<String> {
        self.0.lock().0.iter().map(ToString::to_string).collect()
    }
}

struct Kept {
    notes: Notes,
    state: Arc<NameState>,
    _keeping: AbortOnDropHandle<()>,
}

fn keep_with(pace: Pace, host: &str, servers: Vec<SocketAddr>) -> Kept {
    let (notes, state) = (Notes::default(), Arc::<NameState>::default());
    let keeper = Keeper {
        resolver: Resolver::new(&config::Resolver { servers }),
        host: host.to_owned(),
        port: 8000,
        roster: notes.clone(),
        state: Arc::clone(&state),
        pace,
        held: BTreeSet::new(),
        failures: 0,
    };
    let keeping = AbortOnDropHandle::new(tokio::spawn(keeper.run()));
    Kept { notes, state, _keeping: keeping }
}

impl Kept {
    async fn until(&self, what: &str, check: impl Fn(&Known) -> bool) -> Known {
        let mut changes = self.state.0.subscribe();
        let seen = timeout(LONG, changes.wait_for(check)).await;
        seen.unwrap_or_else(|_| panic!("{what}: not in time")).expect("it is kept").clone()
    }

    /// Waits for two more answers: the first may have been on its way.
    async fn asked_twice(&self) {
        let mut changes = self.state.0.subscribe();
        for which in ["one", "another"] {
            let answer = timeout(LONG, changes.changed()).await;
            answer.unwrap_or_else(|_| panic!("{which} answer: not in time")).expect("it is kept");
        }
    }
}

fn ips(texts: &[&str]) -> Vec<IpAddr> {
    texts.iter().map(|text| text.parse().expect("an address")).collect()
}

fn records(texts: &[&str]) -> Says {
    Says::Records(ips(texts), 0)
}

#[tokio::test]
async fn addresses_come_and_go_as_the_name_server_says() {
    let server = NameServer::start().await;
    server.says(Type::A, records(&["192.0.2.2", "192.0.2.1", "192.0.2.1"]));
    server.says(Type::Aaaa, records(&["2001:db8::1"]));
    let kept = keep_with(QUICK, "app_1.internal", vec![server.address()]);
    timeout(LONG, kept.state.asked()).await.expect("asked");
    assert_eq!(kept.state.known().trouble, None, "it resolves");
    assert_eq!(kept.notes.take_events(), ["+192.0.2.1", "+192.0.2.2", "+2001:db8::1"], "at first");
    assert_eq!(
        kept.notes.held(),
        ["192.0.2.1:8000", "192.0.2.2:8000", "[2001:db8::1]:8000"],
        "with the port"
    );
    let steps: [(Type, &[&str], &[&str]); 4] = [
        (Type::A, &["192.0.2.1", "192.0.2.3"], &["+192.0.2.3", "-192.0.2.2"]),
        (Type::Aaaa, &[], &["-2001:db8::1"]),
        (Type::A, &["192.0.2.3", "192.0.2.1"], &[]),
        (Type::A, &["192.0.2.9", "0.0.0.0"], &["+192.0.2.9", "-192.0.2.1", "-192.0.2.3"]),
    ];
    for (about, says, events) in steps {
        server.says(about, records(says));
        kept.asked_twice().await;
        assert_eq!(kept.notes.take_events(), events, "after {about:?} {says:?}");
    }
    let known = kept.state.known();
    assert_eq!(known.addresses, ips(&["192.0.2.9"]), "in the status");
    assert_eq!(known.trouble, None, "it resolves");
    assert!(server.questions().iter().all(|name| name == "app_1.internal."), "as it was written");
}

#[tokio::test]
async fn a_name_that_stops_resolving_keeps_its_addresses() {
    let server = NameServer::start().await;
    let kept = keep_with(QUICK, "app.internal", vec![server.address()]);
    let known = kept.until("asked", |known| known.next_try.is_some()).await;
    assert_eq!(known.trouble.as_deref(), Some("there is no such name"), "from the start");
    let fine = || {
        server.says(Type::A, records(&["192.0.2.1"]));
        server.says(Type::Aaaa, records(&[]));
    };
    let failures: [(Says, &str); 4] = [
        (Says::NoSuchName, "there is no such name"),
        (records(&[]), "the name has no addresses"),
        (records(&["0.0.0.0"]), "the name has no addresses"),
        (Says::ServerFailure, "the name servers answered with an error: Server Failure"),
    ];
    for (failure, reason) in failures {
        fine();
        kept.until(reason, |known| known.trouble.is_none() && !known.addresses.is_empty()).await;
        kept.notes.take_events();
        server.says(Type::A, failure.clone());
        server.says(
            Type::Aaaa,
            match failure {
                Says::Records(..) => records(&[]),
                other => other,
            },
        );
        let known = kept.until(reason, |known| known.trouble.is_some()).await;
        assert_eq!(known.trouble.as_deref(), Some(reason), "in the status");
        assert_eq!(known.addresses, ips(&["192.0.2.1"]), "{reason}: kept");
        kept.asked_twice().await;
        assert_eq!(kept.notes.take_events(), [""; 0], "{reason}: nobody comes or goes");
    }
    fine();
    kept.until("recovery", |known| known.trouble.is_none()).await;
    assert_eq!(kept.notes.held(), ["192.0.2.1:8000"], "the same worker");
}

#[tokio::test]
async fn half_an_answer_takes_no_workers_away() {
    let server = NameServer::start().await;
    server.says(Type::A, records(&["192.0.2.1"]));
    server.says(Type::Aaaa, records(&["2001:db8::1"]));
    let kept = keep_with(QUICK, "app.internal", vec![server.address()]);
    kept.until("both", |known| known.addresses.len() == 2).await;
    kept.notes.take_events();
    server.says(Type::A, Says::ServerFailure);
    server.says(Type::Aaaa, records(&["2001:db8::2"]));
    kept.asked_twice().await;
    assert_eq!(kept.notes.take_events(), ["+2001:db8::2", "-2001:db8::1"], "only what was said");
    server.says(Type::A, Says::NoSuchName);
    kept.asked_twice().await;
    assert_eq!(kept.notes.take_events(), ["-192.0.2.1"], "now it is certain");
}

#[tokio::test(start_paused = true)]
async fn a_silent_name_server_is_given_up_in_time() {
    let server = NameServer::start().await;
    server.says(Type::A, Says::Nothing);
    server.says(Type::Aaaa, Says::Nothing);
    let resolver = Resolver::new(&config::Resolver { servers: vec![server.address()] });
    let asked = Instant::now();
    let error = resolver.ask("app.internal", &BTreeSet::new()).await.expect_err("silence");
    assert!(matches!(error, Unresolved::TimedOut), "{error:?}");
    assert!(asked.elapsed() < Duration::from_secs(20), "after {:?}", asked.elapsed());
}

#[tokio::test]
async fn localhost_needs_no_name_server() {
    let server = NameServer::start().await;
    server.says(Type::A, records(&["192.0.2.1"]));
    for servers in [vec![], vec![server.address()]] {
        let kept = keep_with(PACE, "localhost", servers.clone());
        timeout(LONG, kept.state.asked()).await.expect("asked");
        let held = kept.notes.held();
        assert!(held.contains(&"127.0.0.1:8000".to_owned()), "{servers:?}: {held:?}");
        assert!(!held.contains(&"192.0.2.1:8000".to_owned()), "{servers:?}: {held:?}");
    }
    assert_eq!(server.questions(), [""; 0], "nothing was asked");
}

#[test]
fn the_hosts_file_has_the_last_word() {
    let text =
        "192.0.2.1 app.internal App\n192.0.2.2 app.internal # app\n2001:db8::1 six.internal\n";
    let mut hosts = Hosts::default();
    hosts.read_hosts_conf(text.as_bytes()).expect("read");
    let cases: [(&str, &[&str]); 5] = [
        ("app.internal", &["192.0.2.1", "192.0.2.2"]),
        ("APP.internal.", &["192.0.2.1", "192.0.2.2"]),
        ("app", &["192.0.2.1"]),
        ("six.internal", &["2001:db8::1"]),
        ("other.internal", &[]),
    ];
    for (name, expected) in cases {
        let found = listed(&hosts, &Name::from_ascii(name).expect("a name"));
        assert_eq!(Vec::from_iter(found), ips(expected), "{name}");
    }
}

#[test]
fn questions_come_as_often_as_their_ttl_within_bounds() {
    let notes = Notes::default();
    let mut keeper = Keeper {
        resolver: Resolver::new(&config::Resolver { servers: Vec::new() }),
        host: "app.internal".to_owned(),
        port: 1,
        roster: notes,
        state: Arc::default(),
        pace: PACE,
        held: BTreeSet::new(),
        failures: 0,
    };
    for (ttl, expected) in [(0, 1), (1, 1), (60, 60), (300, 300), (86_400, 300)] {
        let found = Found { addresses: BTreeSet::new(), ttl: Duration::from_secs(ttl) };
        assert_eq!(keeper.resolved(found), Duration::from_secs(expected), "TTL {ttl}");
    }
    for (n, most) in [1, 2, 4, 8, 16, 30, 30, 30].into_iter().enumerate() {
        let pause = keeper.unresolved(&Unresolved::TimedOut).as_secs_f64();
        let most = f64::from(most);
        assert!((most * 0.75..=most).contains(&pause), "failure {n}: {pause} s of {most}");
    }
    keeper.resolved(Found { addresses: BTreeSet::new(), ttl: Duration::ZERO });
    assert!(keeper.unresolved(&Unresolved::TimedOut) <= Duration::from_secs(1), "from the start");
}

#[test]
fn workers_are_named_after_the_server_and_their_address() {
    for (address, expected) in [
        ("192.0.2.1:8000", "app.internal:8000@192.0.2.1"),
        ("[2001:db8::1]:8000", "app.internal:8000@2001:db8::1"),
    ] {
        let address = address.parse().expect("an address");
        assert_eq!(worker_name("app.internal", address), expected);
    }
}
