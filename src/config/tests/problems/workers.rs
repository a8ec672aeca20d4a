//! Mistakes in the keys of the life of workers: arguments, warm-up, replacement.

use super::{APP, check};

/// `keys` of the app beside `asgi`, on line 7, and what is said about them.
fn check_app(cases: &[(&str, &str)]) {
    let cases: Vec<(String, &str)> =
        cases.iter().map(|(keys, said)| (format!("{APP}      {keys}\n"), *said)).collect();
    let cases: Vec<(&str, &str)> = cases.iter().map(|(new, said)| (new.as_str(), *said)).collect();
    check(APP, &cases);
}

#[test]
fn arguments_that_break_a_worker() {
    check_app(&[
        ("args: []", ""),
        ("args: [--loop, 'asyncio:SelectorEventLoop', --no-proxy-headers, --header=a:b]", ""),
        (
            "args: [--factory, --port, '8000', --uds=/tmp/a]",
            "asgate.yaml:7:25: upstreams.app.app.args[1]: would move the worker to another address (got \"--port\", allowed none: asgate chooses the address of a worker)\nasgate.yaml:7:41: upstreams.app.app.args[3]: would move the worker to another address (got \"--uds=/tmp/a\", allowed none: asgate chooses the address of a worker)",
        ),
        (
            "args: [--reload-dir=src]",
            "asgate.yaml:7:14: upstreams.app.app.args[0]: would make a worker several processes (got \"--reload-dir=src\", allowed none: workers says how many, recycle.on_file_change when they restart)",
        ),
        (
            "args: [--ssl-keyfile, key.pem]",
            "asgate.yaml:7:14: upstreams.app.app.args[0]: would encrypt between asgate and the worker (got \"--ssl-keyfile\", allowed none: asgate speaks plain HTTP to its workers)",
        ),
        (
            "args: [--http, zttp, --http2]",
            "asgate.yaml:7:28: upstreams.app.app.args[2]: would change the protocol between asgate and the worker (got \"--http2\", allowed none: asgate speaks HTTP/1.1 to its workers)",
        ),
        (
            "args: [--limit-max-requests, '1000']",
            "asgate.yaml:7:14: upstreams.app.app.args[0]: would end the worker while requests are on their way to it (got \"--limit-max-requests\", allowed none: recycle.max_requests replaces workers without loss)",
        ),
        (
            "args: [--root-path=/api]",
            "asgate.yaml:7:14: upstreams.app.app.args[0]: has a key of its own (got \"--root-path=/api\", allowed root_path beside args)",
        ),
        (
            "args: [--version]",
            "asgate.yaml:7:14: upstreams.app.app.args[0]: would end the worker at once (got \"--version\", allowed options of a server that runs)",
        ),
        (
            "args: [--factory, other:app]",
            "asgate.yaml:7:25: upstreams.app.app.args[1]: is not an option of Uvicorn (got \"other:app\", allowed options that start with -- and their values: the application is asgi)",
        ),
        (
            "args: [\"--header=a:\\0\"]",
            "asgate.yaml:7:14: upstreams.app.app.args[0]: holds a NUL character (got \"--header=a:\\0\", allowed text)",
        ),
        (
            "args: --factory",
            "asgate.yaml:7:13: upstreams.app.app.args: has the wrong type (got \"--factory\", allowed a list)",
        ),
        (
            "args: [--port, 8000]",
            "asgate.yaml:7:22: upstreams.app.app.args[1]: has the wrong type (got 8000, allowed text in quotes)",
        ),
    ]);
    check(
        APP,
        &[(
            "      command: [serve, \"{port}\"]\n      args: [--factory]\n      env: { UVICORN_PORT: '1' }\n",
            "asgate.yaml:7:13: upstreams.app.app.args: has no effect with command (got a list, allowed this key with asgi only)",
        )],
    );
}

#[test]
fn arguments_that_disagree_with_the_edge() {
    check_app(&[
        ("args: [--timeout-keep-alive, '61']", ""),
        (
            "args: [--timeout-keep-alive, '60']",
            "asgate.yaml:7:36: upstreams.app.app.args[1]: is not longer than connections.idle_timeout (got \"60\", allowed whole seconds, more than 1m)",
        ),
        (
            "args: [--timeout-keep-alive=forever]",
            "asgate.yaml:7:14: upstreams.app.app.args[0]: is not a number of seconds (got \"--timeout-keep-alive=forever\", allowed whole seconds, more than 1m)",
        ),
        (
            "args: [--timeout-keep-alive]",
            "asgate.yaml:7:14: upstreams.app.app.args[0]: is not a number of seconds (got \"--timeout-keep-alive\", allowed whole seconds, more than 1m)",
        ),
        ("args: [--timeout-keep-alive, '30']\n    connections: { idle_timeout: 20s }", ""),
        (
            "args: [--timeout-keep-alive, '30']\n    connections: { idle_timeout: 20 }",
            "asgate.yaml:8:34: upstreams.app.connections.idle_timeout: needs a unit (got 20, allowed a duration such as 250ms, 30s, 5m, 1h up to 8760h)",
        ),
        ("args: [--timeout-graceful-shutdown, '30']", ""),
        ("args: [--timeout-graceful-shutdown, '1']\n      stop_timeout: 200ms", ""),
        (
            "args: [--timeout-graceful-shutdown=31]",
            "asgate.yaml:7:14: upstreams.app.app.args[0]: is longer than stop_timeout (got \"--timeout-graceful-shutdown=31\", allowed whole seconds, at most 30)",
        ),
        (
            "args: [--timeout-graceful-shutdown=31]\n      stop_timeout: 60",
            "asgate.yaml:8:21: upstreams.app.app.stop_timeout: needs a unit (got 60, allowed a duration such as 250ms, 30s, 5m, 1h up to 8760h)",
        ),
    ]);
}

