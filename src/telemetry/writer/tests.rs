//! The writer under load, and before outputs that are slow, full or gone.

use std::collections::VecDeque;
use std::sync::mpsc;

use super::*;

const PATIENCE: Duration = Duration::from_secs(30);

/// An output that answers each write as the test scripted it, then takes everything.
#[derive(Clone, Default)]
struct Scripted(Arc<Mutex<Script>>);

#[derive(Default)]
struct Script {
    answers: VecDeque<Answer>,
    written: Vec<u8>,
    writes: usize,
}

enum Answer {
    Accept(usize),
    Fail(ErrorKind),
}

impl Scripted {
    fn new(answers: impl IntoIterator<Item = Answer>) -> Self {
        let script = Script { answers: answers.into_iter().collect(), ..Script::default() };
        Self(Arc::new(Mutex::new(script)))
    }

    fn text(&self) -> String {
        String::from_utf8(self.0.lock().written.clone()).expect("UTF-8 was written")
    }
}

impl Write for Scripted {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut script = self.0.lock();
        script.writes += 1;
        let count = match script.answers.pop_front() {
            Some(Answer::Fail(kind)) => return Err(kind.into()),
            Some(Answer::Accept(most)) => most.min(bytes.len()),
            None => bytes.len(),
        };
        script.written.extend_from_slice(&bytes[..count]);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// An output that tells when a write has begun and waits until the test lets it go on.
struct Gated {
    begun: mpsc::Sender<()>,
    go_on: mpsc::Receiver<()>,
    then: Scripted,
}

impl Write for Gated {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let _ = self.begun.send(());
        // Once the test has dropped its end, every write goes through at once.
        let _ = self.go_on.recv();
        self.then.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn counter() -> IntCounter {
    IntCounter::new("dropped", "lines").expect("a valid name")
}

fn start(output: impl Write + Send + 'static, queue_bytes: usize) -> (Writer, IntCounter) {
    let dropped = counter();
    let writer = Writer::start(Box::new(output), queue_bytes, dropped.clone());
    (writer.expect("the thread starts"), dropped)
}

fn sink(output: &Scripted) -> Sink {
    Sink { output: Box::new(output.clone()), failing: false, torn: false, unreported: 0 }
}

#[test]
fn lines_of_many_threads_stay_whole_and_in_order() {
    const THREADS: usize = 8;
    const LINES: usize = 10_000;
    let output = Scripted::default();
    let (writer, dropped) = start(output.clone(), usize::MAX);
    thread::scope(|scope| {
        for thread in 0..THREADS {
            let writer = &writer;
            scope.spawn(move || {
                for line in 0..LINES {
                    writer.push(format!("{thread} {line} {}\n", "x".repeat(line % 50)).as_bytes());
                }
            });
        }
    });
    assert!(writer.close(PATIENCE), "the writer finishes");

    let mut next = [0; THREADS];
    for line in output.text().lines() {
        let mut words = line.split(' ');
        let mut number = || words.next().and_then(|word| word.parse().ok()).unwrap_or(usize::MAX);
        let (thread, line_number) = (number(), number());
        assert_eq!(line_number, next[thread], "the order of thread {thread}: {line}");
        assert_eq!(words.next(), Some("x".repeat(line_number % 50).as_str()), "whole: {line}");
        next[thread] += 1;
    }
    assert_eq!(next, [LINES; THREADS], "every line was written");
    assert_eq!(dropped.get(), 0, "nothing was dropped");
    let writes = output.0.lock().writes;
    assert!(writes < THREADS * LINES / 10, "lines are gathered: {writes} writes");
}

#[test]
fn a_full_queue_drops_lines_and_says_how_many() {
    let output = Scripted::default();
    let (begun, has_begun) = mpsc::channel();
    let (let_go_on, go_on) = mpsc::channel();
    let (writer, dropped) = start(Gated { begun, go_on, then: output.clone() }, 10);

    writer.push(b"first\n");
    has_begun.recv_timeout(PATIENCE).expect("the first write begins");
    // The output hangs now: ten bytes may wait, no more.
    for line in ["1\n", "2\n", "3\n", "4\n", "5\n", "lost\n", "lost\n", "lost\n"] {
        writer.push(line.as_bytes());
    }
    assert_eq!(dropped.get(), 3, "the lines that found no room are counted at once");

    drop(let_go_on);
    assert!(writer.close(PATIENCE), "the writer finishes");
    let text = output.text();
    let (lines, notice) = text.split_at("first\n1\n2\n3\n4\n5\n".len());
    assert_eq!(lines, "first\n1\n2\n3\n4\n5\n", "what fitted is written: {text}");
    assert!(notice.contains("\"message\":\"3 log lines lost"), "the loss is reported: {notice}");
    assert_eq!(notice.lines().count(), 1, "once: {notice}");
}

#[test]
fn lesser_lines_leave_half_of_the_room_to_others() {
    let (begun, has_begun) = mpsc::channel();
    let (let_go_on, go_on) = mpsc::channel();
    let (writer, dropped) = start(Gated { begun, go_on, then: Scripted::default() }, 100);
    writer.push(b"first\n");
    has_begun.recv_timeout(PATIENCE).expect("the first write begins");
    for _ in 0..20 {
        writer.push_lesser(b"123456789\n");
    }
    assert_eq!(dropped.get(), 15, "five of ten bytes each are half of a hundred");
    for _ in 0..5 {
        writer.push(b"123456789\n");
    }
    assert_eq!(dropped.get(), 15, "the other half is there for the others");
    drop(let_go_on);
}

#[test]
fn a_hanging_output_does_not_hold_up_closing_for_ever() {
    let (begun, has_begun) = mpsc::channel();
    let (let_go_on, go_on) = mpsc::channel();
    let (writer, _) = start(Gated { begun, go_on, then: Scripted::default() }, QUEUE_BYTES);
    writer.push(b"line\n");
    has_begun.recv_timeout(PATIENCE).expect("the write begins");
    assert!(!writer.close(Duration::from_millis(1)), "the line is still on its way");
    drop(let_go_on);
    assert!(writer.close(PATIENCE), "the writer finishes once the output does");
}

#[test]
fn a_closed_pipe_costs_the_lines_and_nothing_else() {
    let (reader, pipe) = io::pipe().expect("a pipe");
    drop(reader);
    let (writer, dropped) = start(pipe, QUEUE_BYTES);
    for _ in 0..100 {
        writer.push(b"line\n");
    }
    assert!(writer.close(PATIENCE), "the writer finishes");
    assert_eq!(dropped.get(), 100, "every line is counted as lost");
}

#[test]
fn a_broken_output_is_tried_once_per_batch() {
    let failures = (0..1000).map(|_| Answer::Fail(ErrorKind::BrokenPipe));
    let output = Scripted::new(failures);
    let mut sink = sink(&output);
    for batch in 1..=3 {
        assert_eq!(sink.write_batch(&mut b"a\nb\n".to_vec()), 2, "lines lost of batch {batch}");
        assert_eq!(output.0.lock().writes, batch, "one try for each batch");
    }
    assert_eq!(sink.unreported, 6, "the notices that failed are not counted as lines");
}

#[test]
fn an_output_that_recovers_starts_on_a_line_of_its_own_and_tells_the_loss() {
    let full = [Answer::Accept(5), Answer::Fail(ErrorKind::StorageFull)];
    let output = Scripted::new(full);
    let mut sink = sink(&output);
    assert_eq!(sink.write_batch(&mut b"one\ntwo\nthree\n".to_vec()), 2, "two and three are lost");
    assert_eq!(sink.write_batch(&mut b"four\n".to_vec()), 0, "four gets through");
    let text = output.text();
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines[..3], ["one", "t", "four"], "the torn line is ended first: {text}");
    assert!(lines[3].contains("2 log lines lost"), "the loss is reported: {text}");
    assert_eq!(lines.len(), 4, "and nothing else: {text}");
}

#[test]
fn short_interrupted_and_full_writes_lose_nothing() {
    let output = Scripted::new([
        Answer::Accept(3),
        Answer::Fail(ErrorKind::Interrupted),
        Answer::Accept(1),
        Answer::Fail(ErrorKind::WouldBlock),
    ]);
    assert_eq!(sink(&output).write_batch(&mut b"one\ntwo\n".to_vec()), 0, "lines lost");
    assert_eq!(output.text(), "one\ntwo\n", "the whole batch");
}

#[test]
fn a_dropped_writer_still_writes_what_it_was_given() {
    let output = Scripted::default();
    let (writer, _) = start(output.clone(), QUEUE_BYTES);
    writer.push(b"last words\n");
    let shared = Arc::clone(&writer.shared);
    drop(writer);
    let mut queue = shared.queue.lock();
    while !queue.finished {
        let waited = shared.finished.wait_for(&mut queue, PATIENCE);
        assert!(!waited.timed_out(), "the thread ends");
    }
    assert_eq!(output.text(), "last words\n", "what was handed over is written");
}

#[test]
fn lines_after_closing_are_dropped_and_counted() {
    let output = Scripted::default();
    let (writer, dropped) = start(output.clone(), QUEUE_BYTES);
    assert!(writer.close(PATIENCE), "the writer finishes");
    writer.push(b"late\n");
    assert_eq!(dropped.get(), 1, "the late line is counted");
    assert_eq!(output.text(), "", "and not written");
}
