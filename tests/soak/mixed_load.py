"""Mixed load on the sample application, every response checked against what the application must have sent.

    python mixed_load.py HOST:PORT [--seconds 120] [--connections 200]

Of the connections, 60 % are kept-alive JSON clients (half of them steady, half in bursts that leave the connections
behind the edge unused for as long as a worker's keep-alive of 5 seconds lasts), and a tenth each follows server-sent
events, talks over WebSockets, uploads, and breaks off in the middle of something. The pace is fixed, about one request
a second for each connection, so that the load says something about losses and not about speed.

Prints `running` once all are started, and one JSON object at the end. Exit code 1 when anything was lost: a response
that the application did not send, a connection that ended unannounced, an answer that did not come.
"""

from __future__ import annotations

import argparse
import asyncio
import collections
import hashlib
import itertools
import json
import random
import socket
import struct
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable

from websockets.asyncio.client import connect as websocket

PATIENCE = 10.0  # seconds for one exchange; each takes milliseconds, or a known time
UPLOAD = bytes(range(256)) * 2048  # 512 KiB


class Lost(Exception):
    """A response that is not what the application sends, or none."""


class Connection:
    """A kept-alive HTTP/1.1 connection, opened anew only where the other side announced its end."""

    def __init__(self, host: str, port: int) -> None:
        self.address = host, port
        self.streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def send(self, method: str, target: str, body: bytes = b"") -> asyncio.StreamReader:
        """Send a request and return where its response comes."""
        if self.streams is None:
            self.streams = await asyncio.open_connection(*self.address)
        reader, writer = self.streams
        length = f"content-length: {len(body)}\r\n" if body or method != "GET" else ""
        writer.write(f"{method} {target} HTTP/1.1\r\nhost: soak.test\r\n{length}\r\n".encode() + body)
        await writer.drain()
        return reader

    async def ask(self, method: str, target: str, body: bytes = b"") -> tuple[dict[str, str], bytes]:
        """Send a request and return the headers and the body of its response, a 200 of the application."""
        reader = await self.send(method, target, body)
        headers = await head(reader)
        content = b"".join([part async for part in parts(reader, headers)])
        if headers.get("connection") == "close":
            self.close()
        return headers, content

    def close(self) -> None:
        if self.streams is not None:
            self.streams[1].close()
            self.streams = None

    def reset(self) -> None:
        """End with a reset instead of FIN, as a client that was killed."""
        if self.streams is not None:
            linger = struct.pack("ii", 1, 0)
            self.streams[1].get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.close()


async def head(reader: asyncio.StreamReader) -> dict[str, str]:
    """Read a response head, which must be that of a 200 from the application."""
    try:
        lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    except asyncio.IncompleteReadError as error:
        raise Lost(f"the connection ended after {error.partial!r} instead of a response") from None
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines[1:-2])}
    if not lines[0].startswith("HTTP/1.1 200 ") or headers.get("server") != "uvicorn":
        raise Lost(f"not the application's response: {lines}")
    return headers


async def parts(reader: asyncio.StreamReader, headers: dict[str, str]) -> AsyncIterator[bytes]:
    """The body as it comes, to the end that its framing promises."""
    try:
        if "content-length" in headers:
            yield await reader.readexactly(int(headers["content-length"]))
            return
        while size := int(await reader.readuntil(b"\r\n"), 16):
            yield (await reader.readexactly(size + 2))[:-2]
        await reader.readexactly(2)
    except asyncio.IncompleteReadError:
        raise Lost("a response broken off in the middle") from None


