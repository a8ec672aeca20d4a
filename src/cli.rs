//! The command line: words in, one call, an exit code out.

mod admin_client;
mod operations;
mod serve;
mod table;
mod target;

use std::io::Write as _;
use std::num::NonZeroU16;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::config::{self, Address, Config, LoadError, Loaded, Problems, Workers};
use crate::edge::Edge;
use crate::supervisor;
use operations::{Restart, Status};
use target::Target;

/// Files looked for when none is named, in this order.
const DEFAULT_FILES: [&str; 2] = ["asgate.yaml", "conf/asgate.yaml"];
/// `check`: there is nothing but warnings.
const FINE: u8 = 0;
/// `check`: the file has problems; `run` and `serve`: could not start.
const PROBLEMS: u8 = 1;
/// The file cannot be read.
const UNREADABLE: u8 = 2;
/// The command line is not understood.
const USAGE: u8 = 2;

/// The edge server for Python ASGI apps.
#[derive(Debug, Parser)]
#[command(name = "asgate", version, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve in the foreground, as the configuration file says
    Run(File),
    /// Serve one app without a configuration file
    Serve(Serve),
    /// Read and check the configuration file, and print every problem
    Check(File),
    /// Print the JSON Schema of the configuration file
    Schema,
    /// What asgate starts beside itself to clean up when it is killed
    #[command(hide = true)]
    Guardian,
    /// Show listeners and workers of the running instance: 0 ready, 1 degraded or stopping, 3 not running
    Status(Status),
    /// Read certificates, CAs and CRLs again, and say what changed
    ///
    /// The configuration file is not read again: restart asgate for changes in it.
    Reload(Target),
    /// Replace workers one after the other without losing a request, and wait until it is done
    Restart(Restart),
    /// Stop the running instance once its requests are done, and wait until it is
    Stop(Target),
}

#[derive(Debug, Args)]
struct File {
    /// The configuration file [default: asgate.yaml, then conf/asgate.yaml]
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
}

#[derive(Debug, Args)]
struct Serve {
    /// The ASGI app, for example `main:app`
    #[arg(value_name = "MODULE:APP")]
    app: String,
    /// Where to accept clients
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8080")]
    listen: String,
    /// Number of worker processes [default: one per core]
    #[arg(long, value_name = "N")]
    workers: Option<NonZeroU16>,
    /// Where the app is
    #[arg(long, value_name = "DIR", default_value = ".")]
    directory: PathBuf,
    /// The Python interpreter [default: the directory's .venv, else python3]
    #[arg(long, value_name = "EXE")]
    python: Option<PathBuf>,
}

/// Runs the program.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // A closed stdout is nobody's problem: `asgate --help | head`.
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { USAGE } else { 0 });
        }
    };
    match cli.command {
        Command::Run(file) => load(file)
            .map_or_else(ExitCode::from, |Loaded { config, warnings }| {
                serve::run(&config, &warnings, |_| {})
            }),
        Command::Serve(serve) => match serve.config() {
            Ok(config) => serve::run(&config, &Problems::default(), |edge| {
                serve.welcome(edge, &config);
            }),
            Err(problems) => complain(&problems.join("\n"), PROBLEMS).into(),
        },
        Command::Guardian => supervisor::guardian_main(),
        Command::Check(file) => load(file).map_or_else(ExitCode::from, |loaded| {
            if !loaded.warnings.is_empty() {
                return complain(&loaded.warnings.to_string(), FINE).into();
            }
            ExitCode::SUCCESS
        }),
        Command::Schema => {
            let _ = writeln!(std::io::stdout(), "{:#}", config::schema());
            ExitCode::SUCCESS
        }
        Command::Status(status) => status.run(),
        Command::Reload(target) => operations::reload(target),
        Command::Restart(restart) => restart.run(),
        Command::Stop(target) => operations::stop(target),
    }
}

impl Serve {
    /// Says to whoever typed the command what runs now and where to look.
    fn welcome(&self, edge: &Edge, config: &Config) {
        let mut text = format!("asgate serves {}", self.app);
        for address in edge.addresses() {
            match address {
                Address::Tcp(address) => text += &format!(" on http://{address}"),
                Address::Unix(_) => text += &format!(" on {address}"),
            }
        }
        for upstream in &config.upstreams {
            if let Workers::Supervised(app) = &upstream.workers {
                text +=
                    &format!(", {} Uvicorn workers in {}", app.workers, app.directory.display());
            }
        }
        text += "\n  requests and what the app prints: standard output, one JSON object a line";
        text += "\n  what asgate does: here; RUST_LOG=debug says more. Ctrl-C stops it";
        let _ = writeln!(std::io::stderr(), "{text}");
    }

    fn config(&self) -> Result<Config, Vec<String>> {
        let cores = || std::thread::available_parallelism().ok()?.get().try_into().ok();
        let cores = || cores().and_then(NonZeroU16::new).unwrap_or(NonZeroU16::MIN);
        let workers = self.workers.unwrap_or_else(cores);
        Config::for_app(&self.app, &self.listen, workers, &self.directory, self.python.as_deref())
    }
}

fn load(file: File) -> Result<Loaded, u8> {
    read(file, config::load)
}

/// The address of the admin API alone: the instance runs, whatever has become of its file and its certificates.
fn admin_address(file: File) -> Result<Option<Address>, u8> {
    read(file, config::admin_address)
}

fn read<T>(file: File, read: impl FnOnce(&Path) -> Result<T, LoadError>) -> Result<T, u8> {
    let found = || DEFAULT_FILES.iter().map(PathBuf::from).find(|path| path.exists());
    let Some(path) = file.config.or_else(found) else {
        let tried = DEFAULT_FILES.join(" nor ");
        return Err(complain(
            &format!("no configuration file: there is neither {tried}"),
            UNREADABLE,
        ));
    };
    read(&path).map_err(|error| match error {
        LoadError::Unreadable { .. } => complain(&error.to_string(), UNREADABLE),
        LoadError::Invalid(problems) => complain(&problems.to_string(), PROBLEMS),
    })
}

/// Says on stderr what is wrong.
fn complain(message: &str, code: u8) -> u8 {
    let _ = writeln!(std::io::stderr(), "{message}");
    code
}
