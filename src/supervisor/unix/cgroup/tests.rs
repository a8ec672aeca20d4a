use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;

use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use super::super::tests::{alive, eventually};
use super::super::{Group, Groups};
use super::{Cgroups, Mount, end, mount, own_group};

#[test]
fn our_group_is_the_line_without_controllers() {
    for (text, expected) in [
        (
            "9:name=systemd:/a\n5:memory:/b\n0::/user.slice/x y.service\n",
            Some("/user.slice/x y.service"),
        ),
        ("0::/\n", Some("/")),
        ("5:memory:/b\n", None),
        ("", None),
    ] {
        assert_eq!(own_group(text), expected.map(Path::new), "{text:?}");
    }
}

#[test]
fn mounts_of_version_2_are_found() {
    let of = |root, point| Some(Mount { root: Path::new(root), point: Path::new(point) });
    for (line, expected) in [
        ("38 31 0:35 / /sys/fs/cgroup rw,relatime - cgroup2 cgroup2 rw", of("/", "/sys/fs/cgroup")),
        ("38 31 0:35 /a /c rw shared:4 master:1 - cgroup2 none rw,nsdelegate", of("/a", "/c")),
        ("32 31 0:29 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu", None),
        (r"38 31 0:35 / /a\040b rw - cgroup2 cgroup2 rw", None),
        ("38 31", None),
    ] {
        assert_eq!(mount(line), expected, "{line}");
    }
}

#[test]
fn a_group_is_found_below_the_mount_that_has_it() {
    for (root, own, expected) in [
        ("/", "/", Some("/m")),
        ("/", "/a/b", Some("/m/a/b")),
        ("/a", "/a/b", Some("/m/b")),
        ("/a", "/a", Some("/m")),
        ("/a", "/ab", None),
        ("/", "/../b", None),
    ] {
        let mount = Mount { root: Path::new(root), point: Path::new("/m") };
        let directory = mount.directory_of(Path::new(own));
        assert_eq!(directory, expected.map(PathBuf::from), "{own} in a mount of {root}");
        let spelled = directory.map(|path| path.to_string_lossy().into_owned());
        assert_eq!(spelled.as_deref(), expected, "without a slash at its end");
    }
}

/// Below the version 2 tree's root, if that can be written to: whoever runs the tests is no service that something was
/// delegated to.
fn cgroups() -> Option<Arc<Cgroups>> {
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").ok()?;
    let home = mounts.lines().find_map(|line| Some(mount(line)?.point.to_owned()))?;
    let cgroups = Cgroups::below(home);
    match cgroups.create() {
        Ok(_) => Some(cgroups),
        Err(error) => {
            println!("skipped: no control group can be made here: {error}");
            None
        }
    }
}

/// A shell in a control group, with a child that left the process group, whose pid it returns.
async fn start_inside(cgroups: &Arc<Cgroups>) -> (Child, Group, u32) {
    let groups = Groups { cgroups: Some(Arc::clone(cgroups)) };
    let mut command = Command::new("sh");
    command.args(["-c", "setsid sleep 600 & echo $!; exec sleep 600"]).stdout(Stdio::piped());
    let prepared = groups.prepare(&mut command).expect("prepared");
    let mut shell = command.spawn().expect("started");
    let pid = shell.id().expect("a process id");
    let group = Group::adopt(&shell, pid, prepared).expect("adopted");
    let mut line = String::new();
    let mut output = BufReader::new(shell.stdout.take().expect("its output"));
    output.read_line(&mut line).await.expect("readable");
    let child = line.trim().parse().expect("a process id");
    eventually("the child left", || session_of(child) == Some(child));
    (shell, group, child)
}

fn session_of(pid: u32) -> Option<u32> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(") ")?.1.split(' ').nth(3)?.parse().ok()
}

fn path_of(group: &Group) -> PathBuf {
    group.cgroup.as_ref().expect("a control group").path().to_owned()
}

#[tokio::test]
async fn a_descendant_that_left_the_process_group_dies_with_the_control_group() {
    let Some(cgroups) = cgroups() else {
        return;
    };
    let (mut shell, group, child) = start_inside(&cgroups).await;
    let inside = group.cgroup.as_ref().expect("a control group").processes().expect("readable");
    let leader = shell.id().expect("a process id");
    assert!(inside.contains(&leader) && inside.contains(&child), "{inside:?}");
    assert_eq!(group.members(), Some(inside), "these are the members");
    group.kill();
    shell.wait().await.expect("reaped");
    eventually("the child was killed", || !alive(child));
    let path = path_of(&group);
    drop((group, cgroups));
    assert!(!path.exists(), "the group was removed");
}

#[tokio::test]
async fn a_dropped_group_is_removed_when_its_last_process_is_gone() {
    let Some(cgroups) = cgroups() else {
        return;
    };
    let (mut shell, group, child) = start_inside(&cgroups).await;
    let path = path_of(&group);
    drop(group);
    shell.wait().await.expect("reaped");
    eventually("the child was killed", || !alive(child));
    drop(cgroups);
    assert!(!path.exists(), "the group was removed");
}

#[tokio::test]
async fn the_guardian_ends_a_group_by_its_path() {
    let Some(cgroups) = cgroups() else {
        return;
    };
    let (mut shell, group, child) = start_inside(&cgroups).await;
    let path = path_of(&group);
    end(&path);
    assert!(!path.exists(), "the group was removed");
    eventually("the child was killed", || !alive(child));
    shell.wait().await.expect("reaped");
    end(&path);
}
