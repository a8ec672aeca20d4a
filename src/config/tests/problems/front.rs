//! Mistakes in what a route does at the front door: who gets in, how often, which headers change.

use super::{ROUTE, check};

/// Keys of a route with an upstream, on line 11, and what is said about them.
fn check_route(cases: &[(&str, &str)]) {
    let route = |keys: &str| format!("  - {{ upstream: app, {keys} }}\n");
    let cases: Vec<_> = cases.iter().map(|(keys, said)| (route(keys), *said)).collect();
    let cases: Vec<_> = cases.iter().map(|(text, said)| (text.as_str(), *said)).collect();
    check(ROUTE, &cases);
}

#[test]
fn allow_and_deny() {
    check_route(&[
        (
            "allow: [10.0.0.0/8, 192.0.2.7, \"2001:db8::/32\", \"::1\"], deny: [10.1.0.0/16, 10.0.0.0/8]",
            "",
        ),
        (
            "allow: []",
            "asgate.yaml:11:29: routes[0].allow: is empty (got an empty list, allowed at least one, or no such key for every client)",
        ),
        ("deny: []", ""),
        (
            "allow: 10.0.0.0/8",
            "asgate.yaml:11:29: routes[0].allow: has the wrong type (got \"10.0.0.0/8\", allowed a list)",
        ),
        (
            "allow: [10.0.0.1/8]",
            "asgate.yaml:11:30: routes[0].allow[0]: has bits set beyond its prefix (got \"10.0.0.1/8\", allowed 10.0.0.0/8 for the network, 10.0.0.1 for the address)",
        ),
        (
            "deny: [localhost, 10.0.0.0/33]",
            "asgate.yaml:11:29: routes[0].deny[0]: is not a network (got \"localhost\", allowed an address such as 192.0.2.7 or a network such as 10.0.0.0/8)\nasgate.yaml:11:40: routes[0].deny[1]: is not a network (got \"10.0.0.0/33\", allowed an address such as 192.0.2.7 or a network such as 10.0.0.0/8)",
        ),
    ]);
}

#[test]
fn rate_limits() {
    check_route(&[
        (
            "rate_limit: {}",
            "asgate.yaml:11:34: routes[0].rate_limit.requests: is missing (got nothing, allowed a whole number from 1 to 4294967295)",
        ),
        (
            "rate_limit: { requests: 0 }",
            "asgate.yaml:11:46: routes[0].rate_limit.requests: is out of range (got 0, allowed a whole number from 1 to 4294967295)",
        ),
        (
            "rate_limit: { requests: 10, per: 0s }",
            "asgate.yaml:11:55: routes[0].rate_limit.per: must not be zero (got \"0s\", allowed a duration such as 250ms, 30s, 5m, 1h up to 8760h)",
        ),
        ("rate_limit: { requests: 1, per: 1ms, burst: 4294967294 }", ""),
        (
            "rate_limit: { requests: 2, burst: 4294967294 }",
            "asgate.yaml:11:56: routes[0].rate_limit.burst: is out of range (got 4294967294, allowed at most 4294967293 beside requests)",
        ),
        (
            "rate_limit: { requests: 1, burst: -1 }",
            "asgate.yaml:11:56: routes[0].rate_limit.burst: is out of range (got -1, allowed a whole number from 0 to 4294967295)",
        ),
        (
            "rate_limit: { requests: 10, key: ip }",
            "asgate.yaml:11:55: routes[0].rate_limit.key: is nothing to tell requests apart by (got \"ip\", allowed client_ip, route, header:NAME or cookie:NAME)",
        ),
        (
            "rate_limit: { requests: 10, key: path }",
            "asgate.yaml:11:55: routes[0].rate_limit.key: is nothing to tell requests apart by (got \"path\", allowed client_ip, route, header:NAME or cookie:NAME)",
        ),
        (
            "rate_limit: { requests: 10, key: \"header:\" }",
            "asgate.yaml:11:55: routes[0].rate_limit.key: does not name a header (got \"header:\", allowed header:NAME of letters, digits and !#$%&'*+-.^_`|~ (RFC 9110 §5.6.2))",
        ),
        (
            "rate_limit: { requests: 10, key: \"cookie:a b\" }",
            "asgate.yaml:11:55: routes[0].rate_limit.key: does not name a cookie (got \"cookie:a b\", allowed cookie:NAME of letters, digits and !#$%&'*+-.^_`|~ (RFC 9110 §5.6.2))",
        ),
        (
            "rate_limit: { requests: 10, key: \"query:a\" }",
            "asgate.yaml:11:55: routes[0].rate_limit.key: is nothing to tell requests apart by (got \"query:a\", allowed client_ip, route, header:NAME or cookie:NAME)",
        ),
    ]);
}

