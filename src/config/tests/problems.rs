//! One mistake, one line: the exact text of each.

use super::{VALID, said, with};

mod front;
mod listeners;
mod pool;
mod routes;
mod upstreams;
mod workers;

const LISTENER: &str = "  - address: 127.0.0.1:8080\n";
pub(super) const APP: &str = "      asgi: main:app\n";
pub(super) const SERVER: &str = "      - address: 127.0.0.1:8001\n";
const BACKEND: &str = "    servers:\n      - address: 127.0.0.1:8001\n";
pub(super) const ROUTE: &str = "  - upstream: app\n";

/// Each pair: what replaces `line` of the valid file, and all that is said about the result.
/// `{directory}` stands for the directory of the file.
pub(super) fn check(line: &str, cases: &[(&str, &str)]) {
    let directory = std::env::current_dir().expect("a current directory");
    let directory = directory.to_str().expect("a Unicode directory");
    for (new, expected) in cases {
        let text = with(line, new);
        let expected = expected.replace("{directory}", directory);
        assert_eq!(said(&text), expected, "what is said about\n{text}");
    }
}

/// Keys of an upstream with servers, on line 9, and what is said about them.
pub(super) fn check_upstream(cases: &[(&str, &str)]) {
    let servers = "    servers: [{ address: 127.0.0.1:1 }]\n";
    let cases: Vec<(String, &str)> =
        cases.iter().map(|(keys, said)| (format!("{servers}    {keys}\n"), *said)).collect();
    let cases: Vec<(&str, &str)> = cases.iter().map(|(new, said)| (new.as_str(), *said)).collect();
    check(BACKEND, &cases);
}

#[test]
fn the_valid_file_of_these_tests_is_valid() {
    assert_eq!(said(VALID), "", "no problem");
}

#[test]
fn keys_and_types() {
    check(
        LISTENER,
        &[
            (
                "  - adress: 127.0.0.1:8080\n",
                "asgate.yaml:2:5: listeners[0].adress: unknown key (got \"adress\", allowed address, redirect_to_https, proxy_protocol, http2, max_connections, max_connections_per_address, header_timeout, idle_timeout or tls; did you mean \"address\"?)",
            ),
            (
                "  - { address: 127.0.0.1:8080, tsl: {} }\n",
                "asgate.yaml:2:32: listeners[0].tsl: unknown key (got \"tsl\", allowed address, redirect_to_https, proxy_protocol, http2, max_connections, max_connections_per_address, header_timeout, idle_timeout or tls; did you mean \"tls\"?)",
            ),
            (
                "  - { address: 127.0.0.1:8080, zzz: {} }\n",
                "asgate.yaml:2:32: listeners[0].zzz: unknown key (got \"zzz\", allowed address, redirect_to_https, proxy_protocol, http2, max_connections, max_connections_per_address, header_timeout, idle_timeout or tls)",
            ),
            (
                "  - { address: 127.0.0.1:8080, http2: on }\n",
                "asgate.yaml:2:39: listeners[0].http2: has the wrong type (got \"on\", allowed true or false)",
            ),
            (
                "  - { address: 127.0.0.1:8080, http2: \"true\" }\n",
                "asgate.yaml:2:39: listeners[0].http2: has the wrong type (got \"true\", allowed true or false)",
            ),
            (
                "  - { address: 127.0.0.1:8080, max_connections: many }\n",
                "asgate.yaml:2:49: listeners[0].max_connections: has the wrong type (got \"many\", allowed a whole number from 1 to 4294967295)",
            ),
            (
                "  - { address: 127.0.0.1:8080, max_connections: 0 }\n",
                "asgate.yaml:2:49: listeners[0].max_connections: is out of range (got 0, allowed a whole number from 1 to 4294967295)",
            ),
            (
                "  - { address: 127.0.0.1:8080, max_connections: 1.5 }\n",
                "asgate.yaml:2:49: listeners[0].max_connections: has the wrong type (got 1.5, allowed a whole number from 1 to 4294967295)",
            ),
            (
                "  - { address: 127.0.0.1:8080, max_connections: 99999999999999999999 }\n",
                "asgate.yaml:2:49: listeners[0].max_connections: is out of range (got 99999999999999999999, allowed a whole number from 1 to 4294967295)",
            ),
            (
                "  - { address: 8080 }\n",
                "asgate.yaml:2:16: listeners[0].address: has the wrong type (got 8080, allowed text such as \"0.0.0.0:80\" in quotes)",
            ),
            (
                "  - { address: }\n",
                "asgate.yaml:2:14: listeners[0].address: has no value (got nothing, allowed text such as \"0.0.0.0:80\")",
            ),
            (
                "  - { address: [127.0.0.1:8080] }\n",
                "asgate.yaml:2:16: listeners[0].address: has the wrong type (got a list, allowed text such as \"0.0.0.0:80\")",
            ),
            (
                "  - 127.0.0.1:8080\n",
                "asgate.yaml:2:5: listeners[0]: has the wrong type (got \"127.0.0.1:8080\", allowed a mapping)",
            ),
            (
                "  - { address: 127.0.0.1:8080, address: 127.0.0.1:8081 }\n",
                "asgate.yaml:2:32: listeners[0].address: is there twice (got a second value, allowed each key once)",
            ),
        ],
    );
    check(
        ROUTE,
        &[
            (
                "  - { upstream: app, match: { host: { a: b } } }\n",
                "asgate.yaml:11:37: routes[0].match.host: has the wrong type (got a mapping, allowed text or a list)",
            ),
            (
                "  - { upstream: app, match: { header: [a] } }\n",
                "asgate.yaml:11:39: routes[0].match.header: has the wrong type (got a list, allowed a mapping)",
            ),
            (
                "  - { upstream: app, match: { header: { a: 1 } } }\n",
                "asgate.yaml:11:44: routes[0].match.header.a: has the wrong type (got 1, allowed text in quotes)",
            ),
        ],
    );
}

