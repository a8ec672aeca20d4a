//! What a connection is ended for: one word for the log and the metrics.

use std::fmt;

/// A flood of frames on an HTTP/2 connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Abuse {
    /// Streams opened and reset, so that a worker computes for nobody (CVE-2023-44487).
    RapidReset,
    /// PING, which asks for an answer (CVE-2019-9512).
    PingFlood,
    /// SETTINGS, which asks for one too (CVE-2019-9515).
    SettingsFlood,
    /// PRIORITY, which once made servers sort trees (CVE-2019-9513).
    PriorityFlood,
    /// WINDOW_UPDATE beyond what the bytes sent explain (CVE-2019-9511).
    WindowFlood,
    /// A header block that does not end, in frames or in bytes (CVE-2024-27316, CVE-2024-24549).
    ContinuationFlood,
    /// A header block, or the connection preface, that is not there in time.
    SlowHeaders,
    /// Frames that carry nothing and end nothing (CVE-2019-9518).
    EmptyFrames,
    /// Frames that can only be answered with an error: of a wrong length, a window grown by nothing, a stream that
    /// depends on itself (CVE-2019-9514, CVE-2025-8671).
    MalformedFrames,
    /// Frames of unknown types, which are to be ignored, and GOAWAY.
    UnknownFrames,
}

impl Abuse {
    /// For whoever keeps one counter for each.
    pub const ALL: [Self; 10] = [
        Self::RapidReset,
        Self::PingFlood,
        Self::SettingsFlood,
        Self::PriorityFlood,
        Self::WindowFlood,
        Self::ContinuationFlood,
        Self::SlowHeaders,
        Self::EmptyFrames,
        Self::MalformedFrames,
        Self::UnknownFrames,
    ];

    /// The word in the log and in a metric's label.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::RapidReset => "rapid_reset",
            Self::PingFlood => "ping_flood",
            Self::SettingsFlood => "settings_flood",
            Self::PriorityFlood => "priority_flood",
            Self::WindowFlood => "window_flood",
            Self::ContinuationFlood => "continuation_flood",
            Self::SlowHeaders => "slow_headers",
            Self::EmptyFrames => "empty_frames",
            Self::MalformedFrames => "malformed_frames",
            Self::UnknownFrames => "unknown_frames",
        }
    }
}

impl fmt::Display for Abuse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl std::error::Error for Abuse {}
