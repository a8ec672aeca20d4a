//! Mistakes in checks, connections, slots, queue and retries.

use super::{APP, check, check_upstream};

#[test]
fn health_and_connections() {
    check_upstream(&[
        ("health: { path: /, expect: { status: [200, 300-399] } }", ""),
        (
            "health: { path: healthz }",
            "asgate.yaml:9:21: upstreams.backend.health.path: is not a path (got \"healthz\", allowed a path that starts with /, with a query if need be, and has no #, space or letter beyond ASCII (percent-encode those))",
        ),
        (
            "health: { path: /, unhealthy_after: 0 }",
            "asgate.yaml:9:41: upstreams.backend.health.unhealthy_after: is out of range (got 0, allowed a whole number from 1 to 4294967295)",
        ),
        (
            "health: { path: /, expect: { status: [] } }",
            "asgate.yaml:9:42: upstreams.backend.health.expect.status: is empty (got an empty list, allowed at least one, or no such key for 200-399)",
        ),
        (
            "health: { path: /, expect: { status: [2xx] } }",
            "asgate.yaml:9:43: upstreams.backend.health.expect.status[0]: is not a status or a range of them (got \"2xx\", allowed a status such as 200, or a range such as 200-399, from 200 to 599)",
        ),
        (
            "health: { path: /, expect: { status: [100, 299-200] } }",
            "asgate.yaml:9:43: upstreams.backend.health.expect.status[0]: is not a final status (got 100, allowed a status such as 200, or a range such as 200-399, from 200 to 599)\nasgate.yaml:9:48: upstreams.backend.health.expect.status[1]: ends before it begins (got \"299-200\", allowed a status such as 200, or a range such as 200-399, from 200 to 599)",
        ),
        (
            "health: { path: /, expect: { body_contains: \"\" } }",
            "asgate.yaml:9:49: upstreams.backend.health.expect.body_contains: is in every body (got \"\", allowed text, or no such key for any body)",
        ),
        (
            "connections: { max_idle: 2, prewarm: 3 }",
            "asgate.yaml:9:42: upstreams.backend.connections.prewarm: is more than is kept (got 3, allowed at most max_idle (2))",
        ),
        (
            "connections: { max_idle: few, prewarm: 100 }",
            "asgate.yaml:9:30: upstreams.backend.connections.max_idle: has the wrong type (got \"few\", allowed a whole number from 0 to 4294967295)",
        ),
        (
            "slow_start: 10",
            "asgate.yaml:9:17: upstreams.backend.slow_start: needs a unit (got 10, allowed a duration such as 250ms, 30s, 5m, 1h up to 8760h or off)",
        ),
    ]);
}

#[test]
fn checks_without_a_path() {
    check_upstream(&[
        ("health: {}", ""),
        (
            "health: { interval: 5s }",
            "asgate.yaml:9:25: upstreams.backend.health.interval: has no effect without path (got \"5s\", allowed this key with path only)",
        ),
        (
            "health: { timeout: 1s, expect: {} , passive: off }",
            "asgate.yaml:9:24: upstreams.backend.health.timeout: has no effect without path (got \"1s\", allowed this key with path only)\nasgate.yaml:9:36: upstreams.backend.health.expect: has no effect without path (got a mapping, allowed this key with path only)",
        ),
        (
            "health: { healthy_after: 1, unhealthy_after: 1 }",
            "asgate.yaml:9:30: upstreams.backend.health.healthy_after: has no effect without path (got 1, allowed this key with path only)\nasgate.yaml:9:50: upstreams.backend.health.unhealthy_after: has no effect without path (got 1, allowed this key with path only)",
        ),
        (
            "health: { interval: 5 }",
            "asgate.yaml:9:25: upstreams.backend.health.interval: needs a unit (got 5, allowed a duration such as 250ms, 30s, 5m, 1h up to 8760h)",
        ),
        (
            "health: { pth: /up, interval: 5s }",
            "asgate.yaml:9:15: upstreams.backend.health.pth: unknown key (got \"pth\", allowed path, interval, timeout, healthy_after, unhealthy_after, expect or passive; did you mean \"path\"?)",
        ),
    ]);
}