#[test]
fn durations_and_sizes() {
    check(
        LISTENER,
        &[
            (
                "  - { address: 127.0.0.1:8080, idle_timeout: 30 }\n",
                "asgate.yaml:2:46: listeners[0].idle_timeout: needs a unit (got 30, allowed a duration such as 250ms, 30s, 5m, 1h up to 8760h)",
            ),
            (
                "  - { address: 127.0.0.1:8080, idle_timeout: 30sec }\n",
                "asgate.yaml:2:46: listeners[0].idle_timeout: is not a number and a unit (got \"30sec\", allowed a duration such as 250ms, 30s, 5m, 1h up to 8760h)",
            ),
            (
                "  - { address: 127.0.0.1:8080, idle_timeout: 0s }\n",
                "asgate.yaml:2:46: listeners[0].idle_timeout: must not be zero (got \"0s\", allowed a duration such as 250ms, 30s, 5m, 1h up to 8760h)",
            ),
            (
                "  - { address: 127.0.0.1:8080, idle_timeout: 9000h }\n",
                "asgate.yaml:2:46: listeners[0].idle_timeout: is too large (got \"9000h\", allowed a duration such as 250ms, 30s, 5m, 1h up to 8760h)",
            ),
            (
                "  - { address: 127.0.0.1:8080, idle_timeout: off }\n",
                "asgate.yaml:2:46: listeners[0].idle_timeout: is not a number and a unit (got \"off\", allowed a duration such as 250ms, 30s, 5m, 1h up to 8760h)",
            ),
        ],
    );
    check(
        ROUTE,
        &[
            (
                "  - { upstream: app, timeouts: { total: none } }\n",
                "asgate.yaml:11:41: routes[0].timeouts.total: is not a number and a unit (got \"none\", allowed a duration such as 250ms, 30s, 5m, 1h up to 8760h or off)",
            ),
            (
                "  - { upstream: app, limits: { body: 100 } }\n",
                "asgate.yaml:11:38: routes[0].limits.body: needs a unit (got 100, allowed a size such as 100B, 64KiB, 30MB, 1GiB or off)",
            ),
            (
                "  - { upstream: app, limits: { body: 100mb } }\n",
                "asgate.yaml:11:38: routes[0].limits.body: is not a number and a unit (got \"100mb\", allowed a size such as 100B, 64KiB, 30MB, 1GiB or off)",
            ),
            (
                "  - { upstream: app, limits: { body: 99999999999TiB } }\n",
                "asgate.yaml:11:38: routes[0].limits.body: is too large (got \"99999999999TiB\", allowed a size such as 100B, 64KiB, 30MB, 1GiB or off)",
            ),
            (
                "  - { upstream: app, limits: { header: 1MiB } }\n",
                "asgate.yaml:11:40: routes[0].limits.header: is out of range (got \"1MiB\", allowed 1B to 1048575B)",
            ),
            (
                "  - { upstream: app, limits: { header: off } }\n",
                "asgate.yaml:11:40: routes[0].limits.header: is not a number and a unit (got \"off\", allowed a size such as 100B, 64KiB, 30MB, 1GiB)",
            ),
            (
                "  - { upstream: app, limits: { uri: 0B } }\n",
                "asgate.yaml:11:37: routes[0].limits.uri: is out of range (got \"0B\", allowed 1B to 64KiB)",
            ),
            (
                "  - { upstream: app, limits: { uri: 65KiB } }\n",
                "asgate.yaml:11:37: routes[0].limits.uri: is out of range (got \"65KiB\", allowed 1B to 64KiB)",
            ),
            (
                "  - { upstream: app, limits: { headers: 257 } }\n",
                "asgate.yaml:11:41: routes[0].limits.headers: is out of range (got 257, allowed a whole number from 1 to 256)",
            ),
        ],
    );
}

