//! The slots of a worker and the queue of an upstream, tried in many orders of events.
//!
//! The modules are asgate's own files; their atomics and locks are those of a model checker here (`sync`), which
//! switches between threads at random at each use of one. All of these uses are sequentially consistent in asgate, so
//! there are no other orders than such. A thread that waits for ever ends a run as a deadlock.
#![cfg(test)]

#[path = "../../../src/upstream/queue.rs"]
#[expect(dead_code, reason = "not all of it takes part")]
mod queue;
#[path = "../../../src/upstream/slots.rs"]
#[expect(dead_code, reason = "not all of it takes part")]
mod slots;
mod sync;

use shuttle::sync::Arc;
use shuttle::{future, thread};

use queue::{End, LineOf, Queue, Turn, Wish};
use slots::{Left, Slots, Taken};

/// Orders tried in a run; each takes some microseconds.
const ORDERS: usize = 30_000;

/// One worker with its slots, and those who wait for one.
struct Pool {
    slots: Slots,
    queue: Queue<(), Held>,
}

impl Wish for () {
    fn line(&self) -> LineOf {
        None
    }

    fn is_choosy(&self) -> bool {
        false
    }
}

/// A slot; given back when dropped.
struct Held(Arc<Pool>);

impl Drop for Held {
    fn drop(&mut self) {
        self.0.slots.give_back();
        serve(&self.0);
    }
}

fn pool(slots: usize) -> Arc<Pool> {
    Arc::new(Pool { slots: Slots::new(slots), queue: Queue::new(8) })
}

fn take(pool: &Arc<Pool>) -> Option<Held> {
    (pool.slots.take() == Taken::Slot).then(|| Held(Arc::clone(pool)))
}

fn serve(pool: &Arc<Pool>) {
    if !pool.queue.is_empty() {
        pool.queue.serve_all(|()| take(pool).map_or(Turn::Stop, Turn::Serve));
    }
}

/// As [`acquire`], and leaves the queue again when the slot is not there at once.
fn acquire_or_leave(pool: &Arc<Pool>) {
    if !pool.queue.is_barred() && take(pool).is_some() {
        return;
    }
    let waiting = pool.queue.enter((), End::Back).expect("a place in line");
    serve(pool);
    thread::yield_now();
    drop(waiting);
}

/// A slot at once, or after a wait.
fn acquire(pool: &Arc<Pool>) -> Held {
    if !pool.queue.is_barred()
        && let Some(held) = take(pool)
    {
        return held;
    }
    let mut waiting = pool.queue.enter((), End::Back).expect("a place in line");
    serve(pool);
    future::block_on(waiting.answer()).expect("the queue is there")
}

/// Runs `body` in many orders.
fn in_many_orders(body: impl Fn() + Send + Sync + 'static) {
    shuttle::check_random(body, ORDERS);
}

fn all_end(threads: Vec<thread::JoinHandle<()>>) {
    threads.into_iter().for_each(|thread| thread.join().expect("it ends well"));
}

#[test]
fn nobody_waits_beside_a_free_slot() {
    in_many_orders(|| {
        let pool = pool(1);
        let request = |_| {
            let pool = Arc::clone(&pool);
            thread::spawn(move || drop(acquire(&pool)))
        };
        all_end((0..3).map(request).collect());
        assert_eq!(pool.slots.taken(), 0, "all were given back");
        assert!(pool.queue.is_empty(), "nobody waits");
    });
}

#[test]
fn a_slot_that_was_given_to_one_who_leaves_goes_to_the_next() {
    in_many_orders(|| {
        let pool = pool(1);
        let leave = Arc::clone(&pool);
        let mut threads = vec![thread::spawn(move || acquire_or_leave(&leave))];
        threads.extend((0..2).map(|_| {
            let pool = Arc::clone(&pool);
            thread::spawn(move || drop(acquire(&pool)))
        }));
        all_end(threads);
        assert_eq!(pool.slots.taken(), 0, "all were given back");
        assert!(pool.queue.is_empty(), "nobody waits");
    });
}

#[test]
fn never_more_are_taken_than_there_are() {
    in_many_orders(|| {
        let slots = Arc::new(Slots::new(2));
        let threads = (0..3).map(|_| {
            let slots = Arc::clone(&slots);
            thread::spawn(move || {
                if slots.take() == Taken::Slot {
                    assert!((1..=2).contains(&slots.taken()), "this one and one more at most");
                    slots.give_back();
                }
            })
        });
        all_end(threads.collect());
        assert_eq!(slots.taken(), 0, "all were given back");
    });
}

/// Either a request sees that the worker was retired, or whoever drains it sees the request.
#[test]
fn nobody_slips_past_a_drain() {
    in_many_orders(|| {
        let slots = Arc::new(Slots::new(2));
        let threads = (0..2).map(|_| {
            let slots = Arc::clone(&slots);
            thread::spawn(move || match slots.take() {
                Taken::Slot => {
                    let left = slots.give_back();
                    assert!(left == Left::Some || slots.is_closed(), "empty only once closed");
                }
                Taken::Full | Taken::Closed => {}
            })
        });
        let threads: Vec<_> = threads.collect();
        slots.close();
        if slots.taken() == 0 {
            assert_ne!(slots.take(), Taken::Slot, "drained, and none is given out any more");
        }
        all_end(threads);
    });
}

/// The control: who does not look again after it got in line waits for ever in some order of events.
#[test]
#[should_panic(expected = "deadlock")]
fn without_the_second_look_somebody_waits_for_ever() {
    in_many_orders(|| {
        let pool = pool(1);
        let threads = (0..2).map(|_| {
            let pool = Arc::clone(&pool);
            thread::spawn(move || {
                if let Some(held) = take(&pool) {
                    drop(held);
                    return;
                }
                let mut waiting = pool.queue.enter((), End::Back).expect("a place in line");
                drop(future::block_on(waiting.answer()));
            })
        });
        all_end(threads.collect());
    });
}