#[test]
fn rates_of_bytes() {
    check_route(&[
        (
            "limits: { min_request_rate: 0B, min_response_rate: 0KiB }",
            "asgate.yaml:11:50: routes[0].limits.min_request_rate: is no rate (got \"0B\", allowed 1B or more, or off)\nasgate.yaml:11:73: routes[0].limits.min_response_rate: is no rate (got \"0KiB\", allowed 1B or more, or off)",
        ),
        ("limits: { min_request_rate: 1B, min_response_rate: off }", ""),
        (
            "limits: { min_request_rate: 240 }",
            "asgate.yaml:11:50: routes[0].limits.min_request_rate: needs a unit (got 240, allowed a size such as 100B, 64KiB, 30MB, 1GiB or off)",
        ),
    ]);
}

#[test]
fn names_of_headers() {
    check_route(&[
        (
            "headers: { request: { set: { \"a b\": c }, add: { \"\": c }, remove: [\"d:\"] } }",
            "asgate.yaml:11:51: routes[0].headers.request.set.\"a b\": is not a header name (got \"a b\", allowed letters, digits and !#$%&'*+-.^_`|~ (RFC 9110 §5.1))\nasgate.yaml:11:70: routes[0].headers.request.add.\"\": is not a header name (got \"\", allowed letters, digits and !#$%&'*+-.^_`|~ (RFC 9110 §5.1))\nasgate.yaml:11:88: routes[0].headers.request.remove[0]: is not a header name (got \"d:\", allowed letters, digits and !#$%&'*+-.^_`|~ (RFC 9110 §5.1))",
        ),
        (
            "headers: { request: { set: { x-a: b, X-A: c }, remove: [y, Y] } }",
            "asgate.yaml:11:51: routes[0].headers.request.set.x-a: is there twice (got \"x-a\", allowed each header once: letter case does not matter)\nasgate.yaml:11:81: routes[0].headers.request.remove[1]: is there twice (got \"Y\", allowed each header once: letter case does not matter)",
        ),
        ("headers: { request: { set: { x-a: b }, add: { x-a: c } } }", ""),
        (
            "headers: { response: { set: { x-a: b }, add: { x-b: c }, remove: [x-c, X-A, X-B] } }",
            "asgate.yaml:11:93: routes[0].headers.response.remove[1]: is in set too (got \"X-A\", allowed each header in remove or in set: what is set replaces what was there)\nasgate.yaml:11:98: routes[0].headers.response.remove[2]: is in add too (got \"X-B\", allowed each header in remove or in set: what is set replaces what was there)",
        ),
        (
            "headers: { request: { set: { host: a, X-Client-Cert-Subject: b, x_request_id: c, date: d } } }",
            "asgate.yaml:11:51: routes[0].headers.request.set.host: says where the request is for (got \"host\", allowed another header: preserve_host is for this one)\nasgate.yaml:11:60: routes[0].headers.request.set.X-Client-Cert-Subject: is written by asgate (got \"X-Client-Cert-Subject\", allowed any header but x-forwarded-for, x-forwarded-host, x-forwarded-port, x-forwarded-proto, x-request-id, x-client-cert-fingerprint or x-client-cert-subject)\nasgate.yaml:11:86: routes[0].headers.request.set.x_request_id: is written by asgate (got \"x_request_id\", allowed any header but x-forwarded-for, x-forwarded-host, x-forwarded-port, x-forwarded-proto, x-request-id, x-client-cert-fingerprint or x-client-cert-subject)",
        ),
        (
            "headers: { response: { add: { date: a, X-Forwarded-For: b, host: c, x-client-cert-subject: d } } }",
            "asgate.yaml:11:52: routes[0].headers.response.add.date: is written by asgate (got \"date\", allowed any header but date, x-forwarded-for, x-forwarded-host, x-forwarded-port, x-forwarded-proto or x-request-id)\nasgate.yaml:11:61: routes[0].headers.response.add.X-Forwarded-For: is written by asgate (got \"X-Forwarded-For\", allowed any header but date, x-forwarded-for, x-forwarded-host, x-forwarded-port, x-forwarded-proto or x-request-id)",
        ),
        (
            "headers: { response: { remove: [transfer-encoding, Connection, proxy-authenticate, te] } }",
            "asgate.yaml:11:54: routes[0].headers.response.remove[0]: frames a message or is for one connection (got \"transfer-encoding\", allowed any header but connection, content-length, keep-alive, te, trailer, transfer-encoding, upgrade or proxy-*)\nasgate.yaml:11:73: routes[0].headers.response.remove[1]: frames a message or is for one connection (got \"Connection\", allowed any header but connection, content-length, keep-alive, te, trailer, transfer-encoding, upgrade or proxy-*)\nasgate.yaml:11:85: routes[0].headers.response.remove[2]: frames a message or is for one connection (got \"proxy-authenticate\", allowed any header but connection, content-length, keep-alive, te, trailer, transfer-encoding, upgrade or proxy-*)\nasgate.yaml:11:105: routes[0].headers.response.remove[3]: frames a message or is for one connection (got \"te\", allowed any header but connection, content-length, keep-alive, te, trailer, transfer-encoding, upgrade or proxy-*)",
        ),
        (
            "headers: { request: { remove: x-a } }",
            "asgate.yaml:11:52: routes[0].headers.request.remove: has the wrong type (got \"x-a\", allowed a list)",
        ),
        (
            "headers: { requests: {} }",
            "asgate.yaml:11:33: routes[0].headers.requests: unknown key (got \"requests\", allowed request or response; did you mean \"request\"?)",
        ),
    ]);
}

