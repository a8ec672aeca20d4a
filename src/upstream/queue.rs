//! The queue of an upstream: requests that found no slot, in the order in which they came.
//!
//! Who frees a slot gives it to the first in line that it suits, and to nobody else, so that a thousand requests that wait
//! are not woken for one slot. Who enters looks once more whether there is a slot by now: it is counted before it looks,
//! and a slot is given back before anybody looks whether somebody waits, so one of the two sees the other.
//! Who leaves, served or not, is out of line at once. `tests/model` tries every order of these.

use std::collections::BTreeMap;

use super::sync::{AtomicUsize, Mutex, Ordering, oneshot};

/// Requests that wait, each with its wish `W`, until somebody has an answer `T` for them.
#[derive(Debug)]
pub struct Queue<W, T> {
    /// Places in line.
    size: usize,
    /// How many are in line, to be seen without the lock.
    waiting: AtomicUsize,
    /// How many of them take what anybody takes.
    ordinary: AtomicUsize,
    line: Mutex<Line<W, T>>,
}

/// What somebody waits for.
pub trait Wish {
    /// Whether it may have to wait for something that others do not want: those who come later pass it then.
    fn is_choosy(&self) -> bool;
}

/// Who waits, by number; the lowest is served first.
#[derive(Debug)]
struct Line<W, T> {
    waiters: BTreeMap<i64, Waiter<W, T>>,
    /// How many of them are not choosy.
    ordinary: usize,
    front: i64,
    back: i64,
}

#[derive(Debug)]
struct Waiter<W, T> {
    wish: W,
    answer: oneshot::Sender<T>,
}

/// At which end to enter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// One that was served already and has to be served again. It is let in even when there is no place in line.
    Front,
    Back,
}

/// One place in line; given up when dropped.
#[derive(Debug)]
pub struct Waiting<'q, W: Wish, T> {
    queue: &'q Queue<W, T>,
    number: i64,
    answer: oneshot::Receiver<T>,
}

/// What there is for the one whose turn it is.
#[derive(Debug)]
pub enum Turn<T> {
    Serve(T),
    /// Nothing, but perhaps for one behind it.
    Skip,
    /// Nothing for anybody.
    Stop,
}

impl<W: Wish, T> Queue<W, T> {
    /// A queue with `size` places.
    pub fn new(size: usize) -> Self {
        let line = Line { waiters: BTreeMap::new(), ordinary: 0, front: 0, back: 0 };
        let count = || AtomicUsize::new(0);
        Self { size, waiting: count(), ordinary: count(), line: Mutex::new(line) }
    }

    /// Places in line.
    pub fn size(&self) -> usize {
        self.size
    }

    /// How many are in line.
    pub fn len(&self) -> usize {
        self.waiting.load(Ordering::SeqCst)
    }

    /// Whether nobody waits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether anybody waits for what everybody wants, so that who comes now has to get in line.
    pub fn is_barred(&self) -> bool {
        self.ordinary.load(Ordering::SeqCst) > 0
    }

    /// Gets in line; `None` when there is no place. To be followed by a [`Self::serve`].
    pub fn enter(&self, wish: W, end: End) -> Option<Waiting<'_, W, T>> {
        let (sender, answer) = oneshot::channel();
        let mut line = self.line.lock();
        if end == End::Back && line.waiters.len() >= self.size {
            return None;
        }
        let number = match end {
            End::Front => {
                line.front -= 1;
                line.front
            }
            End::Back => {
                line.back += 1;
                line.back
            }
        };
        line.insert(number, Waiter { wish, answer: sender });
        self.count(&line);
        Some(Waiting { queue: self, number, answer })
    }

    /// Asks for each in line, from its front, what there is for it.
    pub fn serve(&self, mut turn: impl FnMut(&W) -> Turn<T>) {
        let mut unclaimed = Vec::new();
        let mut line = self.line.lock();
        let mut next = i64::MIN;
        while let Some((&number, waiter)) = line.waiters.range(next..).next() {
            match turn(&waiter.wish) {
                Turn::Serve(answer) => {
                    let waiter = line.remove(number);
                    let refused = waiter.and_then(|waiter| waiter.answer.send(answer).err());
                    unclaimed.extend(refused);
                }
                Turn::Skip => {}
                Turn::Stop => break,
            }
            next = number + 1;
        }
        self.count(&line);
        // An answer may hold a slot, and who gives that back comes here again.
        drop(line);
        drop(unclaimed);
    }

    /// Brings what is seen without the lock up to date.
    fn count(&self, line: &Line<W, T>) {
        self.waiting.store(line.waiters.len(), Ordering::SeqCst);
        self.ordinary.store(line.ordinary, Ordering::SeqCst);
    }
}

impl<W: Wish, T> Waiting<'_, W, T> {
    /// Waits for the answer. Cancel safe.
    pub async fn answer(&mut self) -> Option<T> {
        (&mut self.answer).await.ok()
    }

    /// Changes what is wished for. To be followed by a [`Queue::serve`].
    pub fn amend(&self, edit: impl FnOnce(&mut W)) {
        let mut line = self.queue.line.lock();
        if let Some(mut waiter) = line.remove(self.number) {
            edit(&mut waiter.wish);
            line.insert(self.number, waiter);
            self.queue.count(&line);
        }
    }
}

impl<W: Wish, T> Line<W, T> {
    fn insert(&mut self, number: i64, waiter: Waiter<W, T>) {
        self.ordinary += usize::from(!waiter.wish.is_choosy());
        self.waiters.insert(number, waiter);
    }

    fn remove(&mut self, number: i64) -> Option<Waiter<W, T>> {
        let waiter = self.waiters.remove(&number)?;
        self.ordinary -= usize::from(!waiter.wish.is_choosy());
        Some(waiter)
    }
}

impl<W: Wish, T> Drop for Waiting<'_, W, T> {
    fn drop(&mut self) {
        let mut line = self.queue.line.lock();
        let gone = line.remove(self.number);
        self.queue.count(&line);
        drop(line);
        // A wish may hold the last hold on a worker.
        drop(gone);
    }
}
