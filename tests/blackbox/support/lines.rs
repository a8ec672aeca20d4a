//! What a program writes, line by line, as it comes.

use std::io::{BufRead, BufReader, Read};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

/// The lines so far. A program that has ended may have written more than is here: a thread of its own reads it.
#[derive(Default)]
pub struct Lines {
    kept: Arc<Mutex<Vec<String>>>,
    /// There is none where nothing is collected.
    collector: Option<JoinHandle<()>>,
}

impl Lines {
    /// Collects what comes from `source`, to its end.
    pub fn of(source: impl Read + Send + 'static) -> Self {
        let kept = Arc::default();
        let filled: Arc<Mutex<Vec<String>>> = Arc::clone(&kept);
        let collector = std::thread::spawn(move || {
            for line in BufReader::new(source).lines().map_while(Result::ok) {
                filled.lock().expect("lines").push(line);
            }
        });
        Self { kept, collector: Some(collector) }
    }

    pub fn all(&self) -> Vec<String> {
        self.kept.lock().expect("lines").clone()
    }

    pub fn text(&self) -> String {
        self.kept.lock().expect("lines").join("\n")
    }

    /// Whether the source has ended, and all that came is here.
    pub fn are_complete(&self) -> bool {
        self.collector.as_ref().is_none_or(JoinHandle::is_finished)
    }
}