#[test]
fn variables_that_break_a_worker() {
    check_app(&[
        ("env: { UVICORN_LOG_LEVEL: warning, WEB_CONCURRENCY: '4' }", ""),
        (
            "env: { UVICORN_PORT: \"${SECRET}\" }",
            "asgate.yaml:7:14: upstreams.app.app.env.UVICORN_PORT: would move the worker to another address (got \"UVICORN_PORT\", allowed none: asgate chooses the address of a worker)",
        ),
        (
            "env: { UVICORN_RELOAD: 'true' }",
            "asgate.yaml:7:14: upstreams.app.app.env.UVICORN_RELOAD: would make a worker several processes (got \"UVICORN_RELOAD\", allowed none: workers says how many, recycle.on_file_change when they restart)",
        ),
        (
            "env: { UVICORN_TIMEOUT_KEEP_ALIVE: '5' }",
            "asgate.yaml:7:14: upstreams.app.app.env.UVICORN_TIMEOUT_KEEP_ALIVE: has no effect: asgate passes an option for it (got \"UVICORN_TIMEOUT_KEEP_ALIVE\", allowed the option in args)",
        ),
    ]);
}

#[test]
fn warmup_and_hang_timeout() {
    check_app(&[
        (
            "warmup: [/fine, items]",
            "asgate.yaml:7:23: upstreams.app.app.warmup[1]: is not a path (got \"items\", allowed a path that starts with /, with a query if need be, and has no #, space or letter beyond ASCII (percent-encode those))",
        ),
        (
            "warmup: [\"/a b\", \"/a?b c\", \"/a?b#c\"]",
            "asgate.yaml:7:16: upstreams.app.app.warmup[0]: is not a path (got \"/a b\", allowed a path that starts with /, with a query if need be, and has no #, space or letter beyond ASCII (percent-encode those))\nasgate.yaml:7:24: upstreams.app.app.warmup[1]: is not a path (got \"/a?b c\", allowed a path that starts with /, with a query if need be, and has no #, space or letter beyond ASCII (percent-encode those))\nasgate.yaml:7:34: upstreams.app.app.warmup[2]: is not a path (got \"/a?b#c\", allowed a path that starts with /, with a query if need be, and has no #, space or letter beyond ASCII (percent-encode those))",
        ),
        (
            "hang_timeout: 90",
            "asgate.yaml:7:21: upstreams.app.app.hang_timeout: needs a unit (got 90, allowed a duration such as 250ms, 30s, 5m, 1h up to 8760h or off)",
        ),
    ]);
}

#[test]
fn recycle_and_restart() {
    check_app(&[
        ("recycle: { max_age: off, max_memory: off }", ""),
        (
            "recycle: { max_requests: 0 }",
            "asgate.yaml:7:32: upstreams.app.app.recycle.max_requests: is out of range (got 0, allowed a whole number from 1; without this key there is no limit)",
        ),
        (
            "recycle: { max_requests: off }",
            "asgate.yaml:7:32: upstreams.app.app.recycle.max_requests: has the wrong type (got \"off\", allowed a whole number from 1; without this key there is no limit)",
        ),
        (
            "recycle: { max_age: 999ms, max_memory: 1KiB }",
            "asgate.yaml:7:27: upstreams.app.app.recycle.max_age: is shorter than a start takes (got \"999ms\", allowed at least 1s, or off)\nasgate.yaml:7:46: upstreams.app.app.recycle.max_memory: is less than any process has (got \"1KiB\", allowed at least 1MiB, or off)",
        ),
        (
            "recycle: { on_file_change: [\"\"] }",
            "asgate.yaml:7:35: upstreams.app.app.recycle.on_file_change[0]: is not a path (got \"\", allowed a path)",
        ),
        ("recycle: { on_file_change: [no/such/file] }", ""),
        (
            "restart: { backoff: 10s, max_backoff: 5s }",
            "asgate.yaml:7:45: upstreams.app.app.restart.max_backoff: is less than backoff (got \"5s\", allowed at least 10s)",
        ),
        (
            "restart: { backoff: 1m }",
            "asgate.yaml:7:27: upstreams.app.app.restart.backoff: is more than max_backoff (got \"1m\", allowed at most 30s, or a longer max_backoff)",
        ),
        (
            "restart: { backoff: 1m, max_backoff: 5 }",
            "asgate.yaml:7:44: upstreams.app.app.restart.max_backoff: needs a unit (got 5, allowed a duration such as 250ms, 30s, 5m, 1h up to 8760h)",
        ),
        (
            "restart: { rapid_fail: { failures: 0 } }",
            "asgate.yaml:7:42: upstreams.app.app.restart.rapid_fail.failures: is out of range (got 0, allowed a whole number from 1 to 4294967295)",
        ),
    ]);
}
