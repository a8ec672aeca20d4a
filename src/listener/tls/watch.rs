//! Looks at the files of certificates from time to time, and tells in time of those that are about to expire.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::task::spawn_blocking;
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::source::Patience;
use super::{Acceptor, CertificateFacts, ClientsFacts};
use crate::{pki, telemetry};

/// Between two looks at the files.
const LOOK_EVERY: Duration = Duration::from_secs(2);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

impl Acceptor {
    /// Takes new files within four seconds, which are two looks at them, and logs what came of it; warns once a day of
    /// certificates that expire within 30 days and of all that is in trouble, for the first time after a day. Runs
    /// until it is dropped.
    ///
    /// Looks at what is in the files, since neither their times nor the system's notifications can be relied on: files
    /// are put in place with the times of others, by renaming directories, or on network drives. What cannot be used is
    /// told once, when it was found twice.
    pub async fn watch(self: Arc<Self>) {
        let mut looks = interval(LOOK_EVERY);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut reminded = Instant::now();
        loop {
            looks.tick().await;
            let acceptor = Arc::clone(&self);
            let looked = spawn_blocking(move || acceptor.look(Patience::UntilFoundTwice)).await;
            if let Err(error) = looked {
                log::error!("Cannot look at the files of certificates: {error}");
            }
            if reminded.elapsed() >= DAY {
                reminded = Instant::now();
                self.remind();
            }
        }
    }

    fn remind(&self) {
        let now = SystemTime::now();
        for reminder in self.certificates().iter().flat_map(|one| one.reminders(now)) {
            log::warn!("{reminder}");
        }
        if let Some(reminder) = self.clients().and_then(|clients| clients.reminder()) {
            log::warn!("{reminder}");
        }
    }
}

impl ClientsFacts {
    /// What is to be said of it, if anything.
    pub(super) fn reminder(&self) -> Option<String> {
        let file = self.path.display();
        let trouble = self.trouble.as_ref()?;
        Some(format!(
            "Authorities of client certificates or CRLs in trouble: file={file} {trouble}"
        ))
    }
}

impl CertificateFacts {
    /// What is to be said of the certificate at `now`, if anything: how long it is valid, and what else is wrong.
    pub(super) fn reminders(&self, now: SystemTime) -> impl Iterator<Item = String> {
        let file = self.path.display();
        let end = match self.not_after.duration_since(now) {
            Ok(left) if left > pki::SOON => None,
            Ok(_) => Some("Certificate expires soon"),
            Err(_) => Some("Certificate has expired"),
        };
        let end = end.map(|what| {
            let expires = telemetry::in_seconds(self.not_after);
            format!("{what}: file={file} names={} expires={expires}", self.names.join(","))
        });
        let trouble = self.trouble.as_ref();
        let trouble = trouble.map(|what| format!("Certificate in trouble: file={file} {what}"));
        end.into_iter().chain(trouble)
    }
}
