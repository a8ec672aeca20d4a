//! How many frames of each kind a client has to spend.
//!
//! A budget is full at first and is filled with time and, where a client answers what it gets, with the bytes that it
//! was sent. [`Counted::terms`] says for each why clients that mean well do not get to its end.

use std::time::Instant;

use super::Abuse;

const NANOS_PER_SECOND: u64 = 1_000_000_000;

/// Bytes of responses that explain a frame in answer to them. A client may acknowledge each DATA frame with a
/// WINDOW_UPDATE for the stream and one for the connection, and gRPC measures the connection with a PING for each.
const ANSWERED: u64 = 24;

/// Bytes of responses that explain the end of a stream: a small one.
const RESPONSE: u64 = 512;

/// What has a budget of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Counted {
    Reset,
    Ping,
    Settings,
    Priority,
    Window,
    Empty,
    Malformed,
    Unknown,
}

/// What a budget holds and what fills it.
#[derive(Debug, Clone, Copy)]
pub struct Terms {
    /// Frames that a full one holds.
    pub burst: u64,
    /// Frames that come in each second.
    pub per_second: u64,
    /// Bytes of responses for which one more comes in.
    pub explained_by: Option<u64>,
}

impl Counted {
    pub const fn terms(self) -> Terms {
        match self {
            // A browser that leaves a page ends all its streams at once, 100 at most. Clients with a deadline end as
            // many a second while an app stalls, if they wait a second for it. Of the users of a proxy, those who
            // leave are few beside those who are answered.
            Self::Reset => Terms::new(200, 100, Some(RESPONSE)),
            // Browsers ask before they use a connection again that was idle, others every ten seconds or so.
            // Acknowledgements of asgate's own are here too: one, when the connection is to end.
            Self::Ping => Terms::new(100, 10, Some(ANSWERED)),
            // One to begin with and one acknowledgement. gRPC sends one each time it finds the connection wider.
            Self::Settings => Terms::new(100, 10, None),
            // Firefox used to begin with six; then one for a stream whose turn changes.
            Self::Priority => Terms::new(1000, 500, Some(ANSWERED)),
            // A client that was busy may acknowledge much at once, so there is room for all frames of a window of
            // 64 MiB. That is 130 kB of input, and some milliseconds.
            Self::Window => Terms::new(10_000, 500, Some(ANSWERED)),
            // Some libraries flush with an empty DATA frame. The engine allows 100 of these on a connection in all.
            Self::Empty => Terms::new(100, 10, None),
            // Clients send none; test suites send one on each connection.
            Self::Malformed => Terms::new(20, 1, None),
            // PRIORITY_UPDATE, and the made-up types with which Chrome keeps servers used to them: one a request.
            Self::Unknown => Terms::new(1000, 500, Some(ANSWERED)),
        }
    }

    const fn abuse(self) -> Abuse {
        match self {
            Self::Reset => Abuse::RapidReset,
            Self::Ping => Abuse::PingFlood,
            Self::Settings => Abuse::SettingsFlood,
            Self::Priority => Abuse::PriorityFlood,
            Self::Window => Abuse::WindowFlood,
            Self::Empty => Abuse::EmptyFrames,
            Self::Malformed => Abuse::MalformedFrames,
            Self::Unknown => Abuse::UnknownFrames,
        }
    }
}

impl Terms {
    const fn new(burst: u64, per_second: u64, explained_by: Option<u64>) -> Self {
        Self { burst, per_second, explained_by }
    }
}

/// The budgets of one connection.
#[derive(Debug)]
pub struct Budgets {
    started: Instant,
    /// Bytes of responses so far.
    sent: u64,
    reset: Budget,
    ping: Budget,
    settings: Budget,
    priority: Budget,
    window: Budget,
    empty: Budget,
    malformed: Budget,
    unknown: Budget,
}

impl Budgets {
    /// Full ones.
    pub fn new(now: Instant) -> Self {
        Self {
            started: now,
            sent: 0,
            reset: Budget::default(),
            ping: Budget::default(),
            settings: Budget::default(),
            priority: Budget::default(),
            window: Budget::default(),
            empty: Budget::default(),
            malformed: Budget::default(),
            unknown: Budget::default(),
        }
    }

    pub fn sent(&mut self, bytes: usize) {
        self.sent = self.sent.saturating_add(bytes as u64);
    }

    /// Pays for one frame.
    ///
    /// # Errors
    /// What the client is to be sent away for, when there is nothing left.
    pub fn spend(&mut self, counted: Counted, now: Instant) -> Result<(), Abuse> {
        let now = now.saturating_duration_since(self.started).as_nanos();
        let now = u64::try_from(now).unwrap_or(u64::MAX);
        let sent = self.sent;
        if self.budget(counted).spend(counted.terms(), now, sent) {
            Ok(())
        } else {
            Err(counted.abuse())
        }
    }

    fn budget(&mut self, counted: Counted) -> &mut Budget {
        match counted {
            Counted::Reset => &mut self.reset,
            Counted::Ping => &mut self.ping,
            Counted::Settings => &mut self.settings,
            Counted::Priority => &mut self.priority,
            Counted::Window => &mut self.window,
            Counted::Empty => &mut self.empty,
            Counted::Malformed => &mut self.malformed,
            Counted::Unknown => &mut self.unknown,
        }
    }
}

/// A token bucket, kept as the time at which it will be full again.
#[derive(Debug, Default)]
struct Budget {
    /// Nanoseconds since the connection began.
    full_at: u64,
    /// Of the bytes sent, those that it has been filled with.
    counted: u64,
}

impl Budget {
    /// Takes one frame's worth out; whether it was there.
    fn spend(&mut self, terms: Terms, now: u64, sent: u64) -> bool {
        let each = NANOS_PER_SECOND / terms.per_second;
        if let Some(bytes) = terms.explained_by {
            let explained = sent.saturating_sub(self.counted) / bytes;
            self.counted += explained * bytes;
            self.full_at = self.full_at.saturating_sub(explained.saturating_mul(each));
        }
        let full_at = self.full_at.max(now).saturating_add(each);
        if full_at - now > terms.burst * each {
            return false;
        }
        self.full_at = full_at;
        true
    }
}
