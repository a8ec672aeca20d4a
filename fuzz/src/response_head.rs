//! A worker's response heads: complete or not wherever they are cut, with one way to find the end of the body.

use asgate::http1::response::{self, Framing, ResponseHead};
use http::Method;
use http::header::{CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING};

use super::shown;

/// Cuts of a head that are tried; each parses it anew.
const CUTS: usize = 256;

/// `bytes` begin with a response head, or not.
pub fn check(bytes: &[u8]) {
    let Ok(Some((head, length))) = response::parse(bytes) else { return };
    assert!((1..=bytes.len()).contains(&length), "a head of {length} bytes");
    for cut in (0..length).take(CUTS) {
        let parsed = response::parse(&bytes[..cut]);
        assert!(matches!(parsed, Ok(None)), "complete after {cut} of {length}: {}", shown(bytes));
    }
    let (again, same) = response::parse(&bytes[..length]).expect("valid").expect("complete");
    assert_eq!((&again.headers, same), (&head.headers, length), "without what follows");
    check_keep_alive(&head);
    for method in [Method::GET, Method::HEAD] {
        check_framing(&head, &method);
    }
}

/// RFC 9112 §6.3, said from the answer's side.
fn check_framing(head: &ResponseHead, method: &Method) {
    let Ok(framing) = head.framing(method) else { return };
    let lengths: Vec<_> = head.headers.get_all(CONTENT_LENGTH).iter().collect();
    let codings: Vec<_> = head.headers.get_all(TRANSFER_ENCODING).iter().collect();
    let bodiless = method == Method::HEAD
        || head.status.is_informational()
        || [204, 304].contains(&head.status.as_u16());
    match framing {
        _ if bodiless => assert_eq!(framing, Framing::Length(0), "{} has a body", head.status),
        Framing::Length(length) => {
            let said = |text: &[u8]| str::from_utf8(text).ok().and_then(|text| text.parse().ok());
            assert!(codings.is_empty(), "a length beside {codings:?}");
            assert!(!lengths.is_empty(), "a length that nobody said");
            assert!(
                lengths.iter().all(|value| said(value.as_bytes()) == Some(length)),
                "{lengths:?}"
            );
        }
        Framing::Chunked => {
            assert!(lengths.is_empty(), "chunks beside {lengths:?}");
            let [coding] = codings.as_slice() else { panic!("chunks for {codings:?}") };
            assert!(coding.as_bytes().eq_ignore_ascii_case(b"chunked"), "chunks for {coding:?}");
        }
        Framing::UntilClose => {
            assert!(lengths.is_empty() && codings.is_empty(), "a framing ignored")
        }
    }
}

/// A connection whose end is announced is not kept.
fn check_keep_alive(head: &ResponseHead) {
    let announced = head.headers.get_all(CONNECTION).iter().any(|value| {
        let text = String::from_utf8_lossy(value.as_bytes()).to_ascii_lowercase();
        text.split(',').any(|option| option.trim() == "close")
    });
    assert!(!(announced && head.keep_alive), "kept although the worker closes");
}
