//! Every command of `docs/guides/operations.md` does what the guide says: it is run, in the order of the guide.

use std::path::Path;
use std::process::Command;

use crate::support::edge::Edge;
use crate::support::uvicorn::{sample_app, supervised};

const GUIDE: &str = include_str!("../../docs/guides/operations.md");
const PORT: &str = "127.0.0.1:9180";
const SOCKET: &str = "/run/asgate/admin.sock";

/// The lines of its `sh` blocks.
fn commands() -> Vec<&'static str> {
    let blocks = GUIDE.split("```sh\n").skip(1);
    let text = blocks.map(|block| block.split("```").next().unwrap_or_default());
    text.flat_map(str::lines).collect()
}

fn start(directory: &Path, admin: &str) -> Edge {
    let config = format!(
        "listeners: [{{ address: \"127.0.0.1:0\" }}]\nadmin: {{ address: \"{admin}\" }}\n\
         upstreams: {{ backend: {} }}\nroutes: [{{ upstream: backend }}]\n",
        supervised(&sample_app(), "workers: 2")
    );
    std::fs::write(directory.join("asgate.yaml"), config).expect("a file");
    let mut edge = Edge::spawn(&["run"], directory);
    edge.wait_until_it_listens();
    edge
}

#[test]
fn every_command_of_the_guide_works() {
    let [on_port, on_socket] = [(), ()].map(|()| tempfile::tempdir().expect("a directory"));
    let mut by_port = start(on_port.path(), "127.0.0.1:0");
    let socket = on_socket.path().join("admin.sock").display().to_string();
    let mut by_socket = start(on_socket.path(), &format!("unix:{socket}"));
    // What the first has in its file is port 0, which the commands cannot know.
    let admin = by_port.admin().to_string();
    let program = env!("CARGO_BIN_EXE_asgate");
    for line in commands() {
        let mut command = line.replace(PORT, &admin).replace(SOCKET, &socket);
        if let Some(words) = line.strip_prefix("asgate ") {
            command = format!("'{program}' {words} --admin {admin}");
        }
        let run = Command::new("sh").args(["-c", &command]).current_dir(on_port.path()).output();
        let output = run.expect("a shell");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{line}: {said}");
        assert!(!output.stdout.is_empty(), "{line}: it answers");
    }
    for edge in [&mut by_port, &mut by_socket] {
        assert!(edge.wait().success(), "both are stopped at the end of the guide");
    }
}
