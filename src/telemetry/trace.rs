//! The trace id out of a `traceparent` header (W3C Trace Context, §3.2). Pure.

const TRACE_ID_END: usize = 35;
const PARENT_ID_END: usize = 52;
const LENGTH: usize = 55;

/// The 32 hex digits of the trace id, or nothing when the header is not a valid `traceparent`.
/// A version above `00` may carry more after a further dash (§4.3); `ff` is forbidden.
pub(super) fn trace_id(traceparent: &[u8]) -> Option<&str> {
    let version = traceparent.get(..2)?;
    let trace_id = traceparent.get(3..TRACE_ID_END)?;
    let parent_id = traceparent.get(TRACE_ID_END + 1..PARENT_ID_END)?;
    let flags = traceparent.get(PARENT_ID_END + 1..LENGTH)?;

    let dashes = [2, TRACE_ID_END, PARENT_ID_END];
    let separated = dashes.into_iter().all(|at| traceparent.get(at) == Some(&b'-'));
    let hex = [version, trace_id, parent_id, flags].into_iter().all(is_lower_hex);
    let set = is_not_zero(trace_id) && is_not_zero(parent_id);
    let ended = match traceparent.get(LENGTH) {
        None => true,
        Some(next) => version != b"00" && *next == b'-',
    };
    if separated && hex && set && ended && version != b"ff" {
        std::str::from_utf8(trace_id).ok()
    } else {
        None
    }
}

fn is_lower_hex(digits: &[u8]) -> bool {
    digits.iter().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'))
}

fn is_not_zero(digits: &[u8]) -> bool {
    digits.iter().any(|digit| *digit != b'0')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_valid_traceparent_has_a_trace_id() {
        const ID: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
        let valid = [
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-what-comes-next",
        ];
        for header in valid {
            assert_eq!(trace_id(header.as_bytes()), Some(ID), "{header}");
        }
        let invalid = [
            "",
            "00",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
            "cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01.more",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00_4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e473\n-00f067aa0ba902b7-01",
        ];
        for header in invalid {
            assert_eq!(trace_id(header.as_bytes()), None, "{header:?}");
        }
    }
}
