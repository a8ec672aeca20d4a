use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::{InterpreterError, find};

/// An executable file under `root`, with the directories it needs.
fn executable(root: &Path, path: &str) {
    let path = root.join(path);
    fs::create_dir_all(path.parent().expect("a directory")).expect("directories");
    fs::write(&path, "").expect("the file");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("the mode");
}

struct Case {
    what: &'static str,
    /// Executables below the temporary directory; `app` is the app's directory, `usr` and `opt` are on the PATH.
    there: &'static [&'static str],
    configured: Option<&'static str>,
    found: Option<&'static str>,
}

const CASES: &[Case] = &[
    Case {
        what: ".venv comes first",
        there: &["app/.venv/bin/python", "app/venv/bin/python", "usr/python3"],
        configured: None,
        found: Some("app/.venv/bin/python"),
    },
    Case {
        what: "then venv",
        there: &["app/venv/bin/python", "usr/python3"],
        configured: None,
        found: Some("app/venv/bin/python"),
    },
    Case {
        what: "then the PATH, in its order",
        there: &["usr/python3", "opt/python3"],
        configured: None,
        found: Some("usr/python3"),
    },
    Case {
        what: "the PATH is searched to its end",
        there: &["usr/python2", "opt/python3"],
        configured: None,
        found: Some("opt/python3"),
    },
    Case {
        what: "a bare name is looked up on the PATH, not in the app's directory",
        there: &["app/python3.13", "app/.venv/bin/python", "opt/python3.13"],
        configured: Some("python3.13"),
        found: Some("opt/python3.13"),
    },
    Case { what: "nothing anywhere", there: &["usr/python"], configured: None, found: None },
    Case {
        what: "a configured one is not replaced by another",
        there: &["app/.venv/bin/python", "usr/python3"],
        configured: Some("python3.13"),
        found: None,
    },
];

#[test]
fn interpreters_are_looked_up_in_the_documented_order() {
    for Case { what, there, configured, found } in CASES {
        let root = TempDir::new().expect("a directory");
        there.iter().for_each(|path| executable(root.path(), path));
        let path = search_path(root.path());
        let outcome = find(configured.map(Path::new), &root.path().join("app"), Some(&path));
        assert_eq!(outcome.ok(), found.map(|f| root.path().join(f)), "{what}");
    }
}

#[test]
fn a_configured_path_is_taken_as_it_is() {
    let root = TempDir::new().expect("a directory");
    executable(root.path(), "py/bin/python");
    let configured = root.path().join("py/bin/python");
    let outcome = find(Some(&configured), root.path(), None);
    assert_eq!(outcome.as_ref(), Ok(&configured), "no look-up is needed");

    fs::set_permissions(&configured, fs::Permissions::from_mode(0o644)).expect("the mode");
    let outcome = find(Some(&configured), root.path(), None);
    assert_eq!(outcome, Err(InterpreterError::NotExecutable(configured)), "not executable");
}

#[test]
fn the_link_of_a_virtual_environment_is_not_followed() {
    let root = TempDir::new().expect("a directory");
    executable(root.path(), "usr/python3");
    fs::create_dir_all(root.path().join(".venv/bin")).expect("directories");
    let link = root.path().join(".venv/bin/python");
    std::os::unix::fs::symlink(root.path().join("usr/python3"), &link).expect("the link");
    let outcome = find(None, root.path(), None);
    assert_eq!(outcome, Ok(link), "following it would leave the environment");
}

#[test]
fn the_error_says_what_was_tried() {
    let error = find(None, Path::new("/srv/app"), None).expect_err("nothing is there").to_string();
    assert!(error.contains("/srv/app") && error.contains("python3"), "{error}");
}

/// `usr` and `opt` below the directory, with entries between them that must be ignored.
fn search_path(root: &Path) -> OsString {
    let entries = [PathBuf::new(), root.join("usr"), PathBuf::from("."), root.join("opt")];
    std::env::join_paths(entries).expect("no separator in a temporary path")
}
