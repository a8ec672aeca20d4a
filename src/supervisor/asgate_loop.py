"""The event loop that asgate gives to Uvicorn on Windows: `--loop asgate_loop:new_event_loop`.

A client that resets its connection before it was accepted makes asyncio's proactor loop close the listening
socket ("Accept failed on a socket", CPython issue 93821): one bad connection, and the server takes no new ones
any more. Here the accept is asked for again instead. All else is asyncio's own.

On other systems it is the loop that Uvicorn's `--loop auto` would take. Needs Uvicorn 0.36 or newer, which
take a loop factory.
"""

import asyncio
import sys

# The connection to be accepted is gone, the listener is not: ERROR_NETNAME_DELETED, ERROR_OPERATION_ABORTED,
# WSAECONNABORTED, WSAECONNRESET, WSAENOTCONN.
CONNECTION_IS_GONE = frozenset((64, 995, 10053, 10054, 10057))


class AcceptAgain:
    """Goes before a proactor among the bases of a class: its accept() outlives connections that do not."""

    def accept(self, listener):
        accepted = self._loop.create_future()
        attempt = None

        def begin():
            nonlocal attempt
            attempt = super(AcceptAgain, self).accept(listener)
            attempt.add_done_callback(finish)

        def finish(attempt):
            if accepted.done():
                return
            if attempt.cancelled():
                accepted.cancel()
                return
            error = attempt.exception()
            if error is None:
                accepted.set_result(attempt.result())
            elif not may_go_on(error, listener):
                accepted.set_exception(error)
            else:
                try:
                    begin()
                except OSError as error:
                    accepted.set_exception(error)

        def cancel(accepted):
            if accepted.cancelled():
                attempt.cancel()

        # Raises what is wrong with the listener itself.
        begin()
        accepted.add_done_callback(cancel)
        return accepted


def may_go_on(error, listener):
    return (
        isinstance(error, OSError)
        and getattr(error, "winerror", None) in CONNECTION_IS_GONE
        and listener.fileno() != -1
    )


if sys.platform == "win32":

    class Proactor(AcceptAgain, asyncio.IocpProactor):
        pass


def new_event_loop():
    if sys.platform == "win32":
        return asyncio.ProactorEventLoop(Proactor())
    try:
        import uvloop
    except ImportError:
        return asyncio.SelectorEventLoop()
    return uvloop.new_event_loop()
