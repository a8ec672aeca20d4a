//! Points in time as RFC 3339 text, in UTC: with microseconds in log lines
//! (`2026-02-03T04:05:06.000007Z`), in whole seconds where no more is known.
//!
//! Computed anew each time: that is a tenth of what a line costs, and a cache of the current
//! second would be state to share or to carry about.

use std::time::{SystemTime, UNIX_EPOCH};

/// Appends `at`, 27 bytes long. Times before 1970 are written as 1970.
pub(super) fn append(out: &mut Vec<u8>, at: SystemTime) {
    let since_epoch = at.duration_since(UNIX_EPOCH).unwrap_or_default();
    let mut fraction = *b".000000Z";
    put_digits(&mut fraction[1..7], since_epoch.subsec_micros());
    out.extend_from_slice(&date_and_time(since_epoch.as_secs()));
    out.extend_from_slice(&fraction);
}

/// `at` without a fraction of its second, `2026-02-03T04:05:06Z`. Times before 1970 are written as
/// 1970.
pub fn in_seconds(at: SystemTime) -> String {
    let since_epoch = at.duration_since(UNIX_EPOCH).unwrap_or_default();
    date_and_time(since_epoch.as_secs()).into_iter().chain([b'Z']).map(char::from).collect()
}

#[inline]
fn date_and_time(since_epoch: u64) -> [u8; 19] {
    let (year, month, day) = civil_date(since_epoch / 86_400);
    let second_of_day = (since_epoch % 86_400) as u32;
    let mut text = *b"0000-00-00T00:00:00";
    put_digits(&mut text[0..4], year as u32);
    put_digits(&mut text[5..7], month as u32);
    put_digits(&mut text[8..10], day as u32);
    put_digits(&mut text[11..13], second_of_day / 3600);
    put_digits(&mut text[14..16], second_of_day / 60 % 60);
    put_digits(&mut text[17..19], second_of_day % 60);
    text
}

/// Year, month and day of a count of days since 1970-01-01, in the Gregorian calendar.
/// Source: Howard Hinnant, "chrono-compatible low-level date algorithms", `civil_from_days`,
/// for days from 1970 on. Years there start in March, so that a leap day comes last.
fn civil_date(days_since_epoch: u64) -> (u64, u64, u64) {
    const DAYS_FROM_YEAR_0_TO_1970: u64 = 719_468;
    const DAYS_IN_400_YEARS: u64 = 146_097;

    let days = days_since_epoch + DAYS_FROM_YEAR_0_TO_1970;
    let era = days / DAYS_IN_400_YEARS;
    let day_of_era = days % DAYS_IN_400_YEARS;
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;

    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    (year, month, day)
}

/// Fills `digits` with the last decimal digits of `value`, with leading zeros.
#[inline]
fn put_digits(digits: &mut [u8], mut value: u32) {
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + (value % 10) as u8;
        value /= 10;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn times_are_written_in_utc_with_microseconds() {
        let table = [
            (0, 0, "1970-01-01T00:00:00.000000Z"),
            (951_782_399, 999_999, "2000-02-28T23:59:59.999999Z"),
            (951_782_400, 0, "2000-02-29T00:00:00.000000Z"),
            (1_709_251_199, 1, "2024-02-29T23:59:59.000001Z"),
            (1_709_251_200, 0, "2024-03-01T00:00:00.000000Z"),
            (1_770_091_506, 7, "2026-02-03T04:05:06.000007Z"),
            (4_102_444_799, 0, "2099-12-31T23:59:59.000000Z"),
            (4_107_542_400, 0, "2100-03-01T00:00:00.000000Z"),
        ];
        for (seconds, micros, expected) in table {
            let at = UNIX_EPOCH + Duration::new(seconds, micros * 1000);
            let mut out = Vec::new();
            append(&mut out, at);
            assert_eq!(String::from_utf8_lossy(&out), expected, "{seconds} s {micros} µs");
            let (whole, _) = expected.split_once('.').expect("a fraction");
            assert_eq!(in_seconds(at), format!("{whole}Z"), "{seconds} s {micros} µs");
        }
    }

    #[test]
    fn a_clock_before_1970_is_written_as_1970() {
        let mut out = Vec::new();
        let before = UNIX_EPOCH - Duration::from_secs(1);
        append(&mut out, before);
        assert_eq!(out, b"1970-01-01T00:00:00.000000Z", "a clock that was never set");
        assert_eq!(in_seconds(before), "1970-01-01T00:00:00Z", "a clock that was never set");
    }
}
