//! Each file of `conf`, and what the README does with an application, starts and answers, as it is shipped but for what
//! belongs to this machine: ports, the interpreter, the workers that something else starts.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::front_door_guide::{certificates, said};
use crate::support::edge::Edge;
use crate::support::plain_worker::PlainWorker;
use crate::support::uvicorn::{python, sample_app};

const README: &str = include_str!("../../README.md");

/// An example at work. The edge ends before its directory goes.
struct Example {
    edge: Edge,
    directory: tempfile::TempDir,
}

impl Example {
    /// Starts the file `name` of `conf` with each of `changes` made in it.
    fn of_conf(name: &str, changes: &[(&str, &str)]) -> Self {
        let text = fs::read_to_string(conf().join(name)).expect(name);
        Self::start(&text, changes, tempfile::tempdir().expect("a directory"))
    }

    /// Starts `text` with each of `changes` made in it, as a file in `directory`.
    fn start(text: &str, changes: &[(&str, &str)], directory: tempfile::TempDir) -> Self {
        let mut text = text.to_owned();
        for (shipped, here) in changes {
            assert!(text.contains(shipped), "{shipped:?} is in\n{text}");
            text = text.replace(shipped, here);
        }
        fs::write(directory.path().join("asgate.yaml"), text).expect("a file");
        let path = [programs().display().to_string(), std::env::var("PATH").expect("a PATH")];
        let variables = [("PATH", path.join(":")), ("LISTEN", "127.0.0.1:0".to_owned())];
        let variables = variables.each_ref().map(|(name, value)| (*name, value.as_str()));
        let mut edge = Edge::spawn_with(&variables, &["run"], directory.path());
        edge.wait_until_it_listens();
        Self { edge, directory }
    }

    /// The sample application answers under `prefix`.
    #[track_caller]
    fn has_the_app_at(&self, prefix: &str) {
        let answer = self.edge.connect().get(&format!("{prefix}/items/3?q=x"));
        assert_eq!(answer.status, 200, "under {prefix:?}: {}", answer.text());
        assert_eq!(answer.json()["item_id"], 3, "under {prefix:?}: {}", answer.text());
    }
}

fn conf() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("conf")
}

/// Where the interpreter of the tests is, and the servers beside it.
fn programs() -> PathBuf {
    python().parent().expect("a directory").to_owned()
}

/// What `conf` says of the sample application's place, and where that is.
fn place_of_the_app() -> (&'static str, String) {
    let (app, python) = (sample_app(), python());
    ("directory: ../examples/fastapi\n", format!("directory: {app:?}\n      python: {python:?}\n"))
}

const LISTENER: (&str, &str) = ("127.0.0.1:8080", "127.0.0.1:0");

#[test]
fn minimal_yaml_serves_the_sample_application() {
    let (shipped, here) = place_of_the_app();
    let example = Example::of_conf("minimal.yaml", &[LISTENER, (shipped, &here)]);
    example.has_the_app_at("");
}

#[test]
fn fixed_servers_yaml_serves_both_workers_and_its_own_answer() {
    let [first, second] = PlainWorker::team();
    let names = [first.name(), second.name()];
    let changes = [("127.0.0.1:8001", names[0].as_str()), ("127.0.0.1:8002", &names[1])];
    let example = Example::of_conf("fixed-servers.yaml", &changes);
    let mut client = example.edge.connect();
    for _ in 0..6 {
        assert_eq!(client.get("/").status, 200, "from a worker");
    }
    assert!(first.requests() > 0 && second.requests() > 0, "both have a part");
    assert_eq!(client.get("/ping").text(), "pong", "from asgate");
}

#[test]
fn pool_yaml_serves_apps_of_three_kinds() {
    let [first, second] = PlainWorker::team();
    let names = [first.name(), second.name()];
    let (shipped, here) = place_of_the_app();
    let changes =
        [LISTENER, (shipped, &here), ("127.0.0.1:8001", &names[0]), ("127.0.0.1:8002", &names[1])];
    let example = Example::of_conf("pool.yaml", &changes);
    example.has_the_app_at("");
    let mut client = example.edge.connect();
    client.send("GET / HTTP/1.1\r\nHost: intranet.example.com\r\n\r\n");
    assert!(names.contains(&client.response().text()), "a worker of the intranet");
    assert_eq!(client.get("/tenants/").status, 503, "a host name that does not exist here");
}

#[test]
fn other_servers_yaml_serves_by_hypercorn_and_granian() {
    let place = format!("directory: {:?}\n", sample_app());
    let changes = [LISTENER, ("directory: ../examples/fastapi\n", place.as_str())];
    let example = Example::of_conf("other-servers.yaml", &changes);
    example.has_the_app_at("");
    example.has_the_app_at("/granian");
}

