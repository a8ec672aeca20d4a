use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU32, Ordering};

use proptest::prelude::*;

use super::*;

fn limit(requests: u32, per: Duration, burst: u32) -> config::RateLimit {
    let requests = NonZeroU32::new(requests).expect("some");
    config::RateLimit { requests, per, burst, key: RateKey::ClientIp, dry_run: false }
}

fn address(text: &str) -> Key<'static> {
    Key::Address(Some(text.parse().expect("an address")))
}

/// Requests that are admitted at one moment.
fn admitted(limiter: &RateLimiter, key: Key<'_>, now: Instant) -> u32 {
    (0..).take_while(|_| limiter.take(key, now).admitted).count() as u32
}

const SECOND: Duration = Duration::from_secs(1);
const MS: Duration = Duration::from_millis(1);

#[test]
fn requests_come_in_at_their_rate_after_the_burst() {
    let cases = [
        // requests, per, burst; at first; then after a pause
        (10, SECOND, 5, 15, 100 * MS, 1),
        (10, SECOND, 5, 15, 99 * MS, 0),
        (10, SECOND, 5, 15, SECOND, 10),
        (10, SECOND, 5, 15, 3600 * SECOND, 15),
        (1, SECOND, 0, 1, SECOND, 1),
        (1, SECOND, 0, 1, 999 * MS, 0),
        (1, 3600 * SECOND, 0, 1, 3599 * SECOND, 0),
        (1, 3600 * SECOND, 2, 3, 3600 * SECOND, 1),
        (3, SECOND, 0, 3, 334 * MS, 1),
        (3, SECOND, 0, 3, 333 * MS, 0),
        (1000, MS, 0, 1000, Duration::from_micros(5), 5),
    ];
    for (requests, per, burst, first, pause, then) in cases {
        let what = format!("{requests} per {per:?} and {burst}, after {pause:?}");
        let now = Instant::now();
        let limiter = RateLimiter::new(&limit(requests, per, burst), now);
        let key = address("192.0.2.1");
        assert_eq!(admitted(&limiter, key, now), first, "at first: {what}");
        assert_eq!(admitted(&limiter, key, now + pause), then, "{what}");
    }
}

#[test]
fn verdicts_say_what_is_left_and_when_there_is_more() {
    let now = Instant::now();
    let limiter = RateLimiter::new(&limit(2, SECOND, 1), now);
    let steps = [
        // after, admitted, remaining, reset, retry after
        (0, true, 2, 500, 0),
        (0, true, 1, 500, 0),
        (100, true, 0, 400, 0),
        (100, false, 0, 400, 400),
        (499, false, 0, 1, 1),
        (500, true, 0, 500, 0),
        (1250, true, 0, 250, 0),
        (60_000, true, 2, 500, 0),
    ];
    for (after, admitted, remaining, reset, retry_after) in steps {
        let verdict = limiter.take(Key::Route, now + after * MS);
        let expected =
            Verdict { admitted, remaining, reset: reset * MS, retry_after: retry_after * MS };
        assert_eq!(verdict, expected, "after {after} ms");
    }
}

#[test]
fn who_shares_a_bucket() {
    let (one, other) = (Key::Text(Some(b"a")), Key::Text(Some(b"b")));
    let cases = [
        (address("192.0.2.1"), address("192.0.2.1"), true, "the same address"),
        (address("192.0.2.1"), address("192.0.2.2"), false, "two addresses"),
        (address("192.0.2.1"), address("::ffff:192.0.2.1"), true, "IPv4 in IPv6 clothes"),
        (address("2001:db8:0:1::1"), address("2001:db8:0:1:ffff::2"), true, "one /64"),
        (address("2001:db8:0:1::1"), address("2001:db8:0:2::1"), false, "two /64"),
        (address("::192.0.2.1"), address("192.0.2.1"), false, "a /64 and an IPv4 address"),
        (Key::Address(None), Key::Address(None), true, "clients without address"),
        (Key::Address(None), address("0.0.0.0"), false, "with and without address"),
        (one, one, true, "one text"),
        (one, other, false, "two texts"),
        (Key::Text(None), Key::Text(None), true, "no text"),
        (Key::Text(None), Key::Text(Some(b"")), false, "no text and an empty one"),
        (Key::Route, Key::Route, true, "the route"),
    ];
    for (first, second, shared, why) in cases {
        let now = Instant::now();
        let limiter = RateLimiter::new(&limit(1, SECOND, 0), now);
        assert!(limiter.take(first, now).admitted, "the first: {why}");
        assert_eq!(!limiter.take(second, now).admitted, shared, "{why}");
    }
}

