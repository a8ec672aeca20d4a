"""A loop for Uvicorn on Linux with the accept defect that CPython's Proactor loop has on Windows (CPython gh-93821).

    uvicorn app:app --loop fragile_loop:FragileLoop

Where a connection was reset by its peer before it was accepted, the Proactor loop reports "Accept failed on a socket"
and closes the socket that *listens*; the process and all of its connections live on. Linux tells of such a connection
by an accept that succeeds and a `getpeername` that fails (ENOTCONN), so that this loop can do the same. A process
that runs it can be made deaf, which an ordinary one on Linux cannot.
"""

from __future__ import annotations

import asyncio
import socket
from asyncio import trsock
from typing import Any

ERROR_NETNAME_DELETED = 64


class FragileLoop(asyncio.SelectorEventLoop):
    def _accept_connection(
        self,
        protocol_factory: Any,
        sock: socket.socket,
        sslcontext: Any = None,
        server: Any = None,
        *_: Any,
        **__: Any,
    ) -> None:
        try:
            connection, address = sock.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return
        connection.setblocking(False)
        try:
            connection.getpeername()
        except OSError as cause:
            connection.close()
            self._go_deaf(sock, cause)
            return
        # What asyncio does with a connection, one at each wake-up.
        extra = {"peername": address}
        self.create_task(self._accept_connection2(protocol_factory, connection, extra, sslcontext, server))

    def _go_deaf(self, sock: socket.socket, cause: OSError) -> None:
        error = OSError(22, "The specified network name is no longer available")
        error.winerror = ERROR_NETNAME_DELETED
        error.__cause__ = cause
        context = {"message": "Accept failed on a socket", "exception": error}
        self.call_exception_handler(context | {"socket": trsock.TransportSocket(sock)})
        self._remove_reader(sock.fileno())
        sock.close()

    def _stop_serving(self, sock: socket.socket) -> None:
        """Tolerate a listener that is closed already, as the Proactor loop does."""
        if sock.fileno() != -1:
            super()._stop_serving(sock)
