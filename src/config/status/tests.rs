use super::*;

#[test]
fn statuses_and_ranges_are_final_and_in_order() {
    let cases = [
        ("200", Ok(200..=200)),
        ("200-399", Ok(200..=399)),
        ("404-404", Ok(404..=404)),
        ("599", Ok(599..=599)),
        ("100", Err(StatusError::NotFinal)),
        ("600", Err(StatusError::NotFinal)),
        ("199-299", Err(StatusError::NotFinal)),
        ("300-299", Err(StatusError::Reversed)),
        ("", Err(StatusError::Malformed)),
        ("-", Err(StatusError::Malformed)),
        ("20", Err(StatusError::Malformed)),
        ("2000", Err(StatusError::Malformed)),
        ("2xx", Err(StatusError::Malformed)),
        ("+20", Err(StatusError::Malformed)),
        ("200 - 299", Err(StatusError::Malformed)),
        ("200-", Err(StatusError::Malformed)),
        ("200-299-399", Err(StatusError::Malformed)),
        ("２00", Err(StatusError::Malformed)),
    ];
    for (text, expected) in cases {
        assert_eq!(text.parse(), expected.map(StatusRange), "{text:?}");
    }
}

#[test]
fn ranges_are_written_as_they_are_read() {
    for text in ["200", "200-399"] {
        let range: StatusRange = text.parse().expect("a range");
        assert_eq!(range.to_string(), text, "written again");
    }
}