#[test]
fn passive() {
    check_upstream(&[
        ("health: { passive: off }", ""),
        ("health: { passive: {} }", ""),
        (
            "health: { passive: no }",
            "asgate.yaml:9:24: upstreams.backend.health.passive: has the wrong type (got \"no\", allowed off or a mapping)",
        ),
        (
            "health: { passive: [] }",
            "asgate.yaml:9:24: upstreams.backend.health.passive: has the wrong type (got an empty list, allowed off or a mapping)",
        ),
        (
            "health: { passive: true }",
            "asgate.yaml:9:24: upstreams.backend.health.passive: has the wrong type (got true, allowed off or a mapping)",
        ),
        (
            "health: { passive: { failures: 0 } }",
            "asgate.yaml:9:36: upstreams.backend.health.passive.failures: is out of range (got 0, allowed a whole number from 1 to 4294967295)",
        ),
        (
            "health: { passive: { window: off } }",
            "asgate.yaml:9:34: upstreams.backend.health.passive.window: is not a number and a unit (got \"off\", allowed a duration such as 250ms, 30s, 5m, 1h up to 8760h)",
        ),
        (
            "health: { passive: { max_ejected: 50 } }",
            "asgate.yaml:9:39: upstreams.backend.health.passive.max_ejected: needs a unit (got 50, allowed a whole percentage such as 20%, from 0% to 100%)",
        ),
        (
            "health: { passive: { max_ejected: 101% } }",
            "asgate.yaml:9:39: upstreams.backend.health.passive.max_ejected: is too large (got \"101%\", allowed a whole percentage such as 20%, from 0% to 100%)",
        ),
        (
            "health: { passive: { status: [499-503, 404, 503] } }",
            "asgate.yaml:9:35: upstreams.backend.health.passive.status[0]: is not the fault of the worker (got \"499-503\", allowed statuses and ranges of them from 500 to 599)\nasgate.yaml:9:44: upstreams.backend.health.passive.status[1]: is not the fault of the worker (got 404, allowed statuses and ranges of them from 500 to 599)",
        ),
        (
            "health: { passive: { stats: [503] } }",
            "asgate.yaml:9:26: upstreams.backend.health.passive.stats: unknown key (got \"stats\", allowed failures, window, eject_for, max_ejected or status; did you mean \"status\"?)",
        ),
    ]);
}

#[test]
fn reuse_of_connections() {
    check_upstream(&[
        (
            "connections: { reuse: sometimes }",
            "asgate.yaml:9:27: upstreams.backend.connections.reuse: is not a known value (got \"sometimes\", allowed safe, always, never or per_client)",
        ),
        (
            "connections: { reuse: never, max_age: off, max_requests: 1, max_idle: 1, idle_timeout: 1s }",
            "",
        ),
        (
            "connections: { reuse: never, prewarm: 1 }",
            "asgate.yaml:9:43: upstreams.backend.connections.prewarm: opens what reuse: never does not use (got 1, allowed 0, or another reuse)",
        ),
        (
            "connections: { reuse: nevr, prewarm: 100 }",
            "asgate.yaml:9:27: upstreams.backend.connections.reuse: is not a known value (got \"nevr\", allowed safe, always, never or per_client; did you mean \"never\"?)",
        ),
        (
            "connections: { max_age: 0s }",
            "asgate.yaml:9:29: upstreams.backend.connections.max_age: must not be zero (got \"0s\", allowed a duration such as 250ms, 30s, 5m, 1h up to 8760h or off)",
        ),
        (
            "connections: { max_requests: off }",
            "asgate.yaml:9:34: upstreams.backend.connections.max_requests: has the wrong type (got \"off\", allowed a whole number from 0)",
        ),
        (
            "connections: { max_requests: -1 }",
            "asgate.yaml:9:34: upstreams.backend.connections.max_requests: is out of range (got -1, allowed a whole number from 0)",
        ),
    ]);
}

#[test]
fn queue_and_slots() {
    check_upstream(&[
        (
            "max_requests_per_worker: 0",
            "asgate.yaml:9:30: upstreams.backend.max_requests_per_worker: is out of range (got 0, allowed a whole number from 1 to 4294967295)",
        ),
        (
            "queue: { size: -1 }",
            "asgate.yaml:9:20: upstreams.backend.queue.size: is out of range (got -1, allowed a whole number from 0 to 4294967295)",
        ),
        (
            "queue: { timeout: off }",
            "asgate.yaml:9:23: upstreams.backend.queue.timeout: is not a number and a unit (got \"off\", allowed a duration such as 250ms, 30s, 5m, 1h up to 8760h)",
        ),
        (
            "queue: { timeout: 0s }",
            "asgate.yaml:9:23: upstreams.backend.queue.timeout: must not be zero (got \"0s\", allowed a duration such as 250ms, 30s, 5m, 1h up to 8760h)",
        ),
        (
            "queue: 100",
            "asgate.yaml:9:12: upstreams.backend.queue: has the wrong type (got 100, allowed a mapping)",
        ),
    ]);
}

