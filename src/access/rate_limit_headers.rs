//! How a rate limit is told to clients: `RateLimit-Policy` and `RateLimit`
//! (draft-ietf-httpapi-ratelimit-headers-10, in the structured fields of RFC 9651).

use std::time::Duration;

use http::HeaderValue;

use super::Verdict;
use crate::config;

/// The largest integer of a structured field (RFC 9651 §3.3.1).
const LARGEST: u64 = 999_999_999_999_999;

/// The value of `RateLimit-Policy`, the same for each response of a route: `"default";q=100;w=1` for 100 requests a
/// second. What a bucket holds beyond that is not told, it is for peaks. A window of less than a second cannot be
/// said and is called one second: who goes by that comes less often than it may, not more.
pub fn policy_value(limit: &config::RateLimit) -> HeaderValue {
    let window = whole_seconds(limit.per).max(1);
    value(&format!("\"default\";q={};w={window}", limit.requests))
}

/// The value of `RateLimit` after a request: `"default";r=50;t=1`, so many requests are left, and more come in so
/// many seconds.
pub fn state_value(verdict: &Verdict) -> HeaderValue {
    let reset = whole_seconds(verdict.reset);
    value(&format!("\"default\";r={};t={reset}", verdict.remaining))
}

/// Rounded up, so that nobody comes too early.
fn whole_seconds(time: Duration) -> u64 {
    let begun = u64::from(time.subsec_nanos() > 0);
    time.as_secs().saturating_add(begun).min(LARGEST)
}

/// Numbers and the name make a header value; were it otherwise, an empty list, which says nothing.
fn value(text: &str) -> HeaderValue {
    HeaderValue::try_from(text).unwrap_or_else(|_| HeaderValue::from_static(""))
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::*;
    use crate::config::{RateKey, RateLimit};

    #[test]
    fn policies_are_told_in_whole_seconds() {
        let cases = [
            (100, Duration::from_secs(1), "\"default\";q=100;w=1", "a second"),
            (1, Duration::from_secs(86_400), "\"default\";q=1;w=86400", "a day"),
            (10, Duration::from_millis(250), "\"default\";q=10;w=1", "less than a second"),
            (10, Duration::from_millis(1001), "\"default\";q=10;w=2", "more than a second"),
            (u32::MAX, Duration::MAX, "\"default\";q=4294967295;w=999999999999999", "the most"),
        ];
        for (requests, per, expected, why) in cases {
            let requests = NonZeroU32::new(requests).expect("some");
            let limit = RateLimit { requests, per, burst: 7, key: RateKey::Route, dry_run: false };
            assert_eq!(policy_value(&limit), expected, "{why}");
        }
    }

    #[test]
    fn states_are_told_in_whole_seconds() {
        let cases = [
            (50, Duration::from_millis(10), "\"default\";r=50;t=1", "part of a second"),
            (0, Duration::from_secs(3), "\"default\";r=0;t=3", "none left"),
            (0, Duration::from_nanos(3_000_000_001), "\"default\";r=0;t=4", "a bit more"),
            (7, Duration::ZERO, "\"default\";r=7;t=0", "at once"),
            (u32::MAX, Duration::MAX, "\"default\";r=4294967295;t=999999999999999", "the most"),
        ];
        for (remaining, reset, expected, why) in cases {
            let verdict = Verdict { admitted: remaining > 0, remaining, reset, retry_after: reset };
            assert_eq!(state_value(&verdict), expected, "{why}");
        }
    }
}
