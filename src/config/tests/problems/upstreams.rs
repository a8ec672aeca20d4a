//! Mistakes in where workers are and how one is chosen.

use super::{APP, BACKEND, ROUTE, SERVER, check, check_upstream};

#[test]
fn upstreams() {
    check(
        BACKEND,
        &[
            (
                "    {}\n",
                "asgate.yaml:8:5: upstreams.backend: has no workers (got neither, allowed app or servers)",
            ),
            (
                "    tls: {}\n",
                "asgate.yaml:8:5: upstreams.backend: has no workers (got neither, allowed app or servers)",
            ),
            (
                "    servers: []\n",
                "asgate.yaml:8:14: upstreams.backend.servers: is empty (got an empty list, allowed at least one server)",
            ),
            (
                "    servers: [{ address: 127.0.0.1:1 }]\n    app: { asgi: a:b }\n",
                "asgate.yaml:8:5: upstreams.backend: has two sources of workers (got app and servers, allowed one of app and servers)",
            ),
        ],
    );
    check(
        SERVER,
        &[
            (
                "      - address: 127.0.0.1:0\n",
                "asgate.yaml:9:18: upstreams.backend.servers[0].address: has port 0 (got \"127.0.0.1:0\", allowed a port from 1 to 65535)",
            ),
            (
                "      - address: 0.0.0.0:8001\n",
                "asgate.yaml:9:18: upstreams.backend.servers[0].address: is every address and none to connect to (got \"0.0.0.0:8001\", allowed the address of one machine, such as 127.0.0.1)",
            ),
            (
                "      - { address: 127.0.0.1:8001, weight: 0 }\n",
                "asgate.yaml:9:44: upstreams.backend.servers[0].weight: is out of range (got 0, allowed a whole number from 1 to 65535)",
            ),
            (
                "      - { address: 127.0.0.1:8001 }\n      - { address: 127.0.0.1:8001, weight: 2 }\n",
                "asgate.yaml:10:20: upstreams.backend.servers[1].address: is the address of servers[0] again (got \"127.0.0.1:8001\", allowed another ip:port, [v6]:port, name:port or unix:/path; or a weight there)",
            ),
            (
                "      - weight: 2\n",
                "asgate.yaml:9:9: upstreams.backend.servers[0].address: is missing (got nothing, allowed text such as \"127.0.0.1:8001\")",
            ),
        ],
    );
    check(
        "  backend:\n",
        &[
            (
                "  \"back end\":\n",
                "asgate.yaml:7:3: upstreams.\"back end\": is not a name (got \"back end\", allowed 1 to 64 letters, digits, - and _)",
            ),
            (
                "  back.end:\n",
                "asgate.yaml:7:3: upstreams.\"back.end\": is not a name (got \"back.end\", allowed 1 to 64 letters, digits, - and _)",
            ),
        ],
    );
}

