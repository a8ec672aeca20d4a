//! `docs/guides/front-door.md`: each of its examples is a configuration without a fault, and each of its commands works
//! before an edge that has the example above it.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use crate::support::certificates::Authority;
use crate::support::edge::Edge;
use crate::support::plain_worker::PlainWorker;

const GUIDE: &str = include_str!("../../docs/guides/front-door.md");
const PROGRAM: &str = env!("CARGO_BIN_EXE_asgate");

/// What the guide writes, and a test has elsewhere: the worker, the API, the load balancer, asgate's directory.
const WORKER: &str = "127.0.0.1:8001";
const ADMIN: &str = "127.0.0.1:9180";
const BALANCER: &str = "10.0.0.5";
const DIRECTORY: &str = "/etc/asgate";
/// Before the port of a listener.
const EVERYWHERE: &str = "0.0.0.0:";

const PFX_PASSWORD: (&str, &str) = ("PFX_PASSWORD", "changeit");

/// What stands in for a section that an example leaves out.
const SECTIONS: [(&str, &str); 4] = [
    ("listeners:", "listeners: [{ address: \"0.0.0.0:80\" }]"),
    ("upstreams:", "upstreams: { site: { servers: [{ address: \"127.0.0.1:8001\" }] } }"),
    ("routes:", "routes: [{ upstream: site }]"),
    ("admin:", "admin: { address: \"127.0.0.1:9180\" }"),
];

/// Commands, and what there is to be seen, in small letters, when they have worked.
const SEEN: [(&str, &str); 9] = [
    ("https://localhost/\n", " 200"),
    ("-verify_return_error", "verification: ok"),
    ("https://intranet.localhost/", " 200"),
    ("curl -fsi 'http://localhost/items?q=x'", "location: https://localhost/items?q=x"),
    ("curl -fsiL", "strict-transport-security: max-age=3600"),
    ("https://localhost:8443/", " 200"),
    ("--haproxy-protocol", " 200"),
    ("grep asgate_rate_limited_total", "{mode=\"dry_run\",route=\"site\"} 0"),
    ("asgate_(tls", "asgate_tls_handshakes_total{"),
];

/// The blocks of the guide: language and text.
fn blocks() -> impl Iterator<Item = (&'static str, &'static str)> {
    let fenced = GUIDE.split("```").skip(1).step_by(2);
    fenced.map(|block| block.split_once('\n').expect("a language"))
}

/// `example` with the sections that a file must have.
fn whole(example: &str) -> String {
    let mut text = example.to_owned();
    for (key, section) in SECTIONS {
        if !example.lines().any(|line| line.starts_with(key)) {
            text.push_str(section);
            text.push('\n');
        }
    }
    text
}

/// The ports of the listeners of `example`.
fn ports(example: &str) -> Vec<&str> {
    let listeners = example.split(EVERYWHERE).skip(1);
    listeners.map(|rest| rest.split(|c: char| !c.is_ascii_digit()).next().expect("it")).collect()
}

/// What `conf/certs/make` makes, in a directory of its own.
pub fn certificates() -> tempfile::TempDir {
    let directory = tempfile::tempdir().expect("a directory");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("conf/certs/make");
    let copy = directory.path().join("make");
    fs::copy(script, &copy).expect("the script");
    let made = Command::new("bash").arg(&copy).output().expect("bash");
    assert!(made.status.success(), "conf/certs/make: {}", said(&made));
    directory
}

/// What certbot leaves for its deploy hooks: a new certificate for `localhost`.
fn lineage() -> tempfile::TempDir {
    let directory = tempfile::tempdir().expect("a directory");
    let authority = Authority::create();
    let new = authority.sign("new", &["localhost"]);
    for (from, to) in [(new.key, "privkey.pem"), (new.certificate, "fullchain.pem")] {
        fs::copy(from, directory.path().join(to)).expect("a file");
    }
    directory
}

pub fn said(output: &Output) -> String {
    [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text)).concat()
}

/// An example of the guide, in a directory with all files that it names.
struct Stage {
    directory: tempfile::TempDir,
    example: &'static str,
    edge: Option<Edge>,
    _worker: PlainWorker,
}

impl Stage {
    fn set(example: &'static str, certificates: &Path) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let certs = directory.path().join("certs");
        fs::create_dir(&certs).expect("a directory");
        for file in fs::read_dir(certificates).expect("its files").map(|file| file.expect("one")) {
            fs::copy(file.path(), certs.join(file.file_name())).expect("a file");
        }
        let worker = PlainWorker::start();
        let config = whole(example)
            .replace(WORKER, &worker.name())
            .replace(ADMIN, "unix:admin.sock")
            .replace(BALANCER, "127.0.0.1");
        let config = ports(&config).into_iter().fold(config.clone(), |config, port| {
            config.replace(&format!("{EVERYWHERE}{port}"), "127.0.0.1:0")
        });
        fs::write(directory.path().join("asgate.yaml"), config).expect("a file");
        Self { directory, example, edge: None, _worker: worker }
    }

