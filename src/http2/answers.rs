//! What goes to a client on an HTTP/2 connection, as far as it answers requests.

use super::frame::{Kind, Start};

/// Follows the frames that are sent to a client.
///
/// Acknowledgements of its PINGs and SETTINGS are none: a client could have any number of them, and would look busy.
#[derive(Debug, Default)]
pub struct Answers {
    /// Bytes that are still to come of a payload.
    skip: u32,
    /// Whether that payload is part of a response.
    answers: bool,
    start: Start,
}

impl Answers {
    /// Takes the next bytes that were sent, in pieces of any size, and says how many of them are of responses: the
    /// payloads of HEADERS, CONTINUATION and DATA.
    pub fn sent(&mut self, mut bytes: &[u8]) -> usize {
        let mut answers = 0;
        loop {
            let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX).min(self.skip);
            self.skip -= length;
            bytes = bytes.get(length as usize..).unwrap_or_default();
            if self.answers {
                answers += length as usize;
            }
            let Some(frame) = self.start.take(&mut bytes) else { return answers };
            self.skip = frame.rest;
            self.answers = matches!(frame.kind, Kind::Headers | Kind::Continuation | Kind::Data);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, payload: &[u8]) -> Vec<u8> {
        let [_, length @ ..] = u32::try_from(payload.len()).expect("short").to_be_bytes();
        [&length[..], &[kind, 0, 0, 0, 0, 1], payload].concat()
    }

    #[test]
    fn only_responses_count_however_they_are_cut() {
        let sent = [
            frame(4, &[0; 12]),      // SETTINGS
            frame(1, &[1; 30]),      // HEADERS
            frame(9, &[2; 20]),      // CONTINUATION
            frame(6, &[3; 8]),       // PING
            frame(0, &[4; 1_000]),   // DATA
            frame(8, &[0, 0, 1, 0]), // WINDOW_UPDATE
            frame(0, &[]),
            frame(3, &[0; 4]), // RST_STREAM
            frame(0, &[5; 7]),
        ]
        .concat();
        for size in [1, 2, 7, 9, 100, sent.len()] {
            let mut answers = Answers::default();
            let counted: usize = sent.chunks(size).map(|piece| answers.sent(piece)).sum();
            assert_eq!(counted, 30 + 20 + 1_000 + 7, "in pieces of {size}");
        }
    }
}