#[test]
fn addresses_of_servers() {
    check(
        SERVER,
        &[
            (
                "      - address: app.internal\n",
                "asgate.yaml:9:18: upstreams.backend.servers[0].address: is not an address (got \"app.internal\", allowed ip:port, [v6]:port, name:port or unix:/path)",
            ),
            (
                "      - address: app.internal:0\n",
                "asgate.yaml:9:18: upstreams.backend.servers[0].address: has port 0 (got \"app.internal:0\", allowed a port from 1 to 65535)",
            ),
            (
                "      - address: app.internal:99999\n",
                "asgate.yaml:9:18: upstreams.backend.servers[0].address: is not an address (got \"app.internal:99999\", allowed ip:port, [v6]:port, name:port or unix:/path)",
            ),
            (
                "      - address: app.internal:+80\n",
                "asgate.yaml:9:18: upstreams.backend.servers[0].address: is not an address (got \"app.internal:+80\", allowed ip:port, [v6]:port, name:port or unix:/path)",
            ),
            (
                "      - address: 127.0.0.1.1:80\n",
                "asgate.yaml:9:18: upstreams.backend.servers[0].address: is not an address (got \"127.0.0.1.1:80\", allowed ip:port, [v6]:port, name:port or unix:/path)",
            ),
            (
                "      - address: 300.1.1.1:80\n",
                "asgate.yaml:9:18: upstreams.backend.servers[0].address: is not an address (got \"300.1.1.1:80\", allowed ip:port, [v6]:port, name:port or unix:/path)",
            ),
            (
                "      - address: app.1:80\n",
                "asgate.yaml:9:18: upstreams.backend.servers[0].address: is not an address (got \"app.1:80\", allowed ip:port, [v6]:port, name:port or unix:/path)",
            ),
            (
                "      - address: \"-app:80\"\n",
                "asgate.yaml:9:18: upstreams.backend.servers[0].address: is not an address (got \"-app:80\", allowed ip:port, [v6]:port, name:port or unix:/path)",
            ),
            (
                "      - address: app..internal:80\n",
                "asgate.yaml:9:18: upstreams.backend.servers[0].address: is not an address (got \"app..internal:80\", allowed ip:port, [v6]:port, name:port or unix:/path)",
            ),
            (
                "      - address: \"a b:80\"\n",
                "asgate.yaml:9:18: upstreams.backend.servers[0].address: is not an address (got \"a b:80\", allowed ip:port, [v6]:port, name:port or unix:/path)",
            ),
            (
                "      - address: app.aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa:80\n",
                "asgate.yaml:9:18: upstreams.backend.servers[0].address: is not an address (got \"app.aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa:80\", allowed ip:port, [v6]:port, name:port or unix:/path)",
            ),
            (
                "      - address: http://app:80\n",
                "asgate.yaml:9:18: upstreams.backend.servers[0].address: is not an address (got \"http://app:80\", allowed ip:port, [v6]:port, name:port or unix:/path)",
            ),
            (
                "      - address: \"unix:\"\n",
                "asgate.yaml:9:18: upstreams.backend.servers[0].address: has no path (got \"unix:\", allowed ip:port, [v6]:port, name:port or unix:/path)",
            ),
            (
                "      - address: App:80\n      - address: app:80\n",
                "asgate.yaml:10:18: upstreams.backend.servers[1].address: is the address of servers[0] again (got \"app:80\", allowed another ip:port, [v6]:port, name:port or unix:/path; or a weight there)",
            ),
            ("      - address: app:80\n      - address: app.:80\n", ""),
        ],
    );
}

#[test]
fn balance_and_its_key() {
    check_upstream(&[
        (
            "balance: sticky",
            "asgate.yaml:9:14: upstreams.backend.balance: is not a known value (got \"sticky\", allowed least_requests, round_robin, random, latency or hash)",
        ),
        (
            "balance: roundrobin",
            "asgate.yaml:9:14: upstreams.backend.balance: is not a known value (got \"roundrobin\", allowed least_requests, round_robin, random, latency or hash; did you mean \"round_robin\"?)",
        ),
        (
            "balance: hash",
            "asgate.yaml:8:5: upstreams.backend.hash_on: is missing (got nothing, allowed client_ip, path, header:NAME, cookie:NAME or query:NAME)",
        ),
        (
            "balance: hash\n    hash_on: ip",
            "asgate.yaml:10:14: upstreams.backend.hash_on: is nothing to tell requests apart by (got \"ip\", allowed client_ip, path, header:NAME, cookie:NAME or query:NAME)",
        ),
        (
            "balance: hash\n    hash_on: client-ip",
            "asgate.yaml:10:14: upstreams.backend.hash_on: is nothing to tell requests apart by (got \"client-ip\", allowed client_ip, path, header:NAME, cookie:NAME or query:NAME)",
        ),
        (
            "balance: hash\n    hash_on: \"header:a b\"",
            "asgate.yaml:10:14: upstreams.backend.hash_on: does not name a header (got \"header:a b\", allowed header:NAME of letters, digits and !#$%&'*+-.^_`|~ (RFC 9110 §5.6.2))",
        ),
        (
            "balance: hash\n    hash_on: \"header:\"",
            "asgate.yaml:10:14: upstreams.backend.hash_on: does not name a header (got \"header:\", allowed header:NAME of letters, digits and !#$%&'*+-.^_`|~ (RFC 9110 §5.6.2))",
        ),
        (
            "balance: hash\n    hash_on: \"cookie:a=b\"",
            "asgate.yaml:10:14: upstreams.backend.hash_on: does not name a cookie (got \"cookie:a=b\", allowed cookie:NAME of letters, digits and !#$%&'*+-.^_`|~ (RFC 9110 §5.6.2))",
        ),
        (
            "balance: hash\n    hash_on: \"query:\"",
            "asgate.yaml:10:14: upstreams.backend.hash_on: does not name a parameter (got \"query:\", allowed query:NAME)",
        ),
        (
            "balance: hash\n    hash_on: 1",
            "asgate.yaml:10:14: upstreams.backend.hash_on: has the wrong type (got 1, allowed text such as \"client_ip\" in quotes)",
        ),
        (
            "hash_on: client_ip",
            "asgate.yaml:9:14: upstreams.backend.hash_on: has no effect without balance: hash (got \"client_ip\", allowed this key with balance: hash only)",
        ),
        (
            "balance: latency\n    hash_on: path",
            "asgate.yaml:10:14: upstreams.backend.hash_on: has no effect without balance: hash (got \"path\", allowed this key with balance: hash only)",
        ),
        (
            "balance: hsh\n    hash_on: path",
            "asgate.yaml:9:14: upstreams.backend.balance: is not a known value (got \"hsh\", allowed least_requests, round_robin, random, latency or hash; did you mean \"hash\"?)",
        ),
    ]);
}

