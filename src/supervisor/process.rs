//! One worker process with all its descendants, and the thread that starts them.

use std::io;
use std::process::ExitStatus;
use std::sync::{Arc, mpsc};
use std::thread;

use tokio::process::{Child, ChildStderr, ChildStdout, Command};
use tokio::runtime::Handle;
use tokio::sync::oneshot;

use super::platform::{Group, Groups, Guardian};

/// A process and its group (Unix) or job (Windows). When dropped before its end was seen, all of it is killed.
#[derive(Debug)]
pub(super) struct Process {
    child: Child,
    group: Arc<Group>,
    pid: u32,
    guardian: Guardian,
}

/// A process just started, and what it prints.
#[derive(Debug)]
pub(super) struct Spawned {
    pub(super) process: Process,
    pub(super) stdout: ChildStdout,
    pub(super) stderr: ChildStderr,
}

/// Starts processes from one thread that lives as long as any clone of this does.
///
/// Linux sends the parent-death signal when the *thread* that forked ends, not the process. tokio's blocking threads
/// end when idle, and its worker threads may turn into such; so the thread must be ours. It also keeps fork and exec,
/// which block, away from the tasks that move requests.
#[derive(Debug, Clone)]
pub(super) struct Spawner(mpsc::Sender<Order>);

#[derive(Debug)]
struct Order {
    command: Command,
    reply: oneshot::Sender<io::Result<Spawned>>,
}

// === impl Process ===

impl Process {
    fn spawn(mut command: Command, groups: &Groups, guardian: &Guardian) -> io::Result<Spawned> {
        let prepared = groups.prepare(&mut command)?;
        // Covers the way from here to `Process`; from there on its own `Drop` does, for the whole group.
        command.kill_on_drop(true);
        let mut child = command.spawn()?;
        let (Some(pid), Some(stdout), Some(stderr)) =
            (child.id(), child.stdout.take(), child.stderr.take())
        else {
            return Err(io::Error::other("the new process has no id or no output"));
        };
        let group = Arc::new(Group::adopt(&child, pid, prepared)?);
        guardian.watch_group(&group);
        let process = Self { child, group, pid, guardian: guardian.clone() };
        Ok(Spawned { process, stdout, stderr })
    }

    pub(super) fn pid(&self) -> u32 {
        self.pid
    }

    /// The process with all its descendants, to be looked at.
    pub(super) fn group(&self) -> Arc<Group> {
        Arc::clone(&self.group)
    }

    /// Waits for the process to end, then kills what it left behind in its group. Says so again when asked again. Cancel
    /// safe.
    pub(super) async fn wait(&mut self) -> io::Result<ExitStatus> {
        let was_reaped = self.child.id().is_none();
        let status = self.child.wait().await?;
        if was_reaped {
            return Ok(status);
        }
        // Directly after the leader was reaped: members that live on keep the group's id in use, and without any
        // the id cannot come round to a new process within these few instructions.
        self.group.kill();
        self.guardian.forget_group(&self.group);
        Ok(status)
    }

    /// Asks the process to finish what it is doing and end.
    pub(super) fn ask_to_stop(&self) -> io::Result<()> {
        match self.child.id() {
            Some(_) => self.group.ask_to_stop(),
            None => Ok(()),
        }
    }

    /// Ends the process and all its descendants now.
    pub(super) fn kill(&self) {
        // A process that was reaped has no id any more, and its number may belong to another.
        if self.child.id().is_some() {
            self.group.kill();
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.child.id().is_some() {
            self.group.kill();
            self.guardian.forget_group(&self.group);
        }
    }
}

// === impl Spawner ===

impl Spawner {
    /// Starts the thread; it ends when the last clone is dropped. `guardian` is told of every process.
    ///
    /// # Errors
    /// Not called within a tokio runtime, or the system has no thread to give.
    pub(super) fn start(guardian: Guardian) -> io::Result<Self> {
        let runtime = Handle::try_current().map_err(io::Error::other)?;
        let groups = Groups::new();
        let (orders, incoming) = mpsc::channel::<Order>();
        thread::Builder::new().name("asgate-spawn".to_owned()).spawn(move || {
            let _entered = runtime.enter();
            for Order { command, reply } in incoming {
                // Nobody waits for it any more: dropping the process kills it.
                let _ = reply.send(Process::spawn(command, &groups, &guardian));
            }
        })?;
        Ok(Self(orders))
    }

    pub(super) async fn spawn(&self, command: Command) -> io::Result<Spawned> {
        let gone = || io::Error::other("the thread that starts processes has ended");
        let (reply, spawned) = oneshot::channel();
        self.0.send(Order { command, reply }).map_err(|_| gone())?;
        spawned.await.map_err(|_| gone())?
    }
}