#[test]
fn listeners() {
    check(
        LISTENER,
        &[
            (
                "  []\n",
                "asgate.yaml:2:3: listeners: is empty (got an empty list, allowed at least one listener)",
            ),
            (
                "  - address: localhost:8080\n",
                "asgate.yaml:2:14: listeners[0].address: is not an address (got \"localhost:8080\", allowed ip:port, [v6]:port or unix:/path)",
            ),
            (
                "  - address: 127.0.0.1\n",
                "asgate.yaml:2:14: listeners[0].address: is not an address (got \"127.0.0.1\", allowed ip:port, [v6]:port or unix:/path)",
            ),
            (
                "  - address: 127.0.0.1:99999\n",
                "asgate.yaml:2:14: listeners[0].address: is not an address (got \"127.0.0.1:99999\", allowed ip:port, [v6]:port or unix:/path)",
            ),
            (
                "  - address: \"unix:\"\n",
                "asgate.yaml:2:14: listeners[0].address: has no path (got \"unix:\", allowed ip:port, [v6]:port or unix:/path)",
            ),
            (
                "  - address: 127.0.0.1:80\n  - address: 127.0.0.1:80\n",
                "asgate.yaml:3:14: listeners[1].address: overlaps listeners[0].address at 2:14 (got \"127.0.0.1:80\", allowed an address that nothing else listens on)",
            ),
            (
                "  - address: 0.0.0.0:80\n  - address: 127.0.0.1:80\n",
                "asgate.yaml:3:14: listeners[1].address: overlaps listeners[0].address at 2:14 (got \"127.0.0.1:80\", allowed an address that nothing else listens on)",
            ),
            (
                "  - address: 127.0.0.1:80\n  - address: \"[::]:80\"\n",
                "asgate.yaml:3:14: listeners[1].address: overlaps listeners[0].address at 2:14 (got \"[::]:80\", allowed an address that nothing else listens on)",
            ),
            ("  - address: 127.0.0.1:80\n  - address: 127.0.0.2:80\n", ""),
            ("  - address: 127.0.0.1:0\n  - address: 127.0.0.1:0\n", ""),
        ],
    );
}

#[cfg(unix)]
#[test]
fn unix_sockets() {
    check(
        LISTENER,
        &[
            (
                "  - address: unix:/run/a\n  - address: unix:/run/a\n",
                "asgate.yaml:3:14: listeners[1].address: overlaps listeners[0].address at 2:14 (got \"unix:/run/a\", allowed an address that nothing else listens on)",
            ),
            (
                "  - address: unix:/run/01234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789\n",
                "asgate.yaml:2:14: listeners[0].address: is too long a path for a socket (got \"unix:/run/0123456789012345678901234567890123456789012345678901234567890123456789…\", allowed at most 107 bytes, made absolute)",
            ),
        ],
    );
}

