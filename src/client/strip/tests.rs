use http::header::CONNECTION;
use http::{HeaderMap, HeaderName, HeaderValue};

use super::{Nominated, NominationError, Sender, are_alike, keep, keep_response};

const ANYBODY: Sender<'static> = Sender { is_trusted: false, is_certified: false, reserved: &[] };
const TRUSTED: Sender<'static> = Sender { is_trusted: true, ..ANYBODY };

fn name(text: &str) -> HeaderName {
    HeaderName::from_bytes(text.as_bytes()).unwrap()
}

/// Every mix of `-` and `_`, in both cases.
fn spellings(known: &str) -> Vec<String> {
    let mut all = vec![String::new()];
    for letter in known.chars() {
        let choices: &[char] = if letter == '-' { &['-', '_'] } else { &[letter] };
        all = all
            .iter()
            .flat_map(|start| choices.iter().map(move |choice| format!("{start}{choice}")))
            .collect();
    }
    let upper: Vec<_> = all.iter().map(|name| name.to_uppercase()).collect();
    all.into_iter().chain(upper).collect()
}

#[test]
fn what_only_the_edge_may_say_is_removed_in_every_spelling() {
    for known in [
        "connection",
        "keep-alive",
        "proxy-connection",
        "proxy-authenticate",
        "proxy-authorization",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "forwarded",
        "x-forwarded-for",
        "x-forwarded-proto",
        "x-forwarded-host",
        "x-forwarded-port",
        "x-forwarded-prefix",
        "x-forwarded-user",
        "x-forwarded-client-cert",
        "x-request-id",
        "x-iis-windowsauthtoken",
        "x-arr-clientcert",
        "x-ms-client-principal",
        "x-ms-client-principal-name",
        "x-ms-client-principal-id",
        "remote-user",
        "x-remote-user",
    ] {
        for spelling in spellings(known) {
            assert!(!keep(&name(&spelling), ANYBODY), "{spelling} from an untrusted peer");
            assert!(!keep(&name(&spelling), TRUSTED), "{spelling} from a trusted peer");
        }
    }
}

#[test]
fn a_real_ip_is_taken_from_trusted_peers_only() {
    for spelling in spellings("x-real-ip") {
        assert!(!keep(&name(&spelling), ANYBODY), "{spelling} from an untrusted peer");
        let as_is = spelling.eq_ignore_ascii_case("x-real-ip");
        assert_eq!(keep(&name(&spelling), TRUSTED), as_is, "{spelling} from a trusted peer");
    }
}

#[test]
fn certificates_are_vouched_for_by_whoever_saw_them() {
    for known in [
        "client-cert",
        "client-cert-chain",
        "x-client-cert",
        "x-client-cert-subject",
        "x-client-cert-fingerprint",
        "x-ssl-client-s-dn",
        "ssl-client-verify",
    ] {
        let reserved = &[name(known)];
        for spelling in spellings(known) {
            let header = name(&spelling);
            assert!(!keep(&header, ANYBODY), "{spelling} from an untrusted peer");
            assert!(!keep(&header, TRUSTED), "{spelling} from a peer that may not send it");
            let vouching = Sender { reserved, ..TRUSTED };
            let certified = Sender { is_certified: true, ..vouching };
            assert!(!keep(&header, certified), "{spelling} beside a certificate that we saw");
            let untrusted = Sender { reserved, ..ANYBODY };
            assert!(!keep(&header, untrusted), "{spelling} from an untrusted peer, reserved");
            let as_is = spelling.eq_ignore_ascii_case(known);
            assert_eq!(keep(&header, vouching), as_is, "{spelling} from a peer that may");
        }
    }
}

/// Any header can be: the user that a proxy has authenticated, say.
#[test]
fn reserved_headers_come_from_trusted_peers_only() {
    let reserved = &[name("x-auth-request-user"), name("remote-user")];
    for known in ["x-auth-request-user", "remote-user"] {
        for spelling in spellings(known) {
            let header = name(&spelling);
            let from_anybody = Sender { reserved, ..ANYBODY };
            let certified = Sender { is_certified: true, reserved, ..TRUSTED };
            assert!(!keep(&header, from_anybody), "{spelling} from an untrusted peer");
            let as_is = spelling.eq_ignore_ascii_case(known);
            assert_eq!(keep(&header, certified), as_is, "{spelling} from a trusted peer");
        }
    }
    assert!(keep(&name("x-auth-request-user"), ANYBODY), "the control: not reserved");
}

