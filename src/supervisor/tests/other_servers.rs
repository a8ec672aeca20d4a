//! Servers other than Uvicorn, with the commands of `conf/other-servers.yaml`.

use crate::config::{self, Workers};

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn hypercorn_and_granian_are_workers_like_any_other() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/conf/other-servers.yaml");
    let config = config::load(Path::new(file)).expect("a valid example").config;
    let programs = interpreter().parent().expect("a directory").to_owned();
    let path = std::env::var_os("PATH").unwrap_or_default();
    let path = std::env::join_paths(std::iter::once(programs).chain(std::env::split_paths(&path)));
    let path = path.expect("a search path").into_string().expect("in Unicode");
    for upstream in config.upstreams {
        let Workers::Supervised(mut app) = upstream.workers else { panic!("{upstream:?}") };
        app.env.insert("PATH".into(), path.clone());
        let mut running = Running::start(&app);
        running.ready().await.expect("the server starts");
        for _ in 0..app.workers.get() {
            let Ready { id, address, .. } = running.next_ready().await;
            let answer = get(&address, "/items/3").await;
            let name = &upstream.name;
            assert!(answer.contains(r#"{"item_id":3"#), "{name}, worker {id} answers: {answer}");
        }
        running.stop().await;
    }
}