#[test]
fn the_rest_of_the_top_level() {
    check(
        ROUTE,
        &[
            (
                "  - upstream: app\nadmin: { address: 0.0.0.0:9180 }\n",
                "asgate.yaml:12:19: admin.address: can be reached from other machines (got \"0.0.0.0:9180\", allowed a loopback address or a Unix socket: others need a token, which is not implemented yet)",
            ),
            (
                "  - upstream: app\nadmin: { address: 127.0.0.1:8080 }\n",
                "asgate.yaml:12:19: admin.address: overlaps listeners[0].address at 2:14 (got \"127.0.0.1:8080\", allowed an address that nothing else listens on)",
            ),
            (
                "  - upstream: app\nadmin: {}\n",
                "asgate.yaml:12:8: admin.address: is missing (got nothing, allowed text such as \"127.0.0.1:9180\")",
            ),
            (
                "  - upstream: app\ntrusted_proxies: [10.0.0.1/8]\n",
                "asgate.yaml:12:19: trusted_proxies[0]: has bits set beyond its prefix (got \"10.0.0.1/8\", allowed 10.0.0.0/8 for the network, 10.0.0.1 for the address)",
            ),
            (
                "  - upstream: app\ntrusted_proxies: [example.com]\n",
                "asgate.yaml:12:19: trusted_proxies[0]: is not a network (got \"example.com\", allowed an address such as 192.0.2.7 or a network such as 10.0.0.0/8)",
            ),
            (
                "  - upstream: app\ntrusted_headers: [X-Auth-User]\n",
                "asgate.yaml:12:18: trusted_headers: come from nobody while there are no trusted_proxies (got a list, allowed this key with trusted_proxies)",
            ),
            (
                "  - upstream: app\ntrusted_proxies: [10.0.0.1]\ntrusted_headers: [X-Client-Cert, x_forwarded_for, x-client-cert, te]\n",
                "asgate.yaml:13:34: trusted_headers[1]: cannot be reserved (got \"x_forwarded_for\", allowed any header but cookie, x-real-ip, x-forwarded-for, x-forwarded-host, x-forwarded-port, x-forwarded-proto or x-request-id)\nasgate.yaml:13:51: trusted_headers[2]: is there twice (got \"x-client-cert\", allowed each header once: letter case does not matter)\nasgate.yaml:13:66: trusted_headers[3]: frames a message or is for one connection (got \"te\", allowed any header but connection, content-length, keep-alive, te, trailer, transfer-encoding, upgrade or proxy-*)",
            ),
            (
                "  - upstream: app\ntrusted_proxies: [10.0.0.1]\ntrusted_headers: [X-Real-IP, x-user, X_User]\n",
                "asgate.yaml:13:19: trusted_headers[0]: cannot be reserved (got \"X-Real-IP\", allowed any header but cookie, x-real-ip, x-forwarded-for, x-forwarded-host, x-forwarded-port, x-forwarded-proto or x-request-id)\nasgate.yaml:13:38: trusted_headers[2]: is there twice (got \"X_User\", allowed each header once: apps take _ and - for the same)",
            ),
            (
                "  - upstream: app\nlogging: { level: verbose }\n",
                "asgate.yaml:12:19: logging.level: is not a known value (got \"verbose\", allowed off, error, warn, info, debug or trace)",
            ),
            (
                "  - upstream: app\nlogging: { level: inf }\n",
                "asgate.yaml:12:19: logging.level: is not a known value (got \"inf\", allowed off, error, warn, info, debug or trace; did you mean \"info\"?)",
            ),
            (
                "  - upstream: app\nlogging: { access: { format: w3c } }\n",
                "asgate.yaml:12:30: logging.access.format: not implemented yet (got \"w3c\", allowed ecs)",
            ),
            (
                "  - upstream: app\nlogging: { access: { output: access.log } }\n",
                "asgate.yaml:12:30: logging.access.output: not implemented yet (got \"access.log\", allowed stdout or off)",
            ),
            (
                "  - upstream: app\nlogging: { access: { output: 3 } }\n",
                "asgate.yaml:12:30: logging.access.output: not implemented yet (got 3, allowed stdout or off)",
            ),
            (
                "  - upstream: app\nshutdown_timeout: off\n",
                "asgate.yaml:12:19: shutdown_timeout: is not a number and a unit (got \"off\", allowed a duration such as 250ms, 30s, 5m, 1h up to 8760h)",
            ),
        ],
    );
}

