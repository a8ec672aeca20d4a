use std::fs;
use std::process::Command;

use super::*;
use crate::config::Start;
use crate::supervisor::Guardian;
use crate::supervisor::tests::interpreter;

fn app(args: &[&str]) -> App {
    let start = Start::Asgi("main:app".into());
    let args = args.iter().map(|&arg| arg.to_owned()).collect();
    App { args, ..App::new(start, std::env::temp_dir()) }
}

#[test]
fn the_users_loop_takes_the_place_of_asgates() {
    let chosen = |app: &App, default| {
        let EventLoop { option, module } =
            EventLoop::choose(app, default, &Guardian::default()).expect("a loop");
        (option, module.is_some())
    };
    let ours = Some(FACTORY);
    assert_eq!(chosen(&app(&[]), None), (None, false), "Uvicorn's own, nothing is written");
    assert_eq!(chosen(&app(&[]), ours), (ours, true), "asgate's, with its module");
    assert_eq!(chosen(&app(&["--loop", "asyncio"]), ours), (None, false), "the user's");
    assert_eq!(chosen(&app(&["--loop=none"]), ours), (None, false), "in one word");
    assert_eq!(chosen(&app(&["--loop", FACTORY]), None), (None, true), "the user wants asgate's");
    let mut by_variable = app(&[]);
    by_variable.env.insert(VARIABLE.into(), "uvloop".into());
    assert_eq!(chosen(&by_variable, ours), (None, false), "the user's, as a variable");
}

/// The module as it is shipped, in Python. The script's own control shows that the defect is there without it.
#[test]
fn one_bad_connection_does_not_make_a_proactor_deaf() {
    let module = LoopModule::install(&Guardian::default()).expect("it is written");
    let directory = module.directory().expect("it is there");
    let script =
        concat!(env!("CARGO_MANIFEST_DIR"), "/tests/python/asgate_loop_goes_on_accepting.py");
    let run = Command::new(interpreter())
        .arg(script)
        .env("PYTHONPATH", &directory)
        .output()
        .expect("Python runs");
    let said = String::from_utf8_lossy(&run.stderr);
    assert!(run.status.success(), "{}\n{said}", run.status);
    drop(module);
    assert!(!directory.exists(), "the module goes with its owner, what Python wrote beside it too");
}

#[test]
fn a_module_that_others_removed_is_there_again_for_the_next_start() {
    let module = LoopModule::install(&Guardian::default()).expect("it is written");
    let directory = module.directory().expect("it is there");
    let source = |directory: &Path| fs::read_to_string(directory.join("asgate_loop.py")).ok();
    assert_eq!(source(&directory).as_deref(), Some(SOURCE), "the control");

    fs::remove_file(directory.join("asgate_loop.py")).expect("it was there");
    assert_eq!(module.directory().expect("again"), directory, "where workers know it");
    assert_eq!(source(&directory).as_deref(), Some(SOURCE), "the file alone was gone");

    fs::remove_dir_all(&directory).expect("it was there");
    let elsewhere = module.directory().expect("again");
    assert_eq!(source(&elsewhere).as_deref(), Some(SOURCE), "its directory was gone");
    drop(module);
    assert!(!elsewhere.exists(), "nothing is left behind");
}