#[test]
fn extreme_numbers_do_not_overflow() {
    for (requests, per, burst) in [
        (u32::MAX, Duration::from_millis(1), 0),
        (1, Duration::MAX, u32::MAX - 1),
        (u32::MAX, Duration::MAX, u32::MAX),
        (1, Duration::ZERO, 0),
    ] {
        let what = format!("{requests} per {per:?} and {burst}");
        let now = Instant::now();
        let limiter = RateLimiter::new(&limit(requests, per, burst), now);
        assert!(limiter.take(Key::Route, now).admitted, "the first: {what}");
        let later = now + Duration::from_secs(100 * 365 * 86_400);
        assert!(limiter.take(address("::"), later).admitted, "in a hundred years: {what}");
    }
}

#[test]
fn memory_is_bounded() {
    let limiter = RateLimiter::new(&limit(1, SECOND, 0), Instant::now());
    let size = limiter.sets.len() * size_of::<Mutex<Set>>();
    assert_eq!(limiter.sets.len() * WAYS, MAX_BUCKETS, "buckets");
    assert!(size <= 1_100_000, "{size} bytes");
    let route = config::RateLimit { key: RateKey::Route, ..limit(1, SECOND, 0) };
    assert_eq!(RateLimiter::new(&route, Instant::now()).sets.len(), 1, "one bucket needs no table");
}

/// More clients than half the table holds, each with an empty bucket: next to none gets another one.
#[test]
fn a_half_full_table_forgets_next_to_nobody() {
    const CLIENTS: u32 = MAX_BUCKETS as u32 / 2;
    let now = Instant::now();
    let limiter = RateLimiter::new(&limit(1, 3600 * SECOND, 0), now);
    let take = |client: u32| limiter.take(Key::Text(Some(&client.to_be_bytes())), now).admitted;
    assert!((0..CLIENTS).all(take), "a first request of each");
    let again = (0..CLIENTS).filter(|client| take(*client)).count();
    assert!(again < CLIENTS as usize / 50, "{again} of {CLIENTS} were forgotten");
}

/// A client whose bucket is empty sends under many other names: that does not fill it.
#[test]
fn made_up_names_do_not_push_out_who_used_its_share() {
    let now = Instant::now();
    let limiter = RateLimiter::new(&limit(10, 3600 * SECOND, 0), now);
    assert_eq!(admitted(&limiter, Key::Text(Some(b"greedy")), now), 10, "the share");
    for name in 0..200_000u32 {
        limiter.take(Key::Text(Some(&name.to_be_bytes())), now);
    }
    assert_eq!(admitted(&limiter, Key::Text(Some(b"greedy")), now), 0, "after the others");
}

#[test]
fn threads_get_no_more_than_there_is() {
    let now = Instant::now();
    let limiter = RateLimiter::new(&limit(1000, 3600 * SECOND, 500), now);
    let count = AtomicU32::new(0);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let got = admitted(&limiter, address("192.0.2.1"), now);
                count.fetch_add(got, Ordering::Relaxed);
            });
        }
    });
    assert_eq!(count.into_inner(), 1500, "requests of four threads");
}

/// A bucket as one would draw it: tokens that drip in and are taken out. In parts of a token, one for each
/// nanosecond that a token takes to come.
struct Plain {
    parts: u128,
    at: u64,
}

impl Plain {
    fn take(&mut self, rate: Rate, now: u64) -> Verdict {
        let (token, full) = (u128::from(rate.interval), u128::from(rate.whole));
        self.parts = full.min(self.parts + u128::from(now - self.at));
        self.at = now;
        let admitted = self.parts >= token;
        if admitted {
            self.parts -= token;
        }
        let next = (token - self.parts % token) as u64;
        Verdict {
            admitted,
            remaining: (self.parts / token) as u32,
            reset: Duration::from_nanos(next),
            retry_after: Duration::from_nanos(if admitted { 0 } else { next }),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn it_is_a_token_bucket(
        requests in 1..50u32,
        burst in 0..50u32,
        per in 1..10_000_000u64,
        events in prop::collection::vec((0..4u8, 0..500_000u64), 1..300),
    ) {
        let start = Instant::now();
        let limiter = RateLimiter::new(&limit(requests, Duration::from_nanos(per), burst), start);
        let mut plain: HashMap<u8, Plain> = HashMap::new();
        let mut now = 0;
        for (index, (client, pause)) in events.into_iter().enumerate() {
            // Mostly several at a time.
            now += if pause % 3 == 0 { pause } else { 0 };
            let full = Plain { parts: u128::from(limiter.rate.whole), at: now };
            let expected = plain.entry(client).or_insert(full).take(limiter.rate, now);
            let verdict = limiter.take(Key::Text(Some(&[client])), start + Duration::from_nanos(now));
            prop_assert_eq!(verdict, expected, "request {} at {} ns", index, now);
        }
    }
}
