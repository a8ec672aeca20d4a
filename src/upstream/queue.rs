//! The queue of an upstream: requests that found no slot, in the order in which they came.
//!
//! Who frees a slot gives it to the first that it suits, and to nobody else, so that a thousand requests that wait are not
//! woken for one slot. Those who want one worker only stand in a line of their own, and bar nobody else's way. Who enters
//! looks once more whether there is a slot by now: it is counted before it looks, and a slot is given back before anybody
//! looks whether somebody waits, so one of the two sees the other. Who leaves, served or not, is out of line at once.
//! `tests/model` tries this in many orders of events.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::sync::{AtomicUsize, Mutex, Ordering, oneshot};

/// Where the numbers of those begin who enter at the front; the others count from 0.
const FRONT: i64 = i64::MIN / 2;

/// The part of the places that is left to those who take any worker: one in so many.
const LEFT_TO_OTHERS: usize = 4;

/// Which line to stand in: that of the worker of this name, or the one for any worker.
pub type LineOf = Option<Arc<str>>;

/// Requests that wait, each with its wish `W`, until somebody has an answer `T` for them.
#[derive(Debug)]
pub struct Queue<W, T> {
    /// Places in all lines together.
    size: usize,
    /// How many wait, to be seen without the lock.
    waiting: AtomicUsize,
    /// How many of them take what anybody takes.
    ordinary: AtomicUsize,
    lines: Mutex<Lines<W, T>>,
}

/// What somebody waits for.
pub trait Wish {
    /// The line to enter.
    fn line(&self) -> LineOf;

    /// Whether it may have to wait for something that others do not want: those who come later pass it then.
    fn is_choosy(&self) -> bool;
}

/// Who waits.
#[derive(Debug)]
struct Lines<W, T> {
    lines: HashMap<LineOf, BTreeMap<i64, Waiter<W, T>>>,
    count: usize,
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
    /// One that was served already and has to be served again: behind others of its kind and before all the rest. It is let
    /// in even when there is no place.
    Front,
    Back,
}

/// One place in line; given up when dropped.
#[derive(Debug)]
pub struct Waiting<'q, W: Wish, T> {
    queue: &'q Queue<W, T>,
    line: LineOf,
    number: i64,
    answer: oneshot::Receiver<T>,
}

/// What there is for the one whose turn it is.
#[derive(Debug)]
pub enum Turn<T> {
    Serve(T),
    /// Nothing, but perhaps for one behind it.
    Skip,
    /// Nothing for anybody in its line.
    Stop,
}

impl<W: Wish, T> Queue<W, T> {
    /// A queue with `size` places.
    pub fn new(size: usize) -> Self {
        let lines = Lines { lines: HashMap::new(), count: 0, ordinary: 0, front: FRONT, back: 0 };
        let none = || AtomicUsize::new(0);
        Self { size, waiting: none(), ordinary: none(), lines: Mutex::new(lines) }
    }

    /// Places in line.
    pub fn size(&self) -> usize {
        self.size
    }

    /// How many wait.
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

    /// Whether anybody waits who may take what those before it do not.
    pub fn has_choosy(&self) -> bool {
        self.len() > self.ordinary.load(Ordering::SeqCst)
    }

