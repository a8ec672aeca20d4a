//! What the keys of the front door become: TLS, redirects, PROXY protocol, access, rates, headers.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use http::header::{HeaderName, HeaderValue};
use ipnet::IpNet;

use super::super::{
    Access, ClientAuth, Demand, HeaderChanges, Listener, ListenerTls, RateKey, RateLimit, Route,
    Template, TlsVersion, load,
};
use super::accepted::{number, valid};
use super::certificates::directory_with;
use super::with;
use crate::pki::{Files, Keys, Password};

const LISTENER: &str = "  - address: 127.0.0.1:8080\n";

fn listeners(keys: &str) -> Vec<Listener> {
    valid(&with(LISTENER, keys)).listeners
}

fn route(keys: &str) -> Route {
    let config = valid(&with("  - upstream: app\n", &format!("  - {{ upstream: app, {keys} }}\n")));
    config.routes.into_iter().next().expect("a route")
}

#[test]
fn keys_of_listeners_are_carried_over() {
    let keys =
        "  - { address: 127.0.0.1:80, redirect_to_https: true, max_connections_per_address: 7 }
  - { address: 127.0.0.1:81, proxy_protocol: true, http2: true }
trusted_proxies: [127.0.0.1]
";
    let listeners = listeners(keys);
    let [first, second] = listeners.as_slice() else { panic!("two, not {listeners:?}") };
    assert_eq!(first.redirect_to_https, Some(443), "the port of https");
    assert_eq!(first.max_connections_per_address, Some(7), "max_connections_per_address");
    assert!(!first.proxy_protocol && !first.http2, "by default");
    assert!(second.proxy_protocol && second.http2, "proxy_protocol, http2");
    assert_eq!(second.redirect_to_https, None, "by default");
}

/// What `tls` is with `keys` beside its certificate, at `address`; and where the first listener sends clients.
fn tls(address: &str, keys: &str) -> (Listener, Option<u16>, PathBuf) {
    let directory = directory_with(&[
        ("chain.pem", "site.pem"),
        ("ec-pkcs8.key", "site.key"),
        ("ocsp-good.der", "site.ocsp"),
        ("modern.pfx", "site.pfx"),
        ("crl.pem", "crl.pem"),
    ]);
    let listeners = format!(
        "  - {{ address: \"127.0.0.1:80\", redirect_to_https: true }}
  - address: {address}
    tls:
      certificates: [{{ cert: ./site.pem, key: site.key, ocsp: site.ocsp }}, {{ pfx: site.pfx, password: secret }}]
      {keys}
"
    );
    let file = directory.path().join("asgate.yaml");
    fs::write(&file, with(LISTENER, &listeners)).expect("a file");
    let loaded = load(&file).unwrap_or_else(|error| panic!("a valid file, not\n{error}"));
    let mut listeners = loaded.config.listeners.into_iter();
    let redirect = listeners.next().and_then(|listener| listener.redirect_to_https);
    (listeners.next().expect("a listener"), redirect, directory.path().to_owned())
}

#[test]
fn tls_has_its_documented_defaults() {
    let (listener, _, directory) = tls("127.0.0.1:443", "");
    assert!(listener.http2, "HTTP/2 goes with TLS");
    let pem = Keys::Pem { chain: directory.join("site.pem"), key: directory.join("site.key") };
    let password = Password::new("secret".to_owned());
    let pfx = Keys::Pfx { path: directory.join("site.pfx"), password };
    let tls = ListenerTls {
        certificates: vec![
            Files { keys: pem, ocsp: Some(directory.join("site.ocsp")) },
            Files { keys: pfx, ocsp: None },
        ],
        min_version: TlsVersion::V1_2,
        client_auth: None,
        handshake_timeout: Duration::from_secs(10),
        max_handshakes: 1000,
        hsts: None,
    };
    assert_eq!(listener.tls, Some(tls), "tls");
}

#[test]
fn keys_of_tls_are_carried_over() {
    let keys = "min_version: 1.3
      client_auth: { ca: site.pem, mode: optional, crl: [crl.pem] }
      handshake_timeout: 3s
      max_handshakes: 5
      hsts: {}
    http2: false";
    let (listener, _, directory) = tls("127.0.0.1:443", keys);
    assert!(!listener.http2, "http2");
    let tls = listener.tls.expect("tls");
    assert_eq!(tls.min_version, TlsVersion::V1_3, "min_version");
    let client_auth = ClientAuth {
        ca: directory.join("site.pem"),
        crl: vec![directory.join("crl.pem")],
        demand: Demand::Optional,
    };
    assert_eq!(tls.client_auth, Some(client_auth), "client_auth");
    assert_eq!(tls.handshake_timeout, Duration::from_secs(3), "handshake_timeout");
    assert_eq!(tls.max_handshakes, 5, "max_handshakes");
    let demand = |keys| tls_with_client_auth(keys).map(|client_auth| client_auth.demand);
    assert_eq!(demand("ca: site.pem"), Some(Demand::Required), "mode by default");
    assert_eq!(demand("ca: site.pem, mode: off"), None, "mode off");
    assert_eq!(demand("mode: off"), None, "mode off needs no authority");
}

