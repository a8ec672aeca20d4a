//! The words on the command line do what the contract says: exit codes, one line for each problem, errors that say
//! what to mend.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use crate::support::edge::{Edge, is_gone};
use crate::support::uvicorn::{free_address, python, sample_app};
use crate::support::wait_for;

const GOOD: &str =
    "listeners: [{ address: \"127.0.0.1:0\" }]\nroutes: [{ respond: { body: hello } }]\n";

/// Runs the program to its end.
fn asgate(arguments: &[&str], directory: &Path) -> Output {
    asgate_with(&[], arguments, directory)
}

fn asgate_with(variables: &[(&str, &str)], arguments: &[&str], directory: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_asgate"))
        .args(arguments)
        .envs(variables.iter().copied())
        .env_remove("RUST_LOG")
        .current_dir(directory)
        .stdin(Stdio::null())
        .output()
        .expect("the program starts")
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn directory() -> tempfile::TempDir {
    tempfile::tempdir().expect("a directory")
}

fn write(directory: &Path, name: &str, text: &str) {
    let path = directory.join(name);
    std::fs::create_dir_all(path.parent().expect("a parent")).expect("a directory");
    std::fs::write(path, text).expect("a file");
}

#[test]
fn check_is_0_for_a_good_file_wherever_it_is_looked_for() {
    let named = directory();
    write(named.path(), "x.yaml", GOOD);
    let here = directory();
    write(here.path(), "asgate.yaml", GOOD);
    // The first of the two that is there is taken.
    write(here.path(), "conf/asgate.yaml", "nonsense: 1\n");
    let below = directory();
    write(below.path(), "conf/asgate.yaml", GOOD);
    let cases: [(&[&str], _); 4] = [
        (&["check", "-c", "x.yaml"], &named),
        (&["check", "--config", "x.yaml"], &named),
        (&["check"], &here),
        (&["check"], &below),
    ];
    for (arguments, directory) in cases {
        let output = asgate(arguments, directory.path());
        assert_eq!(output.status.code(), Some(0), "{arguments:?}: {}", stderr(&output));
        assert_eq!(stderr(&output), "", "{arguments:?}: no complaint");
    }
}

#[test]
fn check_prints_every_problem_as_the_contract_has_it() {
    let directory = directory();
    let text = "listeners:\n  - address: 127.0.0.1:0\n    http2: maybe\nroutes:\n  - upstrem: u\n  \
                - match: { path: /x }\n    upstream: nobody\n    timeouts: { idle: 5 parsecs }\n";
    write(directory.path(), "bad.yaml", text);
    let output = asgate(&["check", "-c", "bad.yaml"], directory.path());
    assert_eq!(output.status.code(), Some(1), "problems: {}", stderr(&output));
    assert_eq!(stdout(&output), "", "errors go to stderr");
    let printed = stderr(&output);
    let expected = [
        ("bad.yaml:3:12: listeners[0].http2: ", "maybe"),
        ("bad.yaml:5:5: routes[0].upstrem: ", "upstream"),
        ("bad.yaml:7:15: routes[1].upstream: ", "nobody"),
        ("bad.yaml:8:23: routes[1].timeouts.idle: ", "5 parsecs"),
    ];
    for (place, value) in expected {
        let line = printed.lines().find(|line| line.contains(place));
        let line = line.unwrap_or_else(|| panic!("no line with {place:?}:\n{printed}"));
        assert!(line.contains(value), "{value:?} in {line:?}");
    }
    for line in printed.lines() {
        let form = line.contains(" (got ") && line.contains(", allowed ") && line.ends_with(')');
        assert!(form, "FILE:LINE:COL: path.to.key: what is wrong (got X, allowed Y): {line:?}");
    }
}

/// What works and may not be what was meant is said and stops nothing.
#[test]
fn check_is_0_for_a_file_that_is_only_warned_of() {
    let directory = directory();
    let upstreams = "upstreams:\n  app:\n    servers: [{ address: \"localhost:1\" }]\n";
    write(directory.path(), "asgate.yaml", &format!("{GOOD}{upstreams}"));
    let output = asgate(&["check"], directory.path());
    assert_eq!(output.status.code(), Some(0), "a warning: {}", stderr(&output));
    assert_eq!(stdout(&output), "", "warnings go to stderr");
    let printed = stderr(&output);
    let start = "asgate.yaml:5:26: warning: upstreams.app.servers[0].address: ";
    assert!(printed.starts_with(start), "{start:?} before {printed:?}");
    assert!(printed.ends_with("(got \"localhost:1\", advised 127.0.0.1:1)\n"), "{printed:?}");
}

/// Text that is no YAML is a problem of the file too, with its place.
#[test]
fn check_says_where_a_file_is_no_yaml() {
    let directory = directory();
    let texts: [&[u8]; 4] = [
        b"listeners: [\nroutes: }",
        b"listeners: \"open\nroutes: []\n",
        b"a: 1\n\tb: 2\n",
        b"listeners: \xe9\n",
    ];
    for text in texts {
        std::fs::write(directory.path().join("asgate.yaml"), text).expect("a file");
        let text = text.escape_ascii();
        let output = asgate(&["check"], directory.path());
        assert_eq!(output.status.code(), Some(1), "{text}: {}", stderr(&output));
        let place = stderr(&output);
        let numbers: Vec<_> = place.split(':').skip(1).take(2).map(str::parse::<u32>).collect();
        assert!(place.starts_with("asgate.yaml:"), "{text}: {place}");
        assert!(numbers.iter().all(Result::is_ok), "{text}: line and column: {place}");
        assert!(!place.contains("panicked"), "{text}: {place}");
    }
}

#[test]
fn check_is_2_for_what_cannot_be_read() {
    let directory = directory();
    write(directory.path(), "folder/x", "");
    let cases: [(&[&str], &[&str]); 3] = [
        (&["check", "-c", "none.yaml"], &["none.yaml"]),
        (&["check", "-c", "folder"], &["folder"]),
        (&["check"], &["asgate.yaml", "conf/asgate.yaml"]),
    ];
    for (arguments, names) in cases {
        let output = asgate(arguments, directory.path());
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {}", stderr(&output));
        let printed = stderr(&output);
        assert_eq!(printed.lines().count(), 1, "{arguments:?}: one line: {printed}");
        for name in names {
            assert!(printed.contains(name), "{arguments:?}: {name} in {printed}");
        }
    }
}

#[test]
fn run_refuses_what_check_refuses() {
    let directory = directory();
    let output = asgate(&["run"], directory.path());
    assert_eq!(output.status.code(), Some(2), "no file: {}", stderr(&output));
    assert!(stderr(&output).contains("no configuration file"), "{}", stderr(&output));
    write(directory.path(), "asgate.yaml", &format!("{GOOD}unknown: 1\n"));
    let output = asgate(&["run"], directory.path());
    assert_eq!(output.status.code(), Some(1), "an unknown key: {}", stderr(&output));
    let checked = asgate(&["check"], directory.path());
    assert_eq!(stderr(&output), stderr(&checked), "in the same words");
}

#[test]
fn schema_is_a_json_schema_of_the_whole_file() {
    let output = asgate(&["schema"], directory().path());
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let schema: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let dialect = schema["$schema"].as_str().unwrap_or_default();
    assert!(dialect.contains("json-schema.org"), "{dialect:?}");
    for key in ["listeners", "trusted_proxies", "upstreams", "routes", "shutdown_timeout", "admin"]
    {
        assert!(schema["properties"].get(key).is_some(), "{key} is a property");
    }
    assert_eq!(schema["additionalProperties"], false, "unknown keys are errors");
}

#[test]
fn version_and_help_are_on_stdout() {
    let directory = directory();
    let output = asgate(&["--version"], directory.path());
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert_eq!(
        stdout(&output).trim(),
        concat!("asgate ", env!("CARGO_PKG_VERSION")),
        "name, version"
    );
    let output = asgate(&["--help"], directory.path());
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    for command in ["run", "serve", "check", "schema", "status", "restart", "stop"] {
        let line = |line: &str| line.trim_start().starts_with(command);
        assert!(stdout(&output).lines().any(line), "{command} in:\n{}", stdout(&output));
        let help = asgate(&[command, "--help"], directory.path());
        assert_eq!(help.status.code(), Some(0), "{command} --help: {}", stderr(&help));
    }
}

#[test]
fn words_that_mean_nothing_are_refused() {
    let directory = directory();
    let cases: [(&[&str], &str); 5] = [
        (&["chekc"], "check"),
        (&["run", "--nonsense"], "--nonsense"),
        (&["serve"], "MODULE:APP"),
        (&["serve", "app:app", "--workers", "0"], "--workers"),
        (&["serve", "app:app", "--workers", "many"], "many"),
    ];
    for (arguments, word) in cases {
        let output = asgate(arguments, directory.path());
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {}", stderr(&output));
        assert!(stderr(&output).contains(word), "{arguments:?}: {word:?} in {}", stderr(&output));
        assert_eq!(stdout(&output), "", "{arguments:?}: errors go to stderr");
    }
}

#[test]
fn an_address_in_use_is_one_clear_line() {
    // Not one that the system may give to somebody else while nobody has it.
    let taken = TcpListener::bind(free_address()).expect("a port");
    let address = taken.local_addr().expect("its address").to_string();
    let directory = directory();
    write(directory.path(), "asgate.yaml", &GOOD.replace("127.0.0.1:0", &address));
    let output = asgate(&["run"], directory.path());
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    let printed = stderr(&output);
    assert_eq!(printed.lines().count(), 1, "one line: {printed}");
    assert!(printed.contains(&address) && printed.contains("in use"), "what and why: {printed}");
    drop(taken);
    let edge = start(&[], &["run"], directory.path());
    assert_eq!(
        edge.connect().get("/").text(),
        "hello",
        "the control: it runs when the port is free"
    );
}

fn start(variables: &[(&str, &str)], arguments: &[&str], directory: &Path) -> Edge {
    let mut edge = Edge::spawn_with(variables, arguments, directory);
    edge.wait_until_it_listens();
    edge
}

#[test]
fn the_environment_fills_in_the_file() {
    let directory = directory();
    let text = "listeners: [{ address: \"${HOST_OF_TEST}:${PORT_OF_TEST:-0}\" }]\n\
                routes: [{ respond: { body: \"${BODY_OF_TEST:-by default}\" } }]\n";
    write(directory.path(), "asgate.yaml", text);
    let edge = start(&[("HOST_OF_TEST", "127.0.0.1")], &["run"], directory.path());
    assert_eq!(edge.connect().get("/").text(), "by default", "nothing is set");
    drop(edge);
    let set = [("HOST_OF_TEST", "127.0.0.1"), ("BODY_OF_TEST", "as set: {}\"'")];
    let edge = start(&set, &["run"], directory.path());
    assert_eq!(edge.connect().get("/").text(), "as set: {}\"'", "a value is never read as YAML");
    drop(edge);
    let output = asgate(&["check"], directory.path());
    assert_eq!(output.status.code(), Some(1), "nothing is made up: {}", stderr(&output));
    assert!(stderr(&output).contains("HOST_OF_TEST"), "which one: {}", stderr(&output));
    let wrong = [("HOST_OF_TEST", "127.0.0.1"), ("PORT_OF_TEST", "s3cret")];
    let output = asgate_with(&wrong, &["check"], directory.path());
    assert_eq!(output.status.code(), Some(1), "no port: {}", stderr(&output));
    assert!(!stderr(&output).contains("s3cret"), "values stay secret: {}", stderr(&output));
}

fn serve<'a>(app: &'a str, directory: &'a str, python: &'a str) -> [&'a str; 10] {
    [
        "serve",
        app,
        "--listen",
        "127.0.0.1:0",
        "--workers",
        "2",
        "--directory",
        directory,
        "--python",
        python,
    ]
}

