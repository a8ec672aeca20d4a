//! The process as Linux's `/proc` shows it (proc_pid_stat(5), proc_pid_status(5), proc_stat(5)).
//! Other Unix systems have no such files, and so no process metrics.

#![expect(unsafe_code, reason = "calls into the operating system")]

use std::fs;

use super::Sample;

pub(super) fn sample() -> Sample {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ticks = ticks_per_second();
    // Fields count from 1 in the manual: 14 and 15 are user and system time, 22 the start.
    let seconds = |field| Some(stat_field(&stat, field)? / ticks?);
    let cpu_seconds = seconds(14).zip(seconds(15)).map(|(user, system)| user + system);
    let start_time = seconds(22).zip(boot_time()).map(|(since_boot, boot)| boot + since_boot);
    Sample {
        cpu_seconds,
        resident_bytes: labelled(&status, "VmRSS:").map(|kib| kib * 1024.0),
        // Reading the directory takes a descriptor of its own, which is not counted.
        open_fds: fs::read_dir("/proc/self/fd")
            .ok()
            .map(|fds| fds.count().saturating_sub(1) as f64),
        start_time,
    }
}

/// A numeric field of `/proc/self/stat`. The second field is the program's name in parentheses,
/// which may hold spaces and parentheses itself.
fn stat_field(stat: &str, field: usize) -> Option<f64> {
    let (_, after_name) = stat.rsplit_once(')')?;
    after_name.split_ascii_whitespace().nth(field.checked_sub(3)?)?.parse().ok()
}

/// When the machine was started, in seconds since 1970.
fn boot_time() -> Option<f64> {
    labelled(&fs::read_to_string("/proc/stat").ok()?, "btime")
}

/// The number after a label at the start of a line.
fn labelled(text: &str, label: &str) -> Option<f64> {
    let rest = text.lines().find_map(|line| line.strip_prefix(label))?;
    rest.split_ascii_whitespace().next()?.parse().ok()
}

fn ticks_per_second() -> Option<f64> {
    // SAFETY: sysconf takes a number and returns a number; it touches no memory of ours.
    let ticks = unsafe { libc::sysconf(libc::_SC_CLK_TCK) };
    (ticks > 0).then_some(ticks as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{SystemTime, UNIX_EPOCH};

    #[test]
    fn a_program_name_with_parentheses_does_not_shift_the_fields() {
        let stat = "7 (a) b (c) S 1 7 7 0 -1 4194560 100 0 0 0 250 50 0 0 20 0 3 0 9000 1000";
        assert_eq!(stat_field(stat, 14), Some(250.0), "user time");
        assert_eq!(stat_field(stat, 15), Some(50.0), "system time");
        assert_eq!(stat_field(stat, 22), Some(9000.0), "start time");
        assert_eq!(stat_field("", 14), None, "an empty file");
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn this_process_is_seen() {
        let sample = sample();
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs_f64();
        let start = sample.start_time.expect("a start time");
        assert!(start <= now + 1.0 && start > now - 86_400.0, "started {start}, now {now}");
        assert!(sample.resident_bytes.expect("memory") > 100_000.0, "{sample:?}");
        assert!(sample.open_fds.expect("descriptors") >= 3.0, "{sample:?}");
        assert!(sample.cpu_seconds.expect("CPU time") >= 0.0, "{sample:?}");
    }
}