fn tls_with_client_auth(keys: &str) -> Option<ClientAuth> {
    let (listener, ..) = tls("127.0.0.1:443", &format!("client_auth: {{ {keys} }}"));
    listener.tls.expect("tls").client_auth
}

#[test]
fn clients_are_sent_to_the_port_of_the_first_listener_with_tls() {
    for (address, port) in [("127.0.0.1:443", 443), ("127.0.0.1:8443", 8443), ("127.0.0.1:0", 443)]
    {
        let (_, redirect, _) = tls(address, "");
        assert_eq!(redirect, Some(port), "with TLS at {address}");
    }
}

#[test]
fn browsers_are_told_what_the_file_says() {
    let year = "max-age=31536000";
    for (keys, expected) in [
        ("", year.to_owned()),
        ("max_age: 1s", "max-age=1".to_owned()),
        ("max_age: 1500ms", "max-age=1".to_owned()),
        ("max_age: off", "max-age=0".to_owned()),
        ("include_subdomains: true", format!("{year}; includeSubDomains")),
        ("include_subdomains: true, preload: true", format!("{year}; includeSubDomains; preload")),
    ] {
        let (listener, ..) = tls("127.0.0.1:443", &format!("hsts: {{ {keys} }}"));
        let hsts = listener.tls.and_then(|tls| tls.hsts).expect("a value");
        assert_eq!(hsts.as_bytes(), expected.as_bytes(), "hsts: {{ {keys} }}");
    }
}

#[test]
fn allow_and_deny_are_networks() {
    let net = |text: &str| text.parse::<IpNet>().expect("a network");
    let access = route("allow: [10.0.0.0/8, \"::ffff:192.0.2.1\"], deny: [10.1.0.0/16]").access;
    let expected = Access {
        allow: vec![net("10.0.0.0/8"), net("192.0.2.1/32")],
        deny: vec![net("10.1.0.0/16")],
    };
    assert_eq!(access, expected, "allow, deny");
}

#[test]
fn rate_limits_have_their_documented_defaults() {
    let limit = route("rate_limit: { requests: 10 }").rate_limit;
    let requests = number(10);
    let key = RateKey::ClientIp;
    let per = Duration::from_secs(1);
    assert_eq!(limit, Some(RateLimit { requests, per, burst: 0, key, dry_run: false }), "defaults");
    let limit = route("rate_limit: { requests: 10, per: 1m, burst: 5, key: route, dry_run: true }");
    let (per, key) = (Duration::from_secs(60), RateKey::Route);
    let expected = RateLimit { requests, per, burst: 5, key, dry_run: true };
    assert_eq!(limit.rate_limit, Some(expected), "all keys");
    for (text, key) in [
        ("header:X-Tenant", RateKey::Header(HeaderName::from_static("x-tenant"))),
        ("cookie:Session", RateKey::Cookie("Session".to_owned())),
    ] {
        let limit = route(&format!("rate_limit: {{ requests: 10, key: \"{text}\" }}")).rate_limit;
        assert_eq!(limit.map(|limit| limit.key), Some(key), "{text}");
    }
}

#[test]
fn rates_of_bytes_may_be_off() {
    let limits = route("limits: { min_request_rate: off, min_response_rate: 1KiB }").limits;
    assert_eq!(limits.min_request_rate, None, "min_request_rate");
    assert_eq!(limits.min_response_rate, Some(1024), "min_response_rate");
}

#[test]
fn headers_are_parsed_templates() {
    let keys = "headers: {
    request: { set: { X-Real-IP: \"{client_ip}\", x_b: c }, add: { x-d: e }, remove: [X-Debug, cookie] },
    response: { remove: [Server] } }";
    let rules = route(keys).headers;
    let name = HeaderName::from_static;
    let template = |text: &str| text.parse::<Template>().expect("a template");
    let request = HeaderChanges {
        set: vec![(name("x-real-ip"), template("{client_ip}")), (name("x_b"), template("c"))],
        add: vec![(name("x-d"), template("e"))],
        remove: vec![name("x-debug"), name("cookie")],
    };
    assert_eq!(rules.request, request, "request");
    assert_eq!(rules.response.remove, [name("server")], "response");
    assert!(!rules.request.is_empty() && !rules.response.is_empty(), "not empty");
    assert!(HeaderChanges::default().is_empty(), "empty");
    let value = rules.request.add.first().and_then(|(_, template)| template.expand(|_, _| {}));
    assert_eq!(value, Some(HeaderValue::from_static("e")), "ready to send");
}
