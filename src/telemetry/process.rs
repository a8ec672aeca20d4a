//! What the operating system says about this process, as the metrics that every Prometheus
//! client has under these names. Where the system does not say, the metric is absent.

use prometheus::core::Collector;
use prometheus::proto::MetricFamily;
use prometheus::{Counter, Gauge};

#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

#[cfg(unix)]
use unix::sample;
#[cfg(windows)]
use windows::sample;

/// One look at the process. Filled in by `unix.rs` or `windows.rs`.
#[derive(Clone, Copy, Debug, Default)]
struct Sample {
    /// User and system time of all threads, in seconds.
    cpu_seconds: Option<f64>,
    resident_bytes: Option<f64>,
    open_fds: Option<f64>,
    /// Seconds since 1970.
    start_time: Option<f64>,
}

/// Looks at the process now.
pub(super) fn families() -> Vec<MetricFamily> {
    let sample = sample();
    let cpu_seconds = counter(
        "process_cpu_seconds_total",
        "CPU time of all threads, user and system, in seconds.",
        sample.cpu_seconds,
    );
    let resident_bytes = gauge(
        "process_resident_memory_bytes",
        "Memory in use that is not swapped out, in bytes.",
        sample.resident_bytes,
    );
    let open_fds =
        gauge("process_open_fds", "File descriptors, sockets included.", sample.open_fds);
    let start_time = gauge(
        "process_start_time_seconds",
        "When the process was started, in seconds since 1970.",
        sample.start_time,
    );
    [cpu_seconds, resident_bytes, open_fds, start_time].concat()
}

fn counter(name: &str, help: &str, value: Option<f64>) -> Vec<MetricFamily> {
    let (Some(value), Ok(counter)) = (value, Counter::new(name, help)) else {
        return Vec::new();
    };
    counter.inc_by(value);
    counter.collect()
}

fn gauge(name: &str, help: &str, value: Option<f64>) -> Vec<MetricFamily> {
    let (Some(value), Ok(gauge)) = (value, Gauge::new(name, help)) else {
        return Vec::new();
    };
    gauge.set(value);
    gauge.collect()
}
