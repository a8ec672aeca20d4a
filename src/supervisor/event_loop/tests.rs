use crate::supervisor::Guardian;
use std::process::Command;

use super::*;
use crate::config::Start;
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
    let script =
        concat!(env!("CARGO_MANIFEST_DIR"), "/tests/python/asgate_loop_goes_on_accepting.py");
    let run = Command::new(interpreter())
        .arg(script)
        .env("PYTHONPATH", module.directory())
        .output()
        .expect("Python runs");
    let said = String::from_utf8_lossy(&run.stderr);
    assert!(run.status.success(), "{}\n{said}", run.status);
    let directory = module.directory().to_owned();
    drop(module);
    assert!(!directory.exists(), "the module goes with its owner, what Python wrote beside it too");
}