class Load:
    """The clients, and what became of their exchanges."""

    def __init__(self, host: str, port: int, seconds: float) -> None:
        self.host, self.port = host, port
        self.end = time.monotonic() + seconds
        self.done: collections.Counter[str] = collections.Counter()
        self.lost: list[str] = []
        self.latencies: list[float] = []
        self.numbers = itertools.count()

    async def client(
        self, kind: str, exchange: Callable[[Connection], Awaitable[None]], pause: Callable[[], float]
    ) -> None:
        """Repeat an exchange until the time is over."""
        connection = Connection(self.host, self.port)
        await asyncio.sleep(random.random())
        while time.monotonic() < self.end:
            try:
                await asyncio.wait_for(exchange(connection), PATIENCE)
                self.done[kind] += 1
            except Exception as error:  # whatever it is, an exchange did not go as it must
                self.lost.append(f"{kind}: {type(error).__name__}: {error}"[:400])
                connection.close()
            await asyncio.sleep(min(pause(), max(0.0, self.end - time.monotonic())))
        connection.close()

    async def json(self, connection: Connection) -> None:
        """Something that only this request can be answered with."""
        number = next(self.numbers)
        method, body = random.choice([("GET", ""), ("POST", f"body {number}"), ("PUT", "x" * (number % 5000))])
        begun = time.monotonic()
        headers, content = await connection.ask(method, f"/echo/{number}?n={number}", body.encode())
        self.latencies.append(time.monotonic() - begun)
        seen = json.loads(content)
        sent = method, f"/echo/{number}", f"n={number}", body
        if (seen["method"], seen["path"], seen["query"], seen["body"]) != sent:
            raise Lost(f"the answer to another request than {method} {number}: {seen}")
        request_id = dict(seen["headers"]).get("x-request-id")
        if headers.get("x-request-id") != request_id:
            raise Lost(f"two request ids: {headers.get('x-request-id')} and, in the application, {request_id}")

    async def events(self, connection: Connection) -> None:
        reader = await connection.send("GET", "/events?count=20&interval=0.1")
        stream = parts(reader, await head(reader))
        # A busy machine may put two into one piece; that each comes by itself is another test's matter.
        expected = b"".join(f"id: {number}\ndata: event {number}\n\n".encode() for number in range(20))
        if (events := b"".join([piece async for piece in stream])) != expected:
            raise Lost(f"other events than were sent: {events!r}")

    async def sockets(self, _: Connection) -> None:
        async with websocket(f"ws://{self.host}:{self.port}/ws", compression=None) as ws:
            for _ in range(10):
                message = f"message {next(self.numbers)}"
                await ws.send(message)
                if (echo := await ws.recv()) != message:
                    raise Lost(f"the echo of another message than {message}: {echo!r}")
                await asyncio.sleep(0.2)

    async def uploads(self, connection: Connection) -> None:
        size = random.randrange(len(UPLOAD))
        _, content = await connection.ask("PUT", "/upload", UPLOAD[:size])
        if json.loads(content) != {"bytes": size, "sha256": hashlib.sha256(UPLOAD[:size]).hexdigest()}:
            raise Lost(f"another upload than that of {size} bytes: {content!r}")

    async def aborts(self, _: Connection) -> None:
        """Leave in the middle of something, in one of the ways in which clients do."""
        connection = Connection(self.host, self.port)
        leave = random.choice([connection.close, connection.reset])
        way = random.randrange(6)
        if way == 0:  # in the request head
            connection.streams = await asyncio.open_connection(self.host, self.port)
            connection.streams[1].write(b"GET /echo HTTP/1.1\r\nhost: soak")
        elif way == 1:  # in the request body
            connection.streams = await asyncio.open_connection(self.host, self.port)
            connection.streams[1].write(b"PUT /upload HTTP/1.1\r\nhost: soak.test\r\ncontent-length: 99999\r\n\r\nhalf")
        elif way == 2:  # before the response
            await connection.send("GET", "/slow?seconds=1")
        elif way == 3:  # in a download
            reader = await connection.send("GET", "/download?size=5000000")
            await head(reader)
            await reader.readexactly(65536)
        elif way == 4:  # in a stream of events
            reader = await connection.send("GET", "/events?count=1000&interval=0.05")
            stream = parts(reader, await head(reader))
            for _ in range(3):
                await anext(stream)
        else:  # in a WebSocket
            ws = await websocket(f"ws://{self.host}:{self.port}/ws", compression=None)
            await ws.send("never read")
            ws.transport.abort()
        leave()

    def to_the_next_burst(self) -> float:
        """Seconds until all bursting clients send again: about Uvicorn's keep-alive after they last did."""
        now = time.monotonic()
        burst = int(now / 5 + 0.5) + 1
        return 5 * burst + random.Random(burst).uniform(-0.3, 0.3) - now

    async def run(self, connections: int) -> None:
        def steady() -> float:
            return random.uniform(0.2, 0.8)

        kinds = [
            *[("json", self.json, steady)] * 3,
            *[("burst", self.json, self.to_the_next_burst)] * 3,
            ("events", self.events, steady),
            ("websockets", self.sockets, steady),
            ("uploads", self.uploads, lambda: random.uniform(2, 6)),
            ("aborts", self.aborts, steady),
        ]
        clients = [self.client(*kinds[number % len(kinds)]) for number in range(connections)]
        running = asyncio.gather(*clients)
        print("running", flush=True)
        await running

    def report(self) -> dict[str, object]:
        latencies = sorted(self.latencies) or [0.0]
        return {
            "done": dict(sorted(self.done.items())),
            "lost": len(self.lost),
            "examples": self.lost[:20],
            "milliseconds": {
                name: round(1000 * latencies[int(share * (len(latencies) - 1))], 1)
                for name, share in [("p50", 0.5), ("p99", 0.99), ("max", 1.0)]
            },
        }


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    arguments.add_argument("address", metavar="HOST:PORT")
    arguments.add_argument("--seconds", type=float, default=120)
    arguments.add_argument("--connections", type=int, default=200)
    options = arguments.parse_args()
    host, _, port = options.address.rpartition(":")
    load = Load(host, int(port), options.seconds)
    asyncio.run(load.run(options.connections))
    print(json.dumps(load.report()))
    return 1 if load.lost else 0


if __name__ == "__main__":
    sys.exit(main())
