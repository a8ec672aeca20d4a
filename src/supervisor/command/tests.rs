use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{CommandError, CommandLine, Reach, Recipe, breaks_uvicorn, variable};
use crate::config::{Address, App, Start, Transport};
use crate::supervisor::Guardian;
use crate::supervisor::event_loop::FACTORY;

/// How long the edge keeps unused connections by default.
const IDLE: Duration = Duration::from_secs(60);

fn app(start: Start) -> App {
    App {
        // Any executable file will do: it is not run here.
        python: std::env::current_exe().ok(),
        stop_timeout: Duration::from_millis(30_900),
        ..App::new(start, std::env::temp_dir())
    }
}

fn command(words: &[&str]) -> App {
    app(Start::Command(words.iter().map(|&word| word.to_owned()).collect()))
}

fn port(port: u16) -> Address {
    Address::Tcp(([127, 0, 0, 1], port).into())
}

fn socket(path: &str) -> Address {
    Address::Unix(PathBuf::from(path))
}

fn args(app: &App, worker: u16, address: &Address) -> String {
    Recipe::new(app, IDLE, &Guardian::default())
        .expect("a recipe")
        .command_line(worker, address)
        .expect("a command line")
        .args
        .join(" ")
}

#[test]
fn uvicorn_on_a_unix_socket() {
    let app = app(Start::Asgi("backend.main:app".into()));
    assert_eq!(
        args(&app, 1, &socket("/run/asgate-1/1-1.sock")),
        "-m uvicorn backend.main:app --uds /run/asgate-1/1-1.sock --forwarded-allow-ips * \
         --workers 1 --timeout-keep-alive 75 --timeout-graceful-shutdown 30 --no-access-log",
        "options agree with the edge"
    );
}

#[test]
fn uvicorn_on_a_port() {
    let mut app = app(Start::Asgi("main:app".into()));
    app.root_path = "/api".into();
    app.stop_timeout = Duration::from_millis(200);
    assert_eq!(
        args(&app, 1, &port(50123)),
        "-m uvicorn main:app --host 127.0.0.1 --port 50123 --forwarded-allow-ips * --workers 1 \
         --timeout-keep-alive 75 --timeout-graceful-shutdown 1 --root-path /api \
         --no-access-log",
        "the root path is passed on, a stop takes at least a second"
    );
}

#[test]
fn the_users_arguments_come_last() {
    let mut app = app(Start::Asgi("main:app".into()));
    app.args = ["--timeout-keep-alive", "90", "--factory"].map(str::to_owned).into();
    let args = args(&app, 1, &port(50123));
    assert!(args.ends_with(" --timeout-keep-alive 90 --factory"), "so that they win: {args}");
}

#[test]
fn workers_keep_connections_for_longer_than_the_edge() {
    let app = app(Start::Asgi("main:app".into()));
    for (idle_timeout, keep_alive) in [(1, 75), (60, 75), (61, 76), (600, 615)] {
        let recipe = Recipe::new(&app, Duration::from_secs(idle_timeout), &Guardian::default())
            .expect("a recipe");
        let args = recipe.command_line(1, &port(1)).expect("a command line").args;
        let at = args.iter().position(|arg| arg == "--timeout-keep-alive").expect("the option");
        assert_eq!(args[at + 1], keep_alive.to_string(), "idle_timeout of {idle_timeout} s");
    }
}

#[test]
fn the_transport_decides_how_uvicorn_is_reached() {
    let mut app = app(Start::Asgi("main:app".into()));
    let auto = if cfg!(unix) { Reach::Socket } else { Reach::Port };
    assert_eq!(
        Recipe::new(&app, IDLE, &Guardian::default()).expect("a recipe").reach(),
        auto,
        "auto follows the system"
    );
    app.transport = Transport::Tcp;
    assert_eq!(
        Recipe::new(&app, IDLE, &Guardian::default()).expect("a recipe").reach(),
        Reach::Port,
        "tcp is tcp anywhere"
    );
}

#[test]
fn placeholders_are_filled_in_wherever_they_stand() {
    let app = command(&["granian", "--port={port}", "--name", "w{worker}", "{worker}:{worker}"]);
    assert_eq!(args(&app, 4, &port(50123)), "--port=50123 --name w4 4:4", "port and worker");
}

#[cfg(unix)]
#[test]
fn a_socket_path_is_not_filled_in_again() {
    let app = command(&["hypercorn", "-b", "unix:{socket}"]);
    assert_eq!(
        args(&app, 2, &socket("/tmp/{worker}/2-1.sock")),
        "-b unix:/tmp/{worker}/2-1.sock",
        "a placeholder in the path stays"
    );
}

#[test]
fn the_placeholder_decides_how_a_command_is_reached() {
    let text = |error: CommandError| error.to_string();
    let on_socket = if cfg!(unix) { Ok(Reach::Socket) } else { Err(CommandError::NoSockets) };
    for (words, expected) in [
        (&["serve", "{port}"][..], Ok(Reach::Port)),
        (&["serve", "{socket}"], on_socket),
        (&["serve", "{socket}", "{port}"], Err(CommandError::TwoAddresses)),
        (&["serve", "{worker}"], Err(CommandError::NoAddress)),
        (&[], Err(CommandError::Empty)),
    ] {
        let outcome =
            Recipe::new(&command(words), IDLE, &Guardian::default()).map(|recipe| recipe.reach());
        assert_eq!(outcome.map_err(text), expected.map_err(text), "{words:?}");
    }
}

