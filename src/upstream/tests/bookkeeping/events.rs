//! What happens to an upstream, in any order.

use std::net::Ipv4Addr;

use proptest::prelude::*;
use proptest::sample::Index;

use crate::upstream::{Check, Client, End, Keeping, Mark};

/// Names of workers.
pub const NAMES: [&str; 3] = ["1", "2", "3"];
/// Client connections that some connections are kept for.
const CLIENTS: u64 = 2;
/// Events of a run at most.
const MOST: usize = 60;

/// One event. Whom it is about is drawn from those that there are; when there are none, nothing happens.
#[derive(Debug, Clone)]
pub enum Event {
    /// A worker joins, in the place of the one with its name if there is one.
    Join {
        name: Index,
        supervised: bool,
        rising: bool,
    },
    /// Any generation of a worker leaves; one that is gone already leaves again.
    Leave(Index),
    Mark {
        worker: Index,
        mark: Mark,
        on: bool,
    },
    /// A request comes.
    Acquire(Asked),
    /// It is made again.
    AcquireAgain(Asked),
    Wait {
        asked: Asked,
        end: End,
    },
    /// One that waits does so no more.
    GiveUp(Index),
    Forgive(Index),
    /// A request gets a connection: one that was kept, or a new one.
    Connect {
        request: Index,
        keeping: Keeping,
        check: Check,
    },
    Finish {
        request: Index,
        then: Then,
        check: Check,
    },
    /// A request gives its slot back, and the first in line gives up before it sees that it has it.
    FinishUnseen(Index),
    /// A connection is opened that no request wants any more.
    ComesLate {
        worker: Index,
        check: Check,
    },
    /// A client connection ends.
    Forget(u64),
    /// A worker does something to a connection that makes it unfit for another request.
    Spoil {
        connection: Index,
        how: Spoilt,
    },
    /// So many seconds go by.
    Pass(u64),
    Sweep,
    RaiseHope,
    GiveUpHope,
    /// All workers leave.
    Close,
}

/// What becomes of a connection after its request.
#[derive(Debug, Clone, Copy)]
pub enum Then {
    Park(Keeping),
    /// The worker knows its client by it, and it is put aside for anybody all the same.
    ParkBound,
    Close,
}

/// What a worker did to a connection.
#[derive(Debug, Clone, Copy)]
pub enum Spoilt {
    Closed,
    /// It sent something that nobody had asked for.
    Unasked,
}

/// What a request asks for, among what there is when it comes.
#[derive(Debug, Clone)]
pub struct Asked {
    pub key: Option<u8>,
    pub belongs_to: Option<Index>,
    pub tried: Vec<Index>,
    pub avoided: Option<Index>,
}

fn one() -> impl Strategy<Value = Index> {
    any::<Index>()
}

fn sometimes<T: std::fmt::Debug>(
    what: impl Strategy<Value = T>,
) -> impl Strategy<Value = Option<T>> {
    prop::option::weighted(0.3, what)
}

fn any_check() -> impl Strategy<Value = Check> {
    prop_oneof![Just(Check::Notes), Just(Check::Kernel)]
}

fn any_keeping() -> impl Strategy<Value = Keeping> {
    let address = prop_oneof![Just(None), Just(Some(Ipv4Addr::LOCALHOST.into()))];
    let client = (0..CLIENTS, address)
        .prop_map(|(connection, address)| Keeping::Client(Client { connection, address }));
    prop_oneof![4 => Just(Keeping::Anybody), 1 => client]
}

/// By a request that has not been anywhere.
fn any_first() -> impl Strategy<Value = Asked> {
    let asked = |(key, belongs_to)| Asked { key, belongs_to, tried: Vec::new(), avoided: None };
    (sometimes(any::<u8>()), sometimes(one())).prop_map(asked)
}

/// By one that has been somewhere in vain.
fn any_again() -> impl Strategy<Value = Asked> {
    let tried = prop::collection::vec(one(), 1..3);
    let been = prop_oneof![
        2 => (tried, sometimes(one())),
        1 => one().prop_map(|avoided| (Vec::new(), Some(avoided))),
    ];
    (any_first(), been).prop_map(|(first, (tried, avoided))| Asked { tried, avoided, ..first })
}

fn any_request() -> impl Strategy<Value = Event> {
    let wait = |end| move |asked| Event::Wait { asked, end };
    prop_oneof![
        6 => any_first().prop_map(Event::Acquire),
        2 => any_again().prop_map(Event::AcquireAgain),
        6 => any_first().prop_map(wait(End::Back)),
        2 => any_again().prop_map(wait(End::Front)),
        2 => one().prop_map(Event::GiveUp),
        1 => one().prop_map(Event::Forgive),
        2 => one().prop_map(Event::FinishUnseen),
    ]
}

fn any_exchange() -> impl Strategy<Value = Event> {
    let then = prop_oneof![
        7 => any_keeping().prop_map(Then::Park),
        1 => Just(Then::ParkBound),
        1 => Just(Then::Close),
    ];
    let how = prop_oneof![Just(Spoilt::Closed), Just(Spoilt::Unasked)];
    prop_oneof![
        8 => (one(), any_keeping(), any_check())
            .prop_map(|(request, keeping, check)| Event::Connect { request, keeping, check }),
        8 => (one(), then, any_check())
            .prop_map(|(request, then, check)| Event::Finish { request, then, check }),
        4 => (one(), any_check()).prop_map(|(worker, check)| Event::ComesLate { worker, check }),
        1 => (0..CLIENTS).prop_map(Event::Forget),
        2 => (one(), how).prop_map(|(connection, how)| Event::Spoil { connection, how }),
    ]
}

fn any_change() -> impl Strategy<Value = Event> {
    let mark = (one(), any_mark(), any::<bool>());
    prop_oneof![
        6 => any_join(),
        3 => one().prop_map(Event::Leave),
        14 => mark.prop_map(|(worker, mark, on)| Event::Mark { worker, mark, on }),
        6 => (1..4u64).prop_map(Event::Pass),
        8 => Just(Event::Sweep),
        4 => Just(Event::RaiseHope),
        2 => Just(Event::GiveUpHope),
        1 => Just(Event::Close),
    ]
}

/// Those more often that make unused connections matter.
fn any_mark() -> impl Strategy<Value = Mark> {
    prop_oneof![
        4 => Just(Mark::Deaf),
        2 => Just(Mark::Shut),
        1 => Just(Mark::Silent),
        1 => Just(Mark::Unhealthy),
        1 => Just(Mark::Drained),
        1 => Just(Mark::Ejected),
    ]
}

fn any_join() -> impl Strategy<Value = Event> {
    let join = (one(), any::<bool>(), any::<bool>());
    join.prop_map(|(name, supervised, rising)| Event::Join { name, supervised, rising })
}

/// A few workers to begin with, and then anything.
pub fn any_events() -> impl Strategy<Value = Vec<Event>> {
    let first = prop_oneof![4 => any_join(), 1 => Just(Event::RaiseHope)];
    let event = prop_oneof![4 => any_request(), 4 => any_exchange(), 3 => any_change()];
    let events = prop::collection::vec(event, 1..=MOST);
    (prop::collection::vec(first, 0..4), events).prop_map(|(first, rest)| [first, rest].concat())
}
