//! What an upstream promises, said as plainly as possible: lists, searched from one end to the other.

use std::num::{NonZeroU64, NonZeroUsize};
use std::time::Duration;

use proptest::prelude::*;

use crate::config::{self, Balance, Connections, HashKey, Queue, Reuse};
use crate::upstream::{End, Fitness, Keeping, Mark, fixtures};

/// Seconds after which an unused connection is too old.
const IDLE_TIMEOUT: u64 = 3;
/// Seconds after which any connection is. The limit is met up to a tenth earlier, which no whole second is.
const MAX_AGE: u64 = 5;

/// How long the share of a worker grows that joins others.
const SLOW_START: Duration = Duration::from_secs(4);

/// Small limits, so that all of them are met.
#[derive(Debug, Clone)]
pub struct Rules {
    pub slots: usize,
    pub places: usize,
    pub max_idle: usize,
    pub max_age: Option<u64>,
    pub max_requests: Option<u64>,
    pub reuse: Reuse,
    pub balance: Balance,
}

pub fn any_rules() -> impl Strategy<Value = Rules> {
    let reuse = prop_oneof![
        4 => Just(Reuse::Safe),
        1 => Just(Reuse::Always),
        1 => Just(Reuse::Never),
        1 => Just(Reuse::PerClient),
    ];
    let balance = prop::sample::select(vec![
        Balance::LeastRequests,
        Balance::RoundRobin,
        Balance::Random,
        Balance::Latency,
        Balance::Hash(HashKey::Path),
    ]);
    let max_age = prop_oneof![Just(None), Just(Some(MAX_AGE))];
    let max_requests = prop_oneof![Just(None), (1..3u64).prop_map(Some)];
    // With one, most requests wait.
    let slots = prop_oneof![3 => Just(1), 1 => 2..=3usize];
    // So few places that none of them is left to those who take any worker.
    (slots, 0..=3usize, 0..=3usize, max_age, max_requests, reuse, balance).prop_map(
        |(slots, places, max_idle, max_age, max_requests, reuse, balance)| Rules {
            slots,
            places,
            max_idle,
            max_age,
            max_requests,
            reuse,
            balance,
        },
    )
}

impl Rules {
    pub fn settings(&self) -> config::Upstream {
        let settings = fixtures::settings();
        config::Upstream {
            balance: self.balance.clone(),
            connections: Connections {
                reuse: self.reuse,
                idle_timeout: Duration::from_secs(IDLE_TIMEOUT),
                max_age: self.max_age.map(Duration::from_secs),
                max_requests: self.max_requests.and_then(NonZeroU64::new),
                max_idle: self.max_idle,
                ..settings.connections
            },
            slow_start: Some(SLOW_START),
            slots: NonZeroUsize::new(self.slots).expect("some"),
            queue: Queue { size: self.places, ..settings.queue },
            ..settings
        }
    }
}

/// An upstream. Workers, requests and connections are numbers, given in the order in which they came.
pub struct Model {
    rules: Rules,
    now: u64,
    pub hope: bool,
    pub workers: Vec<Worker>,
    /// Who is in rotation, longest first.
    pub rotation: Vec<usize>,
    /// Who waits, the next to be served first.
    pub line: Vec<(usize, Wish)>,
    /// How many of them were served before: they come before the others.
    again: usize,
    pub connections: Vec<Connection>,
}

/// A generation of a worker.
pub struct Worker {
    pub name: &'static str,
    supervised: bool,
    pub marks: Vec<Mark>,
    /// Requests that have a slot on it.
    pub taken: usize,
    /// Its unused connections and whom they are kept for, the one used last at the end.
    pub idle: Vec<(Keeping, usize)>,
}

pub struct Connection {
    pub worker: usize,
    born: u64,
    /// Requests that were begun on it.
    pub served: u64,
    pub bound: bool,
    /// Whether the worker has neither closed it nor sent anything unasked.
    pub sound: bool,
    /// When it was put aside.
    since: u64,
    /// Whether the edge has it still.
    pub open: bool,
}

#[derive(Debug, Clone, Default)]
pub struct Wish {
    pub key: Option<u8>,
    pub belongs_to: Option<&'static str>,
    pub tried: Vec<usize>,
    pub avoided: Option<usize>,
}