#[test]
fn values_of_headers() {
    check_route(&[
        ("headers: { request: { set: { x-a: \"{client_ip} {{}} Größe\", x-b: \"\" } } }", ""),
        (
            "headers: { request: { set: { x-a: \"{clientip}\" } } }",
            "asgate.yaml:11:56: routes[0].headers.request.set.x-a: has an unknown variable (got \"{clientip}\", allowed {client_ip}, {client_port}, {request_id}, {host}, {method}, {path}, {query}, {scheme}, {port}, {route}, {tls_version}, {tls_cipher}, {tls_server_name}, {client_cert_subject} or {client_cert_fingerprint}; {{ and }} for braces; did you mean \"{client_ip}\"?)",
        ),
        (
            "headers: { request: { set: { x-a: \"{whatever_it_is}\" } } }",
            "asgate.yaml:11:56: routes[0].headers.request.set.x-a: has an unknown variable (got \"{whatever_it_is}\", allowed {client_ip}, {client_port}, {request_id}, {host}, {method}, {path}, {query}, {scheme}, {port}, {route}, {tls_version}, {tls_cipher}, {tls_server_name}, {client_cert_subject} or {client_cert_fingerprint}; {{ and }} for braces)",
        ),
        (
            "headers: { request: { set: { x-a: \"{client_ip\" } } }",
            "asgate.yaml:11:56: routes[0].headers.request.set.x-a: has a brace without its pair (got \"{client_ip\", allowed variables such as {client_ip}; {{ and }} for braces)",
        ),
        (
            "headers: { request: { set: { x-a: \"a\\r\\nx-b: c\" } } }",
            "asgate.yaml:11:56: routes[0].headers.request.set.x-a: has a control character (got \"a\\r\\nx-b: c\", allowed text without line breaks and the like)",
        ),
        (
            "headers: { request: { set: { x-a: \"a\\0\" } } }",
            "asgate.yaml:11:56: routes[0].headers.request.set.x-a: has a control character (got \"a\\0\", allowed text without line breaks and the like)",
        ),
        (
            "headers: { request: { set: { x-a: \" a\" } } }",
            "asgate.yaml:11:56: routes[0].headers.request.set.x-a: begins or ends with a space (got \" a\", allowed text without space around it)",
        ),
        (
            "headers: { request: { set: { x-a: 1 } } }",
            "asgate.yaml:11:56: routes[0].headers.request.set.x-a: has the wrong type (got 1, allowed text in quotes)",
        ),
        (
            "headers: { request: { set: { x-a: [b, c] } } }",
            "asgate.yaml:11:56: routes[0].headers.request.set.x-a: has the wrong type (got a list, allowed text)",
        ),
    ]);
}

#[test]
fn requests_change_on_their_way_to_a_worker_only() {
    check(
        ROUTE,
        &[
            (
                "  - { respond: {}, headers: { request: { set: { x-a: b } } } }\n",
                "asgate.yaml:11:40: routes[0].headers.request: has no effect without an upstream (got a mapping, allowed this key with upstream only)",
            ),
            ("  - { respond: {}, headers: { request: {}, response: { set: { x-a: b } } } }\n", ""),
            ("  - { redirect: { to: /a }, headers: { response: { remove: [server] } } }\n", ""),
        ],
    );
}
