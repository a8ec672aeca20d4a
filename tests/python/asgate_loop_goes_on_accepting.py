"""asgate_loop's accept on a proactor that fails as told; run with the module on PYTHONPATH.

Windows' proactor exists on Windows only, but the loop above it is plain Python and runs anywhere: what is shown is
what that loop does with accepts that fail, with and without AcceptAgain between the two.
"""

import asyncio
import socket
from asyncio.proactor_events import BaseProactorEventLoop

from asgate_loop import AcceptAgain, new_event_loop

NETNAME_DELETED, OPERATION_ABORTED, CONNRESET, INVALID = 64, 995, 10054, 10022


class FakeProactor:
    """Each accept fails with the next of `errors`; without any left it waits."""

    def __init__(self, errors):
        self.errors = list(errors)
        self.accepts = []

    def set_loop(self, loop):
        self._loop = loop

    def accept(self, listener):
        accepted = self._loop.create_future()
        self.accepts.append(accepted)
        if self.errors:
            error = OSError(22, "the connection is gone")
            error.winerror = self.errors.pop(0)
            accepted.set_exception(error)
        return accepted

    def recv(self, *_):
        return self._loop.create_future()

    def select(self, _):
        return []

    def close(self):
        pass

    def _stop_serving(self, _):
        pass


class ResilientProactor(AcceptAgain, FakeProactor):
    pass


class Connection(asyncio.Protocol):
    pass


class Run:
    def __init__(self, proactor):
        self.proactor = proactor
        self.loop = BaseProactorEventLoop(proactor)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.complaints = []
        self.loop.set_exception_handler(lambda _, context: self.complaints.append(context["message"]))
        self.loop._start_serving(Connection, self.listener)
        self.turn()

    def turn(self):
        for _ in range(12):
            self.loop._run_once()

    @property
    def listens(self):
        return self.listener.fileno() != -1


def the_plain_loop_goes_deaf():
    run = Run(FakeProactor([NETNAME_DELETED]))
    assert not run.listens, "the control: without AcceptAgain the listener is closed"
    assert run.complaints == ["Accept failed on a socket"], run.complaints


def accepts_go_on_when_connections_are_gone():
    run = Run(ResilientProactor([NETNAME_DELETED, CONNRESET, OPERATION_ABORTED]))
    assert run.listens, "the listener outlives three connections"
    assert len(run.proactor.accepts) == 4, "a fourth accept waits"
    assert not run.complaints, run.complaints


def what_is_accepted_is_handed_on():
    run = Run(ResilientProactor([NETNAME_DELETED]))
    made = []
    run.loop._make_socket_transport = lambda connection, *_args, **_named: made.append(connection)
    run.proactor.accepts[-1].set_result(("connection", ("127.0.0.1", 1)))
    run.turn()
    assert made == ["connection"], made
    assert len(run.proactor.accepts) == 3 and run.listens, "and the next one is waited for"


def errors_of_the_listener_are_told():
    run = Run(ResilientProactor([INVALID]))
    assert not run.listens, "a listener that does not work is closed"
    assert run.complaints == ["Accept failed on a socket"], run.complaints


def a_closed_listener_is_left_alone():
    run = Run(ResilientProactor([]))
    run.listener.close()
    error = OSError(22, "the listener is gone")
    error.winerror = OPERATION_ABORTED
    run.proactor.accepts[-1].set_exception(error)
    run.turn()
    assert len(run.proactor.accepts) == 1, "no accept on it"


def a_stop_cancels_the_accept():
    run = Run(ResilientProactor([NETNAME_DELETED]))
    run.loop._stop_serving(run.listener)
    run.turn()
    assert run.proactor.accepts[-1].cancelled(), "the one that waits"
    assert not run.listens and not run.complaints, run.complaints


def other_systems_get_the_loop_that_uvicorn_would_take():
    from uvicorn.loops.auto import auto_loop_factory

    ours, uvicorns = new_event_loop(), auto_loop_factory()()
    assert type(ours) is type(uvicorns), (ours, uvicorns)
    ours.close()
    uvicorns.close()


if __name__ == "__main__":
    the_plain_loop_goes_deaf()
    accepts_go_on_when_connections_are_gone()
    what_is_accepted_is_handed_on()
    errors_of_the_listener_are_told()
    a_closed_listener_is_left_alone()
    a_stop_cancels_the_accept()
    other_systems_get_the_loop_that_uvicorn_would_take()
