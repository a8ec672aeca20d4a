use std::sync::atomic::AtomicUsize;

use proptest::prelude::*;

use super::*;

fn budget(share: u8) -> RetryBudget {
    RetryBudget::new(Percent::saturating(share))
}

/// As many retries as there are, counted.
fn spend(budget: &RetryBudget) -> u64 {
    (0..).take_while(|_| budget.withdraw()).count() as u64
}

fn after(requests: u64, seconds: u64, budget: &RetryBudget) -> u64 {
    (0..requests).for_each(|_| budget.deposit());
    (0..seconds).for_each(|_| budget.refill());
    spend(budget)
}

#[test]
fn a_share_of_the_requests_and_a_reserve() {
    let cases = [
        // share, requests, then seconds: retries
        (20, 0, 0, 50, "ten seconds' reserve to begin with"),
        (20, 0, 100, 50, "and never more"),
        (20, 100, 0, 70, "a fifth of a hundred beside it"),
        (1, 100, 0, 51, "a hundredth"),
        (1, 99, 0, 50, "not quite one"),
        (100, 100, 0, 150, "each may be repeated once"),
        (20, 1_000_000, 0, 2050, "what ten thousand requests earned, at most"),
        (20, 1000, 1, 230, "a tenth of what was earned goes"),
        (20, 1000, 300, 50, "and all of it after a while"),
        (0, 1_000_000, 100, 0, "nothing of nothing, not even the reserve"),
    ];
    for (share, requests, seconds, retries, why) in cases {
        let left = after(requests, seconds, &budget(share));
        assert_eq!(left, retries, "{why}: {share} %");
    }
}

#[test]
fn an_empty_budget_gets_its_reserve_back_by_the_second() {
    let budget = budget(20);
    assert_eq!(spend(&budget), 50, "what there was");
    assert_eq!(after(0, 1, &budget), 5, "after a second");
    assert_eq!(after(10, 1, &budget), 7, "and after ten requests and a second");
}

#[test]
fn steady_traffic_earns_what_ten_seconds_are_worth() {
    let budget = budget(20);
    for _ in 0..120 {
        (0..100).for_each(|_| budget.deposit());
        budget.refill();
    }
    let retries = spend(&budget);
    // 100 requests a second for 10 seconds earn 200; looked at just after a tenth went.
    assert!((50 + 175..=50 + 200).contains(&retries), "{retries} retries");
}

#[test]
fn threads_never_overdraw() {
    const THREADS: usize = 4;
    const ROUNDS: usize = 20_000;
    let budget = budget(20);
    let (paid, spent) = (AtomicUsize::new(0), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let (budget, paid, spent) = (&budget, &paid, &spent);
            scope.spawn(move || {
                for round in 0..ROUNDS {
                    if round % THREADS == thread {
                        budget.deposit();
                        paid.fetch_add(1, Ordering::Relaxed);
                    }
                    if budget.withdraw() {
                        spent.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    let (paid, spent) = (paid.into_inner() as u64, spent.into_inner() as u64);
    assert_eq!(spent, 50 + paid / 5, "every part of {paid} deposits, and not one more");
    assert!(!budget.withdraw(), "nothing is left");
}

#[derive(Debug, Clone, Copy)]
enum Event {
    Requests(u16),
    Retries(u16),
    Second,
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let event = prop_oneof![
        (0..3000u16).prop_map(Event::Requests),
        (0..300u16).prop_map(Event::Retries),
        Just(Event::Second),
    ];
    prop::collection::vec(event, 0..40)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    /// Of whatever comes between two moments, retries are no more than what the first held, the reserve and the share.
    #[test]
    fn retries_are_never_more_than_share_and_reserve(share in 0..=100u8, events in events()) {
        let budget = budget(share);
        let mut allowed = if share == 0 { 0 } else { RESERVE_KEPT };
        for event in events {
            match event {
                Event::Requests(count) => {
                    (0..count).for_each(|_| budget.deposit());
                    allowed += u64::from(count) * u64::from(share) * PARTS_PER_PERCENT;
                }
                Event::Retries(count) => {
                    let spent = (0..count).filter(|_| budget.withdraw()).count() as u64;
                    prop_assert!(spent * RETRY <= allowed, "{} of {} parts", spent, allowed);
                    allowed -= spent * RETRY;
                }
                Event::Second => {
                    budget.refill();
                    allowed += if share == 0 { 0 } else { RESERVE };
                }
            }
            let purse = budget.purse.load(Ordering::Relaxed);
            prop_assert!(purse < budget.full + budget.earned.max(1), "{} parts", purse);
        }
    }
}