#[test]
fn names_are_alike_in_every_spelling() {
    for one in spellings("x-app-user") {
        for other in spellings("x-app-user") {
            assert!(are_alike(&name(&one), &name(&other)), "{one} and {other}");
        }
    }
    for other in ["x-app-users", "x-app-use", "x-apps-user", "xxapp-user"] {
        assert!(!are_alike(&name("x-app-user"), &name(other)), "{other}");
    }
}

#[test]
fn what_the_app_is_meant_to_see_is_kept() {
    for kept in [
        "host",
        "accept",
        "authorization",
        "cookie",
        "content-type",
        "content-length",
        "expect",
        "from",
        "forwarded-x",
        "range",
        "referer",
        "remote-users",
        "sec-websocket-key",
        "tex",
        "traceparent",
        "user-agent",
        "upgrade-insecure-requests",
        "x",
        "x-forwarded",
        "x-forwardedfor",
        "x-arr-log-id",
        "x-arr-ssl",
        "x-api-key",
        "x-csrf-token",
        "x-ms-client-request-id",
        "x-requested-with",
        "xx-forwarded-for",
    ] {
        for from in [ANYBODY, TRUSTED] {
            assert!(keep(&name(kept), from), "{kept} from {from:?}");
        }
    }
}

#[test]
fn responses_lose_what_is_the_connections_only() {
    for (header, expected) in [
        ("connection", false),
        ("keep-alive", false),
        ("proxy-authenticate", false),
        ("trailer", false),
        ("transfer-encoding", false),
        ("upgrade", false),
        ("server", true),
        ("set-cookie", true),
        ("content-length", true),
        ("www-authenticate", true),
        ("x-forwarded-for", true),
    ] {
        assert_eq!(keep_response(&name(header)), expected, "{header}");
    }
}

fn connection(lines: &[&'static str]) -> HeaderMap {
    lines.iter().map(|line| (CONNECTION, HeaderValue::from_static(line))).collect()
}

#[test]
fn nominated_headers_are_known() {
    let headers = connection(&["close, X-Hop", " x-Other ,, Keep-Alive, Upgrade, TE"]);
    let nominated = Nominated::read(&headers).unwrap();
    for (header, expected) in [
        ("x-hop", true),
        ("X-Other", true),
        ("x-hop-2", false),
        ("close", false),
        ("accept", false),
    ] {
        assert_eq!(nominated.contains(&name(header)), expected, "{header}");
    }
    let none = HeaderMap::new();
    assert!(!Nominated::read(&none).unwrap().contains(&name("x-hop")), "nothing was nominated");
}

#[test]
fn nominations_that_are_refused() {
    let ten = "a,b,c,d,e,f,g,h,i,j";
    for (lines, error) in [
        (vec!["Host"], NominationError::EndToEnd),
        (vec!["close, content-length"], NominationError::EndToEnd),
        (vec!["Authorization"], NominationError::EndToEnd),
        (vec!["x-hop", "cookie"], NominationError::EndToEnd),
        (vec!["X-Forwarded-For"], NominationError::EndToEnd),
        (vec!["x_forwarded_proto"], NominationError::EndToEnd),
        (vec!["X-Forwarded-Anything"], NominationError::EndToEnd),
        (vec!["x-real-ip"], NominationError::EndToEnd),
        (vec!["x hop"], NominationError::NoName),
        (vec!["(x)"], NominationError::NoName),
        (vec![ten, "k"], NominationError::TooMany),
    ] {
        let headers = connection(&lines);
        assert_eq!(Nominated::read(&headers).err(), Some(error), "{lines:?}");
    }
    let headers = connection(&[ten, "close, keep-alive"]);
    assert!(Nominated::read(&headers).is_ok(), "ten are fine, options do not count");
}