#[test]
fn a_program_with_a_directory_is_the_apps_and_a_bare_one_is_left_to_the_path() {
    let program = |word| {
        let app = command(&[word, "{port}"]);
        let line = Recipe::new(&app, IDLE, &Guardian::default())
            .expect("a recipe")
            .command_line(1, &port(1))
            .expect("a command line");
        line.program
    };
    let directory = std::env::temp_dir();
    assert_eq!(program("bin/serve"), directory.join("bin/serve"), "relative to the directory");
    assert_eq!(program("serve"), Path::new("serve"), "looked up by the system");
}

#[test]
fn a_missing_interpreter_is_an_error() {
    let mut app = app(Start::Asgi("main:app".into()));
    app.python = Some(std::env::temp_dir().join("asgate-no-such-directory/python"));
    let outcome = Recipe::new(&app, IDLE, &Guardian::default()).map(|recipe| recipe.reach());
    assert!(matches!(outcome, Err(CommandError::Interpreter(_))), "{outcome:?}");
}

#[test]
fn a_command_line_is_shown_as_a_shell_wants_it() {
    let args = ["-c", "print('hi')", "--x=1", "", "*"].map(str::to_owned).to_vec();
    let line =
        CommandLine { program: PathBuf::from("/usr/bin/python3"), args, loop_directory: None };
    assert_eq!(line.to_string(), r"/usr/bin/python3 -c 'print('\''hi'\'')' --x=1 '' '*'", "quoted");
}

#[test]
fn the_environment_is_set_but_the_users_words_win() {
    let mut app = command(&["serve", "{port}"]);
    app.env.insert("PYTHONUNBUFFERED".into(), String::new());
    app.env.insert("SECRET".into(), "hunter2".into());
    let recipe = Recipe::new(&app, IDLE, &Guardian::default()).expect("a recipe");
    let line = recipe.command_line(1, &port(1)).expect("a command line");
    let command = line.to_command(&app);
    let env: BTreeMap<_, _> = command.as_std().get_envs().collect();
    let value = |name: &str| env.get(std::ffi::OsStr::new(name)).copied().flatten();
    assert_eq!(value("PYTHONUNBUFFERED"), Some("".as_ref()), "`env` wins over our default");
    assert_eq!(value("SECRET"), Some("hunter2".as_ref()), "`env` reaches the worker");
    assert!(!line.to_string().contains("hunter2"), "and is not shown: {line}");
}

#[test]
fn a_loop_of_asgates_is_found_before_the_users_modules() {
    let mut app = app(Start::Asgi("main:app".into()));
    app.args = ["--loop", FACTORY].map(str::to_owned).into();
    let python_path = |app: &App| {
        let recipe = Recipe::new(app, IDLE, &Guardian::default()).expect("a recipe");
        let line = recipe.command_line(1, &port(1)).expect("a command line");
        let command = line.to_command(app);
        let value = command.as_std().get_envs().find(|(name, _)| *name == "PYTHONPATH");
        value.and_then(|(_, value)| value).map(std::ffi::OsStr::to_owned)
    };
    app.env.insert("PYTHONPATH".into(), "src".into());
    let path = python_path(&app).expect("a value");
    let entries: Vec<PathBuf> = std::env::split_paths(&path).collect();
    let [directory, users] = entries.as_slice() else { panic!("two entries, not {path:?}") };
    assert!(directory.is_absolute(), "the module's directory: {path:?}");
    assert!(!directory.exists(), "which goes away with the recipe: {path:?}");
    assert_eq!(users, Path::new("src"), "then the user's");

    app.env.insert("PYTHONPATH".into(), String::new());
    let path = python_path(&app).expect("a value");
    assert_eq!(std::env::split_paths(&path).count(), 1, "no empty entry: {path:?}");
    app.args = ["--loop", "asyncio"].map(str::to_owned).into();
    assert_eq!(python_path(&app), Some("".into()), "another loop needs no module");
}

#[test]
fn only_variables_that_break_a_worker_are_taken_away() {
    let cases = [
        ("UVICORN_PORT", true),
        ("UVICORN_VERSION", true),
        ("UVICORN_LOG_LEVEL", false),
        ("WEB_CONCURRENCY", false),
        ("PATH", false),
        ("Uvicorn_Port", cfg!(windows)),
    ];
    for (name, expected) in cases {
        assert_eq!(breaks_uvicorn(name.as_ref()), expected, "{name}");
    }
}

#[test]
fn letter_case_of_variables_counts_where_the_system_says_so() {
    let mut app = command(&["serve", "{port}"]);
    app.env.insert("Asgate_Test".into(), "mixed".into());
    assert_eq!(variable(&app, "Asgate_Test"), Some("mixed".into()), "as it is spelt");
    let expected = cfg!(windows).then(|| "mixed".into());
    assert_eq!(variable(&app, "ASGATE_TEST"), expected, "one variable on Windows only");
    app.env.insert("ASGATE_TEST".into(), "capitals".into());
    let command = Recipe::new(&app, IDLE, &Guardian::default())
        .and_then(|recipe| recipe.command_line(1, &port(1)))
        .expect("a command line")
        .to_command(&app);
    let env: BTreeMap<_, _> = command.as_std().get_envs().collect();
    for name in ["ASGATE_TEST", "Asgate_Test"] {
        let got = env.get(std::ffi::OsStr::new(name)).copied().flatten();
        let looked_up = variable(&app, name);
        assert!(got.is_none_or(|got| Some(got) == looked_up.as_deref()), "{name}: {looked_up:?}");
    }
}
