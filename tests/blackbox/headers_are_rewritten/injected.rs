//! Nothing that is written in the file, or that a client chooses, becomes a second line.

use std::process::{Command, Stdio};

use crate::support::edge::Edge;
use crate::support::front::Front;
use crate::support::http2;
use crate::support::openssl::texts;
use crate::support::stub::Stub;

use super::{answered, values};

/// What `asgate check` says of a route with this under `headers`.
fn checked(headers: &str) -> (Option<i32>, String) {
    let directory = tempfile::tempdir().expect("a directory");
    let worker = "127.0.0.1:1".parse().expect("an address");
    let routes = format!("  - upstream: u\n    headers:\n      {headers}");
    let text = Front { routes: &routes, ..Front::default() }.config(worker);
    std::fs::write(directory.path().join("asgate.yaml"), text).expect("a file");
    let output = Command::new(env!("CARGO_BIN_EXE_asgate"))
        .arg("check")
        .current_dir(directory.path())
        .stdin(Stdio::null())
        .output()
        .expect("it runs");
    (output.status.code(), texts(&output).1)
}

#[test]
fn what_would_break_a_line_is_refused_when_the_file_is_checked() {
    for side in ["request", "response"] {
        for change in ["set", "add"] {
            for value in [
                r#""a\r\nX-Evil: 1""#,
                r#""a\nb""#,
                r#""a\rb""#,
                r#""a\0b""#,
                r#""a\x7Fb""#,
                r#""\eb""#,
            ] {
                let (code, complaints) =
                    checked(&format!("{side}: {{ {change}: {{ X-A: {value} }} }}"));
                assert_eq!(code, Some(1), "{side} {change} {value}: {complaints}");
                let place = format!(": routes[0].headers.{side}.{change}.X-A: ");
                assert!(complaints.contains(&place), "{side} {change} {value}: {complaints}");
                assert_eq!(complaints.lines().count(), 1, "one line: {complaints:?}");
            }
            for (name, value) in [
                (r#""a b""#, "x"),
                (r#""a\r\nb""#, "x"),
                (r#""""#, "x"),
                ("X-A", r#""{nonsense}""#),
                ("X-A", r#""{client_ip""#),
                ("X-A", r#""client_ip}""#),
                ("Transfer-Encoding", "chunked"),
                ("Content-Length", r#""1""#),
                ("Connection", "close"),
                ("X-Request-Id", "x"),
            ] {
                let (code, complaints) =
                    checked(&format!("{side}: {{ {change}: {{ {name}: {value} }} }}"));
                assert_eq!(code, Some(1), "{side} {change} {name}: {value}: {complaints}");
                assert!(complaints.contains(&format!("headers.{side}.{change}")), "{complaints}");
            }
            let (code, complaints) = checked(&format!(
                "{side}: {{ {change}: {{ X-A: \"{{client_ip}} {{{{x}}}} caf\u{e9}\" }}, remove: [X-B] }}"
            ));
            assert_eq!(code, Some(0), "the control, {side} {change}: {complaints}");
        }
        for name in ["Content-Length", "a b", "Connection"] {
            let (code, complaints) = checked(&format!("{side}: {{ remove: [\"{name}\"] }}"));
            assert_eq!(code, Some(1), "{side} remove {name}: {complaints}");
        }
    }
    let (code, complaints) = checked("request: { set: { X-Forwarded-For: \"{client_ip}\" } }");
    assert_eq!(code, Some(1), "what the edge writes itself: {complaints}");
}

/// Everything of a variable that a client chooses.
const ROUTE: &str = "  - { name: r, upstream: u, headers: { \
    request: { set: { X-Seen: \"{host} {path} {query} {method}\" } }, \
    response: { set: { X-Seen: \"{host} {path} {query} {method}\", Location: \"/login?next={path}\" } } } }";

fn edge(stub: &Stub) -> Edge {
    Front { listeners: &["http2: true"], routes: ROUTE, ..Front::default() }.before(stub.address())
}

#[test]
fn what_a_client_chooses_stays_in_its_line() {
    let stub = Stub::echoing();
    let edge = edge(&stub);
    for target in [
        "/%0d%0aX-Evil:%201",
        "/a%0Ab%0dX-Evil: 1".split(' ').next().expect("a target"),
        "/x?a%0d%0aX-Evil:%201",
        "/x?%E5%98%8A%E5%98%8DX-Evil:1",
        "/\u{560a}\u{560d}X-Evil:1",
        "/x?\u{560a}\u{560d}X-Evil:1",
        "/%E5%98%8A%E5%98%8D",
    ] {
        let mut client = edge.connect();
        client.send(format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n"));
        let response = client.response();
        assert_eq!(answered(&response, "x-evil"), [""; 0], "{target}: {response:?}");
        if response.status != 200 {
            continue;
        }
        let got = response.text();
        assert_eq!(values(&got, "x-evil"), [""; 0], "{target}: {got}");
        let seen = values(&got, "x-seen");
        assert!(seen.len() <= 1, "{target}: {got}");
        for value in seen.iter().chain(&answered(&response, "x-seen")) {
            assert!(!value.chars().any(char::is_control), "{target}: {value:?}");
        }
    }
    // Raw ones are refused as requests; nobody sees them.
    for raw in ["/a\nX-Evil: 1", "/a\r\nX-Evil: 1", "/a\rb", "/a\0b", "/x?a\x01b", "/x?a\x7fb"] {
        let mut client = edge.connect();
        client.try_send(format!("GET {raw} HTTP/1.1\r\nHost: a\r\n\r\n"));
        let response = client.response();
        assert_eq!(response.status, 400, "{raw:?}: {response:?}");
        assert_eq!(answered(&response, "x-evil"), [""; 0], "{raw:?}: {response:?}");
    }
}

/// Over HTTP/2 a value is not ended by a line end, so that one could be in it.
#[test]
fn over_http2_too() {
    let stub = Stub::echoing();
    let edge = edge(&stub);
    let script = r#"
answers = []
for path, host, method in (
    ("/a\r\nX-Evil: 1", "a", "GET"), ("/a\nb", "a", "GET"), ("/a?b\r\nX-Evil: 1", "a", "GET"),
    ("/a", "a\r\nX-Evil: 1", "GET"), ("/a", "a", "GET\r\nX-Evil: 1"), ("/a\0b", "a", "GET"), ("/a?\0", "a", "GET"),
):
    stream = c.open(method, path, host=host)
    answer = c.answer(stream)
    answers.append([answer["status"], str(answer["headers"]) + answer["body"]])
    if c.ended:
        c = Http2(int(sys.argv[1]))
answers.append([c.answer(c.open("GET", "/sound"))["status"], ""])
tell(answers)
"#;
    let answers = http2::run(edge.address(), script);
    let answers = answers.as_array().expect("answers");
    let (last, others) = answers.split_last().expect("answers");
    assert_eq!(last[0], 200, "the control");
    for answer in others {
        assert_ne!(answer[0], 200, "refused: {answer}");
        let text = answer[1].as_str().expect("text").to_lowercase();
        assert!(!text.contains("x-evil"), "{answer}");
    }
    assert!(!stub.received_in_all().to_lowercase().contains("evil"), "{}", stub.received_in_all());
}
