//! The app builds the URLs that its clients use: by `Host`, scheme and prefix.

use serde_json::Value;

use super::{OWN, TRUSTED, edge, names_of_identity, seen, values};
use crate::support::edge::Edge;
use crate::support::uvicorn::{run_python, supervised, test_app};

#[test]
fn the_host_reaches_the_app_as_it_was_sent() {
    let edge = edge("");
    let mut client = edge.connect();
    for host in [
        "a.example",
        "A.eXample:8443",
        "a.example:80",
        "127.0.0.1:8000",
        "[::1]:80",
        "xn--4ca.example.",
    ] {
        let seen = seen(&mut client, host, "");
        assert_eq!(values(&seen, "host"), [host], "as it was sent: {seen:#}");
        assert_eq!(values(&seen, "x-forwarded-host"), [host], "and forwarded: {seen:#}");
        let url = seen["url"].as_str().expect("a URL").to_lowercase();
        let expected = format!("http://{}/echo/x?y=%2f", host.to_lowercase());
        assert_eq!(url, expected, "request.url for {host}");
    }
}

#[test]
fn an_app_below_a_prefix_builds_the_urls_that_clients_use() {
    let (bare, rooted) =
        (supervised(&test_app(), ""), supervised(&test_app(), "root_path: /api/v1"));
    let edge = Edge::start(&format!(
        "listeners: [{{ address: \"127.0.0.1:0\" }}]\n{TRUSTED}\n\
         upstreams:\n  bare: {bare}\n  rooted: {rooted}\n\
         routes:\n  - {{ match: {{ path: /api/v1 }}, upstream: rooted, rewrite: {{ strip_prefix: /api/v1 }} }}\n  \
         - {{ match: {{ path: /old }}, upstream: bare, rewrite: {{ strip_prefix: /old }} }}\n  \
         - upstream: bare\n"
    ));
    // The prefix in the client's URL, in the app's path and in the app's URLs.
    for (sent, path, built, root_path) in [
        ("/api/v1", "/api/v1", "/api/v1", "/api/v1"),
        ("", "", "", ""),
        // Without `root_path` the app cannot know.
        ("/old", "", "", ""),
    ] {
        for (lines, scheme, client) in [
            (
                "X-Forwarded-Proto: https\r\nX-Forwarded-For: 6.6.6.6, 203.0.113.7\r\n",
                "https",
                "203.0.113.7",
            ),
            ("", "http", "127.0.0.1"),
        ] {
            let host = "shop.example:8443";
            let mut connection = edge.connect();
            connection
                .send(format!("GET {sent}/where?q=1 HTTP/1.1\r\nHost: {host}\r\n{lines}\r\n"));
            let response = connection.response();
            assert_eq!(response.status, 200, "{sent}: {}", response.text());
            let seen = response.json();
            let base = format!("{scheme}://{host}{built}");
            assert_eq!(seen["url"], format!("{base}/where?q=1"), "request.url below {sent:?}");
            assert_eq!(seen["base_url"], format!("{base}/"), "request.base_url below {sent:?}");
            assert_eq!(seen["url_for"], format!("{base}/items/7/"), "url_for below {sent:?}");
            assert_eq!(seen["path"], format!("{path}/where"), "scope path below {sent:?}");
            assert_eq!(seen["root_path"], root_path, "scope root_path below {sent:?}");
            assert_eq!(seen["client"], client, "request.client below {sent:?}");
            // FastAPI's own redirect to the spelling with a slash.
            connection.send(format!("GET {sent}/items/7 HTTP/1.1\r\nHost: {host}\r\n{lines}\r\n"));
            let response = connection.response();
            assert_eq!(response.status, 307, "{sent}: {}", response.text());
            let location = format!("{base}/items/7/");
            assert_eq!(response.header("location"), Some(location.as_str()), "below {sent:?}");
        }
    }
}

#[test]
fn a_websocket_has_the_same_identity() {
    let script = "
import asyncio, sys, websockets
async def main():
    headers = {'X-Forwarded-For': '6.6.6.6, 203.0.113.7', 'X-Forwarded-Proto': 'https', 'X_Remote_User': 'root'}
    async with websockets.connect(f'ws://{sys.argv[1]}/api/ws/scope', additional_headers=headers) as socket:
        print(await socket.recv())
asyncio.run(main())
";
    let upstream = supervised(&test_app(), "root_path: /api");
    for (trusted, scheme, ip) in [(TRUSTED, "wss", "203.0.113.7"), ("", "ws", "127.0.0.1")] {
        let edge = Edge::start(&format!(
            "listeners: [{{ address: \"127.0.0.1:0\" }}]\nupstreams: {{ u: {upstream} }}\n{trusted}\n\
             routes: [{{ match: {{ path: /api }}, upstream: u, rewrite: {{ strip_prefix: /api }} }}]\n"
        ));
        let output = run_python(script, &[&edge.address().to_string()]);
        let seen: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        assert_eq!(seen["client"], ip, "websocket.client with {trusted:?}: {seen:#}");
        let url = format!("{scheme}://{}/api/ws/scope", edge.address());
        assert_eq!(seen["url"], url, "websocket.url with {trusted:?}: {seen:#}");
        let names = names_of_identity(&seen);
        let names: Vec<_> = names.iter().filter(|name| *name != "upgrade").collect();
        assert_eq!(names, OWN.iter().collect::<Vec<_>>(), "{seen:#}");
    }
}
