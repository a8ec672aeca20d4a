//! The states of one generation of a worker, and what leads from one to another. Pure: the one table of transitions.
//!
//! ```text
//! Starting ─▶ Ready ◀─▶ Unready, Drained          every state with a process ─▶ Stopped, when it ends
//!     │         │ ▲└──▶ Deaf, Hung
//!     │         ▼          │ a replacement is ready
//!     │      Draining ◀────┘
//!     ▼         ▼ its requests are done
//!     └───▶ Stopping
//! ```

use std::fmt;

/// Where one generation of a worker stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum State {
    /// The process runs and has not answered yet.
    Starting,
    /// Gets requests.
    Ready,
    /// Gets requests only when nobody else can: it is silent, or its checks fail.
    Unready,
    /// Gets requests on the connections that it has; to be replaced.
    Deaf,
    /// Gets requests only when nobody else can, to be replaced: it has been silent for too long.
    Hung,
    /// Gets none, because an operator said so.
    Drained,
    /// Gets no new requests and finishes those that it has.
    Draining,
    /// Was asked to end.
    Stopping,
    /// Its process is gone.
    Stopped,
}

/// What happens to a generation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Event {
    /// It listens and answered.
    Answered,
    /// It does not answer, or not what is expected.
    Doubted,
    /// It answers again.
    Recovered,
    /// Its listener is gone.
    Deafened,
    /// It has been silent for too long.
    GivenUp,
    /// An operator takes it out of rotation.
    TakenOut,
    /// An operator puts it back.
    PutBack,
    /// A replacement takes its place.
    Replaced,
    /// It is to end now.
    ToldToStop,
    /// Its process ended.
    Ended,
}

impl State {
    /// The state after `event`; `None` when the event has no meaning in this state.
    pub fn after(self, event: Event) -> Option<Self> {
        use Event as E;
        Some(match (self, event) {
            (Self::Stopped, _) => return None,
            (_, E::Ended) => Self::Stopped,
            (Self::Starting, E::Answered) => Self::Ready,
            (Self::Ready, E::Doubted) => Self::Unready,
            (Self::Unready | Self::Hung, E::Recovered) | (Self::Drained, E::PutBack) => Self::Ready,
            (Self::Ready | Self::Unready, E::Deafened) => Self::Deaf,
            (Self::Ready | Self::Unready | Self::Deaf, E::GivenUp) => Self::Hung,
            (Self::Ready | Self::Unready, E::TakenOut) => Self::Drained,
            (
                Self::Ready | Self::Unready | Self::Deaf | Self::Hung | Self::Drained,
                E::Replaced,
            ) => Self::Draining,
            (state, E::ToldToStop) if state != Self::Stopping => Self::Stopping,
            _ => return None,
        })
    }

    /// Whether it gets requests like every other.
    pub fn is_ready(self) -> bool {
        self == Self::Ready
    }

    /// The word in logs and status.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Ready => "ready",
            Self::Unready => "unready",
            Self::Deaf => "deaf",
            Self::Hung => "hung",
            Self::Drained => "drained",
            Self::Draining => "draining",
            Self::Stopping => "stopping",
            Self::Stopped => "stopped",
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::{Event, State};

    const STATES: [State; 9] = [
        State::Starting,
        State::Ready,
        State::Unready,
        State::Deaf,
        State::Hung,
        State::Drained,
        State::Draining,
        State::Stopping,
        State::Stopped,
    ];
    const EVENTS: [Event; 10] = [
        Event::Answered,
        Event::Doubted,
        Event::Recovered,
        Event::Deafened,
        Event::GivenUp,
        Event::TakenOut,
        Event::PutBack,
        Event::Replaced,
        Event::ToldToStop,
        Event::Ended,
    ];

    /// Every transition there is; all other pairs have none.
    #[test]
    fn the_whole_table() {
        use Event::*;
        use State::*;
        let expected = |state, event| match (state, event) {
            (Starting, Answered) | (Unready | Hung, Recovered) | (Drained, PutBack) => Some(Ready),
            (Ready, Doubted) => Some(Unready),
            (Ready | Unready, Deafened) => Some(Deaf),
            (Ready | Unready | Deaf, GivenUp) => Some(Hung),
            (Ready | Unready, TakenOut) => Some(Drained),
            (Ready | Unready | Deaf | Hung | Drained, Replaced) => Some(Draining),
            (Stopping | Stopped, ToldToStop) | (Stopped, Ended) => None,
            (_, ToldToStop) => Some(Stopping),
            (_, Ended) => Some(Stopped),
            _ => None,
        };
        for state in STATES {
            for event in EVENTS {
                assert_eq!(state.after(event), expected(state, event), "{state} {event:?}");
            }
        }
    }

    #[test]
    fn every_state_leads_to_the_end_and_none_out_of_it() {
        for state in STATES {
            if state != State::Stopped {
                assert_eq!(state.after(Event::Ended), Some(State::Stopped), "{state} can end");
            }
        }
        let out = EVENTS.iter().filter_map(|&event| State::Stopped.after(event)).count();
        assert_eq!(out, 0, "the end is the end");
    }
}
