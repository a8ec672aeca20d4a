//! How many requests and connections a worker gets, and what becomes of the others.

use std::num::{NonZeroU64, NonZeroUsize};
use std::time::Duration;

use super::super::checked::{Connections, Queue, Retry, RetryOn, Reuse};
use super::super::model::{self, RetryCause};
use super::super::place::Place;
use super::super::units::Size;
use super::super::uvicorn;
use super::Check;

/// Uvicorn closes an unused connection after 5 s, and other servers' defaults are near it: stay
/// below.
const IDLE_FIXED: Duration = Duration::from_secs(4);

/// Supervised Uvicorn workers are started with a longer keep-alive than this.
const IDLE_SUPERVISED: Duration = Duration::from_secs(60);

/// Uvicorn's `--timeout-keep-alive` when nobody says otherwise.
const UVICORN_KEEP_ALIVE: Duration = Duration::from_secs(5);

/// A supervised worker's listener is there for asgate alone: its first request need not wait for a
/// connection. What a fixed one makes of connections without a request is not known.
const PREWARM_SUPERVISED: u32 = 1;
const PREWARM_FIXED: u32 = 0;

/// Each request in flight may need it.
const LARGEST_BUFFER: Size = Size(64 << 20);

/// What Uvicorn's `--limit-concurrency` leaves for asgate on each worker.
#[derive(Clone, Copy)]
pub struct Room {
    /// Uvicorn refuses the N-th.
    pub connections: NonZeroUsize,
    /// One connection fewer, for checks.
    pub requests: NonZeroUsize,
}

impl Room {
    /// `None` when there is no limit, or one that was refused.
    pub fn of(upstream: &model::Upstream) -> Option<Self> {
        let app = upstream.app.as_ref().filter(|app| app.asgi.is_some())?;
        let limit = uvicorn::parse_limit(uvicorn::limit_concurrency(&app.args, &app.env)?)?;
        let limit = usize::try_from(limit.get()).ok()?;
        let less = |by| limit.checked_sub(by).and_then(NonZeroUsize::new);
        Some(Self { connections: less(1)?, requests: less(2)? })
    }
}

impl Check<'_> {
    /// Here and below, `place` is that of the upstream.
    pub(super) fn connections(
        &mut self,
        upstream: &model::Upstream,
        room: Option<Room>,
        place: &Place<'_>,
    ) -> Option<Connections> {
        let place = place.key("connections");
        let model = &upstream.connections;
        let prewarm = self.prewarm(upstream, room, &place);
        let idle_timeout = idle_timeout(upstream);
        let is_kept = model.reuse != model::Reuse::Never;
        let is_fixed = upstream.servers.is_some() && upstream.app.is_none();
        if is_fixed && is_kept && idle_timeout >= UVICORN_KEEP_ALIVE {
            let what = "is not below the keep-alive that Uvicorn has by default";
            let advised = "less than 5s, or a longer keep-alive of the workers";
            self.warn(place.key("idle_timeout").problem(what, advised));
        }
        Some(Connections {
            reuse: match model.reuse {
                model::Reuse::Safe => Reuse::Safe,
                model::Reuse::Always => Reuse::Always,
                model::Reuse::Never => Reuse::Never,
                model::Reuse::PerClient => Reuse::PerClient,
            },
            idle_timeout,
            max_age: model.max_age.0.map(|span| span.0),
            max_requests: NonZeroU64::new(model.max_requests),
            max_idle: count(model.max_idle),
            prewarm: prewarm?,
        })
    }

    /// Connections that are promised have to be possible. Limits that are never reached are no
    /// promises, so that `reuse: never` goes with all of them.
    fn prewarm(
        &mut self,
        upstream: &model::Upstream,
        room: Option<Room>,
        place: &Place<'_>,
    ) -> Option<usize> {
        let model = &upstream.connections;
        let default = match (model.reuse, &upstream.app) {
            (model::Reuse::Never, _) | (_, None) => PREWARM_FIXED,
            (_, Some(_)) => PREWARM_SUPERVISED,
        };
        let prewarm = model.prewarm.unwrap_or(default.min(model.max_idle));
        if self.is_damaged(place) {
            return Some(count(prewarm));
        }
        let (what, allowed) = if model.reuse == model::Reuse::Never && prewarm > 0 {
            ("opens what reuse: never does not use", "0, or another reuse".to_owned())
        } else if prewarm > model.max_idle {
            ("is more than is kept", format!("at most max_idle ({})", model.max_idle))
        } else if let Some(room) = room.filter(|room| count(prewarm) > room.requests.get()) {
            let what = "is more than --limit-concurrency leaves room for";
            (what, format!("at most {}", room.requests))
        } else {
            return Some(count(prewarm));
        };
        self.report(place.key("prewarm").problem(what, allowed));
        None
    }

    /// Requests in flight per worker.
    pub(super) fn slots(
        &mut self,
        upstream: &model::Upstream,
        room: Option<Room>,
        place: &Place<'_>,
    ) -> NonZeroUsize {
        let wanted = upstream.max_requests_per_worker;
        let wanted = NonZeroUsize::try_from(wanted).unwrap_or(NonZeroUsize::MAX);
        let Some(room) = room.filter(|room| room.requests < wanted) else {
            return wanted;
        };
        let place = place.key("max_requests_per_worker");
        if place.node().is_some() {
            let what = "is more than --limit-concurrency leaves room for";
            self.warn(place.problem(what, format!("at most {}", room.requests)));
        }
        room.requests
    }

    pub(super) fn retry(&mut self, model: &model::Retry, place: &Place<'_>) -> Option<Retry> {
        if model.body_buffer.0 > LARGEST_BUFFER.0 {
            let allowed = format!("0B to {LARGEST_BUFFER}");
            self.report(place.key("body_buffer").problem("is out of range", allowed));
            return None;
        }
        Some(Retry {
            attempts: model.attempts,
            budget: model.budget,
            on: retry_on(&model.on),
            body_buffer: usize::try_from(model.body_buffer.0).ok()?,
        })
    }
}

pub fn queue(model: &model::Queue) -> Queue {
    Queue { size: count(model.size), timeout: model.timeout.0 }
}

/// How long an unused connection is kept.
pub fn idle_timeout(upstream: &model::Upstream) -> Duration {
    let default = match upstream.app {
        Some(_) => IDLE_SUPERVISED,
        None => IDLE_FIXED,
    };
    upstream.connections.idle_timeout.map_or(default, |span| span.0)
}

fn retry_on(causes: &[RetryCause]) -> RetryOn {
    let mut on = RetryOn::default();
    for cause in causes {
        match cause {
            RetryCause::Connect => on.connect = true,
            RetryCause::Stale => on.stale = true,
            RetryCause::Closed => on.closed = true,
            RetryCause::Refused503 => on.refused_503 = true,
            RetryCause::BadGateway => on.statuses.push(502),
            RetryCause::ServiceUnavailable => on.statuses.push(503),
            RetryCause::GatewayTimeout => on.statuses.push(504),
        }
    }
    on.statuses.sort_unstable();
    on.statuses.dedup();
    on
}

fn count(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}
