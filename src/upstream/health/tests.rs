use std::num::{NonZeroU16, NonZeroU32};

use http::StatusCode;
use parking_lot::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;
use crate::config::{Address, Connections};
use crate::telemetry::Metrics;
use crate::upstream::Identity;

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
    let turned: Vec<_> = outcomes.into_iter().map(|ok| streak.note(ok, &settings)).collect();
    let expected = [false, false, false, false, false, true, false, false, false, true];
    assert_eq!(turned, expected, "three failures, or two successes");
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
    let address = Address::Tcp(listener.local_addr().expect("its address"));
    let says = Arc::new(Mutex::new("fine"));
    tokio::spawn(serve(listener, Arc::clone(&says)));
    let policy = Connections { idle_timeout: Duration::from_secs(60), max_idle: 8, prewarm: 0 };
    let metrics = Metrics::new().expect("metrics").worker("u", "1");
    let identity = Identity { name: "1".into(), generation: 1, pid: None };
    let worker = Arc::new(Worker::new(identity, address, NonZeroU16::MIN, policy, metrics));
    let (teller, mut news) = tokio::sync::mpsc::unbounded_channel();
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
