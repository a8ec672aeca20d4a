//! What a worker is given by the user: arguments and environment. None of it may break the worker, or
//! the agreement with asgate that its own arguments are.

use std::time::Duration;

use super::super::model;
use super::super::place::Place;
use super::super::problem::quoted;
use super::super::units::Span;
use super::super::uvicorn::{self, Argument, Refusal};
use super::Check;

/// The index of a word, what is wrong with it, and what is allowed.
type Complaint = (usize, String, String);

/// What the timeouts among Uvicorn's options are compared with; `None`: not known.
struct Times {
    idle: Option<Duration>,
    stop: Option<Duration>,
}

impl Check<'_> {
    pub(super) fn args(
        &mut self,
        model: &model::App,
        idle_timeout: Option<Duration>,
        place: &Place<'_>,
    ) -> Option<Vec<String>> {
        let stop = (!self.is_damaged(place)).then_some(model.stop_timeout.0);
        let times = Times { idle: idle_timeout, stop };
        let place = place.key("args");
        let holds_nul = |(at, word): (usize, &String)| word.contains('\0').then_some(at);
        let nul = model.args.iter().enumerate().filter_map(holds_nul);
        let nul = nul.map(|at| (at, "holds a NUL character".to_owned(), "text".to_owned()));
        let arguments = uvicorn::arguments(&model.args);
        let wrong = arguments.iter().filter_map(|argument| complaint(argument, &times));
        let complaints: Vec<Complaint> = nul.chain(wrong).collect();
        let is_fine = complaints.is_empty();
        for (at, what, allowed) in complaints {
            self.report(place.item(at).problem(what, allowed));
        }
        is_fine.then(|| model.args.clone())
    }

    /// What the system's environment cannot hold, or a worker not bear; values are not shown.
    pub(super) fn env(&mut self, model: &model::App, place: &Place<'_>) -> Option<()> {
        let mut fine = Some(());
        for (name, value) in &model.env {
            // With a command, what its server makes of its environment is not known.
            let refusal = model.asgi.as_ref().and_then(|_| uvicorn::refused_variable(name));
            if let Some(Refusal { what, allowed }) = refusal {
                self.report(place.name_of(name).problem_with(what, quoted(name), allowed));
                fine = None;
            }
            if name.is_empty() || name.contains(['=', '\0']) {
                let allowed = "a name without =";
                let (place, what) = (place.name_of(name), "is not a variable's name");
                self.report(place.problem_with(what, quoted(name), allowed));
                fine = None;
            }
            if value.contains('\0') {
                let allowed = "text without NUL";
                self.report(place.key(name).problem("holds a NUL character", allowed));
                fine = None;
            }
            if let Some((what, allowed)) = model.asgi.as_ref().and_then(|_| limit(name, value)) {
                self.report(place.key(name).problem(what, allowed));
                fine = None;
            }
        }
        fine
    }
}

fn complaint(argument: &Argument<'_>, times: &Times) -> Option<Complaint> {
    let Some(option) = argument.option else {
        let allowed = "options that start with -- and their values: the application is asgi";
        return Some((argument.at, "is not an option of Uvicorn".to_owned(), allowed.to_owned()));
    };
    if let Some(Refusal { what, allowed }) = uvicorn::refused_option(option) {
        return Some((argument.at, what.to_owned(), allowed.to_owned()));
    }
    let (at, value) = argument.value.unwrap_or((argument.at, ""));
    let (what, allowed) = match option {
        "--timeout-keep-alive" => keep_alive(value, times.idle),
        "--timeout-graceful-shutdown" => graceful_shutdown(value, times.stop),
        uvicorn::LIMIT_CONCURRENCY => concurrency(value),
        _ => None,
    }?;
    Some((at, what, allowed))
}

/// Uvicorn's own refusals must not be what a request or a check meets.
fn concurrency(value: &str) -> Option<(String, String)> {
    let what = match value.parse::<u64>() {
        _ if uvicorn::parse_limit(value).is_some() => return None,
        Ok(_) => "leaves no connection for a request beside that of a check",
        Err(_) => "is not a number of connections",
    };
    Some((what.to_owned(), format!("a whole number from {}", uvicorn::LEAST_CONCURRENCY)))
}

/// The same for its variable, which to click is none when it is empty.
fn limit(name: &str, value: &str) -> Option<(String, String)> {
    (uvicorn::is_limit(name) && !value.is_empty()).then(|| concurrency(value)).flatten()
}

/// The edge has to be the one to close a connection that is not used.
fn keep_alive(value: &str, idle_timeout: Option<Duration>) -> Option<(String, String)> {
    let idle_timeout = idle_timeout?;
    let allowed = format!("whole seconds, more than {}", Span(idle_timeout));
    match seconds(value) {
        None => Some(("is not a number of seconds".to_owned(), allowed)),
        Some(keep_alive) if keep_alive > idle_timeout => None,
        Some(_) => Some(("is not longer than connections.idle_timeout".to_owned(), allowed)),
    }
}

/// Uvicorn has to give up before it is killed, or it never ends in its own way.
fn graceful_shutdown(value: &str, stop_timeout: Option<Duration>) -> Option<(String, String)> {
    // A stop is given a second at least, which is Uvicorn's shortest.
    let most = stop_timeout?.as_secs().max(1);
    let allowed = format!("whole seconds, at most {most}");
    match seconds(value) {
        None => Some(("is not a number of seconds".to_owned(), allowed)),
        Some(patience) if patience.as_secs() <= most => None,
        Some(_) => Some(("is longer than stop_timeout".to_owned(), allowed)),
    }
}

fn seconds(text: &str) -> Option<Duration> {
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| is_number).map(Duration::from_secs)
}
