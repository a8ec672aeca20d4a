//! A control group (cgroups(7), version 2) for each worker, so that descendants die with it that left its process group.
//!
//! Used only where control groups below our own are ours to make, which is: the directory of our own group is marked as
//! delegated (the attribute `user.delegate` or `trusted.delegate` is `1`; systemd sets it for `Delegate=yes`), or it is
//! the root of a control group namespace, as in a container. Everywhere else another program manages the tree, and
//! process groups have to do. No controllers are switched on: nothing is limited here, and a group that has none may
//! hold processes and groups side by side.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// How long killed processes are waited for that still keep a group from being removed.
const PATIENCE: Duration = Duration::from_millis(500);
const POLL: Duration = Duration::from_millis(5);

/// Our own group, in which those of the workers are made.
#[derive(Debug)]
pub(super) struct Cgroups {
    home: PathBuf,
    /// Not empty yet when they were to be removed.
    leftovers: Mutex<Vec<PathBuf>>,
}

/// The group of one worker. Dropping it kills what is left in it and removes it.
#[derive(Debug)]
pub(super) struct Cgroup {
    path: PathBuf,
    siblings: Arc<Cgroups>,
}

/// A mount of the version 2 tree (proc_pid_mountinfo(5)).
#[derive(Debug, PartialEq, Eq)]
struct Mount<'a> {
    /// The group that is at the mount point.
    root: &'a Path,
    point: &'a Path,
}

// === impl Cgroups ===

impl Cgroups {
    /// Where this process may make groups, if anywhere.
    pub(super) fn delegated() -> Option<Arc<Self>> {
        let own = fs::read_to_string("/proc/self/cgroup").ok()?;
        let own = own_group(&own)?;
        let mounts = fs::read_to_string("/proc/self/mountinfo").ok()?;
        let home = mounts.lines().filter_map(mount).find_map(|mount| mount.directory_of(own))?;
        if !is_delegated(&home) && !is_namespace_root(own, &home) {
            log::debug!("Control groups not used: {} was not delegated", home.display());
            return None;
        }
        Some(Self::below(home))
    }

    fn below(home: PathBuf) -> Arc<Self> {
        Arc::new(Self { home, leftovers: Mutex::default() })
    }

    /// A new empty group.
    ///
    /// # Errors
    /// The system does not let us, or cannot kill by group (Linux before 5.14).
    pub(super) fn create(self: &Arc<Self>) -> io::Result<Cgroup> {
        self.sweep();
        let mut number = 1_u64;
        let path = loop {
            let path = self.home.join(format!("asgate-worker-{}-{number}", std::process::id()));
            match fs::create_dir(&path) {
                Ok(()) => break path,
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => number += 1,
                Err(error) => return Err(error),
            }
        };
        let group = Cgroup { path, siblings: Arc::clone(self) };
        match group.path.join("cgroup.kill").try_exists()? {
            true => Ok(group),
            false => Err(io::ErrorKind::Unsupported.into()),
        }
    }

    /// Removes what could not be removed before.
    fn sweep(&self) {
        self.leftovers.lock().retain(|path| !is_removed(path));
    }
}

impl Drop for Cgroups {
    fn drop(&mut self) {
        for path in self.leftovers.get_mut() {
            remove(path);
        }
    }
}

// === impl Cgroup ===

impl Cgroup {
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The file to which a process writes `0` to enter the group.
    pub(super) fn entrance(&self) -> io::Result<File> {
        OpenOptions::new().write(true).open(self.path.join("cgroup.procs"))
    }

    /// SIGKILL to every process in it, and to those that they are about to start.
    pub(super) fn kill(&self) {
        kill(&self.path);
    }

    /// The processes in it; those that ended and were not reaped are not listed.
    pub(super) fn processes(&self) -> io::Result<Vec<u32>> {
        let list = fs::read_to_string(self.path.join("cgroup.procs"))?;
        Ok(list.lines().filter_map(|pid| pid.parse().ok()).collect())
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        if is_removed(&self.path) {
            return;
        }
        self.kill();
        // Killed processes take a moment, for which nobody waits here.
        if !is_removed(&self.path) {
            self.siblings.leftovers.lock().push(std::mem::take(&mut self.path));
        }
    }
}

// === impl Mount ===

impl Mount<'_> {
    /// Where the group is below the mount point, if it is.
    fn directory_of(&self, group: &Path) -> Option<PathBuf> {
        // A group outside of our namespace's root reads `/../...` (cgroup_namespaces(7)).
        if group.components().any(|part| part == Component::ParentDir) {
            return None;
        }
        // Joining the empty path would end the directory's name with a slash.
        let below = group.strip_prefix(self.root).ok()?;
        Some(self.point.components().chain(below.components()).collect())
    }
}

/// Kills the group's processes and removes it; waits a little for them to be gone.
pub(super) fn end(path: &Path) {
    kill(path);
    remove(path);
}

fn kill(path: &Path) {
    if let Err(error) = fs::write(path.join("cgroup.kill"), "1")
        && error.kind() != io::ErrorKind::NotFound
    {
        log::warn!("Cannot kill a control group: path={} error={error}", path.display());
    }
}

fn remove(path: &Path) {
    let begun = Instant::now();
    while !is_removed(path) {
        if begun.elapsed() > PATIENCE {
            log::warn!("Cannot remove a control group: path={}", path.display());
            return;
        }
        thread::sleep(POLL);
    }
}

/// Removes the group if that is possible now.
fn is_removed(path: &Path) -> bool {
    match fs::remove_dir(path) {
        Ok(()) => true,
        Err(error) => error.kind() == io::ErrorKind::NotFound,
    }
}

/// Our group's path in the version 2 tree: the line of hierarchy 0 without controllers (cgroups(7)).
fn own_group(text: &str) -> Option<&Path> {
    text.lines().find_map(|line| line.strip_prefix("0::")).map(Path::new)
}

/// `None` for a mount of anything else, and for a mount point with characters that are escaped.
fn mount(line: &str) -> Option<Mount<'_>> {
    let (place, kind) = line.split_once(" - ")?;
    if kind.split(' ').next()? != "cgroup2" {
        return None;
    }
    // id, parent, device, root, mount point
    let mut words = place.split(' ');
    let (root, point) = (words.nth(3)?, words.next()?);
    let plain = !root.contains('\\') && !point.contains('\\');
    plain.then(|| Mount { root: Path::new(root), point: Path::new(point) })
}

/// A namespace's root has files that the root of the machine has not, `cgroup.type` among them.
fn is_namespace_root(own: &Path, home: &Path) -> bool {
    own == Path::new("/") && home.join("cgroup.type").exists()
}

/// systemd's mark, `CGROUP_DELEGATION` of systemd.io.
#[cfg(target_os = "linux")]
fn is_delegated(home: &Path) -> bool {
    [c"user.delegate", c"trusted.delegate"]
        .into_iter()
        .any(|name| super::attribute_is(home, name, b"1"))
}

#[cfg(not(target_os = "linux"))]
fn is_delegated(_home: &Path) -> bool {
    false
}

#[cfg(test)]
mod tests;