#[test]
fn serve_needs_no_file() {
    let elsewhere = directory();
    let (app, python) = (sample_app(), python());
    let (app, python) = (app.to_string_lossy(), python.to_string_lossy());
    let mut edge = start(&[], &serve("app:app", &app, &python), elsewhere.path());
    let workers = edge.children();
    assert_eq!(workers.len(), 2, "--workers 2: {workers:?}");
    for _ in 0..4 {
        let response = edge.connect().get("/");
        assert_eq!(response.json()["message"], "Hello from FastAPI", "{response:?}");
    }
    let printed = edge.stderr_text();
    let address = edge.address().to_string();
    assert!(printed.contains(&address), "it prints the address {address}:\n{printed}");
    assert!(printed.contains("workers=2"), "it prints the workers:\n{printed}");
    let pids: std::collections::BTreeSet<_> = edge
        .wait_for_log(4)
        .iter()
        .map(|line| line["edge.worker_pid"].as_u64().expect("a pid"))
        .collect();
    assert_eq!(pids.len(), 2, "both serve: {pids:?}");
    edge.signal("INT");
    assert_eq!(edge.wait().code(), Some(0), "Ctrl-C is a graceful stop");
    wait_for("the workers to be gone", || workers.iter().all(|&pid| is_gone(pid)).then_some(()));
}

