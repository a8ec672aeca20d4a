use std::fs::{self, File};

use tempfile::TempDir;
use tokio::time::timeout;

use super::*;

/// A directory with an app, and who watches it; both have been looked at once.
struct Watched {
    root: TempDir,
    files: Files,
}

impl Watched {
    fn new() -> Self {
        let root = TempDir::new().expect("a directory");
        for directory in ["__pycache__", ".venv/lib", "venv/lib", "node_modules/x", "sub"] {
            fs::create_dir_all(root.path().join("app").join(directory)).expect("a directory");
        }
        fs::write(root.path().join("app/main.py"), "one").expect("a file");
        let paths = [root.path().join("app"), root.path().join("settings")];
        let mut watched = Self { files: Files::new(&paths), root };
        // Whatever the resolution of the file system's clock is: what was written above is old.
        watched.files.since = SystemTime::now() + Duration::from_secs(3600);
        assert_eq!(watched.look(), None, "the first look");
        watched
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).expect("a file");
    }

    /// What one look tells.
    fn look(&mut self) -> Option<String> {
        let changed = self.files.note(look(&self.files.paths, MAX_FILES))?;
        let below = changed.strip_prefix(self.root.path()).expect("one of the root");
        Some(below.to_string_lossy().replace('\\', "/"))
    }

    /// What the second look after something tells, when it stands still.
    fn second_look(&mut self) -> Option<String> {
        assert_eq!(self.look(), None, "it may go on");
        self.look()
    }
}

#[test]
fn what_is_written_below_a_directory_counts_but_not_what_others_put_there() {
    for (name, counts) in [
        ("app/main.py", true),
        ("app/new.py", true),
        ("app/sub/deep.py", true),
        ("app/.env", true),
        ("app/venv.py", true),
        ("settings", true),
        ("elsewhere", false),
        ("app/__pycache__/main.pyc", false),
        ("app/.venv/lib/x.py", false),
        ("app/venv/lib/x.py", false),
        ("app/node_modules/x/y.js", false),
    ] {
        let mut watched = Watched::new();
        watched.write(name, "more than before");
        assert_eq!(watched.second_look().as_deref(), counts.then_some(name), "{name}");
        assert_eq!(watched.second_look(), None, "{name}: once");
    }
}

#[test]
fn a_file_that_goes_counts() {
    let mut watched = Watched::new();
    fs::remove_file(watched.path("app/main.py")).expect("it was there");
    assert_eq!(watched.second_look().as_deref(), Some("app/main.py"), "it is gone");
    assert_eq!(watched.second_look(), None, "once");
}

#[test]
fn a_directory_that_is_hidden_itself_is_watched_when_it_is_named() {
    let root = TempDir::new().expect("a directory");
    let hidden = root.path().join(".config");
    fs::create_dir(&hidden).expect("a directory");
    fs::write(hidden.join("a"), "").expect("a file");
    assert_eq!(look(&[hidden], MAX_FILES).files.len(), 1, "its file is seen");
}

#[cfg(unix)]
#[test]
fn links_to_files_are_followed_and_links_to_directories_are_not() {
    use std::os::unix::fs::symlink;
    let mut watched = Watched::new();
    watched.write("target", "one");
    symlink(watched.path("target"), watched.path("app/link")).expect("a link");
    symlink(watched.path("app"), watched.path("app/circle")).expect("a link");
    assert_eq!(watched.second_look().as_deref(), Some("app/link"), "a new link");
    watched.write("target", "another");
    assert_eq!(watched.second_look().as_deref(), Some("app/link"), "what it leads to");
    assert_eq!(watched.second_look(), None, "the circle is nothing");
}

#[test]
fn the_writer_of_many_files_is_waited_for() {
    let mut watched = Watched::new();
    for name in ["app/1.py", "app/2.py", "app/3.py"] {
        watched.write(name, "new");
        assert_eq!(watched.look(), None, "{name} has just come");
    }
    assert!(watched.look().is_some(), "all are there");
    assert_eq!(watched.second_look(), None, "one change");
}

#[test]
fn a_file_that_is_written_all_the_time_does_not_keep_others_from_counting() {
    let mut watched = Watched::new();
    watched.write("app/main.py", "changed");
    let mut log = String::new();
    let mut told = Vec::new();
    for _ in 0..30 {
        log.push_str("another line\n");
        watched.write("app/log", &log);
        told.extend(watched.look());
    }
    assert_eq!(told, ["app/main.py"], "the app's change, once; the log is not done");
    assert_eq!(watched.look().as_deref(), Some("app/log"), "now it is");
}

#[test]
fn what_is_written_before_the_first_look_counts() {
    let root = TempDir::new().expect("a directory");
    let day = Duration::from_secs(24 * 3600);
    let now = SystemTime::now();
    for (name, modified) in [("old", now - day), ("new", now), ("in the future", now + day)] {
        let file = File::create(root.path().join(name)).expect("a file");
        file.set_modified(modified).expect("its time");
    }
    let paths = [root.path().to_owned()];
    let mut files = Files { since: now - Duration::from_secs(1), ..Files::new(&paths) };
    let told = [(); 3].map(|()| files.note(look(&paths, MAX_FILES)));
    let new = root.path().join("new");
    assert_eq!(told, [None, Some(new), None], "when it stands still");
}

#[test]
fn there_is_a_limit_and_one_warning() {
    let mut watched = Watched::new();
    for number in 0..10 {
        watched.write(&format!("app/sub/{number}"), "");
    }
    watched.write("settings", "");
    let paths = watched.files.paths.clone();
    let all = look(&paths, 11);
    assert_eq!((all.files.len(), all.full), (12, None), "settings, main.py, ten in sub");
    let some = look(&paths, 5);
    assert_eq!(some.full, Some(watched.path("app/sub")), "where it ended");
    for name in ["settings", "app/main.py"] {
        assert!(some.files.contains_key(&watched.path(name)), "{name}: what is near comes first");
    }
    watched.files.note(some);
    assert!(watched.files.warned, "somebody was told");
}

#[tokio::test]
async fn a_change_is_heard_of_without_anybody_looking() {
    let root = TempDir::new().expect("a directory");
    let path = root.path().join("settings");
    let mut files = Files::new(std::slice::from_ref(&path));
    assert!(timeout(LOOK_EVERY / 2, files.changed()).await.is_err(), "the control: no change");
    fs::write(&path, "it comes").expect("a file");
    let changed = timeout(LOOK_EVERY * 30, files.changed()).await;
    assert_eq!(changed.ok(), Some(path), "after the next looks");
}
