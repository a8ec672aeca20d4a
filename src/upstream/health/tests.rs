use std::num::NonZeroU32;

use http::StatusCode;
use parking_lot::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, mpsc};

use super::*;
use crate::config::Address;
use crate::upstream::fixtures;

fn health() -> Health {
    let times = |count| NonZeroU32::new(count).expect("not zero");
    Health {
        path: "/healthz".to_owned(),
        interval: Duration::from_millis(10),
        timeout: Duration::from_secs(5),
        healthy_after: times(2),
        unhealthy_after: times(3),
        expect: Expect { status: vec![200..=399], body_contains: Some("fine".to_owned()) },
    }
}

#[test]
fn status_and_body_are_judged() {
    let answer = |status, body: &str| Answer {
        status: StatusCode::from_u16(status).expect("a status"),
        body: body.as_bytes().to_vec(),
    };
    let expect = health().expect;
    assert!(judge(&answer(200, "all is fine here"), &expect).is_ok(), "as expected");
    assert!(judge(&answer(399, "fine"), &expect).is_ok(), "the end of the range");
    let status = judge(&answer(400, "fine"), &expect);
    assert!(matches!(status, Err(Failure::Status(400))), "{status:?}");
    let body = judge(&answer(200, "bad"), &expect);
    assert!(matches!(body, Err(Failure::Body)), "{body:?}");
}

#[test]
fn it_takes_some_in_a_row_to_change_sides() {
    let settings = health();
    let mut streak = Streak::default();
    let outcomes = [false, false, true, false, false, false, true, false, true, true];
    let failing = outcomes.map(|ok| {
        streak.note(ok, &settings);
        streak.is_failing()
    });
    let expected = [false, false, false, false, false, true, true, true, true, false];
    assert_eq!(failing, expected, "after three failures, until two successes");
}

fn worker_at(listener: &TcpListener) -> Arc<Worker> {
    let address = Address::Tcp(listener.local_addr().expect("its address"));
    let upstream = fixtures::upstream(&fixtures::settings());
    Arc::new(fixtures::worker(&upstream, "1", 1, address))
}

/// A server that says what it is told to, one answer for each request, on any number of connections.
async fn serve(listener: TcpListener, says: Arc<Mutex<&'static str>>) {
    loop {
        let (mut stream, _) = listener.accept().await.expect("a connection");
        let says = Arc::clone(&says);
        tokio::spawn(async move {
            let mut request = [0; 1024];
            while stream.read(&mut request).await.is_ok_and(|read| read > 0) {
                let body = *says.lock();
                let answer =
                    format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len());
                stream.write_all(answer.as_bytes()).await.expect("taken");
            }
        });
    }
}

#[tokio::test]
async fn a_worker_that_fails_is_marked_and_unmarked_when_it_recovers() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let worker = worker_at(&listener);
    let says = Arc::new(Mutex::new("fine"));
    tokio::spawn(serve(listener, Arc::clone(&says)));
    let (teller, mut news) = mpsc::unbounded_channel();
    let checked = Arc::clone(&worker);
    tokio::spawn(async move {
        let tell = |news: Result<(), &Failure>| {
            let _ = teller.send(news.map_err(ToString::to_string));
        };
        watch(checked, &health(), tell).await;
    });
    *says.lock() = "ill";
    let failure = news.recv().await.expect("the checks go on");
    assert_eq!(failure, Err("the body does not contain what is expected".to_owned()), "why");
    assert!(worker.is_marked(Mark::Unhealthy), "others come first now");
    *says.lock() = "fine";
    assert_eq!(news.recv().await.expect("the checks go on"), Ok(()), "it recovers");
    assert!(!worker.is_marked(Mark::Unhealthy), "and has its place again");
}

/// A server whose answers are fine and wait for a permit each; tells of every request when it came.
async fn serve_with_leave(
    listener: TcpListener,
    permits: Arc<Semaphore>,
    asked: mpsc::UnboundedSender<()>,
) {
    loop {
        let (mut stream, _) = listener.accept().await.expect("a connection");
        let (permits, asked) = (Arc::clone(&permits), asked.clone());
        tokio::spawn(async move {
            let mut request = [0; 1024];
            while stream.read(&mut request).await.is_ok_and(|read| read > 0) {
                asked.send(()).expect("the test goes on");
                permits.acquire().await.expect("never closed").forget();
                let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nfine";
                stream.write_all(answer).await.expect("taken");
            }
        });
    }
}

#[tokio::test]
async fn a_late_answer_is_no_success_and_only_lets_the_next_question_be_asked() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let worker = worker_at(&listener);
    let permits = Arc::new(Semaphore::new(0));
    let (asks, mut asked) = mpsc::unbounded_channel();
    tokio::spawn(serve_with_leave(listener, Arc::clone(&permits), asks));
    let patient = health();
    let hasty = Health { timeout: Duration::from_millis(200), ..health() };
    let mut checks = Checks::new(&hasty).kept;

    for check in 1..=3 {
        let outcome = checks.check(&worker, &hasty).await;
        assert!(matches!(outcome, Err(Failure::Late(_))), "check {check}: {outcome:?}");
    }
    asked.recv().await.expect("the first question");
    assert!(asked.try_recv().is_err(), "nothing further was asked while it was out");

    permits.add_permits(1);
    while checks.late.as_ref().is_some_and(|question| !question.is_finished()) {
        tokio::task::yield_now().await;
    }
    let outcome = checks.check(&worker, &hasty).await;
    assert!(matches!(outcome, Err(Failure::Late(_))), "the late answer is not this check's");
    asked.recv().await.expect("a question of its own");

    permits.add_permits(2);
    let outcome = checks.check(&worker, &patient).await;
    assert!(outcome.is_ok(), "the late answer, then one in time: {outcome:?}");
    asked.recv().await.expect("the last question");
    assert!(asked.try_recv().is_err(), "one for each check that was free to ask");
}

#[tokio::test]
async fn a_worker_that_is_always_late_is_marked() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let worker = worker_at(&listener);
    let permits = Arc::new(Semaphore::new(0));
    let (asks, mut asked) = mpsc::unbounded_channel();
    tokio::spawn(serve_with_leave(listener, Arc::clone(&permits), asks));
    let hasty = Health { timeout: Duration::from_millis(200), ..health() };
    // Twice as long as an answer may take, each time.
    let late = hasty.timeout * 2;
    tokio::spawn(async move {
        while asked.recv().await.is_some() {
            sleep(late).await;
            permits.add_permits(1);
        }
    });
    let (teller, mut news) = mpsc::unbounded_channel();
    let checked = Arc::clone(&worker);
    tokio::spawn(async move {
        let tell = |news: Result<(), &Failure>| {
            let _ = teller.send(news.map_err(ToString::to_string));
        };
        watch(checked, &hasty, tell).await;
    });
    let failure = timeout(Duration::from_secs(30), news.recv()).await.expect("it is noticed");
    assert_eq!(failure, Some(Err("no answer within 0.2s".to_owned())), "why");
    assert!(worker.is_marked(Mark::Unhealthy), "though it answers everything");
}