    fn check(&self) {
        let mut check = Command::new(PROGRAM);
        let check = check.arg("check").envs([PFX_PASSWORD]).current_dir(self.directory.path());
        let output = check.output().expect("asgate");
        assert!(output.status.success(), "{}{}", said(&output), self.example);
        assert_eq!(said(&output), "", "no warnings about{}", self.example);
    }

    /// Runs `commands` of the guide before an edge with the example, and returns what they print.
    fn run(&mut self, commands: &str, lineage: &Path) -> String {
        let directory = self.directory.path();
        let edge = self.edge.get_or_insert_with(|| {
            let mut edge = Edge::spawn_with(&[PFX_PASSWORD], &["run"], directory);
            edge.wait_until_it_listens();
            edge
        });
        let script = script(commands, &whole(self.example), &edge.stderr_text(), directory);
        let mut shell = Command::new("sh");
        let shell = shell.args(["-e", "-c", &script]).current_dir(directory);
        let shell = shell.envs([PFX_PASSWORD]).env("RENEWED_LINEAGE", lineage);
        let output = shell.output().expect("a shell");
        assert!(output.status.success(), "{commands}{}", said(&output));
        assert!(!output.stdout.is_empty(), "{commands}they say something");
        said(&output)
    }
}

/// `commands` as they are, before an edge whose ports are others. `log` is where it says which.
fn script(commands: &str, config: &str, log: &str, directory: &Path) -> String {
    let directory = directory.to_str().expect("UTF-8");
    let addresses = log.lines().filter_map(|line| line.split_once("Listening: address="));
    let mut commands = commands
        .replace(DIRECTORY, directory)
        .replace(&format!("http://{ADMIN}"), "--unix-socket admin.sock http://localhost")
        .replace(ADMIN, &format!("unix:{directory}/admin.sock"));
    let mut curl = String::from("curl() { command curl --noproxy '*'");
    for (port, (_, address)) in ports(config).into_iter().zip(addresses) {
        write!(curl, " --connect-to :{port}:{address}").expect("written");
        let connect = format!("-connect localhost:{port} ");
        commands = commands.replace(&connect, &format!("-connect {address} "));
    }
    format!("asgate() {{ '{PROGRAM}' \"$@\"; }}\n{curl} \"$@\"; }}\n{commands}")
}

#[test]
fn every_example_of_the_front_door_guide_is_valid_and_every_command_works() {
    let (certificates, lineage) = (certificates(), lineage());
    let mut stage = None;
    let mut seen = BTreeSet::new();
    let mut commands = 0;
    for (language, text) in blocks() {
        match (language, &mut stage) {
            ("yaml", _) => {
                let next = Stage::set(text, certificates.path());
                next.check();
                stage = Some(next);
            }
            ("sh", Some(stage)) => {
                let printed = stage.run(text, lineage.path()).to_lowercase();
                for (command, what) in SEEN.iter().filter(|(command, _)| text.contains(command)) {
                    assert!(printed.contains(what), "{what:?} after{text}in\n{printed}");
                    seen.insert(command);
                }
                commands += 1;
            }
            ("sh", None) => panic!("no example before{text}"),
            _ => {}
        }
    }
    assert!(commands > 5, "the commands of the guide are found: {commands}");
    assert_eq!(seen.len(), SEEN.len(), "the guide has all of these commands: {seen:?}");
}

/// The guide has the suites and groups that are spoken, and no other.
#[test]
fn the_front_door_guide_has_the_cryptography_of_tls() {
    let provider = asgate::net::tls::provider();
    let suites = provider.cipher_suites.iter().map(|suite| format!("{:?}", suite.suite()));
    // IANA's names do not tell the version.
    let suites = suites.map(|name| name.replace("TLS13_", "TLS_"));
    let groups = provider.kx_groups.iter().map(|group| format!("{:?}", group.name()));
    let spoken: BTreeSet<_> = suites.chain(groups).collect();
    let (_, rest) = GUIDE.split_once("| is spoken").expect("the table");
    let rows = rest.lines().skip(2).take_while(|line| line.starts_with('|'));
    let names = rows.flat_map(|row| row.split('`').skip(1).step_by(2)).map(str::to_owned);
    assert_eq!(names.collect::<BTreeSet<_>>(), spoken, "the table of the guide");
}
