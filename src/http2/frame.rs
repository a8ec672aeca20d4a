//! The start of a frame: its head (RFC 9113 §4.1) and, where an amount or a stream in the payload tells a flood from
//! honest use, the four bytes after that.

/// Length, type, flags and stream.
const HEAD: usize = 9;
/// A word of payload comes with the head of some frames.
const HEAD_AND_WORD: usize = HEAD + 4;

const ACK: u8 = 0x1;
const END_STREAM: u8 = 0x1;
const END_HEADERS: u8 = 0x4;

/// The highest bit of a stream or an increment is reserved, that of a dependency says whether it is exclusive.
const LOW_31_BITS: u32 = u32::MAX >> 1;

/// Types of frames (RFC 9113 §6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Data,
    Headers,
    Priority,
    Reset,
    Settings,
    PushPromise,
    Ping,
    GoAway,
    WindowUpdate,
    Continuation,
    /// To be ignored (RFC 9113 §5.5); PRIORITY_UPDATE (RFC 9218 §7.1) among them.
    Unknown,
}

/// What the start of a frame says.
#[derive(Debug, Clone, Copy)]
pub struct Frame {
    pub kind: Kind,
    /// Bytes of payload.
    pub length: u32,
    /// Bytes of payload that have not been taken with the start.
    pub rest: u32,
    flags: u8,
    stream: u32,
    /// The first four bytes of the payload of PRIORITY and WINDOW_UPDATE.
    word: Option<u32>,
}

impl Frame {
    pub fn ends_stream(&self) -> bool {
        self.flags & END_STREAM != 0
    }

    pub fn ends_headers(&self) -> bool {
        self.flags & END_HEADERS != 0
    }

    /// Whether the engine will have to answer with an error, by RFC 9113 §4.2 and §6, and one look at the start is
    /// enough to know it.
    pub fn asks_for_an_error(&self) -> bool {
        let word = self.word.map(|word| word & LOW_31_BITS);
        match self.kind {
            Kind::Priority => self.length != 5 || word == Some(self.stream),
            Kind::Reset => self.length != 4,
            Kind::Settings if self.flags & ACK != 0 => self.length != 0,
            Kind::Settings => !self.length.is_multiple_of(6),
            Kind::Ping => self.length != 8,
            Kind::GoAway => self.length < 8,
            Kind::WindowUpdate => self.length != 4 || word == Some(0),
            Kind::Data | Kind::Headers | Kind::PushPromise | Kind::Continuation | Kind::Unknown => {
                false
            }
        }
    }
}

/// The bytes of a start, as far as they have come.
#[derive(Debug, Default)]
pub struct Start {
    bytes: [u8; HEAD_AND_WORD],
    have: usize,
}

impl Start {
    /// Takes what it lacks off the front of `input`. When nothing is lacking any more it gives the frame, and is
    /// empty for the next.
    pub fn take(&mut self, input: &mut &[u8]) -> Option<Frame> {
        self.fill(HEAD, input);
        if self.have < HEAD {
            return None;
        }
        let wanted = if self.has_word() { HEAD_AND_WORD } else { HEAD };
        self.fill(wanted, input);
        if self.have < wanted {
            return None;
        }
        self.have = 0;
        Some(self.frame(wanted))
    }

    fn fill(&mut self, wanted: usize, input: &mut &[u8]) {
        let lacking = wanted.saturating_sub(self.have);
        let (taken, rest) = input.split_at(lacking.min(input.len()));
        for (place, byte) in self.bytes.iter_mut().skip(self.have).zip(taken) {
            *place = *byte;
        }
        self.have += taken.len();
        *input = rest;
    }

    fn kind(&self) -> Kind {
        let [_, _, _, kind, ..] = self.bytes;
        match kind {
            0 => Kind::Data,
            1 => Kind::Headers,
            2 => Kind::Priority,
            3 => Kind::Reset,
            4 => Kind::Settings,
            5 => Kind::PushPromise,
            6 => Kind::Ping,
            7 => Kind::GoAway,
            8 => Kind::WindowUpdate,
            9 => Kind::Continuation,
            _ => Kind::Unknown,
        }
    }

    fn length(&self) -> u32 {
        let [high, middle, low, ..] = self.bytes;
        u32::from_be_bytes([0, high, middle, low])
    }

    fn has_word(&self) -> bool {
        matches!(self.kind(), Kind::Priority | Kind::WindowUpdate) && self.length() >= 4
    }

    /// The frame whose start fills the first `taken` bytes.
    fn frame(&self, taken: usize) -> Frame {
        let [_, _, _, _, flags, s0, s1, s2, s3, w0, w1, w2, w3] = self.bytes;
        let (length, with_word) = (self.length(), taken == HEAD_AND_WORD);
        Frame {
            kind: self.kind(),
            length,
            rest: if with_word { length.saturating_sub(4) } else { length },
            flags,
            stream: u32::from_be_bytes([s0, s1, s2, s3]) & LOW_31_BITS,
            word: with_word.then(|| u32::from_be_bytes([w0, w1, w2, w3])),
        }
    }
}