#[test]
fn full_yaml_serves() {
    let (app, python) = (sample_app().display().to_string(), python().display().to_string());
    let worker = PlainWorker::start();
    let changes = [
        LISTENER,
        ("127.0.0.1:9180", "127.0.0.1:0"),
        ("../examples/fastapi", &app),
        ("python: python3", &format!("python: {python:?}")),
        ("127.0.0.1:8001", &worker.name()),
    ];
    let example = Example::of_conf("full.yaml", &changes);
    let mut client = example.edge.connect();
    assert_eq!(client.get("/ping").text(), "pong", "from asgate");
    assert_eq!(client.get("/old").header("location"), Some("https://new.example.com/old"), "moved");
    client.send("GET /reports/1 HTTP/1.1\r\nHost: reports.example.com\r\n\r\n");
    let answer = client.response();
    let server = answer.header("server").unwrap_or_default();
    assert!(server.contains("SimpleHTTP"), "from the command's server: {}", answer.text());
    client.send(
        "GET /api/items/3?version=2 HTTP/1.1\r\nHost: api.example.com\r\nX-Tenant: a\r\n\r\n",
    );
    let answer = client.response();
    assert_eq!(answer.json()["item_id"], 3, "{}", answer.text());
    assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "a changed header");
}

/// With the certificates that `conf/certs/make` makes for it.
#[test]
fn https_yaml_serves_over_tls() {
    let (made, worker) = (certificates(), PlainWorker::start());
    let name = worker.name();
    let changes = [
        ("certs/", &*format!("{}/", made.path().display())),
        ("127.0.0.1:8001", name.as_str()),
        ("10.0.0.5", "127.0.0.1"),
        ("0.0.0.0:80\n", "127.0.0.1:0\n"),
        ("0.0.0.0:443\n", "127.0.0.1:0\n"),
        ("0.0.0.0:8443 ", "127.0.0.1:0 "),
        ("0.0.0.0:8080 ", "127.0.0.1:0 "),
    ];
    let example = Example::of_conf("https.yaml", &changes);
    let [plain, secure, partners, balanced] = [0, 1, 2, 3].map(|at| example.edge.address_of(at));
    let curl = |url: &str, to: SocketAddr, options: &[&str]| {
        let (_, rest) = url.split_once("//localhost").expect("a URL of localhost");
        let port = rest.split('/').next().unwrap_or_default();
        let output = Command::new("curl")
            .args(["-fsi", "--noproxy", "*", "--connect-to", &format!("localhost{port}:{to}")])
            .args(["--cacert", "clients.pem", url])
            .args(options)
            .current_dir(made.path())
            .output();
        let output = output.expect("curl");
        assert!(output.status.success(), "{url}: {}", said(&output));
        said(&output).to_lowercase()
    };
    let answer = curl("https://localhost:443/", secure, &[]);
    assert!(answer.contains(&name) && answer.contains("strict-transport-security:"), "{answer}");
    let identity = ["--cert", "client.pem", "--key", "client.key"];
    assert!(curl("https://localhost:8443/", partners, &identity).contains(&name), "for partners");
    let announced = curl("http://localhost:8080/", balanced, &["--haproxy-protocol"]);
    assert!(announced.contains(&name), "from the balancer: {announced}");
    assert!(curl("http://localhost:80/", plain, &[]).contains(" 308 "), "sent to https");
}

/// A directory with an application as the README takes it for given: `main:app`, and a virtual environment, which is
/// used.
fn directory_of_an_application() -> tempfile::TempDir {
    let directory = tempfile::tempdir().expect("a directory");
    fs::copy(sample_app().join("app.py"), directory.path().join("main.py")).expect("an app");
    let venv = programs().parent().expect("an environment").to_owned();
    symlink(venv, directory.path().join(".venv")).expect("a link");
    directory
}

#[test]
fn the_example_of_the_readme_serves() {
    let directory = directory_of_an_application();
    let (_, rest) = README.split_once("```yaml\n").expect("an example");
    let (text, _) = rest.split_once("```").expect("its end");
    let example = Example::start(text, &[("0.0.0.0:8080", "127.0.0.1:0")], directory);
    example.has_the_app_at("");
    let events = example.edge.connect().get("/events?count=1");
    assert_eq!(events.status, 200, "the route for streams: {}", events.text());
    assert!(README.contains("\n    asgate check "), "the README says how to check it");
    let mut check = Command::new(env!("CARGO_BIN_EXE_asgate"));
    let output = check.arg("check").current_dir(example.directory.path()).output().expect("asgate");
    assert!(output.status.success() && output.stderr.is_empty(), "check: {}", said(&output));
}

#[test]
fn the_command_of_the_readme_serves_without_a_configuration() {
    let (_, rest) = README.split_once("\n    asgate serve ").expect("the command");
    let application = rest.split_whitespace().next().expect("its argument");
    let directory = directory_of_an_application();
    let arguments = ["serve", application, "--listen", "127.0.0.1:0"];
    let mut edge = Edge::spawn(&arguments, directory.path());
    edge.wait_until_it_listens();
    Example { edge, directory }.has_the_app_at("");
}

/// A new file has to have its test here.
#[test]
fn every_file_of_conf_is_started() {
    let tests = include_str!("shipped_configurations_serve.rs");
    let files = fs::read_dir(conf()).expect("conf/").map(|entry| entry.expect("one").path());
    let names = files.filter_map(|path| path.file_name()?.to_str().map(str::to_owned));
    let names: Vec<_> = names.filter(|name| name.ends_with(".yaml")).collect();
    assert!(names.len() > 5, "there are some: {names:?}");
    for name in names {
        assert!(tests.contains(&format!("of_conf(\"{name}\"")), "{name} is started by a test");
    }
}