    /// Gets in line; `None` when there is no place. To be followed by a [`Self::serve_at`].
    pub fn enter(&self, wish: W, end: End) -> Option<Waiting<'_, W, T>> {
        let (sender, answer) = oneshot::channel();
        let line = wish.line();
        let mut lines = self.lines.lock();
        if end == End::Back && !lines.has_place(line.as_ref(), self.size) {
            return None;
        }
        let counter = match end {
            End::Front => &mut lines.front,
            End::Back => &mut lines.back,
        };
        *counter += 1;
        let number = *counter;
        lines.insert(number, Waiter { wish, answer: sender });
        self.show(&lines);
        Some(Waiting { queue: self, line, number, answer })
    }

    /// Asks for each who waits, by their numbers, what there is for it.
    pub fn serve_all(&self, turn: impl FnMut(&W) -> Turn<T>) {
        let lines = self.lines.lock();
        let all = lines.lines.keys().cloned().collect();
        self.serve_lines(lines, all, turn);
    }

    /// As [`Self::serve_all`], of those only to whom it matters that something is free at the worker `name`; without a name,
    /// of those who take any.
    pub fn serve_at(&self, name: Option<&Arc<str>>, turn: impl FnMut(&W) -> Turn<T>) {
        let own = name.map(|name| Some(Arc::clone(name)));
        self.serve_lines(self.lines.lock(), std::iter::once(None).chain(own).collect(), turn);
    }

    fn serve_lines(
        &self,
        mut lines: impl std::ops::DerefMut<Target = Lines<W, T>>,
        names: Vec<LineOf>,
        mut turn: impl FnMut(&W) -> Turn<T>,
    ) {
        let mut unclaimed = Vec::new();
        // Each line with the number to go on from.
        let mut open: Vec<(LineOf, i64)> = names.into_iter().map(|name| (name, i64::MIN)).collect();
        while let Some((place, number)) = lines.first_of(&open) {
            let Some((line, next)) = open.get_mut(place) else { break };
            let Some(waiter) = lines.lines.get(line).and_then(|line| line.get(&number)) else {
                break;
            };
            match turn(&waiter.wish) {
                Turn::Serve(answer) => {
                    let waiter = lines.remove(line, number);
                    let refused = waiter.and_then(|waiter| waiter.answer.send(answer).err());
                    unclaimed.extend(refused);
                    *next = number + 1;
                }
                // All in a line of one worker's wait for the same.
                Turn::Skip if line.is_none() => *next = number + 1,
                Turn::Skip | Turn::Stop => {
                    open.swap_remove(place);
                }
            }
        }
        self.show(&lines);
        // An answer may hold a slot, and who gives that back comes here again.
        drop(lines);
        drop(unclaimed);
    }

    /// Puts those who wait for a worker that is not to be had among those who take any, by their numbers. `is_gone`: whether
    /// the worker of this name is not.
    pub fn pour(&self, is_gone: impl Fn(&Arc<str>) -> bool) {
        let mut lines = self.lines.lock();
        let gone = |(line, _): &(&LineOf, _)| line.as_ref().is_some_and(&is_gone);
        let gone: Vec<LineOf> =
            lines.lines.iter().filter(gone).map(|(line, _)| line.clone()).collect();
        for line in gone {
            let waiters = lines.lines.remove(&line).unwrap_or_default();
            lines.lines.entry(None).or_default().extend(waiters);
        }
    }

    /// Brings what is seen without the lock up to date.
    fn show(&self, lines: &Lines<W, T>) {
        self.waiting.store(lines.count, Ordering::SeqCst);
        self.ordinary.store(lines.ordinary, Ordering::SeqCst);
    }
}

impl<W: Wish, T> Lines<W, T> {
    /// Of these lines, each from its number on: the place of the one with the lowest number, and that.
    fn first_of(&self, open: &[(LineOf, i64)]) -> Option<(usize, i64)> {
        let heads = open.iter().enumerate().filter_map(|(place, (line, next))| {
            let (&number, _) = self.lines.get(line)?.range(next..).next()?;
            Some((place, number))
        });
        heads.min_by_key(|(_, number)| *number)
    }

    fn insert(&mut self, number: i64, waiter: Waiter<W, T>) {
        self.count += 1;
        self.ordinary += usize::from(!waiter.wish.is_choosy());
        self.lines.entry(waiter.wish.line()).or_default().insert(number, waiter);
    }

    /// Takes the waiter of `number` out of `line`, or out of the one for any worker, where it may have been put.
    fn remove(&mut self, line: &LineOf, number: i64) -> Option<Waiter<W, T>> {
        let waiter = match self.take_from(line, number) {
            Some(waiter) => waiter,
            None => self.take_from(&None, number)?,
        };
        self.count -= 1;
        self.ordinary -= usize::from(!waiter.wish.is_choosy());
        Some(waiter)
    }
}

impl<W, T> Lines<W, T> {
    /// Whether one more may wait in `line`. Those for one worker leave some places to the others, who would be refused for
    /// the sake of a worker that they do not need.
    fn has_place(&self, line: Option<&Arc<str>>, size: usize) -> bool {
        let others = self.lines.get(&None).map_or(0, BTreeMap::len);
        let is_crowded = line.is_some() && self.count - others >= size - size / LEFT_TO_OTHERS;
        self.count < size && !is_crowded
    }

    fn take_from(&mut self, line: &LineOf, number: i64) -> Option<Waiter<W, T>> {
        let others = self.lines.get_mut(line)?;
        let waiter = others.remove(&number)?;
        if others.is_empty() {
            self.lines.remove(line);
        }
        Some(waiter)
    }
}

impl<W: Wish, T> Waiting<'_, W, T> {
    /// Waits for the answer. Cancel safe.
    pub async fn answer(&mut self) -> Option<T> {
        (&mut self.answer).await.ok()
    }

    /// Changes what is wished for, perhaps to what makes another line the right one. To be followed by a [`Queue::serve_all`].
    pub fn amend(&self, edit: impl FnOnce(&mut W)) {
        let mut lines = self.queue.lines.lock();
        if let Some(mut waiter) = lines.remove(&self.line, self.number) {
            edit(&mut waiter.wish);
            lines.insert(self.number, waiter);
            self.queue.show(&lines);
        }
    }
}

impl<W: Wish, T> Drop for Waiting<'_, W, T> {
    fn drop(&mut self) {
        let mut lines = self.queue.lines.lock();
        let gone = lines.remove(&self.line, self.number);
        self.queue.show(&lines);
        drop(lines);
        // A wish may hold the last hold on a worker.
        drop(gone);
    }
}
