//! Real Uvicorn: what the command line promises.

use std::fs;
use std::num::NonZeroU16;

use tempfile::TempDir;

use super::*;
use crate::config::Transport;

/// Says what it was told about itself, and what asgate asked it.
const APP: &str = r#"
import os
seen = []
async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        print("Lifespan ended")
        await send({"type": "lifespan.shutdown.complete"})
        return
    agent = dict(scope["headers"]).get(b"user-agent", b"").decode()
    seen.append(f"{scope['method']} {scope['path']} {agent}")
    body = f"root={scope['root_path']} greeting={os.environ.get('GREETING')} seen={seen}".encode()
    headers = [(b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})
"#;

fn uvicorn(directory: &TempDir, source: &str) -> App {
    fs::write(directory.path().join("main.py"), source).expect("the app is written");
    App { python: Some(interpreter()), ..app(directory.path(), Start::Asgi("main:app".into())) }
}

#[tokio::test(flavor = "multi_thread")]
async fn workers_answer_on_their_sockets_and_leave_nothing() {
    let directory = TempDir::new().expect("a directory");
    let mut app = uvicorn(&directory, APP);
    app.workers = NonZeroU16::new(2).expect("not zero");
    app.env.insert("GREETING".into(), "hello".into());
    let mut running = Running::start(&app);
    running.ready().await.expect("Uvicorn starts");
    let workers = [running.next_ready().await, running.next_ready().await];
    for Ready { id, address, pid } in &workers {
        assert_eq!(id.generation, 1, "the first start");
        let answer = get(address, "/").await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "worker {id} answers: {answer}");
        assert!(answer.contains("greeting=hello"), "worker {id} has the environment: {answer}");
        let seen = "seen=['HEAD / asgate-readiness', 'GET / ']";
        assert!(answer.contains(seen), "one readiness request came before: {answer}");
        assert!(alive(*pid), "worker {id} runs under the pid that was told");
    }
    assert_ne!(workers[0].address, workers[1].address, "each has its own address");

    let printed = running.printed.clone();
    running.stop().await;
    for Ready { id, address, pid } in &workers {
        assert!(!alive(*pid), "worker {id} has ended");
        let Address::Unix(socket) = address else { panic!("{address} is not a socket") };
        let home = socket.parent().expect("a directory");
        assert!(!home.exists(), "{} is removed", home.display());
    }
    let ended = printed.0.lock().iter().filter(|line| line.3 == "Lifespan ended").count();
    assert_eq!(ended, 2, "each worker was asked to stop and ended in its own way");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_on_tcp_is_one_process_and_knows_its_root_path() {
    let directory = TempDir::new().expect("a directory");
    let mut app = uvicorn(&directory, APP);
    app.transport = Transport::Tcp;
    app.root_path = "/api".into();
    app.env.insert("WEB_CONCURRENCY".into(), "3".into());
    let mut running = Running::start(&app);
    running.ready().await.expect("Uvicorn starts");
    let Ready { address, pid, .. } = running.next_ready().await;
    let answer = get(&address, "/").await;
    assert!(answer.contains("root=/api "), "the root path is passed on: {answer}");
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
    assert_eq!(children.expect("it runs"), "", "WEB_CONCURRENCY makes no process tree");
    running.stop().await;
    assert!(!alive(pid), "the worker has ended");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_runs_on_the_loop_that_asgate_ships() {
    let source = "import asyncio, sys\n\
        async def app(scope, receive, send):\n    \
            module = sys.modules['asgate_loop'].__file__\n    \
            body = f'{type(asyncio.get_running_loop()).__module__} {module}'.encode()\n    \
            headers = [(b'content-length', str(len(body)).encode())]\n    \
            await send({'type': 'http.response.start', 'status': 200, 'headers': headers})\n    \
            await send({'type': 'http.response.body', 'body': body})\n";
    let directory = TempDir::new().expect("a directory");
    let mut app = uvicorn(&directory, source);
    app.args =
        ["--loop", "asgate_loop:new_event_loop", "--lifespan", "off"].map(str::to_owned).into();
    let mut running = Running::start(&app);
    running.ready().await.expect("Uvicorn starts");
    let Ready { address, .. } = running.next_ready().await;
    let answer = get(&address, "/").await;
    let (_, module) = answer.rsplit_once(' ').expect("the module's file");
    assert!(answer.contains("uvloop ") || answer.contains("asyncio."), "a loop: {answer}");
    assert!(Path::new(module).is_file(), "the module is there: {module}");
    running.stop().await;
    assert!(!Path::new(module).exists(), "and goes with the supervisor: {module}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_error_shows_the_workers_own_traceback() {
    let directory = TempDir::new().expect("a directory");
    let mut app = uvicorn(&directory, "import no_such_module_at_all\n");
    app.env.insert("PASSWORD".into(), "hunter2".into());
    let mut running = Running::start(&app);
    let error = running.ready().await.expect_err("it cannot start").to_string();
    for part in [
        "upstream backend, worker 1: ended before it was ready (exit status: ",
        "-m uvicorn main:app --uds /",
        "Traceback (most recent call last):\n",
        "main.py\", line 1, in <module>\n    import no_such_module_at_all\n",
        "ModuleNotFoundError: No module named 'no_such_module_at_all'",
    ] {
        assert!(error.contains(part), "{part:?} is missing in:\n{error}");
    }
    assert!(!error.contains("hunter2"), "the environment is not shown:\n{error}");
    running.stop().await;
}
