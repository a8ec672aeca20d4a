//! What is accepted and yet said something about.

use super::super::parse;
use super::problems::{APP, SERVER, check, check_upstream};
use super::{FILE, env, with};

#[test]
fn connections_that_outlive_those_of_their_worker() {
    check_upstream(&[
        ("connections: { idle_timeout: 4999ms }", ""),
        (
            "connections: { idle_timeout: 5s }",
            "asgate.yaml:9:34: warning: upstreams.backend.connections.idle_timeout: is not below the keep-alive that Uvicorn has by default (got \"5s\", advised less than 5s, or a longer keep-alive of the workers)",
        ),
        (
            "connections: { idle_timeout: 60s, reuse: always }",
            "asgate.yaml:9:34: warning: upstreams.backend.connections.idle_timeout: is not below the keep-alive that Uvicorn has by default (got \"60s\", advised less than 5s, or a longer keep-alive of the workers)",
        ),
        ("connections: { idle_timeout: 60s, reuse: never }", ""),
    ]);
}

#[test]
fn a_name_that_is_two_addresses() {
    check(
        SERVER,
        &[
            (
                "      - address: localhost:8001\n",
                "asgate.yaml:9:18: warning: upstreams.backend.servers[0].address: may be ::1, where servers that listen on 127.0.0.1 are not (got \"localhost:8001\", advised 127.0.0.1:8001)",
            ),
            (
                "      - address: LOCALHOST.:8001\n",
                "asgate.yaml:9:18: warning: upstreams.backend.servers[0].address: may be ::1, where servers that listen on 127.0.0.1 are not (got \"LOCALHOST.:8001\", advised 127.0.0.1:8001)",
            ),
            ("      - address: localhost.example.com:8001\n", ""),
        ],
    );
}

#[test]
fn slots_that_uvicorn_has_no_room_for() {
    check(
        APP,
        &[
            (
                "      asgi: main:app\n      args: [--limit-concurrency=50]\n    max_requests_per_worker: 100\n",
                "asgate.yaml:8:30: warning: upstreams.app.max_requests_per_worker: is more than --limit-concurrency leaves room for (got 100, advised at most 48)",
            ),
            (
                "      asgi: main:app\n      args: [--limit-concurrency=50]\n    max_requests_per_worker: 48\n",
                "",
            ),
        ],
    );
}

#[test]
fn warnings_stand_among_the_problems() {
    check(
        SERVER,
        &[(
            "      - address: localhost:8001\n    connections: { idle_timeout: 5s, max_age: 5 }\n",
            "asgate.yaml:9:18: warning: upstreams.backend.servers[0].address: may be ::1, where servers that listen on 127.0.0.1 are not (got \"localhost:8001\", advised 127.0.0.1:8001)\nasgate.yaml:10:34: warning: upstreams.backend.connections.idle_timeout: is not below the keep-alive that Uvicorn has by default (got \"5s\", advised less than 5s, or a longer keep-alive of the workers)\nasgate.yaml:10:47: upstreams.backend.connections.max_age: needs a unit (got 5, allowed a duration such as 250ms, 30s, 5m, 1h up to 8760h or off)",
        )],
    );
}

#[test]
fn a_file_that_is_only_warned_of_is_a_configuration() {
    let text = with(SERVER, "      - address: localhost:8001\n");
    let loaded = parse(&text, FILE.as_ref(), &env).expect("a valid file");
    assert_eq!(loaded.config.upstreams.len(), 2, "the configuration");
    assert_eq!(loaded.warnings.iter().count(), 1, "{}", loaded.warnings);
}
