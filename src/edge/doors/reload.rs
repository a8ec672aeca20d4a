//! A reload: each listener reads its certificates, CAs and CRLs again, and the answer says what came of it.
//!
//! Everything else in the configuration needs a restart, which the answer says too.

use std::fmt::Display;
use std::sync::Arc;

use crate::admin::{Done, Refusal};
use crate::listener::tls::{Outcome, Reloaded, Subject};
use crate::telemetry;

use super::Door;

#[cfg(test)]
mod tests;

/// The end of every answer that is no refusal.
const NOT_READ: &str = "the configuration file is not read again: restart for that";
/// Names of a certificate that are told; there may be a hundred.
const FEW: usize = 3;

/// Lets all of `doors` read their files again, and says what changed, line by line.
///
/// # Errors
/// [`Refusal::Failed`] when some file cannot be used. What was served instead of it is served on; the text says which
/// files those are, and what was renewed beside them.
pub async fn reload(doors: &[Door]) -> Result<Done, Refusal> {
    let acceptors: Vec<_> = doors
        .iter()
        .filter_map(|door| Some((door.address.clone(), Arc::clone(&door.tls.as_ref()?.acceptor))))
        .collect();
    // A file may be on a disk that takes its time.
    let read = tokio::task::spawn_blocking(move || {
        let read = acceptors.into_iter().map(|(address, acceptor)| (address, acceptor.reload()));
        read.collect::<Vec<_>>()
    });
    let read = read.await.map_err(|error| {
        log::error!("A reload broke off: {error}");
        Refusal::Failed("the reload broke off".to_owned())
    })?;
    answer(&read)
}

/// What to say of what became of the files of each listener.
fn answer<N: Display>(listeners: &[(N, Vec<Reloaded>)]) -> Result<Done, Refusal> {
    let all = || listeners.iter().flat_map(|(name, files)| files.iter().map(move |of| (name, of)));
    let mut lines: Vec<_> = all().filter_map(|(name, reloaded)| line(name, reloaded)).collect();
    if all().any(|(_, reloaded)| matches!(reloaded.outcome, Outcome::Kept { .. })) {
        return Err(Refusal::Failed(lines.join("\n")));
    }
    if lines.is_empty() {
        lines.push("nothing changed".to_owned());
    }
    lines.push(NOT_READ.to_owned());
    Ok(Done { message: lines.join("\n") })
}

/// `certificates of 0.0.0.0:443: renewed certs/site.pem (site.example, expires 2027-01-01T00:00:00Z)`; nothing of files
/// that are as they were.
fn line(listener: &impl Display, reloaded: &Reloaded) -> Option<String> {
    let Reloaded { subject, path, outcome } = reloaded;
    let path = path.display();
    let what = match outcome {
        Outcome::Unchanged => return None,
        Outcome::Renewed { names, not_after } => {
            let end = telemetry::in_seconds(*not_after);
            format!("renewed {path} ({}, expires {end})", few(names))
        }
        Outcome::ClientsRenewed => format!("renewed {path}"),
        Outcome::Kept { error } => format!("unchanged, the new files cannot be used: {error}"),
    };
    Some(format!("{} of {listener}: {what}", key(*subject)))
}

/// The key of the configuration that names the files.
fn key(subject: Subject) -> &'static str {
    match subject {
        Subject::Certificate => "certificates",
        Subject::Clients => "client_auth",
    }
}

/// `a.example, b.example, 98 more`
fn few(names: &[String]) -> String {
    let told = names.iter().take(FEW).cloned();
    let others = names.len().saturating_sub(FEW);
    let others = (others > 0).then(|| format!("{others} more"));
    let all: Vec<_> = told.chain(others).collect();
    if all.is_empty() { "for no name".to_owned() } else { all.join(", ") }
}
