//! Durations, sizes and percentages: what is read, what is refused, how they are written.

use std::time::Duration;

use super::super::units::{OrOff, Percent, Size, Span, UnitError};

#[test]
fn durations_need_a_unit_and_fit_a_year() {
    let cases = [
        ("250ms", Ok(250)),
        ("30s", Ok(30_000)),
        ("5m", Ok(300_000)),
        ("1h", Ok(3_600_000)),
        ("8760h", Ok(8760 * 3_600_000)),
        ("007s", Ok(7_000)),
        ("8761h", Err(UnitError::TooLarge)),
        ("18446744073709551615h", Err(UnitError::TooLarge)),
        ("18446744073709551616s", Err(UnitError::TooLarge)),
        ("0s", Err(UnitError::Zero)),
        ("30", Err(UnitError::NoUnit)),
        ("0", Err(UnitError::NoUnit)),
        ("", Err(UnitError::Malformed)),
        ("s", Err(UnitError::Malformed)),
        ("-1s", Err(UnitError::Malformed)),
        ("+1s", Err(UnitError::Malformed)),
        ("1.5s", Err(UnitError::Malformed)),
        ("1 s", Err(UnitError::Malformed)),
        ("1d", Err(UnitError::Malformed)),
        ("1S", Err(UnitError::Malformed)),
        ("1m30s", Err(UnitError::Malformed)),
        ("１s", Err(UnitError::Malformed)),
        ("off", Err(UnitError::Malformed)),
    ];
    for (text, expected) in cases {
        let expected = expected.map(|millis| Span(Duration::from_millis(millis)));
        assert_eq!(text.parse::<Span>(), expected, "{text:?} as a duration");
    }
}

#[test]
fn sizes_need_a_unit() {
    let cases = [
        ("0B", Ok(0)),
        ("100B", Ok(100)),
        ("1KB", Ok(1000)),
        ("64KiB", Ok(64 << 10)),
        ("30MB", Ok(30_000_000)),
        ("2MiB", Ok(2 << 20)),
        ("1GB", Ok(1_000_000_000)),
        ("1GiB", Ok(1 << 30)),
        ("1TB", Ok(1_000_000_000_000)),
        ("16777215TiB", Ok(16_777_215 << 40)),
        ("16777216TiB", Err(UnitError::TooLarge)),
        ("100", Err(UnitError::NoUnit)),
        ("1kb", Err(UnitError::Malformed)),
        ("1K", Err(UnitError::Malformed)),
        ("1 KB", Err(UnitError::Malformed)),
        ("B", Err(UnitError::Malformed)),
        ("off", Err(UnitError::Malformed)),
    ];
    for (text, expected) in cases {
        assert_eq!(text.parse::<Size>(), expected.map(Size), "{text:?} as a size");
    }
}

#[test]
fn percentages_need_their_sign_and_end_at_the_whole() {
    let cases = [
        ("0%", Ok(0)),
        ("20%", Ok(20)),
        ("020%", Ok(20)),
        ("100%", Ok(100)),
        ("101%", Err(UnitError::TooLarge)),
        ("356%", Err(UnitError::TooLarge)),
        ("18446744073709551616%", Err(UnitError::TooLarge)),
        ("20", Err(UnitError::NoUnit)),
        ("-1%", Err(UnitError::Malformed)),
        ("0.5%", Err(UnitError::Malformed)),
        ("20 %", Err(UnitError::Malformed)),
        ("%", Err(UnitError::Malformed)),
        ("off", Err(UnitError::Malformed)),
    ];
    for (text, expected) in cases {
        let read = text.parse::<Percent>().map(Percent::get);
        assert_eq!(read, expected, "{text:?} as a percentage");
    }
    assert_eq!(Percent::saturating(20).to_string(), "20%", "written again");
    assert_eq!(Percent::saturating(200).get(), 100, "no more than the whole");
}

#[test]
fn off_is_no_value_where_it_is_allowed() {
    assert_eq!("off".parse::<OrOff<Span>>(), Ok(OrOff(None)), "off");
    let second = OrOff(Some(Span(Duration::from_secs(1))));
    assert_eq!("1s".parse::<OrOff<Span>>(), Ok(second), "a duration where off is allowed");
    assert_eq!("Off".parse::<OrOff<Size>>(), Err(UnitError::Malformed), "off has one spelling");
}

#[test]
fn values_are_written_as_short_as_they_are_exact() {
    for text in ["250ms", "1s", "90s", "2m", "1h", "36h"] {
        let span: Span = text.parse().expect("a duration");
        assert_eq!(span.to_string(), text, "a duration, written again");
    }
    for text in ["0B", "999B", "64KiB", "100MB", "1GiB", "1048575B"] {
        let size: Size = text.parse().expect("a size");
        assert_eq!(size.to_string(), text, "a size, written again");
    }
}
