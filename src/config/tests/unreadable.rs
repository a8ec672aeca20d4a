//! `load`: files that are not there or not text, and the environment of the process.

use std::fs;
use std::path::Path;

use super::super::{LoadError, load};
use super::VALID;

fn written(bytes: &[u8]) -> (tempfile::TempDir, std::path::PathBuf) {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("asgate.yaml");
    fs::write(&file, bytes).expect("a file");
    (directory, file)
}

#[test]
fn a_file_that_is_not_there_is_unreadable() {
    let error = load(Path::new("no-such-directory/asgate.yaml")).expect_err("no such file");
    assert!(matches!(error, LoadError::Unreadable { .. }), "unreadable: {error:?}");
    let expected = "no-such-directory/asgate.yaml: cannot be read";
    assert_eq!(error.to_string(), expected, "its own level only; the cause is the source");
}

#[test]
fn a_directory_is_unreadable() {
    let directory = tempfile::tempdir().expect("a directory");
    let error = load(directory.path()).expect_err("a directory");
    assert!(matches!(error, LoadError::Unreadable { .. }), "unreadable: {error:?}");
}

#[test]
fn bytes_that_are_not_utf_8_are_a_problem_with_a_place() {
    let (_directory, file) = written(b"listeners: []\nro\xffutes: []\n");
    let expected = format!(
        "{}:2:3: (file): is not UTF-8 (got the byte 0xff, allowed UTF-8 text)",
        file.display()
    );
    let error = load(&file).expect_err("not UTF-8");
    assert!(matches!(error, LoadError::Invalid(_)), "invalid: {error:?}");
    assert_eq!(error.to_string(), expected, "where it is");
}

#[test]
fn relative_paths_start_from_the_directory_of_the_file() {
    let (directory, file) =
        written(VALID.replace("main:app\n", "main:app\n      directory: sub\n").as_bytes());
    assert!(load(&file).is_err(), "there is no such directory yet");
    fs::create_dir(directory.path().join("sub")).expect("a directory");
    let config = load(&file).expect("a valid file").config;
    let workers = config.upstreams.into_iter().next().map(|upstream| upstream.workers);
    match workers {
        Some(super::super::Workers::Supervised(app)) => {
            assert_eq!(app.directory, directory.path().join("sub"), "absolute");
        }
        other => panic!("supervised workers, not {other:?}"),
    }
}
