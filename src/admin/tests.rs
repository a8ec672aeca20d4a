use http::Method;
use http::header::{HOST, HeaderMap, HeaderName, HeaderValue, ORIGIN};
use serde_json::json;

use crate::proxy::{Asked, Transport};

use super::endpoint::Endpoint;
use super::guard::{self, Forbidden};
use super::{State, UpstreamState, WorkerState};

#[test]
fn a_path_asks_for_one_thing() {
    let name = str::to_owned;
    let restart = |upstream: &str, worker: Option<&str>| Endpoint::Restart {
        upstream: name(upstream),
        worker: worker.map(name),
    };
    let drain = |worker: &str| Endpoint::Drain { upstream: name("u"), worker: name(worker) };
    let cases = [
        ("/status", Some(Endpoint::Status)),
        ("/stop", Some(Endpoint::Stop)),
        ("/reload", Some(Endpoint::Reload)),
        ("/reload/", None),
        ("/health/ready", Some(Endpoint::Ready)),
        ("/upstreams/u/restart", Some(restart("u", None))),
        ("/upstreams/restart/restart", Some(restart("restart", None))),
        ("/upstreams/workers/restart", Some(restart("workers", None))),
        // No upstream has such a name; the answer says so.
        ("/upstreams/a/b/restart", Some(restart("a/b", None))),
        ("/upstreams/u/workers/1/restart", Some(restart("u", Some("1")))),
        ("/upstreams/u/workers/1/drain", Some(drain("1"))),
        ("/upstreams/u/workers/127.0.0.1:80/drain", Some(drain("127.0.0.1:80"))),
        // A canonical path has the slashes of a name raw, however they were sent.
        ("/upstreams/u/workers/unix:/run/drain/drain", Some(drain("unix:/run/drain"))),
        ("/upstreams/u/workers/a%20b/drain", Some(drain("a b"))),
        // Once: what is left looks encoded and is not.
        ("/upstreams/u/workers/%2541/drain", Some(drain("%41"))),
        (
            "/upstreams/u/workers/1/enable",
            Some(Endpoint::Enable { upstream: name("u"), worker: name("1") }),
        ),
        ("/", None),
        ("/status/", None),
        ("/upstreams/u", None),
        ("/upstreams/u/stop", None),
        ("/upstreams//restart", None),
        ("/upstreams/u/workers//drain", None),
        ("/upstreams/u/workers/drain", None),
        ("/upstreams/u/workers/1/kill", None),
        ("/upstreams/u/workers/restart", None),
        ("/upstreams/%FF/restart", None),
    ];
    for (path, expected) in cases {
        assert_eq!(Endpoint::find(path), expected, "{path}");
    }
}

#[test]
fn only_local_names_and_local_pages_may_ask() {
    type Case<'a> = (&'a Method, &'a str, &'a str, Option<&'a str>, Transport);
    let (get, post) = (&Method::GET, &Method::POST);
    let admit = |(method, host, authority, origin, transport): Case<'_>| {
        let mut headers = HeaderMap::new();
        let mut set = |name: HeaderName, value: &str| {
            headers.insert(name, HeaderValue::from_str(value).expect("a value"));
        };
        set(HOST, authority);
        if let Some(origin) = origin {
            set(ORIGIN, origin);
        }
        let id = HeaderValue::from_static("id");
        let path = "/stop";
        guard::admit(&Asked { method, path, host, headers: &headers, transport, id: &id })
    };
    use Transport::{Tcp, Unix};
    let cases: [(Case<'_>, Result<(), Forbidden>); 18] = [
        ((get, "127.0.0.1", "127.0.0.1:9180", None, Tcp), Ok(())),
        ((get, "localhost", "localhost", None, Tcp), Ok(())),
        ((get, "[::1]", "[::1]:9180", None, Tcp), Ok(())),
        ((get, "10.1.2.3", "10.1.2.3", None, Tcp), Ok(())),
        ((get, "", "", None, Tcp), Ok(())),
        ((get, "evil.example", "evil.example", None, Tcp), Err(Forbidden::Host)),
        ((get, "localhost.evil.example", "x", None, Tcp), Err(Forbidden::Host)),
        ((get, "127.0.0.1.evil.example", "x", None, Tcp), Err(Forbidden::Host)),
        ((get, "2130706433", "2130706433", None, Tcp), Err(Forbidden::Host)),
        ((get, "evil.example", "evil.example", None, Unix), Ok(())),
        // What a page could read it cannot, without a header that lets it.
        ((get, "localhost", "localhost", Some("https://evil.example"), Tcp), Ok(())),
        ((post, "localhost", "localhost:9", None, Tcp), Ok(())),
        ((post, "localhost", "localhost:9", Some("http://LOCALHOST:9"), Tcp), Ok(())),
        (
            (post, "localhost", "localhost:9", Some("http://localhost:8"), Tcp),
            Err(Forbidden::Origin),
        ),
        (
            (post, "localhost", "localhost:9", Some("https://localhost:9"), Tcp),
            Err(Forbidden::Origin),
        ),
        ((post, "localhost", "localhost:9", Some("null"), Tcp), Err(Forbidden::Origin)),
        ((post, "localhost", "localhost:9", Some(""), Tcp), Err(Forbidden::Origin)),
        ((post, "x", "x", Some("https://evil.example"), Unix), Err(Forbidden::Origin)),
    ];
    for (case, expected) in cases {
        assert_eq!(admit(case), expected, "{case:?}");
    }
}

#[test]
fn the_words_are_those_of_the_json() {
    use WorkerState as W;
    for state in [State::Ready, State::Degraded, State::Stopping] {
        assert_eq!(json!(state), json!(state.as_str()), "{state:?}");
    }
    for state in [UpstreamState::Ready, UpstreamState::Degraded, UpstreamState::Down] {
        assert_eq!(json!(state), json!(state.as_str()), "{state:?}");
    }
    let states = [
        W::Starting,
        W::Ready,
        W::Unready,
        W::Ejected,
        W::Deaf,
        W::Hung,
        W::Draining,
        W::Drained,
        W::Stopping,
        W::Waiting,
        W::Stopped,
    ];
    for state in states {
        assert_eq!(json!(state), json!(state.as_str()), "{state:?}");
    }
}
