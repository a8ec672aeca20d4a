//! Connections: they are made, put away, taken again, and spoilt.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::task::{Context, Poll, Waker};

use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::TestCaseResult;

use crate::upstream::{Check, Connection, Keeping, Slot, fixtures};

use super::super::events::{Spoilt, Then};
use super::{World, draw};

impl World<'_> {
    /// A request gets a connection: exactly the one that was kept which the model names, or a new one.
    pub(super) fn connect(
        &mut self,
        request: &Index,
        keeping: Keeping,
        check: Check,
    ) -> TestCaseResult {
        let Some(request) = draw(request, self.served.len()) else { return Ok(()) };
        let request = &mut self.served[request];
        if request.connection.is_some() {
            return Ok(());
        }
        let expected = self.model.take(request.worker, keeping);
        let reused = request.slot.reuse(keeping, check);
        let (mut connection, number) = match reused {
            Some(mut reused) => {
                let number = heard_by(&mut self.far, &mut reused);
                prop_assert_eq!(number, expected, "the unused connection that is taken");
                (reused, number.expect("one that is open"))
            }
            None => {
                prop_assert_eq!(None, expected, "the unused connection that is taken");
                let (connection, far) = fixtures::connection(self.upstream, request.slot.worker());
                self.far.push(Some(far));
                (connection, self.model.connect(request.worker))
            }
        };
        connection.begin();
        self.model.connections[number].served += 1;
        request.connection = Some((connection, number));
        self.is_settled = false;
        Ok(())
    }

    /// What becomes of the connection of a request on `slot` that is over.
    pub(super) fn put_away(
        &mut self,
        slot: &Slot,
        mut connection: Connection,
        number: usize,
        then: Then,
        check: Check,
    ) {
        match then {
            Then::Park(keeping) => {
                slot.park(connection, keeping, check);
                self.model.park(number, keeping);
            }
            Then::ParkBound => {
                connection.bind();
                self.model.connections[number].bound = true;
                slot.park(connection, Keeping::Anybody, check);
                self.model.park(number, Keeping::Anybody);
            }
            Then::Close => {
                connection.close();
                self.model.close(number);
            }
        }
    }

    /// A connection is there that no request wants any more.
    pub(super) fn comes_late(&mut self, worker: &Index, check: Check) -> TestCaseResult {
        let Some(worker) = self.draw_worker(worker) else { return Ok(()) };
        let (connection, far) = fixtures::connection(self.upstream, &self.workers[worker].worker);
        self.far.push(Some(far));
        let number = self.model.connect(worker);
        self.workers[worker].worker.park(connection, Keeping::Anybody, check);
        self.model.park(number, Keeping::Anybody);
        self.is_settled = false;
        Ok(())
    }

    pub(super) fn forget(&mut self, client: u64) -> TestCaseResult {
        for (number, member) in self.workers.iter().enumerate() {
            member.worker.forget(client);
            self.model.forget(number, client);
        }
        Ok(())
    }

    /// A worker does something to a connection.
    pub(super) fn spoil(&mut self, connection: &Index, how: Spoilt) -> TestCaseResult {
        let far = self.far.iter_mut().enumerate();
        let mut open: Vec<_> = far.filter(|(_, far)| far.is_some()).collect();
        let Some(drawn) = draw(connection, open.len()) else { return Ok(()) };
        let (number, far) = open.swap_remove(drawn);
        self.model.connections[number].sound = false;
        match how {
            Spoilt::Closed => *far = None,
            Spoilt::Unasked => {
                let said = far.as_mut().map(|far| far.write(b"?"));
                prop_assert!(matches!(said, Some(Ok(1))), "{} is open: {:?}", number, said);
            }
        }
        Ok(())
    }
}

/// The number of the worker's end that hears what is said on `connection`.
fn heard_by(far: &mut [Option<UnixStream>], connection: &mut Connection) -> Option<usize> {
    let mut context = Context::from_waker(Waker::noop());
    let Poll::Ready(Ok(1)) = connection.poll_write(&mut context, b"!") else { return None };
    let hears = |far: &mut Option<UnixStream>| {
        far.as_mut().is_some_and(|far| matches!(far.read(&mut [0]), Ok(1)))
    };
    far.iter_mut().position(hears)
}
