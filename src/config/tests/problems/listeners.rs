//! Mistakes in listeners: what comes before HTTP.

use super::{LISTENER, check};

#[test]
fn listeners() {
    check(
        LISTENER,
        &[
            (
                "  - { address: 127.0.0.1:8080, max_connections_per_address: 0 }\n",
                "asgate.yaml:2:61: listeners[0].max_connections_per_address: is out of range (got 0, allowed a whole number from 1 to 4294967295)",
            ),
            (
                "  - { address: 127.0.0.1:8080, max_connections_per_address: none }\n",
                "asgate.yaml:2:61: listeners[0].max_connections_per_address: has the wrong type (got \"none\", allowed off or a whole number from 1 to 4294967295)",
            ),
            ("  - { address: 127.0.0.1:8080, max_connections_per_address: 10000 }\n", ""),
            (
                "  - { address: 127.0.0.1:8080, max_connections_per_address: 10001 }\n",
                "asgate.yaml:2:61: warning: listeners[0].max_connections_per_address: is more than max_connections (got 10001, advised at most 10000)",
            ),
            (
                "  - { address: 127.0.0.1:8080, proxy_protocol: true }\n",
                "asgate.yaml:2:48: listeners[0].proxy_protocol: lets nobody connect while there are no trusted_proxies (got true, allowed this key with trusted_proxies, or on a Unix socket)",
            ),
            ("  - { address: \"unix:/run/a\", proxy_protocol: true }\n", ""),
            (
                "  - { address: 127.0.0.1:8080, proxy_protocol: true }\ntrusted_proxies: [127.0.0.1]\n",
                "",
            ),
            (
                "  - { address: 127.0.0.1:8080, proxy_protocol: true }\ntrusted_proxies: [localhost]\n",
                "asgate.yaml:3:19: trusted_proxies[0]: is not a network (got \"localhost\", allowed an address such as 192.0.2.7 or a network such as 10.0.0.0/8)",
            ),
            (
                "  - { address: 127.0.0.1:8080, proxy_protocol: true }\ntrusted_proxy: [127.0.0.1]\n",
                "asgate.yaml:3:1: trusted_proxy: unknown key (got \"trusted_proxy\", allowed listeners, trusted_proxies, trusted_headers, upstreams, resolver, routes, shutdown_timeout, admin or logging; did you mean \"trusted_proxies\"?)",
            ),
            (
                "  - { address: 127.0.0.1:8080, redirect_to_https: yes }\n",
                "asgate.yaml:2:51: listeners[0].redirect_to_https: has the wrong type (got \"yes\", allowed true or false)",
            ),
            (
                "  - { adress: 127.0.0.1:8080, redirect_to_https: true, tls: { certificates: [] } }\n",
                "asgate.yaml:2:7: listeners[0].adress: unknown key (got \"adress\", allowed address, redirect_to_https, proxy_protocol, http2, max_connections, max_connections_per_address, header_timeout, idle_timeout or tls; did you mean \"address\"?)\nasgate.yaml:2:50: listeners[0].redirect_to_https: sends clients from TLS to TLS (got true, allowed this key on a listener without tls)\nasgate.yaml:2:77: listeners[0].tls.certificates: is empty (got an empty list, allowed at least one certificate)",
            ),
        ],
    );
}

