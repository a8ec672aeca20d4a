//! The workers of one upstream, as operators see and steer them.
//!
//! Whatever is asked of a worker is an order to its keeper, which carries it out when the worker is free for it. Only
//! one roll over the workers goes on at a time, be it asked for by an operator or by a file that changed.

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::{mpsc, oneshot, watch};

use super::board::Board;
use super::files::Files;
use super::generation::stop_asked;
use super::keeper::{Order, Reply};
use super::reason::Reason;
use super::restarts::RapidFailGuard;
use super::status::SupervisorStatus;
use crate::config::Restart;

/// Orders that wait for one keeper at most.
const ORDERS: usize = 16;

/// The workers of one upstream. Whoever holds this, only [`super::Supervisor`] stops them.
pub struct Crew {
    name: Arc<str>,
    restart: Restart,
    guard: Arc<Mutex<RapidFailGuard>>,
    posts: Vec<Post>,
    /// Held while the workers are replaced one after the other.
    roll: tokio::sync::Mutex<()>,
}

/// One worker's place in the crew.
pub(super) struct Post {
    board: Arc<Board>,
    orders: mpsc::Sender<Order>,
}

/// Why an order was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    #[error("the workers are being replaced already")]
    Busy,
    #[error("there is no worker {0:?}")]
    NoSuchWorker(String),
    #[error("worker {worker}: {why}")]
    Failed { worker: u16, why: String },
}

impl Crew {
    /// `posts` in the order of the workers' indices. Their failures are counted in `guard`.
    pub(super) fn new(
        name: &Arc<str>,
        restart: &Restart,
        guard: &Arc<Mutex<RapidFailGuard>>,
        posts: Vec<Post>,
    ) -> Self {
        Self {
            name: Arc::clone(name),
            restart: restart.clone(),
            guard: Arc::clone(guard),
            posts,
            roll: tokio::sync::Mutex::default(),
        }
    }

    /// The upstream's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How all of them are doing.
    pub fn status(&self) -> SupervisorStatus {
        let restart = &self.restart;
        let trouble = self.guard.lock().is_tripped().then(|| {
            format!(
                "rapid_fail: {} failures within {}s; each worker is tried every {}s until one stays up",
                restart.rapid_fail.failures,
                restart.rapid_fail.window.as_secs_f64(),
                restart.max_backoff.as_secs_f64()
            )
        });
        let workers = self.posts.iter().map(|post| post.board.status()).collect();
        SupervisorStatus { trouble, workers }
    }

    /// Replaces all workers one after the other, or only this one. Returns how many were replaced, once the last new
    /// one is ready; those before may still be finishing their requests.
    ///
    /// # Errors
    /// A new worker did not become ready. The roll ends there: it and those after it stay as they are.
    pub async fn restart(&self, only: Option<&str>) -> Result<usize, Refusal> {
        let _roll = self.roll.try_lock().map_err(|_| Refusal::Busy)?;
        match only {
            Some(name) => {
                let (index, post) = self.find(name)?;
                self.replace(index, post, Reason::Restart, "asked for by an operator").await?;
                Ok(1)
            }
            None => self.replace_all(Reason::Restart, "asked for by an operator").await,
        }
    }

    /// Gives a worker no more requests, whatever process it is, until it is put back; those that it has it finishes.
    ///
    /// # Errors
    /// There is no such worker, or it is not in rotation.
    pub async fn drain(&self, worker: &str) -> Result<(), Refusal> {
        let (index, post) = self.find(worker)?;
        order(index, post, Order::TakeOut).await
    }

    /// Gives a drained worker requests again.
    ///
    /// # Errors
    /// There is no such worker, or it is in rotation.
    pub async fn enable(&self, worker: &str) -> Result<(), Refusal> {
        let (index, post) = self.find(worker)?;
        order(index, post, Order::PutBack).await
    }

    async fn replace_all(&self, reason: Reason, detail: &str) -> Result<usize, Refusal> {
        for (index, post) in (1..).zip(&self.posts) {
            self.replace(index, post, reason, detail).await?;
        }
        Ok(self.posts.len())
    }

    async fn replace(
        &self,
        index: u16,
        post: &Post,
        reason: Reason,
        detail: &str,
    ) -> Result<(), Refusal> {
        let detail = detail.to_owned();
        order(index, post, |reply| Order::Replace { reason, detail, reply }).await
    }

    fn find(&self, name: &str) -> Result<(u16, &Post), Refusal> {
        let mut posts = (1u16..).zip(&self.posts);
        posts
            .find(|(index, _)| index.to_string() == name)
            .ok_or_else(|| Refusal::NoSuchWorker(name.to_owned()))
    }
}

impl Post {
    /// The post of the worker whose state `board` shows, and what its keeper hears there.
    pub(super) fn new(board: &Arc<Board>) -> (Self, mpsc::Receiver<Order>) {
        let (orders, incoming) = mpsc::channel(ORDERS);
        (Self { board: Arc::clone(board), orders }, incoming)
    }
}

/// Gives a keeper an order and waits until it is carried out.
async fn order(
    worker: u16,
    post: &Post,
    order: impl FnOnce(Reply) -> Order,
) -> Result<(), Refusal> {
    let failed = |why| Refusal::Failed { worker, why };
    let gone = || failed("asgate stops".to_owned());
    let (reply, outcome) = oneshot::channel();
    post.orders.send(order(reply)).await.map_err(|_| gone())?;
    outcome.await.map_err(|_| gone())?.map_err(failed)
}

/// Replaces the workers whenever a watched file changed.
pub(super) async fn roll_on_change(
    mut files: Files,
    crew: Arc<Crew>,
    mut stop: watch::Receiver<bool>,
) {
    loop {
        let path = tokio::select! {
            path = files.changed() => path,
            () = stop_asked(&mut stop) => return,
        };
        let _roll = crew.roll.lock().await;
        let detail = format!("{} changed", path.display());
        if let Err(refusal) = crew.replace_all(Reason::FileChange, &detail).await {
            log::error!("Not all workers were replaced: upstream={} {refusal}", crew.name());
        }
    }
}
