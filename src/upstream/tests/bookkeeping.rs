//! The bookkeeping of an upstream, held against a plain model under random events.
//!
//! Slots, the queue, unused connections and generations of workers change in many orders; whatever the order, the counts
//! are those of a list that is kept by hand (`model`), nobody waits for what is there, and nothing is left in the end.
//! One thread and a clock of its own, so that a failure happens again; what several threads do at once is tried by
//! `tests/model`.

mod events;
mod model;
mod world;

use std::num::NonZeroUsize;
use std::pin::pin;
use std::sync::Arc;

use proptest::prelude::*;
use proptest::test_runner::TestCaseResult;
use tokio::task::coop;

use super::super::{Check, End, Keeping, Mark, Wish, fixtures};
use crate::config::{self, Address};

use events::{Event, any_events};
use model::{Rules, any_rules};
use world::{World, poll_now};

/// One run of the clock from `rules` through all `events` to the end.
fn run(rules: &Rules, events: &[Event]) -> TestCaseResult {
    // Turns that are drawn are drawn again alike.
    fastrand::seed(4);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .expect("a runtime");
    // A poll that is put off for the sake of other tasks would look as if there was no answer.
    runtime.block_on(coop::unconstrained(async {
        let upstream = fixtures::upstream(&rules.settings());
        let mut world = World::new(&upstream, rules);
        for (number, event) in events.iter().enumerate() {
            let checked = world.after(event).await;
            let at = |error| TestCaseError::fail(format!("event {number}, {event:?}: {error}"));
            checked.map_err(at)?;
        }
        world.end().await.map_err(|error| TestCaseError::fail(format!("in the end: {error}")))
    }))
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 4_000,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn the_books_are_right_whatever_happens(rules in any_rules(), events in any_events()) {
        run(&rules, &events)?;
    }
}

/// Events that show this come together once in some thousand runs.
#[tokio::test]
async fn one_that_belongs_to_a_worse_worker_does_not_wait_behind_others() {
    let settings = config::Upstream { slots: NonZeroUsize::MIN, ..fixtures::settings() };
    let upstream = fixtures::upstream(&settings);
    let [well, deaf] = ["1", "2"]
        .map(|name| Arc::new(fixtures::supervised(&upstream, name, Address::Unix("/".into()))));
    upstream.join(Arc::clone(&well));
    upstream.join(Arc::clone(&deaf));
    deaf.mark(Mark::Deaf, true);
    let busy = upstream.acquire(&Wish::default()).expect("a slot");
    assert!(Arc::ptr_eq(busy.worker(), &well), "the control: the other takes none");
    let mut any = upstream.wait(&Wish::default(), End::Back).expect("a place in line");
    let own = Wish { belongs_to: Some("2".into()), ..Wish::default() };
    let mut own = upstream.wait(&own, End::Back).expect("a place in line");
    assert!(poll_now(pin!(own.answer())).is_none(), "its worker has no connection to serve on");
    let (kept, _far) = fixtures::connection(&upstream, &deaf);
    deaf.park(kept, Keeping::Anybody, Check::Notes);
    upstream.sweep();
    assert!(poll_now(pin!(own.answer())).is_some(), "its worker has one now");
    assert!(poll_now(pin!(any.answer())).is_none(), "the best is merely busy");
}
