//! How to start supervised workers.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use super::super::checked::{App, Recycle, Start, Transport};
use super::super::model;
use super::super::place::Place;
use super::text::{self, is_asgi_reference};
use super::{Check, lifecycle};

impl App {
    /// `start` in `directory`, which has to be absolute; every other key has its default.
    pub fn new(start: Start, directory: PathBuf) -> Self {
        let model = model::App::default();
        Self {
            start,
            args: Vec::new(),
            directory,
            python: None,
            workers: model.workers,
            env: BTreeMap::new(),
            transport: transport(model.transport),
            root_path: String::new(),
            warmup: Vec::new(),
            startup_timeout: model.startup_timeout.0,
            stop_timeout: model.stop_timeout.0,
            hang_timeout: model.hang_timeout.0.map(|span| span.0),
            recycle: Recycle::default(),
            restart: lifecycle::restart(&model.restart),
        }
    }
}

impl Check<'_> {
    /// `idle_timeout`: how long asgate keeps unused connections to the workers, if that is known.
    pub(super) fn app(
        &mut self,
        model: &model::App,
        idle_timeout: Option<Duration>,
        place: &Place<'_>,
    ) -> Option<App> {
        let start = self.start(model, place);
        let args = self.args(model, idle_timeout, place);
        let directory = match &model.directory {
            Some(directory) => self.directory(directory, &place.key("directory")),
            None => Some(self.base.to_owned()),
        };
        let python = match &model.python {
            Some(python) => self.program(python, &place.key("python")).map(Some),
            None => Some(None),
        };
        let env = self.env(model, &place.key("env").hidden());
        let root_path = self.root_path(&model.root_path, &place.key("root_path"));
        let warmup = self.warmup(&model.warmup, &place.key("warmup"));
        let recycle = self.recycle(&model.recycle, &place.key("recycle"));
        let restart = self.restart(&model.restart, &place.key("restart"));
        env?;
        Some(App {
            start: start?,
            args: args?,
            directory: directory?,
            python: python?,
            workers: model.workers,
            env: model.env.clone(),
            transport: transport(model.transport),
            root_path: root_path?,
            warmup: warmup?,
            startup_timeout: model.startup_timeout.0,
            stop_timeout: model.stop_timeout.0,
            hang_timeout: model.hang_timeout.0.map(|span| span.0),
            recycle: recycle?,
            restart: restart?,
        })
    }

    /// Exactly one of `asgi` and `command`.
    fn start(&mut self, model: &model::App, place: &Place<'_>) -> Option<Start> {
        match (&model.asgi, &model.command) {
            (Some(asgi), None) => self.asgi(asgi, &place.key("asgi")).map(Start::Asgi),
            (None, Some(command)) => {
                self.only_for_asgi(model, place);
                self.command(command, model.transport, &place.key("command")).map(Start::Command)
            }
            (Some(_), Some(_)) => {
                let (what, got) = ("has two ways to start", "asgi and command");
                self.report(place.problem_with(what, got, "one of asgi and command"));
                None
            }
            (None, None) => {
                if !self.is_damaged(place) {
                    let (what, allowed) = ("has nothing to start", "asgi or command");
                    self.report(place.problem_with(what, "neither", allowed));
                }
                None
            }
        }
    }

    fn asgi(&mut self, asgi: &str, place: &Place<'_>) -> Option<String> {
        if is_asgi_reference(asgi) {
            return Some(asgi.to_owned());
        }
        let allowed = "module:attribute, for example backend.main:app";
        self.report(place.problem("is not an ASGI application", allowed));
        None
    }

    /// Keys that a command would silently ignore.
    fn only_for_asgi(&mut self, model: &model::App, place: &Place<'_>) {
        let given = [
            ("args", !model.args.is_empty()),
            ("python", model.python.is_some()),
            ("root_path", !model.root_path.is_empty()),
        ];
        for (key, _) in given.into_iter().filter(|(_, is_given)| *is_given) {
            let what = "has no effect with command";
            self.report(place.key(key).problem(what, "this key with asgi only"));
        }
    }

    fn command(
        &mut self,
        command: &[String],
        transport: model::Transport,
        place: &Place<'_>,
    ) -> Option<Vec<String>> {
        self.not_empty(command, place, "a program and its arguments")?;
        let (program, arguments) = command.split_first()?;
        let takes = |placeholder| arguments.iter().any(|argument| argument.contains(placeholder));
        let (takes_address, allowed) = match transport {
            model::Transport::Auto => {
                (takes("{port}") || takes("{socket}"), "{port} or {socket} in one of the arguments")
            }
            model::Transport::Tcp => {
                (takes("{port}"), "{port} in one of the arguments, for transport tcp")
            }
        };
        if !takes_address {
            let what = "does not tell the server where to listen";
            self.report(place.problem(what, allowed));
        }
        let place_of_program = place.item(0);
        let program = self.program(program, &place_of_program).and_then(|program| {
            // Arguments are text, so the program's path has to be.
            let text = PathBuf::into_os_string(program).into_string().ok();
            if text.is_none() {
                let what = "is in a directory whose name is not Unicode";
                self.report(place_of_program.problem(what, "another directory"));
            }
            text
        })?;
        takes_address.then(|| std::iter::once(program).chain(arguments.iter().cloned()).collect())
    }

    fn root_path(&mut self, root_path: &str, place: &Place<'_>) -> Option<String> {
        if root_path.is_empty() || (text::is_path(root_path) && !root_path.ends_with('/')) {
            return Some(root_path.to_owned());
        }
        let allowed = "a path that starts with / and does not end with one";
        self.report(place.problem("is not a root path", allowed));
        None
    }
}

fn transport(model: model::Transport) -> Transport {
    match model {
        model::Transport::Auto => Transport::Auto,
        model::Transport::Tcp => Transport::Tcp,
    }
}
