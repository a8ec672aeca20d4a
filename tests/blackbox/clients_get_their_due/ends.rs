//! The end of a response over HTTP/2 comes with its last bytes: a client that knows the length may leave once it has them.

use crate::support::edge::Edge;
use crate::support::http2;
use crate::support::stub::Stub;

#[test]
fn the_end_comes_with_the_last_bytes() {
    let stub = Stub::start(|mut accepted| {
        while let Some(request) = accepted.request() {
            let head = "HTTP/1.1 200 OK\r\n";
            let large = "x".repeat(40_000);
            match request.split(' ').nth(1) {
                Some("/short") => accepted.send(format!("{head}content-length: 5\r\n\r\nhello")),
                Some("/large") => {
                    accepted.send(format!("{head}content-length: 40000\r\n\r\n{large}"))
                }
                Some("/chunked") => accepted.send(format!(
                    "{head}transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
                )),
                Some("/empty") => accepted.send(format!("{head}content-length: 0\r\n\r\n")),
                _ => {
                    accepted.send(format!("{head}content-length: 9\r\n\r\nhalf"));
                    return accepted.close();
                }
            };
        }
    });
    let edge = Edge::before(&[stub.address()], "");
    let script = "
targets = ['/short', '/large', '/chunked', '/empty', '/broken']
tell([c.answer(c.open('GET', target)) for target in targets])
";
    let answers = http2::run(edge.address(), script);
    let [whole @ .., broken] = answers.as_array().expect("answers").as_slice() else {
        panic!("no answers: {answers}")
    };
    for (answer, (name, length)) in
        whole.iter().zip([("short", 5), ("large", 40_000), ("chunked", 5), ("empty", 0)])
    {
        assert_eq!(answer["body"].as_str().map(str::len), Some(length), "{name}: {answer}");
        assert_eq!(answer["end"], "whole", "{name}: {answer}");
        let pieces = answer["pieces"].as_array().expect("pieces");
        let ends: Vec<_> = pieces.iter().filter(|piece| piece[1] == true).collect();
        let [end] = ends.as_slice() else { panic!("{name}: ends once: {answer}") };
        let is_bare = end[0] == 0;
        assert_eq!(is_bare, length == 0, "{name}: it comes with bytes, if there are any: {answer}");
    }
    assert_eq!(broken["end"], "reset", "never as if it were whole: {broken}");
    let ends_seen =
        broken["pieces"].as_array().expect("pieces").iter().any(|piece| piece[1] == true);
    assert!(!ends_seen, "{broken}");
}
