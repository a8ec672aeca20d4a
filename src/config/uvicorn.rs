//! Uvicorn's command line, as far as asgate has to know it: which options of the user would break a
//! worker, and how to tell options from their values.
//!
//! Pure; about words only, not about places in a file (`check::arguments`) or processes
//! (`supervisor::command`). Source: `uvicorn --help` of 0.54; options that are not named here are
//! Uvicorn's to judge. Every option is an environment variable too, `UVICORN_` and its name in
//! capitals, which loses against the command line (click's `auto_envvar_prefix`).

use std::collections::BTreeMap;
use std::num::NonZeroU32;

/// Why an option or variable is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refusal {
    /// What it would do.
    pub what: &'static str,
    /// What there is instead.
    pub allowed: &'static str,
}

/// Refused options; `*` at the end stands for any rest.
const REFUSED: &[(&[&str], Refusal)] = &[
    (
        &["--host", "--port", "--uds", "--fd"],
        Refusal {
            what: "would move the worker to another address",
            allowed: "none: asgate chooses the address of a worker",
        },
    ),
    (
        &["--workers", "--reload*"],
        Refusal {
            what: "would make a worker several processes",
            allowed: "none: workers says how many, recycle.on_file_change when they restart",
        },
    ),
    (
        &["--ssl-*"],
        Refusal {
            what: "would encrypt between asgate and the worker",
            allowed: "none: asgate speaks plain HTTP to its workers",
        },
    ),
    (
        &["--http2"],
        Refusal {
            what: "would change the protocol between asgate and the worker",
            allowed: "none: asgate speaks HTTP/1.1 to its workers",
        },
    ),
    (
        &["--limit-max-requests*"],
        Refusal {
            what: "would end the worker while requests are on their way to it",
            allowed: "none: recycle.max_requests replaces workers without loss",
        },
    ),
    (&["--root-path"], Refusal { what: "has a key of its own", allowed: "root_path beside args" }),
    (
        &["--version", "--help"],
        Refusal { what: "would end the worker at once", allowed: "options of a server that runs" },
    ),
];

/// What asgate says on the command line itself, so that a variable would have no effect.
const SAID: &[&str] = &[
    "--app",
    "--access-log",
    "--forwarded-allow-ips",
    "--timeout-graceful-shutdown",
    "--timeout-keep-alive",
];

const NO_EFFECT: Refusal = Refusal {
    what: "has no effect: asgate passes an option for it",
    allowed: "the option in args",
};

/// Options without a value. Of an option that is not here, the next word is the value.
const FLAGS: &[&str] = &[
    "--access-log",
    "--no-access-log",
    "--date-header",
    "--no-date-header",
    "--factory",
    "--help",
    "--http2",
    "--proxy-headers",
    "--no-proxy-headers",
    "--reload",
    "--reset-contextvars",
    "--server-header",
    "--no-server-header",
    "--use-colors",
    "--no-use-colors",
    "--version",
];

/// One option, with its value if it has one; or a word that is neither.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Argument<'a> {
    /// Index of the word.
    pub at: usize,
    /// With its dashes; `None`: the word belongs to no option.
    pub option: Option<&'a str>,
    /// The value and the index of the word that holds it.
    pub value: Option<(usize, &'a str)>,
}

/// Takes `words` apart: `--name value`, `--name=value`, `--name`. Never sees an option as the value of
/// the one before it, so that none hides there.
pub fn arguments(words: &[String]) -> Vec<Argument<'_>> {
    let mut found = Vec::new();
    let mut words = words.iter().map(String::as_str).enumerate().peekable();
    while let Some((at, word)) = words.next() {
        if !is_option(word) {
            found.push(Argument { at, option: None, value: None });
            continue;
        }
        let (option, value) = match word.split_once('=') {
            Some((option, value)) => (option, Some((at, value))),
            None if FLAGS.contains(&word) => (word, None),
            None => (word, words.next_if(|(_, next)| !is_option(next))),
        };
        found.push(Argument { at, option: Some(option), value });
    }
    found
}

/// Uvicorn has long options only. A bare `--` would turn what follows into something else.
fn is_option(word: &str) -> bool {
    word.strip_prefix("--").is_some_and(|name| !name.is_empty())
}

/// The value of the last `option` among `words`, which is the one that counts.
pub fn last_value<'a>(words: &'a [String], option: &str) -> Option<&'a str> {
    let named = |argument: &Argument<'a>| argument.option == Some(option);
    let (_, value) = arguments(words).into_iter().rfind(named)?.value?;
    Some(value)
}

/// Uvicorn answers 503 itself as soon as it has so many connections, the asking one included
/// (`httptools_impl.py`, `h11_impl.py`).
pub const LIMIT_CONCURRENCY: &str = "--limit-concurrency";

/// With less there is no room for a request beside a check.
pub const LEAST_CONCURRENCY: NonZeroU32 = NonZeroU32::MIN.saturating_add(2);

/// The [`LIMIT_CONCURRENCY`] of a worker with these arguments and variables, as text.
pub fn limit_concurrency<'a>(
    args: &'a [String],
    env: &'a BTreeMap<String, String>,
) -> Option<&'a str> {
    last_value(args, LIMIT_CONCURRENCY).or_else(|| {
        // To click, an empty variable is none.
        let is_set = |(name, value): &(&String, &String)| is_limit(name) && !value.is_empty();
        env.iter().rfind(is_set).map(|(_, value)| value.as_str())
    })
}

/// A limit that leaves room for requests and checks.
pub fn parse_limit(text: &str) -> Option<NonZeroU32> {
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|limit| is_number && *limit >= LEAST_CONCURRENCY)
}

/// Whether the variable `name` is the one for [`LIMIT_CONCURRENCY`].
pub fn is_limit(name: &str) -> bool {
    option_of(name).is_some_and(|option| option == LIMIT_CONCURRENCY)
}

/// Why `option`, with its dashes, cannot be given in `args`.
pub fn refused_option(option: &str) -> Option<Refusal> {
    let fits = |pattern: &&str| match pattern.strip_suffix('*') {
        Some(start) => option.starts_with(start),
        None => option == *pattern,
    };
    REFUSED.iter().find(|(patterns, _)| patterns.iter().any(fits)).map(|(_, why)| *why)
}

/// Why the environment variable `name` cannot be set for a worker.
pub fn refused_variable(name: &str) -> Option<Refusal> {
    let option = option_of(name)?;
    refused_option(&option).or_else(|| SAID.contains(&option.as_str()).then_some(NO_EFFECT))
}

/// The option that the variable `name` stands for.
fn option_of(name: &str) -> Option<String> {
    // Names of variables are case-insensitive on Windows.
    let name = if cfg!(windows) { name.to_ascii_uppercase() } else { name.to_owned() };
    let option = name.strip_prefix("UVICORN_")?.to_ascii_lowercase().replace('_', "-");
    Some(format!("--{option}"))
}

#[cfg(test)]
mod tests;