#[test]
fn affinity() {
    check_upstream(&[
        ("affinity: {}", ""),
        (
            "affinity: on",
            "asgate.yaml:9:15: upstreams.backend.affinity: has the wrong type (got \"on\", allowed a mapping)",
        ),
        (
            "affinity: { cookie: \"a b\" }",
            "asgate.yaml:9:25: upstreams.backend.affinity.cookie: is not a cookie name (got \"a b\", allowed letters, digits and !#$%&'*+-.^_`|~ (RFC 9110 §5.6.2))",
        ),
        (
            "affinity: { cookie: \"\" }",
            "asgate.yaml:9:25: upstreams.backend.affinity.cookie: is not a cookie name (got \"\", allowed letters, digits and !#$%&'*+-.^_`|~ (RFC 9110 §5.6.2))",
        ),
        (
            "affinity: { cookie: a;b, secret: short }",
            "asgate.yaml:9:25: upstreams.backend.affinity.cookie: is not a cookie name (got \"a;b\", allowed letters, digits and !#$%&'*+-.^_`|~ (RFC 9110 §5.6.2))\nasgate.yaml:9:38: upstreams.backend.affinity.secret: is too short to be a secret (got a hidden value, allowed at least 16 bytes)",
        ),
        (
            "affinity: { secret: 123456789012345678 }",
            "asgate.yaml:9:25: upstreams.backend.affinity.secret: has the wrong type (got a hidden value, allowed text in quotes)",
        ),
        (
            "affinity: { secret: \"${SECRET}\" }",
            "asgate.yaml:9:25: upstreams.backend.affinity.secret: is too short to be a secret (got a hidden value, allowed at least 16 bytes)",
        ),
        (
            "affinity: { secret: [hunter2hunter2hunter2] }",
            "asgate.yaml:9:25: upstreams.backend.affinity.secret: has the wrong type (got a list, allowed text)",
        ),
        (
            "affinity: { scret: hunter2hunter2hunter2 }",
            "asgate.yaml:9:17: upstreams.backend.affinity.scret: unknown key (got \"scret\", allowed cookie or secret; did you mean \"secret\"?)",
        ),
    ]);
}

#[test]
fn affinity_of_several_upstreams() {
    check(
        APP,
        &[
            (
                "      asgi: main:app\n    affinity: {}\n  more:\n    servers: [{ address: 127.0.0.1:1 }]\n    affinity: {}\n",
                "asgate.yaml:10:15: upstreams.more.affinity.cookie: is the cookie of upstreams.app too (got \"asgate_affinity\", allowed a cookie of its own for each upstream)",
            ),
            (
                "      asgi: main:app\n    affinity: { cookie: a }\n  more:\n    servers: [{ address: 127.0.0.1:1 }]\n    affinity: { cookie: a }\n",
                "asgate.yaml:10:25: upstreams.more.affinity.cookie: is the cookie of upstreams.app too (got \"a\", allowed a cookie of its own for each upstream)",
            ),
            (
                "      asgi: main:app\n    affinity: { cookie: a }\n  more:\n    servers: [{ address: 127.0.0.1:1 }]\n    affinity: { cookie: A }\n",
                "",
            ),
            (
                "      asgi: main:app\n    affinity: {}\n    slow_start: 5\n  more:\n    servers: []\n    affinity: {}\n",
                "asgate.yaml:8:17: upstreams.app.slow_start: needs a unit (got 5, allowed a duration such as 250ms, 30s, 5m, 1h up to 8760h or off)\nasgate.yaml:10:14: upstreams.more.servers: is empty (got an empty list, allowed at least one server)\nasgate.yaml:11:15: upstreams.more.affinity.cookie: is the cookie of upstreams.app too (got \"asgate_affinity\", allowed a cookie of its own for each upstream)",
            ),
            (
                "      asgi: main:app\n    affinity: {}\n  more:\n    servers: [{ address: 127.0.0.1:1 }]\n    affinity: { cookie: 1 }\n",
                "asgate.yaml:10:25: upstreams.more.affinity.cookie: has the wrong type (got 1, allowed text in quotes)",
            ),
        ],
    );
}

