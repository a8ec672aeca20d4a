//! Warnings that clients cause: said at once, then now and then, however many there are.

use std::time::{Duration, Instant};

use log::Level;
use parking_lot::Mutex;

/// Between two warnings of one kind.
const PAUSE: Duration = Duration::from_secs(60);

/// One kind of warning of one listener.
#[derive(Debug, Default)]
pub struct Seldom(Mutex<Said>);

#[derive(Debug, Default)]
struct Said {
    last: Option<Instant>,
    /// Since then.
    unsaid: u64,
}

impl Seldom {
    /// At which level to log it, and how many were left out at that level before: at its `usual` one if it is time, else
    /// for those only who look for it.
    pub fn level(&self, usual: Level) -> (Level, u64) {
        self.due(Instant::now()).map_or((Level::Debug, 0), |unsaid| (usual, unsaid))
    }

    fn due(&self, now: Instant) -> Option<u64> {
        let mut said = self.0.lock();
        if said.last.is_some_and(|last| now.saturating_duration_since(last) < PAUSE) {
            said.unsaid += 1;
            return None;
        }
        said.last = Some(now);
        Some(std::mem::take(&mut said.unsaid))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_said_at_once_and_then_once_in_a_while() {
        let (seldom, start) = (Seldom::default(), Instant::now());
        assert_eq!(seldom.due(start), Some(0), "the first");
        for count in 0..100 {
            assert_eq!(seldom.due(start + PAUSE / 2), None, "number {count} meanwhile");
        }
        assert_eq!(seldom.due(start + PAUSE), Some(100), "after the pause, with what was left out");
        assert_eq!(seldom.due(start + PAUSE), None, "and again");
        assert_eq!(seldom.due(start + PAUSE * 3), Some(1), "later");
    }
}
