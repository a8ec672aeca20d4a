//! Watches files for changes by looking at them now and then.
//!
//! Looking works everywhere, on network file systems and for files that do not exist yet too, and what is watched are a
//! few files that change a few times a day. Only looks, and never on a thread of the runtime: the file system may be
//! slow, and the tasks that move requests must not wait for it.

use std::collections::{BTreeMap, VecDeque};
use std::fs::{DirEntry, Metadata};
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use tokio::time::{MissedTickBehavior, interval};

/// Between two looks. A file's change counts when the next look finds it as it was.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How many looks a change that counts waits for others that go on, so that the writer of many files is done; not for
/// ever, as there may be a file that is written all the time.
const LOOKS_IN_WAIT: u32 = 5;
/// Files that are looked at below directories at most; what holds more is not meant to be watched.
const MAX_FILES: usize = 10_000;
/// Directories that are left out beside hidden ones: packages that the app does not change, and what Python writes
/// itself when a module is imported.
const LEFT_OUT: [&str; 3] = ["venv", "node_modules", "__pycache__"];

/// What tells that a file is another one than before: time of its last change, bytes.
type Marks = (Option<SystemTime>, u64);

/// Files that are there.
type Sight = BTreeMap<PathBuf, Marks>;

/// Files, and directories with all that is below them.
#[derive(Debug)]
pub(super) struct Files {
    paths: Vec<PathBuf>,
    since: SystemTime,
    looks: Option<Looks>,
    /// Whether somebody was told that there are too many files.
    warned: bool,
}

/// What earlier looks found.
#[derive(Debug)]
struct Looks {
    /// As of the last change that was told.
    told: Sight,
    last: Sight,
    /// How many looks the change that counts has been waiting for others.
    waited: u32,
}

/// What one look finds.
#[derive(Debug, Default)]
struct Found {
    files: Sight,
    /// The directory in which there were too many files.
    full: Option<PathBuf>,
}

// === impl Files ===

impl Files {
    /// Looks at nothing yet. What is written from now on counts; what goes away before the first call of
    /// [`Files::changed`] was never there.
    pub(super) fn new(paths: &[PathBuf]) -> Self {
        Self { paths: paths.to_vec(), since: SystemTime::now(), looks: None, warned: false }
    }

    /// Waits for a change that is complete, and returns one of the files that changed. Cancel safe.
    pub(super) async fn changed(&mut self) -> PathBuf {
        let mut ticks = interval(LOOK_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let paths = self.paths.clone();
            let looked = tokio::task::spawn_blocking(move || look(&paths, MAX_FILES)).await;
            // It is not run any more when the runtime shuts down.
            if let Ok(found) = looked
                && let Some(path) = self.note(found)
            {
                return path;
            }
        }
    }

    fn note(&mut self, found: Found) -> Option<PathBuf> {
        if let Some(directory) = found.full.filter(|_| !self.warned) {
            self.warned = true;
            log::warn!(
                "Too many files to watch, changes of the others go unseen: at_most={MAX_FILES} directory={}",
                directory.display()
            );
        }
        let since = self.since;
        self.looks.get_or_insert_with(|| Looks::first(&found.files, since)).note(found.files)
    }
}

// === impl Looks ===

impl Looks {
    /// Leaves out what was written since then, so that it counts as new. A time yet to come says nothing about when a
    /// file was written.
    fn first(files: &Sight, since: SystemTime) -> Self {
        let written = since..=SystemTime::now();
        let is_old = |(_, (time, _)): &(&PathBuf, &Marks)| {
            !time.is_some_and(|modified| written.contains(&modified))
        };
        let old = files.iter().filter(is_old);
        let told: Sight = old.map(|(path, marks)| (path.clone(), *marks)).collect();
        Self { last: told.clone(), told, waited: 0 }
    }

    /// One of the files that differ from what was told last, when it is time to tell.
    fn note(&mut self, now: Sight) -> Option<PathBuf> {
        let moving = differences(&self.last, &now);
        let mut settled = differences(&self.told, &now);
        settled.retain(|path| !moving.contains(path));
        self.last = now;
        let Some(path) = settled.first().cloned() else {
            self.waited = 0;
            return None;
        };
        if !moving.is_empty() && self.waited < LOOKS_IN_WAIT {
            self.waited = self.waited.saturating_add(1);
            return None;
        }
        self.waited = 0;
        // Those that still move count when they are done.
        for path in settled {
            match self.last.get(&path) {
                Some(marks) => self.told.insert(path, *marks),
                None => self.told.remove(&path),
            };
        }
        Some(path)
    }
}

/// The files that are new, different or gone, in this order.
fn differences(before: &Sight, after: &Sight) -> Vec<PathBuf> {
    let is_other = |(path, marks): &(&PathBuf, &Marks)| before.get(*path) != Some(*marks);
    let other = after.iter().filter(is_other).map(|(path, _)| path);
    let gone = before.keys().filter(|path| !after.contains_key(*path));
    other.chain(gone).cloned().collect()
}

/// Looks at all of it, no more than `most` files below directories. Those near the top come first, since they are the
/// app's own.
fn look(paths: &[PathBuf], most: usize) -> Found {
    let mut found = Found::default();
    let mut directories = VecDeque::new();
    for path in paths {
        match path.metadata() {
            Ok(metadata) if metadata.is_dir() => directories.push_back(path.clone()),
            Ok(metadata) => drop(found.files.insert(path.clone(), marks(&metadata))),
            // What is not there yet is waited for.
            Err(_) => {}
        }
    }
    let most = most.saturating_add(found.files.len());
    while let Some(directory) = directories.pop_front() {
        for entry in directory.read_dir().into_iter().flatten().filter_map(Result::ok) {
            match Below::of(&entry) {
                Below::Directory => directories.push_back(entry.path()),
                Below::Ignored => {}
                Below::File(_) if found.files.len() >= most => {
                    found.full = Some(directory);
                    return found;
                }
                Below::File(marks) => drop(found.files.insert(entry.path(), marks)),
            }
        }
    }
    found
}

/// What an entry of a directory is to us.
enum Below {
    File(Marks),
    Directory,
    Ignored,
}

impl Below {
    fn of(entry: &DirEntry) -> Self {
        let Ok(kind) = entry.file_type() else {
            return Self::Ignored;
        };
        if kind.is_dir() {
            return if is_left_out(entry) { Self::Ignored } else { Self::Directory };
        }
        // Links to files are followed, to directories not: they may lead in circles.
        match entry.path().metadata() {
            Ok(metadata) if !metadata.is_dir() => Self::File(marks(&metadata)),
            _ => Self::Ignored,
        }
    }
}

fn is_left_out(directory: &DirEntry) -> bool {
    let name = directory.file_name();
    name.as_encoded_bytes().starts_with(b".") || LEFT_OUT.iter().any(|left_out| name == *left_out)
}

fn marks(metadata: &Metadata) -> Marks {
    (metadata.modified().ok(), metadata.len())
}

#[cfg(test)]
mod tests;
