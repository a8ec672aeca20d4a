//! Why a worker is replaced: one word each, the same in logs, metrics and status.

use std::fmt;

/// What made a worker go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// Its process ended without being asked to.
    Exit,
    /// Its listener is gone while the process lives (CPython gh-93821).
    Deaf,
    /// It answered nothing for `hang_timeout` although requests were waiting.
    Hung,
    /// Its health checks fail.
    Unhealthy,
    /// More memory than `recycle.max_memory`.
    Memory,
    /// Older than `recycle.max_age`.
    Age,
    /// More requests than `recycle.max_requests`.
    Requests,
    /// A file of `recycle.on_file_change` changed.
    FileChange,
    /// An operator asked for it.
    Restart,
}

impl Reason {
    /// The word, as metrics and status have it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Exit => "exit",
            Self::Deaf => "deaf",
            Self::Hung => "hung",
            Self::Unhealthy => "unhealthy",
            Self::Memory => "memory",
            Self::Age => "age",
            Self::Requests => "requests",
            Self::FileChange => "file_change",
            Self::Restart => "restart",
        }
    }

    /// Whether the worker serves as well as ever, so that its replacement can wait for its turn.
    pub(super) fn can_wait(self) -> bool {
        match self {
            Self::Memory | Self::Age | Self::Requests => true,
            Self::Exit | Self::Deaf | Self::Hung | Self::Unhealthy => false,
            // The roll that they belong to takes one worker at a time anyway.
            Self::FileChange | Self::Restart => false,
        }
    }

    /// Whether it is one more failure of a worker that had no time to prove itself.
    pub(super) fn is_failure(self) -> bool {
        match self {
            Self::Exit | Self::Deaf | Self::Hung | Self::Unhealthy => true,
            Self::Memory | Self::Age | Self::Requests | Self::FileChange | Self::Restart => false,
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