#[test]
fn tls_without_files() {
    let keys = |keys: &str| format!("  - {{ address: \"127.0.0.1:8080\", tls: {{ {keys} }} }}\n");
    let cases = [
        (
            "",
            "asgate.yaml:2:39: listeners[0].tls.certificates: is missing (got nothing, allowed a list)",
        ),
        (
            "certificates: []",
            "asgate.yaml:2:55: listeners[0].tls.certificates: is empty (got an empty list, allowed at least one certificate)",
        ),
        (
            "certificates: {}",
            "asgate.yaml:2:55: listeners[0].tls.certificates: has the wrong type (got a mapping, allowed a list)",
        ),
        (
            "certificates: [{}]",
            "asgate.yaml:2:56: listeners[0].tls.certificates[0]: has no certificate (got none, allowed cert and key, or pfx)",
        ),
        (
            "certificates: [{ cert: Cargo.toml }]",
            "asgate.yaml:2:56: listeners[0].tls.certificates[0].key: is missing (got nothing, allowed cert and key, or pfx)",
        ),
        (
            "certificates: [{ key: Cargo.toml }]",
            "asgate.yaml:2:56: listeners[0].tls.certificates[0].cert: is missing (got nothing, allowed cert and key, or pfx)",
        ),
        (
            "certificates: [{ crt: Cargo.toml, key: Cargo.toml }]",
            "asgate.yaml:2:58: listeners[0].tls.certificates[0].crt: unknown key (got \"crt\", allowed cert, key, pfx, password or ocsp; did you mean \"cert\"?)",
        ),
        (
            "certificates: [{ cert: Cargo.toml, pfx: Cargo.toml }]",
            "asgate.yaml:2:56: listeners[0].tls.certificates[0]: has two sources of its certificate (got cert or key beside pfx, allowed cert and key, or pfx)",
        ),
        (
            "certificates: [{ cert: no-such.pem, key: no-such.key, password: hunter2 }]",
            "asgate.yaml:2:64: listeners[0].tls.certificates[0].cert: does not exist: {directory}/no-such.pem (got \"no-such.pem\", allowed a file in PEM with the certificate and those of its authorities)\nasgate.yaml:2:82: listeners[0].tls.certificates[0].key: does not exist: {directory}/no-such.key (got \"no-such.key\", allowed a file in PEM with the private key of cert, not encrypted)\nasgate.yaml:2:105: listeners[0].tls.certificates[0].password: has no effect without pfx (got a hidden value, allowed this key with pfx only: keys in PEM must not be encrypted)",
        ),
        (
            "certificates: [{ ocsp: no-such.ocsp }]",
            "asgate.yaml:2:56: listeners[0].tls.certificates[0]: has no certificate (got none, allowed cert and key, or pfx)",
        ),
        (
            "certificates: [{ pfx: \"\" }]",
            "asgate.yaml:2:63: listeners[0].tls.certificates[0].pfx: is not a path (got \"\", allowed a path)",
        ),
        (
            "min_version: 1.2",
            "asgate.yaml:2:39: listeners[0].tls.certificates: is missing (got nothing, allowed a list)",
        ),
        (
            "min_version: 1.3",
            "asgate.yaml:2:39: listeners[0].tls.certificates: is missing (got nothing, allowed a list)",
        ),
        (
            "min_version: \"1.1\"",
            "asgate.yaml:2:39: listeners[0].tls.certificates: is missing (got nothing, allowed a list)\nasgate.yaml:2:54: listeners[0].tls.min_version: is not a known value (got \"1.1\", allowed 1.2 or 1.3)",
        ),
        (
            "min_version: 1.20",
            "asgate.yaml:2:39: listeners[0].tls.certificates: is missing (got nothing, allowed a list)\nasgate.yaml:2:54: listeners[0].tls.min_version: is not a known value (got 1.20, allowed 1.2 or 1.3)",
        ),
        (
            "min_version: TLSv1.2",
            "asgate.yaml:2:39: listeners[0].tls.certificates: is missing (got nothing, allowed a list)\nasgate.yaml:2:54: listeners[0].tls.min_version: is not a known value (got \"TLSv1.2\", allowed 1.2 or 1.3)",
        ),
        (
            "handshake_timeout: off",
            "asgate.yaml:2:39: listeners[0].tls.certificates: is missing (got nothing, allowed a list)\nasgate.yaml:2:60: listeners[0].tls.handshake_timeout: is not a number and a unit (got \"off\", allowed a duration such as 250ms, 30s, 5m, 1h up to 8760h)",
        ),
        (
            "max_handshakes: 0",
            "asgate.yaml:2:39: listeners[0].tls.certificates: is missing (got nothing, allowed a list)\nasgate.yaml:2:57: listeners[0].tls.max_handshakes: is out of range (got 0, allowed a whole number from 1 to 4294967295)",
        ),
        (
            "client_auth: {}",
            "asgate.yaml:2:39: listeners[0].tls.certificates: is missing (got nothing, allowed a list)\nasgate.yaml:2:54: listeners[0].tls.client_auth.ca: is missing (got nothing, allowed a file with certificates in PEM, or mode: off)",
        ),
        (
            "client_auth: { mode: off }",
            "asgate.yaml:2:39: listeners[0].tls.certificates: is missing (got nothing, allowed a list)",
        ),
        (
            "client_auth: { mode: of }",
            "asgate.yaml:2:39: listeners[0].tls.certificates: is missing (got nothing, allowed a list)\nasgate.yaml:2:62: listeners[0].tls.client_auth.mode: is not a known value (got \"of\", allowed off, optional or required; did you mean \"off\"?)",
        ),
        (
            "client_auth: { mode: optional, cas: a.pem }",
            "asgate.yaml:2:39: listeners[0].tls.certificates: is missing (got nothing, allowed a list)\nasgate.yaml:2:72: listeners[0].tls.client_auth.cas: unknown key (got \"cas\", allowed ca, mode or crl; did you mean \"ca\"?)",
        ),
        (
            "hsts: { max_age: 1ms }",
            "asgate.yaml:2:39: listeners[0].tls.certificates: is missing (got nothing, allowed a list)\nasgate.yaml:2:58: listeners[0].tls.hsts.max_age: is less than a second (got \"1ms\", allowed 1s to 8760h, or off)",
        ),
        (
            "hsts: { max_age: 999ms }",
            "asgate.yaml:2:39: listeners[0].tls.certificates: is missing (got nothing, allowed a list)\nasgate.yaml:2:58: listeners[0].tls.hsts.max_age: is less than a second (got \"999ms\", allowed 1s to 8760h, or off)",
        ),
        (
            "hsts: { preload: true }",
            "asgate.yaml:2:39: listeners[0].tls.certificates: is missing (got nothing, allowed a list)\nasgate.yaml:2:58: listeners[0].tls.hsts.preload: is refused by hstspreload.org for subdomains left out or a short max_age (got true, allowed false, or include_subdomains: true with max_age: 8760h)",
        ),
        (
            "hsts: { preload: true, include_subdomains: true, max_age: 8759h }",
            "asgate.yaml:2:39: listeners[0].tls.certificates: is missing (got nothing, allowed a list)\nasgate.yaml:2:58: listeners[0].tls.hsts.preload: is refused by hstspreload.org for subdomains left out or a short max_age (got true, allowed false, or include_subdomains: true with max_age: 8760h)",
        ),
        (
            "hsts: { preload: true, include_subdomains: true, max_age: off }",
            "asgate.yaml:2:39: listeners[0].tls.certificates: is missing (got nothing, allowed a list)\nasgate.yaml:2:58: listeners[0].tls.hsts.preload: is refused by hstspreload.org for subdomains left out or a short max_age (got true, allowed false, or include_subdomains: true with max_age: 8760h)",
        ),
        (
            "hsts: { preload: true, include_subdomains: true }",
            "asgate.yaml:2:39: listeners[0].tls.certificates: is missing (got nothing, allowed a list)",
        ),
        (
            "hsts: { preload: true, includesubdomains: true }",
            "asgate.yaml:2:39: listeners[0].tls.certificates: is missing (got nothing, allowed a list)\nasgate.yaml:2:64: listeners[0].tls.hsts.includesubdomains: unknown key (got \"includesubdomains\", allowed max_age, include_subdomains or preload; did you mean \"include_subdomains\"?)",
        ),
    ];
    let cases: Vec<_> = cases.iter().map(|(text, said)| (keys(text), *said)).collect();
    let cases: Vec<_> = cases.iter().map(|(text, said)| (text.as_str(), *said)).collect();
    check(LISTENER, &cases);
}

#[test]
fn tls_where_it_cannot_be() {
    check(
        LISTENER,
        &[
            (
                "  - { address: \"unix:/run/a\", tls: { certificates: [] } }\n",
                "asgate.yaml:2:36: listeners[0].tls: is not spoken on a Unix socket (got a mapping, allowed this key with ip:port or [v6]:port only)\nasgate.yaml:2:52: listeners[0].tls.certificates: is empty (got an empty list, allowed at least one certificate)",
            ),
            (
                "  - { address: 127.0.0.1:8080, tls: off }\n",
                "asgate.yaml:2:37: listeners[0].tls: has the wrong type (got \"off\", allowed a mapping)",
            ),
        ],
    );
}