#[test]
fn apps() {
    check(
        APP,
        &[
            (
                "      {}\n",
                "asgate.yaml:6:7: upstreams.app.app: has nothing to start (got neither, allowed asgi or command)",
            ),
            (
                "      asgi: main.py\n",
                "asgate.yaml:6:13: upstreams.app.app.asgi: is not an ASGI application (got \"main.py\", allowed module:attribute, for example backend.main:app)",
            ),
            (
                "      asgi: main:app\n      command: [serve, \"{port}\"]\n",
                "asgate.yaml:6:7: upstreams.app.app: has two ways to start (got asgi and command, allowed one of asgi and command)",
            ),
            (
                "      asgi: main:app\n      directory: ./no-such-directory\n",
                "asgate.yaml:7:18: upstreams.app.app.directory: does not exist: {directory}/no-such-directory (got \"./no-such-directory\", allowed a directory)",
            ),
            (
                "      asgi: main:app\n      directory: Cargo.toml\n",
                "asgate.yaml:7:18: upstreams.app.app.directory: is not a directory: {directory}/Cargo.toml (got \"Cargo.toml\", allowed a directory)",
            ),
            (
                "      asgi: main:app\n      python: no-such-directory/python\n",
                "asgate.yaml:7:15: upstreams.app.app.python: does not exist: {directory}/no-such-directory/python (got \"no-such-directory/python\", allowed a program, or a name without / to look up in PATH)",
            ),
            (
                "      asgi: main:app\n      workers: 0\n",
                "asgate.yaml:7:16: upstreams.app.app.workers: is out of range (got 0, allowed a whole number from 1 to 65535)",
            ),
            (
                "      asgi: main:app\n      transport: udp\n",
                "asgate.yaml:7:18: upstreams.app.app.transport: is not a known value (got \"udp\", allowed auto or tcp)",
            ),
            (
                "      asgi: main:app\n      root_path: api\n",
                "asgate.yaml:7:18: upstreams.app.app.root_path: is not a root path (got \"api\", allowed a path that starts with / and does not end with one)",
            ),
            (
                "      asgi: main:app\n      root_path: /api/\n",
                "asgate.yaml:7:18: upstreams.app.app.root_path: is not a root path (got \"/api/\", allowed a path that starts with / and does not end with one)",
            ),
            (
                "      command: []\n",
                "asgate.yaml:6:16: upstreams.app.app.command: is empty (got an empty list, allowed a program and its arguments)",
            ),
            (
                "      command: [serve]\n",
                "asgate.yaml:6:16: upstreams.app.app.command: does not tell the server where to listen (got a list, allowed {port} or {socket} in one of the arguments)",
            ),
            (
                "      command: [serve, \"{socket}\"]\n      transport: tcp\n",
                "asgate.yaml:6:16: upstreams.app.app.command: does not tell the server where to listen (got a list, allowed {port} in one of the arguments, for transport tcp)",
            ),
            (
                "      command: [./no-such-program, \"{port}\"]\n",
                "asgate.yaml:6:17: upstreams.app.app.command[0]: does not exist: {directory}/no-such-program (got \"./no-such-program\", allowed a program, or a name without / to look up in PATH)",
            ),
            (
                "      command: [serve, 8001]\n",
                "asgate.yaml:6:24: upstreams.app.app.command[1]: has the wrong type (got 8001, allowed text in quotes)",
            ),
            (
                "      command: [serve, \"{port}\"]\n      root_path: /api\n      python: python3\n",
                "asgate.yaml:7:18: upstreams.app.app.root_path: has no effect with command (got \"/api\", allowed this key with asgi only)\nasgate.yaml:8:15: upstreams.app.app.python: has no effect with command (got \"python3\", allowed this key with asgi only)",
            ),
        ],
    );
}

#[test]
fn secrets_are_not_shown() {
    check(
        APP,
        &[
            (
                "      asgi: main:app\n      env: { PORT: 8765 }\n",
                "asgate.yaml:7:20: upstreams.app.app.env.PORT: has the wrong type (got a hidden value, allowed text in quotes)",
            ),
            (
                "      asgi: main:app\n      env: { TOKEN: [hunter2] }\n",
                "asgate.yaml:7:21: upstreams.app.app.env.TOKEN: has the wrong type (got a list, allowed text)",
            ),
            (
                "      asgi: main:app\n      env: { TOKEN: \"hunter2${\" }\n",
                "asgate.yaml:7:21: upstreams.app.app.env.TOKEN: has a malformed ${…} (got something else after ${, allowed ${NAME}, ${NAME:-default}, or $$ for a literal $)",
            ),
            (
                "      asgi: main:app\n      env: { \"A=B\": hunter2 }\n",
                "asgate.yaml:7:14: upstreams.app.app.env.\"A=B\": is not a variable's name (got \"A=B\", allowed a name without =)",
            ),
            (
                "      asgi: \"${SECRET}\"\n",
                "asgate.yaml:6:13: upstreams.app.app.asgi: is not an ASGI application (got \"${SECRET}\" after expansion, allowed module:attribute, for example backend.main:app)",
            ),
        ],
    );
}
