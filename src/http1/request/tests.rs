use super::*;

fn inspected(head: &str) -> Result<RequestHead, Fault> {
    inspect(head.as_bytes(), 100)
}

#[test]
fn reads_what_a_plain_head_says() {
    let text = "POST /a?b HTTP/1.1\r\nHost:  example.com \r\nContent-Length: 5\r\n\r\n";
    let head = inspected(text).expect("a plain head");
    assert_eq!(&text[head.method], "POST", "method");
    assert_eq!(&text[head.target], "/a?b", "target");
    assert_eq!(&text[head.host.expect("a host")], "example.com", "host without white space");
    assert_eq!(head.framing, Framing::Length(5), "framing");
    assert!(head.http11, "version");
    assert_eq!(head.lines, 2, "header lines");
}

#[test]
fn refuses_what_two_servers_could_read_differently() {
    let with = |lines: &str| format!("GET / HTTP/1.1\r\nHost: a\r\n{lines}\r\n");
    let cases = [
        ("GET / HTTP/1.1\nHost: a\r\n\r\n".into(), Fault::LineEnd, "bare LF in the request line"),
        ("GET / HTTP/1.1\r\nHost: a\n\r\n".into(), Fault::LineEnd, "bare LF in a header"),
        ("GET / HTTP/1.1\r\nHost: a\r\n\n".into(), Fault::LineEnd, "bare LF at the end"),
        ("GET /\r HTTP/1.1\r\nHost: a\r\n\r\n".into(), Fault::RequestLine, "CR in the target"),
        ("GET /a b HTTP/1.1\r\nHost: a\r\n\r\n".into(), Fault::RequestLine, "space in the target"),
        ("GET  / HTTP/1.1\r\nHost: a\r\n\r\n".into(), Fault::RequestLine, "two spaces"),
        (
            "GET /\x01 HTTP/1.1\r\nHost: a\r\n\r\n".into(),
            Fault::RequestLine,
            "control in the target",
        ),
        ("GET /\x7f HTTP/1.1\r\nHost: a\r\n\r\n".into(), Fault::RequestLine, "DEL in the target"),
        ("GET /\r\n\r\n".into(), Fault::RequestLine, "HTTP/0.9"),
        ("G(T / HTTP/1.1\r\nHost: a\r\n\r\n".into(), Fault::RequestLine, "method no token"),
        ("GET / HTTP/1.2\r\nHost: a\r\n\r\n".into(), Fault::Version, "HTTP/1.2"),
        ("GET / HTTP/2.0\r\nHost: a\r\n\r\n".into(), Fault::Version, "HTTP/2.0 as text"),
        ("GET / HTTP/1.1\r\n\r\n".into(), Fault::Host, "no Host"),
        (with("Host: a\r\n"), Fault::Host, "two identical Hosts"),
        ("GET / HTTP/1.1\r\nHost: u@a\r\n\r\n".into(), Fault::Host, "userinfo in Host"),
        (with("X : 1\r\n"), Fault::Header, "space before the colon"),
        (with(" folded\r\n"), Fault::Header, "obs-fold"),
        (with("\tfolded: 1\r\n"), Fault::Header, "obs-fold by tab"),
        (with("X: a\0b\r\n"), Fault::Header, "NUL in a value"),
        (with("X: a\rb\r\n"), Fault::Header, "CR in a value"),
        (with("X\r\n"), Fault::Header, "no colon"),
        (with(": x\r\n"), Fault::Header, "no name"),
        (with("Content-Length: 2\r\nContent-Length: 2\r\n"), Fault::ContentLength, "CL twice"),
        (with("Content-Length: 2, 2\r\n"), Fault::ContentLength, "CL list"),
        (with("Content-Length: +2\r\n"), Fault::ContentLength, "CL signed"),
        (with("Content-Length: 0x2\r\n"), Fault::ContentLength, "CL hexadecimal"),
        (with("Content-Length: \r\n"), Fault::ContentLength, "CL empty"),
        (with("Content-Length: 99999999999999999999\r\n"), Fault::ContentLength, "CL overflow"),
        (
            with("Transfer-Encoding: chunked\r\nContent-Length: 2\r\n"),
            Fault::TransferEncoding,
            "TE and CL",
        ),
        (with("Transfer-Encoding: gzip, chunked\r\n"), Fault::TransferEncoding, "lost coding"),
        (with("Transfer-Encoding: chunked, chunked\r\n"), Fault::TransferEncoding, "TE list"),
        (
            with("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"),
            Fault::TransferEncoding,
            "TE twice",
        ),
        (with("Transfer-Encoding: xchunked\r\n"), Fault::TransferEncoding, "TE xchunked"),
        (with("Transfer-Encoding: identity\r\n"), Fault::TransferEncoding, "TE identity"),
        (
            "GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n".into(),
            Fault::TransferEncoding,
            "TE on HTTP/1.0",
        ),
    ];
    for (head, fault, what) in cases {
        assert_eq!(inspected(&head), Err(fault), "{what}: {head:?}");
    }
}

#[test]
fn accepts_what_real_clients_send() {
    for head in [
        "GET / HTTP/1.0\r\n\r\n",
        "GET / HTTP/1.0\r\nHost: a\r\n\r\n",
        "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET http://a/x HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /caf\u{e9} HTTP/1.1\r\nHost: a\r\nX:\r\nY: a\tb\r\n\r\n",
        "PUT / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: Chunked\r\n\r\n",
    ] {
        assert!(inspected(head).is_ok(), "{head:?}");
    }
}

#[test]
fn header_lines_are_counted_to_the_limit() {
    let head = |n: usize| format!("GET / HTTP/1.0\r\n{}\r\n", "X: 1\r\n".repeat(n));
    assert!(inspect(head(9).as_bytes(), 10).is_ok(), "limit - 1");
    assert!(inspect(head(10).as_bytes(), 10).is_ok(), "limit");
    assert_eq!(inspect(head(11).as_bytes(), 10), Err(Fault::TooManyHeaders), "limit + 1");
}

#[test]
fn the_end_is_found_wherever_a_read_splits_it() {
    let head = b"GET / HTTP/1.1\r\nHost: a\r\n\r\nbody";
    let whole = head.len() - 4;
    for read in 0..head.len() {
        let expected = (read >= whole).then_some(whole);
        assert_eq!(end(&head[..read], 0), expected, "{read} bytes at once");
        for earlier in 0..read.min(whole) {
            assert_eq!(end(&head[..read], earlier), expected, "{earlier} bytes searched before");
        }
    }
    assert_eq!(end(b"GET /\n\n", 0), Some(7), "bare LFs end a head too");
}
