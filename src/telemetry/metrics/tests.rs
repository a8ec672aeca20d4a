//! What the rendered metrics say.

use std::collections::BTreeSet;
use std::thread;
use std::time::Duration;

use super::*;

mod front;
mod pool;

const GUIDE: &str = include_str!("../../../docs/guides/operations.md");

fn metrics() -> Metrics {
    Metrics::new().expect("the families are well formed")
}

#[track_caller]
fn assert_line(metrics: &Metrics, line: &str) {
    let text = metrics.render();
    assert!(text.lines().any(|each| each == line), "missing `{line}` in:\n{text}");
}

#[track_caller]
fn assert_absent(metrics: &Metrics, part: &str) {
    let text = metrics.render();
    assert!(!text.contains(part), "`{part}` should not be in:\n{text}");
}

fn count_series(metrics: &Metrics, family: &str) -> usize {
    let start = format!("{family}{{");
    metrics.render().lines().filter(|line| line.starts_with(&start)).count()
}

#[test]
fn requests_are_counted_by_route_method_and_code() {
    let metrics = metrics();
    let api = metrics.route("api");
    api.count("GET", 200, Duration::from_millis(7));
    api.count("GET", 200, Duration::from_secs(1000));
    api.count("POST", 503, Duration::from_millis(1));
    // A second handle, as a reload makes one, counts on.
    metrics.route("api").count("GET", 200, Duration::from_millis(7));
    assert_line(&metrics, r#"asgate_requests_total{code="200",method="GET",route="api"} 3"#);
    assert_line(&metrics, r#"asgate_requests_total{code="503",method="POST",route="api"} 1"#);
    let bucket = "asgate_request_duration_seconds_bucket";
    assert_line(&metrics, &format!(r#"{bucket}{{route="api",le="0.005"}} 1"#));
    assert_line(&metrics, &format!(r#"{bucket}{{route="api",le="0.01"}} 3"#));
    assert_line(&metrics, &format!(r#"{bucket}{{route="api",le="600"}} 3"#));
    assert_line(&metrics, &format!(r#"{bucket}{{route="api",le="+Inf"}} 4"#));
    assert_line(&metrics, r#"asgate_request_duration_seconds_count{route="api"} 4"#);
}

#[test]
fn clients_and_apps_cannot_make_up_series() {
    let metrics = metrics();
    let route = metrics.route("api");
    for number in 0..1000 {
        route.count(&format!("METHOD{number}"), 200, Duration::ZERO);
        route.count("get", 200, Duration::ZERO);
        route.count("GET", 600 + number, Duration::ZERO);
    }
    assert_line(&metrics, r#"asgate_requests_total{code="200",method="other",route="api"} 2000"#);
    assert_line(&metrics, r#"asgate_requests_total{code="other",method="GET",route="api"} 1000"#);
    assert_eq!(count_series(&metrics, "asgate_requests_total"), 2, "series in all");
}

#[test]
fn counting_is_exact_beyond_the_slots_and_under_threads() {
    let metrics = metrics();
    let route = metrics.route("api");
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..100 {
                    for code in 200..240 {
                        route.count("GET", code, Duration::ZERO);
                    }
                }
            });
        }
    });
    for code in 200..240 {
        let series = format!(r#"{{code="{code}",method="GET",route="api"}}"#);
        assert_line(&metrics, &format!("asgate_requests_total{series} 400"));
    }
}

#[test]
fn gauges_follow_their_guards() {
    let metrics = metrics();
    let upstream = metrics.upstream("backend");
    let listener = metrics.listener("0.0.0.0:80");
    let requests = (upstream.request(), upstream.request());
    let client = listener.connection();
    assert_line(&metrics, r#"asgate_requests_in_flight{upstream="backend"} 2"#);
    assert_line(&metrics, r#"asgate_listener_connections{listener="0.0.0.0:80"} 1"#);
    drop((requests, client));
    assert_line(&metrics, r#"asgate_requests_in_flight{upstream="backend"} 0"#);
    assert_line(&metrics, r#"asgate_listener_connections{listener="0.0.0.0:80"} 0"#);
}

#[test]
fn a_worker_connection_is_in_the_gauge_of_its_state() {
    let metrics = metrics();
    let worker = metrics.worker("backend", "0");
    let series = |state| {
        let labels = format!(r#"state="{state}",upstream="backend",worker="0""#);
        format!("asgate_upstream_connections{{{labels}}}")
    };
    let check = |active: u32, idle: u32| {
        assert_line(&metrics, &format!("{} {active}", series("active")));
        assert_line(&metrics, &format!("{} {idle}", series("idle")));
    };
    check(0, 0);
    let first = worker.connection();
    let second = worker.connection();
    check(2, 0);
    first.mark_idle();
    first.mark_idle();
    check(1, 1);
    second.mark_active();
    check(1, 1);
    drop(second);
    check(0, 1);
    first.mark_active();
    check(1, 0);
    first.mark_idle();
    drop(first);
    check(0, 0);
}

#[test]
fn events_of_upstreams_and_workers_are_counted() {
    let metrics = metrics();
    let upstream = metrics.upstream("backend");
    let worker = metrics.worker("backend", "0");
    assert_line(&metrics, r#"asgate_worker_up{upstream="backend",worker="0"} 0"#);
    worker.mark_up();
    assert_line(&metrics, r#"asgate_worker_up{upstream="backend",worker="0"} 1"#);
    worker.mark_down();
    assert_line(&metrics, r#"asgate_worker_up{upstream="backend",worker="0"} 0"#);
    upstream.retried("stale");
    assert_line(&metrics, r#"asgate_retries_total{reason="stale",upstream="backend"} 1"#);
    upstream.worker_restarted("exited");
    assert_line(&metrics, r#"asgate_worker_restarts_total{reason="exited",upstream="backend"} 1"#);
    let results = [
        (ConnectResult::Connected, "connected"),
        (ConnectResult::Refused, "refused"),
        (ConnectResult::TimedOut, "timed_out"),
        (ConnectResult::Failed, "failed"),
    ];
    for (result, label) in results {
        worker.connect_ended(result);
        let labels = format!(r#"result="{label}",upstream="backend",worker="0""#);
        assert_line(&metrics, &format!("asgate_upstream_connects_total{{{labels}}} 1"));
    }
}

#[test]
fn series_live_as_long_as_what_they_tell_of() {
    let metrics = metrics();
    let upstream = metrics.upstream("backend");
    let (zero, one) = (metrics.worker("backend", "0"), metrics.worker("backend", "1"));
    let listener = metrics.listener("here");
    upstream.retried("connect");
    upstream.worker_restarted("exited");
    zero.connect_ended(ConnectResult::Connected);
    let connection = zero.connection();

    // The next process of the same worker holds the same handle.
    let next = metrics.worker("backend", "0");
    next.mark_up();
    drop(zero);
    assert_line(&metrics, r#"asgate_worker_up{upstream="backend",worker="0"} 1"#);

    drop(next);
    assert_absent(&metrics, r#"worker="0""#);
    assert_line(&metrics, r#"asgate_worker_up{upstream="backend",worker="1"} 0"#);
    drop(connection);
    assert_absent(&metrics, r#"worker="0""#);

    drop((upstream, one, listener));
    assert_absent(&metrics, r#"upstream="backend""#);
    assert_absent(&metrics, r#"listener="here""#);

    // Whoever comes back starts anew.
    let back = metrics.worker("backend", "0");
    let _connection = back.connection();
    let series = r#"asgate_upstream_connections{state="active",upstream="backend",worker="0"}"#;
    assert_line(&metrics, &format!("{series} 1"));
}

#[test]
fn label_values_are_escaped() {
    let metrics = metrics();
    let _listener = metrics.listener("a\"b\\c\nd");
    assert_line(&metrics, r#"asgate_listener_connections{listener="a\"b\\c\nd"} 0"#);
}

#[test]
fn the_build_and_the_process_are_told() {
    let metrics = metrics();
    let version = env!("CARGO_PKG_VERSION");
    assert_line(&metrics, &format!(r#"asgate_build_info{{version="{version}"}} 1"#));
    if cfg!(target_os = "linux") {
        let text = metrics.render();
        for name in [
            "process_cpu_seconds_total",
            "process_resident_memory_bytes",
            "process_open_fds",
            "process_start_time_seconds",
        ] {
            let start = format!("{name} ");
            assert!(text.lines().any(|line| line.starts_with(&start)), "{name} in:\n{text}");
        }
    }
}

#[test]
fn the_guide_lists_every_metric() {
    let metrics = metrics();
    let (upstream, worker) = (metrics.upstream("backend"), metrics.worker("backend", "1"));
    let listener = metrics.listener("here");
    front::everything(&listener, &metrics.route("api"));
    metrics.route("api").count("GET", 200, Duration::ZERO);
    metrics.series.families.terminations.with_label_values(&["ok"]).inc();
    pool::everything(&upstream, &worker);
    let text = metrics.render();
    let names = text.lines().filter_map(|line| line.strip_prefix("# TYPE asgate_"));
    let names: BTreeSet<_> = names.filter_map(|rest| rest.split(' ').next()).collect();
    assert_eq!(names.len(), 24, "each family has a series: {names:?}");
    for name in names {
        assert!(GUIDE.contains(&format!("`asgate_{name}")), "asgate_{name} in the guide");
    }
}