#[test]
fn retry() {
    check_upstream(&[
        (
            "retry: { attempts: 0 }",
            "asgate.yaml:9:24: upstreams.backend.retry.attempts: is out of range (got 0, allowed a whole number from 1 to 10)",
        ),
        (
            "retry: { attempts: 11 }",
            "asgate.yaml:9:24: upstreams.backend.retry.attempts: is out of range (got 11, allowed a whole number from 1 to 10)",
        ),
        (
            "retry: { budget: 20 }",
            "asgate.yaml:9:22: upstreams.backend.retry.budget: needs a unit (got 20, allowed a whole percentage such as 20%, from 0% to 100%)",
        ),
        (
            "retry: { on: connect }",
            "asgate.yaml:9:18: upstreams.backend.retry.on: has the wrong type (got \"connect\", allowed a list)",
        ),
        (
            "retry: { on: [conect] }",
            "asgate.yaml:9:19: upstreams.backend.retry.on[0]: is not a known value (got \"conect\", allowed connect, stale, closed, refused_503, 502, 503 or 504; did you mean \"connect\"?)",
        ),
        (
            "retry: { on: [500] }",
            "asgate.yaml:9:19: upstreams.backend.retry.on[0]: is not a known value (got 500, allowed connect, stale, closed, refused_503, 502, 503 or 504)",
        ),
        (
            "retry: { on: [0x1F6] }",
            "asgate.yaml:9:19: upstreams.backend.retry.on[0]: is not a known value (got 0x1F6, allowed connect, stale, closed, refused_503, 502, 503 or 504)",
        ),
        (
            "retry: { on: [502, 5.02] }",
            "asgate.yaml:9:24: upstreams.backend.retry.on[1]: is not a known value (got 5.02, allowed connect, stale, closed, refused_503, 502, 503 or 504)",
        ),
        (
            "retry: { body_buffer: 65MiB }",
            "asgate.yaml:9:27: upstreams.backend.retry.body_buffer: is out of range (got \"65MiB\", allowed 0B to 64MiB)",
        ),
        (
            "retry: { body_buffer: off }",
            "asgate.yaml:9:27: upstreams.backend.retry.body_buffer: is not a number and a unit (got \"off\", allowed a size such as 100B, 64KiB, 30MB, 1GiB)",
        ),
    ]);
}

#[test]
fn room_that_uvicorn_leaves() {
    check(
        APP,
        &[
            (
                "      asgi: main:app\n      args: [--limit-concurrency, '2']\n",
                "asgate.yaml:7:35: upstreams.app.app.args[1]: leaves no connection for a request beside that of a check (got \"2\", allowed a whole number from 3)",
            ),
            (
                "      asgi: main:app\n      args: [--limit-concurrency=many]\n",
                "asgate.yaml:7:14: upstreams.app.app.args[0]: is not a number of connections (got \"--limit-concurrency=many\", allowed a whole number from 3)",
            ),
            (
                "      asgi: main:app\n      args: [--limit-concurrency]\n",
                "asgate.yaml:7:14: upstreams.app.app.args[0]: is not a number of connections (got \"--limit-concurrency\", allowed a whole number from 3)",
            ),
            (
                "      asgi: main:app\n      env: { UVICORN_LIMIT_CONCURRENCY: '0' }\n",
                "asgate.yaml:7:41: upstreams.app.app.env.UVICORN_LIMIT_CONCURRENCY: leaves no connection for a request beside that of a check (got a hidden value, allowed a whole number from 3)",
            ),
            (
                "      asgi: main:app\n      args: [--limit-concurrency=3]\n    connections: { prewarm: 2 }\n",
                "asgate.yaml:8:29: upstreams.app.connections.prewarm: is more than --limit-concurrency leaves room for (got 2, allowed at most 1)",
            ),
            (
                "      asgi: main:app\n      args: [--limit-concurrency=4]\n    connections: { prewarm: 2 }\n",
                "",
            ),
        ],
    );
}