impl Wish {
    pub fn is_choosy(&self) -> bool {
        self.belongs_to.is_some() || !self.tried.is_empty() || self.avoided.is_some()
    }
}

/// What there is for a wish.
#[derive(Debug, PartialEq, Eq)]
pub enum Offer {
    /// A slot on one of these.
    AnyOf(Vec<usize>),
    /// A worker would do, and has no slot free.
    Full,
    Nobody,
}

impl Model {
    pub fn new(rules: &Rules) -> Self {
        Self {
            rules: rules.clone(),
            now: 0,
            hope: false,
            workers: Vec::new(),
            rotation: Vec::new(),
            line: Vec::new(),
            again: 0,
            connections: Vec::new(),
        }
    }

    pub fn pass(&mut self, seconds: u64) {
        self.now += seconds;
    }
}

// === workers ===

impl Model {
    /// Returns the one that it replaces.
    pub fn join(&mut self, name: &'static str, supervised: bool) -> Option<usize> {
        let before = self.named(name);
        before.iter().for_each(|&worker| self.leave(worker));
        self.rotation.push(self.workers.len());
        let (marks, idle) = (Vec::new(), Vec::new());
        self.workers.push(Worker { name, supervised, marks, taken: 0, idle });
        before
    }

    pub fn leave(&mut self, worker: usize) {
        self.rotation.retain(|&other| other != worker);
        self.close_idle(worker, |_, _, _| true);
    }

    pub fn is_retired(&self, worker: usize) -> bool {
        !self.rotation.contains(&worker)
    }

    fn named(&self, name: &str) -> Option<usize> {
        self.rotation.iter().copied().find(|&worker| self.workers[worker].name == name)
    }

    /// Returns whether that was news.
    pub fn mark(&mut self, worker: usize, mark: Mark, on: bool) -> bool {
        let marks = &mut self.workers[worker].marks;
        let before = marks.len();
        marks.retain(|&other| other != mark);
        let was = marks.len() < before;
        marks.extend(on.then_some(mark));
        was != on
    }

    pub fn fitness(&self, worker: usize) -> Fitness {
        let Worker { supervised, marks, .. } = &self.workers[worker];
        let is_any = |of: &[Mark]| marks.iter().any(|mark| of.contains(mark));
        if marks.is_empty() {
            Fitness::Full
        } else if is_any(&[Mark::Drained]) {
            Fitness::Never
        } else if is_any(&[Mark::Deaf, Mark::Shut]) && self.shared(worker) == 0 {
            // Nobody brings a fixed one back, so it has to be tried.
            if *supervised { Fitness::Never } else { Fitness::LastResort }
        } else if is_any(&[Mark::Silent, Mark::Unhealthy, Mark::Ejected]) {
            Fitness::LastResort
        } else {
            Fitness::Survivor
        }
    }
}

// === requests ===

impl Model {
    /// Whether somebody waits for what everybody wants, so that who comes now has to wait as well.
    pub fn is_barred(&self) -> bool {
        self.line.iter().any(|(_, wish)| !wish.is_choosy())
    }

    /// What there is for `wish` now.
    pub fn offer(&self, wish: &Wish) -> Offer {
        let has_room = |&worker: &usize| self.workers[worker].taken < self.rules.slots;
        let those_with_room = |workers: Vec<usize>| {
            let free: Vec<usize> = workers.into_iter().filter(has_room).collect();
            if free.is_empty() { Offer::Full } else { Offer::AnyOf(free) }
        };
        let usable: Vec<usize> = self
            .rotation
            .iter()
            .copied()
            .filter(|worker| self.fitness(*worker) > Fitness::Never && !wish.tried.contains(worker))
            .collect();
        let mut others = usable.clone();
        others.retain(|worker| wish.avoided != Some(*worker));
        let own = wish.belongs_to.and_then(|name| self.named(name));
        if let Some(own) = own.filter(|own| others.contains(own))
            && self.fitness(own) >= Fitness::Survivor
        {
            return those_with_room(vec![own]);
        }
        let best = others.iter().map(|&worker| self.fitness(worker)).max();
        others.retain(|&worker| Some(self.fitness(worker)) == best);
        match (those_with_room(others), wish.avoided.filter(|avoided| usable.contains(avoided))) {
            (Offer::Full, Some(avoided)) => those_with_room(vec![avoided]),
            (Offer::Full, None) if best.is_none() => Offer::Nobody,
            (offer, _) => offer,
        }
    }

