//! Start, watch, restart, stop: with small programs in place of a server.

use std::time::Instant;

use super::*;
use crate::supervisor::{StartCause, State};
use crate::upstream::Wish;

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_never_listens_is_given_up_after_startup_timeout() {
    let mut app = python("import time; print('thinking'); time.sleep(600)");
    app.startup_timeout = Duration::from_secs(6);
    let mut running = Running::start(&app);
    let error = running.ready().await.expect_err("it never listens");
    assert!(matches!(error.cause(), StartCause::NotReady { .. }), "{error}");
    let text = error.to_string();
    assert!(
        text.contains(
            "startup_timeout (6s): it does not accept connections: nobody listens at unix:/"
        ),
        "{text}"
    );
    assert!(text.ends_with("its last lines:\nthinking"), "{text}");
    let pid = running.printed.0.lock()[0].1;
    assert!(running.pool().is_empty(), "it never got into the pool");
    running.stop().await;
    assert!(!alive(pid), "it was stopped");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_ignores_sigterm_is_killed_after_stop_timeout() {
    let program = format!("import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n{SERVE}");
    let mut app = python(&program);
    app.stop_timeout = Duration::from_millis(100);
    let mut running = Running::start(&app);
    running.ready().await.expect("it starts");
    let worker = running.next_ready().await;
    let asked = Instant::now();
    running.stop().await;
    assert!(!alive(worker.pid), "it was killed");
    assert!(asked.elapsed() >= app.stop_timeout, "and not before its time");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_during_the_start_does_not_wait_for_the_start() {
    let running = Running::start(&python("import time; print('up'); time.sleep(600)"));
    let printed = running.printed.clone();
    eventually("the worker runs", || printed.after("up").is_some()).await;
    running.stop().await;
    let pid = printed.0.lock()[0].1;
    assert!(!alive(pid), "it was stopped");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_crashed_comes_back_as_a_new_generation() {
    let mut running = Running::start(&python(SERVE));
    running.ready().await.expect("it starts");
    let first = running.next_ready().await;
    send_signal(first.pid, libc::SIGKILL);
    running.gone(&first).await;
    let end = || running.supervisor.crew().status().workers.remove(0).last_end;
    eventually("its end is told", || end().is_some()).await;
    let reason = end().expect("told");
    assert!(reason.contains("SIGKILL"), "the reason names the signal: {reason}");
    let second = running.next_ready().await;
    assert_eq!(second.id, WorkerId { index: 1, generation: 2 }, "same worker, next generation");
    assert_ne!(second.address, first.address, "connections cannot cross generations");
    assert!(get(&second.address, "/").await.starts_with("HTTP/1.1 204 "), "and it serves");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drained_worker_stays_drained_in_its_next_generation() {
    let mut running = Running::start(&python(SERVE));
    running.ready().await.expect("it starts");
    let first = running.next_ready().await;
    let crew = running.supervisor.crew();
    crew.drain("1").await.expect("it is in rotation");
    let again = crew.drain("1").await.expect_err("it is out of rotation already");
    assert!(again.to_string().contains("out of rotation already"), "{again}");
    send_signal(first.pid, libc::SIGKILL);
    running.next_ready().await;
    assert!(
        running.pool.acquire(&Wish::default()).is_err(),
        "a new process changes nothing about that"
    );
    assert_eq!(crew.status().workers[0].current.as_ref().expect("it runs").state, State::Drained);
    crew.restart(None).await.expect("a roll takes it along");
    assert!(running.pool.acquire(&Wish::default()).is_err(), "nor does a roll");
    crew.enable("1").await.expect("it was drained");
    assert!(running.pool.acquire(&Wish::default()).is_ok(), "an operator does");
    running.stop().await;
}

/// What was being started when a restart was asked for may be of before the deployment that it is about.
#[tokio::test(flavor = "multi_thread")]
async fn a_restart_during_a_start_is_carried_out_after_it() {
    let slowly = format!("import time\nprint('up')\ntime.sleep(1)\n{SERVE}");
    let mut running = Running::start(&python(&slowly));
    let printed = running.printed.clone();
    eventually("the first start is under way", || printed.after("up").is_some()).await;
    running.supervisor.crew().restart(None).await.expect("it waits for its turn");
    let worker = running.next_ready().await;
    assert_eq!(worker.id.generation, 2, "the one after the one that was on its way");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_roll_whose_worker_does_not_start_changes_nothing() {
    let directory = tempfile::TempDir::new().expect("a directory");
    let broken = directory.path().join("broken");
    let program =
        format!("import os, sys\nif os.path.exists({broken:?}): sys.exit('broken')\n{SERVE}");
    let mut running = Running::start(&python(&program));
    running.ready().await.expect("it starts");
    let first = running.next_ready().await;
    fs::write(&broken, "").expect("it is broken from now on");
    let crew = running.supervisor.crew();
    for _ in 0..3 {
        let refusal = crew.restart(None).await.expect_err("no new worker");
        assert!(refusal.to_string().contains("ended before it was ready"), "{refusal}");
    }
    assert_eq!(running.pool(), [first], "the old one stays");
    assert_eq!(crew.status().trouble, None, "and is not to blame");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_first_start_that_fails_is_told_and_tried_again() {
    let directory = tempfile::TempDir::new().expect("a directory");
    let marker = directory.path().join("tried");
    let program = format!(
        "import os, sys\nif not os.path.exists({marker:?}):\n    open({marker:?}, 'w'); sys.exit('not yet')\n{SERVE}"
    );
    let mut running = Running::start(&python(&program));
    let error = running.ready().await.expect_err("the first start fails");
    assert!(error.to_string().ends_with("its last lines:\nnot yet"), "{error}");
    let worker = running.next_ready().await;
    assert_eq!(worker.id.generation, 2, "the second start succeeds");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_is_not_there_is_named() {
    let words = ["asgate-no-such-program", "{port}"].map(str::to_owned);
    let mut running = Running::start(&app(&std::env::temp_dir(), Start::Command(words.into())));
    let error = running.ready().await.expect_err("there is nothing to start");
    assert!(matches!(error.cause(), StartCause::Spawn(_)), "{error}");
    assert!(error.to_string().contains("command: asgate-no-such-program "), "{error}");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_prints_much_is_not_held_up() {
    const LINES: usize = 100_000;
    let program = format!(
        "import sys\nfor n in range({LINES}): print('x' * 100)\nprint('to stderr', file=sys.stderr)\n{SERVE}"
    );
    let mut running = Running::start(&python(&program));
    running.ready().await.expect("ten megabytes later it serves");
    let worker = running.next_ready().await;
    let printed = running.printed.clone();
    running.stop().await;
    let lines = printed.0.lock();
    assert_eq!(lines.len(), LINES + 1, "no line is lost");
    let (id, pid, stream, _) =
        lines.iter().find(|line| line.3 == "to stderr").expect("stderr is read as well");
    assert_eq!((*id, *pid, *stream), (worker.id, worker.pid, Stream::Stderr), "its origin is told");
}

#[test]
fn without_a_runtime_there_is_an_error_and_no_panic() {
    let error = Running::try_start(&python("")).err().expect("nothing could run the workers");
    assert!(matches!(error.cause(), StartCause::Spawn(_)), "{error}");
}
