//! What the admin API can ask of an edge. The edge implements it.

use async_trait::async_trait;

use super::Status;

/// The running edge, as operators see and steer it.
#[async_trait]
pub trait Operations: Send + Sync + 'static {
    /// How everything is doing now.
    fn status(&self) -> Status;

    /// All metrics in the Prometheus text format.
    fn metrics(&self) -> String;

    /// Names of the upstreams without a ready worker.
    fn not_ready(&self) -> Vec<String>;

    /// Whether a stop was asked for, by whatever way.
    fn is_stopping(&self) -> bool;

    /// Whether clients are accepted; not before all workers were ready once.
    fn is_serving(&self) -> bool;

    /// Reads certificates, CAs and CRLs again and serves what is new; connections live on. The configuration file is not
    /// read. The message says what changed, line by line.
    ///
    /// # Errors
    /// [`Refusal::Failed`] when some of it cannot be used: what was served is served on, and what was sound is new.
    async fn reload(&self) -> Result<Done, Refusal>;

    /// Replaces `worker`, or all workers of `upstream` one after the other, each by one that was ready before it left.
    /// Returns when it is done, which takes as long as the workers take to start.
    ///
    /// # Errors
    /// [`Refusal`]. After [`Refusal::Failed`] the workers that were not replaced yet stay.
    async fn restart(&self, upstream: &str, worker: Option<&str>) -> Result<Done, Refusal>;

    /// Takes `worker` out of rotation: what is in flight on it finishes, nothing new comes. It stays so until
    /// [`Self::enable`]. Does not wait for the requests in flight.
    ///
    /// # Errors
    /// [`Refusal`].
    async fn drain(&self, upstream: &str, worker: &str) -> Result<Done, Refusal>;

    /// Puts `worker` back into rotation.
    ///
    /// # Errors
    /// [`Refusal`].
    async fn enable(&self, upstream: &str, worker: &str) -> Result<Done, Refusal>;

    /// Begins to stop the edge, as a signal does. Returns at once; again changes nothing.
    fn stop(&self);
}

/// An operation that was carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Done {
    /// For people, for example `replaced 4 workers of backend`.
    pub message: String,
}

/// Why an operation was not carried out, or not to its end.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("there is no upstream {name:?}; there is {}", listed(existing))]
    NoSuchUpstream { name: String, existing: Vec<String> },
    #[error("upstream {upstream:?} has no worker {name:?}; it has {}", listed(existing))]
    NoSuchWorker { upstream: String, name: String, existing: Vec<String> },
    /// A fixed worker is somebody else's process.
    #[error(
        "the workers of upstream {upstream:?} are fixed: asgate did not start them and cannot restart them"
    )]
    Fixed { upstream: String },
    /// Another operation is under way; the text says which.
    #[error("{0}")]
    Busy(String),
    /// It was tried; the text says what went wrong and how things are now.
    #[error("{0}")]
    Failed(String),
}

fn listed(names: &[String]) -> String {
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}