/// An app that cannot be started says so itself; the edge adds which worker and how it was called.
#[test]
fn serve_shows_why_an_app_does_not_start() {
    let broken = directory();
    write(
        broken.path(),
        "broken.py",
        "def app():\n    pass\n\nraise RuntimeError('broken on purpose')\n",
    );
    write(broken.path(), "empty.py", "");
    let python = python();
    let (broken, python) = (broken.path().to_string_lossy(), python.to_string_lossy());
    let cases: [(&str, &[&str]); 3] = [
        ("broken:app", &["Traceback", "broken.py", "RuntimeError: broken on purpose"]),
        ("empty:app", &["app", "empty"]),
        ("nowhere:app", &["nowhere"]),
    ];
    for (app, words) in cases {
        let output = asgate(&serve(app, &broken, &python), Path::new(&*broken));
        assert_eq!(output.status.code(), Some(1), "{app}: {}", stderr(&output));
        let printed = stderr(&output);
        for word in words {
            assert!(printed.contains(word), "{app}: {word:?} in:\n{printed}");
        }
        assert!(!printed.contains("Ready"), "{app}: it was never ready:\n{printed}");
    }
}

#[test]
fn serve_says_which_of_its_words_is_wrong() {
    let directory = directory();
    let app = sample_app();
    let (app, python) = (app.to_string_lossy(), python());
    let python = python.to_string_lossy();
    let cases = [
        (serve("app:app", "no/such/directory", &python), "no/such/directory"),
        (serve("app:app", &app, "no/such/python"), "no/such/python"),
        (serve("app", &app, &python), "app"),
    ];
    for (arguments, word) in cases {
        let output = asgate(&arguments, directory.path());
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {}", stderr(&output));
        let printed = stderr(&output);
        assert!(printed.contains(word), "{word:?} in:\n{printed}");
        assert!(!printed.contains("panicked"), "{printed}");
    }
    let mut arguments = serve("app:app", &app, &python);
    arguments[3] = "localhost";
    let output = asgate(&arguments, directory.path());
    assert_eq!(output.status.code(), Some(1), "--listen localhost: {}", stderr(&output));
    assert!(stderr(&output).contains("localhost"), "{}", stderr(&output));
}