    /// Gets in line; `false` when there is no place.
    pub fn wait(&mut self, request: usize, wish: Wish, end: End) -> bool {
        match end {
            End::Back if self.line.len() >= self.rules.places => return false,
            End::Back => self.line.push((request, wish)),
            End::Front => {
                self.line.insert(self.again, (request, wish));
                self.again += 1;
            }
        }
        true
    }

    /// Whether it was served or not.
    pub fn leave_line(&mut self, request: usize) {
        let Some(place) = self.line.iter().position(|(other, _)| *other == request) else { return };
        self.line.remove(place);
        self.again -= usize::from(place < self.again);
    }

    pub fn forgive(&mut self, request: usize) {
        for (_, wish) in self.line.iter_mut().filter(|(other, _)| *other == request) {
            wish.tried.clear();
        }
    }
}

// === connections ===

impl Model {
    /// A new connection to `worker`.
    pub fn connect(&mut self, worker: usize) -> usize {
        self.connections.push(Connection {
            worker,
            born: self.now,
            served: 0,
            bound: false,
            sound: true,
            since: self.now,
            open: true,
        });
        self.connections.len() - 1
    }

    pub fn close(&mut self, connection: usize) {
        self.connections[connection].open = false;
    }

    /// Puts `connection` aside for `keeping`, or closes it.
    pub fn park(&mut self, connection: usize, keeping: Keeping) {
        let Connection { worker, bound, served, .. } = self.connections[connection];
        let may_be_kept = match (keeping, self.rules.reuse) {
            (Keeping::Anybody, Reuse::Safe | Reuse::Always) => !bound,
            (Keeping::Anybody, Reuse::Never | Reuse::PerClient) => served == 0,
            (Keeping::Client(_), reuse) => reuse != Reuse::Never,
        };
        let has_place = match keeping {
            Keeping::Anybody => self.shared(worker) < self.rules.max_idle,
            // There are only so many clients.
            Keeping::Client(_) => true,
        };
        if may_be_kept && has_place && !self.is_retired(worker) && self.may_serve(connection) {
            self.connections[connection].since = self.now;
            self.workers[worker].idle.push((keeping, connection));
        } else {
            self.close(connection);
        }
    }

    /// Unused connections of `worker` that anybody may have.
    pub fn shared(&self, worker: usize) -> usize {
        let idle = self.workers[worker].idle.iter();
        idle.filter(|(keeping, _)| *keeping == Keeping::Anybody).count()
    }

    /// The unused connection that a request on `worker` gets; those before it that are no good any more are closed.
    pub fn take(&mut self, worker: usize, keeping: Keeping) -> Option<usize> {
        loop {
            let idle = &mut self.workers[worker].idle;
            let last = idle.iter().rposition(|(kept_for, _)| *kept_for == keeping)?;
            let (_, connection) = idle.remove(last);
            if !self.is_expired(connection) {
                return Some(connection);
            }
            self.close(connection);
        }
    }

    /// A client connection has ended.
    pub fn forget(&mut self, worker: usize, client: u64) {
        self.close_idle(
            worker,
            |_, keeping, _| matches!(keeping, Keeping::Client(it) if it.connection == client),
        );
    }

    pub fn sweep(&mut self) {
        for worker in self.rotation.clone() {
            self.close_idle(worker, |model, _, connection| model.is_expired(connection));
        }
    }

    fn close_idle(&mut self, worker: usize, is_over: impl Fn(&Self, Keeping, usize) -> bool) {
        let idle = std::mem::take(&mut self.workers[worker].idle);
        for (keeping, connection) in idle {
            if is_over(self, keeping, connection) {
                self.close(connection);
            } else {
                self.workers[worker].idle.push((keeping, connection));
            }
        }
    }

    fn is_expired(&self, connection: usize) -> bool {
        self.now - self.connections[connection].since >= IDLE_TIMEOUT || !self.may_serve(connection)
    }

    fn may_serve(&self, connection: usize) -> bool {
        let Connection { born, served, sound, .. } = self.connections[connection];
        sound
            && self.rules.max_requests.is_none_or(|most| served < most)
            && self.rules.max_age.is_none_or(|most| self.now - born < most)
    }
}
