//! Watches files for changes by looking at them now and then.
//!
//! Looking works everywhere, on network file systems and for files that do not exist yet too, and what is watched are a
//! few files that change a few times a day.

use std::collections::BTreeMap;
use std::fs::Metadata;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use tokio::time::{MissedTickBehavior, interval};

/// Between two looks. A change counts when the next look finds nothing new, so that the writer of many files is done.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Files looked at below one directory at most; a directory that holds more is not meant to be watched.
const MAX_FILES: usize = 10_000;

/// What is known of each file that is there.
type Sight = BTreeMap<PathBuf, (Option<SystemTime>, u64)>;

/// Files, and directories with all that is below them.
#[derive(Debug)]
pub(super) struct Files {
    paths: Vec<PathBuf>,
    seen: Sight,
}

impl Files {
    pub(super) fn new(paths: &[PathBuf]) -> Self {
        let paths = paths.to_vec();
        let seen = look(&paths);
        Self { paths, seen }
    }

    /// Waits for a change that is complete, and returns one of the files that changed. Cancel safe.
    pub(super) async fn changed(&mut self) -> PathBuf {
        let mut looks = interval(LOOK_EVERY);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut changing: Option<Sight> = None;
        loop {
            looks.tick().await;
            let paths = self.paths.clone();
            // The file system may be slow; the tasks that move requests must not wait for it.
            let Ok(now) = tokio::task::spawn_blocking(move || look(&paths)).await else {
                continue;
            };
            if changing.as_ref() == Some(&now)
                && let Some(path) = difference(&self.seen, &now)
            {
                self.seen = now;
                return path;
            }
            changing = (now != self.seen).then_some(now);
        }
    }
}

fn look(paths: &[PathBuf]) -> Sight {
    let mut sight = Sight::new();
    for path in paths {
        see(path, &mut sight);
    }
    sight
}

fn see(path: &Path, sight: &mut Sight) {
    let Ok(metadata) = path.metadata() else {
        return;
    };
    if !metadata.is_dir() {
        sight.insert(path.to_owned(), marks(&metadata));
        return;
    }
    let entries = path.read_dir().into_iter().flatten().filter_map(Result::ok);
    for entry in entries {
        // What Python writes itself when a module is imported is no change of the app.
        let is_cache = entry.file_name() == "__pycache__";
        // Links to directories are not followed: they may lead in circles.
        let is_linked_directory =
            entry.file_type().is_ok_and(|kind| kind.is_symlink()) && entry.path().is_dir();
        if !is_cache && !is_linked_directory && sight.len() < MAX_FILES {
            see(&entry.path(), sight);
        }
    }
}

fn marks(metadata: &Metadata) -> (Option<SystemTime>, u64) {
    (metadata.modified().ok(), metadata.len())
}

/// A file that is new, gone, or different.
fn difference(before: &Sight, after: &Sight) -> Option<PathBuf> {
    let differs =
        |(path, marks): &(&PathBuf, &(Option<SystemTime>, u64))| before.get(*path) != Some(*marks);
    let changed = after.iter().find(differs).map(|(path, _)| path);
    changed.or_else(|| before.keys().find(|path| !after.contains_key(*path))).cloned()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use tokio::time::timeout;

    use super::*;

    /// What a change of the directory is taken for.
    async fn after(change: impl FnOnce(&Path)) -> Option<String> {
        let directory = tempfile::tempdir().expect("a directory");
        let root = directory.path();
        fs::create_dir_all(root.join("app/__pycache__")).expect("a directory");
        fs::write(root.join("app/main.py"), "one").expect("a file");
        let mut files = Files::new(&[root.join("app"), root.join("settings")]);
        change(root);
        let changed = timeout(LOOK_EVERY * 4, files.changed()).await.ok()?;
        Some(changed.strip_prefix(root).ok()?.display().to_string())
    }

    #[tokio::test]
    async fn changes_below_a_directory_and_files_that_come_and_go_count() {
        let write = |name: &'static str| {
            move |root: &Path| fs::write(root.join(name), "more than before").expect("a file")
        };
        let remove = |root: &Path| fs::remove_file(root.join("app/main.py")).expect("it was there");
        let (changed, new, settings, removed, cache, nothing) = tokio::join!(
            after(write("app/main.py")),
            after(write("app/new.py")),
            after(write("settings")),
            after(remove),
            after(write("app/__pycache__/main.pyc")),
            after(|_| {}),
        );
        assert_eq!(changed.as_deref(), Some("app/main.py"), "a change");
        assert_eq!(new.as_deref(), Some("app/new.py"), "a new file");
        assert_eq!(settings.as_deref(), Some("settings"), "a file that was not there");
        assert_eq!(removed.as_deref(), Some("app/main.py"), "a file that is gone");
        assert_eq!(cache, None, "Python's cache");
        assert_eq!(nothing, None, "the control: no change");
    }
}
