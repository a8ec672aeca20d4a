//! An upstream with everybody who has to do with it, and the model beside it.
//!
//! What happens is done to both; where the upstream has a choice, the model looks whether it was one, and follows.

mod compare;
mod connections;
mod requests;
mod workers;

use std::os::unix::net::UnixStream;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use proptest::sample::Index;
use proptest::test_runner::TestCaseResult;

use crate::upstream::{Check, Connection, Keeping, Slot, Upstream, Waiting, Worker};

use super::events::{Event, Then};
use super::model::{Model, Rules};

/// Longer than anything is kept.
const AGES: Duration = Duration::from_secs(600);

pub struct World<'u> {
    upstream: &'u Arc<Upstream>,
    rules: &'u Rules,
    model: Model,
    /// As the model numbers them.
    workers: Vec<Member>,
    /// The workers' ends of the connections, as the model numbers them; `None` once either side has closed it.
    far: Vec<Option<UnixStream>>,
    /// Requests that have waited so far.
    waited: usize,
    waiting: Vec<(usize, Waiting<'u>)>,
    served: Vec<Request>,
    /// Whether nobody has come or gone unseen by those who wait. What a worker without a listener can take changes with its
    /// unused connections, and the next [`Upstream::sweep`] is early enough for that.
    is_settled: bool,
}

/// A generation of a worker.
struct Member {
    worker: Arc<Worker>,
    /// Ends when it is drained; there from when it is retired until then.
    drained: Option<Pin<Box<dyn Future<Output = ()>>>>,
}

/// Whom the upstream looks at when something may have become free.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Look {
    Everywhere,
    /// Those only who may want the worker that it is about.
    There,
}

/// A request that has a slot.
struct Request {
    slot: Slot,
    worker: usize,
    connection: Option<(Connection, usize)>,
}

impl<'u> World<'u> {
    pub fn new(upstream: &'u Arc<Upstream>, rules: &'u Rules) -> Self {
        Self {
            upstream,
            rules,
            model: Model::new(rules),
            workers: Vec::new(),
            far: Vec::new(),
            waited: 0,
            waiting: Vec::new(),
            served: Vec::new(),
            is_settled: true,
        }
    }

    /// Lets `event` happen and compares.
    pub async fn after(&mut self, event: &Event) -> TestCaseResult {
        if let Event::Pass(seconds) = event {
            self.model.pass(*seconds);
            tokio::time::advance(Duration::from_secs(*seconds)).await;
        }
        self.happen(event)?;
        settle().await;
        self.compare()
    }

    /// Everybody goes, and nothing is left.
    pub async fn end(mut self) -> TestCaseResult {
        while let Some(last) = self.served.len().checked_sub(1) {
            self.finish(last, Then::Park(Keeping::Anybody), Check::Kernel)?;
            settle().await;
            self.compare()?;
        }
        self.close()?;
        settle().await;
        self.compare()?;
        self.far.clear();
        tokio::time::advance(AGES).await;
        settle().await;
        self.compare_to_nothing()
    }

    fn happen(&mut self, event: &Event) -> TestCaseResult {
        match event {
            Event::Join { name, supervised, rising } => self.join(name, *supervised, *rising),
            Event::Leave(worker) => self.leave(worker),
            Event::Close => self.close(),
            Event::Mark { worker, mark, on } => self.mark(worker, *mark, *on),
            Event::Acquire(asked) => self.acquire(asked),
            Event::AcquireAgain(asked) => self.acquire_again(asked),
            Event::Wait { asked, end } => self.wait(asked, *end),
            Event::GiveUp(waiter) => self.give_up(waiter),
            Event::Forgive(waiter) => self.forgive(waiter),
            Event::Finish { request, then, check } => match draw(request, self.served.len()) {
                Some(request) => self.finish(request, *then, *check),
                None => Ok(()),
            },
            Event::FinishUnseen(request) => self.finish_unseen(request),
            Event::Connect { request, keeping, check } => self.connect(request, *keeping, *check),
            Event::ComesLate { worker, check } => self.comes_late(worker, *check),
            Event::Forget(client) => self.forget(*client),
            Event::Spoil { connection, how } => self.spoil(connection, *how),
            // It has passed.
            Event::Pass(_) => Ok(()),
            Event::Sweep => {
                self.model.sweep();
                self.upstream.sweep();
                self.serve(Look::Everywhere)
            }
            Event::RaiseHope => {
                self.model.hope = true;
                self.upstream.raise_hope();
                Ok(())
            }
            Event::GiveUpHope => {
                self.model.hope = false;
                self.upstream.give_up_hope();
                self.serve(Look::Everywhere)
            }
        }
    }
}

impl World<'_> {
    /// One of all workers, those in rotation more often.
    fn draw_worker(&self, index: &Index) -> Option<usize> {
        let all = 0..self.workers.len();
        let some: Vec<usize> =
            [&self.model.rotation; 3].into_iter().flatten().copied().chain(all).collect();
        draw(index, some.len()).map(|drawn| some[drawn])
    }
}

/// Lets the runtime take note of what has arrived, and connections be closed.
async fn settle() {
    for _ in 0..3 {
        tokio::task::yield_now().await;
    }
}

/// What `future` says without waiting.
pub fn poll_now<F: Future + ?Sized>(future: Pin<&mut F>) -> Option<F::Output> {
    match future.poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    }
}

/// One of `count`, if there are any.
fn draw(index: &Index, count: usize) -> Option<usize> {
    (count > 0).then(|| index.index(count))
}