#[test]
fn tls_to_workers() {
    check_upstream(&[
        (
            "tls: true",
            "asgate.yaml:9:10: upstreams.backend.tls: has the wrong type (got true, allowed a mapping)",
        ),
        (
            "tls: { sni: \"app.internal:443\" }",
            "asgate.yaml:9:17: upstreams.backend.tls.sni: is not a name that a certificate is for (got \"app.internal:443\", allowed a name such as app.internal, or an IP address, without a port)",
        ),
        (
            "tls: { sni: \"*.internal\" }",
            "asgate.yaml:9:17: upstreams.backend.tls.sni: is not a name that a certificate is for (got \"*.internal\", allowed a name such as app.internal, or an IP address, without a port)",
        ),
        (
            "tls: { sni: 300.1.1.1 }",
            "asgate.yaml:9:17: upstreams.backend.tls.sni: is not a name that a certificate is for (got \"300.1.1.1\", allowed a name such as app.internal, or an IP address, without a port)",
        ),
        (
            "tls: { sni: app.internal. }",
            "asgate.yaml:9:17: upstreams.backend.tls.sni: is not a name that a certificate is for (got \"app.internal.\", allowed a name such as app.internal, or an IP address, without a port)",
        ),
        (
            "tls: { ca: no-such.pem }",
            "asgate.yaml:9:16: upstreams.backend.tls.ca: does not exist: {directory}/no-such.pem (got \"no-such.pem\", allowed a file with at least one certificate in PEM)",
        ),
        (
            "tls: { ca: Cargo.toml }",
            "asgate.yaml:9:16: upstreams.backend.tls.ca: is not in PEM: nothing in it begins with -----BEGIN (got \"Cargo.toml\", allowed a file with at least one certificate in PEM)",
        ),
        (
            "tls: { ca: src }",
            "asgate.yaml:9:16: upstreams.backend.tls.ca: is not a file: {directory}/src (got \"src\", allowed a file with at least one certificate in PEM)",
        ),
        (
            "tls: { ca: no-such.pem, verify: false }",
            "asgate.yaml:9:16: upstreams.backend.tls.ca: is not looked at with verify: false (got \"no-such.pem\", allowed verify: true, or no ca)",
        ),
        (
            "tls: { verify: no }",
            "asgate.yaml:9:20: upstreams.backend.tls.verify: has the wrong type (got \"no\", allowed true or false)",
        ),
    ]);
}

#[test]
fn tls_where_there_is_none() {
    check(
        APP,
        &[(
            "      asgi: main:app\n    tls: {}\n",
            "asgate.yaml:7:10: upstreams.app.tls: has no effect with app (got a mapping, allowed this key with servers only: asgate starts workers without TLS)",
        )],
    );
}

#[cfg(unix)]
#[test]
fn tls_over_a_unix_socket() {
    check(
        SERVER,
        &[(
            "      - address: unix:80\n      - address: 127.0.0.1:1\n    tls: {}\n",
            "asgate.yaml:9:18: upstreams.backend.servers[0].address: is a Unix socket, which is not spoken TLS to (got \"unix:80\", allowed ip:port, [v6]:port, name:port, or no tls)",
        )],
    );
}

#[test]
fn name_servers() {
    check(
        ROUTE,
        &[
            (
                "  - upstream: app\nresolver: { servers: [app.internal] }\n",
                "asgate.yaml:12:23: resolver.servers[0]: is not an address (got \"app.internal\", allowed ip, ip:port or [v6]:port)",
            ),
            (
                "  - upstream: app\nresolver: { servers: [127.0.0.1:0] }\n",
                "asgate.yaml:12:23: resolver.servers[0]: has port 0 (got \"127.0.0.1:0\", allowed a port from 1 to 65535)",
            ),
            (
                "  - upstream: app\nresolver: { servers: [0.0.0.0] }\n",
                "asgate.yaml:12:23: resolver.servers[0]: is every address and none to connect to (got \"0.0.0.0\", allowed the address of one machine, such as 127.0.0.1)",
            ),
            (
                "  - upstream: app\nresolver: { servers: [\"[::1]\"] }\n",
                "asgate.yaml:12:23: resolver.servers[0]: is not an address (got \"[::1]\", allowed ip, ip:port or [v6]:port)",
            ),
            ("  - upstream: app\nresolver: { servers: [] }\n", ""),
        ],
    );
}
